//! Files that are fetched: what is due, what is known already, and how each ended.

use crate::given::{Given, TENANT};
use mediaflow_core::{ErrorCode, Sha256, TenantId, UploadId};
use mediaflow_store::{
    FinishedUpload, ImportChange, ImportFilter, ImportNext, Mark, NewImport, NewUpload, StoreError,
    Way,
};
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    an_import_is_an_upload_with_something_beside_it,
    what_is_marked_is_imported_once,
    of_many_with_the_same_mark_one_is_made,
    it_is_due_until_it_has_ended,
    tenants_take_turns,
    those_that_were_given_up_are_listed,
    what_has_ended_is_forgotten_in_time,
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn new(reference: &str) -> NewImport {
    NewImport {
        upload: NewUpload {
            tenant: TENANT,
            key: None,
            way: Way::Tus,
            length: None,
            concat: None,
            said: "{}".into(),
            metadata: String::new(),
            correlation_id: "c".into(),
            kept: HOUR,
            open_max: 10,
        },
        source: "url".into(),
        reference: reference.into(),
        mark: None,
        after: Duration::ZERO,
    }
}

pub(crate) fn marked(reference: &str, said: &str) -> NewImport {
    let digest = Sha256::of(said.as_bytes());
    NewImport {
        mark: Some(Mark {
            name: format!("mark of {reference}"),
            digest,
        }),
        ..new(reference)
    }
}

pub(crate) fn change(next: ImportNext) -> ImportChange {
    ImportChange {
        validator: Some("\"v1\"".into()),
        tries: 3,
        error: Some((ErrorCode::ImportFailed, "it broke off".into())),
        next,
        kept: Some(HOUR),
    }
}

async fn begin(given: &Given, reference: &str) -> UploadId {
    given.store.open_import(new(reference)).await.unwrap().0.id
}

async fn due(given: &Given) -> Vec<String> {
    let due = given.store.due_imports("url", 10).await.unwrap();
    due.into_iter().map(|import| import.reference).collect()
}

async fn an_import_is_an_upload_with_something_beside_it(given: &mut Given) {
    let (begun, is_known) = given.store.open_import(new("one")).await.unwrap();
    assert!(!is_known);
    assert_eq!((begun.bytes, begun.length, begun.tries), (0, None, 0));
    let taken = given.store.take_upload(TENANT, begun.id).await.unwrap();
    let advance = mediaflow_store::Advance {
        bytes: 40,
        length: Some(100),
        progress: "40 bytes".into(),
        kept: HOUR,
        state: mediaflow_store::UploadState::Open,
    };
    let advanced = given.store.advance_upload(taken.id, taken.fence, advance);
    advanced.await.unwrap();
    let again = change(ImportNext::Again(HOUR));
    given.store.save_import(begun.id, again).await.unwrap();
    given.reopen().await;
    let found = given.store.import(TENANT, begun.id).await.unwrap();
    assert_eq!((found.bytes, found.length, found.tries), (40, Some(100), 3));
    assert_eq!(found.validator.as_deref(), Some("\"v1\""));
    assert_eq!(found.due_at, Some(given.world_now().after(HOUR)));
    let (code, message) = found.error.unwrap();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("import.failed", "it broke off")
    );
    // It is an asset from the moment on in which its upload is one.
    let taken = given.store.take_upload(TENANT, begun.id).await.unwrap();
    let mut upload = given.upload();
    upload.upload = Some(FinishedUpload {
        id: taken.id,
        fence: taken.fence,
        kept: HOUR,
    });
    let accepted = given.accept(upload).await;
    let found = given.store.import(TENANT, begun.id).await.unwrap();
    assert_eq!(found.asset, Some(accepted.asset));
    let other = TenantId(Uuid::from_u128(7));
    let foreign = given.store.import(other, begun.id).await;
    assert!(matches!(foreign, Err(StoreError::ImportNotFound)));
}

async fn what_is_marked_is_imported_once(given: &mut Given) {
    let (first, _) = given.store.open_import(marked("one", "a")).await.unwrap();
    let (again, is_known) = given.store.open_import(marked("one", "a")).await.unwrap();
    assert!(is_known);
    assert_eq!(again, first);
    let other = given.store.open_import(marked("one", "b")).await;
    assert!(matches!(other, Err(StoreError::IdempotencyMismatch)));
    let (two, is_known) = given.store.open_import(marked("two", "a")).await.unwrap();
    assert!(!is_known);
    let names = ["mark of two", "mark of three", "mark of one"].map(str::to_owned);
    let mut found = given.store.marked(&names).await.unwrap();
    found.sort_by_key(|(_, import)| import.id);
    let found: Vec<_> = found
        .iter()
        .map(|(mark, i)| (mark.as_str(), i.id))
        .collect();
    assert_eq!(found, [("mark of one", first.id), ("mark of two", two.id)]);
}

async fn of_many_with_the_same_mark_one_is_made(given: &mut Given) {
    let tries = (0..8).map(|_| given.store.open_import(marked("one", "a")));
    let said = futures_util::future::join_all(tries).await;
    let said: Vec<_> = said.into_iter().map(Result::unwrap).collect();
    let made = said.iter().filter(|(_, is_known)| !is_known).count();
    assert_eq!(made, 1);
    assert!(said.iter().all(|(import, _)| import.id == said[0].0.id));
    let upload = given.store.upload(TENANT, said[0].0.id).await.unwrap();
    assert_eq!(upload.bytes, 0);
}

