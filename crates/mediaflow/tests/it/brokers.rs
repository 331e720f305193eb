//! A broker wakes workers and carries events, and nothing is lost by what it loses.

use crate::cluster::Cluster;
use crate::given;
use crate::pictures::photo;
use crate::server::{Server, run, stderr, stdout};
use mediaflow_servers::{Kafka, Redis};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::{ClientConfig, Message as _};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Workers that are not told of an upload would find it after this long: each pause begins anew with the end of a task.
const POLL: Duration = Duration::from_secs(60);

fn rarely() -> String {
    format!("poll_ms = {}\n", POLL.as_millis())
}

/// Uploads, and answers how long it took until the asset was ready.
async fn made(server: &Server, seed: u32) -> Duration {
    let began = Instant::now();
    let asset = server.upload("", photo(320, 240, seed)).await;
    server.asset_in(&asset, "ready").await;
    began.elapsed()
}

async fn broker_is_well(server: &Server) -> bool {
    let answer = server
        .http()
        .get(server.url("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.status(),
        200,
        "a broker is no reason to be sent away"
    );
    let said: Value = answer.json().await.unwrap();
    said["checks"]["broker"]["ok"].as_bool().unwrap()
}

async fn metric(server: &Server, name: &str) -> f64 {
    let answer = server
        .http()
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn redis_wakes_workers_and_they_work_without_it() {
    let (cluster, redis) = (Cluster::start(), Redis::start(&[]));
    let settings = format!("broker = \"{}\"\n", redis.url(0));
    let api = cluster.join_with("\"api\"", &settings, "");
    let api = &api.server;
    let worker = cluster.join_with("\"worker\"", &settings, &rarely());
    for seed in 0..3 {
        let time = made(api, seed).await;
        assert!(time < POLL, "nobody was told: {time:?}");
    }
    assert!(broker_is_well(api).await);
    assert!(metric(api, "mediaflow_broker_announced_total").await >= 3.0);
    let worker = &worker.server;
    assert!(metric(worker, "mediaflow_broker_received_total").await >= 3.0);
    assert!(metric(worker, "mediaflow_broker_acknowledged_total").await >= 3.0);

    redis.server().signal("KILL").unwrap();
    let _polling = cluster.join_with("\"worker\"", &settings, "poll_ms = 500\n");
    let time = made(api, 3).await;
    assert!(time < POLL, "nobody polls: {time:?}");
    assert!(!broker_is_well(api).await);
    assert_eq!(metric(api, "mediaflow_broker_up").await, 0.0);
}

/// What a consumer of Kafka's reads: bodies of events in the order in which they arrive, of all topics.
struct Reader {
    consumer: StreamConsumer,
    events: Vec<(String, Value)>,
    ids: BTreeSet<String>,
}

impl Reader {
    fn of(kafka: &Kafka) -> Self {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.address())
            .set("group.id", "reader")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "true")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .create()
            .unwrap();
        let topics = [
            "ingest",
            "moderation",
            "processing",
            "delivery",
            "deadletter",
        ];
        let topics = topics.map(|topic| format!("mediaflow.{topic}"));
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).unwrap();
        Self {
            consumer,
            events: Vec::new(),
            ids: BTreeSet::new(),
        }
    }

    /// Until it has seen enough.
    async fn read_until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        let reading = async {
            while !is_enough(self) {
                self.read().await;
            }
        };
        let in_time = tokio::time::timeout(POLL * 3, reading).await;
        in_time.expect("what happens is told");
    }

    async fn read(&mut self) {
        let Ok(message) = self.consumer.recv().await else {
            return tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let event: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert!(event["tenant"].is_string());
        self.ids.insert(event["id"].as_str().unwrap().to_owned());
        self.events.push((message.topic().to_owned(), event));
    }
}

