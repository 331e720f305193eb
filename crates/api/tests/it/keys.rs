//! Keys over HTTP: made, listed, limited and ended, by those who may.

use crate::given::{Answer, Server, TENANT, Wish};
use mediaflow_api::minting::mint;
use mediaflow_core::TenantId;
use mediaflow_engine::store::{Environment as _, Scope, TenantChange};
use serde_json::{Value, json};
use uuid::Uuid;

fn locked() -> Server {
    Server::with(Wish {
        is_open: false,
        ..Wish::default()
    })
}

/// Somebody with a key.
struct Person<'a> {
    server: &'a Server,
    header: String,
}

impl<'a> Person<'a> {
    async fn of(server: &'a Server, tenant: TenantId, scope: Scope) -> Self {
        let key = mint(server.world.id().into(), "tests", &[scope], tenant);
        server.store.add_key(key.stored).await.unwrap();
        Self::with(server, &key.text)
    }

    fn with(server: &'a Server, key: &str) -> Self {
        let header = format!("authorization: Bearer {key}");
        Self { server, header }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let headers = [&*self.header, "content-type: application/json"];
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.server.send(method, path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }

    async fn make(&self, body: Value) -> Answer {
        self.ask("POST", "/v1/keys", body).await
    }
}

#[tokio::test]
async fn a_key_is_made_shown_once_used_and_ended() {
    let server = locked();
    let admin = Person::of(&server, TENANT, Scope::Admin).await;
    let wish = json!({
        "name": " shop ", "scopes": ["read", "ingest", "read"],
        "limits": { "types": ["image/*"], "day_files_max": 3 },
    });
    let made = admin.make(wish).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    assert_eq!(
        (&made["name"], &made["scopes"], &made["tenant"]),
        (
            &json!("shop"),
            &json!(["ingest", "read"]),
            &json!(TENANT.to_string())
        )
    );
    let shop = Person::with(&server, made["key"].as_str().unwrap());
    assert_eq!(shop.get("/v1/assets").await.status, 200);
    let session = shop.get("/v1/session").await.json();
    assert_eq!(session["key"], made["id"]);
    assert_eq!(session["scopes"], json!(["ingest", "read"]));

    let uploaded = shop
        .server
        .send("POST", "/v1/assets", &[&shop.header], "photo")
        .await;
    assert_eq!(uploaded.status, 202);
    let listed = admin.get("/v1/keys?state=live").await;
    assert!(!listed.text().contains("mf_"), "no secret is kept");
    let listed = listed.json();
    assert_eq!(listed["next_cursor"], Value::Null);
    let first = &listed["items"][0];
    assert_eq!(first["id"], made["id"]);
    assert_eq!(first["today"], json!({ "bytes": 5, "files": 1 }));
    assert_eq!(first["limits"]["types"], json!(["image/*"]));
    assert_eq!(first["limits"]["file_bytes_max"], Value::Null);
    assert_eq!(listed["items"][1]["today"], Value::Null, "it has no limits");

    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let limits = format!("{path}/limits");
    let limited = admin
        .ask("PUT", &limits, json!({ "open_max": 2 }))
        .await
        .json();
    assert_eq!(limited["limits"]["open_max"], 2);
    assert_eq!(
        limited["limits"]["types"],
        json!([]),
        "what is not said is not limited"
    );
    let bad = json!({ "types": ["photos"] });
    admin
        .ask("PUT", &limits, bad)
        .await
        .problem(400, "request.invalid");

    for _ in 0..2 {
        let ended = admin.ask("DELETE", &path, Value::Null).await;
        assert_eq!(ended.status, 204, "twice is the same as once");
    }
    let revoked = admin.get("/v1/keys?state=revoked").await.json();
    assert_eq!(revoked["items"][0]["id"], made["id"]);
    assert!(revoked["items"][0]["revoked_at"].is_string());
    let live = admin.get("/v1/keys?state=live").await.json();
    assert_eq!(live["items"].as_array().unwrap().len(), 1);
    // It is believed for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(shop.get("/v1/assets").await.status, 401);
}

#[tokio::test]
async fn nobody_gives_what_one_has_not() {
    let server = locked();
    for scope in [Scope::Read, Scope::Ingest, Scope::Moderate, Scope::Worker] {
        let person = Person::of(&server, TENANT, scope).await;
        let wish = json!({ "name": "x", "scopes": ["read"] });
        person.make(wish).await.problem(403, "auth.scope");
        person.get("/v1/keys").await.problem(403, "auth.scope");
    }
    let admin = Person::of(&server, TENANT, Scope::Admin).await;
    let worker = json!({ "name": "x", "scopes": ["read", "worker"] });
    let told = admin.make(worker).await.problem(403, "auth.scope");
    assert!(
        told.contains("mediaflow keys create --scopes worker"),
        "{told}"
    );
    for bad in [
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["everything"] }),
        json!({ "name": "  ", "scopes": ["read"] }),
        json!({ "name": "a\nb", "scopes": ["read"] }),
        json!({ "name": "x".repeat(101), "scopes": ["read"] }),
        json!({ "name": "x", "scopes": ["read"], "limits": { "file_bytes_max": 0 } }),
        json!({ "name": "x", "scopes": ["read"], "limits": { "types": vec!["a/b"; 65] } }),
        json!({ "name": "x", "scopes": ["read"], "limits": { "open_max": -1 } }),
        json!({ "name": "x", "scopes": ["read"], "expires": 1 }),
        json!({ "scopes": ["read"] }),
    ] {
        admin.make(bad).await.problem(400, "request.invalid");
    }
    for path in [
        "?state=dead",
        "?limit=201",
        "?cursor=x",
        "?tenant=x",
        "?all=1",
    ] {
        let path = format!("/v1/keys{path}");
        admin.get(&path).await.problem(400, "request.invalid");
    }
    let nobody = format!("/v1/keys/{}", Uuid::from_u128(7));
    for (method, path) in [
        ("DELETE", nobody.clone()),
        ("DELETE", "/v1/keys/x".to_owned()),
        ("PUT", format!("{nobody}/limits")),
    ] {
        let body = if method == "PUT" {
            json!({})
        } else {
            Value::Null
        };
        admin
            .ask(method, &path, body)
            .await
            .problem(404, "key.not_found");
    }
}

