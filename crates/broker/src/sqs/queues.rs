//! Queues by name: their URLs, made where they are not there and that is allowed.

use super::NAME;
use crate::BrokerError;
use crate::address::Address;
use crate::aws::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Queues {
    client: Client,
    prefix: String,
    fifo: bool,
    create: bool,
    urls: Mutex<BTreeMap<String, String>>,
}

impl Queues {
    /// Takes out of the address what is the same for all.
    pub(super) fn new(address: &mut Address, fifo: bool) -> Result<Self, BrokerError> {
        let region = address.authority.clone();
        if region.is_empty() || address.user.is_some() {
            let message =
                "the address must be sqs://region[/prefix]; credentials come from the environment";
            return Err(BrokerError::permanent(NAME, message));
        }
        let default = format!("https://sqs.{region}.amazonaws.com");
        let endpoint: String = address.take("endpoint", default)?;
        Ok(Self {
            client: Client::new(NAME, region, endpoint)?,
            prefix: match address.path.as_str() {
                "" => "mediaflow".to_owned(),
                path => path.to_owned(),
            },
            fifo: address.take("fifo", fifo)?,
            create: address.take("create", true)?,
            urls: Mutex::default(),
        })
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.fifo
    }

    /// The full name of a queue.
    pub(super) fn named(&self, name: &str) -> String {
        let end = if self.fifo { ".fifo" } else { "" };
        format!("{}-{name}{end}", self.prefix)
    }

    fn urls(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of the queue with this full name, made with these attributes.
    pub(super) async fn url(&self, name: &str, attributes: &Value) -> Result<String, BrokerError> {
        if let Some(url) = self.urls().get(name) {
            return Ok(url.clone());
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Found {
            queue_url: String,
        }
        let ask = json!({ "QueueName": name });
        let found: Result<Found, _> = self.client.call("GetQueueUrl", &ask).await;
        let found = match found {
            Err(error) if error.is_missing_queue() && self.create => {
                let mut make = json!({ "QueueName": name, "Attributes": attributes });
                if self.fifo {
                    make["Attributes"]["FifoQueue"] = json!("true");
                }
                self.client.call("CreateQueue", &make).await
            }
            other => other,
        };
        let url = found.map_err(BrokerError::from)?.queue_url;
        self.urls().insert(name.to_owned(), url.clone());
        Ok(url)
    }

    /// Calls with the queue's URL. One that is gone is made again with the next call.
    pub(super) async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        attributes: &Value,
        action: &str,
        mut arguments: Value,
    ) -> Result<T, BrokerError> {
        arguments["QueueUrl"] = json!(self.url(name, attributes).await?);
        let answer = self.client.call(action, &arguments).await;
        answer.map_err(|error| {
            let gone = error.is_missing_queue();
            if gone {
                self.urls().remove(name);
            }
            match gone && self.create {
                true => BrokerError::transient(NAME, "the queue is gone"),
                false => error.into(),
            }
        })
    }

    /// One request for up to ten messages.
    pub(super) async fn batch(
        &self,
        name: &str,
        attributes: &Value,
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
        let answer: Answer = self.call(name, attributes, action, arguments).await?;
        match answer.failed.first() {
            None => Ok(()),
            Some(first) => {
                let message = format!("{} of a batch failed: {first}", answer.failed.len());
                Err(BrokerError::transient(NAME, message))
            }
        }
    }
}
