//! Tests that no verb reads more the longer a database lives, and that a full disk harms nobody else.

use super::{
    blobs, claim, deliveries, events, keys, measuring, migrate, overview, pruning, search, upkeep,
    uploads, work,
};
use crate::{MediaFilter, Search, StoreError, query};
use mediaflow_core::{AssetState, Kind, TenantId, Timestamp};
use rusqlite::Connection;

fn database() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    super::prepare(&conn, 1).unwrap();
    migrate::migrate(&mut conn, Timestamp(0)).unwrap();
    conn
}

/// How SQLite goes about a statement, one line for each table it touches.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get("detail").unwrap());
    }
    lines
}

#[test]
fn every_growing_table_is_searched_by_an_index_and_nothing_is_sorted() {
    let conn = database();
    let cases = [
        (claim::READY, "tasks_ready"),
        (claim::NEXT_LINE, "tasks_ready"),
        (upkeep::RECENT, "PRIMARY KEY"),
        (claim::READY_OF_ASSET, "tasks_by_step"),
        (upkeep::EXPIRED, "tasks_running"),
        (upkeep::DUE, "tasks_due"),
        (upkeep::CONDEMNED, "blobs_condemned"),
        (upkeep::ORPHANS, "orphans_since"),
        (uploads::EXPIRED, "uploads_expires"),
        (upkeep::REJECTED, "assets_rejected"),
        (upkeep::OLDEST, "tasks_oldest"),
        (upkeep::UNCLAIMED, "tasks_oldest"),
        (upkeep::PURGES, "purges_due"),
        (blobs::IS_REFERENCED, "assets_original"),
        (blobs::IS_REFERENCED, "renditions_blob"),
        (blobs::IS_REFERENCED, "pins_blob"),
        (blobs::IS_REFERENCED, "segments_blob"),
        (blobs::IS_REFERENCED, "tracks_blob"),
        (blobs::IS_REFERENCED, "captions_blob"),
        (blobs::IS_REFERENCED, "pieces_blob"),
        (work::REUSABLE, "renditions_derivation"),
        (events::FEED, "events_by_tenant"),
        (events::HISTORY, "events_by_asset"),
        (overview::MINUTES, "PRIMARY KEY"),
        (overview::FAILED, "tasks_by_state"),
        (overview::UNDER_WAY, "uploads_open"),
        (pruning::OLD_TASKS, "tasks_by_step"),
        (pruning::OLD_RUNS, "PRIMARY KEY"),
        (keys::PAGE, "api_keys_by_tenant"),
        (deliveries::DUE, "webhook_deliveries_due"),
        (deliveries::NEWEST, "sqlite_autoindex_webhook_deliveries"),
        (deliveries::NEWEST_OF, "webhook_deliveries_state"),
        (deliveries::AGAIN_FAILED, "webhook_deliveries_state"),
        (deliveries::SOONER, "webhook_deliveries_due"),
        (deliveries::FORGET_OLD, "webhook_deliveries_created"),
    ];
    for (sql, index) in cases {
        let lines = plan(&conn, sql);
        let uses = lines.iter().any(|l| l.contains(index));
        assert!(uses, "{index} is not used: {lines:#?}");
        assert_bounded(&lines, sql == claim::READY_OF_ASSET);
    }
    // The running tasks are as few as the workers' slots; their index is read from end to end.
    let running = plan(&conn, claim::RUNNING_BELOW).join("\n");
    assert!(running.contains("tasks_running"), "{running}");
}

#[test]
fn a_step_of_counting_reads_its_range_and_nothing_else() {
    let conn = database();
    let unreferenced = measuring::unreferenced();
    for sql in [measuring::HELD, measuring::SHELVED, &unreferenced] {
        let lines = plan(&conn, sql);
        assert_bounded(&lines, true);
        let ranges = lines
            .iter()
            .filter(|line| line.contains(">? AND") && line.contains("<?"));
        let wanted = sql.matches("> ?1").count();
        assert_eq!(ranges.count(), wanted, "{lines:#?}");
    }
}

#[test]
fn every_search_is_led_by_an_index_in_its_order() {
    let conn = database();
    let searches = [
        Search::default(),
        Search {
            state: Some(AssetState::Failed),
            ..Search::default()
        },
        Search {
            state: Some(AssetState::InReview),
            ..Search::default()
        },
        Search {
            media_type: Some("image/png".into()),
            ..Search::default()
        },
        Search {
            kind: Some(Kind::Audio),
            state: Some(AssetState::Ready),
            ..Search::default()
        },
        Search {
            media: MediaFilter {
                codec: Some("hevc".into()),
                duration_ms: (Some(1), None),
                ..MediaFilter::default()
            },
            media_type: Some("video/mp4".into()),
            ..Search::default()
        },
        Search {
            tag: Some("sea".into()),
            state: Some(AssetState::Ready),
            ..Search::default()
        },
        Search {
            text: Some("sunset".into()),
            tag: Some("sea".into()),
            ..Search::default()
        },
    ];
    for search in searches {
        let words = search.text.clone();
        let cursor =
            query::encode(&serde_json::json!({ "at": 0, "id": uuid::Uuid::nil(), "seq": 1 }));
        let later = Search {
            cursor: Some(cursor),
            ..search
        };
        let query = search::statement(TenantId::DEFAULT, &later, words, 10).unwrap();
        let lines = plan(&conn, &query.sql);
        assert_bounded(&lines, false);
        let resumes = lines[0].contains("created_at,id)<")
            || lines[0].contains("created_at,asset)<")
            || lines[0].contains("VIRTUAL TABLE");
        assert!(resumes, "a later page begins at its cursor: {lines:#?}");
    }
}

