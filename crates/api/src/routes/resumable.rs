//! Uploads over several requests as the IETF's draft has them (draft-ietf-httpbis-resumable-upload, to its version 12):
//! `POST /v1/assets` with `Upload-Complete: ?0` makes a temporary resource `/v1/resumable/{id}`, to which the rest is added.
//!
//! No interim response (104) is sent, because the HTTP library cannot: a request that has the whole file cannot be gone on with.

use crate::Shared;
use crate::access::Caller;
use crate::arriving::Arriving;
use crate::observe::Correlation;
use crate::params::{NoParams, Params};
use crate::problem::{Problem, ProblemView, invalid};
use crate::resumable::{
    ACCEPT_PATCH, BYTES_TYPE, COMPLETE, INCONSISTENT_LENGTH, LENGTH, LIMIT, MISMATCHING_OFFSET,
    OFFSET, bytes, is_complete, judge, length,
};
use crate::routes::adding::{self, Begun};
use crate::routes::tus::ASSET;
use crate::routes::upload::{Accepted, accepted, essence, said};
use crate::send::value;
use crate::tokens::Ticket;
use crate::tus::{headers as tus, metadata};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mediaflow_core::ErrorCode;
use mediaflow_engine::store::Way;
use mediaflow_engine::{Append, Appended, EndsAt, EngineError, Opening, Upload};
use std::time::Duration;

const YES: HeaderValue = HeaderValue::from_static("?1");
const NO: HeaderValue = HeaderValue::from_static("?0");

/// What tus-js-client says of a file also when it speaks the draft, which has nothing for that.
pub(super) fn metadata(sent: &HeaderMap) -> Result<Params, EngineError> {
    match tus::text(sent, &tus::METADATA)? {
        Some(text) => metadata::params(text),
        None => Ok(Params::default()),
    }
}

