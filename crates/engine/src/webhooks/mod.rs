//! Webhooks: what a tenant may say of them, and how they are tried. What they are told is planned and sent by a service.

mod config;
mod sender;

pub use config::WebhooksConfig;
pub use sender::WebhookSender;
pub(crate) use sender::{Answered, Letter};

use crate::cloud_event::test_event;
use crate::{Engine, EngineError, signature};
use mediaflow_core::{ErrorCode, EventType, TenantId, WebhookId};
use mediaflow_store::{NewWebhook, SigningKeys, WebhookChange, WebhookRecord};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use std::time::Duration;

/// Under which name the store remembers how far the history was planned.
pub(crate) const OUTLET: &str = "webhooks";
/// How long the key before signs as well.
const BOTH_SIGN: Duration = Duration::from_secs(86_400);
const TYPES_MAX: usize = 32;
const DESCRIPTION_CHARS_MAX: usize = 500;

/// How a webhook answered that was tried.
#[derive(Debug)]
pub struct WebhookTried {
    /// Whether it has it.
    pub is_delivered: bool,
    /// What it answered.
    pub status: Option<u16>,
    /// How long that took.
    pub took: Duration,
    /// Why it was not delivered.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl Engine {
    /// Makes a webhook; answers it with its secret, which is shown this once.
    ///
    /// # Errors
    /// `webhook.url` and `webhook.address` for what may not be told, `limit.webhooks` when there are too many, types that there are not.
    pub async fn make_webhook(
        &self,
        tenant: TenantId,
        url: String,
        types: Vec<String>,
        description: Option<String>,
    ) -> Result<(WebhookRecord, String), EngineError> {
        self.check_webhooks()?;
        let key = new_key();
        let secret = signature::secret(&key);
        let said = WebhookChange {
            url: Some(url.clone()),
            types: Some(types.clone()),
            description: Some(description.clone()),
            is_on: None,
        };
        self.check_webhook(&said)?;
        let made = self.store().add_webhook(NewWebhook {
            id: self.environment().id().into(),
            tenant,
            url,
            types,
            description,
            keys: SigningKeys(vec![key]),
            count_max: self.parts.webhooks.config.count_max,
        });
        Ok((made.await?, secret))
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// As [`Self::make_webhook`], and `webhook.not_found`.
    pub async fn change_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<WebhookRecord, EngineError> {
        self.check_webhook(&change)?;
        let changed = self.store().change_webhook(tenant, id, change).await?;
        self.webhook_wanted.notify_one();
        Ok(changed)
    }

    /// Gives a webhook another secret. The one before signs as well for a day.
    ///
    /// # Errors
    /// `webhook.not_found`.
    pub async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<String, EngineError> {
        let key = new_key();
        let secret = signature::secret(&key);
        let rotated = self.store().rotate_webhook(tenant, id, key, BOTH_SIGN);
        rotated.await?;
        Ok(secret)
    }

    /// Sends an event of the type `webhook.test` now, which is recorded nowhere.
    ///
    /// # Errors
    /// `webhook.not_found`. What the receiver does is no error.
    pub async fn try_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<WebhookTried, EngineError> {
        self.check_webhooks()?;
        let webhook = self.store().webhook(tenant, id).await?;
        let keys = self.store().signing_keys(tenant, id).await?;
        let (event, now) = (
            self.environment().id().to_string(),
            self.environment().now(),
        );
        let letter = Letter {
            url: &webhook.url,
            keys: &keys,
            id: &event,
            body: &test_event(&event, id, now),
        };
        let answered = self.parts.webhooks.send(&letter, now).await;
        Ok(WebhookTried {
            is_delivered: answered.error.is_none(),
            status: answered.status,
            took: answered.took,
            error: answered.error,
            answer: answered.answer,
        })
    }

    /// Something is to be delivered at once.
    pub fn wake_webhooks(&self) {
        self.webhook_wanted.notify_one();
    }

    /// Whether anybody is told.
    pub fn has_webhooks(&self) -> bool {
        self.parts.webhooks.config.enabled
    }

    fn check_webhooks(&self) -> Result<(), EngineError> {
        match self.has_webhooks() {
            true => Ok(()),
            false => Err(EngineError::new(
                ErrorCode::WebhookDisabled,
                "the operator has switched webhooks off (webhooks.enabled)",
            )),
        }
    }

    fn check_webhook(&self, said: &WebhookChange) -> Result<(), EngineError> {
        let wrong = |text: String| Err(EngineError::new(ErrorCode::RequestInvalid, text));
        if let Some(url) = &said.url {
            self.parts.webhooks.check(url)?;
        }
        let types = said.types.as_deref().unwrap_or_default();
        if types.len() > TYPES_MAX {
            return wrong(format!("`types` must be at most {TYPES_MAX}"));
        }
        if let Some(odd) = types
            .iter()
            .find(|of| !EventType::ALL.iter().any(|kind| is_of(*kind, of)))
        {
            let odd: String = odd.chars().take(64).collect();
            return wrong(format!(
                "there is no type of events `{odd}`; they are like asset.ready, or asset.* for all that begin so"
            ));
        }
        let description = said.description.as_ref().and_then(Option::as_ref);
        let is_odd = |text: &String| {
            text.chars().count() > DESCRIPTION_CHARS_MAX || text.contains(char::is_control)
        };
        match description.is_some_and(is_odd) {
            true => wrong(format!(
                "`description` must have at most {DESCRIPTION_CHARS_MAX} characters, and be one line"
            )),
            false => Ok(()),
        }
    }
}

/// Whether it is of this type, or of this pattern.
fn is_of(kind: EventType, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(begin) => begin.ends_with('.') && kind.as_str().starts_with(begin),
        None => kind.as_str() == wanted,
    }
}

/// Whether somebody who wants these types wants to be told of this; all are wanted where none is said.
pub(crate) fn wants(types: &[String], kind: EventType) -> bool {
    types.is_empty() || types.iter().any(|wanted| is_of(kind, wanted))
}

fn new_key() -> Vec<u8> {
    let mut key = vec![0; 32];
    OsRng
        .try_fill_bytes(&mut key)
        .expect("without randomness nothing can be secret");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_patterns_of_them_are_wanted() {
        let wants = |wanted: &[&str], kind| {
            let wanted: Vec<String> = wanted.iter().map(|&of| of.into()).collect();
            super::wants(&wanted, kind)
        };
        assert!(wants(&[], EventType::TaskDead));
        assert!(wants(&["task.*", "asset.ready"], EventType::TaskDead));
        assert!(wants(&["task.*", "asset.ready"], EventType::AssetReady));
        assert!(!wants(&["task.*", "asset.ready"], EventType::AssetFailed));
        assert!(!wants(&["*"], EventType::AssetFailed));
        assert!(!wants(&["asset.re*"], EventType::AssetReady));
    }
}
