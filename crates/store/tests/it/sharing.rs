//! Who waits for whom: shares of tenants and urgencies, limits, what workers can do. Time is what tasks are estimated to
//! cost, on a worker that does one at a time.

use crate::given::{Given, output, recipe_from, roomy, step_of};
use mediaflow_core::{AssetId, AssetState, Priority, Queue, TenantId, WorkerId};
use mediaflow_store::{
    Admission, Capacity, Claimed, Environment, Obstacle, Presence, Report, Switch, TaskFilter,
    TenantChange,
};
use std::collections::HashMap;
use std::time::Duration;

on_every_store! {
    an_import_in_bulk_leaves_an_upload_less_than_twice_its_time,
    another_tenants_import_delays_an_upload_by_its_own_time_and_one_task,
    work_is_shared_by_weight,
    no_more_run_of_a_tenant_than_may,
    what_needs_a_capability_waits_for_a_worker_that_has_it,
    what_one_worker_is_too_small_for_waits_for_one_that_is_not,
    loads_tell_rates_and_what_is_left_to_do,
    uploads_are_refused_while_too_much_waits,
}

/// A worker that does one thing at a time.
fn one() -> Capacity {
    Capacity {
        slots: vec![(Queue::BUSY, 1), (Queue::WAITING, 4)],
        ..roomy()
    }
}

fn milliseconds(task: &Claimed) -> u64 {
    let queue = task.recipe.steps[task.step].operation.queue();
    match Queue::BUSY.contains(&queue) {
        true => u64::from(task.cost.cpu_ms),
        false => 0,
    }
}

/// Works until `asset` is ready, or for so many tasks; answers how long that took.
async fn work(given: &Given, until: Option<AssetId>, most: usize) -> (u64, HashMap<TenantId, u64>) {
    let (mut time, mut of) = (0, HashMap::new());
    let mut hand = Vec::new();
    for _ in 0..most {
        if hand.is_empty() {
            hand = given.claim_with(&one()).await;
        }
        let Some(task) = hand.pop() else { break };
        let ms = milliseconds(&task);
        time += ms;
        *of.entry(task.tenant).or_default() += ms;
        given.world.pass(Duration::from_millis(ms));
        let report = Report::Succeeded(output(&task));
        let offered = given.store.report(task.lease, report, Some(&one())).await;
        hand.extend(offered.unwrap());
        if let Some(asset) = until
            && given.record(asset).await.state == AssetState::Ready
        {
            return (time, of);
        }
    }
    for task in hand {
        let back = given.store.report(task.lease, Report::HandedBack, None);
        back.await.unwrap();
    }
    (time, of)
}

async fn import(given: &mut Given, tenant: TenantId, priority: Priority, files: u32) {
    for _ in 0..files {
        let mut upload = given.upload();
        upload.tenant = tenant;
        upload.settings.priority = priority;
        given.accept(upload).await;
    }
}

async fn beside_an_import(given: &mut Given, tenant: TenantId, priority: Priority, task: u64) {
    let asset = given.asset().await;
    let (idle, _) = work(given, Some(asset), 100).await;
    assert!(idle > 6000, "{idle}");
    // First what makes its assets viewable is waiting, then what completes them.
    for done in [0, 200] {
        import(given, tenant, priority, 30).await;
        work(given, None, done).await;
        let asset = given.asset().await;
        let (busy, _) = work(given, Some(asset), 200).await;
        assert_eq!(given.record(asset).await.state, AssetState::Ready);
        assert!(
            busy <= idle * 2 + task,
            "{busy} ms beside the import, {idle} ms without"
        );
    }
}

async fn an_import_in_bulk_leaves_an_upload_less_than_twice_its_time(given: &mut Given) {
    beside_an_import(given, crate::given::TENANT, Priority::Low, 0).await;
}

async fn another_tenants_import_delays_an_upload_by_its_own_time_and_one_task(given: &mut Given) {
    let other = TenantId(given.world.id());
    // What completes a picture takes six seconds.
    beside_an_import(given, other, Priority::Normal, 6000).await;
}

async fn work_is_shared_by_weight(given: &mut Given) {
    let [a, b] = [(); 2].map(|()| TenantId(given.world.id()));
    let three = TenantChange {
        weight: Some(3),
        ..TenantChange::default()
    };
    given.store.set_tenant(a, three, "test").await.unwrap();
    for tenant in [a, b] {
        import(given, tenant, Priority::Normal, 25).await;
    }
    // Most of it is what completes assets: six seconds each.
    let (_, of) = work(given, None, 120).await;
    let ratio = of[&a] as f64 / of[&b] as f64;
    assert!((2.0..4.0).contains(&ratio), "{ratio}");
}

