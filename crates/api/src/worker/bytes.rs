//! Addresses for the bytes of one attempt: of the bucket where there is one that signs, else of this API, with a
//! signature of ours.

use super::permit::{Permit, seal_written, was_told};
use super::report::is_own;
use super::service::malformed;
use crate::params::Params;
use crate::problem::Problem;
use crate::send::Sending;
use crate::{Context, Shared};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use mediaflow_core::{ErrorCode, Sha256, TaskId};
use mediaflow_engine::EngineError;
use mediaflow_engine::blob::{BlobError, BlobKey, Signed, Written};
use mediaflow_engine::store::NewBlob;
use mediaflow_proto::worker::v1 as proto;
use mediaflow_via::codec::{self, Malformed};
use mediaflow_via::{refusal, store_status};
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};

/// How long an address holds. What has begun by then goes on.
const VALID: Duration = Duration::from_secs(300);
/// The longest silence of somebody who sends.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Where our own addresses are.
const PLACE: &str = "/worker/blobs/";

/// An address to read a blob that this lease was told of.
pub(super) async fn to_read(
    context: &Context,
    permit: &Permit,
    request: &proto::ReadRequest,
) -> Result<proto::Address, Status> {
    let message = request.blob.as_ref();
    let message = message.ok_or_else(|| malformed(Malformed("blob")))?;
    let row = codec::blob(message).map_err(malformed)?;
    if !was_told(&context.signer, permit.lease, &row, &message.seal) {
        let text = format!("`{}` was not told for this lease", row.key);
        return Err(refusal(
            Code::InvalidArgument,
            ErrorCode::RequestInvalid,
            text,
        ));
    }
    is_held(context, permit).await?;
    let key = key(&row.key)?;
    let signed = match request.through_api {
        true => None,
        false => {
            let signed = context.engine.blobs().signed_get(&key, VALID).await;
            signed.map_err(|e| unavailable(&e))?
        }
    };
    let of = NewBlob {
        sha256: row.sha256,
        bytes: row.bytes,
        key: row.key,
    };
    let signed = signed.unwrap_or_else(|| own(context, &Method::GET, &of));
    Ok(address(signed, String::new()))
}

/// Addresses for what this attempt is about to write.
pub(super) async fn to_write(
    context: &Context,
    permit: &Permit,
    request: &proto::WriteRequest,
) -> Result<proto::WriteResponse, Status> {
    is_held(context, permit).await?;
    context
        .engine
        .check_room()
        .map_err(|error| refusal(Code::ResourceExhausted, error.code, error.message))?;
    let mut addresses = Vec::with_capacity(request.blobs.len());
    for message in &request.blobs {
        let new = codec::written(message).map_err(malformed)?;
        if !is_own(permit, &new.key) {
            let text = format!("`{}` is no key of this attempt", new.key);
            return Err(refusal(
                Code::InvalidArgument,
                ErrorCode::RequestInvalid,
                text,
            ));
        }
        let written = Written {
            key: key(&new.key)?,
            sha256: new.sha256.0,
            bytes: new.bytes,
        };
        let signed = match request.through_api {
            true => None,
            false => {
                let signed = context.engine.blobs().signed_put(&written, VALID).await;
                signed.map_err(|e| unavailable(&e))?
            }
        };
        let signed = signed.unwrap_or_else(|| own(context, &Method::PUT, &new));
        addresses.push(address(signed, seal_written(&context.signer, &new)));
    }
    Ok(proto::WriteResponse { addresses })
}

/// # Errors
/// `fence.stale` once the lease was taken away.
pub(super) async fn is_held(context: &Context, permit: &Permit) -> Result<(), Status> {
    let lease = permit.lease;
    let held = context
        .engine
        .store()
        .is_leased(lease.task, lease.fence)
        .await;
    match held.map_err(store_status)? {
        true => Ok(()),
        false => Err(store_status(
            mediaflow_engine::store::StoreError::StaleFence,
        )),
    }
}

pub(super) fn unavailable(error: &BlobError) -> Status {
    tracing::warn!(%error, "bytes cannot be reached for a worker");
    let text = "the bytes cannot be reached at this moment";
    refusal(Code::Unavailable, ErrorCode::StorageUnavailable, text)
}

fn key(text: &str) -> Result<BlobKey, Status> {
    text.parse().map_err(|_| malformed(Malformed("blob.key")))
}

