//! `/v1/settings`: the configuration in effect, and where each part of it comes from.

use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::settings::Setting;
use crate::{Context, Shared};
use axum::extract::State;
use axum::response::Json as Answer;
use serde::Serialize;
use utoipa::ToSchema;

/// The configuration of the process that answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingList {
    /// Its machine and process. Others of a cluster may be configured otherwise.
    process: String,
    /// In the order of the reference.
    settings: Vec<Setting>,
}

/// List the settings in effect, without secrets. They are read when the server starts.
#[utoipa::path(
    get, path = "/v1/settings", operation_id = "listSettings", tag = "settings",
    responses(
        (status = 200, body = SettingList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<SettingList>, Problem> {
    Ok(Answer(SettingList {
        process: context.process.clone(),
        settings: context.settings.clone(),
    }))
}

/// A setting's text, if it has one.
pub(crate) fn text(context: &Context, name: &str) -> Option<String> {
    let found = context.settings.iter().find(|setting| setting.name == name);
    found
        .and_then(|setting| setting.value.as_str())
        .map(str::to_owned)
}
