//! Videos: steps that expand, and streams that grow.

use crate::given::{CHUNKS, Given, PIECES, TENANT, output, step_of};
use mediaflow_core::operation::Packaging;
use mediaflow_core::{AssetId, AssetState, ErrorCode, EventType, Failure, TaskState};
use mediaflow_store::{Claimed, Report, StreamFile, Streams, TaskFilter};

on_every_store! {
    a_plan_makes_as_many_tasks_as_there_are_chunks,
    a_playlist_lists_what_is_there_without_a_gap_and_never_less,
    what_another_encoder_begins_is_not_mixed_in,
    readers_see_no_initialisation_segment_of_mpeg_ts,
    a_deletion_takes_all_streams,
    pieces_are_there_for_their_generation_until_its_last_task_has_ended,
}

impl Given {
    async fn streams(&self, asset: AssetId) -> Streams {
        self.store.streams(asset).await.unwrap()
    }

    /// Does everything up to the steps that the plan expands, and claims those.
    async fn planned(&mut self) -> (AssetId, Vec<Claimed>) {
        let asset = self.video().await;
        loop {
            let (wanted, before): (Vec<_>, Vec<_>) = self
                .claim()
                .await
                .into_iter()
                .partition(|c| matches!(step_of(c), "encode" | "lead" | "audio"));
            for task in before {
                self.succeeds(&task).await;
            }
            if !wanted.is_empty() {
                return (asset, wanted);
            }
        }
    }
}

fn lengths(streams: &Streams) -> Vec<(&str, usize)> {
    let tracks = streams.tracks.iter();
    tracks.map(|t| (&*t.name, t.segments.len())).collect()
}

fn find<'a>(claimed: &'a [Claimed], step: &str, number: u32) -> &'a Claimed {
    let mut found = claimed.iter();
    found
        .find(|c| step_of(c) == step && c.number == number)
        .unwrap()
}

async fn a_plan_makes_as_many_tasks_as_there_are_chunks(given: &mut Given) {
    let (asset, claimed) = given.planned().await;
    let mut chunks: Vec<u32> = claimed
        .iter()
        .filter(|c| step_of(c) == "encode")
        .map(|c| c.number)
        .collect();
    chunks.sort_unstable();
    assert_eq!(chunks, (0..CHUNKS).collect::<Vec<_>>());
    given.all_done().await;
    for task in &claimed {
        given.succeeds(task).await;
    }
    given.all_done().await;
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
}

