//! Makes OpenTelemetry's spans of ours. Which trace a span is in follows from its correlation id; where no span of this process is
//! around it in that trace, it hangs on the span of its asset or upload, whose id everybody knows (`core/src/trace.rs`).

use super::keeping::Keeper;
use mediaflow_core::trace::{self, SpanId, TraceId};
use opentelemetry::trace::{Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use uuid::Uuid;

/// What load balancers and scrapers ask all the time tells nobody anything.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

pub(super) struct SpanLayer {
    keeper: Arc<Keeper>,
    scope: InstrumentationScope,
}

/// What is known of a span that is open.
#[derive(Debug)]
struct Open {
    began: SystemTime,
    id: SpanId,
    trace: Option<TraceId>,
    asset: Option<SpanId>,
    upload: Option<SpanId>,
    caller: Option<(TraceId, SpanId)>,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl SpanLayer {
    pub(super) fn filtered<S>(keeper: Arc<Keeper>) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let layer = Self {
            keeper,
            scope: InstrumentationScope::builder("mediaflow")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        };
        layer.with_filter(filter_fn(is_ours))
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("mediaflow")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut open = Open {
            began: SystemTime::now(),
            id: SpanId(rand::random::<[u8; 8]>()),
            trace: None,
            asset: None,
            upload: None,
            caller: None,
            error: None,
            attributes: Vec::new(),
        };
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        let around = around(&span);
        let Some(trace) = open.trace.or(around.map(|(trace, _)| trace)) else {
            return;
        };
        let has_failed = open.error.is_some();
        if has_failed || !PROBES.iter().any(|probe| open.says("http.route", probe)) {
            let ended = self.ended(span.metadata().name(), open, trace, around);
            self.keeper.ended(trace, ended, has_failed);
        }
    }
}

/// Trace and span that are around a span in this process.
fn around<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Option<(TraceId, SpanId)> {
    span.scope().skip(1).find_map(|outer| {
        let extensions = outer.extensions();
        let open = extensions.get::<Open>()?;
        Some((open.trace?, open.id))
    })
}

impl SpanLayer {
    fn ended(
        &self,
        kind: &'static str,
        open: Open,
        trace: TraceId,
        around: Option<(TraceId, SpanId)>,
    ) -> SpanData {
        let is_here = |of: &(TraceId, SpanId)| of.0 == trace;
        // The spans that others hang on have the ids that those others know.
        let (id, known_parent) = match kind {
            "upload" => (open.upload, None),
            "accept" => (open.asset, open.upload),
            _ => (None, open.asset.or(open.upload)),
        };
        let within = around.filter(is_here).or(open.caller.filter(is_here));
        let parent = within.map(|(_, span)| span).or(known_parent);
        let elsewhere = [around, open.caller];
        let elsewhere = elsewhere.into_iter().flatten().filter(|of| !is_here(of));
        let links = elsewhere.map(|(trace, span)| Link::with_context(context(trace, span)));
        let mut all = SpanLinks::default();
        all.links = links.collect();
        SpanData {
            span_context: context(trace, id.unwrap_or(open.id)),
            parent_span_id: parent.map_or(opentelemetry::trace::SpanId::INVALID, span_id),
            parent_span_is_remote: around.filter(is_here).is_none() && parent.is_some(),
            span_kind: match kind {
                "request" => SpanKind::Server,
                "tell" => SpanKind::Producer,
                "classify" | "hook" | "purge" | "webhook" => SpanKind::Client,
                _ => SpanKind::Internal,
            },
            name: open.name(kind),
            start_time: open.began,
            end_time: SystemTime::now(),
            attributes: open.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: all,
            status: open.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn span_id(span: SpanId) -> opentelemetry::trace::SpanId {
    opentelemetry::trace::SpanId::from_bytes(span.0)
}

fn context(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(
        opentelemetry::trace::TraceId::from_bytes(trace.0),
        span_id(span),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

impl Open {
    fn says(&self, name: &str, value: &str) -> bool {
        self.text(name).is_some_and(|text| text == value)
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.attributes.iter().find(|a| a.key.as_str() == name)?;
        Some(found.value.as_str())
    }

    /// Few different ones, as the standard wants it.
    fn name(&self, kind: &'static str) -> Cow<'static, str> {
        let words = match kind {
            "request" => ["http.request.method", "http.route"],
            "task" => ["mediaflow.operation", ""],
            "tell" | "webhook" => ["mediaflow.event", ""],
            _ => return kind.into(),
        };
        let words = words.iter().filter_map(|word| self.text(word));
        let words = words.collect::<Vec<_>>().join(" ");
        match kind {
            "tell" | "webhook" => format!("{kind} {words}").into(),
            _ => words.into(),
        }
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        let name: Cow<'static, str> = match field.name() {
            "method" => "http.request.method".into(),
            "route" => "http.route".into(),
            "status" => "http.response.status_code".into(),
            other => format!("mediaflow.{other}").into(),
        };
        self.attributes.push(KeyValue::new(name, value));
    }

    fn add_text(&mut self, field: &Field, text: String) {
        let id = || {
            text.parse::<Uuid>()
                .ok()
                .map(|id| SpanId::of(id.as_bytes()))
        };
        match field.name() {
            "correlation_id" => self.trace = Some(TraceId::of(&text)),
            "asset" => self.asset = id(),
            "upload" => self.upload = id(),
            "error" => self.error = Some(text.clone()),
            "traceparent" => return self.caller = trace::traceparent(&text),
            "trace_id" => return,
            _ => {}
        }
        self.add(field, text);
    }
}

impl Visit for Open {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format!("{value:?}"));
    }
}
