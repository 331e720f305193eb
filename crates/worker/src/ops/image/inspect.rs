//! `image.inspect`: everything worth knowing that no pixel must be decoded for.

use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::store::Output;
use mediaflow_media::image::{ImageInfo, InspectOptions, inspect};

pub(crate) fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let bytes = attempt.original()?;
    let options = InspectOptions {
        limits: attempt.toolbox.limits,
        record_positions: attempt.task.settings.record_positions,
        heif: Some(&attempt.toolbox.heif),
    };
    let info = inspect(&bytes, &options).map_err(from_media)?;
    let facts = serde_json::to_value(&info).map_err(|e| {
        Failure::permanent(ErrorCode::Internal, format!("the facts are no JSON: {e}"))
    })?;
    Ok(Output {
        dimensions: Some((info.width, info.height)),
        search_text: Some(search_text(&info)),
        facts,
        ..Output::default()
    })
}

/// The words that people look for: who, with what, about what.
fn search_text(info: &ImageInfo) -> String {
    let camera = info.metadata.camera.as_ref();
    let words = [
        camera.and_then(|c| c.make.as_deref()),
        camera.and_then(|c| c.model.as_deref()),
        info.metadata.lens.as_deref(),
        info.metadata.title.as_deref(),
        info.metadata.description.as_deref(),
        info.metadata.copyright.as_deref(),
        info.metadata.creator.as_deref(),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
