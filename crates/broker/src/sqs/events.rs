//! Events to SQS: a queue for each kind, FIFO unless standard ones are asked for, which keep no order.

use super::queues::Queues;
use super::{BATCH, NAME};
use crate::address::Address;
use crate::outlet::{Outgoing, Way, by_topic};
use crate::{BrokerError, Event};
use async_trait::async_trait;
use serde_json::{Value, json};

/// Four days, as Amazon's own default.
const RETENTION_S: u32 = 345_600;

pub(crate) struct SqsEvents {
    queues: Queues,
    attributes: Value,
}

impl SqsEvents {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let queues = Queues::new(&mut address, true)?;
        let retention_s: u32 = address.take("retention", RETENTION_S)?;
        address.nothing_left()?;
        let attributes = json!({ "MessageRetentionPeriod": retention_s.to_string() });
        Ok(Self { queues, attributes })
    }

    fn entry(&self, index: usize, event: &Event) -> Value {
        let mut entry = json!({ "Id": index.to_string(), "MessageBody": event.body });
        if self.queues.is_fifo() {
            entry["MessageGroupId"] = json!(event.asset.0.to_string());
            entry["MessageDeduplicationId"] = json!(event.id.to_string());
        }
        entry
    }
}

#[async_trait]
impl Way for SqsEvents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps_order(&self) -> bool {
        // Of a batch some may fail and others not.
        false
    }

    async fn send(&self, events: Outgoing<'_>) -> Result<(), BrokerError> {
        for (topic, some) in by_topic(events, BATCH) {
            let name = self.queues.named(topic);
            let entries = some.iter().enumerate();
            let entries = entries.map(|(i, event)| self.entry(i, event)).collect();
            let sent = self
                .queues
                .batch(&name, &self.attributes, "SendMessageBatch", entries);
            sent.await?;
        }
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        let name = self.queues.named("ingest");
        self.queues.url(&name, &self.attributes).await.map(drop)
    }
}
