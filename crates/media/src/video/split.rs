//! Makes an indexed film of one that has no index, while it is read once from its beginning to its end: its packets as they are,
//! as the samples of an ordinary MP4 file whose index is made when the last has come. Neither the film nor the copy is ever
//! in one place here.
//!
//! Knows neither where the film comes from nor where its samples go.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Seek, SeekFrom, Write as _, pipe};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::document::{Document, Stream};
use super::inspect::{count, describe, facts};
use super::{Container, Ffmpeg, FfmpegLimits, Inspection, MediaInfo, MediaLimits, inspect_excerpt};
use crate::ffmpeg::Input;
use crate::mp4::{Excerpt, Gatherer};
use crate::sniff::Bytes;
use crate::{ErrorKind, MediaError};

/// As many of a film's first bytes describe it: ffprobe looks at five million.
pub const HEAD_BYTES: u64 = 8 << 20;
/// Samples from the first on that are kept beside what is passed on: what is read when the copy is opened.
const OPENING_BYTES: u64 = 64 << 20;
/// Whoever is fed may have to wait: for the other one, for the film, or for its samples to be taken.
const STARVED: Duration = Duration::from_secs(600);
/// What copying may hold: some seconds of all streams, and a large margin.
const MEMORY_BYTES: u64 = 2 << 30;
/// Of ffmpeg's output, at once.
const PIECE_BYTES: usize = 256 << 10;
/// What the copy is, as sniffing names it.
const MEDIA_TYPE: &str = "video/mp4";
/// The plain name of the part of the copy that is looked at.
const OPENING: &str = "opening";

/// What was made of a film beside its samples.
#[derive(Debug)]
pub struct Split {
    /// Of the film as it was uploaded.
    pub inspection: Inspection,
    /// Of the copy.
    pub indexed: MediaInfo,
    /// What goes before the samples: with them behind it, it is an ordinary MP4 file.
    pub index: Vec<u8>,
}

/// Why there is no copy.
#[derive(Debug)]
pub enum SplitError<E> {
    /// What reading the film, or taking its samples, said.
    Outside(E),
    /// The film is not what it should be, or ffmpeg was stopped.
    Media(MediaError),
    /// It cannot be copied while it is read, for this reason. As a whole file it may be good.
    Unfit(String),
}

/// A film that nobody has as a file.
#[derive(Debug)]
pub struct Streamed<'a> {
    /// Found by our sniffing.
    pub media_type: &'a str,
    /// Length.
    pub bytes: u64,
    /// Its first [`HEAD_BYTES`], or all of them.
    pub head: &'a [u8],
}

/// Whether films in this container can be read from their beginning to their end, each part once.
pub fn is_streamable(container: Container) -> bool {
    matches!(
        container,
        Container::Matroska
            | Container::MpegTs
            | Container::MpegPs
            | Container::Avi
            | Container::Flv
            | Container::Ogg
            | Container::Asf
    )
}

/// Whether an MP4 file has its samples in fragments behind its index, so that it can be read so as well.
pub fn is_fragmented(file: &mut dyn Bytes) -> bool {
    crate::mp4::is_fragmented(file)
}

