//! Signatures as Standard Webhooks 1.0 has them, by which a receiver can tell who sends.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};

/// How the specification has secrets begin.
const SECRET: &str = "whsec_";

/// The key in a secret, if it is one: 24 to 64 bytes.
pub(crate) fn key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix(SECRET)?).ok()?;
    Some(key).filter(|key| (24..=64).contains(&key.len()))
}

/// The secret that has this key.
pub(crate) fn secret(key: &[u8]) -> String {
    format!("{SECRET}{}", BASE64_STANDARD.encode(key))
}

/// What goes into `webhook-signature`.
pub(crate) fn sign(key: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_as_the_specification_has_it() {
        // The example of the Standard Webhooks libraries.
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = key(text).unwrap();
        let signature = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret(&key), text);
    }

    #[test]
    fn a_secret_has_its_prefix_and_is_long_enough() {
        for wrong in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_c2hvcnQ=",
        ] {
            assert!(key(wrong).is_none(), "{wrong}");
        }
    }
}
