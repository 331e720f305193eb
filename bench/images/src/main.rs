//! MediaFlow's image code beside sharp and oximg, on the same photographs, in one go.
//!
//! `run` prepares the peers and calls this; how to read the output is in the README.

mod cpu;
mod curve;
mod floor;
mod ours;
mod peers;
mod read;
mod score;

use std::path::PathBuf;

use mediaflow_media::image::Pixels;
use mediaflow_media::image::resize::cascade;
use ours::{FORMATS, SIZES};
use serde_json::json;

/// Our own set is cheap next to sharp's: the least disturbed of this many runs counts.
const ROUNDS: usize = 3;

/// sharp at settings near our bytes and scores.
fn matched() -> serde_json::Value {
    json!({
        "jpeg": { "quality": 80 },
        "webp": { "quality": 80, "effort": 2 },
        "avif": { "quality": 54, "effort": 3, "chromaSubsampling": "4:2:0" },
    })
}

/// Sums over the photographs for one tool and one format.
#[derive(Default, Clone, Copy)]
struct Sum {
    cpu_s: f64,
    bytes: f64,
    score: f64,
    files: f64,
}

impl Sum {
    fn add(&mut self, cpu_s: f64, bytes: usize, score: f64) {
        self.cpu_s += cpu_s;
        self.bytes += bytes as f64;
        self.score += score;
        self.files += 1.0;
    }

