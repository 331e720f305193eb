//! `/v1/assets/import` and `/v1/imports`: files that MediaFlow fetches itself.

use crate::Shared;
use crate::access::MayIngest;
use crate::body::Json;
use crate::observe::Correlation;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::routes::ImportPath;
use crate::routes::upload::key;
use crate::send::value;
use crate::wanted::wanted;
use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mediaflow_core::AssetId;
use mediaflow_engine::store::ImportRecord;
use mediaflow_engine::{Opening, Upload};
use serde::Serialize;
use utoipa::ToSchema;

wanted! {
    /// What to fetch, and what the asset is to be.
    #[schema(as = Import)]
    ImportBody {
        /// An http or https address without a name or password in it.
        url: String,
    }
}

/// An import as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// `importing`, `done` or `failed`.
    state: &'static str,
    url: String,
    /// What it became.
    #[schema(value_type = Option<String>, format = Uuid)]
    asset: Option<AssetId>,
    /// Bytes that are here.
    bytes: u64,
    /// All bytes, once the other server has told.
    length: Option<u64>,
    /// Tries in a row that brought nothing.
    tries: u32,
    /// When it is tried next, where it waits for that. RFC 3339.
    next_try_at: Option<String>,
    /// Why the last try failed; where it goes on, that is no end.
    error: Option<ImportError>,
    created_at: String,
}

/// Why a try failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportError {
    /// Stable and machine-readable; listed in the documentation.
    code: String,
    message: String,
}

impl From<ImportRecord> for ImportView {
    fn from(import: ImportRecord) -> Self {
        let state = match (import.asset, import.due_at) {
            (Some(_), _) => "done",
            (None, Some(_)) => "importing",
            (None, None) => "failed",
        };
        let waits = import
            .due_at
            .filter(|_| state == "importing" && import.error.is_some());
        let error = import.error.filter(|_| state != "done");
        Self {
            id: import.id.to_string(),
            state,
            url: import.reference,
            asset: import.asset,
            bytes: import.bytes,
            length: import.length,
            tries: import.tries,
            next_try_at: waits.map(|at| at.to_string()),
            error: error.map(|(code, message)| ImportError { code, message }),
            created_at: import.created_at.to_string(),
        }
    }
}

/// Import a file from an address.
///
/// It is fetched in the background, resumed where the other server allows that, and becomes an asset like an upload does. The answer
/// says where to ask how it is going.
#[utoipa::path(
    post, path = "/v1/assets/import", operation_id = "importAsset", tag = "assets",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key gives the first import."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Follows the asset everywhere; made up when missing."),
    ),
    request_body = ImportBody,
    responses(
        (status = 202, body = ImportView, headers(("Location" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn post(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    correlation: Correlation,
    headers: HeaderMap,
    _: NoParams,
    Json(body): Json<ImportBody>,
) -> Result<Response, Problem> {
    let url = body.url.clone();
    let upload = Upload {
        key: caller.key_id(),
        idempotency_key: key(&headers)?,
        correlation_id: correlation.0.to_string(),
        ..body.upload()
    };
    let opening = Opening {
        tenant: caller.tenant,
        key: caller.key_id(),
        upload: caller.shaped(upload),
        open_max: caller.open_max(),
        concat: None,
        metadata: String::new(),
    };
    let (import, is_repeat) = context.engine.open_import(&url, opening).await?;
    let location = value(format!("/v1/imports/{}", import.id));
    let mut response = (StatusCode::ACCEPTED, Answer(ImportView::from(import))).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    if is_repeat {
        let name = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(name, value("true".into()));
    }
    Ok(response)
}

/// Look at an import.
#[utoipa::path(
    get, path = "/v1/imports/{id}", operation_id = "getImport", tag = "assets",
    params(("id" = String, Path, description = "The import.")),
    responses(
        (status = 200, body = ImportView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    ImportPath(id): ImportPath,
    _: NoParams,
) -> Result<Answer<ImportView>, Problem> {
    let import = context.engine.import(caller.tenant, id).await?;
    Ok(Answer(import.into()))
}

/// End and forget an import. What it became stays.
#[utoipa::path(
    delete, path = "/v1/imports/{id}", operation_id = "endImport", tag = "assets",
    params(("id" = String, Path, description = "The import.")),
    responses(
        (status = 204, description = "It is ended."),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    ImportPath(id): ImportPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    context.engine.end_import(caller.tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
