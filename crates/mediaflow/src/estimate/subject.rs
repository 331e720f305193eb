//! A file, as far as what it costs depends on it.

use mediaflow_core::operation::{Fit, Format, Ladder, POSTER_SIDE_MAX, Rung, Variant};
use mediaflow_core::{Kind, Operation, Queue, Recipe};
use mediaflow_media::video::Plan;
use mediaflow_media::video::plan::{AudioPlan, Chunk};

/// As plans of films reckon: 9.4 s were measured for six seconds of 1080p30 in three rungs.
const CPU_SECONDS_PER_PIXEL: f64 = 16e-9;
/// Of a chunk, unless the recipe says otherwise.
const CHUNK_CPU_SECONDS: u32 = 60;
const SEGMENT_SECONDS: f64 = 6.0;
/// Pictures a second of a typical film.
const RATE: f64 = 30.0;

/// What is processed.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    /// Of one picture.
    pub(crate) pixels: u64,
    /// Width and height, upright, where it has any.
    pub(crate) sides: Option<(u32, u32)>,
    /// Pictures of an animation.
    pub(crate) frames: u32,
    /// How long it lasts.
    pub(crate) seconds: f64,
    pub(crate) film: Option<Film>,
    pub(crate) sounds: Option<Sounds>,
    /// Whether a recording carries a picture.
    pub(crate) has_cover: bool,
}

/// What is made of a film's pictures.
#[derive(Debug, Clone)]
pub(crate) struct Film {
    /// Of all rungs and pictures.
    pub(crate) encoded_pixels: f64,
    pub(crate) lead_cpu_seconds: f64,
    pub(crate) encode_cpu_seconds: f64,
    /// Beside the lead.
    pub(crate) encode_tasks: u32,
    /// Most bits per second of all rungs together.
    pub(crate) bit_rate: u64,
}

/// What is made of sound.
#[derive(Debug, Clone)]
pub(crate) struct Sounds {
    /// Of each stream.
    pub(crate) bit_rates: Vec<u32>,
    pub(crate) pieces: u32,
}

/// A picture that would be made.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) profile: String,
    pub(crate) format: Format,
    pub(crate) pixels: u64,
}

impl Film {
    /// As it is planned.
    pub(crate) fn planned(plan: &Plan) -> Self {
        let pixels = plan
            .rungs
            .iter()
            .map(|rung| f64::from(rung.width) * f64::from(rung.height) / f64::from(rung.every));
        let cost = |chunks: &[Chunk]| -> f64 {
            let seconds = chunks.iter().map(|chunk| f64::from(chunk.cost_cpu_seconds));
            seconds.sum()
        };
        let (lead, rest) = plan.chunks.split_at(plan.chunks.len().min(1));
        Self {
            encoded_pixels: pixels.sum::<f64>() * plan.grid.total as f64,
            lead_cpu_seconds: cost(lead),
            encode_cpu_seconds: cost(rest),
            encode_tasks: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            bit_rate: plan.rungs.iter().map(|r| u64::from(r.video_bit_rate)).sum(),
        }
    }

    /// What a plan would come to for a film that nobody has yet: 16:9, 30 pictures a second, H.264.
    pub(crate) fn typical(ladder: &Ladder, height: u32, seconds: f64) -> Self {
        let fits = |rung: &&Rung| rung.height <= height;
        let mut rungs: Vec<(u32, u32)> = ladder
            .rungs
            .iter()
            .filter(fits)
            .map(|rung| (rung.height, rung.video_kbps))
            .collect();
        if let (true, Some(lowest)) = (rungs.is_empty(), ladder.rungs.first()) {
            rungs.push((height, lowest.video_kbps));
        }
        let pixels = |height: u32| f64::from(height) * f64::from(height) * 16.0 / 9.0;
        let second: f64 = rungs.iter().map(|(height, _)| pixels(*height) * RATE).sum();
        let lowest = rungs.iter().map(|(height, _)| *height).min();
        let all = second * seconds * CPU_SECONDS_PER_PIXEL;
        let lead = pixels(lowest.unwrap_or_default()) * RATE * seconds.min(SEGMENT_SECONDS);
        let lead = (lead * CPU_SECONDS_PER_PIXEL).min(all);
        let chunk = f64::from(ladder.chunk_cpu_s.unwrap_or(CHUNK_CPU_SECONDS));
        Self {
            encoded_pixels: second * seconds,
            lead_cpu_seconds: lead,
            encode_cpu_seconds: all - lead,
            encode_tasks: ((all - lead) / chunk).ceil().max(1.0) as u32,
            bit_rate: rungs.iter().map(|(_, kbps)| u64::from(*kbps) * 1000).sum(),
        }
    }
}

impl Sounds {
    /// As they are planned.
    pub(crate) fn planned(plan: &AudioPlan) -> Self {
        let tracks = plan.tracks.iter();
        Self {
            bit_rates: tracks
                .flat_map(|track| track.renditions.iter().map(|r| r.bit_rate))
                .collect(),
            pieces: u32::try_from(plan.pieces.len()).unwrap_or(u32::MAX),
        }
    }