fn address(signed: Signed, seal: String) -> proto::Address {
    proto::Address {
        url: signed.url,
        headers: signed.headers.into_iter().collect::<HashMap<_, _>>(),
        valid_ms: u64::try_from(VALID.as_millis()).unwrap_or(u64::MAX),
        seal,
    }
}

/// An address of ours. The API does not know under which name it is reached, so it is a path.
fn own(context: &Context, method: &Method, blob: &NewBlob) -> Signed {
    let now = context.engine.environment().now();
    let expires = now.after(VALID).0;
    let seal = context.signer.seal(&own_text(method, blob, expires));
    Signed {
        url: format!(
            "{PLACE}{}?bytes={}&sha256={}&expires={expires}&seal={seal}",
            blob.key, blob.bytes, blob.sha256
        ),
        headers: Vec::new(),
    }
}

fn own_text(method: &Method, blob: &NewBlob, expires: i64) -> String {
    format!(
        "address {method} {} {} {} {expires}",
        blob.sha256, blob.bytes, blob.key
    )
}

/// What an address of ours is for, once its signature was looked at.
fn opened(
    context: &Context,
    method: &Method,
    key: String,
    mut params: Params,
) -> Result<(BlobKey, NewBlob), Problem> {
    let refused = || Problem::plain(ErrorCode::AuthInvalid);
    let blob = NewBlob {
        sha256: taken::<Sha256>(&mut params, "sha256")?,
        bytes: taken(&mut params, "bytes")?,
        key,
    };
    let expires: i64 = taken(&mut params, "expires")?;
    let seal: String = taken(&mut params, "seal")?;
    params.finish()?;
    let is_over = context.engine.environment().now().0 >= expires;
    if is_over
        || !context
            .signer
            .is_sealed(&own_text(method, &blob, expires), &seal)
    {
        return Err(refused());
    }
    let key = blob.key.parse().map_err(|_| refused())?;
    Ok((key, blob))
}

fn taken<T: std::str::FromStr>(params: &mut Params, name: &str) -> Result<T, EngineError> {
    let value = params.take_as(name, "as it was signed", |text| text.parse().ok())?;
    value.ok_or_else(|| crate::problem::invalid(format!("`{name}` is missing")))
}

/// Reads what an address of ours is for.
pub(crate) async fn get(
    State(context): State<Shared>,
    Path(key): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, blob) = opened(&context, &Method::GET, key, params)?;
    let sending = Sending {
        key: &blob.key,
        bytes: blob.bytes,
        sha256: blob.sha256,
        headers: vec![
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("private, no-store"),
            ),
        ],
    };
    sending.answer(&context, &Method::GET, &headers).await
}

/// Writes what an address of ours is for, and nothing else.
pub(crate) async fn put(
    State(context): State<Shared>,
    Path(key): Path<String>,
    params: Params,
    body: Body,
) -> Result<StatusCode, Problem> {
    let (key, new) = opened(&context, &Method::PUT, key, params)?;
    let (task, fence) = key
        .attempt()
        .ok_or_else(|| Problem::plain(ErrorCode::AuthInvalid))?;
    let store = context.engine.store();
    if !store.is_leased(TaskId(task), fence).await? {
        return Err(Problem::plain(ErrorCode::FenceStale));
    }
    let other = || {
        let text = "the body is not what the address was signed for";
        Problem::new(ErrorCode::RequestInvalid, text)
    };
    let mut writer = context.engine.blobs().writer(key.clone());
    let mut body = body.into_data_stream();
    let mut left = new.bytes;
    loop {
        let piece = tokio::time::timeout(SILENCE_MAX, body.next()).await;
        let piece = piece.map_err(|_| Problem::plain(ErrorCode::RequestTimeout))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| other())?;
        left = left.checked_sub(piece.len() as u64).ok_or_else(other)?;
        writer.write(piece).await?;
    }
    if left > 0 {
        return Err(other());
    }
    match writer.finish().await {
        Ok(written) if written.sha256 == new.sha256.0 => Ok(StatusCode::CREATED),
        Ok(_) => {
            context.engine.blobs().delete(&key).await?;
            Err(other())
        }
        // As a bucket says it.
        Err(BlobError::AlreadyExists(_)) => Ok(StatusCode::PRECONDITION_FAILED),
        Err(error) => Err(error.into()),
    }
}
