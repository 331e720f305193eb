//! `/v1/keys`: who may use the API, for admins of each tenant and for operators of all.

use super::KeyPath;
use crate::Shared;
use crate::access::{Caller, MayAdmin, PEOPLE};
use crate::body::Json;
use crate::minting::mint;
use crate::params::{NoParams, Params};
use crate::problem::{Problem, ProblemView, invalid};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Json as Answer, Response};
use mediaflow_core::{ErrorCode, KeyId, TenantId};
use mediaflow_engine::is_type;
use mediaflow_engine::store::{KeyFilter, KeyLimits, KeyRecord, NewKey, Scope, Store};
use serde::{Deserialize, Serialize};
use std::str::FromStr as _;
use utoipa::ToSchema;

const NAME_CHARS_MAX: usize = 100;
const TYPES_MAX: usize = 64;

/// Some keys of a tenant, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    items: Vec<KeyView>,
    /// For the next page; null at the end.
    next_cursor: Option<String>,
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    #[schema(value_type = String, format = Uuid)]
    id: String,
    /// For people.
    name: String,
    #[schema(value_type = String, format = Uuid)]
    tenant: String,
    /// What it may do: `ingest`, `read`, `moderate`, `admin` (all of these) or `worker`.
    scopes: Vec<&'static str>,
    limits: LimitsView,
    /// What was sent with it since midnight in UTC; null where that is not limited, and so not counted.
    today: Option<TodayView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: String,
    /// Null while it works.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<String>,
}

/// What uploads with a key may be, beside what all may. What is missing or null is not limited by the key.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = KeyLimits)]
pub(crate) struct LimitsView {
    /// Most bytes of one file (413).
    #[schema(minimum = 1)]
    file_bytes_max: Option<u64>,
    /// What files may be, such as `image/jpeg` or `video/*`; anything where there are none (415).
    #[schema(max_items = 64)]
    types: Vec<String>,
    /// Most uploads over several requests that are open (429).
    open_max: Option<u32>,
    /// Most bytes in a day, from midnight to midnight in UTC (429).
    day_bytes_max: Option<u64>,
    /// Most files in a day (429).
    day_files_max: Option<u64>,
}

/// What was sent in a day, open uploads included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUsage)]
pub(crate) struct TodayView {
    bytes: u64,
    files: u64,
}

impl From<KeyLimits> for LimitsView {
    fn from(limits: KeyLimits) -> Self {
        Self {
            file_bytes_max: limits.file_bytes_max,
            types: limits.types,
            open_max: limits.open_max,
            day_bytes_max: limits.day_bytes_max,
            day_files_max: limits.day_files_max,
        }
    }
}

impl LimitsView {
    fn checked(self) -> Result<KeyLimits, Problem> {
        if self.file_bytes_max == Some(0) {
            return Err(invalid("`file_bytes_max` must be at least 1").into());
        }
        if self.types.len() > TYPES_MAX || !self.types.iter().all(|of| is_type(of)) {
            let text =
                format!("`types` must be at most {TYPES_MAX}, each like image/jpeg or video/*");
            return Err(invalid(text).into());
        }
        Ok(KeyLimits {
            file_bytes_max: self.file_bytes_max,
            types: self.types,
            open_max: self.open_max,
            day_bytes_max: self.day_bytes_max,
            day_files_max: self.day_files_max,
        })
    }
}

impl KeyView {
    async fn of(store: &dyn Store, key: KeyRecord) -> Result<Self, Problem> {
        let today = match key.limits.counts() && key.revoked_at.is_none() {
            true => Some(store.usage(key.tenant, key.id).await?),
            false => None,
        };
        Ok(Self {
            id: key.id.to_string(),
            name: key.name,
            tenant: key.tenant.to_string(),
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            limits: key.limits.into(),
            today: today.map(|used| TodayView {
                bytes: used.bytes,
                files: used.files,
            }),
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        })
    }
}

