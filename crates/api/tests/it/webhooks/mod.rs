//! `/v1/webhooks`: what receivers are told, and how they can tell who tells them.

mod allowed;
mod failing;

use crate::given::{Server, Wish};
use crate::imports::PATIENCE;
use crate::web::{Asked, Step, Steps, Web, head};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mediaflow_engine::WebhooksConfig;
use mediaflow_engine::services::{self, Services};
use mediaflow_engine::store::Environment as _;
use mediaflow_engine::store::moving::{Installation, Phase, Premises};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);

/// A server that tells receivers of a web, with its services at work.
struct Telling {
    server: Server,
    web: Web,
    stopping: CancellationToken,
    services: Option<Services>,
}

impl Telling {
    async fn to(answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static) -> Self {
        Self::with(answer, |_| {}).await
    }

    async fn with(
        answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static,
        change: impl FnOnce(&mut Wish),
    ) -> Self {
        let web = Web::start(answer).await;
        let mut wish = Wish {
            webhooks: WebhooksConfig {
                allow: vec!["127.0.0.1".into()],
                timeout_ms: 1000,
                ..WebhooksConfig::default()
            },
            ..Wish::default()
        };
        change(&mut wish);
        let mut telling = Self {
            server: Server::with(wish),
            web,
            stopping: CancellationToken::new(),
            services: None,
        };
        telling.start();
        telling
    }

    fn start(&mut self) {
        self.stopping = CancellationToken::new();
        let services = Services::start(&self.server.engine, &self.stopping);
        self.services = Some(services);
    }

    /// The process ends, in the middle of whatever it does.
    async fn stop(&mut self) {
        self.stopping.cancel();
        if let Some(services) = self.services.take() {
            services.join().await;
        }
    }