    /// One track of so many seconds at these rates: a short first piece, then pieces of five minutes.
    pub(crate) fn typical(kbps: impl Iterator<Item = u32>, seconds: f64) -> Self {
        let mut bit_rates: Vec<u32> = kbps.map(|kbps| kbps * 1000).collect();
        bit_rates.sort_unstable();
        bit_rates.dedup();
        let rest = ((seconds - 12.0) / 300.0).ceil().max(0.0) as u32;
        Self {
            bit_rates,
            pieces: 1 + rest,
        }
    }
}

impl Subject {
    /// A picture of this size.
    pub(crate) fn picture(width: u32, height: u32, bytes: u64) -> Self {
        Self {
            kind: Kind::Image,
            bytes,
            pixels: u64::from(width) * u64::from(height),
            sides: Some((width, height)),
            frames: 1,
            seconds: 0.0,
            film: None,
            sounds: None,
            has_cover: false,
        }
    }

    /// What an operation's time grows with. Only assets that followed the same recipe are compared, so what it says cancels out.
    pub(crate) fn amount(&self, operation: &Operation) -> f64 {
        match operation {
            Operation::VideoEncode | Operation::VideoVerify => {
                self.film.as_ref().map_or(0.0, |film| film.encoded_pixels)
            }
            Operation::VideoAudio
            | Operation::VideoStoryboard
            | Operation::VideoDownload(_)
            | Operation::AudioLoudness(_)
            | Operation::AudioEncode
            | Operation::AudioDownload(_)
            | Operation::AudioWaveform
            | Operation::AudioVerify => self.seconds,
            operation if operation.queue() == Queue::Image => match self.kind {
                Kind::Image => self.pixels as f64 * f64::from(self.frames.max(1)),
                // Of the poster, which is no larger than the film's pictures.
                Kind::Video => self.poster_pixels() as f64,
                Kind::Audio => 1.0,
            },
            _ => 1.0,
        }
    }

    /// What the bytes of all streams grow with.
    pub(crate) fn stream_amount(&self) -> f64 {
        match &self.film {
            Some(film) => film.encoded_pixels,
            None => self.seconds,
        }
    }

    fn poster_pixels(&self) -> u64 {
        self.pixels.min(POSTER_SIDE_MAX * POSTER_SIDE_MAX)
    }

    /// The pictures that a recipe makes of it, as JPEG (PNG where it is transparent) and in the formats that are added.
    pub(super) fn pictures(&self, recipe: &Recipe) -> Vec<Picture> {
        let Some(sides) = self
            .sides
            .filter(|_| self.kind != Kind::Audio || self.has_cover)
        else {
            return Vec::new();
        };
        let variants = recipe.resize().map_or(&[][..], |resize| &resize.variants);
        let added = recipe
            .steps
            .iter()
            .filter_map(|step| match &step.operation {
                Operation::Compress(compress) => Some(&compress.formats),
                _ => None,
            });
        let formats: Vec<Format> = std::iter::once(Format::Jpeg)
            .chain(added.flatten().map(|encoding| encoding.format))
            .collect();
        let made = variants.iter().flat_map(|variant| {
            let pixels = pixels(variant, sides);
            formats.iter().map(move |&format| Picture {
                profile: variant.name.clone(),
                format,
                pixels,
            })
        });
        made.collect()
    }
}

/// Of a variant of a picture, which is never enlarged.
fn pixels(variant: &Variant, (width, height): (u32, u32)) -> u64 {
    let (w, h) = (u64::from(width), u64::from(height));
    match (variant.fit, variant.width, variant.height) {
        (Fit::Cover, Some(to_w), Some(to_h)) => w.min(to_w.into()) * h.min(to_h.into()),
        (Fit::Width, Some(to), _) if to < width => u64::from(to) * u64::from(to) * h / w.max(1),
        _ => w * h,
    }
}

#[cfg(test)]
mod tests {
    use super::{Film, Sounds, Subject};
    use mediaflow_core::{Kind, Operation};
    use mediaflow_engine::Recipes;

    #[test]
    fn variants_are_never_larger_than_the_picture() {
        let recipes = Recipes::load(None).expect("the built-in recipes");
        let recipe = recipes.find(None, Kind::Image).expect("one for pictures");
        let made = Subject::picture(800, 600, 100_000).pictures(&recipe);
        assert_eq!(made.len(), 6 * 3);
        let of = |name: &str| made.iter().find(|p| p.profile == name).map(|p| p.pixels);
        assert_eq!(of("thumbnail"), Some(150 * 150));
        assert_eq!(of("small"), Some(320 * 240));
        assert_eq!(of("retina"), Some(800 * 600));
    }

    #[test]
    fn a_typical_film_has_the_rungs_that_fit() {
        let recipes = Recipes::load(None).expect("the built-in recipes");
        let recipe = recipes.find(None, Kind::Video).expect("one for films");
        let ladder = recipe.steps.iter().find_map(|step| match &step.operation {
            Operation::VideoPlan(ladder) => Some(ladder),
            _ => None,
        });
        let ladder = ladder.expect("it has a ladder");
        let film = Film::typical(ladder, 720, 60.0);
        assert_eq!(film.bit_rate, 3_300_000);
        // 360p and 720p: 640x360 and 1280x720.
        assert_eq!(film.encoded_pixels, (230_400.0 + 921_600.0) * 30.0 * 60.0);
        assert_eq!(
            Sounds::typical([96, 128, 96].into_iter(), 60.0).bit_rates,
            [96_000, 128_000]
        );
    }
}
