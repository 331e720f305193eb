//! High dynamic range stills (PQ and HLG, ITU-R BT.2100) to sRGB.
//!
//! Light is computed relative to reference white (203 cd/m2, ITU-R BT.2408). What is darker than about half
//! of it stays as it is; brighter light is compressed by the curve of ITU-R BT.2390 (5.4), so that the peak
//! of the format's usual mastering display lands on white. The curve is applied to the largest of red, green
//! and blue and the others follow in proportion, which keeps hues. Colours outside of BT.709 are drawn
//! towards grey of the same luminance just far enough to fit.

use super::{Channels, Cicp, Layout, Raster, Samples, srgb_encode};

/// Reference white in cd/m2.
const WHITE: f64 = 203.0;
/// The peak that content is taken to be mastered for, in cd/m2. Brighter light clips.
const PEAK: f64 = 1000.0;

/// Converts RGB or RGBA samples.
pub(super) fn to_srgb(raster: Raster, cicp: Cicp) -> (Layout, Vec<u8>) {
    let channels = raster.channels.count();
    let alpha = raster.channels == Channels::Rgba;
    let mapper = Mapper::new(cicp);
    let mut out = Vec::with_capacity(raster.width as usize * raster.height as usize * channels);
    let mut push = |[r, g, b]: [u16; 3], a: Option<u8>| {
        out.extend_from_slice(&mapper.map([r, g, b]));
        out.extend(a);
    };
    match &raster.samples {
        Samples::U8(data) => data.chunks_exact(channels).for_each(|p| {
            push(
                [p[0], p[1], p[2]].map(|v| u16::from(v) * 257),
                alpha.then(|| p[3]),
            );
        }),
        Samples::U16(data) => data.chunks_exact(channels).for_each(|p| {
            push([p[0], p[1], p[2]], alpha.then(|| super::narrow(p[3])));
        }),
    }
    (raster.channels.layout(), out)
}

struct Mapper {
    hlg: bool,
    /// Linear light by sample value: relative to [`WHITE`] for PQ, of the scene for HLG.
    linear: Vec<f32>,
    /// What to multiply with, by the square root of the largest linear component over the peak's.
    gain: Vec<f32>,
    /// sRGB by linear light.
    encode: Vec<u8>,
    to_709: [[f32; 3]; 3],
    /// Luminance weights of the source's primaries.
    luminance: [f32; 3],
}

const GAIN_STEPS: usize = 4096;
const ENCODE_STEPS: usize = 16_384;

