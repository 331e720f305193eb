//! What a server's own tasks took, from its public API: of the newest assets that followed the same recipe.

use super::Subject;
use super::subject::Film;
use crate::cells;
use crate::client::{Client, Trouble};
use mediaflow_core::operation::Format;
use mediaflow_core::{Kind, Recipe};
use serde_json::Value;
use std::collections::BTreeMap;

/// Assets whose tasks are looked at: enough for a median, few enough to be asked in a second.
const ASSETS_MAX: usize = 20;
/// Newest assets among which those of the same recipe are looked for.
const SEARCHED_MAX: usize = 60;

/// One asset that is ready, and what it took.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) tasks: u64,
    /// That its tasks held slots.
    pub(crate) slot_seconds: f64,
    pub(crate) original_bytes: u64,
    pub(crate) made_bytes: u64,
    /// How long it lasts.
    pub(crate) seconds: f64,
}

/// Costs for each unit, one for each asset that tells of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) assets: Vec<Asset>,
    seconds: BTreeMap<String, Vec<f64>>,
    per_pixel: BTreeMap<(String, String), Vec<f64>>,
    per_stream: Vec<f64>,
}

impl Measured {
    /// Asks for assets of this recipe.
    ///
    /// # Errors
    /// Nobody answers, or the key may not read.
    pub(crate) async fn ask(client: &Client, recipe: &Recipe) -> Result<Self, Trouble> {
        let query = vec![
            ("state", "ready".to_owned()),
            ("kind", recipe.kind.as_str().to_owned()),
        ];
        let newest = client.items("v1/assets", query, SEARCHED_MAX).await?;
        let hash = recipe.hash().to_string();
        let mut measured = Self::default();
        for item in newest["items"].as_array().into_iter().flatten() {
            if measured.assets.len() == ASSETS_MAX {
                break;
            }
            let id = item["id"].as_str().unwrap_or_default();
            let asset = client.asset(id).await?;
            if asset["recipe"]["hash"].as_str() == Some(&hash) {
                measured.take(recipe, &asset);
            }
        }
        Ok(measured)
    }

    fn take(&mut self, recipe: &Recipe, asset: &Value) {
        let subject = subject(recipe.kind, asset);
        let mut seconds: BTreeMap<&str, f64> = BTreeMap::new();
        let tasks = asset["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        for task in tasks.iter().filter(|task| task["state"] == "succeeded") {
            if let (Some(operation), Some(took)) = (
                task["operation"].as_str(),
                cells::between(&task["started_at"], &task["finished_at"]),
            ) {
                *seconds.entry(operation).or_default() += took;
            }
        }
        for step in &recipe.steps {
            let amount = subject.amount(&step.operation);
            if let Some(took) = seconds.get(step.operation.name())
                && amount > 0.0
            {
                let all = self.seconds.entry(step.operation.name().to_owned());
                all.or_default().push(took / amount);
            }
        }
        let made_bytes = self.take_renditions(recipe, asset, &subject);
        self.assets.push(Asset {
            tasks: tasks.len() as u64,
            slot_seconds: seconds.values().sum(),
            original_bytes: subject.bytes,
            made_bytes,
            seconds: subject.seconds,
        });
    }

    /// Answers their bytes.
    fn take_renditions(&mut self, recipe: &Recipe, asset: &Value, subject: &Subject) -> u64 {
        let (mut all, mut streams) = (0, 0);
        for rendition in asset["renditions"].as_array().into_iter().flatten() {
            let bytes = rendition["bytes"].as_u64().unwrap_or_default();
            let said = |name: &str| rendition[name].as_str().unwrap_or_default().to_owned();
            all += bytes;
            // What is no size of the recipe grows with time: storyboards, and streams, which may have names of sizes.
            let is_size = recipe.variant(&said("profile")).is_some() && said("format") != "hls";
            match pixels(rendition) {
                Some(pixels) if is_size && pixels > 0 => {
                    let key = (said("profile"), said("format"));
                    let each = bytes as f64 / pixels as f64;
                    self.per_pixel.entry(key).or_default().push(each);
                }
                _ => streams += bytes,
            }
        }
        let amount = subject.stream_amount();
        if streams > 0 && amount > 0.0 {
            self.per_stream.push(streams as f64 / amount);
        }
        all
    }

