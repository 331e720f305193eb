//! Sounds made by ffmpeg, and what a player hears of a result.

use crate::server::Server;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A sine without overtones: a jump in it is easy to find.
pub(crate) const TONE: u32 = 1000;

/// A file made by ffmpeg of its own sources; `args` are separated by spaces.
pub(crate) fn made(folder: &Path, name: &str, sources: &[&str], args: &str) -> Vec<u8> {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    for source in sources {
        command.args(["-f", "lavfi", "-i", source]);
    }
    let output = command.args(args.split_whitespace()).arg(&path).output();
    let output = output.expect("ffmpeg is installed: apt-get install ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    std::fs::read(path).unwrap()
}

/// A tone in so many channels.
pub(crate) fn tone(channels: usize, rate: u32, seconds: f64) -> String {
    let one = format!("0.2*sin(2*PI*{TONE}*t)");
    let all = vec![one; channels].join("|");
    format!("aevalsrc={all}:s={rate}:d={seconds}")
}

/// The first channel of what a player decodes, from -1 to 1; it may not complain about anything.
pub(crate) fn heard(url: &str) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i", url])
        .args(["-af", "pan=mono|c0=c0", "-f", "f32le", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{url}: {said}");
    let samples = output.stdout.chunks_exact(4);
    samples
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

/// How far samples of a [`tone`] are from the sine that their neighbours foretell, at most, as a part of its height.
/// The ends, where a tone begins and stops, are left out.
pub(crate) fn worst_click(samples: &[f32], rate: u32) -> f32 {
    let inner = &samples[rate as usize / 5..samples.len() - rate as usize / 5];
    let height = inner.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
    let turn = std::f64::consts::TAU * f64::from(TONE) / f64::from(rate);
    let w = 2.0 * turn.cos() as f32;
    let off = inner.windows(3).map(|s| (s[2] - w * s[1] + s[0]).abs());
    off.fold(0.0, f32::max) / height
}

/// Loudness of the whole in LUFS, as ffmpeg's meter says it at the end.
pub(crate) fn loudness(url: &str) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i", url])
        .args(["-af", "ebur128=framelog=verbose", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rfind(|l| l.trim().starts_with("I:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The channels and the rate of the first sound that a player finds.
pub(crate) fn shape(url: &str) -> (u32, u32) {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a:0", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=sample_rate,channels", url])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|l| !l.is_empty()).unwrap();
    let mut numbers = line.split(',').map(|n| n.parse().unwrap());
    let rate = numbers.next().unwrap();
    (numbers.next().unwrap(), rate)
}

/// Samples in a block of AAC: a result is whole to within one.
pub(crate) const BLOCK: f64 = 1024.0;

pub(crate) async fn fetched(server: &Server, url: &str) -> (String, Vec<u8>) {
    let answer = server.http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let media_type = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (media_type, answer.bytes().await.unwrap().to_vec())
}

pub(crate) async fn text(server: &Server, url: &str) -> String {
    String::from_utf8(fetched(server, url).await.1).unwrap()
}

pub(crate) fn hls(asset: &Value) -> &str {
    asset["playback"]["hls"].as_str().unwrap()
}

/// The result lasts as long as its source, to within a block.
pub(crate) fn lasts(asset: &Value, seconds: f64) {
    let url = hls(asset);
    let (_, rate) = shape(url);
    let samples = heard(url).len() as f64;
    let off = (samples - seconds * f64::from(rate)).abs();
    assert!(off <= BLOCK, "{samples} samples at {rate}, and {seconds} s");
}
