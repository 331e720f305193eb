//! Addresses that S3 lets somebody use for one request, which must be exactly as it was signed: the library signs no
//! `Content-Length`, and what may be written to a bucket is bounded by it. (AWS Signature Version 4, query parameters.)

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, Method};
use object_store::aws::{AmazonS3, AwsCredential};
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer as _;
use reqwest::Url;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// Signs for one bucket.
#[derive(Debug)]
pub(super) struct Presigner {
    pub(super) store: Arc<AmazonS3>,
    pub(super) region: String,
}

/// A request to sign.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Each must be sent with this value.
    pub(super) headers: &'a [(HeaderName, String)],
    pub(super) valid: Duration,
}

impl Presigner {
    /// An address for the request.
    ///
    /// # Errors
    /// When there are no credentials.
    pub(super) async fn sign(
        &self,
        place: &ObjectPath,
        request: &Request<'_>,
    ) -> object_store::Result<Url> {
        // It knows where the bucket is, and how its keys are written.
        let moment = Duration::from_secs(1);
        let mut url = self.store.signed_url(Method::GET, place, moment).await?;
        url.set_query(None);
        let credential = self.store.credentials().get_credential().await?;
        let now = OffsetDateTime::now_utc();
        Ok(signed(url, request, &credential, &self.region, now))
    }
}

fn signed(
    mut url: Url,
    request: &Request<'_>,
    credential: &AwsCredential,
    region: &str,
    now: OffsetDateTime,
) -> Url {
    let day = now.format(format_description!("[year][month][day]"));
    let day = day.expect("years have four digits");
    let moment = now.format(format_description!(
        "[year][month][day]T[hour][minute][second]Z"
    ));
    let moment = moment.expect("years have four digits");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut headers = vec![("host", &*host)];
    headers.extend(request.headers.iter().map(|(n, v)| (n.as_str(), v.trim())));
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut query: Vec<(String, String)> = vec![
        ("X-Amz-Algorithm".into(), "AWS4-HMAC-SHA256".into()),
        (
            "X-Amz-Credential".into(),
            encoded(&format!("{}/{scope}", credential.key_id)),
        ),
        ("X-Amz-Date".into(), moment.clone()),
        ("X-Amz-Expires".into(), request.valid.as_secs().to_string()),
        ("X-Amz-SignedHeaders".into(), encoded(&names)),
    ];
    if let Some(token) = &credential.token {
        query.push(("X-Amz-Security-Token".into(), encoded(token)));
    }
    query.extend(request.query.iter().map(|(n, v)| (encoded(n), encoded(v))));
    query.sort_unstable();
    let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let query = query.join("&");
    let mut canonical = format!("{}\n{}\n{query}\n", request.method, url.path());
    for (name, value) in &headers {
        // Writing to a string cannot fail.
        let _ = writeln!(canonical, "{name}:{value}");
    }
    // Its digest is not known before it is sent.
    let _ = write!(canonical, "\n{names}\nUNSIGNED-PAYLOAD");
    let digest = hex::encode(Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}");
    let mut key = format!("AWS4{}", credential.secret_key).into_bytes();
    for word in [&*day, region, "s3", "aws4_request"] {
        key = mac(&key, word);
    }
    let signature = hex::encode(mac(&key, &text));
    url.set_query(Some(&format!("{query}&X-Amz-Signature={signature}")));
    url
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// As the standard wants it: everything but letters, digits and four marks.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use time::macros::datetime;

    /// The example of Amazon's documentation of this standard.
    #[test]
    fn an_address_is_signed_as_the_documentation_shows() {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let request = Request {
            method: Method::GET,
            query: &[],
            headers: &[],
            valid: Duration::from_secs(86_400),
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let now = datetime!(2013-05-24 00:00 UTC);
        let signed = signed(url, &request, &credential, "us-east-1", now);
        assert_eq!(
            signed.as_str(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }
}
