//! What stands between the store and its readers: a CDN that keeps what was fetched, and somebody who is told of events.

use crate::plan::Fault;
use crate::trouble::Trouble;
use async_trait::async_trait;
use mediaflow_core::{AssetId, Sha256, Visibility};
use mediaflow_engine::services::Caches;
use mediaflow_store::{EventRecord, Purge, Servable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// A CDN.
pub(crate) struct Cdn {
    trouble: Trouble,
    kept: Mutex<BTreeMap<String, Sha256>>,
}

/// Every path under which a rendition is delivered.
pub(crate) fn paths(asset: AssetId, shown: &Servable) -> [String; 3] {
    let (profile, extension) = (&shown.rendition.profile, shown.rendition.format.extension());
    let sha256 = shown.rendition.sha256;
    [
        format!("/media/{asset}/{profile}"),
        format!("/media/{asset}/{profile}.{extension}"),
        format!("/media/{asset}/{sha256}/{profile}.{extension}"),
    ]
}

impl Cdn {
    pub(crate) fn new(trouble: Trouble) -> Self {
        Self {
            trouble,
            kept: Mutex::default(),
        }
    }

    fn with<T>(&self, what: impl FnOnce(&mut BTreeMap<String, Sha256>) -> T) -> T {
        what(
            &mut self
                .kept
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Somebody fetched these.
    pub(crate) fn fetched(&self, asset: AssetId, shown: &[Servable]) {
        self.with(|kept| {
            for shown in shown.iter().filter(|s| s.visibility == Visibility::Public) {
                // The path without a format depends on what its reader takes, and is not kept.
                for path in &paths(asset, shown)[1..] {
                    kept.insert(path.clone(), shown.rendition.sha256);
                }
            }
        });
    }

    /// Has it forget; answers whether it did.
    pub(crate) fn purge(&self, paths: &[String]) -> bool {
        if self.trouble.happens(Fault::CdnFails) {
            return false;
        }
        self.with(|kept| kept.retain(|path, _| !paths.contains(path)));
        true
    }

    /// All that it keeps.
    pub(crate) fn kept(&self) -> BTreeMap<String, Sha256> {
        self.with(|kept| kept.clone())
    }
}

#[async_trait]
impl Caches for Cdn {
    async fn forget(&self, purge: &Purge) -> bool {
        self.purge(&purge.paths)
    }
}

/// Somebody outside who is told of every event at least once, in each asset's order.
#[derive(Default)]
pub(crate) struct Sink {
    /// How far each asset's history was told.
    told: BTreeMap<AssetId, u64>,
    ids: BTreeSet<(AssetId, u64, uuid::Uuid)>,
}

impl Sink {
    /// # Errors
    /// When this cannot be the next, nor one again.
    pub(crate) fn tell(&mut self, event: &EventRecord) -> Result<(), String> {
        let told = self.told.entry(event.asset).or_default();
        let key = (event.asset, event.sequence, event.id.0);
        if event.sequence <= *told {
            return match self.ids.contains(&key) {
                true => Ok(()),
                false => Err(format!(
                    "event {} of {} came again under another id",
                    event.sequence, event.asset
                )),
            };
        }
        if event.sequence != *told + 1 {
            return Err(format!(
                "event {} of {} was told after {told}",
                event.sequence, event.asset
            ));
        }
        *told = event.sequence;
        self.ids.insert(key);
        Ok(())
    }

    pub(crate) fn told(&self, asset: AssetId) -> u64 {
        self.told.get(&asset).copied().unwrap_or_default()
    }

    /// Told without an outbox: nobody asks again.
    pub(crate) fn hear(&mut self, asset: AssetId) {
        *self.told.entry(asset).or_default() += 1;
    }
}
