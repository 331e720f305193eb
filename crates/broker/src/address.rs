//! What `broker = "…"` says: `scheme://user:password@host:port,host:port/path?name=value`.

use crate::BrokerError;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A broker's address in its parts, each decoded.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// What stands between the credentials and the path; for Kafka a list.
    pub(crate) authority: String,
    pub(crate) path: String,
    parameters: BTreeMap<String, String>,
    text: String,
}

/// Never with what is secret in it.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.authority, self.path)
    }
}

impl Address {
    /// # Errors
    /// Permanent: it says what an address looks like, and never what this one contained.
    pub(crate) fn parse(text: &str) -> Result<Self, BrokerError> {
        let wrong = |what: &str| BrokerError::permanent("broker", what);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            wrong(
                "the address must be \"in-process\" or begin with kafka://, sqs://, redis://, rediss://, amqp://, amqps:// or postgres://",
            )
        })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, authority) = match host.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, host),
        };
        let decode = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(Into::into)
                .map_err(|_| wrong("the address has bytes that are not UTF-8"))
        };
        let (user, password) = match credentials.map(|c| c.split_once(':').unwrap_or((c, ""))) {
            None => (None, None),
            Some((user, "")) => (Some(decode(user)?), None),
            Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
        };
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                wrong("what follows the ? of the address must be name=value, joined with &")
            })?;
            parameters.insert(decode(name)?, decode(value)?);
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            user,
            password,
            authority: authority.to_owned(),
            path: decode(path)?,
            parameters,
            text: text.to_owned(),
        })
    }

    /// As it was given, for clients that read such addresses themselves; `without` what was taken.
    pub(crate) fn remaining(&self) -> String {
        let base = self
            .text
            .split_once('?')
            .map_or(&*self.text, |(base, _)| base);
        let mut text = base.to_owned();
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        text
    }

    pub(crate) fn host_and_port(&self, port: u16) -> Result<(String, u16), BrokerError> {
        let wrong = || BrokerError::permanent("broker", "the port of the address must be a number");
        // An IPv6 address has brackets; its colons are none of a port.
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => Ok((
                host.trim_matches(['[', ']']).to_owned(),
                port.parse().map_err(|_| wrong())?,
            )),
            _ => Ok((self.authority.trim_matches(['[', ']']).to_owned(), port)),
        }
    }

    /// Takes a parameter out; a missing one is the default.
    pub(crate) fn take<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, BrokerError> {
        match self.parameters.remove(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| {
                BrokerError::permanent("broker", format!("{name} in the address cannot be used"))
            }),
        }
    }

    /// Takes all parameters that `belongs` to out.
    pub(crate) fn take_where(
        &mut self,
        belongs: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, String> {
        let all = std::mem::take(&mut self.parameters);
        let (taken, rest) = all.into_iter().partition(|(name, _)| belongs(name));
        self.parameters = rest;
        taken
    }

    /// # Errors
    /// Permanent, where a parameter was not taken: nobody knows it.
    pub(crate) fn nothing_left(&self) -> Result<(), BrokerError> {
        match self.parameters.keys().next() {
            None => Ok(()),
            Some(name) => Err(BrokerError::permanent(
                "broker",
                format!("{}:// knows no parameter {name}", self.scheme),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_is_read_in_parts() {
        let text = "kafka://me:p%40ss@a:9092,b:9092/media?fetch.wait.max.ms=5&create=false";
        let mut address = Address::parse(text).unwrap();
        assert_eq!(address.scheme, "kafka");
        assert_eq!(address.user.as_deref(), Some("me"));
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert_eq!(address.authority, "a:9092,b:9092");
        assert_eq!(address.path, "media");
        assert!(!address.take("create", true).unwrap());
        assert_eq!(address.take("wait", 7).unwrap(), 7);
        assert!(address.nothing_left().is_err());
        let settings = address.take_where(|name| name.contains('.'));
        assert_eq!(settings["fetch.wait.max.ms"], "5");
        address.nothing_left().unwrap();
        assert!(!format!("{address:?}").contains("p@ss"));
    }

    #[test]
    fn a_port_is_what_follows_the_last_colon_outside_of_brackets() {
        let check = |text: &str, host: &str, port: u16| {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                address.host_and_port(5672).unwrap(),
                (host.to_owned(), port)
            );
        };
        check("amqp://rabbit", "rabbit", 5672);
        check("amqp://rabbit:1/vhost", "rabbit", 1);
        check("amqp://[::1]", "::1", 5672);
        check("amqp://[::1]:7", "::1", 7);
        assert!(
            Address::parse("amqp://rabbit:x")
                .unwrap()
                .host_and_port(1)
                .is_err()
        );
    }

    #[test]
    fn errors_keep_secrets() {
        for text in ["secret", "amqp://a:secret@b?c", "amqp://secret:%ff@b"] {
            let error = Address::parse(text).unwrap_err();
            assert!(!error.is_transient() && !error.to_string().contains("secret"));
        }
    }
}
