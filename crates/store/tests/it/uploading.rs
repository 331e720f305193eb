//! Uploads over several requests: whose they are, what counts, and when they end.

use crate::given::{Given, TENANT};
use mediaflow_core::{ErrorCode, KeyId, TenantId, UploadId};
use mediaflow_store::{
    Advance, FinishedUpload, NewUpload, Refusal, StoreError, UploadRecord, UploadState, Way,
};
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    an_upload_keeps_what_was_said_and_recorded,
    whoever_takes_it_shuts_others_out,
    an_asset_is_made_of_it_once,
    a_key_has_no_more_open_than_it_may,
    what_nobody_goes_on_with_expires,
    uploads_of_others_are_not_there,
    of_many_finishers_one_wins,
    one_that_was_refused_says_why_and_is_not_open,
}

const HOUR: Duration = Duration::from_secs(3600);

fn new(length: Option<u64>) -> NewUpload {
    NewUpload {
        tenant: TENANT,
        key: None,
        way: Way::Tus,
        length,
        concat: None,
        said: "{\"title\":\"Sea\"}".into(),
        metadata: "title U2Vh".into(),
        correlation_id: "c".into(),
        kept: HOUR,
        open_max: 10,
    }
}

fn advance(bytes: u64, length: Option<u64>) -> Advance {
    Advance {
        bytes,
        length,
        progress: format!("{bytes} bytes"),
        state: UploadState::Open,
        kept: HOUR,
    }
}

async fn open(given: &Given) -> UploadRecord {
    given.store.open_upload(new(Some(100))).await.unwrap()
}

fn finished(upload: &UploadRecord) -> FinishedUpload {
    FinishedUpload {
        id: upload.id,
        fence: upload.fence,
        kept: HOUR,
    }
}

fn is_stale<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::StaleFence))
}

async fn an_upload_keeps_what_was_said_and_recorded(given: &mut Given) {
    let opened = given.store.open_upload(new(None)).await.unwrap();
    assert_eq!((opened.length, opened.bytes), (None, 0));
    assert_eq!((opened.progress.as_str(), opened.asset), ("", None));
    assert_eq!(opened.said, "{\"title\":\"Sea\"}");
    assert_eq!(opened.metadata, "title U2Vh");
    let taken = given.store.take_upload(TENANT, opened.id).await.unwrap();
    given.world.pass(Duration::from_secs(60));
    let until = given
        .store
        .advance_upload(taken.id, taken.fence, advance(40, Some(i64::MAX as u64)))
        .await
        .unwrap();
    given.reopen().await;
    let found = given.store.upload(TENANT, opened.id).await.unwrap();
    assert_eq!(
        found,
        UploadRecord {
            fence: taken.fence,
            length: Some(i64::MAX as u64),
            bytes: 40,
            progress: "40 bytes".into(),
            expires_at: until,
            ..opened
        }
    );
    assert_eq!(until, given.world_now().after(HOUR));
}

async fn whoever_takes_it_shuts_others_out(given: &mut Given) {
    let opened = open(given).await;
    let (one, two) = (
        given.store.take_upload(TENANT, opened.id).await.unwrap(),
        given.store.take_upload(TENANT, opened.id).await.unwrap(),
    );
    assert!(opened.fence < one.fence && one.fence < two.fence);
    let late = given
        .store
        .advance_upload(one.id, one.fence, advance(50, Some(100)));
    assert!(is_stale(late.await));
    assert!(is_stale(given.store.end_upload(one.id, one.fence).await));
    let done = given
        .store
        .advance_upload(two.id, two.fence, advance(60, Some(100)));
    done.await.unwrap();
    assert_eq!(
        given.store.upload(TENANT, opened.id).await.unwrap().bytes,
        60
    );
    given.store.end_upload(two.id, two.fence).await.unwrap();
    let gone = given.store.upload(TENANT, opened.id).await;
    assert!(matches!(gone, Err(StoreError::UploadNotFound)));
    assert!(is_stale(given.store.end_upload(two.id, two.fence).await));
}

async fn an_asset_is_made_of_it_once(given: &mut Given) {
    let opened = open(given).await;
    let (old, taken) = (
        given.store.take_upload(TENANT, opened.id).await.unwrap(),
        given.store.take_upload(TENANT, opened.id).await.unwrap(),
    );
    let mut upload = given.upload();
    upload.upload = Some(finished(&old));
    assert!(is_stale(given.store.accept(upload.clone()).await));
    assert!(given.claim().await.is_empty(), "nothing was made");
    upload.upload = Some(finished(&taken));
    let accepted = given.accept(upload.clone()).await;
    let found = given.store.upload(TENANT, opened.id).await.unwrap();
    assert_eq!(found.asset, Some(accepted.asset));
    assert!(found.is_whole());
    assert_eq!(found.bytes, upload.original.bytes);
    assert!(is_stale(given.store.accept(upload).await), "not twice");
    let later = given.store.take_upload(TENANT, opened.id).await.unwrap();
    let more = given
        .store
        .advance_upload(later.id, later.fence, advance(7, None));
    assert!(is_stale(more.await), "it is done");
    let open = given.store.open_among(&[opened.id]).await.unwrap();
    assert_eq!(open, []);
}

