//! What one upload of each kind is and takes: as a server has measured it, or a typical one that is described.

use crate::cells;
use crate::estimate::{self, Basis, Film, Measured, Sounds, Subject};
use clap::Args;
use mediaflow_core::{Kind, Operation, Recipe};

/// The files that are reckoned with where nothing is measured, or one of these is given.
#[derive(Debug, Clone, Args)]
pub(crate) struct Typical {
    /// A typical picture, in megapixels [without it: as measured, or 12]
    #[arg(long, value_name = "NUMBER", value_parser = super::within::<1, 1000>)]
    image_megapixels: Option<f64>,
    /// A typical film, in seconds [without it: as measured, or 60]
    #[arg(long, value_name = "SECONDS", value_parser = super::within::<1, 1_000_000>)]
    video_seconds: Option<f64>,
    /// Its shorter side, in pixels [without it: as measured, or 1080]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=8640))]
    video_height: Option<u32>,
    /// A typical recording, in seconds [without it: as measured, or 240]
    #[arg(long, value_name = "SECONDS", value_parser = super::within::<1, 1_000_000>)]
    audio_seconds: Option<f64>,
}

/// Bytes of a telephone's photograph for each pixel.
const IMAGE_BYTES_PER_PIXEL: f64 = 0.3;
/// Bits a second of a telephone's film in 1080p, others in proportion to their pixels.
const VIDEO_BITS_1080P: f64 = 10e6;
/// Bits a second of a recording.
const AUDIO_BITS: f64 = 256e3;
/// What a view of a picture loads: one of a thousand pixels, or several small ones.
const IMAGE_VIEW_BYTES: f64 = 100e3;
/// Bits a second that a viewer, or a listener, gets.
const VIDEO_VIEW_BITS: f64 = 2.6e6;
const AUDIO_VIEW_BITS: f64 = 128e3;
/// Length of a segment, and playlists that come before the first.
const SEGMENT_SECONDS: f64 = 6.0;
const PLAYLISTS: f64 = 3.0;

/// One upload.
#[derive(Debug, Clone)]
pub(crate) struct PerAsset {
    /// In words.
    pub(super) what: String,
    pub(super) basis: Basis,
    pub(super) tasks: f64,
    pub(super) cpu_seconds: f64,
    pub(super) original_bytes: f64,
    pub(super) made_bytes: f64,
    /// Each time that it is looked at.
    pub(super) requests_view: f64,
    pub(super) bytes_view: f64,
}

impl Typical {
    fn describes(&self, kind: Kind) -> bool {
        match kind {
            Kind::Image => self.image_megapixels.is_some(),
            Kind::Video => self.video_seconds.is_some() || self.video_height.is_some(),
            Kind::Audio => self.audio_seconds.is_some(),
        }
    }

    /// The file, and what it is in words.
    fn subject(&self, recipe: &Recipe) -> (Subject, String) {
        match recipe.kind {
            Kind::Image => {
                let megapixels = self.image_megapixels.unwrap_or(12.0);
                let width = (megapixels * 1e6 * 4.0 / 3.0).sqrt().round();
                let height = (width * 0.75).round();
                let bytes = (width * height * IMAGE_BYTES_PER_PIXEL) as u64;
                let words = format!("{megapixels} megapixels, {}", cells::bytes(bytes));
                (Subject::picture(width as u32, height as u32, bytes), words)
            }
            Kind::Video => self.film(recipe),
            Kind::Audio => {
                let seconds = self.audio_seconds.unwrap_or(240.0);
                let bytes = (seconds * AUDIO_BITS / 8.0) as u64;
                let rates = recipe.steps.iter().find_map(|step| match &step.operation {
                    Operation::AudioPlan(wanted) => Some(wanted.kbps.clone()),
                    _ => None,
                });
                let rates = rates.unwrap_or_default().into_iter();
                let subject = Subject {
                    kind: Kind::Audio,
                    sides: None,
                    seconds,
                    sounds: Some(Sounds::typical(rates, seconds)),
                    ..Subject::picture(0, 0, bytes)
                };
                let words = format!("{seconds} s, {}, without a cover", cells::bytes(bytes));
                (subject, words)
            }
        }
    }

