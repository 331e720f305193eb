//! Workers on networks of their own: their configuration knows an address and a key, and nothing else.

use crate::films::film;
use crate::front::Front;
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, mediaflow, run, stderr, stdout};
use mediaflow_proto::worker::v1 as proto;
use mediaflow_servers::{Postgres, S3};
use proto::worker_client::WorkerClient;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// An API without a worker, and keys for it.
struct Api {
    server: Server,
    folder: TempDir,
    worker: String,
}

fn key(folder: &Path, scopes: &str) -> String {
    let made = run(
        folder,
        &[
            "keys", "create", "--data", "data", "--name", "outpost", "--scopes", scopes, "--quiet",
        ],
    );
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

impl Api {
    fn start(config: &str) -> Self {
        let folder = given::config(config);
        let worker = key(folder.path(), "worker");
        let admin = key(folder.path(), "admin");
        let mut server = Server::start_to_restart(folder.path());
        server.authorize(&admin);
        Self {
            server,
            folder,
            worker,
        }
    }

    fn alone() -> Self {
        Self::start("roles = [\"api\"]\n")
    }

    /// The same after a kill, on the port that it had.
    fn restarted(self) -> Self {
        let Self {
            server,
            folder,
            worker,
        } = self;
        let (base, admin) = (server.base.clone(), server.authorization());
        server.kill();
        let mut server = Server::start_at(folder.path(), base.trim_start_matches("http://"));
        server.authorize(&admin);
        Self {
            server,
            folder,
            worker,
        }
    }

    fn outpost(&self) -> Outpost {
        Outpost::start(&self.server.base, &self.worker, "")
    }

    async fn client(&self) -> WorkerClient<Channel> {
        WorkerClient::connect(self.server.base.clone())
            .await
            .unwrap()
    }
}

/// A worker with a folder of its own.
struct Outpost {
    server: Server,
    folder: TempDir,
}

impl Outpost {
    fn start(url: &str, key: &str, more: &str) -> Self {
        let folder = given::config(&format!(
            "roles = [\"worker\"]\n[via]\nurl = \"{url}\"\nkey_file = \"key\"\n{more}\n[worker]\ncpu = 2\nlease_s = 3\n"
        ));
        given::write(folder.path(), "key", format!("{key}\n").as_bytes());
        Self {
            server: Server::start(folder.path()),
            folder,
        }
    }
}

fn with<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// Enough for all that is asked with the lease before it may run out.
const LEASE_MS: u64 = 10_000;

fn capacity() -> proto::Capacity {
    let queues = ["image", "video", "network"].map(str::to_owned);
    proto::Capacity {
        worker: vec![7; 16],
        worker_name: "hand".into(),
        slots: vec![proto::Slots {
            queues: queues[..2].to_vec(),
            most: 1,
        }],
        memory_free: 4 << 30,
        memory_total: 4 << 30,
        idle: true,
        lease_ms: LEASE_MS,
        idle_lane: false,
        capabilities: Vec::new(),
    }
}

/// Every file of the asset has the digest that is told.
async fn is_whole(server: &Server, asset: &Value) {
    let made = asset["renditions"].as_array().unwrap();
    assert!(!made.is_empty());
    for rendition in made {
        let url = rendition["url"].as_str().unwrap();
        let Some(sha256) = rendition["sha256"].as_str() else {
            continue;
        };
        let answer = server.http().get(url).send().await.unwrap();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(hex::encode(Sha256::digest(bytes)), sha256, "{url}");
    }
}

/// Whether workers have had bytes of the API itself.
async fn passes_bytes(server: &Server) -> bool {
    let answer = server.http().get(server.url("/metrics")).send().await;
    answer
        .unwrap()
        .text()
        .await
        .unwrap()
        .contains("/worker/blobs/")
}

#[tokio::test]
async fn a_picture_and_a_film_are_made_where_neither_database_nor_folder_is() {
    let api = Api::alone();
    let films = tempfile::tempdir().unwrap();
    let picture = api.server.upload("", photo(640, 480, 1)).await;
    let moving = film(films.path(), "a.mp4", "426x240", &["-t", "7"]);
    let moving = api.server.upload("", moving).await;
    let outpost = api.outpost();

    let picture = api.server.asset_in(&picture, "ready").await;
    is_whole(&api.server, &picture).await;
    let moving = api.server.asset_in(&moving, "ready").await;
    assert!(moving["playback"]["hls"].is_string());

    let id = moving["id"].as_str().unwrap();
    let page = api.server.get(&format!("/v1/assets/{id}/tasks")).await;
    let tasks = page["items"].as_array().unwrap();
    let mut workers = tasks.iter().filter_map(|t| t["worker"].as_str());
    assert!(workers.all(|name| name.starts_with("outpost/")), "{page:#}");
    let entries = std::fs::read_dir(outpost.folder.path().join("data")).unwrap();
    let names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["scratch"], "it keeps nothing");
    let readyz = outpost.server.http().get(outpost.server.url("/readyz"));
    assert_eq!(readyz.send().await.unwrap().status(), 200);

    let listed = api.server.get("/v1/workers").await;
    let worker = &listed["workers"][0];
    assert!(worker["name"].as_str().unwrap().starts_with("outpost/"));
    let stop = format!("/v1/workers/{}/stop", worker["id"].as_str().unwrap());
    let (status, _) = api.server.post(&stop, "").await;
    assert!(status < 300);
    let mut outpost = outpost;
    assert!(outpost.server.wait().success());
}