async fn of_many_finishers_one_wins(given: &mut Given) {
    let opened = open(given).await;
    let mut tries = Vec::new();
    for _ in 0..8 {
        let taken = given.store.take_upload(TENANT, opened.id).await.unwrap();
        let mut upload = given.upload_of("the same");
        upload.upload = Some(finished(&taken));
        tries.push(upload);
    }
    let said = tries.into_iter().map(|upload| given.store.accept(upload));
    let said = futures_util::future::join_all(said).await;
    let won: Vec<_> = said.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{said:?}");
    let found = given.store.upload(TENANT, opened.id).await.unwrap();
    assert_eq!(found.asset, Some(won[0].asset));
}

async fn a_key_has_no_more_open_than_it_may(given: &mut Given) {
    let by = |key: u128| NewUpload {
        key: Some(KeyId(Uuid::from_u128(key))),
        open_max: 2,
        ..new(Some(100))
    };
    let first = given.store.open_upload(by(1)).await.unwrap();
    given.store.open_upload(by(1)).await.unwrap();
    let third = given.store.open_upload(by(1)).await;
    assert!(matches!(third, Err(StoreError::UploadsFull(2))));
    given.store.open_upload(by(2)).await.unwrap();
    let mut upload = given.upload();
    upload.upload = Some(finished(&first));
    given.accept(upload).await;
    given.store.open_upload(by(1)).await.unwrap();
}

async fn what_nobody_goes_on_with_expires(given: &mut Given) {
    let (idle, busy, done) = (open(given).await, open(given).await, open(given).await);
    let mut upload = given.upload();
    upload.upload = Some(finished(&done));
    given.accept(upload).await;
    given.world.pass(HOUR / 2);
    let more = given
        .store
        .advance_upload(busy.id, busy.fence, advance(1, Some(100)));
    more.await.unwrap();
    assert_eq!(given.store.take_expired_uploads(10).await.unwrap(), []);
    given.world.pass(HOUR / 2);
    let expired = given.store.take_expired_uploads(10).await.unwrap();
    let ids: Vec<UploadId> = expired.iter().map(|u| u.id).collect();
    assert_eq!(ids, [idle.id, done.id]);
    assert!(expired[0].fence > idle.fence, "it was taken");
    let late = given.store.upload(TENANT, idle.id).await;
    assert!(matches!(late, Err(StoreError::UploadNotFound)));
    let late = given.store.take_upload(TENANT, idle.id).await;
    assert!(matches!(late, Err(StoreError::UploadNotFound)));
    // Its bytes stay until whoever took it has removed them.
    let all = [idle.id, busy.id, done.id];
    assert_eq!(given.store.open_among(&all).await.unwrap().len(), 2);
    for upload in expired {
        given
            .store
            .end_upload(upload.id, upload.fence)
            .await
            .unwrap();
    }
    assert_eq!(given.store.open_among(&all).await.unwrap(), [busy.id]);
}

async fn uploads_of_others_are_not_there(given: &mut Given) {
    let opened = open(given).await;
    let other = TenantId(Uuid::from_u128(7));
    let found = given.store.upload(other, opened.id).await;
    assert!(matches!(found, Err(StoreError::UploadNotFound)));
    let taken = given.store.take_upload(other, opened.id).await;
    assert!(matches!(taken, Err(StoreError::UploadNotFound)));
    assert_eq!(
        given.store.upload(TENANT, opened.id).await.unwrap().fence,
        opened.fence
    );
}

async fn one_that_was_refused_says_why_and_is_not_open(given: &mut Given) {
    let by = |key: u128| NewUpload {
        key: Some(KeyId(Uuid::from_u128(key))),
        way: Way::Direct,
        open_max: 1,
        ..new(Some(100))
    };
    let opened = given.store.open_upload(by(1)).await.unwrap();
    assert_eq!(
        (opened.way, &opened.state),
        (Way::Direct, &UploadState::Open)
    );
    let checking = Advance {
        state: UploadState::Checking,
        ..advance(0, Some(100))
    };
    let checked = given
        .store
        .advance_upload(opened.id, opened.fence, checking);
    checked.await.unwrap();
    given.reopen().await;
    let found = given.store.upload(TENANT, opened.id).await.unwrap();
    assert_eq!(
        (found.way, found.state),
        (Way::Direct, UploadState::Checking)
    );
    let full = given.store.open_upload(by(1)).await;
    assert!(matches!(full, Err(StoreError::UploadsFull(1))));
    let refusal = Refusal {
        code: ErrorCode::InputDigest,
        message: "other bytes".into(),
    };
    let refused = Advance {
        state: UploadState::Refused(refusal.clone()),
        ..advance(0, Some(100))
    };
    let done = given.store.advance_upload(opened.id, opened.fence, refused);
    done.await.unwrap();
    let found = given.store.upload(TENANT, opened.id).await.unwrap();
    assert_eq!(found.state, UploadState::Refused(refusal));
    assert_eq!(given.store.open_among(&[opened.id]).await.unwrap(), []);
    given.store.open_upload(by(1)).await.unwrap();
}
