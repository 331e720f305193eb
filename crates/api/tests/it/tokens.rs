//! Upload tokens, and what keys may send.

use crate::given::{Answer, Server, TENANT, Wish};
use crate::imports::PATIENCE;
use crate::tus::{BYTES, VERSION, held};
use bytes::Bytes;
use mediaflow_api::minting::mint;
use mediaflow_engine::store::{Environment as _, KeyLimits, Scope};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHOP: &str = "origin: https://shop.example";

fn locked() -> Server {
    let mut wish = Wish {
        is_open: false,
        ..Wish::default()
    };
    wish.config.upload_origins = vec!["https://shop.example".into()];
    Server::with(wish)
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}")
}

async fn try_mint(server: &Server, key: &str, terms: Value) -> Answer {
    let headers = [&*bearer(key), "content-type: application/json"];
    server
        .send("POST", "/v1/upload-tokens", &headers, terms.to_string())
        .await
}

async fn token(server: &Server, terms: Value) -> String {
    let key = server.key(&[Scope::Ingest]).await;
    let answer = try_mint(server, &key, terms).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    bearer(answer.json()["token"].as_str().unwrap())
}

async fn upload(server: &Server, token: &str, query: &str, body: &'static str) -> Answer {
    let path = format!("/v1/assets?{query}");
    let length = format!("content-length: {}", body.len());
    server.send("POST", &path, &[token, &length], body).await
}

#[tokio::test]
async fn a_token_is_for_one_upload_and_nothing_else() {
    let server = locked();
    let token = token(&server, json!({})).await;
    for path in ["/v1/assets", "/v1/events", "/v1/tasks"] {
        server
            .get_with(path, &[&token])
            .await
            .problem(401, "auth.invalid");
    }
    let headers = [&*token, "content-type: application/json"];
    let more = server
        .send("POST", "/v1/upload-tokens", &headers, "{}")
        .await;
    more.problem(401, "auth.invalid");
    // What is refused does not use it up.
    upload(&server, &token, "", "<svg>")
        .await
        .problem(415, "input.unsupported");
    let done = upload(&server, &token, "", "photo").await;
    assert_eq!(done.status, 202, "{done:?}");
    upload(&server, &token, "", "photo")
        .await
        .problem(403, "token.used");
    let opened = [&*token, VERSION, "upload-length: 5"];
    let opened = server.send("POST", "/v1/tus", &opened, "").await;
    opened.problem(403, "token.used");
    let begun = server
        .send("POST", "/v1/uploads", &headers, "{\"bytes\":5}")
        .await;
    begun.problem(403, "token.used");
}

