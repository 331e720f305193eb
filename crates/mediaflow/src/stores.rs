//! Opens what the configuration names: where the truth is, and where the bytes are.

use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use mediaflow_blob::{BlobError, Blobs, FolderBlobs, ObjectBlobs};
use mediaflow_store::{Environment, PostgresStore, SqliteStore, Store};
use std::sync::Arc;

/// # Errors
/// A sentence for the operator.
pub(crate) async fn open_store(
    config: &Config,
    data: &DataFolder,
    environment: Arc<dyn Environment>,
) -> Result<Arc<dyn Store>, Fault> {
    if let Some(url) = &config.store {
        let options = config.postgres.options(config.store_wakes());
        let opened = PostgresStore::open(url, environment, options).await;
        let store = opened.map_err(|e| Fault::failed(format!("{}: {e}", shown(url))))?;
        return Ok(Arc::new(store));
    }
    let path = data.database();
    let store = tokio::task::spawn_blocking(move || SqliteStore::open(&path, environment))
        .await
        .map_err(Fault::failed)?
        .map_err(|e| Fault::failed(format!("{}: {e}", data.path().display())))?;
    Ok(Arc::new(store))
}

/// # Errors
/// A sentence for the operator.
pub(crate) async fn open_blobs(config: &Config, data: &DataFolder) -> Result<Blobs, Fault> {
    let Some(address) = &config.blobs else {
        let folder = FolderBlobs::open(&data.blobs());
        let folder = folder.map_err(|e| Fault::failed(format!("the data folder: {e}")))?;
        return Ok(folder.into());
    };
    let objects = ObjectBlobs::open(address, &config.object_store)
        .map_err(|e| Fault::unusable(format!("blobs: {e}")))?;
    match objects.check().await {
        Ok(()) => {}
        // It may come back, and until then much works without it.
        Err(error @ BlobError::Unavailable { .. }) => tracing::warn!(%error, address),
        Err(error) => return Err(Fault::failed(format!("{address}: {error}"))),
    }
    Ok(objects.into())
}

/// An address without its password.
pub(crate) fn shown(url: &str) -> String {
    match url
        .split_once("://")
        .map(|(scheme, rest)| (scheme, rest.rsplit_once('@')))
    {
        Some((scheme, Some((user, place)))) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}@{place}")
        }
        _ => url.to_owned(),
    }
}
