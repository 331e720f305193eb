//! The gate's document: what was decided about an asset, by whom and why.

use crate::Output;
use mediaflow_core::{Decision, RunSettings, Verdict};
use serde_json::{Map, Value};

/// What the task says, with the policy and the verdict beside it.
pub(crate) fn reported(settings: &RunSettings, output: &Output) -> Value {
    let mut document: Map<String, Value> = output.facts.as_object().cloned().unwrap_or_default();
    document.insert("policy".into(), settings.moderation.as_str().into());
    // As for the core: no verdict at all asks for a person.
    let verdict = output.verdict.unwrap_or(Verdict::Review);
    document.insert("verdict".into(), verdict.as_str().into());
    Value::Object(document)
}

/// Adds a person's decision.
pub(crate) fn decided(
    document: Option<&str>,
    decision: Decision,
    by: &str,
    reason: Option<&str>,
) -> Value {
    let mut document: Map<String, Value> = document
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let verdict = match decision {
        Decision::Approve => "pass",
        Decision::Reject => "reject",
    };
    document.insert("verdict".into(), verdict.into());
    document.insert("decided_by".into(), by.into());
    document.insert("reason".into(), reason.into());
    Value::Object(document)
}
