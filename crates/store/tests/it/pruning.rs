//! What does not grow for ever, and what is promised of the rest.

use crate::given::{Given, TENANT, roomy};
use crate::stores::{Database, Dbms, Place, connect, run};
use mediaflow_core::{AssetId, AssetState, ErrorCode};
use mediaflow_store::{AssetPatch, StoreError, Switch, TaskFilter};
use std::time::Duration;

on_every_store! {
    nothing_is_missing_after_the_first_event_that_is_kept,
    what_was_not_told_yet_is_kept_and_so_is_the_newest_event,
    tasks_of_replaced_generations_and_deleted_assets_go,
    runs_of_replaced_generations_go_when_nothing_of_them_is_in_use,
    changes_of_switches_go_but_for_the_last,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Given {
    /// What the background service does meanwhile.
    async fn days_pass(&self, days: u32) {
        for _ in 0..days {
            self.world.pass(DAY);
            while self.store.extend(DAY).await.unwrap() {}
        }
    }

    async fn pruned(&self, age: Duration, outlets: &[&str]) {
        while self.store.prune_events(age, outlets).await.unwrap() {}
    }

    async fn sequences(&self, asset: AssetId, after: u64) -> Result<Vec<u64>, StoreError> {
        let page = self.store.events(TENANT, asset, after, 200).await?;
        Ok(page.items.iter().map(|e| e.sequence).collect())
    }

    /// All positions that readers see.
    async fn positions(&self) -> Vec<u64> {
        let page = self.store.feed(TENANT, 0, 200).await.unwrap();
        page.items.iter().map(|e| e.position).collect()
    }

    async fn is_retitled(&self, asset: AssetId, title: &str) {
        let patch = AssetPatch {
            title: Some(Some(title.to_owned())),
            ..AssetPatch::default()
        };
        self.store.update(TENANT, asset, patch).await.unwrap();
    }
}

fn is_pruned<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> u64 {
    match answer {
        Err(error @ StoreError::Pruned(after)) => {
            assert_eq!(error.code(), ErrorCode::EventsPruned);
            after
        }
        other => panic!("{other:?}"),
    }
}

async fn nothing_is_missing_after_the_first_event_that_is_kept(given: &mut Given) {
    let (old, both) = (given.asset().await, given.asset().await);
    given.all_done().await;
    let last = given.record(old).await.last_sequence;
    let first_of_both = given.record(both).await.last_sequence + 1;
    given.days_pass(12).await;
    given.is_retitled(both, "later").await;
    let new = given.asset().await;
    given.all_done().await;
    let before = given.positions().await;

    given.pruned(DAY * 4, &[]).await;
    let kept = given.positions().await;
    assert_eq!(kept, before[before.len() - kept.len()..], "the newest");
    assert_eq!(kept.len() as u64, 1 + given.record(new).await.last_sequence);
    assert_eq!(given.sequences(both, 0).await.unwrap(), [first_of_both]);
    assert!(given.sequences(old, 0).await.unwrap().is_empty());

    // Who has seen all that is gone goes on, and who has not is told.
    let gone = kept[0] - 1;
    let feed = async |after| given.store.feed(TENANT, after, 200).await;
    assert_eq!(is_pruned(feed(1).await), gone);
    assert_eq!(is_pruned(feed(gone - 1).await), gone);
    assert_eq!(feed(gone).await.unwrap().items.len(), kept.len());
    assert_eq!(is_pruned(given.sequences(old, 2).await), last);
    assert!(given.sequences(old, last).await.unwrap().is_empty());
    assert_eq!(is_pruned(given.sequences(both, 1).await), first_of_both - 1);
    let rest = given.sequences(both, first_of_both - 1).await;
    assert_eq!(rest.unwrap(), [first_of_both]);

    given.reopen().await;
    given.is_retitled(old, "again").await;
    assert_eq!(given.sequences(old, 0).await.unwrap(), [last + 1]);
    let end = given.positions().await;
    assert_eq!(end[..kept.len()], kept);
    assert_eq!(end.last().copied(), kept.last().map(|p| p + 1));
}

async fn what_was_not_told_yet_is_kept_and_so_is_the_newest_event(given: &mut Given) {
    given.asset().await;
    given.all_done().await;
    let all = given.positions().await;
    given.days_pass(30).await;
    given.pruned(DAY, &["events"]).await;
    assert_eq!(given.positions().await, all, "nobody was told");

    let (_, seen) = (given.asset().await, all[all.len() - 1]);
    given.positions().await;
    given.store.told("events", seen - 1).await.unwrap();
    given.pruned(DAY, &["events"]).await;
    let untold = given.store.untold("events", 200).await.unwrap();
    assert_eq!(untold[0].position, seen);
    given.store.told("events", seen).await.unwrap();
    given.pruned(DAY, &["events"]).await;
    assert_eq!(given.positions().await[0], seen + 1);

    // However old all of it is.
    given.days_pass(30).await;
    given.pruned(Duration::ZERO, &[]).await;
    assert!(!given.positions().await.is_empty());
    assert_eq!(
        given.positions().await.last().copied(),
        Some(given.store.feed_end().await.unwrap())
    );
}

async fn tasks_of_replaced_generations_and_deleted_assets_go(given: &mut Given) {
    let (replaced, deleted, plain) = (
        given.asset().await,
        given.asset().await,
        given.asset().await,
    );
    let busy = given.asset().await;
    given.all_done().await;
    given.reprocess(replaced).await;
    given.store.delete(TENANT, deleted).await.unwrap();
    given.all_done().await;
    given.world.pass(DAY * 2);
    // Its first generation is what readers see.
    given.reprocess(busy).await;
    let rows = async || {
        let sql = "SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM attempts)";
        let found = given.place.look().await.ask::<2>(sql).await.remove(0);
        found.map(|n| n.unwrap().parse::<u64>().unwrap())
    };
    let newest = TaskFilter {
        asset: Some(plain),
        limit: 200,
        ..TaskFilter::default()
    };
    let of_one = given.store.tasks(TENANT, &newest).await.unwrap();
    let of_one = of_one.items.len() as u64;
    let [tasks, attempts] = rows().await;
    assert_eq!(tasks, 6 * of_one);

    let (mut next, mut gone, mut walks) = (None, 0, 0);
    loop {
        let walked = given.store.prune_tasks(DAY, next, 3).await.unwrap();
        (next, gone, walks) = (walked.next, gone + walked.tasks, walks + 1);
        if next.is_none() {
            break;
        }
    }
    assert_eq!((gone, walks), (2 * of_one, 2));
    // The core does the last of each by itself.
    let [left, tried] = rows().await;
    assert_eq!(left, tasks - gone);
    assert!(tried < attempts, "{tried} of {attempts}");
    for asset in [replaced, plain, busy] {
        let newest = TaskFilter {
            asset: Some(asset),
            ..newest.clone()
        };
        let found = given.store.tasks(TENANT, &newest).await.unwrap();
        assert_eq!(found.items.len() as u64, of_one);
    }
    let again = given.store.prune_tasks(DAY, None, 100).await.unwrap();
    assert_eq!((again.next, again.tasks), (None, 0));
    given.all_done().await;
    assert_eq!(given.record(busy).await.state, AssetState::Ready);
    assert_eq!(given.record(deleted).await.state, AssetState::Deleted);
    given.store.sweep(10).await.unwrap();
}

async fn runs_of_replaced_generations_go_when_nothing_of_them_is_in_use(given: &mut Given) {
    let asset = given.asset().await;
    given.all_done().await;
    given.reprocess(asset).await;
    let inspect = given.claim_step("inspect").await;
    given.succeeds(&inspect).await;
    given.reprocess(asset).await;
    let kept = async |given: &Given| {
        let walked = given.store.prune_tasks(DAY, None, 10).await.unwrap();
        assert_eq!(walked.next, None);
        let look = given.place.look().await;
        let runs = look.ask::<1>("SELECT generation FROM runs ORDER BY generation");
        let runs = runs.await.into_iter().flatten().flatten();
        runs.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept(given).await, "1 2 3", "nothing is old");
    given.world.pass(DAY * 2);
    // The first one is what readers see, and the second found out what the asset tells.
    assert_eq!(kept(given).await, "1 2 3");
    given.all_done().await;
    assert_eq!(kept(given).await, "3");
    assert_eq!(given.record(asset).await.state, AssetState::Ready);
    // What is numbered goes on.
    assert_eq!(given.reprocess(asset).await, 4);
    given.all_done().await;
}

async fn changes_of_switches_go_but_for_the_last(given: &mut Given) {
    for (on, who) in [(false, "ann"), (true, "bob")] {
        let set = given.store.set_switch(Switch::Uploads, on, who).await;
        assert!(set.unwrap());
    }
    given.days_pass(3).await;
    given.pruned(DAY, &[]).await;
    let look = given.place.look().await;
    let left = look.ask::<1>("SELECT who FROM changes").await;
    assert_eq!(left, [[Some("bob".to_owned())]]);
}

/// Undoes the step that gave events parts.
pub(crate) const ONE_TABLE: &str = "
    ALTER TABLE events DETACH PARTITION events_early; DROP TABLE events; ALTER TABLE events_early RENAME TO events;
    ALTER TABLE events ALTER n DROP DEFAULT; ALTER TABLE events ALTER n ADD GENERATED ALWAYS AS IDENTITY (START 100000);
    DROP SEQUENCE events_number;";
const STEP: &str = include_str!("../../src/postgres/migrations/0010_history.sql");

/// To a program without parts, `events` is one table; its statements are those of this one.
#[test]
fn the_table_of_events_gets_parts_while_programs_work() {
    run(Dbms::Postgres, async |given| {
        let Place::Postgres { url } = &given.place else {
            unreachable!()
        };
        let url = url.clone();
        let admin = connect(&url).await;
        admin.batch_execute(ONE_TABLE).await.unwrap();
        let old = given.place.open(&given.world).await;
        let first = given.asset().await;
        given.all_done().await;
        old.feed(TENANT, 0, 200).await.unwrap();

        let (_, step) = STEP
            .split_once("INSERT INTO history VALUES (1, 0);")
            .unwrap();
        let work = async {
            for _ in 0..10 {
                given.is_retitled(first, "now").await;
                given.is_retitled(first, "then").await;
            }
        };
        let step = async {
            let sql = format!("BEGIN; {step} COMMIT");
            admin.batch_execute(&sql).await.unwrap();
        };
        tokio::join!(work, step);
        let upload = given.upload();
        let second = old.accept(upload).await.unwrap().asset;
        let claimed = old.claim(given.world_id(), &roomy()).await.unwrap();
        for task in &claimed {
            given.succeeds(task).await;
        }
        // The process that makes parts was killed when the first had an end, and nobody had read it.
        let until = "1700000000000 + 7 * 86400000";
        let near = format!(
            "ALTER TABLE events_early ADD CONSTRAINT events_early_end CHECK (at < {}) NOT VALID",
            1_700_000_000_000_i64 + 7 * 86_400_000
        );
        admin.batch_execute(&near).await.unwrap();
        given.days_pass(10).await;
        given.all_done().await;
        for asset in [first, second] {
            let n = given.record(asset).await.last_sequence;
            let all: Vec<u64> = (1..=n).collect();
            assert_eq!(given.sequences(asset, 0).await.unwrap(), all);
        }
        let in_part = format!(
            "SELECT count(*) FROM events WHERE (at < {until}) <> (tableoid = 'events_early'::regclass)
                OR tableoid = 'events_other'::regclass"
        );
        let look = Database::Postgres(connect(&url).await);
        assert_eq!(look.ask::<1>(&in_part).await, [[Some("0".to_owned())]]);
        let early = "SELECT count(*) FROM pg_constraint WHERE conname = 'events_early_end'";
        assert_eq!(look.ask::<1>(early).await, [[Some("0".to_owned())]]);
    });
}
