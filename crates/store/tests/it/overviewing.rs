//! What people look at: the last hour, failures by what caused them, uploads under way, a run's recipe.

use crate::given::{Given, TENANT};
use mediaflow_core::{ErrorCode, Failure, Queue, TaskState, TenantId};
use mediaflow_store::{Advance, NewUpload, StoreError, UploadState, Way};
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    the_last_hour_is_told_by_minute_and_queue,
    failures_are_told_by_code_and_operation_until_they_are_replayed,
    what_cannot_be_replayed_is_no_failure_any_more,
    uploads_under_way_are_told_to_their_tenant,
    a_run_tells_the_recipe_that_it_was_frozen_with,
}

fn stranger() -> TenantId {
    TenantId(Uuid::from_u128(99))
}

async fn the_last_hour_is_told_by_minute_and_queue(given: &mut Given) {
    given.asset().await;
    given.world.pass(Duration::from_secs(120));
    for task in given.claim().await {
        given.succeeds(&task).await;
    }
    let minutes = given.store.last_hour().await.unwrap();
    assert!(minutes.is_sorted_by_key(|m| m.at));
    let sum = |queue, of: fn(&mediaflow_store::QueueMinute) -> u64| -> u64 {
        minutes.iter().filter(|m| m.queue == queue).map(of).sum()
    };
    assert!(sum(Queue::Image, |m| m.arrived) >= 1);
    assert_eq!(sum(Queue::Network, |m| m.done), 1, "moderation");
    assert_eq!(sum(Queue::Image, |m| m.done), 1, "inspection");
    let first = minutes.first().unwrap().at;
    assert_eq!(first.0 % 60_000, 0);
    given.world.pass(Duration::from_secs(3700));
    assert_eq!(given.store.last_hour().await.unwrap(), []);
}

async fn failures_are_told_by_code_and_operation_until_they_are_replayed(given: &mut Given) {
    for _ in 0..2 {
        given.asset().await;
        let inspect = given.claim_step("inspect").await;
        let corrupt = Failure::permanent(ErrorCode::InputCorrupt, "it ends early");
        given.fails(&inspect, corrupt).await;
    }
    given.asset().await;
    let inspect = given.claim_step("inspect").await;
    let hiccup = Failure::transient(ErrorCode::StorageUnavailable, "a hiccup");
    given.fails(&inspect, hiccup).await;
    let groups = given.store.failures(TENANT).await.unwrap();
    let seen: Vec<_> = groups
        .iter()
        .map(|g| (g.state, &*g.code, &*g.operation, g.tasks))
        .collect();
    assert_eq!(
        seen,
        [
            (TaskState::Dead, "input.corrupt", "image.inspect", 2),
            (
                TaskState::Waiting,
                "storage.unavailable",
                "image.inspect",
                1
            ),
        ]
    );
    assert_eq!(groups[0].by_hour.last(), Some(&2));
    assert_eq!(groups[1].example, inspect.lease.task);
    assert_eq!(given.store.failures(stranger()).await.unwrap(), []);
    assert!(given.store.replay(TENANT, groups[0].example).await.unwrap());
    assert_eq!(given.store.failures(TENANT).await.unwrap()[0].tasks, 1);
}

async fn what_cannot_be_replayed_is_no_failure_any_more(given: &mut Given) {
    let asset = given.asset().await;
    let inspect = given.claim_step("inspect").await;
    let corrupt = || Failure::permanent(ErrorCode::InputCorrupt, "it ends early");
    given.fails(&inspect, corrupt()).await;
    given.reprocess(asset).await;
    assert_eq!(given.store.failures(TENANT).await.unwrap(), []);
    let inspect = given.claim_step("inspect").await;
    given.fails(&inspect, corrupt()).await;
    assert_eq!(given.store.failures(TENANT).await.unwrap().len(), 1);
    given.store.delete(TENANT, asset).await.unwrap();
    assert_eq!(given.store.failures(TENANT).await.unwrap(), []);
}

async fn uploads_under_way_are_told_to_their_tenant(given: &mut Given) {
    let hour = Duration::from_secs(3600);
    let upload = NewUpload {
        tenant: TENANT,
        key: None,
        way: Way::Tus,
        length: Some(100),
        concat: None,
        said: "{}".into(),
        metadata: "filename Zg==".into(),
        correlation_id: "c".into(),
        kept: hour,
        open_max: 10,
    };
    let opened = given.store.open_upload(upload).await.unwrap();
    let advance = Advance {
        bytes: 40,
        length: Some(100),
        progress: "40 bytes".into(),
        state: UploadState::Open,
        kept: hour,
    };
    let advanced = given.store.advance_upload(opened.id, opened.fence, advance);
    advanced.await.unwrap();
    let found = given.store.uploads_under_way(TENANT, 10).await.unwrap();
    assert_eq!(
        (found.len(), found[0].id, found[0].bytes),
        (1, opened.id, 40)
    );
    let others = given.store.uploads_under_way(stranger(), 10).await.unwrap();
    assert_eq!(others, []);
}

async fn a_run_tells_the_recipe_that_it_was_frozen_with(given: &mut Given) {
    let asset = given.asset().await;
    let recipe = given.store.recipe_of(TENANT, asset).await.unwrap();
    assert_eq!(recipe.name, crate::given::recipe().name);
    assert_eq!(recipe.steps.len(), crate::given::recipe().steps.len());
    let other = given.store.recipe_of(stranger(), asset).await;
    assert!(matches!(other, Err(StoreError::AssetNotFound)));
}
