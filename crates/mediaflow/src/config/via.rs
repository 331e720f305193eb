//! `[via]`: a worker that reaches neither database nor bucket.

use crate::fault::Fault;
use mediaflow_via::ViaOptions;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the key is looked for before the file.
const KEY: &str = "MEDIAFLOW_API_KEY";

/// `[via]`: for a worker on a network of its own, which asks the API for tasks and bytes. It needs no `store`, no `blobs` and
/// no signing keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ViaConfig {
    /// The API: `https://media.example.com`. `--via` and `MEDIAFLOW_VIA` win over it.
    pub(crate) url: Option<String>,
    /// A file with a key of the scope `worker` (`mediaflow keys create --scopes worker`), unless the environment has it as
    /// `MEDIAFLOW_API_KEY`. A relative path begins at the configuration file's folder. `--key-file` and `MEDIAFLOW_KEY_FILE`
    /// win over it.
    pub(crate) key_file: Option<PathBuf>,
    /// A PEM file with the roots of which one must vouch for the API, where that is not for the roots of this machine to do: a
    /// certificate authority of your own. A relative path begins at the configuration file's folder. `--ca-file` and
    /// `MEDIAFLOW_CA_FILE` win over it.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether bytes come and go through the API too. Otherwise a bucket's own signed addresses are used where the API has
    /// a bucket, and the worker must reach that.
    pub(crate) through_api: bool,
}

impl ViaConfig {
    /// How the API is reached; none where this process asks none.
    ///
    /// # Errors
    /// A sentence for the operator: there is no key, or a file cannot be used.
    pub(crate) fn options(&self) -> Result<Option<ViaOptions>, Fault> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let said = std::env::var(KEY).ok().filter(|key| !key.is_empty());
        let key = match (said, &self.key_file) {
            (Some(key), _) => key,
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|e| Fault::unusable(format!("via.key_file {}: {e}", file.display())))?,
            (None, None) => {
                return Err(Fault::unusable(format!(
                    "via.url needs a key, in {KEY} or in the file of via.key_file; where the API runs, make one with `mediaflow keys create --name this-worker --scopes worker`"
                )));
            }
        };
        Ok(Some(ViaOptions {
            url: url.clone(),
            key: key.trim().to_owned(),
            through_api: self.through_api,
            roots: self.ca_file.as_deref().map_or(Ok(Vec::new()), roots)?,
        }))
    }
}

/// The file as it is, when it has certificates and nothing that looks like one and is none.
fn roots(file: &Path) -> Result<Vec<u8>, Fault> {
    let unusable = |why: String| Fault::unusable(format!("via.ca_file {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Err(error) => Err(unusable(error.to_string())),
        Ok(none) if none.is_empty() => Err(unusable("there is no certificate in it".to_owned())),
        Ok(_) => Ok(pem),
    }
}
