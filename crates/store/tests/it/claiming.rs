//! Which task goes to whom.

use crate::given::{Given, roomy, step_of};
use mediaflow_core::operation::Facts;
use mediaflow_core::{Queue, TenantId};
use mediaflow_store::{Capacity, Report, Switch};
use std::time::Duration;

on_every_store! {
    a_worker_is_given_no_more_than_it_asks_for_and_only_of_queues_it_serves,
    what_makes_assets_viewable_goes_before_what_completes_them,
    a_tenant_that_asks_for_much_does_not_keep_another_waiting,
    nothing_starts_that_does_not_fit,
    what_no_worker_of_this_size_can_hold_is_handed_out_to_be_refused,
    the_worker_that_finished_is_offered_what_follows,
    what_is_switched_off_is_not_offered_either,
    a_task_that_must_run_alone_waits_for_an_idle_worker_but_not_for_ever,
    depths_tell_what_waits_and_since_when,
    a_films_tasks_are_estimated_by_the_size_that_its_inspection_finds,
}

const MIB: u64 = 1 << 20;

fn steps(claimed: &[mediaflow_store::Claimed]) -> Vec<&str> {
    claimed.iter().map(step_of).collect()
}

fn slots(image: u32, network: u32) -> Capacity {
    Capacity {
        slots: vec![(Queue::BUSY, image), (Queue::WAITING, network)],
        ..roomy()
    }
}

async fn a_worker_is_given_no_more_than_it_asks_for_and_only_of_queues_it_serves(
    given: &mut Given,
) {
    for _ in 0..5 {
        given.asset().await;
    }
    assert_eq!(
        steps(&given.claim_with(&slots(2, 1)).await),
        ["inspect", "inspect", "moderate"]
    );
    let only_network = Capacity {
        slots: vec![(Queue::WAITING, 10)],
        ..roomy()
    };
    assert_eq!(
        steps(&given.claim_with(&only_network).await),
        ["moderate"; 4]
    );
}

async fn what_makes_assets_viewable_goes_before_what_completes_them(given: &mut Given) {
    given.asset().await;
    for round in 0..2 {
        for task in given.claim().await {
            given.succeeds(&task).await;
        }
        assert!(round < 2);
    }
    given.asset().await;
    assert_eq!(
        steps(&given.claim_with(&slots(2, 0)).await),
        ["placeholder", "inspect"]
    );
    assert_eq!(steps(&given.claim_with(&slots(2, 0)).await), ["compress"]);
}

async fn a_tenant_that_asks_for_much_does_not_keep_another_waiting(given: &mut Given) {
    for _ in 0..50 {
        given.asset().await;
    }
    let first = given.claim_with(&slots(5, 0)).await;
    assert_eq!(first.len(), 5);
    let mut other = given.upload();
    other.tenant = TenantId(given.world_id());
    let other = given.accept(other).await.asset;
    let next = given.claim_with(&slots(2, 0)).await;
    assert!(
        next.iter().any(|c| c.asset == other),
        "it does not wait behind 45 tasks"
    );
}

async fn nothing_starts_that_does_not_fit(given: &mut Given) {
    let mut upload = given.upload();
    upload.facts.bytes = 100 * MIB;
    given.accept(upload).await;
    given.asset().await;
    let tight = Capacity {
        memory_free: 50 * MIB,
        memory_total: 200 * MIB,
        ..slots(10, 0)
    };
    let claimed = given.claim_with(&tight).await;
    assert_eq!(claimed.len(), 1, "the small one goes past the large one");
    assert!(claimed[0].cost.memory_bytes < 50 * MIB);
    given
        .store
        .report(claimed[0].lease, Report::HandedBack, None)
        .await
        .unwrap();

    given.world.pass(Duration::from_secs(6));
    assert_eq!(
        given.claim_with(&tight).await.len(),
        0,
        "until the large one has waited too long"
    );
    let emptier = Capacity {
        memory_free: 150 * MIB,
        ..tight
    };
    assert_eq!(given.claim_with(&emptier).await.len(), 2);
}

async fn what_no_worker_of_this_size_can_hold_is_handed_out_to_be_refused(given: &mut Given) {
    let mut upload = given.upload();
    upload.facts = Facts {
        pixels: u64::MAX / 8,
        frames: u32::MAX,
        bytes: 500 * MIB,
    };
    given.accept(upload).await;
    let small = Capacity {
        memory_free: 10 * MIB,
        memory_total: 100 * MIB,
        ..slots(10, 10)
    };
    assert_eq!(given.claim_with(&small).await.len(), 2);
}

