//! PostgreSQL alone: what several processes do to each other.

use crate::given::{FakeWorld, TENANT, recipe_from, roomy};
use crate::{clustering::presence, importing};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetOptions, Kind, Queue, RunSettings, Sha256, Verdict};
use mediaflow_servers::Postgres;
use mediaflow_store::{
    Accept, Capacity, Claimed, Clock, Cluster, Environment, Importing, Intake, NewBlob, NewToken,
    Output, PostgresOptions, PostgresStore, Report, Tokens, Upkeep, Work,
};
use std::sync::{Arc, LazyLock};

/// Nothing is vacuumed but where a test does: pages are counted here.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres::start(&["autovacuum=off"]));

async fn open(url: &str, world: &Arc<FakeWorld>) -> PostgresStore {
    let options = PostgresOptions {
        connections: 6,
        clock: Clock::Environment,
        ..PostgresOptions::default()
    };
    let env = Arc::clone(world) as Arc<dyn Environment>;
    PostgresStore::open(url, env, options).await.unwrap()
}

#[tokio::test]
async fn a_pin_keeps_its_newest_bytes() {
    let store = open(&SERVER.database("pins"), &Arc::default()).await;
    for text in ["first", "second", "second"] {
        let pinned = store.pin(TENANT, "mark", blob(text)).await.unwrap();
        assert_eq!(pinned.key, format!("key of {text}"));
    }
    let found = store.pinned(TENANT, "mark").await.unwrap().unwrap();
    assert_eq!(found.key, "key of second");
}

