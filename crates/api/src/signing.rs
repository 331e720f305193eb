//! Signed, expiring addresses of private assets.
//!
//! An address is `/media/s/{kid}.{expiry}.{sig}/{asset}/...`, where `expiry` is in Unix seconds and `sig` the
//! unpadded base64url of HMAC-SHA256 over exactly the bytes of `/media/s/{kid}.{expiry}/{asset}/`: the decoded path
//! up to the asset, without the signature. Everything below that prefix opens, so that relative links work.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mediaflow_core::{AssetId, Timestamp};
use std::fmt;

/// Shortest secret, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// The secrets that signatures are made with and accepted under.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<(String, Hmac<sha2::Sha256>)>,
}

/// A secret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// There is none.
    #[error("signing needs at least one secret")]
    Missing,
    /// Its id does not fit into an address.
    #[error(
        "a signing key's id has 1 to 32 of the characters a-z, A-Z, 0-9, `-` and `_`; `{0}` has not"
    )]
    Id(String),
    /// Two have the same id.
    #[error("two signing keys have the id `{0}`")]
    Twice(String),
    /// It can be guessed.
    #[error("the secret of signing key `{0}` is shorter than 32 bytes")]
    Short(String),
}

/// The address is wrong or its time is over; which of both is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Signer {
    /// The first secret signs, all of them verify: put a new one in front and drop the old one when the addresses
    /// that it signed have expired.
    ///
    /// # Errors
    /// Names the key and what it should be.
    pub fn new(secrets: Vec<(String, Vec<u8>)>) -> Result<Self, InvalidSecret> {
        let mut keys: Vec<(String, Hmac<sha2::Sha256>)> = Vec::new();
        for (id, secret) in secrets {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if !(1..=32).contains(&id.len()) || !id.bytes().all(plain) {
                return Err(InvalidSecret::Id(id));
            }
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(InvalidSecret::Twice(id));
            }
            if secret.len() < SECRET_BYTES_MIN {
                return Err(InvalidSecret::Short(id));
            }
            let mac = Hmac::new_from_slice(&secret).expect("HMAC takes keys of any length");
            keys.push((id, mac));
        }
        match keys.is_empty() {
            true => Err(InvalidSecret::Missing),
            false => Ok(Self { keys }),
        }
    }

    /// The address of `rest` below an asset until `expires`, which is cut to whole seconds. An empty `rest` gives the
    /// prefix of them all.
    pub fn path(&self, asset: AssetId, rest: &str, expires: Timestamp) -> String {
        let (kid, mac) = &self.keys[0];
        let expiry = expires.0.div_euclid(1000).max(0);
        let mut mac = mac.clone();
        mac.update(signed_text(kid, expiry, asset).as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        format!("/media/s/{kid}.{expiry}.{signature}/{asset}/{rest}")
    }

    /// Checks `{kid}.{expiry}.{sig}` for an asset; answers when it ends.
    pub(crate) fn verify(
        &self,
        token: &str,
        asset: AssetId,
        now: Timestamp,
    ) -> Result<Timestamp, Refused> {
        let mut parts = token.split('.');
        let (Some(kid), Some(expiry), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused);
        };
        let (_, mac) = self.keys.iter().find(|(id, _)| id == kid).ok_or(Refused)?;
        let seconds: i64 = expiry.parse().map_err(|_| Refused)?;
        if seconds < 0 || seconds.to_string() != expiry {
            return Err(Refused);
        }
        let signature = BASE64.decode(signature).map_err(|_| Refused)?;
        let mut mac = mac.clone();
        mac.update(signed_text(kid, seconds, asset).as_bytes());
        mac.verify_slice(&signature).map_err(|_| Refused)?;
        let end = Timestamp(seconds.saturating_mul(1000));
        if now >= end {
            return Err(Refused);
        }
        Ok(end)
    }
    /// What proves later that this text was ours: `{kid}.{sig}`. The text says what it is for.
    pub(crate) fn seal(&self, text: &str) -> String {
        let (kid, mac) = &self.keys[0];
        let mut mac = mac.clone();
        mac.update(sealed_text(kid, text).as_bytes());
        format!("{kid}.{}", BASE64.encode(mac.finalize().into_bytes()))
    }

    pub(crate) fn is_sealed(&self, text: &str, seal: &str) -> bool {
        let Some((kid, signature)) = seal.split_once('.') else {
            return false;
        };
        let key = self.keys.iter().find(|(id, _)| id == kid);
        let (Some((_, mac)), Ok(signature)) = (key, BASE64.decode(signature)) else {
            return false;
        };
        let mut mac = mac.clone();
        mac.update(sealed_text(kid, text).as_bytes());
        mac.verify_slice(&signature).is_ok()
    }
}

