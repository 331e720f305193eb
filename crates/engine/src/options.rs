//! What may be said of an asset, held against the limits.

use crate::{Engine, EngineError};
use mediaflow_core::{AssetOptions, ErrorCode};

impl Engine {
    /// # Errors
    /// `limit.metadata` when something is too long, `request.invalid` when something is no sense.
    pub(crate) fn check_options(&self, options: &AssetOptions) -> Result<(), EngineError> {
        let limits = &self.parts.limits;
        let too_long = |what: &str, most: usize| {
            Err(EngineError::new(
                ErrorCode::LimitMetadata,
                format!("{what}; at most {most} are allowed"),
            ))
        };
        if options
            .title
            .as_ref()
            .is_some_and(|t| t.chars().count() > limits.title_chars_max)
        {
            return too_long("the title has too many characters", limits.title_chars_max);
        }
        if options.tags.len() > limits.tags_max {
            return too_long("there are too many tags", limits.tags_max);
        }
        if options
            .tags
            .iter()
            .any(|t| t.chars().count() > limits.tag_chars_max)
        {
            return too_long("a tag has too many characters", limits.tag_chars_max);
        }
        if options.tags.iter().any(|t| t.trim().is_empty()) {
            return Err(EngineError::new(
                ErrorCode::RequestInvalid,
                "a tag is empty",
            ));
        }
        // PostgreSQL takes it in no text, so nobody does.
        if options
            .title
            .iter()
            .chain(&options.tags)
            .any(|text| text.contains('\0'))
        {
            return Err(EngineError::new(
                ErrorCode::RequestInvalid,
                "neither the title nor a tag can have a NUL character",
            ));
        }
        let metadata = serde_json::to_vec(&options.metadata).map_or(usize::MAX, |json| json.len());
        if metadata > limits.metadata_bytes_max {
            return too_long("`metadata` has too many bytes", limits.metadata_bytes_max);
        }
        if options.focus.is_some_and(|f| !f.is_valid()) {
            return Err(EngineError::new(
                ErrorCode::RequestInvalid,
                "focus x and y must be between 0 and 1",
            ));
        }
        Ok(())
    }
}