/// Looks at `film` as [`super::inspect()`] does and copies it. `feed` reads it, once, and hands each part on in its order;
/// `keep` takes the copy's samples as they come, on another thread. Files are made in `scratch`, none of them larger than
/// the first few seconds.
///
/// # Errors
/// Those of [`super::inspect()`], of `feed` and `keep`; [`SplitError::Unfit`].
pub fn split<E: Send>(
    ffmpeg: &Ffmpeg,
    film: &Streamed<'_>,
    limits: &MediaLimits,
    scratch: &Path,
    feed: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), E>,
    keep: &mut (dyn FnMut(&[u8]) -> Result<(), E> + Send),
) -> Result<Split, SplitError<E>> {
    let ffmpeg = patient(ffmpeg);
    let container = Container::of_media_type(film.media_type);
    let container = container.ok_or_else(|| unfit("its container is not taken"))?;
    let ffprobe = described(&ffmpeg, film, container)?;
    let document: Document = serde_json::from_value(ffprobe.clone())
        .map_err(|e| unfit(&format!("no sense in it: {e}")))?;
    limits
        .check_streams(document.streams.len())
        .map_err(SplitError::Media)?;
    for stream in document.streams.iter().filter(|s| s.is("video")) {
        let checked = limits.check_pixels(stream.width, stream.height);
        checked.map_err(SplitError::Media)?;
    }
    let args = arguments(&document.streams)?;

    let mut opening = Opening::new(&scratch.join(OPENING)).map_err(SplitError::Media)?;
    let (counted_from, to_counter) = piped().map_err(SplitError::Media)?;
    let (copied_from, to_copier) = piped().map_err(SplitError::Media)?;
    let failed = AtomicBool::new(false);
    let mut refused = None;
    let (fed, packets, gathered) = std::thread::scope(|threads| {
        let counter = threads.spawn(|| {
            let input = Input::fed(counted_from, container);
            let counted = count(&ffmpeg, &input, limits, &document.streams);
            failed.fetch_or(counted.is_err(), Ordering::Relaxed);
            counted
        });
        let copier = threads.spawn(|| {
            // Some of these containers say when a picture is decoded and not when it is shown.
            let input = Input::fed(copied_from, container).option("-fflags", "+genpts");
            let mut take = |bytes: &[u8]| {
                opening.keep(bytes)?;
                keep(bytes).map_err(|e| {
                    refused = Some(e);
                    MediaError::encoder("its samples were not taken")
                })
            };
            let copied = ffmpeg.stream(&[input], &args, None, |output| {
                let mut gatherer = Gatherer::default();
                let mut buffer = vec![0; PIECE_BYTES];
                loop {
                    match output.read(&mut buffer)? {
                        0 => return Ok(gatherer),
                        n => gatherer.push(&buffer[..n], &mut take)?,
                    }
                }
            });
            failed.fetch_or(copied.is_err(), Ordering::Relaxed);
            copied
        });
        let mut readers = [Some(to_counter), Some(to_copier)];
        let fed = feed(&mut |bytes| {
            if failed.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            readers.iter_mut().for_each(|reader| hand_on(reader, bytes));
            Ok(())
        });
        drop(readers);
        (fed, joined(counter.join()), joined(copier.join()))
    });
    if let Some(error) = refused {
        return Err(SplitError::Outside(error));
    }
    // When one of the two gave up, reading was ended for that.
    if !failed.load(Ordering::Relaxed) {
        fed.map_err(SplitError::Outside)?;
    }
    let gatherer = match gathered {
        Ok((_, gatherer)) => gatherer,
        // Of the other's mistakes it says more than that reading was ended.
        Err(_) if packets.is_err() => Gatherer::default(),
        Err(error) => return Err(of_reading(error)),
    };
    let packets = packets.map_err(of_reading)?;
    let mut info = facts(container, film.bytes, &document, packets).map_err(of_reading)?;
    limits.check(&info).map_err(SplitError::Media)?;
    let index = gatherer.index().map_err(of_reading)?;
    let index = index.ok_or_else(|| unfit("not one packet was copied"))?;
    let indexed = opening.inspected(&ffmpeg, &index, gatherer.data_bytes(), limits, scratch)?;
    let indexed = told(indexed, &mut info)?;
    Ok(Split {
        inspection: Inspection { info, ffprobe },
        indexed,
        index,
    })
}

fn unfit<E>(reason: &str) -> SplitError<E> {
    SplitError::Unfit(reason.to_owned())
}

