//! `[api]`: what an operator can say about the HTTP side.

use crate::CorsOrigins;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[api]`: addresses in answers and limits of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Where the world reaches this server or the CDN before it, for example `https://media.example.com`.
    /// Addresses in answers begin with it. Without it they begin with the `Host` of the request.
    pub public_url: Option<String>,
    /// How long the signed URLs in answers about private assets work, in seconds.
    pub signed_url_s: u64,
    /// Sites whose pages may upload to `/v1/tus`, `/v1/uploads` and `POST /v1/assets`, for example `https://example.com`; `*` stands for all. They need an
    /// upload token, or an API key.
    pub upload_origins: Vec<String>,
    /// Event streams that may be open at the same time; one more is answered 429.
    pub event_streams_max: usize,
    /// How long a connection may take for a request's head, and stay open between two requests, in seconds.
    pub head_s_max: u64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            signed_url_s: 3600,
            upload_origins: Vec::new(),
            event_streams_max: 256,
            head_s_max: 60,
        }
    }
}

impl ApiConfig {
    /// Whom browsers talk to, with the port, where that is said.
    pub(crate) fn public_host(&self) -> Option<String> {
        let (_, rest) = self.public_url.as_deref()?.split_once("://")?;
        rest.split('/').next().map(str::to_owned)
    }

    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.public_url {
            let rest = url
                .strip_prefix("https://")
                .or_else(|| url.strip_prefix("http://"));
            let is_plain = |rest: &str| !rest.is_empty() && !rest.contains(['?', '#', ' ', '@']);
            if !rest.is_some_and(is_plain) {
                return Err(format!(
                    "api.public_url is \"{url}\", but must be an address like \"https://media.example.com\""
                ));
            }
        }
        CorsOrigins::new(&self.upload_origins).map_err(|e| format!("api.upload_origins: {e}"))?;
        if !(60..=604_800).contains(&self.signed_url_s) {
            return Err("api.signed_url_s must be between 60 and 604800 (a week)".into());
        }
        if !(1..=3600).contains(&self.head_s_max) {
            return Err("api.head_s_max must be between 1 and 3600".into());
        }
        if self.event_streams_max == 0 {
            return Err("api.event_streams_max must be at least 1".into());
        }
        Ok(())
    }
}