/// What `POST /v1/assets` with `Upload-Complete: ?0` does: opens an upload, with its first bytes where there are some.
pub(super) async fn create(
    context: &Shared,
    caller: &Caller,
    sent: &HeaderMap,
    params: Params,
    upload: Upload,
    body: Body,
) -> Result<Response, Problem> {
    let upload = Upload {
        length: length(sent, 0, false)?,
        ..upload
    };
    let opening = Opening {
        tenant: caller.tenant,
        key: caller.key_id(),
        upload: caller.shaped(said(params, upload)?),
        open_max: caller.open_max(),
        concat: None,
        metadata: String::new(),
    };
    let first = match adding::has_bytes(&body) {
        true => Some(Append {
            start: 0,
            coming: tus::bytes(sent, &header::CONTENT_LENGTH)?,
            length: None,
            ends: false,
            filename: None,
            verify: judge(sent)?,
            body: Arriving::new(body, sent),
        }),
        false => None,
    };
    let beginning = async {
        let begun = adding::begin(context, caller, opening, first).await;
        let (opened, appended) = begun.map_err(|problem| told(context, caller, problem))?;
        let appended = appended.unwrap_or(Appended {
            bytes: 0,
            expires_at: opened.expires_at,
            receipt: None,
            asset: None,
            correlation_id: opened.correlation_id,
        });
        let mut response = answer(context, caller, StatusCode::CREATED, &appended);
        if appended.asset.is_none() {
            let location = value(format!("/v1/resumable/{}", opened.id));
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok((opened.id, response))
    };
    Ticket::with(&context.engine, caller, beginning).await
}

/// The length of a file that comes whole with one request.
pub(super) fn announced(sent: &HeaderMap) -> Result<Option<u64>, Problem> {
    let inconsistent = |error| Problem::from(error).typed(INCONSISTENT_LENGTH, Vec::new());
    length(sent, 0, true).map_err(|error| inconsistent(error).with(COMPLETE, NO))
}

/// The answer to a request that has the whole file, and would have been taken in parts as well; with the number of its bytes.
pub(super) fn at_once(answer: Result<(Response, u64), Problem>) -> Result<Response, Problem> {
    let (mut response, bytes) = answer.map_err(|problem| problem.with(COMPLETE, YES))?;
    let headers = response.headers_mut();
    headers.insert(COMPLETE, YES);
    headers.insert(OFFSET, bytes.into());
    if let Some(asset) = headers.get(header::LOCATION).cloned() {
        headers.insert(ASSET, asset);
    }
    Ok(response)
}

/// Tell the limits of uploads over several requests, as the IETF's draft has it.
#[utoipa::path(
    options, path = "/v1/assets", operation_id = "describeUploads", tag = "uploads", security(()),
    responses((status = 204, description = "`Upload-Limit` has them.", headers(("Upload-Limit" = String)))),
)]
pub(crate) async fn options(State(context): State<Shared>, _: NoParams) -> Response {
    let most = context.engine.limits().bytes_max;
    let limit = limit(most, context.engine.uploads_kept());
    let allow = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    let headers = [(LIMIT, limit), (header::ALLOW, allow)];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Ask how far an upload is; `HEAD` does the same. Whoever still sends bytes to it is stopped first.
#[utoipa::path(
    get, path = "/v1/resumable/{id}", operation_id = "getResumable", tag = "uploads",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "`Upload-Offset` tells how far it is, `Upload-Complete` whether something became of it: then `Mediaflow-Asset` names that.",
            headers(("Upload-Offset" = u64), ("Upload-Complete" = String), ("Upload-Length" = u64), ("Upload-Limit" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    Begun { caller, id }: Begun,
    _: NoParams,
) -> Result<Response, Problem> {
    let found = context.engine.settled_upload(caller.tenant, id).await?;
    let now = Appended {
        bytes: found.bytes,
        expires_at: found.expires_at,
        receipt: None,
        asset: found.asset,
        correlation_id: found.correlation_id,
    };
    let mut response = answer(&context, &caller, StatusCode::NO_CONTENT, &now);
    let headers = response.headers_mut();
    if let Some(length) = found.length {
        headers.insert(LENGTH, length.into());
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Add bytes to an upload.
///
/// With the last of them, which `Upload-Complete: ?1` says, the answer is that of `POST /v1/assets`.
#[utoipa::path(
    patch, path = "/v1/resumable/{id}", operation_id = "addToResumable", tag = "uploads",
    params(
        ("id" = String, Path),
        ("Upload-Offset" = u64, Header, description = "Where the bytes begin: as many as the upload has."),
        ("Upload-Complete" = String, Header, description = "`?1` when these are the last bytes, otherwise `?0`."),
        ("Upload-Length" = Option<u64>, Header, description = "All bytes, where that was not said before."),
        ("Content-Digest" = Option<String>, Header, description = "`sha-256=:...:` of the request's bytes: they count as a whole or not at all."),
    ),
    request_body(content((crate::view::Binary = "application/partial-upload"))),
    responses(
        (status = 202, description = "It is whole, and this is what it became.", body = Accepted, headers(("Location" = String))),
        (status = 204, description = "`Upload-Offset` tells how far it is.", headers(("Upload-Offset" = u64), ("Upload-Complete" = String))),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn patch(
    State(context): State<Shared>,
    Begun { caller, id }: Begun,
    _: NoParams,
    sent: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let content_type = sent.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !content_type.is_some_and(|text| essence(text).eq_ignore_ascii_case(BYTES_TYPE)) {
        let accepted = HeaderValue::from_static(BYTES_TYPE);
        return Err(Problem::plain(ErrorCode::UploadType).with(ACCEPT_PATCH, accepted));
    }
    let missing = |name| invalid(format!("`{name}` is missing, or is none"));
    let start = bytes(&sent, &OFFSET).ok_or_else(|| missing("Upload-Offset"))?;
    let ends = is_complete(&sent).ok_or_else(|| missing("Upload-Complete"))?;
    let adding = async {
        let append = Append {
            start,
            coming: tus::bytes(&sent, &header::CONTENT_LENGTH)?,
            length: length(&sent, start, ends)?,
            ends,
            filename: None,
            verify: judge(&sent)?,
            body: Arriving::new(body, &sent),
        };
        let added = context.engine.append_upload(caller.tenant, id, append);
        Ok::<_, Problem>(added.await?)
    };
    match adding.await {
        Ok(appended) => Ok(answer(&context, &caller, StatusCode::NO_CONTENT, &appended)),
        Err(problem) => {
            if problem.code() == ErrorCode::LimitBytes {
                // The draft has no use for an upload that is too long.
                adding::give_up(&context, caller.tenant, id).await;
            }
            let ends_at = problem.reason::<EndsAt>().map(|end| end.0);
            let problem = told(&context, &caller, problem);
            Err(match ends_at {
                Some(end) => problem.with(OFFSET, end.into()).typed(
                    MISMATCHING_OFFSET,
                    vec![("expected-offset", end), ("provided-offset", start)],
                ),
                None => problem,
            })
        }
    }
}

/// Give an upload up. What it became stays.
#[utoipa::path(
    delete, path = "/v1/resumable/{id}", operation_id = "endResumable", tag = "uploads",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    State(context): State<Shared>,
    begun: Begun,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    begun.end(&context, Way::Tus).await
}

/// That of `POST /v1/assets` when something became of the upload just now, otherwise how far it is.
fn answer(context: &Shared, caller: &Caller, status: StatusCode, now: &Appended) -> Response {
    let mut response = match &now.receipt {
        Some(receipt) => {
            let correlation = Correlation(now.correlation_id.clone().into());
            accepted(receipt, &correlation)
        }
        None => status.into_response(),
    };
    let most = context.engine.bytes_max(&caller.bounds()).0;
    let left = now.expires_at.since(context.engine.environment().now());
    let headers = response.headers_mut();
    headers.insert(OFFSET, now.bytes.into());
    if now.receipt.is_none() {
        headers.insert(LIMIT, limit(most, left));
    }
    headers.insert(COMPLETE, if now.asset.is_some() { YES } else { NO });
    if let Some(asset) = now.asset {
        let address = value(format!("/v1/assets/{asset}"));
        headers.insert(header::LOCATION, address.clone());
        headers.insert(ASSET, address);
    }
    response
}

/// Whether it is about the file, which going on does not help, and what is allowed where that is the matter.
fn told(context: &Shared, caller: &Caller, problem: Problem) -> Problem {
    let is_over = problem.is_refusal() || problem.code() == ErrorCode::LimitBytes;
    let problem = problem.with(COMPLETE, if is_over { YES } else { NO });
    match problem.code() {
        ErrorCode::LimitBytes => {
            let most = context.engine.bytes_max(&caller.bounds()).0;
            problem.with(LIMIT, limit(most, context.engine.uploads_kept()))
        }
        ErrorCode::UploadLength => problem.typed(INCONSISTENT_LENGTH, Vec::new()),
        _ => problem,
    }
}

fn limit(most: u64, left: Duration) -> HeaderValue {
    value(format!("max-size={most}, max-age={}", left.as_secs()))
}
