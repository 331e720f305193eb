//! What a rendition is a function of, as one digest: equal digests mean interchangeable pictures, within
//! one asset or between two that were uploaded with the same bytes.

use super::source::keeps_profile;
use crate::attempt::Attempt;
use mediaflow_core::Sha256;
use mediaflow_core::operation::{self, Variant};
use serde_json::json;

/// Raised whenever the code behind the operations makes other pixels or other files from the same input.
const CODE_VERSION: u32 = 2;

/// The digest of one rendition. `encoding` is what the format's encoder is told.
pub(super) fn derivation(
    attempt: &Attempt,
    variant: &Variant,
    encoding: &serde_json::Value,
) -> Sha256 {
    let task = &attempt.task;
    let focus =
        (variant.fit == operation::Fit::Cover).then_some(task.options.focus.unwrap_or_default());
    let said = json!([
        CODE_VERSION,
        task.original.sha256,
        variant.fit,
        variant.width,
        variant.height,
        focus,
        keeps_profile(attempt),
        task.settings.watermark,
        task.settings.keep_copyright,
        encoding,
    ]);
    Sha256::of(said.to_string().as_bytes())
}
