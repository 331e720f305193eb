//! What the database's address says, and what encrypts the way there.
//!
//! `sslmode` has the names of PostgreSQL's own library, but not those that pretend: whoever encrypts also knows to whom.

use crate::StoreError;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use rustls_tokio_postgres::MakeRustlsConnect;
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// A database, and how to speak to it.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads `postgres://...`. Without `sslmode=require` or `verify-full` the way is in the clear; with either the server's certificate
    /// must be for the host's name and from a root of this machine, or of the file that `sslrootcert` names.
    pub(super) fn read(url: &str) -> Result<Self, StoreError> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = (SslMode::Disable, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", "disable")) => mode = SslMode::Disable,
                Some(("sslmode", "require" | "verify-full")) => mode = SslMode::Require,
                Some(("sslmode", other)) => {
                    return Err(unusable(format!(
                        "sslmode={other} would not say whether the way is safe; it must be disable, require or verify-full"
                    )));
                }
                Some(("sslrootcert", file)) => roots = Some(file),
                _ => rest.push(pair),
            }
        }
        let url = match rest.is_empty() {
            true => place.to_owned(),
            false => format!("{place}?{}", rest.join("&")),
        };
        let mut config: Config = url.parse().map_err(|e| StoreError::Database(Box::new(e)))?;
        config.ssl_mode(mode);
        let tls = MakeRustlsConnect::new(match mode {
            SslMode::Disable => trusting(RootCertStore::empty())?,
            _ => verifying(roots)?,
        });
        Ok(Self { config, tls })
    }
}

fn verifying(roots: Option<&str>) -> Result<ClientConfig, StoreError> {
    let Some(file) = roots else {
        let verified = builder()?.with_platform_verifier().map_err(unusable)?;
        return Ok(verified.with_no_client_auth());
    };
    let unreadable = |why: String| unusable(format!("sslrootcert={file}: {why}"));
    let read = CertificateDer::pem_file_iter(file).map_err(|e| unreadable(e.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in read {
        let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
        store
            .add(certificate)
            .map_err(|e| unreadable(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(unreadable("there is no certificate in it".to_owned()));
    }
    trusting(store)
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, StoreError> {
    let trusting = builder()?.with_root_certificates(roots);
    Ok(trusting.with_no_client_auth())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder() -> Result<Builder, StoreError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)
}

fn unusable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Database(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_of_tls() {
        for (query, mode) in [
            ("", SslMode::Disable),
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=require&application_name=x", SslMode::Require),
            ("?connect_timeout=3&sslmode=verify-full", SslMode::Require),
        ] {
            let address = Address::read(&format!("postgres://me@there/db{query}")).unwrap();
            assert_eq!(address.config.get_ssl_mode(), mode, "{query}");
        }
        for query in [
            "sslmode=prefer",
            "sslmode=require&sslrootcert=/none.pem",
            "no=1",
        ] {
            assert!(
                Address::read(&format!("postgres://me@there/db?{query}")).is_err(),
                "{query}"
            );
        }
    }
}
