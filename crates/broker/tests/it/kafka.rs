//! What only Kafka does.

use crate::place::{Place as _, Scene};
use crate::places::Kafka;
use crate::suite::{announce, ring, ring_until_heard};
use mediaflow_core::Queue;
use std::time::Duration;
use tokio::time::timeout;

/// A worker holds a ring while its partition moves to another one: its late acknowledgement does no harm, to either.
pub(crate) async fn a_rebalance_in_the_middle_of_a_claim_is_survived(scene: &Scene<Kafka>) {
    let broker = scene.broker.clone();
    // A handle that only listens: what it says of failures is nothing that a loaded machine did to who rings.
    let ear = scene.again();
    let mut first = ear.listen(&[Queue::Image]);
    ring_until_heard(&broker, &mut first, Queue::Image).await;
    let failures = ear.stats().failures;
    let rings: Vec<_> = (0..20).map(|_| ring(Queue::Image, 0)).collect();
    announce(&broker, &rings).await;
    let mut held = timeout(Duration::from_secs(30), first.next_many(64))
        .await
        .unwrap();
    // Others join and take partitions over.
    let mut second = scene.again().listen(&[Queue::Image]);
    let mut third = scene.again().listen(&[Queue::Image]);
    let mut heard = 0;
    let others = async {
        while heard == 0 {
            announce(&broker, &rings).await;
            tokio::select! {
                many = first.next_many(64) => held.extend(many),
                many = second.next_many(64) => { heard += many.len(); many.into_iter().for_each(|d| d.acknowledge()) },
                many = third.next_many(64) => { heard += many.len(); many.into_iter().for_each(|d| d.acknowledge()) },
            }
        }
    };
    timeout(Duration::from_secs(60), others)
        .await
        .expect("partitions move");
    held.into_iter().for_each(|delivery| delivery.acknowledge());
    drop((second, third));
    ring_until_heard(&broker, &mut first, Queue::Image).await;
    assert_eq!(ear.stats().failures, failures);
}

/// Settings with a dot go to librdkafka, which knows them.
pub(crate) async fn settings_of_the_library_can_be_given(scene: &Scene<Kafka>) {
    let address = scene.place().open("x").name();
    assert_eq!(address, "kafka");
    for (settings, good) in [
        (
            "fetch.min.bytes=1024&fetch.wait.max.ms=500&batch.num.messages=10",
            true,
        ),
        ("compression.type=gzip&linger.ms=20", true),
        ("fetch.min.bytes=many", false),
        ("no.such.setting=1", false),
        ("security.protocol=ssl", cfg!(feature = "kafka-tls")),
    ] {
        let opened = mediaflow_broker::Broker::open(&format!("kafka://127.0.0.1:1/p?{settings}"));
        assert_eq!(opened.is_ok(), good, "{settings}: {opened:?}");
    }
}
