//! The administration socket: how `mediaflow keys` reaches the store while a server has it open.
//!
//! A Unix socket in the data folder that only this user may use, one JSON line each way. It speaks of keys
//! and of nothing else.

use crate::data::DataFolder;
use mediaflow_api::minting::mint;
use mediaflow_core::{KeyId, TenantId};
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::{Environment as _, KeyLimits, NewKey, Scope, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

const LINE_BYTES_MAX: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub(crate) enum KeyRequest {
    Create {
        name: String,
        scopes: Vec<Scope>,
        tenant: TenantId,
        limits: KeyLimits,
    },
    List,
    Limit {
        id: KeyId,
        limits: KeyLimits,
    },
    Revoke {
        id: KeyId,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyAnswer {
    Created { id: KeyId, token: String },
    Keys(Vec<KeyLine>),
    Limited(bool),
    Revoked(bool),
    Refused(String),
}

/// A key as it is listed: without its secret.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyLine {
    pub(crate) id: KeyId,
    pub(crate) name: String,
    pub(crate) tenant: TenantId,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) limits: KeyLimits,
    /// What it has sent today, where that is limited.
    pub(crate) today: Option<Today>,
    pub(crate) created_at: String,
    pub(crate) revoked_at: Option<String>,
}

/// Bytes and files since midnight in UTC, open uploads included.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Today {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// Does what is asked, in the process that has the store open.
pub(crate) async fn perform(store: &dyn Store, request: KeyRequest) -> KeyAnswer {
    let answer = match request {
        KeyRequest::Create {
            name,
            scopes,
            tenant,
            limits,
        } => create(store, &name, &scopes, tenant, limits).await,
        KeyRequest::Limit { id, limits } => limit(store, id, limits).await,
        KeyRequest::List => list(store).await,
        KeyRequest::Revoke { id } => revoke(store, id).await,
    };
    answer.unwrap_or_else(|e| KeyAnswer::Refused(e.to_string()))
}

async fn create(
    store: &dyn Store,
    name: &str,
    scopes: &[Scope],
    tenant: TenantId,
    limits: KeyLimits,
) -> Result<KeyAnswer, StoreError> {
    if tenant != TenantId::DEFAULT && !store.tenants().await?.iter().any(|t| t.id == tenant) {
        let text = format!("there is no tenant {tenant}; `mediaflow tenants create` makes one");
        return Ok(KeyAnswer::Refused(text));
    }
    let id = KeyId(SystemEnvironment.id());
    let minted = mint(id, name, scopes, tenant);
    let stored = NewKey {
        limits,
        ..minted.stored
    };
    store.add_key(stored).await?;
    let token = minted.text;
    Ok(KeyAnswer::Created { id, token })
}

/// The operator's own keys, then those of other tenants.
async fn list(store: &dyn Store) -> Result<KeyAnswer, StoreError> {
    let others = store.tenants().await?.into_iter().map(|tenant| tenant.id);
    let others = others.filter(|id| *id != TenantId::DEFAULT);
    let mut lines = Vec::new();
    for tenant in std::iter::once(TenantId::DEFAULT).chain(others) {
        for key in store.keys(tenant).await? {
            let today = match key.limits.counts() {
                true => {
                    let used = store.usage(tenant, key.id).await?;
                    let (bytes, files) = (used.bytes, used.files);
                    Some(Today { bytes, files })
                }
                false => None,
            };
            lines.push(KeyLine {
                id: key.id,
                name: key.name,
                tenant,
                scopes: key.scopes,
                limits: key.limits,
                today,
                created_at: key.created_at.to_string(),
                revoked_at: key.revoked_at.map(|t| t.to_string()),
            });
        }
    }
    Ok(KeyAnswer::Keys(lines))
}

async fn limit(store: &dyn Store, id: KeyId, limits: KeyLimits) -> Result<KeyAnswer, StoreError> {
    let Some(key) = store.key(id).await? else {
        return Ok(KeyAnswer::Limited(false));
    };
    let limited = store.limit_key(key.tenant, id, limits).await?;
    Ok(KeyAnswer::Limited(limited))
}

async fn revoke(store: &dyn Store, id: KeyId) -> Result<KeyAnswer, StoreError> {
    let Some(key) = store.key(id).await? else {
        return Ok(KeyAnswer::Revoked(false));
    };
    let revoked = store.revoke_key(key.tenant, id).await?;
    Ok(KeyAnswer::Revoked(revoked))
}

/// A socket's path has at most 107 bytes, and a data folder may lie deeper. The kernel's own
/// name for the opened folder is always short.
fn short_path(data: &DataFolder) -> io::Result<(File, PathBuf)> {
    let folder = File::open(data.path())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/admin.sock", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Makes the socket. Only the server that holds the store's lock may do this: it replaces what an
/// interrupted one left.
///
/// # Errors
/// When the folder does not take a socket.
pub(crate) fn bind(data: &DataFolder) -> io::Result<UnixListener> {
    let (_folder, path) = short_path(data)?;
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: UnixListener, store: Arc<dyn Store>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let talk = tokio::time::timeout(PATIENCE, answer(stream, &*store));
                    if let Ok(Err(e)) = talk.await {
                        tracing::debug!(error = %e, "an administration request broke off");
                    }
                });
            }
            Err(e) => {
                tracing::warn!(error = %e, "the administration socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, store: &dyn Store) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(LINE_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => perform(store, request).await,
        Err(e) => KeyAnswer::Refused(format!("the request cannot be understood: {e}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Asks the server that has the folder open.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn ask(data: &DataFolder, request: &KeyRequest) -> io::Result<KeyAnswer> {
    let talk = async {
        let (_folder, path) = short_path(data)?;
        let (read, mut write) = UnixStream::connect(&path).await?.into_split();
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(read).read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    };
    tokio::time::timeout(PATIENCE, talk).await?
}
