//! What the dashboard asks beside what programs do: failures, the last hour, recipes, uploads under way.

use crate::given::Server;
use mediaflow_core::{ErrorCode, Failure};
use serde_json::{Value, json};

fn corrupt(step: &str) -> Option<Failure> {
    (step == "resize").then(|| Failure::permanent(ErrorCode::InputCorrupt, "it ends early"))
}

#[tokio::test]
async fn failures_are_grouped_and_go_away_as_they_are_replayed() {
    let server = Server::new();
    for i in 0..3 {
        server.upload(&format!("photo {i}"), "").await;
    }
    server.work_failing(corrupt).await;
    let answer = server.get("/v1/failures").await.json();
    assert_eq!(answer["counted_max"], 10_000);
    let groups = answer["items"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    let group = &groups[0];
    for (field, value) in [
        ("state", json!("dead")),
        ("code", json!("input.corrupt")),
        ("operation", json!("image.resize")),
        ("tasks", json!(3)),
    ] {
        assert_eq!(group[field], value);
    }
    let by_hour = group["by_hour"].as_array().unwrap();
    let counted: u64 = by_hour.iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((by_hour.len(), counted), (24, 3));
    let replay = async |limit: u32| {
        let body = json!({ "code": "input.corrupt", "limit": limit });
        server.post("/v1/tasks/replay", &body.to_string()).await
    };
    for limit in [0, 501] {
        replay(limit).await.problem(400, "request.invalid");
    }
    assert_eq!(replay(2).await.json()["replayed"], 2);
    let left = server.get("/v1/failures").await.json();
    assert_eq!(left["items"][0]["tasks"], 1);
    assert_eq!(replay(2).await.json()["replayed"], 1);
    let left = server.get("/v1/failures").await.json();
    assert_eq!(left["items"], json!([]));
}

#[tokio::test]
async fn the_last_hour_is_told_by_minute() {
    let server = Server::new();
    server.ready("photo", "").await;
    let answer = server.get("/v1/queues/history").await.json();
    assert!(answer["now"].as_str().unwrap().ends_with('Z'));
    let minutes = answer["minutes"].as_array().unwrap();
    let sum = |field: &str| -> f64 { minutes.iter().map(|m| m[field].as_f64().unwrap()).sum() };
    assert_eq!(
        sum("completions"),
        6.0,
        "eight steps: one is skipped, and publishing is no attempt"
    );
    assert!(sum("arrivals") >= 6.0);
    assert!(minutes[0]["at"].as_str().unwrap().ends_with(":00.000Z"));
}

#[tokio::test]
async fn recipes_are_graphs() {
    let server = Server::new();
    let all = server.get("/v1/recipes").await.json();
    let names: Vec<&Value> = all["recipes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["name"])
        .collect();
    assert_eq!(names, ["audio", "image", "video"]);
    let id = server.upload("photo", "").await;
    let graph = server.get(&format!("/v1/assets/{id}/recipe")).await.json();
    assert_eq!(graph, all["recipes"][1]);
    let steps = graph["steps"].as_array().unwrap();
    let step = |name: &str| steps.iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(step("compress")["needs"], json!(["watermark"]));
    assert_eq!(step("watermark")["when"], "watermark");
    assert_eq!(step("moderate")["queue"], "network");
    server
        .get("/v1/assets/01920000-0000-7000-8000-000000000001/recipe")
        .await
        .problem(404, "asset.not_found");
}

#[tokio::test]
async fn a_recipe_is_checked_before_it_is_used() {
    let server = Server::new();
    let json = ["content-type: application/json"];
    let check = async |toml: &str| {
        let body = json!({ "toml": toml }).to_string();
        server.send("POST", "/v1/recipes/check", &json, body).await
    };
    let image = include_str!("../../../../recipes/image.toml");
    let graph = check(image).await.json();
    let all = server.get("/v1/recipes").await.json();
    assert_eq!(graph, all["recipes"][1]);
    let wrong = check(&image.replace("jpeg_quality", "jpg_quality")).await;
    let said = wrong.problem(422, "recipe.invalid");
    assert!(
        said.starts_with("line ") && said.contains("jpg_quality"),
        "{said}"
    );
    check("").await.problem(422, "recipe.invalid");
}

#[tokio::test]
async fn uploads_under_way_tell_how_far_they_are() {
    let server = Server::new();
    let headers = [
        "tus-resumable: 1.0.0",
        "upload-length: 10",
        "upload-metadata: filename cGhvdG8uanBn",
    ];
    let opened = server.send("POST", "/v1/tus", &headers, "").await;
    assert_eq!(opened.status, 201);
    let found = server.get("/v1/uploads").await.json();
    let upload = &found["items"][0];
    assert_eq!(
        (&upload["filename"], &upload["bytes"], &upload["length"]),
        (&json!("photo.jpg"), &json!(0), &json!(10))
    );
    assert!(
        opened
            .header("location")
            .ends_with(upload["id"].as_str().unwrap())
    );
}
