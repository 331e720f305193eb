//! Events, read by others: all of them, each asset's in its order, and the same ones when they are sent again.

use crate::place::Scene;
use crate::places::{Kafka, Redis, Sqs};
use crate::sqs::{ask, give_keys};
use crate::suite::patiently;
use mediaflow_broker::{Event, Outlet};
use mediaflow_core::AssetId;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::{ClientConfig, Message as _};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const ASSETS: u64 = 3;
const EACH: u64 = 8;

/// What happened to some assets, mixed. The body tells whose and which it is.
fn history() -> Vec<Event> {
    let assets: Vec<Uuid> = (0..ASSETS).map(|_| Uuid::new_v4()).collect();
    let mixed = (1..=EACH).flat_map(|number| assets.iter().map(move |asset| (number, *asset)));
    let events = mixed.map(|(number, asset)| {
        let id = Uuid::new_v4();
        Event {
            topic: "processing",
            asset: AssetId(asset),
            id,
            kind: "task.succeeded",
            body: json!({ "id": id, "subject": asset, "sequence": number }).to_string(),
        }
    });
    events.collect()
}

/// Takes what is read until all is there; the first time that each arrives must be in order.
#[derive(Default)]
struct Reader {
    ids: HashSet<String>,
    last: HashMap<String, u64>,
}

impl Reader {
    /// Answers whether all are there.
    fn reads(&mut self, body: &str) -> bool {
        let event: Value = serde_json::from_str(body).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        if self.ids.insert(text("id")) {
            let last = self.last.entry(text("subject")).or_default();
            *last += 1;
            assert_eq!(event["sequence"], *last, "out of order: {event}");
        }
        self.ids.len() as u64 == ASSETS * EACH
    }
}

/// Sends, as a process does that dies after a part, and another one that begins anew.
async fn send(outlet: &Outlet) -> Vec<Event> {
    patiently(async || outlet.health().await).await;
    let events = history();
    patiently(async || outlet.send(&events[..10]).await).await;
    patiently(async || outlet.send(&events).await).await;
    assert!(outlet.stats().announced >= events.len() as u64 + 10);
    assert_eq!(outlet.trouble(), None);
    events
}

pub(crate) async fn kafka(scene: &Scene<Kafka>) {
    let address = scene.place().address().to_owned();
    let outlet = Outlet::open(&format!("kafka://{address}/{}", scene.name)).unwrap();
    let events = send(&outlet).await;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", &scene.name)
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let topic = format!("{}.processing", scene.name);
    consumer.subscribe(&[&topic]).unwrap();
    let mut reader = Reader::default();
    let keys: HashSet<Vec<u8>> = events
        .iter()
        .map(|e| e.asset.0.as_bytes().to_vec())
        .collect();
    let all = async {
        loop {
            let message = consumer.recv().await.unwrap();
            assert!(keys.contains(message.key().unwrap()));
            let body = std::str::from_utf8(message.payload().unwrap()).unwrap();
            if reader.reads(body) {
                return;
            }
        }
    };
    timeout(SOON, all).await.expect("all are read");
}

pub(crate) async fn redis(scene: &Scene<Redis>) {
    let url = scene.place().server().url(0);
    let outlet = Outlet::open(&format!("{url}?prefix={}", scene.name)).unwrap();
    let events = send(&outlet).await;
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut ask = redis::cmd("XRANGE");
    ask.arg(format!("{{{}}}:events:processing", scene.name));
    let found: redis::streams::StreamRangeReply = ask
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut reader = Reader::default();
    let complete = found.ids.iter().map(|entry| {
        let id: String = entry.get("id").unwrap();
        assert!(events.iter().any(|event| event.id.to_string() == id));
        reader.reads(&entry.get::<String>("event").unwrap())
    });
    assert!(complete.last().unwrap());
}

/// Reads a queue until all is there.
async fn drain(endpoint: &str, queue: &str, unwrap: impl Fn(&Value) -> String) {
    let found = ask(endpoint, "GetQueueUrl", json!({ "QueueName": queue })).await;
    let url = &found["QueueUrl"];
    let mut reader = Reader::default();
    let all = async {
        loop {
            let receive =
                json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
            let received = ask(endpoint, "ReceiveMessage", receive).await;
            for message in received["Messages"].as_array().into_iter().flatten() {
                if reader.reads(&unwrap(message)) {
                    return;
                }
                let done = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
                ask(endpoint, "DeleteMessage", done).await;
            }
        }
    };
    timeout(SOON, all).await.expect("all are read");
}

pub(crate) async fn sqs(scene: &Scene<Sqs>) {
    give_keys();
    let endpoint = scene.place().server().endpoint();
    let address = format!("sqs://eu-west-1/{}?endpoint={endpoint}", scene.name);
    send(&Outlet::open(&address).unwrap()).await;
    let queue = format!("{}-processing.fifo", scene.name);
    let body = |message: &Value| message["Body"].as_str().unwrap().to_owned();
    drain(&endpoint, &queue, body).await;
}

/// A queue is subscribed to the topic, as Amazon's users do.
pub(crate) async fn sns(scene: &Scene<Sqs>) {
    give_keys();
    let endpoint = scene.place().server().endpoint();
    let address = format!("sns://eu-west-1/{}?endpoint={endpoint}", scene.name);
    let outlet = Outlet::open(&address).unwrap();
    let queue = format!("{}-read.fifo", scene.name);
    let fifo = json!({ "QueueName": queue, "Attributes": { "FifoQueue": "true" } });
    ask(&endpoint, "CreateQueue", fifo).await;
    let account = "arn:aws:{}:eu-west-1:123456789012:";
    let topic = format!(
        "{}{}-processing.fifo",
        account.replace("{}", "sns"),
        scene.name
    );
    let form = [
        (
            "Action=CreateTopic&Name=",
            format!("{}-processing.fifo", scene.name),
        ),
        (
            "&Attributes.entry.1.key=FifoTopic&Attributes.entry.1.value=true",
            String::new(),
        ),
    ];
    subscribe(&endpoint, &form).await;
    let form = [
        ("Action=Subscribe&Protocol=sqs&TopicArn=", topic),
        (
            "&Endpoint=",
            format!("{}{queue}", account.replace("{}", "sqs")),
        ),
    ];
    subscribe(&endpoint, &form).await;
    send(&outlet).await;
    drain(&endpoint, &queue, |message| {
        let wrapped: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
        wrapped["Message"].as_str().unwrap().to_owned()
    })
    .await;
}

async fn subscribe(endpoint: &str, form: &[(&str, String)]) {
    let key = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/sns/aws4_request, SignedHeaders=host, Signature=0";
    let parts = form.iter().map(|(name, value)| format!("{name}{value}"));
    let request = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", key)
        .body(parts.collect::<String>() + "&Version=2010-03-31");
    let answer = request.send().await.unwrap();
    let status = answer.status();
    assert!(status.is_success(), "{}", answer.text().await.unwrap());
}
