//! Seals: what the API tells a worker and wants to know again without keeping it. Any API process with the same signing
//! keys understands them.

use crate::signing::Signer;
use mediaflow_core::{AssetId, KeyId, Sha256, TaskId, TenantId};
use mediaflow_engine::store::{BlobRow, Claimed, Lease, NewBlob};
use mediaflow_proto::worker::v1 as proto;
use std::str::FromStr;

/// A lease with what it was given for and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    pub(super) lease: Lease,
    pub(super) tenant: TenantId,
    pub(super) asset: AssetId,
    pub(super) generation: u32,
    /// Of the original.
    pub(super) original: Sha256,
    /// Who may use it.
    key: KeyId,
}

/// The permit is nobody's, or not this key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forged;

impl Permit {
    pub(super) fn of(task: &Claimed, key: KeyId) -> Self {
        Self {
            lease: task.lease,
            tenant: task.tenant,
            asset: task.asset,
            generation: task.generation,
            original: task.original.sha256,
            key,
        }
    }

    fn text(&self) -> String {
        let Self {
            lease,
            tenant,
            asset,
            generation,
            original,
            key,
        } = self;
        let (task, fence) = (lease.task, lease.fence);
        format!("{task} {fence} {tenant} {asset} {generation} {original} {key}")
    }

    pub(super) fn seal(&self, signer: &Signer) -> String {
        let text = self.text();
        format!("{} {text}", signer.seal(&format!("lease {text}")))
    }

    /// The permit that a worker tells back with its lease.
    pub(super) fn open(signer: &Signer, told: &proto::Lease, key: KeyId) -> Result<Self, Forged> {
        let (seal, text) = told.permit.split_once(' ').ok_or(Forged)?;
        if !signer.is_sealed(&format!("lease {text}"), seal) {
            return Err(Forged);
        }
        let mut words = text.split(' ');
        let permit = Self {
            lease: Lease {
                task: next::<TaskId>(&mut words)?,
                fence: next(&mut words)?,
            },
            tenant: next(&mut words)?,
            asset: next(&mut words)?,
            generation: next(&mut words)?,
            original: next(&mut words)?,
            key: next(&mut words)?,
        };
        let is_same = told.task == permit.lease.task.as_bytes() && told.fence == permit.lease.fence;
        match is_same && permit.key == key {
            true => Ok(permit),
            false => Err(Forged),
        }
    }

    /// What workers on other networks tell of how a rendition was made counts for this original alone: one that lies
    /// spoils nothing that is made of other bytes.
    pub(super) fn derivation(&self, told: Sha256) -> Sha256 {
        let text = format!("via {} {told}", self.original);
        Sha256::of(text.as_bytes())
    }
}

fn next<T: FromStr>(words: &mut std::str::Split<'_, char>) -> Result<T, Forged> {
    words.next().and_then(|w| w.parse().ok()).ok_or(Forged)
}

/// Seals a recorded blob for the lease that is told it.
pub(super) fn seal_row(signer: &Signer, lease: Lease, row: &BlobRow) -> String {
    signer.seal(&row_text(lease, row))
}

/// Whether this row was told for this lease.
pub(super) fn was_told(signer: &Signer, lease: Lease, row: &BlobRow, seal: &str) -> bool {
    signer.is_sealed(&row_text(lease, row), seal)
}

fn row_text(lease: Lease, row: &BlobRow) -> String {
    format!(
        "blob {} {} {} {} {} {}",
        lease.task, lease.fence, row.id, row.sha256, row.bytes, row.key
    )
}

/// Seals a write, for the report. The key says whose it is.
pub(super) fn seal_written(signer: &Signer, new: &NewBlob) -> String {
    signer.seal(&written_text(new))
}

/// Whether an address was given for exactly these bytes.
pub(super) fn was_addressed(signer: &Signer, new: &NewBlob, seal: &str) -> bool {
    signer.is_sealed(&written_text(new), seal)
}

fn written_text(new: &NewBlob) -> String {
    format!("written {} {} {}", new.sha256, new.bytes, new.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaflow_core::BlobId;
    use uuid::Uuid;

    fn signer() -> Signer {
        Signer::new(vec![("k1".into(), vec![7; 32])]).unwrap()
    }

    fn permit() -> Permit {
        Permit {
            lease: Lease {
                task: TaskId(Uuid::from_u128(1)),
                fence: 9,
            },
            tenant: TenantId::DEFAULT,
            asset: AssetId(Uuid::from_u128(2)),
            generation: 3,
            original: Sha256::of(b"original"),
            key: KeyId(Uuid::from_u128(4)),
        }
    }

    fn told(permit: &Permit) -> proto::Lease {
        proto::Lease {
            task: permit.lease.task.as_bytes().to_vec(),
            fence: permit.lease.fence,
            permit: permit.seal(&signer()),
        }
    }

    #[test]
    fn a_permit_opens_for_its_key_and_its_lease_alone() {
        let permit = permit();
        let good = told(&permit);
        assert_eq!(Permit::open(&signer(), &good, permit.key), Ok(permit));
        let other = KeyId(Uuid::from_u128(5));
        assert_eq!(Permit::open(&signer(), &good, other), Err(Forged));
        let mut later = good.clone();
        later.fence += 1;
        assert_eq!(Permit::open(&signer(), &later, permit.key), Err(Forged));
        for at in 0..good.permit.len() {
            let mut wrong = good.clone();
            wrong.permit.replace_range(at..=at, "~");
            assert_eq!(Permit::open(&signer(), &wrong, permit.key), Err(Forged));
        }
    }

    #[test]
    fn a_blob_is_told_for_one_lease_and_a_write_for_its_bytes() {
        let (signer, lease) = (signer(), permit().lease);
        let row = BlobRow {
            id: BlobId(Uuid::from_u128(6)),
            sha256: Sha256::of(b"row"),
            bytes: 3,
            key: "renditions/00/x".into(),
        };
        let seal = seal_row(&signer, lease, &row);
        assert!(was_told(&signer, lease, &row, &seal));
        let later = Lease { fence: 10, ..lease };
        assert!(!was_told(&signer, later, &row, &seal));
        let new = NewBlob {
            sha256: row.sha256,
            bytes: row.bytes,
            key: row.key,
        };
        assert!(!was_addressed(&signer, &new, &seal));
        let seal = seal_written(&signer, &new);
        assert!(was_addressed(&signer, &new, &seal));
        assert!(!was_addressed(&signer, &NewBlob { bytes: 4, ..new }, &seal));
    }
}
