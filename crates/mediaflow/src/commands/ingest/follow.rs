//! Following an asset until nothing more happens by itself: live where the server streams, else by asking again.

use crate::client::{Client, LiveEvent, Trouble};
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(500);
/// A server that is being restarted is waited for this long.
pub(in crate::commands) const ABSENCE_MAX: Duration = Duration::from_secs(30);

/// The asset as it is when its work has ended, or waits for a person.
pub(in crate::commands) async fn follow(
    client: &Client,
    id: &str,
    bar: &ProgressBar,
) -> Result<Value, Trouble> {
    let style = ProgressStyle::with_template("{prefix:.bold} {spinner} {msg}");
    bar.set_style(style.expect("the template is tested by every run"));
    let mut last = "0".to_owned();
    let mut seen = Instant::now();
    loop {
        match client.asset(id).await {
            Ok(asset) if is_settled(&asset) => return Ok(asset),
            Ok(_) => seen = Instant::now(),
            Err(trouble) if is_final(&trouble) || seen.elapsed() > ABSENCE_MAX => {
                return Err(trouble);
            }
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        }
        let path = format!("v1/assets/{id}/events");
        let Ok(events) = client.live(&path, &last).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            bar.set_message(words(&event));
            bar.tick();
            if !event.id.is_empty() {
                last.clone_from(&event.id);
            }
            if settles(&event) {
                break;
            }
        }
    }
}

fn is_settled(asset: &Value) -> bool {
    let state = asset["state"].as_str().unwrap_or_default();
    !matches!(state, "uploaded" | "processing")
}

pub(in crate::commands) fn is_final(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused { again: None, .. })
}

fn kind(event: &LiveEvent) -> &str {
    event.body["type"].as_str().unwrap_or_default()
}

fn settles(event: &LiveEvent) -> bool {
    matches!(
        kind(event),
        "asset.ready" | "asset.failed" | "asset.rejected" | "asset.in_review" | "asset.deleted"
    )
}

fn words(event: &LiveEvent) -> String {
    match event.body["data"]["step"].as_str() {
        Some(step) => format!("{step}: {}", kind(event).trim_start_matches("task.")),
        None => kind(event).trim_start_matches("asset.").to_owned(),
    }
}
