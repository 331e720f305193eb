//! The same set by sharp and by oximg, each in processes of its own.

use std::path::Path;
use std::process::Command;

use mediaflow_media::image::{Pixels, pixels::Layout};
use serde_json::{Value, json};

use crate::cpu;
use crate::ours::{FORMATS, SIZES};

/// One rendition of a peer.
pub struct Rendition {
    pub size: String,
    pub format: String,
    pub bytes: Vec<u8>,
    pub cpu_s: f64,
}

/// What sharp makes of a photograph with `formats` (its options by format).
pub fn sharp(photo: &Path, formats: &Value) -> Vec<Rendition> {
    let folder = tempfile::tempdir().expect("a folder");
    let listing = sharp_script("encode", photo, folder.path(), formats);
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    listing
        .iter()
        .map(|entry| {
            let (size, format) = (text(&entry["name"]), text(&entry["format"]));
            let bytes = std::fs::read(folder.path().join(format!("{size}.{format}")))
                .expect("sharp's file");
            Rendition {
                size,
                format,
                bytes,
                cpu_s: entry["cpu"].as_f64().expect("seconds"),
            }
        })
        .collect()
}

/// The pixels that sharp gives to its encoders, by size.
pub fn sharp_pixels(photo: &Path) -> Vec<Pixels> {
    let folder = tempfile::tempdir().expect("a folder");
    let listing = sharp_script("raw", photo, folder.path(), &json!({}));
    let side = |v: &Value| v.as_u64().expect("a side") as u32;
    listing
        .iter()
        .map(|entry| {
            let name = entry["name"].as_str().expect("a name");
            let data =
                std::fs::read(folder.path().join(format!("{name}.raw"))).expect("sharp's pixels");
            Pixels::new(
                side(&entry["width"]),
                side(&entry["height"]),
                Layout::Rgb,
                data,
            )
        })
        .collect()
}

fn sharp_script(mode: &str, photo: &Path, out: &Path, formats: &Value) -> Vec<Value> {
    let options = json!({ "sizes": SIZES, "formats": formats }).to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sharp.mjs");
    let done = Command::new("node")
        .arg(script)
        .arg(mode)
        .arg(photo)
        .arg(out)
        .arg(options)
        .output()
        .expect("node runs");
    assert!(
        done.status.success(),
        "sharp failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    serde_json::from_slice(&done.stdout).expect("sharp's report")
}

/// What oximg makes of a photograph: no AVIF as `cargo install` builds it, and no cover crop.
pub fn oximg(program: &Path, photo: &Path) -> Vec<Rendition> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut made = Vec::new();
    for size in &SIZES[1..] {
        for format in &FORMATS[..2] {
            let width = if *size == "original" { "0" } else { size };
            let out = folder.path().join(format!(
                "out.{}",
                if *format == "jpeg" { "jpg" } else { format }
            ));
            let before = cpu::children();
            let mut command = Command::new(program);
            command
                .arg("resize")
                .arg(photo)
                .args([width, "0"])
                .arg(&out)
                .args(["--no-auto-rotate", "--icc", "strip"]);
            let done = command.output().expect("oximg runs");
            assert!(
                done.status.success(),
                "oximg failed: {}",
                String::from_utf8_lossy(&done.stderr)
            );
            let cpu_s = cpu::children() - before;
            let bytes = std::fs::read(out).expect("oximg's file");
            made.push(Rendition {
                size: size.to_string(),
                format: format.to_string(),
                bytes,
                cpu_s,
            });
        }
    }
    made
}
