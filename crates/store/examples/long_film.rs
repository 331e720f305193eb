//! What a film of many segments costs the store: claims, reports, playlists and status, for each chunk.
//!
//! usage: `long_film [SEGMENTS...]`, 100 and 10,000 unless said. Prints CPU milliseconds (all threads) and milliseconds
//! of wall time. Durable as in a server: the database is a file, and each commit is synced.

#![allow(clippy::print_stdout)] // its figures are what it is for

use mediaflow_core::operation::{Facts, Packaging};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{
    AssetOptions, Kind, ModerationPolicy, Operation, Queue, Recipe, RunSettings, Sha256, TenantId,
    Timestamp, Verdict, WorkerId,
};
use mediaflow_store::{
    Accept, Capacity, Catalog, Claimed, Environment, Intake, NewBlob, NewSegment, NewTrack, Output,
    Playback, Report, SqliteStore, TrackKind, Work,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

const TENANT: TenantId = TenantId::DEFAULT;
const RUNGS: [&str; 3] = ["360p", "720p", "1080p"];
/// Segments of a chunk.
const CHUNK: u32 = 2;
/// Workers claim for this many slots at a time.
const SLOTS: u32 = 8;

/// Ids rise, as those of a server do.
#[derive(Default)]
struct World {
    ids: AtomicU64,
}

impl Environment for World {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(now.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0)))
    }

    fn id(&self) -> Uuid {
        Uuid::from_u128(
            u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) | 0x7 << 76 | 0x8 << 60,
        )
    }

    fn jitter(&self) -> u32 {
        u32::MAX / 2
    }
}

/// CPU and wall time spent on something, and how often.
#[derive(Default, Clone, Copy)]
struct Spent {
    cpu: f64,
    wall: f64,
    times: u32,
}

impl Spent {
    fn each(self) -> String {
        let times = f64::from(self.times.max(1));
        let per = |seconds: f64| 1000.0 * seconds / times;
        format!("{:8.3} {:8.3}", per(self.cpu), per(self.wall))
    }
}

async fn measured<T>(spent: &mut Spent, what: impl Future<Output = T>) -> T {
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let done = what.await;
    spent.cpu += cpu_seconds() - cpu;
    spent.wall += began.elapsed().as_secs_f64();
    spent.times += 1;
    done
}

/// Processor time of all threads of this process, in nanoseconds' resolution.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let ns = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    ns.sum::<f64>() / 1e9
}

fn blob(text: &str) -> NewBlob {
    NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: text.len() as u64,
        key: format!("tasks/{text}"),
    }
}

fn made(task: &Claimed, segments: u32) -> Output {
    let mut output = Output::default();
    match &task.recipe.steps[task.step].operation {
        Operation::Moderate => output.verdict = Some(Verdict::Pass),
        Operation::VideoPlan(_) => {
            let counts = [("encode", (segments - 1).div_ceil(CHUNK)), ("audio", 1)];
            output.expansions = counts
                .into_iter()
                .filter_map(|(name, tasks)| {
                    let step = task.recipe.steps.iter().position(|s| s.name == name)?;
                    let cost = task.cost;
                    Some(Expansion { step, tasks, cost })
                })
                .collect();
        }
        Operation::VideoLead => stream(task, RUNGS[0], 0..1, segments, &mut output),
        Operation::VideoEncode => {
            let first = 1 + task.number * CHUNK;
            for (n, rung) in RUNGS.into_iter().enumerate() {
                let first = if n > 0 && task.number == 0 { 0 } else { first };
                let end = (1 + (task.number + 1) * CHUNK).min(segments);
                stream(task, rung, first..end, segments, &mut output);
            }
        }
        Operation::VideoAudio => stream(task, "audio-128", 0..segments, segments, &mut output),
        _ => {}
    }
    output
}

fn stream(task: &Claimed, track: &str, numbers: Range<u32>, segments: u32, output: &mut Output) {
    let is_audio = track.starts_with("audio");
    output.tracks.push(NewTrack {
        packaging: Packaging::Cmaf,
        name: track.into(),
        kind: if is_audio {
            TrackKind::Audio
        } else {
            TrackKind::Video
        },
        codecs: "avc1.64001f".into(),
        width: Some(640),
        height: Some(360),
        said: serde_json::json!({ "frame_rate": [30, 1] }),
        timescale: 90_000,
        segments,
        init: blob(&format!("{} {track}", task.asset)),
    });
    for number in numbers {
        output.segments.push(NewSegment {
            track: track.into(),
            number,
            duration: 540_000,
            key_bytes: 2000,
            quality: None,
            blob: blob(&format!("{} {track} {number}", task.asset)),
        });
    }
}

