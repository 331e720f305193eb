//! Copies with only what a step reads give the same pictures and sound, and one with too little gives none.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mediaflow_media::ErrorKind;
use mediaflow_media::audio::{AudioSegment, encode_piece, piece_reads};
use mediaflow_media::mp4::{Excerpt, Reads, Spans};
use mediaflow_media::video::plan::{Chunk, Plan, PlanSettings, plan};
use mediaflow_media::video::{
    MediaInfo, MediaLimits, SsimRange, chunk_reads, encode_chunk, frames, frames_read,
    inspect_excerpt, poster, poster_reads, prove, sound_reads, storyboard, storyboard_reads,
    verify_chunk,
};

use crate::film::{Studio, look, media_type, numbered, tools};

const SECONDS: u32 = 24;

fn excerpt(path: &Path) -> Excerpt {
    Excerpt::of(&mut File::open(path).unwrap()).expect("it has tables")
}

/// A copy of `path` with these spans alone, and how many bytes were fetched for it.
pub(super) fn fetched(
    studio: &Studio,
    path: &Path,
    excerpt: &Excerpt,
    spans: &[Spans],
) -> (PathBuf, u64) {
    let to = studio.path("excerpt");
    let _ = fs::remove_file(&to);
    let (from, copy) = (File::open(path).unwrap(), File::create_new(&to).unwrap());
    excerpt.begin(&copy).unwrap();
    let mut there = Spans::default();
    for wanted in spans {
        let missing = wanted.without(&there);
        for span in missing.iter() {
            let mut bytes = vec![0; (span.end - span.start) as usize];
            from.read_exact_at(&mut bytes, span.start).unwrap();
            excerpt.write(&copy, span.start, &bytes).unwrap();
        }
        there.add(&missing);
        excerpt.admit(&copy, &there, &missing).unwrap();
    }
    (to, there.bytes())
}

/// A film with sound whose key pictures are two seconds apart.
fn film(studio: &Studio, name: &str, more: &str) -> PathBuf {
    let sound = format!("sine=440:r=48000:d={SECONDS}");
    let args = format!("-c:v libx264 -preset veryfast -g 50 -bf 2 -c:a aac -b:a 96k {more}");
    studio.make(name, &[&numbered("25", SECONDS), &sound], &args)
}

fn planned(info: &MediaInfo) -> Plan {
    let mut settings = PlanSettings {
        segment_seconds: 2,
        pass_through: false,
        ..PlanSettings::default()
    };
    settings.ladder.rungs.truncate(1);
    settings.ladder.rungs[0].height = 90;
    let mut made = plan(info, &settings, tools().version()).unwrap();
    made.chunks = (0..made.segments)
        .map(|first_segment| Chunk {
            first_segment,
            segments: 1,
            rungs: vec![0],
            cost_cpu_seconds: 1,
        })
        .collect();
    made
}

fn sound(studio: &Studio, path: &Path, plan: &Plan, number: usize) -> Vec<AudioSegment> {
    let audio = plan.audio.as_ref().unwrap();
    let mut made = Vec::new();
    let (piece, scratch) = (&audio.pieces[number], studio.scratch());
    encode_piece(&tools(), path, audio, piece, &[], &scratch, &mut |s| {
        made.push(s);
        Ok(())
    })
    .unwrap();
    made
}

