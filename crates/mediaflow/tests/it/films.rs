//! Films to upload, made by ffmpeg's own sources.

use std::path::Path;
use std::process::Command;

/// Length of a film that is not cut short.
pub(crate) const SECONDS: u32 = 24;
/// Pictures per second.
pub(crate) const RATE: u32 = 30;

/// A film with a running counter and a tone, in `folder`.
pub(crate) fn film(folder: &Path, name: &str, size: &str, more: &[&str]) -> Vec<u8> {
    let path = folder.join(name);
    let pictures = format!("testsrc2=s={size}:r={RATE}:d={SECONDS}");
    let sound = format!("sine=440:d={SECONDS}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &pictures])
        .args(["-f", "lavfi", "-i", &sound])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "100",
            "-c:a",
            "aac",
        ])
        .args(more)
        .arg(&path)
        .status()
        .expect("ffmpeg is installed: apt-get install ffmpeg");
    assert!(made.success());
    std::fs::read(path).unwrap()
}

/// An hour of noise in small pictures, in a container without an index.
pub(crate) fn hour(folder: &Path) -> Vec<u8> {
    let run = |args: &[&str]| {
        let made = Command::new("ffmpeg")
            .current_dir(folder)
            .args(["-v", "error", "-y"])
            .args(args)
            .status()
            .expect("ffmpeg is installed: apt-get install ffmpeg");
        assert!(made.success());
    };
    let noise = "color=gray:s=64x36:r=5:d=60,noise=alls=60:allf=t";
    run(&[
        "-f",
        "lavfi",
        "-i",
        noise,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-g",
        "50",
        "minute.mp4",
    ]);
    run(&[
        "-stream_loop",
        "59",
        "-i",
        "minute.mp4",
        "-c",
        "copy",
        "hour.ts",
    ]);
    std::fs::read(folder.join("hour.ts")).unwrap()
}