async fn film(segments: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("mediaflow.db");
    let world = Arc::new(World::default());
    let store = SqliteStore::open(&path, Arc::<World>::clone(&world)).expect("a store");
    let recipe = Recipe::parse(include_str!("../../../recipes/video.toml")).expect("the recipe");
    let accepted = store.accept(Accept {
        tenant: TENANT,
        original: blob("the film"),
        media_type: "video/mp4".into(),
        filename: None,
        dimensions: None,
        facts: Facts {
            pixels: 1920 * 1080,
            frames: 1,
            bytes: 1 << 30,
        },
        kind: Kind::Video,
        recipe: Arc::new(recipe),
        settings: RunSettings {
            moderation: ModerationPolicy::Off,
            ..RunSettings::default()
        },
        options: AssetOptions::default(),
        correlation_id: "bench".into(),
        idempotency: None,
        upload: None,
        counted: None,
    });
    let asset = accepted.await.expect("accepted").asset;
    let capacity = Capacity {
        worker: WorkerId(Uuid::nil()),
        worker_name: "bench:1".into(),
        slots: vec![(Queue::BUSY, SLOTS), (Queue::WAITING, SLOTS)],
        memory_free: 64 << 30,
        memory_total: 64 << 30,
        idle: true,
        lease: Duration::from_secs(600),
        idle_lane: true,
        capabilities: Vec::new(),
    };
    let (mut plan, mut claims, mut reports) =
        (Spent::default(), Spent::default(), Spent::default());
    let (mut lists, mut status) = (Spent::default(), Spent::default());
    let mut chunks = 0;
    loop {
        let claimed = measured(&mut claims, store.claim(world.id(), &capacity)).await;
        let claimed = claimed.expect("claimed");
        if claimed.is_empty() {
            break;
        }
        for task in claimed {
            let operation = &task.recipe.steps[task.step].operation;
            let is_chunk = *operation == Operation::VideoEncode;
            let mut other = Spent::default();
            let spent = match operation {
                Operation::VideoPlan(_) => &mut plan,
                Operation::VideoEncode => &mut reports,
                _ => &mut other,
            };
            let report = Report::Succeeded(made(&task, segments));
            measured(spent, store.report(task.lease, report, None))
                .await
                .expect("reported");
            chunks += u32::from(is_chunk);
            // A player asks now and then, at any length of the playlist.
            if is_chunk && chunks % (segments / 40).max(1) == 0 {
                let found = measured(&mut lists, store.streams(asset))
                    .await
                    .expect("streams");
                assert!(!found.tracks.is_empty(), "the film can be watched");
                measured(&mut status, store.asset(TENANT, asset))
                    .await
                    .expect("status");
            }
        }
    }
    let mut whole = Spent::default();
    let found = measured(&mut whole, store.streams(asset))
        .await
        .expect("streams");
    let listed: usize = found.tracks.iter().map(|t| t.segments.len()).sum();
    assert_eq!(
        listed,
        segments as usize * (RUNGS.len() + 1),
        "all is there"
    );
    let per_segment = Spent {
        times: listed as u32,
        ..whole
    };
    println!("{segments:6} segments in {chunks} chunks              CPU ms  wall ms");
    println!(
        "  plan, for each chunk                   {}",
        Spent {
            times: chunks,
            ..plan
        }
        .each()
    );
    println!(
        "  a claim of up to {SLOTS} tasks              {}",
        claims.each()
    );
    println!(
        "  a chunk's report                       {}",
        reports.each()
    );
    println!("  status while it grows                  {}", status.each());
    println!("  all streams while they grow            {}", lists.each());
    println!(
        "  all streams at the end, each segment   {}",
        per_segment.each()
    );
}

#[tokio::main]
async fn main() {
    let given: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    for segments in if given.is_empty() {
        vec![100, 10_000]
    } else {
        given
    } {
        film(segments).await;
    }
}