/// Chunks and pieces of sound out of copies are those out of `path`, and take at most so many of a hundred of its bytes.
#[track_caller]
fn check(studio: &Studio, path: &Path, most: u64) {
    let (excerpt, info) = (excerpt(path), look(path).unwrap().info);
    let bytes = fs::metadata(path).unwrap().len();
    let plan = planned(&info);
    for number in [0, plan.chunks.len() / 2, plan.chunks.len() - 1] {
        let chunk = &plan.chunks[number];
        let reads = [chunk_reads(&plan, chunk)];
        let (copy, fetched) = fetched(studio, path, &excerpt, &[excerpt.spans(&reads)]);
        assert!(fetched * 100 <= bytes * most, "{fetched} of {bytes} bytes");
        prove(&tools(), &copy, &excerpt, &reads).unwrap();
        let scratch = studio.scratch();
        let made = encode_chunk(&tools(), &copy, &plan, chunk, &scratch).unwrap();
        let whole = encode_chunk(&tools(), path, &plan, chunk, &scratch).unwrap();
        assert!(made == whole, "chunk {number} is another");
        let all = SsimRange::All;
        let quality = verify_chunk(&tools(), &copy, &plan, chunk, &made, all, &scratch).unwrap();
        assert!(quality[0].unwrap().ssim_min > 0.9, "{quality:?}");
    }
    let audio = plan.audio.as_ref().unwrap();
    for number in [0, audio.pieces.len() - 1] {
        let reads = [piece_reads(audio, &audio.pieces[number])];
        let (copy, _) = fetched(studio, path, &excerpt, &[excerpt.spans(&reads)]);
        prove(&tools(), &copy, &excerpt, &reads).unwrap();
        assert!(sound(studio, &copy, &plan, number) == sound(studio, path, &plan, number));
    }
}

/// The same film with all its pictures before all its sound.
fn apart(studio: &Studio, path: &Path) -> PathBuf {
    let file = fs::read(path).unwrap();
    let word = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let found = |name: &[u8]| -> Vec<usize> {
        let places = file.windows(4).enumerate().filter(|(_, w)| *w == name);
        places.map(|(at, _)| at).collect()
    };
    // Of the film, then of the sound: where its offsets are written, and what they are.
    let tables: Vec<Vec<(usize, usize)>> = found(b"stco")
        .into_iter()
        .map(|at| {
            let rows = (0..word(at + 8)).map(|n| at + 12 + n * 4);
            rows.map(|row| (row, word(row))).collect()
        })
        .collect();
    let data = found(b"mdat")[0] + 4;
    let mut starts: Vec<usize> = tables.iter().flatten().map(|(_, start)| *start).collect();
    starts.push(data + word(data - 8) - 8);
    starts.sort_unstable();
    let mut to = file.clone();
    let mut at = data;
    for (row, start) in tables.iter().flatten() {
        let end = starts[starts.partition_point(|s| s <= start)];
        to[at..at + end - start].copy_from_slice(&file[*start..end]);
        to[*row..*row + 4].copy_from_slice(&(at as u32).to_be_bytes());
        at += end - start;
    }
    let path = studio.path("apart.mp4");
    fs::write(&path, to).unwrap();
    path
}

#[test]
fn chunks_out_of_excerpts_are_the_same() {
    let studio = Studio::new();
    // The beginning is always there, and it is a good part of so short a film.
    let end = film(&studio, "end.mov", "");
    check(&studio, &end, 80);
    check(&studio, &apart(&studio, &end), 80);
    let start = film(
        &studio,
        "start.mp4",
        "-movflags +faststart -x264-params open-gop=1",
    );
    check(&studio, &start, 80);
}

#[test]
fn uncompressed_sound_is_found_by_its_chunks() {
    let studio = Studio::new();
    check(&studio, &film(&studio, "raw.mov", "-c:a pcm_s16le"), 80);
}

