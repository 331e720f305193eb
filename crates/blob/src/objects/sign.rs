//! Addresses that carry their own permission, for whoever may read or write one key and nothing else.

use super::ObjectBlobs;
use super::config::Protocol;
use crate::{BlobError, BlobKey};
use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Method};
use object_store::signer::SignedUrlOptions;
use std::time::Duration;

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
        self.signed(Method::GET, key, valid, Vec::new()).await
    }

    /// To write the key once. S3 refuses to replace what is there.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn signed_put(&self, key: &BlobKey, valid: Duration) -> Result<Signed, BlobError> {
        let headers = match self.inner.address.protocol {
            Protocol::S3 => vec![("if-none-match".to_owned(), "*".to_owned())],
            Protocol::Google => Vec::new(),
            Protocol::Azure => vec![("x-ms-blob-type".to_owned(), "BlockBlob".to_owned())],
        };
        self.signed(Method::PUT, key, valid, headers).await
    }

    async fn signed(
        &self,
        method: Method,
        key: &BlobKey,
        valid: Duration,
        headers: Vec<(String, String)>,
    ) -> Result<Signed, BlobError> {
        let mut options = SignedUrlOptions::default();
        if headers.iter().any(|(name, _)| name == "if-none-match") {
            let any = HeaderValue::from_static("*");
            options = options.with_signed_header(IF_NONE_MATCH, any);
        }
        let place = self.place(key.as_str());
        let bucket = &self.inner.bucket;
        let url = bucket
            .signed_url_opts(method, &place, valid, &options)
            .await;
        let url = url.map_err(|e| self.failed("signing an address", key.as_str(), e))?;
        Ok(Signed {
            url: url.into(),
            headers,
        })
    }
}
