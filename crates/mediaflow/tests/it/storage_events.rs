//! Objects that others put into a bucket become assets: told by S3 through SQS and SNS as moto plays them, and by webhooks.

use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server};
use mediaflow_servers::{S3, Sqs};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Amazon, as moto plays it.
struct Cloud {
    moto: Sqs,
    http: reqwest::Client,
}

impl Cloud {
    fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            moto: Sqs::start(),
            http: reqwest::Client::new(),
        }
    }

    fn ask(&self, service: &str, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        // moto takes the service from here and believes every signature.
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self
            .http
            .request(method, format!("{}{path}", self.moto.endpoint()));
        request.header("authorization", signed)
    }

    async fn said(request: reqwest::RequestBuilder) -> String {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        text
    }

    async fn sqs(&self, action: &str, arguments: Value) -> Value {
        let request = self.ask("sqs", reqwest::Method::POST, "/");
        let request = request
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .header("content-type", "application/x-amz-json-1.0");
        let said = Self::said(request.body(arguments.to_string())).await;
        serde_json::from_str(&said).unwrap_or_default()
    }

    async fn queue(&self, name: &str) -> String {
        let made = self.sqs("CreateQueue", json!({ "QueueName": name })).await;
        made["QueueUrl"].as_str().unwrap().to_owned()
    }

    async fn send(&self, queue: &str, body: &str) {
        self.sqs(
            "SendMessage",
            json!({ "QueueUrl": queue, "MessageBody": body }),
        )
        .await;
    }

    /// Messages that are waiting, or are with somebody.
    async fn waiting(&self, queue: &str) -> u64 {
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ];
        let told = self
            .sqs(
                "GetQueueAttributes",
                json!({ "QueueUrl": queue, "AttributeNames": names }),
            )
            .await;
        let number = |name: &str| {
            told["Attributes"][name]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        names.iter().map(|name| number(name)).sum()
    }

    async fn put(&self, path: &str, body: impl Into<reqwest::Body>) {
        let request = self.ask("s3", reqwest::Method::PUT, path);
        let request = request.header("content-type", "application/octet-stream");
        Self::said(request.body(body)).await;
    }

    async fn sns(&self, form: &str) {
        let request = self.ask("sns", reqwest::Method::POST, "/");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Self::said(request.body(form.to_owned())).await;
    }
}

