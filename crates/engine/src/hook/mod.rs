//! `[ingest.hook]`: somebody else is asked before a file becomes an asset, and may refuse it or change what was said of it. Over
//! HTTP or gRPC; what follows from an answer is the same.

mod grpc;
mod http;

use crate::{EngineError, Recognised, Upload};
use grpc::Grpc;
use http::Http;
use mediaflow_core::{AssetOptions, ErrorCode, Sha256, TenantId, Timestamp, Visibility};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Longest text that a user gets to see.
const MESSAGE_CHARS_MAX: usize = 500;

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

/// `[ingest.hook]`: who is asked before a file becomes an asset. Without `url` and `grpc` nobody is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookConfig {
    /// An http or https address that is asked with POST.
    pub url: Option<String>,
    /// Signs what `url` is asked: `whsec_` and 24 to 64 bytes in Base64. Needed with `url`.
    pub secret: Option<String>,
    /// A gRPC server that speaks `proto/hook.proto`, for example `http://127.0.0.1:50052`, or `https://...` for TLS.
    pub grpc: Option<String>,
    /// What calls of `grpc` carry as `authorization: Bearer ...`.
    pub token: Option<String>,
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
            grpc: None,
            token: None,
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
}

/// Who is asked.
pub struct Hook {
    way: Way,
    on_error: OnError,
}

/// How it is asked.
enum Way {
    Http(Http),
    Grpc(Box<Grpc>),
}

/// What is known of a file that is about to become an asset.
pub(crate) struct About<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) upload: &'a Upload,
    pub(crate) bytes: u64,
    pub(crate) sha256: Sha256,
    pub(crate) found: &'a Recognised,
}

/// What it says.
enum Answer {
    Allow(Changes),
    Refuse {
        message: String,
        status: Option<u32>,
    },
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
        let way = match (&config.url, &config.grpc) {
            (None, None) => return Ok(None),
            (Some(url), None) => Way::Http(Http::new(url, config)?),
            (None, Some(address)) => Way::Grpc(Box::new(Grpc::new(address, config)?)),
            (Some(_), Some(_)) => {
                return Err("ingest.hook must have `url` or `grpc`, not both".into());
            }
        };
        let on_error = config.on_error;
        Ok(Some(Self { way, on_error }))
    }

    /// What is to be said of the file now, or why it is refused.
    pub(crate) async fn ask(
        &self,
        about: &About<'_>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Upload, EngineError> {
        let upload = about.upload;
        let answer = match &self.way {
            Way::Http(http) => http.ask(about, id, now).await,
            Way::Grpc(grpc) => grpc.ask(about, id).await,
        };
        let span = tracing::Span::current();
        span.record("outcome", outcome(&answer));
        if answer.is_err() {
            span.record("error", ErrorCode::HookUnavailable.as_str());
        }
        match answer {
            Ok(Answer::Allow(changes)) => Ok(changed(upload, changes)),
            Ok(Answer::Refuse { message, status }) => Err(refused(&message, status)),
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
}

fn outcome(answer: &Result<Answer, String>) -> &'static str {
    match answer {
        Ok(Answer::Allow(_)) => "allowed",
        Ok(Answer::Refuse { .. }) => "refused",
        Err(_) => "unavailable",
    }
}

fn refused(message: &str, status: Option<u32>) -> EngineError {
    let message = message.chars().filter(|c| !c.is_control());
    let message: String = message.take(MESSAGE_CHARS_MAX).collect();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.filter(|status| (400..500).contains(status));
    EngineError {
        code: ErrorCode::HookRefused,
        message: match message.trim() {
            "" => "the file is not wanted here".to_owned(),
            message => message.to_owned(),
        },
        reason: status.map(|status| Box::new(RefusedAs(status)) as _),
    }
}

fn changed(upload: &Upload, changes: Changes) -> Upload {
    let options = &upload.options;
    Upload {
        recipe: changes.recipe.or_else(|| upload.recipe.clone()),
        options: AssetOptions {
            title: changes.title.or_else(|| options.title.clone()),
            tags: changes.tags.unwrap_or_else(|| options.tags.clone()),
            metadata: changes.metadata.unwrap_or_else(|| options.metadata.clone()),
            visibility: changes.visibility.unwrap_or(options.visibility),
            ..options.clone()
        },
        ..upload.clone()
    }
}
