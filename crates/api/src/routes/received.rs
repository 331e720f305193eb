//! `/v1/uploads/{id}/bytes`: where blobs are a folder, what clients bring by themselves comes here, in requests that we have signed as
//! a bucket would.

use crate::arriving::Arriving;
use crate::origin::Origin;
use crate::params::Params;
use crate::problem::Problem;
use crate::send::value;
use crate::{Context, Shared};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use mediaflow_core::{ErrorCode, Sha256, Timestamp, UploadId};
use mediaflow_engine::blob::{BlobError, Incoming, Piece, Signed};
use std::time::Duration;

/// A request that comes to us.
pub(crate) struct Own {
    id: UploadId,
    part: Option<u32>,
    bytes: u64,
    media_type: Option<String>,
    sha256: Option<Sha256>,
    expires: Timestamp,
}

impl Own {
    pub(crate) fn new(
        id: UploadId,
        piece: &Piece,
        incoming: &Incoming,
        expires: Timestamp,
    ) -> Self {
        Self {
            id,
            part: piece.part,
            bytes: piece.bytes,
            media_type: incoming.media_type().map(str::to_owned),
            // That of the whole says nothing of a part.
            sha256: incoming
                .sha256()
                .map(Sha256)
                .filter(|_| piece.part.is_none()),
            expires,
        }
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("bytes", &self.bytes.to_string());
        query.append_pair("expires", &self.expires.0.to_string());
        if let Some(part) = self.part {
            query.append_pair("part", &part.to_string());
        }
        if let Some(media_type) = &self.media_type {
            query.append_pair("type", media_type);
        }
        if let Some(sha256) = self.sha256 {
            query.append_pair("sha256", &sha256.to_string());
        }
        query.finish()
    }

    fn sealed(&self) -> String {
        format!("upload {} {}", self.id, self.query())
    }

    pub(crate) fn signed(&self, context: &Context, origin: &Origin) -> Signed {
        let seal = context.signer.seal(&self.sealed());
        let mut headers = vec![("content-length".to_owned(), self.bytes.to_string())];
        if let Some(media_type) = &self.media_type {
            headers.push(("content-type".to_owned(), media_type.clone()));
        }
        Signed {
            url: format!(
                "{}/v1/uploads/{}/bytes?{}&seal={seal}",
                origin.0,
                self.id,
                self.query()
            ),
            headers,
        }
    }

    /// What the address says, once its seal and the headers were held against it.
    fn opened(
        context: &Context,
        id: UploadId,
        mut params: Params,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let refused = |text: &str| Problem::new(ErrorCode::SignatureInvalid, text);
        let number = |text: &str| text.parse().ok();
        let own = Self {
            id,
            part: params.take_as("part", "a number", |text| text.parse().ok())?,
            bytes: params
                .take_as("bytes", "a number", number)?
                .unwrap_or_default(),
            media_type: params.take("type")?,
            sha256: params.take_as("sha256", "a digest", |text| text.parse().ok())?,
            expires: Timestamp(
                params
                    .take_as("expires", "a number", |text| text.parse().ok())?
                    .unwrap_or_default(),
            ),
        };
        let seal = params.take("seal")?.unwrap_or_default();
        params.finish()?;
        if !context.signer.is_sealed(&own.sealed(), &seal)
            || context.engine.environment().now() >= own.expires
        {
            return Err(refused("the address is wrong, or its time is over"));
        }
        let text = |name| {
            headers
                .get(name)
                .and_then(|v: &HeaderValue| v.to_str().ok())
        };
        if text(header::CONTENT_LENGTH) != Some(&own.bytes.to_string()) {
            return Err(refused("`Content-Length` is not the one that was signed"));
        }
        if own.media_type.is_some() && text(header::CONTENT_TYPE) != own.media_type.as_deref() {
            return Err(refused("`Content-Type` is not the one that was signed"));
        }
        Ok(own)
    }
}

/// Takes what an address of ours is for, and nothing else.
pub(crate) async fn put(
    State(context): State<Shared>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let named = id.parse();
    let named = named.map_err(|_| Problem::plain(ErrorCode::UploadNotFound))?;
    let own = Own::opened(&context, named, params, &headers)?;
    let engine = &context.engine;
    let receiver = engine.blobs().receiver(own.id.0, own.part);
    let mut receiver = receiver.ok_or_else(|| Problem::plain(ErrorCode::UploadNotFound))?;
    if engine.store().open_among(&[own.id]).await?.is_empty() {
        return Err(Problem::plain(ErrorCode::UploadNotFound));
    }
    if receiver.has_come().await {
        return Err(Problem::plain(ErrorCode::UploadExists));
    }
    engine.check_room()?;
    let _place = engine.receiving_place()?;
    let idle = Duration::from_secs(engine.limits().idle_s_max);
    let mut body = Arriving::new(body, &headers);
    let mut left = own.bytes;
    let interrupted = || {
        let text = "the body is not as long as was announced; nothing was kept";
        Problem::new(ErrorCode::InputInterrupted, text)
    };
    loop {
        let piece = tokio::time::timeout(idle, body.next()).await;
        let piece = piece.map_err(|_| Problem::plain(ErrorCode::RequestTimeout))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| interrupted())?;
        left = left
            .checked_sub(piece.len() as u64)
            .ok_or_else(interrupted)?;
        receiver.write(piece).await?;
    }
    if left > 0 {
        return Err(interrupted());
    }
    match receiver.finish(own.sha256.map(|sha256| sha256.0)).await {
        Ok(tag) => Ok((
            [(header::ETAG, value(format!("\"{tag}\"")))],
            StatusCode::OK,
        )
            .into_response()),
        Err(BlobError::Other) => Err(Problem::plain(ErrorCode::InputDigest)),
        Err(BlobError::AlreadyExists(_)) => Err(Problem::plain(ErrorCode::UploadExists)),
        Err(error) => Err(error.into()),
    }
}
