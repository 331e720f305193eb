//! `GET /v1/assets`.

use crate::given::Server;
use serde_json::{Value, json};

async fn found(server: &Server, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/v1/assets?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.json()["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|i| i["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_condition_narrows() {
    let server = Server::new();
    let sea = server
        .ready(
            "photo of the sea",
            "title=Sea&tags=summer&filename=holiday.jpg",
        )
        .await;
    let logo = server.ready("PNG logo", "title=Logo&tags=work").await;
    let waiting = server.upload("waiting", "tags=summer").await;
    assert_eq!(found(&server, "").await, [waiting.as_str(), &logo, &sea]);
    assert_eq!(found(&server, "state=ready").await, [logo.as_str(), &sea]);
    assert_eq!(found(&server, "state=uploaded").await, [waiting.as_str()]);
    assert_eq!(
        found(&server, "tag=summer&state=ready").await,
        [sea.as_str()]
    );
    assert_eq!(
        found(&server, "media_type=image/png").await,
        [logo.as_str()]
    );
    assert_eq!(found(&server, "kind=image").await.len(), 3);
    assert_eq!(found(&server, "text=holiday").await, [sea.as_str()]);
    assert_eq!(found(&server, "text=brownie").await, [logo.as_str(), &sea]);
    assert_eq!(found(&server, "since=2030-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(found(&server, "until=2030-01-01T00:00:00Z").await.len(), 3);
    let in_review = server.get("/v1/assets?state=in_review").await;
    assert_eq!(
        in_review.json(),
        json!({ "items": [], "next_cursor": null })
    );
}

#[tokio::test]
async fn pages_go_on_where_they_ended() {
    let server = Server::new();
    for i in 0..5 {
        server
            .upload(&format!("photo {i}"), &format!("title={i}"))
            .await;
    }
    let mut titles = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = server.get(&format!("/v1/assets?{query}")).await.json();
        titles.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["title"].clone()),
        );
        match &page["next_cursor"] {
            Value::String(cursor) => query = format!("limit=2&cursor={cursor}"),
            end => break assert_eq!(*end, Value::Null),
        }
        server.upload("one more", "title=later").await;
    }
    assert_eq!(titles, ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn an_item_has_what_a_list_shows() {
    let server = Server::new();
    let id = server.ready("photo", "title=Sea").await;
    let page = server.get("/v1/assets").await.json();
    let item = &page["items"][0];
    assert_eq!(
        (&item["state"], &item["title"]),
        (&json!("ready"), &json!("Sea"))
    );
    let thumbnail = item["thumbnail_url"].as_str().unwrap();
    assert_eq!(
        thumbnail,
        format!("http://127.0.0.1:8080/media/{id}/thumbnail")
    );
    let path = thumbnail.strip_prefix("http://127.0.0.1:8080").unwrap();
    assert_eq!(server.get(path).await.status, 200);
}

#[tokio::test]
async fn conditions_that_make_no_sense_are_named() {
    let server = Server::new();
    for (query, name) in [
        ("colour=red", "colour"),
        ("state=done", "in_review"),
        ("kind=smell", "kind"),
        ("since=yesterday", "since"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("state=ready&state=failed", "state"),
        ("cursor=abc", "cursor"),
    ] {
        let answer = server.get(&format!("/v1/assets?{query}")).await;
        let detail = answer.problem(400, "request.invalid");
        assert!(detail.contains(name), "{query}: {detail}");
    }
}
