//! `[ingest.hook]`: somebody else is asked before a file becomes an asset, and may refuse it or change what was said of it.
//!
//! The question is signed as Standard Webhooks has it, so that whoever answers can tell who asks.

use crate::{EngineError, Recognised, Upload};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mediaflow_core::{AssetOptions, ErrorCode, KeyId, Sha256, TenantId, Timestamp, Visibility};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use uuid::Uuid;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Longest text that a user gets to see.
const MESSAGE_CHARS_MAX: usize = 500;
/// How the specification has secrets begin.
const SECRET: &str = "whsec_";

/// What happens to files while nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// They are refused with `hook.unavailable`.
    #[default]
    Refuse,
    /// They are accepted.
    Accept,
}

/// `[ingest.hook]`: who is asked before a file becomes an asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookConfig {
    /// An http or https address that is asked with POST. Without it nobody is.
    pub url: Option<String>,
    /// Signs the questions: `whsec_` and 24 to 64 bytes in Base64. Needed with `url`.
    pub secret: Option<String>,
    /// How long an answer may take, in milliseconds, 100 to 60000.
    pub timeout_ms: u64,
    /// What happens to files while nobody answers.
    pub on_error: OnError,
}

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            url: None,
            secret: None,
            timeout_ms: 5000,
            on_error: OnError::default(),
        }
    }
}

impl HookConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err("ingest.hook.timeout_ms must be 100 to 60000".into());
        }
        Hook::new(self).map(drop)
    }

    fn key(&self) -> Result<Vec<u8>, String> {
        let text = self
            .secret
            .as_deref()
            .and_then(|text| text.strip_prefix(SECRET));
        let key = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let key = key.filter(|key| (24..=64).contains(&key.len()));
        key.ok_or_else(|| {
            "ingest.hook.secret must be whsec_ and 24 to 64 bytes in Base64, for example of `echo whsec_$(openssl rand -base64 32)`".to_owned()
        })
    }
}

/// Who is asked.
pub struct Hook {
    client: reqwest::Client,
    url: String,
    key: Vec<u8>,
    on_error: OnError,
}

/// What is known of a file that is about to become an asset.
pub(crate) struct About<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) upload: &'a Upload,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256,
    pub(crate) found: &'a Recognised,
}

#[derive(Serialize)]
struct Question<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    filename: Option<&'a str>,
    bytes: u64,
    sha256: String,
    media_type: &'a str,
    kind: &'a str,
    width: Option<u32>,
    height: Option<u32>,
    tenant: TenantId,
    key: Option<KeyId>,
    recipe: Option<&'a str>,
    title: Option<&'a str>,
    tags: &'a [String],
    metadata: &'a Map<String, Value>,
    visibility: Visibility,
    correlation_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Refuse,
}

#[derive(Deserialize)]
struct Answer {
    decision: Decision,
    message: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    changes: Changes,
}

/// What is to be different; what is missing stays.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    title: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<Map<String, Value>>,
    visibility: Option<Visibility>,
    recipe: Option<String>,
}

/// The HTTP status that a hook wants a refusal to have, as the reason of an error.
#[derive(Debug, thiserror::Error)]
#[error("the hook refuses with {0}")]
pub struct RefusedAs(pub u16);

impl Hook {
    /// Who is configured to be asked. Asks nobody yet.
    ///
    /// # Errors
    /// Names the setting and what it should be.
    pub fn new(config: &HookConfig) -> Result<Option<Self>, String> {
        let Some(url) = &config.url else {
            return Ok(None);
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err("ingest.hook.url must begin with http:// or https://".into());
        }
        // Two libraries of ours may have done it already; the first one wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("MediaFlow/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(config.timeout_ms))
            .build()
            .map_err(|e| format!("ingest.hook: {e}"))?;
        Ok(Some(Self {
            client,
            url: url.clone(),
            key: config.key()?,
            on_error: config.on_error,
        }))
    }