async fn a_playlist_lists_what_is_there_without_a_gap_and_never_less(given: &mut Given) {
    let (asset, claimed) = given.planned().await;
    assert_eq!(given.streams(asset).await.tracks.len(), 0);
    assert!(!given.record(asset).await.viewable);

    given.succeeds(find(&claimed, "lead", 0)).await;
    given.succeeds(find(&claimed, "audio", 0)).await;
    assert!(given.record(asset).await.viewable);
    let first = given.streams(asset).await;
    assert_eq!(lengths(&first), [("360p", 1), ("audio", 2)]);
    assert!(!first.published);

    let status = given.store.streams_status(asset).await.unwrap();
    assert!(status.tracks.iter().all(|t| t.begun) && !status.published);
    assert_eq!(status.tracks[0].bytes, first.tracks[0].segments[0].bytes);
    assert_eq!(status.tracks[0].quality.unwrap().frames, 10);
    assert_eq!(status.tracks[1].quality, None, "sound is not looked at");

    given.succeeds(find(&claimed, "encode", 1)).await;
    let status = given.store.streams_status(asset).await.unwrap();
    let begun = |name: &str| status.tracks.iter().find(|t| t.name == name).unwrap().begun;
    assert!(
        begun("360p") && !begun("720p"),
        "its first segment is missing"
    );
    let gap = given.streams(asset).await;
    assert_eq!(lengths(&gap), [("360p", 1), ("720p", 0), ("audio", 2)]);

    given.succeeds(find(&claimed, "encode", 0)).await;
    let next = given.streams(asset).await;
    assert_eq!(lengths(&next), [("360p", 4), ("720p", 4), ("audio", 2)]);
    assert_eq!(
        next.tracks[0].segments[0].sha256, first.tracks[0].segments[0].sha256,
        "what was listed stays"
    );
    assert!(!next.tracks[0].whole && next.tracks[2].whole);

    given.succeeds(find(&claimed, "encode", 2)).await;
    given.all_done().await;
    let status = given.store.streams_status(asset).await.unwrap();
    let quality = status.tracks[0].quality.unwrap();
    assert_eq!(quality.frames, (0..6).map(|n| 10 + n).sum::<u64>());
    assert!((quality.ssim_mean - 0.9).abs() < 1e-9 && (quality.ssim_min - 0.3).abs() < 1e-9);
    let last = given.streams(asset).await;
    assert!(last.published && last.tracks.iter().all(|t| t.whole));
    let status = given.store.streams_status(asset).await.unwrap();
    assert!(status.published && status.edition == last.edition);
    for (one, track) in status.tracks.iter().zip(&last.tracks) {
        let bytes: u64 = track.segments.iter().map(|s| s.bytes).sum();
        assert_eq!((one.begun, one.bytes), (true, bytes), "{}", one.name);
    }
    let (segment, _) = given
        .store
        .segment(asset, "720p", StreamFile::Segment(Packaging::Cmaf, 5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(segment.sha256, last.tracks[1].segments[5].sha256);
    for (packaging, number) in [(Packaging::Cmaf, 6), (Packaging::Ts, 5)] {
        let absent = StreamFile::Segment(packaging, number);
        let none = given.store.segment(asset, "720p", absent).await.unwrap();
        assert!(none.is_none());
    }
}

async fn what_another_encoder_begins_is_not_mixed_in(given: &mut Given) {
    let (asset, claimed) = given.planned().await;
    given.succeeds(find(&claimed, "encode", 0)).await;
    let other = find(&claimed, "encode", 1);
    let mut odd = output(other);
    odd.tracks[0].init.sha256 = mediaflow_core::Sha256::of(b"another build");
    let report = Report::Succeeded(odd);
    given.store.report(other.lease, report, None).await.unwrap();
    let filter = TaskFilter {
        asset: Some(asset),
        limit: 100,
        ..TaskFilter::default()
    };
    let tasks = given.store.tasks(TENANT, &filter).await.unwrap().items;
    let task = tasks.iter().find(|t| t.id == other.lease.task).unwrap();
    assert_eq!(task.state, TaskState::Waiting);
    assert_eq!(task.error.as_ref().unwrap().0, "output.mismatch");
}

/// What a task reports of streams in MPEG-TS.
fn in_mpeg_ts(claimed: &Claimed) -> Report {
    let mut made = output(claimed);
    for track in &mut made.tracks {
        track.packaging = Packaging::Ts;
    }
    Report::Succeeded(made)
}

async fn readers_see_no_initialisation_segment_of_mpeg_ts(given: &mut Given) {
    let (asset, claimed) = given.planned().await;
    for (step, number) in [("lead", 0), ("audio", 0), ("encode", 0)] {
        let task = find(&claimed, step, number);
        let report = in_mpeg_ts(task);
        given.store.report(task.lease, report, None).await.unwrap();
    }
    for (file, is_there) in [
        (StreamFile::Segment(Packaging::Ts, 1), true),
        (StreamFile::Segment(Packaging::Cmaf, 1), false),
        (StreamFile::Init, false),
    ] {
        let found = given.store.segment(asset, "720p", file).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{file:?}");
    }
    given.store.delete(TENANT, asset).await.unwrap();
    let purges = given.store.purges(10).await.unwrap();
    let paths: Vec<&String> = purges.iter().flat_map(|p| &p.paths).collect();
    let has = |end: &str| paths.iter().any(|p| p.ends_with(end));
    assert!(has("/720p-1.ts"), "{paths:?}");
    assert!(!has("-init.mp4") && !has(".m4s"), "{paths:?}");
}

async fn a_deletion_takes_all_streams(given: &mut Given) {
    let (asset, claimed) = given.planned().await;
    for task in &claimed {
        given.succeeds(task).await;
    }
    given.store.delete(TENANT, asset).await.unwrap();
    assert_eq!(given.streams(asset).await.tracks.len(), 0);
    let purges = given.store.purges(10).await.unwrap();
    let playlist = format!("/media/{asset}/720p.m3u8");
    assert!(purges.iter().any(|p| p.paths.contains(&playlist)));
    let history = given.store.events(TENANT, asset, 0, 200).await.unwrap();
    let kinds: Vec<_> = history.items.iter().map(|e| e.kind).collect();
    assert!(kinds.contains(&EventType::AssetViewable));
}

async fn pieces_are_there_for_their_generation_until_its_last_task_has_ended(given: &mut Given) {
    let pieces = async |given: &Given, asset, generation| {
        let found = given.store.pieces(asset, generation).await.unwrap();
        found.into_iter().map(|blob| blob.key).collect::<Vec<_>>()
    };
    let (asset, claimed) = given.planned().await;
    let first = pieces(given, asset, 1).await;
    assert_eq!(first.len(), PIECES);
    let numbered = first.iter().enumerate();
    assert!(numbered.fold(true, |all, (n, key)| all
        && key.ends_with(&format!("piece-{n}"))));
    assert_eq!(pieces(given, asset, 2).await, [""; 0]);
    let shown = given
        .store
        .segment(asset, "piece-0", StreamFile::Init)
        .await;
    assert!(shown.unwrap().is_none(), "nobody is shown any");

    // One that fails for good is the last of its run, and others have ended before.
    let (poor, rest) = claimed.split_first().unwrap();
    for task in rest {
        given.succeeds(task).await;
    }
    given.all_done().await;
    assert_eq!(pieces(given, asset, 1).await, first);
    let failure = Failure::permanent(ErrorCode::InputCorrupt, "broken");
    given.fails(poor, failure).await;
    assert_eq!(given.record(asset).await.state, AssetState::Failed);
    assert_eq!(pieces(given, asset, 1).await, [""; 0]);
    given.world.pass(std::time::Duration::from_secs(60));
    let gone = given.store.condemn(std::time::Duration::ZERO, 100).await;
    let gone = gone.unwrap();
    assert!(first.iter().all(|key| gone.iter().any(|c| c.key == *key)));

    let (asset, _) = given.planned().await;
    given.try_reprocess(asset).await.unwrap();
    assert_eq!(pieces(given, asset, 1).await, [""; 0], "it was overtaken");
}
