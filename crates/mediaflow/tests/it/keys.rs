//! API keys: made, listed and revoked beside a server and without one.

use crate::given;
use crate::server::{Server, run, stderr, stdout};
use std::path::Path;

fn create(folder: &Path, scopes: &str) -> String {
    let args = [
        "keys", "create", "--data", "data", "--name", "tests", "--scopes", scopes, "--quiet",
    ];
    let made = run(folder, &args);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

async fn status(server: &Server, path: &str, key: Option<&str>) -> u16 {
    let mut request = server.http().get(server.url(path));
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_key_closes_the_server_and_opens_it_for_its_holder() {
    let folder = given::config("");
    let reader = create(folder.path(), "read");
    let server = Server::start(folder.path());
    assert!(
        server.greeting.contains("with an API key"),
        "{}",
        server.greeting
    );
    assert_eq!(status(&server, "/v1/assets", None).await, 401);
    assert_eq!(status(&server, "/v1/assets", Some("mf_wrong")).await, 401);
    assert_eq!(status(&server, "/v1/assets", Some(&reader)).await, 200);
    let upload = server
        .http()
        .post(server.url("/v1/assets"))
        .bearer_auth(&reader);
    assert_eq!(upload.body("x").send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_running_server_is_asked_through_its_folder() {
    let folder = given::config("");
    create(folder.path(), "admin");
    let server = Server::start(folder.path());
    let second = create(folder.path(), "read,ingest");
    assert_eq!(status(&server, "/v1/assets", Some(&second)).await, 200);
    let listed = run(folder.path(), &["keys", "ls", "--data", "data", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(
        !listed.to_string().contains(&second[36..]),
        "secrets are not listed"
    );
    let id = listed[1]["id"].as_str().unwrap();
    assert!(
        run(folder.path(), &["keys", "revoke", "--data", "data", id])
            .status
            .success()
    );
    let again = run(folder.path(), &["keys", "revoke", "--data", "data", id]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    // The server believes a look-up for at most a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(status(&server, "/v1/assets", Some(&second)).await, 401);
}

#[test]
fn a_folder_deeper_than_a_socket_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder
        .path()
        .join("a-name-of-forty-characters-for-this-test".repeat(3));
    std::fs::create_dir(&deep).unwrap();
    let _server = Server::start(&deep);
    assert!(create(&deep, "admin").starts_with("mf_"));
}

#[test]
fn scopes_that_do_not_exist_are_named() {
    let folder = given::config("");
    let made = run(
        folder.path(),
        &["keys", "create", "--name", "x", "--scopes", "fly"],
    );
    assert_eq!(made.status.code(), Some(2));
    assert!(
        stderr(&made).contains("ingest, read, moderate, admin"),
        "{}",
        stderr(&made)
    );
}

#[test]
fn limits_of_a_key_are_said_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let create = ["keys", "create", "--name", "phones", "--scopes", "ingest"];
    let limits = [
        "--types",
        "image/*,video/mp4",
        "--file-bytes",
        "1000",
        "--day-files",
        "5",
    ];
    let made = run(folder.path(), &[&create[..], &limits].concat());
    assert!(made.status.success(), "{}", stderr(&made));
    let listed = run(folder.path(), &["keys", "ls", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
    let key = &listed[0];
    let wanted = serde_json::json!({
        "file_bytes_max": 1000, "types": ["image/*", "video/mp4"], "day_files_max": 5,
    });
    assert_eq!(key["limits"], wanted);
    assert_eq!(key["today"], serde_json::json!({ "bytes": 0, "files": 0 }));
    let table = stdout(&run(folder.path(), &["keys", "ls"]));
    assert!(
        table.contains("file-bytes 1000; types image/*,video/mp4; day-files 5"),
        "{table}"
    );
    let id = key["id"].as_str().unwrap();
    let said = stdout(&run(folder.path(), &["keys", "limit", id, "--open", "2"]));
    assert_eq!(said, format!("{id} has open 2\n"));
    let said = stdout(&run(folder.path(), &["keys", "limit", id]));
    assert_eq!(said, format!("{id} has no limits of its own\n"));
    let wrong = run(folder.path(), &["keys", "limit", id, "--types", "pictures"]);
    assert!(!wrong.status.success());
    let none = "01920000-0000-7000-8000-000000000001";
    assert!(
        !run(folder.path(), &["keys", "limit", none])
            .status
            .success()
    );
}
