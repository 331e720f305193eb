//! `[ingest.hook]`: who is asked before a file becomes an asset. The same must follow from the same answer over HTTP and gRPC.

use crate::given::{Answer, Server, Wish};
use crate::web::{Asked, Step, Steps, Web, bytes, head};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mediaflow_core::Sha256;
use mediaflow_engine::{HookConfig, OnError};
use mediaflow_proto::hook::v1 as proto;
use proto::accepting_response::Decision;
use proto::upload_hook_server::{UploadHook, UploadHookServer};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::{Request, Response, Status};

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a secret of the hook";

#[derive(Clone, Copy)]
enum Over {
    Http,
    Grpc,
}

/// What the hook was asked, as the JSON of a question's `data`.
type Heard = Arc<Mutex<Vec<Value>>>;

/// A server that asks a hook which answers like this.
async fn asking(
    over: Over,
    answer: impl Fn(&Value) -> Value + Send + Sync + 'static,
) -> (Server, Heard) {
    let heard = Heard::default();
    let listening = Arc::clone(&heard);
    let answer = move |question: Value| {
        let said = answer(&question);
        listening.lock().unwrap().push(question);
        said
    };
    let hook = match over {
        Over::Http => over_http(move |asked| says(&answer(signed(asked)))).await,
        Over::Grpc => over_grpc(move |_, asked| Ok(read(&answer(told(asked))))).await,
    };
    (serve(hook, OnError::Refuse), heard)
}

fn serve(hook: HookConfig, on_error: OnError) -> Server {
    Server::with(Wish {
        hook: HookConfig { on_error, ..hook },
        ..Wish::default()
    })
}

/// A hook that answers is waited for, however busy the machine is.
const PATIENT: HookConfig = HookConfig {
    url: None,
    secret: None,
    grpc: None,
    token: None,
    timeout_ms: 60_000,
    on_error: OnError::Refuse,
};
/// One that does not is not.
const SILENCE: Duration = Duration::from_secs(600);

fn impatient(hook: HookConfig) -> HookConfig {
    HookConfig {
        timeout_ms: 500,
        ..hook
    }
}

async fn over_http(answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static) -> HookConfig {
    let web = Web::start(answer).await;
    HookConfig {
        url: Some(web.url("/may-it")),
        secret: Some(format!("whsec_{}", BASE64_STANDARD.encode(KEY))),
        ..PATIENT
    }
}

fn says(answer: &Value) -> Steps {
    let text = answer.to_string();
    let length = format!("Content-Length: {}", text.len());
    vec![head(200, &[&length]), bytes(text)]
}

/// What a question tells whose signature is right.
fn signed(asked: &Asked) -> Value {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    let (id, time) = (
        asked.header("webhook-id"),
        asked.header("webhook-timestamp"),
    );
    mac.update(format!("{id}.{time}.{}", asked.body).as_bytes());
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(asked.header("webhook-signature"), expected);
    let mut question: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(question["type"], "upload.accepting");
    question["data"].take()
}

/// Answers by how many were asked before.
type Answers<A> = Box<dyn Fn(usize, &proto::AcceptingRequest) -> Result<A, Status> + Send + Sync>;

struct Answering {
    before: Mutex<usize>,
    answer: Answers<proto::AcceptingResponse>,
}

#[tonic::async_trait]
impl UploadHook for Answering {
    async fn accepting(
        &self,
        request: Request<proto::AcceptingRequest>,
    ) -> Result<Response<proto::AcceptingResponse>, Status> {
        let shown = request.metadata().get("authorization").unwrap();
        assert_eq!(shown.to_str().unwrap(), format!("Bearer {TOKEN}"));
        let before = {
            let mut before = self.before.lock().unwrap();
            *before += 1;
            *before - 1
        };
        let said = (self.answer)(before, request.get_ref());
        if matches!(&said, Err(status) if status.message() == "slow") {
            tokio::time::sleep(SILENCE).await;
        }
        said.map(Response::new)
    }
}

async fn over_grpc(
    answer: impl Fn(usize, &proto::AcceptingRequest) -> Result<proto::AcceptingResponse, Status>
    + Send
    + Sync
    + 'static,
) -> HookConfig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = UploadHookServer::new(Answering {
        before: Mutex::default(),
        answer: Box::new(answer),
    });
    let service = tonic::service::Routes::new(service).into_axum_router();
    tokio::spawn(async move { axum::serve(listener, service).await });
    HookConfig {
        grpc: Some(format!("http://{address}")),
        token: Some(TOKEN.into()),
        ..PATIENT
    }
}

