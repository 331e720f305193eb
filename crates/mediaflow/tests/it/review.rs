//! What people decide: review, reprocess, delete.

use crate::given;
use crate::ingest::all_renditions_are_right;
use crate::pictures;
use crate::server::{Server, run, stdout};

#[tokio::test]
async fn a_person_decides_before_anything_shows() {
    let folder = given::config("[moderation]\npolicy = \"review\"\n");
    let server = Server::start(folder.path());
    given::write(folder.path(), "a.jpg", &pictures::photo(500, 400, 1));
    given::write(folder.path(), "b.jpg", &pictures::photo(500, 400, 2));
    let ended = run(
        folder.path(),
        &["ingest", "--server", &server.base, "a.jpg", "b.jpg"],
    );
    assert!(ended.status.success(), "waiting is not failing");
    assert!(
        stdout(&ended).contains("a.jpg: waits for review"),
        "{}",
        stdout(&ended)
    );

    let queue = server.get("/v1/assets?state=in_review").await;
    let ids: Vec<_> = queue["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["id"].as_str().unwrap())
        .collect();
    let [second, first] = ids[..] else {
        panic!("{queue:#}")
    };
    let small = server
        .http()
        .get(server.url(&format!("/media/{first}/small.jpg")));
    assert_eq!(small.send().await.unwrap().status(), 404);

    let decide = |id: &str| format!("/v1/assets/{id}/moderation");
    let (status, _) = server
        .post(&decide(first), r#"{"decision": "approve"}"#)
        .await;
    assert!((200..300).contains(&status), "{status}");
    let (status, _) = server
        .post(
            &decide(second),
            r#"{"decision": "reject", "reason": "not ours"}"#,
        )
        .await;
    assert!((200..300).contains(&status), "{status}");
    let asset = server.asset_in(first, "ready").await;
    all_renditions_are_right(&server, &asset, "jpeg").await;
    let asset = server.asset_in(second, "rejected").await;
    assert!(asset["renditions"].as_array().unwrap().is_empty());

    let (status, problem) = server
        .post(&decide(second), r#"{"decision": "approve"}"#)
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("conflict.state"))
    );
}

#[tokio::test]
async fn reprocessing_keeps_the_old_until_the_new_is_published() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let id = server.upload("", pictures::photo(700, 500, 1)).await;
    let before = server.asset_in(&id, "ready").await;
    assert_eq!(before["generation"], 1);
    let (status, answer) = server.post(&format!("/v1/assets/{id}/reprocess"), "").await;
    assert_eq!(status, 202, "{answer}");
    let after = server
        .asset_when(&id, |a| a["generation"] == 2 && a["state"] == "ready")
        .await;
    all_renditions_are_right(&server, &after, "jpeg").await;
}

#[tokio::test]
async fn a_deleted_asset_is_gone() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let id = server.upload("", pictures::photo(300, 300, 1)).await;
    server.asset_in(&id, "ready").await;
    let url = server.url(&format!("/v1/assets/{id}"));
    let answer = server.http().delete(url).send().await.unwrap();
    assert!(answer.status().is_success());
    let small = server
        .http()
        .get(server.url(&format!("/media/{id}/small.jpg")))
        .send()
        .await
        .unwrap();
    assert!(
        matches!(small.status().as_u16(), 404 | 410),
        "{}",
        small.status()
    );
}
