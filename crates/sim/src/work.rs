//! What an attempt makes: the bytes and the report of each operation, in miniature.

use crate::random::Random;
use mediaflow_blob::BlobKey;
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{
    ErrorCode, Failure, FailureKind, ModerationPolicy, Operation, Sha256, Verdict,
};
use mediaflow_store::{
    Claimed, NewBlob, NewRendition, NewSegment, NewTrack, Output, Quality, RenditionBlob, TrackKind,
};
use std::ops::Range;

/// An output and its bytes, which are not written yet.
pub(crate) struct Made {
    pub(crate) output: Output,
    pub(crate) bytes: Vec<(BlobKey, Vec<u8>)>,
}

struct Making<'a> {
    claimed: &'a Claimed,
    /// Encoders need not be stable: whether this one makes the same bytes each time.
    stable: bool,
    made: Made,
}

/// How many chunks a film has.
fn chunks(claimed: &Claimed) -> u32 {
    1 + u32::from(claimed.asset.as_bytes()[15]) % 3
}

/// Whether it has sound.
fn has_sound(claimed: &Claimed) -> bool {
    !claimed.asset.as_bytes()[14].is_multiple_of(4)
}

/// What makes a rendition what it is.
pub(crate) fn derivation(claimed: &Claimed, profile: &str, format: Format) -> Sha256 {
    let step = &claimed.recipe.steps[claimed.step].name;
    let text = format!(
        "{} {step} {profile} {}",
        claimed.original.sha256,
        format.as_str()
    );
    Sha256::of(text.as_bytes())
}

/// What an honest worker makes of this task.
pub(crate) fn make(claimed: &Claimed, random: &mut Random) -> Made {
    let mut making = Making {
        claimed,
        stable: random.chance(500),
        made: Made {
            output: Output::default(),
            bytes: Vec::new(),
        },
    };
    let chunks = chunks(claimed);
    match &claimed.recipe.steps[claimed.step].operation {
        Operation::Moderate => making.made.output.verdict = verdict(claimed, random),
        Operation::Inspect => {
            making.made.output.facts = serde_json::json!({ "camera": "Brownie" });
            making.made.output.dimensions = Some((4000, 3000));
        }
        Operation::Placeholder => {
            making.made.output.facts = serde_json::json!({ "blurhash": "LEHV6n" })
        }
        Operation::Resize(resize) => {
            for variant in &resize.variants {
                making.rendition(&variant.name, Format::Jpeg);
            }
        }
        Operation::Watermark => {
            for variant in claimed
                .recipe
                .resize()
                .into_iter()
                .flat_map(|r| &r.variants)
            {
                making.rendition(&variant.name, Format::Jpeg);
            }
        }
        Operation::Compress(compress) | Operation::Squeeze(compress) => {
            for encoding in &compress.formats {
                for variant in claimed
                    .recipe
                    .resize()
                    .into_iter()
                    .flat_map(|r| &r.variants)
                {
                    making.rendition(&variant.name, encoding.format);
                }
            }
        }
        Operation::VideoPlan(_) => {
            for (step, tasks) in [("encode", chunks), ("audio", u32::from(has_sound(claimed)))] {
                if let Some(step) = claimed.recipe.steps.iter().position(|s| s.name == step) {
                    making.made.output.expansions.push(Expansion {
                        step,
                        tasks,
                        cost: claimed.cost,
                    });
                }
            }
        }
        Operation::VideoLead => making.stream("360p", 0..1, chunks * 2),
        Operation::VideoEncode => {
            let first = claimed.number * 2;
            making.stream("360p", first..first + 2, chunks * 2);
        }
        Operation::VideoAudio => making.stream("audio", 0..2, 2),
        _ => {}
    }
    making.made
}

fn verdict(claimed: &Claimed, random: &mut Random) -> Option<Verdict> {
    match claimed.settings.moderation {
        ModerationPolicy::Off => Some(Verdict::Pass),
        ModerationPolicy::Review => Some(Verdict::Review),
        ModerationPolicy::Classifier => match random.below(10) {
            0 => Some(Verdict::Reject),
            1 | 2 => Some(Verdict::Review),
            3 => None,
            _ => Some(Verdict::Pass),
        },
    }
}

/// An attempt that fails, in any of the ways that there are.
pub(crate) fn failure(random: &mut Random) -> Failure {
    let (code, kind) = match random.below(8) {
        0 => (ErrorCode::InputCorrupt, FailureKind::Permanent),
        1 | 2 => (ErrorCode::DecoderCrashed, FailureKind::Crash),
        3 => (ErrorCode::ModerationUnavailable, FailureKind::Deferred),
        4 => (ErrorCode::Timeout, FailureKind::Transient),
        _ => (ErrorCode::StorageUnavailable, FailureKind::Transient),
    };
    Failure {
        code,
        message: "it failed".into(),
        kind,
    }
}

impl Making<'_> {
    fn blob(&mut self, content: String) -> NewBlob {
        let lease = self.claimed.lease;
        let key = BlobKey::output(lease.task.0, lease.fence, self.made.bytes.len());
        let blob = NewBlob {
            sha256: Sha256::of(content.as_bytes()),
            bytes: content.len() as u64,
            key: key.as_str().to_owned(),
        };
        self.made.bytes.push((key, content.into_bytes()));
        blob
    }

    /// Text that is this attempt's alone, unless the encoder is stable.
    fn content(&self, what: &str) -> String {
        let lease = self.claimed.lease;
        match self.stable {
            true => what.to_owned(),
            false => format!("{what} {} {}", lease.task, lease.fence),
        }
    }

    fn rendition(&mut self, profile: &str, format: Format) {
        let derivation = derivation(self.claimed, profile, format);
        let content = self.content(&derivation.to_string());
        let blob = RenditionBlob::New(self.blob(content));
        self.made.output.renditions.push(NewRendition {
            profile: profile.to_owned(),
            format,
            dimensions: Some((100, 75)),
            animated: false,
            derivation,
            blob,
        });
    }

    fn stream(&mut self, track: &str, numbers: Range<u32>, segments: u32) {
        let claimed = self.claimed;
        let what = format!("{} {} {track}", claimed.asset, claimed.generation);
        let init = self.blob(what.clone());
        let is_video = track != "audio";
        self.made.output.tracks.push(NewTrack {
            name: track.to_owned(),
            kind: if is_video {
                TrackKind::Video
            } else {
                TrackKind::Audio
            },
            codecs: "avc1.64001f".into(),
            width: is_video.then_some(640),
            height: is_video.then_some(360),
            said: serde_json::json!({}),
            timescale: 90_000,
            segments,
            packaging: Packaging::default(),
            init,
        });
        for number in numbers {
            let content = self.content(&format!("{what} {number}"));
            let blob = self.blob(content);
            let quality = Quality {
                frames: 10,
                ssim_mean: 0.9,
                ssim_min: 0.8,
            };
            self.made.output.segments.push(NewSegment {
                track: track.to_owned(),
                number,
                duration: 540_000,
                key_bytes: 20,
                quality: is_video.then_some(quality),
                blob,
            });
        }
    }
}
