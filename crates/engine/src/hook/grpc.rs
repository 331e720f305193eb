//! The question over gRPC: the client of `proto/hook.proto`.

use super::{ANSWER_BYTES_MAX, About, Answer, Changes, HookConfig};
use mediaflow_core::Visibility;
use mediaflow_proto::hook::v1 as proto;
use proto::accepting_response::Decision;
use proto::upload_hook_client::UploadHookClient;
use std::sync::OnceLock;
use std::time::Duration;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use uuid::Uuid;

pub(super) struct Grpc {
    endpoint: Endpoint,
    /// Made with the first question, because that needs a runtime.
    client: OnceLock<UploadHookClient<Channel>>,
    token: Option<AsciiMetadataValue>,
    timeout: Duration,
}

impl Grpc {
    pub(super) fn new(address: &str, config: &HookConfig) -> Result<Self, String> {
        let odd = || {
            "ingest.hook.grpc must be like \"http://127.0.0.1:50052\" or \"https://hook.example.com\""
                .to_owned()
        };
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(odd());
        }
        let timeout = Duration::from_millis(config.timeout_ms);
        let mut endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|_| odd())?
            .connect_timeout(timeout);
        if address.starts_with("https://") {
            // Two libraries of ours may have done it already; the first one wins.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let tls = ClientTlsConfig::new().with_native_roots();
            let with_tls = endpoint.tls_config(tls);
            endpoint = with_tls.map_err(|e| format!("ingest.hook.grpc: {e}"))?;
        }
        let token = config.token.as_ref().map(|token| {
            let value: Result<AsciiMetadataValue, _> = format!("Bearer {token}").parse();
            let mut value = value.map_err(|_| "ingest.hook.token must be visible ASCII")?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        Ok(Self {
            endpoint,
            client: OnceLock::new(),
            token: token.transpose()?,
            timeout,
        })
    }

    pub(super) async fn ask(&self, about: &About<'_>, id: Uuid) -> Result<Answer, String> {
        let client = self.client.get_or_init(|| {
            let client = UploadHookClient::new(self.endpoint.connect_lazy());
            client.max_decoding_message_size(ANSWER_BYTES_MAX)
        });
        let mut client = client.clone();
        let mut request = Request::new(question(about, id));
        request.set_timeout(self.timeout);
        if let Some(token) = &self.token {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", token.clone());
        }
        let asking = tokio::time::timeout(self.timeout, client.accepting(request));
        let answer = asking.await.map_err(|_| "no answer in time".to_owned())?;
        let answer = answer
            .map_err(|status| format!("it answers {:?}: {}", status.code(), status.message()))?;
        match answer.into_inner().decision {
            None => Ok(Answer::Allow(Changes::default())),
            Some(Decision::Allow(changes)) => changed(changes).map(Answer::Allow),
            Some(Decision::Refuse(refusal)) => Ok(Answer::Refuse {
                message: refusal.message,
                status: refusal.status,
            }),
        }
    }
}

fn question(about: &About<'_>, id: Uuid) -> proto::AcceptingRequest {
    let (upload, found) = (about.upload, about.found);
    let options = &upload.options;
    let metadata = serde_json::to_string(&options.metadata);
    proto::AcceptingRequest {
        id: id.simple().to_string(),
        filename: upload.filename.clone(),
        bytes: about.bytes,
        sha256: about.sha256.to_string(),
        media_type: found.media_type.to_owned(),
        kind: found.kind.as_str().to_owned(),
        width: found.dimensions.map(|(width, _)| width),
        height: found.dimensions.map(|(_, height)| height),
        tenant: about.tenant.to_string(),
        key: upload.key.map(|key| key.to_string()),
        recipe: upload.recipe.clone(),
        title: options.title.clone(),
        tags: options.tags.clone(),
        metadata_json: metadata.expect("plain data is always JSON"),
        visibility: options.visibility.as_str().to_owned(),
        correlation_id: upload.correlation_id.clone(),
    }
}

fn changed(said: proto::Changes) -> Result<Changes, String> {
    let metadata = said.metadata_json.map(|text| serde_json::from_str(&text));
    let visibility = said.visibility.map(|name| {
        let odd = || "its answer: `visibility` must be `public` or `private`".to_owned();
        Visibility::parse(&name).ok_or_else(odd)
    });
    Ok(Changes {
        title: said.title,
        tags: said.tags.map(|tags| tags.tags),
        metadata: metadata
            .transpose()
            .map_err(|e| format!("its answer: `metadata_json`: {e}"))?,
        visibility: visibility.transpose()?,
        recipe: said.recipe,
    })
}
