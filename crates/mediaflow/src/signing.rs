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
        if !path.exists() {
            make(&path)?;
        }
        let kept = kept(&path)?.unwrap_or_default();
        kept.signer()
            .map_err(|e| Fault::failed(format!("{}: {e}", path.display())))
    }

    /// The configured keys, or those of the data folder; none where no key was needed yet.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn keys(&self, data: &DataFolder) -> Result<Option<Vec<SigningKey>>, Fault> {
        if !self.signing_keys.is_empty() {
            return Ok(Some(self.signing_keys.clone()));
        }
        Ok(kept(&data.signing_keys())?.map(|kept| kept.signing_keys))
    }

    /// Where the keys are, for people.
    pub(crate) fn place(&self, data: &DataFolder) -> String {
        match self.signing_keys.is_empty() {
            true => data.signing_keys().display().to_string(),
            false => "the old configuration".to_owned(),
        }
    }
}

/// What the data folder keeps.
fn kept(path: &Path) -> Result<Option<DeliveryConfig>, Fault> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Fault::failed(format!("{}: {e}", path.display()))),
    };
    let kept = toml::from_str(&text);
    kept.map(Some)
        .map_err(|e| Fault::failed(format!("{}: {}", path.display(), e.message())))
}

/// Keeps keys that another place has signed with.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn keep(data: &DataFolder, keys: &[SigningKey]) -> Result<(), Fault> {
    write(&data.signing_keys(), keys)
}

/// Makes a fresh key.
fn make(path: &Path) -> Result<(), Fault> {
    let secret: [u8; 32] = rand::random();
    let fresh = SigningKey {
        id: "k1".to_owned(),
        secret: hex::encode(secret),
    };
    write(path, &[fresh])
}

/// Writes keys where only this user can read them. A second process that does the same at this moment loses: the first file
/// stays and is the one that both read.
fn write(path: &Path, keys: &[SigningKey]) -> Result<(), Fault> {
    let fail = |e: std::io::Error| Fault::failed(format!("{}: {e}", path.display()));
    let mut text = "# Signs the URLs of private assets. Whoever has it can read them.\n".to_owned();
    for SigningKey { id, secret } in keys {
        text.push_str(&format!(
            "[[signing_keys]]\nid = \"{id}\"\nsecret = \"{secret}\"\n"
        ));
    }
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
        _ => Ok(()),
    }
}
