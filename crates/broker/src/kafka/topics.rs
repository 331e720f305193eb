//! Topics that are made where they are not there.

use super::ANSWER_MAX;
use super::settings::Settings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Somebody may have deleted them.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

pub(super) struct Topics {
    retention_ms: u64,
    tried: Mutex<BTreeMap<String, Instant>>,
}

impl Topics {
    /// `retention_ms` is how long those that are made keep messages.
    pub(super) fn new(retention_ms: u64) -> Self {
        Self {
            retention_ms,
            tried: Mutex::default(),
        }
    }

    /// Makes topics that are not there; one that is there stays as it is. Where that fails, somebody else has made them or the cluster
    /// makes them when they are first used, and whatever is wrong with the cluster is seen there.
    pub(super) async fn create(&self, settings: &Settings, topics: &[String]) {
        let missing = self.untried(topics);
        if missing.is_empty() || !settings.create {
            return;
        }
        let admin: Result<AdminClient<DefaultClientContext>, _> = settings.client().create();
        let Ok(admin) = admin else { return };
        let retention = self.retention_ms.to_string();
        let new = missing.iter().map(|topic| {
            // -1 copies are as many as the cluster's own default.
            let copies = TopicReplication::Fixed(settings.replication);
            NewTopic::new(topic, settings.partitions, copies).set("retention.ms", &retention)
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let options = AdminOptions::new()
            .request_timeout(Some(ANSWER_MAX))
            .operation_timeout(Some(ANSWER_MAX));
        let made = match tokio::time::timeout(ANSWER_MAX, admin.create_topics(&new, &options)).await
        {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                return tracing::warn!(%error, "topics were not made; they have to be there");
            }
            Err(_) => return tracing::warn!("topics were not made in time; they have to be there"),
        };
        for (topic, code) in made.into_iter().filter_map(Result::err) {
            if code != Code::TopicAlreadyExists {
                tracing::warn!(%topic, %code, "a topic was not made; it has to be there");
            }
        }
    }

    /// Those that nobody tried to make for a while.
    fn untried(&self, topics: &[String]) -> Vec<String> {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|_, at| at.elapsed() < AGAIN_AFTER);
        let untried = topics.iter().filter(|topic| !tried.contains_key(*topic));
        let untried: Vec<String> = untried.cloned().collect();
        tried.extend(untried.iter().map(|topic| (topic.clone(), Instant::now())));
        untried
    }
}
