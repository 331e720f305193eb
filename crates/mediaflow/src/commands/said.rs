//! What the user says of assets to come, alike for files of this machine and for those that the server fetches.

use crate::fault::Fault;
use clap::Args;
use mediaflow_core::Priority;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Args)]
pub(super) struct Said {
    /// A title
    #[arg(long)]
    title: Option<String>,
    /// Tags; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Any JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Show it only to signed URLs
    #[arg(long)]
    private: bool,
    /// Put the configured watermark on it
    #[arg(long)]
    watermark: bool,
    /// high, normal or low: the share of processors beside your other uploads. Imports in bulk are low
    #[arg(long, value_name = "PRIORITY", value_parser = priority)]
    priority: Option<Priority>,
    /// A recipe other than the default one
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
}

impl Said {
    fn metadata(&self) -> Result<Option<Map<String, Value>>, Fault> {
        let metadata = self.metadata.as_deref().map(serde_json::from_str);
        metadata.transpose().map_err(|_| {
            Fault::unusable(
                "--metadata must be a JSON object, for example '{\"album\": \"summer\"}'",
            )
        })
    }

    fn texts(&self) -> Vec<(&'static str, String)> {
        let priority = self.priority.map(|priority| priority.as_str().to_owned());
        let texts = [
            ("title", self.title.clone()),
            ("recipe", self.recipe.clone()),
            ("visibility", self.private.then(|| "private".to_owned())),
            ("priority", priority),
        ];
        let texts = texts.into_iter();
        texts
            .filter_map(|(name, text)| Some((name, text?)))
            .collect()
    }

    /// As the query of an upload.
    ///
    /// # Errors
    /// When the metadata are no JSON object.
    pub(super) fn query(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        self.metadata()?;
        let mut query = self.texts();
        query.extend(self.metadata.clone().map(|text| ("metadata", text)));
        query.extend(self.watermark.then(|| ("watermark", "true".to_owned())));
        query.extend(self.tags.iter().map(|tag| ("tags", tag.clone())));
        Ok(query)
    }

    /// As the fields of a JSON body.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Fault> {
        let texts = self.texts().into_iter();
        let mut fields: Map<String, Value> = texts
            .map(|(name, text)| (name.into(), text.into()))
            .collect();
        if let Some(metadata) = self.metadata()? {
            fields.insert("metadata".into(), metadata.into());
        }
        fields.insert("watermark".into(), self.watermark.into());
        fields.insert("tags".into(), json!(self.tags));
        Ok(fields)
    }
}

fn priority(name: &str) -> Result<Priority, String> {
    Priority::parse(name).ok_or_else(|| "priorities are high, normal, low".to_owned())
}
