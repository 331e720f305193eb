#!/usr/bin/env python3
"""Encodes the same films by hand-written ffmpeg commands and by MediaFlow, and prints ratios.

(a) one ffmpeg for each rung, one after the other; (b) one ffmpeg for all rungs; (c) the real binary, fed over
HTTP, moderation off. They take turns. CPU seconds are those of processes that ended, children included; MediaFlow's
are told apart by operation in its own metrics. Needs ffmpeg and Python's standard library.

usage: run.py [--binary target/release/mediaflow] [--minutes 1] [--rounds 1] [--only short,long,noisy,slides,hdr]
"""
import argparse
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import peers
import sources
from server import Server, cpu_seconds

NAMES = [name for name, *_ in peers.LADDER]
ENCODE = ("video.lead", "video.encode", "video.audio")
HDR = "hdr"
PICTURES = ("video.poster", "video.storyboard")


def ssim(source, rungs, mapped):
    """Mean structural similarity of each rung to the source in the rung's size, all pictures."""
    graph, count = [], len(rungs)
    graph.append(f"[0:v]split={count}" + "".join(f"[s{n}]" for n in range(count)))
    inputs, maps = [], []
    sizes = {name: lines for name, lines, *_ in peers.LADDER}
    for n, (name, (path, _)) in enumerate(rungs.items()):
        inputs += ["-i", str(path)]
        graph.append(f"[s{n}]{','.join([f'scale=-2:{sizes[name]}:flags=bicubic', *mapped])},settb=1/1000,setpts=N[r{n}];"
                     f"[{n + 1}:v]settb=1/1000,setpts=N[t{n}];[t{n}][r{n}]ssim[o{n}]")
        maps += ["-map", f"[o{n}]", "-f", "null", "-"]
    args = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(source), *inputs, "-filter_complex", ";".join(graph), *maps]
    said = subprocess.run(args, check=True, capture_output=True, text=True).stderr
    found = dict(re.findall(r"Parsed_ssim_(\d+) .*?All:([0-9.]+)", said))
    values = [float(value) for _, value in sorted(found.items(), key=lambda item: int(item[0]))]
    return dict(zip(rungs, values, strict=True))


def mediaflow(binary, source, folder, settings=""):
    with Server(binary, settings) as server:
        began, before = time.monotonic(), cpu_seconds(server.process.pid)
        asset, sent = server.upload(source)
        first, every, ready = server.watch(asset, sent, len(NAMES))
        # What runs after the asset is ready (nothing, today) would be counted too.
        spent = server.spent()
        rungs = {name: server.stream(asset, name, folder / f"c-{name}.mp4") for name in NAMES}
        total = cpu_seconds(server.process.pid) - before
        return {
            "cpu": sum(spent.get(o, 0.0) for o in ENCODE) - spent.get("check", 0.0),
            "check": spent.get("check", 0.0) + spent.get("video.verify", 0.0),
            "pictures": sum(spent.get(o, 0.0) for o in PICTURES),
            "total": total, "first": first, "every": every, "wall": ready, "rungs": rungs,
            "upload": sent - began, "spent": spent,
        }


def by_hand(run, source, folder, mapped):
    shutil.rmtree(folder, ignore_errors=True)
    timed, rungs = run(source, folder, mapped)
    return {"cpu": timed.cpu, "first": timed.first, "wall": timed.wall, "rungs": rungs}


def compare(args, label, source, work):
    seen = {"a": [], "b": [], "c": []}
    mapped = [peers.TONE_MAPPED] if label == HDR else []
    for _ in range(args.rounds):
        seen["a"].append(by_hand(peers.each, source, work / "a", mapped))
        seen["b"].append(by_hand(peers.one, source, work / "b", mapped))
        seen["c"].append(mediaflow(args.binary, source, work))
    last = {key: found[-1] for key, found in seen.items()}
    similar = {key: ssim(source, found["rungs"], mapped) for key, found in last.items()}
    middle = lambda key, what: statistics.median(found[what] for found in seen[key])
    a, b, c = (middle(key, "cpu") for key in "abc")
    seconds = float(subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(source)],
                                   check=True, capture_output=True, text=True).stdout)
    print(f"\n{label}: {seconds:.0f} s of 1080p30, {source.stat().st_size / 1e6:.1f} MB, {args.rounds} round(s)")
    print(f"  {'encode, CPU s':34}{'a':>9} {a:9.2f}\n  {'':34}{'b':>9} {b:9.2f}\n  {'':34}{'MediaFlow':>9} {c:9.2f}")
    print(f"  encode against (b)       {c / b:8.3f}   (to reach: at most 1.05)")
    print(f"  encode against (a)       {c / a:8.3f}   (to reach: at most 0.85)")
    check, pictures = middle("c", "check"), middle("c", "pictures")
    print(f"  verification / encode    {check / c:8.3f}   (to reach: at most 0.25)")
    print(f"  stills / encode          {pictures / c:8.3f}   (to reach: at most 0.03)  storyboard and choice of the poster")
    total = middle("c", "total")
    print(f"  all of the server        {total:8.2f} CPU s, " +
          ", ".join(f"{name} {value:.2f}" for name, value in sorted(last["c"]["spent"].items(), key=lambda i: -i[1]) if value >= 0.01))
    for name in NAMES:
        sizes = {key: found["rungs"][name][1] for key, found in last.items()}
        print(f"  {name:>6}  bytes a {sizes['a']:>10} b {sizes['b']:>10} MediaFlow {sizes['c']:>10} ({sizes['c'] / sizes['b']:.3f} of b)"
              f"   SSIM a {similar['a'][name]:.4f} b {similar['b'][name]:.4f} MediaFlow {similar['c'][name]:.4f}")
    first, whole = middle("c", "first"), middle("b", "wall")
    print(f"  lowest rung plays after  {first:8.2f} s of wall time   (to reach: 5 s, and {whole / 10:.1f} s: a tenth of all of b)"
          f"   b {middle('b', 'first'):.2f}, a {middle('a', 'first'):.2f}")
    print(f"  all rungs play after     {middle('c', 'every'):8.2f} s   all is done after {middle('c', 'wall'):.2f} s   b {whole:.2f}, a {middle('a', 'wall'):.2f}",
          flush=True)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=root / "target/release/mediaflow")
    parser.add_argument("--minutes", type=float, default=1, help="length of the long film; the figures in bench/README.md are of 10")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="short,long,noisy,slides,hdr")
    parser.add_argument("--sources", type=pathlib.Path, default=root / "target/bench-video", help="where films are kept between runs")
    args = parser.parse_args()
    args.sources.mkdir(parents=True, exist_ok=True)
    films = {
        "short": lambda: sources.short(args.sources),
        "long": lambda: sources.long(args.sources, args.minutes),
        "noisy": lambda: sources.noisy(args.sources),
        "slides": lambda: sources.slides(args.sources),
        HDR: lambda: sources.hdr(args.sources),
    }
    with tempfile.TemporaryDirectory(prefix="mediaflow-bench-") as work:
        for name in args.only.split(","):
            compare(args, name, films[name](), pathlib.Path(work))


if __name__ == "__main__":
    main()
