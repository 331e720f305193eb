//! Moving an installation from one database to another: whether it takes changes meanwhile, and all of its rows.
//!
//! It knows no bytes: who moves them tells which have arrived.

mod copy;
pub(crate) mod table;
mod tables;

pub use crate::postgres::PostgresPremises;
pub use crate::sqlite::SqlitePremises;
pub use copy::{TableReport, copy};
#[doc(hidden)]
pub use table::{Kind, Table};
#[doc(hidden)]
pub use tables::{LEFT_BEHIND, TABLES};

use crate::{BlobRow, PostgresOptions, StoreError};
use mediaflow_core::Timestamp;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// Whether an installation takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It does.
    Open,
    /// It begins nothing new, so that what runs can end.
    Draining,
    /// It takes none while its rows are copied. Reading goes on.
    Closed,
    /// It lives elsewhere now, and takes none.
    Moved,
    /// Another one is moving in.
    Arriving,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Draining,
        Self::Closed,
        Self::Moved,
        Self::Arriving,
    ];

    /// The name in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Moved => "moved",
            Self::Arriving => "arriving",
        }
    }

    /// The phase of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    /// Whether anything may change.
    pub(crate) fn may_change(self) -> Result<(), StoreError> {
        match self {
            Self::Open | Self::Draining => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// Whether uploads may come in.
    pub(crate) fn may_take_in(self) -> Result<(), StoreError> {
        match self {
            Self::Open => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// Whether tasks may be given out.
    pub(crate) fn may_begin(self) -> bool {
        self == Self::Open
    }

    fn refusal(self) -> StoreError {
        let text = match self {
            Self::Moved => "this installation has moved; it takes no changes here any more",
            Self::Arriving => {
                "another installation is moving in here; changes are taken when it has arrived"
            }
            _ => "this installation is moving; changes are taken again in a moment",
        };
        StoreError::Closed(text.to_owned())
    }
}

/// What a database says of the installation that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Made with the database, and never the same as another's.
    pub id: Uuid,
    /// Whether it takes changes.
    pub phase: Phase,
    /// The other one of a move: where it goes, went, or came from.
    pub peer: Option<Uuid>,
    /// Where that is, for people.
    pub place: Option<String>,
    /// When the phase began.
    pub since: Option<Timestamp>,
}

impl Installation {
    /// Whether a process may start to work on it.
    ///
    /// # Errors
    /// [`StoreError::Closed`] with what to do instead.
    pub(crate) fn may_start(&self) -> Result<(), StoreError> {
        let place = self.place.as_deref().unwrap_or("another place");
        let text = match self.phase {
            Phase::Open => return Ok(()),
            Phase::Draining | Phase::Closed => format!(
                "this installation is being moved to {place}; let `mediaflow migrate` end, or take the installation \
                 back with `mediaflow migrate --take-back`"
            ),
            Phase::Moved => format!(
                "this installation was moved to {place}; start that one, or take this one back as it was then with \
                 `mediaflow migrate --take-back`"
            ),
            Phase::Arriving => {
                format!(
                    "an installation is moving in from {place}; let `mediaflow migrate` end first"
                )
            }
        };
        Err(StoreError::Closed(text))
    }
}

/// A database as one that moves sees it, beside the processes that may work with it.
#[derive(Debug)]
pub enum Premises {
    /// In SQLite.
    Sqlite(SqlitePremises),
    /// In PostgreSQL.
    Postgres(Box<PostgresPremises>),
}

macro_rules! either {
    ($self:expr, $premises:ident => $call:expr) => {
        match $self {
            Premises::Sqlite($premises) => $call,
            Premises::Postgres($premises) => $call,
        }
    };
}
pub(crate) use either;

impl Premises {
    /// The SQLite database at `path`, which is made for one that `arrives`; then no other process may have it open.
    /// Blocks for a moment.
    ///
    /// # Errors
    /// When it is in use, missing or cannot be read.
    pub fn sqlite(path: &Path, arrives: bool, now: Timestamp) -> Result<Self, StoreError> {
        SqlitePremises::open(path, arrives, now).map(Self::Sqlite)
    }

    /// The PostgreSQL database at `url`.
    ///
    /// # Errors
    /// When it cannot be reached or read.
    pub async fn postgres(url: &str, options: &PostgresOptions) -> Result<Self, StoreError> {
        let premises = PostgresPremises::open(url, options).await?;
        Ok(Self::Postgres(Box::new(premises)))
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn installation(&self) -> Result<Installation, StoreError> {
        either!(self, premises => premises.installation().await)
    }

    /// Writes what it says of itself. Processes that work with it see it in their next transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(&self, installation: &Installation) -> Result<(), StoreError> {
        either!(self, premises => premises.enter(installation).await)
    }

    /// Waits until every transaction that began before has ended, and finishes what processes leave to their background.
    ///
    /// # Errors
    /// When one does not end for `patience`.
    pub async fn settle(&self, patience: Duration) -> Result<(), StoreError> {
        match self {
            // There is one writer at a time, and `enter` was it.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(premises) => premises.settle(patience).await,
        }
    }

    /// Whether nothing is in it that somebody could miss.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.count(EMPTY).await? == 0)
    }

    /// How many tasks are at work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM tasks WHERE state = 'running'")
            .await
    }

    /// How many uploads by clients and how many imports have begun and not ended. They do not move; what lies in watched folders is found
    /// again at the new place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn under_way(&self) -> Result<(u64, u64), StoreError> {
        let uploads = self.count(
            "SELECT count(*) FROM uploads WHERE asset IS NULL AND state <> 'refused' AND id NOT IN (SELECT id FROM imports)",
        );
        let imports = self.count(
            "SELECT count(*) FROM imports WHERE due_at IS NOT NULL AND source NOT LIKE 'watch %'",
        );
        Ok((uploads.await?, imports.await?))
    }

    /// How many blobs there are, and their bytes together.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blob_totals(&self) -> Result<(u64, u64), StoreError> {
        let blobs = self.count("SELECT count(*) FROM blobs WHERE condemned_at IS NULL");
        let bytes =
            "SELECT CAST(coalesce(sum(bytes), 0) AS bigint) FROM blobs WHERE condemned_at IS NULL";
        Ok((blobs.await?, self.count(bytes).await?))
    }

    /// Up to `limit` blobs behind one, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blobs_after(&self, after: Uuid, limit: u32) -> Result<Vec<BlobRow>, StoreError> {
        either!(self, premises => premises.blobs_after(after, limit).await)
    }

    /// The assets that show or keep a blob, a few at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assets_with(&self, blob: Uuid) -> Result<Vec<Uuid>, StoreError> {
        either!(self, premises => premises.assets_with(blob).await)
    }

    /// Which of these blobs have arrived here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn arrived(&self, blobs: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        either!(self, premises => premises.arrived(blobs).await)
    }

    /// Blobs have arrived here and are what they should be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_arrived(&self, blobs: &[Uuid]) -> Result<(), StoreError> {
        either!(self, premises => premises.note_arrived(blobs).await)
    }

    /// Nothing arrives any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_arrivals(&self) -> Result<(), StoreError> {
        either!(self, premises => premises.execute("DELETE FROM arrivals").await)
    }

    /// Undoes what was not committed.
    async fn abandon(&self) {
        // It fails where there is nothing to undo, or nobody to undo it: then it is undone.
        let _ = either!(self, premises => premises.execute("ROLLBACK").await);
    }

    async fn count(&self, sql: &'static str) -> Result<u64, StoreError> {
        either!(self, premises => premises.count(sql).await)
    }
}

/// What is there of things that somebody could miss.
const EMPTY: &str = "SELECT (SELECT count(*) FROM assets) + (SELECT count(*) FROM blobs) + (SELECT count(*) FROM api_keys)
        + (SELECT count(*) FROM events)";

/// Who refers to a blob; `$1` in PostgreSQL is `?1` in SQLite.
pub(crate) const ASSETS_WITH: &str = "SELECT id AS asset FROM assets WHERE original = $1
    UNION SELECT asset FROM renditions WHERE blob = $1 UNION SELECT asset FROM tracks WHERE blob = $1
    UNION SELECT asset FROM segments WHERE blob = $1 UNION SELECT asset FROM captions WHERE blob = $1 LIMIT 5";
