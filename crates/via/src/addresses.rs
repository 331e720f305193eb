//! Addresses for the bytes of one attempt, as the API signs them.

use crate::caller::Caller;
use crate::held::{Held, Leases};
use async_trait::async_trait;
use mediaflow_engine::blob::{Addresses, BlobError, BlobKey, Signed, Written};
use mediaflow_engine::store::Lease;
use mediaflow_proto::worker::v1 as proto;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};

/// What one lease reaches.
pub(crate) struct OfLease {
    pub(crate) caller: Caller,
    pub(crate) leases: Arc<Leases>,
    pub(crate) lease: Lease,
}

impl OfLease {
    fn held(&self, action: &'static str) -> Result<Arc<Held>, BlobError> {
        let held = self.leases.of(self.lease);
        held.ok_or_else(|| BlobError::Refused {
            action,
            reason: "the lease is over".into(),
        })
    }

    fn signed(&self, address: proto::Address) -> Signed {
        Signed {
            url: self.caller.absolute(address.url),
            headers: address.headers.into_iter().collect(),
        }
    }
}

impl fmt::Debug for OfLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfLease").finish_non_exhaustive()
    }
}

#[async_trait]
impl Addresses for OfLease {
    async fn to_read(&self, key: &BlobKey) -> Result<(Signed, Duration), BlobError> {
        let told = self.leases.telling(self.lease, key.as_str());
        let (held, row) = told.ok_or_else(|| BlobError::NotFound(key.to_string()))?;
        let request = proto::ReadRequest {
            lease: Some(held.lease.clone()),
            blob: Some(row),
            through_api: self.caller.through_api(),
        };
        let mut client = self.caller.client();
        let answer = client.read(self.caller.ask(request)).await;
        let address = answer.map_err(failed("reading a blob"))?.into_inner();
        let valid = Duration::from_millis(address.valid_ms);
        Ok((self.signed(address), valid))
    }

    async fn to_write(&self, new: &[Written]) -> Result<Vec<Signed>, BlobError> {
        let held = self.held("writing a blob")?;
        let blobs = new.iter().map(|blob| proto::NewBlob {
            sha256: blob.sha256.to_vec(),
            bytes: blob.bytes,
            key: blob.key.to_string(),
            seal: String::new(),
        });
        let request = proto::WriteRequest {
            lease: Some(held.lease.clone()),
            blobs: blobs.collect(),
            through_api: self.caller.through_api(),
        };
        let mut client = self.caller.client();
        let answer = client.write(self.caller.ask(request)).await;
        let addresses = answer.map_err(failed("writing a blob"))?;
        let addresses = addresses.into_inner().addresses;
        if addresses.len() != new.len() {
            return Err(BlobError::Refused {
                action: "writing a blob",
                reason: "the API answered for other blobs".into(),
            });
        }
        let signed = addresses.into_iter().zip(new).map(|(address, blob)| {
            held.wrote(blob.key.as_str(), address.seal.clone());
            self.signed(address)
        });
        Ok(signed.collect())
    }
}

fn failed(action: &'static str) -> impl FnOnce(Status) -> BlobError {
    move |status| {
        let reason = crate::status::described(&status);
        match status.code() {
            Code::FailedPrecondition | Code::InvalidArgument | Code::PermissionDenied => {
                BlobError::Refused { action, reason }
            }
            Code::ResourceExhausted => BlobError::Full,
            _ => BlobError::Unavailable { action, reason },
        }
    }
}