async fn no_more_run_of_a_tenant_than_may(given: &mut Given) {
    let limited = TenantId(given.world.id());
    let two = TenantChange {
        running_max: Some(Some(2)),
        ..TenantChange::default()
    };
    given.store.set_tenant(limited, two, "ann").await.unwrap();
    import(given, limited, Priority::High, 10).await;
    let asset = given.asset().await;
    let claimed = given.claim().await;
    let of_limited = claimed.iter().filter(|c| c.tenant == limited).count();
    assert_eq!(of_limited, 2, "of both queues together");
    assert!(
        claimed.iter().any(|c| c.asset == asset),
        "others go past it"
    );
    assert!(given.claim().await.is_empty());
    let tenants = given.store.tenants().await.unwrap();
    let record = tenants.iter().find(|t| t.id == limited).unwrap();
    assert_eq!((record.running, record.waiting), (2, 10));
    let ended = claimed.iter().find(|c| c.tenant == limited).unwrap();
    let report = Report::Succeeded(output(ended));
    let offered = given
        .store
        .report(ended.lease, report, Some(&roomy()))
        .await;
    let next = [offered.unwrap(), given.claim().await].concat();
    assert_eq!(next.len(), 1);
    let none = TenantChange {
        running_max: Some(None),
        ..TenantChange::default()
    };
    given.store.set_tenant(limited, none, "bob").await.unwrap();
    assert!(given.claim().await.len() > 10);
    let name = format!("tenant.{limited}.running_max");
    let changes = given.store.changes(Some(&name), 10).await.unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|c| (c.before.as_str(), c.after.as_str(), c.who.as_str()))
        .collect();
    assert_eq!(told, [("2", "none", "bob"), ("none", "2", "ann")]);
}

fn presence(given: &Given, queues: &[Queue], capabilities: &[&str]) -> Presence {
    Presence {
        id: WorkerId(given.world.id()),
        name: "test:1".into(),
        version: "1".into(),
        queues: queues.to_vec(),
        cpu: 2,
        network: 16,
        capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
        memory_bytes: 8 << 30,
        started_at: given.world.now(),
    }
}

async fn what_needs_a_capability_waits_for_a_worker_that_has_it(given: &mut Given) {
    let text = include_str!("../../../../recipes/image.toml");
    let text = text.replacen(
        "operation = \"image.inspect\"",
        "operation = \"image.inspect\"\nrequires = [\"gpu\"]",
        1,
    );
    let mut upload = given.upload();
    upload.recipe = recipe_from(&text);
    let asset = given.accept(upload).await.asset;
    let plain = presence(given, Queue::ALL, &[]);
    given.store.present(&plain).await.unwrap();
    let claimed = given.claim().await;
    let steps: Vec<&str> = claimed.iter().map(step_of).collect();
    assert_eq!(steps, ["moderate"]);
    let stuck = async |given: &Given| {
        let health = given.store.health().await.unwrap();
        let image = health.queues.into_iter().find(|q| q.queue == Queue::Image);
        image.unwrap().stuck
    };
    let found = stuck(given).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].obstacle, Obstacle::NoCapability);
    assert_eq!(
        (found[0].tasks, &found[0].needs[..]),
        (1, &["gpu".to_owned()][..])
    );
    let filter = TaskFilter {
        asset: Some(asset),
        limit: 200,
        ..TaskFilter::default()
    };
    let page = given.store.tasks(crate::given::TENANT, &filter).await;
    let page = page.unwrap();
    let inspect = page.items.iter().find(|t| t.step == "inspect").unwrap();
    assert_eq!(inspect.needs, ["gpu"]);

    let able = presence(given, &[Queue::Image], &["gpu"]);
    given.store.present(&able).await.unwrap();
    assert!(stuck(given).await.is_empty());
    let capacity = Capacity {
        capabilities: able.capabilities,
        ..roomy()
    };
    assert_eq!(given.claim_with(&capacity).await.len(), 1);
    given.world.pass(Duration::from_secs(16));
    given.asset().await;
    let found = stuck(given).await;
    assert_eq!(found[0].obstacle, Obstacle::NoQueue, "nobody lives");
}

