#!/usr/bin/env bash
# Runs every benchmark of bench/, one after the other; each prints ratios against its peers.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -z ${MEDIAFLOW_CORPUS:-} && -d ../shared/corpus ]]; then
    MEDIAFLOW_CORPUS=$(realpath ../shared/corpus)
    export MEDIAFLOW_CORPUS
fi
cargo build --release -p mediaflow
found=0
failed=()
for run in bench/*/run; do
    [[ -x $run ]] || continue
    found=1
    echo "== $run"
    "$run" || failed+=("$run")
done
if ((found == 0)); then
    echo "there is no benchmark in bench/" >&2
    exit 1
fi
if ((${#failed[@]})); then
    echo "did not finish: ${failed[*]}" >&2
    exit 1
fi
