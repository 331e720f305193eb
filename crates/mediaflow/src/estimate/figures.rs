//! What is known of costs without a server to ask: what each operation says of itself, and benchmarks of ours. Docs/command-line.md
//! lists them for readers.

use super::Subject;
use mediaflow_core::operation::{Facts, Format};
use mediaflow_core::{Operation, Recipe};

/// Of a second of sound at one bit rate, with its check: what the plan of recordings reckons with.
const CPU_SECONDS_PER_SECOND_OF_SOUND: f64 = 0.02;
/// `bench/video`: verification, in the chunks' tasks and after, of what encoding takes.
const VERIFY_OF_ENCODE: f64 = 0.24;
/// `bench/video`: poster and storyboard together, of what encoding takes.
const STORYBOARD_OF_ENCODE: f64 = 0.026;

/// `bench/pipeline`: processor time of an asset that is not media work: upload, tasks, events.
pub(crate) const CPU_MS_AROUND_ASSET: f64 = 10.0;
/// `bench/http`: processor time of sending one small rendition.
pub(crate) const CPU_MS_PER_DELIVERY: f64 = 0.036;
/// `bench/queue`: tasks that one SQLite file took through their graphs in a second.
pub(crate) const SQLITE_TASKS_PER_SECOND: f64 = 6_900.0;
/// `bench/queue`: tasks that one PostgreSQL took through their graphs in a second.
pub(crate) const POSTGRES_TASKS_PER_SECOND: f64 = 2_860.0;

/// Processor time of all tasks of a step, in seconds.
pub(super) fn cpu_seconds(recipe: &Recipe, step: usize, subject: &Subject) -> f64 {
    let film = subject.film.as_ref();
    let encode = film.map_or(0.0, |film| film.lead_cpu_seconds + film.encode_cpu_seconds);
    let operation = &recipe.steps[step].operation;
    match operation {
        Operation::VideoLead => film.map_or(0.0, |film| film.lead_cpu_seconds),
        Operation::VideoEncode => film.map_or(0.0, |film| film.encode_cpu_seconds),
        Operation::VideoVerify => encode * VERIFY_OF_ENCODE,
        Operation::VideoStoryboard => encode * STORYBOARD_OF_ENCODE,
        Operation::VideoAudio | Operation::AudioEncode => {
            let streams = subject.sounds.as_ref().map_or(0, |s| s.bit_rates.len());
            subject.seconds * streams as f64 * CPU_SECONDS_PER_SECOND_OF_SOUND
        }
        Operation::AudioDownload(wanted) => {
            let one = one(recipe, step, subject);
            one * wanted.files.len() as f64
        }
        _ => one(recipe, step, subject),
    }
}

/// What the operation says of one task.
fn one(recipe: &Recipe, step: usize, subject: &Subject) -> f64 {
    let facts = Facts {
        pixels: subject.pixels,
        frames: subject.frames,
        bytes: subject.bytes,
    };
    f64::from(recipe.cost(step, facts).cpu_ms) / 1000.0
}

/// Of a photograph that is 1080 pixels wide, at the qualities of the built-in recipe.
pub(super) const fn bytes_per_pixel(format: Format) -> f64 {
    match format {
        Format::Webp => 0.08,
        Format::Avif => 0.07,
        _ => 0.14,
    }
}

/// Of all streams and files to take away, at their highest bit rates: it will hardly be more.
pub(super) fn stream_bytes(recipe: &Recipe, subject: &Subject) -> f64 {
    let film = subject.film.as_ref().map_or(0, |film| film.bit_rate);
    let sounds = subject.sounds.as_ref();
    let sounds: u64 = sounds.map_or(0, |s| s.bit_rates.iter().map(|&rate| u64::from(rate)).sum());
    let files = recipe
        .steps
        .iter()
        .filter_map(|step| match &step.operation {
            Operation::AudioDownload(wanted) => Some(&wanted.files),
            _ => None,
        });
    let files: u64 = files
        .flatten()
        .map(|file| u64::from(file.kbps) * 1000)
        .sum();
    subject.seconds * (film + sounds + files) as f64 / 8.0
}
