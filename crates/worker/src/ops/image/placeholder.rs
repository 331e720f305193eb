//! `image.placeholder`: a BlurHash and the average colour.

use super::source;
use crate::attempt::Attempt;
use crate::ops::failure::from_media;
use mediaflow_core::Failure;
use mediaflow_engine::store::Output;
use mediaflow_media::image::placeholder::placeholder;
use serde_json::json;

pub(crate) fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let made = placeholder(&*source::pixels(attempt)?).map_err(from_media)?;
    Ok(Output {
        facts: json!({ "blurhash": made.blurhash, "color": made.color }),
        ..Output::default()
    })
}
