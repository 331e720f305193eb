//! Amazon SQS: a queue for each queue of ours, standard or FIFO. A message is deleted right after its claim, so that no visibility
//! window waits for work and a dead-letter queue stays empty.

pub(crate) mod events;
pub(crate) mod inbox;
mod queues;

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source, Verdict};
use crate::address::Address;
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use mediaflow_core::Queue;
use queues::Queues;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

const NAME: &str = "sqs";
/// What SQS takes and gives at once.
const BATCH: usize = 10;

pub(crate) struct Sqs {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Queues,
    attributes: Value,
    wait_s: u32,
    visibility_s: u32,
}

impl Sqs {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let queues = Queues::new(&mut address, false)?;
        let wait_s = u32::min(address.take("wait", 20)?, 20);
        let visibility_s: u32 = address.take("visibility", 30)?;
        let retention_s: u32 = address.take("retention", 3600)?;
        address.nothing_left()?;
        let attributes = json!({
            "MessageRetentionPeriod": retention_s.to_string(),
            "VisibilityTimeout": visibility_s.to_string(),
            "ReceiveMessageWaitTimeSeconds": wait_s.to_string(),
        });
        Ok(Self {
            shared: Arc::new(Shared {
                queues,
                attributes,
                wait_s,
                visibility_s,
            }),
        })
    }
}

impl Shared {
    fn name(&self, queue: Queue) -> String {
        self.queues.named(&format!("wake-{}", queue.as_str()))
    }

    async fn url(&self, queue: Queue) -> Result<String, BrokerError> {
        self.queues.url(&self.name(queue), &self.attributes).await
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        queue: Queue,
        action: &str,
        arguments: Value,
    ) -> Result<T, BrokerError> {
        let name = self.name(queue);
        let call = self.queues.call(&name, &self.attributes, action, arguments);
        call.await
    }

    async fn batch(
        &self,
        queue: Queue,
        action: &str,
        entries: Vec<Value>,
    ) -> Result<(), BrokerError> {
        let name = self.name(queue);
        let batch = self.queues.batch(&name, &self.attributes, action, entries);
        batch.await
    }

    fn message(&self, id: usize, ring: Ring) -> Value {
        let mut entry = json!({ "Id": id.to_string(), "MessageBody": ring.to_line() });
        if self.queues.is_fifo() {
            entry["MessageGroupId"] = json!(ring.asset.0.to_string());
            // The same task rings again when nobody claimed it; that is no duplicate to be dropped.
            entry["MessageDeduplicationId"] = json!(Uuid::new_v4().to_string());
        }
        entry
    }

    async fn receive(&self, queue: Queue) -> Result<Vec<Received<Handle>>, BrokerError> {
        let arguments = json!({
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": self.wait_s,
            "VisibilityTimeout": self.visibility_s,
        });
        let answer: inbox::Answer = self.call(queue, "ReceiveMessage", arguments).await?;
        let received = answer.messages.into_iter().map(|message| Received {
            ring: Ring::from_line(&message.body),
            receipt: Handle {
                queue,
                handle: message.receipt_handle,
            },
        });
        Ok(received.collect())
    }
}

/// A received message.
pub(crate) struct Handle {
    queue: Queue,
    handle: String,
}

#[async_trait]
impl Adapter for Sqs {
    type Receipt = Handle;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        for &queue in Queue::ALL {
            let of: Vec<Ring> = rings.iter().filter(|r| r.queue == queue).copied().collect();
            for some in of.chunks(BATCH) {
                let entries = some.iter().enumerate();
                let entries = entries.map(|(id, &ring)| self.shared.message(id, ring));
                self.shared
                    .batch(queue, "SendMessageBatch", entries.collect())
                    .await?;
            }
        }
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        self.shared.url(Queue::Image).await?;
        let arguments = json!({ "AttributeNames": ["QueueArn"] });
        let _: Value = self
            .shared
            .call(Queue::Image, "GetQueueAttributes", arguments)
            .await?;
        Ok(())
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<Handle>, BrokerError> {
        for &queue in queues {
            self.shared.url(queue).await?;
        }
        // One poll for each queue at a time; what they bring waits for room.
        let (sender, heard) = mpsc::channel(1);
        let mut polls = JoinSet::new();
        for &queue in queues {
            polls.spawn(poll(Arc::clone(&self.shared), queue, sender.clone()));
        }
        Ok(Halves {
            source: Box::new(Ear {
                heard,
                _polls: polls,
            }),
            settler: Box::new(Back(Arc::clone(&self.shared))),
        })
    }
}

type Heard = Result<Vec<Received<Handle>>, BrokerError>;

async fn poll(shared: Arc<Shared>, queue: Queue, sender: mpsc::Sender<Heard>) {
    loop {
        let heard = shared.receive(queue).await;
        let ended = heard.is_err();
        // A server that does not wait although it is asked to must not be asked without end.
        let pause = match &heard {
            Ok(messages) if messages.is_empty() => std::time::Duration::from_millis(200),
            _ => std::time::Duration::ZERO,
        };
        if sender.send(heard).await.is_err() || ended {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

struct Ear {
    heard: mpsc::Receiver<Heard>,
    _polls: JoinSet<()>,
}

#[async_trait]
impl Source<Handle> for Ear {
    async fn receive(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => Err(BrokerError::transient(NAME, "polling ended")),
        }
    }
}

struct Back(Arc<Shared>);

#[async_trait]
impl Settle<Handle> for Back {
    async fn settle(&mut self, settled: Vec<Settled<Handle>>) -> Result<(), BrokerError> {
        let mut batches: BTreeMap<(Queue, bool), Vec<Value>> = BTreeMap::new();
        for Settled { receipt, verdict } in settled {
            let back = verdict != Verdict::Acknowledged;
            let entries = batches.entry((receipt.queue, back)).or_default();
            let id = (entries.len() % BATCH).to_string();
            let mut entry = json!({ "Id": id, "ReceiptHandle": receipt.handle });
            if back {
                entry["VisibilityTimeout"] = json!(0);
            }
            entries.push(entry);
        }
        for ((queue, back), entries) in batches {
            let action = match back {
                true => "ChangeMessageVisibilityBatch",
                false => "DeleteMessageBatch",
            };
            for some in entries.chunks(BATCH) {
                self.0.batch(queue, action, some.to_vec()).await?;
            }
        }
        Ok(())
    }
}
