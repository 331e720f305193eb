//! `/v1/uploads`: uploads whose bytes the client brings to where blobs are by itself, with requests that were signed for it. Where
//! blobs are a folder these requests come here.

use crate::access::MayUpload;
use crate::body::{Json, MaybeJson};
use crate::observe::Correlation;
use crate::origin::Origin;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView, invalid};
use crate::routes::adding::Begun;
use crate::routes::received::Own;
use crate::routes::upload::{Accepted, accepted, key};
use crate::send::value;
use crate::tokens::Ticket;
use crate::view::asset::ErrorView;
use crate::wanted::wanted;
use crate::{Context, Shared};
use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mediaflow_engine::blob::{Incoming, Signed};
use mediaflow_engine::store::{UploadRecord, UploadState, Way};
use mediaflow_engine::{Completion, EngineError, Opening, Upload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// The longest that S3 lets an address be valid.
const VALID_MAX: Duration = Duration::from_secs(7 * 86_400);

wanted! {
    /// What is to be uploaded, and what it is to become.
    Wanted {
        /// All bytes of the file.
        bytes: u64,
        /// The `Content-Type` that the file is sent with. What it really is, is found from its bytes.
        r#type: Option<String>,
    }
}

/// Parts that were sent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sent {
    /// All of them, where there are several.
    #[serde(default)]
    parts: Vec<SentPart>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentPart {
    part: u32,
    /// The header `ETag` of the answer to this part.
    etag: String,
}

/// An upload whose bytes the client brings by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DirectUpload)]
pub(crate) struct UploadView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// `open`: bytes may come. `checking`: they are being looked at. `done`: they are an asset. `refused`: nothing became of them.
    state: &'static str,
    bytes: u64,
    filename: Option<String>,
    /// When it is given up, or forgotten.
    #[schema(value_type = String, format = DateTime)]
    expires_at: String,
    /// What is to be sent, while it is open: all of these, in any order, several at the same time where one likes.
    requests: Vec<RequestView>,
    /// Why it was refused.
    error: Option<ErrorView>,
    links: UploadLinks,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadLinks {
    #[serde(rename = "self")]
    this: String,
    complete: String,
    /// What it became.
    asset: Option<String>,
}

/// A request to send.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestView {
    /// Its number, where there are several.
    part: Option<u32>,
    /// `PUT`
    method: &'static str,
    /// Carries its own permission; it needs no key.
    url: String,
    /// Exactly these headers. Browsers set `content-length` by themselves.
    headers: BTreeMap<String, String>,
    /// Which bytes of the file are its body: the first one, and how many.
    range: RangeView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RangeView {
    start: u64,
    bytes: u64,
}

/// What came of completing an upload; `state` tells which.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only described, never made")]
pub(crate) enum Completed {
    /// It is an asset.
    Done(Accepted),
    /// It is being looked at.
    Checking(UploadView),
}

/// Begin an upload straight to where files are kept.
///
/// Answers the request or, for large files, requests to send the bytes with. Then complete it.
#[utoipa::path(
    post, path = "/v1/uploads", operation_id = "beginUpload", tag = "uploads",
    params(("Idempotency-Key" = Option<String>, Header, description = "Of the asset that it becomes, as with `POST /v1/assets`.")),
    request_body = Wanted,
    responses(
        (status = 201, body = UploadView, headers(("Location" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn begin(
    State(context): State<Shared>,
    MayUpload(caller): MayUpload,
    _: NoParams,
    correlation: Correlation,
    headers: HeaderMap,
    origin: Origin,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Problem> {
    let media_type = wanted.r#type.as_deref().map(media_type).transpose()?;
    let upload = Upload {
        length: Some(wanted.bytes),
        key: caller.key_id(),
        idempotency_key: key(&headers)?,
        correlation_id: correlation.0.to_string(),
        ..wanted.upload()
    };
    let opening = Opening {
        tenant: caller.tenant,
        key: caller.key_id(),
        upload: caller.shaped(upload),
        open_max: caller.open_max(),
        concat: None,
        metadata: String::new(),
    };
    let opening = async {
        let opened = context.engine.expect_upload(opening, media_type).await?;
        Ok::<_, Problem>((opened.id, opened))
    };
    let opened = Ticket::with(&context.engine, &caller, opening).await?;
    let view = view(&context, &origin, &opened).await?;
    let location = value(view.links.this.clone());
    let mut response = (StatusCode::CREATED, Answer(view)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// It names addresses that are secrets.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What can be sent as `Content-Type`, without parameters.
fn media_type(text: &str) -> Result<String, EngineError> {
    let plain = |part: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        (1..=127).contains(&part.len()) && part.bytes().all(fits)
    };
    let parts = text.split_once('/');
    match parts.is_some_and(|(top, sub)| plain(top) && plain(sub)) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(invalid("`type` must be a media type like `image/jpeg`")),
    }
}

/// Ask about an upload. While it is open, its requests are signed anew.
#[utoipa::path(
    get, path = "/v1/uploads/{id}", operation_id = "getUpload", tag = "uploads",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = UploadView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    Begun { caller, id }: Begun,
    _: NoParams,
    origin: Origin,
) -> Result<Response, Problem> {
    let found = context.engine.direct_upload(caller.tenant, id).await?;
    let view = view(&context, &origin, &found).await?;
    Ok(([(header::CACHE_CONTROL, NO_STORE)], Answer(view)).into_response())
}

/// Give an upload up. What it became stays.
#[utoipa::path(
    delete, path = "/v1/uploads/{id}", operation_id = "endUpload", tag = "uploads",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn end(
    State(context): State<Shared>,
    begun: Begun,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    begun.end(&context, Way::Direct).await
}

/// Say that all bytes are there.
///
/// The answer is that of `POST /v1/assets`, or, when looking at the bytes takes longer than some seconds, the upload with the
/// `state` `checking`: ask for it until it is `done` or `refused`.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/complete", operation_id = "completeUpload", tag = "uploads",
    params(("id" = String, Path)),
    request_body(content = Sent, description = "Nothing, where there was one request."),
    responses(
        (status = 202, body = Completed, headers(("Location" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn complete(
    State(context): State<Shared>,
    Begun { caller, id }: Begun,
    _: NoParams,
    origin: Origin,
    MaybeJson(sent): MaybeJson<Sent>,
) -> Result<Response, Problem> {
    let engine = &context.engine;
    let tags = tags(sent.parts)?;
    let found = engine.direct_upload(caller.tenant, id).await?;
    if let Completion::Done(receipt) = engine.complete_upload(caller.tenant, id, tags).await? {
        return Ok(accepted(
            &receipt,
            &Correlation(found.correlation_id.into()),
        ));
    }
    let found = engine.direct_upload(caller.tenant, id).await?;
    let view = view(&context, &origin, &found).await?;
    let location = value(view.links.this.clone());
    let mut response = (StatusCode::ACCEPTED, Answer(view)).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// In the order of their numbers, each of which is there once.
fn tags(mut parts: Vec<SentPart>) -> Result<Vec<String>, EngineError> {
    parts.sort_by_key(|part| part.part);
    if parts
        .iter()
        .zip(1..)
        .any(|(part, number)| part.part != number)
    {
        return Err(invalid("`parts` must have each part once, from 1 on"));
    }
    Ok(parts.into_iter().map(|part| part.etag).collect())
}

async fn view(
    context: &Context,
    origin: &Origin,
    found: &UploadRecord,
) -> Result<UploadView, Problem> {
    let (state, error) = match &found.state {
        _ if found.asset.is_some() => ("done", None),
        UploadState::Open => ("open", None),
        UploadState::Checking => ("checking", None),
        UploadState::Refused(refusal) => ("refused", Some(refusal)),
    };
    let requests = match state {
        "open" => requests(context, origin, found).await?,
        _ => Vec::new(),
    };
    let this = format!("/v1/uploads/{}", found.id);
    let said: Option<Upload> = serde_json::from_str(&found.said).ok();
    Ok(UploadView {
        id: found.id.to_string(),
        state,
        bytes: found.length.unwrap_or_default(),
        filename: said.and_then(|said| said.filename),
        expires_at: found.expires_at.to_string(),
        requests,
        error: error.map(|refusal| ErrorView {
            code: refusal.code.to_string(),
            message: refusal.message.clone(),
        }),
        links: UploadLinks {
            complete: format!("{this}/complete"),
            asset: found.asset.map(|asset| format!("/v1/assets/{asset}")),
            this,
        },
    })
}

async fn requests(
    context: &Context,
    origin: &Origin,
    found: &UploadRecord,
) -> Result<Vec<RequestView>, Problem> {
    let incoming = Incoming::from_text(&found.progress)?;
    let now = context.engine.environment().now();
    let valid = found.expires_at.since(now).min(VALID_MAX);
    let blobs = context.engine.blobs();
    let pieces = incoming.pieces();
    let signed = blobs.signed_incoming(found.id.0, &incoming, valid).await?;
    let signed = match signed {
        Some(signed) => signed,
        None => {
            let own = pieces.iter();
            let own = own.map(|piece| Own::new(found.id, piece, &incoming, now.after(valid)));
            own.map(|own| own.signed(context, origin)).collect()
        }
    };
    let requests = signed.into_iter().zip(pieces).map(|(signed, piece)| {
        let Signed { url, headers } = signed;
        RequestView {
            part: piece.part,
            method: "PUT",
            url,
            headers: headers.into_iter().collect(),
            range: RangeView {
                start: piece.start,
                bytes: piece.bytes,
            },
        }
    });
    Ok(requests.collect())
}
