//! What answers where nothing is.

use crate::given::Server;

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = Server::new();
    for path in [
        "/nothing",
        "/v1",
        "/v1/",
        "/v1/assets/",
        "/v2/assets",
        "/media",
        "//v1/assets",
    ] {
        server.get(path).await.problem(404, "route.not_found");
    }
    for (method, path) in [
        ("PUT", "/v1/assets"),
        ("DELETE", "/v1/assets"),
        ("POST", "/healthz"),
        ("POST", "/media/x/y"),
        ("OPTIONS", "/healthz"),
        ("BREW", "/v1/assets"),
    ] {
        let answer = server.send(method, path, &[], "").await;
        answer.problem(405, "route.method");
        assert!(
            answer
                .header("allow")
                .contains(if path == "/v1/assets" { "POST" } else { "GET" })
        );
    }
}

#[tokio::test]
async fn a_problem_of_head_has_no_body() {
    let server = Server::new();
    let answer = server.send("HEAD", "/nothing", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0));
    assert_eq!(answer.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn parameters_are_refused_where_there_are_none() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    for path in [
        format!("/v1/assets/{id}?fields=id"),
        format!("/v1/assets/{id}/original?x=1"),
    ] {
        server.get(&path).await.problem(400, "request.invalid");
    }
}

#[tokio::test]
async fn text_that_not_every_database_takes_is_refused() {
    let server = Server::new();
    for query in ["tag=a%00b", "text=%00", "media_type=image/%00"] {
        let answer = server.get(&format!("/v1/assets?{query}")).await;
        assert!(answer.problem(400, "request.invalid").contains("NUL"));
    }
}

#[tokio::test]
async fn unknown_paths_do_not_make_metrics() {
    let server = Server::new();
    server.get("/nothing/17").await;
    server.send("BREW", "/nothing/18", &[], "").await;
    let id = server.upload("photo", "").await;
    server.asset(&id).await;
    let text = server.get("/metrics").await;
    let text = text.text();
    assert!(
        text.contains("{method=\"GET\",route=\"unmatched\",status=\"404\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("{method=\"other\",route=\"unmatched\",status=\"404\"} 1\n"));
    assert!(text.contains("{method=\"GET\",route=\"/v1/assets/{id}\",status=\"200\"} 1\n"));
    assert!(!text.contains(&id));
}
