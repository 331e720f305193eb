//! Addresses that carry their own permission, for whoever may read or write one key and nothing else.

use super::ObjectBlobs;
use super::config::Protocol;
use super::presign::Request;
use crate::{BlobError, BlobKey, Written};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::IF_NONE_MATCH;
use http::{HeaderName, HeaderValue, Method};
use object_store::signer::SignedUrlOptions;
use std::time::Duration;

/// The most that S3 takes in one request.
pub(super) const PUT_BYTES_MAX: u64 = 5 << 30;
pub(super) const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// A signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The address; secret for as long as it is valid.
    pub url: String,
    /// Headers that the request must have, with these values.
    pub headers: Vec<(String, String)>,
}

impl ObjectBlobs {
    /// To read the key.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_get(&self, key: &BlobKey, valid: Duration) -> Result<Signed, BlobError> {
        self.signed(Method::GET, key, valid, Vec::new(), &[]).await
    }

    /// To write these bytes once, in one request: the store itself refuses others, and to replace what is there. None where
    /// it would not check them, or where they are too many for one request.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_put(
        &self,
        new: &Written,
        valid: Duration,
    ) -> Result<Option<Signed>, BlobError> {
        if self.inner.address.protocol != Protocol::S3 || new.bytes > PUT_BYTES_MAX {
            return Ok(None);
        }
        // Of other bytes, more or fewer, the digest is another one.
        let headers = vec![
            (IF_NONE_MATCH, "*".to_owned()),
            (SHA256, BASE64_STANDARD.encode(new.sha256)),
        ];
        self.signed(Method::PUT, &new.key, valid, headers, &[])
            .await
            .map(Some)
    }

    /// An address for a request that has these headers, and these words in its address.
    pub(super) async fn signed(
        &self,
        method: Method,
        key: &BlobKey,
        valid: Duration,
        headers: Vec<(HeaderName, String)>,
        query: &[(&str, &str)],
    ) -> Result<Signed, BlobError> {
        let place = self.place(key.as_str());
        let failed = |e| self.failed("signing an address", key.as_str(), e);
        if let Some(presigner) = &self.inner.presigner {
            let request = Request {
                method,
                query,
                headers: &headers,
                valid,
            };
            let url = presigner.sign(&place, &request).await.map_err(failed)?;
            let headers = headers.into_iter();
            return Ok(Signed {
                url: url.into(),
                headers: headers.map(|(n, v)| (n.to_string(), v)).collect(),
            });
        }
        let mut options = SignedUrlOptions::default().with_query(query.iter().copied());
        for (name, value) in &headers {
            let value = HeaderValue::from_str(value).map_err(|_| BlobError::Refused {
                action: "signing an address",
                reason: format!("`{name}` cannot have this value"),
            })?;
            options = options.with_signed_header(name.clone(), value);
        }
        let bucket = &self.inner.bucket;
        let url = bucket
            .signed_url_opts(method, &place, valid, &options)
            .await;
        let url = url.map_err(failed)?;
        let headers = headers.into_iter();
        Ok(Signed {
            url: url.into(),
            headers: headers.map(|(n, v)| (n.to_string(), v)).collect(),
        })
    }
}
