//! Pages of other sites that read `/media/`.

use crate::given::{Answer, Server, Wish};

const SITE: &str = "origin: https://example.com";

fn allowed(answer: &Answer) -> &str {
    answer.header("access-control-allow-origin")
}

async fn asks(server: &Server, path: &str) -> Answer {
    let headers = [
        SITE,
        "access-control-request-method: GET",
        "access-control-request-headers: range",
    ];
    server.send("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn every_site_may_read_media_and_nothing_else() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/media/{id}/large.jpg");
    let before = asks(&server, &path).await;
    assert_eq!(before.status, 204);
    assert_eq!(allowed(&before), "*");
    assert!(
        before
            .header("access-control-allow-headers")
            .contains("Range")
    );
    assert_eq!(before.header("access-control-allow-methods"), "GET, HEAD");

    let part = server.get_with(&path, &[SITE, "range: bytes=0-0"]).await;
    assert_eq!((part.status.as_u16(), allowed(&part)), (206, "*"));
    let exposed = part.header("access-control-expose-headers");
    for name in ["Content-Length", "Content-Range", "ETag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert_eq!(part.header("access-control-allow-credentials"), "");
    assert!(!part.header("vary").contains("Origin"), "the same for all");
    let missing = server.get_with("/media/nothing/large.jpg", &[SITE]).await;
    assert_eq!((missing.status.as_u16(), allowed(&missing)), (404, "*"));
    let plain = server.get(&path).await;
    assert_eq!(allowed(&plain), "", "nobody asked");

    let api = format!("/v1/assets/{id}");
    assert_eq!(allowed(&asks(&server, &api).await), "");
    assert_eq!(allowed(&server.get_with(&api, &[SITE]).await), "");
}

#[tokio::test]
async fn listed_sites_may_and_others_may_not() {
    let server = Server::with(Wish {
        cors: vec!["https://example.com".into(), "http://localhost:3000".into()],
        ..Wish::default()
    });
    let id = server.ready("photo", "").await;
    let path = format!("/media/{id}/large");
    let own = server.get_with(&path, &[SITE]).await;
    assert_eq!(allowed(&own), "https://example.com");
    let varies = own.headers.get_all("vary").iter();
    let varies: Vec<&str> = varies.map(|v| v.to_str().unwrap()).collect();
    assert_eq!(varies, ["Accept", "Origin"]);
    for stranger in [
        "https://example.com.evil.example",
        "http://example.com",
        "null",
    ] {
        let answer = server
            .get_with(&path, &[&format!("origin: {stranger}")])
            .await;
        assert_eq!(
            (answer.status.as_u16(), allowed(&answer)),
            (200, ""),
            "{stranger}"
        );
    }
    let none = Server::with(Wish {
        cors: Vec::new(),
        ..Wish::default()
    });
    assert_eq!(allowed(&asks(&none, &path).await), "");
}

#[test]
fn an_origin_is_no_address() {
    for bad in [
        "example.com",
        "https://",
        "https://a.example/",
        "https://*.example",
        "",
    ] {
        let error = mediaflow_api::CorsOrigins::new(&[bad.into()]).unwrap_err();
        assert!(error.contains("without a path"), "{error}");
    }
}
