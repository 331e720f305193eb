//! Uploads: deduplication, idempotency, durability under load; pins and keys.

use crate::given::{Given, TENANT};
use mediaflow_core::{KeyId, Sha256, TenantId};
use mediaflow_store::{Idempotency, NewBlob, NewKey, Scope, StoreError};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

on_every_store! {
    the_same_bytes_are_stored_once_and_the_assets_stay_two,
    a_condemned_blob_is_not_used_again,
    a_repeated_request_gets_the_first_answer,
    many_uploads_at_once_are_all_answered_and_durable,
    a_pin_keeps_its_blob_until_it_names_another,
    keys_are_listed_found_and_revoked,
}

fn key(name: &str, body: &str) -> Option<Idempotency> {
    Some(Idempotency {
        key: name.into(),
        digest: Sha256::of(body.as_bytes()),
    })
}

async fn the_same_bytes_are_stored_once_and_the_assets_stay_two(given: &mut Given) {
    let (first, second) = (given.upload_of("sunset"), given.upload_of("sunset"));
    let kept = first.original.key.clone();
    let (first, second) = (given.accept(first).await, given.accept(second).await);
    assert!(!first.surplus && second.surplus);
    assert_ne!(first.asset, second.asset);
    for asset in [first.asset, second.asset] {
        let original = given.store.original(TENANT, asset).await.unwrap();
        assert_eq!(original.key, kept);
    }
    // Another tenant learns nothing of it.
    let mut other = given.upload_of("sunset");
    other.tenant = TenantId(given.world_id());
    assert!(!given.accept(other).await.surplus);
}

async fn a_condemned_blob_is_not_used_again(given: &mut Given) {
    let upload = given.upload_of("sunset");
    let asset = given.accept(upload).await.asset;
    given.store.delete(TENANT, asset).await.unwrap();
    given.world.pass(Duration::from_secs(60));
    let condemned = given
        .store
        .condemn(Duration::from_secs(60), 10)
        .await
        .unwrap();
    assert_eq!(condemned.len(), 1);
    let again = given.upload_of("sunset");
    let key = again.original.key.clone();
    let again = given.accept(again).await;
    assert!(!again.surplus);
    let original = given.store.original(TENANT, again.asset).await.unwrap();
    assert_eq!(original.key, key);
}

async fn a_repeated_request_gets_the_first_answer(given: &mut Given) {
    let mut upload = given.upload_of("sunset");
    upload.idempotency = key("k1", "sunset");
    let first = given.accept(upload.clone()).await;
    assert!(first.wake && !first.repeated);
    // The very same call, because its answer was lost: its bytes are the ones in use.
    let again = given.accept(upload.clone()).await;
    assert_eq!(
        (again.asset, again.repeated, again.surplus, again.wake),
        (first.asset, true, false, false)
    );
    // The client sends all of it again: these bytes are new and surplus.
    upload.original.key = "originals/again".into();
    assert!(given.accept(upload.clone()).await.surplus);

    let known = |k: Option<Idempotency>| {
        let store = Arc::clone(&given.store);
        async move { store.repeated(TENANT, &k.unwrap()).await }
    };
    assert_eq!(known(key("k1", "sunset")).await.unwrap(), Some(first.asset));
    assert_eq!(known(key("k2", "sunset")).await.unwrap(), None);
    let mismatch = known(key("k1", "sunrise")).await;
    assert!(matches!(mismatch, Err(StoreError::IdempotencyMismatch)));
    upload.idempotency = key("k1", "sunrise");
    let mismatch = given.store.accept(upload).await;
    assert!(matches!(mismatch, Err(StoreError::IdempotencyMismatch)));

    given.world.pass(Duration::from_secs(86_400));
    given
        .store
        .expire(Duration::MAX, Duration::from_secs(86_400))
        .await
        .unwrap();
    assert_eq!(known(key("k1", "sunset")).await.unwrap(), None);
}

async fn many_uploads_at_once_are_all_answered_and_durable(given: &mut Given) {
    let mut ready = given.store.on_ready();
    let mut uploads = Vec::new();
    for _ in 0..64 {
        let upload = given.upload();
        let store = Arc::clone(&given.store);
        uploads.push(tokio::spawn(async move {
            store.accept(upload).await.unwrap().asset
        }));
    }
    let mut assets = HashSet::new();
    for upload in uploads {
        assets.insert(upload.await.unwrap());
    }
    assert_eq!(assets.len(), 64);
    assert!(ready.has_changed().unwrap());
    ready.mark_unchanged();
    given.reopen().await;
    for asset in assets {
        given.record(asset).await;
    }
    assert_eq!(given.claim().await.len(), 128);
}

async fn a_pin_keeps_its_blob_until_it_names_another(given: &mut Given) {
    let mark = |text: &str| NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: 4,
        key: format!("marks/{text}"),
    };
    let first = given
        .store
        .pin(TENANT, "watermark", mark("old"))
        .await
        .unwrap();
    let again = given
        .store
        .pin(TENANT, "watermark", mark("old"))
        .await
        .unwrap();
    assert_eq!(first, again);
    given
        .store
        .pin(TENANT, "watermark", mark("new"))
        .await
        .unwrap();
    let pinned = given
        .store
        .pinned(TENANT, "watermark")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pinned.sha256, Sha256::of(b"new"));
    let condemned = given.store.condemn(Duration::ZERO, 10).await.unwrap();
    assert_eq!(
        condemned.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(),
        ["marks/old"]
    );
    assert_eq!(given.store.pinned(TENANT, "logo").await.unwrap(), None);
}

async fn keys_are_listed_found_and_revoked(given: &mut Given) {
    let new = NewKey {
        id: KeyId(given.world_id()),
        tenant: TENANT,
        name: "ci".into(),
        scopes: vec![Scope::Ingest, Scope::Read],
        secret_sha256: Sha256::of(b"secret"),
        limits: Default::default(),
    };
    given.store.add_key(new.clone()).await.unwrap();
    let found = given.store.key(new.id).await.unwrap().unwrap();
    assert_eq!(
        (found.scopes, found.secret_sha256),
        (new.scopes, new.secret_sha256)
    );
    let other = TenantId(given.world_id());
    assert!(!given.store.revoke_key(other, new.id).await.unwrap());
    assert!(given.store.revoke_key(TENANT, new.id).await.unwrap());
    assert!(!given.store.revoke_key(TENANT, new.id).await.unwrap());
    let listed = given.store.keys(TENANT).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].revoked_at, Some(given.world_now()));
    assert_eq!(
        given.store.key(KeyId(given.world_id())).await.unwrap(),
        None
    );
}