async fn tenants_take_turns(given: &mut Given) {
    let other = TenantId(Uuid::from_u128(7));
    for reference in ["a1", "a2", "a3"] {
        begin(given, reference).await;
    }
    for reference in ["b1", "b2"] {
        let mut of_other = new(reference);
        of_other.upload.tenant = other;
        given.store.open_import(of_other).await.unwrap();
    }
    let later = NewImport {
        after: HOUR,
        ..new("later")
    };
    given.store.open_import(later).await.unwrap();
    let turns = async |limit| {
        let due = given.store.due_in_turns("url", limit).await.unwrap();
        let names = due.into_iter().map(|import| import.reference);
        names.collect::<Vec<_>>()
    };
    assert_eq!(turns(10).await, ["a1", "b1", "a2", "b2", "a3"]);
    assert_eq!(turns(2).await, ["a1", "b1"]);
    assert_eq!(given.store.health().await.unwrap().imports, 6);
    let none = given.store.due_in_turns("else", 10).await.unwrap();
    assert!(none.is_empty());
}

async fn it_is_due_until_it_has_ended(given: &mut Given) {
    let (one, two) = (begin(given, "one").await, begin(given, "two").await);
    let later = NewImport {
        after: HOUR,
        ..new("later")
    };
    given.store.open_import(later).await.unwrap();
    let elsewhere = NewImport {
        source: "watch".into(),
        ..new("elsewhere")
    };
    given.store.open_import(elsewhere).await.unwrap();
    assert_eq!(due(given).await, ["one", "two"]);
    let again = change(ImportNext::Again(HOUR / 2));
    given.store.save_import(one, again.clone()).await.unwrap();
    assert_eq!(due(given).await, ["two"]);
    given.world.pass(HOUR);
    assert_eq!(due(given).await, ["two", "one", "later"]);
    let failed = change(ImportNext::Failed);
    given.store.save_import(two, failed).await.unwrap();
    // Somebody who knows nothing of it comes late.
    given.store.save_import(two, again).await.unwrap();
    assert_eq!(due(given).await, ["one", "later"]);
}

async fn those_that_were_given_up_are_listed(given: &mut Given) {
    let mut ids = Vec::new();
    for reference in ["one", "two", "three", "four"] {
        ids.push(begin(given, reference).await);
    }
    let asset = given.asset().await;
    let done = ImportChange {
        error: None,
        ..change(ImportNext::Done(asset))
    };
    given.store.save_import(ids[0], done).await.unwrap();
    for id in &ids[1..3] {
        let failed = change(ImportNext::Failed);
        given.store.save_import(*id, failed).await.unwrap();
    }
    let mut filter = ImportFilter {
        source: "url".into(),
        is_failed: true,
        after: None,
        limit: 1,
    };
    let page = given.store.imports(&filter).await.unwrap();
    assert_eq!(page.iter().map(|i| i.id).collect::<Vec<_>>(), [ids[1]]);
    (filter.after, filter.limit) = (Some(ids[1]), 9);
    let page = given.store.imports(&filter).await.unwrap();
    assert_eq!(page.iter().map(|i| i.id).collect::<Vec<_>>(), [ids[2]]);
    (filter.after, filter.is_failed) = (None, false);
    let page = given.store.imports(&filter).await.unwrap();
    assert_eq!(page.iter().map(|i| i.id).collect::<Vec<_>>(), ids);
    assert_eq!(page[0].asset, Some(asset));
}

async fn what_has_ended_is_forgotten_in_time(given: &mut Given) {
    let (soon, never, open) = (
        begin(given, "soon").await,
        begin(given, "never").await,
        begin(given, "open").await,
    );
    let failed = change(ImportNext::Failed);
    let kept = ImportChange {
        kept: None,
        ..failed.clone()
    };
    given.store.save_import(soon, failed).await.unwrap();
    given.store.save_import(never, kept).await.unwrap();
    assert_eq!(given.store.forget_old_imports(10).await.unwrap(), 0);
    given.world.pass(HOUR * 1000);
    assert_eq!(given.store.forget_old_imports(10).await.unwrap(), 1);
    let gone = given.store.import(TENANT, soon).await;
    assert!(matches!(gone, Err(StoreError::ImportNotFound)));
    given.store.import(TENANT, never).await.unwrap();
    given.store.import(TENANT, open).await.unwrap();
    // What is missing is forgotten later, unless it comes back until then.
    let expire = async |after: Option<Duration>| {
        given
            .store
            .expire_imports(&[never, open], after)
            .await
            .unwrap();
    };
    expire(Some(HOUR)).await;
    expire(None).await;
    given.world.pass(HOUR * 2);
    assert_eq!(given.store.forget_old_imports(10).await.unwrap(), 0);
    expire(Some(HOUR)).await;
    given.world.pass(HOUR / 2);
    expire(Some(HOUR)).await;
    given.world.pass(HOUR / 2);
    assert_eq!(given.store.forget_old_imports(10).await.unwrap(), 1);
    given.store.import(TENANT, open).await.unwrap();
    given.store.forget_import(open).await.unwrap();
    let gone = given.store.import(TENANT, open).await;
    assert!(matches!(gone, Err(StoreError::ImportNotFound)));
}