async fn the_worker_that_finished_is_offered_what_follows(given: &mut Given) {
    given.asset().await;
    for task in given.claim().await {
        given.succeeds(&task).await;
    }
    let resize = given.claim_step("resize").await;
    let report = || Report::Succeeded(crate::given::output(&resize));
    // Somebody else's picture is not viewable yet: completing this one has to wait.
    given.asset().await;
    let offered = given
        .store
        .report(resize.lease, report(), Some(&slots(4, 0)))
        .await
        .unwrap();
    assert_eq!(steps(&offered), ["placeholder"]);
    let others = given.claim().await;
    assert_eq!(steps(&others), ["inspect", "compress", "moderate"]);
}

async fn what_is_switched_off_is_not_offered_either(given: &mut Given) {
    given.asset().await;
    for task in given.claim().await {
        given.succeeds(&task).await;
    }
    let resize = given.claim_step("resize").await;
    let turn = async |on| {
        given
            .store
            .set_switch(Switch::Claims(Queue::Image), on, "ann")
            .await
    };
    turn(false).await.unwrap();
    let report = Report::Succeeded(crate::given::output(&resize));
    let room = slots(4, 4);
    let offered = given.store.report(resize.lease, report, Some(&room));
    assert_eq!(steps(&offered.await.unwrap()), [""; 0]);
    turn(true).await.unwrap();
    assert!(!given.claim().await.is_empty());
}

async fn a_task_that_must_run_alone_waits_for_an_idle_worker_but_not_for_ever(given: &mut Given) {
    given.asset().await;
    given.claim_with(&slots(1, 0)).await;
    for _ in 0..2 {
        given.world.pass(Duration::from_secs(60));
        given.store.sweep(10).await.unwrap();
    }
    given.asset().await;
    let busy = Capacity {
        idle: false,
        ..slots(4, 0)
    };
    let claimed = given.claim_with(&busy).await;
    assert_eq!(claimed.len(), 1);
    assert!(!claimed[0].alone);
    given
        .store
        .report(claimed[0].lease, Report::HandedBack, None)
        .await
        .unwrap();
    given.world.pass(Duration::from_secs(6));
    assert_eq!(
        given.claim_with(&busy).await.len(),
        0,
        "the worker drains for it"
    );
    let alone = given.claim_with(&slots(4, 4)).await;
    assert_eq!(alone.len(), 1);
    assert!(alone[0].alone);
}

async fn depths_tell_what_waits_and_since_when(given: &mut Given) {
    let since = given.world_now();
    given.asset().await;
    given.world.pass(Duration::from_secs(3));
    given.asset().await;
    let health = given.store.health().await.unwrap();
    let image = health
        .queues
        .iter()
        .find(|q| q.queue == Queue::Image)
        .unwrap();
    assert_eq!(
        (image.ready, image.running, image.oldest_ready_at),
        (2, 0, Some(since))
    );
    given.claim_with(&slots(1, 0)).await;
    let health = given.store.health().await.unwrap();
    let image = health
        .queues
        .iter()
        .find(|q| q.queue == Queue::Image)
        .unwrap();
    assert_eq!((image.ready, image.running), (1, 1));
    let uploaded = health
        .assets
        .iter()
        .find(|(s, _)| *s == mediaflow_core::AssetState::Uploaded);
    assert_eq!(uploaded.unwrap().1, 2);
}

/// What a film's size is only its inspection tells; how many bytes it has is no matter, as nothing holds them.
async fn a_films_tasks_are_estimated_by_the_size_that_its_inspection_finds(given: &mut Given) {
    let mut upload = given.upload();
    upload.kind = mediaflow_core::Kind::Video;
    upload.recipe = crate::given::video();
    upload.facts = Facts {
        pixels: 0,
        frames: 1,
        bytes: 4096 * MIB,
    };
    given.accept(upload).await;
    let inspect = given.claim_step("inspect").await;
    assert!(inspect.cost.memory_bytes < 256 * MIB);
    let mut output = crate::given::output(&inspect);
    output.dimensions = Some((3840, 2160));
    let report = Report::Succeeded(output);
    given
        .store
        .report(inspect.lease, report, None)
        .await
        .unwrap();
    let moderate = given.claim_step("moderate").await;
    assert!(moderate.cost.memory_bytes < 64 * MIB, "of small pictures");
    given.succeeds(&moderate).await;
    let claimed = given.claim().await;
    let plan = claimed.iter().find(|c| step_of(c) == "plan").unwrap();
    given.succeeds(plan).await;
    let lead = given.claim_step("lead").await;
    assert_eq!(lead.facts.pixels, 3840 * 2160);
    let (memory, cpu) = (lead.cost.memory_bytes, lead.cost.cpu_ms);
    assert!((500 * MIB..700 * MIB).contains(&memory), "{}", memory / MIB);
    assert!(cpu > 100_000, "{cpu}");
}
