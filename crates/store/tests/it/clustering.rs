//! Processes that share a store: who is there, what is wanted of them, whose turn it is.

use crate::given::{FakeWorld, Given};
use mediaflow_core::{Queue, Timestamp, WorkerId};
use mediaflow_store::{Environment, Presence, Wish};
use std::time::Duration;

on_every_store! {
    a_worker_is_listed_with_its_tasks_until_it_leaves,
    a_worker_hears_what_is_wanted_of_it,
    who_says_nothing_for_an_hour_is_forgotten,
}

pub(crate) fn presence(world: &FakeWorld, name: &str) -> Presence {
    Presence {
        id: WorkerId(world.id()),
        name: name.into(),
        version: "1".into(),
        queues: vec![Queue::Image, Queue::Network],
        cpu: 2,
        network: 16,
        capabilities: vec!["gpu".into(), "hevc".into()],
        memory_bytes: 1 << 30,
        started_at: Timestamp(5),
    }
}

async fn a_worker_is_listed_with_its_tasks_until_it_leaves(given: &mut Given) {
    let asset = given.asset().await;
    let task = given.claim().await.remove(0);
    // As `claim` calls itself.
    let worker = presence(&given.world, "test:1");
    let other = presence(&given.world, "zz:1");
    for one in [&other, &worker] {
        assert_eq!(given.store.present(one).await.unwrap(), Wish::Work);
    }
    let listed = given.store.workers().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].presence, worker);
    assert_eq!(listed[1].presence, other);
    let held = listed[0].tasks.iter().find(|t| t.id == task.lease.task);
    assert_eq!(held.unwrap().asset, asset);
    assert!(listed[1].tasks.is_empty());
    given.store.leave(worker.id).await.unwrap();
    assert_eq!(given.store.workers().await.unwrap().len(), 1);
}

async fn a_worker_hears_what_is_wanted_of_it(given: &mut Given) {
    let worker = presence(&given.world, "test:1");
    let wish = async |wish| given.store.wish(worker.id, wish).await.unwrap();
    assert!(!wish(Wish::Drain).await, "nobody knows it");
    given.store.present(&worker).await.unwrap();
    assert!(wish(Wish::Drain).await);
    assert_eq!(given.store.present(&worker).await.unwrap(), Wish::Drain);
    assert_eq!(given.store.workers().await.unwrap()[0].wish, Wish::Drain);
    assert!(wish(Wish::Work).await);
    assert_eq!(given.store.present(&worker).await.unwrap(), Wish::Work);
}

async fn who_says_nothing_for_an_hour_is_forgotten(given: &mut Given) {
    let worker = presence(&given.world, "test:1");
    given.store.present(&worker).await.unwrap();
    let is_gone = async || given.store.workers().await.unwrap()[0].is_gone;
    given.world.pass(Duration::from_secs(15));
    assert!(!is_gone().await);
    given.world.pass(Duration::from_secs(1));
    assert!(is_gone().await);
    given.world.pass(Duration::from_secs(3583));
    assert_eq!(given.store.workers().await.unwrap().len(), 1);
    given.world.pass(Duration::from_secs(1));
    assert!(given.store.workers().await.unwrap().is_empty());
}
