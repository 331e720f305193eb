//! What pictures look like once they are made: fields become whole ones, brightness lands where a screen expects it.

use std::path::{Path, PathBuf};
use std::process::Command;

use mediaflow_media::video::plan::{Plan, PlanSettings, plan};
use mediaflow_media::video::{Hdr, encode_chunk};

use crate::film::{Studio, look, tools, with_box};

/// The top rung as a file.
fn made(studio: &Studio, path: &Path) -> (PathBuf, Plan) {
    let plan = plan(
        &look(path).unwrap().info,
        &PlanSettings::default(),
        tools().version(),
    )
    .unwrap();
    assert_eq!(plan.chunks.len(), 1);
    let mut chunk =
        encode_chunk(&tools(), path, &plan, &plan.chunks[0], &studio.scratch()).unwrap();
    let rung = chunk.pop().unwrap();
    let mut bytes = rung.init;
    rung.segments
        .iter()
        .for_each(|s| bytes.extend_from_slice(&s.bytes));
    let file = studio.path("made.mp4");
    std::fs::write(&file, bytes).unwrap();
    (file, plan)
}

fn raw(path: &Path, format: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-pix_fmt", format, "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// How much lines differ from the mean of their neighbours: nothing where all edges are upright.
fn combing(path: &Path) -> f64 {
    const WIDTH: usize = 320;
    const HEIGHT: usize = 180;
    let luma = raw(path, "gray");
    let pictures: Vec<&[u8]> = luma.chunks_exact(WIDTH * HEIGHT).collect();
    let differences = pictures.iter().flat_map(|picture| {
        let at = |x: usize, y: usize| f64::from(picture[y * WIDTH + x]);
        (1..HEIGHT - 1).flat_map(move |y| {
            (0..WIDTH).map(move |x| (2.0 * at(x, y) - at(x, y - 1) - at(x, y + 1)).abs())
        })
    });
    differences.sum::<f64>() / (pictures.len() * WIDTH * HEIGHT) as f64
}

#[test]
fn interlaced_films_become_whole_pictures() {
    let studio = Studio::new();
    let bars = "nullsrc=s=320x180:r=50:d=2,format=yuv420p,\
                geq=lum='if(lt(mod(X-N*6+960,80),40),200,40)':cb=128:cr=128";
    for (name, args) in [
        (
            "top.mpg",
            "-vf interlace=scan=tff:lowpass=off -c:v mpeg2video -b:v 5M -flags +ilme+ildct",
        ),
        (
            "bottom.mov",
            "-vf interlace=scan=bff:lowpass=off -c:v mpeg4 -q:v 2 -flags +ilme+ildct",
        ),
        (
            "top.mp4",
            "-vf interlace=scan=tff:lowpass=off -c:v libx264 -crf 12 -flags +ilme+ildct",
        ),
    ] {
        let path = studio.make(name, &[bars], args);
        let info = look(&path).unwrap().info;
        let path = if mediaflow_media::video::needs_index(&info) {
            let scratch = studio.scratch();
            mediaflow_media::video::remux(&tools(), &path, info.container, &scratch, "a.mkv")
                .unwrap();
            scratch.join("a.mkv")
        } else {
            path
        };
        let source = combing(&path);
        let (file, plan) = made(&studio, &path);
        let result = combing(&file);
        assert!(source > 10.0, "{name}: the source has fields: {source}");
        assert!(result < source / 8.0, "{name}: {result} of {source}");
        assert!(plan.grid.total.abs_diff(50) <= 1, "{name}");
    }
}

/// Linear light of BT.709, 1 being white; what a screen of BT.1886 must be told to show it; how far off it may be.
const PATCHES: [([f64; 3], [u8; 3], u8); 6] = [
    ([0.0, 0.0, 0.0], [0, 0, 0], 4),
    ([0.18, 0.18, 0.18], [125, 125, 125], 8),
    ([0.52, 0.30, 0.22], [194, 154, 136], 10),
    ([0.14, 0.065, 0.04], [112, 82, 67], 10),
    // White steps back to leave room for what is brighter.
    ([1.0, 1.0, 1.0], [228, 228, 228], 10),
    ([4.0, 4.0, 4.0], [250, 250, 250], 5),
];

/// SMPTE ST 2084, of cd/m².
fn perceptual(light: f64) -> f64 {
    let power = (light / 10_000.0).powf(2610.0 / 16384.0);
    let top = 3424.0 / 4096.0 + 2413.0 / 128.0 * power;
    (top / (1.0 + 2392.0 / 128.0 * power)).powf(2523.0 / 32.0)
}

/// ARIB STD-B67, of light at the camera.
fn hybrid(light: f64) -> f64 {
    let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
    match light {
        _ if light <= 1.0 / 12.0 => (3.0 * light).sqrt(),
        _ => a * (12.0 * light - b).ln() + c,
    }
}

/// 10-bit BT.2020 values of light in BT.709.
fn coded(light: [f64; 3], transfer: impl Fn(f64) -> f64) -> [u32; 3] {
    let [r, g, b] = [
        [0.6274, 0.3293, 0.0433],
        [0.0691, 0.9195, 0.0114],
        [0.0164, 0.0880, 0.8956],
    ]
    .map(|row| transfer(row[0] * light[0] + row[1] * light[1] + row[2] * light[2]));
    let luma = 0.2627 * r + 0.6780 * g + 0.0593 * b;
    [
        64.0 + 876.0 * luma,
        512.0 + 896.0 * (b - luma) / 1.8814,
        512.0 + 896.0 * (r - luma) / 1.4746,
    ]
    .map(|value| value.round() as u32)
}

#[test]
fn bright_films_look_right_on_ordinary_screens() {
    let studio = Studio::new();
    let pq = |light: f64| perceptual(light * 203.0);
    // Reference white is 0.265 at the camera, and a display of 1000 cd/m² has a gamma of 1.2.
    let hlg = |light: f64| hybrid((light.powf(1.0 / 1.2) * 0.265).min(1.0));
    type Transfer<'a> = &'a dyn Fn(f64) -> f64;
    let kinds: [(&str, &str, Hdr, Transfer<'_>); 3] = [
        (
            "pq.mp4",
            "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
            Hdr::Hdr10,
            &pq,
        ),
        // Only the transfer is told.
        ("bare.mp4", "-color_trc smpte2084", Hdr::Hdr10, &pq),
        (
            "hlg.mp4",
            "-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc",
            Hdr::Hlg,
            &hlg,
        ),
    ];
    for (name, tags, kind, transfer) in kinds {
        let step = |plane: usize| {
            let values = PATCHES.map(|(light, ..)| coded(light, transfer)[plane]);
            let part = if plane == 0 { 32 } else { 16 };
            let parts = values.iter().enumerate();
            let parts = parts.map(|(n, value)| {
                format!(
                    "{value}*between(X\\,{}\\,{})",
                    n * part,
                    n * part + part - 1
                )
            });
            parts.collect::<Vec<_>>().join("+")
        };
        let source = format!(
            "nullsrc=s=192x64:r=5:d=1,format=yuv420p10le,geq=lum='{}':cb='{}':cr='{}'",
            step(0),
            step(1),
            step(2)
        );
        let args = format!(
            "-c:v libx265 -preset ultrafast -x265-params log-level=none:crf=4 -pix_fmt yuv420p10le {tags}"
        );
        let path = studio.make(name, &[&source], &args);
        assert_eq!(look(&path).unwrap().info.video[0].hdr, Some(kind), "{name}");
        let (file, _) = made(&studio, &path);
        let video = look(&file).unwrap().info.video.remove(0);
        let color = video.color;
        for tag in [color.primaries, color.transfer, color.matrix] {
            assert_eq!(tag.as_deref(), Some("bt709"), "{name}");
        }
        assert_eq!(video.bit_depth, 8);
        let pixels = raw(&file, "rgb24");
        for (n, (_, expected, tolerance)) in PATCHES.iter().enumerate() {
            let at = (32 * 192 + n * 32 + 16) * 3;
            let shown = &pixels[at..at + 3];
            let near = shown
                .iter()
                .zip(expected)
                .all(|(a, b)| a.abs_diff(*b) <= *tolerance);
            assert!(near, "{name}, patch {n}: {shown:?} and not {expected:?}");
        }
    }
}

#[test]
fn dolby_vision_is_shown_by_its_base_layer_or_refused() {
    let studio = Studio::new();
    let path = studio.make(
        "base.mp4",
        &["testsrc2=s=64x64:r=5:d=1"],
        "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le -tag:v hvc1 \
         -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc",
    );
    let base = std::fs::read(path).unwrap();
    let entry: [&[u8; 4]; 7] = [
        b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hvc1",
    ];
    for (profile, compatibility) in [(5_u8, 0_u8), (8, 1)] {
        // Version 1.0; profile, level 1, a picture layer with its metadata in it.
        let mut body = vec![1, 0, profile << 1, 1 << 3 | 0b101, compatibility << 4];
        body.resize(24, 0);
        let kind = if profile > 7 { b"dvvC" } else { b"dvcC" };
        let configuration = [&32_u32.to_be_bytes(), &kind[..], &body].concat();
        let path = studio.path(&format!("dolby-{profile}.mp4"));
        std::fs::write(&path, with_box(base.clone(), &entry, &configuration)).unwrap();
        let info = look(&path).unwrap().info;
        let found = Hdr::DolbyVision {
            profile,
            compatibility,
        };
        assert_eq!(info.video[0].hdr, Some(found));
        let planned = plan(&info, &PlanSettings::default(), tools().version());
        match profile {
            5 => assert_eq!(planned.unwrap_err().code, "input.unsupported"),
            _ => {
                assert!(planned.unwrap().source.tone_map.is_some());
                made(&studio, &path);
            }
        }
    }
}
