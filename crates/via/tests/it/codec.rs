//! There and back nothing changes; what is of another version is passed over or given back.

use mediaflow_core::operation::{Facts, Format, Packaging};
use mediaflow_core::transition::Expansion;
use mediaflow_core::{
    AssetId, AssetOptions, BlobId, Cost, ErrorCode, Failure, FailureKind, Kind, Queue, Recipe,
    RunSettings, Sha256, TaskId, TenantId, Timestamp, Verdict, WorkerId,
};
use mediaflow_engine::Recipes;
use mediaflow_engine::store::{
    BlobRow, Capacity, Claimed, Lease, MediaFacts, NewBlob, NewCaptions, NewRendition, NewSegment,
    NewTrack, Output, Quality, RenditionBlob, Report, Segment, Track, TrackKind,
};
use mediaflow_proto::worker::v1 as proto;
use mediaflow_via::codec;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

fn row(n: u128) -> BlobRow {
    BlobRow {
        id: BlobId(Uuid::from_u128(n)),
        sha256: Sha256::of(&n.to_be_bytes()),
        bytes: 5,
        key: format!("renditions/00/{n}"),
    }
}

fn new(n: u128) -> NewBlob {
    let BlobRow {
        sha256, bytes, key, ..
    } = row(n);
    NewBlob { sha256, bytes, key }
}

fn claimed() -> Claimed {
    let recipes = Recipes::load(None).unwrap();
    let recipe: Arc<Recipe> = recipes.find(None, Kind::Image).unwrap();
    Claimed {
        lease: Lease {
            task: TaskId(Uuid::from_u128(1)),
            fence: 7,
        },
        tenant: TenantId::DEFAULT,
        asset: AssetId(Uuid::from_u128(2)),
        generation: 3,
        step: 1,
        number: 4,
        recipe,
        settings: Arc::new(RunSettings::default()),
        options: AssetOptions {
            watermark: true,
            ..AssetOptions::default()
        },
        original: row(9),
        media_type: "image/jpeg".into(),
        facts: Facts {
            pixels: 10,
            frames: 2,
            bytes: 5,
        },
        cost: Cost {
            memory_bytes: 11,
            cpu_ms: 12,
        },
        attempt: 2,
        alone: true,
        correlation_id: "order-17".into(),
        ready_at: Timestamp(13),
    }
}

fn message(claimed: &[Claimed]) -> proto::Tasks {
    codec::tasks_message(claimed, |_| "permit".into(), |_, _| "seal".into())
}

fn frozen<T: serde::de::DeserializeOwned>(texts: &[String]) -> Vec<Option<Arc<T>>> {
    let read = |text: &String| serde_json::from_str(text).ok().map(Arc::new);
    texts.iter().map(read).collect()
}

#[test]
fn a_task_arrives_as_it_was_claimed_without_what_users_said() {
    let mut task = claimed();
    task.options.title = Some("secret".into());
    let told = message(&[task.clone(), task.clone()]);
    assert_eq!((told.recipes.len(), told.settings.len()), (1, 1));
    assert!(!format!("{told:?}").contains("secret"));
    let (recipes, settings) = (frozen(&told.recipes), frozen(&told.settings));
    let heard = codec::task(&told.tasks[1], &recipes, &settings).unwrap();
    task.options.title = None;
    assert_eq!(format!("{heard:?}"), format!("{task:?}"));
}

#[test]
fn a_task_of_a_later_version_is_given_back() {
    let mut told = message(&[claimed()]);
    told.recipes[0] = r#"{"steps":[{"operation":"image.fly"}]}"#.into();
    let (recipes, settings) = (frozen(&told.recipes), frozen(&told.settings));
    let misfit = codec::task(&told.tasks[0], &recipes, &settings).unwrap_err();
    assert_eq!(misfit.unwrap().lease.permit, "permit");
}