#[test]
fn a_search_for_what_failed_reads_what_failed() {
    let conn = database();
    let search = Search {
        code: Some("input.corrupt".into()),
        ..Search::default()
    };
    let query = search::statement(TenantId::DEFAULT, &search, None, 10).unwrap();
    let lines = plan(&conn, &query.sql);
    assert!(
        lines.iter().any(|l| l.contains("tasks_by_code")),
        "{lines:#?}"
    );
    let beyond = lines
        .iter()
        .filter(|l| l.starts_with("SCAN ") && *l != "SCAN f");
    assert_eq!(beyond.count(), 0, "{lines:#?}");
}

fn assert_bounded(lines: &[String], sorts_few: bool) {
    for line in lines {
        // The word index is a virtual table, whose every search is called a scan.
        let scans = line.starts_with("SCAN ")
            && !line.contains("VIRTUAL TABLE")
            && !line.contains("CONSTANT ROW");
        assert!(!scans, "{lines:#?}");
        assert!(sorts_few || !line.contains("TEMP B-TREE"), "{lines:#?}");
    }
}

struct World;

impl crate::Environment for World {
    fn now(&self) -> mediaflow_core::Timestamp {
        mediaflow_core::Timestamp(0)
    }
    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
    fn jitter(&self) -> u32 {
        0
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mediaflow.db");
    let store = super::SqliteStore::open(&path, std::sync::Arc::new(World)).unwrap();
    let limit = async |pages: u32| {
        let set = move |s: &super::Session<'_>| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(s.conn.query_row(&sql, [], |row| row.get::<_, u32>(0))?)
        };
        store.write(set).await.unwrap()
    };
    let fill = |bytes: u32| {
        store.write(move |s| {
            let sql = "INSERT INTO recipes VALUES (randomblob(32), printf('%.*c', ?1, 'x'))";
            Ok(s.conn.execute(sql, [bytes])?)
        })
    };
    // It never goes below what is there already, so this is how many pages there are.
    limit(1).await;
    let (small, large) = tokio::join!(fill(1), fill(10_000_000));
    assert!(matches!(large, Err(StoreError::Full(_))), "{large:?}");
    // What shared the transaction either took place or says why not.
    assert!(
        matches!(small, Ok(1) | Err(StoreError::Full(_))),
        "{small:?}"
    );
    limit(u32::MAX - 1).await;
    assert_eq!(fill(10_000_000).await.unwrap(), 1);
}

#[tokio::test]
async fn a_verb_that_fails_or_panics_undoes_itself_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mediaflow.db");
    let store = super::SqliteStore::open(&path, std::sync::Arc::new(World)).unwrap();
    // All are asked for before the first is done, so that they share a transaction.
    let (go, all_asked) = std::sync::mpsc::channel::<()>();
    let first = store.write(move |s| {
        // Nobody is there any more when it runs again.
        let _ = all_asked.recv();
        Ok(s.conn
            .execute("INSERT INTO tenants (id) VALUES (x'01')", [])?)
    });
    let insert = |s: &super::Session<'_>| {
        s.conn
            .execute("INSERT INTO tenants (id) VALUES (randomblob(16))", [])
    };
    let good = || store.write(move |s| Ok(insert(s)?));
    let bad = store.write(move |s| {
        insert(s)?;
        Err::<(), _>(StoreError::AssetNotFound)
    });
    let worse = store.write::<()>(move |s| {
        insert(s)?;
        panic!("a bug");
    });
    let go = async move { go.send(()).unwrap() };
    let answers = tokio::join!(first, good(), bad, good(), worse, good(), go);
    for good in [answers.0, answers.1, answers.3, answers.5] {
        assert_eq!(good.unwrap(), 1);
    }
    assert!(matches!(answers.2, Err(StoreError::AssetNotFound)));
    assert!(matches!(answers.4, Err(StoreError::Database(_))));
    let count = |s: &super::Session<'_>| {
        Ok(s.conn
            .query_row("SELECT count(*) FROM tenants", [], |r| r.get::<_, u32>(0))?)
    };
    assert_eq!(store.write(count).await.unwrap(), 4);
}
