#!/usr/bin/env python3
"""One film, and a server with 1, 2, 4 and 8 slots that gets as many shares of a processor.

Today all slots are in one process, so the quota is the process's and its programs': n slots on n shares. A quota is
the kernel's (cgroup v1 `cpu.cfs_quota_us` or v2 `cpu.max`): needs root and a writable hierarchy. The group also gets
a high weight, so that it has its quota whatever else runs; eight shares must be fewer than the processors. One quota
for all is kinder than eight of their own: slots that still work at the end share what the idle ones leave. Efficiency is the
time with one share over n times the time with n; 1 is linear. `used` says how much of its quota the server got: below
1 while work was there, the machine was too busy to give it.

usage: run.py [--binary target/release/mediaflow] [--share 0.2] [--seconds 150] [--slots 1,2,4,8]
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "video"))
from server import Server, cpu_seconds  # noqa: E402
from sources import CODED, PATTERN, SOUND, made  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERIOD_US = 100_000


class Quota:
    """A control group that may use `processors` of them."""

    def __init__(self, processors):
        base = pathlib.Path("/sys/fs/cgroup")
        self.v2 = (base / "cgroup.controllers").exists()
        self.path = (base if self.v2 else base / "cpu") / f"mediaflow-bench-{os.getpid()}"
        quota = str(int(processors * PERIOD_US))
        try:
            if self.v2:
                (base / "cgroup.subtree_control").write_text("+cpu")
            self.path.mkdir()
            if self.v2:
                (self.path / "cpu.max").write_text(f"{quota} {PERIOD_US}")
                (self.path / "cpu.weight").write_text("10000")
            else:
                (self.path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self.path / "cpu.cfs_quota_us").write_text(quota)
                (self.path / "cpu.shares").write_text("100000")
        except OSError as error:
            raise SystemExit(f"no CPU quotas here ({error}); bench/scale needs root and a writable cgroup") from error

    def __enter__(self):
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def __exit__(self, *_):
        for _ in range(50):
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.1)


def film(folder, seconds):
    args = ["-f", "lavfi", "-i", PATTERN.replace("1920x1080", "640x360"), *SOUND, "-vf", "noise=alls=8:allf=t",
            "-t", str(seconds), *CODED, "-b:v", "1M", "-g", "60"]
    return made(folder, f"scale-{seconds}", args)


def recipe(folder):
    """The built-in recipe in chunks of two segments, as a film of an hour has in 1080p: enough for all slots."""
    text = (ROOT / "recipes/video.toml").read_text().replace('operation = "video.plan"', 'operation = "video.plan"\nchunk_cpu_s = 1', 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "video.toml").write_text(text)


def run(args, source, slots):
    recipe(args.sources / "recipes")
    settings = f'[worker]\ncpu = {slots}\nmemory_bytes = 8589934592\n[recipes]\nfolder = "{args.sources / "recipes"}"\n'
    with Quota(slots * args.share) as wrap, Server(args.binary, settings, wrap) as server:
        before = cpu_seconds(server.process.pid)
        asset, sent = server.upload(source)
        _, chunks, ready = server.watch(asset, sent, 1, complete=True)
        return chunks, ready, cpu_seconds(server.process.pid) - before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=ROOT / "target/release/mediaflow")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--slots", default="1,2,4,8")
    parser.add_argument("--sources", type=pathlib.Path, default=ROOT / "target/bench-video")
    args = parser.parse_args()
    args.sources.mkdir(parents=True, exist_ok=True)
    source = film(args.sources, args.seconds)
    print(f"{args.seconds} s of 360p30; {args.share} of a processor for each slot, by cgroup quota")
    print("  slots   all chunks s   ready s   CPU s   used   efficiency (to reach: 0.9 at 8)")
    one = None
    for slots in map(int, args.slots.split(",")):
        chunks, ready, cpu = run(args, source, slots)
        one = one or (slots * chunks, slots * ready)
        print(f"  {slots:5} {chunks:14.1f} {ready:9.1f} {cpu:7.2f} {cpu / (ready * slots * args.share):6.2f}"
              f"   chunks {one[0] / (slots * chunks):.2f}, ready {one[1] / (slots * ready):.2f}", flush=True)


if __name__ == "__main__":
    main()
