//! `GET /v1/assets/{id}/original`.

use crate::given::Server;

#[tokio::test]
async fn the_original_is_a_download_and_never_a_page() {
    let server = Server::new();
    let id = server.upload("photo", "filename=%22s%C3%A4a%22.html").await;
    let path = format!("/v1/assets/{id}/original");
    let answer = server.get(&path).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "photo"));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-length"), "5");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; sandbox"
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"_s_a_.html\"; filename*=UTF-8''%22s%C3%A4a%22.html"
    );
    let part = server.get_with(&path, &["range: bytes=1-2"]).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, "ho"));
    let etag = format!("if-none-match: {}", answer.header("etag"));
    assert_eq!(server.get_with(&path, &[&etag]).await.status, 304);
    let head = server.send("HEAD", &path, &[], "").await;
    assert_eq!(
        (
            head.status.as_u16(),
            head.header("content-length"),
            head.body.len()
        ),
        (200, "5", 0)
    );
}

#[tokio::test]
async fn a_download_without_a_name_has_the_id() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    let answer = server.get(&format!("/v1/assets/{id}/original")).await;
    assert!(
        answer
            .header("content-disposition")
            .contains(&format!("filename=\"{id}\""))
    );
}
