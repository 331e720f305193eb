//! Somebody else's queue, from which messages are read: each is there again after a while, until it is deleted.

use super::NAME;
use crate::BrokerError;
use crate::aws::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a request waits for messages, in seconds: as long as the service allows.
const WAIT_S: u32 = 20;
/// How long a message that was received is nobody else's, in seconds.
const HELD_S: u32 = 120;

/// A queue that is read.
pub struct Inbox {
    client: Client,
    url: String,
}

/// What SQS answers to `ReceiveMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) body: String,
    pub(super) receipt_handle: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it says.
    pub body: String,
    /// How often it was received, this time included.
    pub times: u32,
    handle: String,
}

impl Inbox {
    /// The queue at this URL. Asks nothing yet. The region is the one that Amazon's URLs name, or else `region`. The key is the one of
    /// the environment, or else the name and secret of `key`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn open(
        url: &str,
        region: Option<&str>,
        key: Option<(&str, &str)>,
    ) -> Result<Self, BrokerError> {
        let wrong = || {
            let text = "a queue must be a URL like https://sqs.eu-central-1.amazonaws.com/123456789012/name";
            BrokerError::permanent(NAME, text)
        };
        let parsed: reqwest::Url = url.parse().map_err(|_| wrong())?;
        let host = parsed.host_str().ok_or_else(wrong)?;
        let is_queue = matches!(parsed.scheme(), "http" | "https") && parsed.path().len() > 1;
        if !is_queue {
            return Err(wrong());
        }
        let named = host
            .strip_prefix("sqs.")
            .and_then(|rest| rest.split_once(".amazonaws."));
        let region = match (named, region) {
            (Some((region, _)), _) | (None, Some(region)) => region.to_owned(),
            (None, None) => "us-east-1".to_owned(),
        };
        let port = parsed
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let endpoint = format!("{}://{host}{port}", parsed.scheme());
        let client = Client::new(NAME, region, endpoint)?;
        Ok(Self {
            client: match key {
                Some((id, secret)) => client.with_key(id, secret),
                None => client,
            },
            url: url.to_owned(),
        })
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        action: &str,
        mut arguments: Value,
    ) -> Result<T, BrokerError> {
        arguments["QueueUrl"] = json!(self.url);
        Ok(self.client.call(action, &arguments).await?)
    }

    /// Up to ten messages; none when none came for some time.
    ///
    /// # Errors
    /// When the queue is not there, or does not answer.
    pub async fn receive(&self) -> Result<Vec<Letter>, BrokerError> {
        let arguments = json!({
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": WAIT_S,
            "VisibilityTimeout": HELD_S,
            "AttributeNames": ["ApproximateReceiveCount"],
        });
        let answer: Answer = self.call("ReceiveMessage", arguments).await?;
        let letters = answer.messages.into_iter().map(|message| {
            let times = message.attributes.get("ApproximateReceiveCount");
            Letter {
                body: message.body,
                times: times.and_then(|times| times.parse().ok()).unwrap_or(1),
                handle: message.receipt_handle,
            }
        });
        Ok(letters.collect())
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// When the queue does not answer; then it is there again.
    pub async fn delete(&self, letter: &Letter) -> Result<(), BrokerError> {
        let arguments = json!({ "ReceiptHandle": letter.handle });
        let _: Value = self.call("DeleteMessage", arguments).await?;
        Ok(())
    }

    /// Has a message be nobody else's for so many seconds from now on.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub async fn hold(&self, letter: &Letter, seconds: u32) -> Result<(), BrokerError> {
        let arguments = json!({ "ReceiptHandle": letter.handle, "VisibilityTimeout": seconds });
        let _: Value = self.call("ChangeMessageVisibility", arguments).await?;
        Ok(())
    }
}
