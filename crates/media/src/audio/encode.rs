//! AAC streams in pieces that join without a click.
//!
//! Each block of AAC overlaps the one before, and an encoder needs some blocks to get into its
//! stride. So a piece is encoded from a second before its start to a little after its end, of
//! exactly the samples that its neighbours have too, and what lies outside is dropped.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Level;
use super::adts::{Blocks, configuration};
use super::filters::{layout, placed};
use crate::MediaError;
use crate::ffmpeg::Input;
use crate::mp4::{AudioTrackHeader, Fragment, FragmentSample, Reads};
use crate::video::plan::{AUDIO_BLOCK, AudioPiece, AudioPlan, AudioTrack};
use crate::video::{Container, Ffmpeg, Segment};

/// Blocks that are encoded before a piece and dropped: about a second.
const BEFORE: u64 = 48;
/// Blocks after it: an encoder looks ahead.
const AFTER: u64 = 3;
/// Seconds before the first sample at which reading begins: sound and pictures of one moment can
/// lie apart in a file.
const SEEK_BEFORE: f64 = 3.0;
/// The plain name of a copy that does not change on the way.
const EVENED: &str = "sound-evened.nut";

/// One segment of one track at one bit rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSegment {
    /// Position in the plan's list of tracks.
    pub track: usize,
    /// Position in the track's list of renditions.
    pub rendition: usize,
    /// The segment; its frames are blocks, its ticks samples.
    pub segment: Segment,
}

/// The initialisation segment of a track at a bit rate, which follows from the plan alone.
///
/// # Errors
/// `encoder.failed` for a plan whose sample rate AAC does not have.
pub fn init_segment(
    plan: &AudioPlan,
    track: usize,
    rendition: usize,
) -> Result<Vec<u8>, MediaError> {
    let track = &plan.tracks[track];
    Ok(AudioTrackHeader {
        channels: track.channels.into(),
        sample_rate: plan.sample_rate,
        bit_rate: track.renditions[rendition].bit_rate,
        configuration: &configuration(plan.sample_rate, track.channels)?,
        language: track.language.as_deref().unwrap_or("und"),
    }
    .write())
}

/// Encodes `piece`: all tracks at all bit rates. `levels` has one for each track, or is
/// empty. `each` gets the segments, in order within a track and bit rate.
///
/// # Errors
/// As [`crate::video::encode_chunk`], and what `each` returns.
pub fn encode_piece(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &AudioPlan,
    piece: &AudioPiece,
    levels: &[Level],
    scratch: &Path,
    each: &mut dyn FnMut(AudioSegment) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let work = Work::new(ffmpeg, plan, piece, levels, scratch);
    let input = work.input(source, plan.tracks[0].container);
    let written = work.write(input, &plan.tracks).and_then(|whole| {
        if whole {
            return Ok(());
        }
        let (input, tracks) = work.evened(source)?;
        match work.write(input, &tracks)? {
            true => Ok(()),
            false => Err(MediaError::corrupt("the sound ends early")),
        }
    });
    let made = written.and_then(|()| work.cut(each));
    work.clean();
    made
}

/// What encoding `piece` reads of the source.
pub fn piece_reads(plan: &AudioPlan, piece: &AudioPiece) -> Reads {
    let encoded = encoded(plan, piece);
    let seconds =
        |block| plan.tracks[0].start_seconds + samples(block) as f64 / f64::from(plan.sample_rate);
    Reads::Sound {
        streams: plan.tracks.iter().map(|track| track.stream).collect(),
        seconds: seconds(encoded.start) - SEEK_BEFORE..seconds(encoded.end) + SEEK_BEFORE,
    }
}

/// The blocks of a piece that are kept.
fn kept(plan: &AudioPlan, piece: &AudioPiece) -> Range<u64> {
    let last = piece.first_segment + piece.segments - 1;
    plan.segment(piece.first_segment).start..plan.segment(last).end
}