async fn what_one_worker_is_too_small_for_waits_for_one_that_is_not(given: &mut Given) {
    let mut upload = given.upload();
    upload.facts.bytes = 500 << 20;
    given.accept(upload).await;
    let large = presence(given, &[Queue::Image], &[]);
    given.store.present(&large).await.unwrap();
    let small = Capacity {
        memory_free: 100 << 20,
        memory_total: 100 << 20,
        slots: vec![(&[Queue::Image], 4)],
        ..roomy()
    };
    assert!(given.claim_with(&small).await.is_empty());
    given.world.pass(Duration::from_secs(16));
    assert_eq!(given.claim_with(&small).await.len(), 1, "to be refused");
}

async fn loads_tell_rates_and_what_is_left_to_do(given: &mut Given) {
    let load = async |given: &Given| {
        let health = given.store.health().await.unwrap();
        let mut queues = health.queues.into_iter();
        queues.find(|q| q.queue == Queue::Image).unwrap()
    };
    for _ in 0..10 {
        given.asset().await;
    }
    let before = load(given).await;
    assert_eq!((before.recent.arrived, before.recent.done), (10, 0));
    assert_eq!(before.drain_seconds(), None, "nobody works");
    let worker = presence(given, &[Queue::Image], &[]);
    given.store.present(&worker).await.unwrap();
    let only_image = Capacity {
        slots: vec![(&[Queue::Image], 4)],
        ..roomy()
    };
    let claimed = given.claim_with(&only_image).await;
    let estimated = u64::from(claimed[0].cost.cpu_ms);
    given.world.pass(Duration::from_millis(estimated * 3));
    for task in &claimed {
        given.succeeds(task).await;
    }
    given.store.sweep(10).await.unwrap();
    let load = load(given).await;
    assert_eq!((load.ready, load.running), (6, 0));
    assert_eq!((load.workers, load.slots), (1, 2));
    assert_eq!((load.recent.arrived, load.recent.done), (10, 4));
    assert_eq!(load.ready_cpu_ms, 6 * estimated);
    let work = (6 * estimated * 3) as f64 / 1000.0;
    assert!((load.work_seconds() - work).abs() < 1e-9, "{load:?}");
    assert_eq!(load.drain_seconds(), Some(load.work_seconds() / 2.0));
    assert!(load.arrival_rate() > 10.0 / 361.0 && load.arrival_rate() < 10.0 / 299.0);

    given
        .store
        .set_switch(Switch::Claims(Queue::Image), false, "ann")
        .await
        .unwrap();
    assert!(given.claim_with(&only_image).await.is_empty());
    let health = given.store.health().await.unwrap();
    assert!(
        health
            .queues
            .iter()
            .any(|q| q.paused && q.drain_seconds().is_none())
    );
    let again = given
        .store
        .set_switch(Switch::Claims(Queue::Image), false, "bob");
    assert!(!again.await.unwrap(), "it was off");
    given
        .store
        .set_switch(Switch::Claims(Queue::Image), true, "bob")
        .await
        .unwrap();
    assert!(!given.claim_with(&only_image).await.is_empty());
    let changes = given.store.changes(None, 10).await.unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|c| (&c.switch[..], &c.after[..], &c.who[..]))
        .collect();
    assert_eq!(
        told,
        [
            ("claims.image", "on", "bob"),
            ("claims.image", "off", "ann")
        ]
    );
}

async fn uploads_are_refused_while_too_much_waits(given: &mut Given) {
    let tenant = crate::given::TENANT;
    let admission = async |given: &Given| given.store.admission(tenant).await.unwrap();
    assert_eq!(admission(given).await, Admission::Open);
    let two = TenantChange {
        waiting_max: Some(Some(2)),
        ..TenantChange::default()
    };
    given.store.set_tenant(tenant, two, "ann").await.unwrap();
    for _ in 0..2 {
        assert_eq!(admission(given).await, Admission::Open);
        given.asset().await;
    }
    assert_eq!(admission(given).await, Admission::Full(2));
    let other = TenantId(given.world.id());
    assert_eq!(given.store.admission(other).await.unwrap(), Admission::Open);
    given.all_done().await;
    assert_eq!(admission(given).await, Admission::Open);
    given
        .store
        .set_switch(Switch::Uploads, false, "ann")
        .await
        .unwrap();
    assert_eq!(admission(given).await, Admission::Off);
}
