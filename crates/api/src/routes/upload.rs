//! `POST /v1/assets`: the bytes as the body, or in a form.

use crate::access::MayIngest;
use crate::observe::Correlation;
use crate::params::Params;
use crate::problem::{Problem, invalid};
use crate::send::value;
use crate::view::Binary;
use crate::view::asset::Links;
use crate::{Context, Shared};
use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use mediaflow_core::{AssetOptions, ErrorCode, Focus, TenantId, Visibility};
use mediaflow_engine::{EngineError, Receipt, Upload};
use multer::{Field, Multipart};
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;

/// All fields of a form but the file.
const FIELDS_BYTES_MAX: usize = 256 << 10;
/// What a form may send between two of its parts: boundaries, headers, fields and what is buffered ahead.
const BETWEEN_BYTES_MAX: u64 = 2 << 20;
/// Forms are read ahead for as long as bytes come at once; this makes an end of that.
const GIVEN_BYTES_MAX: usize = 512 << 10;
/// What is still read of a body that was refused, so that its client gets to read why.
const REFUSED_BYTES_MAX: usize = 64 << 20;
const REFUSED_TIME_MAX: Duration = Duration::from_secs(10);

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
        ("sha256" = Option<String>, Query, description = "Refuse the upload if its bytes have another digest."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request with the same key gives the first answer."),
        ("X-Correlation-Id" = Option<String>, Header, description = "Follows the asset everywhere; made up when missing."),
    ),
    request_body(content((Binary = "application/octet-stream"), (FormView = "multipart/form-data"))),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String))),
        (status = "4XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn post(
    State(context): State<Shared>,
    MayIngest(caller): MayIngest,
    correlation: Correlation,
    headers: HeaderMap,
    params: Params,
    body: Body,
) -> Result<Response, Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let length = text(header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    let upload = Upload {
        length,
        idempotency_key: key(&headers)?,
        correlation_id: correlation.0.to_string(),
        ..Upload::default()
    };
    let boundary = text(header::CONTENT_TYPE).filter(|t| is_form(t));
    let boundary = boundary.map(multer::parse_boundary).transpose();
    let boundary = boundary.map_err(|_| invalid("`Content-Type` has no boundary"))?;
    let budget = Arc::new(AtomicU64::new(u64::MAX));
    let body = Arriving {
        body: Some(body.into_data_stream()),
        budget: Arc::clone(&budget),
        is_worth_reading: !headers.contains_key(header::EXPECT),
        given: 0,
    };
    let receipt = match boundary {
        None => {
            let upload = said(params, upload)?;
            context.engine.accept(caller.tenant, upload, body).await?
        }
        Some(boundary) => {
            let form = Form::new(&context, budget, boundary, params);
            form.accept(caller.tenant, upload, body).await?
        }
    };
    context.metrics.uploaded(receipt.bytes);
    Ok(accepted(&receipt, &correlation))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, EngineError> {
    let value = headers.get("idempotency-key");
    let text = value.map(|v| v.to_str().map(str::to_owned)).transpose();
    text.map_err(|_| invalid("`Idempotency-Key` must be visible ASCII"))
}

fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data")
}

