//! From an upload to a published asset.

use crate::given::{Given, TENANT, step_of};
use mediaflow_core::{AssetState, TaskState};
use mediaflow_store::TaskFilter;

on_every_store! {
    an_upload_becomes_ready_through_every_step_of_the_built_in_recipe,
}

async fn an_upload_becomes_ready_through_every_step_of_the_built_in_recipe(given: &mut Given) {
    let asset = given.asset().await;
    assert_eq!(given.record(asset).await.state, AssetState::Uploaded);

    let mut order = Vec::new();
    loop {
        let claimed = given.claim().await;
        if claimed.is_empty() {
            break;
        }
        for task in claimed {
            order.push(step_of(&task).to_owned());
            given.succeeds(&task).await;
        }
    }
    assert_eq!(
        order,
        [
            "inspect",
            "moderate",
            "resize",
            "placeholder",
            "compress",
            "distribute"
        ]
    );

    let record = given.record(asset).await;
    assert_eq!(record.state, AssetState::Ready);
    assert!(record.viewable);
    assert_eq!(record.published, 1);
    assert!((record.run.progress - 1.0).abs() < 1e-9);
    assert_eq!(record.inspected.unwrap()["camera"], "Brownie");
    assert_eq!(record.placeholder.unwrap()["blurhash"], "LEHV6n");
    assert_eq!(record.moderation.unwrap()["verdict"], "pass");
    assert_eq!(record.error, None);

    let renditions = given.store.renditions(asset).await.unwrap();
    let names: Vec<String> = renditions
        .iter()
        .map(|r| format!("{}.{}", r.rendition.profile, r.rendition.format.as_str()))
        .collect();
    assert_eq!(names.len(), 18);
    assert_eq!(
        names[..4],
        [
            "thumbnail.jpeg",
            "thumbnail.webp",
            "thumbnail.avif",
            "small.jpeg"
        ]
    );

    let filter = TaskFilter {
        asset: Some(asset),
        limit: 200,
        ..TaskFilter::default()
    };
    let tasks = given.store.tasks(TENANT, &filter).await.unwrap().items;
    let states: Vec<_> = tasks.iter().map(|t| (t.step.as_str(), t.state)).collect();
    assert_eq!(
        states,
        [
            ("inspect", TaskState::Succeeded),
            ("moderate", TaskState::Succeeded),
            ("resize", TaskState::Succeeded),
            ("watermark", TaskState::Skipped),
            ("compress", TaskState::Succeeded),
            ("placeholder", TaskState::Succeeded),
            ("distribute", TaskState::Succeeded),
            ("publish", TaskState::Succeeded),
        ]
    );
    assert!(tasks[0].tries[0].ended_at.is_some());
}
