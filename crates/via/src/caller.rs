//! How the API is reached and called: its address, the key, and what goes wrong on the way.

use crate::MESSAGE_BYTES_MAX;
use crate::status::described;
use mediaflow_proto::worker::v1::worker_client::WorkerClient;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// A call takes no longer; the streams do.
const CALL_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether anybody is still there.
const PING: Duration = Duration::from_secs(20);

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct ViaOptions {
    /// `http://` or `https://`, a host and perhaps a port.
    pub url: String,
    /// With the scope `worker`.
    pub key: String,
    /// Whether bytes come through the API too, because the worker does not reach their bucket.
    pub through_api: bool,
    /// Certificates in PEM, one of which must have signed the API's; none for the roots that this machine trusts. Where bytes
    /// come from another server, these roots count as well.
    pub roots: Vec<u8>,
}

/// Why the API does not take this worker.
#[derive(Debug, thiserror::Error)]
pub enum ViaError {
    /// The address or the key can be none.
    #[error("{0}")]
    Unusable(String),
    /// It answered, and said no.
    #[error("{url} refused this worker: {reason}")]
    Refused {
        /// Who.
        url: String,
        /// Its words.
        reason: String,
    },
    /// It does not answer at the moment.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// Who.
        url: String,
        /// What came instead.
        reason: String,
    },
}

/// How calls are made. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    client: WorkerClient<Channel>,
    authorization: MetadataValue<Ascii>,
    base: Arc<str>,
    through_api: bool,
}

impl Caller {
    pub(crate) fn new(options: &ViaOptions) -> Result<Self, ViaError> {
        let url = options.url.trim_end_matches('/');
        let wrong = |why: &str| {
            ViaError::Unusable(format!(
                "via: `{url}` {why}; it should look like https://media.example.com"
            ))
        };
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let host = host.ok_or_else(|| wrong("begins with neither http:// nor https://"))?;
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(wrong("is more or less than a host and a port"));
        }
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|e| wrong(&e.to_string()))?;
        let endpoint = match url.starts_with("https://") {
            true => {
                let tls = ClientTlsConfig::new();
                endpoint.tls_config(match options.roots.is_empty() {
                    true => tls.with_native_roots(),
                    false => tls.ca_certificate(Certificate::from_pem(&options.roots)),
                })
            }
            false => Ok(endpoint),
        };
        let endpoint = endpoint.map_err(|e| wrong(&described_source(&e)))?;
        let channel = endpoint
            .connect_timeout(CONNECT_MAX)
            .http2_keep_alive_interval(PING)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let authorization = format!("Bearer {}", options.key).parse();
        let authorization = authorization
            .map_err(|_| ViaError::Unusable("the worker's key has characters of no key".into()))?;
        Ok(Self {
            client: WorkerClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX),
            authorization,
            base: url.into(),
            through_api: options.through_api,
        })
    }

    pub(crate) fn client(&self) -> WorkerClient<Channel> {
        self.client.clone()
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn through_api(&self) -> bool {
        self.through_api
    }

    /// A call that ends in time.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = self.open(message);
        request.set_timeout(CALL_MAX);
        request
    }

    /// A call that may take long.
    pub(crate) fn open<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let authorization = self.authorization.clone();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        request
    }

    /// An address as the API told it, which does not know its own.
    pub(crate) fn absolute(&self, url: String) -> String {
        match url.starts_with('/') {
            true => format!("{}{url}", self.base),
            false => url,
        }
    }
}

/// The innermost reason, which says most.
pub(crate) fn described_source(error: &(dyn std::error::Error + 'static)) -> String {
    let status = error.downcast_ref::<Status>();
    let mut said = status.map_or_else(|| error.to_string(), described);
    let mut reason = error.source();
    while let Some(inner) = reason {
        said = inner.to_string();
        reason = inner.source();
    }
    said
}
