//! What readers have seen goes away: rows are removed, and caches told to forget.

use super::changes::{Changes, Withdrawal};
use super::rows::{get, id, maybe_number, named, sha};
use super::{Session, captions};
use crate::StoreError;
use crate::paths::{self, Paths};
use mediaflow_core::AssetId;
use mediaflow_core::operation::{Format, Packaging};

const RENDITIONS: &str =
    "SELECT r.profile, r.format, b.sha256 FROM renditions r JOIN blobs b ON b.id = r.blob
     WHERE r.asset = $1 AND r.generation < $2 AND r.generation IN (1, $3)";
const STREAMS: &str =
    "SELECT t.name, NULL::bigint AS number, t.packaging, b.sha256 FROM tracks t JOIN blobs b ON b.id = t.blob
     WHERE t.asset = $1 AND t.generation < $2 AND t.generation IN (1, $3)
     UNION ALL
     SELECT g.track, g.number, t.packaging, b.sha256 FROM segments g JOIN blobs b ON b.id = g.blob
     JOIN tracks t ON t.asset = g.asset AND t.generation = g.generation AND t.name = g.track
     WHERE g.asset = $1 AND g.generation < $2 AND g.generation IN (1, $3)";
const CAPTIONS: &str = "SELECT c.name, b.sha256 FROM captions c JOIN blobs b ON b.id = c.blob
     WHERE c.asset = $1 AND c.generation < $2 AND c.generation IN (0, 1, $3)";
/// Withdraws or hides what readers may have seen: the published generation's, and the first one's, which shows before
/// it is published.
pub(super) async fn withdraw(
    s: &Session,
    changes: &mut Changes,
    asset: AssetId,
    published: u32,
    which: Withdrawal,
) -> Result<(), StoreError> {
    let end = match which {
        Withdrawal::Before(generation) => i64::from(generation),
        Withdrawal::All | Withdrawal::Hide => i64::MAX,
    };
    let paths = seen(s, asset, published, end).await?;
    if !paths.is_empty() {
        changes.purges.push((asset, paths));
    }
    if which == Withdrawal::Hide {
        return Ok(());
    }
    let given_too = which == Withdrawal::All;
    let answers = s
        .all(&[
            (
                "DELETE FROM renditions WHERE asset = $1 AND generation < $2 RETURNING blob",
                &[&asset.0, &end],
            ),
            (
                "DELETE FROM segments WHERE asset = $1 AND generation < $2 RETURNING blob",
                &[&asset.0, &end],
            ),
            (
                "DELETE FROM tracks WHERE asset = $1 AND generation < $2 RETURNING blob",
                &[&asset.0, &end],
            ),
            (
                "DELETE FROM captions WHERE asset = $1 AND generation < $2 AND (generation > 0 OR $3) RETURNING blob",
                &[&asset.0, &end, &given_too],
            ),
            (
                "DELETE FROM pieces WHERE asset = $1 AND generation < $2 RETURNING blob",
                &[&asset.0, &end],
            ),
        ])
        .await?;
    for row in answers.iter().flatten() {
        changes.orphans.push(id(row, "blob")?);
    }
    Ok(())
}

/// The paths of what readers may have seen, of generations before `end`.
async fn seen(s: &Session, asset: AssetId, published: u32, end: i64) -> Result<Paths, StoreError> {
    let mut paths = Paths::new();
    let shown = i64::from(published);
    let answers = s
        .all(&[
            (RENDITIONS, &[&asset.0, &end, &shown]),
            (STREAMS, &[&asset.0, &end, &shown]),
            (CAPTIONS, &[&asset.0, &end, &shown]),
        ])
        .await?;
    for row in &answers[0] {
        let format = named(row, "format", Format::parse)?;
        let (profile, sha256) = (get(row, "profile")?, sha(row, "sha256")?);
        paths::add_rendition(&mut paths, asset, profile, format, sha256);
    }
    let mut has_tracks = false;
    for row in &answers[1] {
        let (name, sha256) = (get(row, "name")?, sha(row, "sha256")?);
        let made = (name, named(row, "packaging", Packaging::parse)?);
        match maybe_number(row, "number")? {
            Some(number) => paths::add_segment(&mut paths, asset, made, number, sha256),
            None => {
                has_tracks = true;
                paths::add_track(&mut paths, asset, published, made, sha256);
            }
        }
    }
    for row in &answers[2] {
        paths::add_captions(&mut paths, asset, get(row, "name")?, sha(row, "sha256")?);
    }
    if has_tracks {
        let captions = captions::of_generation(s, asset, published).await?;
        paths::add_masters(&mut paths, asset, published, &captions);
    }
    Ok(paths)
}
