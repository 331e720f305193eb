#!/usr/bin/env bash
# Holds the line on tidiness: no file of code over 500 lines, no module named after nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

lines_max=500
# Files that are longer, with the length that they may have. This list only shrinks.
allowed=()

wrong=0
complain() {
    echo "tidy: $1" >&2
    wrong=1
}

while IFS= read -r file; do
    lines=$(wc -l <"$file")
    limit=$lines_max
    for entry in "${allowed[@]}"; do
        [[ ${entry%%=*} == "$file" ]] && limit=${entry##*=}
    done
    ((lines > limit)) && complain "$file has $lines lines; $limit are allowed. If it is about two things, make it two files."
    case $(basename "$file" .rs) in
    utils | util | common | helpers | misc | types | base | models)
        complain "$file: name it after what is in it" ;;
    esac
done < <(git ls-files '*.rs')

for entry in "${allowed[@]}"; do
    file=${entry%%=*}
    if [[ ! -f $file ]] || (($(wc -l <"$file") <= lines_max)); then
        complain "$file needs no exception any more; take it off the list"
    fi
done

((wrong == 0)) && echo "tidy: all files are short and well named"
exit "$wrong"
