//! `[ingest.hook]`: who is asked before a file becomes an asset.

use crate::given::{Answer, Server, Wish};
use crate::web::{Asked, Step, Steps, Web, bytes, head};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mediaflow_core::Sha256;
use mediaflow_engine::{HookConfig, OnError};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

fn says(answer: &Value) -> Steps {
    let text = answer.to_string();
    vec![
        head(200, &[&format!("Content-Length: {}", text.len())]),
        bytes(text),
    ]
}

async fn asking(
    answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static,
    on_error: OnError,
) -> (Server, Web) {
    let web = Web::start(answer).await;
    let server = Server::with(Wish {
        hook: HookConfig {
            url: Some(web.url("/may-it")),
            secret: Some(format!("whsec_{}", BASE64_STANDARD.encode(KEY))),
            timeout_ms: 500,
            on_error,
        },
        ..Wish::default()
    });
    (server, web)
}

async fn upload(server: &Server, query: &str, content: &str) -> Answer {
    let path = format!("/v1/assets?{query}");
    server.send("POST", &path, &[], content.to_owned()).await
}

#[tokio::test]
async fn it_is_told_what_is_known_and_may_change_what_was_said() {
    let (server, web) = asking(
        |_| says(&json!({
            "decision": "allow",
            "changes": { "title": "Checked", "tags": ["ok"], "metadata": { "by": "hook" }, "visibility": "private" },
        })),
        OnError::Refuse,
    )
    .await;
    let query = "filename=a.jpg&title=Sea&tags=x&metadata=%7B%22n%22%3A1%7D";
    let answer = upload(&server, query, "a picture").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let asset = server.asset(answer.json()["id"].as_str().unwrap()).await;
    assert_eq!(asset["title"], "Checked");
    assert_eq!(asset["tags"], json!(["ok"]));
    assert_eq!(asset["metadata"], json!({ "by": "hook" }));
    assert_eq!(asset["visibility"], "private");
    assert_eq!(asset["original"]["filename"], "a.jpg");
    let asked = &web.asked()[0];
    let question: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(question["type"], "upload.accepting");
    let data = &question["data"];
    assert_eq!(data["filename"], "a.jpg");
    assert_eq!(data["bytes"], 9);
    assert_eq!(data["sha256"], Sha256::of(b"a picture").to_string());
    assert_eq!(data["media_type"], "image/jpeg");
    assert_eq!(
        (&data["width"], &data["height"]),
        (&json!(400), &json!(300))
    );
    assert_eq!(data["tenant"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(data["title"], "Sea");
    assert_eq!(data["metadata"], json!({ "n": 1 }));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    let (id, time) = (
        asked.header("webhook-id"),
        asked.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{time}.{}", asked.body).as_bytes());
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(asked.header("webhook-signature"), expected);
}

#[tokio::test]
async fn what_it_refuses_leaves_nothing_behind() {
    let (server, web) = asking(
        |asked| {
            let question: Value = serde_json::from_str(&asked.body).unwrap();
            says(&match question["data"]["title"].as_str() {
                Some("odd") => {
                    json!({ "decision": "refuse", "message": "Pay first.", "status": 402 })
                }
                Some("wrong") => json!({ "decision": "refuse", "status": 200 }),
                Some("fine") => json!({ "decision": "allow" }),
                _ => json!({ "decision": "refuse", "message": "No cats, please." }),
            })
        },
        OnError::Accept,
    )
    .await;
    let text = upload(&server, "title=cat", "a cat")
        .await
        .problem(403, "hook.refused");
    assert_eq!(text, "No cats, please.");
    let text = upload(&server, "title=odd", "a dog")
        .await
        .problem(402, "hook.refused");
    assert_eq!(text, "Pay first.");
    let text = upload(&server, "title=wrong", "a dog")
        .await
        .problem(403, "hook.refused");
    assert_eq!(text, "the file is not wanted here");
    // The same over several requests: the upload is gone.
    let path = crate::tus::open(&server, &["upload-length: 5"]).await;
    crate::tus::add(&server, &path, 0, "a cat")
        .await
        .problem(403, "hook.refused");
    assert_eq!(crate::tus::head(&server, &path).await.status, 404);
    assert!(crate::tus::files(&server).is_empty());
    assert_eq!(upload(&server, "title=fine", "a cat").await.status, 202);
    assert_eq!(web.asked().len(), 5);
}

#[tokio::test]
async fn while_it_is_down_happens_what_is_configured() {
    fn down(asked: &Asked) -> Steps {
        match asked.before {
            0 => vec![],
            1 => vec![head(500, &["Content-Length: 0"])],
            2 => says(&json!({ "decision": "perhaps" })),
            3 => vec![head(302, &["Location: /allow", "Content-Length: 0"])],
            4 => vec![Step::Pause(Duration::from_secs(5))],
            5 => vec![
                head(200, &["Content-Length: 99999"]),
                bytes("x".repeat(99_999)),
            ],
            _ => vec![head(204, &[])],
        }
    }
    let (server, _) = asking(down, OnError::Refuse).await;
    for _ in 0..6 {
        upload(&server, "", "a picture")
            .await
            .problem(503, "hook.unavailable");
    }
    assert!(crate::tus::files(&server).is_empty());
    assert_eq!(
        upload(&server, "", "a picture").await.status,
        202,
        "no content allows"
    );
    let (server, _) = asking(down, OnError::Accept).await;
    for _ in 0..6 {
        assert_eq!(upload(&server, "", "a picture").await.status, 202);
    }
}
