//! Retries, dead letters, replay.

use crate::given::{Given, TENANT, step_of};
use mediaflow_core::{AssetId, AssetState, ErrorCode, Failure, FailureKind, RunState, TaskState};
use mediaflow_store::{ReplayFilter, Search, StoreError, TaskFilter, TaskRecord};
use std::time::Duration;

on_every_store! {
    a_failure_that_may_pass_is_tried_again_after_a_growing_pause,
    a_decoder_that_dies_thrice_is_not_asked_again,
    a_permanent_failure_takes_its_followers_down_and_replay_brings_them_back,
    siblings_of_a_dead_task_finish,
    dead_letters_are_listed_and_replayed_by_what_killed_them,
    what_failed_is_found_by_code_and_operation,
    only_the_newest_run_can_be_replayed,
    what_is_put_off_is_tried_later_at_no_cost,
}

fn corrupt() -> Failure {
    Failure::permanent(ErrorCode::InputCorrupt, "the file ends early")
}

fn unavailable() -> Failure {
    Failure::transient(ErrorCode::StorageUnavailable, "the disk hiccuped")
}

async fn tasks(given: &Given, asset: AssetId) -> Vec<TaskRecord> {
    let filter = TaskFilter {
        asset: Some(asset),
        limit: 200,
        ..TaskFilter::default()
    };
    given.store.tasks(TENANT, &filter).await.unwrap().items
}

async fn states(given: &Given, asset: AssetId) -> Vec<(String, TaskState)> {
    let tasks = tasks(given, asset).await;
    tasks.into_iter().map(|t| (t.step, t.state)).collect()
}

async fn a_failure_that_may_pass_is_tried_again_after_a_growing_pause(given: &mut Given) {
    let asset = given.asset().await;
    let mut pauses = Vec::new();
    for attempt in 1..5 {
        let claimed = given.claim_step("inspect").await;
        assert_eq!(claimed.attempt, attempt);
        given.fails(&claimed, unavailable()).await;
        let task = tasks(given, asset).await.swap_remove(0);
        assert_eq!(task.state, TaskState::Waiting);
        let pause = task.retry_at.unwrap().since(given.world_now());
        pauses.push(pause);
        given.world.pass(pause - Duration::from_millis(1));
        assert_eq!(
            given.store.sweep(10).await.unwrap().due,
            0,
            "not before its time"
        );
        given.world.pass(Duration::from_millis(1));
        assert_eq!(given.store.sweep(10).await.unwrap().due, 1);
    }
    assert!(pauses.windows(2).all(|p| p[1] > p[0]), "{pauses:?}");
    let claimed = given.claim_step("inspect").await;
    given.fails(&claimed, unavailable()).await;
    let task = tasks(given, asset).await.swap_remove(0);
    assert_eq!(task.state, TaskState::Dead, "five attempts are enough");
    assert_eq!(task.tries.len(), 5);
    assert!(
        task.tries
            .iter()
            .all(|t| t.error.as_ref().unwrap().0 == "storage.unavailable")
    );
}

async fn a_decoder_that_dies_thrice_is_not_asked_again(given: &mut Given) {
    let asset = given.asset().await;
    for _ in 0..3 {
        let claimed = given.claim_step("inspect").await;
        let crash = Failure {
            code: ErrorCode::DecoderCrashed,
            message: "killed by signal 11".into(),
            kind: FailureKind::Crash,
        };
        given.fails(&claimed, crash).await;
        given.world.pass(Duration::from_secs(600));
        // The other task of the first claim expired meanwhile.
        given.store.sweep(10).await.unwrap();
    }
    assert_eq!(tasks(given, asset).await[0].state, TaskState::Dead);
}

