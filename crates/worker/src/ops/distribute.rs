//! `distribute`: has the CDN fetch what it may show, before the asset is called ready.

use crate::attempt::Attempt;
use crate::ops::failure::from_engine;
use mediaflow_core::{Failure, Visibility};
use mediaflow_engine::store::Output;
use serde_json::json;

pub(crate) async fn run(attempt: &Attempt) -> Result<Output, Failure> {
    let task = &attempt.task;
    let facts = match task.options.visibility {
        Visibility::Private => json!({ "warmed": 0, "reason": "private assets are not cached" }),
        Visibility::Public => match attempt.depot.warm(task).await.map_err(from_engine)? {
            Some(warmed) => json!({ "warmed": warmed }),
            None => json!({ "warmed": 0, "reason": "no CDN is configured" }),
        },
    };
    Ok(Output {
        facts,
        ..Output::default()
    })
}