/// A question as the JSON that it would be over HTTP.
fn told(asked: &proto::AcceptingRequest) -> Value {
    assert!(!asked.id.is_empty());
    let metadata: Value = serde_json::from_str(&asked.metadata_json).unwrap();
    json!({
        "filename": asked.filename, "bytes": asked.bytes, "sha256": asked.sha256, "media_type": asked.media_type,
        "kind": asked.kind, "width": asked.width, "height": asked.height, "tenant": asked.tenant, "key": asked.key,
        "recipe": asked.recipe, "title": asked.title, "tags": asked.tags, "metadata": metadata,
        "visibility": asked.visibility, "correlation_id": asked.correlation_id,
    })
}

/// An answer of the JSON that it would be over HTTP.
fn read(said: &Value) -> proto::AcceptingResponse {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let decision = match said["decision"].as_str().unwrap() {
        "allow" => {
            let changes = &said["changes"];
            let tags = changes["tags"].as_array();
            Decision::Allow(proto::Changes {
                title: text(&changes["title"]),
                tags: tags.map(|tags| proto::Tags {
                    tags: tags.iter().filter_map(text).collect(),
                }),
                metadata_json: changes.get("metadata").map(Value::to_string),
                visibility: text(&changes["visibility"]),
                recipe: text(&changes["recipe"]),
            })
        }
        _ => Decision::Refuse(proto::Refusal {
            message: text(&said["message"]).unwrap_or_default(),
            status: said["status"]
                .as_u64()
                .map(|status| status.try_into().unwrap()),
        }),
    };
    proto::AcceptingResponse {
        decision: Some(decision),
    }
}

async fn upload(server: &Server, query: &str, content: &str) -> Answer {
    let path = format!("/v1/assets?{query}");
    server.send("POST", &path, &[], content.to_owned()).await
}

async fn it_is_told_what_is_known_and_may_change_what_was_said(over: Over) {
    let (server, heard) = asking(over, |_| {
        json!({
            "decision": "allow",
            "changes": { "title": "Checked", "tags": ["ok"], "metadata": { "by": "hook" }, "visibility": "private" },
        })
    })
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
    let heard = heard.lock().unwrap().remove(0);
    let correlation_id = answer.json()["correlation_id"].clone();
    let expected = json!({
        "filename": "a.jpg", "bytes": 9, "sha256": Sha256::of(b"a picture").to_string(), "media_type": "image/jpeg",
        "kind": "image", "width": 400, "height": 300, "tenant": "00000000-0000-0000-0000-000000000000", "key": null,
        "recipe": null, "title": "Sea", "tags": ["x"], "metadata": { "n": 1 }, "visibility": "public",
        "correlation_id": correlation_id,
    });
    assert_eq!(heard, expected);
}

async fn what_it_refuses_leaves_nothing_behind(over: Over) {
    let (server, heard) = asking(over, |question| match question["title"].as_str() {
        Some("odd") => json!({ "decision": "refuse", "message": "Pay first.", "status": 402 }),
        Some("wrong") => json!({ "decision": "refuse", "status": 200 }),
        Some("fine") => json!({ "decision": "allow" }),
        _ => json!({ "decision": "refuse", "message": "No cats, please." }),
    })
    .await;
    for (title, status, expected) in [
        ("cat", 403, "No cats, please."),
        ("odd", 402, "Pay first."),
        ("wrong", 403, "the file is not wanted here"),
    ] {
        let answer = upload(&server, &format!("title={title}"), "a cat").await;
        assert_eq!(answer.problem(status, "hook.refused"), expected);
    }
    // The same over several requests: the upload is gone.
    let path = crate::tus::open(&server, &["upload-length: 5"]).await;
    crate::tus::add(&server, &path, 0, "a cat")
        .await
        .problem(403, "hook.refused");
    assert_eq!(crate::tus::head(&server, &path).await.status, 404);
    assert!(crate::tus::files(&server).is_empty());
    assert_eq!(upload(&server, "title=fine", "a cat").await.status, 202);
    assert_eq!(heard.lock().unwrap().len(), 5);
}

