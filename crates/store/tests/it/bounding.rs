//! Tokens for one upload each, and what keys may send in a day.

use crate::given::{Given, TENANT};
use mediaflow_core::{KeyId, Sha256, TokenId, UploadId};
use mediaflow_store::{
    Environment as _, FinishedUpload, KeyLimits, NewKey, NewToken, NewUpload, Scope, Usage, Way,
};
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    a_token_is_taken_once,
    a_token_ends,
    limits_of_a_key_are_kept,
    what_a_key_sends_is_counted_by_day,
}

const HOUR: Duration = Duration::from_secs(3600);

fn token(given: &Given, key: Option<KeyId>) -> NewToken {
    NewToken {
        id: TokenId(given.world.id()),
        tenant: TENANT,
        key,
        secret_sha256: Sha256::of(b"secret"),
        terms: "{\"bytes_max\":5}".into(),
        kept: HOUR,
    }
}

async fn a_token_is_taken_once(given: &mut Given) {
    let new = token(given, Some(KeyId(Uuid::from_u128(7))));
    let until = given.store.add_token(new.clone()).await.unwrap();
    assert_eq!(until, given.world.now().after(HOUR));
    given.reopen().await;
    let found = given.store.token(new.id).await.unwrap().unwrap();
    assert_eq!((found.tenant, found.key), (TENANT, new.key));
    assert_eq!(
        (&found.terms, found.secret_sha256),
        (&new.terms, new.secret_sha256)
    );
    assert_eq!((found.upload, found.is_held), (None, false));
    let tries = (0..5).map(|_| given.store.hold_token(new.id));
    let tries = futures_util::future::join_all(tries).await;
    assert_eq!(
        tries.into_iter().filter(|t| *t.as_ref().unwrap()).count(),
        1
    );
    assert!(given.store.token(new.id).await.unwrap().unwrap().is_held);
    given.store.release_token(new.id).await.unwrap();
    assert!(
        given.store.hold_token(new.id).await.unwrap(),
        "nothing came of it"
    );
    let upload = UploadId(given.world.id());
    given
        .store
        .spend_token(new.id, upload, 5 * HOUR)
        .await
        .unwrap();
    given.store.release_token(new.id).await.unwrap();
    assert!(
        !given.store.hold_token(new.id).await.unwrap(),
        "it was spent"
    );
    let other = UploadId(given.world.id());
    given.store.spend_token(new.id, other, HOUR).await.unwrap();
    given.world.pass(4 * HOUR);
    let found = given.store.token(new.id).await.unwrap().unwrap();
    assert_eq!((found.upload, found.is_held), (Some(upload), true));
}

async fn a_token_ends(given: &mut Given) {
    let new = token(given, None);
    given.store.add_token(new.clone()).await.unwrap();
    assert_eq!(given.store.token(new.id).await.unwrap().unwrap().key, None);
    given.world.pass(HOUR);
    assert_eq!(given.store.token(new.id).await.unwrap(), None);
    assert!(!given.store.hold_token(new.id).await.unwrap());
    given.store.expire(HOUR, HOUR).await.unwrap();
    assert_eq!(given.store.token(new.id).await.unwrap(), None);
}

async fn key(given: &Given) -> KeyId {
    let id = KeyId(given.world.id());
    let new = NewKey {
        id,
        tenant: TENANT,
        name: "phones".into(),
        scopes: vec![Scope::Ingest],
        secret_sha256: Sha256::of(b"secret"),
        limits: KeyLimits::default(),
    };
    given.store.add_key(new).await.unwrap();
    id
}

async fn limits_of_a_key_are_kept(given: &mut Given) {
    let id = key(given).await;
    let found = given.store.key(id).await.unwrap().unwrap();
    assert_eq!(found.limits, KeyLimits::default());
    let limits = KeyLimits {
        file_bytes_max: Some(u64::from(u32::MAX) * 9),
        types: vec!["image/*".into()],
        open_max: Some(3),
        day_bytes_max: Some(1 << 40),
        day_files_max: Some(0),
    };
    let said = given.store.limit_key(TENANT, id, limits.clone());
    assert!(said.await.unwrap());
    given.reopen().await;
    let found = given.store.key(id).await.unwrap().unwrap();
    assert_eq!(found.limits, limits);
    let other = mediaflow_core::TenantId(Uuid::from_u128(9));
    let said = given.store.limit_key(other, id, KeyLimits::default());
    assert!(!said.await.unwrap(), "it is another's");
}

async fn what_a_key_sends_is_counted_by_day(given: &mut Given) {
    let id = key(given).await;
    let used = async |given: &Given| given.store.usage(TENANT, id).await.unwrap();
    assert_eq!(used(given).await, Usage::default());
    let mut bytes = 0;
    let mut uploads = Vec::new();
    for _ in 0..20 {
        let mut upload = given.upload();
        upload.counted = Some(id);
        bytes += upload.original.bytes;
        uploads.push(upload);
    }
    let mut others = given.upload();
    others.counted = Some(key(given).await);
    uploads.push(others);
    uploads.push(given.upload());
    let taken = uploads.into_iter().map(|upload| given.store.accept(upload));
    for taken in futures_util::future::join_all(taken).await {
        taken.unwrap();
    }
    assert_eq!(used(given).await, Usage { bytes, files: 20 });
    // What was announced counts at once, and once.
    let new = NewUpload {
        tenant: TENANT,
        key: Some(id),
        way: Way::Tus,
        length: Some(1000),
        concat: None,
        said: "{}".into(),
        metadata: String::new(),
        correlation_id: "c".into(),
        kept: HOUR,
        open_max: 10,
    };
    let opened = given.store.open_upload(new).await.unwrap();
    let with_open = Usage {
        bytes: bytes + 1000,
        files: 21,
    };
    assert_eq!(used(given).await, with_open);
    let mut upload = given.upload();
    upload.counted = Some(id);
    upload.original.bytes = 1000;
    upload.upload = Some(FinishedUpload {
        id: opened.id,
        fence: opened.fence,
        kept: HOUR,
    });
    given.accept(upload).await;
    assert_eq!(used(given).await, with_open);
    given.world.pass(24 * HOUR);
    given.store.expire(HOUR, HOUR).await.unwrap();
    assert_eq!(used(given).await, Usage::default());
}
