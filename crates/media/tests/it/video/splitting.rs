//! Films that are copied while they are read once: every picture and its time, what inspection says, and what happens when
//! something is wrong.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use mediaflow_media::mp4::Excerpt;
use mediaflow_media::video::plan::{Chunk, PlanSettings, plan};
use mediaflow_media::video::{
    Container, HEAD_BYTES, MediaInfo, MediaLimits, Split, SplitError, Streamed, chunk_reads,
    encode_chunk, is_fragmented, is_streamable, prove, split,
};

use super::excerpts::fetched;
use crate::film::{Studio, look, media_type, numbered, numbers, tools};

const SECONDS: u32 = 5;

/// Reads `path` in pieces of an odd size and makes one file of what came.
fn whole(studio: &Studio, path: &Path) -> Result<(Split, PathBuf), SplitError<&'static str>> {
    let bytes = fs::read(path).unwrap();
    let mut samples = Vec::new();
    let made = fed(studio, path, &bytes, &mut |piece| {
        samples.extend_from_slice(piece);
        Ok(())
    })?;
    let to = studio.path("split.mp4");
    fs::write(&to, [made.index.clone(), samples].concat()).unwrap();
    Ok((made, to))
}

fn fed(
    studio: &Studio,
    path: &Path,
    bytes: &[u8],
    keep: &mut (dyn FnMut(&[u8]) -> Result<(), &'static str> + Send),
) -> Result<Split, SplitError<&'static str>> {
    let film = Streamed {
        media_type: media_type(path),
        bytes: bytes.len() as u64,
        head: &bytes[..bytes.len().min(HEAD_BYTES as usize)],
    };
    let feed = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
        let mut pieces = bytes.chunks(10_007);
        pieces.try_for_each(take).map_err(|_| "nobody reads")
    };
    let limits = MediaLimits::default();
    split(&tools(), &film, &limits, &studio.scratch(), feed, keep)
}

/// What a stream cannot know, and where packets lie in a file, left out.
fn comparable(mut info: MediaInfo) -> MediaInfo {
    info.declared_duration_us = None;
    info.ends_early = false;
    info
}

/// How much later the sound begins than the film, in seconds.
fn offset(info: &MediaInfo) -> f64 {
    let (film, sound) = (&info.video[0], &info.audio[0]);
    sound.timeline.first_pts as f64 * sound.time_base.as_f64()
        - film.timeline.first_pts as f64 * film.time_base.as_f64()
}

/// The copy of `path` shows what it shows, also to who fetches only a part of it.
#[track_caller]
fn check(studio: &Studio, path: &Path) {
    let name = path.display();
    let (made, copy) = whole(studio, path).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    let info = look(path).unwrap().info;
    assert_eq!(
        comparable(made.inspection.info.clone()),
        comparable(info.clone()),
        "{name}"
    );
    let pictures: Vec<u32> = (0..25 * SECONDS).collect();
    assert_eq!(numbers(&copy), pictures, "{name}");
    let again = look(&copy).unwrap().info;
    assert_eq!(again.container, Container::Mov);
    assert_eq!(
        again.video[0].timeline, made.indexed.video[0].timeline,
        "{name}"
    );
    assert_eq!(
        again.audio[0].timeline, made.indexed.audio[0].timeline,
        "{name}"
    );
    assert_eq!(made.indexed.video[0].color, info.video[0].color);
    let moved = offset(&made.indexed) - offset(&info);
    // An AVI does not say when pictures are shown that are not in their order, and whoever reads one can only guess.
    let most = match info.container {
        Container::Avi => 0.05,
        _ => 0.002,
    };
    assert!(moved.abs() < most, "{name}: the sound has moved by {moved}");

    let settings = PlanSettings {
        segment_seconds: 1,
        pass_through: false,
        ..PlanSettings::default()
    };
    let mut plan = plan(&made.indexed, &settings, tools().version()).unwrap();
    plan.rungs.truncate(1);
    let excerpt = Excerpt::of(&mut File::open(&copy).unwrap()).unwrap();
    for first_segment in [0, 2, 4] {
        let chunk = Chunk {
            first_segment,
            segments: 1,
            rungs: vec![0],
            cost_cpu_seconds: 1,
        };
        let reads = [chunk_reads(&plan, &chunk)];
        let (part, _) = fetched(studio, &copy, &excerpt, &[excerpt.spans(&reads)]);
        prove(&tools(), &part, &excerpt, &reads).unwrap();
        let made = encode_chunk(&tools(), &part, &plan, &chunk, &studio.scratch()).unwrap();
        let file = studio.path("chunk.mp4");
        let segment = &made[0].segments[0];
        fs::write(&file, [&made[0].init[..], &segment.bytes].concat()).unwrap();
        let shown: Vec<u32> = (first_segment * 25..(first_segment + 1) * 25).collect();
        assert_eq!(numbers(&file), shown, "{name}, segment {first_segment}");
    }
}

