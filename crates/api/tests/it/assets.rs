//! One asset: looking, changing, deleting, processing again.

use crate::given::{Server, Wish};
use mediaflow_api::ApiConfig;
use mediaflow_core::{ErrorCode, Failure};
use serde_json::{Value, json};

const NOBODY: &str = "01920000-0000-7000-8000-000000000001";

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn everything_known_under_its_documented_name() {
    let server = Server::new();
    let id = server
        .ready("photo", "filename=sea.jpg&metadata=%7B%22a%22%3A1%7D")
        .await;
    let answer = server.get(&format!("/v1/assets/{id}")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/json")
    );
    let asset = answer.json();
    for name in [
        "id",
        "state",
        "viewable",
        "kind",
        "recipe",
        "generation",
        "original",
        "metadata",
        "placeholder",
        "moderation",
        "renditions",
        "tasks",
        "title",
        "tags",
        "visibility",
        "progress",
        "error",
        "correlation_id",
        "created_at",
    ] {
        assert!(asset.get(name).is_some(), "{name} is missing");
    }
    assert_eq!(asset["id"], *id);
    assert_eq!(
        (&asset["state"], &asset["viewable"]),
        (&json!("ready"), &json!(true))
    );
    assert_eq!(
        (&asset["kind"], &asset["generation"]),
        (&json!("image"), &json!(1))
    );
    assert_eq!(asset["recipe"]["name"], "image");
    assert_eq!(asset["progress"], 1.0);
    assert_eq!(asset["metadata"], json!({ "a": 1 }));
    assert_eq!(
        asset["placeholder"],
        json!({ "blurhash": "LEHV6n", "color": "#aabbcc" })
    );
    assert_eq!(asset["inspected"]["camera"]["model"], "Brownie");
    assert_eq!(
        names(&asset["original"]),
        [
            "bytes",
            "filename",
            "height",
            "media_type",
            "sha256",
            "width"
        ]
    );
    let created = asset["created_at"].as_str().unwrap();
    assert!(mediaflow_core::Timestamp::parse_rfc3339(created).is_some());
    let profiles: Vec<&Value> = asset["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["profile"])
        .collect();
    assert_eq!(profiles.len(), 18);
    for name in [
        "thumbnail",
        "small",
        "medium",
        "large",
        "retina",
        "original",
    ] {
        assert_eq!(profiles.iter().filter(|p| **p == name).count(), 3, "{name}");
    }
    let first = &asset["renditions"][0];
    for name in [
        "profile", "format", "width", "height", "bytes", "sha256", "url",
    ] {
        assert!(first.get(name).is_some_and(|v| !v.is_null()), "{name}");
    }
    let tasks = asset["tasks"].as_array().unwrap();
    let steps: Vec<&str> = tasks.iter().map(|t| t["step"].as_str().unwrap()).collect();
    let recipe = [
        "inspect",
        "moderate",
        "resize",
        "watermark",
        "compress",
        "placeholder",
        "distribute",
        "publish",
    ];
    assert_eq!(steps, recipe);
    for name in [
        "id",
        "operation",
        "state",
        "attempts",
        "queued_at",
        "started_at",
        "finished_at",
        "worker",
        "error_code",
        "error_message",
    ] {
        assert!(tasks[2].get(name).is_some(), "{name}");
    }
    assert_eq!(
        (&tasks[2]["operation"], &tasks[2]["worker"]),
        (&json!("image.resize"), &json!("test:1"))
    );
}

#[tokio::test]
async fn every_address_in_an_asset_works() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let asset = server.asset(&id).await;
    for rendition in asset["renditions"].as_array().unwrap() {
        for name in ["url", "immutable_url"] {
            let url = rendition[name].as_str().unwrap();
            let path = url.strip_prefix("http://127.0.0.1:8080").unwrap();
            let answer = server.get(path).await;
            assert_eq!(answer.status, 200, "{url}");
            assert_eq!(rendition["bytes"], answer.body.len());
            let etag = format!("\"{}\"", rendition["sha256"].as_str().unwrap());
            assert_eq!(answer.header("etag"), etag);
        }
    }
}

#[tokio::test]
async fn addresses_begin_with_the_configured_one() {
    let config = ApiConfig {
        public_url: Some("https://media.example.com/".into()),
        ..ApiConfig::default()
    };
    let server = Server::with(Wish {
        config,
        ..Wish::default()
    });
    let id = server.ready("photo", "").await;
    let url = server.asset(&id).await["renditions"][0]["url"].clone();
    assert_eq!(
        url,
        format!("https://media.example.com/media/{id}/thumbnail.jpg")
    );
}

#[tokio::test]
async fn a_failed_asset_says_why() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    let corrupt = |step: &str| {
        (step == "resize").then(|| Failure::permanent(ErrorCode::InputCorrupt, "it ends early"))
    };
    server.work_failing(corrupt).await;
    let asset = server.asset(&id).await;
    assert_eq!(
        (&asset["state"], &asset["viewable"]),
        (&json!("failed"), &json!(false))
    );
    assert_eq!(
        asset["error"],
        json!({ "code": "input.corrupt", "message": "it ends early" })
    );
    assert_eq!(asset["renditions"], json!([]));
    let resize = &asset["tasks"][2];
    assert_eq!(
        (&resize["state"], &resize["error_code"]),
        (&json!("dead"), &json!("input.corrupt"))
    );
}

