//! Who asks, and what that one may: keys and tokens are looked up, and believed for a second at most.

use crate::Shared;
use crate::minting::{KEY_PREFIX, parse};
use crate::origin::host;
use crate::problem::Problem;
use crate::session::{is_own_page, key_in};
use crate::tokens::{PREFIX, Token};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use mediaflow_core::{ErrorCode, KeyId, Sha256, TenantId, TokenId, UploadId};
use mediaflow_engine::store::{KeyLimits, KeyRecord, Scope, StoreError};
use mediaflow_engine::{Bounds, Engine, Upload};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// How long an answer of the store is believed. A revoked key works no longer than this.
const BELIEVED: Duration = Duration::from_secs(1);
/// Answers that are remembered; then all are forgotten, so that invented ids cannot fill memory.
const REMEMBERED_MAX: usize = 10_000;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    /// For the record of decisions.
    pub(crate) name: String,
    key: Option<KeyId>,
    limits: KeyLimits,
    token: Option<Token>,
}

impl Caller {
    /// The upload token that was shown instead of a key.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// What a file that it sends may be.
    pub(crate) fn bounds(&self) -> Bounds {
        let bounds = Bounds::of(self.key, &self.limits);
        match &self.token {
            Some(token) => {
                let (bytes_max, types) = token.terms.file();
                bounds.within(bytes_max, types)
            }
            None => bounds,
        }
    }

    /// How many uploads it may have open, where that is less than all may.
    pub(crate) fn open_max(&self) -> Option<u32> {
        self.limits.open_max
    }

    /// The upload as it is when what is not the caller's to say was said.
    pub(crate) fn shaped(&self, upload: Upload) -> Upload {
        let upload = Upload {
            bounds: self.bounds(),
            ..upload
        };
        match &self.token {
            Some(token) => token.terms.fixed(upload),
            None => upload,
        }
    }

    /// # Errors
    /// When its token is for another upload.
    pub(crate) fn goes_on_with(&self, id: UploadId) -> Result<(), Problem> {
        match &self.token {
            Some(token) => token.goes_on_with(id),
            None => Ok(()),
        }
    }

    /// Nobody's, where no keys are needed.
    pub(crate) fn key_id(&self) -> Option<KeyId> {
        self.key
    }
}

/// What people do; workers do something else.
pub(crate) const PEOPLE: [Scope; 4] = [Scope::Ingest, Scope::Read, Scope::Moderate, Scope::Admin];

/// Who asks, and what that one may do.
#[derive(Debug)]
pub(crate) struct Known {
    /// None where no key is needed.
    pub(crate) key: Option<KeyId>,
    pub(crate) tenant: TenantId,
    pub(crate) name: String,
    /// With those that others imply.
    pub(crate) scopes: Vec<&'static str>,
    /// No key is needed.
    pub(crate) is_open: bool,
}

impl Known {
    fn of(key: &KeyRecord) -> Self {
        let scopes = Scope::ALL.iter().filter(|scope| key.allows(**scope));
        Self {
            key: Some(key.id),
            tenant: key.tenant,
            name: key.name.clone(),
            scopes: scopes.map(|scope| scope.as_str()).collect(),
            is_open: false,
        }
    }
}

impl FromRequestParts<Shared> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Problem> {
        context.access.who(parts).await
    }
}

type Remembered = HashMap<KeyId, (Instant, Option<Arc<KeyRecord>>)>;

/// Decides who may do what.
pub(crate) struct Access {
    engine: Arc<Engine>,
    is_open: bool,
    public_host: Option<String>,
    remembered: Mutex<Remembered>,
}

impl Access {
    pub(crate) fn new(engine: Arc<Engine>, is_open: bool, public_host: Option<String>) -> Self {
        Self {
            engine,
            is_open,
            public_host,
            remembered: Mutex::default(),
        }
    }

    async fn allow(&self, parts: &Parts, scope: Scope) -> Result<Caller, Problem> {
        let value = parts.headers.get(header::AUTHORIZATION);
        // Who shows a key acts as its tenant, also where none is needed.
        if self.is_open && value.is_none() {
            return open(parts);
        }
        let (id, key) = self.shown(parts).await?;
        if !key.allows(scope) {
            let text = format!("the API key has not the scope `{}`", scope.as_str());
            return Err(Problem::new(ErrorCode::AuthScope, text));
        }
        Ok(Caller {
            tenant: key.tenant,
            name: key.name.clone(),
            key: Some(id),
            limits: key.limits.clone(),
            token: None,
        })
    }

