//! Upload tokens: what a page sends instead of a key. Each is for one upload, says what that may be, and is taken when an upload is
//! begun with it, so that of two that begin at once one does.
//!
//! A token is `mfu_`, its id, `_`, its secret and a checksum, like a key.

use crate::Shared;
use crate::access::Caller;
use crate::minting::{Minted, mint_as};
use crate::problem::{Problem, invalid};
use axum::http::header;
use axum::http::request::Parts;
use mediaflow_core::{ErrorCode, Priority, TokenId, UploadId, Visibility};
use mediaflow_engine::store::{NewToken, Store, TokenRecord};
use mediaflow_engine::{Engine, EngineError, Upload, is_type};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// An upload that was begun with a token may be finished with it for so long, if it does not end before.
const BEGUN_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How tokens begin.
pub(crate) const PREFIX: &str = "mfu_";

/// What a token is for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = UploadTerms)]
pub(crate) struct Terms {
    /// Most bytes of the file.
    bytes_max: Option<u64>,
    /// What it may be, such as `image/jpeg` or `video/*`; found from its bytes. Without any, all that is taken.
    types: Vec<String>,
    /// The site whose pages may use it, such as `https://shop.example.com`.
    origin: Option<String>,
    /// How long it can be used, in seconds: 60 to 86400, an hour without it. What was begun with it may be finished later.
    expires_s: Option<u64>,
    /// What the asset has, whatever the page says.
    recipe: Option<String>,
    title: Option<String>,
    tags: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// `public` or `private`.
    #[schema(value_type = Option<String>)]
    visibility: Option<Visibility>,
    watermark: Option<bool>,
    /// `high`, `normal` or `low`.
    #[schema(value_type = Option<String>)]
    priority: Option<Priority>,
}

impl Terms {
    /// # Errors
    /// Names the field and what it should be.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if let Some(wrong) = self.types.iter().find(|text| !is_type(text)) {
            let shown: String = wrong.chars().filter(|c| !c.is_control()).take(64).collect();
            let text = format!(
                "`types` has `{shown}`, and must have types like `image/jpeg` or `video/*`"
            );
            return Err(invalid(text));
        }
        if self.types.len() > 64 {
            return Err(invalid("`types` must be no more than 64"));
        }
        if self.bytes_max == Some(0) {
            return Err(invalid("`bytes_max` must be at least 1"));
        }
        let listed: Vec<String> = self.origin.iter().cloned().collect();
        if listed.iter().any(|origin| origin == "*") || crate::CorsOrigins::new(&listed).is_err() {
            return Err(invalid("`origin` must be like `https://shop.example.com`"));
        }
        match self.expires_s {
            Some(time) if !(60..=86_400).contains(&time) => {
                Err(invalid("`expires_s` must be 60 to 86400"))
            }
            _ => Ok(()),
        }
    }

    /// The limits of its file, in addition to others.
    pub(crate) fn file(&self) -> (Option<u64>, &[String]) {
        (self.bytes_max, &self.types)
    }

    /// The same upload with what is not the page's to say.
    pub(crate) fn fixed(&self, mut upload: Upload) -> Upload {
        let options = &mut upload.options;
        if let Some(title) = &self.title {
            options.title = Some(title.clone());
        }
        if let Some(tags) = &self.tags {
            options.tags.clone_from(tags);
        }
        if let Some(metadata) = &self.metadata {
            options.metadata.clone_from(metadata);
        }
        options.visibility = self.visibility.unwrap_or(options.visibility);
        options.watermark = self.watermark.unwrap_or(options.watermark);
        upload.priority = self.priority.unwrap_or(upload.priority);
        upload.recipe = self.recipe.clone().or(upload.recipe);
        upload
    }
}

/// A token that was shown and found right.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    id: TokenId,
    upload: Option<UploadId>,
    is_held: bool,
    pub(crate) terms: Arc<Terms>,
}