async fn names(server: &Server) -> Vec<String> {
    let page = server.get("/v1/assets?limit=200").await;
    let items = page["items"].as_array().unwrap().iter();
    let mut names: Vec<_> = items
        .map(|a| a["original"]["filename"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn takes(server: &Server, expected: &[&str]) {
    let began = Instant::now();
    while names(server).await != expected {
        assert!(began.elapsed() < PATIENCE, "{:?}", names(server).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn record(bucket: &str, key: &str, sequencer: &str) -> Value {
    let object = json!({ "key": key, "size": 5, "sequencer": sequencer });
    json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": bucket }, "object": object } })
}

#[tokio::test]
async fn s3_tells_through_sqs_and_sns() {
    let cloud = Cloud::start();
    let (direct, wrapped) = (cloud.queue("direct").await, cloud.queue("wrapped").await);
    let arn =
        |service: &str, name: &str| format!("arn:aws:{service}:us-east-1:123456789012:{name}");
    cloud.sns("Action=CreateTopic&Name=told").await;
    let form = format!(
        "Action=Subscribe&Protocol=sqs&TopicArn={}&Endpoint={}",
        arn("sns", "told"),
        arn("sqs", "wrapped")
    );
    cloud.sns(&form).await;
    for (bucket, to) in [
        (
            "one",
            format!(
                "<QueueConfiguration><Id>1</Id><Queue>{}</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration>",
                arn("sqs", "direct")
            ),
        ),
        (
            "two",
            format!(
                "<TopicConfiguration><Id>1</Id><Topic>{}</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration>",
                arn("sns", "told")
            ),
        ),
    ] {
        cloud.put(&format!("/{bucket}"), "").await;
        let xml = format!(
            "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{to}</NotificationConfiguration>"
        );
        cloud.put(&format!("/{bucket}?notification"), xml).await;
    }
    let endpoint = cloud.moto.endpoint();
    let entry = |name: &str, bucket: &str, queue: &str| {
        format!(
            "[[ingest.events]]\nname = \"{name}\"\nbucket = \"s3://{bucket}/in\"\nqueue = \"{queue}\"\nendpoint = \"{endpoint}\"\n\
         access_key_id = \"test\"\nsecret_access_key = \"test\"\ntags = [\"{name}\"]\n"
        )
    };
    let config = entry("first", "one", &direct) + &entry("second", "two", &wrapped);
    let folder = given::config(&format!("[worker]\ncpu = 1\n{config}"));
    // Told before anybody listens.
    cloud.put("/one/in/a.jpg", photo(32, 24, 1)).await;
    let server = Server::start(folder.path());
    takes(&server, &["a.jpg"]).await;
    cloud.put("/two/in/deep/b.jpg", photo(32, 24, 2)).await;
    cloud.put("/one/elsewhere/c.jpg", photo(32, 24, 3)).await;
    cloud.put("/one/in/text.jpg", "no picture").await;
    // Poison: neither blocks what comes after it.
    cloud.send(&direct, "no JSON").await;
    cloud.put("/one/in/d.jpg", photo(32, 24, 4)).await;
    takes(&server, &["a.jpg", "b.jpg", "d.jpg"]).await;
    let page = server.get("/v1/assets?tag=second").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    // Overwritten by something else it is another file; told twice it is the same.
    cloud.put("/one/in/a.jpg", photo(32, 24, 5)).await;
    takes(&server, &["a.jpg", "a.jpg", "b.jpg", "d.jpg"]).await;
    let began = Instant::now();
    while cloud.waiting(&direct).await > 1 || cloud.waiting(&wrapped).await > 0 {
        assert!(
            began.elapsed() < PATIENCE,
            "messages of what is an asset are deleted"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let id = page["items"][0]["id"].as_str().unwrap();
    server.asset_in(id, "ready").await;
}

#[tokio::test]
async fn what_is_told_in_odd_ways_is_taken_once() {
    let (cloud, s3) = (Cloud::start(), S3::start());
    let queue = cloud.queue("odd").await;
    let bucket = s3.bucket("incoming");
    let (endpoint, id, secret) = (s3.endpoint(), S3::KEY_ID, S3::SECRET);
    let reached = format!(
        "endpoint = \"{endpoint}\"\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n"
    );
    let folder = given::config(&format!(
        "blobs = \"{bucket}/mediaflow\"\n[object_store]\n{reached}[worker]\ncpu = 1\n\
         [[ingest.events]]\nname = \"odd\"\nbucket = \"{bucket}\"\nqueue = \"{queue}\"\ntoken = \"{TOKEN}\"\n{reached}"
    ));
    for (n, key) in ["a b+c.jpg", "ä/ö%.jpg", "late.jpg"]
        .into_iter()
        .enumerate()
    {
        given::write(&s3.files("incoming"), key, &photo(32, 24, n as u32));
    }
    let told = |key: &str, sequencer: &str| {
        json!({ "Records": [record("incoming", key, sequencer)] }).to_string()
    };
    // Twice, in the wrong order, of other buckets, of what is gone, and of what we wrote ourselves.
    for body in [
        told("a+b%2Bc.jpg", "2"),
        told("a+b%2Bc.jpg", "2"),
        json!({ "Records": [record("incoming", "%C3%A4/%C3%B6%25.jpg", "1"), record("other", "late.jpg", "1")] }).to_string(),
        told("gone.jpg", "1"),
        told("mediaflow/originals/00/00000000-0000-7000-8000-000000000000", "1"),
        told("folder/", "1"),
        json!({ "Event": "s3:TestEvent" }).to_string(),
    ] {
        cloud.send(&queue, &body).await;
    }
    let server = Server::start(folder.path());
    takes(&server, &["a b+c.jpg", "ö%.jpg"]).await;
    let began = Instant::now();
    while cloud.waiting(&queue).await > 0 {
        assert!(began.elapsed() < PATIENCE, "all are answered for good");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The same over the webhook, with its own token, also when the server is killed right after its answer.
    let post = async |server: &Server, token: &str, body: String| {
        let request = server
            .http()
            .post(server.url("/v1/storage-events"))
            .body(body);
        let answer = request
            .header("authorization", format!("Bearer {token}"))
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let (status, said) = post(&server, TOKEN, told("a+b%2Bc.jpg", "2")).await;
    assert_eq!((status, &said["objects"]), (200, &json!(1)));
    assert_eq!(post(&server, "wrong", told("late.jpg", "1")).await.0, 401);
    assert_eq!(post(&server, TOKEN, "no JSON".into()).await.0, 400);
    assert_eq!(post(&server, TOKEN, "{}".into()).await.0, 200);
    assert_eq!(post(&server, TOKEN, told("late.jpg", "1")).await.0, 200);
    server.kill();
    let server = Server::start(folder.path());
    takes(&server, &["a b+c.jpg", "late.jpg", "ö%.jpg"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    takes(&server, &["a b+c.jpg", "late.jpg", "ö%.jpg"]).await;
}