fn accepted(receipt: &Receipt, correlation: &Correlation) -> Response {
    let links = Links::of(receipt.asset);
    let location = value(format!("/v1/assets/{}", receipt.asset));
    let view = Accepted {
        id: receipt.asset.to_string(),
        state: "uploaded",
        bytes: receipt.bytes,
        sha256: receipt.sha256.to_string(),
        media_type: receipt.media_type.clone(),
        correlation_id: correlation.0.to_string(),
        links,
    };
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
fn said(mut params: Params, upload: Upload) -> Result<Upload, EngineError> {
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
        sha256: params.take_as("sha256", digest, |text| text.parse().ok())?,
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

/// A body on its way in. When it is refused, a client that is still sending would get its connection reset before it
/// has read the reason: so a part of what it sends is read and thrown away behind the answer.
struct Arriving {
    body: Option<BodyDataStream>,
    budget: Arc<AtomicU64>,
    is_worth_reading: bool,
    /// Given since the reader last had to wait.
    given: usize,
}

#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the body ended early: {0}")]
    Body(axum::Error),
    #[error("the form has too much beside its file")]
    Chatter,
}

impl Stream for Arriving {
    type Item = Result<Bytes, Interrupted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.given > GIVEN_BYTES_MAX {
            self.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let Poll::Ready(next) = body.poll_next_unpin(cx) else {
            self.given = 0;
            return Poll::Pending;
        };
        // Somebody who waits for a `100 Continue` has got it now, and sends.
        self.is_worth_reading = true;
        match next {
            Some(Ok(piece)) => {
                self.given += piece.len();
                let budget = self.budget.load(Ordering::Relaxed);
                match budget.checked_sub(piece.len() as u64) {
                    None => return Poll::Ready(Some(Err(Interrupted::Chatter))),
                    Some(_) if budget == u64::MAX => {}
                    Some(left) => self.budget.store(left, Ordering::Relaxed),
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Some(Err(error)) => {
                self.body = None;
                Poll::Ready(Some(Err(Interrupted::Body(error))))
            }
            None => {
                self.body = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let body = self.body.take().filter(|_| self.is_worth_reading);
        if let Some(mut body) = body {
            tokio::spawn(timeout(REFUSED_TIME_MAX, async move {
                let mut read = 0;
                while let Some(Ok(piece)) = body.next().await {
                    read += piece.len();
                    if read > REFUSED_BYTES_MAX {
                        break;
                    }
                }
            }));
        }
    }
}

/// A form on its way in: its parts come in the order that the client likes.
struct Form<'a> {
    context: &'a Context,
    budget: Arc<AtomicU64>,
    boundary: String,
    params: Params,
    bytes: usize,
}

impl<'a> Form<'a> {
    fn new(context: &'a Context, budget: Arc<AtomicU64>, boundary: String, params: Params) -> Self {
        Self {
            context,
            budget,
            boundary,
            params,
            bytes: 0,
        }
    }

    async fn accept(
        mut self,
        tenant: TenantId,
        mut upload: Upload,
        body: Arriving,
    ) -> Result<Receipt, EngineError> {
        let engine = &self.context.engine;
        let bytes_max = engine.limits().bytes_max;
        if upload.length.take() > Some(bytes_max.saturating_add(BETWEEN_BYTES_MAX)) {
            let text =
                format!("the body is larger than {bytes_max} bytes (limits.upload.bytes_max)");
            return Err(EngineError::new(ErrorCode::LimitBytes, text));
        }
        let mut parts = Multipart::new(body, std::mem::take(&mut self.boundary));
        let Some(file) = self.fields_until_file(&mut parts).await? else {
            return Err(invalid("the form has no part `file`"));
        };
        upload.filename = file.file_name().map(str::to_owned);
        // What was said before the file is refused before it is read.
        let upload = said(self.params.clone(), upload)?;
        self.budget.store(u64::MAX, Ordering::Relaxed);
        engine
            .accept_then(tenant, upload, file, |upload| self.rest(parts, upload))
            .await
    }

    /// The parts after the file.
    async fn rest(
        mut self,
        mut parts: Multipart<'static>,
        upload: Upload,
    ) -> Result<Upload, EngineError> {
        if self.fields_until_file(&mut parts).await?.is_some() {
            return Err(invalid("the form has more than one part `file`"));
        }
        said(self.params, upload)
    }

    async fn fields_until_file(
        &mut self,
        parts: &mut Multipart<'static>,
    ) -> Result<Option<Field<'static>>, EngineError> {
        let idle = Duration::from_secs(self.context.engine.limits().idle_s_max);
        let reading = async {
            loop {
                self.budget.store(BETWEEN_BYTES_MAX, Ordering::Relaxed);
                let Some(field) = parts.next_field().await.map_err(broken)? else {
                    return Ok(None);
                };
                match field.name() {
                    Some("file") => return Ok(Some(field)),
                    Some(name) => {
                        let name = name.to_owned();
                        let text = self.text(&name, field).await?;
                        self.params.add(name, text);
                    }
                    None => return Err(invalid("a part of the form has no name")),
                }
            }
        };
        let late = || EngineError::new(ErrorCode::RequestTimeout, "the body stopped arriving");
        timeout(idle, reading).await.map_err(|_| late())?
    }

    async fn text(&mut self, name: &str, mut field: Field<'static>) -> Result<String, EngineError> {
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            self.bytes += piece.len();
            if self.bytes > FIELDS_BYTES_MAX {
                let text = format!("the form's fields have more than {FIELDS_BYTES_MAX} bytes");
                return Err(EngineError::new(ErrorCode::LimitMetadata, text));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).map_err(|_| invalid(format!("`{name}` is not UTF-8")))
    }
}

fn broken(error: multer::Error) -> EngineError {
    use multer::Error::{
        IncompleteFieldData, IncompleteHeaders, IncompleteStream, StreamReadFailed,
    };
    match &error {
        StreamReadFailed(inner) if matches!(inner.downcast_ref(), Some(Interrupted::Chatter)) => {
            EngineError::new(ErrorCode::LimitMetadata, inner.to_string())
        }
        IncompleteFieldData { .. } | IncompleteHeaders | IncompleteStream | StreamReadFailed(_) => {
            EngineError {
                code: ErrorCode::InputInterrupted,
                message: "the form ended early; nothing was kept".into(),
                reason: Some(Box::new(error)),
            }
        }
        other => invalid(format!("the form cannot be read: {other}")),
    }
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
    watermark: Option<bool>,
    /// `x,y`
    focus: Option<String>,
    sha256: Option<String>,
}
