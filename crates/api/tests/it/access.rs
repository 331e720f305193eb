//! Keys, scopes, and servers that need none.

use crate::given::{Server, TENANT, Wish};
use mediaflow_engine::store::Scope;
use std::time::Duration;

const NOBODY: &str = "/v1/assets/01920000-0000-7000-8000-000000000001";

fn locked() -> Server {
    Server::with(Wish {
        is_open: false,
        ..Wish::default()
    })
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}")
}

#[tokio::test]
async fn without_a_key_nothing_is_said() {
    let server = locked();
    for (method, path) in [
        ("GET", "/v1/assets"),
        ("POST", "/v1/assets"),
        ("GET", NOBODY),
        ("PATCH", NOBODY),
        ("DELETE", NOBODY),
        ("GET", "/v1/events"),
        ("GET", "/v1/tasks?nonsense=1"),
        ("POST", "/v1/tasks/replay"),
    ] {
        let answer = server.send(method, path, &[], "").await;
        answer.problem(401, "auth.missing");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"mediaflow\""
        );
    }
    for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn wrong_keys_are_all_the_same() {
    let server = locked();
    let key = server.key(&[Scope::Admin]).await;
    let stranger = locked().key(&[Scope::Admin]).await;
    // The id of a real key with the secret of another one, and a checksum that fits.
    let forged = mediaflow_api::minting::mint(
        key[3..35].parse::<uuid::Uuid>().unwrap().into(),
        "x",
        &[Scope::Admin],
        TENANT,
    );
    for value in [
        bearer(&stranger),
        bearer(&forged.text),
        bearer(&key[..key.len() - 1]),
        bearer("mf_x"),
        "authorization: Basic dXNlcjpwYXNz".to_owned(),
        "authorization: Bearer".to_owned(),
        format!("authorization: {key}"),
    ] {
        server
            .get_with("/v1/assets", &[&value])
            .await
            .problem(401, "auth.invalid");
    }
    assert_eq!(
        server.get_with("/v1/assets", &[&bearer(&key)]).await.status,
        200
    );
    let lower = format!("authorization: bearer {key}");
    assert_eq!(server.get_with("/v1/assets", &[&lower]).await.status, 200);
}

#[tokio::test]
async fn each_scope_allows_its_own() {
    let server = locked();
    let requests = [
        ("POST", "/v1/assets".to_owned(), Scope::Ingest),
        ("PATCH", NOBODY.to_owned(), Scope::Ingest),
        ("DELETE", NOBODY.to_owned(), Scope::Ingest),
        ("POST", format!("{NOBODY}/reprocess"), Scope::Ingest),
        ("GET", NOBODY.to_owned(), Scope::Read),
        ("GET", "/v1/assets".to_owned(), Scope::Read),
        ("GET", format!("{NOBODY}/tasks"), Scope::Read),
        ("GET", format!("{NOBODY}/events"), Scope::Read),
        ("GET", format!("{NOBODY}/original"), Scope::Read),
        ("GET", "/v1/events".to_owned(), Scope::Read),
        ("GET", "/v1/tasks".to_owned(), Scope::Read),
        ("POST", format!("{NOBODY}/moderation"), Scope::Moderate),
        ("POST", "/v1/tasks/replay".to_owned(), Scope::Admin),
        ("GET", "/v1/workers".to_owned(), Scope::Admin),
        (
            "POST",
            format!("{}/replay", NOBODY.replace("assets", "tasks")),
            Scope::Admin,
        ),
    ];
    for scope in Scope::ALL {
        let key = bearer(&server.key(&[*scope]).await);
        for (method, path, needed) in &requests {
            let answer = server.send(method, path, &[&key], "").await;
            if scope == needed || *scope == Scope::Admin {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{scope:?} {method} {path}"
                );
            } else {
                let detail = answer.problem(403, "auth.scope");
                assert!(detail.contains(needed.as_str()), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn a_revoked_key_ends_within_two_seconds() {
    let server = locked();
    let key = server.key(&[Scope::Read]).await;
    let header = bearer(&key);
    assert_eq!(server.get_with("/v1/assets", &[&header]).await.status, 200);
    let id = server.store.keys(TENANT).await.unwrap()[0].id;
    assert!(server.store.revoke_key(TENANT, id).await.unwrap());
    let revoked_at = std::time::Instant::now();
    loop {
        let asked = revoked_at.elapsed();
        let answer = server.get_with("/v1/assets", &[&header]).await;
        if answer.status == 401 {
            answer.problem(401, "auth.invalid");
            break;
        }
        assert!(asked < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_open_server_does_not_answer_strangers_pages() {
    let server = Server::new();
    for header in [
        "origin: https://evil.example",
        "origin: null",
        "sec-fetch-site: cross-site",
    ] {
        let answer = server.send("POST", "/v1/assets", &[header], "photo").await;
        answer.problem(401, "auth.missing");
    }
    for header in [
        "origin: http://127.0.0.1:8080",
        "sec-fetch-site: same-origin",
        "sec-fetch-site: none",
    ] {
        assert_eq!(
            server.get_with("/v1/assets", &[header]).await.status,
            200,
            "{header}"
        );
    }
    // A name of somebody else's that was made to point here.
    let answer = server.get("http://rebound.example:8080/v1/assets").await;
    answer.problem(401, "auth.missing");
    assert_eq!(
        server.get("http://localhost:8080/v1/assets").await.status,
        200
    );
}
