//! One known file on its way through: sent, waited for, looked at, removed.

use super::Media;
use crate::client::{Client, Trouble};
use mediaflow_core::Sha256;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What all of these assets are tagged with, so that those of a probe that was killed are found and removed.
const TAG: &str = "mediaflow-synthetic";
/// Left by a probe that was killed: no round takes longer.
const LEFT_AFTER_S: i64 = 2 * 3600;
const PAUSE: Duration = Duration::from_millis(200);

/// What it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) viewable: Duration,
    pub(super) ready: Duration,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Round {
    pub(super) media: Media,
    pub(super) asset: Option<String>,
    pub(super) correlation_id: Option<String>,
    /// From the first byte sent until the server had it for good.
    pub(super) accepted: Option<Duration>,
    /// From then on until it was to be seen or heard.
    pub(super) viewable: Option<Duration>,
    /// From then on until everything was made.
    pub(super) ready: Option<Duration>,
    /// Why it did not come through.
    pub(super) trouble: Option<String>,
}

impl Round {
    pub(super) fn json(&self) -> Value {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        json!({
            "media": self.media.as_str(),
            "ok": self.trouble.is_none(),
            "trouble": self.trouble,
            "asset": self.asset,
            "correlation_id": self.correlation_id,
            "accepted_seconds": seconds(self.accepted),
            "viewable_seconds": seconds(self.viewable),
            "ready_seconds": seconds(self.ready),
        })
    }
}

/// Sends one and removes it, whatever came of it.
pub(super) async fn round(client: &Client, media: Media, limits: Limits) -> Round {
    let mut seen = Round {
        media,
        asset: None,
        correlation_id: None,
        accepted: None,
        viewable: None,
        ready: None,
        trouble: None,
    };
    let done = send_and_look(client, limits, &mut seen).await;
    let removed = remove(client, seen.asset.as_deref()).await;
    seen.trouble = done.and(removed).err();
    seen
}

async fn send_and_look(client: &Client, limits: Limits, seen: &mut Round) -> Result<(), String> {
    let file = seen.media.make(rand::random());
    let file = file.map_err(|e| format!("the file could not be made: {}", e.message))?;
    let sent = Sha256::of(&file).to_string();
    let began = Instant::now();
    let query = [
        ("filename", format!("synthetic.{}", seen.media.as_str())),
        ("tags", TAG.to_owned()),
        ("visibility", "private".to_owned()),
    ];
    let length = Some(file.len() as u64);
    let key = format!("synthetic-{sent}");
    let uploading = client.upload(&query, &key, length, file.into());
    let answer = tokio::time::timeout(limits.viewable, uploading).await;
    let answer = answer.map_err(|_| "the upload was not answered in time".to_owned())?;
    let answer = answer.map_err(|trouble| format!("the upload was refused: {trouble}"))?;
    seen.accepted = Some(began.elapsed());
    seen.asset = answer["id"].as_str().map(str::to_owned);
    seen.correlation_id = answer["correlation_id"].as_str().map(str::to_owned);
    if answer["sha256"] != sent.as_str() {
        return Err(format!("the server stored {} for {sent}", answer["sha256"]));
    }
    let id = seen.asset.clone().ok_or("the answer names no asset")?;
    let asset = wait(client, &id, limits, seen).await?;
    look(client, &asset, seen.media).await
}

/// Waits until everything is made.
async fn wait(
    client: &Client,
    id: &str,
    limits: Limits,
    seen: &mut Round,
) -> Result<Value, String> {
    let began = Instant::now();
    loop {
        // One answer that is missing is no failure, if the next one comes in time.
        let asset = match client.asset(id).await {
            Ok(asset) => asset,
            Err(trouble @ Trouble::Refused { again: None, .. }) => return Err(trouble.to_string()),
            Err(_) => Value::Null,
        };
        let state = asset["state"].as_str().unwrap_or("unknown");
        let passed = began.elapsed();
        if seen.viewable.is_none() && (asset["viewable"] == true || state == "ready") {
            seen.viewable = Some(passed);
        }
        match state {
            "ready" => {
                seen.ready = Some(passed);
                return Ok(asset);
            }
            "failed" | "rejected" | "deleted" => {
                return Err(format!("it is {state}: {}", asset["error"]["code"]));
            }
            "in_review" => {
                return Err("it waits for a person; moderation must let known media pass".into());
            }
            _ => {}
        }
        if seen.viewable.is_none() && passed > limits.viewable {
            return Err(format!(
                "nothing to see after {} s: it is {state}",
                limits.viewable.as_secs()
            ));
        }
        if passed > limits.ready {
            return Err(format!(
                "not ready after {} s: it is {state}",
                limits.ready.as_secs()
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether what was made is what it should be, as readers get it.
async fn look(client: &Client, asset: &Value, media: Media) -> Result<(), String> {
    if asset["kind"] != media.kind() {
        return Err(format!("it was taken for {}", asset["kind"]));
    }
    if let Some((width, height)) = media.dimensions()
        && (asset["original"]["width"] != width || asset["original"]["height"] != height)
    {
        return Err(format!(
            "its size was taken for {} by {}",
            asset["original"]["width"], asset["original"]["height"]
        ));
    }
    let renditions = asset["renditions"].as_array();
    let files: Vec<&Value> = renditions
        .into_iter()
        .flatten()
        .filter(|rendition| rendition["format"] != "hls")
        .collect();
    if files.is_empty() {
        return Err("nothing was made of it".into());
    }
    for file in files {
        let name = || {
            format!(
                "{}.{}",
                file["profile"].as_str().unwrap_or("?"),
                file["format"].as_str().unwrap_or("?")
            )
        };
        let url = file["url"]
            .as_str()
            .ok_or_else(|| format!("{} has no address", name()))?;
        let bytes = client.fetch(url).await;
        let bytes = bytes.map_err(|trouble| format!("{} cannot be fetched: {trouble}", name()))?;
        if file["sha256"] != Sha256::of(&bytes).to_string().as_str() {
            return Err(format!("{} has other bytes than were recorded", name()));
        }
    }
    Ok(())
}

/// Removes this asset, and those that a probe left which was killed.
async fn remove(client: &Client, asset: Option<&str>) -> Result<(), String> {
    let not_removed = |trouble: Trouble| format!("it was not removed: {trouble}");
    if let Some(id) = asset {
        client
            .delete(&format!("v1/assets/{id}"))
            .await
            .map_err(not_removed)?;
    }
    let found = client.get(&format!("v1/assets?tag={TAG}&limit=50")).await;
    let found = found.map_err(not_removed)?;
    for left in found["items"].as_array().into_iter().flatten() {
        let is_old = left["created_at"].as_str().is_some_and(is_old);
        if let (true, Some(id)) = (is_old, left["id"].as_str()) {
            client
                .delete(&format!("v1/assets/{id}"))
                .await
                .map_err(not_removed)?;
        }
    }
    Ok(())
}

fn is_old(created_at: &str) -> bool {
    use mediaflow_engine::SystemEnvironment;
    use mediaflow_store::Environment as _;
    let created = mediaflow_core::Timestamp::parse_rfc3339(created_at);
    created.is_some_and(|at| SystemEnvironment.now().0 - at.0 > LEFT_AFTER_S * 1000)
}