    /// What is to be said of the file now, or why it is refused.
    pub(crate) async fn ask(
        &self,
        about: &About<'_>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Upload, EngineError> {
        let upload = about.upload;
        match self.answer(about, id, now).await {
            Ok(None) => Ok(upload.clone()),
            Ok(Some(answer)) => decided(upload, answer),
            Err(reason) => match self.on_error {
                OnError::Accept => {
                    tracing::warn!(reason, "the hook did not answer; the file is accepted");
                    Ok(upload.clone())
                }
                OnError::Refuse => {
                    tracing::warn!(reason, "the hook did not answer; the file is refused");
                    let text = "who decides about files did not answer; try again later";
                    Err(EngineError::new(ErrorCode::HookUnavailable, text))
                }
            },
        }
    }

    async fn answer(
        &self,
        about: &About<'_>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<Answer>, String> {
        let body = question(about, now);
        let (id, seconds) = (format!("msg_{}", id.simple()), now.0.div_euclid(1000));
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-signature", sign(&self.key, &id, seconds, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .body(body);
        // Addresses may have secrets in them.
        let broken = |e: reqwest::Error| e.without_url().to_string();
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it answers {status}"));
        }
        let mut said = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            said.extend_from_slice(&piece);
            if said.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        match said.is_empty() {
            true => Ok(None),
            false => serde_json::from_slice(&said)
                .map(Some)
                .map_err(|e| format!("its answer: {e}")),
        }
    }
}

fn question(about: &About<'_>, now: Timestamp) -> String {
    let (upload, found) = (about.upload, about.found);
    let AssetOptions {
        title,
        tags,
        metadata,
        visibility,
        ..
    } = &upload.options;
    let question = Question {
        r#type: "upload.accepting",
        timestamp: now.to_string(),
        data: Data {
            filename: upload.filename.as_deref(),
            bytes: about.bytes,
            sha256: about.sha256.to_string(),
            media_type: found.media_type,
            kind: found.kind.as_str(),
            width: found.dimensions.map(|(width, _)| width),
            height: found.dimensions.map(|(_, height)| height),
            tenant: about.tenant,
            key: upload.key,
            recipe: upload.recipe.as_deref(),
            title: title.as_deref(),
            tags,
            metadata,
            visibility: *visibility,
            correlation_id: &upload.correlation_id,
        },
    };
    serde_json::to_string(&question).expect("plain data is always JSON")
}

fn sign(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn decided(upload: &Upload, answer: Answer) -> Result<Upload, EngineError> {
    if matches!(answer.decision, Decision::Refuse) {
        let message = answer.message.unwrap_or_default();
        let message: String = message
            .chars()
            .filter(|c| !c.is_control())
            .take(MESSAGE_CHARS_MAX)
            .collect();
        let status = answer.status.filter(|status| (400..500).contains(status));
        return Err(EngineError {
            code: ErrorCode::HookRefused,
            message: match message.trim() {
                "" => "the file is not wanted here".to_owned(),
                message => message.to_owned(),
            },
            reason: status.map(|status| Box::new(RefusedAs(status)) as _),
        });
    }
    let changes = answer.changes;
    let options = &upload.options;
    Ok(Upload {
        recipe: changes.recipe.or_else(|| upload.recipe.clone()),
        options: AssetOptions {
            title: changes.title.or_else(|| options.title.clone()),
            tags: changes.tags.unwrap_or_else(|| options.tags.clone()),
            metadata: changes.metadata.unwrap_or_else(|| options.metadata.clone()),
            visibility: changes.visibility.unwrap_or(options.visibility),
            ..options.clone()
        },
        ..upload.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_signed_as_the_specification_has_it() {
        // The example of the Standard Webhooks libraries.
        let config = HookConfig {
            secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()),
            ..HookConfig::default()
        };
        let signature = sign(
            &config.key().unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for wrong in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
        ] {
            let config = HookConfig {
                secret: Some(wrong.into()),
                ..HookConfig::default()
            };
            assert!(config.key().is_err(), "{wrong}");
        }
    }
}
