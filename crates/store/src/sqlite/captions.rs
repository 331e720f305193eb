//! Captions: found ones recorded with their generation, given ones beside all of them.

use super::SqliteStore;
use super::blobs::{adopt, let_go, orphan};
use super::live::Live;
use super::renditions::purge;
use super::rows::{id, sha};
use super::shown::shown;
use super::writer::Session;
use crate::captions::{GIVEN, may_have_captions, one_of_each_name};
use crate::paths::{Paths, add_captions, add_masters};
use crate::{Captioning, CaptionsRecord, NewCaptions, Output, StoreError};
use async_trait::async_trait;
use mediaflow_core::{AssetId, BlobId, EventDraft, EventType, Sha256, TenantId, Visibility};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

impl Live {
    pub(super) fn keep_captions(&self, s: &Session<'_>, output: &Output) -> Result<(), StoreError> {
        for new in &output.captions {
            self.insert_captions(s, self.run.generation, new)?;
        }
        Ok(())
    }

    fn insert_captions(
        &self,
        s: &Session<'_>,
        generation: u32,
        new: &NewCaptions,
    ) -> Result<Sha256, StoreError> {
        let blob = adopt(s, self.tenant, &new.blob)?;
        let before = remove(s, self.asset, generation, &new.name)?;
        s.conn
            .prepare_cached("INSERT INTO captions VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                self.asset.as_bytes(),
                generation,
                new.name,
                new.language,
                new.label,
                blob.id.as_bytes(),
            ])?;
        if let Some(before) = before.filter(|before| *before != blob.id) {
            orphan(s, before)?;
        }
        Ok(blob.sha256)
    }
}

/// Removes a row and answers whose bytes lost a reference.
fn remove(
    s: &Session<'_>,
    asset: AssetId,
    generation: u32,
    name: &str,
) -> Result<Option<BlobId>, StoreError> {
    Ok(s.conn
        .prepare_cached(
            "DELETE FROM captions WHERE asset = ?1 AND generation = ?2 AND name = ?3 RETURNING blob",
        )?
        .query_row(params![asset.as_bytes(), generation, name], |row| {
            id(row, "blob")
        })
        .optional()?)
}

/// Removes the captions of generations before `end`; given ones only with everything.
pub(super) fn withdraw(s: &Session<'_>, asset: AssetId, end: u32) -> Result<(), StoreError> {
    let all = end == u32::MAX;
    let_go(
        s,
        "DELETE FROM captions WHERE asset = ?1 AND generation < ?2 AND (generation > 0 OR ?3) RETURNING blob",
        params![asset.as_bytes(), end, all],
    )
}

/// Adds every path under which caches may know captions of these generations, and of given ones.
pub(super) fn add_paths(
    s: &Session<'_>,
    asset: AssetId,
    generations: (u32, u32),
    end: u32,
    paths: &mut Paths,
) -> Result<(), StoreError> {
    let mut statement = s.conn.prepare_cached(
        "SELECT c.name, b.sha256 FROM captions c JOIN blobs b ON b.id = c.blob
         WHERE c.asset = ?1 AND c.generation < ?2 AND c.generation IN (0, ?3, ?4)",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), end, generations.0, generations.1])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get("name")?;
        add_captions(paths, asset, &name, sha(row, "sha256")?);
    }
    Ok(())
}

/// What readers see; given ones before found ones of the same name.
pub(super) fn visible(
    conn: &Connection,
    asset: AssetId,
) -> Result<Vec<CaptionsRecord>, StoreError> {
    let Some(shown) = shown(conn, asset)? else {
        return Ok(Vec::new());
    };
    let mut found = of_generation(conn, asset, shown.generation)?;
    for captions in &mut found {
        captions.visibility = shown.visibility;
    }
    Ok(found)
}

/// What a generation's readers see, with nothing said about who they are.
pub(super) fn of_generation(
    conn: &Connection,
    asset: AssetId,
    generation: u32,
) -> Result<Vec<CaptionsRecord>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT c.name, c.language, c.label, b.sha256, b.bytes, b.key
         FROM captions c JOIN blobs b ON b.id = c.blob
         WHERE c.asset = ?1 AND c.generation IN (0, ?2) ORDER BY c.generation",
    )?;
    let mut rows = statement.query(params![asset.as_bytes(), generation])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(CaptionsRecord {
            name: row.get("name")?,
            language: row.get("language")?,
            label: row.get("label")?,
            sha256: sha(row, "sha256")?,
            bytes: row.get("bytes")?,
            key: row.get("key")?,
            visibility: Visibility::Private,
        });
    }
    Ok(one_of_each_name(found))
}

#[async_trait]
impl Captioning for SqliteStore {
    async fn captions(&self, asset: AssetId) -> Result<Vec<CaptionsRecord>, StoreError> {
        self.read(move |conn, _| visible(conn, asset)).await
    }

    async fn give_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        new: NewCaptions,
    ) -> Result<(), StoreError> {
        self.write(move |s| give(s, tenant, asset, &new)).await
    }

    async fn take_captions(
        &self,
        tenant: TenantId,
        asset: AssetId,
        name: &str,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(move |s| take(s, tenant, asset, &name)).await
    }
}

fn give(
    s: &Session<'_>,
    tenant: TenantId,
    asset: AssetId,
    new: &NewCaptions,
) -> Result<(), StoreError> {
    let mut live = open(s, tenant, asset)?;
    let paths = changing(s, &live, &new.name)?;
    let sha256 = live.insert_captions(s, GIVEN, new)?;
    purge(s, asset, &paths)?;
    let data = json!({ "name": new.name, "language": new.language, "sha256": sha256.to_string() });
    live.record(s, &EventDraft::new(EventType::CaptionsGiven, data))?;
    live.save(s)
}

fn take(s: &Session<'_>, tenant: TenantId, asset: AssetId, name: &str) -> Result<(), StoreError> {
    let mut live = open(s, tenant, asset)?;
    let paths = changing(s, &live, name)?;
    let blob = remove(s, asset, GIVEN, name)?.ok_or(StoreError::CaptionsNotFound)?;
    orphan(s, blob)?;
    purge(s, asset, &paths)?;
    let data = json!({ "name": name });
    live.record(s, &EventDraft::new(EventType::CaptionsRemoved, data))?;
    live.save(s)
}

/// An asset that can have captions.
fn open(s: &Session<'_>, tenant: TenantId, asset: AssetId) -> Result<Live, StoreError> {
    let live = Live::of(s, tenant, asset)?;
    may_have_captions(live.state, live.run.recipe.kind)?;
    Ok(live)
}

/// The paths whose content changes with the captions of this name.
fn changing(s: &Session<'_>, live: &Live, name: &str) -> Result<Paths, StoreError> {
    let mut paths = Paths::new();
    let now = visible(s.conn, live.asset)?;
    if let Some(old) = now.iter().find(|c| c.name == name) {
        add_captions(&mut paths, live.asset, name, old.sha256);
    }
    let captions = of_generation(s.conn, live.asset, live.published)?;
    add_masters(&mut paths, live.asset, live.published, &captions);
    Ok(paths)
}
