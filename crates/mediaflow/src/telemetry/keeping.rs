//! Which spans are sent: all of the traces that are among the share to keep, and of every other trace what failed, with what this
//! process still has of it and with all that follows.

use mediaflow_core::trace::TraceId;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor as _};
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Spans of traces that are not kept wait here for a failure; beyond it the oldest go.
const WAITING_MAX: usize = 4096;
/// Traces that failed and are not among the share; beyond it the oldest are forgotten, and lose what follows.
const FAILED_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Keeper {
    processor: BatchSpanProcessor,
    ratio: f64,
    others: Mutex<Others>,
}

#[derive(Debug, Default)]
struct Others {
    waiting: VecDeque<(TraceId, SpanData)>,
    failed: HashSet<TraceId>,
    order: VecDeque<TraceId>,
}

impl Keeper {
    pub(super) fn new(processor: BatchSpanProcessor, ratio: f64) -> Self {
        Self {
            processor,
            ratio,
            others: Mutex::default(),
        }
    }

    pub(super) fn processor(&self) -> &BatchSpanProcessor {
        &self.processor
    }

    /// A span ended, perhaps in failure.
    pub(super) fn ended(&self, trace: TraceId, span: SpanData, has_failed: bool) {
        if trace.is_among(self.ratio) {
            return self.processor.on_end(span);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        for span in others.ended(trace, span, has_failed) {
            self.processor.on_end(span);
        }
    }
}

impl Others {
    /// Answers what is to be sent.
    fn ended(&mut self, trace: TraceId, span: SpanData, has_failed: bool) -> Vec<SpanData> {
        if self.failed.contains(&trace) {
            return vec![span];
        }
        self.waiting.push_back((trace, span));
        if !has_failed {
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_front();
            }
            return Vec::new();
        }
        self.failed.insert(trace);
        self.order.push_back(trace);
        if self.order.len() > FAILED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.failed.remove(&oldest);
        }
        let (found, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(of, _)| *of == trace);
        self.waiting = rest;
        let found: VecDeque<(TraceId, SpanData)> = found;
        found.into_iter().map(|(_, span)| span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use std::time::SystemTime;

    fn span(name: &'static str) -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: Default::default(),
        }
    }

    fn names(sent: Vec<SpanData>) -> Vec<String> {
        sent.into_iter().map(|s| s.name.into_owned()).collect()
    }

    #[test]
    fn a_failure_brings_its_trace_along_before_and_after() {
        let (bad, good) = (TraceId([1; 16]), TraceId([2; 16]));
        let mut others = Others::default();
        assert!(others.ended(bad, span("upload"), false).is_empty());
        assert!(others.ended(good, span("other"), false).is_empty());
        let sent = others.ended(bad, span("resize"), true);
        assert_eq!(names(sent), ["upload", "resize"]);
        assert_eq!(
            names(others.ended(bad, span("publish"), false)),
            ["publish"]
        );
        assert!(others.ended(good, span("more"), false).is_empty());
        assert_eq!(others.waiting.len(), 2);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut others = Others::default();
        for n in 0..10_000_u32 {
            let trace = TraceId::of(&n.to_string());
            let _ = others.ended(trace, span("x"), n % 2 == 0);
        }
        assert!(others.waiting.len() <= WAITING_MAX);
        assert_eq!(
            (others.failed.len(), others.order.len()),
            (FAILED_MAX, FAILED_MAX)
        );
    }
}
