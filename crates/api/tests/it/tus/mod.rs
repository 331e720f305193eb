//! `/v1/tus`: uploads over several requests.

mod extensions;
mod protocol;

use crate::given::{Answer, Server};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::{Notify, oneshot};

pub(crate) const VERSION: &str = "tus-resumable: 1.0.0";
pub(crate) const BYTES: &str = "content-type: application/offset+octet-stream";

pub(super) async fn send(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[&str],
    body: impl Into<Body>,
) -> Answer {
    let all: Vec<&str> = [VERSION].iter().chain(headers).copied().collect();
    let answer = server.send(method, path, &all, body).await;
    assert_eq!(answer.header("tus-resumable"), "1.0.0", "{answer:?}");
    answer
}

/// Opens an upload and answers its address.
pub(super) async fn open(server: &Server, headers: &[&str]) -> String {
    let answer = send(server, "POST", "/v1/tus", headers, "").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with("/v1/tus/"), "{location}");
    location
}

pub(super) async fn add(
    server: &Server,
    path: &str,
    start: usize,
    body: impl Into<Body>,
) -> Answer {
    let offset = format!("upload-offset: {start}");
    send(server, "PATCH", path, &[BYTES, &offset], body).await
}

pub(super) async fn head(server: &Server, path: &str) -> Answer {
    send(server, "HEAD", path, &[], "").await
}

/// How much the server says that it has.
pub(super) async fn offset(server: &Server, path: &str) -> usize {
    let answer = head(server, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("upload-offset").parse().unwrap()
}

pub(super) fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name} {}", BASE64_STANDARD.encode(value)));
    format!("upload-metadata: {}", pairs.collect::<Vec<_>>().join(","))
}

/// The asset that an answer names.
pub(super) async fn became(server: &Server, answer: &Answer) -> serde_json::Value {
    let path = answer.header("mediaflow-asset");
    assert!(path.starts_with("/v1/assets/"), "{answer:?}");
    server.get(path).await.json()
}

/// Files of originals, whole or not.
pub(super) fn files(server: &Server) -> BTreeSet<String> {
    let shards = std::fs::read_dir(server.folder.path().join("blobs/originals")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.collect()
}

/// A body that ends with an error.
pub(super) fn broken(bytes: &'static str) -> Body {
    let cut = Err(std::io::Error::other("cut"));
    Body::from_stream(stream::iter([Ok(Bytes::from(bytes)), cut]))
}

/// A body that never ends, and tells when its bytes were read.
pub(super) fn endless(bytes: &'static str) -> (Body, Arc<Notify>) {
    let read = Arc::<Notify>::default();
    let tell = Arc::clone(&read);
    let silence = stream::poll_fn(move |_| {
        tell.notify_one();
        Poll::<Option<Result<Bytes, Infallible>>>::Pending
    });
    let first = stream::iter([Ok(Bytes::from(bytes))]);
    (Body::from_stream(first.chain(silence)), read)
}

/// A body of which the end is told later; it tells when its bytes were read.
pub(crate) fn held(
    bytes: &'static str,
) -> (Body, Arc<Notify>, oneshot::Sender<std::io::Result<Bytes>>) {
    let read = Arc::<Notify>::default();
    let (end, told) = oneshot::channel();
    let tell = Arc::clone(&read);
    let rest = async move {
        tell.notify_one();
        told.await.unwrap()
    };
    let first = stream::iter([Ok(Bytes::from(bytes))]);
    let body = Body::from_stream(first.chain(stream::once(rest)));
    (body, read, end)
}
