//! What operators change while everything runs: switches, tenants with their shares and limits, and what they see of queues.

use crate::commands::{asked, json, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{Server, run, stderr, stdout};
use std::time::Duration;

/// The row of a table that begins with this, as words.
fn row(table: &str, first: &str) -> Vec<String> {
    let mut rows = table.lines().map(str::split_whitespace);
    let found = rows.find(|row| row.clone().next() == Some(first));
    let found = found.unwrap_or_else(|| panic!("no {first} in:\n{table}"));
    found.map(str::to_owned).collect()
}

#[tokio::test]
async fn switches_hold_work_and_uploads_back_and_remember_who_turned_them() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    assert_eq!(
        row(&said(at, &server, &["switches", "ls"]), "uploads")[1],
        "on"
    );

    assert_eq!(
        said(at, &server, &["switches", "set", "claims.image", "off"]),
        "claims.image is off\n"
    );
    let asset = server.upload("", photo(64, 48, 1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let queues = said(at, &server, &["queues"]);
    let image = row(&queues, "image");
    assert!(image[1] != "0" && image[2] == "0", "{queues}");
    assert!(image.contains(&"paused".to_owned()), "{queues}");
    let shown = server.get(&format!("/v1/assets/{asset}")).await;
    assert!(shown.to_string().contains("\"paused\""), "{shown:#}");

    said(at, &server, &["switches", "set", "uploads", "off"]);
    let (status, problem) = server.post("/v1/assets", photo(64, 48, 2)).await;
    assert_eq!(status, 503, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("off"),
        "{problem}"
    );

    said(at, &server, &["switches", "set", "uploads", "on"]);
    said(at, &server, &["switches", "set", "claims.image", "on"]);
    server.asset_in(&asset, "ready").await;
    assert_eq!(row(&said(at, &server, &["queues"]), "image")[1], "0");

    let changes = json(at, &server, &["switches", "history"]);
    let changes = changes["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 4, "{changes:#?}");
    let one = said(at, &server, &["switches", "history", "claims.image"]);
    assert_eq!(one.lines().count(), 3, "{one}");
    assert!(!one.contains("uploads"), "{one}");

    let unknown = asked(at, &server, &["switches", "set", "claims.sound", "off"]);
    assert!(!unknown.status.success());
    assert!(
        stderr(&unknown).contains("claims.image"),
        "{}",
        stderr(&unknown)
    );
}

#[tokio::test]
async fn a_tenant_has_its_own_keys_share_and_limits() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    let made = said(
        at,
        &server,
        &[
            "tenants",
            "create",
            "--name",
            "shop",
            "--weight",
            "3",
            "--waiting-max",
            "1",
        ],
    );
    let id = made
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let tenant = row(&said(at, &server, &["tenants", "ls"]), id);
    assert_eq!(&tenant[1..3], ["shop", "3"]);

    let data = ["--data", "data"];
    let admin = run(
        at,
        &[
            &["keys", "create", "--name", "root", "--scopes", "admin"][..],
            &data,
        ]
        .concat(),
    );
    assert!(admin.status.success(), "{}", stderr(&admin));
    let key = [
        "keys",
        "create",
        "--name",
        "upload",
        "--scopes",
        "ingest,read",
        "--tenant",
        id,
    ];
    let key = run(at, &[&key[..], &data].concat());
    assert!(key.status.success(), "{}", stderr(&key));
    let (admin, key) = (stdout(&admin), stdout(&key));
    let secret = |said: &str| {
        said.split_whitespace()
            .find(|word| word.starts_with("mf_"))
            .unwrap()
            .to_owned()
    };
    let (admin, key) = (secret(&admin), secret(&key));

    let off = ["switches", "set", "claims.image", "off", "--key", &admin];
    said(at, &server, &off);
    let upload = async |seed| {
        let request = server
            .http()
            .post(server.url("/v1/assets"))
            .bearer_auth(&key);
        request.body(photo(64, 48, seed)).send().await.unwrap()
    };
    assert_eq!(upload(1).await.status(), 202);
    let refused = upload(2).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    let set = [
        "tenants",
        "set",
        id,
        "--waiting-max",
        "none",
        "--key",
        &admin,
    ];
    said(at, &server, &set);
    assert_eq!(upload(3).await.status(), 202);

    let history = ["switches", "history", "--key", &admin];
    let changes = json(at, &server, &history).to_string();
    assert!(
        changes.contains(&format!("tenant.{id}.waiting_max")),
        "{changes}"
    );
    let listed = ["tenants", "ls", "--key", &key];
    let forbidden = asked(at, &server, &listed);
    assert!(!forbidden.status.success());
}