#[tokio::test]
async fn tokens_that_are_none_are_all_the_same() {
    let server = locked();
    let token = token(&server, json!({ "expires_s": 60 })).await;
    let stranger = {
        let other = locked();
        self::token(&other, json!({})).await
    };
    for wrong in [
        &stranger,
        &token[..token.len() - 1],
        "authorization: Bearer mfu_x",
    ] {
        upload(&server, wrong, "", "photo")
            .await
            .problem(401, "token.invalid");
    }
    server.world.pass(Duration::from_secs(60));
    upload(&server, &token, "", "photo")
        .await
        .problem(401, "token.invalid");
    // It ends with the key that minted it.
    let key = mint(server.world.id().into(), "pages", &[Scope::Ingest], TENANT);
    let id = key.stored.id;
    server.store.add_key(key.stored).await.unwrap();
    let minted = try_mint(&server, &key.text, json!({})).await.json();
    server.store.revoke_key(TENANT, id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let token = bearer(minted["token"].as_str().unwrap());
    upload(&server, &token, "", "photo")
        .await
        .problem(401, "token.invalid");
}

#[tokio::test]
async fn who_may_mint_and_what() {
    let server = locked();
    let reader = server.key(&[Scope::Read]).await;
    try_mint(&server, &reader, json!({}))
        .await
        .problem(403, "auth.scope");
    server
        .post("/v1/upload-tokens", "{}")
        .await
        .problem(401, "auth.missing");
    let key = server.key(&[Scope::Ingest]).await;
    for wrong in [
        json!({ "bytes_max": 0 }),
        json!({ "types": ["pictures"] }),
        json!({ "origin": "*" }),
        json!({ "origin": "https://shop.example/cart" }),
        json!({ "expires_s": 5 }),
        json!({ "expires_s": 1_000_000 }),
        json!({ "visibility": "secret" }),
        json!({ "color": "red" }),
    ] {
        try_mint(&server, &key, wrong)
            .await
            .problem(400, "request.invalid");
    }
}

#[tokio::test]
async fn terms_hold_on_every_way_in() {
    let server = locked();
    let terms = json!({
        "bytes_max": 10, "types": ["image/png"], "origin": "https://shop.example",
        "visibility": "private", "title": "From the shop", "tags": ["shop"], "metadata": { "order": 7 },
    });
    let token = token(&server, terms.clone()).await;
    let page = [&*token, SHOP];
    let evil = [&*token, "origin: https://evil.example"];
    let send = async |headers: &[&str], body: &'static str| {
        server
            .send(
                "POST",
                "/v1/assets?visibility=public&filename=a.png",
                headers,
                body,
            )
            .await
    };
    send(&[&token], "PNG").await.problem(403, "token.origin");
    send(&evil, "PNG").await.problem(403, "token.origin");
    send(&page, "PNG and too much")
        .await
        .problem(413, "limit.bytes");
    send(&page, "jpeg").await.problem(415, "limit.type");
    let announced = [&*token, SHOP, "content-type: video/mp4"];
    send(&announced, "PNG").await.problem(415, "limit.type");

    let json = [&*token, SHOP, "content-type: application/json"];
    for (wanted, status, code) in [
        (json!({ "bytes": 11 }), 413, "limit.bytes"),
        (
            json!({ "bytes": 5, "type": "image/jpeg" }),
            415,
            "limit.type",
        ),
    ] {
        let answer = server
            .send("POST", "/v1/uploads", &json, wanted.to_string())
            .await;
        answer.problem(status, code);
    }
    let tus = |length: &'static str| {
        [
            token.clone(),
            SHOP.into(),
            VERSION.into(),
            length.to_owned(),
        ]
    };
    let open = async |length| {
        let headers = tus(length);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        server.send("POST", "/v1/tus", &headers, "").await
    };
    open("upload-length: 11").await.problem(413, "limit.bytes");
    let opened = open("upload-defer-length: 1").await;
    assert_eq!(opened.status, 201, "{opened:?}");
    assert_eq!(
        opened.header("access-control-allow-origin"),
        "https://shop.example"
    );
    let path = opened.header("location").to_owned();
    let add = async |offset: &str, more: &[&str], body: &'static str| {
        let all = [&[&*token, SHOP, VERSION, BYTES, offset][..], more].concat();
        server.send("PATCH", &path, &all, body).await
    };
    let long = add("upload-offset: 0", &["upload-length: 11"], "PNG").await;
    long.problem(413, "limit.bytes");
    let done = add("upload-offset: 0", &["upload-length: 4"], "PNG!").await;
    assert_eq!(done.status, 204, "{done:?}");
    let head = server
        .send("HEAD", &path, &[&token, SHOP, VERSION], "")
        .await;
    assert_eq!(head.status, 200);
    let key = bearer(&server.key(&[Scope::Read]).await);
    let asset = server
        .get_with(done.header("mediaflow-asset"), &[&key])
        .await
        .json();
    for (name, value) in terms.as_object().unwrap() {
        if ["visibility", "title", "tags", "metadata"].contains(&&**name) {
            assert_eq!(&asset[name], value, "{name}");
        }
    }
    // Another upload is none of its business.
    let other = self::token(&server, json!({})).await;
    let head = server.send("HEAD", &path, &[&other, VERSION], "").await;
    assert_eq!(head.status, 403);
}