impl Mapper {
    fn new(cicp: Cicp) -> Self {
        let hlg = cicp.hdr_transfer() == Some("hlg");
        let linear = (0..=u16::MAX)
            .map(|value| f64::from(value) / 65_535.0)
            .map(|value| {
                if hlg {
                    hlg_scene(value)
                } else {
                    pq_light(value) / WHITE
                }
            })
            .map(|light| light as f32)
            .collect();
        let peak = PEAK / WHITE;
        let gain = (0..=GAIN_STEPS)
            .map(|n| (n as f64 / GAIN_STEPS as f64).powi(2) * peak)
            .map(|light| {
                if light == 0.0 {
                    1.0
                } else {
                    (compress(light * WHITE) / WHITE / light) as f32
                }
            })
            .collect();
        // Indexed by the square root, so that shadows have as many steps as they need.
        let encode = (0..=ENCODE_STEPS)
            .map(|n| srgb_encode((n as f64 / ENCODE_STEPS as f64).powi(2)))
            .map(|value| (value * 255.0 + 0.5) as u8)
            .collect();
        let (to_709, luminance) = match cicp.primaries {
            9 => (
                [
                    [1.660_491, -0.587_641, -0.072_850],
                    [-0.124_550, 1.132_9, -0.008_349],
                    [-0.018_151, -0.100_579, 1.118_73],
                ],
                [0.262_7, 0.678, 0.059_3],
            ),
            11 | 12 => (
                [
                    [1.224_94, -0.224_94, 0.0],
                    [-0.042_057, 1.042_057, 0.0],
                    [-0.019_638, -0.078_636, 1.098_274],
                ],
                [0.228_975, 0.691_739, 0.079_287],
            ),
            _ => (
                [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                [0.212_6, 0.715_2, 0.072_2],
            ),
        };
        Self {
            hlg,
            linear,
            gain,
            encode,
            to_709,
            luminance,
        }
    }

    fn map(&self, samples: [u16; 3]) -> [u8; 3] {
        let mut rgb = samples.map(|value| self.linear[usize::from(value)]);
        if self.hlg {
            // The system gamma of a 1000 cd/m2 display works on luminance.
            let scene = dot(self.luminance, rgb);
            let display = scene.max(0.0).powf(0.2) * (PEAK / WHITE) as f32;
            rgb = rgb.map(|v| v * display);
        }
        let peak = (PEAK / WHITE) as f32;
        let largest = rgb.into_iter().fold(0.0, f32::max);
        let gain = if largest >= peak {
            1.0 / largest
        } else {
            self.gain[((largest / peak).sqrt() * GAIN_STEPS as f32) as usize]
        };
        let rgb = rgb.map(|v| v * gain);
        let rgb = self.to_709.map(|row| dot(row, rgb));
        into_gamut(rgb)
            .map(|v| self.encode[(v.clamp(0.0, 1.0).sqrt() * ENCODE_STEPS as f32 + 0.5) as usize])
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Mixes with grey of the same luminance until no component is below 0 or above 1.
fn into_gamut(rgb: [f32; 3]) -> [f32; 3] {
    let gray = dot([0.212_6, 0.715_2, 0.072_2], rgb).clamp(0.0, 1.0);
    let keep = rgb.into_iter().fold(1.0f32, |keep, v| {
        let room = if v > 1.0 {
            (1.0 - gray) / (v - gray)
        } else if v < 0.0 {
            gray / (gray - v)
        } else {
            1.0
        };
        keep.min(room)
    });
    rgb.map(|v| gray + (v - gray) * keep)
}

/// SMPTE ST 2084: cd/m2 of a signal between 0 and 1.
fn pq_light(signal: f64) -> f64 {
    let p = signal.powf(32.0 / 2523.0);
    let fraction = (p - 0.835_937_5).max(0.0) / (18.851_562_5 - 18.6875 * p);
    10_000.0 * fraction.powf(8192.0 / 1305.0)
}

/// The inverse of [`pq_light`].
fn pq_signal(light: f64) -> f64 {
    let y = (light / 10_000.0).powf(1305.0 / 8192.0);
    ((0.835_937_5 + 18.851_562_5 * y) / (1.0 + 18.6875 * y)).powf(2523.0 / 32.0)
}

/// BT.2100 HLG: light of the scene, 0 to 1, of a signal.
fn hlg_scene(signal: f64) -> f64 {
    const A: f64 = 0.178_832_77;
    if signal <= 0.5 {
        signal * signal / 3.0
    } else {
        (((signal - 0.559_910_73) / A).exp() + 0.284_668_92) / 12.0
    }
}

/// The BT.2390 curve from [`PEAK`] to [`WHITE`], both in cd/m2, black staying black.
fn compress(light: f64) -> f64 {
    let peak = pq_signal(PEAK);
    let (source, target) = (pq_signal(light) / peak, pq_signal(WHITE) / peak);
    let knee = 1.5 * target - 0.5;
    if source <= knee {
        return light;
    }
    let t = (source - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let curve = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (-2.0 * t3 + 3.0 * t2) * target;
    pq_light(curve * peak)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapper(transfer: u16, primaries: u16) -> Mapper {
        Mapper::new(Cicp {
            primaries,
            transfer,
            matrix: 0,
            full_range: true,
        })
    }

    #[test]
    fn black_grey_and_peak_land_where_they_should() {
        for transfer in [16, 18] {
            let mapper = mapper(transfer, 9);
            assert_eq!(mapper.map([0; 3]), [0; 3]);
            let peak = if transfer == 16 {
                (pq_signal(PEAK) * 65_535.0) as u16
            } else {
                u16::MAX
            };
            assert!(mapper.map([peak; 3]).iter().all(|v| *v >= 254));
        }
        // 50 cd/m2 is below the knee: a quarter of white, so 0.246 encoded is 135.
        let grey = mapper(16, 9).map([(pq_signal(50.0) * 65_535.0) as u16; 3]);
        assert!(grey.iter().all(|v| v.abs_diff(136) <= 2), "{grey:?}");
    }

    #[test]
    fn brighter_stays_brighter_and_grey_stays_grey() {
        for transfer in [16, 18] {
            let mapper = mapper(transfer, 12);
            let mut last = 0;
            for value in (0..=u16::MAX).step_by(97) {
                let [r, g, b] = mapper.map([value; 3]);
                assert!(r >= last && r.abs_diff(g) <= 1 && g.abs_diff(b) <= 1);
                last = r;
            }
        }
    }
}
