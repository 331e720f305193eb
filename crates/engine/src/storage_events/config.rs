//! `[[ingest.events]]`: a bucket of somebody's whose new objects become assets.

use crate::config::check_name;
use crate::imports::Said;
use mediaflow_blob::ObjectStoreConfig;
use mediaflow_core::{Priority, TenantId, Visibility};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[[ingest.events]]`: a bucket of somebody's whose new objects become assets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageEventsConfig {
    /// What it is called in logs. What was taken is remembered under it.
    pub name: String,
    /// The bucket, and the beginning of the keys that are taken: `s3://incoming/photos`.
    pub bucket: String,
    /// The URL of an SQS queue that gets the bucket's notifications, directly or through SNS.
    #[serde(default)]
    pub queue: Option<String>,
    /// A secret of 16 letters or more for `POST /v1/storage-events`, where MinIO and others post notifications.
    #[serde(default)]
    pub token: Option<String>,
    /// Address of an S3 server that is not Amazon's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region of bucket and queue, where their addresses do not tell.
    #[serde(default)]
    pub region: Option<String>,
    /// The name of the key to read bucket and queue with. Without it the environment counts, as for `[object_store]`.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// Its secret.
    #[serde(default)]
    pub secret_access_key: Option<String>,
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
}

impl StorageEventsConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        check_name("ingest.events.name", &self.name)?;
        let of = |what: &str| format!("ingest.events.{what} of `{}`", self.name);
        if self.queue.is_none() && self.token.is_none() {
            return Err(format!(
                "{} or `token` must say how events come",
                of("queue")
            ));
        }
        if self.token.as_ref().is_some_and(|token| token.len() < 16) {
            return Err(format!("{} must have 16 letters or more", of("token")));
        }
        let store = self.object_store().check();
        store.map_err(|e| e.replace("object_store.", "ingest.events."))
    }

    pub(super) fn object_store(&self) -> ObjectStoreConfig {
        ObjectStoreConfig {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            ..ObjectStoreConfig::default()
        }
    }

    pub(super) fn source(&self) -> String {
        format!("events {}", self.name)
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
