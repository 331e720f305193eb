//! An asset as the outside sees it, put together from what a store has read of it.

use crate::{AssetRecord, MediaFacts, Original, RunRecord, StoreError};
use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetId, AssetOptions, AssetState, ErrorCode, Kind, Operation, Run, Sha256, TenantId, Timestamp,
};
use serde_json::Value;
use std::collections::HashMap;

/// The operation that measures how loud an asset is.
const LOUDNESS: &str = "audio.loudness";

/// The columns of an asset and of its newest run.
pub(crate) struct Found {
    pub(crate) id: AssetId,
    pub(crate) tenant: TenantId,
    pub(crate) state: AssetState,
    pub(crate) kind: Kind,
    pub(crate) original: Original,
    pub(crate) media: Option<MediaFacts>,
    pub(crate) facts: Facts,
    pub(crate) options: AssetOptions,
    pub(crate) published: u32,
    pub(crate) run: Run,
    pub(crate) recipe: Sha256,
    pub(crate) correlation_id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) last_sequence: u64,
}

impl Found {
    /// The step whose dead task tells why the asset failed: the first required one that has one.
    pub(crate) fn failed_step(&self) -> Option<usize> {
        let steps = self.run.recipe.steps.iter().zip(&self.run.steps);
        let mut steps = steps.enumerate();
        let dead = steps.find(|(_, (step, status))| status.dead > 0 && !step.optional);
        dead.filter(|_| self.state == AssetState::Failed)
            .map(|(step, _)| step)
    }

    /// The record, with what operations found out as JSON, and the error of the failed step's task.
    pub(crate) fn record(
        self,
        facts: &HashMap<String, String>,
        failure: Option<(String, String)>,
    ) -> Result<AssetRecord, StoreError> {
        let found = |operation: &str| -> Result<Option<Value>, StoreError> {
            let json = facts.get(operation).map(|json| serde_json::from_str(json));
            json.transpose()
                .map_err(|e| StoreError::Database(Box::new(e)))
        };
        let inspect = match self.kind {
            Kind::Image => Operation::Inspect,
            Kind::Video => Operation::VideoInspect,
            Kind::Audio => Operation::AudioInspect,
        };
        let moderation = found(Operation::Moderate.name())?;
        let is_gone = matches!(self.state, AssetState::Rejected | AssetState::Deleted);
        Ok(AssetRecord {
            id: self.id,
            tenant: self.tenant,
            state: self.state,
            viewable: !is_gone && (self.published > 0 || self.run.is_viewable()),
            kind: self.kind,
            original: self.original,
            facts: self.facts,
            options: self.options,
            published: self.published,
            error: match self.state {
                AssetState::Rejected => Some(rejection(moderation.as_ref())),
                _ => failure,
            },
            run: RunRecord {
                generation: self.run.generation,
                state: self.run.state,
                progress: self.run.progress(),
                recipe: (
                    self.run.recipe.name.clone(),
                    self.run.recipe.version,
                    self.recipe,
                ),
            },
            media: self.media,
            inspected: found(inspect.name())?,
            loudness: match self.kind {
                Kind::Image => None,
                Kind::Video | Kind::Audio => found(LOUDNESS)?,
            },
            placeholder: found(Operation::Placeholder.name())?,
            moderation,
            correlation_id: self.correlation_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_sequence: self.last_sequence,
        })
    }
}

fn rejection(moderation: Option<&Value>) -> (String, String) {
    let code = ErrorCode::ModerationRejected;
    let reason = moderation.and_then(|m| m["reason"].as_str());
    (
        code.as_str().into(),
        reason.unwrap_or(code.meaning()).into(),
    )
}

/// What an asset is found by.
pub(crate) fn words(
    title: Option<&str>,
    filename: Option<&str>,
    tags: &[String],
    inspected: Option<&str>,
) -> String {
    let named = [title, filename, inspected].into_iter().flatten();
    let all = named.chain(tags.iter().map(String::as_str));
    all.collect::<Vec<_>>().join("\n")
}
