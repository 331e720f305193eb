//! Many processes on one PostgreSQL and one bucket.

use crate::films::film;
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, run, stderr};
use mediaflow_servers::{Postgres, S3};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What all processes share.
pub(crate) struct Cluster {
    database: String,
    bucket: String,
    pub(crate) postgres: Postgres,
    pub(crate) s3: S3,
}

/// One process with a data folder of its own.
pub(crate) struct Member {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

/// The configuration of a process: all share what is in it but the roles.
pub(crate) fn config(database: &str, bucket: &str, s3: &S3, roles: &str) -> String {
    let (endpoint, id, secret) = (s3.endpoint(), S3::KEY_ID, S3::SECRET);
    let signing = "5e".repeat(32);
    format!(
        "store = \"{database}\"\nblobs = \"{bucket}/here\"\nroles = [{roles}]\n\
         [object_store]\nendpoint = \"{endpoint}\"\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n\
         [[delivery.signing_keys]]\nid = \"all\"\nsecret = \"{signing}\"\n\
         [worker]\ncpu = 2\nlease_s = 3\n"
    )
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let (postgres, s3) = (Postgres::start(&[]), S3::start());
        Self {
            database: postgres.database("mediaflow"),
            bucket: s3.bucket("media"),
            postgres,
            s3,
        }
    }

    /// Objects of originals, whole or not.
    pub(crate) fn stored_originals(&self) -> usize {
        let mut folders = vec![self.s3.files("media").join("here/originals")];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => count += 1,
                }
            }
        }
        count
    }

    pub(crate) fn join(&self, roles: &str) -> Member {
        self.join_with(roles, "", "")
    }

    /// `settings` are those of no section, `worker` those of the section `worker`.
    pub(crate) fn join_with(&self, roles: &str, settings: &str, worker: &str) -> Member {
        let shared = config(&self.database, &self.bucket, &self.s3, roles);
        let folder = given::config(&format!("{settings}{shared}{worker}"));
        Member {
            server: Server::start(folder.path()),
            folder,
        }
    }
}

async fn workers(server: &Server) -> Vec<Value> {
    let listed = server.get("/v1/workers").await;
    listed["workers"].as_array().unwrap().clone()
}

/// Which workers have tried this asset's tasks.
pub(crate) async fn tried_by(server: &Server, asset: &str) -> BTreeSet<String> {
    let page = server
        .get(&format!("/v1/assets/{asset}/tasks?limit=200"))
        .await;
    let tasks = page["items"].as_array().unwrap();
    let workers = tasks.iter().filter_map(|t| t["worker"].as_str());
    workers.map(str::to_owned).collect()
}

#[tokio::test]
async fn two_apis_and_two_workers_share_one_truth() {
    let cluster = Cluster::start();
    let (here, there) = (cluster.join("\"api\""), cluster.join("\"api\""));
    let (here, there) = (&here.server, &there.server);
    let early = here.upload("", photo(320, 240, 0)).await;
    assert_eq!(
        there.get(&format!("/v1/assets/{early}")).await["state"],
        "uploaded"
    );

    let doomed = cluster.join("\"worker\"");
    let _other = cluster.join("\"worker\"");
    let probe = |path: &str| doomed.server.http().get(doomed.server.url(path)).send();
    assert_eq!(probe("/readyz").await.unwrap().status(), 200);
    assert_eq!(probe("/v1/assets").await.unwrap().status(), 404);

    let mut assets = vec![early];
    for seed in 1..6 {
        assets.push(
            here.upload("?visibility=private", photo(320, 240, seed))
                .await,
        );
    }
    let films = tempfile::tempdir().unwrap();
    let moving = there
        .upload("", film(films.path(), "a.mp4", "426x240", &[]))
        .await;
    for asset in &assets {
        let made = there.asset_in(asset, "ready").await;
        let url = made["renditions"][0]["url"].as_str().unwrap();
        let elsewhere = url.replace(&there.base, &here.base);
        let mut bytes = Vec::new();
        for url in [url, &elsewhere] {
            let answer = here.http().get(url).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{url}");
            bytes.push(answer.bytes().await.unwrap());
        }
        assert!(bytes[0] == bytes[1] && !bytes[0].is_empty());
    }

    let listed = workers(here).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    while tried_by(here, &moving).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    doomed.server.kill();
    let asset = here.asset_in(&moving, "ready").await;
    assert!(asset["playback"]["hls"].is_string());
}

#[tokio::test]
async fn what_one_takes_away_no_other_delivers() {
    let cluster = Cluster::start();
    let (here, there) = (cluster.join("\"api\""), cluster.join("\"api\""));
    let (here, there) = (&here.server, &there.server);
    let _worker = cluster.join("\"worker\"");
    for seed in 0..2 {
        let asset = there.upload("", photo(64, 48, seed)).await;
        let made = there.asset_in(&asset, "ready").await;
        let url = made["renditions"][0]["url"].as_str().unwrap();
        let status = async || there.http().get(url).send().await.unwrap().status();
        for _ in 0..3 {
            assert_eq!(status().await, 200);
        }
        let path = here.url(&format!("/v1/assets/{asset}"));
        // For a moment nobody hears what others do.
        let deafen =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
        // They listen again a while after they were last deafened.
        let began = Instant::now();
        while cluster.postgres.query("mediaflow", deafen).is_empty() {
            assert!(began.elapsed() < PATIENCE, "nobody listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let taken = match seed % 2 {
            0 => here.http().delete(path),
            _ => here
                .http()
                .patch(path)
                .json(&json!({"visibility": "private"})),
        };
        assert!(taken.send().await.unwrap().status().is_success());
        assert_eq!(status().await, 404, "it is still delivered");
    }
}

#[tokio::test]
async fn a_process_of_a_cluster_says_what_it_lacks() {
    for (config, said) in [
        ("roles = [\"worker\"]\n", "roles must be api and worker"),
        (
            "store = \"mysql://somewhere/db\"\n",
            "store must be postgres://",
        ),
        (
            "store = \"postgres://me:secret@127.0.0.1:1/db\"\n",
            "delivery.signing_keys",
        ),
    ] {
        let folder = given::config(config);
        let done = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        assert!(!done.status.success());
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
    }
    let config = format!(
        "store = \"postgres://me:secret@127.0.0.1:1/db\"\n[[delivery.signing_keys]]\nid = \"a\"\nsecret = \"{}\"\n",
        "00".repeat(32)
    );
    let folder = given::config(&config);
    let done = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = stderr(&done);
    assert!(
        said.contains("127.0.0.1:1/db") && !said.contains("secret"),
        "{said}"
    );
}

#[tokio::test]
async fn keys_are_made_in_the_database() {
    let postgres = Postgres::start(&[]);
    let signing = "00".repeat(32);
    let folder = given::config(&format!(
        "store = \"{}\"\n[[delivery.signing_keys]]\nid = \"a\"\nsecret = \"{signing}\"\n",
        postgres.database("keys"),
    ));
    let made = [
        "keys", "create", "--name", "tests", "--scopes", "read", "--quiet",
    ];
    let made = run(folder.path(), &made);
    assert!(made.status.success(), "{}", stderr(&made));
    let server = Server::start(folder.path());
    let answer = server.http().get(server.url("/v1/assets")).send().await;
    assert_eq!(answer.unwrap().status(), 401);
}
