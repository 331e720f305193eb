//! What stands in front of delivery: warmed before publishing, purged after a change.

use crate::config::{CdnConfig, CdnDriver};
use std::time::Duration;

/// A CDN's driver.
#[derive(Debug, Clone)]
pub enum Cdn {
    /// There is none: nothing to warm, nothing to purge.
    None,
    /// Any cache that speaks HTTP.
    Http(HttpCdn),
}

/// A cache that is warmed by GET and purged by PURGE.
#[derive(Debug, Clone)]
pub struct HttpCdn {
    client: reqwest::Client,
    base: String,
    purge_token: Option<String>,
}

/// Why a CDN did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum CdnError {
    /// It did not answer.
    #[error("the CDN did not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// It answered with an error.
    #[error("the CDN answered {status} to {method} {path}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// For which path.
        path: String,
        /// The answer.
        status: u16,
    },
}

impl Cdn {
    /// The driver that the configuration names.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &CdnConfig) -> Result<Self, String> {
        config.check()?;
        let (CdnDriver::Http, Some(url)) = (config.driver, &config.url) else {
            return Ok(Self::None);
        };
        // Two libraries of ours may have done it already; the first one wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .map_err(|e| format!("cdn: {e}"))?;
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self::Http(HttpCdn {
            client,
            base,
            purge_token: config.purge_token.clone(),
        }))
    }

    /// Has the CDN fetch these paths.
    ///
    /// # Errors
    /// The first path that it did not take.
    pub async fn warm(&self, paths: &[String]) -> Result<(), CdnError> {
        let Self::Http(cdn) = self else { return Ok(()) };
        for path in paths {
            let mut answer = cdn.client.get(format!("{}{path}", cdn.base)).send().await?;
            let status = answer.status();
            if !status.is_success() {
                return Err(CdnError::Refused {
                    method: "GET",
                    path: path.clone(),
                    status: status.as_u16(),
                });
            }
            // The cache stores what was read to the end.
            while answer.chunk().await?.is_some() {}
        }
        Ok(())
    }

    /// Has the CDN forget these paths. What it never knew is forgotten already.
    ///
    /// # Errors
    /// The first path that it did not forget.
    pub async fn purge(&self, paths: &[String]) -> Result<(), CdnError> {
        let Self::Http(cdn) = self else { return Ok(()) };
        let method = reqwest::Method::from_bytes(b"PURGE").expect("PURGE is a valid method name");
        for path in paths {
            let mut request = cdn
                .client
                .request(method.clone(), format!("{}{path}", cdn.base));
            if let Some(token) = &cdn.purge_token {
                request = request.bearer_auth(token);
            }
            let status = request.send().await?.status();
            if !status.is_success() && status != reqwest::StatusCode::NOT_FOUND {
                return Err(CdnError::Refused {
                    method: "PURGE",
                    path: path.clone(),
                    status: status.as_u16(),
                });
            }
        }
        Ok(())
    }
}