/// What is wrong with a film that was read as a stream may be right with it as a file. Limits stay limits.
fn of_reading<E>(error: MediaError) -> SplitError<E> {
    match error.kind {
        ErrorKind::Permanent if !error.code.starts_with("limit.") => {
            SplitError::Unfit(error.message)
        }
        ErrorKind::Permanent if matches!(error.code, "limit.memory" | "limit.output") => {
            SplitError::Unfit(error.message)
        }
        _ => SplitError::Media(error),
    }
}

fn joined<T>(ended: std::thread::Result<T>) -> T {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn piped() -> Result<(io::PipeReader, PipeWriter), MediaError> {
    pipe().map_err(|e| internal(&e))
}

fn internal(error: &io::Error) -> MediaError {
    MediaError::scratch("a stream could not be passed on", error)
}

/// Whoever has seen enough closes its end, and gets no more.
fn hand_on(reader: &mut Option<PipeWriter>, bytes: &[u8]) {
    if let Some(pipe) = reader
        && pipe.write_all(bytes).is_err()
    {
        *reader = None;
    }
}

fn patient(ffmpeg: &Ffmpeg) -> Ffmpeg {
    let limits = *ffmpeg.limits();
    ffmpeg.clone().with_limits(FfmpegLimits {
        stall: limits.stall.max(STARVED),
        memory_bytes: limits.memory_bytes.min(MEMORY_BYTES),
        ..limits
    })
}

fn described<E>(
    ffmpeg: &Ffmpeg,
    film: &Streamed<'_>,
    container: Container,
) -> Result<serde_json::Value, SplitError<E>> {
    let (from, to) = piped().map_err(SplitError::Media)?;
    let described = std::thread::scope(|threads| {
        threads.spawn(|| hand_on(&mut Some(to), film.head));
        describe(ffmpeg, &Input::fed(from, container), film.bytes)
    });
    described.map_err(of_reading)
}

/// Codecs that ffmpeg writes into a MOV and reads again as they were, and those of MP4. Neither has all of the other's.
const MOV: [&[&str]; 2] = [
    &[
        "h264",
        "hevc",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "theora",
    ],
    &[
        "aac",
        "mp2",
        "mp3",
        "ac3",
        "alac",
        "vorbis",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
    ],
];
const MP4: [&[&str]; 2] = [
    &["h264", "hevc", "mpeg4", "mpeg2video", "vp9", "av1"],
    &[
        "aac", "mp3", "ac3", "eac3", "opus", "flac", "vorbis", "alac",
    ],
];

/// How the first film and all sound are copied.
fn arguments<E>(streams: &[Stream]) -> Result<Vec<OsString>, SplitError<E>> {
    let film = streams.iter().find(|s| s.is("video") && !s.is_picture());
    let film = film.ok_or_else(|| unfit("there is no film in it"))?.codec();
    let sound: Vec<String> = streams
        .iter()
        .filter(|s| s.is("audio"))
        .map(Stream::codec)
        .collect();
    let holds = |[films, sounds]: &[&[&str]; 2]| {
        films.contains(&&*film) && sound.iter().all(|codec| sounds.contains(&&**codec))
    };
    let muxer = match (holds(&MOV), holds(&MP4)) {
        (true, _) => "mov",
        (false, true) => "mp4",
        (false, false) => {
            let reason = format!("no MP4 file holds {film} with {}", sound.join(", "));
            return Err(SplitError::Unfit(reason));
        }
    };
    let mut args: Vec<OsString> = ["-map", "0:V:0", "-map", "0:a?", "-c", "copy"]
        .map(OsString::from)
        .to_vec();
    for (number, _) in sound
        .iter()
        .enumerate()
        .filter(|(_, codec)| **codec == "aac")
    {
        // Frames that carry their own headers lose them; others have none.
        args.push(format!("-bsf:a:{number}").into());
        args.push("aac_adtstoasc".into());
    }
    args.extend(
        [
            // Of what edits count by: when a track begins is told by them.
            "-movie_timescale",
            "1000000",
            "-movflags",
            "+empty_moov+default_base_moof+delay_moov",
            // Most of a fragment is held until it is whole.
            "-frag_duration",
            "1000000",
            "-f",
            muxer,
            "pipe:1",
        ]
        .map(OsString::from),
    );
    Ok(args)
}

/// The copy's first samples, as they are needed to look at it.
struct Opening {
    file: File,
    bytes: u64,
}

impl Opening {
    fn new(path: &Path) -> Result<Self, MediaError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        Ok(Self {
            file: file.map_err(|e| internal(&e))?,
            bytes: 0,
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        let left = OPENING_BYTES.saturating_sub(self.bytes);
        let kept = &bytes[..bytes.len().min(left as usize)];
        let written = self.file.write_all_at(kept, self.bytes);
        written.map_err(|e| internal(&e))?;
        self.bytes += kept.len() as u64;
        Ok(())
    }

    /// What [`inspect_excerpt`] says of the copy with this index.
    fn inspected<E>(
        &self,
        ffmpeg: &Ffmpeg,
        index: &[u8],
        data_bytes: u64,
        limits: &MediaLimits,
        scratch: &Path,
    ) -> Result<MediaInfo, SplitError<E>> {
        let mut front = Front {
            index,
            bytes: index.len() as u64 + data_bytes,
            at: 0,
        };
        let excerpt = Excerpt::of(&mut front).ok_or_else(|| unfit("its copy has no tables"))?;
        let spans = excerpt.spans(&[]);
        let path = scratch.join("excerpt");
        let copied = File::create(&path).and_then(|file| {
            excerpt.begin(&file)?;
            for span in spans.iter() {
                let mut bytes = vec![0; (span.end - span.start) as usize];
                let at = span.start.checked_sub(index.len() as u64);
                let at = at.ok_or(io::ErrorKind::UnexpectedEof)?;
                self.file.read_exact_at(&mut bytes, at)?;
                excerpt.write(&file, span.start, &bytes)?;
            }
            excerpt.admit(&file, &spans, &spans)
        });
        match copied {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(unfit("its streams begin far from each other"));
            }
            copied => copied.map_err(|e| SplitError::Media(internal(&e)))?,
        }
        let whole = (
            &mut front as &mut dyn Bytes,
            index.len() as u64 + data_bytes,
        );
        let found =
            inspect_excerpt(ffmpeg, &path, whole, MEDIA_TYPE, limits).map_err(of_reading)?;
        let found = found.ok_or_else(|| unfit("its copy's tables do not tell everything"))?;
        Ok(found.info)
    }
}

/// A file of which only the beginning is there.
struct Front<'a> {
    index: &'a [u8],
    bytes: u64,
    at: u64,
}

