//! `POST /v1/assets`: the bytes as the body, or in a form.

use crate::Shared;
use crate::access::MayUpload;
use crate::arriving::Arriving;
use crate::form::Form;
use crate::observe::Correlation;
use crate::params::Params;
use crate::problem::{Problem, invalid};
use crate::resumable::{file_digest, is_complete};
use crate::routes::resumable;
use crate::send::value;
use crate::tokens::Ticket;
use crate::view::Binary;
use crate::view::asset::Links;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mediaflow_core::{AssetOptions, Focus, Priority, UploadId, Visibility};
use mediaflow_engine::{EngineError, Receipt, Upload, disposition_filename};
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to an upload. Everything that it names is durable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// `uploaded`.
    state: &'static str,
    bytes: u64,
    sha256: String,
    /// Found from the bytes.
    media_type: String,
    correlation_id: String,
    links: Links,
}

/// Upload a file.
///
/// The body is the file itself, with its options in the query, or a `multipart/form-data` with a part `file` and the
/// options as other parts, before or after it. The answer comes before any processing.
#[utoipa::path(
    post, path = "/v1/assets", operation_id = "uploadAsset", tag = "assets",
    params(
        ("filename" = Option<String>, Query, description = "For display; a form's `file` part brings its own."),
        ("recipe" = Option<String>, Query, description = "Instead of the kind's default."),
        ("title" = Option<String>, Query),
        ("tags" = Option<String>, Query, description = "Separated by commas, or repeated."),
        ("metadata" = Option<String>, Query, description = "A JSON object of your own."),
        ("visibility" = Option<String>, Query, description = "`public` (default) or `private`."),
        ("watermark" = Option<bool>, Query, description = "Whether the configured mark is applied."),
        ("focus" = Option<String>, Query, description = "`x,y` between 0 and 1: the point that crops keep in sight."),
        ("priority" = Option<String>, Query, description = "`high`, `normal` (default) or `low` (imports in bulk): the share of processors beside other uploads of yours."),
        ("sha256" = Option<String>, Query, description = "Refuse the upload if its bytes have another digest."),
        ("Content-Disposition" = Option<String>, Header, description = "`inline; filename=...` instead of `filename`."),
        ("Repr-Digest" = Option<String>, Header, description = "`sha-256=:...:` instead of `sha256`."),
        ("Upload-Complete" = Option<String>, Header, description = "`?0` when more of the file is to come in other requests: then `Upload-Length` may tell how much in all."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key gives the first answer."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Follows the asset everywhere; made up when missing."),
    ),
    request_body(content((Binary = "application/octet-stream"), (FormView = "multipart/form-data"))),
    responses(
        (status = 201, description = "With `Upload-Complete: ?0`: the rest is to be sent to `Location`.", headers(("Location" = String), ("Upload-Offset" = u64), ("Upload-Limit" = String))),
        (status = 202, body = Accepted, headers(("Location" = String))),
        (status = "4XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn post(
    State(context): State<Shared>,
    MayUpload(caller): MayUpload,
    correlation: Correlation,
    headers: HeaderMap,
    mut params: Params,
    body: Body,
) -> Result<Response, Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let boundary = text(header::CONTENT_TYPE).filter(|t| is_form(t));
    let boundary = boundary.map(multer::parse_boundary).transpose();
    let boundary = boundary.map_err(|_| invalid("`Content-Type` has no boundary"))?;
    if let Some(named) = text(header::CONTENT_TYPE).filter(|t| is_media(t)) {
        caller.bounds().check_type(essence(named))?;
    }
    let disposition = headers.get(header::CONTENT_DISPOSITION);
    let upload = Upload {
        filename: disposition.and_then(|value| disposition_filename(value.as_bytes())),
        sha256: file_digest(&headers)?,
        key: caller.key_id(),
        idempotency_key: key(&headers)?,
        correlation_id: correlation.0.to_string(),
        ..Upload::default()
    };
    let is_complete = is_complete(&headers).filter(|_| boundary.is_none());
    if is_complete.is_some() {
        params.append(resumable::metadata(&headers)?);
    }
    if is_complete == Some(false) {
        return resumable::create(&context, &caller, &headers, params, upload, body).await;
    }
    let upload = Upload {
        length: match is_complete {
            Some(_) => resumable::announced(&headers)?,
            None => text(header::CONTENT_LENGTH).and_then(|v| v.parse().ok()),
        },
        ..upload
    };
    let body = Arriving::new(body, &headers);
    let accepting = async {
        let receipt = match boundary {
            None => {
                let upload = caller.shaped(said(params, upload)?);
                context.engine.accept(caller.tenant, upload, body).await?
            }
            Some(boundary) => {
                let form = Form::new(&context, body.budget(), boundary, params);
                let upload = caller.shaped(upload);
                form.accept(&caller, upload, body).await?
            }
        };
        Ok::<_, Problem>((UploadId(receipt.asset.0), receipt))
    };
    let receipt = Ticket::with(&context.engine, &caller, accepting).await;
    let answer = receipt.map(|receipt| (accepted(&receipt, &correlation), receipt.bytes));
    match is_complete {
        Some(_) => resumable::at_once(answer),
        None => answer.map(|(response, _)| response),
    }
}

pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, EngineError> {
    let value = headers.get("idempotency-key");
    let text = value.map(|v| v.to_str().map(str::to_owned)).transpose();
    text.map_err(|_| invalid("`Idempotency-Key` must be visible ASCII"))
}

impl Accepted {
    pub(crate) fn of(receipt: &Receipt, correlation: &str) -> Self {
        Self {
            id: receipt.asset.to_string(),
            state: "uploaded",
            bytes: receipt.bytes,
            sha256: receipt.sha256.to_string(),
            media_type: receipt.media_type.clone(),
            correlation_id: correlation.to_owned(),
            links: Links::of(receipt.asset),
        }
    }
}

fn is_form(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case("multipart/form-data")
}

pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a client that says this means it: what else programs send by themselves tells nothing of the file.
fn is_media(content_type: &str) -> bool {
    ["image/", "video/", "audio/"]
        .iter()
        .any(|top| content_type.starts_with(top))
}

pub(crate) fn accepted(receipt: &Receipt, correlation: &Correlation) -> Response {
    let location = value(format!("/v1/assets/{}", receipt.asset));
    let view = Accepted::of(receipt, &correlation.0);
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    if receipt.repeated {
        let name = HeaderName::from_static("idempotency-replayed");
        headers.insert(name, value("true".into()));
    }
    response
}

/// What the parameters and fields say.
pub(crate) fn said(mut params: Params, upload: Upload) -> Result<Upload, EngineError> {
    let tags = params.take_all("tags");
    let tags = tags.iter().flat_map(|t| t.split(',')).map(str::trim);
    let object = |text: &str| serde_json::from_str(text).ok();
    let digest = "64 hexadecimal digits";
    let upload = Upload {
        filename: params.take("filename")?.or(upload.filename),
        recipe: params.take("recipe")?,
        options: AssetOptions {
            title: params.take("title")?,
            tags: tags.map(str::to_owned).collect(),
            metadata: params
                .take_as("metadata", "a JSON object", object)?
                .unwrap_or_default(),
            visibility: params
                .take_as("visibility", "`public` or `private`", Visibility::parse)?
                .unwrap_or_default(),
            watermark: params
                .take_as("watermark", "`true` or `false`", flag)?
                .unwrap_or_default(),
            focus: params.take_as("focus", "`x,y`, both between 0 and 1", focus)?,
        },
        priority: params
            .take_as("priority", "`high`, `normal` or `low`", Priority::parse)?
            .unwrap_or_default(),
        sha256: params
            .take_as("sha256", digest, |text| text.parse().ok())?
            .or(upload.sha256),
        ..upload
    };
    params.finish()?;
    Ok(upload)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn focus(text: &str) -> Option<Focus> {
    let (x, y) = text.split_once(',')?;
    let focus = Focus {
        x: x.trim().parse().ok()?,
        y: y.trim().parse().ok()?,
    };
    focus.is_valid().then_some(focus)
}

/// The parts of a form; every one but `file` may be missing.
#[derive(ToSchema)]
#[schema(as = Upload)]
#[allow(dead_code, reason = "only described, never made")]
pub(crate) struct FormView {
    file: Binary,
    recipe: Option<String>,
    title: Option<String>,
    /// Separated by commas, or repeated.
    tags: Option<String>,
    /// A JSON object.
    metadata: Option<String>,
    visibility: Option<String>,
    /// `high`, `normal` or `low`
    priority: Option<String>,
    watermark: Option<bool>,
    /// `x,y`
    focus: Option<String>,
    sha256: Option<String>,
}
