//! What only SQS does.

use crate::place::Scene;
use crate::places::Sqs;
use crate::suite::{announce, hear, listening, ring, ring_until_heard};
use mediaflow_core::Queue;
use serde_json::{Value, json};
use std::sync::Once;
use std::time::Duration;
use tokio::time::timeout;

/// Moto takes any key, but there must be one.
#[expect(unsafe_code, reason = "the environment is where keys are looked for")]
pub(crate) fn give_keys() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: nothing in these tests reads variables by way of C.
        unsafe {
            std::env::set_var("AWS_ACCESS_KEY_ID", "test");
            std::env::set_var("AWS_SECRET_ACCESS_KEY", "test");
        }
    });
}

/// A call of an operator, or of whoever reads what others wrote.
pub(crate) async fn ask(endpoint: &str, action: &str, body: Value) -> Value {
    let key = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
    let request = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("AmazonSQS.{action}"))
        .header("authorization", key)
        .body(body.to_string());
    let answer = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap_or_default()
}

/// An operator made the queue, with a dead-letter queue: nothing ever gets there, for nothing is received often.
pub(crate) async fn a_dead_letter_queue_stays_empty(scene: &Scene<Sqs>) {
    let endpoint = scene.place().server().endpoint();
    let made = ask(&endpoint, "CreateQueue", json!({ "QueueName": "dead" })).await;
    let dead = json!({ "QueueUrl": made["QueueUrl"], "AttributeNames": ["All"] });
    let attributes = ask(&endpoint, "GetQueueAttributes", dead.clone()).await;
    let arn = &attributes["Attributes"]["QueueArn"];
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": "2" }).to_string();
    let queue = json!({
        "QueueName": "given-wake-image",
        "Attributes": { "RedrivePolicy": redrive, "VisibilityTimeout": "1" },
    });
    ask(&endpoint, "CreateQueue", queue).await;
    let broker = scene.place().open_with("given", "&create=false");
    let mut listener = listening(&broker, &[Queue::Image]).await;
    let rings: Vec<_> = (0..40).map(|_| ring(Queue::Image, 0)).collect();
    announce(&broker, &rings).await;
    for _ in 0..40 {
        let delivery = timeout(Duration::from_secs(30), listener.next())
            .await
            .unwrap();
        delivery.acknowledge();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let attributes = ask(&endpoint, "GetQueueAttributes", dead).await;
    assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessages"], "0");
}

pub(crate) async fn a_queue_that_is_not_there_and_may_not_be_made_is_said(scene: &Scene<Sqs>) {
    let broker = scene.place().open_with("nobody-made-this", "&create=false");
    let error = broker.announce(&[ring(Queue::Image, 0)]).await.unwrap_err();
    assert!(
        !error.is_transient() && error.to_string().contains("QueueDoesNotExist"),
        "{error}"
    );
}

pub(crate) async fn fifo_queues_ring_again_for_the_same_task(scene: &Scene<Sqs>) {
    let broker = scene.place().open_with("ordered", "&fifo=true");
    let mut listener = listening(&broker, &[Queue::Image]).await;
    let again = ring(Queue::Image, 0);
    for _ in 0..2 {
        announce(&broker, &[again]).await;
        // Rings of other assets may still come in between.
        let heard = timeout(Duration::from_secs(30), hear(&mut listener, again));
        heard.await.unwrap();
    }
    ring_until_heard(&broker, &mut listener, Queue::Image).await;
}
