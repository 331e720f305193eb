#!/usr/bin/env bash
# Installs what the given tasks (build, servers, bench, browser, uploads, lint, fuzz) need and is not there yet, and says what and why.
set -euo pipefail
cd "$(dirname "$0")/.."

need_packages=()

# package, how to see that it is there, why
want() {
    local package=$1 reason=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        echo "missing: $package, $reason"
        need_packages+=("$package")
    fi
}

has_library() { pkg-config --exists "$1"; }

install_packages() {
    ((${#need_packages[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        echo "This system has no apt-get. Please install: ${need_packages[*]}" >&2
        exit 1
    fi
    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "Please install as root: apt-get install ${need_packages[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "installing: ${need_packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${need_packages[@]}"
}

for_build() {
    if ! command -v cargo >/dev/null; then
        echo "MediaFlow is written in Rust and there is no cargo. Install it from https://rustup.rs and try again." >&2
        exit 1
    fi
    want g++ "compiles the codecs that encode" command -v g++
    want make "builds those codecs" command -v make
    want cmake "configures them" command -v cmake
    want nasm "assembles the fast parts of the AV1 encoder" command -v nasm
    want pkg-config "finds the decoders' libraries" command -v pkg-config
    want zlib1g-dev "unpacks what Kafka packed" has_library zlib
    want libde265-dev "decodes HEIC, the pictures of phones" has_library libde265
    want libdav1d-dev "decodes AVIF" has_library dav1d
    want ffmpeg "encodes video and sound" command -v ffmpeg
    want ca-certificates "lets cargo trust the registry" test -e /etc/ssl/certs/ca-certificates.crt
}

# What the tests start beside MediaFlow.
for_servers() {
    want openssl "makes certificates for tests" command -v openssl
    want postgresql "is the database of clusters" compgen -G "/usr/lib/postgresql/*/bin/postgres"
    want redis-server "is one of the brokers" command -v redis-server
    want rabbitmq-server "is one of the brokers" test -x /usr/lib/rabbitmq/bin/rabbitmq-server
    want librdkafka1 "plays Kafka" compgen -G "/usr/lib/*/librdkafka.so.1"
    want jq "reads answers in examples of the documentation" command -v jq
    want python3-venv "runs what plays Kafka and SQS" /usr/bin/python3 -c "import ensurepip"
}

for_bench() {
    want wrk "asks servers at full speed" command -v wrk
    want nginx-light "is what delivery is compared with" test -x /usr/sbin/nginx
    want npm "installs sharp, which pictures are compared with" command -v npm
    want python3 "drives the pipeline" command -v python3
}

for_browser() {
    want chromium "plays what was made" command -v chromium
    want npm "installs the players" command -v npm
    want python3 "lets days go by in a database" command -v python3
}

for_uploads() {
    want npm "installs tus-js-client and Uppy" command -v npm
    want chromium "runs Uppy" command -v chromium
    want python3-venv "runs tuspy, boto3 and schemathesis" /usr/bin/python3 -c "import ensurepip"
}

for_lint() {
    for component in rustfmt clippy; do
        if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
            echo "missing: $component, keeps the code in order"
            rustup component add "$component"
        fi
    done
    if [[ ! -x .tools/bin/cargo-deny ]]; then
        echo "missing: cargo-deny, checks licences and sources of what we depend on; it is built into .tools"
        # Not optimised: it runs for a second, and optimising it takes minutes.
        cargo install --locked --quiet --debug --root .tools cargo-deny
    fi
}

for task in "$@"; do
    [[ $task == build ]] && for_build
    [[ $task == servers ]] && for_servers
    [[ $task == bench ]] && for_bench
    [[ $task == browser ]] && for_browser
    [[ $task == uploads ]] && for_uploads
done
install_packages
for_media_doctor() {
    if [[ ! -x .tools/bin/media-doctor ]]; then
        echo "missing: media-doctor, judges playlists and manifests; it is built into .tools"
        cargo install --locked --quiet --debug --root .tools --version 0.12.0 media-doctor
    fi
}

for_fuzz() {
    if [[ ! -x .tools/bin/cargo-fuzz ]]; then
        echo "missing: cargo-fuzz, drives libFuzzer; it is built into .tools"
        cargo install --locked --quiet --debug --root .tools cargo-fuzz
    fi
}

# What comes from elsewhere than the system's packages.
for_moto() {
    if [[ ! -x .tools/moto/bin/moto_server ]]; then
        echo "missing: moto, plays SQS; it is installed into .tools"
        rm -rf .tools/moto
        /usr/bin/python3 -m venv .tools/moto
        .tools/moto/bin/pip install --quiet --no-cache-dir --disable-pip-version-check moto==5.2.5 flask==3.1.3 flask-cors
    fi
}

# What judges rules, routes and metrics. The packages would start servers, so only their tools are taken out of them.
for_prometheus() {
    if [[ ! -x .tools/bin/promtool || ! -x .tools/bin/amtool ]]; then
        echo "missing: promtool and amtool, test rules of alerts and their routes; they are unpacked into .tools"
        local folder tools
        folder=$(mktemp -d)
        tools=$PWD/.tools/bin
        mkdir -p "$tools"
        (
            cd "$folder"
            apt-get download -qq prometheus prometheus-alertmanager
            for package in *.deb; do dpkg -x "$package" .; done
            cp usr/bin/promtool usr/bin/amtool "$tools"
        )
        rm -rf "$folder"
    fi
    if [[ ! -x .tools/openmetrics/bin/python ]]; then
        echo "missing: prometheus_client, reads OpenMetrics as others do; it is installed into .tools"
        rm -rf .tools/openmetrics
        /usr/bin/python3 -m venv .tools/openmetrics
        .tools/openmetrics/bin/pip install --quiet --no-cache-dir --disable-pip-version-check prometheus_client==0.22.1
    fi
}

for task in "$@"; do
    [[ $task == servers ]] && for_moto && for_prometheus
    [[ $task == lint ]] && for_lint
    [[ $task == browser ]] && for_media_doctor
    [[ $task == fuzz ]] && for_fuzz
done
exit 0
