//! What a user says about an asset.

use serde::{Deserialize, Serialize};

/// What sort of media an asset is; decides which recipe runs by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A still or animated picture.
    Image,
    /// Moving pictures, with or without sound.
    Video,
    /// Sound, perhaps with a picture on its cover.
    Audio,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Image, Self::Video, Self::Audio];

    /// The name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.as_str() == name)
    }
}

/// Who may fetch an asset's renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anyone who knows the URL.
    #[default]
    Public,
    /// Only who holds a signed URL that has not expired.
    Private,
}

impl Visibility {
    /// The name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }

    /// The visibility of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "private" => Some(Self::Private),
            _ => None,
        }
    }
}

/// The point that crops keep in sight, as fractions of the upright width and height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// 0 is the left edge, 1 the right.
    pub x: f32,
    /// 0 is the top edge, 1 the bottom.
    pub y: f32,
}

impl Default for Focus {
    fn default() -> Self {
        Self { x: 0.5, y: 0.5 }
    }
}

impl Focus {
    /// Whether both coordinates lie in the picture.
    pub fn is_valid(self) -> bool {
        (0.0..=1.0).contains(&self.x) && (0.0..=1.0).contains(&self.y)
    }
}

/// What the user says with an upload and may change later, and what a run depends on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetOptions {
    /// A name for people.
    pub title: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Any JSON object of the user's own.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Who may fetch renditions.
    pub visibility: Visibility,
    /// Whether the configured watermark is applied.
    pub watermark: bool,
    /// Where crops look.
    pub focus: Option<Focus>,
}
