#!/usr/bin/env bash
# Runs every benchmark of bench/, one after the other; each prints ratios against its peers.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release -p mediaflow
found=0
for run in bench/*/run; do
    [[ -x $run ]] || continue
    found=1
    echo "== $run"
    "$run"
done
if ((found == 0)); then
    echo "there is no benchmark in bench/" >&2
    exit 1
fi
