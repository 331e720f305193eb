#!/usr/bin/env python3
"""A server with a million assets: what it works for a page of them, searched and not, and to count what is kept.

One picture goes through the server, then its rows are copied by SQL (crates/store/examples/million.rs) and the server is started again on
them. CPU is the server's own, user and system, over many equal requests; it does nothing else meanwhile. To reach: 50 ms for a page.

usage: run.py [--count 1000000] [--whole] [--pages 100] [--binary target/release/mediaflow] [--filler target/release/examples/million]
              [--data FOLDER]   kept, and used again as it is when it is there

With --whole tasks, renditions and blobs are copied too (15 GB for a million), and /v1/storage is measured.
"""
import argparse
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "video"))
from server import cpu_seconds, free_port  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What is asked for, and how often a word or a value is there.
CASES = [
    ("the newest", {}),
    ("200 at once", {"limit": 200}),
    ("state, one of 500", {"state": "failed"}),
    ("type, one of 200", {"media_type": "image/png"}),
    ("tag of all", {"tag": "summer"}),
    ("tag, one of 500", {"tag": "album7"}),
    ("word, one of 1,000", {"text": "zebra"}),
    ("word, one of 7", {"text": "harbour"}),
    ("word of all", {"text": "journey"}),
    ("word that is nowhere", {"text": "unheardof"}),
    ("beginning of few words", {"text": "mount"}),
    ("beginning of 250,000", {"text": "dsc"}),
    ("one letter", {"text": "d"}),
    ("two words", {"text": "harbour zebra"}),
    ("word and state", {"text": "journey", "state": "failed"}),
    ("word and rare tag", {"text": "journey", "tag": "album7"}),
    ("kind of all", {"kind": "image"}),
    ("kind of none", {"kind": "video"}),
    ("an old month", {"until": "2020-01-01T00:00:00Z"}),
]


class Full:
    """A server on a folder that stays."""

    def __init__(self, binary, folder):
        self.port = free_port()
        self.process = subprocess.Popen([str(binary), "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(folder)],
                                        cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(1200):
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit("the server does not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def json(self, path, method="GET", body=None):
        status, text = self.ask(method, path, body)
        if status >= 300:
            raise SystemExit(f"{path} was answered {status}: {text[:300]}")
        return json.loads(text)


def fill(args, folder):
    picture = folder.parent / "picture"
    subprocess.run([str(args.binary), "samples", str(picture)], check=True, stdout=subprocess.DEVNULL)
    with Full(args.binary, folder) as server:
        asset = server.json("/v1/assets?filename=first.jpg", "POST", sorted(picture.glob("*.jpg"))[0].read_bytes())["id"]
        while server.json(f"/v1/assets/{asset}")["state"] != "ready":
            time.sleep(0.1)
    command = [str(args.filler), str(folder / "mediaflow.db"), str(args.count)] + (["whole"] if args.whole else [])
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    size = (folder / "mediaflow.db").stat().st_size
    print(f"{args.count:,} assets copied in {time.monotonic() - began:.0f} s; the database has {size / 1e9:.2f} GB")


def measure(server, pages, query):
    """CPU and wall milliseconds of a page, and how many assets the first one has; pages follow each other while there are more."""
    path = "/v1/assets?" + urllib.parse.urlencode({"limit": 100, **query})
    first = server.json(path)
    before, began = cpu_seconds(server.process.pid), time.monotonic()
    cursor, done = None, 0
    while done < pages and time.monotonic() - began < 30:
        page = server.json(path + (f"&cursor={cursor}" if cursor else ""))
        cursor = page["next_cursor"]
        done += 1
    wall = time.monotonic() - began
    return (cpu_seconds(server.process.pid) - before) * 1000 / done, wall * 1000 / done, len(first["items"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/mediaflow")
    parser.add_argument("--filler", type=pathlib.Path, default=ROOT / "target/release/examples/million")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--data", type=pathlib.Path)
    args = parser.parse_args()
    args.binary, args.filler = args.binary.resolve(), args.filler.resolve()
    with tempfile.TemporaryDirectory(prefix="mediaflow-bench-") as made:
        folder = (args.data or pathlib.Path(made) / "data").resolve()
        if not folder.exists():
            folder.mkdir(parents=True)
            fill(args, folder)
        with Full(args.binary, folder) as server:
            over = 0
            print(f"\n  {'pages of 100':26} CPU ms  wall ms  found   (to reach: 50)")
            for name, query in CASES:
                cpu, wall, found = measure(server, args.pages, query)
                over += cpu > 50
                print(f"  {name:26} {cpu:6.1f} {wall:8.1f} {found:6}{'   over' if cpu > 50 else ''}", flush=True)
            if args.whole:
                before, answer = cpu_seconds(server.process.pid), {"stock": None}
                while not answer["stock"]:
                    answer = server.json("/v1/storage")
                spent = cpu_seconds(server.process.pid) - before
                stock = answer["stock"]
                print(f"\n  /v1/storage: {stock['took_s']:.1f} s, {spent:.1f} CPU s for {stock['stored']['files']:,} files")
            print(f"\n{over} of {len(CASES)} over" if over else "\nall within")


if __name__ == "__main__":
    main()
