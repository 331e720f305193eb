//! Keys and tokens as texts: minted once, stored as digests.
//!
//! A key is `mf_`, its id (32 hexadecimal digits), `_`, its 256-bit secret (64) and a checksum (8), so that a
//! mistyped or shortened key is refused without asking the store, and secret scanners can tell one.

use mediaflow_core::{KeyId, Sha256, TenantId};
use mediaflow_engine::store::{KeyLimits, NewKey, Scope};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use uuid::Uuid;

/// A new key: the text is shown once and never stored.
pub struct MintedKey {
    /// For `Authorization: Bearer`.
    pub text: String,
    /// For the store.
    pub stored: NewKey,
}

/// Makes a key with a secret from the operating system.
///
/// # Panics
/// When the operating system gives no randomness.
pub fn mint(id: KeyId, name: &str, scopes: &[Scope], tenant: TenantId) -> MintedKey {
    let Minted {
        text,
        secret_sha256,
    } = mint_as(KEY_PREFIX, id.0);
    MintedKey {
        text,
        stored: NewKey {
            id,
            tenant,
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            secret_sha256,
            limits: KeyLimits::default(),
        },
    }
}

/// How keys begin.
pub(crate) const KEY_PREFIX: &str = "mf_";

/// A secret with its name.
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) secret_sha256: Sha256,
}

pub(crate) fn mint_as(prefix: &str, id: Uuid) -> Minted {
    let mut secret = [0; 32];
    OsRng
        .try_fill_bytes(&mut secret)
        .expect("without randomness nothing can be secret");
    let body = format!("{prefix}{}_{}", id.simple(), hex::encode(secret));
    Minted {
        text: format!("{body}{}", checksum(&body)),
        secret_sha256: Sha256::of(&secret),
    }
}

fn checksum(body: &str) -> String {
    hex::encode(&Sha256::of(body.as_bytes()).0[..4])
}

/// Id and secret of what is well formed.
pub(crate) fn parse(prefix: &str, text: &str) -> Option<(Uuid, [u8; 32])> {
    let (body, check) = text.split_at_checked(text.len().checked_sub(8)?)?;
    if checksum(body) != check {
        return None;
    }
    let (id, secret) = body.strip_prefix(prefix)?.split_once('_')?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(secret, &mut bytes).ok()?;
    let id = (id.len() == 32).then(|| Uuid::try_parse(id))?.ok()?;
    Some((id, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minted() -> MintedKey {
        let id = KeyId(Uuid::from_u128(7));
        mint(id, "tests", &[Scope::Read], TenantId::DEFAULT)
    }

    #[test]
    fn a_key_reads_back_as_what_is_stored() {
        let key = minted();
        let (id, secret) = parse(KEY_PREFIX, &key.text).unwrap();
        assert_eq!(KeyId(id), key.stored.id);
        assert_eq!(Sha256::of(&secret), key.stored.secret_sha256);
        assert_eq!(key.text.len(), 3 + 32 + 1 + 64 + 8);
        assert_ne!(minted().text, minted().text);
    }

    #[test]
    fn a_mistyped_key_is_none() {
        let text = minted().text;
        for i in 0..text.len() {
            let other = if text.as_bytes()[i] == b'1' { "2" } else { "1" };
            let mut wrong = text.clone();
            wrong.replace_range(i..=i, other);
            assert!(parse(KEY_PREFIX, &wrong).is_none(), "{wrong}");
        }
        for bad in ["", "mf_", "mf__", "é1234567", &text[..text.len() - 1]] {
            assert!(parse(KEY_PREFIX, bad).is_none(), "{bad}");
        }
    }
}
