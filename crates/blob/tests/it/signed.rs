//! Addresses that carry their own permission.

use crate::given::{Given, new_key};
use mediaflow_blob::Written;
use sha2::Digest as _;
use std::time::Duration;

const VALID: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_an_address_may_write_once_and_read() {
    let given = Given::bucket();
    let key = new_key();
    let http = reqwest::Client::new();
    let new = Written {
        key: key.clone(),
        sha256: sha2::Sha256::digest("first").into(),
        bytes: 5,
    };
    let put = given.blobs.signed_put(&new, VALID).await.unwrap().unwrap();
    let send = |body: &'static str, with_headers: bool| {
        let mut request = http.put(&put.url).body(body);
        for (name, value) in put.headers.iter().filter(|_| with_headers) {
            request = request.header(name, value);
        }
        request.send()
    };
    let unguarded = send("first", false).await.unwrap().status();
    assert_eq!(
        unguarded, 403,
        "what protects the key is part of the signature"
    );
    assert_eq!(send("first", true).await.unwrap().status(), 200);
    assert_eq!(send("first", true).await.unwrap().status(), 412);
    let new = Written {
        key: new_key(),
        ..new
    };
    let other = given.blobs.signed_put(&new, VALID);
    let other = other.await.unwrap().unwrap();
    let mut request = http.put(&other.url).body("other");
    for (name, value) in &other.headers {
        request = request.header(name, value);
    }
    let others = request.send().await.unwrap().status();
    assert_eq!(others, 400, "the bytes are part of the signature");
    let get = given.blobs.signed_get(&key, VALID).await.unwrap().unwrap();
    let read = http.get(&get.url).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "first");
    let elsewhere = given.blobs.signed_get(&new_key(), VALID).await.unwrap();
    let read = http.get(elsewhere.unwrap().url).send().await.unwrap();
    assert_eq!(read.status(), 404);
    let folder = Given::folder();
    assert_eq!(folder.blobs.signed_get(&key, VALID).await.unwrap(), None);
}
