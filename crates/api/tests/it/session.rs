//! Who asks, and keys that browsers keep.

use crate::given::{Answer, Server, TENANT, Wish};
use mediaflow_api::ApiConfig;
use mediaflow_engine::store::Scope;
use serde_json::json;

const OWN: &str = "origin: http://127.0.0.1:8080";

fn locked() -> Server {
    Server::with(Wish {
        is_open: false,
        config: ApiConfig {
            public_url: Some("https://media.example".into()),
            ..ApiConfig::default()
        },
        ..Wish::default()
    })
}

async fn sign_in(server: &Server, key: &str, origin: &str) -> Answer {
    let body = json!({ "key": key }).to_string();
    let headers = ["content-type: application/json", origin];
    server.send("POST", "/v1/session", &headers, body).await
}

/// What the browser sends back.
fn kept(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    format!("cookie: {}", cookie.split(';').next().unwrap())
}

#[tokio::test]
async fn a_key_that_a_browser_keeps_opens_what_it_may() {
    let server = locked();
    server.get("/v1/session").await.problem(401, "auth.missing");
    sign_in(&server, "mf_x", OWN)
        .await
        .problem(401, "auth.invalid");
    let key = server.key(&[Scope::Read, Scope::Moderate]).await;
    let answer = sign_in(&server, &format!(" {key}\n"), OWN).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "it would not come back: {cookie}"
    );
    // `mf_`, its id, and the secret.
    let id: uuid::Uuid = key[3..35].parse().unwrap();
    let who = json!({
        "key": id, "name": "tests", "tenant": TENANT, "scopes": ["read", "moderate"], "operator": false, "open": false,
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(answer.json(), who);
    let kept = kept(&answer);
    assert_eq!(server.get_with("/v1/session", &[&kept]).await.json(), who);
    assert_eq!(server.get_with("/v1/assets", &[&kept]).await.status, 200);
    let answer = server
        .send("POST", "/v1/assets", &[&kept, OWN], "photo")
        .await;
    answer.problem(403, "auth.scope");
    // What a program shows counts more than what a browser keeps.
    let answer = server
        .get_with("/v1/session", &[&kept, "authorization: Bearer mf_x"])
        .await;
    answer.problem(401, "auth.invalid");
    let answer = server.send("DELETE", "/v1/session", &[&kept], "").await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").starts_with("mediaflow_key=;"));
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn over_tls_the_cookie_only_travels_encrypted() {
    let server = locked();
    let key = server.key(&[Scope::Admin]).await;
    let answer = sign_in(&server, &key, "origin: https://media.example").await;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    assert_eq!(
        answer.json()["scopes"],
        json!(["ingest", "read", "moderate", "admin"])
    );
    assert_eq!(answer.json()["operator"], true);
}

#[tokio::test]
async fn strangers_pages_do_nothing_with_a_browsers_key() {
    let server = locked();
    let key = server.key(&[Scope::Admin]).await;
    let kept = kept(&sign_in(&server, &key, OWN).await);
    for says in [
        "origin: https://evil.example",
        "origin: null",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
        "x-says: nothing",
    ] {
        let answer = server
            .send("POST", "/v1/assets", &[&kept, says], "photo")
            .await;
        let detail = answer.problem(401, "auth.missing");
        assert!(detail.contains("pages of this server"), "{detail}");
    }
    for says in [
        OWN,
        "origin: https://media.example",
        "sec-fetch-site: same-origin",
    ] {
        let answer = server
            .send("POST", "/v1/assets", &[&kept, says], "photo")
            .await;
        assert_eq!(answer.status, 202, "{says}: {answer:?}");
    }
}

#[tokio::test]
async fn a_workers_key_is_nothing_to_sign_in_with() {
    let server = locked();
    let key = server.key(&[Scope::Worker]).await;
    sign_in(&server, &key, OWN).await.problem(403, "auth.scope");
}

#[tokio::test]
async fn a_server_without_keys_lets_everybody_of_its_machine_do_everything() {
    let server = Server::new();
    // Cookies of other servers of the machine come along, whatever their port is.
    let stale = "cookie: mediaflow_key=mf_old";
    let who = server.get_with("/v1/session", &[stale]).await.json();
    assert_eq!(
        (&who["name"], &who["operator"], &who["open"]),
        (&json!("local"), &json!(true), &json!(true))
    );
    let answer = server.get_with("/v1/session", &["origin: https://evil.example"]);
    answer.await.problem(401, "auth.missing");
}
