//! `/v1/tenants`: who shares this installation, their shares and limits.

use super::TenantPath;
use crate::Shared;
use crate::access::MayOperate;
use crate::body::Json;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView, invalid};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json as Answer;
use mediaflow_core::{ErrorCode, TenantId};
use mediaflow_engine::store::{TenantChange, TenantRecord};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// The largest weight.
const WEIGHT_MAX: u32 = 1000;
const NAME_CHARS_MAX: usize = 100;

/// All tenants that have a key or ever uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantList {
    tenants: Vec<TenantView>,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// For people.
    name: String,
    /// Its share of processors beside others'; 1 unless changed.
    weight: u32,
    /// Most tasks of it that run at once; null without a limit.
    running_max: Option<u32>,
    /// Most assets of it that are uploaded or processing: more uploads answer 429; null without a limit.
    waiting_max: Option<u32>,
    /// Tasks that run.
    running: u64,
    /// Assets that are uploaded or processing.
    waiting: u64,
}

impl From<TenantRecord> for TenantView {
    fn from(tenant: TenantRecord) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name,
            weight: tenant.weight,
            running_max: tenant.running_max,
            waiting_max: tenant.waiting_max,
            running: tenant.running,
            waiting: tenant.waiting,
        }
    }
}

/// What to change of a tenant; what is missing stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSettings {
    name: Option<String>,
    /// 1 to 1000.
    weight: Option<u32>,
    /// Null removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    running_max: Option<Option<u32>>,
    /// Null removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    waiting_max: Option<Option<u32>>,
}

/// Null is something that was said.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl TenantSettings {
    fn change(self) -> Result<TenantChange, Problem> {
        if self.weight.is_some_and(|w| !(1..=WEIGHT_MAX).contains(&w)) {
            return Err(invalid(format!("`weight` must be 1 to {WEIGHT_MAX}")).into());
        }
        let name = self.name.as_deref().unwrap_or_default();
        if name.chars().count() > NAME_CHARS_MAX {
            let text = format!("`name` must have at most {NAME_CHARS_MAX} characters");
            return Err(invalid(text).into());
        }
        Ok(TenantChange {
            name: self.name,
            weight: self.weight,
            running_max: self.running_max,
            waiting_max: self.waiting_max,
        })
    }
}

/// List the tenants.
#[utoipa::path(
    get, path = "/v1/tenants", operation_id = "listTenants", tag = "tenants",
    responses(
        (status = 200, body = TenantList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<TenantList>, Problem> {
    let tenants = context.engine.store().tenants().await?;
    Ok(Answer(TenantList {
        tenants: tenants.into_iter().map(TenantView::from).collect(),
    }))
}

/// Make a tenant. It needs a key to do anything: `mediaflow keys create --tenant`.
#[utoipa::path(
    post, path = "/v1/tenants", operation_id = "createTenant", tag = "tenants",
    request_body = TenantSettings,
    responses(
        (status = 201, body = TenantView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayOperate(caller): MayOperate,
    _: NoParams,
    Json(settings): Json<TenantSettings>,
) -> Result<(StatusCode, Answer<TenantView>), Problem> {
    let id = TenantId(context.engine.environment().id());
    let store = context.engine.store();
    let made = store.set_tenant(id, settings.change()?, &caller.name);
    Ok((StatusCode::CREATED, Answer(made.await?.into())))
}

/// Change a tenant's share and limits, for all processes at once.
#[utoipa::path(
    patch, path = "/v1/tenants/{id}", operation_id = "changeTenant", tag = "tenants",
    params(("id" = String, Path, description = "The tenant.")),
    request_body = TenantSettings,
    responses(
        (status = 200, body = TenantView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    State(context): State<Shared>,
    MayOperate(caller): MayOperate,
    TenantPath(id): TenantPath,
    _: NoParams,
    Json(settings): Json<TenantSettings>,
) -> Result<Answer<TenantView>, Problem> {
    let store = context.engine.store();
    let known = store.tenants().await?;
    if id != TenantId::DEFAULT && !known.iter().any(|tenant| tenant.id == id) {
        return Err(Problem::plain(ErrorCode::TenantNotFound));
    }
    let changed = store.set_tenant(id, settings.change()?, &caller.name);
    Ok(Answer(changed.await?.into()))
}
