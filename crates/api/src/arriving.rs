//! A body on its way in, counted, and not dropped in its client's face.

use crate::tus::checksum::Trailers;
use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// Forms are read ahead for as long as bytes come at once; this makes an end of that.
const GIVEN_BYTES_MAX: usize = 512 << 10;
/// What is still read of a body that was refused, so that its client gets to read why.
const REFUSED_BYTES_MAX: usize = 64 << 20;
const REFUSED_TIME_MAX: Duration = Duration::from_secs(10);

/// What a body may still give; shared with its reader, who knows what for.
#[derive(Clone)]
pub(crate) struct Budget(Arc<AtomicU64>);

impl Budget {
    const UNLIMITED: u64 = u64::MAX;

    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn lift(&self) {
        self.set(Self::UNLIMITED);
    }

    /// Whether there was enough for that.
    fn spend(&self, bytes: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left == Self::UNLIMITED {
            return true;
        }
        let rest = left.checked_sub(bytes as u64);
        self.set(rest.unwrap_or_default());
        rest.is_some()
    }
}

/// A body on its way in. When it is refused, a client that is still sending would get its connection reset before it
/// has read the reason: so a part of what it sends is read and thrown away behind the answer.
pub(crate) struct Arriving {
    body: Option<Body>,
    budget: Budget,
    is_worth_reading: bool,
    /// Given since the reader last had to wait.
    given: usize,
    trailers: Option<Trailers>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error("the body ended early: {0}")]
    Body(axum::Error),
    #[error("the form has too much beside its file")]
    Chatter,
}

impl Arriving {
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        Self {
            body: Some(body),
            budget: Budget(Arc::new(AtomicU64::new(Budget::UNLIMITED))),
            // Somebody who waits for a `100 Continue` sends nothing, and is not made to.
            is_worth_reading: !headers.contains_key(header::EXPECT),
            given: 0,
            trailers: None,
        }
    }

    /// What comes behind the body is told there.
    pub(crate) fn telling(mut self, trailers: &Trailers) -> Self {
        self.trailers = Some(Trailers::clone(trailers));
        self
    }

    pub(crate) fn budget(&self) -> Budget {
        self.budget.clone()
    }
}

impl Stream for Arriving {
    type Item = Result<Bytes, Interrupted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.given > GIVEN_BYTES_MAX {
            self.given = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let Poll::Ready(next) = Pin::new(body).poll_frame(cx) else {
            self.given = 0;
            return Poll::Pending;
        };
        // Whoever waited for a `100 Continue` has got it and sends.
        self.is_worth_reading = true;
        match next {
            Some(Ok(frame)) => {
                let piece = match frame.into_data() {
                    Ok(piece) => piece,
                    Err(frame) => {
                        let trailers = frame.into_trailers().ok();
                        if let (Some(place), Some(trailers)) = (&self.trailers, trailers) {
                            // There is one block of them; a second one would be ignored.
                            let _ = place.set(trailers);
                        }
                        Bytes::new()
                    }
                };
                self.given += piece.len();
                let fits = self.budget.spend(piece.len());
                Poll::Ready(Some(fits.then_some(piece).ok_or(Interrupted::Chatter)))
            }
            Some(Err(error)) => {
                self.body = None;
                Poll::Ready(Some(Err(Interrupted::Body(error))))
            }
            None => {
                self.body = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let body = self.body.take().filter(|_| self.is_worth_reading);
        if let Some(body) = body {
            let mut body = body.into_data_stream();
            tokio::spawn(timeout(REFUSED_TIME_MAX, async move {
                let mut read = 0;
                while let Some(Ok(piece)) = body.next().await {
                    read += piece.len();
                    if read > REFUSED_BYTES_MAX {
                        break;
                    }
                }
            }));
        }
    }
}
