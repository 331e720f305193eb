//! `distribute`: has the CDN fetch what it may show, before the asset is called ready.

use crate::attempt::Attempt;
use crate::ops::failure::from_engine;
use mediaflow_core::{ErrorCode, Failure, Visibility};
use mediaflow_engine::Cdn;
use mediaflow_engine::store::Output;
use serde_json::json;

pub(crate) async fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let nothing = |why: &str| {
        Ok(Output {
            facts: json!({ "warmed": 0, "reason": why }),
            ..Output::default()
        })
    };
    if matches!(attempt.engine.cdn(), Cdn::None) {
        return nothing("no CDN is configured");
    }
    if attempt.task.options.visibility == Visibility::Private {
        return nothing("private assets are not cached");
    }
    let asset = attempt.task.asset;
    // A later generation shows nothing before it is published, to a CDN neither.
    let visible = attempt
        .engine
        .store()
        .renditions(asset)
        .await
        .map_err(|e| from_engine(e.into()))?;
    let paths: Vec<String> = visible
        .iter()
        .filter(|s| s.rendition.generation == attempt.task.generation)
        .map(|s| {
            let (profile, format) = (&s.rendition.profile, s.rendition.format);
            format!(
                "/media/{asset}/{}/{profile}.{}",
                s.rendition.sha256,
                format.extension()
            )
        })
        .collect();
    attempt
        .engine
        .cdn()
        .warm(&paths)
        .await
        .map_err(|error| Failure::transient(ErrorCode::DistributeFailed, error.to_string()))?;
    Ok(Output {
        facts: json!({ "warmed": paths.len() }),
        ..Output::default()
    })
}
