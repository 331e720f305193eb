//! Sends spans with the HTTP client that everything here has. The SDK's thread builds and tries requests again; they run in the
//! process's runtime.

use crate::fault::Fault;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use std::time::Duration;
use tokio::runtime::Handle;

/// One request, whatever the collector does.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// To this address, or where the standard's variables say.
pub(super) fn exporter(endpoint: Option<String>) -> Result<SpanExporter, Fault> {
    let client = reqwest::Client::builder()
        .timeout(REQUEST_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| Fault::failed(format!("no HTTP client for traces: {e}")))?;
    let client = Client {
        client,
        runtime: Handle::current(),
    };
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary);
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let built = exporter.build();
    built.map_err(|e| Fault::unusable(format!("traces cannot be sent: {e}")))
}

#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let answered = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = answered.await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}
