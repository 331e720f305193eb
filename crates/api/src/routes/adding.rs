//! What protocols for uploads over several requests have in common: beginning with or without bytes, and working to the end.

use crate::Shared;
use crate::access::{Caller, MayUpload};
use crate::arriving::Arriving;
use crate::problem::Problem;
use crate::routes::UploadPath;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use mediaflow_core::{ErrorCode, TenantId, UploadId};
use mediaflow_engine::store::{UploadRecord, Way};
use mediaflow_engine::{Append, Appended, Opening};
use std::panic::resume_unwind;
use tracing::Instrument as _;

/// Works a request to its end in a task of its own, also when its client is gone meanwhile: what had arrived is kept, an upload whose
/// address nobody heard of is given up, and a token is spent or given back.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    let working = tokio::spawn(next.run(request).in_current_span());
    match working.await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Problem::plain(ErrorCode::Internal).into_response(),
        },
    }
}

/// Whether bytes come with a request.
pub(super) fn has_bytes(body: &Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

/// Opens an upload, and adds its first bytes where there are any. When that fails nothing of it stays, because nobody knows its
/// address.
pub(super) async fn begin(
    context: &Shared,
    caller: &Caller,
    opening: Opening,
    first: Option<Append<Arriving>>,
) -> Result<(UploadRecord, Option<Appended>), Problem> {
    let engine = &context.engine;
    let opened = engine.open_upload(opening).await?;
    let Some(first) = first else {
        return Ok((opened, None));
    };
    let id = opened.id;
    match engine.append_upload(caller.tenant, id, first).await {
        Ok(appended) => Ok((opened, Some(appended))),
        Err(error) => {
            give_up(context, caller.tenant, id).await;
            Err(error.into())
        }
    }
}

/// An upload that was begun, of somebody who may go on with it.
pub(crate) struct Begun {
    pub(super) caller: Caller,
    pub(super) id: UploadId,
}

impl Begun {
    /// Ends it; what it became stays.
    pub(super) async fn end(self, context: &Shared, way: Way) -> Result<StatusCode, Problem> {
        let engine = &context.engine;
        engine.end_upload(self.caller.tenant, self.id, way).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

impl FromRequestParts<Shared> for Begun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Problem> {
        let MayUpload(caller) = MayUpload::from_request_parts(parts, context).await?;
        let UploadPath(id) = UploadPath::from_request_parts(parts, context).await?;
        caller.goes_on_with(id)?;
        Ok(Self { caller, id })
    }
}

/// Ends an upload that nobody is to go on with.
pub(super) async fn give_up(context: &Shared, tenant: TenantId, id: UploadId) {
    if let Err(error) = context.engine.end_upload(tenant, id, Way::Tus).await {
        tracing::debug!(%id, %error, "an upload that failed is gone, or will be");
    }
}
