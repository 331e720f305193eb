//! Verbs of operators: what they change while everything runs, with its history.

use crate::StoreError;
use async_trait::async_trait;
use mediaflow_core::{Queue, TenantId, Timestamp};

/// Something that can be on or off for the whole cluster. All are on until somebody switches them off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// Whether uploads are accepted.
    Uploads,
    /// Whether tasks of a queue are given to workers. What runs goes on.
    Claims(Queue),
}

impl Switch {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Uploads,
        Self::Claims(Queue::Image),
        Self::Claims(Queue::Video),
        Self::Claims(Queue::Network),
    ];

    /// The name in database, API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Claims(Queue::Image) => "claims.image",
            Self::Claims(Queue::Video) => "claims.video",
            Self::Claims(Queue::Network) => "claims.network",
        }
    }

    /// What it does, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Uploads => "Uploads are accepted; off, they are refused with `switch.off`",
            Self::Claims(_) => "Workers are given tasks of this queue; what runs goes on",
        }
    }

    /// The switch of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str() == name)
    }
}

/// `on` or `off`.
pub(crate) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// How a switch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchRecord {
    /// Which.
    pub switch: Switch,
    /// How.
    pub is_on: bool,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// A switch's name, or `tenant.<id>.<setting>`.
    pub switch: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
    /// Who changed it.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// A limit that may be none.
pub type Limit = Option<u32>;

/// A tenant, with what it has at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// Which.
    pub id: TenantId,
    /// For people; may be empty.
    pub name: String,
    /// Its share beside others.
    pub weight: u32,
    /// Most tasks of it that run at once.
    pub running_max: Limit,
    /// Most assets of it that are uploaded or processing; more uploads are refused.
    pub waiting_max: Limit,
    /// Tasks that run.
    pub running: u64,
    /// Assets that are uploaded or processing.
    pub waiting: u64,
}

/// What to change of a tenant; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// For people.
    pub name: Option<String>,
    /// At least 1.
    pub weight: Option<u32>,
    /// See [`TenantRecord::running_max`].
    pub running_max: Option<Limit>,
    /// See [`TenantRecord::waiting_max`].
    pub waiting_max: Option<Limit>,
}

impl TenantChange {
    /// Changes the record; answers the settings that are other now: name, before, after.
    pub(crate) fn apply(&self, tenant: &mut TenantRecord) -> Vec<(&'static str, String, String)> {
        let mut changed = Vec::new();
        let mut note = |name, before: String, after: String| {
            if before != after {
                changed.push((name, before, after));
            }
        };
        if let Some(name) = &self.name {
            note("name", tenant.name.clone(), name.clone());
            tenant.name.clone_from(name);
        }
        if let Some(weight) = self.weight {
            note("weight", tenant.weight.to_string(), weight.to_string());
            tenant.weight = weight.max(1);
        }
        if let Some(most) = self.running_max {
            note("running_max", limit(tenant.running_max), limit(most));
            tenant.running_max = most;
        }
        if let Some(most) = self.waiting_max {
            note("waiting_max", limit(tenant.waiting_max), limit(most));
            tenant.waiting_max = most;
        }
        changed
    }
}

fn limit(most: Limit) -> String {
    most.map_or_else(|| "none".to_owned(), |most| most.to_string())
}

/// Whether an upload may be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Open,
    /// Uploads are switched off.
    Off,
    /// The tenant has this many assets waiting, and no more are allowed.
    Full(u32),
}

/// Verbs of operators. Whatever changes is noted with who did it, in the same transaction.
#[async_trait]
pub trait Control: Send + Sync {
    /// How all switches stand.
    async fn switches(&self) -> Result<Vec<SwitchRecord>, StoreError>;

    /// Sets a switch; answers whether it stood otherwise before.
    async fn set_switch(&self, switch: Switch, on: bool, who: &str) -> Result<bool, StoreError>;

    /// What was changed, the newest first: of one name, or of all.
    async fn changes(&self, name: Option<&str>, limit: u32) -> Result<Vec<Change>, StoreError>;

    /// All tenants that exist, by id.
    async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError>;

    /// Changes a tenant, which is made if there is none.
    async fn set_tenant(
        &self,
        id: TenantId,
        change: TenantChange,
        who: &str,
    ) -> Result<TenantRecord, StoreError>;

    /// Whether this tenant may upload at this moment.
    async fn admission(&self, tenant: TenantId) -> Result<Admission, StoreError>;
}
