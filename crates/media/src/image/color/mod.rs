//! What the numbers in a pixel mean.

/// Colour code points of ITU-T H.273, as in an `nclx` box or a PNG `cICP` chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cicp {
    /// Colour primaries: 1 BT.709, 9 BT.2020, 12 Display P3.
    pub primaries: u16,
    /// Transfer characteristics: 13 sRGB, 16 PQ, 18 HLG.
    pub transfer: u16,
    /// Matrix coefficients; 0 for RGB samples.
    pub matrix: u16,
    /// Whether samples use their whole range.
    pub full_range: bool,
}