/// While it is down, which it is the first `times`, happens what is configured.
async fn while_it_is_down(refusing: HookConfig, accepting: HookConfig, times: usize) {
    let refusing = serve(impatient(refusing), OnError::Refuse);
    for _ in 0..times {
        upload(&refusing, "", "a picture")
            .await
            .problem(503, "hook.unavailable");
    }
    assert!(crate::tus::files(&refusing).is_empty());
    let accepting = serve(impatient(accepting), OnError::Accept);
    for _ in 0..times {
        assert_eq!(upload(&accepting, "", "a picture").await.status, 202);
    }
}

async fn an_answer_without_a_decision_allows(hook: HookConfig) {
    let server = serve(hook, OnError::Refuse);
    assert_eq!(upload(&server, "", "a picture").await.status, 202);
}

#[tokio::test]
async fn http_is_told_what_is_known_and_may_change_what_was_said() {
    it_is_told_what_is_known_and_may_change_what_was_said(Over::Http).await;
}

#[tokio::test]
async fn grpc_is_told_what_is_known_and_may_change_what_was_said() {
    it_is_told_what_is_known_and_may_change_what_was_said(Over::Grpc).await;
}

#[tokio::test]
async fn what_http_refuses_leaves_nothing_behind() {
    what_it_refuses_leaves_nothing_behind(Over::Http).await;
}

#[tokio::test]
async fn what_grpc_refuses_leaves_nothing_behind() {
    what_it_refuses_leaves_nothing_behind(Over::Grpc).await;
}

#[tokio::test]
async fn while_http_is_down_happens_what_is_configured() {
    fn down(asked: &Asked) -> Steps {
        match asked.before {
            0 => vec![],
            1 => vec![head(500, &["Content-Length: 0"])],
            2 => says(&json!({ "decision": "perhaps" })),
            3 => vec![head(302, &["Location: /allow", "Content-Length: 0"])],
            4 => vec![Step::Pause(SILENCE)],
            _ => vec![
                head(200, &["Content-Length: 99999"]),
                bytes("x".repeat(99_999)),
            ],
        }
    }
    while_it_is_down(over_http(down).await, over_http(down).await, 6).await;
    an_answer_without_a_decision_allows(over_http(|_| vec![head(204, &[])]).await).await;
}

#[tokio::test]
async fn while_grpc_is_down_happens_what_is_configured() {
    fn down(
        before: usize,
        _: &proto::AcceptingRequest,
    ) -> Result<proto::AcceptingResponse, Status> {
        let changed = |changes| {
            Ok(proto::AcceptingResponse {
                decision: Some(Decision::Allow(changes)),
            })
        };
        match before {
            0 => Err(Status::unavailable("not now")),
            1 => Err(Status::permission_denied("who are you?")),
            2 => Err(Status::unknown("slow")),
            3 => changed(proto::Changes {
                visibility: Some("secret".into()),
                ..proto::Changes::default()
            }),
            4 => changed(proto::Changes {
                metadata_json: Some("[]".into()),
                ..proto::Changes::default()
            }),
            _ => changed(proto::Changes {
                title: Some("x".repeat(99_999)),
                ..proto::Changes::default()
            }),
        }
    }
    while_it_is_down(over_grpc(down).await, over_grpc(down).await, 6).await;
    let allows = over_grpc(|_, _| Ok(proto::AcceptingResponse::default())).await;
    an_answer_without_a_decision_allows(allows).await;
}

#[test]
fn one_way_is_configured_and_in_the_right_words() {
    let config = |url: Option<&str>, grpc: Option<&str>, token: Option<&str>| {
        let config = HookConfig {
            url: url.map(str::to_owned),
            secret: Some(format!("whsec_{}", BASE64_STANDARD.encode(KEY))),
            grpc: grpc.map(str::to_owned),
            token: token.map(str::to_owned),
            ..HookConfig::default()
        };
        config.check().err().unwrap_or_default()
    };
    let (http, grpc) = (Some("http://127.0.0.1:1/x"), Some("http://127.0.0.1:1"));
    assert_eq!(config(http, None, None), "");
    assert_eq!(config(None, grpc, Some("t")), "");
    assert_eq!(config(None, Some("https://hook.example.com"), None), "");
    assert!(config(http, grpc, None).contains("not both"));
    assert!(config(None, Some("127.0.0.1:1"), None).contains("ingest.hook.grpc"));
    assert!(config(None, grpc, Some("\n")).contains("ingest.hook.token"));
}
