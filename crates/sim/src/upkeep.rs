//! The background services: the engine's own steps, at moments of virtual time.

use crate::database::{Broken, now};
use crate::plan::Fault;
use crate::seen::Change;
use crate::world::{Event, SECOND, World};
use mediaflow_engine::services::{delete_condemned, delete_strays, purge_due};
use mediaflow_store::{Environment, Upkeep as _};
use std::time::Duration;

/// Longer than any upload takes to be recorded.
const STRAY_AGE: Duration = Duration::from_secs(60);
pub(crate) const GRACE: Duration = Duration::from_secs(40);
/// How long originals of rejected assets are kept.
const REJECTED: Duration = Duration::from_secs(300);
/// How long answers to keys are kept.
const IDEMPOTENCY: Duration = Duration::from_secs(48 * 3600);
/// How long events and tasks that ended are kept at least, where they are not kept for ever.
const HISTORY: Duration = Duration::from_secs(90);
/// Assets that one round looks at for tasks that can go.
const WALK: u32 = 2;
/// As whom the receiver of events is known to the store.
const OUTLET: &str = "sink";

impl World {
    /// A service's next round: less often once nothing goes wrong, and never when all is done.
    fn again(&mut self, seconds: u64, event: Event) {
        let calm = self.now - self.plan.trouble_s as i64 * SECOND;
        let seconds = match calm {
            _ if self.settling => return,
            ..=0 => seconds,
            1..=600_000 => seconds * 2,
            _ => seconds.max(60) * 2,
        };
        let pause = self.about(seconds);
        self.after(pause, event);
    }

    pub(crate) fn sweep(&mut self) {
        self.again(5, Event::Sweep);
        // Next time is as good, for all of these: what failed is told by the trace.
        let _ = now(self.db.sweep(500));
    }

    pub(crate) fn collect(&mut self) {
        self.again(40, Event::Collect);
        let _ = now(delete_condemned(&self.db, &self.bytes, GRACE));
        let _ = now(delete_strays(&self.db, &self.bytes, 0, STRAY_AGE));
    }

    pub(crate) fn purge(&mut self) {
        self.again(16, Event::Purge);
        if self.db.broken() != Broken::Outbox {
            let environment: &dyn Environment = &*self.clock;
            let _ = now(purge_due(&self.db, &self.cdn, environment));
        }
    }

    pub(crate) fn expire(&mut self) {
        self.again(120, Event::Expire);
        let _ = now(self.db.expire(REJECTED, IDEMPOTENCY));
    }

    pub(crate) fn prune(&mut self) {
        if !self.plan.prunes {
            return;
        }
        self.again(60, Event::Prune);
        let _ = self.db.prune_events(HISTORY, OUTLET);
        if let Ok(walked) = self.db.prune_tasks(HISTORY, self.pruned, WALK) {
            self.pruned = walked.next;
        }
    }

    /// Passes events on, in order and at least once: how far it came is recorded after somebody took them.
    pub(crate) fn relay_events(&mut self) {
        self.again(16, Event::Relay);
        if self.db.broken() == Broken::Outbox {
            return;
        }
        let mut told = None;
        for event in self.db.untold(OUTLET, 500).unwrap_or_default() {
            if self.trouble.happens(Fault::SinkFails) {
                break;
            }
            if let Err(wrong) = self.sink.tell(&event) {
                self.db.wrong(wrong);
            }
            told = Some(event.position);
        }
        // Whoever passed them on may die before it says that it did.
        if let Some(position) = told
            && !self.trouble.happens(Fault::Crash)
        {
            let _ = self.db.told(OUTLET, position);
        }
    }

    /// Without an outbox: what follows from a commit is tried once, by who made it.
    pub(crate) fn send_at_once(&mut self) {
        if self.db.broken() != Broken::Outbox {
            return;
        }
        let unsent = std::mem::take(&mut self.db.inner().unsent);
        for change in unsent {
            match change {
                Change::Event { asset, .. } if !self.trouble.happens(Fault::SinkFails) => {
                    self.sink.hear(asset)
                }
                Change::Purge { row, paths, .. } => {
                    let paths: Vec<String> = serde_json::from_str(&paths).unwrap_or_default();
                    self.cdn.purge(&paths);
                    let forget = move |conn: &rusqlite::Connection| {
                        conn.execute("DELETE FROM purges WHERE id = ?1", [row])
                    };
                    self.db.rows(forget);
                }
                _ => {}
            }
        }
    }

    /// How long everything may take to come to rest once nothing goes wrong.
    pub(crate) fn patience(&self) -> i64 {
        4 * 3600 * SECOND
    }
}
