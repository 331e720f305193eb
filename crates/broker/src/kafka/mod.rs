//! Kafka through librdkafka: a topic for each queue and priority, keyed by asset, and one consumer group for all workers. A ring is
//! committed right after its claim, so that no partition waits for work.

mod consume;
pub(crate) mod events;
mod settings;
mod topics;

use crate::adapter::{Adapter, Halves};
use crate::address::Address;
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use consume::{Back, Consumer, Ear};
use futures_util::future::try_join_all;
use mediaflow_core::Queue;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use settings::Settings;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use topics::Topics;

const NAME: &str = "kafka";
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Rings are worthless after they were polled for; an hour is for whoever looks at a topic.
const RETENTION_MS: u64 = 3_600_000;

pub(crate) struct Kafka {
    settings: Settings,
    producer: Mutex<Option<FutureProducer>>,
    topics: Topics,
}

impl Kafka {
    pub(crate) fn new(address: Address) -> Result<Self, BrokerError> {
        Ok(Self {
            settings: Settings::read(address)?,
            producer: Mutex::default(),
            topics: Topics::new(RETENTION_MS),
        })
    }

    /// The one producer of this process, which connects by itself, now and later.
    fn producer(&self) -> Result<FutureProducer, BrokerError> {
        let mut place = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*place {
            return Ok(producer.clone());
        }
        let producer: FutureProducer = self.settings.producer().create().map_err(failed)?;
        *place = Some(producer.clone());
        Ok(producer)
    }
}

#[async_trait]
impl Adapter for Kafka {
    type Receipt = consume::Place;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        let queues: BTreeSet<Queue> = rings.iter().map(|ring| ring.queue).collect();
        let queues: Vec<Queue> = queues.into_iter().collect();
        let topics = self.settings.topics(&queues);
        self.topics.create(&self.settings, &topics).await;
        let producer = self.producer()?;
        let sent = rings.iter().map(|ring| {
            let topic = self.settings.topic(ring.queue, ring.lane);
            let (producer, key, line) = (&producer, ring.asset.0, ring.to_line());
            async move {
                let record = FutureRecord::to(&topic).key(key.as_bytes()).payload(&line);
                let sent = producer.send(record, ANSWER_MAX).await;
                sent.map_err(|(error, _)| failed(error))
            }
        });
        try_join_all(sent).await.map(|_| ())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        let producer = self.producer()?;
        let ask = move || {
            producer
                .client()
                .fetch_metadata(None, ANSWER_MAX)
                .map(|_| ())
        };
        match tokio::task::spawn_blocking(ask).await {
            Ok(answer) => answer.map_err(failed),
            Err(error) => Err(BrokerError::transient(NAME, error)),
        }
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<consume::Place>, BrokerError> {
        let topics = self.settings.topics(queues);
        self.topics.create(&self.settings, &topics).await;
        let consumer: StreamConsumer = self.settings.consumer().create().map_err(failed)?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(failed)?;
        let consumer = Arc::new(Consumer::new(consumer));
        let topics: Arc<[String]> = topics.into();
        Ok(Halves {
            source: Box::new(Ear {
                consumer: Arc::clone(&consumer),
                topics: Arc::clone(&topics),
            }),
            settler: Box::new(Back { consumer, topics }),
        })
    }
}

fn failed(error: KafkaError) -> BrokerError {
    let code = error.rdkafka_error_code();
    match code {
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism
            | Code::InvalidTopic,
        ) => BrokerError::permanent(NAME, error),
        _ if matches!(
            error,
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)
        ) =>
        {
            BrokerError::permanent(NAME, error)
        }
        _ => BrokerError::transient(NAME, error),
    }
}
