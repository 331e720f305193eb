//! PostgreSQL alone: opening, and what only a server of its own can do.

use crate::given::{FakeWorld, TENANT};
use mediaflow_core::Sha256;
use mediaflow_servers::Postgres;
use mediaflow_store::{Clock, Intake, NewBlob, PostgresOptions, PostgresStore};
use std::sync::{Arc, LazyLock};

static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(&[]));

pub(crate) async fn open(name: &str) -> PostgresStore {
    let options = PostgresOptions {
        connections: 4,
        clock: Clock::Environment,
        ..PostgresOptions::default()
    };
    let url = SERVER.database(name);
    PostgresStore::open(&url, Arc::<FakeWorld>::default(), options)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_pin_keeps_its_newest_bytes() {
    let store = open("pins").await;
    let blob = |text: &str| NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: text.len() as u64,
        key: format!("key of {text}"),
    };
    for text in ["first", "second", "second"] {
        let pinned = store.pin(TENANT, "mark", blob(text)).await.unwrap();
        assert_eq!(pinned.key, format!("key of {text}"));
    }
    let found = store.pinned(TENANT, "mark").await.unwrap().unwrap();
    assert_eq!(found.key, "key of second");
}