#[tokio::test]
async fn bytes_go_to_the_bucket_by_signed_addresses_or_through_the_api() {
    let (postgres, s3) = (Postgres::start(&[]), S3::start());
    let bucket = s3.bucket("media");
    let config = |roles: &str| {
        format!(
            "roles = [{roles}]\nstore = \"{}\"\nblobs = \"{bucket}/here\"\n\
             [object_store]\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n\
             [[delivery.signing_keys]]\nid = \"all\"\nsecret = \"{}\"\n",
            postgres.database("mediaflow"),
            s3.endpoint(),
            S3::KEY_ID,
            S3::SECRET,
            "5e".repeat(32)
        )
    };
    let api = Api::start(&config("\"api\""));
    let direct = api.outpost();
    let films = tempfile::tempdir().unwrap();
    let moving = film(films.path(), "a.mp4", "426x240", &["-t", "7"]);
    let moving = api.server.upload("", moving).await;
    let picture = api.server.upload("", photo(640, 480, 2)).await;
    let picture = api.server.asset_in(&picture, "ready").await;
    is_whole(&api.server, &picture).await;
    api.server.asset_in(&moving, "ready").await;
    assert!(
        !passes_bytes(&api.server).await,
        "all bytes go by the bucket"
    );
    drop(direct);

    let _through = Outpost::start(&api.server.base, &api.worker, "through_api = true");
    let picture = api.server.upload("", photo(640, 480, 3)).await;
    let picture = api.server.asset_in(&picture, "ready").await;
    is_whole(&api.server, &picture).await;
    assert!(passes_bytes(&api.server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_way_is_encrypted_and_the_api_is_who_it_says() {
    let api = Api::alone();
    let front = Front::of(&api.server.base).await;
    let impostor = Front::of(&api.server.base).await;
    let folder = given::config("");
    given::write(folder.path(), "key", api.worker.as_bytes());
    let doctor = |more: &[&str]| {
        let asked = ["doctor", "--via", &front.base, "--key-file", "key"];
        stdout(&run(folder.path(), &[&asked, more].concat()))
    };
    let own = front.certificate.to_str().unwrap();
    let taken = doctor(&["--ca-file", own]);
    assert!(taken.contains("takes the key `outpost`"), "{taken}");
    for (more, why) in [
        (vec![], "nobody vouches for it"),
        (
            vec!["--ca-file", impostor.certificate.to_str().unwrap()],
            "another one",
        ),
    ] {
        let said = doctor(&more);
        assert!(said.contains("certificate"), "{why}: {said}");
    }
    let none = run(
        folder.path(),
        &[
            "doctor",
            "--via",
            &front.base,
            "--key-file",
            "key",
            "--ca-file",
            "key",
        ],
    );
    assert!(
        stderr(&none).contains("no certificate in it"),
        "{}",
        stderr(&none)
    );

    // Calls, the stream of what is ready and bytes both ways, all of them through the front.
    let ca_file = format!("ca_file = \"{own}\"\nthrough_api = true");
    let _outpost = Outpost::start(&front.base, &api.worker, &ca_file);
    let picture = api.server.upload("", photo(640, 480, 5)).await;
    let picture = api.server.asset_in(&picture, "ready").await;
    is_whole(&api.server, &picture).await;
    assert!(passes_bytes(&api.server).await);
}

#[tokio::test]
async fn work_goes_on_after_api_and_worker_were_killed() {
    let api = Api::alone();
    let films = tempfile::tempdir().unwrap();
    let moving = film(films.path(), "a.mp4", "426x240", &["-t", "7"]);
    let moving = api.server.upload("", moving).await;
    let (doomed, other) = (api.outpost(), api.outpost());
    let begun = |asset: &Value| asset["state"] != "uploaded";
    api.server.asset_when(&moving, begun).await;
    doomed.server.kill();
    let api = api.restarted();
    api.server.asset_in(&moving, "ready").await;
    let dead = api.server.get("/v1/tasks?state=dead").await;
    assert_eq!(dead["items"], serde_json::json!([]));
    drop(other);
}

#[tokio::test]
async fn a_stale_fence_and_strangers_keys_reach_nothing() {
    let api = Api::alone();
    let asset = api.server.upload("", photo(64, 48, 4)).await;
    let mut client = api.client().await;
    let claim = proto::ClaimRequest {
        request: vec![1; 16],
        capacity: Some(capacity()),
    };
    let claimed = client.claim(with(&api.worker, claim)).await.unwrap();
    let task = claimed.into_inner().tasks.remove(0);
    let (lease, original) = (task.lease.clone().unwrap(), task.original.clone().unwrap());
    let read = proto::ReadRequest {
        lease: Some(lease.clone()),
        blob: Some(original),
        through_api: false,
    };
    let id = uuid::Uuid::from_slice(&lease.task).unwrap();
    let shard = format!("{:02x}", lease.task[15]);
    let blob = |bytes: &[u8], fence: u64| proto::NewBlob {
        sha256: Sha256::digest(bytes).to_vec(),
        bytes: bytes.len() as u64,
        key: format!("renditions/{shard}/{}-{fence}-0", id.simple()),
        seal: String::new(),
    };
    let write = |blob: proto::NewBlob| proto::WriteRequest {
        lease: Some(lease.clone()),
        blobs: vec![blob],
        through_api: false,
    };

    let opened = client.read(with(&api.worker, read.clone())).await.unwrap();
    let url = api.server.url(&opened.into_inner().url);
    let http = reqwest::Client::new();
    let bytes = http.get(&url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(
        Sha256::digest(&bytes).to_vec(),
        task.original.unwrap().sha256
    );
    let elsewhere = http.put(&url).body("x").send().await.unwrap();
    assert_eq!(elsewhere.status(), 401, "an address is for one method");

    // Another attempt's key, and other bytes than were signed for.
    let foreign = client.write(with(&api.worker, write(blob(b"x", lease.fence + 1))));
    assert_eq!(foreign.await.unwrap_err().code(), Code::InvalidArgument);
    let own = blob(b"written", lease.fence);
    let told = client.write(with(&api.worker, write(own.clone()))).await;
    let address = told.unwrap().into_inner().addresses.remove(0);
    let url = api.server.url(&address.url);
    for (body, status) in [("changed", 400), ("written", 201), ("written", 412)] {
        let answer = http.put(&url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
    }

    // What was never written, and what nobody has told.
    let report = |output: proto::Output| proto::ReportRequest {
        lease: Some(lease.clone()),
        report: Some(proto::report_request::Report::Succeeded(output)),
        offer: None,
    };
    let rendition = |new: proto::NewBlob| proto::NewRendition {
        profile: "small".into(),
        format: "jpeg".into(),
        derivation: vec![1; 32],
        source: Some(proto::new_rendition::Source::Written(new)),
        ..proto::NewRendition::default()
    };
    let output = |new: proto::NewBlob| proto::Output {
        renditions: vec![rendition(new)],
        facts: "{}".into(),
        ..proto::Output::default()
    };
    let unaddressed = client.report(with(&api.worker, report(output(own.clone()))));
    assert_eq!(unaddressed.await.unwrap_err().code(), Code::InvalidArgument);
    let mut absent = blob(b"absent", lease.fence);
    absent.key = absent.key.replace("-0", "-1");
    let told = client.write(with(&api.worker, write(absent.clone()))).await;
    absent.seal = told.unwrap().into_inner().addresses.remove(0).seal;
    let absent = client.report(with(&api.worker, report(output(absent))));
    assert_eq!(absent.await.unwrap_err().code(), Code::Aborted);

    // Another worker's key cannot use the lease.
    let second = key(api.folder.path(), "worker");
    let stolen = client.read(with(&second, read.clone())).await;
    assert_eq!(stolen.unwrap_err().code(), Code::PermissionDenied);

    // It does not beat, so its lease is taken away.
    let heartbeat = proto::HeartbeatRequest {
        leases: vec![lease.clone()],
        lease_ms: LEASE_MS,
    };
    let tasks = format!("/v1/assets/{asset}/tasks");
    let began = Instant::now();
    while api.server.get(&tasks).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|task| task["state"] == "running")
    {
        assert!(began.elapsed() < PATIENCE, "it is never taken away");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lost = client.heartbeat(with(&api.worker, heartbeat)).await;
    assert_eq!(lost.unwrap().into_inner().lost, [0]);
    let stale = client.read(with(&api.worker, read)).await.unwrap_err();
    assert_eq!(stale.code(), Code::FailedPrecondition);
    let stale = client.write(with(&api.worker, write(own.clone()))).await;
    assert_eq!(stale.unwrap_err().code(), Code::FailedPrecondition);
    let late = http.put(&url).body("written").send().await.unwrap();
    assert_eq!(late.status(), 409, "an address dies with its lease");
    let stale = client.report(with(
        &api.worker,
        report(proto::Output {
            facts: "{}".into(),
            ..proto::Output::default()
        }),
    ));
    assert_eq!(stale.await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_workers_key_opens_nothing_else_and_no_other_key_opens_this() {
    let api = Api::alone();
    let http = reqwest::Client::new();
    for path in ["/v1/assets", "/v1/events", "/v1/tasks", "/v1/workers"] {
        let request = http.get(api.server.url(path)).bearer_auth(&api.worker);
        assert_eq!(request.send().await.unwrap().status(), 403, "{path}");
    }
    let upload = http.post(api.server.url("/v1/assets")).body("x");
    let upload = upload.bearer_auth(&api.worker).send().await.unwrap();
    assert_eq!(upload.status(), 403);

    let mut client = api.client().await;
    let admin = api.server.authorization();
    let hello = || proto::HelloRequest::default();
    let refused = client.hello(with(&admin, hello())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let nobody = client.hello(Request::new(hello())).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);

    for (key, said) in [(admin.as_str(), "scope `worker`"), ("mf_wrong", "API key")] {
        let serve = mediaflow()
            .args(["serve", "--role", "worker", "--listen", "127.0.0.1:0"])
            .args(["--via", &api.server.base])
            .current_dir(tempfile::tempdir().unwrap().path())
            .env("MEDIAFLOW_API_KEY", key)
            .output()
            .unwrap();
        assert!(!serve.status.success());
        assert!(stderr(&serve).contains(said), "{}", stderr(&serve));
    }
    let both = run(
        api.folder.path(),
        &["keys", "create", "--name", "x", "--scopes", "worker,read"],
    );
    assert!(stderr(&both).contains("alone"), "{}", stderr(&both));

    let folder = given::config("");
    given::write(folder.path(), "key", api.worker.as_bytes());
    let doctor = run(
        folder.path(),
        &["doctor", "--via", &api.server.base, "--key-file", "key"],
    );
    assert!(
        stdout(&doctor).contains("takes the key `outpost`"),
        "{}",
        stdout(&doctor)
    );
}

#[test]
fn a_worker_says_what_it_lacks() {
    for (config, said) in [
        (
            "[via]\nurl = \"http://127.0.0.1:1\"\n",
            "one role is worker",
        ),
        (
            "roles = [\"worker\"]\nblobs = \"s3://a/b\"\n[via]\nurl = \"http://127.0.0.1:1\"\n",
            "stands for `store` and `blobs`",
        ),
        (
            "roles = [\"worker\"]\n[via]\nurl = \"http://127.0.0.1:1\"\n",
            "MEDIAFLOW_API_KEY",
        ),
    ] {
        let folder = given::config(config);
        let done = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        assert!(!done.status.success());
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
    }
}
