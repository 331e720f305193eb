#!/usr/bin/env python3
"""Drives a running server with many photos and says what the pipeline around the codecs costs.

Starts the given mediaflow binary on an empty folder, uploads COUNT photographs over CONNECTIONS
connections, waits until all are ready, and prints assets per minute, the share of CPU that is not media
work, accept latency, time until viewable and peak memory. Only Python's standard library is needed.

usage: run.py [--binary target/release/mediaflow] [--count 200] [--connections 8] [--photos FOLDER]
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process and of the children it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def media_cpu_seconds(port):
    """Processor time that media threads spent on tasks, from /metrics."""
    _, text = get(port, "/metrics")
    found = re.findall(r"^mediaflow_task_cpu_seconds(?:_total)?\{[^}]*\} ([0-9.eE+-]+)", text.decode(), re.M)
    return sum(map(float, found))


def photos(folder, count, size):
    """COUNT different uploads: a comment of its own behind each JPEG's first marker makes its bytes unique."""
    sources = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    usable = []
    for path in sources:
        data = path.read_bytes()
        if data[:2] == b"\xff\xd8" and size[0] <= len(data) <= size[1] and "corrupt" not in path.name and "truncated" not in path.name:
            usable.append(data)
    if not usable:
        sys.exit(f"no JPEG of {size[0]} to {size[1]} bytes in {folder}")
    generator = random.Random(1)
    for index in range(count):
        data = usable[index % len(usable)]
        note = b"%032x" % generator.getrandbits(128)
        yield data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:]


def follow(port, moments, total, done, stop):
    """Reads the feed of everything and notes when each asset became viewable and ready."""
    cursor = "0"
    while not stop.is_set() and not done.is_set():
        status, body = get(port, f"/v1/events?after={cursor}&limit=200")
        page = json.loads(body)
        now = time.monotonic()
        for event in page["items"]:
            kind = event["type"]
            if kind in ("asset.viewable", "asset.ready", "asset.failed"):
                moments.setdefault(event["subject"], {}).setdefault(kind, now)
        cursor = page["next_cursor"] or cursor
        ended = sum(1 for m in moments.values() if "asset.ready" in m or "asset.failed" in m)
        if ended >= total:
            done.set()
        if len(page["items"]) < 200:
            time.sleep(0.1)


def run(args, label, size, count):
    folder = tempfile.mkdtemp(prefix="mediaflow-bench-")
    port = free_port()
    server = subprocess.Popen(
        [args.binary, "serve", "--listen", f"127.0.0.1:{port}", "--data", folder],
        stdout=subprocess.DEVNULL, stderr=open(f"{folder}.log", "w"))
    try:
        for _ in range(200):
            try:
                if get(port, "/readyz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        uploads = list(photos(pathlib.Path(args.photos), count, size))
        moments, accepted, latencies = {}, {}, []
        done, stop, lock = threading.Event(), threading.Event(), threading.Lock()
        local = threading.local()

        def upload(body):
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            began = time.monotonic()
            local.connection.request("POST", "/v1/assets", body, {"Content-Type": "image/jpeg"})
            answer = local.connection.getresponse()
            content = answer.read()
            with lock:
                latencies.append(time.monotonic() - began)
                if answer.status == 202:
                    accepted[json.loads(content)["id"]] = time.monotonic()
                else:
                    print(answer.status, content[:200], file=sys.stderr)

        before_cpu, before_media = cpu_seconds(server.pid), media_cpu_seconds(port)
        began = time.monotonic()
        follower = threading.Thread(target=follow, args=(port, moments, count, done, stop))
        follower.start()
        with concurrent.futures.ThreadPoolExecutor(args.connections) as pool:
            list(pool.map(upload, uploads))
        uploaded = time.monotonic() - began
        while follower.is_alive() and not done.wait(timeout=1):
            pass
        wall = time.monotonic() - began
        stop.set()
        follower.join()
        cpu = cpu_seconds(server.pid) - before_cpu
        media = media_cpu_seconds(port) - before_media
        viewable = [m["asset.viewable"] - accepted[a] for a, m in moments.items() if a in accepted and "asset.viewable" in m]
        failed = sum(1 for m in moments.values() if "asset.failed" in m)
        latencies.sort()
        p = lambda q: 1000 * latencies[min(len(latencies) - 1, int(q * len(latencies)))]
        print(f"{label}: {count} photos of {statistics.mean(map(len, uploads)) / 1e3:.0f} kB, {args.connections} connections")
        print(f"  assets per minute     {60 * count / wall:10.1f}   ({failed} failed, {count - len(accepted)} refused)")
        print(f"  CPU s per asset       {cpu / count:10.3f}   of which media work {media / count:.3f}")
        print(f"  CPU that is not media {100 * (cpu - media) / cpu:9.1f}%   (to reach: under 10%)")
        print(f"  accept p50 / p99      {p(.5):7.1f} / {p(.99):.1f} ms   while uploading for {uploaded:.1f} s (to reach: p99 under 500 ms)")
        if viewable:
            viewable.sort()
            print(f"  viewable p50 / max    {viewable[len(viewable) // 2]:7.2f} / {viewable[-1]:.2f} s after the answer")
        print(f"  peak memory           {peak_bytes(server.pid) / 2**20:10.0f} MiB")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
        subprocess.run(["rm", "-rf", folder], check=False)


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=str(here / "target/release/mediaflow"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--photos", default=os.path.join(os.environ.get("MEDIAFLOW_CORPUS", ""), "images"))
    args = parser.parse_args()
    run(args, "small", (10_000, 200_000), args.count)
    run(args, "medium", (600_000, 3_000_000), max(10, args.count // 5))


if __name__ == "__main__":
    main()
