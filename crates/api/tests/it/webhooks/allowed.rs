//! Who may say whom to tell, and whom nobody may.

use super::{Telling, says};
use crate::given::{Server, Wish};
use async_trait::async_trait;
use mediaflow_api::minting::mint;
use mediaflow_core::TenantId;
use mediaflow_engine::store::{Environment as _, Scope};
use mediaflow_engine::{Lookup, WebhooksConfig};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Leads every name into the machine itself.
struct Inside;

#[async_trait]
impl Lookup for Inside {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}

#[tokio::test]
async fn nobody_inside_is_told_anything() {
    let telling = Telling::with(
        |_| says(200),
        |wish| {
            wish.webhooks.allow = Vec::new();
            wish.lookup = Some(Arc::new(Inside));
        },
    )
    .await;
    let server = &telling.server;
    for (url, code) in [
        ("http://127.0.0.1/", "webhook.address"),
        ("http://2130706433/", "webhook.address"),
        ("http://[::ffff:127.0.0.1]/", "webhook.address"),
        ("https://10.0.0.1/", "webhook.address"),
        (
            "http://169.254.169.254/latest/meta-data/",
            "webhook.address",
        ),
        ("https://example.com:25/", "webhook.url"),
        ("https://example.com:22/", "webhook.url"),
        ("ftp://example.com/", "webhook.url"),
        ("https://ann:secret@example.com/", "webhook.url"),
        ("no address", "webhook.url"),
    ] {
        let wish = json!({ "url": url }).to_string();
        let answer = server.post("/v1/webhooks", &wish).await;
        assert!(!answer.problem(422, code).is_empty(), "{url}");
    }
    let url = format!("http://public.example:{}/hook", telling.web.port);
    let wish = json!({ "url": url, "types": ["asset.accepted"] }).to_string();
    let made = server.post("/v1/webhooks", &wish).await;
    assert_eq!(made.status, 201, "the name may lead elsewhere: {made:?}");
    let webhook = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    let error = "public.example is in a network that is not public (webhooks.allow)";
    let tried = server.post(&format!("{webhook}/test"), "").await.json();
    assert_eq!(
        (&tried["delivered"], &tried["error"]),
        (&json!(false), &json!(error))
    );
    server.upload("a picture", "").await;
    let failed = telling.delivery(&webhook, |d| d["attempts"] != 0).await;
    assert_eq!(failed["error"], error);
    let answer = server
        .json("PATCH", &webhook, r#"{"url":"http://127.0.0.1/"}"#)
        .await;
    answer.problem(422, "webhook.address");
    assert!(telling.web.asked().is_empty());
}

#[tokio::test]
async fn what_is_said_of_a_webhook_has_its_limits() {
    let server = Server::with(Wish {
        webhooks: WebhooksConfig {
            count_max: 2,
            ..WebhooksConfig::default()
        },
        ..Wish::default()
    });
    let url = "https://example.com/hook";
    for wrong in [
        json!({}),
        json!({ "url": url, "colour": 1 }),
        json!({ "url": url, "types": ["asset.unknown"] }),
        json!({ "url": url, "types": ["*"] }),
        json!({ "url": url, "types": ["asset.re*"] }),
        json!({ "url": url, "types": vec!["asset.ready"; 33] }),
        json!({ "url": url, "description": "x".repeat(501) }),
        json!({ "url": url, "description": "two\nlines" }),
    ] {
        let answer = server.post("/v1/webhooks", &wrong.to_string()).await;
        answer.problem(400, "request.invalid");
    }
    let long = json!({ "url": format!("{url}/{}", "x".repeat(4096)) });
    let answer = server.post("/v1/webhooks", &long.to_string()).await;
    answer.problem(422, "webhook.url");
    let wish = json!({ "url": url, "description": "the shop" }).to_string();
    let made = server.post("/v1/webhooks", &wish).await.json();
    let address = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    server.post("/v1/webhooks", &wish).await;
    let full = server.post("/v1/webhooks", &wish).await;
    full.problem(409, "limit.webhooks");
    let listed = server.get("/v1/webhooks").await.json();
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 2);
    assert_eq!(listed["webhooks"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains("whsec_"));

    for wrong in [
        r#"{"state":"perhaps"}"#,
        r#"{"types":["none"]}"#,
        r#"{"secret":"whsec_"}"#,
    ] {
        let answer = server.json("PATCH", &address, wrong).await;
        answer.problem(400, "request.invalid");
    }
    let changed = r#"{"description":null,"types":["task.*"]}"#;
    let changed = server.json("PATCH", &address, changed).await.json();
    assert_eq!(changed["description"], Value::Null);
    assert_eq!(changed["types"], json!(["task.*"]));
    assert_eq!(changed["url"], url);
    for path in ["?state=lost", "?limit=0", "?cursor=x", "?colour=1"] {
        let answer = server.get(&format!("{address}/deliveries{path}")).await;
        answer.problem(400, "request.invalid");
    }
    for wrong in [
        r#"{"state":"delivered"}"#,
        r#"{"state":"failed","since":"now"}"#,
    ] {
        let answer = server.post(&format!("{address}/redeliver"), wrong).await;
        answer.problem(400, "request.invalid");
    }
    let none = format!("{address}/deliveries/{}", Uuid::nil());
    server.get(&none).await.problem(404, "delivery.not_found");
    let odd = server.get(&format!("{address}/deliveries/none")).await;
    odd.problem(404, "delivery.not_found");
}

#[tokio::test]
async fn a_webhook_is_seen_and_changed_by_its_own_admins_only() {
    let telling = Telling::with(|_| says(200), |wish| wish.is_open = false).await;
    let server = &telling.server;
    let key = async |tenant: TenantId, scope| {
        let key = mint(server.world.id().into(), "tests", &[scope], tenant);
        server.store.add_key(key.stored).await.unwrap();
        format!("authorization: Bearer {}", key.text)
    };
    let other = TenantId(Uuid::from_u128(7));
    let own = key(TenantId::DEFAULT, Scope::Admin).await;
    let foreign = key(other, Scope::Admin).await;
    let less = key(TenantId::DEFAULT, Scope::Read).await;
    let ask = async |key: &str, method: &str, path: &str, body: &str| {
        let headers = [key, "content-type: application/json"];
        server.send(method, path, &headers, body.to_owned()).await
    };
    let wish =
        |path| json!({ "url": telling.web.url(path), "types": ["asset.accepted"] }).to_string();
    let made = ask(&own, "POST", "/v1/webhooks", &wish("/own")).await;
    let address = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    let made = ask(&foreign, "POST", "/v1/webhooks", &wish("/foreign")).await;
    assert_eq!(made.status, 201);
    let upload = server
        .send("POST", "/v1/assets", &[&own], "a picture")
        .await;
    assert_eq!(upload.status, 202);
    let event = telling.told("/own", 1).await[0]
        .header("webhook-id")
        .to_owned();
    let delivery = format!("{address}/deliveries/{event}");
    let calls = [
        ("GET", address.clone(), ""),
        ("PATCH", address.clone(), r#"{"state":"off"}"#),
        ("POST", format!("{address}/secret"), ""),
        ("POST", format!("{address}/test"), ""),
        ("GET", format!("{address}/deliveries"), ""),
        (
            "POST",
            format!("{address}/redeliver"),
            r#"{"state":"failed"}"#,
        ),
        ("GET", delivery.clone(), ""),
        ("POST", format!("{delivery}/redeliver"), ""),
        ("DELETE", address.clone(), ""),
    ];
    for (method, path, body) in &calls {
        let code = match path.contains(&event) {
            true => "delivery.not_found",
            false => "webhook.not_found",
        };
        let answer = ask(&foreign, method, path, body).await;
        answer.problem(404, code);
        let answer = ask(&less, method, path, body).await;
        answer.problem(403, "auth.scope");
        let answer = server.send(method, path, &[], "").await;
        answer.problem(401, "auth.missing");
    }
    let listed = ask(&foreign, "GET", "/v1/webhooks", "").await.json();
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 1);
    for (method, path, body) in &calls {
        let answer = ask(&own, method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
    assert!(telling.web.asked().iter().all(|asked| asked.path == "/own"));
}

#[tokio::test]
async fn an_operator_can_do_without_webhooks() {
    let telling = Telling::with(|_| says(200), |wish| wish.webhooks.enabled = false).await;
    let wish = json!({ "url": telling.web.url("/hook") }).to_string();
    let answer = telling.server.post("/v1/webhooks", &wish).await;
    answer.problem(403, "webhook.disabled");
    let listed = telling.server.get("/v1/webhooks").await.json();
    assert_eq!(listed, json!({ "webhooks": [] }));
}