fn film(studio: &Studio, name: &str, args: &str) -> PathBuf {
    let sound = format!("sine=440:r=48000:d={SECONDS}");
    studio.make(name, &[&numbered("25", SECONDS), &sound], args)
}

#[test]
fn transport_and_program_streams_keep_every_picture() {
    let studio = Studio::new();
    // With open groups a seek in the stream itself was 22 pictures off.
    let open = "-c:v libx264 -bf 3 -g 60 -x264-params open-gop=1 -c:a aac";
    check(&studio, &film(&studio, "a.ts", open));
    let broadcast = "-c:v mpeg2video -bf 2 -g 18 -c:a mp2";
    check(&studio, &film(&studio, "b.ts", broadcast));
    check(&studio, &film(&studio, "a.mpg", broadcast));
}

#[test]
fn old_containers_keep_every_picture() {
    let studio = Studio::new();
    check(
        &studio,
        &film(&studio, "a.avi", "-c:v mpeg4 -bf 2 -g 50 -c:a mp3"),
    );
    check(
        &studio,
        &film(
            &studio,
            "b.avi",
            "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le",
        ),
    );
    check(
        &studio,
        &film(&studio, "a.flv", "-c:v libx264 -bf 2 -g 50 -c:a aac"),
    );
}

#[test]
fn fragments_and_matroska_keep_every_picture() {
    let studio = Studio::new();
    let args = "-c:v libx264 -bf 3 -g 50 -c:a aac -movflags frag_keyframe+empty_moov";
    let path = film(&studio, "a.mp4", args);
    assert!(is_fragmented(&mut File::open(&path).unwrap()));
    assert!(Excerpt::of(&mut File::open(&path).unwrap()).is_none());
    check(&studio, &path);
    check(
        &studio,
        &film(&studio, "a.mkv", "-c:v libx264 -bf 2 -g 50 -c:a pcm_s16le"),
    );
    let args = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus";
    check(&studio, &film(&studio, "a.webm", args));
    let args = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50 -c:a ac3";
    check(&studio, &film(&studio, "b.mkv", args));
    let args = "-c:v libtheora -q:v 10 -g 50 -c:a libvorbis";
    check(&studio, &film(&studio, "a.ogv", args));
}

#[test]
fn what_cannot_be_copied_is_said_so() {
    let studio = Studio::new();
    let vp8 = film(
        &studio,
        "a.webm",
        "-c:v libvpx -deadline realtime -c:a libvorbis",
    );
    let error = whole(&studio, &vp8).unwrap_err();
    assert!(
        matches!(&error, SplitError::Unfit(why) if why.contains("vp8")),
        "{error:?}"
    );

    let path = film(&studio, "a.ts", "-c:v libx264 -g 50 -c:a aac");
    let head = fs::read(&path).unwrap()[..2000].to_vec();
    let broken = studio.path("broken.ts");
    fs::write(&broken, [head, vec![0x5a; 300_000]].concat()).unwrap();
    let error = whole(&studio, &broken).unwrap_err();
    assert!(matches!(error, SplitError::Unfit(_)), "{error:?}");
    assert!(is_streamable(Container::MpegTs) && !is_streamable(Container::Mov));
}

#[test]
fn a_limit_ends_it_and_so_does_who_feeds_or_keeps() {
    let studio = Studio::new();
    let path = film(&studio, "a.ts", "-c:v libx264 -g 50 -c:a aac");
    let bytes = fs::read(&path).unwrap();
    let refused = fed(&studio, &path, &bytes, &mut |_| Err("no room"));
    assert!(matches!(refused, Err(SplitError::Outside("no room"))));

    let film = Streamed {
        media_type: "video/mp2t",
        bytes: bytes.len() as u64,
        head: &bytes,
    };
    let lost = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
        take(&bytes[..bytes.len() / 2]).unwrap();
        Err("the store is away")
    };
    let limits = MediaLimits::default();
    let made = split(
        &tools(),
        &film,
        &limits,
        &studio.scratch(),
        lost,
        &mut |_| Ok(()),
    );
    assert!(matches!(
        made,
        Err(SplitError::Outside("the store is away"))
    ));

    let short = MediaLimits {
        duration_seconds_max: 3,
        ..limits
    };
    let all = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| take(&bytes).map_err(|_| "closed");
    let made = split(&tools(), &film, &short, &studio.scratch(), all, &mut |_| {
        Ok(())
    });
    let Err(SplitError::Media(error)) = made else {
        panic!("a film that is too long was copied");
    };
    assert_eq!(error.code, "limit.duration");
}