#[tokio::test]
async fn the_way_is_encrypted_and_the_server_is_who_it_says() {
    let (server, certificate) = Postgres::start_encrypted();
    let url = server.database("safe");
    let opened = async |url: String| {
        let env = Arc::<FakeWorld>::default() as Arc<dyn Environment>;
        PostgresStore::open(&url, env, PostgresOptions::default()).await
    };
    let own = format!("sslrootcert={}", certificate.display());
    let store = opened(format!("{url}?sslmode=verify-full&{own}"));
    let store = store.await.unwrap();
    store.pin(TENANT, "mark", blob("first")).await.unwrap();
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                 WHERE application_name = 'mediaflow' AND NOT ssl";
    assert_eq!(server.query("safe", plain), ["0"]);

    let (impostor, _) = Postgres::start_encrypted();
    let in_the_clear = SERVER.database("clear");
    for (url, why) in [
        (format!("{url}?sslmode=require"), "nobody vouches for it"),
        (
            format!("{}?sslmode=require&{own}", impostor.database("safe")),
            "another one",
        ),
        (format!("{in_the_clear}?sslmode=require&{own}"), "no TLS"),
    ] {
        assert!(opened(url).await.is_err(), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_given_to_two_processes() {
    let world = Arc::<FakeWorld>::default();
    let url = SERVER.database("two");
    let stores = [open(&url, &world).await, open(&url, &world).await];
    for n in 0..20 {
        stores[n % 2].accept(upload(n)).await.unwrap();
    }
    let mut given = std::collections::HashSet::new();
    loop {
        let capacity = Capacity {
            slots: vec![(Queue::BUSY, 3), (Queue::WAITING, 3)],
            ..roomy()
        };
        let (a, b) = tokio::join!(
            stores[0].claim(world.id(), &capacity),
            stores[1].claim(world.id(), &capacity)
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        if a.is_empty() && b.is_empty() {
            break;
        }
        for (tasks, store) in [(a, &stores[0]), (b, &stores[1])] {
            for task in tasks {
                assert!(given.insert(task.lease.task), "given twice");
                store.report(task.lease, done(&task), None).await.unwrap();
            }
        }
    }
    assert_eq!(given.len(), 20 * STEPS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_who_has_the_tenants_row() {
    let world = Arc::<FakeWorld>::default();
    let url = SERVER.database("row");
    let store = open(&url, &world).await;
    store.accept(upload(0)).await.unwrap();
    let other = crate::stores::connect(&url).await;
    let lock = "BEGIN; SELECT id FROM tenants FOR UPDATE";
    other.batch_execute(lock).await.unwrap();
    let worked = async {
        store.accept(upload(1)).await.unwrap();
        let capacity = Capacity {
            slots: vec![(Queue::BUSY, 3), (Queue::WAITING, 3)],
            ..roomy()
        };
        for task in store.claim(world.id(), &capacity).await.unwrap() {
            store.report(task.lease, done(&task), None).await.unwrap();
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, worked).await.unwrap();
}

/// Clocks of machines differ, and the database's is the one that counts, for those too that only look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_and_what_is_over_goes_by_the_databases_clock() {
    // Years behind at first.
    let world = Arc::<FakeWorld>::default();
    let env = Arc::clone(&world) as Arc<dyn Environment>;
    let url = SERVER.database("clocks");
    let store = PostgresStore::open(&url, env, PostgresOptions::default()).await;
    let store = store.unwrap();
    let new = NewToken {
        id: world.id().into(),
        tenant: TENANT,
        key: None,
        secret_sha256: Sha256::of(b"secret"),
        terms: "{}".into(),
        kept: std::time::Duration::from_secs(3600),
    };
    let token = new.id;
    store.add_token(new).await.unwrap();
    let new = importing::new("https://example.com/a.jpg");
    store.open_import(new).await.unwrap();
    let seen = async {
        while store.due_imports("url", 10).await.unwrap().is_empty() {
            // Whatever changes something hears the time.
            store.workers().await.unwrap();
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, seen).await.unwrap();

    world.pass(std::time::Duration::from_secs(10 * 365 * 86_400));
    let worker = presence(&world, "far away");
    store.present(&worker).await.unwrap();
    let listed = store.workers().await.unwrap();
    assert!(listed[0].seen_at < world.now() && !listed[0].is_gone);
    assert!(store.health().await.unwrap().at < world.now());
    let seen = async {
        while store.token(token).await.unwrap().is_none() {
            store.workers().await.unwrap();
        }
    };
    tokio::time::timeout(patience, seen).await.unwrap();
}

/// A step of the schema changes what a statement answers that every connection has prepared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verb_fails_because_many_connections_know_an_older_schema() {
    const CONNECTIONS: usize = 8;
    let url = SERVER.database("outdated");
    let options = PostgresOptions {
        connections: CONNECTIONS,
        // Waiting is what this test has them do.
        statement_timeout: std::time::Duration::from_secs(600),
        ..PostgresOptions::default()
    };
    let env = Arc::<FakeWorld>::default() as Arc<dyn Environment>;
    let store = PostgresStore::open(&url, env, options).await.unwrap();
    let other = crate::stores::connect(&url).await;
    other
        .batch_execute("BEGIN; LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let all_ask = futures_util::future::join_all((0..CONNECTIONS).map(|_| store.workers()));
    let all_wait = async {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE relation = 'workers'::regclass AND NOT granted";
        while other
            .query_one(waiting, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            < CONNECTIONS as i64
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (asked, ()) = tokio::join!(all_ask, all_wait);
    asked.into_iter().for_each(|workers| drop(workers.unwrap()));
    other
        .batch_execute("ALTER TABLE workers ADD COLUMN next_place text")
        .await
        .unwrap();
    store.workers().await.unwrap();
}

/// Works off so many uploads, with offers as workers ask for them, and closes the store.
async fn work_off(url: &str, world: &Arc<FakeWorld>, uploads: std::ops::Range<usize>) {
    let store = open(url, world).await;
    let mut left = uploads.len() * STEPS;
    for n in uploads {
        store.accept(upload(n)).await.unwrap();
    }
    let capacity = Capacity {
        slots: vec![(Queue::BUSY, 4), (Queue::WAITING, 4)],
        ..roomy()
    };
    while left > 0 {
        let mut tasks = store.claim(world.id(), &capacity).await.unwrap();
        while let Some(task) = tasks.pop() {
            let reported = store.report(task.lease, done(&task), None);
            tasks.extend(reported.await.unwrap());
            left -= 1;
        }
    }
}

/// Pages of indexes of tasks that this database's sessions have looked at, as far as they have ended.
async fn index_pages(url: &str) -> i64 {
    let other = crate::stores::connect(url).await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mediaflow'";
    while other.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let pages = "SELECT sum(idx_blks_hit + idx_blks_read)::bigint FROM pg_statio_user_indexes WHERE relname = 'tasks'";
    other.query_one(pages, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_snapshot_makes_claims_dearer_and_leaves_nothing_behind() {
    let world = Arc::<FakeWorld>::default();
    let url = SERVER.database("snapshot");
    let cost = async |uploads: std::ops::Range<usize>| {
        let before = index_pages(&url).await;
        let count = uploads.len() as i64;
        work_off(&url, &world, uploads).await;
        (index_pages(&url).await - before) / count
    };
    work_off(&url, &world, 0..20).await;
    let young = cost(20..60).await;
    // A backup or a report: what died since then may not be removed, and claims walk over it.
    let old = crate::stores::connect(&url).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tasks";
    old.batch_execute(begin).await.unwrap();
    work_off(&url, &world, 60..260).await;
    let aged = cost(260..300).await;
    assert!(aged <= 3 * young, "{aged} pages for an upload, not {young}");

    for end in ["COMMIT", "VACUUM"] {
        old.batch_execute(end).await.unwrap();
    }
    let after = cost(300..340).await;
    assert!(
        3 * after <= 5 * young,
        "{after} pages for an upload, not {young}"
    );
    println!("{young} {aged} {after}");
}

/// Steps of [`TRIVIAL`] that workers do.
const STEPS: usize = 6;

/// Six tasks that a worker has nothing to do for, and one that the core does.
const TRIVIAL: &str = r#"
name = "trivial"
version = 1
kind = "image"

[[steps]]
name = "inspect"
operation = "image.inspect"

[[steps]]
name = "moderate"
operation = "moderate"

[[steps]]
name = "resize"
operation = "image.resize"
needs = ["moderate"]
jpeg_quality = 87
variants = [{ name = "small", fit = "width", width = 320 }]

[[steps]]
name = "compress"
operation = "image.compress"
needs = ["resize"]
formats = [{ format = "webp", quality = 80 }]

[[steps]]
name = "placeholder"
operation = "image.placeholder"
needs = ["resize"]

[[steps]]
name = "distribute"
operation = "distribute"
needs = ["inspect", "compress", "placeholder"]

[[steps]]
name = "publish"
operation = "publish"
needs = ["distribute"]
"#;

fn blob(text: &str) -> NewBlob {
    NewBlob {
        sha256: Sha256::of(text.as_bytes()),
        bytes: text.len() as u64,
        key: format!("key of {text}"),
    }
}

fn upload(n: usize) -> Accept {
    static RECIPE: LazyLock<Arc<mediaflow_core::Recipe>> = LazyLock::new(|| recipe_from(TRIVIAL));
    Accept {
        tenant: TENANT,
        original: blob(&format!("upload {n}")),
        media_type: "image/jpeg".into(),
        filename: Some(format!("{n}.jpg")),
        dimensions: Some((40, 30)),
        facts: Facts {
            pixels: 1200,
            frames: 1,
            bytes: 100,
        },
        kind: Kind::Image,
        recipe: Arc::clone(&RECIPE),
        settings: RunSettings::default(),
        options: AssetOptions::default(),
        correlation_id: format!("correlation {n}"),
        idempotency: None,
        upload: None,
        counted: None,
    }
}

fn done(task: &Claimed) -> Report {
    let moderates = task.recipe.steps[task.step].name == "moderate";
    Report::Succeeded(Output {
        verdict: moderates.then_some(Verdict::Pass),
        ..Output::default()
    })
}
