//! Signature version 4 of AWS, for the one kind of request that is made here: a POST to `/` with a JSON body.

use super::credentials::Credentials;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    pub(super) target: &'a str,
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
        ("content-type", "application/x-amz-json-1.0"),
        ("host", request.host),
        ("x-amz-date", &date),
    ];
    if let Some(token) = &credentials.token {
        headers.push(("x-amz-security-token", token));
    }
    headers.push(("x-amz-target", request.target));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = "POST\n/\n\n".to_owned();
    for (name, value) in headers {
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", &names, "\n", &digest(request.body)]);

    let scope = format!("{day}/{}/sqs/aws4_request", request.region);
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        digest(canonical.as_bytes())
    );
    let mut key = mac(
        format!("AWS4{}", credentials.secret).as_bytes(),
        day.as_bytes(),
    );
    for part in [request.region, "sqs", "aws4_request"] {
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
