//! The gate.

use crate::given::{Given, TENANT, output};
use mediaflow_core::{AssetState, Decision, ModerationPolicy, Verdict};
use mediaflow_store::{Report, Search, StoreError};

on_every_store! {
    what_a_person_approves_goes_on_to_ready,
    what_a_person_rejects_is_gone_but_its_original_stays,
    a_rejection_removes_what_an_earlier_generation_published,
    nothing_shows_before_the_gate_is_passed,
    a_published_asset_whose_next_generation_needs_a_person_is_in_the_queue,
}

async fn in_review(given: &mut Given) -> mediaflow_core::AssetId {
    let asset = given.asset_under(ModerationPolicy::Review).await;
    given.all_done().await;
    assert_eq!(given.record(asset).await.state, AssetState::InReview);
    asset
}

async fn decide(
    given: &Given,
    asset: mediaflow_core::AssetId,
    decision: Decision,
) -> Result<(), StoreError> {
    let reason = Some("seen it");
    given
        .store
        .decide(TENANT, asset, decision, reason, "key:ann")
        .await
}

async fn what_a_person_approves_goes_on_to_ready(given: &mut Given) {
    let asset = in_review(given).await;
    let queue = Search {
        state: Some(AssetState::InReview),
        limit: 10,
        ..Search::default()
    };
    let found = given.store.search(TENANT, &queue).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert!(given.store.renditions(asset).await.unwrap().is_empty());

    decide(given, asset, Decision::Approve).await.unwrap();
    given.all_done().await;
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Ready);
    let moderation = record.moderation.unwrap();
    assert_eq!(moderation["policy"], "review");
    assert_eq!(moderation["verdict"], "pass");
    assert_eq!(moderation["decided_by"], "key:ann");
    assert_eq!(moderation["reason"], "seen it");

    let late = decide(given, asset, Decision::Reject).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))));
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
}

async fn what_a_person_rejects_is_gone_but_its_original_stays(given: &mut Given) {
    let asset = in_review(given).await;
    decide(given, asset, Decision::Reject).await.unwrap();
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Rejected);
    assert_eq!(
        record.error.unwrap(),
        ("moderation.rejected".into(), "seen it".into())
    );
    assert!(!record.viewable);
    assert!(given.claim().await.is_empty());
    given.store.original(TENANT, asset).await.unwrap();
    let late = decide(given, asset, Decision::Approve).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))));
    let again = given.try_reprocess(asset).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
}

async fn a_rejection_removes_what_an_earlier_generation_published(given: &mut Given) {
    let asset = given.asset().await;
    given.all_done().await;
    let visible = given.store.renditions(asset).await.unwrap();
    given.reprocess(asset).await;
    let moderate = given.claim_step("moderate").await;
    let mut found = output(&moderate);
    found.verdict = Some(Verdict::Reject);
    found.facts = serde_json::json!({ "scores": { "gore": 0.99 } });
    given
        .store
        .report(moderate.lease, Report::Succeeded(found), None)
        .await
        .unwrap();

    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Rejected);
    assert_eq!(record.moderation.unwrap()["scores"]["gore"], 0.99);
    assert!(given.store.renditions(asset).await.unwrap().is_empty());
    let purges = given.store.purges(10).await.unwrap();
    assert_eq!(purges.len(), 1);
    let first = &visible[0].rendition;
    for path in [
        format!("/media/{asset}/thumbnail"),
        format!("/media/{asset}/thumbnail.jpg"),
        format!("/media/{asset}/{}/thumbnail.jpg", first.sha256),
        format!("/media/{asset}/original.avif"),
    ] {
        assert!(purges[0].paths.contains(&path), "{path}");
    }
    let derivation = first.derivation;
    let shared = given.store.reusable(TENANT, &[derivation]).await.unwrap();
    assert!(shared.is_empty(), "a rejected asset shares nothing");
}

async fn nothing_shows_before_the_gate_is_passed(given: &mut Given) {
    let asset = given.asset().await;
    let inspect = given.claim().await;
    for task in &inspect {
        assert!(given.store.renditions(asset).await.unwrap().is_empty());
        given.succeeds(task).await;
    }
    let resize = given.claim_step("resize").await;
    given.succeeds(&resize).await;
    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Processing);
    assert!(
        record.viewable,
        "baseline renditions show while the rest is made"
    );
    assert_eq!(given.store.renditions(asset).await.unwrap().len(), 6);
}

async fn a_published_asset_whose_next_generation_needs_a_person_is_in_the_queue(given: &mut Given) {
    let asset = given.asset().await;
    given.all_done().await;
    let generation = mediaflow_store::Generation {
        recipe: crate::given::recipe(),
        settings: mediaflow_core::RunSettings {
            moderation: ModerationPolicy::Review,
            ..mediaflow_core::RunSettings::default()
        },
    };
    let begun = given.store.reprocess(TENANT, asset, generation);
    begun.await.unwrap();
    given.all_done().await;
    let queue = Search {
        state: Some(AssetState::InReview),
        limit: 10,
        ..Search::default()
    };
    let found = given.store.search(TENANT, &queue).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].state,
        AssetState::Ready,
        "readers keep what they have"
    );
    decide(given, asset, Decision::Approve).await.unwrap();
    let found = given.store.search(TENANT, &queue).await.unwrap().items;
    assert!(found.is_empty());
    given.all_done().await;
    assert_eq!(given.record(asset).await.published, 2);
}
