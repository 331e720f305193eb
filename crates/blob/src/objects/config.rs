//! `[object_store]`, and the address of a bucket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[object_store]`: how the object store that `blobs` names is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectStoreConfig {
    /// Address of an S3 server that is not Amazon's, for example `http://127.0.0.1:9000`; without it
    /// `AWS_ENDPOINT_URL` counts. Buckets are part of the path.
    pub endpoint: Option<String>,
    /// The region; without it `AWS_REGION` counts, and without that it is `us-east-1`.
    pub region: Option<String>,
    /// The name of the key to sign with. Without it the environment counts: `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY`, a web identity, the container's or the machine's role; for `gs://` and `az://` the
    /// variables that begin with `GOOGLE_` and `AZURE_`.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
    /// Large files are sent in parts of so many bytes. Each that is being sent holds one part in memory. There are at most
    /// 10,000 parts, so this also limits how large a file can be.
    pub part_bytes: u64,
    /// Requests of the collector, which deletes what nothing refers to, in a second; those of uploads, work and delivery
    /// have no such limit.
    pub collected_per_second: u32,
}

impl Default for ObjectStoreConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            part_bytes: 8 << 20,
            collected_per_second: 50,
        }
    }
}

impl ObjectStoreConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub fn check(&self) -> Result<(), String> {
        if !(5 << 20..=1 << 30).contains(&self.part_bytes) {
            return Err(
                "object_store.part_bytes must be 5242880 to 1073741824 (5 MiB to 1 GiB)".into(),
            );
        }
        if self.collected_per_second == 0 {
            return Err("object_store.collected_per_second must be at least 1".into());
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err(
                "object_store.access_key_id and object_store.secret_access_key belong together"
                    .into(),
            );
        }
        let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if self.endpoint.as_ref().is_some_and(|url| !is_web(url)) {
            return Err("object_store.endpoint must begin with http:// or https://".into());
        }
        Ok(())
    }
}

/// Whose protocol a bucket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    S3,
    Google,
    Azure,
}

/// A bucket and the beginning of all keys in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) protocol: Protocol,
    pub(super) bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub(super) prefix: String,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` must be an address such as s3://bucket/prefix, gs://... or az://...")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let protocol = match scheme {
            "s3" => Protocol::S3,
            "gs" => Protocol::Google,
            "az" => Protocol::Azure,
            _ => return Err(wrong()),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || text.contains(['?', '#', '@']) {
            return Err(wrong());
        }
        Ok(Self {
            protocol,
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}
