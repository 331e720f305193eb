//! Signature version 4 of AWS, for the one kind of request that is made here: a POST to `/`.

use super::credentials::Credentials;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) service: &'a str,
    pub(super) host: &'a str,
    pub(super) content_type: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) body: &'a [u8],
    pub(super) region: &'a str,
    pub(super) at: OffsetDateTime,
}

/// The headers that prove it.
pub(super) struct Signed {
    pub(super) date: String,
    pub(super) authorization: String,
}

pub(super) fn authorization(request: &Request<'_>, credentials: &Credentials) -> Signed {
    let date = request
        .at
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .expect("every moment has these parts");
    let day = &date[..8];
    let mut headers = vec![
        ("content-type", request.content_type),
        ("host", request.host),
        ("x-amz-date", &date),
    ];
    if let Some(token) = &credentials.token {
        headers.push(("x-amz-security-token", token));
    }
    if let Some(target) = request.target {
        headers.push(("x-amz-target", target));
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = "POST\n/\n\n".to_owned();
    for (name, value) in headers {
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", &names, "\n", &digest(request.body)]);

    let scope = format!("{day}/{}/{}/aws4_request", request.region, request.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        digest(canonical.as_bytes())
    );
    let mut key = mac(
        format!("AWS4{}", credentials.secret).as_bytes(),
        day.as_bytes(),
    );
    for part in [request.region, request.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    let signature = hex::encode(mac(&key, text.as_bytes()));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.id
    );
    Signed {
        date,
        authorization,
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may be of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// The expected signatures are those that AWS's own library for Python makes of the same requests.
    #[test]
    fn signatures_are_those_that_others_make() {
        let check = |token: Option<&str>, expected: &str| {
            let request = Request {
                service: "sqs",
                host: "sqs.eu-west-1.amazonaws.com",
                content_type: "application/x-amz-json-1.0",
                target: Some("AmazonSQS.GetQueueUrl"),
                body: br#"{"QueueName":"a"}"#,
                region: "eu-west-1",
                at: datetime!(2026-01-02 03:04:05 UTC),
            };
            let credentials = Credentials {
                id: "AKIDEXAMPLE".into(),
                secret: "secret".into(),
                token: token.map(Into::into),
                expires: None,
            };
            let signed = authorization(&request, &credentials);
            assert_eq!(signed.date, "20260102T030405Z");
            let made = signed.authorization;
            assert!(made.ends_with(expected), "{made}");
        };
        check(
            None,
            "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=434e14dae723ba22217fbc9011ff99577fb8880cbdad7302c546f3b3af392042",
        );
        check(
            Some("token"),
            "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=3c969678a2336cb112d8500bb814adff54653b4efc99e8bd0cc39f2e3be8d8fe",
        );
    }
}