    fn film(&self, recipe: &Recipe) -> (Subject, String) {
        let seconds = self.video_seconds.unwrap_or(60.0);
        let height = self.video_height.unwrap_or(1080);
        let width = (f64::from(height) * 16.0 / 9.0).round() as u32;
        let pixels = f64::from(width) * f64::from(height);
        let bits = VIDEO_BITS_1080P * pixels / (1920.0 * 1080.0);
        let bytes = (seconds * bits / 8.0) as u64;
        let ladder = recipe.steps.iter().find_map(|step| match &step.operation {
            Operation::VideoPlan(ladder) => Some(ladder),
            _ => None,
        });
        let subject = Subject {
            kind: Kind::Video,
            seconds,
            film: ladder.map(|ladder| Film::typical(ladder, height, seconds)),
            sounds: ladder.map(|ladder| {
                Sounds::typical(ladder.rungs.iter().map(|rung| rung.audio_kbps), seconds)
            }),
            ..Subject::picture(width, height, bytes)
        };
        let words = format!(
            "{seconds} s of {height}p30 with sound, {}",
            cells::bytes(bytes)
        );
        (subject, words)
    }
}

impl PerAsset {
    /// As measured, unless the file is described, or nothing was measured.
    pub(crate) fn of(recipe: &Recipe, typical: &Typical, measured: &Measured) -> Self {
        let (subject, words) = typical.subject(recipe);
        let assets = measured.assets.len();
        let (requests_view, bytes_view) = view(recipe.kind, subject.seconds);
        if assets > 0 && !typical.describes(recipe.kind) {
            let mean = |of: fn(&estimate::Asset) -> f64| {
                measured.assets.iter().map(of).sum::<f64>() / assets as f64
            };
            let original_bytes = mean(|asset| asset.original_bytes as f64);
            let seconds = mean(|asset| asset.seconds);
            let (requests_view, bytes_view) = view(recipe.kind, seconds);
            return Self {
                what: format!("{} on average", cells::bytes(original_bytes as u64)),
                basis: Basis::Measured(assets),
                tasks: mean(|asset| asset.tasks as f64),
                cpu_seconds: mean(|asset| asset.slot_seconds),
                original_bytes,
                made_bytes: mean(|asset| asset.made_bytes as f64),
                requests_view,
                bytes_view,
            };
        }
        let steps = estimate::steps(recipe, &subject, false, measured);
        let (made, _) = estimate::made_bytes(recipe, &subject, measured);
        let least = steps.iter().filter(|step| step.tasks > 0).map(|s| s.basis);
        let basis = least.fold(Basis::Measured(assets.max(1)), |all, now| match all {
            Basis::Stated => Basis::Stated,
            Basis::Measured(_) => now,
        });
        Self {
            what: words,
            basis,
            tasks: steps.iter().map(|step| f64::from(step.tasks)).sum(),
            cpu_seconds: steps.iter().map(|step| step.cpu_seconds).sum(),
            original_bytes: subject.bytes as f64,
            made_bytes: made as f64,
            requests_view,
            bytes_view,
        }
    }
}

/// Requests and bytes of a view, to the end of what lasts.
fn view(kind: Kind, seconds: f64) -> (f64, f64) {
    let segments = (seconds / SEGMENT_SECONDS).ceil();
    match kind {
        Kind::Image => (1.0, IMAGE_VIEW_BYTES),
        // Pictures and sound come apart.
        Kind::Video => (PLAYLISTS + 2.0 * segments, seconds * VIDEO_VIEW_BITS / 8.0),
        Kind::Audio => (PLAYLISTS + segments, seconds * AUDIO_VIEW_BITS / 8.0),
    }
}
