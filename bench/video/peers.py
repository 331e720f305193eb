"""What MediaFlow is compared with: ffmpeg as it is written by hand, once for each rung or once for all."""
import os
import pathlib
import subprocess
import time

# Name, lines, peak of the pictures and of the sound in kbit/s: the ladder of the built-in recipe, lowest first.
LADDER = [("360p", 360, 800, 96), ("720p", 720, 2500, 128), ("1080p", 1080, 5000, 192)]
SEGMENT_S = 6
# From HDR10 to BT.709 as MediaFlow does it, so that pictures compare.
TONE_MAPPED = ("zscale=tin=smpte2084:pin=bt2020:min=bt2020nc:rin=tv:t=linear:p=bt709:npl=203,format=gbrpf32le,"
               "tonemap=tonemap=mobius:param=0.5:peak=10:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p")
RATE = 30


def coded(n, kbps):
    """The encoder's options of output stream `n`: those of MediaFlow's rungs."""
    group = str(SEGMENT_S * RATE)
    return [f"-c:v:{n}", "libx264", f"-preset:v:{n}", "veryfast", f"-profile:v:{n}", "high", f"-crf:v:{n}", "23",
            f"-maxrate:v:{n}", f"{kbps}k", f"-bufsize:v:{n}", f"{kbps}k", f"-g:v:{n}", group, f"-keyint_min:v:{n}", group,
            f"-sc_threshold:v:{n}", "0"]


def packed(folder):
    return ["-f", "hls", "-hls_time", str(SEGMENT_S), "-hls_playlist_type", "event", "-hls_segment_type", "fmp4",
            "-hls_flags", "independent_segments", "-hls_fmp4_init_filename", "init-%v.mp4",
            "-hls_segment_filename", f"{folder}/%v-%d.m4s", "-master_pl_name", "master.m3u8"]


class Timed:
    """A child's CPU seconds, wall seconds, and when its first playlist was there."""

    def __init__(self):
        self.cpu = self.wall = 0.0
        self.first = None

    def run(self, args, playlist):
        began = time.monotonic()
        process = subprocess.Popen(args)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if self.first is None and playlist.exists() and "EXTINF" in playlist.read_text():
                self.first = self.wall + time.monotonic() - began
            if pid:
                break
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(args)}: ended with {process.returncode}")
        self.wall += time.monotonic() - began
        self.cpu += usage.ru_utime + usage.ru_stime


def stream(folder, name):
    """One rung as one file, and the bytes of its segments."""
    parts = sorted(folder.glob(f"{name}-*.m4s"), key=lambda p: int(p.stem.rsplit("-", 1)[1]))
    whole = folder / f"whole-{name}.mp4"
    whole.write_bytes((folder / f"init-{name}.mp4").read_bytes() + b"".join(p.read_bytes() for p in parts))
    return whole, sum(p.stat().st_size for p in parts)


def each(source, folder, mapped):
    """(a) One ffmpeg for each rung, one after the other, the lowest first; `mapped` is filters after scaling."""
    timed, rungs = Timed(), {}
    for name, lines, kbps, audio in LADDER:
        own = pathlib.Path(folder) / name
        own.mkdir(parents=True)
        args = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-map", "0:v:0", "-map", "0:a:0",
                "-vf", ",".join([f"scale=-2:{lines}:flags=bicubic", *mapped]), *coded(0, kbps), "-c:a", "aac", "-b:a", f"{audio}k",
                "-var_stream_map", f"v:0,agroup:a,name:{name} a:0,agroup:a,name:a{audio}", *packed(own), f"{own}/%v.m3u8"]
        timed.run(args, own / f"{name}.m3u8")
        rungs[name] = stream(own, name)
    return timed, rungs


def one(source, folder, mapped):
    """(b) One ffmpeg for all rungs: one decode, `mapped` once, each rung scaled from the next larger one."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    top = ",".join(["scale=1920:1080:flags=bicubic", *mapped])
    graph = (f"[0:v]{top},split[v2][s1];[s1]scale=1280:720:flags=bicubic,split[v1][s0];"
             "[s0]scale=640:360:flags=bicubic[v0]")
    args = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-filter_complex", graph]
    names = []
    for n, (name, _, kbps, audio) in enumerate(LADDER):
        args += ["-map", f"[v{n}]", *coded(n, kbps)]
        names.append(f"v:{n},agroup:a,name:{name}")
    for n, (_, _, _, audio) in enumerate(LADDER):
        args += ["-map", "0:a:0", f"-c:a:{n}", "aac", f"-b:a:{n}", f"{audio}k"]
        names.append(f"a:{n},agroup:a,name:a{audio}")
    args += ["-var_stream_map", " ".join(names), *packed(folder), f"{folder}/%v.m3u8"]
    timed = Timed()
    timed.run(args, folder / f"{LADDER[0][0]}.m3u8")
    return timed, {name: stream(folder, name) for name, *_ in LADDER}
