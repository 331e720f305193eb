//! Where credentials come from, in this order: the environment, a web identity (EKS), the shared file, the container (ECS, EKS Pod
//! Identity), the instance (EC2, IMDSv2). Those that expire are fetched again before they do.
//!
//! Not supported: SSO, `credential_process`, and roles assumed from a profile.

use super::Service;
use crate::BrokerError;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";
/// Fetched anew this long before they expire.
const EARLY: Duration = Duration::from_secs(300);
/// These services are on the same machine, or there is none.
const NEAR_MAX: Duration = Duration::from_secs(2);

/// A key that may sign.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) expires: Option<OffsetDateTime>,
}

pub(super) struct Source {
    service: Service,
    http: reqwest::Client,
    region: String,
    variable: fn(&str) -> Option<String>,
    known: Mutex<Option<Credentials>>,
}

impl Source {
    pub(super) fn new(service: Service, http: reqwest::Client, region: String) -> Self {
        Self {
            service,
            http,
            region,
            variable: |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            known: Mutex::default(),
        }
    }

    /// One that never changes.
    pub(super) fn fixed(self, id: &str, secret: &str) -> Self {
        let fixed = Credentials {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: None,
            expires: None,
        };
        Self {
            known: Mutex::new(Some(fixed)),
            ..self
        }
    }

    pub(super) async fn get(&self) -> Result<Credentials, BrokerError> {
        let mut known = self.known.lock().await;
        let soon = OffsetDateTime::now_utc() + EARLY;
        if let Some(known) = &*known
            && known.expires.is_none_or(|at| at > soon)
        {
            return Ok(known.clone());
        }
        let fresh = self.fetch().await?;
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    async fn fetch(&self) -> Result<Credentials, BrokerError> {
        let variable = self.variable;
        if let (Some(id), Some(secret)) = (
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        ) {
            return Ok(Credentials {
                id,
                secret,
                token: variable("AWS_SESSION_TOKEN"),
                expires: None,
            });
        }
        if let (Some(file), Some(role)) = (
            variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
            variable("AWS_ROLE_ARN"),
        ) {
            return self.web_identity(&file, &role).await;
        }
        if let Some(found) = self.shared_file() {
            return Ok(found);
        }
        let place = match variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => Some(format!("{CONTAINER}{path}")),
            None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        };
        match place {
            Some(url) => self.container(&url).await,
            None => self.instance().await,
        }
    }

