//! Opening an SQLite database: whose it is, and what it says when it cannot be used.

use crate::given::{FakeWorld, Given};
use mediaflow_store::{SqliteStore, StoreError};
use std::sync::Arc;

#[tokio::test]
async fn a_database_belongs_to_one_process() {
    let given = Given::new();
    let second = SqliteStore::open(&given.path, Arc::<FakeWorld>::default());
    let Err(error @ StoreError::Locked(_)) = second else {
        panic!("it is in use");
    };
    let pid = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("another MediaFlow (pid {pid}) uses this data folder")
    );
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let given = Given::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = SqliteStore::open(&path, Arc::<FakeWorld>::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("newer MediaFlow"), "{error}");
    drop(given);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let path = std::path::Path::new("/nonexistent/mediaflow.db");
    let error = SqliteStore::open(path, Arc::<FakeWorld>::default())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("/nonexistent/mediaflow.db"),
        "{error}"
    );
}
