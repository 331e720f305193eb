//! Opening an SQLite database: whose it is, what becomes of leases, and what it says when it cannot be used.

use crate::given::{FakeWorld, LEASE};
use crate::stores::{Dbms, run};
use mediaflow_core::failure::BACKOFF_MAX;
use mediaflow_core::{AssetState, TaskState};
use mediaflow_store::{SqliteStore, StoreError};
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Arc::<FakeWorld>::default())
}

#[test]
fn a_database_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mediaflow.db");
    let _first = open(&path).unwrap();
    let Err(error @ StoreError::Locked(_)) = open(&path) else {
        panic!("it is in use");
    };
    let pid = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("another MediaFlow (pid {pid}) uses this data folder")
    );
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = open(&path).err().unwrap();
    assert!(error.to_string().contains("newer MediaFlow"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = open(Path::new("/nonexistent/mediaflow.db")).err().unwrap();
    assert!(
        error.to_string().contains("/nonexistent/mediaflow.db"),
        "{error}"
    );
}

#[test]
fn a_restart_voids_leases_and_the_work_goes_on() {
    run(Dbms::Sqlite, async |given| {
        let asset = given.asset().await;
        let before = given.claim_step("inspect").await;
        given.reopen().await;
        let lost = given.store.heartbeat(&[before.lease], LEASE).await.unwrap();
        assert_eq!(lost, [before.lease]);
        let record = given.task("inspect").await;
        assert_eq!(record.state, TaskState::Waiting);
        assert_eq!(record.error.unwrap().0, "worker.lost");
        given.world.pass(BACKOFF_MAX);
        given.store.sweep(10).await.unwrap();
        given.all_done().await;
        assert_eq!(given.record(asset).await.state, AssetState::Ready);
    });
}
