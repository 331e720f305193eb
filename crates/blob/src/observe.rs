//! What a process may see of its requests for bytes: how long each took and how it failed. It knows no metric.

use crate::BlobError;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Who is told of requests.
pub trait Observe: Send + Sync {
    /// A request ended; `failed` is [`BlobError::name`].
    fn request(&self, action: &'static str, took: Duration, failed: Option<&'static str>);
    /// A request to an object store is tried again.
    fn retry(&self);
}

static OBSERVER: OnceLock<Box<dyn Observe>> = OnceLock::new();

/// From now on this process's requests are told to `observer`. The first one stays.
pub fn observe(observer: impl Observe + 'static) {
    let _ = OBSERVER.set(Box::new(observer));
}

pub(crate) async fn timed<T>(
    action: &'static str,
    request: impl Future<Output = Result<T, BlobError>>,
) -> Result<T, BlobError> {
    let began = Instant::now();
    let answer = request.await;
    ended(action, began, &answer);
    answer
}

/// The same for what blocks.
pub(crate) fn timed_here<T>(
    action: &'static str,
    request: impl FnOnce() -> Result<T, BlobError>,
) -> Result<T, BlobError> {
    let began = Instant::now();
    let answer = request();
    ended(action, began, &answer);
    answer
}

pub(crate) fn retried() {
    if let Some(observer) = OBSERVER.get() {
        observer.retry();
    }
}

fn ended<T>(action: &'static str, began: Instant, answer: &Result<T, BlobError>) {
    if let Some(observer) = OBSERVER.get() {
        let failed = answer.as_ref().err().map(BlobError::name);
        observer.request(action, began.elapsed(), failed);
    }
}