/// What is sealed never begins like an address.
fn sealed_text(kid: &str, text: &str) -> String {
    format!("seal {kid} {text}")
}

fn signed_text(kid: &str, expiry: i64, asset: AssetId) -> String {
    format!("/media/s/{kid}.{expiry}/{asset}/")
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ASSET: AssetId = AssetId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
    const END: Timestamp = Timestamp(1_800_000_000_000);

    fn signer(secrets: &[(&str, u8)]) -> Signer {
        let secrets = secrets.iter();
        Signer::new(
            secrets
                .map(|(id, byte)| ((*id).to_owned(), vec![*byte; 32]))
                .collect(),
        )
        .unwrap()
    }

    fn token(path: &str) -> &str {
        path.strip_prefix("/media/s/")
            .unwrap()
            .split('/')
            .next()
            .unwrap()
    }

    /// Computed with `openssl dgst -sha256 -mac HMAC` over the documented text.
    #[test]
    fn a_signature_is_what_the_documentation_says() {
        let path = signer(&[("k1", 0x0b)]).path(ASSET, "large.avif", END);
        assert_eq!(
            path,
            "/media/s/k1.1800000000.0K3qEoptti0C-VUDMSUKUn3BuE3u3cfy_iYPnkXB81k/01920000-0000-7000-8000-000000000001/large.avif"
        );
    }

    #[test]
    fn a_signature_opens_its_asset_until_its_end() {
        let signer = signer(&[("k1", 1)]);
        let path = signer.path(ASSET, "", END);
        assert_eq!(
            signer.verify(token(&path), ASSET, Timestamp(END.0 - 1)),
            Ok(END)
        );
        assert_eq!(signer.verify(token(&path), ASSET, END), Err(Refused));
        let other = AssetId(Uuid::from_u128(2));
        assert_eq!(
            signer.verify(token(&path), other, Timestamp(0)),
            Err(Refused)
        );
    }

    #[test]
    fn whatever_is_changed_closes_it() {
        let signer = signer(&[("k1", 1)]);
        let path = signer.path(ASSET, "", END);
        let good = token(&path);
        for i in 0..good.len() {
            for other in ["A", "9", ".", "-"] {
                let mut wrong = good.to_owned();
                wrong.replace_range(i..=i, other);
                if wrong != good {
                    let found = signer.verify(&wrong, ASSET, Timestamp(0));
                    assert_eq!(found, Err(Refused), "{wrong}");
                }
            }
        }
        let (head, signature) = good.rsplit_once('.').unwrap();
        for wrong in [
            String::new(),
            "..".into(),
            head.to_owned(),
            format!("{good}="),
            format!("{good}.x"),
            format!("k1.+1800000000.{signature}"),
            format!("k1.01800000000.{signature}"),
            format!("k1.18000000000000000000000.{signature}"),
            format!("{head}.{}", &signature[..20]),
        ] {
            assert_eq!(
                signer.verify(&wrong, ASSET, Timestamp(0)),
                Err(Refused),
                "{wrong}"
            );
        }
    }

    #[test]
    fn secrets_are_exchanged_without_breaking_addresses() {
        let old = signer(&[("old", 1)]).path(ASSET, "", END);
        let both = signer(&[("new", 2), ("old", 1)]);
        assert_eq!(both.verify(token(&old), ASSET, Timestamp(0)), Ok(END));
        assert!(both.path(ASSET, "", END).starts_with("/media/s/new."));
        let new = signer(&[("new", 2)]);
        assert_eq!(new.verify(token(&old), ASSET, Timestamp(0)), Err(Refused));
    }

    #[test]
    fn unusable_secrets_are_named() {
        let new = |id: &str, bytes| Signer::new(vec![(id.to_owned(), vec![1; bytes])]).map(drop);
        assert_eq!(
            Signer::new(Vec::new()).map(drop),
            Err(InvalidSecret::Missing)
        );
        assert_eq!(new("a", 31), Err(InvalidSecret::Short("a".into())));
        for id in ["", "a.b", "a/b", "a b"] {
            assert_eq!(new(id, 32), Err(InvalidSecret::Id(id.into())));
        }
    }
}
