//! Decoded pixels: what decoders produce and encoders consume.

/// How many bytes a pixel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Three bytes: red, green, blue.
    Rgb,
    /// Four bytes: red, green, blue, alpha; alpha is straight (not premultiplied).
    Rgba,
}

impl Layout {
    /// Bytes per pixel.
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// An upright 8-bit image in display order, rows packed without padding.
///
/// The colour space is sRGB unless `icc` says otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    width: u32,
    height: u32,
    layout: Layout,
    data: Vec<u8>,
    /// The profile that the values are in; `None` means sRGB.
    pub icc: Option<std::sync::Arc<[u8]>>,
}

impl Pixels {
    /// Wraps `data`, which holds `height` rows of `width` pixels.
    ///
    /// # Panics
    /// When a side is zero or `data` has not exactly `width * height * channels` bytes.
    pub fn new(width: u32, height: u32, layout: Layout, data: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "an image has at least one pixel");
        assert_eq!(
            data.len(),
            width as usize * height as usize * layout.channels(),
            "the buffer must hold exactly {width}x{height} pixels"
        );
        Self { width, height, layout, data, icc: None }
    }

    /// Pixels per row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What a pixel consists of.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// All rows, top to bottom.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All rows, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The buffer itself.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Whether any pixel is not fully opaque.
    pub fn is_transparent(&self) -> bool {
        self.layout == Layout::Rgba && self.data.chunks_exact(4).any(|p| p[3] != 255)
    }

    /// The same image without its alpha channel, which must be opaque or not matter.
    pub fn without_alpha(self) -> Self {
        if self.layout == Layout::Rgb {
            return self;
        }
        let mut data = Vec::with_capacity(self.width as usize * self.height as usize * 3);
        for p in self.data.chunks_exact(4) {
            data.extend_from_slice(&p[..3]);
        }
        let icc = self.icc;
        Self { icc, ..Self::new(self.width, self.height, Layout::Rgb, data) }
    }
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{} {:?})", self.width, self.height, self.layout)
    }
}

/// One picture of an animation, already composed onto the full canvas.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The whole canvas at this moment.
    pub pixels: Pixels,
    /// How long it is shown, in milliseconds.
    pub delay_ms: u32,
}

/// Frames that play one after the other.
#[derive(Debug, Clone)]
pub struct Animation {
    /// At least one, all of one size and layout.
    pub frames: Vec<Frame>,
    /// How often it plays; 0 means for ever.
    pub loops: u32,
}
