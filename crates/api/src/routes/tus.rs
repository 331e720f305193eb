//! `/v1/tus`: uploads over several requests, as the tus protocol 1.0.0 has them.
//!
//! An upload that arrives whole with the request that opens it needs no state: it becomes an asset at once, and its address
//! is made of the asset's.

use crate::Shared;
use crate::access::{Caller, MayUpload};
use crate::arriving::Arriving;
use crate::observe::Correlation;
use crate::problem::{Problem, invalid};
use crate::routes::adding;
use crate::routes::upload::{Accepted, key, said};
use crate::send::value;
use crate::tokens::Ticket;
use crate::tus::checksum::{ALGORITHMS, Judge, Trailers};
use crate::tus::headers::{self, Concat};
use crate::tus::metadata;
use axum::Json;
use axum::extract::{FromRequestParts as _, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mediaflow_core::{AssetId, ErrorCode, UploadId};
use mediaflow_engine::store::{UploadRecord, Way};
use mediaflow_engine::{Append, Appended, EngineError, Opening, Receipt, Upload};

pub(super) const ASSET: HeaderName = HeaderName::from_static("mediaflow-asset");
const SPOKEN: HeaderValue = HeaderValue::from_static(headers::VERSION);

/// A request for `/v1/tus`, apart from its body.
struct Asked {
    context: Shared,
    parts: Parts,
}

/// Open an upload, with or without its first bytes.
///
/// The tus protocol 1.0.0 with its extensions creation, creation-with-upload, creation-defer-length, expiration, checksum
/// (also as a trailer), termination and concatenation.
#[utoipa::path(
    post, path = "/v1/tus", operation_id = "openUpload", tag = "uploads",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = Option<u64>, Header, description = "All bytes; or `Upload-Defer-Length: 1`."),
        ("Upload-Metadata" = Option<String>, Header, description = "Names and values in Base64: the parameters of `POST /v1/assets`."),
        ("Upload-Concat" = Option<String>, Header, description = "`partial`, or `final;` and the addresses of the parts."),
    ),
    responses(
        (status = 201, description = "`Location` is the upload's address. With a body that is the whole file, what it became.", body = Accepted),
        (status = "4XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn collection(
    State(context): State<Shared>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked { context, parts };
    let answer = async {
        match asked.method()? {
            Method::OPTIONS => Ok(asked.options()),
            Method::POST => asked.create(body).await,
            _ => Err(Problem::plain(ErrorCode::MethodNotAllowed)
                .with(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"))),
        }
    };
    spoken(answer.await)
}

/// Ask how far an upload is (`HEAD`), add to it (`PATCH`) or give it up (`DELETE`).
///
/// With the last bytes `Mediaflow-Asset` and `Location` name the asset; `Prefer: return=representation` asks for it as JSON.
#[utoipa::path(
    patch, path = "/v1/tus/{id}", operation_id = "addToUpload", tag = "uploads",
    params(
        ("id" = String, Path),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where the bytes begin: as many as the upload has."),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha256` or `sha1` and the digest of the request's bytes in Base64."),
    ),
    request_body(content((crate::view::Binary = "application/offset+octet-stream"))),
    responses(
        (status = 200, description = "It is whole, and this is what it became.", body = Accepted),
        (status = 204, description = "`Upload-Offset` tells how far it is.", headers(("Upload-Offset" = u64))),
        (status = "4XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = crate::problem::ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn one(
    State(context): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked { context, parts };
    let answer = async {
        let method = asked.method()?;
        if method == Method::OPTIONS {
            return Ok(asked.options());
        }
        let caller = asked.caller().await?;
        let id = id
            .parse()
            .map_err(|_| Problem::plain(ErrorCode::UploadNotFound))?;
        caller.goes_on_with(id)?;
        match method {
            Method::HEAD => asked.state(caller, id).await,
            Method::PATCH => asked.add(caller, id, body).await,
            Method::DELETE => asked.end(caller, id).await,
            _ => Err(Problem::plain(ErrorCode::MethodNotAllowed).with(
                header::ALLOW,
                HeaderValue::from_static("HEAD, PATCH, DELETE, OPTIONS"),
            )),
        }
    };
    spoken(answer.await)
}

/// Every answer names the version.
fn spoken(answer: Result<Response, Problem>) -> Result<Response, Problem> {
    match answer {
        Ok(mut response) => {
            response.headers_mut().insert(headers::RESUMABLE, SPOKEN);
            Ok(response)
        }
        Err(problem) => {
            let problem = match problem.code() {
                ErrorCode::UploadVersion => {
                    problem.with(HeaderName::from_static("tus-version"), SPOKEN)
                }
                _ => problem,
            };
            Err(problem.with(headers::RESUMABLE, SPOKEN))
        }
    }
}

impl Asked {
    fn method(&self) -> Result<Method, EngineError> {
        let method = headers::method(&self.parts.method, &self.parts.headers)?;
        if method != Method::OPTIONS {
            headers::check_version(&self.parts.headers)?;
        }
        Ok(method)
    }

    async fn caller(&mut self) -> Result<Caller, Problem> {
        let MayUpload(caller) =
            MayUpload::from_request_parts(&mut self.parts, &self.context).await?;
        Ok(caller)
    }

    fn correlation(&self) -> Correlation {
        let found = self.parts.extensions.get::<Correlation>().cloned();
        found.unwrap_or_else(|| Correlation("".into()))
    }

    fn options(&self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let most = self.context.engine.limits().bytes_max;
        for (name, text) in [
            ("tus-version", headers::VERSION.to_owned()),
            ("tus-extension", headers::EXTENSIONS.to_owned()),
            ("tus-max-size", most.to_string()),
            ("tus-checksum-algorithm", ALGORITHMS.to_owned()),
        ] {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value(text));
        }
        response
    }

    async fn create(&mut self, body: axum::body::Body) -> Result<Response, Problem> {
        let caller = self.caller().await?;
        let sent = &self.parts.headers;
        let has_body = adding::has_bytes(&body);
        if has_body && !headers::has_bytes(sent) {
            return Err(Problem::plain(ErrorCode::UploadType));
        }
        let metadata = headers::text(sent, &headers::METADATA)?.unwrap_or_default();
        let params = metadata::params(metadata)?;
        let concat = headers::text(sent, &headers::CONCAT)?;
        let belongs = concat.map(headers::concat).transpose()?;
        let length = length(sent, matches!(belongs, Some(Concat::Final(_))))?;
        let upload = Upload {
            length,
            key: caller.key_id(),
            idempotency_key: key(sent)?,
            correlation_id: self.correlation().0.to_string(),
            ..Upload::default()
        };
        let upload = caller.shaped(said(params, upload)?);
        let trailers = Trailers::default();
        let judge = Judge::of(sent, &trailers)?;
        let announced = headers::bytes(sent, &header::CONTENT_LENGTH)?;
        let is_all = has_body && belongs.is_none() && judge.is_none() && announced == length;
        let body = Arriving::new(body, sent).telling(&trailers);
        let beginning = async {
            if is_all && length.is_some_and(|n| n > 0) {
                let accepted = self
                    .context
                    .engine
                    .accept(caller.tenant, upload, body)
                    .await?;
                let name = UploadId(accepted.asset.0);
                return Ok((name, self.accepted_at_once(&accepted)));
            }
            let opening = Opening {
                tenant: caller.tenant,
                key: caller.key_id(),
                upload,
                open_max: caller.open_max(),
                concat: concat.map(str::to_owned),
                metadata: metadata.to_owned(),
            };
            if let Some(Concat::Final(parts)) = belongs {
                if has_body {
                    return Err(invalid("an upload of others has no bytes of its own").into());
                }
                return self.join(opening, parts).await;
            }
            let first = has_body.then(|| Append {
                start: 0,
                coming: announced,
                length: None,
                ends: false,
                filename: None,
                verify: judge.map(|judge| Box::new(judge) as _),
                body,
            });
            let (opened, appended) = adding::begin(&self.context, &caller, opening, first).await?;
            let receipt = appended.as_ref().and_then(|now| now.receipt.as_ref());
            let mut response = match receipt {
                Some(receipt) => self.view(StatusCode::CREATED, receipt, &opened.correlation_id),
                None => StatusCode::CREATED.into_response(),
            };
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, value(format!("/v1/tus/{}", opened.id)));
            match &appended {
                Some(appended) => told(&mut response, appended),
                None => {
                    headers.insert(headers::OFFSET, value("0".into()));
                    headers.insert(headers::EXPIRES, value(opened.expires_at.http_date()));
                }
            }
            Ok::<_, Problem>((opened.id, response))
        };
        Ticket::with(&self.context.engine, &caller, beginning).await
    }

    fn accepted_at_once(&self, receipt: &Receipt) -> Response {
        let correlation = self.correlation();
        let mut response = self.view(StatusCode::CREATED, receipt, &correlation.0);
        let headers = response.headers_mut();
        let location = value(format!("/v1/tus/{}", receipt.asset));
        headers.insert(header::LOCATION, location);
        headers.insert(headers::OFFSET, value(receipt.bytes.to_string()));
        if receipt.repeated {
            let name = HeaderName::from_static("idempotency-replayed");
            headers.insert(name, value("true".into()));
        }
        response
    }

    async fn join(
        &self,
        opening: Opening,
        parts: Vec<UploadId>,
    ) -> Result<(UploadId, Response), Problem> {
        let (opened, receipt) = self.context.engine.join_uploads(opening, &parts).await?;
        let mut response = self.view(StatusCode::CREATED, &receipt, &opened.correlation_id);
        let location = value(format!("/v1/tus/{}", opened.id));
        response.headers_mut().insert(header::LOCATION, location);
        Ok((opened.id, response))
    }

    async fn state(&self, caller: Caller, id: UploadId) -> Result<Response, Problem> {
        let engine = &self.context.engine;
        let mut response = StatusCode::OK.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let found = match engine.upload(caller.tenant, id).await {
            Err(error) if error.code == ErrorCode::UploadNotFound => {
                // It may have arrived whole, and be known by what it became.
                let asset = engine.store().original(caller.tenant, AssetId(id.0)).await;
                let Ok(original) = asset else {
                    return Err(error.into());
                };
                let bytes = value(original.bytes.to_string());
                headers.insert(headers::OFFSET, bytes.clone());
                headers.insert(headers::LENGTH, bytes);
                headers.insert(ASSET, value(format!("/v1/assets/{id}")));
                return Ok(response);
            }
            found => found?,
        };
        show(headers, &found);
        Ok(response)
    }

    async fn add(
        &self,
        caller: Caller,
        id: UploadId,
        body: axum::body::Body,
    ) -> Result<Response, Problem> {
        let sent = &self.parts.headers;
        if !headers::has_bytes(sent) {
            return Err(Problem::plain(ErrorCode::UploadType));
        }
        let start = headers::bytes(sent, &headers::OFFSET)?
            .ok_or_else(|| invalid("`Upload-Offset` is missing"))?;
        let trailers = Trailers::default();
        let judge = Judge::of(sent, &trailers)?;
        let append = Append {
            start,
            coming: headers::bytes(sent, &header::CONTENT_LENGTH)?,
            length: headers::bytes(sent, &headers::LENGTH)?,
            ends: false,
            filename: None,
            verify: judge.map(|judge| Box::new(judge) as _),
            body: Arriving::new(body, sent).telling(&trailers),
        };
        let appended = self
            .context
            .engine
            .append_upload(caller.tenant, id, append)
            .await?;
        let wants_it = headers::text(sent, &HeaderName::from_static("prefer"))?
            .is_some_and(|text| text.contains("return=representation"));
        let mut response = match &appended.receipt {
            Some(receipt) if wants_it => {
                self.view(StatusCode::OK, receipt, &appended.correlation_id)
            }
            _ => StatusCode::NO_CONTENT.into_response(),
        };
        told(&mut response, &appended);
        if let Some(asset) = appended.asset {
            let location = value(format!("/v1/assets/{asset}"));
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }

    async fn end(&self, caller: Caller, id: UploadId) -> Result<Response, Problem> {
        let engine = &self.context.engine;
        engine.end_upload(caller.tenant, id, Way::Tus).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn view(&self, status: StatusCode, receipt: &Receipt, correlation: &str) -> Response {
        let view = Accepted::of(receipt, correlation);
        let mut response = (status, Json(view)).into_response();
        let asset = value(format!("/v1/assets/{}", receipt.asset));
        response.headers_mut().insert(ASSET, asset);
        response
    }
}

/// All bytes of an upload to open, where the client knows.
fn length(sent: &HeaderMap, is_joined: bool) -> Result<Option<u64>, EngineError> {
    let length = headers::bytes(sent, &headers::LENGTH)?;
    let deferred = headers::text(sent, &headers::DEFER)?;
    match (length, deferred) {
        (None, None) if is_joined => Ok(None),
        _ if is_joined => Err(invalid("an upload of others has their length")),
        (Some(length), None) => Ok(Some(length)),
        (None, Some("1")) => Ok(None),
        _ => Err(invalid(
            "`Upload-Length` must be given, or `Upload-Defer-Length: 1`",
        )),
    }
}

/// How far it is after a request.
fn told(response: &mut Response, appended: &Appended) {
    let headers = response.headers_mut();
    headers.insert(headers::OFFSET, value(appended.bytes.to_string()));
    match appended.asset {
        Some(asset) => {
            headers.insert(ASSET, value(format!("/v1/assets/{asset}")));
        }
        None => {
            headers.insert(headers::EXPIRES, value(appended.expires_at.http_date()));
        }
    }
}

/// Everything about an upload that the protocol shows.
fn show(headers: &mut HeaderMap, found: &UploadRecord) {
    headers.insert(headers::OFFSET, value(found.bytes.to_string()));
    match found.length {
        Some(length) => headers.insert(headers::LENGTH, value(length.to_string())),
        None => headers.insert(headers::DEFER, value("1".into())),
    };
    let sent = [
        (
            headers::METADATA,
            Some(&found.metadata).filter(|m| !m.is_empty()),
        ),
        (headers::CONCAT, found.concat.as_ref()),
    ];
    for (name, text) in sent {
        if let Some(text) = text {
            headers.insert(name, value(text.clone()));
        }
    }
    match found.asset {
        Some(asset) => headers.insert(ASSET, value(format!("/v1/assets/{asset}"))),
        None => headers.insert(headers::EXPIRES, value(found.expires_at.http_date())),
    };
}
