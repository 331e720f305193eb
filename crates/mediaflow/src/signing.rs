//! `[delivery]`: the keys that sign URLs of private assets, from the configuration or made once.

use crate::data::DataFolder;
use crate::fault::Fault;
use mediaflow_api::CorsOrigins;
use mediaflow_api::signing::Signer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A key that signs URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SigningKey {
    /// Part of every URL that it signs: 1 to 32 letters, digits, `-` or `_`.
    pub(crate) id: String,
    /// 64 hexadecimal digits (256 bits), for example from `openssl rand -hex 32`.
    pub(crate) secret: String,
}

/// `[delivery]`: how renditions leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeliveryConfig {
    /// `[[delivery.signing_keys]]` with `id` (1 to 32 letters, digits, `-` or `_`) and `secret` (64
    /// hexadecimal digits). The first one signs, all of them are accepted: put a new one in front, and
    /// remove the old one when its URLs have expired. Without any, one is made in the data folder.
    pub(crate) signing_keys: Vec<SigningKey>,
    /// The sites whose pages may read `/media/...` from scripts, as players do: origins like `https://example.com`,
    /// or `*` for all. None of them may send credentials; private assets need a signed address all the same.
    pub(crate) cors_origins: Vec<String>,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            signing_keys: Vec::new(),
            cors_origins: vec!["*".into()],
        }
    }
}

impl DeliveryConfig {
    /// # Errors
    /// Names the setting and what it should be.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.cors()?;
        match self.signing_keys.is_empty() {
            true => Ok(()),
            false => self.signer().map(drop),
        }
    }

    /// # Errors
    /// Names the setting and what it should be.
    pub(crate) fn cors(&self) -> Result<CorsOrigins, String> {
        CorsOrigins::new(&self.cors_origins).map_err(|e| format!("delivery.cors_origins: {e}"))
    }

    fn signer(&self) -> Result<Signer, String> {
        let secret = |key: &SigningKey| match hex::decode(&key.secret) {
            Ok(secret) => Ok((key.id.clone(), secret)),
            Err(_) => Err(format!(
                "delivery.signing_keys: the secret of `{}` must be 64 hexadecimal digits",
                key.id
            )),
        };
        let secrets = self
            .signing_keys
            .iter()
            .map(secret)
            .collect::<Result<_, _>>()?;
        Signer::new(secrets).map_err(|e| format!("delivery.signing_keys: {e}"))
    }

    /// Signs with the configured keys, or those of the data folder, which are made now where there are none.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn open(&self, data: &DataFolder) -> Result<Signer, Fault> {
        if !self.signing_keys.is_empty() {
            return self.signer().map_err(Fault::unusable);
        }
        let path = data.signing_keys();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => make(&path)?,
            Err(e) => return Err(Fault::failed(format!("{}: {e}", path.display()))),
        };
        toml::from_str(&text)
            .map_err(|e| e.message().to_owned())
            .and_then(|file: Self| file.signer())
            .map_err(|e| Fault::failed(format!("{}: {e}", path.display())))
    }
}

/// Writes a fresh key where only this user can read it. A second process that does the same at
/// this moment loses: the first file stays and is the one that both read.
fn make(path: &Path) -> Result<String, Fault> {
    let fail = |e: std::io::Error| Fault::failed(format!("{}: {e}", path.display()));
    let secret: [u8; 32] = rand::random();
    let text = format!(
        "# Signs the URLs of private assets. Whoever has it can read them.\n[[signing_keys]]\nid = \"k1\"\nsecret = \"{}\"\n",
        hex::encode(secret)
    );
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh).map_err(fail)?;
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(fail(e)),
        _ => fs::read_to_string(path).map_err(fail),
    }
}