impl Read for Front<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        let mut left = self.index.get(at..).unwrap_or_default();
        let read = left.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Front<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What the copy does not know any more, or says in other words: all but where its packets are and when they are shown.
fn told<E>(mut copy: MediaInfo, film: &mut MediaInfo) -> Result<MediaInfo, SplitError<E>> {
    let counts = |info: &MediaInfo| (info.video.len().min(1), info.audio.len());
    if counts(&copy) != counts(film) {
        return Err(unfit("its copy has other streams"));
    }
    for (copied, stream) in copy.video.iter_mut().zip(&mut film.video) {
        // Only pictures may tell it, and those of the copy were looked at.
        stream.interlaced |= copied.interlaced;
        *copied = super::VideoStream {
            index: copied.index,
            time_base: copied.time_base,
            timeline: copied.timeline.clone(),
            frame_rate: copied.frame_rate,
            bit_rate: copied.bit_rate,
            ..stream.clone()
        };
    }
    for (copied, stream) in copy.audio.iter_mut().zip(&film.audio) {
        *copied = super::AudioStream {
            index: copied.index,
            time_base: copied.time_base,
            timeline: copied.timeline.clone(),
            bit_rate: copied.bit_rate,
            ..stream.clone()
        };
    }
    Ok(copy)
}
