//! Fences, repeated calls, vanished workers.

use crate::given::{Given, LEASE, TENANT, output, roomy, step_of};
use mediaflow_core::failure::LOSSES_ALONE_MAX;
use mediaflow_core::{AssetState, ErrorCode, Failure, TaskState};
use mediaflow_store::{Lease, Report, StoreError, TaskFilter, TaskRecord};

on_every_store! {
    an_overtaken_attempt_changes_nothing,
    expiry_alone_refuses_nothing,
    a_repeated_report_gets_the_first_answer,
    a_repeated_claim_gets_the_tasks_it_still_holds,
    heartbeats_keep_a_task,
    a_task_that_takes_its_worker_down_runs_alone_and_is_then_quarantined,
    handing_back_costs_nothing,
    a_report_for_no_task_says_so,
}

impl Given {
    pub(crate) async fn task(&self, step: &str) -> TaskRecord {
        let filter = TaskFilter {
            limit: 200,
            ..TaskFilter::default()
        };
        let tasks = self.store.tasks(TENANT, &filter).await.unwrap().items;
        tasks.into_iter().find(|t| t.step == step).unwrap()
    }
}

async fn an_overtaken_attempt_changes_nothing(given: &mut Given) {
    given.asset().await;
    let first = given.claim_step("inspect").await;
    given.leases_run_out().await;
    let second = given.claim_step("inspect").await;
    assert!(second.lease.fence > first.lease.fence);

    let late = Report::Succeeded(output(&first));
    let refused = given.store.report(first.lease, late, None).await;
    assert!(matches!(refused, Err(StoreError::StaleFence)));
    let lost = given
        .store
        .heartbeat(&[first.lease, second.lease], LEASE)
        .await;
    assert_eq!(lost.unwrap(), [first.lease]);
    assert_eq!(given.task("inspect").await.state, TaskState::Running);
    given.succeeds(&second).await;
}

async fn expiry_alone_refuses_nothing(given: &mut Given) {
    given.asset().await;
    let claimed = given.claim_step("inspect").await;
    given.world.pass(LEASE * 10);
    given.succeeds(&claimed).await;
    assert_eq!(given.task("inspect").await.state, TaskState::Succeeded);
}

async fn a_repeated_report_gets_the_first_answer(given: &mut Given) {
    let asset = given.asset().await;
    let claimed = given.claim_step("moderate").await;
    let report = || Report::Succeeded(output(&claimed));
    let first = given
        .store
        .report(claimed.lease, report(), Some(&roomy()))
        .await
        .unwrap();
    let events = given.record(asset).await.last_sequence;
    let again = given
        .store
        .report(claimed.lease, report(), Some(&roomy()))
        .await
        .unwrap();
    let leases =
        |offers: &[mediaflow_store::Claimed]| offers.iter().map(|c| c.lease).collect::<Vec<_>>();
    assert_eq!(first.iter().map(step_of).collect::<Vec<_>>(), ["resize"]);
    assert_eq!(leases(&first), leases(&again));
    assert_eq!(given.record(asset).await.last_sequence, events);

    // Nor does a different second report change the first.
    let failed = Report::Failed(Failure::permanent(ErrorCode::InputCorrupt, "damaged"));
    given
        .store
        .report(claimed.lease, failed, None)
        .await
        .unwrap();
    assert_eq!(given.task("moderate").await.state, TaskState::Succeeded);
}

async fn a_repeated_claim_gets_the_tasks_it_still_holds(given: &mut Given) {
    given.asset().await;
    let request = uuid::Uuid::from_u128(7);
    let first = given.store.claim(request, &roomy()).await.unwrap();
    assert_eq!(first.len(), 2);
    let again = given.store.claim(request, &roomy()).await.unwrap();
    assert_eq!(
        again.iter().map(|c| c.lease).collect::<Vec<_>>(),
        first.iter().map(|c| c.lease).collect::<Vec<_>>()
    );
    assert!(given.claim().await.is_empty());
    given.succeeds(&first[0]).await;
    let rest = given.store.claim(request, &roomy()).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].lease, first[1].lease);
}

async fn heartbeats_keep_a_task(given: &mut Given) {
    given.asset().await;
    let claimed = given.claim_step("inspect").await;
    for _ in 0..10 {
        given.world.pass(LEASE / 2);
        let leases = [claimed.lease];
        assert_eq!(given.store.heartbeat(&leases, LEASE).await.unwrap(), []);
        given.store.sweep(10).await.unwrap();
    }
    assert!(
        given
            .store
            .is_leased(claimed.lease.task, claimed.lease.fence)
            .await
            .unwrap()
    );
    assert!(!given.store.is_leased(claimed.lease.task, 0).await.unwrap());
}

async fn a_task_that_takes_its_worker_down_runs_alone_and_is_then_quarantined(given: &mut Given) {
    let asset = given.asset().await;
    let moderate = given.claim_step("moderate").await;
    given.succeeds(&moderate).await;
    let resize = given.claim_step("resize").await;
    assert!(!resize.alone);
    // `inspect`, which was claimed with it, is lost as well.
    assert_eq!(given.leases_run_out().await, 2);
    for _ in 0..LOSSES_ALONE_MAX {
        let alone = given.claim().await;
        assert_eq!(alone.len(), 1, "alone means alone");
        assert!(alone[0].alone);
        if step_of(&alone[0]) == "inspect" {
            given.succeeds(&alone[0]).await;
            let alone = given.claim().await;
            assert_eq!(alone.iter().map(step_of).collect::<Vec<_>>(), ["resize"]);
        }
        assert_eq!(given.leases_run_out().await, 1);
    }
    let resize = given.task("resize").await;
    assert_eq!(resize.state, TaskState::Dead);
    assert_eq!(resize.error.unwrap().0, "worker.lost");
    assert_eq!(resize.tries.len() as u32, 1 + LOSSES_ALONE_MAX);
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Failed);
    assert_eq!(record.error.unwrap().0, "worker.lost");
}

async fn handing_back_costs_nothing(given: &mut Given) {
    let asset = given.asset().await;
    for _ in 0..20 {
        let claimed = given.claim().await;
        assert!(claimed.iter().all(|c| c.attempt == 1));
        for task in claimed {
            given
                .store
                .report(task.lease, Report::HandedBack, None)
                .await
                .unwrap();
            given
                .store
                .report(task.lease, Report::HandedBack, None)
                .await
                .unwrap();
        }
    }
    given.all_done().await;
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
    assert_eq!(given.task("inspect").await.attempts, 1);
}

async fn a_report_for_no_task_says_so(given: &mut Given) {
    let lease = Lease {
        task: uuid::Uuid::nil().into(),
        fence: 1,
    };
    let refused = given.store.report(lease, Report::HandedBack, None).await;
    assert!(matches!(refused, Err(StoreError::TaskNotFound)));
}
