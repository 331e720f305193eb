//! Histories as a stream of server-sent events that follows what happens.

use crate::access::Caller;
use crate::problem::Problem;
use crate::{Context, Shared};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use mediaflow_core::{AssetId, ErrorCode};
use mediaflow_engine::CloudEvent;
use mediaflow_engine::store::{EventPage, EventRecord, StoreError};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

const PAGE: u32 = 200;
/// Proxies drop connections that say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How often the caller's key is checked again, and the store asked although it gave no signal.
const CHECK: Duration = Duration::from_secs(1);
/// Under load, events are sent a few at a time.
const GATHER: Duration = Duration::from_millis(20);

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub(crate) enum History {
    /// One asset's, by sequence.
    Of(AssetId),
    /// Everybody's, by position.
    All,
}

impl History {
    pub(crate) async fn page(
        self,
        context: &Context,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let store = context.engine.store();
        match self {
            Self::Of(asset) => store.events(caller.tenant, asset, after, limit).await,
            Self::All => store.feed(caller.tenant, after, limit).await,
        }
    }

    /// What a client gives back to go on after an event.
    pub(crate) fn cursor(self, event: &EventRecord) -> u64 {
        match self {
            Self::Of(_) => event.sequence,
            Self::All => event.position,
        }
    }
}

/// Whether the client wants a stream.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    let mut ranges = accept.unwrap_or_default().split(',');
    ranges.any(|range| {
        let name = range.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("text/event-stream")
    })
}

struct Live {
    context: Shared,
    caller: Caller,
    history: History,
    after: u64,
    signal: watch::Receiver<u64>,
    spoke_at: Instant,
    is_open: bool,
    _place: OwnedSemaphorePermit,
}

/// Streams what follows `after`, of which `first` is the beginning.
pub(crate) fn stream(
    context: &Shared,
    caller: Caller,
    history: History,
    after: u64,
) -> Result<Response, Problem> {
    let place = Arc::clone(&context.streams).try_acquire_owned();
    let place = place.map_err(|_| {
        Problem::new(
            ErrorCode::LimitRate,
            "too many event streams are open (api.event_streams_max)",
        )
    })?;
    context.metrics.streams().inc();
    let live = Live {
        context: Arc::clone(context),
        caller,
        history,
        after,
        signal: context.engine.store().on_event(),
        spoke_at: Instant::now(),
        is_open: false,
        _place: place,
    };
    let stream = unfold(live, |mut live| async move {
        let text = live.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), live))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

impl Live {
    /// The next text to send; `None` ends the stream, and clients come back with `Last-Event-ID`.
    async fn next(&mut self) -> Option<String> {
        if !self.is_open {
            self.is_open = true;
            return Some("retry: 2000\n: open\n\n".into());
        }
        let stopping = self.context.stopping.clone();
        loop {
            if stopping.is_cancelled() || !self.context.access.is_still_allowed(&self.caller).await
            {
                return None;
            }
            self.signal.borrow_and_update();
            let page = self
                .history
                .page(&self.context, &self.caller, self.after, PAGE);
            match page.await {
                Ok(page) if !page.items.is_empty() => {
                    self.after = page.next;
                    return Some(self.speak(&page));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends early");
                    return None;
                }
            }
            let now = Instant::now();
            let silent_at = self.spoke_at + SILENCE_MAX;
            if now >= silent_at {
                self.spoke_at = now;
                return Some(": still here\n\n".into());
            }
            let until = silent_at.min(now + CHECK);
            tokio::select! {
                () = stopping.cancelled() => return None,
                changed = timeout_at(until, self.signal.changed()) => match changed {
                    Ok(Ok(())) => sleep(GATHER).await,
                    Ok(Err(_)) => sleep_until(until).await,
                    Err(_) => {}
                },
            }
        }
    }

    fn speak(&mut self, page: &EventPage) -> String {
        self.spoke_at = Instant::now();
        let mut text = String::new();
        for event in &page.items {
            let json = serde_json::to_string(&CloudEvent::of(event)).expect("an event is JSON");
            let id = self.history.cursor(event);
            // One line: JSON escapes line breaks.
            let _ = write!(text, "id: {id}\ndata: {json}\n\n");
        }
        text
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.context.metrics.streams().dec();
    }
}
