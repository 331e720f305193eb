//! `/v1/session`: who asks and what that one may do, and keeping a key in a browser.

use crate::Shared;
use crate::access::Known;
use crate::body::Json;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use crate::session::cookie;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json as Answer};
use mediaflow_core::{ErrorCode, KeyId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// The key's id; null where none is needed.
    #[schema(value_type = Option<String>, format = Uuid)]
    key: Option<KeyId>,
    /// Of the key; `local` where none is needed.
    name: String,
    #[schema(value_type = String, format = Uuid)]
    tenant: TenantId,
    /// `ingest`, `read`, `moderate`, `admin` or `worker`: all that it may do, so that one with `admin` has the first four.
    scopes: Vec<&'static str>,
    /// Whether it may do what concerns all tenants: see and change queues, workers, switches and tenants.
    operator: bool,
    /// Whether this server needs no keys.
    open: bool,
    /// The server's.
    version: &'static str,
}

impl From<Known> for SessionView {
    fn from(known: Known) -> Self {
        Self {
            operator: known.scopes.contains(&"admin") && known.tenant == TenantId::DEFAULT,
            open: known.is_open,
            key: known.key,
            name: known.name,
            tenant: known.tenant,
            scopes: known.scopes,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Who asks, and what that one may do. Any key will do.
#[utoipa::path(
    get, path = "/v1/session", operation_id = "getSession", tag = "session",
    responses(
        (status = 200, body = SessionView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(known: Known, _: NoParams) -> Answer<SessionView> {
    Answer(known.into())
}

/// A key to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The whole key.
    key: String,
}

/// Keep a key in this browser for a week, in a cookie that scripts cannot read. Requests of this server's own pages need no
/// `Authorization` then.
#[utoipa::path(
    post, path = "/v1/session", operation_id = "signIn", tag = "session", security(()),
    request_body = SignIn,
    responses(
        (status = 200, body = SessionView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn sign_in(
    State(context): State<Shared>,
    headers: HeaderMap,
    _: NoParams,
    Json(SignIn { key }): Json<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    let known = context.access.introduce(key.trim()).await?;
    if known.scopes == ["worker"] {
        let text = "this key is for workers; there is nothing to see with it";
        return Err(Problem::new(ErrorCode::AuthScope, text));
    }
    let cookie = cookie(&headers, key.trim());
    Ok((
        [(header::SET_COOKIE, cookie)],
        Answer(SessionView::from(known)),
    ))
}

/// Forget the key that this browser keeps.
#[utoipa::path(
    delete, path = "/v1/session", operation_id = "signOut", tag = "session", security(()),
    responses((status = 204, description = "It is forgotten.")),
)]
pub(crate) async fn sign_out(headers: HeaderMap, _: NoParams) -> impl IntoResponse {
    (
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, cookie(&headers, ""))],
    )
}