/// What happened to these, by the events' ids.
async fn histories(server: &Server, assets: &[String]) -> BTreeMap<String, Value> {
    let mut events = BTreeMap::new();
    for asset in assets {
        let path = format!("/v1/assets/{asset}/events?limit=200");
        let history = server.get(&path).await;
        for event in history["items"].as_array().unwrap() {
            let id = event["id"].as_str().unwrap().to_owned();
            events.insert(id, event.clone());
        }
    }
    events
}

#[tokio::test]
async fn kafka_wakes_workers_and_carries_every_event_in_order_whoever_dies() {
    let (cluster, kafka) = (Cluster::start(), Kafka::start());
    let address = kafka.url("mediaflow");
    let settings = format!("broker = \"{address}\"\nevents.to = \"{address}\"\n");
    let join = || cluster.join_with("\"api\"", &settings, "");
    let doomed = join();
    let worker = cluster.join_with("\"worker\"", &settings, &rarely());
    let mut reader = Reader::of(&kafka);
    let mut assets = Vec::new();
    for seed in 0..4 {
        assets.push(doomed.server.upload("", photo(320, 240, seed)).await);
    }
    // It tells, and dies while it does.
    reader.read_until(|reader| reader.events.len() >= 5).await;
    doomed.server.kill();
    let next = join();
    for asset in &assets {
        next.server.asset_in(asset, "ready").await;
    }
    assert!(metric(&worker.server, "mediaflow_broker_received_total").await >= 1.0);
    let expected = histories(&next.server, &assets).await;
    let has_all = |reader: &Reader| expected.keys().all(|id| reader.ids.contains(id));
    reader.read_until(has_all).await;
    // The last events are numbered a moment after what they tell of can be seen.
    let expected = histories(&next.server, &assets).await;
    let mut first_times = BTreeSet::new();
    let mut last = BTreeMap::new();
    for (topic, event) in &reader.events {
        let known = &expected[event["id"].as_str().unwrap()];
        for attribute in ["type", "subject", "time", "sequence", "position", "data"] {
            assert_eq!(event[attribute], known[attribute]);
        }
        if first_times.insert(event["id"].as_str().unwrap()) {
            let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
            let place = (topic, event["subject"].as_str().unwrap());
            let before = last.insert(place, sequence).unwrap_or(0);
            assert!(before < sequence, "{before} came before {event}");
        }
    }
}

#[test]
fn a_broker_that_cannot_be_used_is_said_without_its_password() {
    let store = "store = \"postgres://me:secret@127.0.0.1:1/db\"\n";
    let keys = "00".repeat(32);
    let keys = format!("[[delivery.signing_keys]]\nid = \"a\"\nsecret = \"{keys}\"\n");
    for (config, said) in [
        ("broker = \"redis://127.0.0.1\"\n", "broker needs `store"),
        (
            "broker = \"mqtt://me:secret@there\"\n",
            "mqtt:// is no broker",
        ),
        (
            "broker = \"kafka://me:secret@there?no.such=1\"\n",
            "broker: kafka",
        ),
        ("[events]\nto = \"amqp://me:secret@there\"\n", "events.to: "),
    ] {
        let store = if said.contains("store") { "" } else { store };
        let config = format!("{store}{config}{keys}");
        let folder = given::config(&config);
        let done = run(folder.path(), &["config", "check"]);
        assert!(!done.status.success());
        let text = stderr(&done);
        assert!(text.contains(said) && !text.contains("me:secret"), "{text}");
    }
    let broker = "broker = \"redis://me:hidden@127.0.0.1:1\"\n";
    let folder = given::config(&format!("{store}{broker}{keys}"));
    let shown = stdout(&run(folder.path(), &["config", "show"]));
    assert!(shown.contains("redis://me@127.0.0.1:1"), "{shown}");
    assert!(!shown.contains("hidden"), "{shown}");
    let doctor = stdout(&run(folder.path(), &["doctor"]));
    let line = doctor.lines().find(|line| line.contains("broker")).unwrap();
    assert!(
        line.contains("when they poll") && !line.contains("hidden"),
        "{line}"
    );
}
