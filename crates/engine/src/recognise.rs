//! What the engine must know of a file before it accepts it, answered by who knows codecs.

use mediaflow_blob::BlobFile;
use mediaflow_core::{ErrorCode, Kind};

/// What a file is, found from its bytes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Decides about the recipe.
    pub kind: Kind,
    /// The real media type.
    pub media_type: &'static str,
    /// Upright width and height in pixels, where the bytes at hand tell.
    pub dimensions: Option<(u32, u32)>,
    /// Pictures in the file, as far as the bytes at hand tell.
    pub frames: u32,
}

/// Recognises files. Must be quick, must not panic, and must not trust names.
pub trait Recognise: Send + Sync + 'static {
    /// `bytes` are the whole file, or its beginning.
    ///
    /// # Errors
    /// A code and a text for what is not taken at all: `input.unsupported`, `limit.pixels`, ...
    fn recognise(&self, bytes: &[u8], is_whole: bool) -> Result<Recognised, (ErrorCode, String)>;

    /// Corrects what was recognised by what is inside the file, where its beginning does not tell. Reads headers only.
    fn look_inside(&self, found: Recognised, _file: &mut dyn BlobFile) -> Recognised {
        found
    }
}
