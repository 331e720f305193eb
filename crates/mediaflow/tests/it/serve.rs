//! Starting and stopping, and one clear sentence for each way in which it cannot be.

use crate::given;
use crate::pictures;
use crate::server::{PATIENCE, Server, run, stderr, stdout};
use rustix::process::Signal;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

/// A start that ends with exactly one sentence and this code.
#[track_caller]
fn refused(config: &str, args: &[&str], code: i32, expected: &[&str]) {
    let folder = given::config(config);
    refused_in(folder.path(), args, code, expected);
}

#[track_caller]
fn refused_in(folder: &std::path::Path, args: &[&str], code: i32, expected: &[&str]) {
    let ended = run(folder, &[&["serve"], args].concat());
    let said = stderr(&ended);
    assert_eq!(ended.status.code(), Some(code), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    for words in expected {
        assert!(said.contains(words), "{said:?} has no {words:?}");
    }
}

#[tokio::test]
async fn it_says_where_it_is_and_stops_cleanly() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    assert!(
        server.greeting.contains("open to every program"),
        "{}",
        server.greeting
    );
    assert!(
        server
            .greeting
            .contains("mediaflow ingest --server http://127"),
        "{}",
        server.greeting
    );
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let answer = server.http().get(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

#[tokio::test]
async fn a_stop_ends_streams_and_keeps_what_was_accepted() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let mut ids = Vec::new();
    for seed in 0..4 {
        ids.push(server.upload("", pictures::photo(900, 700, seed)).await);
    }
    let stream = server.http().get(server.url("/v1/events"));
    let stream = stream
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    server.signal(Signal::INT);
    let _ = stream.bytes().await;
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0));
    let server = Server::start(folder.path());
    for id in ids {
        server.asset_in(&id, "ready").await;
    }
}

#[test]
fn a_port_in_use() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    refused(
        "",
        &["--listen", &address],
        1,
        &[&address, "is in use", "--listen"],
    );
}

#[test]
fn a_second_server_on_the_folder() {
    let folder = given::config("");
    let _first = Server::start(folder.path());
    let args = ["--listen", "127.0.0.1:0", "--data", "data"];
    refused_in(
        folder.path(),
        &args,
        1,
        &["another MediaFlow", "uses this data folder"],
    );
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = given::config("");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Permissions do not hold the superuser back; a file in the folder's place does.
    if rustix::process::geteuid().is_root() {
        std::fs::remove_dir(&data).unwrap();
        std::fs::write(&data, b"").unwrap();
        refused_in(
            folder.path(),
            &["--data", "data"],
            1,
            &["the data folder data cannot be made"],
        );
    } else {
        refused_in(
            folder.path(),
            &["--data", "data"],
            1,
            &["cannot be written"],
        );
    }
}

#[test]
fn an_address_of_the_world_without_a_key() {
    let args = ["--listen", "0.0.0.0:0", "--data", "data"];
    let expected = [
        "no API key",
        "mediaflow keys create --name me --scopes admin",
    ];
    refused("", &args, 1, &expected);
}

#[test]
fn a_broken_configuration() {
    refused(
        "[worker]\ncpus = 4\n",
        &[],
        2,
        &["mediaflow.toml:2: worker.cpus: unknown field `cpus`"],
    );
    refused(
        "listen = \"here\"\n",
        &[],
        2,
        &["mediaflow.toml:1: listen:", "\"127.0.0.1:8080\""],
    );
    refused(
        "[worker]\nlease_s = 0\n",
        &[],
        2,
        &["mediaflow.toml:2: worker.lease_s must be"],
    );
    refused("", &["--config", "absent.toml"], 2, &["absent.toml"]);
}

#[test]
fn a_broken_recipe() {
    let folder = given::config("[recipes]\nfolder = \"own\"\n");
    given::write(folder.path(), "own/x.toml", b"name = \"x\"\nversion = 1\nkind = \"image\"\n[[steps]]\nname = \"a\"\noperation = \"image.fly\"\n");
    let args = ["--listen", "127.0.0.1:0"];
    refused_in(folder.path(), &args, 2, &["own/x.toml", "image.fly"]);
    let checked = run(folder.path(), &["recipes", "check", "own/x.toml"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stderr(&checked).contains("image.fly"));
}

#[test]
fn a_recipe_that_would_go_around_the_gate() {
    let folder = given::config("[recipes]\nfolder = \"own\"\n[moderation]\npolicy = \"review\"\n");
    let recipe = "name = \"open\"\nkind = \"image\"\n[[steps]]\nname = \"publish\"\noperation = \"publish\"\n";
    given::write(folder.path(), "own/x.toml", recipe.as_bytes());
    refused_in(folder.path(), &[], 2, &["`open`", "moderate", "review"]);
}

#[test]
fn what_is_in_effect_can_be_shown_and_used_again() {
    let folder = given::config("listen = \"127.0.0.1:9\"\n[worker]\ncpu = 3\n");
    let shown = run(folder.path(), &["config", "show"]);
    assert!(shown.status.success(), "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(
        text.contains("cpu = 3") && text.contains("127.0.0.1:9"),
        "{text}"
    );
    given::write(folder.path(), "again.toml", text.as_bytes());
    let checked = run(
        folder.path(),
        &["--config", "again.toml", "config", "check"],
    );
    assert!(checked.status.success(), "{}", stderr(&checked));
}

#[test]
fn the_doctor_answers() {
    let folder = given::config("[limits.upload]\nfree_bytes_min = 0\n");
    let said = run(folder.path(), &["doctor"]);
    assert!(said.status.success(), "{}", stdout(&said));
    for subject in ["version", "sandbox", "disk", "recipes", "store", "blobs"] {
        assert!(stdout(&said).contains(subject), "{}", stdout(&said));
    }
    assert!(
        stdout(&said).contains(" encodes H.264"),
        "{}",
        stdout(&said)
    );
    let said = run(folder.path(), &["doctor", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let first = serde_json::json!({ "subject": "version", "finding": "ok", "text": format!("mediaflow {}", env!("CARGO_PKG_VERSION")) });
    assert_eq!(
        (&said["findings"][0], &said["missing"]),
        (&first, &0.into())
    );
}

#[test]
fn the_doctor_mends_what_needs_no_decision() {
    let folder = given::config("data = \"data\"\n[limits.upload]\nfree_bytes_min = 0\n");
    let doctor = |args: &[&str]| {
        let said = run(folder.path(), &[&["doctor"], args].concat());
        assert!(said.status.success(), "{}", stdout(&said));
        stdout(&said)
    };
    assert!(doctor(&[]).contains("will be made by the first start"));
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );
    assert!(doctor(&["--fix"]).contains("was made"));

    assert_eq!(Server::start(folder.path()).stop().code(), Some(0));
    let keys = folder.path().join("data/signing-keys.toml");
    let mode = || keys.metadata().unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&keys, Permissions::from_mode(0o644)).unwrap();
    assert!(doctor(&[]).contains("can be read by others"));
    assert_eq!(mode(), 0o644);
    assert!(doctor(&["--fix"]).contains("its owner's only now"));
    assert_eq!(mode(), 0o600);
    let healthy = doctor(&["--fix"]);
    assert!(
        healthy.contains("with the schema of this program"),
        "{healthy}"
    );
    assert!(!healthy.contains("fixed"), "{healthy}");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    use std::io::{Read as _, Write as _};
    let folder = given::config("[api]\nhead_s_max = 1\n");
    let server = Server::start(folder.path());
    let address = server.base.strip_prefix("http://").unwrap();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: a").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}
