//! Ink to screen for CMYK files without a profile.
//!
//! There is no right answer without a profile, so this is a plain model of offset printing (Neugebauer):
//! a small area of paper shows each of the sixteen overprints of the four solid inks in proportion to the
//! chance that its dots fall there, and its colour is the mix of those. The solids are typical coated-paper
//! values, mixed in gamma-encoded values, which stands in for the spreading of light within paper. The
//! naive `255 - ink` makes such files far too vivid.

/// sRGB of the overprints; bit 0 cyan, bit 1 magenta, bit 2 yellow, bit 3 black.
const SOLIDS: [[u8; 3]; 16] = [
    [255, 255, 255],
    [0, 160, 222],
    [228, 0, 126],
    [46, 48, 142],
    [255, 240, 0],
    [0, 155, 76],
    [226, 32, 38],
    [56, 50, 52],
    [38, 34, 35],
    [14, 24, 32],
    [32, 8, 18],
    [12, 8, 22],
    [34, 32, 12],
    [10, 22, 12],
    [30, 10, 8],
    [6, 6, 6],
];

/// Converts interleaved amounts of ink (0 is none, 255 is solid) to RGB.
pub(super) fn to_srgb(inks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inks.len() / 4 * 3);
    // Pictures repeat colours from pixel to pixel often enough to remember the last one.
    let (mut last, mut rgb) = ([0; 4], SOLIDS[0]);
    for &ink in inks.as_chunks::<4>().0 {
        if ink != last {
            (last, rgb) = (ink, mix(ink));
        }
        out.extend_from_slice(&rgb);
    }
    out
}

fn mix([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let blend = |none: f32, solid: f32, ink: u8| none + (solid - none) * (f32::from(ink) / 255.0);
    std::array::from_fn(|channel| {
        let solid = |n: usize| f32::from(SOLIDS[n][channel]);
        let cyan: [f32; 8] = std::array::from_fn(|n| blend(solid(2 * n), solid(2 * n + 1), c));
        let magenta: [f32; 4] = std::array::from_fn(|n| blend(cyan[2 * n], cyan[2 * n + 1], m));
        let yellow: [f32; 2] =
            std::array::from_fn(|n| blend(magenta[2 * n], magenta[2 * n + 1], y));
        (blend(yellow[0], yellow[1], k) + 0.5) as u8
    })
}