    /// What so much of an operation would take, and how many assets say so.
    pub(super) fn seconds(&self, operation: &str, amount: f64) -> Option<(f64, usize)> {
        let all = self.seconds.get(operation)?;
        Some((median(all)? * amount, all.len()))
    }

    /// Bytes of a picture.
    pub(super) fn picture_bytes(
        &self,
        profile: &str,
        format: Format,
        pixels: f64,
    ) -> Option<(f64, usize)> {
        let key = (profile.to_owned(), format.as_str().to_owned());
        let all = self.per_pixel.get(&key)?;
        Some((median(all)? * pixels, all.len()))
    }

    /// Bytes of all streams.
    pub(super) fn stream_bytes(&self, amount: f64) -> Option<(f64, usize)> {
        Some((median(&self.per_stream)? * amount, self.per_stream.len()))
    }
}

/// An asset of the API as what was processed.
fn subject(kind: Kind, asset: &Value) -> Subject {
    let original = &asset["original"];
    let seconds = asset["media"]["duration"].as_f64().unwrap_or_default();
    let rate = asset["media"]["frame_rate"].as_f64().unwrap_or_default();
    let streams = asset["renditions"].as_array().into_iter().flatten();
    let encoded: u64 = streams
        .filter(|rendition| rendition["format"] == "hls")
        .filter_map(pixels)
        .sum();
    let film = Film {
        encoded_pixels: encoded as f64 * seconds * rate,
        lead_cpu_seconds: 0.0,
        encode_cpu_seconds: 0.0,
        encode_tasks: 0,
        bit_rate: 0,
    };
    Subject {
        kind,
        bytes: original["bytes"].as_u64().unwrap_or_default(),
        pixels: pixels(original).unwrap_or_default(),
        sides: None,
        frames: 1,
        seconds,
        film: (kind == Kind::Video).then_some(film),
        sounds: None,
        has_cover: false,
    }
}

fn pixels(value: &Value) -> Option<u64> {
    let side = |name: &str| value[name].as_u64();
    Some(side("width")? * side("height")?)
}

fn median(all: &[f64]) -> Option<f64> {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[n / 2]),
        n => Some((sorted[n / 2 - 1] + sorted[n / 2]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, median};
    use mediaflow_core::Kind;
    use mediaflow_core::operation::Format;
    use mediaflow_engine::Recipes;
    use serde_json::json;

    #[test]
    fn costs_go_by_what_they_grow_with() {
        let recipes = Recipes::load(None).expect("the built-in recipes");
        let recipe = recipes.find(None, Kind::Image).expect("one for pictures");
        let mut measured = Measured::default();
        for (width, ended) in [(1000, "10"), (2000, "20"), (3000, "30")] {
            measured.take(
                &recipe,
                &json!({
                    "original": { "bytes": 1000, "width": width, "height": 1000 },
                    "tasks": [{
                        "operation": "image.compress", "state": "succeeded",
                        "started_at": "2026-11-22T00:00:00Z",
                        "finished_at": format!("2026-11-22T00:00:{ended}Z"),
                    }],
                    "renditions": [{
                        "profile": "small", "format": "webp", "width": 100, "height": 100, "bytes": 500,
                    }],
                }),
            );
        }
        assert_eq!(measured.seconds("image.compress", 4e6), Some((40.0, 3)));
        assert_eq!(measured.seconds("image.resize", 4e6), None);
        let bytes = measured.picture_bytes("small", Format::Webp, 20_000.0);
        assert_eq!(bytes, Some((1000.0, 3)));
        assert_eq!(measured.assets.len(), 3);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
