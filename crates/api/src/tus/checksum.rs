//! `Upload-Checksum`: what the bytes of one request must come to, said before or behind them.

use super::headers::{CHECKSUM, text};
use crate::problem::invalid;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mediaflow_core::ErrorCode;
use mediaflow_engine::{EngineError, Verify};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, OnceLock};

/// The algorithms that are known here.
pub(crate) const ALGORITHMS: &str = "sha256,sha1";

/// What came behind a body, when it has ended.
pub(crate) type Trailers = Arc<OnceLock<HeaderMap>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    Sha256([u8; 32]),
    Sha1([u8; 20]),
}

/// Judges the bytes of one request.
pub(crate) struct Judge {
    expected: Option<Expected>,
    trailers: Trailers,
    sha256: Option<Sha256>,
    sha1: Option<Sha1>,
}

impl Judge {
    /// What the headers want: a checksum that they name, or one that they announce behind the body.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub(crate) fn of(
        headers: &HeaderMap,
        trailers: &Trailers,
    ) -> Result<Option<Self>, EngineError> {
        if let Some(text) = text(headers, &CHECKSUM)? {
            let expected = parse(text)?;
            let is_sha1 = matches!(expected, Expected::Sha1(_));
            return Ok(Some(Self {
                expected: Some(expected),
                trailers: Arc::clone(trailers),
                sha256: (!is_sha1).then(Sha256::new),
                sha1: is_sha1.then(Sha1::new),
            }));
        }
        let announced = headers.get_all(axum::http::header::TRAILER).iter();
        let mut announced = announced.filter_map(|value| value.to_str().ok());
        let comes = announced.any(|names| {
            let mut names = names.split(',').map(str::trim);
            names.any(|name| name.eq_ignore_ascii_case(CHECKSUM.as_str()))
        });
        // Which one it is to be is not known before.
        Ok(comes.then(|| Self {
            expected: None,
            trailers: Arc::clone(trailers),
            sha256: Some(Sha256::new()),
            sha1: Some(Sha1::new()),
        }))
    }

    fn expected(&self) -> Result<Expected, EngineError> {
        if let Some(expected) = &self.expected {
            return Ok(expected.clone());
        }
        let missing = || invalid("the trailer `Upload-Checksum` was announced and did not come");
        let trailers = self.trailers.get().ok_or_else(missing)?;
        parse(text(trailers, &CHECKSUM)?.ok_or_else(missing)?)
    }
}

impl Verify for Judge {
    fn update(&mut self, bytes: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
    }

    fn verify(&mut self) -> Result<(), EngineError> {
        let is_right = match self.expected()? {
            Expected::Sha256(digest) => {
                let found = self.sha256.take().unwrap_or_default().finalize();
                digest[..] == found[..]
            }
            Expected::Sha1(digest) => {
                let found = self.sha1.take().unwrap_or_default().finalize();
                digest[..] == found[..]
            }
        };
        match is_right {
            true => Ok(()),
            false => Err(EngineError::new(
                ErrorCode::UploadChecksum,
                "the bytes have another checksum; none of them was kept",
            )),
        }
    }
}

fn parse(text: &str) -> Result<Expected, EngineError> {
    let odd = || {
        let text = format!(
            "`Upload-Checksum` must be an algorithm ({ALGORITHMS}) and the digest in Base64"
        );
        invalid(text)
    };
    let (algorithm, digest) = text.split_once(' ').ok_or_else(odd)?;
    let digest = BASE64_STANDARD.decode(digest.trim()).map_err(|_| odd())?;
    let expected = match algorithm {
        "sha256" => digest.try_into().map(Expected::Sha256),
        "sha1" => digest.try_into().map(Expected::Sha1),
        _ => return Err(odd()),
    };
    expected.map_err(|_| odd())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_checksum_is_an_algorithm_and_a_digest_of_its_length() {
        assert!(matches!(
            parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").unwrap(),
            Expected::Sha1(_)
        ));
        let sha256 = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(
            parse(&format!("sha256 {sha256}")).unwrap(),
            Expected::Sha256([7; 32])
        );
        for bad in [
            "",
            "sha1",
            "sha1 ",
            "md5 1B2M2Y8AsgTpgAmY7PhCfg==",
            "sha1 Kq5sNclPz7QV2",
            "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
            &format!("sha1 {sha256}"),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