#[test]
fn pictures_out_of_excerpts_are_the_same() {
    let studio = Studio::new();
    let path = film(&studio, "a.mp4", "");
    let excerpt = excerpt(&path);
    let info = look(&path).unwrap().info;
    let out_of = |reads: &[Reads]| fetched(&studio, &path, &excerpt, &[excerpt.spans(reads)]).0;
    let opened = out_of(&[]);
    let bytes = fs::metadata(&path).unwrap().len();
    let whole = (&mut File::open(&path).unwrap() as &mut _, bytes);
    let limits = MediaLimits::default();
    let seen = inspect_excerpt(&tools(), &opened, whole, media_type(&path), &limits);
    assert_eq!(seen.unwrap().unwrap().info, info);

    let copy = out_of(&poster_reads(&info).unwrap());
    let (one, other) = (
        poster(&tools(), &copy, &info, 320).unwrap(),
        poster(&tools(), &path, &info, 320).unwrap(),
    );
    assert_eq!(one.time_us, other.time_us);
    assert!(one.pixels.data() == other.pixels.data());

    for interval in [2.0, 20.0] {
        let copy = out_of(&storyboard_reads(&info, interval).unwrap());
        let one = storyboard(&tools(), &copy, &info, interval).unwrap();
        let other = storyboard(&tools(), &path, &info, interval).unwrap();
        assert_eq!(one.manifest, other.manifest);
        assert!(one.sheets[0].data() == other.sheets[0].data());
    }

    let seen = |path: &Path| {
        let mut seen = Vec::new();
        let each = &mut |moment: mediaflow_media::video::Moment| {
            seen.push(moment.pixels.data().to_vec());
            Ok(())
        };
        frames(&tools(), path, &info, 5, 160, each).unwrap();
        seen
    };
    assert!(seen(&out_of(&frames_read(&info, 5).unwrap())) == seen(&path));

    let copy = out_of(&[sound_reads(&info)]);
    let heard = |path: &Path| {
        let stream = &info.audio[0];
        mediaflow_media::audio::waveform(&tools(), path, info.container, stream, 500).unwrap()
    };
    assert_eq!(heard(&copy), heard(&path));
}

/// What an excerpt with the first half of a film does when the end is asked of it.
#[test]
fn too_little_is_noticed_and_gives_no_pictures() {
    let studio = Studio::new();
    let path = film(&studio, "a.mp4", "");
    let (excerpt, info) = (excerpt(&path), look(&path).unwrap().info);
    let plan = planned(&info);
    let (first, last) = (&plan.chunks[0], plan.chunks.len() - 2);
    let chunk = &plan.chunks[last];
    let early = excerpt.spans(&[chunk_reads(&plan, first)]);
    let Reads::Pictures { stream, seconds } = chunk_reads(&plan, chunk) else {
        panic!("chunks have pictures");
    };
    // Its beginning, and not its end.
    let short = Reads::Pictures {
        stream,
        seconds: seconds.start - 2.0..seconds.start - 1.5,
    };
    for spans in [
        vec![early.clone()],
        vec![early.clone(), excerpt.spans(&[short])],
    ] {
        let (copy, _) = fetched(&studio, &path, &excerpt, &spans);
        let asked = [chunk_reads(&plan, chunk)];
        let proof = prove(&tools(), &copy, &excerpt, &asked).unwrap_err();
        assert_eq!(proof.kind, ErrorKind::Transient, "{proof}");
        assert!(proof.message.contains("too little"), "{proof}");
        let made = encode_chunk(&tools(), &copy, &plan, chunk, &studio.scratch());
        assert_eq!(made.unwrap_err().code, "input.corrupt");
    }
    // Sound that is missing would be silence, which is why it is proven before.
    let audio = plan.audio.as_ref().unwrap();
    let piece = audio.pieces.last().unwrap();
    let (copy, _) = fetched(&studio, &path, &excerpt, std::slice::from_ref(&early));
    let proof = prove(&tools(), &copy, &excerpt, &[piece_reads(audio, piece)]);
    assert_eq!(proof.unwrap_err().kind, ErrorKind::Transient);
    // Once it is there all is well.
    let late = excerpt.spans(&[chunk_reads(&plan, chunk)]);
    let (copy, _) = fetched(&studio, &path, &excerpt, &[early, late]);
    prove(&tools(), &copy, &excerpt, &[chunk_reads(&plan, chunk)]).unwrap();
}

#[test]
fn fragments_and_other_files_have_no_excerpts() {
    let studio = Studio::new();
    let args = "-c:v libx264 -preset ultrafast";
    let fragmented = format!("{args} -movflags +frag_keyframe+empty_moov");
    for (name, args) in [("a.mp4", &*fragmented), ("a.ts", args), ("a.mkv", args)] {
        let path = studio.film(name, "25", 2, args);
        assert!(Excerpt::of(&mut File::open(path).unwrap()).is_none());
    }
}
