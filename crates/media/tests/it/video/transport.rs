//! MPEG-TS beside the CMAF that it is made of, read by ffmpeg and packet by packet.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use mediaflow_media::audio::{encode_piece, init_segment};
use mediaflow_media::ts::{self, from_cmaf};
use mediaflow_media::video::plan::{Packaging, Plan, PlanSettings, plan};
use mediaflow_media::video::{encode_chunk, verify_listed, verify_stream};
use mediaflow_playlist::hls::mpeg_ts;

use crate::film::{Studio, look, tools};

/// One stream in both forms: the initialisation segment, and each segment with its transport stream.
struct Stream {
    init: Vec<u8>,
    segments: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Stream {
    fn write(&self, folder: &Path, name: &str) {
        let mut cmaf = self.init.clone();
        let mut wrapped = Vec::new();
        for (plain, its) in &self.segments {
            cmaf.extend_from_slice(plain);
            wrapped.extend_from_slice(its);
        }
        std::fs::write(folder.join(format!("{name}.mp4")), cmaf).unwrap();
        std::fs::write(folder.join(format!("{name}.ts")), wrapped).unwrap();
    }
}

fn planned(path: &Path) -> Plan {
    let settings = PlanSettings {
        segment_seconds: 2,
        packaging: Packaging::MpegTs,
        ..PlanSettings::default()
    };
    plan(&look(path).unwrap().info, &settings, tools().version()).unwrap()
}

fn pictures(studio: &Studio, path: &Path, plan: &Plan) -> Stream {
    let chunks = plan.chunks.iter();
    let made: Vec<_> = chunks
        .flat_map(|chunk| encode_chunk(&tools(), path, plan, chunk, &studio.scratch()).unwrap())
        .filter(|made| made.rung == 0)
        .collect();
    let init = made[0].init.clone();
    let segments = made.into_iter().flat_map(|made| made.segments);
    let wrapped = segments.map(|s| {
        let wrapped = from_cmaf(&init, &s.bytes).unwrap();
        assert!(wrapped.key_frame_bytes.is_multiple_of(188));
        assert!(wrapped.key_frame_bytes > ts::TABLES_BYTES as usize);
        (s.bytes, wrapped.bytes)
    });
    Stream {
        segments: wrapped.collect(),
        init,
    }
}

fn sound(studio: &Studio, path: &Path, plan: &Plan) -> Stream {
    let audio = plan.audio.as_ref().unwrap();
    let init = init_segment(audio, 0, 0).unwrap();
    let mut segments = Vec::new();
    for piece in &audio.pieces {
        encode_piece(
            &tools(),
            path,
            audio,
            piece,
            &[],
            &studio.scratch(),
            &mut |made| {
                if (made.track, made.rendition) == (0, 0) {
                    let wrapped = from_cmaf(&init, &made.segment.bytes)?;
                    segments.push((made.segment.bytes, wrapped.bytes));
                }
                Ok(())
            },
        )
        .unwrap();
    }
    Stream { init, segments }
}

/// What a program prints; it may not complain of anything.
fn printed(program: &str, args: &[&str], path: &Path) -> Vec<String> {
    let mut command = Command::new(program);
    command.args(["-v", "warning"]);
    let before = args.iter().position(|a| *a == "-i").unwrap_or(args.len());
    command.args(&args[..before]).arg("-i").arg(path);
    command.args(args.get(before + 1..).unwrap_or_default());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{}: {said}", path.display());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The digest of each decoded picture or block.
fn decoded(path: &Path) -> Vec<String> {
    let args = ["-i", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let lines = printed("ffmpeg", &args, path).into_iter();
    lines
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// Time and, where it has one, decoding time of each packet, in the file's ticks.
fn packets(path: &Path) -> Vec<(i64, i64)> {
    let args = ["-of", "csv=p=0", "-show_entries", "packet=pts,dts"];
    let lines = printed("ffprobe", &args, path).into_iter();
    let number = |text: &str| text.parse::<i64>().unwrap();
    lines
        .filter(|l| !l.is_empty())
        .map(|l| {
            let mut fields = l.trim_end_matches(',').split(',');
            (
                number(fields.next().unwrap()),
                number(fields.next().unwrap()),
            )
        })
        .collect()
}

/// Holds every transport packet against ISO/IEC 13818-1; returns the clocks.
fn checked(bytes: &[u8]) -> Vec<u64> {
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    let mut clocks = Vec::new();
    for packet in bytes.chunks(188) {
        assert_eq!((packet.len(), packet[0]), (188, 0x47));
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (control, counter) = (packet[3] >> 4 & 3, packet[3] & 15);
        let last = counters.insert(pid, counter);
        let step = u8::from(control & 1 == 1);
        if let Some(last) = last {
            assert_eq!(counter, (last + step) & 15, "of {pid:#x}");
        }
        if control & 2 == 2 && packet[4] > 0 && packet[5] & 0x10 != 0 {
            let base = packet[6..10].iter().fold(0, |n, b| n << 8 | u64::from(*b));
            clocks.push(base << 1 | u64::from(packet[10] >> 7));
        }
    }
    clocks
}

/// No clock may be more than a tenth of a second from the one before.
fn ticks(bytes: &[u8]) {
    let clocks = checked(bytes);
    for pair in clocks.windows(2) {
        let step = pair[1].wrapping_sub(pair[0]) & ((1 << 33) - 1);
        assert!((1..=9_000).contains(&step), "{pair:?}");
    }
}

#[test]
fn transport_streams_show_what_cmaf_shows_at_the_same_times() {
    let studio = Studio::new();
    let sine = "sine=f=440:r=44100:d=5";
    let source = "testsrc2=s=320x180:r=24000/1001:d=5";
    let path = studio.make("a.mp4", &[source, sine], "-c:v libx264 -bf 2 -c:a aac");
    let plan = planned(&path);
    let folder = studio.path("out");
    std::fs::create_dir(&folder).unwrap();
    let grid = &plan.grid;
    let rate = plan.audio.as_ref().unwrap().sample_rate;
    assert_eq!(rate, 44_100);
    for (name, stream, timescale) in [
        ("film", pictures(&studio, &path, &plan), grid.timescale),
        ("sound", sound(&studio, &path, &plan), rate),
    ] {
        assert_eq!(stream.segments.len(), 3);
        stream.write(&folder, name);
        let (cmaf, wrapped) = (
            folder.join(format!("{name}.mp4")),
            folder.join(format!("{name}.ts")),
        );
        assert_eq!(decoded(&cmaf), decoded(&wrapped), "{name}");
        ticks(&std::fs::read(&wrapped).unwrap());
        let due = packets(&cmaf).into_iter();
        let due = due.map(|(shown, decoded)| {
            let time = |ticks| ts::time(ticks, timescale) as i64;
            (time(shown), time(decoded))
        });
        for (n, (due, found)) in due.zip(packets(&wrapped)).enumerate() {
            // Within an elementary packet of sound readers add up the lengths of blocks.
            let off = (found.0 - due.0).abs().max((found.1 - due.1).abs());
            assert!(off <= i64::from(name == "sound"), "{name} {n}: {found:?}");
        }
        // Each segment can be played by itself.
        for (n, (_, wrapped)) in stream.segments.iter().enumerate() {
            let alone = studio.path(&format!("{name}-{n}.ts"));
            std::fs::write(&alone, wrapped).unwrap();
            assert!(!decoded(&alone).is_empty());
        }
    }
    let film = folder.join("film.ts");
    verify_stream(&tools(), &film, &plan, 0, 0..grid.total).unwrap();
    let whole = std::fs::read(&film).unwrap();
    verify_listed(&plan, 0, 0..3, &whole).unwrap();
    let shorter = verify_listed(&plan, 0, 0..2, &whole);
    assert_eq!(shorter.unwrap_err().code, "encoder.failed");
    let late = verify_stream(&tools(), &film, &plan, 0, 1..grid.total);
    assert_eq!(late.unwrap_err().code, "encoder.failed");
}

#[test]
fn rare_pictures_have_clocks_between_them() {
    let studio = Studio::new();
    let path = studio.make(
        "a.mp4",
        &["testsrc2=s=320x180:r=1:d=6"],
        "-c:v libx264 -bf 0",
    );
    let plan = planned(&path);
    let stream = pictures(&studio, &path, &plan);
    let whole: Vec<u8> = stream.segments.into_iter().flat_map(|s| s.1).collect();
    ticks(&whole);
}

#[test]
fn times_begin_anew_after_33_bits() {
    assert_eq!(ts::time(0, 30), ts::OFFSET);
    assert_eq!(mpeg_ts::START, ts::OFFSET);
    assert_eq!(mpeg_ts::TABLES_BYTES, ts::TABLES_BYTES);
    assert_eq!(ts::time(1001, 24_000), ts::OFFSET + 3754);
    assert_eq!(ts::time(4 * 1001, 24_000), ts::OFFSET + 15_015);
    let round = ((1_i64 << 33) - ts::OFFSET as i64) / 3000;
    assert!(ts::time(round, 30) > 1 << 32);
    assert!(ts::time(round + 1, 30) < 3000);
    assert_eq!(ts::time(-2, 30), ts::OFFSET - 6000);
}

#[test]
fn what_is_no_segment_is_refused() {
    for (init, segment) in [(&b""[..], &b""[..]), (b"\0\0\0\x08moov", b"\0\0\0\x08moof")] {
        assert_eq!(from_cmaf(init, segment).unwrap_err().code, "encoder.failed");
    }
}
