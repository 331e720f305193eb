//! Events to Amazon SNS: a topic for each kind, FIFO unless standard ones are asked for, which keep no order.

use crate::address::Address;
use crate::aws::{Client, Failure, between};
use crate::outlet::{Outgoing, Way, by_topic};
use crate::{BrokerError, Event};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

const NAME: &str = "sns";
/// What SNS takes at once.
const BATCH: usize = 10;

pub(crate) struct SnsEvents {
    client: Client,
    prefix: String,
    fifo: bool,
    topics: Mutex<BTreeMap<&'static str, String>>,
}

type Form = Vec<(String, String)>;

fn form(action: &str) -> Form {
    let pairs = [("Action", action), ("Version", "2010-03-31")];
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into()
}

impl SnsEvents {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let region = address.authority.clone();
        if region.is_empty() || address.user.is_some() {
            let message =
                "the address must be sns://region[/prefix]; credentials come from the environment";
            return Err(BrokerError::permanent(NAME, message));
        }
        let default = format!("https://sns.{region}.amazonaws.com");
        let endpoint: String = address.take("endpoint", default)?;
        let fifo = address.take("fifo", true)?;
        address.nothing_left()?;
        Ok(Self {
            client: Client::new(NAME, region, endpoint)?,
            prefix: match address.path.as_str() {
                "" => "mediaflow".to_owned(),
                path => path.to_owned(),
            },
            fifo,
            topics: Mutex::default(),
        })
    }

    /// The topic's name in full. Making a topic that is there answers it, and nothing else does without the account's number.
    async fn topic(&self, topic: &'static str) -> Result<String, BrokerError> {
        let mut topics = self.topics.lock().await;
        if let Some(arn) = topics.get(topic) {
            return Ok(arn.clone());
        }
        let end = if self.fifo { ".fifo" } else { "" };
        let mut make = form("CreateTopic");
        make.push(("Name".into(), format!("{}-{topic}{end}", self.prefix)));
        if self.fifo {
            make.push(("Attributes.entry.1.key".into(), "FifoTopic".into()));
            make.push(("Attributes.entry.1.value".into(), "true".into()));
        }
        let made = self.client.ask(&make).await?;
        let arn = between(&made, "TopicArn").ok_or_else(|| {
            BrokerError::transient(NAME, "SNS answered without the name of the topic")
        })?;
        topics.insert(topic, arn.to_owned());
        Ok(arn.to_owned())
    }

    fn entry(&self, number: usize, event: &Event) -> Form {
        let name = |part: &str| format!("PublishBatchRequestEntries.member.{number}.{part}");
        let attribute = |part: &str| name(&format!("MessageAttributes.entry.1.{part}"));
        let mut entry = vec![
            (name("Id"), number.to_string()),
            (name("Message"), event.body.clone()),
            // Subscriptions filter by it.
            (attribute("Name"), "type".to_owned()),
            (attribute("Value.DataType"), "String".to_owned()),
            (attribute("Value.StringValue"), event.kind.to_owned()),
        ];
        if self.fifo {
            entry.push((name("MessageGroupId"), event.asset.0.to_string()));
            entry.push((name("MessageDeduplicationId"), event.id.to_string()));
        }
        entry
    }

    async fn batch(&self, topic: &'static str, events: &[&Event]) -> Result<(), BrokerError> {
        let mut publish = form("PublishBatch");
        publish.push(("TopicArn".into(), self.topic(topic).await?));
        for (index, event) in events.iter().enumerate() {
            publish.extend(self.entry(index + 1, event));
        }
        match self.client.ask(&publish).await {
            Ok(answer) => {
                let failed = between(&answer, "Failed").and_then(|f| between(f, "Code"));
                match failed {
                    None => Ok(()),
                    Some(code) => {
                        let message = format!("messages of a batch failed: {code}");
                        Err(BrokerError::transient(NAME, message))
                    }
                }
            }
            Err(error) => {
                if matches!(&error, Failure::Refused { code, .. } if code == "NotFound") {
                    self.topics.lock().await.remove(topic);
                }
                Err(error.into())
            }
        }
    }
}

#[async_trait]
impl Way for SnsEvents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps_order(&self) -> bool {
        // Of a batch some may fail and others not.
        false
    }

    async fn send(&self, events: Outgoing<'_>) -> Result<(), BrokerError> {
        for (topic, some) in by_topic(events, BATCH) {
            self.batch(topic, &some).await?;
        }
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        self.topic("ingest").await.map(drop)
    }
}
