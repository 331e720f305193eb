#!/usr/bin/env bash
# Builds MediaFlow, starts it, and shows it at work: `make run`, `make run FILES="a.jpg b.png"`.
set -euo pipefail
cd "$(dirname "$0")/.."

listen=${MEDIAFLOW_LISTEN:-127.0.0.1:8080}
data=${MEDIAFLOW_DATA:-./mediaflow-data}
program=target/release/mediaflow
files=("$@")

cargo build --release -p mediaflow

if ((${#files[@]} == 0)) && [[ -z $(ls -A "$data" 2>/dev/null) ]]; then
    samples=$(mktemp -d)
    trap 'rm -rf "$samples"' EXIT
    "$program" samples "$samples"
    files=("$samples"/*)
fi

"$program" serve --listen "$listen" --data "$data" &
server=$!
# Ctrl-C reaches the server by itself; here it only must not end the script before the server has ended.
trap ':' INT
trap 'kill -TERM "$server" 2>/dev/null' TERM

alive() { kill -0 "$server" 2>/dev/null; }
ready() {
    local line
    {
        exec 3<>"/dev/tcp/${listen%:*}/${listen##*:}" &&
            printf 'GET /readyz HTTP/1.0\r\nHost: %s\r\n\r\n' "$listen" >&3 &&
            read -r -t 5 line <&3
    } 2>/dev/null && [[ $line == *' 200 '* ]]
}
until ready || ! alive; do sleep 0.1; done

if alive && ((${#files[@]})); then
    echo
    echo "\$ mediaflow ingest ${files[*]}"
    "$program" ingest --server "http://$listen" "${files[@]}" || true
fi
if alive; then
    cat <<NEXT

Try next, in another terminal:
    $program ingest YOUR-PICTURES
    curl http://$listen/v1/assets?limit=3
and in a browser http://$listen
Ctrl-C stops the server; what it has accepted is kept in $data.
NEXT
fi

code=0
while alive; do
    wait "$server" && code=0 || code=$?
done
exit "$code"
