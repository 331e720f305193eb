//! Collection of blobs that nothing refers to; retention; reuse.

use crate::given::{Given, TENANT, output};
use mediaflow_core::{Decision, ModerationPolicy, Sha256};
use mediaflow_store::{Output, RenditionBlob, Report, StoreError};
use std::time::Duration;

on_every_store! {
    what_a_deleted_asset_had_is_condemned_after_the_grace_time_and_forgotten,
    a_blob_that_is_used_again_within_the_grace_time_stays,
    a_live_blob_cannot_be_forgotten,
    renditions_are_reused_and_a_condemned_one_is_refused,
    a_rejected_original_stays_for_its_retention_time,
}

const GRACE: Duration = Duration::from_secs(3600);

async fn what_a_deleted_asset_had_is_condemned_after_the_grace_time_and_forgotten(
    given: &mut Given,
) {
    let kept = given.asset().await;
    let gone = given.asset().await;
    given.all_done().await;
    given.store.delete(TENANT, gone).await.unwrap();
    assert_eq!(given.store.condemn(GRACE, 100).await.unwrap(), []);
    given.world.pass(GRACE);
    // One original and eighteen renditions, in as many goes as it takes; the condemned come again.
    let some = given.store.condemn(GRACE, 10).await.unwrap();
    assert_eq!(some.len(), 10);
    assert_eq!(given.store.condemn(GRACE, 10).await.unwrap(), some);
    let all = given.store.condemn(GRACE, 100).await.unwrap();
    assert_eq!(all.len(), 19);
    let keys: Vec<String> = all.iter().map(|c| c.key.clone()).collect();
    assert_eq!(given.store.known_keys(&keys).await.unwrap(), keys);
    for blob in &all {
        given.store.forget(blob.id).await.unwrap();
    }
    assert_eq!(
        given.store.known_keys(&keys).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(given.store.condemn(GRACE, 100).await.unwrap(), []);
    assert_eq!(given.store.renditions(kept).await.unwrap().len(), 18);
}

async fn a_blob_that_is_used_again_within_the_grace_time_stays(given: &mut Given) {
    let first = given.upload_of("sunset");
    let first = given.accept(first).await.asset;
    given.store.delete(TENANT, first).await.unwrap();
    let second = given.upload_of("sunset");
    assert!(given.accept(second).await.surplus);
    given.world.pass(GRACE * 2);
    assert_eq!(given.store.condemn(GRACE, 100).await.unwrap(), []);
}

async fn a_live_blob_cannot_be_forgotten(given: &mut Given) {
    let asset = given.asset().await;
    let original = given.store.original(TENANT, asset).await.unwrap();
    given.store.forget(original.id).await.unwrap();
    assert_eq!(given.store.original(TENANT, asset).await.unwrap(), original);
}

async fn renditions_are_reused_and_a_condemned_one_is_refused(given: &mut Given) {
    let first = given.asset().await;
    given.all_done().await;
    let made = given.store.renditions(first).await.unwrap();
    let derivations: Vec<Sha256> = made.iter().map(|r| r.rendition.derivation).collect();
    let found = given.store.reusable(TENANT, &derivations).await.unwrap();
    assert_eq!(found.len(), 18);
    let stranger = given.world_id().into();
    assert!(
        given
            .store
            .reusable(stranger, &derivations)
            .await
            .unwrap()
            .is_empty()
    );

    let reused = |claimed: &mediaflow_store::Claimed| {
        let mut output = output(claimed);
        for rendition in &mut output.renditions {
            rendition.blob = RenditionBlob::Existing(found[0].1.blob.id);
        }
        Report::Succeeded(output)
    };
    let second = given.asset().await;
    for task in given.claim().await {
        given.succeeds(&task).await;
    }
    let resize = given.claim_step("resize").await;
    given
        .store
        .report(resize.lease, reused(&resize), None)
        .await
        .unwrap();
    let recorded = given.store.recorded(second, 1).await.unwrap();
    assert_eq!(recorded.len(), 6);
    assert!(recorded.iter().all(|(_, blob)| *blob == found[0].1.blob));

    for asset in [first, second] {
        given.store.delete(TENANT, asset).await.unwrap();
    }
    given.store.condemn(Duration::ZERO, 100).await.unwrap();
    given.asset().await;
    for task in given.claim().await {
        given.succeeds(&task).await;
    }
    let resize = given.claim_step("resize").await;
    let refused = given
        .store
        .report(resize.lease, reused(&resize), None)
        .await;
    assert!(matches!(refused, Err(StoreError::BlobCondemned)));
    given
        .store
        .report(resize.lease, Report::Succeeded(Output::default()), None)
        .await
        .unwrap();
}

async fn a_rejected_original_stays_for_its_retention_time(given: &mut Given) {
    let asset = given.asset_under(ModerationPolicy::Review).await;
    given.all_done().await;
    given
        .store
        .decide(TENANT, asset, Decision::Reject, None, "key:ann")
        .await
        .unwrap();
    given.world.pass(Duration::from_secs(100));
    let keep = Duration::from_secs(101);
    assert_eq!(given.store.expire(keep, Duration::MAX).await.unwrap(), 0);
    given.store.original(TENANT, asset).await.unwrap();
    given.world.pass(Duration::from_secs(1));
    assert_eq!(given.store.expire(keep, Duration::MAX).await.unwrap(), 1);
    assert_eq!(given.store.expire(keep, Duration::MAX).await.unwrap(), 0);
    let gone = given.store.original(TENANT, asset).await;
    assert!(matches!(gone, Err(StoreError::Conflict(_))));
    assert_eq!(
        given.store.condemn(Duration::ZERO, 10).await.unwrap().len(),
        1
    );
    // Its record remembers what it was.
    assert!(given.record(asset).await.original.bytes > 0);
}