/// The blocks of a piece that are encoded.
fn encoded(plan: &AudioPlan, piece: &AudioPiece) -> Range<u64> {
    let kept = kept(plan, piece);
    kept.start.saturating_sub(BEFORE)..kept.end + AFTER
}

/// One piece at work. Its files in the scratch folder are named after positions.
struct Work<'a> {
    ffmpeg: &'a Ffmpeg,
    plan: &'a AudioPlan,
    piece: &'a AudioPiece,
    levels: &'a [Level],
    scratch: &'a Path,
    /// The blocks that are kept.
    kept: Range<u64>,
    /// The blocks that are encoded.
    encoded: Range<u64>,
}

impl<'a> Work<'a> {
    fn new(
        ffmpeg: &'a Ffmpeg,
        plan: &'a AudioPlan,
        piece: &'a AudioPiece,
        levels: &'a [Level],
        scratch: &'a Path,
    ) -> Self {
        Self {
            ffmpeg,
            plan,
            piece,
            levels,
            scratch,
            kept: kept(plan, piece),
            encoded: encoded(plan, piece),
        }
    }

    /// The source, opened before the first encoded block, with its own times kept.
    fn input(&self, source: &Path, container: Container) -> Input {
        let input = Input::new(source, container)
            .flag("-copyts")
            .option("-threads", self.ffmpeg.threads().to_string());
        let from = samples(self.encoded.start) as f64 / f64::from(self.plan.sample_rate);
        let at = self.plan.tracks[0].start_seconds + from - SEEK_BEFORE;
        if from <= SEEK_BEFORE || at <= 0.0 {
            return input;
        }
        input
            .flag("-noaccurate_seek")
            .option("-seek_timestamp", "1")
            .option("-ss", format!("{at:.6}"))
    }

