//! Messages from and to our own types. What comes from outside is checked; a message that is not understood names the
//! field.

mod output;
mod recorded;
mod task;

pub use output::{failure, report, report_message};
pub use recorded::{made, made_messages, recorded, recorded_message, reusable, reusable_message};
pub use task::{
    Misfit, capacity, capacity_message, lease_time, presence, presence_message, task,
    tasks_message, written, written_message,
};

use mediaflow_core::{BlobId, Sha256};
use mediaflow_engine::store::BlobRow;
use mediaflow_proto::worker::v1 as proto;
use uuid::Uuid;

/// A field that cannot be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field `{0}` cannot be read")]
pub struct Malformed(pub &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// An identifier.
///
/// # Errors
/// Anything but 16 bytes.
pub fn id<T: From<Uuid>>(bytes: &[u8], field: &'static str) -> Result<T> {
    let id = Uuid::from_slice(bytes).map_err(|_| Malformed(field))?;
    Ok(id.into())
}

/// A digest.
///
/// # Errors
/// Anything but 32 bytes.
pub fn sha256(bytes: &[u8], field: &'static str) -> Result<Sha256> {
    let bytes = bytes.try_into().map_err(|_| Malformed(field))?;
    Ok(Sha256(bytes))
}

/// What must be there.
fn given<T>(value: Option<T>, field: &'static str) -> Result<T> {
    value.ok_or(Malformed(field))
}

/// A blob's row, whose seal was looked at elsewhere.
///
/// # Errors
/// Names the field.
pub fn blob(message: &proto::Blob) -> Result<BlobRow> {
    Ok(BlobRow {
        id: id::<BlobId>(&message.id, "blob.id")?,
        sha256: sha256(&message.sha256, "blob.sha256")?,
        bytes: message.bytes,
        key: message.key.clone(),
    })
}

/// A row with its seal.
pub fn blob_message(row: &BlobRow, seal: String) -> proto::Blob {
    proto::Blob {
        id: row.id.as_bytes().to_vec(),
        sha256: row.sha256.0.to_vec(),
        bytes: row.bytes,
        key: row.key.clone(),
        seal,
    }
}

fn size(message: Option<proto::Size>) -> Option<(u32, u32)> {
    message.map(|s| (s.width, s.height))
}

fn size_message(size: Option<(u32, u32)>) -> Option<proto::Size> {
    size.map(|(width, height)| proto::Size { width, height })
}
