//! What stands in front of delivery: warmed before publishing, purged after a change.

use crate::config::{CdnConfig, CdnDriver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

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
    purged: Arc<Mutex<CdnStats>>,
}

/// What became of purges since this process began.
#[derive(Debug, Clone, Default)]
pub struct CdnStats {
    /// Purges that were done.
    pub purged: u64,
    /// Those that failed; each is tried again.
    pub failures: u64,
    /// When the last one failed, and why.
    pub last_failure: Option<(SystemTime, String)>,
    /// Whether the last one failed.
    pub is_failing: bool,
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
            purged: Arc::default(),
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

    /// What became of purges; nothing where there is no CDN.
    pub fn stats(&self) -> Option<CdnStats> {
        match self {
            Self::None => None,
            Self::Http(cdn) => Some(cdn.stats().clone()),
        }
    }

    /// Has the CDN forget these paths. What it never knew is forgotten already.
    ///
    /// # Errors
    /// The first path that it did not forget.
    pub async fn purge(&self, paths: &[String]) -> Result<(), CdnError> {
        let Self::Http(cdn) = self else { return Ok(()) };
        let done = cdn.forget(paths).await;
        let mut stats = cdn.stats();
        stats.is_failing = done.is_err();
        match &done {
            Ok(()) => stats.purged += 1,
            Err(error) => {
                stats.failures += 1;
                stats.last_failure = Some((SystemTime::now(), error.to_string()));
            }
        }
        done
    }
}

impl HttpCdn {
    fn stats(&self) -> MutexGuard<'_, CdnStats> {
        self.purged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn forget(&self, paths: &[String]) -> Result<(), CdnError> {
        let method = reqwest::Method::from_bytes(b"PURGE").expect("PURGE is a valid method name");
        for path in paths {
            let mut request = self
                .client
                .request(method.clone(), format!("{}{path}", self.base));
            if let Some(token) = &self.purge_token {
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
