//! `mediaflow samples`: a few pictures made on the spot, so that a first start has something to show.

use crate::fault::Fault;
use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, jpeg, png, webp};
use mediaflow_media::image::pixels::Layout;
use std::path::Path;

pub(crate) fn run(folder: &Path) -> Result<(), Fault> {
    let wrong = |e: mediaflow_media::MediaError| Fault::failed(e.message);
    let plain = Metadata::default();
    let valley =
        jpeg::encode(&valley(2400, 1600), &jpeg::JpegOptions::default(), &plain).map_err(wrong)?;
    let badge = png::encode(&badge(640), png::PngEffort::Fast, &plain).map_err(wrong)?;
    let mut film =
        webp::AnimationEncoder::new(320, 240, 0, &webp::WebpOptions::default()).map_err(wrong)?;
    for frame in 0..24 {
        film.add_frame(&ripples(320, 240, frame as f32 / 24.0), 60)
            .map_err(wrong)?;
    }
    let film = film.finish(&plain).map_err(wrong)?;
    std::fs::create_dir_all(folder)
        .map_err(|e| Fault::failed(format!("{}: {e}", folder.display())))?;
    for (name, file) in [
        ("valley.jpg", valley),
        ("badge.png", badge),
        ("ripples.webp", film),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, file.bytes)
            .map_err(|e| Fault::failed(format!("{}: {e}", path.display())))?;
    }
    Ok(())
}

fn picture(
    width: u32,
    height: u32,
    layout: Layout,
    color: impl Fn(f32, f32) -> [f32; 4],
) -> Pixels {
    let mut data = Vec::with_capacity((width * height) as usize * layout.channels());
    for y in 0..height {
        for x in 0..width {
            let rgba = color(x as f32 / width as f32, y as f32 / height as f32);
            data.extend(
                rgba[..layout.channels()]
                    .iter()
                    .map(|c| (c.clamp(0.0, 1.0) * 255.0) as u8),
            );
        }
    }
    Pixels::new(width, height, layout, data)
}

/// An evening over hills, with the grain of a camera.
fn valley(width: u32, height: u32) -> Pixels {
    picture(width, height, Layout::Rgb, |x, y| {
        let sun = (-((x - 0.68).powi(2) * 1.6 + (y - 0.42).powi(2) * 3.0) * 40.0).exp();
        let glow = (-((x - 0.68).powi(2) + (y - 0.46).powi(2)) * 4.0).exp();
        let mist = cloud(x * 5.0, y * 14.0) * (0.55 - y).max(0.0);
        let mut rgb = [
            0.28 + 0.5 * y + 0.5 * glow + sun + mist,
            0.38 + 0.25 * y + 0.22 * glow + 0.8 * sun + mist,
            0.62 - 0.15 * y - 0.1 * glow + 0.4 * sun + mist,
        ];
        for ridge in 0..5u8 {
            let depth = f32::from(ridge) / 4.0;
            let scale = 2.0 + 3.0 * depth;
            let top = 0.5 + 0.1 * depth * 4.0 * 0.9
                - 0.16 * cloud_line(x * scale + 7.3 * f32::from(ridge));
            if y > top {
                let haze = 0.75 - 0.65 * depth;
                let leaves = 0.05 * depth * (cloud(x * 90.0, y * 130.0 + depth * 9.0) - 0.5);
                let near = [0.07 + leaves, 0.12 + 1.5 * leaves, 0.08 + leaves];
                let far = [0.62 + 0.25 * glow, 0.52 + 0.1 * glow, 0.6];
                for c in 0..3 {
                    rgb[c] = near[c] + (far[c] - near[c]) * haze;
                }
            }
        }
        let grain = (hash((x * 9973.0) as i32, (y * 9967.0) as i32) - 0.5) * 0.03;
        [rgb[0] + grain, rgb[1] + grain, rgb[2] + grain, 1.0]
    })
}

/// A ring and a play mark on nothing.
fn badge(side: u32) -> Pixels {
    picture(side, side, Layout::Rgba, |x, y| {
        let (dx, dy) = (x - 0.5, y - 0.5);
        let radius = dx.hypot(dy);
        let edge = |distance: f32| (distance * side as f32 + 0.5).clamp(0.0, 1.0);
        let ring = edge(0.46 - radius) * edge(radius - 0.36);
        let arrow = edge(dx + 0.12) * edge(0.2 - dx - dy.abs() * 1.15);
        [
            0.95 - 0.5 * y,
            0.35 + 0.3 * x,
            0.3 + 0.5 * y,
            ring.max(arrow),
        ]
    })
}

/// Rings on water, one moment of a loop; `time` goes from 0 to 1.
fn ripples(width: u32, height: u32, time: f32) -> Pixels {
    let turn = std::f32::consts::TAU;
    picture(width, height, Layout::Rgb, |x, y| {
        let wave = |cx: f32, cy: f32| {
            let r = (x - cx).hypot(y - cy);
            ((r * 9.0 - time) * turn).sin() * (-r * 2.5).exp()
        };
        let h = wave(0.35, 0.4) + wave(0.7, 0.65);
        [
            0.08 + 0.15 * h,
            0.35 + 0.25 * h,
            0.5 + 0.3 * h + 0.1 * y,
            1.0,
        ]
    })
}

fn hash(x: i32, y: i32) -> f32 {
    let mut n = (x.wrapping_mul(374_761_393)).wrapping_add(y.wrapping_mul(668_265_263)) as u32;
    n = (n ^ (n >> 13)).wrapping_mul(1_274_126_177);
    ((n ^ (n >> 16)) & 0xffff) as f32 / 65535.0
}

/// Smooth noise between 0 and 1 whose octaves add up to something like a cloud.
fn cloud(x: f32, y: f32) -> f32 {
    let mut sum = 0.0;
    for octave in 0..4u8 {
        let scale = f32::from(1u8 << octave);
        let (fx, fy) = (x * scale, y * scale);
        let (ix, iy) = (fx.floor(), fy.floor());
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (u, v) = (smooth(fx - ix), smooth(fy - iy));
        let at = |dx: i32, dy: i32| hash(ix as i32 + dx, iy as i32 + dy);
        let top = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
        let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
        sum += (top + (bottom - top) * v) / (2.0 * scale);
    }
    sum
}

fn cloud_line(x: f32) -> f32 {
    cloud(x, 0.5)
}
