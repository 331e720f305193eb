//! Amazon SQS: a queue for each queue of ours, standard or FIFO. A message is deleted right after its claim, so that no visibility
//! window waits for work and a dead-letter queue stays empty.

mod client;
mod credentials;
mod sign;

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source, Verdict};
use crate::address::Address;
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use client::Client;
use mediaflow_core::Queue;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
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
    client: Client,
    prefix: String,
    fifo: bool,
    create: bool,
    wait_s: u32,
    visibility_s: u32,
    retention_s: u32,
    urls: Mutex<BTreeMap<Queue, String>>,
}

impl Sqs {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let region = address.authority.clone();
        if region.is_empty() || address.user.is_some() {
            let message =
                "the address must be sqs://region[/prefix]; credentials come from the environment";
            return Err(BrokerError::permanent(NAME, message));
        }
        let prefix = match address.path.as_str() {
            "" => "mediaflow".to_owned(),
            path => path.to_owned(),
        };
        let default = format!("https://sqs.{region}.amazonaws.com");
        let endpoint: String = address.take("endpoint", default)?;
        let (fifo, create) = (address.take("fifo", false)?, address.take("create", true)?);
        let wait_s = address.take("wait", 20)?;
        let visibility_s = address.take("visibility", 30)?;
        let retention_s = address.take("retention", 3600)?;
        address.nothing_left()?;
        Ok(Self {
            shared: Arc::new(Shared {
                client: Client::new(region, endpoint)?,
                prefix,
                fifo,
                create,
                wait_s: u32::min(wait_s, 20),
                visibility_s,
                retention_s,
                urls: Mutex::default(),
            }),
        })
    }
}

impl Shared {
    fn name(&self, queue: Queue) -> String {
        let end = if self.fifo { ".fifo" } else { "" };
        format!("{}-wake-{}{end}", self.prefix, queue.as_str())
    }

    fn urls(&self) -> std::sync::MutexGuard<'_, BTreeMap<Queue, String>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue's URL; makes the queue where it is not there and that is allowed.
    async fn url(&self, queue: Queue) -> Result<String, BrokerError> {
        if let Some(url) = self.urls().get(&queue) {
            return Ok(url.clone());
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Found {
            queue_url: String,
        }
        let name = json!({ "QueueName": self.name(queue) });
        let found: Result<Found, _> = self.client.call("GetQueueUrl", &name).await;
        let found = match found {
            Err(error) if error.is_missing_queue() && self.create => {
                let make = self.creation(queue);
                self.client.call("CreateQueue", &make).await
            }
            other => other,
        };
        let url = found.map_err(BrokerError::from)?.queue_url;
        self.urls().insert(queue, url.clone());
        Ok(url)
    }

    fn creation(&self, queue: Queue) -> Value {
        let mut attributes = json!({
            "MessageRetentionPeriod": self.retention_s.to_string(),
            "VisibilityTimeout": self.visibility_s.to_string(),
            "ReceiveMessageWaitTimeSeconds": self.wait_s.to_string(),
        });
        if self.fifo {
            attributes["FifoQueue"] = json!("true");
        }
        json!({ "QueueName": self.name(queue), "Attributes": attributes })
    }

    /// Calls with a queue's URL. One that is gone is made again with the next call.
    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        queue: Queue,
        action: &str,
        mut arguments: Value,
    ) -> Result<T, BrokerError> {
        arguments["QueueUrl"] = json!(self.url(queue).await?);
        let answer = self.client.call(action, &arguments).await;
        answer.map_err(|error| {
            let gone = error.is_missing_queue();
            if gone {
                self.urls().remove(&queue);
            }
            match gone && self.create {
                true => BrokerError::transient(NAME, "the queue is gone"),
                false => error.into(),
            }
        })
    }

    /// One request for up to ten messages; answers how each went.
    async fn batch(
        &self,
        queue: Queue,
        action: &str,
        entries: Vec<Value>,
    ) -> Result<(), BrokerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            #[serde(default)]
            failed: Vec<Value>,
        }
        let arguments = json!({ "Entries": entries });
        let answer: Answer = self.call(queue, action, arguments).await?;
        match answer.failed.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!("{} of a batch failed: {first}", answer.failed.len());
                Err(BrokerError::transient(NAME, message))
            }
        }
    }

    fn message(&self, id: usize, ring: Ring) -> Value {
        let mut entry = json!({ "Id": id.to_string(), "MessageBody": ring.to_line() });
        if self.fifo {
            entry["MessageGroupId"] = json!(ring.asset.0.to_string());
            // The same task rings again when nobody claimed it; that is no duplicate to be dropped.
            entry["MessageDeduplicationId"] = json!(Uuid::new_v4().to_string());
        }
        entry
    }

    async fn receive(&self, queue: Queue) -> Result<Vec<Received<Handle>>, BrokerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            #[serde(default)]
            messages: Vec<Message>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Message {
            body: String,
            receipt_handle: String,
        }
        let arguments = json!({
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": self.wait_s,
            "VisibilityTimeout": self.visibility_s,
        });
        let answer: Answer = self.call(queue, "ReceiveMessage", arguments).await?;
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