impl Token {
    /// # Errors
    /// When the page that sends it is none of its origin's.
    pub(crate) fn of(record: &TokenRecord, parts: &Parts) -> Result<Self, Problem> {
        let terms: Terms = serde_json::from_str(&record.terms)
            .map_err(|_| Problem::plain(ErrorCode::TokenInvalid))?;
        let origin = parts.headers.get(header::ORIGIN);
        let origin = origin.map(|origin| origin.to_str().unwrap_or_default());
        if terms.origin.is_some() && origin != terms.origin.as_deref() {
            return Err(Problem::plain(ErrorCode::TokenOrigin));
        }
        Ok(Self {
            id: record.id,
            upload: record.upload,
            is_held: record.is_held,
            terms: Arc::new(terms),
        })
    }

    /// # Errors
    /// When it is for another upload than this one.
    pub(crate) fn goes_on_with(&self, id: UploadId) -> Result<(), Problem> {
        match self.upload == Some(id) {
            true => Ok(()),
            false => Err(Problem::plain(ErrorCode::TokenUsed)),
        }
    }
}

/// The right to begin one upload. Dropped before it was spent, which only a bug does, it gives the token back: whoever begins an upload is
/// let come to its end (`to_its_end`), for otherwise a page could go away at the right moment and use its token again.
pub(crate) struct Ticket(Option<(Arc<dyn Store>, TokenId)>);

impl Ticket {
    /// Does what begins an upload, which must be polled to its end, and answers what it does: the token is spent for the upload that it
    /// names, or given back when nothing came of it.
    ///
    /// # Errors
    /// When the token was used before, and what `begin` answers.
    pub(crate) async fn with<T>(
        engine: &Engine,
        caller: &Caller,
        begin: impl Future<Output = Result<(UploadId, T), Problem>>,
    ) -> Result<T, Problem> {
        let ticket = Self::take(engine, caller).await?;
        match begin.await {
            Ok((upload, done)) => {
                ticket.spend(upload).await;
                Ok(done)
            }
            Err(problem) => {
                ticket.give_back().await;
                Err(problem)
            }
        }
    }

    async fn take(engine: &Engine, caller: &Caller) -> Result<Self, Problem> {
        let Some(token) = caller.token() else {
            return Ok(Self(None));
        };
        let store = Arc::clone(engine.store());
        if token.is_held || !store.hold_token(token.id).await? {
            return Err(Problem::plain(ErrorCode::TokenUsed));
        }
        Ok(Self(Some((store, token.id))))
    }

    async fn give_back(mut self) {
        if let Some((store, id)) = self.0.take() {
            release(store, id).await;
        }
    }

    /// It was used for this upload, or for one that was over at once and has this name.
    async fn spend(mut self, upload: UploadId) {
        let Some((store, id)) = self.0.take() else {
            return;
        };
        if let Err(error) = store.spend_token(id, upload, BEGUN_KEPT).await {
            // It stays taken, which is what matters.
            tracing::warn!(%id, %error, "an upload token cannot go on with its upload");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((store, id)) = self.0.take() {
            tokio::spawn(release(store, id));
        }
    }
}

async fn release(store: Arc<dyn Store>, id: TokenId) {
    if let Err(error) = store.release_token(id).await {
        tracing::warn!(%id, %error, "an upload token stays taken though nothing came of its upload");
    }
}

/// Mints a token; its text is shown once and never stored.
pub(crate) async fn minted(
    context: &Shared,
    caller: &Caller,
    terms: &Terms,
) -> Result<(TokenId, String, mediaflow_core::Timestamp), Problem> {
    terms.check()?;
    let id = TokenId(context.engine.environment().id());
    let Minted {
        text,
        secret_sha256,
    } = mint_as(PREFIX, id.0);
    let new = NewToken {
        id,
        tenant: caller.tenant,
        key: caller.key_id(),
        secret_sha256,
        terms: serde_json::to_string(terms).expect("plain data is always JSON"),
        kept: Duration::from_secs(terms.expires_s.unwrap_or(3600)),
    };
    let until = context.engine.store().add_token(new).await?;
    Ok((id, text, until))
}