async fn a_permanent_failure_takes_its_followers_down_and_replay_brings_them_back(
    given: &mut Given,
) {
    use TaskState::{Cancelled, Dead, Pending, Ready, Skipped, Succeeded};
    let asset = given.asset().await;
    let claimed = given.claim().await;
    for task in &claimed {
        given.succeeds(task).await;
    }
    let resize = given.claim_step("resize").await;
    given.fails(&resize, corrupt()).await;

    let steps = |states: &[TaskState]| {
        let names = [
            "inspect",
            "moderate",
            "resize",
            "watermark",
            "compress",
            "placeholder",
            "distribute",
            "publish",
        ];
        let pairs = names
            .iter()
            .map(|n| (*n).to_owned())
            .zip(states.iter().copied());
        pairs.collect::<Vec<_>>()
    };
    let down = steps(&[
        Succeeded, Succeeded, Dead, Skipped, Cancelled, Cancelled, Cancelled, Cancelled,
    ]);
    assert_eq!(states(given, asset).await, down);
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Failed);
    assert_eq!(
        record.error.unwrap(),
        ("input.corrupt".into(), "the file ends early".into())
    );

    assert!(given.store.replay(TENANT, resize.lease.task).await.unwrap());
    let events = given.record(asset).await.last_sequence;
    assert!(
        !given.store.replay(TENANT, resize.lease.task).await.unwrap(),
        "twice is once"
    );
    assert_eq!(given.record(asset).await.last_sequence, events);
    let back = steps(&[
        Succeeded, Succeeded, Ready, Skipped, Pending, Pending, Pending, Pending,
    ]);
    assert_eq!(states(given, asset).await, back);
    assert_eq!(given.record(asset).await.state, AssetState::Processing);
    given.all_done().await;
    let record = given.record(asset).await;
    assert_eq!((record.state, record.error), (AssetState::Ready, None));
    let resize = tasks(given, asset).await.swap_remove(2);
    assert_eq!(resize.tries.len(), 2, "replay keeps the history");
}

async fn siblings_of_a_dead_task_finish(given: &mut Given) {
    let asset = given.asset().await;
    let claimed = given.claim().await;
    let inspect = claimed.iter().find(|c| step_of(c) == "inspect").unwrap();
    let moderate = claimed.iter().find(|c| step_of(c) == "moderate").unwrap();
    given.fails(inspect, corrupt()).await;
    assert_eq!(given.record(asset).await.state, AssetState::Processing);
    given.succeeds(moderate).await;
    given.all_done().await;
    let states = states(given, asset).await;
    assert_eq!(states[4], ("compress".into(), TaskState::Succeeded));
    assert_eq!(given.record(asset).await.state, AssetState::Failed);
}

async fn dead_letters_are_listed_and_replayed_by_what_killed_them(given: &mut Given) {
    let mut assets = Vec::new();
    for _ in 0..5 {
        assets.push(given.asset().await);
    }
    let mut killed = 0;
    for task in given.claim().await {
        if step_of(&task) == "inspect" {
            let failure = if killed < 3 {
                corrupt()
            } else {
                Failure::permanent(ErrorCode::LimitPixels, "too large")
            };
            given.fails(&task, failure).await;
            killed += 1;
        }
    }
    let mut filter = TaskFilter {
        state: Some(TaskState::Dead),
        limit: 2,
        ..TaskFilter::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = given.store.tasks(TENANT, &filter).await.unwrap();
        seen.extend(page.items.iter().map(|t| t.id));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|w| w[0] > w[1]), "newest first");
    let by_code = TaskFilter {
        code: Some("limit.pixels".into()),
        limit: 200,
        ..TaskFilter::default()
    };
    assert_eq!(
        given
            .store
            .tasks(TENANT, &by_code)
            .await
            .unwrap()
            .items
            .len(),
        2
    );

    // What cannot be replayed hides nothing that can.
    given.store.delete(TENANT, assets[0]).await.unwrap();
    let corrupt = ReplayFilter {
        code: Some("input.corrupt".into()),
        operation: Some("image.inspect".into()),
        ..ReplayFilter::default()
    };
    assert_eq!(
        given.store.replay_all(TENANT, &corrupt, 1).await.unwrap(),
        1
    );
    assert_eq!(
        given.store.replay_all(TENANT, &corrupt, 10).await.unwrap(),
        1
    );
    let later = ReplayFilter {
        since: Some(given.world_now().after(Duration::from_secs(1))),
        ..ReplayFilter::default()
    };
    assert_eq!(given.store.replay_all(TENANT, &later, 10).await.unwrap(), 0);
    assert_eq!(
        given
            .store
            .replay_all(TENANT, &ReplayFilter::default(), 10)
            .await
            .unwrap(),
        2
    );
}

