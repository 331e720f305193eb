//! The one door to other people's servers: which addresses may be asked for, and which are connected to.
//!
//! A name is looked up by [`Gate`] alone, and the connection goes to what it answered. So what was checked is what is connected to,
//! whatever a name server says the next time.

use super::network::{Network, is_public};
use crate::EngineError;
use async_trait::async_trait;
use mediaflow_core::ErrorCode;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// Longest address that is taken.
const URL_BYTES_MAX: usize = 4096;
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Who knows the addresses of names.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a host.
    ///
    /// # Errors
    /// When it is not known, or nobody answers.
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The machine's own way.
pub(crate) struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// A host has addresses, and none may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0} is in a network that is not public")]
struct Forbidden(String);

/// What a door lets through, and how it says no.
pub(crate) struct Rules {
    /// Networks that may be connected to although they are not public.
    pub(crate) allowed: Vec<Network>,
    /// The setting that has them.
    pub(crate) allow: &'static str,
    /// Ports that may be connected to.
    pub(crate) ports: Vec<RangeInclusive<u16>>,
    /// Which those are, for people.
    pub(crate) ports_said: &'static str,
    /// Of what is no address that may be asked for.
    pub(crate) url: ErrorCode,
    /// Of an address in a network that is not public.
    pub(crate) address: ErrorCode,
}

/// What may be connected to.
#[derive(Clone)]
pub(crate) struct Gate {
    rules: Arc<Rules>,
    lookup: Arc<dyn Lookup>,
}

impl Gate {
    pub(crate) fn new(rules: Rules, lookup: Arc<dyn Lookup>) -> Self {
        let rules = Arc::new(rules);
        Self { rules, lookup }
    }

    /// What connects to nothing else, and follows nobody anywhere.
    pub(crate) fn client(&self) -> ClientBuilder {
        // Two libraries of ours may have done it already; the first one wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(concat!("MediaFlow/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            // A proxy would connect to what nobody checked.
            .no_proxy()
            .dns_resolver(Arc::new(self.clone()))
            .http1_only()
            .connect_timeout(CONNECT_MAX)
    }

    /// An address as somebody said it, if it may be asked for. A name may still turn out to lead nowhere good.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, EngineError> {
        let wrong = |what: &str| EngineError::new(self.rules.url, what);
        if text.len() > URL_BYTES_MAX {
            return Err(wrong("the address has more than 4096 bytes"));
        }
        let url = Url::from_str(text).map_err(|e| {
            wrong(&format!(
                "the address must be like https://example.com/path: {e}"
            ))
        })?;
        self.check(&url)?;
        Ok(url)
    }

    /// The same of one that was read already.
    pub(crate) fn check(&self, url: &Url) -> Result<(), EngineError> {
        let wrong = |what: String| EngineError::new(self.rules.url, what);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(
                "the address must begin with http:// or https://".into(),
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the address has a name or a password in it".into()));
        }
        let port = url.port_or_known_default();
        let is_known = |port: &u16| self.rules.ports.iter().any(|range| range.contains(port));
        if !port.as_ref().is_some_and(is_known) {
            let (port, said) = (port.unwrap_or_default(), self.rules.ports_said);
            let text = format!("port {port} is not one that is connected to ({said})");
            return Err(wrong(text));
        }
        let host = url.host_str().unwrap_or_default();
        // A URL writes IPv6 in brackets; numbers in odd forms became plain when it was read.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        match literal {
            Ok(address) if !self.permits(address) => {
                Err(self.refused(&Forbidden(address.to_string())))
            }
            _ => Ok(()),
        }
    }

    /// Why a request was not sent, if it was because it leads where nobody may go.
    pub(crate) fn forbids(&self, error: &reqwest::Error) -> Option<EngineError> {
        let mut reason = error.source();
        while let Some(inner) = reason {
            if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
                return Some(self.refused(forbidden));
            }
            reason = inner.source();
        }
        None
    }

    fn refused(&self, forbidden: &Forbidden) -> EngineError {
        let text = format!("{forbidden} ({})", self.rules.allow);
        EngineError::new(self.rules.address, text)
    }

    fn permits(&self, address: IpAddr) -> bool {
        let mut allowed = self.rules.allowed.iter();
        is_public(address) || allowed.any(|network| network.contains(address))
    }
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = gate.lookup.lookup(host).await?;
            let is_known = !found.is_empty();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| gate.permits(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if is_known && allowed.is_empty() {
                return Err(Forbidden(host.to_owned()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
