//! `POST /v1/assets/{id}/moderation`.

use crate::given::{Server, Wish};
use mediaflow_core::ModerationPolicy;
use serde_json::json;

fn reviewing() -> Server {
    Server::with(Wish {
        moderation: ModerationPolicy::Review,
        ..Wish::default()
    })
}

#[tokio::test]
async fn nothing_shows_before_a_person_approves() {
    let server = reviewing();
    let id = server.ready("photo", "").await;
    let queue = server.get("/v1/assets?state=in_review").await.json();
    assert_eq!(queue["items"][0]["id"], *id);
    assert_eq!(queue["items"][0]["thumbnail_url"], json!(null));
    server
        .get(&format!("/media/{id}/large"))
        .await
        .problem(404, "rendition.not_found");
    let path = format!("/v1/assets/{id}/moderation");
    let answer = server
        .post(&path, "{\"decision\": \"approve\", \"reason\": \"a cat\"}")
        .await;
    assert_eq!(answer.status, 200);
    server.work().await;
    let asset = server.asset(&id).await;
    assert_eq!(asset["state"], "ready");
    assert_eq!(asset["moderation"]["decided_by"], "local");
    assert_eq!(asset["moderation"]["reason"], "a cat");
    let again = server.post(&path, "{\"decision\": \"reject\"}").await;
    again.problem(409, "conflict.state");
}

#[tokio::test]
async fn what_is_rejected_is_never_shown() {
    let server = reviewing();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}/moderation");
    let answer = server
        .post(
            &path,
            "{\"decision\": \"reject\", \"reason\": \"not ours\"}",
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["state"]),
        (200, &json!("rejected"))
    );
    assert_eq!(answer.json()["error"]["code"], "moderation.rejected");
    server.work().await;
    server
        .get(&format!("/media/{id}/large"))
        .await
        .problem(404, "rendition.not_found");
    let again = server
        .post(&format!("/v1/assets/{id}/reprocess"), "{}")
        .await;
    again.problem(409, "conflict.state");
}

#[tokio::test]
async fn decisions_that_make_no_sense() {
    let server = reviewing();
    let id = server.ready("photo", "").await;
    let path = format!("/v1/assets/{id}/moderation");
    for body in [
        "{}",
        "{\"decision\": \"maybe\"}",
        "{\"decision\": \"approve\", \"why\": 1}",
    ] {
        server
            .post(&path, body)
            .await
            .problem(400, "request.invalid");
    }
    let long = format!(
        "{{\"decision\": \"approve\", \"reason\": \"{}\"}}",
        "x".repeat(1001)
    );
    server
        .post(&path, &long)
        .await
        .problem(422, "limit.metadata");
    let nobody = "/v1/assets/01920000-0000-7000-8000-000000000001/moderation";
    let answer = server.post(nobody, "{\"decision\": \"approve\"}").await;
    answer.problem(404, "asset.not_found");
}
