//! Small pictures of a whole film on few sheets, for scrubbing.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::frames::Film;
use super::{Ffmpeg, MediaInfo};
use crate::MediaError;
use crate::image::Pixels;
use crate::image::pixels::Layout as Samples;
use crate::mp4::Reads;

/// Size of a tile in pixels.
const TILE: (u32, u32) = (160, 90);
/// Tiles beside and below each other.
const GRID: u32 = 10;

/// All sheets of a film, and where each moment is on them.
#[derive(Debug, Clone)]
pub struct Storyboard {
    /// 1600 pixels wide; the last may be lower than the others.
    pub sheets: Vec<Pixels>,
    /// Where what is.
    pub manifest: StoryboardManifest,
}

/// Where each moment is: the JSON that players read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryboardManifest {
    /// Of a tile, in pixels.
    pub tile_width: u32,
    /// Of a tile, in pixels.
    pub tile_height: u32,
    /// Tiles beside each other.
    pub columns: u32,
    /// Tiles below each other on a full sheet.
    pub rows: u32,
    /// Seconds between tiles.
    pub interval: f64,
    /// Seconds of the whole film.
    pub duration: f64,
    /// How many sheets there are.
    pub sheets: u32,
    /// In order of time.
    pub tiles: Vec<Tile>,
}

/// One small picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tile {
    /// Seconds from the film's start; it is shown until the next tile's.
    pub time: f64,
    /// Number of its sheet, from 0.
    pub sheet: u32,
    /// From the top, from 0.
    pub row: u32,
    /// From the left, from 0.
    pub column: u32,
}

/// A film with fewer key frames than this is decoded whole: one or two pictures are no storyboard.
const KEYS_MIN: usize = 3;

/// Makes a tile every `interval` seconds, of the nearest key frame; where key frames are rarer
/// than that, tiles are as rare, as decoding the rest would cost a tenth of encoding it.
///
/// # Errors
/// `input.unsupported` without a film; those of reading a source.
pub fn storyboard(
    ffmpeg: &Ffmpeg,
    source: &Path,
    info: &MediaInfo,
    interval: f64,
) -> Result<Storyboard, MediaError> {
    let film = Film::of(source, info)?;
    let layout = Layout::of(&film, interval);
    let (count, interval) = (layout.count, layout.interval);
    let size = film.fitted(TILE.0, TILE.1);
    let mut sheets = Sheets::new(count);
    if let Some(nearest) = &layout.nearest {
        film.keys(ffmpeg, &wanted(nearest), size, &mut |index, pixels| {
            let first = nearest.partition_point(|key| *key < index);
            let end = nearest.partition_point(|key| *key <= index);
            (first..end).for_each(|tile| sheets.put(tile, &pixels));
            Ok(())
        })?;
    } else {
        let mut next = 0;
        film.every(ffmpeg, interval, size, &mut |pixels| {
            if next < count {
                sheets.put(next, &pixels);
            }
            next += 1;
            Ok(())
        })?;
    }
    let manifest = manifest(count, interval, layout.duration);
    Ok(Storyboard {
        sheets: sheets.finished(),
        manifest,
    })
}

/// What [`storyboard`] reads.
pub(super) fn reads(film: &Film<'_>, interval: f64) -> Vec<Reads> {
    vec![match Layout::of(film, interval).nearest {
        Some(nearest) => film.keys_read(&wanted(&nearest)),
        None => Reads::Streams(vec![film.video.index]),
    }]
}

/// Which pictures become tiles.
struct Layout {
    count: usize,
    interval: f64,
    duration: f64,
    /// The number of a key frame for each tile; nothing where there are too few of them.
    nearest: Option<Vec<usize>>,
}

impl Layout {
    fn of(film: &Film<'_>, interval: f64) -> Self {
        let line = &film.video.timeline;
        let duration = film.time_us(line.end_pts) as f64 / 1e6;
        let by_keys = line.key_pts.len() >= KEYS_MIN;
        let interval = if by_keys {
            interval.max(duration / line.key_pts.len() as f64)
        } else {
            interval
        };
        let count = ((duration / interval).ceil() as usize).max(1);
        let nearest = |n| film.nearest_key(n as f64 * interval);
        Self {
            count,
            interval,
            duration,
            nearest: by_keys.then(|| (0..count).map(nearest).collect()),
        }
    }
}