    /// Who uploads: with a key, or with a token for one upload.
    async fn allow_upload(&self, parts: &Parts) -> Result<Caller, Problem> {
        let value = parts.headers.get(header::AUTHORIZATION);
        let value = value.and_then(|v| v.to_str().ok()).and_then(bearer);
        let Some(text) = value.filter(|text| text.starts_with(PREFIX)) else {
            return self.allow(parts, Scope::Ingest).await;
        };
        let unknown = || Problem::plain(ErrorCode::TokenInvalid);
        let (id, secret) = parse(PREFIX, text).ok_or_else(unknown)?;
        let token = self.engine.store().token(TokenId(id)).await?;
        let token = token.ok_or_else(unknown)?;
        let is_right: bool = Sha256::of(&secret).0.ct_eq(&token.secret_sha256.0).into();
        if !is_right {
            return Err(unknown());
        }
        let limits = match token.key {
            None => KeyLimits::default(),
            Some(key) => {
                let key = self.look_up(key).await?;
                let key = key.filter(|k| k.revoked_at.is_none() && k.allows(Scope::Ingest));
                key.ok_or_else(unknown)?.limits.clone()
            }
        };
        Ok(Caller {
            tenant: token.tenant,
            name: "upload token".into(),
            key: token.key,
            limits,
            token: Some(Token::of(&token, parts)?),
        })
    }

    /// The key that a program shows, or that a browser keeps.
    async fn shown(&self, parts: &Parts) -> Result<(KeyId, Arc<KeyRecord>), Problem> {
        let value = parts.headers.get(header::AUTHORIZATION);
        let kept = key_in(&parts.headers).filter(|_| value.is_none());
        let Some(kept) = kept else {
            return self
                .known(value.map(|v| v.to_str().unwrap_or_default()))
                .await;
        };
        if !is_own_page(parts, self.public_host.as_deref()) {
            let text = "a browser's key is only taken from pages of this server";
            return Err(Problem::new(ErrorCode::AuthMissing, text));
        }
        self.named(kept).await
    }

    /// Who shows a key, whatever it is for.
    async fn who(&self, parts: &Parts) -> Result<Known, Problem> {
        if self.is_open && !parts.headers.contains_key(header::AUTHORIZATION) {
            let caller = open(parts)?;
            return Ok(Known {
                key: None,
                tenant: caller.tenant,
                name: caller.name,
                scopes: PEOPLE.map(Scope::as_str).to_vec(),
                is_open: true,
            });
        }
        let (_, key) = self.shown(parts).await?;
        Ok(Known::of(&key))
    }

    /// Whose key this is.
    pub(crate) async fn introduce(&self, token: &str) -> Result<Known, Problem> {
        let (_, key) = self.named(token).await?;
        Ok(Known::of(&key))
    }

    /// The key of a worker on a network of its own, and its name. Also an open server wants one, because tasks are no
    /// matter of everybody on the machine.
    pub(crate) async fn worker(&self, header: Option<&str>) -> Result<(KeyId, String), Problem> {
        let (id, key) = self.known(header).await?;
        match key.allows(Scope::Worker) {
            true => Ok((id, key.name.clone())),
            false => {
                let text = "the API key has not the scope `worker`; make one with `mediaflow keys create --scopes worker`";
                Err(Problem::new(ErrorCode::AuthScope, text))
            }
        }
    }

    /// The key that the header `Authorization` has.
    async fn known(&self, header: Option<&str>) -> Result<(KeyId, Arc<KeyRecord>), Problem> {
        let Some(header) = header else {
            return Err(Problem::plain(ErrorCode::AuthMissing));
        };
        let unknown = || Problem::plain(ErrorCode::AuthInvalid);
        let token = bearer(header).ok_or_else(unknown)?;
        self.named(token).await
    }

