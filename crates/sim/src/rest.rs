//! What must hold when nothing goes wrong any more and everything came to rest.

use crate::database::now;
use crate::plan::Fault;
use crate::world::{SECOND, World};
use mediaflow_core::{AssetId, AssetState, Decision};
use mediaflow_store::{Catalog as _, StoreError};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// Queries that find nothing in a sound database at rest.
const EMPTY: &[(&str, &str)] = &[
    ("a task at rest holds no lease and no open attempt",
     "SELECT hex(id) FROM tasks WHERE lease_until IS NOT NULL
      UNION SELECT hex(task) FROM attempts WHERE ended_at IS NULL"),
    ("every try counts: crashes, time-outs and losses too",
     "SELECT hex(id) FROM tasks t WHERE tries <>
      (SELECT count(*) FROM attempts a WHERE a.task = t.id AND a.outcome IS NOT 'handed_back')"),
    ("a dead task keeps why it died, and every attempt",
     "SELECT hex(id) FROM tasks t WHERE state = 'dead' AND NOT EXISTS
      (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.code = t.error_code)"),
    ("no task was committed twice in its generation",
     "SELECT hex(id) FROM tasks t WHERE
      (SELECT count(*) FROM attempts a WHERE a.task = t.id AND a.outcome = 'succeeded') > 1"),
    ("events are numbered from 1, or the first that is kept, without gaps and in the order of the feed",
     "SELECT hex(asset) FROM events GROUP BY asset HAVING max(sequence) - min(sequence) + 1 <> count(*)
        OR (min(sequence) <> 1 AND (SELECT pruned FROM history) = 0)
      UNION SELECT hex(a.asset) FROM events a JOIN events b ON b.asset = a.asset AND b.sequence = a.sequence + 1
      WHERE b.position <= a.position"),
    ("tasks of older runs have ended",
     "SELECT hex(t.id) FROM tasks t JOIN assets a ON a.id = t.asset
      WHERE t.generation < a.generation AND t.state IN ('pending', 'ready', 'running', 'waiting')"),
    ("what readers see is ready, or the first generation that a newer one overtook",
     "SELECT hex(a.id) FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.published
      WHERE r.state <> 'ready' AND NOT (r.state = 'cancelled' AND r.generation = 1 AND a.generation > 1)"),
    ("nothing is left of what was made of rejected and deleted assets",
     "SELECT hex(a.id) FROM assets a WHERE state IN ('rejected', 'deleted') AND (published > 0
      OR EXISTS (SELECT 1 FROM renditions r WHERE r.asset = a.id) OR EXISTS (SELECT 1 FROM tracks t WHERE t.asset = a.id))"),
    ("a published film has all of its segments",
     "SELECT hex(t.asset) FROM tracks t JOIN assets a ON a.id = t.asset AND a.published = t.generation
      JOIN runs r ON r.asset = a.id AND r.generation = a.published AND r.state = 'ready'
      WHERE t.segments <> (SELECT count(*) FROM segments g WHERE g.asset = t.asset AND g.generation = t.generation AND g.track = t.name)"),
    ("what is referred to is not condemned",
     "SELECT hex(id) FROM blobs b WHERE condemned_at IS NOT NULL AND (
      EXISTS (SELECT 1 FROM assets WHERE original = b.id) OR EXISTS (SELECT 1 FROM renditions WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM segments WHERE blob = b.id) OR EXISTS (SELECT 1 FROM tracks WHERE blob = b.id))"),
    ("task counts equal a recount",
     "SELECT queue || state FROM task_counts c WHERE tasks <> (SELECT count(*) FROM tasks t WHERE t.queue = c.queue AND t.state = c.state)"),
    ("asset counts equal a recount",
     "SELECT state FROM asset_counts c WHERE assets <> (SELECT count(*) FROM assets a WHERE a.state = c.state)"),
    ("no purge waits", "SELECT paths FROM purges"),
];

/// The same, where nothing of the history was forgotten.
const UNPRUNED: &[(&str, &str)] = &[
    ("each failed attempt is one event",
     "SELECT hex(a.id) FROM assets a WHERE
      (SELECT count(*) FROM events e WHERE e.asset = a.id AND e.type IN ('task.retrying', 'task.dead')) <>
      (SELECT count(*) FROM attempts t JOIN tasks k ON k.id = t.task WHERE k.asset = a.id AND t.outcome IN ('failed', 'lost'))"),
    ("each attempt that succeeded is one event, and one result",
     "SELECT hex(a.id) FROM assets a WHERE
      (SELECT count(*) FROM events e WHERE e.asset = a.id AND e.type = 'task.succeeded' AND json_extract(e.data, '$.step') <> 'moderate') <>
      (SELECT count(*) FROM attempts t JOIN tasks k ON k.id = t.task
       WHERE k.asset = a.id AND t.outcome = 'succeeded' AND k.operation <> 'moderate')"),
];

/// Blobs that something refers to: where they are and what they are.
const REFERENCED: &str = "SELECT b.key, b.sha256 FROM blobs b WHERE EXISTS (SELECT 1 FROM assets WHERE original = b.id)
    OR EXISTS (SELECT 1 FROM renditions WHERE blob = b.id) OR EXISTS (SELECT 1 FROM segments WHERE blob = b.id)
    OR EXISTS (SELECT 1 FROM tracks WHERE blob = b.id)";

fn empty(conn: &Connection, pruned: bool) -> rusqlite::Result<Option<String>> {
    let history = if pruned { &[] } else { UNPRUNED };
    for (what, sql) in EMPTY.iter().chain(history) {
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        if let Some(row) = rows.next()? {
            let found: String = row.get(0)?;
            return Ok(Some(format!("{what}: {found}")));
        }
    }
    Ok(None)
}

fn referenced(conn: &Connection) -> rusqlite::Result<BTreeMap<String, [u8; 32]>> {
    let mut statement = conn.prepare_cached(REFERENCED)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

impl World {
    /// From the first moment to the last.
    pub(crate) fn live(&mut self) {
        let calm = self.plan.trouble_s as i64 * SECOND;
        self.run(calm, |_| false);
        let end = self.now + self.patience();
        while !self.is_wrong() {
            if !self.run(end, |w| w.is_idle() || w.somebody_waits()) {
                let what = self.what_waits();
                return self.db.wrong(format!("it does not come to rest: {what}"));
            }
            if !self.approve_all() && self.is_idle() {
                break;
            }
        }
        self.settle();
        self.check_rest();
        if self.plan.ends && !self.is_wrong() {
            self.everything_ends();
        }
    }

    /// Everything that follows: what somebody still meant to do, purges, events to pass on, bytes to collect.
    fn settle(&mut self) {
        self.settling = true;
        self.run(i64::MAX, |_| false);
        // What became due by a clock that was ahead waits for as long.
        if self.plan.faults().contains(&Fault::ClockJump) {
            self.now += 4 * 3600 * SECOND;
        }
        for _ in 0..5 {
            if self.is_wrong() {
                return;
            }
            self.now += 130 * SECOND;
            self.clock.set(self.now);
            self.sweep();
            self.expire();
            self.collect();
            self.purge();
            self.relay_events();
            self.prune();
        }
    }

    /// Whether nobody sends anything any more, and all that was sent is done.
    fn is_idle(&self) -> bool {
        self.arriving == 0 && self.db.inner().oracle.is_at_rest()
    }

    fn somebody_waits(&self) -> bool {
        let inner = self.db.inner();
        let mut assets = inner.oracle.assets.iter();
        assets.any(|(asset, seen)| inner.oracle.waits_for_person(*asset, seen.generation))
    }

    /// Answers whether anybody waited for it.
    fn approve_all(&mut self) -> bool {
        let waiting: Vec<AssetId> = {
            let inner = self.db.inner();
            let assets = inner.oracle.assets.iter();
            let waiting =
                assets.filter(|(a, seen)| inner.oracle.waits_for_person(**a, seen.generation));
            waiting.map(|(a, _)| *a).collect()
        };
        let mut approved = false;
        for asset in waiting {
            let tenant = self.tenant_of(asset);
            match self.db.decide(tenant, asset, Decision::Approve) {
                Ok(()) => approved = true,
                Err(error) => self.db.wrong(format!(
                    "{asset} waits for a person and refuses one: {error}"
                )),
            }
        }
        approved
    }

    /// Of an asset that may have been made without anybody being told.
    fn tenant_of(&self, asset: AssetId) -> mediaflow_core::TenantId {
        let inner = self.db.inner();
        let name = inner.oracle.assets.get(&asset).map(|s| s.filename.as_str());
        let upload = self.uploads.iter().find(|u| Some(u.name.as_str()) == name);
        upload.map_or(mediaflow_core::TenantId::DEFAULT, |u| u.tenant)
    }

    fn what_waits(&self) -> String {
        let inner = self.db.inner();
        let tasks = inner
            .oracle
            .tasks
            .iter()
            .filter(|(_, t)| !t.state.is_ended());
        let tasks = tasks.map(|(id, t)| format!("{id} of {} {:?}", t.asset, t.state));
        tasks.collect::<Vec<_>>().join(", ")
    }

    fn check_rest(&mut self) {
        let pruned = self.plan.prunes;
        if let Some(Some(wrong)) = self.db.rows(move |conn| empty(conn, pruned)) {
            return self.db.wrong(wrong);
        }
        self.check_assets();
        self.check_told();
        self.check_bytes();
        self.check_caches();
    }

    /// What was acknowledged exists, and whoever sent it under a key sent it once.
    fn check_assets(&self) {
        for &(asset, tenant, sha256) in &self.assets {
            let record = now(self.db.store().asset(tenant, asset));
            let wrong = match record {
                Err(error) => Some(format!("an acknowledged upload is lost: {asset}: {error}")),
                Ok(record) => {
                    let deleted = self
                        .db
                        .inner()
                        .oracle
                        .assets
                        .get(&asset)
                        .is_some_and(|s| s.deleted);
                    let open = matches!(
                        record.state,
                        AssetState::Uploaded | AssetState::Processing | AssetState::InReview
                    );
                    if deleted != (record.state == AssetState::Deleted) && deleted {
                        Some(format!(
                            "{asset} is {:?} though its deletion was acknowledged",
                            record.state
                        ))
                    } else if open {
                        Some(format!("{asset} is still {:?}", record.state))
                    } else {
                        self.original_is_lost(asset, tenant, sha256, record.state)
                    }
                }
            };
            if let Some(wrong) = wrong {
                return self.db.wrong(wrong);
            }
            self.looks(asset);
        }
        let inner = self.db.inner();
        let mut by_name = BTreeMap::<&str, u32>::new();
        for seen in inner.oracle.assets.values() {
            *by_name.entry(&seen.filename).or_default() += 1;
        }
        let twice = self
            .uploads
            .iter()
            .find(|u| u.key.is_some() && by_name.get(u.name.as_str()).is_some_and(|n| *n > 1));
        let wrong = twice.map(|u| {
            format!(
                "{} was sent under a key and taken {} times",
                u.name,
                by_name[u.name.as_str()]
            )
        });
        drop(inner);
        if let Some(wrong) = wrong {
            self.db.wrong(wrong);
        }
    }

    fn original_is_lost(
        &self,
        asset: AssetId,
        tenant: mediaflow_core::TenantId,
        sha256: mediaflow_core::Sha256,
        state: AssetState,
    ) -> Option<String> {
        match now(self.db.store().original(tenant, asset)) {
            Ok(blob) if blob.sha256 == sha256 && self.bytes.holds(&blob.key, sha256) => None,
            Ok(_) => Some(format!("the original of {asset} is lost")),
            Err(StoreError::AssetDeleted) if state == AssetState::Deleted => None,
            Err(StoreError::Conflict(_)) if state == AssetState::Rejected => None,
            Err(error) => Some(format!("the original of {asset} cannot be had: {error}")),
        }
    }

    /// Whoever is told of events was told of all of them.
    fn check_told(&self) {
        let inner = self.db.inner();
        let missed = inner
            .oracle
            .assets
            .iter()
            .find(|(a, seen)| self.sink.told(**a) != seen.sequence);
        let wrong = missed.map(|(a, s)| {
            format!(
                "{} events of {a} were told of {}",
                self.sink.told(*a),
                s.sequence
            )
        });
        drop(inner);
        if let Some(wrong) = wrong {
            self.db.wrong(wrong);
        }
    }

    /// Bytes are there exactly where something refers to them.
    fn check_bytes(&self) {
        let Some(referenced) = self.db.rows(referenced) else {
            return;
        };
        for (key, sha256) in &referenced {
            if !self.bytes.holds(key, mediaflow_core::Sha256(*sha256)) {
                return self
                    .db
                    .wrong(format!("{key} is referred to and is not there"));
            }
        }
        let stray = self
            .bytes
            .keys()
            .into_iter()
            .find(|k| !referenced.contains_key(k));
        if let Some(key) = stray {
            self.db
                .wrong(format!("nothing refers to {key}, and it was not collected"));
        }
    }

    /// No cache keeps what would not be answered any more.
    fn check_caches(&self) {
        let mut shown = BTreeSet::new();
        let assets: Vec<AssetId> = self.db.inner().oracle.assets.keys().copied().collect();
        for asset in assets {
            for one in self.looks(asset) {
                if one.visibility == mediaflow_core::Visibility::Public {
                    let sha256 = one.rendition.sha256;
                    shown.extend(crate::caches::paths(asset, &one).map(|path| (path, sha256)));
                }
            }
        }
        let stale = self
            .cdn
            .kept()
            .into_iter()
            .find(|kept| !shown.contains(kept));
        if let Some((path, _)) = stale {
            self.db.wrong(format!("a cache still has {path}"));
        }
    }

    /// When everything was deleted and collected, nothing is left but the record.
    fn everything_ends(&mut self) {
        let assets: Vec<AssetId> = self.db.inner().oracle.assets.keys().copied().collect();
        for asset in assets {
            let tenant = self.tenant_of(asset);
            if let Err(error) = self.db.delete(tenant, asset) {
                return self.db.wrong(format!("{asset} cannot be deleted: {error}"));
            }
        }
        self.settle();
        self.check_rest();
        let left = self.bytes.keys();
        if let Some(key) = left.first() {
            self.db
                .wrong(format!("{key} is left when everything was deleted"));
        }
        let rows = |conn: &Connection| {
            conn.query_row("SELECT count(*) FROM blobs", [], |row| row.get::<_, u32>(0))
        };
        if self.db.rows(rows).is_some_and(|n| n > 0) {
            self.db
                .wrong("rows of blobs are left when everything was deleted".into());
        }
    }
}
