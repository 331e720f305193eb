//! `GET /media/...` of public assets.

use crate::given::{RETINA_BYTES, Server};
use mediaflow_core::Sha256;

const CHROME: &str = "accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

#[tokio::test]
async fn a_rendition_is_safe_to_show_anywhere() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    for (extension, media_type) in [
        ("jpg", "image/jpeg"),
        ("webp", "image/webp"),
        ("avif", "image/avif"),
    ] {
        let answer = server.get(&format!("/media/{id}/large.{extension}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
        assert_eq!(
            answer.header("etag"),
            format!("\"{}\"", Sha256::of(&answer.body))
        );
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "cross-origin"
        );
        assert_eq!(
            answer.header("content-disposition"),
            format!("inline; filename=\"large.{extension}\"")
        );
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("vary"), "");
    }
}

#[tokio::test]
async fn without_an_extension_the_format_is_negotiated() {
    let server = Server::new();
    let (photo, logo, film) = (
        server.ready("photo", "").await,
        server.ready("PNG logo", "").await,
        server.ready("GIF film", "").await,
    );
    for (id, accept, media_type) in [
        (&photo, CHROME, "image/avif"),
        (&photo, "accept: image/webp,*/*", "image/webp"),
        (&photo, "accept: */*", "image/jpeg"),
        (&photo, "x-nothing: said", "image/jpeg"),
        (&logo, "accept: image/*", "image/png"),
        (&film, CHROME, "image/webp"),
        (&film, "accept: image/avif", "image/jpeg"),
    ] {
        let answer = server
            .get_with(&format!("/media/{id}/large"), &[accept])
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), media_type, "{accept}");
        assert_eq!(answer.header("vary"), "Accept");
        assert_eq!(answer.header("cache-control"), "no-cache");
        let named = format!("/media/{id}/{}", answer.header("content-location"));
        assert_eq!(server.get(&named).await.body, answer.body);
    }
    let both = ["accept: image/webp", "accept: image/avif"];
    let answer = server
        .get_with(&format!("/media/{photo}/large"), &both)
        .await;
    assert_eq!(answer.header("content-type"), "image/avif");
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/media/{id}/large");
    let first = server.get_with(&path, &[CHROME]).await;
    let known = format!("if-none-match: {}", first.header("etag"));
    let second = server.get_with(&path, &[CHROME, &known]).await;
    assert_eq!((second.status.as_u16(), second.body.len()), (304, 0));
    for name in ["etag", "cache-control", "vary", "content-location"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    // The same tag is no longer right for who gets another format.
    let other = server.get_with(&path, &[&known]).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn ranges_of_small_and_streamed_files() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    for profile in ["small", "retina"] {
        let path = format!("/media/{id}/{profile}.jpg");
        let whole = server.get(&path).await;
        let total = whole.body.len();
        assert!(profile != "retina" || total == RETINA_BYTES);
        for (range, from, to) in [
            ("bytes=0-9".to_owned(), 0, 10),
            ("bytes=-10".to_owned(), total - 10, total),
            (format!("bytes={}-", total - 1), total - 1, total),
            ("bytes=10-99999999".to_owned(), 10, total),
        ] {
            let part = server.get_with(&path, &[&format!("range: {range}")]).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(part.body, whole.body[from..to], "{range}");
            assert_eq!(
                part.header("content-range"),
                format!("bytes {from}-{}/{total}", to - 1)
            );
            assert_eq!(part.header("content-length"), (to - from).to_string());
            assert_eq!(part.header("etag"), whole.header("etag"));
        }
        let outside = format!("range: bytes={total}-");
        let answer = server.get_with(&path, &[&outside]).await;
        answer.problem(416, "request.range");
        assert_eq!(answer.header("content-range"), format!("bytes */{total}"));
        let head = server.send("HEAD", &path, &["range: bytes=0-1"], "");
        let head = head.await;
        assert_eq!(head.status, 200, "only a GET has ranges");
        assert_eq!(head.header("content-length"), total.to_string());
        let several = server.get_with(&path, &["range: bytes=0-1,4-5"]).await;
        assert_eq!((several.status.as_u16(), several.body.len()), (200, total));
        let same = format!("if-range: {}", whole.header("etag"));
        let part = server.get_with(&path, &["range: bytes=0-1", &same]).await;
        assert_eq!(part.status, 206);
        let other = server
            .get_with(&path, &["range: bytes=0-1", "if-range: \"other\""])
            .await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn head_says_what_get_would() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    for path in [
        format!("/media/{id}/retina.jpg"),
        format!("/media/{id}/small"),
    ] {
        let get = server.get(&path).await;
        let head = server.send("HEAD", &path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for name in [
            "content-length",
            "content-type",
            "etag",
            "cache-control",
            "vary",
        ] {
            assert_eq!(get.header(name), head.header(name), "{name}");
        }
    }
    let head = server
        .send("HEAD", &format!("/media/{id}/nothing"), &[], "")
        .await;
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
}

#[tokio::test]
async fn only_the_hash_makes_an_address_last() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let hash = Sha256::of(&server.get(&format!("/media/{id}/large.webp")).await.body);
    let path = format!("/media/{id}/{hash}/large.webp");
    let answer = server.get(&path).await;
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    // Addresses that no purge would name may not last.
    for other in [format!("{path}?v=1"), path.replace("large", "%6Carge")] {
        let answer = server.get(&other).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("cache-control")),
            (200, "no-cache"),
            "{other}"
        );
    }
    let other = Sha256::of(b"other");
    for wrong in [
        format!("/media/{id}/{other}/large.webp"),
        format!("/media/{id}/{hash}/large.avif"),
        format!("/media/{id}/{hash}/small.webp"),
        format!("/media/{id}/{hash}/large"),
        format!("/media/{id}/{}/large.webp", hash.to_string().to_uppercase()),
    ] {
        server.get(&wrong).await.problem(404, "rendition.not_found");
    }
    server
        .send("POST", &format!("/v1/assets/{id}/reprocess"), &[], "")
        .await;
    server.work().await;
    server.get(&path).await.problem(404, "rendition.not_found");
}

#[tokio::test]
async fn what_is_not_there() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let waiting = server.upload("other", "").await;
    for path in [
        format!("/media/{waiting}/large"),
        format!("/media/{id}/huge"),
        format!("/media/{id}/large.png"),
        format!("/media/{id}/large.gif"),
        format!("/media/{id}/"),
        format!("/media/{id}//large.jpg"),
        format!("/media//{id}/large.jpg"),
        format!("/media/{id}/./large.jpg"),
        format!("/media/{id}/../{id}/large.jpg"),
        format!("/media/{id}/%2e%2e/large.jpg"),
        format!("/media/{id}%2Flarge.jpg"),
        format!("/media/{}/large.jpg", id.to_uppercase()),
        format!("/media/{}/large.jpg", id.replace('-', "")),
        "/media/01920000-0000-7000-8000-000000000001/large".to_owned(),
        "/media/x".to_owned(),
    ] {
        let answer = server.get(&path).await;
        answer.problem(404, "rendition.not_found");
    }
}

#[tokio::test]
async fn a_missing_file_is_our_fault_and_says_nothing_of_it() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    for file in walk(&server.folder.path().join("blobs/renditions")) {
        std::fs::write(file, "damaged").unwrap();
    }
    for profile in ["small", "retina"] {
        let answer = server.get(&format!("/media/{id}/{profile}.jpg")).await;
        let detail = answer.problem(500, "storage.corrupt");
        assert!(!detail.contains("renditions"), "{detail}");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(folder).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}