    /// The key of this text.
    async fn named(&self, token: &str) -> Result<(KeyId, Arc<KeyRecord>), Problem> {
        let unknown = || Problem::plain(ErrorCode::AuthInvalid);
        let (id, secret) = parse(KEY_PREFIX, token).ok_or_else(unknown)?;
        let id = KeyId(id);
        let key = self.look_up(id).await?.ok_or_else(unknown)?;
        let is_right: bool = Sha256::of(&secret).0.ct_eq(&key.secret_sha256.0).into();
        if !is_right || key.revoked_at.is_some() {
            return Err(unknown());
        }
        Ok((id, key))
    }

    /// Whether a caller that was allowed before still has its key; for answers that take long.
    pub(crate) async fn is_still_allowed(&self, caller: &Caller) -> bool {
        let Some(id) = caller.key else { return true };
        match self.look_up(id).await {
            Ok(key) => key.is_some_and(|k| k.revoked_at.is_none()),
            // The store is not there at the moment; that revokes nothing.
            Err(_) => true,
        }
    }

    async fn look_up(&self, id: KeyId) -> Result<Option<Arc<KeyRecord>>, StoreError> {
        let asked = Instant::now();
        let remembered = self.lock().get(&id).cloned();
        if let Some((at, key)) = remembered
            && asked.duration_since(at) < BELIEVED
        {
            return Ok(key);
        }
        let key = self.engine.store().key(id).await?.map(Arc::new);
        let mut remembered = self.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(id, (asked, key.clone()));
        Ok(key)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, text) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// An open server trusts its own machine, but a browser there also runs pages of strangers: those come with
/// another origin, or under a name that was made to point here.
fn open(parts: &Parts) -> Result<Caller, Problem> {
    let host = host(&parts.uri, &parts.headers);
    let is_local = host.as_ref().is_none_or(|h| is_loopback(h.host()));
    if !is_local || is_foreign(&parts.headers, host.as_ref().map(|h| h.as_str())) {
        let text =
            "this server has no API keys and answers only to programs and pages of its own machine";
        return Err(Problem::new(ErrorCode::AuthMissing, text));
    }
    Ok(Caller {
        tenant: TenantId::DEFAULT,
        name: "local".into(),
        key: None,
        limits: KeyLimits::default(),
        token: None,
    })
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn is_foreign(headers: &HeaderMap, host: Option<&str>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return headers
            .get("sec-fetch-site")
            .is_some_and(|site| site != "same-origin" && site != "none");
    };
    let origin = origin.to_str().unwrap_or_default();
    let origin = origin.split_once("://").map(|(_, host)| host);
    origin.is_none() || origin != host
}

macro_rules! scopes {
    ($($name:ident $scope:ident;)*) => {
        $(
            /// A caller with the scope that the name says.
            pub(crate) struct $name(pub(crate) Caller);

            impl FromRequestParts<Shared> for $name {
                type Rejection = Problem;

                async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Problem> {
                    context.access.allow(parts, Scope::$scope).await.map(Self)
                }
            }
        )*
    };
}

scopes! {
    MayIngest Ingest;
    MayRead Read;
    MayModerate Moderate;
    MayAdmin Admin;
}

/// Who may upload: with the scope `ingest`, or with an upload token.
pub(crate) struct MayUpload(pub(crate) Caller);

impl FromRequestParts<Shared> for MayUpload {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Problem> {
        context.access.allow_upload(parts).await.map(Self)
    }
}

/// Who may do what concerns all tenants: a caller with the scope `admin` whose key is of the first tenant, which is the
/// operator's.
pub(crate) struct MayOperate(pub(crate) Caller);

impl FromRequestParts<Shared> for MayOperate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, Problem> {
        let caller = context.access.allow(parts, Scope::Admin).await?;
        if caller.tenant != TenantId::DEFAULT {
            let text = "this concerns all tenants; it needs an `admin` key of the operator's own";
            return Err(Problem::new(ErrorCode::AuthScope, text));
        }
        Ok(Self(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_pages_are_told_from_own_ones() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        let host = Some("127.0.0.1:8080");
        let own = headers(&[("origin", "http://127.0.0.1:8080")]);
        assert!(!is_foreign(&own, host));
        assert!(!is_foreign(&headers(&[]), host));
        assert!(is_foreign(
            &headers(&[("origin", "https://evil.example")]),
            host
        ));
        assert!(is_foreign(&headers(&[("origin", "null")]), host));
        assert!(is_foreign(
            &headers(&[("sec-fetch-site", "cross-site")]),
            host
        ));
        for local in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
