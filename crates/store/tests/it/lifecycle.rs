//! Delete, reprocess, squeeze, update, history.

use crate::given::{Given, LEASE, TENANT, output, roomy, squeezing, step_of};
use mediaflow_core::{AssetState, ErrorCode, EventType, Failure, Focus, RunState, Visibility};
use mediaflow_store::{AssetPatch, Report, StoreError};
use std::time::Duration;

on_every_store! {
    a_deletion_wins_over_work_in_progress,
    readers_keep_the_old_generation_until_the_new_one_is_published,
    a_new_generation_cancels_an_unfinished_one,
    squeezing_swaps_renditions_in_place,
    squeezing_waits_until_nothing_else_does,
    an_update_records_what_changed_and_nothing_else,
    histories_have_no_gaps_and_the_feed_no_repeats,
    what_shows_of_a_first_generation_stays_when_a_newer_one_begins,
    caches_forget_what_showed_of_a_first_generation_that_failed,
    caches_forget_what_becomes_private,
}

async fn a_deletion_wins_over_work_in_progress(given: &mut Given) {
    let asset = given.asset().await;
    let inspect = given.claim_step("inspect").await;
    given.store.delete(TENANT, asset).await.unwrap();
    given.store.delete(TENANT, asset).await.unwrap();
    let lost = given
        .store
        .heartbeat(&[inspect.lease], LEASE)
        .await
        .unwrap();
    assert_eq!(lost, [inspect.lease]);
    let late = Report::Succeeded(output(&inspect));
    let refused = given.store.report(inspect.lease, late, None).await;
    assert!(matches!(refused, Err(StoreError::StaleFence)));
    assert!(given.claim().await.is_empty());
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Deleted);
    assert_eq!(record.inspected, None);
    let original = given.store.original(TENANT, asset).await;
    assert!(matches!(original, Err(StoreError::AssetDeleted)));
    let update = given
        .store
        .update(TENANT, asset, AssetPatch::default())
        .await;
    assert!(matches!(update, Err(StoreError::AssetDeleted)));
    let history = given.store.events(TENANT, asset, 0, 100).await.unwrap();
    assert_eq!(history.items.last().unwrap().kind, EventType::AssetDeleted);
}