#[tokio::test]
async fn of_two_uploads_at_once_one_has_the_token() {
    let server = locked();
    let token = token(&server, json!({})).await;
    let tries = (0..6).map(|_| upload(&server, &token, "", "photo"));
    let tries = futures_util::future::join_all(tries).await;
    let statuses: Vec<u16> = tries.iter().map(|t| t.status.as_u16()).collect();
    assert_eq!(
        statuses.iter().filter(|s| **s == 202).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|s| **s == 403).count(),
        5,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn a_page_that_goes_away_has_used_its_token_all_the_same() {
    let server = Arc::new(locked());
    let token = token(&server, json!({})).await;
    let (body, is_read, end) = held("photo");
    let (at, sent) = (Arc::clone(&server), token.clone());
    let sending = tokio::spawn(async move {
        let headers = [&*sent, VERSION, BYTES, "upload-length: 5"];
        at.send("POST", "/v1/tus", &headers, body).await
    });
    is_read.notified().await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    // All had arrived.
    end.send(Ok(Bytes::new())).unwrap();
    let reader = bearer(&server.key(&[Scope::Read]).await);
    let began = Instant::now();
    while server.get_with("/v1/assets", &[&reader]).await.json()["items"] == json!([]) {
        assert!(began.elapsed() < PATIENCE, "what had arrived is an asset");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    upload(&server, &token, "", "photo")
        .await
        .problem(403, "token.used");
}

#[tokio::test]
async fn a_page_uploads_straight_with_a_token() {
    let server = locked();
    let token = token(&server, json!({ "origin": "https://shop.example" })).await;
    let headers = [&*token, SHOP, "content-type: application/json"];
    let begun = server
        .send("POST", "/v1/uploads", &headers, "{\"bytes\":5}")
        .await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let begun = begun.json();
    let url = begun["requests"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:8080").unwrap();
    let put = server
        .send("PUT", path, &[SHOP, "content-length: 5"], "photo")
        .await;
    assert_eq!(put.status, 200, "{put:?}");
    let path = begun["links"]["complete"].as_str().unwrap();
    let done = server.send("POST", path, &headers, "{}").await;
    assert_eq!(done.status, 202, "{done:?}");
    let other = self::token(&server, json!({})).await;
    let path = begun["links"]["self"].as_str().unwrap();
    server
        .get_with(path, &[&other])
        .await
        .problem(403, "token.used");
    let state = server.get_with(path, &[&token, SHOP]).await;
    assert_eq!(state.json()["state"], "done");
}

/// No day ends soon.
fn noon(server: &Server) {
    const DAY: i64 = 86_400_000;
    let left = DAY - server.world.now().0.rem_euclid(DAY) + DAY / 2;
    server
        .world
        .pass(Duration::from_millis(left.try_into().unwrap()));
}

async fn limited(server: &Server, limits: KeyLimits) -> String {
    let mut key = mint(server.world.id().into(), "phones", &[Scope::Admin], TENANT);
    key.stored.limits = limits;
    server.store.add_key(key.stored).await.unwrap();
    bearer(&key.text)
}

#[tokio::test]
async fn a_key_sends_what_its_limits_allow() {
    let server = locked();
    let key = limited(
        &server,
        KeyLimits {
            file_bytes_max: Some(8),
            types: vec!["image/*".into()],
            open_max: Some(1),
            ..KeyLimits::default()
        },
    )
    .await;
    upload(&server, &key, "", "too large")
        .await
        .problem(413, "limit.bytes");
    let video = [&*key, "content-type: video/mp4"];
    let refused = server.send("POST", "/v1/assets", &video, "photo").await;
    refused.problem(415, "limit.type");
    let opened = [&*key, VERSION, "upload-length: 5"];
    let first = server.send("POST", "/v1/tus", &opened, "").await;
    assert_eq!(first.status, 201, "{first:?}");
    let second = server.send("POST", "/v1/tus", &opened, "").await;
    second.problem(429, "limit.rate");
    assert_eq!(second.header("retry-after"), "2");
    let direct = [&*key, "content-type: application/json"];
    let third = server
        .send("POST", "/v1/uploads", &direct, "{\"bytes\":5}")
        .await;
    third.problem(429, "limit.rate");
    let path = first.header("location").to_owned();
    let headers = [&*key, VERSION, BYTES, "upload-offset: 0"];
    let done = server.send("PATCH", &path, &headers, "photo").await;
    assert_eq!(done.status, 204);
    assert!(done.header("mediaflow-asset").starts_with("/v1/assets/"));
    assert_eq!(
        server.send("POST", "/v1/tus", &opened, "").await.status,
        201
    );
}

#[tokio::test]
async fn a_day_has_as_many_bytes_and_files_as_were_said() {
    let server = locked();
    noon(&server);
    let key = limited(
        &server,
        KeyLimits {
            day_bytes_max: Some(20),
            day_files_max: Some(3),
            ..KeyLimits::default()
        },
    )
    .await;
    let answer = upload(&server, &key, "", "ten bytes!").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let refused = upload(&server, &key, "", "eleven byte").await;
    refused.problem(429, "limit.quota");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    // What is announced counts already.
    let opened = [&*key, VERSION, "upload-length: 9"];
    let opened = server.send("POST", "/v1/tus", &opened, "").await;
    assert_eq!(opened.status, 201, "{opened:?}");
    upload(&server, &key, "", "xx")
        .await
        .problem(429, "limit.quota");
    assert_eq!(upload(&server, &key, "", "x").await.status, 202);
    upload(&server, &key, "", "z")
        .await
        .problem(429, "limit.quota");
    let path = opened.header("location").to_owned();
    let ended = server.send("DELETE", &path, &[&key, VERSION], "").await;
    assert_eq!(ended.status, 204);
    let answer = upload(&server, &key, "", "nine more").await;
    assert_eq!(answer.status, 202, "it was given up: {answer:?}");
    upload(&server, &key, "", "y")
        .await
        .problem(429, "limit.quota");
    server.world.pass(Duration::from_secs(86_400));
    assert_eq!(upload(&server, &key, "", "another day").await.status, 202);
    // Of others nothing is counted.
    let other = bearer(&server.key(&[Scope::Ingest]).await);
    assert_eq!(
        upload(&server, &other, "", "as much as it likes, and more")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn what_nobody_has_announced_has_no_more_of_a_day() {
    let server = locked();
    noon(&server);
    let key = limited(
        &server,
        KeyLimits {
            day_bytes_max: Some(20),
            ..KeyLimits::default()
        },
    )
    .await;
    let open = async || {
        let headers = [&*key, VERSION, "upload-defer-length: 1"];
        let opened = server.send("POST", "/v1/tus", &headers, "").await;
        opened.header("location").to_owned()
    };
    let add = async |path: &str, start: usize, more: &[&str], body: &'static str| {
        let start = format!("upload-offset: {start}");
        let all = [&[&*key, VERSION, BYTES, &start][..], more].concat();
        server.send("PATCH", path, &all, body).await
    };
    let (one, other) = (open().await, open().await);
    let first = add(&one, 0, &[], "fifteen bytes!!").await;
    assert_eq!(first.status, 204, "{first:?}");
    let refused = add(&other, 0, &[], "too many").await;
    refused.problem(429, "limit.quota");
    assert_ne!(refused.header("retry-after"), "");
    let refused = add(&other, 0, &["upload-length: 6"], "").await;
    refused.problem(429, "limit.quota");
    // It stands, and has what is left.
    let done = add(&other, 0, &["upload-length: 5"], "photo").await;
    assert_eq!(done.status, 204, "{done:?}");
    let done = add(&one, 15, &["upload-length: 15"], "").await;
    assert_eq!(done.status, 204, "{done:?}");
    assert!(done.header("mediaflow-asset").starts_with("/v1/assets/"));
}

#[tokio::test]
async fn a_token_has_the_limits_of_the_key_that_minted_it() {
    let server = locked();
    noon(&server);
    let key = limited(
        &server,
        KeyLimits {
            file_bytes_max: Some(8),
            day_files_max: Some(1),
            ..KeyLimits::default()
        },
    )
    .await;
    let mint = async || {
        let terms = [&*key, "content-type: application/json"];
        let minted = server
            .send("POST", "/v1/upload-tokens", &terms, "{\"bytes_max\":100}")
            .await;
        bearer(minted.json()["token"].as_str().unwrap())
    };
    let (one, two) = (mint().await, mint().await);
    upload(&server, &two, "", "too large")
        .await
        .problem(413, "limit.bytes");
    assert_eq!(upload(&server, &one, "", "photo").await.status, 202);
    upload(&server, &two, "", "photo")
        .await
        .problem(429, "limit.quota");
}