    /// A role for a service account: the token in the file is exchanged for a key.
    async fn web_identity(&self, file: &str, role: &str) -> Result<Credentials, BrokerError> {
        let token = std::fs::read_to_string(file)
            .map_err(|e| BrokerError::permanent(self.service, format!("{file}: {e}")))?;
        let session = (self.variable)("AWS_ROLE_SESSION_NAME");
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", session.as_deref().unwrap_or("mediaflow")),
            ("WebIdentityToken", token.trim()),
        ];
        let escape =
            |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escape(value)))
            .collect();
        let url = format!("https://sts.{}.amazonaws.com/", self.region);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(pairs.join("&"));
        let answer: Value = json(self.service, request).await?;
        let key = &answer["AssumeRoleWithWebIdentityResponse"]["AssumeRoleWithWebIdentityResult"]["Credentials"];
        let text = |name: &str| key[name].as_str().map(str::to_owned);
        let (Some(id), Some(secret)) = (text("AccessKeyId"), text("SecretAccessKey")) else {
            return Err(BrokerError::permanent(
                self.service,
                "STS answered without a key",
            ));
        };
        // Given in seconds since 1970, sometimes with a fraction.
        let seconds = key["Expiration"].as_f64().unwrap_or_default();
        Ok(Credentials {
            id,
            secret,
            token: text("SessionToken"),
            expires: OffsetDateTime::from_unix_timestamp(seconds as i64).ok(),
        })
    }

    /// Keys of the profile in `~/.aws/credentials`.
    fn shared_file(&self) -> Option<Credentials> {
        let variable = self.variable;
        let path = match variable("AWS_SHARED_CREDENTIALS_FILE") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(variable("HOME")?).join(".aws/credentials"),
        };
        let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".into());
        in_profile(&std::fs::read_to_string(path).ok()?, &profile)
    }

    async fn container(&self, url: &str) -> Result<Credentials, BrokerError> {
        let token = match (self.variable)("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => std::fs::read_to_string(file).ok(),
            None => (self.variable)("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let mut request = self.http.get(url).timeout(NEAR_MAX);
        if let Some(token) = token {
            request = request.header("authorization", token.trim());
        }
        let answer: Near = json(self.service, request).await?;
        answer.into_credentials(self.service)
    }

    async fn instance(&self) -> Result<Credentials, BrokerError> {
        let none = |e: BrokerError| {
            let message = format!(
                "no AWS credentials: neither AWS_ACCESS_KEY_ID nor a web identity, a shared file, a container's or an instance's role ({e})"
            );
            BrokerError::transient(self.service, message)
        };
        let ask_token = self
            .http
            .put(format!("{INSTANCE}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "300")
            .timeout(NEAR_MAX);
        let token = text(self.service, ask_token).await.map_err(none)?;
        let ask = |path: &str| {
            let url = format!("{INSTANCE}/latest/meta-data/iam/security-credentials/{path}");
            let request = self.http.get(url).timeout(NEAR_MAX);
            request.header("x-aws-ec2-metadata-token", &token)
        };
        let role = text(self.service, ask("")).await.map_err(none)?;
        let role = role.lines().next().unwrap_or_default();
        let answer: Near = json(self.service, ask(role)).await?;
        answer.into_credentials(self.service)
    }
}

/// How containers and instances answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Near {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl Near {
    fn into_credentials(self, service: Service) -> Result<Credentials, BrokerError> {
        let expires = self
            .expiration
            .map(|at| OffsetDateTime::parse(&at, &Rfc3339));
        Ok(Credentials {
            id: self.access_key_id,
            secret: self.secret_access_key,
            token: self.token,
            expires: expires
                .transpose()
                .map_err(|e| BrokerError::permanent(service, e))?,
        })
    }
}

async fn text(service: Service, request: reqwest::RequestBuilder) -> Result<String, BrokerError> {
    let passing = |e: reqwest::Error| BrokerError::transient(service, e.without_url());
    let answer = request.send().await.map_err(passing)?;
    let answer = answer.error_for_status().map_err(passing)?;
    answer.text().await.map_err(passing)
}

async fn json<T: for<'de> Deserialize<'de>>(
    service: Service,
    request: reqwest::RequestBuilder,
) -> Result<T, BrokerError> {
    let text = text(service, request).await?;
    serde_json::from_str(&text).map_err(|_| {
        BrokerError::transient(service, "who gives credentials did not answer as expected")
    })
}

fn in_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut inside = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            inside = name.trim_end_matches(']').trim() == profile;
        } else if inside && let Some((name, value)) = line.split_once('=') {
            let place = match name.trim() {
                "aws_access_key_id" => &mut id,
                "aws_secret_access_key" => &mut secret,
                "aws_session_token" => &mut token,
                _ => continue,
            };
            *place = Some(value.trim().to_owned());
        }
    }
    Some(Credentials {
        id: id?,
        secret: secret?,
        token,
        expires: None,
    })
}

#[cfg(test)]
mod tests {
    use super::in_profile;

    #[test]
    fn keys_are_those_of_the_profile() {
        let text = "[default]\naws_access_key_id = one\naws_secret_access_key = first\n\n[media]\nregion = eu-west-1\naws_access_key_id=two\naws_secret_access_key=second\naws_session_token=token\n";
        let found = in_profile(text, "media").unwrap();
        assert_eq!(
            (found.id, found.secret, found.token),
            ("two".into(), "second".into(), Some("token".into()))
        );
        assert_eq!(in_profile(text, "default").unwrap().id, "one");
        assert!(in_profile(text, "other").is_none());
    }
}