async fn what_failed_is_found_by_code_and_operation(given: &mut Given) {
    let mut failed = Vec::new();
    for _ in 0..3 {
        let asset = given.asset().await;
        given.world.pass(Duration::from_millis(1));
        let claimed = given.claim_step("inspect").await;
        given.fails(&claimed, corrupt()).await;
        failed.insert(0, asset);
    }
    given.asset().await;
    let tasks = async |operation: &str| {
        let filter = TaskFilter {
            state: Some(TaskState::Dead),
            operation: Some(operation.into()),
            limit: 200,
            ..TaskFilter::default()
        };
        given
            .store
            .tasks(TENANT, &filter)
            .await
            .unwrap()
            .items
            .len()
    };
    assert_eq!(tasks("image.inspect").await, 3);
    assert_eq!(tasks("image.resize").await, 0);

    let assets = async |code: &str, text: Option<&str>| {
        let mut search = Search {
            code: Some(code.into()),
            text: text.map(str::to_owned),
            limit: 2,
            ..Search::default()
        };
        let mut found = Vec::new();
        loop {
            let page = given.store.search(TENANT, &search).await.unwrap();
            found.extend(page.items.into_iter().map(|asset| asset.id));
            search.cursor = page.next_cursor;
            if search.cursor.is_none() {
                return found;
            }
        }
    };
    assert_eq!(assets("input.corrupt", None).await, failed, "newest first");
    assert_eq!(assets("limit.pixels", None).await, []);
    // The tasks behind it were cancelled for another reason, and did not fail.
    assert_eq!(assets("upstream.dead", None).await, []);
    assert_eq!(assets("input.corrupt", Some("photo")).await, failed);
    assert_eq!(assets("input.corrupt", Some("nowhere")).await, []);

    let all = ReplayFilter::default();
    given.store.replay_all(TENANT, &all, 10).await.unwrap();
    assert_eq!(assets("input.corrupt", None).await, [], "tried again");
}

async fn only_the_newest_run_can_be_replayed(given: &mut Given) {
    let asset = given.asset().await;
    let claimed = given.claim_step("inspect").await;
    given.fails(&claimed, corrupt()).await;
    given.reprocess(asset).await;
    let refused = given.store.replay(TENANT, claimed.lease.task).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(
        given
            .store
            .replay_all(TENANT, &ReplayFilter::default(), 10)
            .await
            .unwrap(),
        0
    );
    assert_eq!(given.record(asset).await.run.state, RunState::Uploaded);
}

async fn what_is_put_off_is_tried_later_at_no_cost(given: &mut Given) {
    let asset = given.asset().await;
    for _ in 0..7 {
        let claimed = given.claim_step("inspect").await;
        assert_eq!(claimed.attempt, 1);
        let down = Failure::deferred(ErrorCode::ModerationUnavailable, "it is down");
        given.fails(&claimed, down).await;
        let task = tasks(given, asset).await.swap_remove(0);
        assert_eq!((task.state, task.attempts), (TaskState::Waiting, 0));
        assert_eq!(task.tries, []);
        assert_eq!(task.error.unwrap().0, "moderation.unavailable");
        given.world.pass(Duration::from_secs(8));
        given.store.sweep(10).await.unwrap();
    }
}
