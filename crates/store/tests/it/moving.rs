//! Moving an installation between the databases: all rows arrive, processes hear of it, and nothing is in two places.

use crate::check;
use crate::given::{FakeWorld, Given, LEASE, TENANT, output, step_of};
use crate::importing::{HOUR, change, marked};
use crate::stores::{Database, Dbms, Place, run};
use mediaflow_core::{AssetState, ErrorCode, Failure, ModerationPolicy, Sha256, TaskState};
use mediaflow_store::moving::{Installation, LEFT_BEHIND, Phase, Premises, TABLES, copy};
use mediaflow_store::{
    Attempted, DeliveryNext, DeliveryTry, FinishedUpload, Idempotency, ImportNext, NewBlob,
    NewDelivery, NewKey, NewWebhook, PostgresOptions, ReplayFilter, Report, Scope, Search,
    SigningKeys, StoreError, Switch, TaskFilter,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

on_every_store! {
    every_column_moves_or_is_named_as_one_that_does_not,
    a_process_hears_that_its_installation_moves,
}

impl Given {
    async fn premises(&self, arrives: bool) -> Premises {
        let now = self.world_now();
        match &self.place {
            Place::Sqlite { path, .. } => Premises::sqlite(path, arrives, now).unwrap(),
            Place::Postgres { url } => {
                let options = PostgresOptions::default();
                Premises::postgres(url, &options).await.unwrap()
            }
        }
    }

    /// An installation in the middle of its life: whatever can be in its tables is.
    async fn full_life(&mut self) {
        self.viewable().await;
        let review = self.asset_under(ModerationPolicy::Review).await;
        let (gone, doomed) = (self.asset().await, self.asset().await);
        let film = self.video().await;
        self.store.delete(TENANT, gone).await.unwrap();
        let mut keyed = self.upload();
        keyed.options.tags = ["harbour".to_owned()].into();
        keyed.options.title = Some("Évening \u{1f305} light".to_owned());
        keyed.idempotency = Some(Idempotency {
            key: "once".to_owned(),
            digest: Sha256::of(b"request"),
        });
        self.accept(keyed).await;
        for round in 0..4 {
            for task in self.claim().await {
                match step_of(&task) {
                    "inspect" if task.asset == doomed => {
                        let corrupt = Failure::permanent(ErrorCode::InputCorrupt, "torn");
                        self.fails(&task, corrupt).await;
                    }
                    "encode" if task.number == 2 => {}
                    "resize" if round == 3 => {}
                    _ => drop(
                        self.store
                            .report(task.lease, Report::Succeeded(output(&task)), None)
                            .await,
                    ),
                }
            }
        }
        let words = NewBlob {
            sha256: Sha256::of(b"words"),
            bytes: 5,
            key: "originals/words".to_owned(),
        };
        self.store.pin(TENANT, "mark", words).await.unwrap();
        let key = NewKey {
            id: mediaflow_core::KeyId(self.world_id()),
            tenant: TENANT,
            name: "someone".to_owned(),
            scopes: vec![Scope::Read],
            secret_sha256: Sha256::of(b"secret"),
            limits: Default::default(),
        };
        self.store.add_key(key).await.unwrap();
        self.webhook_at_work().await;
        self.files_of_a_watched_folder().await;
        assert_eq!(self.record(review).await.state, AssetState::InReview);
        assert!(!self.store.streams(film).await.unwrap().tracks.is_empty());
        // Readers of PostgreSQL see events when they have their numbers.
        self.store.feed(TENANT, 0, 1).await.unwrap();
    }
}

impl Given {
    /// One that became an asset, and one that is on its way.
    async fn files_of_a_watched_folder(&mut self) {
        let (import, _) = self.store.open_import(marked("kept", "a")).await.unwrap();
        let taken = self.store.take_upload(TENANT, import.id).await.unwrap();
        let mut upload = self.upload();
        upload.upload = Some(FinishedUpload {
            id: taken.id,
            fence: taken.fence,
            kept: HOUR,
        });
        let accepted = self.accept(upload).await;
        let done = change(ImportNext::Done(accepted.asset));
        self.store.save_import(import.id, done).await.unwrap();
        self.store.open_import(marked("late", "a")).await.unwrap();
    }

    /// Which of them are known.
    async fn known_files(&self) -> Vec<String> {
        let marks = ["kept", "late"].map(|name| format!("mark of {name}"));
        let known = self.store.marked(&marks).await.unwrap();
        known.into_iter().map(|(mark, _)| mark).collect()
    }

    /// A webhook that is signed with two keys, and of what it is told one thing is there and one waits.
    async fn webhook_at_work(&self) {
        let new = NewWebhook {
            id: self.world_id().into(),
            tenant: TENANT,
            url: "https://example.com/".to_owned(),
            types: vec!["asset.*".to_owned()],
            description: None,
            keys: SigningKeys(vec![vec![1; 32]]),
            count_max: 20,
        };
        let made = self.store.add_webhook(new).await.unwrap().id;
        let key = vec![2; 32];
        let rotated = self.store.rotate_webhook(TENANT, made, key, LEASE);
        rotated.await.unwrap();
        let events = self.store.feed(TENANT, 0, 2).await.unwrap().items;
        let new = events.iter().map(|event| NewDelivery {
            webhook: made,
            event: event.id,
            kind: event.kind,
            asset: event.asset,
            body: "{}".to_owned(),
        });
        let planned = self
            .store
            .plan_deliveries("webhooks", events[1].position, new.collect());
        planned.await.unwrap();
        let attempted = Attempted {
            tried: DeliveryTry {
                at: self.world_now(),
                status: Some(200),
                ms: 5,
                error: None,
                answer: Some("Thanks".to_owned()),
            },
            next: DeliveryNext::Delivered,
            is_gone: false,
            failing_max: LEASE,
        };
        let saved = self.store.save_attempt(made, events[0].id, attempted);
        saved.await.unwrap();
    }
}

/// What `mediaflow migrate` does with rows, into a place that is empty.
async fn moved(from: &Given, to: &Given) {
    assert!(to.premises(true).await.is_empty().await.unwrap());
    replaced(from, to).await;
}

/// The same whatever is there.
async fn replaced(from: &Given, to: &Given) {
    let there = from.premises(false).await;
    let here = to.premises(true).await;
    let origin = there.installation().await.unwrap();
    let closed = Installation {
        phase: Phase::Closed,
        ..origin.clone()
    };
    there.enter(&closed).await.unwrap();
    there.settle(Duration::from_secs(10)).await.unwrap();
    let then = Installation {
        phase: Phase::Open,
        peer: Some(origin.id),
        ..here.installation().await.unwrap()
    };
    let reports = copy(&there, &here, &then, |_| ()).await.unwrap();
    assert_eq!(reports.len(), TABLES.len());
    let moved = Installation {
        phase: Phase::Moved,
        ..closed
    };
    there.enter(&moved).await.unwrap();
}

fn all() -> Search {
    Search {
        limit: 100,
        ..Search::default()
    }
}

/// All rows of a table, as text, without numbers that each database gives.
async fn dump(given: &Given) -> Vec<(&'static str, BTreeSet<String>)> {
    let look = given.place.look().await;
    let mut tables = Vec::new();
    for table in TABLES {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|(name, _)| format!("coalesce(quote({name}), 'null')"))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {}",
            columns.join(" || ',' || "),
            table.name,
            table.only.unwrap_or("1 = 1")
        );
        let rows = look.ask::<1>(&sql).await;
        tables.push((table.name, rows.into_iter().flatten().flatten().collect()));
    }
    tables
}

