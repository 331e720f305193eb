//! Who is told what: workers of what is ready, systems outside of what happened.

use crate::given::{Given, output, roomy};
use mediaflow_core::{AssetId, TaskId};
use mediaflow_store::{EventRecord, Report, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

on_every_store! {
    what_became_ready_is_told_but_not_what_was_given_away,
    what_is_given_back_or_swept_is_told_again,
    what_nobody_claims_is_found,
    everything_is_told_once_in_its_order,
}

fn told(waiting: &mut Receiver<Waiting>) -> Vec<Waiting> {
    std::iter::from_fn(|| waiting.try_recv().ok()).collect()
}

fn tasks(waiting: &[Waiting]) -> BTreeSet<TaskId> {
    waiting.iter().map(|w| w.task).collect()
}

async fn what_became_ready_is_told_but_not_what_was_given_away(given: &mut Given) {
    let mut waiting = given.store.on_waiting();
    let asset = given.asset().await;
    let first = told(&mut waiting);
    assert!(first.iter().all(|w| w.asset == asset));
    let claimed = given.claim().await;
    let leased: BTreeSet<TaskId> = claimed.iter().map(|c| c.lease.task).collect();
    assert_eq!(tasks(&first), leased);
    let mut given_away = BTreeSet::new();
    let mut later = BTreeSet::new();
    for task in &claimed {
        let report = Report::Succeeded(output(task));
        let room = roomy();
        let offered = given.store.report(task.lease, report, Some(&room));
        given_away.extend(offered.await.unwrap().into_iter().map(|c| c.lease.task));
        later.extend(tasks(&told(&mut waiting)));
    }
    assert!(!given_away.is_empty());
    assert!(later.is_disjoint(&given_away), "{later:?} {given_away:?}");
}

async fn what_is_given_back_or_swept_is_told_again(given: &mut Given) {
    given.asset().await;
    let claimed = given.claim().await;
    let mut waiting = given.store.on_waiting();
    let task = claimed[0].lease;
    let back = given.store.report(task, Report::HandedBack, None);
    back.await.unwrap();
    assert_eq!(tasks(&told(&mut waiting)), BTreeSet::from([task.task]));
    given.leases_run_out().await;
    // Once their pause is over.
    given.world.pass(Duration::from_secs(600));
    given.store.sweep(100).await.unwrap();
    let swept = tasks(&told(&mut waiting));
    assert!(claimed[1..].iter().all(|c| swept.contains(&c.lease.task)));
}

async fn what_nobody_claims_is_found(given: &mut Given) {
    let mut waiting = given.store.on_waiting();
    given.asset().await;
    let ready = told(&mut waiting);
    let age = Duration::from_secs(5);
    let unclaimed = async |given: &Given, limit| {
        let found = given.store.unclaimed(age, limit).await.unwrap();
        tasks(&found)
    };
    assert!(unclaimed(given, 10).await.is_empty());
    given.world.pass(age);
    assert_eq!(unclaimed(given, 10).await, tasks(&ready));
    let queues: BTreeSet<_> = ready.iter().map(|w| w.queue).collect();
    assert_eq!(unclaimed(given, 1).await.len(), queues.len());
    given.claim().await;
    assert!(unclaimed(given, 10).await.is_empty());
}

/// Takes what was not told, three at a time.
async fn tell(given: &Given, outlet: &str) -> Vec<EventRecord> {
    let mut all = Vec::new();
    loop {
        let some = given.store.untold(outlet, 3).await.unwrap();
        let again = given.store.untold(outlet, 3).await.unwrap();
        // What got its position in between may have come after what was there.
        let ids = |events: &[EventRecord]| events.iter().map(|e| e.id).collect::<Vec<_>>();
        assert!(
            ids(&again).starts_with(&ids(&some)),
            "nothing is told before it is said"
        );
        let Some(last) = some.last() else { return all };
        let position = last.position;
        all.extend(some);
        given.store.told(outlet, position).await.unwrap();
        given.store.told(outlet, 1).await.unwrap();
    }
}

async fn everything_is_told_once_in_its_order(given: &mut Given) {
    let mut assets = vec![given.asset().await, given.asset().await];
    let mut other = given.upload_of("of somebody else");
    other.tenant = mediaflow_core::TenantId(given.world_id());
    assets.push(given.accept(other).await.asset);
    let mut all = tell(given, "one").await;
    given.all_done().await;
    // Positions are given a moment after the commit.
    let end = async |given: &Given| *given.store.on_event().borrow();
    while all
        .last()
        .is_none_or(|last| last.kind.as_str() != "asset.ready")
        || all.last().map(|last| last.position) != Some(end(given).await)
    {
        all.extend(tell(given, "one").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut sequences: BTreeMap<AssetId, Vec<u64>> = BTreeMap::new();
    for event in &all {
        sequences
            .entry(event.asset)
            .or_default()
            .push(event.sequence);
    }
    assert_eq!(sequences.len(), assets.len());
    for (asset, sequences) in sequences {
        let count = u64::try_from(sequences.len()).unwrap();
        assert_eq!(sequences, (1..=count).collect::<Vec<_>>(), "{asset}");
    }
    let other: Vec<_> = tell(given, "two").await.iter().map(|e| e.id).collect();
    assert_eq!(other, all.iter().map(|e| e.id).collect::<Vec<_>>());
}