async fn readers_keep_the_old_generation_until_the_new_one_is_published(given: &mut Given) {
    let asset = given.asset().await;
    given.all_done().await;
    let old = given.store.renditions(asset).await.unwrap();
    assert_eq!(given.store.purges(10).await.unwrap(), []);

    given.reprocess(asset).await;
    loop {
        let record = given.record(asset).await;
        assert_eq!(record.state, AssetState::Ready);
        let claimed = given.claim().await;
        let Some((last, before)) = claimed.split_last() else {
            break;
        };
        for task in before {
            given.succeeds(task).await;
        }
        assert_eq!(given.store.renditions(asset).await.unwrap(), old);
        given.succeeds(last).await;
    }
    let record = given.record(asset).await;
    assert_eq!((record.published, record.run.generation), (2, 2));
    let new = given.store.renditions(asset).await.unwrap();
    assert!(new.iter().all(|r| r.rendition.generation == 2));
    let purges = given.store.purges(10).await.unwrap();
    assert_eq!(purges.len(), 1);
    for r in &old {
        let hash = r.rendition.sha256.to_string();
        assert!(purges[0].paths.iter().any(|p| p.contains(&hash)));
    }

    given
        .store
        .purged(purges[0].id, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    assert_eq!(given.store.purges(10).await.unwrap(), []);
    given.world.pass(Duration::from_secs(5));
    assert_eq!(given.store.purges(10).await.unwrap()[0].attempts, 1);
    given.store.purged(purges[0].id, None).await.unwrap();
    assert_eq!(given.store.purges(10).await.unwrap(), []);
}

async fn a_new_generation_cancels_an_unfinished_one(given: &mut Given) {
    let asset = given.asset().await;
    let old = given.claim_step("moderate").await;
    assert_eq!(given.reprocess(asset).await, 2);
    let late = Report::Succeeded(output(&old));
    let refused = given.store.report(old.lease, late, None).await;
    assert!(matches!(refused, Err(StoreError::StaleFence)));
    let record = given.record(asset).await;
    assert_eq!(
        (record.run.generation, record.run.state),
        (2, RunState::Uploaded)
    );
    given.all_done().await;
    assert_eq!(given.record(asset).await.published, 2);
}

async fn squeezing_swaps_renditions_in_place(given: &mut Given) {
    let mut upload = given.upload();
    upload.recipe = squeezing();
    let asset = given.accept(upload).await.asset;
    loop {
        let mut busy = roomy();
        busy.idle_lane = false;
        let claimed = given.claim_with(&busy).await;
        if claimed.is_empty() {
            break;
        }
        for task in claimed {
            given.succeeds(&task).await;
        }
    }
    let before = given.store.renditions(asset).await.unwrap();
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
    let squeeze = given.claim_step("squeeze").await;
    given.succeeds(&squeeze).await;
    let after = given.store.renditions(asset).await.unwrap();
    assert_eq!(before.len(), after.len());
    let swapped = before.iter().zip(&after).filter(|(b, a)| b.key != a.key);
    assert_eq!(swapped.count(), 12);
    let history = given
        .store
        .events(TENANT, asset, 0, 200)
        .await
        .unwrap()
        .items;
    let improved = history
        .iter()
        .filter(|e| e.kind == EventType::RenditionImproved);
    assert_eq!(improved.count(), 12);
    let purges = given.store.purges(100).await.unwrap();
    assert_eq!(purges.len(), 1);
    let old = &before[1].rendition;
    assert!(purges[0].paths.contains(&format!(
        "/media/{asset}/{}/{}.webp",
        old.sha256, old.profile
    )));
}

async fn squeezing_waits_until_nothing_else_does(given: &mut Given) {
    let mut upload = given.upload();
    upload.recipe = squeezing();
    given.accept(upload).await;
    loop {
        let claimed = given.claim().await;
        if claimed.iter().any(|c| step_of(c) == "squeeze") {
            for task in claimed {
                given
                    .store
                    .report(task.lease, Report::HandedBack, None)
                    .await
                    .unwrap();
            }
            break;
        }
        for task in claimed {
            given.succeeds(&task).await;
        }
    }
    given.asset().await;
    let claimed = given.claim().await;
    assert!(
        claimed.iter().all(|c| step_of(c) != "squeeze"),
        "other work is ready"
    );
    assert!(given.claim().await.is_empty(), "other work is running");
}

async fn an_update_records_what_changed_and_nothing_else(given: &mut Given) {
    let asset = given.asset().await;
    let before = given.record(asset).await.last_sequence;
    let patch = AssetPatch {
        title: Some(Some("Sunset".into())),
        tags: Some(vec!["sea".into(), "sea".into()]),
        visibility: Some(Visibility::Public),
        focus: Some(Focus { x: 0.1, y: 0.9 }),
        ..AssetPatch::default()
    };
    let record = given
        .store
        .update(TENANT, asset, patch.clone())
        .await
        .unwrap();
    assert_eq!(record.options.title.as_deref(), Some("Sunset"));
    given.store.update(TENANT, asset, patch).await.unwrap();
    let events = given
        .store
        .events(TENANT, asset, before, 10)
        .await
        .unwrap()
        .items;
    assert_eq!(events.len(), 1, "saying the same again is no change");
    assert_eq!(
        events[0].data["fields"],
        serde_json::json!(["title", "tags", "focus"])
    );
    let clear = AssetPatch {
        title: Some(None),
        ..AssetPatch::default()
    };
    let record = given.store.update(TENANT, asset, clear).await.unwrap();
    assert_eq!(record.options.title, None);
}

async fn histories_have_no_gaps_and_the_feed_no_repeats(given: &mut Given) {
    let mut signal = given.store.on_event();
    let assets = [given.asset().await, given.asset().await];
    given.all_done().await;
    let end = given.store.feed_end().await.unwrap();
    assert!(signal.has_changed().unwrap());
    assert_eq!(*signal.borrow_and_update(), end);
    for asset in assets {
        let mut after = 0;
        let mut kinds = Vec::new();
        loop {
            let page = given.store.events(TENANT, asset, after, 3).await.unwrap();
            if page.items.is_empty() {
                break;
            }
            for event in page.items {
                assert_eq!(event.sequence, after + 1);
                after = event.sequence;
                kinds.push(event.kind);
            }
            assert_eq!(page.next, after);
        }
        assert_eq!(kinds[0], EventType::AssetAccepted);
        assert_eq!(kinds.last(), Some(&EventType::AssetReady));
        assert!(kinds.contains(&EventType::AssetViewable));
        assert_eq!(given.record(asset).await.last_sequence, after);
    }
    let mut after = 0;
    let mut ids = std::collections::HashSet::new();
    loop {
        let page = given.store.feed(TENANT, after, 4).await.unwrap();
        if page.items.is_empty() {
            break;
        }
        for event in page.items {
            assert!(event.position > after);
            after = event.position;
            assert!(ids.insert(event.id));
        }
    }
    let other = given.world_id().into();
    assert_eq!(given.store.feed(other, 0, 10).await.unwrap().items, []);
    let foreign = given.store.events(other, assets[0], 0, 10).await;
    assert!(matches!(foreign, Err(StoreError::AssetNotFound)));
}

async fn what_shows_of_a_first_generation_stays_when_a_newer_one_begins(given: &mut Given) {
    let asset = given.viewable().await;
    let old = given.store.renditions(asset).await.unwrap();
    assert!(!old.is_empty());
    given.reprocess(asset).await;
    let record = given.record(asset).await;
    assert!(record.viewable);
    assert_eq!(
        record.state,
        AssetState::Uploaded,
        "the whole of it is not there"
    );
    assert_eq!(given.store.renditions(asset).await.unwrap(), old);
    given.reprocess(asset).await;
    assert_eq!(given.store.renditions(asset).await.unwrap(), old);
    given.all_done().await;
    let record = given.record(asset).await;
    assert_eq!((record.state, record.published), (AssetState::Ready, 3));
    let purges = given.store.purges(10).await.unwrap();
    let hash = old[0].rendition.sha256.to_string();
    assert!(purges[0].paths.iter().any(|p| p.contains(&hash)));
}

async fn caches_forget_what_showed_of_a_first_generation_that_failed(given: &mut Given) {
    let asset = given.viewable().await;
    let shown = given.store.renditions(asset).await.unwrap();
    for task in given.claim().await {
        match step_of(&task) {
            "compress" => {
                let failure = Failure::permanent(ErrorCode::InputCorrupt, "it ends early");
                given.fails(&task, failure).await;
            }
            _ => given.succeeds(&task).await,
        }
    }
    assert_eq!(given.record(asset).await.state, AssetState::Failed);
    assert_eq!(given.store.renditions(asset).await.unwrap(), []);
    let purges = given.store.purges(10).await.unwrap();
    assert_eq!(purges.len(), 1);
    let hash = shown[0].rendition.sha256.to_string();
    assert!(purges[0].paths.iter().any(|p| p.contains(&hash)));
}

async fn caches_forget_what_becomes_private(given: &mut Given) {
    let asset = given.asset().await;
    given.all_done().await;
    let seen = |visibility| AssetPatch {
        visibility: Some(visibility),
        ..AssetPatch::default()
    };
    for (visibility, purges) in [
        (Visibility::Private, 1),
        (Visibility::Private, 1),
        (Visibility::Public, 1),
        (Visibility::Private, 2),
    ] {
        let patch = seen(visibility);
        given.store.update(TENANT, asset, patch).await.unwrap();
        assert_eq!(given.store.purges(10).await.unwrap().len(), purges);
    }
}
