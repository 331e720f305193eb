//! What the API tells of this moment.

use crate::client::{Client, Trouble};
use mediaflow_core::Timestamp;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use serde_json::{Value, json};

/// Uploads that are asked for: more than a tall window has room for.
const UPLOADS: u32 = 50;

/// Answers, or why one was refused: not every key may see workers.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) server: String,
    pub(super) at: Timestamp,
    pub(super) queues: Result<Value, String>,
    pub(super) history: Result<Value, String>,
    pub(super) workers: Result<Value, String>,
    pub(super) failures: Result<Value, String>,
    pub(super) uploads: Result<Value, String>,
    /// Why nothing newer is known.
    pub(super) silence: Option<String>,
}

impl Seen {
    /// Asks for everything at once.
    ///
    /// # Errors
    /// Nobody answers, or everything is refused.
    pub(super) async fn now(client: &Client) -> Result<Self, Trouble> {
        let uploads = format!("v1/assets?limit={UPLOADS}");
        let (queues, history, workers, failures, uploads) = tokio::join!(
            client.get("v1/queues"),
            client.get("v1/queues/history"),
            client.get("v1/workers"),
            client.get("v1/failures"),
            client.get(&uploads),
        );
        let all = [&queues, &history, &workers, &failures, &uploads];
        let is_gone = |trouble: &Trouble| match trouble {
            Trouble::Unreachable(_) => true,
            Trouble::Refused { again, .. } => again.is_some(),
        };
        let mut troubles = all.iter().filter_map(|answer| answer.as_ref().err());
        if let Some(trouble) = troubles.clone().find(|trouble| is_gone(trouble)) {
            return Err(trouble.clone());
        }
        if let (Some(trouble), true) = (troubles.next(), all.iter().all(|a| a.is_err())) {
            return Err(trouble.clone());
        }
        let told = |answer: Result<Value, Trouble>| answer.map_err(|trouble| trouble.to_string());
        Ok(Self {
            server: client.url("").trim_end_matches('/').to_owned(),
            at: SystemEnvironment.now(),
            queues: told(queues),
            history: told(history),
            workers: told(workers),
            failures: told(failures),
            uploads: told(uploads),
            silence: None,
        })
    }

    /// The same, which is not new any more.
    pub(super) fn without_answer(self, why: String) -> Self {
        Self {
            silence: Some(why),
            ..self
        }
    }

    /// For programs. What was refused is null.
    pub(super) fn document(&self) -> Value {
        let told = |answer: &Result<Value, String>, name: &str| match answer {
            Ok(value) => value[name].clone(),
            Err(_) => Value::Null,
        };
        json!({
            "server": self.server,
            "at": self.at.to_string(),
            "queues": told(&self.queues, "queues"),
            "minutes": told(&self.history, "minutes"),
            "workers": told(&self.workers, "workers"),
            "failures": told(&self.failures, "items"),
            "uploads": told(&self.uploads, "items"),
        })
    }
}