#[test]
fn an_installation_moves_there_and_back_and_lives_on() {
    run(Dbms::Sqlite, async |given| {
        given.full_life().await;
        let off = given.store.set_switch(Switch::Uploads, false, "ann");
        assert!(off.await.unwrap());
        let records = given.store.search(TENANT, &all()).await.unwrap();
        let feed = given.store.feed(TENANT, 0, 200).await.unwrap();
        let before = dump(given).await;
        for (table, rows) in &before {
            assert!(
                !rows.is_empty() || ["orphans", "purges", "outlets"].contains(table),
                "{table} is empty"
            );
        }

        let mut there = Given::on(Dbms::Postgres).await;
        there.world = Arc::clone(&given.world);
        moved(given, &there).await;
        there.reopen().await;
        let arrived = there.store.feed(TENANT, 0, 200).await.unwrap();
        assert_eq!(arrived.items, feed.items);
        assert_eq!(given.known_files().await.len(), 2);
        assert_eq!(there.known_files().await, ["mark of kept"]);
        let found = there.store.search(TENANT, &all()).await.unwrap();
        assert_eq!(format!("{:?}", found.items), format!("{:?}", records.items));
        let words = Search {
            text: Some("evening light".to_owned()),
            ..all()
        };
        assert_eq!(
            there
                .store
                .search(TENANT, &words)
                .await
                .unwrap()
                .items
                .len(),
            1
        );
        check::rows(&there.place.look().await).await;

        let mut back = Given::on(Dbms::Sqlite).await;
        back.world = Arc::clone(&given.world);
        // Whoever arrives is alone.
        back.nobody_works_here();
        moved(&there, &back).await;
        assert_eq!(dump(&back).await, before);
        back.reopen().await;
        assert_eq!(
            back.store.search(TENANT, &words).await.unwrap().items.len(),
            1
        );
        assert_eq!(
            back.store.feed(TENANT, 0, 200).await.unwrap().items[..feed.items.len()],
            feed.items
        );

        // What had begun goes on where it is now.
        back.leases_run_out().await;
        back.store
            .replay_all(TENANT, &ReplayFilter::default(), 100)
            .await
            .unwrap();
        back.all_done().await;
        let left = TaskFilter {
            state: Some(TaskState::Ready),
            limit: 100,
            ..TaskFilter::default()
        };
        assert!(
            back.store
                .tasks(TENANT, &left)
                .await
                .unwrap()
                .items
                .is_empty()
        );
        check::rows(&back.place.look().await).await;
    });
}

