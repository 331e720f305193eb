//! The handle that everything outside holds.

use crate::adapter::Adapter;
use crate::address::Address;
use crate::in_process::InProcess;
use crate::kafka::Kafka;
use crate::listener::{self, Listener};
use crate::postgres::Postgres;
use crate::rabbitmq::RabbitMq;
use crate::redis::Redis;
use crate::sqs::Sqs;
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use mediaflow_core::Queue;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// What wakes workers. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    bell: Arc<dyn Bell>,
    counters: Arc<Counters>,
}

/// What happened since the broker was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rings that the broker took.
    pub announced: u64,
    /// Rings that listeners were given.
    pub received: u64,
    /// Rings that were acknowledged after a claim.
    pub acknowledged: u64,
    /// Requests that failed: announcements, and listening.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) announced: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    failures: AtomicU64,
    trouble: Mutex<Option<String>>,
    last_failure: Mutex<Option<Failed>>,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When that was known.
    pub at: SystemTime,
    /// Without anything secret.
    pub why: String,
}

impl Counters {
    pub(crate) fn failed(&self, error: &BrokerError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.trouble() = Some(error.to_string());
        let failed = Failed {
            at: SystemTime::now(),
            why: error.to_string(),
        };
        *self.last_failure() = Some(failed);
    }

    pub(crate) fn last_failure(&self) -> MutexGuard<'_, Option<Failed>> {
        let last = self.last_failure.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            announced: self.announced.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn went_well(&self) {
        *self.trouble() = None;
    }

    pub(crate) fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An adapter with its kind of receipt hidden.
#[async_trait]
trait Bell: Send + Sync {
    fn name(&self) -> &'static str;
    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError>;
    async fn health(&self) -> Result<(), BrokerError>;
    fn listen(self: Arc<Self>, queues: Vec<Queue>, counters: Arc<Counters>) -> Listener;
}

#[async_trait]
impl<A: Adapter> Bell for A {
    fn name(&self) -> &'static str {
        Adapter::name(self)
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        Adapter::announce(self, rings).await
    }

    async fn health(&self) -> Result<(), BrokerError> {
        Adapter::health(self).await
    }

    fn listen(self: Arc<Self>, queues: Vec<Queue>, counters: Arc<Counters>) -> Listener {
        listener::start(self, queues, counters)
    }
}

/// However a broker fails, whoever rings goes on after this long.
const ANNOUNCE_MAX: Duration = Duration::from_secs(15);
const HEALTH_MAX: Duration = Duration::from_secs(5);

impl Broker {
    /// A broker by its address: `in-process`, or one that begins with `kafka://`, `sqs://`, `redis://`, `rediss://`, `amqp://`,
    /// `amqps://`, `postgres://` or `postgresql://`; `docs/brokers.md` has the parameters of each. Asks the network nothing: a broker
    /// that is down when a process starts is like one that goes down later.
    ///
    /// # Errors
    /// Permanent ones: the address cannot be used. They never contain its secrets.
    pub fn open(address: &str) -> Result<Self, BrokerError> {
        if address == "in-process" {
            return Ok(Self::in_process());
        }
        let address = Address::parse(address)?;
        match address.scheme.as_str() {
            "kafka" => Ok(Self::over(Kafka::new(address)?)),
            "sqs" => Ok(Self::over(Sqs::new(address)?)),
            "redis" | "rediss" => Ok(Self::over(Redis::new(address)?)),
            "amqp" | "amqps" => Ok(Self::over(RabbitMq::new(address)?)),
            "postgres" | "postgresql" => Ok(Self::over(Postgres::new(address)?)),
            other => Err(BrokerError::permanent(
                "broker",
                format!("{other}:// is no broker that MediaFlow knows"),
            )),
        }
    }

    /// One for this process only.
    #[must_use]
    pub fn in_process() -> Self {
        Self::over(InProcess::default())
    }

    fn over(adapter: impl Adapter) -> Self {
        Self {
            bell: Arc::new(adapter),
            counters: Arc::default(),
        }
    }

    /// Its name, for messages: `kafka`, `redis`, ...
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.bell.name()
    }

    /// Rings for all of these, and returns when the broker has them or does not answer.
    ///
    /// # Errors
    /// Some may not have been heard. Whoever rings again repeats those that were, which does no harm.
    pub async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        if rings.is_empty() {
            return Ok(());
        }
        let told = within(self.name(), ANNOUNCE_MAX, self.bell.announce(rings)).await;
        if told.is_ok() {
            let announced = &self.counters.announced;
            announced.fetch_add(rings.len() as u64, Ordering::Relaxed);
        }
        self.note(told)
    }

    /// Listens to these queues until the listener is dropped. It connects in the background, and again whenever it must.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn listen(&self, queues: &[Queue]) -> Listener {
        let counters = Arc::clone(&self.counters);
        Arc::clone(&self.bell).listen(queues.to_vec(), counters)
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not, within five seconds.
    pub async fn health(&self) -> Result<(), BrokerError> {
        self.note(within(self.name(), HEALTH_MAX, self.bell.health()).await)
    }

    /// What the last request to it failed with, by whichever clone of this handle; nothing if it went well. Asks nobody.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.counters.trouble().clone()
    }

    fn note(&self, answer: Result<(), BrokerError>) -> Result<(), BrokerError> {
        match &answer {
            Ok(()) => self.counters.went_well(),
            Err(error) => self.counters.failed(error),
        }
        answer
    }

    /// What happened so far, with all clones of this handle.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Broker").field(&self.name()).finish()
    }
}

/// An answer, or an error after a time.
pub(crate) async fn within<T>(
    broker: &'static str,
    most: Duration,
    answer: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(most, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(BrokerError::transient(
            broker,
            format!("no answer within {} s", most.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::Broker;

    #[test]
    fn addresses_that_cannot_be_used_are_refused_at_once() {
        for address in [
            "redis",
            "http://somewhere",
            "redis://127.0.0.1?colour=red",
            "amqp://127.0.0.1?colour=red",
            "kafka:///prefix",
            "kafka://127.0.0.1?no.such.setting=1",
            "sqs://eu-west-1?colour=red",
        ] {
            let error = Broker::open(address).unwrap_err();
            assert!(!error.is_transient(), "{address}: {error}");
        }
    }
}