    fn score(&self) -> f64 {
        self.score / self.files
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        arguments
            .iter()
            .find_map(|a| a.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let photos: Vec<PathBuf> = arguments
        .iter()
        .filter(|a| !a.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    assert!(
        !photos.is_empty(),
        "usage: bench-images [--oximg=PROGRAM] [--curve=SIZE] PHOTO.jpg ..."
    );
    if let Some(size) = option("--curve") {
        return curve::print(&photos, &size);
    }
    let oximg = option("--oximg").map(PathBuf::from);
    compare(&photos, oximg.as_deref());
}

fn compare(photos: &[PathBuf], oximg: Option<&std::path::Path>) {
    let [mut ours, mut sharp, mut near, mut ox] = [[[Sum::default(); 6]; 3]; 4];
    let (mut front_s, mut whole_s, mut floor_s) = (0.0, 0.0, 0.0);
    let (mut ours_part_s, mut ox_s) = (0.0, 0.0);
    for photo in photos {
        let bytes = std::fs::read(photo).expect("a photograph");
        let theirs_pixels = peers::sharp_pixels(photo);
        let mut best: Option<ours::Run> = None;
        let mut oximg_best = f64::INFINITY;
        let mut floor = f64::INFINITY;
        for round in 0..ROUNDS {
            let run = ours::run(&bytes);
            floor = floor.min(floor::of(&bytes, &run.pixels));
            if round == 0
                && let Some(program) = oximg
            {
                let files = peers::oximg(program, photo);
                for f in &files {
                    let (s, k) = place(&f.size, &f.format);
                    ox[k][s].add(
                        f.cpu_s,
                        f.bytes.len(),
                        against(&run.pixels[s], &f.format, &f.bytes),
                    );
                }
                oximg_best = files.iter().map(|f| f.cpu_s).sum();
            } else if let Some(program) = oximg {
                oximg_best =
                    oximg_best.min(peers::oximg(program, photo).iter().map(|f| f.cpu_s).sum());
            }
            if best.as_ref().is_none_or(|b| run.total_s < b.total_s) {
                best = Some(run);
            }
        }
        let run = best.expect("at least one round");
        for (s, files) in run.files.iter().enumerate() {
            for (k, (file, cpu_s)) in files.iter().enumerate() {
                ours[k][s].add(
                    *cpu_s,
                    file.bytes.len(),
                    against(&run.pixels[s], FORMATS[k], &file.bytes),
                );
            }
        }
        front_s += run.decode_s + run.resize_s;
        whole_s += run.total_s;
        floor_s += floor;
        // oximg makes five sizes of two formats: the same part of ours, with its own decode.
        ours_part_s += front_s_of(&bytes)
            + run.files[1..]
                .iter()
                .flat_map(|f| &f[..2])
                .map(|f| f.1)
                .sum::<f64>();
        ox_s += oximg_best;
        let defaults = json!({ "jpeg": {}, "webp": {}, "avif": {} });
        for (sums, options) in [(&mut sharp, defaults), (&mut near, matched())] {
            for f in peers::sharp(photo, &options) {
                let (s, k) = place(&f.size, &f.format);
                sums[k][s].add(
                    f.cpu_s,
                    f.bytes.len(),
                    against(&theirs_pixels[s], &f.format, &f.bytes),
                );
            }
        }
        eprintln!("{} done", photo.display());
    }
    let count = photos.len() as f64;
    println!(
        "## Per format, {count} photographs: CPU seconds and kilobytes per photograph, mean SSIMULACRA2\n"
    );
    println!("| tool | format | CPU s | kB | SSIMULACRA2 |\n|---|---|---|---|---|");
    for (tool, sums) in [
        ("MediaFlow", &ours),
        ("sharp, defaults", &sharp),
        ("sharp, matched", &near),
        ("oximg", &ox),
    ] {
        for (k, format) in FORMATS.iter().enumerate() {
            let all = total(&sums[k]);
            if all.files > 0.0 {
                println!(
                    "| {tool} | {format} | {:.3} | {:.0} | {:.2} |",
                    all.cpu_s / count,
                    all.bytes / 1e3 / count,
                    all.score()
                );
            }
        }
    }
    println!("\n## Per size: bytes against sharp's defaults, and difference of SSIMULACRA2\n");
    println!(
        "| format | {} |\n|---|{}",
        SIZES.join(" | "),
        "---|".repeat(SIZES.len())
    );
    for (k, format) in FORMATS.iter().enumerate() {
        let cells: Vec<String> = (0..SIZES.len())
            .map(|s| {
                let (a, b) = (ours[k][s], sharp[k][s]);
                format!(
                    "{:+.1} %, {:+.1}",
                    (a.bytes / b.bytes - 1.0) * 100.0,
                    a.score() - b.score()
                )
            })
            .collect();
        println!("| {format} | {} |", cells.join(" | "));
    }
    let cpu = |sums: &[[Sum; 6]; 3]| sums.iter().map(|f| total(f).cpu_s).sum::<f64>();
    println!("\n## Ratios\n");
    println!(
        "MediaFlow: {:.3} CPU s per photograph ({:.3} decoding and resizing), {:.1} photographs a minute and core",
        whole_s / count,
        front_s / count,
        60.0 * count / whole_s
    );
    println!(
        "sharp, defaults: {:.3} CPU s, {:.1} photographs a minute and core",
        cpu(&sharp) / count,
        60.0 * count / cpu(&sharp)
    );
    println!("CPU against sharp's defaults: {:.3}", whole_s / cpu(&sharp));
    println!("CPU against sharp, matched: {:.3}", whole_s / cpu(&near));
    for (k, format) in FORMATS.iter().enumerate() {
        let (a, b, c) = (total(&ours[k]), total(&sharp[k]), total(&near[k]));
        let percent = |x: f64, y: f64| (x / y - 1.0) * 100.0;
        println!(
            "{format}: bytes {:+.1} % and score {:+.2} against defaults; bytes {:+.1} % and score {:+.2} against matched",
            percent(a.bytes, b.bytes),
            a.score() - b.score(),
            percent(a.bytes, c.bytes),
            a.score() - c.score()
        );
    }
    if oximg.is_some() {
        println!(
            "CPU against oximg (five sizes, JPEG and WebP): {:.3} ({:.3} s and {:.3} s)",
            ours_part_s / ox_s,
            ours_part_s / count,
            ox_s / count
        );
    }
    println!(
        "CPU against the sum of our codecs' floors: {:.3}",
        whole_s / floor_s
    );
}

fn total(sizes: &[Sum; 6]) -> Sum {
    sizes.iter().fold(Sum::default(), |a, b| Sum {
        cpu_s: a.cpu_s + b.cpu_s,
        bytes: a.bytes + b.bytes,
        score: a.score + b.score,
        files: a.files + b.files,
    })
}

fn front_s_of(photo: &[u8]) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (_, seconds) = cpu::timed(|| {
            let source = std::sync::Arc::new(read::jpeg(photo));
            let five: Vec<_> = SIZES[1..].iter().map(|s| ours::fit(s)).collect();
            cascade(&source, &five).expect("resized")
        });
        best = best.min(seconds);
    }
    best
}

fn place(size: &str, format: &str) -> (usize, usize) {
    let index = |list: &[&str], name| list.iter().position(|n| *n == name).expect("a known name");
    (index(&SIZES, size), index(&FORMATS, format))
}

fn against(reference: &Pixels, format: &str, bytes: &[u8]) -> f64 {
    let decoded = read::any(format, bytes);
    if (decoded.width(), decoded.height()) == (reference.width(), reference.height()) {
        return score::ssimulacra2(reference, &decoded);
    }
    // Rounded to another height: comparable in bytes and CPU, but not pixel by pixel.
    f64::NAN
}
