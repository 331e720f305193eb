//! Tasks and replaying them.

use crate::given::Server;
use mediaflow_core::{ErrorCode, Failure};
use serde_json::{Value, json};

fn corrupt(step: &str) -> Option<Failure> {
    (step == "resize").then(|| Failure::permanent(ErrorCode::InputCorrupt, "it ends early"))
}

async fn dead(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.get(&format!("/v1/tasks?state=dead{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_assets_tasks_are_paged_in_the_recipes_order() {
    let server = Server::new();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}/tasks");
    let first = server.get(&format!("{path}?limit=5")).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 5);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server
        .get(&format!("{path}?limit=5&cursor={cursor}"))
        .await
        .json();
    assert_eq!(second["items"].as_array().unwrap().len(), 3);
    assert_eq!(second["next_cursor"], Value::Null);
    let task = &first["items"][2];
    assert_eq!(
        (&task["step"], &task["asset"]),
        (&json!("resize"), &json!(id))
    );
    assert_eq!(
        (&task["queue"], &task["generation"]),
        (&json!("image"), &json!(1))
    );
    assert_eq!(
        (&task["tries"][0]["number"], &task["tries"][0]["worker"]),
        (&json!(1), &json!("test:1"))
    );
    let skipped = server.get(&format!("{path}?state=skipped")).await.json();
    assert_eq!(skipped["items"].as_array().unwrap().len(), 1);
    server
        .get(&format!("{path}?limit=x"))
        .await
        .problem(400, "request.invalid");
}

#[tokio::test]
async fn dead_tasks_are_found_and_tried_again() {
    let server = Server::new();
    let id = server.upload("photo", "").await;
    server.work_failing(corrupt).await;
    assert_eq!(dead(&server, "&code=timeout").await.len(), 0);
    let found = dead(&server, "&code=input.corrupt").await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["error_code"], &found[0]["asset"]),
        (&json!("input.corrupt"), &json!(id))
    );
    let path = format!("/v1/tasks/{}/replay", found[0]["id"].as_str().unwrap());
    let answer = server.send("POST", &path, &[], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({ "replayed": true }))
    );
    assert_eq!(
        server.send("POST", &path, &[], "").await.json(),
        json!({ "replayed": false })
    );
    server.work().await;
    assert_eq!(server.asset(&id).await["state"], "ready");
}

#[tokio::test]
async fn all_that_match_are_tried_again() {
    let server = Server::new();
    for i in 0..3 {
        server.upload(&format!("photo {i}"), "").await;
    }
    server.work_failing(corrupt).await;
    let replay = async |body: &str| {
        let answer = server.post("/v1/tasks/replay", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["replayed"].as_u64().unwrap()
    };
    assert_eq!(replay("{\"code\": \"timeout\"}").await, 0);
    assert_eq!(replay("{\"operation\": \"image.compress\"}").await, 0);
    assert_eq!(replay("{\"since\": \"2999-01-01T00:00:00Z\"}").await, 0);
    let all = "{\"code\": \"input.corrupt\", \"operation\": \"image.resize\", \"since\": \"2020-01-01T00:00:00Z\"}";
    assert_eq!(replay(all).await, 3);
    assert_eq!(replay("{}").await, 0);
}

#[tokio::test]
async fn what_cannot_be_replayed() {
    let server = Server::new();
    let nobody = "/v1/tasks/01920000-0000-7000-8000-000000000001/replay";
    server
        .send("POST", nobody, &[], "")
        .await
        .problem(404, "task.not_found");
    server
        .send("POST", "/v1/tasks/7/replay", &[], "")
        .await
        .problem(404, "task.not_found");
    let id = server.upload("photo", "").await;
    server.work_failing(corrupt).await;
    let task = dead(&server, "").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    server
        .send("DELETE", &format!("/v1/assets/{id}"), &[], "")
        .await;
    let path = format!("/v1/tasks/{task}/replay");
    server
        .send("POST", &path, &[], "")
        .await
        .problem(409, "conflict.state");
    for (body, name) in [
        ("{\"code\": \"oops\"}", "code"),
        ("{\"since\": \"now\"}", "since"),
        ("{\"who\": \"all\"}", "who"),
        ("", "body"),
    ] {
        let detail = server
            .post("/v1/tasks/replay", body)
            .await
            .problem(400, "request.invalid");
        assert!(detail.contains(name), "{body}: {detail}");
    }
    for query in ["state=gone", "code=oops", "colour=x"] {
        let answer = server.get(&format!("/v1/tasks?{query}")).await;
        answer.problem(400, "request.invalid");
    }
}
