//! The gate: nothing is shown before its verdict.

use crate::given::{Setup, TENANT, photo};
use mediaflow_core::moderation::ModerationPolicy;
use mediaflow_core::{AssetOptions, AssetState, Decision};
use mediaflow_engine::{ClassifierConfig, ModerationConfig};

fn review() -> Setup {
    let moderation = ModerationConfig {
        policy: ModerationPolicy::Review,
        ..ModerationConfig::default()
    };
    Setup {
        moderation,
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_approves() {
    let running = review().start().await;
    let asset = running.ingest(photo(400, 300, 1)).await;
    assert_eq!(asset.state, AssetState::InReview);
    assert!(!asset.viewable);
    assert!(running.renditions(asset.id).await.is_empty());
    running
        .engine
        .store()
        .decide(TENANT, asset.id, Decision::Approve, Some("fine"), "tester")
        .await
        .unwrap();
    assert_eq!(running.rest(asset.id).await.state, AssetState::Ready);
    assert_eq!(running.renditions(asset.id).await.len(), 18);
    let late = running
        .engine
        .store()
        .decide(TENANT, asset.id, Decision::Reject, None, "tester")
        .await;
    assert!(late.is_err(), "a late decision is refused");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_rejects() {
    let running = review().start().await;
    let asset = running.ingest(photo(400, 300, 1)).await;
    running
        .engine
        .store()
        .decide(TENANT, asset.id, Decision::Reject, Some("no"), "tester")
        .await
        .unwrap();
    let asset = running.rest(asset.id).await;
    assert_eq!(asset.state, AssetState::Rejected);
    assert!(running.renditions(asset.id).await.is_empty());
    let again = running.engine.reprocess(TENANT, asset.id, None).await;
    assert!(again.is_err(), "rejected assets are not processed again");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_classifier_nothing_shows_and_the_task_says_why() {
    let moderation = ModerationConfig {
        policy: ModerationPolicy::Classifier,
        classifier: ClassifierConfig {
            url: Some("http://127.0.0.1:1".into()),
            deadline_ms: 300,
            ..ClassifierConfig::default()
        },
        ..ModerationConfig::default()
    };
    let running = Setup {
        moderation,
        ..Setup::default()
    }
    .start()
    .await;
    let receipt = running
        .upload(photo(400, 300, 1), AssetOptions::default())
        .await
        .unwrap();
    let mut events = running.engine.store().on_event();
    let code = loop {
        let filter = mediaflow_engine::store::TaskFilter {
            asset: Some(receipt.asset),
            limit: 50,
            ..Default::default()
        };
        let tasks = running
            .engine
            .store()
            .tasks(TENANT, &filter)
            .await
            .unwrap()
            .items;
        let moderate = tasks
            .into_iter()
            .find(|t| t.operation == "moderate")
            .unwrap();
        if let Some((code, _)) = moderate.error {
            break code;
        }
        events.changed().await.unwrap();
    };
    assert_eq!(code, "moderation.unavailable");
    assert!(running.renditions(receipt.asset).await.is_empty());
    running.stop().await;
}
