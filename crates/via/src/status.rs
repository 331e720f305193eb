//! Errors of the store on their way over gRPC and back.

use mediaflow_core::ErrorCode;
use mediaflow_engine::EngineError;
use mediaflow_engine::store::StoreError;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Where the stable code is told.
const CODE: &str = "mediaflow-code";

/// A refusal with its stable code.
pub fn refusal(code: Code, reason: ErrorCode, message: impl Into<String>) -> Status {
    let mut status = Status::new(code, message);
    let said = MetadataValue::from_static(reason.as_str());
    status.metadata_mut().insert(CODE, said);
    status
}

/// What the API answers when its store refuses. Inner reasons stay in its own log.
pub fn store_status(error: StoreError) -> Status {
    let code = match &error {
        StoreError::StaleFence => Code::FailedPrecondition,
        StoreError::BlobCondemned => Code::Aborted,
        StoreError::Unavailable(_)
        | StoreError::Database(_)
        | StoreError::Locked(_)
        | StoreError::Schema(_)
        | StoreError::Closed(_) => Code::Unavailable,
        StoreError::Full(_) => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    };
    let error = EngineError::from(error);
    if let Some(reason) = &error.reason
        && code == Code::Unavailable
    {
        tracing::warn!(%reason, "the store failed a worker's call");
    }
    refusal(code, error.code, error.message)
}

/// What the worker makes of an answer.
pub(crate) fn store_error(status: Status) -> StoreError {
    match status.code() {
        Code::FailedPrecondition => StoreError::StaleFence,
        Code::Aborted => StoreError::BlobCondemned,
        _ => StoreError::Unavailable(described(&status).into()),
    }
}

/// The same for what is no matter of the store.
pub(crate) fn engine_error(status: Status) -> EngineError {
    let code = status.metadata().get(CODE);
    let code = code.and_then(|c| ErrorCode::parse(c.to_str().ok()?));
    let code = code.unwrap_or(ErrorCode::StoreUnavailable);
    EngineError::new(code, described(&status))
}

/// One sentence for people.
pub(crate) fn described(status: &Status) -> String {
    match status.message() {
        "" => format!("the API answered {:?}", status.code()),
        message => message.to_owned(),
    }
}