/// Each once.
fn wanted(nearest: &[usize]) -> Vec<usize> {
    let mut wanted = nearest.to_vec();
    wanted.dedup();
    wanted
}

impl StoryboardManifest {
    /// The same as WebVTT, whose cues are addresses of parts of pictures; `sheet_uris` has one
    /// address for each sheet.
    pub fn webvtt(&self, sheet_uris: &[String]) -> String {
        let mut text = String::from("WEBVTT\n");
        for (n, tile) in self.tiles.iter().enumerate() {
            let end = self
                .tiles
                .get(n + 1)
                .map_or(self.duration, |next| next.time);
            let uri = sheet_uris
                .get(tile.sheet as usize)
                .map_or("", String::as_str);
            write!(
                text,
                "\n{} --> {}\n{uri}#xywh={},{},{},{}\n",
                clock(tile.time),
                clock(end.max(tile.time + 0.001)),
                tile.column * self.tile_width,
                tile.row * self.tile_height,
                self.tile_width,
                self.tile_height
            )
            .expect("a string takes everything");
        }
        text
    }
}

impl Film<'_> {
    /// Number of the key frame shown nearest to `seconds`.
    fn nearest_key(&self, seconds: f64) -> usize {
        let keys = &self.video.timeline.key_pts;
        let time = |index: usize| self.time_us(keys[index]) as f64 / 1e6;
        let after = keys.partition_point(|pts| (self.time_us(*pts) as f64) < seconds * 1e6);
        match after {
            0 => 0,
            after if after == keys.len() => after - 1,
            after if time(after) - seconds < seconds - time(after - 1) => after,
            after => after - 1,
        }
    }
}

fn manifest(count: usize, interval: f64, duration: f64) -> StoryboardManifest {
    let per_sheet = (GRID * GRID) as usize;
    let tile = |n: usize| {
        let place = (n % per_sheet) as u32;
        Tile {
            time: n as f64 * interval,
            sheet: (n / per_sheet) as u32,
            row: place / GRID,
            column: place % GRID,
        }
    };
    StoryboardManifest {
        tile_width: TILE.0,
        tile_height: TILE.1,
        columns: GRID,
        rows: GRID,
        interval,
        duration,
        sheets: count.div_ceil(per_sheet) as u32,
        tiles: (0..count).map(tile).collect(),
    }
}

/// `01:02:03.456`
fn clock(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round() as u64;
    let (s, ms) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// Sheets that are being filled.
struct Sheets {
    data: Vec<Vec<u8>>,
}

impl Sheets {
    fn new(tiles: usize) -> Self {
        let per_sheet = (GRID * GRID) as usize;
        let row_bytes = (GRID * TILE.0 * TILE.1 * 3) as usize;
        let data = (0..tiles.div_ceil(per_sheet))
            .map(|sheet| {
                let rows = (tiles - sheet * per_sheet)
                    .min(per_sheet)
                    .div_ceil(GRID as usize);
                vec![0; rows * row_bytes]
            })
            .collect();
        Self { data }
    }

    /// Copies `picture` into the middle of its tile.
    fn put(&mut self, tile: usize, picture: &Pixels) {
        let per_sheet = (GRID * GRID) as usize;
        let place = (tile % per_sheet) as u32;
        let left = place % GRID * TILE.0 + (TILE.0 - picture.width()) / 2;
        let top = place / GRID * TILE.1 + (TILE.1 - picture.height()) / 2;
        let row_bytes = (GRID * TILE.0 * 3) as usize;
        let width = picture.width() as usize * 3;
        let sheet = &mut self.data[tile / per_sheet];
        for (y, row) in picture.data().chunks_exact(width).enumerate() {
            let at = (top as usize + y) * row_bytes + left as usize * 3;
            sheet[at..at + width].copy_from_slice(row);
        }
    }

    fn finished(self) -> Vec<Pixels> {
        let row_bytes = (GRID * TILE.0 * 3) as usize;
        self.data
            .into_iter()
            .map(|data| {
                let height = (data.len() / row_bytes) as u32;
                Pixels::new(GRID * TILE.0, height, Samples::Rgb, data)
            })
            .collect()
    }
}
