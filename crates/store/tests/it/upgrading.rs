//! Upgrades: what older releases wrote survives every step, and programs of both sides of a step work side by side.

use crate::check;
use crate::given::{FakeWorld, Given, TENANT, output};
use crate::stores::{Dbms, Place, run};
use mediaflow_core::AssetState;
use mediaflow_store::moving::TABLES;
use mediaflow_store::{
    MigrationState, PostgresOptions, PostgresStore, Report, SqliteStore, Store, StoreError,
};
use std::path::Path;
use std::sync::Arc;

/// The schema as each release left it.
const SQLITE: [&str; 16] = [
    include_str!("../../src/sqlite/migrations/0001_initial.sql"),
    include_str!("../../src/sqlite/migrations/0002_streams.sql"),
    include_str!("../../src/sqlite/migrations/0003_quality.sql"),
    include_str!("../../src/sqlite/migrations/0004_captions.sql"),
    include_str!("../../src/sqlite/migrations/0005_packaging.sql"),
    include_str!("../../src/sqlite/migrations/0006_outlets.sql"),
    include_str!("../../src/sqlite/migrations/0007_installation.sql"),
    include_str!("../../src/sqlite/migrations/0008_queues.sql"),
    include_str!("../../src/sqlite/migrations/0009_uploads.sql"),
    include_str!("../../src/sqlite/migrations/0010_counts.sql"),
    include_str!("../../src/sqlite/migrations/0011_pieces.sql"),
    include_str!("../../src/sqlite/migrations/0012_direct.sql"),
    include_str!("../../src/sqlite/migrations/0013_imports.sql"),
    include_str!("../../src/sqlite/migrations/0014_history.sql"),
    include_str!("../../src/sqlite/migrations/0015_webhooks.sql"),
    include_str!("../../src/sqlite/migrations/0016_kinds.sql"),
];
/// The step from which on counts are kept by the program, and no more by triggers.
const COUNTED: usize = 10;

/// What a later release would add in the middle of everybody's work: columns that statements answer, a table, an index.
const NEXT: &str = "ALTER TABLE assets ADD COLUMN next_fact bigint; ALTER TABLE tasks ADD COLUMN next_cost bigint NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN next_note text; ALTER TABLE workers ADD COLUMN next_place text; ALTER TABLE tracks ADD COLUMN next_peak bigint;
    ALTER TABLE events ADD COLUMN next_cause text; CREATE TABLE next_things (id uuid PRIMARY KEY);
    CREATE INDEX next_index ON assets (tenant, next_fact);
    INSERT INTO schema_version (version, name, needs) SELECT max(version) + 1, 'next', 1 FROM schema_version";

impl Given {
    async fn execute(&self, sql: &str) {
        match &self.place {
            Place::Sqlite { path, .. } => {
                let conn = rusqlite::Connection::open(path).unwrap();
                conn.execute_batch(sql).unwrap();
            }
            Place::Postgres { url } => crate::stores::connect(url)
                .await
                .batch_execute(sql)
                .await
                .unwrap(),
        }
    }
}

async fn work_a_little(store: &Arc<dyn Store>, given: &Given) {
    let claimed = store.claim(given.world_id(), &crate::given::roomy()).await;
    for task in claimed.unwrap() {
        let report = Report::Succeeded(output(&task));
        store.report(task.lease, report, None).await.unwrap();
    }
}

#[test]
fn old_and_new_programs_work_side_by_side() {
    run(Dbms::Postgres, async |given| {
        let old = given.place.open(&given.world).await;
        let (mut assets, film) = (vec![given.asset().await], given.video().await);
        // Both have every statement prepared that the schema's next step changes the answers of.
        for _ in 0..2 {
            work_a_little(&old, given).await;
            work_a_little(&given.store, given).await;
        }
        for store in [&old, &given.store] {
            store.workers().await.unwrap();
            store.asset(TENANT, film).await.unwrap();
        }

        given.execute(NEXT).await;
        // One of the new release has joined, and one of the old one was restarted.
        let new = given.place.open(&given.world).await;
        let third = Arc::clone(&given.store);
        for store in [&old, &third, &new] {
            let accepted = store.accept(given.upload()).await.unwrap();
            assets.push(accepted.asset);
            store.workers().await.unwrap();
            store.streams(film).await.unwrap();
            work_a_little(store, given).await;
        }
        given.all_done().await;
        for asset in assets.into_iter().chain([film]) {
            for store in [&old, &new] {
                let record = store.asset(TENANT, asset).await.unwrap();
                assert_eq!(record.state, AssetState::Ready);
            }
            let history = old.events(TENANT, asset, 0, 200).await.unwrap().items;
            let numbers: Vec<u64> = history.iter().map(|e| e.sequence).collect();
            assert_eq!(numbers, (1..=history.len() as u64).collect::<Vec<_>>());
        }

        // A release later takes away what the old one needs.
        given
            .execute("INSERT INTO schema_version (version, name, needs) SELECT max(version) + 1, 'less', max(version) + 1 FROM schema_version")
            .await;
        let Place::Postgres { url } = &given.place else {
            unreachable!()
        };
        let env = Arc::<FakeWorld>::default();
        let opened = PostgresStore::open(url, env, PostgresOptions::default()).await;
        let Err(error @ StoreError::Schema(_)) = opened else {
            panic!("it needs more than this program knows")
        };
        assert!(error.to_string().contains("newer MediaFlow"), "{error}");
        let steps = PostgresStore::migrations(url, &PostgresOptions::default())
            .await
            .unwrap();
        let newer = steps.iter().filter(|s| s.state == MigrationState::Newer);
        let newer: Vec<_> = newer.map(|s| s.name.as_str()).collect();
        assert_eq!(newer, ["next", "less"]);
    });
}

