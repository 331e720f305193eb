//! Sound: streams in pieces, loudness, the shape of its wave, cover art, files to take away.

mod adts;
mod cover;
mod download;
mod encode;
mod filters;
mod level;
mod loudness;
mod plan;
mod verify;
mod waveform;

pub use cover::{cover, has_cover};
pub use download::{Download, DownloadFormat, download, download_channels};
pub use encode::{AudioSegment, encode_piece, init_segment, piece_reads};
pub use level::Level;
pub use loudness::{Evened, Loudness, even, loudness};
pub use plan::{channels, needs_index, plan};
pub use verify::verify_piece;
pub use waveform::{Waveform, waveform};

/// Reads blocks of AAC as they might be; for fuzzers.
pub(crate) fn fuzz_blocks(bytes: &[u8]) {
    let mut blocks = adts::Blocks::new(bytes);
    while let Ok(Some(block)) = blocks.next() {
        assert!(!block.is_empty());
    }
}