/// List keys, newest first. Secrets are not kept, so none is shown.
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "listKeys", tag = "keys",
    params(
        ("state" = Option<String>, Query, description = "`live` or `revoked`; both when missing."),
        ("tenant" = Option<String>, Query, description = "Whose; the caller's own when missing. Others' are told to operators."),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when missing."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, body = KeyList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    mut params: Params,
) -> Result<Answer<KeyList>, Problem> {
    let live = params.take_as("state", "live or revoked", |text| match text {
        "live" => Some(true),
        "revoked" => Some(false),
        _ => None,
    })?;
    let tenant = params.take_as("tenant", "a tenant's id", |text| {
        TenantId::from_str(text).ok()
    })?;
    let cursor = params.take("cursor")?;
    let limit = params.take_limit()?;
    params.finish()?;
    let store = &**context.engine.store();
    let tenant = whose(store, &caller, tenant).await?;
    let filter = KeyFilter { live, cursor };
    let page = store.key_page(tenant, &filter, limit).await?;
    let mut items = Vec::with_capacity(page.keys.len());
    for key in page.keys {
        items.push(KeyView::of(store, key).await?);
    }
    Ok(Answer(KeyList {
        items,
        next_cursor: page.next_cursor,
    }))
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyWish {
    /// For people: who or what uses it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do. `admin` has the others in it.
    #[schema(value_type = Vec<ScopeName>, min_items = 1)]
    scopes: Vec<String>,
    /// Whose it is; the caller's own when missing. Operators make keys for others.
    #[schema(value_type = Option<String>, format = Uuid)]
    tenant: Option<String>,
    #[serde(default)]
    limits: LimitsView,
}

/// What a key can be made for over HTTP.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "lowercase")]
#[allow(
    dead_code,
    reason = "only described: other names have answers of their own"
)]
enum ScopeName {
    Ingest,
    Read,
    Moderate,
    Admin,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKeyView {
    #[serde(flatten)]
    made: KeyView,
    /// The whole key, for `Authorization: Bearer`. It is shown this once.
    key: String,
}

/// Make a key.
///
/// It may do no more than the key that makes it: keys of the scope `worker` are made with `mediaflow keys create`, where the server runs.
/// Where no keys were needed, the first one is needed from the server's next start on.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "createKey", tag = "keys",
    request_body = KeyWish,
    responses(
        (status = 201, body = NewKeyView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    _: NoParams,
    Json(wish): Json<KeyWish>,
) -> Result<Response, Problem> {
    let name = wish.name.trim();
    let is_plain = !name.is_empty() && !name.contains(char::is_control);
    if !is_plain || name.chars().count() > NAME_CHARS_MAX {
        let text = format!("`name` must have 1 to {NAME_CHARS_MAX} characters");
        return Err(invalid(text).into());
    }
    let scopes = scopes(&wish.scopes)?;
    let tenant = wish.tenant.as_deref().map(|text| {
        TenantId::from_str(text).map_err(|_| Problem::plain(ErrorCode::TenantNotFound))
    });
    let store = &**context.engine.store();
    let tenant = whose(store, &caller, tenant.transpose()?).await?;
    let limits = wish.limits.checked()?;
    let id = KeyId(context.engine.environment().id());
    let minted = mint(id, name, &scopes, tenant);
    let stored = NewKey {
        limits,
        ..minted.stored
    };
    store.add_key(stored).await?;
    tracing::info!(key = %id, %tenant, by = caller.name, "a key was made");
    let made = found(store, id).await?;
    let made = KeyView::of(store, made).await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let view = NewKeyView {
        made,
        key: minted.text,
    };
    Ok((StatusCode::CREATED, no_store, Answer(view)).into_response())
}

/// Say anew what uploads with a key may be; what is missing is not limited by it any more.
#[utoipa::path(
    put, path = "/v1/keys/{id}/limits", operation_id = "limitKey", tag = "keys",
    params(("id" = String, Path, description = "The key's id.")),
    request_body = LimitsView,
    responses(
        (status = 200, body = KeyView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn limit(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    KeyPath(id): KeyPath,
    _: NoParams,
    Json(limits): Json<LimitsView>,
) -> Result<Answer<KeyView>, Problem> {
    let store = &**context.engine.store();
    let key = own(store, &caller, id).await?;
    store.limit_key(key.tenant, id, limits.checked()?).await?;
    tracing::info!(key = %id, by = caller.name, "a key's limits were set");
    let key = found(store, id).await?;
    Ok(Answer(KeyView::of(store, key).await?))
}

/// End a key. It is taken no more within a second; one that ended before stays so.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", operation_id = "revokeKey", tag = "keys",
    params(("id" = String, Path, description = "The key's id.")),
    responses(
        (status = 204, description = "It does not work any more."),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    State(context): State<Shared>,
    MayAdmin(caller): MayAdmin,
    KeyPath(id): KeyPath,
    _: NoParams,
) -> Result<StatusCode, Problem> {
    let store = &**context.engine.store();
    let key = own(store, &caller, id).await?;
    if store.revoke_key(key.tenant, id).await? {
        tracing::info!(key = %id, by = caller.name, "a key was revoked");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What a key may be made for: whoever may make keys has all of these, and no other.
fn scopes(names: &[String]) -> Result<Vec<Scope>, Problem> {
    let known: Vec<&str> = PEOPLE.map(Scope::as_str).to_vec();
    let mut scopes = Vec::new();
    for name in names {
        match Scope::parse(name) {
            None => {
                let text = format!("`scopes` must be of {}", known.join(", "));
                return Err(invalid(text).into());
            }
            Some(scope) if !PEOPLE.contains(&scope) => {
                let text = format!(
                    "a key can only give what it may do itself, and that is not `{name}`; make such a key with `mediaflow keys create --scopes {name}` where the server runs"
                );
                return Err(Problem::new(ErrorCode::AuthScope, text));
            }
            Some(scope) => scopes.push(scope),
        }
    }
    scopes.sort();
    scopes.dedup();
    match scopes.is_empty() {
        true => Err(invalid("`scopes` must name what the key may do").into()),
        false => Ok(scopes),
    }
}

/// The tenant that is meant, if it is the caller's or the caller is an operator.
async fn whose(
    store: &dyn Store,
    caller: &Caller,
    wanted: Option<TenantId>,
) -> Result<TenantId, Problem> {
    let tenant = wanted.unwrap_or(caller.tenant);
    if tenant == caller.tenant {
        return Ok(tenant);
    }
    let is_known = store
        .tenants()
        .await?
        .iter()
        .any(|known| known.id == tenant);
    match is_known && caller.tenant == TenantId::DEFAULT {
        true => Ok(tenant),
        false => Err(Problem::plain(ErrorCode::TenantNotFound)),
    }
}

/// A key that the caller may change. Others' keys are not there for those who are no operators.
async fn own(store: &dyn Store, caller: &Caller, id: KeyId) -> Result<KeyRecord, Problem> {
    let key = found(store, id).await?;
    match key.tenant == caller.tenant || caller.tenant == TenantId::DEFAULT {
        true => Ok(key),
        false => Err(Problem::plain(ErrorCode::KeyNotFound)),
    }
}

async fn found(store: &dyn Store, id: KeyId) -> Result<KeyRecord, Problem> {
    let key = store.key(id).await?;
    key.ok_or_else(|| Problem::plain(ErrorCode::KeyNotFound))
}
