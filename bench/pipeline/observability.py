#!/usr/bin/env python3
"""What traces, logs and scrapes cost: the same photos through servers with all of it on and off, in turn, in one run.

On: every span of every trace to a collector, the log in JSON at `info`, /metrics read every 5 seconds in both formats. Off: none of it, and
the log at `error`. Counting for the metrics cannot be switched off. CPU is that of the server and its children; what plays the collector is a
process of its own. Rounds are paired and change their order (on off, off on, ...), so that what a machine does meanwhile falls on both.

usage: observability.py [--binary target/release/mediaflow] [--count 100] [--rounds 6] [--connections 8] [--photos FOLDER]
"""
import argparse
import concurrent.futures
import http.client
import http.server
import multiprocessing
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile
import threading
import time

import run as pipeline

GOAL = 0.03


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans and forgets them; counts their bytes."""

    protocol_version = "HTTP/1.1"
    received = None

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.rfile.read(length)
        with Collector.received.get_lock():
            Collector.received.value += length
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def collect(port, received):
    Collector.received = received
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Collector).serve_forever()


def scrape(port, stop):
    while not stop.wait(5):
        for accept in ("text/plain", "application/openmetrics-text"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/metrics", headers={"Accept": accept})
            connection.getresponse().read()
            connection.close()


def round_of(args, uploads, collector):
    """CPU seconds for each upload; `collector` is the port of one, or nothing where all is off."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mediaflow-bench-"))
    port = pipeline.free_port()
    if collector:
        config = f'[log]\nformat = "json"\nlevel = "info"\n[telemetry]\notlp_endpoint = "http://127.0.0.1:{collector}"\n'
    else:
        config = '[log]\nlevel = "error"\n'
    (folder / "mediaflow.toml").write_text(config)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    server = subprocess.Popen(
        [args.binary, "serve", "--config", folder / "mediaflow.toml", "--listen", f"127.0.0.1:{port}", "--data", folder / "data"],
        stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"), env=environment)
    stop, done, moments, local = threading.Event(), threading.Event(), {}, threading.local()
    try:
        for _ in range(200):
            try:
                if pipeline.get(port, "/readyz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)

        def upload(body):
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            local.connection.request("POST", "/v1/assets", body, {"Content-Type": "image/jpeg"})
            answer = local.connection.getresponse()
            answer.read()
            assert answer.status == 202, answer.status

        before = pipeline.cpu_seconds(server.pid)
        follower = threading.Thread(target=pipeline.follow, args=(port, moments, len(uploads), done, stop))
        follower.start()
        if collector:
            threading.Thread(target=scrape, args=(port, stop), daemon=True).start()
        with concurrent.futures.ThreadPoolExecutor(args.connections) as pool:
            list(pool.map(upload, uploads))
        done.wait()
        # The last batch of spans is part of the price.
        time.sleep(6)
        cpu = pipeline.cpu_seconds(server.pid) - before
        stop.set()
        follower.join()
        log_bytes = (folder / "log").stat().st_size
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
        subprocess.run(["rm", "-rf", folder], check=False)
    failed = sum("asset.failed" in moment for moment in moments.values())
    assert not failed, f"{failed} failed"
    return cpu / len(uploads), log_bytes


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=str(here / "target/release/mediaflow"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--photos", default=os.path.join(os.environ.get("MEDIAFLOW_CORPUS", ""), "images"))
    args = parser.parse_args()
    received = multiprocessing.Value("Q", 0)
    port = pipeline.free_port()
    collector = multiprocessing.Process(target=collect, args=(port, received), daemon=True)
    collector.start()
    uploads = list(pipeline.photos(pathlib.Path(args.photos), args.count, (10_000, 200_000)))
    # Files and the program are in memory for everybody from here on.
    round_of(args, uploads[: max(8, args.count // 10)], None)
    on, off, ratios = [], [], []
    for number in range(args.rounds):
        pair = {}
        for is_on in (True, False) if number % 2 == 0 else (False, True):
            before = received.value
            cpu, log_bytes = round_of(args, uploads, port if is_on else None)
            (on if is_on else off).append(cpu)
            pair[is_on] = cpu
            if is_on:
                span_bytes = received.value - before
                assert span_bytes, "no spans came: what is measured is not on"
                told = f"{span_bytes / args.count / 1e3:.1f} kB of spans and {log_bytes / args.count / 1e3:.1f} kB of log for each upload"
        ratios.append(pair[True] / pair[False] - 1)
        print(f"round {number + 1}: on {pair[True]:.4f}, off {pair[False]:.4f} CPU s for each upload: {100 * ratios[-1]:+.1f}%", flush=True)
    middle = statistics.median(ratios)
    print(f"off {statistics.median(off):.4f}, on {statistics.median(on):.4f} CPU s for each of {args.count} uploads; {told}")
    print(f"observability costs {100 * middle:+.1f}% (median of {args.rounds} pairs, {100 * min(ratios):+.1f} to {100 * max(ratios):+.1f}); to reach: under {100 * GOAL:.0f}%")


if __name__ == "__main__":
    main()
