//! The consumer, in two halves.

use super::{NAME, failed};
use crate::adapter::{Received, Settle, Settled, Source, Verdict};
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use rdkafka::Message as _;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The library goes on by itself after most errors; meanwhile nobody needs to hear of each.
const PAUSE: Duration = Duration::from_secs(1);

/// A message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    topic: usize,
    partition: i32,
    offset: i64,
}

/// Leaving a group waits for the cluster, so it is done by a thread of its own.
pub(super) struct Consumer(Option<StreamConsumer>);

impl Consumer {
    pub(super) fn new(consumer: StreamConsumer) -> Self {
        Self(Some(consumer))
    }

    fn get(&self) -> &StreamConsumer {
        self.0.as_ref().expect("it is taken only when dropped")
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let consumer = self.0.take();
        std::thread::spawn(move || drop(consumer));
    }
}

pub(super) struct Ear {
    pub(super) consumer: Arc<Consumer>,
    pub(super) topics: Arc<[String]>,
}

#[async_trait]
impl Source<Place> for Ear {
    async fn receive(&mut self) -> Result<Vec<Received<Place>>, BrokerError> {
        let message = match self.consumer.get().recv().await {
            Ok(message) => message,
            Err(error) if is_passing(&error) => {
                tracing::debug!(%error, "the Kafka client goes on by itself");
                tokio::time::sleep(PAUSE).await;
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let topic = self.topics.iter().position(|t| t == message.topic());
        Ok(topic
            .map(|topic| Received {
                ring: message.payload().and_then(Ring::from_bytes),
                receipt: Place {
                    topic,
                    partition: message.partition(),
                    offset: message.offset(),
                },
            })
            .into_iter()
            .collect())
    }
}

/// Whether the client recovers on its own.
fn is_passing(error: &KafkaError) -> bool {
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    let needs_anew = matches!(
        error.rdkafka_error_code(),
        Some(
            Code::Fatal
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
        )
    );
    !fatal && !needs_anew
}

pub(super) struct Back {
    pub(super) consumer: Arc<Consumer>,
    pub(super) topics: Arc<[String]>,
}

#[async_trait]
impl Settle<Place> for Back {
    /// Kafka knows only how far a partition was read. A ring that is given back holds nothing up: if a later one is acknowledged it is
    /// not heard again, which is a lost ring like any other.
    async fn settle(&mut self, settled: Vec<Settled<Place>>) -> Result<(), BrokerError> {
        let mut furthest = BTreeMap::new();
        for Settled { receipt, verdict } in settled {
            if verdict == Verdict::Acknowledged {
                let at = furthest
                    .entry((receipt.topic, receipt.partition))
                    .or_insert(receipt.offset);
                *at = receipt.offset.max(*at);
            }
        }
        for ((topic, partition), offset) in furthest {
            let stored = self
                .consumer
                .get()
                .store_offset(&self.topics[topic], partition, offset);
            match stored {
                // The partition went to somebody else in the meantime, who hears this again.
                Err(KafkaError::StoreOffset(Code::State | Code::UnknownPartition)) | Ok(()) => {}
                Err(error) => return Err(BrokerError::transient(NAME, error)),
            }
        }
        Ok(())
    }
}
