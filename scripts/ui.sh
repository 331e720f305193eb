#!/usr/bin/env bash
# Builds the dashboard that the binary embeds, where Node.js is and something has changed; `ui.sh check` also checks its types.
set -euo pipefail
cd "$(dirname "$0")/../ui"

fits() { node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; }
if ! command -v node >/dev/null || ! command -v npm >/dev/null || ! fits; then
    echo "no Node.js 20.19 or newer: mediaflow is built without its dashboard, and / says how to add it"
    exit 0
fi
if [[ package-lock.json -nt node_modules/.package-lock.json ]]; then
    echo "installing what builds the dashboard"
    if ! npm ci --silent --no-audit --no-fund; then
        echo "npm could not install what builds the dashboard; mediaflow is built without it" >&2
        exit 0
    fi
    touch node_modules/.package-lock.json
fi
if [[ ${1:-} == check ]]; then
    npm run --silent check
fi
changed() { find src index.html vite.config.ts svelte.config.js package-lock.json ../docs/openapi.json -newer dist/index.html -print -quit; }
if [[ ! -e dist/index.html || -n $(changed) ]]; then
    echo "building the dashboard"
    npm run --silent build -- --logLevel warn
fi
