//! Events to Kafka: a topic for each kind, keyed by asset, each message confirmed by all copies before its asset's next is sent.

use super::settings::Settings;
use super::topics::Topics;
use super::{ANSWER_MAX, NAME, failed};
use crate::address::Address;
use crate::outlet::{Outgoing, Way};
use crate::{BrokerError, Event};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Mutex;

/// Until consumers have read them; a week covers a long weekend.
const RETENTION_HOURS: u64 = 7 * 24;
/// Every message has an answer by then, good or bad, so none of a batch that failed is still on its way when it is sent again.
const MESSAGE_MS: &str = "20000";

pub(crate) struct KafkaEvents {
    settings: Settings,
    topics: Topics,
    producer: Mutex<Option<FutureProducer>>,
}

impl KafkaEvents {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let hours: u64 = address.take("retention_hours", RETENTION_HOURS)?;
        Ok(Self {
            settings: Settings::read(address)?,
            topics: Topics::new(hours.saturating_mul(3_600_000)),
            producer: Mutex::default(),
        })
    }

    fn topic(&self, event: &Event) -> String {
        format!("{}.{}", self.settings.prefix, event.topic)
    }

    fn connect(&self) -> Result<FutureProducer, BrokerError> {
        let mut config = self.settings.producer();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", MESSAGE_MS);
        self.settings.with_own(config).create().map_err(failed)
    }
}

#[async_trait]
impl Way for KafkaEvents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps_order(&self) -> bool {
        // Of two messages that are on their way one may fail and the other not.
        false
    }

    async fn send(&self, events: Outgoing<'_>) -> Result<(), BrokerError> {
        let topics: BTreeSet<String> = events.iter().map(|event| self.topic(event)).collect();
        let topics: Vec<String> = topics.into_iter().collect();
        self.topics.create(&self.settings, &topics).await;
        let mut place = self.producer.lock().await;
        let producer = match place.take() {
            Some(producer) => producer,
            None => self.connect()?,
        };
        let sent = events.iter().map(|event| {
            let (topic, producer) = (self.topic(event), &producer);
            async move {
                let headers = OwnedHeaders::new().insert(Header {
                    key: "content-type",
                    value: Some("application/cloudevents+json; charset=UTF-8"),
                });
                let record = FutureRecord::to(&topic)
                    .key(event.asset.0.as_bytes())
                    .headers(headers)
                    .payload(&event.body);
                let sent = producer.send(record, ANSWER_MAX).await;
                sent.map_err(|(error, _)| failed(error))
            }
        });
        try_join_all(sent).await?;
        // One that failed may never work again.
        *place = Some(producer);
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        let producer = self.connect()?;
        let ask = move || {
            let within = Duration::from_secs(4);
            producer.client().fetch_metadata(None, within).map(|_| ())
        };
        match tokio::task::spawn_blocking(ask).await {
            Ok(answer) => answer.map_err(failed),
            Err(error) => Err(BrokerError::transient(NAME, error)),
        }
    }
}
