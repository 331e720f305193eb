//! `[[ingest.watch]]`: a folder whose files become assets.

use crate::config::check_name;
use crate::imports::Said;
use mediaflow_core::{Priority, TenantId, Visibility};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What becomes of a file that is an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It stays, and is not taken again.
    #[default]
    Keep,
    /// It goes to `move_to`.
    Move,
    /// It is deleted.
    Delete,
}

/// `[[ingest.watch]]`: a folder whose files become assets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    /// What it is called in lists and logs. What was taken is remembered under it.
    pub name: String,
    /// The folder, with all that is in it. A relative path begins at the configuration file's folder.
    pub path: PathBuf,
    /// Whose assets they become: a tenant's id. Without it the operator's own.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub tenant: Option<TenantId>,
    /// A recipe other than the kind's default.
    #[serde(default)]
    pub recipe: Option<String>,
    /// `public` or `private`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub visibility: Visibility,
    /// Tags of the assets.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `high`, `normal` or `low`: the share of processors beside other uploads of the tenant.
    #[serde(default)]
    #[schemars(with = "String")]
    pub priority: Priority,
    /// Which names are taken, for example `["*.jpg", "*.mov"]`; `*` stands for any letters, `?` for one. All without it.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// What becomes of a file that is an asset.
    #[serde(default)]
    pub after: After,
    /// Where taken files go, with `after = "move"`. A relative path begins at the configuration file's folder.
    #[serde(default)]
    pub move_to: Option<PathBuf>,
    /// How long nothing may have changed a file before it is taken, in seconds, 0 to 86400. Files that are renamed into the folder
    /// are taken at once where the system tells of it.
    #[serde(default = "settle_s")]
    pub settle_s: u64,
    /// With it a file is taken when another one of the same name and this ending is beside it, for example `.done`.
    #[serde(default)]
    pub marker: Option<String>,
    /// Whether to look again and again only, as for NFS and SMB, where nobody tells what others write.
    #[serde(default)]
    pub poll: bool,
    /// How often the whole folder is looked through, in seconds, 1 to 86400; also where changes are told of.
    #[serde(default = "scan_s")]
    pub scan_s: u64,
}

fn settle_s() -> u64 {
    5
}

fn scan_s() -> u64 {
    30
}

impl WatchConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        check_name("ingest.watch.name", &self.name)?;
        let of = |what: &str| format!("ingest.watch.{what} of `{}`", self.name);
        if self.path.as_os_str().is_empty() {
            return Err(format!("{} must be a folder", of("path")));
        }
        if (self.after == After::Move) != self.move_to.is_some() {
            return Err(format!("{} belongs to after = \"move\"", of("move_to")));
        }
        if self.settle_s > 86_400 {
            return Err(format!("{} must be 0 to 86400", of("settle_s")));
        }
        if !(1..=86_400).contains(&self.scan_s) {
            return Err(format!("{} must be 1 to 86400", of("scan_s")));
        }
        if self
            .marker
            .as_ref()
            .is_some_and(|m| m.is_empty() || m.contains('/'))
        {
            return Err(format!("{} must be an ending like \".done\"", of("marker")));
        }
        Ok(())
    }

    /// Under which name the store keeps what was taken.
    pub fn source(&self) -> String {
        format!("watch {}", self.name)
    }

    /// What is said of all of its files.
    pub(super) fn said(&self) -> Said<'_> {
        Said {
            recipe: self.recipe.as_deref(),
            tags: &self.tags,
            visibility: self.visibility,
            priority: self.priority,
        }
    }
}
