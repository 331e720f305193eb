//! What the user gets to see: a table for each asset and a summary, or one JSON array.

use super::Outcome;
use crate::cells;
use crate::client::{Client, Trouble};
use crate::fault::Fault;
use crate::output;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Instant;

/// Prints outcomes as they come and counts them.
pub(in crate::commands) struct Report {
    json: bool,
    client: Client,
    began: Instant,
    files: u64,
    failed: u64,
    in_review: u64,
    renditions: u64,
    bytes: u64,
}

impl Report {
    pub(in crate::commands) fn new(json: bool, client: Client) -> Self {
        Self {
            json,
            client,
            began: Instant::now(),
            files: 0,
            failed: 0,
            in_review: 0,
            renditions: 0,
            bytes: 0,
        }
    }

    pub(in crate::commands) fn add(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        self.count(outcome);
        let text = if self.json {
            let open = if self.files == 1 { "[\n" } else { ",\n" };
            format!("{open}{}", document(outcome))
        } else {
            self.words(outcome)
        };
        output::print(&text)
    }

    /// The summary, and whether everything went well.
    ///
    /// # Errors
    /// With exit code 1 when anything failed or was refused.
    pub(in crate::commands) fn end(self) -> Result<(), Fault> {
        let text = match (self.json, self.files) {
            (true, 0) => "[]\n".to_owned(),
            (true, _) => "\n]\n".to_owned(),
            (false, 0) => "there are no files\n".to_owned(),
            (false, _) => self.summary(),
        };
        output::print(&text)?;
        match self.failed {
            0 => Ok(()),
            n => Err(Fault::failed(format!("{n} of {} failed", self.files))),
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        self.files += 1;
        let Ok(asset) = &outcome.asset else {
            self.failed += 1;
            return;
        };
        match asset["state"].as_str() {
            Some("failed" | "rejected" | "deleted") => self.failed += 1,
            Some("in_review") => self.in_review += 1,
            _ => {}
        }
        for rendition in renditions(asset) {
            self.renditions += 1;
            self.bytes += rendition["bytes"].as_u64().unwrap_or_default();
        }
    }

    fn words(&self, outcome: &Outcome) -> String {
        let name = &outcome.name;
        let asset = match &outcome.asset {
            Ok(asset) => asset,
            Err(trouble) => {
                let (code, message) = reason(trouble);
                return format!("{name}: refused: {code}: {message}\n");
            }
        };
        let id = asset["id"].as_str().unwrap_or_default();
        let seconds = outcome.took.as_secs_f32();
        let mut text = match asset["state"].as_str().unwrap_or_default() {
            "ready" => format!(
                "{name}: ready in {seconds:.2} s, {}\n",
                self.client.url(&format!("v1/assets/{id}"))
            ),
            "in_review" => format!("{name}: waits for review, {id}\n"),
            state @ ("failed" | "rejected") => format!(
                "{name}: {state}: {}: {}, {id}\n",
                asset["error"]["code"].as_str().unwrap_or_default(),
                asset["error"]["message"].as_str().unwrap_or_default()
            ),
            "deleted" => format!("{name}: deleted by somebody, {id}\n"),
            "importing" => format!(
                "{name}: begun, {}\n",
                self.client.url(&format!("v1/imports/{id}"))
            ),
            _ => format!(
                "{name}: accepted, {}\n",
                self.client.url(&format!("v1/assets/{id}"))
            ),
        };
        let rows: Vec<Vec<String>> = renditions(asset).map(|r| self.row(r)).collect();
        text.push_str(&output::table(&rows, "  "));
        text
    }

    fn row(&self, rendition: &Value) -> Vec<String> {
        let text = |field: &str| rendition[field].as_str().unwrap_or_default().to_owned();
        vec![
            text("profile"),
            text("format"),
            match (rendition["width"].as_u64(), rendition["height"].as_u64()) {
                (Some(width), Some(height)) => format!("{width}x{height}"),
                _ => String::new(),
            },
            cells::bytes(rendition["bytes"].as_u64().unwrap_or_default()),
            self.client.url(&text("url")),
        ]
    }

    fn summary(&self) -> String {
        let ready = self.files - self.failed - self.in_review;
        let mut text = format!(
            "{} {}: {ready} done",
            self.files,
            if self.files == 1 { "file" } else { "files" }
        );
        if self.in_review > 0 {
            let _ = write!(text, ", {} waiting for review", self.in_review);
        }
        if self.failed > 0 {
            let _ = write!(text, ", {} failed", self.failed);
        }
        let _ = writeln!(
            text,
            "; {} renditions, {}, in {:.2} s",
            self.renditions,
            cells::bytes(self.bytes),
            self.began.elapsed().as_secs_f32()
        );
        text
    }
}

fn renditions(asset: &Value) -> impl Iterator<Item = &Value> {
    asset["renditions"].as_array().into_iter().flatten()
}

fn reason(trouble: &Trouble) -> (&str, &str) {
    match trouble {
        Trouble::Refused { code, message, .. } => (code, message),
        Trouble::Unreachable(message) => ("client.unreachable", message),
    }
}

fn document(outcome: &Outcome) -> String {
    let mut document = match &outcome.asset {
        Ok(asset) => asset.clone(),
        Err(trouble) => {
            let (code, message) = reason(trouble);
            json!({ "error": { "code": code, "message": message } })
        }
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert("file".to_owned(), outcome.name.clone().into());
    }
    document.to_string()
}
