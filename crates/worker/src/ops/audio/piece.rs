//! One piece of all sounds at all bit rates, decoded again before anybody is told of it. Of videos and of sounds alone.

use super::Levels;
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use crate::ops::video::Film;
use crate::ops::video::film::{ffmpeg, folder};
use crate::ops::video::packaging;
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::{NewSegment, NewTrack, Output, TrackKind};
use mediaflow_media::audio::{AudioSegment, encode_piece, init_segment, piece_reads, verify_piece};
use mediaflow_media::mp4::codec_string;
use mediaflow_media::video::plan::{AudioPlan, Packaging};
use serde_json::json;
use std::collections::BTreeSet;

/// What there is to make.
pub(crate) struct Piece<'a> {
    pub(crate) plan: &'a AudioPlan,
    /// Of its playlists, in seconds.
    pub(crate) target_duration: u32,
    /// What its segments are wrapped in.
    pub(crate) packaging: Packaging,
    /// Whether there is no film to it.
    pub(crate) is_alone: bool,
}

impl Piece<'_> {
    /// Makes the one that the task's number names.
    pub(crate) fn make(
        &self,
        attempt: &Attempt,
        film: &Film,
        levels: &Levels,
    ) -> Result<Output, Failure> {
        let none =
            || Failure::permanent(ErrorCode::Internal, "the plan has no such piece of sound");
        let number = attempt.task.number as usize;
        let piece = self.plan.pieces.get(number).ok_or_else(none)?;
        let ffmpeg = ffmpeg(attempt, 1)?;
        let folder = folder(attempt)?;
        let source = film.open(attempt, &ffmpeg, &[piece_reads(self.plan, piece)])?;
        let mut made: Vec<AudioSegment> = Vec::new();
        encode_piece(
            &ffmpeg,
            source.path(),
            self.plan,
            piece,
            &levels.of_plan(self.plan),
            folder.path(),
            &mut |segment| {
                made.push(segment);
                Ok(())
            },
        )
        .map_err(|e| source.failed(attempt, e))?;
        attempt.check()?;
        verify_piece(&ffmpeg, self.plan, &made, folder.path()).map_err(from_media)?;
        self.record(attempt, made)
    }

    /// `audio-128` of the first language, `audio-2-128` of the second.
    fn name(&self, made: (usize, usize)) -> String {
        track_name(self.plan, made)
    }

    fn record(&self, attempt: &Attempt, mut made: Vec<AudioSegment>) -> Result<Output, Failure> {
        let mut output = Output::default();
        let which: BTreeSet<(usize, usize)> = made.iter().map(|s| (s.track, s.rendition)).collect();
        for &(number, rendition) in &which {
            let track = &self.plan.tracks[number];
            let init = init_segment(self.plan, number, rendition).map_err(from_media)?;
            let codecs = codec_string(&init).map_err(from_media)?;
            let its = |s: &&mut AudioSegment| (s.track, s.rendition) == (number, rendition);
            for piece in made.iter_mut().filter(its) {
                let wrapped = self.packaging.wrap(&init, &mut piece.segment);
                wrapped.map_err(from_media)?;
            }
            let init = attempt.write(&[init])?.remove(0);
            output.tracks.push(NewTrack {
                name: self.name((number, rendition)),
                kind: TrackKind::Audio,
                codecs,
                width: None,
                height: None,
                said: json!({
                    "bit_rate": track.renditions[rendition].bit_rate,
                    "name": track.name,
                    "language": track.language,
                    "default": track.is_default,
                    "channels": track.channels,
                    "target_duration": self.target_duration,
                    "alone": self.is_alone,
                }),
                timescale: self.plan.sample_rate,
                segments: self.plan.segments(),
                packaging: packaging::recorded(self.packaging),
                init,
            });
        }
        let bytes: Vec<Vec<u8>> = made
            .iter_mut()
            .map(|s| std::mem::take(&mut s.segment.bytes))
            .collect();
        let blobs = attempt.write(&bytes)?;
        for (segment, blob) in made.into_iter().zip(blobs) {
            output.segments.push(NewSegment {
                track: self.name((segment.track, segment.rendition)),
                number: segment.segment.index,
                duration: segment.segment.duration_ticks,
                key_bytes: 0,
                quality: None,
                blob,
            });
        }
        Ok(output)
    }
}

/// What the stream of a track at a bit rate is called.
pub(super) fn track_name(plan: &AudioPlan, (track, rendition): (usize, usize)) -> String {
    let kbps = plan.tracks[track].renditions[rendition].bit_rate / 1000;
    match track {
        0 => format!("audio-{kbps}"),
        n => format!("audio-{}-{kbps}", n + 1),
    }
}
