//! What browsers see at `/`, whether the dashboard was built or not.

use crate::given::Server;

const BROWSER: &str = "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn browsers_get_a_page_that_loads_nothing_from_elsewhere_and_programs_get_links() {
    let server = Server::new();
    let page = server.get_with("/", &[BROWSER]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("MediaFlow"));
    assert_eq!(page.header("vary"), "Accept, Accept-Encoding");
    assert_eq!(page.header("cache-control"), "no-cache");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("://"), "no other host is named");
    let tag = format!("if-none-match: \"x\", {}", page.header("etag"));
    let again = server.get_with("/", &[BROWSER, &tag]).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let links = server.get("/").await;
    assert_eq!(links.header("content-type"), "application/json");
    assert_eq!(links.json()["name"], "MediaFlow");
}

#[tokio::test]
async fn what_the_page_names_is_there_packed_and_for_ever() {
    let server = Server::new();
    let page = server.get_with("/", &[BROWSER]).await;
    let text = page.text();
    let names = text.split('"').filter(|part| part.starts_with("/ui/"));
    for name in names {
        let whole = server.get(name).await;
        assert_eq!(whole.status, 200, "{name}");
        assert_eq!(
            whole.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(whole.header("x-content-type-options"), "nosniff");
        assert_eq!(whole.header("content-encoding"), "");
        let packed = server.get_with(name, &["accept-encoding: gzip, br"]).await;
        if whole.body.len() > 2000 {
            assert_eq!(packed.header("content-encoding"), "br", "{name}");
            assert!(packed.body.len() < whole.body.len());
            let headers = ["accept-encoding: gzip, br;q=0"];
            let gzip = server.get_with(name, &headers).await;
            assert_eq!(gzip.header("content-encoding"), "gzip");
        }
    }
    server
        .get("/ui/nothing.js")
        .await
        .problem(404, "route.not_found");
}
