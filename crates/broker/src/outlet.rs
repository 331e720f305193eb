//! Telling other systems what happened: every event at least once, those of one asset in their order.

use crate::address::Address;
use crate::broker::{Counters, within};
use crate::kafka::events::KafkaEvents;
use crate::redis::events::RedisEvents;
use crate::sns::SnsEvents;
use crate::sqs::events::SqsEvents;
use crate::{BrokerError, Failed, Stats};
use async_trait::async_trait;
use mediaflow_core::AssetId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use uuid::Uuid;

/// An event that is told outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it is told: `ingest`, `delivery`, ... Each is a topic, queue or stream of its own.
    pub topic: &'static str,
    /// Whose.
    pub asset: AssetId,
    /// The same whenever it is told.
    pub id: Uuid,
    /// `asset.ready`, ...
    pub kind: &'static str,
    /// A CloudEvent in its structured JSON form.
    pub body: String,
}

/// Events that are sent together.
pub(crate) type Outgoing<'a> = &'a [&'a Event];

/// One way to tell.
#[async_trait]
pub(crate) trait Way: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// Whether what is sent together arrives in its order, and nothing of it after what did not arrive. Otherwise no two events of
    /// one asset are sent together.
    fn keeps_order(&self) -> bool;

    /// Sends, and returns when all have arrived or nothing of it is on its way any more.
    async fn send(&self, events: Outgoing<'_>) -> Result<(), BrokerError>;

    async fn health(&self) -> Result<(), BrokerError>;
}

/// Where events go.
#[derive(Clone)]
pub struct Outlet {
    way: Arc<dyn Way>,
    counters: Arc<Counters>,
}

/// However slow it is: one step of a batch ends within this.
const SEND_MAX: Duration = Duration::from_secs(30);
const HEALTH_MAX: Duration = Duration::from_secs(5);

impl Outlet {
    /// An outlet by its address, which begins with `kafka://`, `sqs://`, `sns://`, `redis://` or `rediss://`; `docs/events.md` has the
    /// parameters of each. Asks the network nothing.
    ///
    /// # Errors
    /// Permanent ones: the address cannot be used. They never contain its secrets.
    pub fn open(address: &str) -> Result<Self, BrokerError> {
        let address = Address::parse(address)?;
        match address.scheme.as_str() {
            "kafka" => Ok(Self::over(KafkaEvents::new(address)?)),
            "sqs" => Ok(Self::over(SqsEvents::new(address)?)),
            "sns" => Ok(Self::over(SnsEvents::new(address)?)),
            "redis" | "rediss" => Ok(Self::over(RedisEvents::new(address)?)),
            other => Err(BrokerError::permanent(
                "events",
                format!("{other}:// takes no events; kafka, sqs, sns, redis and rediss do"),
            )),
        }
    }

    fn over(way: impl Way) -> Self {
        Self {
            way: Arc::new(way),
            counters: Arc::default(),
        }
    }

    /// Its name, for messages: `kafka`, `sns`, ...
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.way.name()
    }

    /// Tells these, which are given in the order in which they happened. Returns when all are there.
    ///
    /// # Errors
    /// Some of them may be there, each asset's up to some point. Whoever sends all of them again repeats those.
    pub async fn send(&self, events: &[Event]) -> Result<(), BrokerError> {
        let steps = match self.way.keeps_order() {
            true => vec![events.iter().collect()],
            false => steps(events),
        };
        for step in steps.iter().filter(|step| !step.is_empty()) {
            if let Err(error) = within(self.name(), SEND_MAX, self.way.send(step)).await {
                self.counters.failed(&error);
                return Err(error);
            }
            let told = &self.counters.announced;
            told.fetch_add(step.len() as u64, Ordering::Relaxed);
            self.counters.went_well();
        }
        Ok(())
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not, within five seconds.
    pub async fn health(&self) -> Result<(), BrokerError> {
        within(self.name(), HEALTH_MAX, self.way.health()).await
    }

    /// What it told (`announced`) and how often it failed.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// The last request that failed, though others may have gone well since.
    #[must_use]
    pub fn last_failure(&self) -> Option<Failed> {
        self.counters.last_failure().clone()
    }

    /// What the last request failed with; nothing if it went well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.counters.trouble().clone()
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outlet").field(&self.name()).finish()
    }
}

/// Groups of events of one topic, each of at most so many.
pub(crate) fn by_topic<'a>(
    events: Outgoing<'a>,
    most: usize,
) -> Vec<(&'static str, Vec<&'a Event>)> {
    let mut topics: BTreeMap<&'static str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        topics.entry(event.topic).or_default().push(event);
    }
    let groups = topics.into_iter().flat_map(|(topic, events)| {
        let chunks = events.chunks(most).map(|some| (topic, some.to_vec()));
        chunks.collect::<Vec<_>>()
    });
    groups.collect()
}

/// The first event of each asset, then the second of each, and so on.
fn steps(events: &[Event]) -> Vec<Vec<&Event>> {
    let mut steps: Vec<Vec<&Event>> = Vec::new();
    let mut seen: HashMap<AssetId, usize> = HashMap::new();
    for event in events {
        let step = seen.entry(event.asset).or_default();
        if *step == steps.len() {
            steps.push(Vec::new());
        }
        steps[*step].push(event);
        *step += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::{Event, Outlet, steps};
    use mediaflow_core::AssetId;
    use uuid::Uuid;

    #[test]
    fn no_two_of_an_asset_are_in_one_step() {
        let event = |asset: u128, number: u128| Event {
            topic: "ingest",
            asset: AssetId(Uuid::from_u128(asset)),
            id: Uuid::from_u128(number),
            kind: "asset.accepted",
            body: String::new(),
        };
        let events = [
            event(1, 1),
            event(1, 2),
            event(2, 3),
            event(1, 4),
            event(2, 5),
        ];
        let numbers = steps(&events).into_iter().map(|step| {
            let ids = step.into_iter().map(|e| e.id.as_u128());
            ids.collect::<Vec<_>>()
        });
        assert_eq!(
            numbers.collect::<Vec<_>>(),
            [vec![1, 3], vec![2, 5], vec![4]]
        );
        assert!(steps(&[]).is_empty());
    }

    #[test]
    fn addresses_that_cannot_be_used_are_refused_at_once() {
        for address in [
            "amqp://127.0.0.1",
            "redis://127.0.0.1?colour=red",
            "kafka://127.0.0.1?retention_hours=long",
            "sqs://",
            "sns://eu-west-1?colour=red",
        ] {
            let error = Outlet::open(address).unwrap_err();
            assert!(!error.is_transient(), "{address}: {error}");
        }
    }
}
