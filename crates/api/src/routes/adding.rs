//! What protocols for uploads over several requests have in common: beginning with or without bytes, and adding some.

use crate::Shared;
use crate::access::{Caller, MayUpload};
use crate::arriving::Arriving;
use crate::problem::Problem;
use crate::routes::UploadPath;
use axum::body::{Body, HttpBody as _};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use mediaflow_core::{ErrorCode, TenantId, UploadId};
use mediaflow_engine::store::{UploadRecord, Way};
use mediaflow_engine::{Append, Appended, Opening};
use std::sync::Arc;

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
    match add(context, caller.tenant, id, first).await {
        Ok(appended) => Ok((opened, Some(appended))),
        Err(problem) => {
            give_up(context, caller.tenant, id).await;
            Err(problem)
        }
    }
}

/// In a task of its own: what had arrived is kept also when the client is gone.
pub(super) async fn add(
    context: &Shared,
    tenant: TenantId,
    id: UploadId,
    append: Append<Arriving>,
) -> Result<Appended, Problem> {
    let engine = Arc::clone(&context.engine);
    let adding = async move { engine.append_upload(tenant, id, append).await };
    let added = tokio::spawn(adding).await;
    Ok(added.map_err(|_| Problem::plain(ErrorCode::Internal))??)
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
