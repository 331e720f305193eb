//! How much is kept and of what; what waits to be told outside; pages of keys.

use crate::given::{Given, TENANT};
use mediaflow_core::{AssetId, BlobId, KeyId, Kind, Sha256, TenantId};
use mediaflow_store::{
    Amount, Environment as _, Held, KeyFilter, KeyLimits, NewKey, Scope, Shelved, Sort, StoreError,
};
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    what_is_kept_is_counted_by_kind_sort_and_format,
    what_is_shared_is_there_once,
    what_nothing_refers_to_is_told_until_it_is_gone,
    a_backlog_is_what_was_not_told_yet,
    keys_come_in_pages,
}

/// The whole count, in steps of so many rows.
struct Count {
    held: Vec<Held>,
    shelved: Shelved,
    unreferenced: Amount,
}

impl Count {
    async fn of(given: &Given, limit: u32) -> Self {
        let mut count = Self {
            held: Vec::new(),
            shelved: Shelved::default(),
            unreferenced: Amount::default(),
        };
        let mut next = Some(AssetId(Uuid::nil()));
        while let Some(after) = next {
            let (found, then) = given.store.held(after, limit).await.unwrap();
            for held in found {
                let same = |h: &&mut Held| {
                    (h.kind, h.sort, &h.format) == (held.kind, held.sort, &held.format)
                };
                match count.held.iter_mut().find(same) {
                    Some(sum) => sum.amount += held.amount,
                    None => count.held.push(held),
                }
            }
            next = then;
        }
        let mut next = Some(BlobId(Uuid::nil()));
        while let Some(after) = next {
            let (found, then) = given.store.shelved(after, limit).await.unwrap();
            count.shelved.live += found.live;
            count.shelved.condemned += found.condemned;
            next = then;
        }
        let mut next = Some(BlobId(Uuid::nil()));
        while let Some(after) = next {
            let (found, then) = given.store.unreferenced(after, limit).await.unwrap();
            count.unreferenced += found;
            next = then;
        }
        count.held.sort_by(|a, b| {
            (a.kind.as_str(), a.sort, &a.format).cmp(&(b.kind.as_str(), b.sort, &b.format))
        });
        count
    }

    fn files(&self, kind: Kind, sort: Sort) -> u64 {
        let of = self
            .held
            .iter()
            .filter(|h| (h.kind, h.sort) == (kind, sort));
        of.map(|h| h.amount.files).sum()
    }

    fn all(&self) -> Amount {
        let mut all = Amount::default();
        for held in &self.held {
            all += held.amount;
        }
        all
    }
}

async fn number(given: &Given, sql: &str) -> u64 {
    let found = given.place.look().await.ask::<1>(sql).await;
    found[0][0].as_deref().unwrap().parse().unwrap()
}

async fn what_is_kept_is_counted_by_kind_sort_and_format(given: &mut Given) {
    assert_eq!(Count::of(given, 10).await.all(), Amount::default());
    for _ in 0..3 {
        given.asset().await;
    }
    given.video().await;
    given.all_done().await;
    let count = Count::of(given, 1000).await;
    for (kind, sort, files) in [
        (Kind::Image, Sort::Original, 3),
        (Kind::Image, Sort::Rendition, 3 * 18),
        (Kind::Image, Sort::Stream, 0),
        (Kind::Video, Sort::Original, 1),
        // Two ladders of six segments, one of sound with two, and what begins each.
        (Kind::Video, Sort::Stream, 6 + 6 + 2 + 3),
        (Kind::Video, Sort::Captions, 1),
        (Kind::Video, Sort::Piece, 0),
    ] {
        assert_eq!(count.files(kind, sort), files, "{kind:?} {sort:?}");
    }
    let formats: Vec<&str> = count
        .held
        .iter()
        .filter(|h| (h.kind, h.sort) == (Kind::Image, Sort::Rendition))
        .map(|h| h.format.as_str())
        .collect();
    assert_eq!(formats, ["avif", "jpeg", "webp"]);
    let streams = "SELECT sum(b.bytes) FROM blobs b WHERE b.id IN (SELECT blob FROM segments UNION ALL SELECT blob FROM tracks)";
    let counted = count.held.iter().find(|h| h.sort == Sort::Stream).unwrap();
    assert_eq!(counted.amount.bytes, number(given, streams).await);
    assert_eq!(counted.format, "cmaf");
    let live = "SELECT sum(bytes) FROM blobs WHERE condemned_at IS NULL";
    assert_eq!(count.shelved.live.bytes, number(given, live).await);
    // However long the steps are, they end with the same.
    for limit in [1, 2, 7] {
        let steps = Count::of(given, limit).await;
        assert_eq!(steps.held, count.held, "steps of {limit}");
        assert_eq!(steps.shelved, count.shelved, "steps of {limit}");
    }
    let aside = given.store.aside().await.unwrap();
    assert!(aside.database_bytes > 0);
    assert_eq!((aside.arriving, aside.pinned), Default::default());
}

async fn what_is_shared_is_there_once(given: &mut Given) {
    let sizes = async |given: &Given| {
        let count = Count::of(given, 1000).await;
        (count.all(), count.shelved.live)
    };
    let upload = given.upload_of("sunset");
    let bytes = upload.original.bytes;
    given.accept(upload).await;
    let one = Amount { files: 1, bytes };
    assert_eq!(sizes(given).await, (one, one));
    let again = given.upload_of("sunset");
    given.accept(again).await;
    let two = Amount {
        files: 2,
        bytes: 2 * bytes,
    };
    assert_eq!(sizes(given).await, (two, one));
}