#[test]
fn a_capacity_keeps_to_what_is_allowed_and_names_its_key() {
    let slots = vec![(Queue::BUSY, 5), (Queue::WAITING, 16)];
    let capacity = Capacity {
        worker: WorkerId(Uuid::from_u128(1)),
        worker_name: "host:1\n".into(),
        slots: slots.clone(),
        memory_free: 2,
        memory_total: 3,
        idle: true,
        lease: Duration::from_secs(1_000_000),
        idle_lane: false,
        capabilities: vec!["gpu".into()],
    };
    let mut told = codec::capacity_message(&capacity);
    told.slots[0].queues.push("later".into());
    let heard = codec::capacity(&told, "site").unwrap();
    assert_eq!(heard.worker_name, "site/host:1");
    assert_eq!(heard.lease, Duration::from_secs(3600));
    assert_eq!(heard.slots, slots);
    assert_eq!(heard.capabilities, ["gpu"]);
}

#[test]
fn a_report_arrives_whole() {
    let rendition = |blob| NewRendition {
        profile: "small".into(),
        format: Format::Avif,
        dimensions: Some((3, 4)),
        animated: true,
        derivation: Sha256::of(b"d"),
        blob,
    };
    let output = Output {
        renditions: vec![
            rendition(RenditionBlob::New(new(1))),
            rendition(RenditionBlob::Existing(row(2).id)),
        ],
        facts: json!({ "a": [1, 2.5] }),
        verdict: Some(Verdict::Review),
        dimensions: Some((1, 2)),
        media: Some(Box::new(MediaFacts {
            duration_ms: 1,
            container: "mov".into(),
            codec: Some("h264".into()),
            frame_rate: Some(29.97),
            has_sound: true,
            hdr: None,
        })),
        search_text: Some("lens".into()),
        expansions: vec![Expansion {
            step: 2,
            tasks: 3,
            cost: claimed().cost,
        }],
        tracks: vec![NewTrack {
            name: "720p".into(),
            kind: TrackKind::Video,
            codecs: "avc1".into(),
            width: Some(1280),
            height: None,
            said: json!({}),
            timescale: 90_000,
            segments: 4,
            packaging: Packaging::Ts,
            init: new(3),
        }],
        segments: vec![NewSegment {
            track: "720p".into(),
            number: 1,
            duration: 6,
            key_bytes: 7,
            quality: Some(Quality {
                frames: 1,
                ssim_mean: 0.9,
                ssim_min: 0.8,
            }),
            blob: new(4),
        }],
        captions: vec![NewCaptions {
            name: "captions-en".into(),
            language: "en".into(),
            label: "English".into(),
            blob: new(5),
        }],
        pieces: vec![new(6), new(7)],
    };
    let sealed = |blob: &NewBlob| codec::written_message(blob, "seal".into());
    let told = |id| (id == row(2).id).then(|| codec::blob_message(&row(2), "seal".into()));
    let failure = Failure {
        code: ErrorCode::DecoderCrashed,
        message: "it died".into(),
        kind: FailureKind::Crash,
    };
    for report in [
        Report::Succeeded(output),
        Report::Failed(failure),
        Report::HandedBack,
    ] {
        let said = codec::report_message(&report, sealed, told).unwrap();
        let heard = codec::report(said).unwrap();
        assert_eq!(format!("{heard:?}"), format!("{report:?}"));
    }
    let later = proto::Failure {
        code: "moon.full".into(),
        ..proto::Failure::default()
    };
    assert_eq!(codec::failure(later).code, ErrorCode::Internal);
}

#[test]
fn a_long_track_arrives_in_parts() {
    let rows: Vec<BlobRow> = (0..2500).map(row).collect();
    let segments = rows.iter().map(|row| Segment {
        duration: 6,
        key_bytes: 1,
        sha256: row.sha256,
        bytes: row.bytes,
    });
    let track = Track {
        name: "audio".into(),
        kind: TrackKind::Audio,
        codecs: "mp4a".into(),
        width: None,
        height: None,
        said: json!({ "channels": 2 }),
        timescale: 48_000,
        packaging: Packaging::Cmaf,
        init: row(1).sha256,
        segments: segments.collect(),
        whole: true,
    };
    let made = vec![(track, row(1), rows)];
    let parts = codec::made_messages(&made, |_| "seal".into());
    assert_eq!(parts.len(), 4);
    let mut heard = Vec::new();
    for part in &parts {
        codec::made(part, &mut heard).unwrap();
    }
    assert_eq!(format!("{heard:?}"), format!("{made:?}"));
}
