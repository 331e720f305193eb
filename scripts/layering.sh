#!/usr/bin/env bash
# Proves the borders between the crates, on what cargo really links.
set -euo pipefail
cd "$(dirname "$0")/.."

wrong=0

# crate, then everything that it must not reach, directly or through others
forbid() {
    local crate=$1 tree name
    shift
    tree=$(cargo tree --locked --edges normal --prefix none --package "$crate" --format '{p}' | cut -d' ' -f1 | sort -u)
    for name in "$@"; do
        if grep -qx "$name" <<<"$tree"; then
            echo "layering: $crate must not depend on $name" >&2
            cargo tree --locked --edges normal --package "$crate" --invert "$name" >&2 || true
            wrong=1
        fi
    done
}

ours=(mediaflow-store mediaflow-blob mediaflow-broker mediaflow-engine mediaflow-worker mediaflow-api mediaflow-media mediaflow-playlist mediaflow-proto mediaflow-via)
others() { printf '%s\n' "${ours[@]}" | grep -vx "$1"; }

forbid mediaflow-core tokio axum rusqlite reqwest rand "${ours[@]}"
forbid mediaflow-media tokio axum rusqlite mediaflow-core $(others mediaflow-media)
forbid mediaflow-playlist tokio axum rusqlite mediaflow-core $(others mediaflow-playlist)
forbid mediaflow-blob axum rusqlite mediaflow-core $(others mediaflow-blob)
forbid mediaflow-broker axum rusqlite $(others mediaflow-broker)
forbid mediaflow-store axum reqwest mediaflow-blob mediaflow-broker mediaflow-media mediaflow-engine
forbid mediaflow-engine axum mediaflow-media mediaflow-worker mediaflow-api mediaflow-via
forbid mediaflow-worker axum mediaflow-api mediaflow-via
forbid mediaflow-via axum mediaflow-media mediaflow-worker mediaflow-api
forbid mediaflow-api mediaflow-media mediaflow-worker
forbid mediaflow-sim axum mediaflow-media mediaflow-worker mediaflow-api

((wrong == 0)) && echo "layering: all borders hold"
exit "$wrong"
