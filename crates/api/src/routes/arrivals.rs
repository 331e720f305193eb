//! `/v1/uploads`: what is on its way in.

use crate::Shared;
use crate::access::MayRead;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_engine::Upload;
use mediaflow_engine::store::UploadRecord;
use serde::Serialize;
use utoipa::ToSchema;

/// Uploads that are told at most.
const MOST: u32 = 200;

/// Uploads over several requests, or directly to where blobs are, that are not whole yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArrivalList {
    /// At most 200.
    items: Vec<ArrivalView>,
}

/// An upload under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Arrival)]
pub(crate) struct ArrivalView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// As the client named it.
    filename: Option<String>,
    /// What is durable; of a direct one nothing is known before it is whole.
    bytes: u64,
    /// All of it, once the client has said.
    length: Option<u64>,
    /// Without progress it is given up then.
    expires_at: String,
}

impl From<UploadRecord> for ArrivalView {
    fn from(upload: UploadRecord) -> Self {
        let said: Option<Upload> = serde_json::from_str(&upload.said).ok();
        Self {
            id: upload.id.to_string(),
            filename: said.and_then(|said| said.filename),
            bytes: upload.bytes,
            length: upload.length,
            expires_at: upload.expires_at.to_string(),
        }
    }
}

/// List the uploads to `/v1/tus`, and those directly to where blobs are, that are not whole yet.
#[utoipa::path(
    get, path = "/v1/uploads", operation_id = "listUploads", tag = "uploads",
    responses(
        (status = 200, body = ArrivalList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    _: NoParams,
) -> Result<Answer<ArrivalList>, Problem> {
    let store = context.engine.store();
    let found = store.uploads_under_way(caller.tenant, MOST).await?;
    Ok(Answer(ArrivalList {
        items: found.into_iter().map(ArrivalView::from).collect(),
    }))
}