async fn what_nothing_refers_to_is_told_until_it_is_gone(given: &mut Given) {
    let shared = given.upload_of("sunset");
    let shared = given.accept(shared).await.asset;
    let again = given.upload_of("sunset");
    given.accept(again).await;
    let gone = given.asset().await;
    given.all_done().await;
    let before = Count::of(given, 1000).await;
    assert_eq!(before.unreferenced, Amount::default());
    given.store.delete(TENANT, gone).await.unwrap();
    given.store.delete(TENANT, shared).await.unwrap();
    let count = Count::of(given, 3).await;
    // The original and eighteen renditions of the one; of the other its renditions, because its original is another's too.
    assert_eq!(count.unreferenced.files, 19 + 18);
    assert_eq!(count.shelved, before.shelved);
    given.store.condemn(Duration::ZERO, 1000).await.unwrap();
    let condemned = Count::of(given, 5).await;
    assert_eq!(condemned.unreferenced, Amount::default());
    assert_eq!(condemned.shelved.condemned, count.unreferenced);
    let left = before.shelved.live.bytes - count.unreferenced.bytes;
    assert_eq!(condemned.shelved.live.bytes, left);
    for blob in given.store.condemn(Duration::ZERO, 1000).await.unwrap() {
        given.store.forget(blob.id).await.unwrap();
    }
    let count = Count::of(given, 1000).await;
    assert_eq!(count.shelved.condemned, Amount::default());
}

async fn a_backlog_is_what_was_not_told_yet(given: &mut Given) {
    let backlog = async |given: &Given| given.store.backlog("events").await.unwrap();
    assert_eq!(backlog(given).await, Default::default());
    let first = given.world_now();
    let asset = given.asset().await;
    given.world.pass(Duration::from_secs(60));
    given.all_done().await;
    let mut events = given.store.untold("events", 1000).await.unwrap();
    // Positions are given a moment after the commit.
    while events
        .last()
        .is_none_or(|last| last.kind.as_str() != "asset.ready")
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
        events = given.store.untold("events", 1000).await.unwrap();
    }
    let waits = backlog(given).await;
    assert_eq!(waits.events, events.len() as u64);
    assert_eq!(waits.oldest_event_at, Some(first));
    given
        .store
        .told("events", events[0].position)
        .await
        .unwrap();
    assert_eq!(backlog(given).await.events, events.len() as u64 - 1);
    let last = events.last().unwrap();
    given.store.told("events", last.position).await.unwrap();
    let told = backlog(given).await;
    assert_eq!((told.events, told.oldest_event_at), (0, None));
    // Another outlet was told nothing.
    let other = given.store.backlog("other").await.unwrap();
    assert_eq!(other.events, events.len() as u64);

    let due = given.world_now();
    given.store.delete(TENANT, asset).await.unwrap();
    let waits = backlog(given).await;
    assert_eq!((waits.purges.waiting, waits.purges.failed), (1, 0));
    assert_eq!(waits.purges.due_at, Some(due));
    let purge = given.store.purges(10).await.unwrap().remove(0);
    let pause = Duration::from_secs(9);
    given.store.purged(purge.id, Some(pause)).await.unwrap();
    let waits = backlog(given).await;
    assert_eq!((waits.purges.waiting, waits.purges.failed), (1, 1));
    assert_eq!(waits.purges.due_at, Some(due.after(pause)));
    given.store.purged(purge.id, None).await.unwrap();
    assert_eq!(backlog(given).await.purges.due_at, None);
}

async fn keys_come_in_pages(given: &mut Given) {
    let new = |given: &Given, tenant, name: &str| NewKey {
        id: KeyId(given.world.id()),
        tenant,
        name: name.into(),
        scopes: vec![Scope::Read],
        secret_sha256: Sha256::of(name.as_bytes()),
        limits: KeyLimits::default(),
    };
    let stranger = TenantId(Uuid::from_u128(9));
    given
        .store
        .add_key(new(given, stranger, "not ours"))
        .await
        .unwrap();
    for n in 0..5 {
        // Two in each moment: their order is by id then.
        if n % 2 == 0 {
            given.world.pass(Duration::from_millis(1));
        }
        let key = new(given, TENANT, &n.to_string());
        let id = key.id;
        given.store.add_key(key).await.unwrap();
        if n % 2 == 0 {
            assert!(given.store.revoke_key(TENANT, id).await.unwrap());
        }
    }
    let all = async |live: Option<bool>, limit| {
        let mut names = Vec::new();
        let mut filter = KeyFilter { live, cursor: None };
        loop {
            let page = given.store.key_page(TENANT, &filter, limit).await.unwrap();
            assert!(page.keys.len() <= limit as usize);
            names.extend(page.keys.into_iter().map(|key| key.name));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                return names.concat();
            }
        }
    };
    for limit in [1, 2, 5, 200] {
        assert_eq!(all(None, limit).await, "43210");
        assert_eq!(all(Some(true), limit).await, "31");
        assert_eq!(all(Some(false), limit).await, "420");
    }
    for (cursor, limit) in [(None, 0), (None, 201), (Some("nonsense"), 10)] {
        let cursor = cursor.map(str::to_owned);
        let filter = KeyFilter { live: None, cursor };
        let refused = given.store.key_page(TENANT, &filter, limit).await;
        assert!(matches!(refused, Err(StoreError::InvalidQuery(_))));
    }
}
