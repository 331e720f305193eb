//! `GET /media/s/...`: private assets and signed addresses.

use crate::given::Server;
use mediaflow_core::{AssetId, Timestamp};
use mediaflow_engine::store::Environment as _;
use std::time::Duration;

async fn private() -> (Server, AssetId) {
    let server = Server::new();
    let id = server.ready("photo", "visibility=private").await;
    let asset = id.parse().unwrap();
    (server, asset)
}

fn in_an_hour(server: &Server) -> Timestamp {
    server.world.now().after(Duration::from_secs(3600))
}

#[tokio::test]
async fn a_private_asset_does_not_exist_without_a_signature() {
    let (server, id) = private().await;
    for path in [
        format!("/media/{id}/large"),
        format!("/media/{id}/large.jpg"),
    ] {
        server.get(&path).await.problem(404, "rendition.not_found");
        let head = server.send("HEAD", &path, &[], "").await;
        assert_eq!(head.status, 404);
    }
}

#[tokio::test]
async fn a_signature_opens_everything_below_it() {
    let (server, id) = private().await;
    let prefix = server.signer.path(id, "", in_an_hour(&server));
    for rest in ["large.jpg", "large", "small.avif", "thumbnail.webp"] {
        for method in ["GET", "HEAD"] {
            let answer = server
                .send(method, &format!("{prefix}{rest}"), &[], "")
                .await;
            assert_eq!(answer.status, 200, "{rest}");
            assert_eq!(answer.header("cache-control"), "private, max-age=300");
        }
    }
    let part = server
        .get_with(&format!("{prefix}large.jpg"), &["range: bytes=0-0"])
        .await;
    assert_eq!(part.status, 206);
    server
        .get(&format!("{prefix}huge.jpg"))
        .await
        .problem(404, "rendition.not_found");
}

#[tokio::test]
async fn caches_keep_nothing_beyond_the_end() {
    let (server, id) = private().await;
    let end = server.world.now().after(Duration::from_secs(100));
    let prefix = server.signer.path(id, "", end);
    let stable = server.get(&format!("{prefix}large.jpg")).await;
    let age: u64 = stable
        .header("cache-control")
        .strip_prefix("private, max-age=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((90..100).contains(&age), "{age}");
    let hash = stable.header("etag").trim_matches('"').to_owned();
    let lasting = server.get(&format!("{prefix}{hash}/large.jpg")).await;
    let cache = lasting.header("cache-control");
    assert!(
        cache.starts_with("private, max-age=9") && cache.ends_with(", immutable"),
        "{cache}"
    );
    server.world.pass(Duration::from_secs(101));
    let answer = server.get(&format!("{prefix}large.jpg")).await;
    answer.problem(403, "signature.invalid");
}

#[tokio::test]
async fn whatever_is_wrong_about_a_signature_the_answer_is_the_same() {
    let (server, id) = private().await;
    let other = server.ready("other", "visibility=private").await;
    let good = server.signer.path(id, "large.jpg", in_an_hour(&server));
    assert_eq!(server.get(&good).await.status, 200);
    let token = good.split('/').nth(3).unwrap().to_owned();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (kid, expiry) = head.split_once('.').unwrap();
    let later = expiry.parse::<u64>().unwrap() + 1;
    let expired = server.signer.path(id, "large.jpg", server.world.now());
    let mut details = Vec::new();
    for path in [
        format!("/media/s/{token}/{other}/large.jpg"),
        format!("/media/s/{kid}.{later}.{signature}/{id}/large.jpg"),
        format!("/media/s/k2.{expiry}.{signature}/{id}/large.jpg"),
        format!("/media/s/{head}/{id}/large.jpg"),
        format!("/media/s/{token}x/{id}/large.jpg"),
        format!("/media/s/{token}=/{id}/large.jpg"),
        format!("/media/s/{id}/large.jpg"),
        format!("/media/s/{token}/{id}"),
        format!("/media/s/{token}/{id}/a/b/c"),
        format!(
            "/media/s/{token}/{}/large.jpg",
            id.to_string().to_uppercase()
        ),
        "/media/s/".to_owned() + &token,
        expired,
    ] {
        let answer = server.get(&path).await;
        if answer.status != 404 {
            details.push(answer.problem(403, "signature.invalid"));
        }
    }
    details.dedup();
    assert_eq!(details.len(), 1);
}

#[tokio::test]
async fn tricks_with_the_path_open_nothing_else() {
    let (server, id) = private().await;
    let other = server.ready("other", "visibility=private").await;
    let prefix = server.signer.path(id, "", in_an_hour(&server));
    for rest in [
        format!("../{other}/large.jpg"),
        format!("%2e%2e/{other}/large.jpg"),
        format!("..%2F{other}%2Flarge.jpg"),
        format!("/{other}/large.jpg"),
        format!("{other}/large.jpg"),
        format!("large.jpg/../../{other}/large.jpg"),
        format!("%5c..%5c{other}%5clarge.jpg"),
    ] {
        let answer = server.get(&format!("{prefix}{rest}")).await;
        assert!(
            matches!(answer.status.as_u16(), 403 | 404),
            "{rest}: {answer:?}"
        );
    }
    let prefix = prefix.replace(&id.to_string(), &format!("{id}%2F..%2F{other}"));
    let answer = server.get(&format!("{prefix}large.jpg")).await;
    assert!(matches!(answer.status.as_u16(), 403 | 404));
}

#[tokio::test]
async fn an_encoded_path_is_checked_as_what_it_means() {
    let (server, id) = private().await;
    let path = server.signer.path(id, "large.jpg", in_an_hour(&server));
    let encoded = path.replace("k1.", "%6B1%2E").replace("large", "l%61rge");
    assert_eq!(server.get(&encoded).await.status, 200);
}

#[tokio::test]
async fn answers_about_private_assets_have_addresses_that_work() {
    let (server, id) = private().await;
    let asset = server.asset(&id.to_string()).await;
    let list = server.get("/v1/assets").await.json();
    let rendition = &asset["renditions"][0];
    for url in [
        &rendition["url"],
        &rendition["immutable_url"],
        &list["items"][0]["thumbnail_url"],
    ] {
        let url = url.as_str().unwrap();
        let path = url.strip_prefix("http://127.0.0.1:8080").unwrap();
        assert!(path.starts_with("/media/s/k1."), "{path}");
        assert_eq!(server.get(path).await.status, 200);
    }
}

#[tokio::test]
async fn becoming_private_takes_effect_at_once() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/media/{id}/large.jpg");
    assert_eq!(server.get(&path).await.status, 200);
    let change = "{\"visibility\": \"private\"}";
    server
        .json("PATCH", &format!("/v1/assets/{id}"), change)
        .await;
    server.get(&path).await.problem(404, "rendition.not_found");
}

#[tokio::test]
async fn a_signed_address_of_a_public_asset_works_too() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = server
        .signer
        .path(id.parse().unwrap(), "large.jpg", in_an_hour(&server));
    let answer = server.get(&path).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("cache-control").starts_with("private"));
}