#[tokio::test]
async fn tenants_see_their_own_keys_and_operators_all() {
    let server = locked();
    let other = TenantId(server.world.id());
    let change = TenantChange::default();
    server
        .store
        .set_tenant(other, change, "tests")
        .await
        .unwrap();
    let operator = Person::of(&server, TENANT, Scope::Admin).await;
    let stranger = Person::of(&server, other, Scope::Admin).await;

    let wish =
        |tenant: TenantId| json!({ "name": "x", "scopes": ["read"], "tenant": tenant.to_string() });
    let own = operator.make(wish(TENANT)).await.json();
    let made = operator.make(wish(other)).await.json();
    assert_eq!(made["tenant"], other.to_string());
    stranger
        .make(wish(TENANT))
        .await
        .problem(404, "tenant.not_found");
    let unknown = TenantId(Uuid::from_u128(7));
    operator
        .make(wish(unknown))
        .await
        .problem(404, "tenant.not_found");

    let seen = stranger.get("/v1/keys").await.json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
    let same = format!("/v1/keys?tenant={other}");
    assert_eq!(operator.get(&same).await.json(), seen);
    let path = format!("/v1/keys?tenant={TENANT}");
    stranger.get(&path).await.problem(404, "tenant.not_found");
    let path = format!("/v1/keys/{}", own["id"].as_str().unwrap());
    let ended = stranger.ask("DELETE", &path, Value::Null).await;
    ended.problem(404, "key.not_found");
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(operator.ask("DELETE", &path, Value::Null).await.status, 204);
    // What concerns all tenants is not a tenant's to see.
    for path in ["/v1/settings", "/v1/storage", "/v1/outlets"] {
        stranger.get(path).await.problem(403, "auth.scope");
        assert_eq!(operator.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn keys_come_in_pages() {
    let server = Server::new();
    for n in 0..5 {
        let wish = json!({ "name": n.to_string(), "scopes": ["read"] });
        assert_eq!(server.post("/v1/keys", &wish.to_string()).await.status, 201);
    }
    let mut names = String::new();
    let mut path = "/v1/keys?limit=2".to_owned();
    loop {
        let page = server.get(&path).await.json();
        for key in page["items"].as_array().unwrap() {
            names.push_str(key["name"].as_str().unwrap());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/keys?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, "43210");
}
