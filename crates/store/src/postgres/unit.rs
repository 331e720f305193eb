//! Decisions of one transaction: runs in hand, and what they change, written at the end.

use super::Session;
use super::changes::Changes;
use super::flush::flush;
use super::live::Live;
use crate::StoreError;
use mediaflow_core::{AssetId, BlobId};
use std::collections::{HashMap, HashSet};

/// What became of a decision.
pub(super) enum Decided {
    /// It is among the changes.
    Yes,
    /// It and an earlier one of the same asset cannot be written together.
    Later,
}

/// Runs in hand.
pub(super) struct Unit {
    pub(super) lives: HashMap<AssetId, Live>,
    pub(super) changes: Changes,
    /// Assets that were decided about, and whether more may be decided about them.
    touched: HashMap<AssetId, bool>,
}

impl Unit {
    pub(super) fn new(s: &Session, lives: HashMap<AssetId, Live>) -> Self {
        Self {
            lives,
            changes: Changes::new(s),
            touched: HashMap::new(),
        }
    }

    /// Decides about an asset. What fails leaves no trace, nor does what must wait.
    pub(super) fn decide(
        &mut self,
        asset: AssetId,
        decide: impl FnOnce(&mut Live, &mut Changes) -> Result<(), StoreError>,
    ) -> Result<Decided, StoreError> {
        let live = self.lives.get(&asset).ok_or(StoreError::AssetNotFound)?;
        if self.touched.get(&asset) == Some(&false) {
            return Ok(Decided::Later);
        }
        let mut live = live.clone();
        let mut part = self.changes.part();
        decide(&mut live, &mut part)?;
        let commutes = part.commutes();
        if self.touched.contains_key(&asset) && !(commutes && self.is_new(&part)) {
            return Ok(Decided::Later);
        }
        live.settle();
        self.touched.insert(asset, commutes);
        self.lives.insert(asset, live);
        self.changes.append(part);
        Ok(Decided::Yes)
    }

    /// Whether it writes no row that is to be written already.
    fn is_new(&self, part: &Changes) -> bool {
        let renditions: HashSet<_> = self
            .changes
            .renditions
            .iter()
            .map(|r| (r.asset, &r.profile, r.format))
            .collect();
        let facts: HashSet<_> = self.changes.facts.iter().map(|f| (f.0, &f.1)).collect();
        !part
            .renditions
            .iter()
            .any(|r| renditions.contains(&(r.asset, &r.profile, r.format)))
            && !part.facts.iter().any(|f| facts.contains(&(f.0, &f.1)))
    }

    /// These rows may have lost their last reference, or never got one.
    pub(super) fn orphan(&mut self, blobs: impl IntoIterator<Item = BlobId>) {
        self.changes.orphans.extend(blobs);
    }

    /// Writes all that was decided.
    pub(super) async fn flush(mut self, s: &mut Session) -> Result<(), StoreError> {
        let touched = &self.touched;
        let mut lives: Vec<&mut Live> = self
            .lives
            .values_mut()
            .filter(|live| touched.contains_key(&live.asset))
            .collect();
        lives.sort_by_key(|live| live.asset);
        flush(s, self.changes, &mut lives).await
    }
}