#[test]
fn what_the_release_before_postgres_had_migrations_wrote_is_kept() {
    run(Dbms::Postgres, async |given| {
        let asset = given.viewable().await;
        let before = format!("{:?}", given.record(asset).await);
        given.execute(crate::pruning::ONE_TABLE).await;
        given
            .execute(
                "DROP VIEW unfinished; DROP INDEX assets_by_kind; DROP TABLE history, webhooks, webhook_deliveries;
                 DROP TABLE flows, switches, changes, queue_minutes, unfinished_deltas, ready_deltas;
                 ALTER TABLE tasks DROP COLUMN priority, DROP COLUMN needs;
                 CREATE INDEX tasks_ready ON tasks (queue, lane, rank) WHERE state = 'ready';
                 ALTER TABLE tenants DROP COLUMN name, DROP COLUMN running_max, DROP COLUMN waiting_max;
                 ALTER TABLE workers DROP COLUMN network, DROP COLUMN capabilities;
                 DROP TABLE pieces, outlets, installation, arrivals, uploads, imports, upload_tokens, key_usage;
                 ALTER TABLE api_keys DROP COLUMN limits; DELETE FROM schema_version WHERE version > 1;
                 ALTER TABLE schema_version DROP COLUMN name, DROP COLUMN applied_at, DROP COLUMN needs",
            )
            .await;
        // As docs/operations.md has it for large databases.
        given
            .execute(
                "CREATE INDEX CONCURRENTLY assets_by_kind ON assets (tenant, kind, created_at, id) WHERE state <> 'deleted'",
            )
            .await;
        let Place::Postgres { url } = &given.place else {
            unreachable!()
        };
        let states = async || {
            let steps = PostgresStore::migrations(url, &PostgresOptions::default())
                .await
                .unwrap();
            steps.into_iter().map(|s| s.state).collect::<Vec<_>>()
        };
        let found = states().await;
        assert_eq!(found[0], MigrationState::Applied);
        assert!(found[1..].iter().all(|s| *s == MigrationState::Pending));
        let store = given.place.open(&given.world).await;
        assert!(states().await.iter().all(|s| *s == MigrationState::Applied));
        let record = store.asset(TENANT, asset).await.unwrap();
        assert_eq!(format!("{record:?}"), before);
        given.all_done().await;
    });
}

#[test]
fn what_every_older_release_wrote_in_sqlite_is_kept() {
    run(Dbms::Sqlite, async |given| {
        let (shown, done) = (given.viewable().await, given.asset().await);
        given.all_done().await;
        let fresh = given.asset().await;
        let assets = [shown, done, fresh];
        let mut expected = Vec::new();
        for asset in assets {
            let history = given.store.events(TENANT, asset, 0, 200).await.unwrap();
            expected.push(format!(
                "{:?} {:?}",
                given.record(asset).await,
                history.items
            ));
        }
        let Place::Sqlite { path, .. } = &given.place else {
            unreachable!()
        };
        for level in 1..=SQLITE.len() {
            let folder = tempfile::tempdir().unwrap();
            let old = folder.path().join("mediaflow.db");
            as_level_wrote(&old, level, path);
            let steps = SqliteStore::migrations(&old).unwrap();
            let pending = steps.iter().filter(|s| s.state == MigrationState::Pending);
            assert_eq!(pending.count(), SQLITE.len() - level);

            let world = Arc::clone(&given.world) as Arc<dyn mediaflow_store::Environment>;
            let store = SqliteStore::open(&old, world).unwrap();
            let store: Arc<dyn Store> = Arc::new(store);
            for (asset, expected) in assets.iter().zip(&expected) {
                let history = store.events(TENANT, *asset, 0, 200).await.unwrap();
                let record = store.asset(TENANT, *asset).await.unwrap();
                assert_eq!(
                    &format!("{record:?} {:?}", history.items),
                    expected,
                    "of step {level}"
                );
            }
            while store.asset(TENANT, fresh).await.unwrap().state != AssetState::Ready {
                work_a_little(&store, given).await;
            }
            check::rows(&crate::stores::Database::Sqlite(
                rusqlite::Connection::open(&old).unwrap(),
            ))
            .await;
        }
    });
}

/// A database at `path` with the schema of a level and the rows of another one, as far as that level knew them.
fn as_level_wrote(path: &Path, level: usize, rows: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    for step in &SQLITE[..level] {
        conn.execute_batch(step).unwrap();
    }
    conn.pragma_update(None, "user_version", level).unwrap();
    let rows = rows.to_str().unwrap();
    conn.execute("ATTACH ?1 AS now", [rows]).unwrap();
    let counts = (level >= COUNTED).then_some("task_counts");
    for table in TABLES.iter().map(|t| t.name).chain(counts) {
        let columns = "SELECT group_concat(name, ', ') FROM pragma_table_info(?1, 'main')";
        let columns: Option<String> = conn.query_row(columns, [table], |row| row.get(0)).unwrap();
        if let Some(columns) = columns {
            let sql = format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"
            );
            conn.execute_batch(&sql).unwrap();
        }
    }
}
