//! The question as JSON over HTTP, signed as Standard Webhooks has it, so that whoever answers can tell who asks.

use super::{ANSWER_BYTES_MAX, About, Answer, Changes, HookConfig};
use crate::signature::{self, sign};
use mediaflow_core::{AssetOptions, KeyId, TenantId, Timestamp, Visibility};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use uuid::Uuid;

pub(super) struct Http {
    client: reqwest::Client,
    url: String,
    key: Vec<u8>,
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
struct Said {
    decision: Decision,
    message: Option<String>,
    status: Option<u32>,
    #[serde(default)]
    changes: Changes,
}

impl Http {
    pub(super) fn new(url: &str, config: &HookConfig) -> Result<Self, String> {
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
        Ok(Self {
            client,
            url: url.to_owned(),
            key: key(config)?,
        })
    }

    pub(super) async fn ask(
        &self,
        about: &About<'_>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Answer, String> {
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
        if said.is_empty() {
            return Ok(Answer::Allow(Changes::default()));
        }
        let said: Said = serde_json::from_slice(&said).map_err(|e| format!("its answer: {e}"))?;
        Ok(match said.decision {
            Decision::Allow => Answer::Allow(said.changes),
            Decision::Refuse => Answer::Refuse {
                message: said.message.unwrap_or_default(),
                status: said.status,
            },
        })
    }
}

fn key(config: &HookConfig) -> Result<Vec<u8>, String> {
    let key = config.secret.as_deref().and_then(signature::key);
    key.ok_or_else(|| {
        "ingest.hook.secret must be whsec_ and 24 to 64 bytes in Base64, for example of `echo whsec_$(openssl rand -base64 32)`".to_owned()
    })
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