impl Given {
    /// The process that works here ends, and none begins.
    fn nobody_works_here(&mut self) {
        let nowhere = mediaflow_store::SqliteStore::open_in_memory(Arc::<FakeWorld>::default());
        self.store = Arc::new(nowhere.unwrap());
    }
}

/// It moves away in the middle of its work, and comes back when that is done.
async fn there_and_back(given: &mut Given, elsewhere: Dbms) {
    given.full_life().await;
    let mut there = Given::on(elsewhere).await;
    there.world = Arc::clone(&given.world);
    there.nobody_works_here();
    moved(given, &there).await;
    there.reopen().await;
    while there.leases_run_out().await > 0 {}
    there.all_done().await;
    given.nobody_works_here();
    replaced(&there, given).await;
    given.reopen().await;
    // Nothing is counted that was under way when it left; all else is seen to when every test ends.
    let health = given.store.health().await.unwrap();
    for queue in health.queues {
        let left = (queue.ready, queue.running, queue.ready_cpu_ms);
        assert_eq!(left, (0, 0, 0), "{queue:?}");
    }
}

#[test]
fn what_comes_back_replaces_all_that_it_left() {
    run(Dbms::Sqlite, async |given| {
        there_and_back(given, Dbms::Postgres).await
    });
    run(Dbms::Postgres, async |given| {
        there_and_back(given, Dbms::Sqlite).await
    });
}

async fn a_process_hears_that_its_installation_moves(given: &mut Given) {
    let asset = given.asset().await;
    let running = given.claim_step("inspect").await;
    let premises = given.premises(false).await;
    let open = premises.installation().await.unwrap();
    let enter = async |phase| {
        let there = Some("elsewhere".to_owned());
        let to = Installation {
            phase,
            place: there,
            ..open.clone()
        };
        premises.enter(&to).await.unwrap();
        premises.settle(Duration::from_secs(10)).await.unwrap();
    };

    enter(Phase::Draining).await;
    let upload = given.upload();
    let refused = given.store.accept(upload.clone()).await;
    let Err(error @ StoreError::Closed(_)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(error.code(), ErrorCode::StoreClosed);
    let before = premises.running().await.unwrap();
    let report = Report::Succeeded(output(&running));
    let capacity = crate::given::roomy();
    let offered = given.store.report(running.lease, report, Some(&capacity));
    assert!(offered.await.unwrap().is_empty(), "nothing more is begun");
    assert!(given.claim().await.is_empty());
    assert_eq!(premises.running().await.unwrap(), before - 1);

    enter(Phase::Closed).await;
    let swept = given.store.sweep(10).await;
    assert!(matches!(swept, Err(StoreError::Closed(_))), "{swept:?}");
    assert_eq!(given.record(asset).await.id, asset);

    enter(Phase::Moved).await;
    let refused = given.store.accept(upload.clone()).await;
    assert!(refused.unwrap_err().to_string().contains("has moved"));

    premises.enter(&open).await.unwrap();
    given.accept(upload).await;
    given.all_done().await;
    given.leases_run_out().await;
    given.all_done().await;
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
}

#[test]
fn nobody_starts_where_an_installation_was() {
    run(Dbms::Sqlite, async |given| {
        let premises = given.premises(false).await;
        let open = premises.installation().await.unwrap();
        let Place::Sqlite { path, .. } = &given.place else {
            unreachable!()
        };
        let path = path.clone();
        given.nobody_works_here();
        for (phase, said) in [
            (Phase::Draining, "is being moved to elsewhere"),
            (Phase::Moved, "was moved to elsewhere; start that one"),
            (Phase::Arriving, "moving in from elsewhere"),
        ] {
            let to = Installation {
                phase,
                place: Some("elsewhere".to_owned()),
                ..open.clone()
            };
            premises.enter(&to).await.unwrap();
            let opened = mediaflow_store::SqliteStore::open(&path, Arc::<FakeWorld>::default());
            let error = opened.err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        premises.enter(&open).await.unwrap();
        given.reopen().await;
    });
}

async fn every_column_moves_or_is_named_as_one_that_does_not(given: &mut Given) {
    let look = given.place.look().await;
    let sql = match look {
        Database::Sqlite(_) => {
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        }
        Database::Postgres(_) => {
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'
                 AND table_name NOT IN (SELECT inhrelid::regclass::text FROM pg_inherits)"
        }
    };
    let found = look.ask::<2>(sql).await.into_iter();
    let found: BTreeSet<String> = found
        .map(|[table, column]| [table.unwrap(), column.unwrap()])
        .filter(|[table, _]| !LEFT_BEHIND.contains(&table.as_str()))
        .map(|names| names.join("."))
        .filter(|name| !LEFT_BEHIND.contains(&name.as_str()))
        .collect();
    let columns = |t: &'static mediaflow_store::moving::Table| {
        let names = t.columns.iter();
        names.map(|(column, _)| format!("{}.{column}", t.name))
    };
    let moving: BTreeSet<String> = TABLES.iter().flat_map(columns).collect();
    let difference: Vec<_> = found.symmetric_difference(&moving).collect();
    assert!(
        difference.is_empty(),
        "moving/tables.rs and this schema differ in {difference:?}"
    );
}
