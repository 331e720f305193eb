"""The films that are encoded: 1080p with sound, made by ffmpeg, kept between runs."""
import os
import pathlib
import subprocess

# As phones and screen recorders write them: ten megabits, a key frame every eight seconds, the index at the end.
CODED = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "10M", "-maxrate", "14M", "-bufsize", "20M", "-g", "250",
         "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2"]
SOUND = ["-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.2,highpass=f=200,tremolo=f=0.5:d=0.9"]
PATTERN = "testsrc2=size=1920x1080:rate=30"


def made(folder, name, args):
    path = folder / f"{name}.mp4"
    if not path.exists():
        part = folder / f"{name}.part.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-y", *args, str(part)], check=True)
        part.rename(path)
    return path


def short(folder, seconds=20):
    """A camera's film where the corpus has one, else a pattern; with grain, as sensors have it."""
    clip = pathlib.Path(os.environ.get("MEDIAFLOW_CORPUS", "")) / "video" / "echo-hereweare.webm"
    grain = "noise=alls=3:allf=t"
    if clip.exists():
        inputs = ["-ss", "5", "-t", str(seconds), "-i", str(clip)]
        graph = f"scale=1920:1080:flags=bicubic:out_color_matrix=bt709,fps=30,{grain}"
    else:
        inputs = ["-f", "lavfi", "-i", PATTERN, *SOUND]
        graph = f"rotate=0.02*sin(t),{grain}"
    return made(folder, f"short-{seconds}", [*inputs, "-vf", graph, "-t", str(seconds), *CODED])


def long(folder, minutes):
    """The short one again and again, without encoding it again."""
    rounds = round(minutes * 60 / 20) - 1
    return made(folder, f"long-{minutes:g}", ["-stream_loop", str(rounds), "-i", str(short(folder)), "-c", "copy"])


def noisy(folder, seconds=20):
    """What no encoder likes."""
    graph = "noise=alls=25:allf=t"
    return made(folder, f"noisy-{seconds}", ["-f", "lavfi", "-i", PATTERN, *SOUND, "-vf", graph, "-t", str(seconds), *CODED])


def hdr(folder, seconds=20):
    """The short one as HDR10: ten bits of HEVC, tagged BT.2020 and PQ."""
    tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    coded = ["-c:v", "libx265", "-preset", "ultrafast", "-b:v", "10M", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params",
             "log-level=error:keyint=250:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited", *tags]
    return made(folder, f"hdr-{seconds}", ["-i", str(short(folder, seconds)), *coded, "-c:a", "copy"])


def slides(folder, seconds=20):
    """A still picture that changes every five seconds: decoding and scaling are what costs."""
    still = "testsrc2=size=1920x1080:rate=1/5,fps=30"
    return made(folder, f"slides-{seconds}", ["-f", "lavfi", "-i", still, *SOUND, "-t", str(seconds), *CODED])
