//! The gate with the reference classifier behind it.

use crate::given;
use crate::pictures;
use crate::server::{Classifier, Server};
use tempfile::TempDir;

fn gated(url: &str) -> TempDir {
    given::config(&format!(
        "[moderation]\npolicy = \"classifier\"\nclassifier.url = \"{url}\"\n\n[moderation.thresholds]\n\
         test-red = {{ review = 0.3, reject = 0.9 }}\ndarkness = {{ review = 1.0, reject = 1.0 }}\nskin-tone = {{ review = 1.0, reject = 1.0 }}\n"
    ))
}

#[tokio::test]
async fn scores_decide() {
    let classifier = Classifier::start();
    let folder = gated(&classifier.url);
    let server = Server::start(folder.path());
    let harmless = server.upload("", pictures::plain([40, 120, 200])).await;
    let red = server.upload("", pictures::plain([255, 0, 0])).await;

    let asset = server.asset_in(&harmless, "ready").await;
    assert!(
        asset["moderation"].to_string().contains("test-red"),
        "{asset:#}"
    );

    let asset = server.asset_in(&red, "rejected").await;
    assert_eq!(asset["error"]["code"], "moderation.rejected");
    assert!(asset["renditions"].as_array().unwrap().is_empty());
    let events = server.get(&format!("/v1/assets/{red}/events")).await;
    assert!(events.to_string().contains("asset.rejected"), "{events:#}");
}

#[tokio::test]
async fn nothing_is_shown_while_nobody_can_judge() {
    let folder = gated("http://127.0.0.1:1");
    let server = Server::start(folder.path());
    let id = server.upload("", pictures::plain([40, 120, 200])).await;
    let is_tried = |asset: &serde_json::Value| {
        let tasks = asset["tasks"].as_array().cloned().unwrap_or_default();
        tasks
            .iter()
            .any(|t| t["operation"] == "moderate" && t["error_code"] == "moderation.unavailable")
    };
    let asset = server.asset_when(&id, is_tried).await;
    assert_eq!(asset["viewable"], false);
    assert!(asset["renditions"].as_array().unwrap().is_empty());
}
