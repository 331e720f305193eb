//! A run that stands still is ended soon; one that works and says nothing is not.

use std::path::Path;
use std::time::{Duration, Instant};

use mediaflow_media::video::plan::{Chunk, Plan, PlanSettings, plan};
use mediaflow_media::video::{FfmpegLimits, encode_chunk};
use rustix::process::{Pid, Signal, kill_process};

use crate::film::{Studio, look, tools};

fn planned(path: &Path, preset: &str) -> Plan {
    let settings = PlanSettings {
        preset: preset.into(),
        ..PlanSettings::default()
    };
    plan(&look(path).unwrap().info, &settings, tools().version()).unwrap()
}

/// The process of ours that reads `path`.
fn reader(path: &Path) -> Pid {
    let began = Instant::now();
    loop {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let children = tasks
            .filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("children")).ok())
            .collect::<String>();
        let reads = |pid: &&str| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("filter_complex") && line.contains(path.to_str().unwrap())
        };
        if let Some(pid) = children.split_whitespace().find(reads) {
            return Pid::from_raw(pid.parse().unwrap()).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nobody reads it");
        std::thread::yield_now();
    }
}

/// Encodes the whole film while `signal` is sent to the process that does it.
fn signalled(signal: Signal) -> (&'static str, String, Duration) {
    let studio = Studio::new();
    let args = "-c:v libx264 -preset ultrafast -threads 2";
    let path = studio.make("a.mp4", &["testsrc2=s=1280x720:r=60:d=10"], args);
    let mut plan = planned(&path, "veryslow");
    plan.chunks[0].segments = plan.segments;
    let limits = FfmpegLimits {
        stall: Duration::from_secs(2),
        ..FfmpegLimits::default()
    };
    let ffmpeg = tools().with_limits(limits);
    let scratch = studio.scratch();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| encode_chunk(&ffmpeg, &path, &plan, &plan.chunks[0], &scratch));
        let pid = reader(&path);
        let sent = Instant::now();
        kill_process(pid, signal).unwrap();
        let error = run.join().unwrap().expect_err("it was hindered");
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
        let gone = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        assert!(gone.is_err(), "nothing of it is left");
        (error.code, error.message, sent.elapsed())
    })
}

#[test]
fn a_process_that_stands_still_is_ended_long_before_its_time() {
    let (code, message, after) = signalled(Signal::STOP);
    assert_eq!((code, message.contains("no progress")), ("timeout", true));
    assert!(after < Duration::from_secs(15), "{after:?}");
}

#[test]
fn a_process_that_is_killed_is_a_crash() {
    let (code, message, _) = signalled(Signal::KILL);
    assert_eq!(code, "decoder.crashed", "{message}");
    assert!(message.contains("signal 9"), "{message}");
}

/// Without any key frame but the first all pictures before a chunk must be decoded, and none is shown meanwhile.
#[test]
fn decoding_towards_a_chunk_is_progress() {
    let studio = Studio::new();
    let args = "-c:v libx264 -preset ultrafast -g 9999 -bf 0 -sc_threshold 0 -threads 2";
    let path = studio.make("a.mp4", &["testsrc2=s=960x540:r=30:d=40"], args);
    let plan = planned(&path, "ultrafast");
    let last = Chunk {
        first_segment: plan.segments - 1,
        segments: 1,
        rungs: vec![0],
        cost_cpu_seconds: 1,
    };
    let limits = FfmpegLimits {
        stall: Duration::from_millis(600),
        ..FfmpegLimits::default()
    };
    let ffmpeg = tools().with_limits(limits).with_threads(1);
    encode_chunk(&ffmpeg, &path, &plan, &last, &studio.scratch()).unwrap();
}

#[test]
fn files_larger_than_their_rate_allows_are_not_written() {
    let studio = Studio::new();
    let path = studio.make("a.mkv", &["testsrc2=s=640x360:r=30:d=4"], "-c:v ffv1");
    let plan = planned(&path, "ultrafast");
    let limits = FfmpegLimits {
        file_bytes: 20_000,
        ..FfmpegLimits::default()
    };
    let ffmpeg = tools().with_limits(limits);
    let error = encode_chunk(&ffmpeg, &path, &plan, &plan.chunks[0], &studio.scratch());
    assert_eq!(error.expect_err("too large").code, "limit.output");
}
