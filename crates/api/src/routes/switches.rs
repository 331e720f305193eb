//! `/v1/switches`: what operators turn on and off while everything runs, and who did.

use crate::Shared;
use crate::access::MayOperate;
use crate::body::Json;
use crate::params::{NoParams, Params};
use crate::problem::{Problem, ProblemView};
use axum::extract::{Path, State};
use axum::response::Json as Answer;
use mediaflow_core::ErrorCode;
use mediaflow_engine::store::{Change, Switch, SwitchRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All switches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwitchList {
    switches: Vec<SwitchView>,
}

/// A switch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Switch)]
pub(crate) struct SwitchView {
    /// `uploads`, `claims.image`, `claims.video` or `claims.network`.
    name: &'static str,
    on: bool,
    /// What it does while it is on.
    meaning: &'static str,
}

impl From<SwitchRecord> for SwitchView {
    fn from(record: SwitchRecord) -> Self {
        Self {
            name: record.switch.as_str(),
            on: record.is_on,
            meaning: record.switch.meaning(),
        }
    }
}

/// How a switch shall stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    on: bool,
}

/// What was changed, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeList {
    changes: Vec<ChangeView>,
}

/// A change of a switch or of a tenant's settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// A switch, or `tenant.<id>.<setting>`.
    name: String,
    from: String,
    to: String,
    /// The name of the key that was used; `local` without keys.
    who: String,
    #[schema(value_type = String, format = DateTime)]
    at: String,
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            name: change.switch,
            from: change.before,
            to: change.after,
            who: change.who,
            at: change.at.to_string(),
        }
    }
}

/// List the switches.
#[utoipa::path(
    get, path = "/v1/switches", operation_id = "listSwitches", tag = "switches",
    responses(
        (status = 200, body = SwitchList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<SwitchList>, Problem> {
    let stand = context.engine.store().switches().await?;
    Ok(Answer(SwitchList {
        switches: stand.into_iter().map(SwitchView::from).collect(),
    }))
}

/// Turn a switch on or off, for all processes at once.
#[utoipa::path(
    put, path = "/v1/switches/{name}", operation_id = "setSwitch", tag = "switches",
    params(("name" = String, Path, description = "The switch.")),
    request_body = Setting,
    responses(
        (status = 200, body = SwitchView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn set(
    State(context): State<Shared>,
    MayOperate(caller): MayOperate,
    Path(name): Path<String>,
    _: NoParams,
    Json(setting): Json<Setting>,
) -> Result<Answer<SwitchView>, Problem> {
    let switch = Switch::parse(&name).ok_or_else(|| Problem::plain(ErrorCode::SwitchNotFound))?;
    let store = context.engine.store();
    store.set_switch(switch, setting.on, &caller.name).await?;
    let is_on = setting.on;
    Ok(Answer(SwitchView::from(SwitchRecord { switch, is_on })))
}

/// Who changed switches and tenants' settings, and when.
#[utoipa::path(
    get, path = "/v1/switches/history", operation_id = "listChanges", tag = "switches",
    params(
        ("name" = Option<String>, Query, description = "Of this switch or `tenant.<id>.<setting>` alone."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
    ),
    responses(
        (status = 200, body = ChangeList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn history(
    State(context): State<Shared>,
    _: MayOperate,
    mut params: Params,
) -> Result<Answer<ChangeList>, Problem> {
    let name = params.take("name")?;
    let limit = params.take_limit()?;
    params.finish()?;
    let changes = context.engine.store().changes(name.as_deref(), limit);
    let changes = changes.await?.into_iter().map(ChangeView::from);
    Ok(Answer(ChangeList {
        changes: changes.collect(),
    }))
}
