//! The same bytes twice.

use crate::given::{Setup, photo};
use mediaflow_core::AssetState;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_photo_twice_is_stored_once_and_stays_two_assets() {
    let running = Setup::default().start().await;
    let first = running.ingest(photo(800, 600, 1)).await;
    let files = running.rendition_files();
    let second = running.ingest(photo(800, 600, 1)).await;
    assert_ne!(first.id, second.id);
    assert_eq!(second.state, AssetState::Ready);
    assert_eq!(
        running.rendition_files(),
        files,
        "no rendition was made again"
    );
    let keys = |all: Vec<mediaflow_engine::store::Servable>| {
        all.into_iter().map(|s| s.key).collect::<Vec<_>>()
    };
    let shared = keys(running.renditions(first.id).await);
    assert_eq!(shared, keys(running.renditions(second.id).await));

    running
        .engine
        .store()
        .delete(crate::given::TENANT, first.id)
        .await
        .unwrap();
    assert!(running.renditions(first.id).await.is_empty());
    assert_eq!(
        running.renditions(second.id).await.len(),
        18,
        "the other asset keeps its pictures"
    );
    running.stop().await;
}