    /// Encodes `tracks` of `input`. Whether each became as many blocks as it should.
    fn write(&self, input: Input, tracks: &[AudioTrack]) -> Result<bool, MediaError> {
        let rate = self.plan.sample_rate;
        let (first, end) = (samples(self.encoded.start), samples(self.encoded.end));
        let mut graphs = Vec::new();
        let mut outputs: Vec<OsString> = Vec::new();
        for (t, track) in tracks.iter().enumerate() {
            let level = self.levels.get(t).copied().unwrap_or_default();
            let placed = placed(track, rate, first, end, level);
            let count = track.renditions.len();
            let labels: String = (0..count).map(|r| format!("[t{t}r{r}]")).collect();
            graphs.push(format!("{placed},asplit={count}{labels}"));
            for (r, rendition) in track.renditions.iter().enumerate() {
                let (label, bit_rate) = (format!("[t{t}r{r}]"), rendition.bit_rate.to_string());
                let args = [
                    "-map", &label, "-c:a", "aac", "-b:a", &bit_rate, "-f", "adts",
                ];
                outputs.extend(args.map(OsString::from));
                outputs.push(name(t, r).into());
            }
        }
        let mut args: Vec<OsString> = vec!["-filter_complex".into(), graphs.join(";").into()];
        args.extend(outputs);
        self.ffmpeg.write(&[input], &args, self.scratch)?;
        let expected = self.encoded.end - self.encoded.start + 1;
        for file in self.files() {
            let mut blocks = open(&file)?;
            let mut count = 0;
            while blocks.next()?.is_some() {
                count += 1;
            }
            if count != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A copy of this part of the source at one rate and in one layout, and its tracks. Where a
    /// source changes either on the way ffmpeg begins its filters anew, and they add the silence
    /// before the first sample once more.
    fn evened(&self, source: &Path) -> Result<(Input, Vec<AudioTrack>), MediaError> {
        let rate = self.plan.sample_rate;
        let end = samples(self.encoded.end) as f64 / f64::from(rate);
        let until = self.plan.tracks[0].start_seconds + end + SEEK_BEFORE;
        let mut args = Vec::new();
        for track in &self.plan.tracks {
            let filters = format!(
                "aresample={rate},aformat=sample_fmts=s16:channel_layouts={}",
                layout(track.channels)
            );
            args.extend(["-map".to_owned(), format!("0:{}", track.stream)]);
            args.extend(["-af".to_owned(), filters]);
        }
        args.extend(["-c:a", "pcm_s16le", "-to"].map(String::from));
        args.extend([
            format!("{until:.6}"),
            "-f".into(),
            "nut".into(),
            EVENED.into(),
        ]);
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let input = self.input(source, self.plan.tracks[0].container);
        self.ffmpeg.write(&[input], &args, self.scratch)?;
        let evened = Input::new(&self.scratch.join(EVENED), Container::Nut).flag("-copyts");
        let tracks = self
            .plan
            .tracks
            .iter()
            .zip(0..)
            .map(|(track, stream)| AudioTrack {
                stream,
                source_rate: rate,
                packet_samples: None,
                unknown_channels: None,
                ..track.clone()
            });
        Ok((evened, tracks.collect()))
    }

    /// Gives the segments of all files.
    fn cut(
        &self,
        each: &mut dyn FnMut(AudioSegment) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        for (track, found) in self.plan.tracks.iter().enumerate() {
            for rendition in 0..found.renditions.len() {
                let path = self.scratch.join(name(track, rendition));
                self.cut_one(&path, &mut |segment| {
                    each(AudioSegment {
                        track,
                        rendition,
                        segment,
                    })
                })?;
            }
        }
        Ok(())
    }

    /// Makes segments of the blocks in `path`, without those before the kept ones and the encoder's
    /// own first one, which says nothing but what comes before.
    fn cut_one(
        &self,
        path: &Path,
        each: &mut dyn FnMut(Segment) -> Result<(), MediaError>,
    ) -> Result<(), MediaError> {
        let mut blocks = open(path)?;
        let mut next = || {
            let missing = || MediaError::corrupt("the sound ends early");
            blocks.next()?.ok_or_else(missing)
        };
        for _ in self.encoded.start..self.kept.start + 1 {
            next()?;
        }
        for index in self.piece.first_segment..self.piece.first_segment + self.piece.segments {
            let range = self.plan.segment(index);
            let data = range
                .clone()
                .map(|_| next())
                .collect::<Result<Vec<_>, _>>()?;
            let start_ticks = samples(range.start);
            let fragment = Fragment {
                sequence: index + 1,
                decode_time: start_ticks,
                sample_ticks: AUDIO_BLOCK,
                all_sync: true,
                samples: data
                    .iter()
                    .map(|data| FragmentSample {
                        data,
                        shown_after: 0,
                    })
                    .collect(),
            };
            each(Segment {
                index,
                bytes: fragment.write().0,
                start_ticks,
                duration_ticks: samples(data.len() as u64),
                timescale: self.plan.sample_rate,
                frames: data.len() as u32,
                key_frame_bytes: 0,
            })?;
        }
        Ok(())
    }

    fn files(&self) -> Vec<PathBuf> {
        let tracks = self.plan.tracks.iter().enumerate();
        tracks
            .flat_map(|(t, track)| (0..track.renditions.len()).map(move |r| name(t, r)))
            .map(|name| self.scratch.join(name))
            .collect()
    }

    fn clean(&self) {
        for file in self.files() {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_file(self.scratch.join(EVENED));
    }
}

fn samples(block: u64) -> u64 {
    block * u64::from(AUDIO_BLOCK)
}

fn name(track: usize, rendition: usize) -> String {
    format!("sound-{track}-{rendition}.aac")
}

fn open(path: &Path) -> Result<Blocks<BufReader<File>>, MediaError> {
    let file = File::open(path)
        .map_err(|e| MediaError::scratch("what ffmpeg wrote cannot be read", &e))?;
    Ok(Blocks::new(BufReader::new(file)))
}
