//! Numbers for the feed: given to events that have committed, so that no reader passes one that commits late.

use super::rows::number;
use super::session::{self, Repeat};
use super::{Core, Session};
use crate::StoreError;
use deadpool_postgres::Object;
use futures_util::FutureExt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// Held by whoever gives numbers.
const LOCK: i64 = 0x6d66_0002;
/// Most events numbered in one transaction.
const EVENTS_MAX: i64 = 5000;
/// Between two transactions of one process, so that a flood of commits does not become a flood of these.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two looks for what processes left unnumbered that are gone.
const IDLE: Duration = Duration::from_secs(5);
/// How long a reader waits for its own process's events to get their numbers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which of this process's commits have their numbers.
pub(super) struct Relay {
    wanted: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(0),
            done: watch::Sender::new(0),
        }
    }
}

impl Relay {
    /// There are events without numbers.
    pub(super) fn wants(&self) {
        self.wanted.send_modify(|n| *n += 1);
    }

    /// Waits until what this process committed before has its numbers, within reason.
    pub(super) async fn caught_up(&self) {
        let wanted = *self.wanted.borrow();
        let mut done = self.done.subscribe();
        // A reader that comes too early asks again, like one that came before the commit.
        let _ = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= wanted)).await;
    }
}

/// The last position that was given.
pub(super) async fn end(conn: &Object) -> Result<u64, StoreError> {
    number(
        &conn.query_one("SELECT position FROM relay", &[]).await?,
        "position",
    )
}

/// Gives numbers in the background for as long as the store is open.
pub(super) fn start(core: &Arc<Core>) {
    let wanted = core.relay.wanted.subscribe();
    tokio::spawn(run(Arc::downgrade(core), wanted));
}

async fn run(core: Weak<Core>, mut wanted: watch::Receiver<u64>) {
    loop {
        let target = *wanted.borrow_and_update();
        let Some(core) = core.upgrade() else { return };
        match number_all(&core).await {
            Ok(()) => {
                core.relay.done.send_replace(target);
            }
            Err(error) => tracing::warn!(%error, "events could not be numbered; trying again"),
        }
        drop(core);
        tokio::time::sleep(PAUSE).await;
        if let Ok(Err(_)) = tokio::time::timeout(IDLE, wanted.changed()).await {
            return;
        }
    }
}

async fn number_all(core: &Arc<Core>) -> Result<(), StoreError> {
    loop {
        let (position, given) =
            session::write_often(core, Repeat::Always, |s, _| give(s).boxed()).await?;
        if given > 0 {
            core.tell.news();
        }
        core.bells.event.send_if_modified(|known| {
            let is_new = *known < position;
            *known = (*known).max(position);
            is_new
        });
        if given < EVENTS_MAX {
            return Ok(());
        }
    }
}

/// Numbers all that has committed, where no process is left that does it in its background.
pub(super) async fn number_rest(conn: &Object) -> Result<(), StoreError> {
    loop {
        conn.batch_execute("BEGIN").await?;
        conn.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await?;
        let given: i64 = conn
            .query_one(GIVE, &[&EVENTS_MAX])
            .await?
            .try_get("given")?;
        conn.batch_execute("COMMIT").await?;
        if given < EVENTS_MAX {
            return Ok(());
        }
    }
}

/// Numbers what has committed, oldest first, and answers the last position and how many were given.
async fn give(s: &mut Session) -> Result<(u64, i64), StoreError> {
    // A statement sees what was committed when it began: the lock first, then the look.
    let lock: (&str, session::Params<'_>) = ("SELECT pg_advisory_xact_lock($1)", &[&LOCK]);
    let give: (&str, session::Params<'_>) = (GIVE, &[&EVENTS_MAX]);
    let answers = s.all(&[lock, give]).await?;
    let row = &answers[1][0];
    Ok((number(row, "position")?, number(row, "given")?))
}

/// The time tells in which part of the table an event is.
const GIVE: &str = "WITH fresh AS (
        SELECT e.asset, e.sequence, e.at, row_number() OVER (ORDER BY e.n) AS place
        FROM (SELECT n, asset, sequence, at FROM events WHERE position IS NULL ORDER BY n LIMIT $1) e),
    moved AS (
        UPDATE relay SET position = position + (SELECT count(*) FROM fresh)
        WHERE EXISTS (SELECT 1 FROM fresh) RETURNING position),
    numbered AS (
        UPDATE events e SET position = r.position + f.place FROM fresh f, relay r
        WHERE e.asset = f.asset AND e.sequence = f.sequence AND e.at = f.at)
    SELECT coalesce((SELECT position FROM moved), (SELECT position FROM relay)) AS position,
           (SELECT count(*) FROM fresh) AS given";