#[tokio::test]
async fn there_is_no_such_asset() {
    let server = Server::new();
    for id in [NOBODY, "7", "%00", "a%2Fb", "%ff"] {
        let path = format!("/v1/assets/{id}");
        server.get(&path).await.problem(404, "asset.not_found");
        server
            .get(&format!("{path}/tasks"))
            .await
            .problem(404, "asset.not_found");
        server
            .get(&format!("{path}/events"))
            .await
            .problem(404, "asset.not_found");
        server
            .get(&format!("{path}/original"))
            .await
            .problem(404, "asset.not_found");
        server
            .json("PATCH", &path, "{\"title\": \"a\"}")
            .await
            .problem(404, "asset.not_found");
        server
            .send("DELETE", &path, &[], "")
            .await
            .problem(404, "asset.not_found");
        server
            .post(&format!("{path}/reprocess"), "{}")
            .await
            .problem(404, "asset.not_found");
    }
}

#[tokio::test]
async fn a_change_replaces_what_it_names() {
    let server = Server::new();
    let id = server
        .ready("photo", "title=old&tags=a,b&metadata=%7B%22a%22%3A1%7D")
        .await;
    let path = format!("/v1/assets/{id}");
    let change = "{\"title\": \"new\", \"tags\": [\"c\"], \"visibility\": \"private\"}";
    let answer = server.json("PATCH", &path, change).await;
    assert_eq!(answer.status, 200);
    let asset = answer.json();
    assert_eq!(
        (&asset["title"], &asset["tags"]),
        (&json!("new"), &json!(["c"]))
    );
    assert_eq!(
        (&asset["visibility"], &asset["metadata"]),
        (&json!("private"), &json!({ "a": 1 }))
    );
    assert_eq!(asset["generation"], 1);
    let answer = server
        .json("PATCH", &path, "{\"title\": null, \"metadata\": {}}")
        .await;
    assert_eq!(
        (&answer.json()["title"], &answer.json()["metadata"]),
        (&json!(null), &json!({}))
    );
}

#[tokio::test]
async fn crops_follow_a_new_focus_in_a_new_generation() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}");
    let answer = server
        .json("PATCH", &path, "{\"focus\": {\"x\": 0.1, \"y\": 1}}")
        .await;
    let asset = answer.json();
    assert_eq!(asset["focus"]["y"], 1.0);
    assert_eq!(
        (&asset["generation"], &asset["published_generation"]),
        (&json!(2), &json!(1))
    );
    server.work().await;
    assert_eq!(server.asset(&id).await["published_generation"], 2);
}

#[tokio::test]
async fn changes_that_make_no_sense() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    let path = format!("/v1/assets/{id}");
    for (body, name) in [
        ("{\"colour\": \"red\"}", "colour"),
        ("{\"title\": 7}", "string"),
        ("{\"title\": \"a\\u0000b\"}", "NUL"),
        ("{\"tags\": [\"\\u0000\"]}", "NUL"),
        ("{\"focus\": {\"x\": 2, \"y\": 0}}", "focus"),
        ("{\"focus\": {\"x\": 0.5}}", "y"),
        ("{\"visibility\": \"secret\"}", "secret"),
        ("{}", "nothing"),
        ("[]", "body"),
        ("{\"title\"", "body"),
        ("", "body"),
    ] {
        let detail = server
            .json("PATCH", &path, body)
            .await
            .problem(400, "request.invalid");
        assert!(detail.contains(name), "{body}: {detail}");
    }
    let text = ["content-type: text/plain"];
    let answer = server
        .send("PATCH", &path, &text, "{\"title\": \"a\"}")
        .await;
    assert!(
        answer
            .problem(400, "request.invalid")
            .contains("application/json")
    );
    let long = format!("{{\"title\": \"{}\"}}", "x".repeat(300 << 10));
    server
        .json("PATCH", &path, &long)
        .await
        .problem(400, "request.invalid");
    let tags = format!("{{\"tags\": [\"{}\"]}}", "x".repeat(101));
    server
        .json("PATCH", &path, &tags)
        .await
        .problem(422, "limit.metadata");
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_the_answer() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let media = format!("/media/{id}/large.jpg");
    assert_eq!(server.get(&media).await.status, 200);
    let path = format!("/v1/assets/{id}");
    let answer = server.send("DELETE", &path, &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    server.get(&media).await.problem(404, "rendition.not_found");
    assert_eq!(server.send("DELETE", &path, &[], "").await.status, 204);
    let asset = server.asset(&id).await;
    assert_eq!(
        (&asset["state"], &asset["renditions"]),
        (&json!("deleted"), &json!([]))
    );
    server
        .get(&format!("{path}/original"))
        .await
        .problem(410, "asset.deleted");
    server
        .json("PATCH", &path, "{\"title\": \"a\"}")
        .await
        .problem(410, "asset.deleted");
    assert_eq!(
        server
            .post(&format!("{path}/reprocess"), "")
            .await
            .status
            .as_u16()
            / 100,
        4
    );
}

#[tokio::test]
async fn reprocessing_keeps_the_old_until_the_new_is_there() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let before = server.get(&format!("/media/{id}/large.jpg")).await;
    let path = format!("/v1/assets/{id}/reprocess");
    let answer = server.send("POST", &path, &[], "").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["generation"], 2);
    assert_eq!(answer.json()["id"], *id);
    let between = server.get(&format!("/media/{id}/large.jpg")).await;
    assert_eq!(before.body, between.body);
    server.work().await;
    let after = server.get(&format!("/media/{id}/large.jpg")).await;
    assert_ne!(before.body, after.body);
    assert_eq!(server.asset(&id).await["published_generation"], 2);
    server
        .post(&path, "{\"recipe\": \"none\"}")
        .await
        .problem(422, "recipe.unknown");
    server
        .post(&path, "{\"receipt\": \"image\"}")
        .await
        .problem(400, "request.invalid");
}