    /// Makes a webhook of this path; answers its address in the API, and its secret.
    async fn webhook(&self, path: &str, types: &[&str]) -> (String, String) {
        let wish = json!({ "url": self.web.url(path), "types": types });
        let answer = self.server.post("/v1/webhooks", &wish.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.json();
        let address = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), address);
        (address, made["secret"].as_str().unwrap().to_owned())
    }

    async fn look(&self, address: &str) -> Value {
        let answer = self.server.get(address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn patch(&self, address: &str, change: Value) -> Value {
        let change = change.to_string();
        self.server.json("PATCH", address, &change).await.json()
    }

    /// The first delivery of a webhook, when it is as wanted.
    async fn delivery(&self, webhook: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let address = format!("{webhook}/deliveries");
        let found = || async {
            let list = self.look(&address).await;
            let first = list["deliveries"].as_array().unwrap().last().cloned();
            first.filter(&is_wanted)
        };
        until(found).await
    }

    /// The same with its attempts.
    async fn details(&self, webhook: &str, delivery: &Value) -> Value {
        let event = delivery["event"].as_str().unwrap();
        self.look(&format!("{webhook}/deliveries/{event}")).await
    }

    /// What was sent to a path, when there is so much.
    async fn told(&self, path: &str, times: usize) -> Vec<Asked> {
        until(|| async {
            let asked = self.web.asked().into_iter();
            let told: Vec<Asked> = asked.filter(|asked| asked.path == path).collect();
            (told.len() >= times).then_some(told)
        })
        .await
    }
}

/// Asks until there is an answer.
async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn says(status: u16) -> Steps {
    vec![head(status, &["Content-Length: 0"])]
}

fn kind(asked: &Asked) -> String {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    body["type"].as_str().unwrap().to_owned()
}

/// What is signed with these secrets, as a receiver would find out that knows the specification and nothing of us.
fn is_signed(asked: &Asked, secrets: &[&str]) -> bool {
    let (id, time) = (
        asked.header("webhook-id"),
        asked.header("webhook-timestamp"),
    );
    let signature = |secret: &&str| {
        let key = BASE64_STANDARD.decode(&secret["whsec_".len()..]).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{time}.{}", asked.body).as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    };
    let expected: Vec<String> = secrets.iter().map(signature).collect();
    asked.header("webhook-signature") == expected.join(" ")
}

#[tokio::test]
async fn a_receiver_is_told_what_happens_signed_and_nothing_else() {
    let telling = Telling::to(|_| says(204)).await;
    let before = telling.server.ready("an old picture", "").await;
    let (webhook, secret) = telling
        .webhook("/hook?a=b", &["asset.*", "moderation.decided"])
        .await;
    let asset = telling.server.ready("a picture", "").await;
    let feed = telling.server.get("/v1/events?limit=200").await.json();
    let wanted = |event: &&Value| {
        let kind = event["type"].as_str().unwrap();
        event["subject"] == *asset && (kind.starts_with("asset.") || kind == "moderation.decided")
    };
    let mut expected: Vec<Value> = feed["items"].as_array().unwrap().to_vec();
    expected.retain(|event| wanted(&event));
    assert!(expected.len() > 2 && expected.len() < feed["items"].as_array().unwrap().len());

    let told = telling.told("/hook?a=b", expected.len()).await;
    let now = telling.server.world.now().0 / 1000;
    let mut bodies = Vec::new();
    for asked in &told {
        assert!(is_signed(asked, &[&secret]));
        assert_eq!(asked.header("content-type"), "application/cloudevents+json");
        assert!(asked.header("user-agent").starts_with("MediaFlow/"));
        let sent: i64 = asked.header("webhook-timestamp").parse().unwrap();
        assert!((now - 60..=now).contains(&sent));
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["id"], asked.header("webhook-id"));
        assert_ne!(body["subject"], *before, "it happened before");
        bodies.push(body);
    }
    bodies.sort_by_key(|body| body["position"].as_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(bodies, expected);

    let all = expected.len();
    let list = until(|| async {
        let list = telling.look(&format!("{webhook}/deliveries")).await;
        let all = list["deliveries"].as_array().unwrap().clone();
        all.iter().all(|d| d["state"] == "delivered").then_some(all)
    })
    .await;
    assert_eq!(list.len(), all);
    assert_eq!(list[0]["event"], expected[all - 1]["id"], "newest first");
    assert_eq!(list[0]["asset"], *asset);
    assert_eq!(
        (&list[0]["attempts"], &list[0]["status"]),
        (&json!(1), &json!(204))
    );
    assert_eq!(list[0]["next_at"], Value::Null);
    let details = telling.details(&webhook, &list[0]).await;
    assert_eq!(details["body"], expected[all - 1]);
    assert_eq!(details["tries"][0]["status"], 204);
    let view = telling.look(&webhook).await;
    assert_eq!(
        (&view["delivered"], &view["waiting"]),
        (&json!(all), &json!(0))
    );
    assert!(view["last_delivered_at"].as_str().unwrap().ends_with('Z'));
    assert!(!view.to_string().contains(&secret) && view.get("secret").is_none());
    let metrics = telling.server.get("/metrics").await;
    let line = format!("mediaflow_webhook_deliveries_total{{outcome=\"delivered\"}} {all}\n");
    assert!(metrics.text().contains(&line), "{}", metrics.text());
    assert!(
        metrics
            .text()
            .contains("mediaflow_webhook_lag_seconds{} 0.0\n")
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody_else() {
    let telling = Telling::with(
        |asked| match asked.path.as_str() {
            "/hangs" => vec![Step::Pause(PATIENCE * 2)],
            _ => says(200),
        },
        |wish| {
            wish.webhooks.timeout_ms = 60_000;
            wish.webhooks.concurrent_max = 4;
        },
    )
    .await;
    let (hanging, _) = telling.webhook("/hangs", &[]).await;
    telling.server.ready("one", "").await;
    telling.server.ready("two", "").await;
    telling.told("/hangs", 4).await;
    let (well, _) = telling.webhook("/well", &[]).await;
    let last = telling.server.ready("three", "").await;
    until(|| async {
        let told = telling.told("/well", 1).await;
        let ready = |asked: &Asked| asked.body.contains(&last) && kind(asked) == "asset.ready";
        told.iter().any(ready).then_some(())
    })
    .await;
    let all = telling.told("/well", 1).await.len();
    until(|| async {
        let view = telling.look(&well).await;
        (view["waiting"] == 0 && view["delivered"].as_u64()? >= all as u64).then_some(())
    })
    .await;
    let view = telling.look(&hanging).await;
    assert_eq!(
        (&view["delivered"], &view["failing_since"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(
        telling.told("/hangs", 4).await.len(),
        4,
        "it has its places"
    );
}

#[tokio::test]
async fn a_process_that_dies_before_it_has_recorded_repeats_the_same() {
    let mut telling = Telling::with(
        |asked| match asked.before {
            0 => vec![Step::Pause(PATIENCE)],
            _ => says(200),
        },
        |wish| wish.webhooks.timeout_ms = 60_000,
    )
    .await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    telling.server.upload("a picture", "").await;
    telling.told("/hook", 1).await;
    telling.stop().await;
    let waiting = telling.delivery(&webhook, |_| true).await;
    assert_eq!(
        (&waiting["state"], &waiting["attempts"]),
        (&json!("waiting"), &json!(0))
    );
    telling.start();
    let told = telling.told("/hook", 2).await;
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    assert_eq!(told[0].body, told[1].body);
    telling
        .delivery(&webhook, |d| d["state"] == "delivered")
        .await;
}

#[tokio::test]
async fn for_a_day_after_a_rotation_both_secrets_sign() {
    let telling = Telling::to(|_| says(200)).await;
    let (webhook, old) = telling.webhook("/hook", &["asset.accepted"]).await;
    let answer = telling.server.post(&format!("{webhook}/secret"), "").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let new = answer.json()["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert_eq!(
        BASE64_STANDARD
            .decode(&new["whsec_".len()..])
            .unwrap()
            .len(),
        32
    );
    telling.server.upload("a picture", "").await;
    assert!(is_signed(&telling.told("/hook", 1).await[0], &[&new, &old]));
    telling.server.world.pass(HOUR * 24);
    telling.server.upload("another", "").await;
    assert!(is_signed(&telling.told("/hook", 2).await[1], &[&new]));
}

#[tokio::test]
async fn a_receiver_can_be_tried_and_that_is_recorded_nowhere() {
    let telling = Telling::to(|asked| match asked.before {
        0 => vec![head(418, &[]), Step::Bytes("x".repeat(5000).into_bytes())],
        _ => vec![
            head(200, &["Content-Length: 6"]),
            Step::Bytes(b"Thanks".to_vec()),
        ],
    })
    .await;
    let (webhook, secret) = telling.webhook("/hook", &["task.dead"]).await;
    telling.patch(&webhook, json!({ "state": "off" })).await;
    let test = async || {
        telling
            .server
            .post(&format!("{webhook}/test"), "")
            .await
            .json()
    };
    let failed = test().await;
    assert_eq!(
        (&failed["delivered"], &failed["status"]),
        (&json!(false), &json!(418))
    );
    assert_eq!(failed["error"], "it answers 418 I'm a teapot");
    assert_eq!(failed["answer"].as_str().unwrap().len(), 1024);
    let well = test().await;
    assert_eq!(
        (&well["delivered"], &well["error"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&well["status"], &well["answer"]),
        (&json!(200), &json!("Thanks"))
    );
    assert!(well["ms"].is_u64());
    let asked = &telling.told("/hook", 2).await[1];
    assert!(is_signed(asked, &[&secret]));
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        (&body["type"], &body["specversion"]),
        (&json!("webhook.test"), &json!("1.0"))
    );
    assert_eq!(body["id"], asked.header("webhook-id"));
    let view = telling.look(&webhook).await;
    for name in ["waiting", "delivered", "failed"] {
        assert_eq!(view[name], 0, "{name}");
    }
    assert_eq!(view["last_error"], Value::Null);
}

#[tokio::test]
async fn what_a_webhook_has_yet_to_be_told_is_not_forgotten() {
    let mut telling =
        Telling::with(|_| says(200), |wish| wish.retention.events_days = Some(1)).await;
    telling.stop().await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    let asset = telling.server.upload("a picture", "").await;
    let engine = Arc::clone(&telling.server.engine);
    let forget = async || while services::prune(&engine).await.unwrap() {};
    telling.server.world.pass(HOUR * 72);
    telling.server.upload("the newest always stays", "").await;
    forget().await;
    let history = format!("/v1/assets/{asset}/events");
    let first = telling.look(&history).await;
    assert_eq!(first["items"][0]["type"], "asset.accepted");

    telling.start();
    telling.told("/hook", 2).await;
    until(|| async { (telling.look(&webhook).await["delivered"] == 2).then_some(()) }).await;
    forget().await;
    assert_eq!(telling.look(&history).await["items"], json!([]));
    let delivery = telling.delivery(&webhook, |_| true).await;
    let kept = telling.details(&webhook, &delivery).await;
    assert_eq!(kept["body"], first["items"][0], "it has what it was told");

    telling.server.world.pass(HOUR * 24 * 7);
    forget().await;
    let page = telling.look(&format!("{webhook}/deliveries")).await;
    assert_eq!(page["deliveries"], json!([]));
}

#[tokio::test]
async fn while_nothing_can_be_recorded_it_is_not_sent_again_and_again() {
    let telling = Telling::with(
        |asked| match asked.before {
            0 => vec![
                Step::Pause(Duration::from_secs(2)),
                head(200, &["Content-Length: 0"]),
            ],
            _ => says(200),
        },
        |wish| wish.webhooks.timeout_ms = 30_000,
    )
    .await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    telling.server.upload("a picture", "").await;
    telling.told("/hook", 1).await;
    let path = telling.server.folder.path().join("mediaflow.db");
    let premises = Premises::sqlite(&path, false, telling.server.world.now()).unwrap();
    let open = premises.installation().await.unwrap();
    let closed = Installation {
        phase: Phase::Closed,
        ..open.clone()
    };
    premises.enter(&closed).await.unwrap();
    // Long enough for its end, and for several rounds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(telling.told("/hook", 1).await.len(), 1);
    premises.enter(&open).await.unwrap();
    telling
        .delivery(&webhook, |d| d["state"] == "delivered")
        .await;
    let told = telling.told("/hook", 2).await;
    assert_eq!(told.len(), 2, "once more, under the same id");
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
}
