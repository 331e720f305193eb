//! Query parameters and form fields, read strictly: each is known, given once, and understood.

use crate::problem::{Problem, invalid};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use mediaflow_core::Timestamp;
use mediaflow_engine::EngineError;

/// Most items of a page.
const LIMIT_MAX: u32 = 200;
/// Items of a page when nothing is said.
const LIMIT: u32 = 50;

/// Names and values as the client sent them. What is taken is known; [`Params::finish`] refuses the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(crate) fn add(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// All values of a name; empty ones, as forms send them, do not count.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(n, _)| n == name);
        self.0 = rest;
        let taken: Vec<(String, String)> = taken;
        let values = taken.into_iter().map(|(_, value)| value);
        values.filter(|v| !v.is_empty()).collect()
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let mut values = self.take_all(name);
        match values.len() {
            _ if values.iter().any(|value| value.contains('\0')) => {
                Err(invalid(format!("`{name}` has a NUL character")))
            }
            0 | 1 => Ok(values.pop()),
            _ => Err(invalid(format!("`{name}` is given more than once"))),
        }
    }

    /// A value that `parse` understands; `expected` completes "must be ...".
    pub(crate) fn take_as<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        let value = parse(&text).ok_or_else(|| invalid(format!("`{name}` must be {expected}")))?;
        Ok(Some(value))
    }

    pub(crate) fn take_time(&mut self, name: &str) -> Result<Option<Timestamp>, EngineError> {
        self.take_as(
            name,
            "an RFC 3339 time like 2026-01-31T12:00:00Z",
            Timestamp::parse_rfc3339,
        )
    }

    pub(crate) fn take_limit(&mut self) -> Result<u32, EngineError> {
        let limit = self.take_as("limit", "a number from 1 to 200", |text| {
            let limit: u32 = text.parse().ok()?;
            (1..=LIMIT_MAX).contains(&limit).then_some(limit)
        })?;
        Ok(limit.unwrap_or(LIMIT))
    }

    /// # Errors
    /// Names the first parameter that nobody took.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(invalid(format!("there is no parameter `{shown}` here")))
            }
        }
    }
}

/// One of a state machine's names, for messages.
pub(crate) fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("one of {}", names.join(", "))
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// Routes without parameters.
pub(crate) struct NoParams;

impl<S: Sync> FromRequestParts<S> for NoParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Params::parse(parts.uri.query().unwrap_or_default()).finish()?;
        Ok(Self)
    }
}
