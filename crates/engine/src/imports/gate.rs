//! The one door to other people's servers: which addresses may be asked for, and which are connected to.
//!
//! A name is looked up by [`Gate`] alone, and the connection goes to what it answered. So what was checked is what is connected to,
//! whatever a name server says the next time.

use super::ImportConfig;
use super::network::{Network, is_public};
use crate::EngineError;
use async_trait::async_trait;
use mediaflow_core::ErrorCode;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;

/// Longest address that is taken.
const URL_BYTES_MAX: usize = 4096;

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
pub(super) struct SystemLookup;

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
pub(super) struct Forbidden(String);

/// What may be fetched.
#[derive(Clone)]
pub(super) struct Gate {
    allowed: Arc<[Network]>,
    ports: Arc<[u16]>,
    lookup: Arc<dyn Lookup>,
}

impl Gate {
    pub(super) fn new(config: &ImportConfig, lookup: Arc<dyn Lookup>) -> Result<Self, String> {
        Ok(Self {
            allowed: config.networks()?.into(),
            ports: config.ports.as_slice().into(),
            lookup,
        })
    }

    /// An address as somebody said it, if it may be asked for. A name may still turn out to lead nowhere good.
    pub(super) fn parse(&self, text: &str) -> Result<Url, EngineError> {
        let wrong = |what: &str| EngineError::new(ErrorCode::ImportUrl, what);
        if text.len() > URL_BYTES_MAX {
            return Err(wrong("the address has more than 4096 bytes"));
        }
        let url = Url::from_str(text).map_err(|e| wrong(&format!("the address: {e}")))?;
        self.check(&url)?;
        Ok(url)
    }

    /// The same of one that was read already.
    pub(super) fn check(&self, url: &Url) -> Result<(), EngineError> {
        let wrong = |what: String| EngineError::new(ErrorCode::ImportUrl, what);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(
                "files are imported from http and https addresses".into(),
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the address has a name or a password in it".into()));
        }
        let port = url.port_or_known_default();
        if !port.is_some_and(|port| self.ports.contains(&port)) {
            let port = port.unwrap_or_default();
            let text =
                format!("port {port} is not one that is imported from (ingest.import.ports)");
            return Err(wrong(text));
        }
        let host = url.host_str().unwrap_or_default();
        // A URL writes IPv6 in brackets; numbers in odd forms became plain when it was read.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse();
        match literal {
            Ok(address) if !self.permits(address) => Err(EngineError::new(
                ErrorCode::ImportAddress,
                format!("{address} is in a network that is not public (ingest.import.allow)"),
            )),
            _ => Ok(()),
        }
    }

    fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
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
