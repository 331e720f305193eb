//! ICC profiles, and everything else that can be put in the form of one.

use moxcms::{
    ColorPrimaries, ColorProfile, DataColorSpace, Layout as CmsLayout, ParsingOptions, ProfileText,
    RenderingIntent, ToneReprCurve, TransformExecutor, TransformOptions, XyY, adobe_rgb_colorants,
    bt2020_colorants, display_p3_colorants, pro_photo_rgb_colorants, srgb_colorants,
};

use super::{Channels, Cicp, Layout, PngColor, Raster, Samples, Space, narrow, plain, srgb_decode};

/// What is to be done with samples.
pub(super) enum Meaning {
    /// Nothing: they are sRGB, or as good as that.
    Srgb,
    /// Tone-mapping.
    Hdr(Cicp),
    /// A colour transform.
    Profile(Box<ColorProfile>),
}

/// Reads a description of a colour space. One that makes no sense counts as absent.
pub(super) fn interpret(space: &Space) -> Meaning {
    let profile = match space {
        Space::Srgb => None,
        Space::Icc(icc) => parse(icc),
        Space::Cicp(cicp) if cicp.hdr_transfer().is_some() => return Meaning::Hdr(*cicp),
        Space::Cicp(cicp) => from_cicp(*cicp),
        Space::Png(color) => from_png(*color),
    };
    match profile {
        Some(profile) => match hdr_of(&profile) {
            Some(cicp) => Meaning::Hdr(cicp),
            None if is_srgb(&profile) => Meaning::Srgb,
            None => Meaning::Profile(Box::new(profile)),
        },
        None => Meaning::Srgb,
    }
}

fn parse(icc: &[u8]) -> Option<ColorProfile> {
    let options = ParsingOptions {
        max_profile_size: icc.len() + 1,
        ..ParsingOptions::default()
    };
    ColorProfile::new_from_slice_with_options(icc, options).ok()
}

/// Profiles of version 4.4 can say that they are really PQ or HLG.
fn hdr_of(profile: &ColorProfile) -> Option<Cicp> {
    let tag = profile.cicp.as_ref()?;
    let cicp = Cicp {
        primaries: tag.color_primaries as u16,
        transfer: tag.transfer_characteristics as u16,
        matrix: 0,
        full_range: true,
    };
    cicp.hdr_transfer().map(|_| cicp)
}

pub(super) fn is_rgb(profile: &ColorProfile) -> bool {
    profile.color_space == DataColorSpace::Rgb
}

/// A short name of the colour space that `icc` describes, and the profile's own description.
/// `None` when the profile cannot be read.
pub(crate) fn describe(icc: &[u8]) -> Option<(&'static str, Option<String>)> {
    let profile = parse(icc)?;
    let text = match profile.description.as_ref() {
        Some(ProfileText::PlainString(text)) => Some(text.clone()),
        Some(ProfileText::Localizable(texts)) => texts.first().map(|text| text.value.clone()),
        Some(ProfileText::Description(text)) => Some(text.ascii_string.clone()),
        None => None,
    };
    let text = text
        .map(|text| text.trim_matches(['\0', ' ']).to_owned())
        .filter(|text| !text.is_empty());
    let space = match profile.color_space {
        DataColorSpace::Gray => "gray",
        DataColorSpace::Cmyk => "cmyk",
        DataColorSpace::Lab => "lab",
        DataColorSpace::Rgb => rgb_name(&profile),
        _ => "other",
    };
    Some((space, text))
}

fn rgb_name(profile: &ColorProfile) -> &'static str {
    if is_srgb(profile) {
        return "srgb";
    }
    [
        ("display-p3", display_p3_colorants()),
        ("adobe-rgb", adobe_rgb_colorants()),
        ("prophoto-rgb", pro_photo_rgb_colorants()),
        ("rec2020", bt2020_colorants()),
    ]
    .into_iter()
    .find(|(_, colorants)| has_colorants(profile, &colorants.v, 0.003))
    .map_or("rgb", |(name, _)| name)
}

/// A short name for H.273 primaries.
pub(crate) fn name(cicp: Cicp) -> &'static str {
    match cicp.primaries {
        1 | 2 => "srgb",
        9 => "rec2020",
        11 | 12 => "display-p3",
        _ => "rgb",
    }
}

/// Whether a transform to sRGB would change nothing that can be seen in 8 bits.
fn is_srgb(profile: &ColorProfile) -> bool {
    is_rgb(profile)
        && profile.lut_a_to_b_perceptual.is_none()
        && profile.lut_a_to_b_colorimetric.is_none()
        && has_colorants(profile, &srgb_colorants().v, 0.001)
        && [&profile.red_trc, &profile.green_trc, &profile.blue_trc]
            .into_iter()
            .all(|curve| {
                curve.as_ref().is_some_and(|curve| {
                    (0..=64).all(|n| {
                        let x = f64::from(n) / 64.0;
                        (evaluate(curve, x) - srgb_decode(x)).abs() < 0.002
                    })
                })
            })
}

fn has_colorants(profile: &ColorProfile, wanted: &[[f64; 3]; 3], tolerance: f64) -> bool {
    let columns = [
        profile.red_colorant,
        profile.green_colorant,
        profile.blue_colorant,
    ];
    columns.iter().enumerate().all(|(column, color)| {
        [color.x, color.y, color.z]
            .iter()
            .enumerate()
            .all(|(row, value)| (value - wanted[row][column]).abs() < tolerance)
    })
}

/// A tone curve of ICC.1 (10.6 and 10.18) at `x`.
fn evaluate(curve: &ToneReprCurve, x: f64) -> f64 {
    match curve {
        ToneReprCurve::Lut(table) => match table[..] {
            [] => x,
            [gamma] => x.powf(f64::from(gamma) / 256.0),
            _ => {
                let place = x * (table.len() - 1) as f64;
                let (low, high) = (place.floor() as usize, place.ceil() as usize);
                let (a, b) = (
                    f64::from(table[low]),
                    f64::from(table[high.min(table.len() - 1)]),
                );
                (a + (b - a) * place.fract()) / 65_535.0
            }
        },
        ToneReprCurve::Parametric(p) => {
            let p: Vec<f64> = p.iter().map(|&v| f64::from(v)).collect();
            match p[..] {
                [g] => x.powf(g),
                [g, a, b] => {
                    if x >= -b / a {
                        (a * x + b).powf(g)
                    } else {
                        0.0
                    }
                }
                [g, a, b, c] => {
                    if x >= -b / a {
                        (a * x + b).powf(g) + c
                    } else {
                        c
                    }
                }
                [g, a, b, c, d] => {
                    if x >= d {
                        (a * x + b).powf(g)
                    } else {
                        c * x
                    }
                }
                [g, a, b, c, d, e, f] => {
                    if x >= d {
                        (a * x + b).powf(g) + e
                    } else {
                        c * x + f
                    }
                }
                _ => f64::NAN,
            }
        }
    }
}

/// Standard dynamic range code points. The transfer functions of video (1, 6, 14, 15) count as sRGB:
/// still images that carry them were made for screens.
fn from_cicp(cicp: Cicp) -> Option<ColorProfile> {
    let primaries = match cicp.primaries {
        4 => ColorPrimaries::BT_470M,
        5 => ColorPrimaries::BT_470BG,
        6 | 7 => ColorPrimaries::BT_601,
        9 => ColorPrimaries::BT_2020,
        11 | 12 => ColorPrimaries::SMPTE_432,
        _ => ColorPrimaries::BT_709,
    };
    let gamma = match cicp.transfer {
        4 => Some(2.2),
        5 => Some(2.8),
        8 => Some(1.0),
        _ => None,
    };
    Some(rgb_profile([0.3127, 0.3290], primaries, gamma))
}

/// `gAMA` and `cHRM`, which count only where nothing better is said.
fn from_png(color: PngColor) -> Option<ColorProfile> {
    if color.srgb || color.gamma.is_none() {
        return None;
    }
    let gamma = color
        .gamma
        .map(|g| 100_000.0 / f64::from(g))
        .filter(|g| (0.1..=10.0).contains(g))?;
    let [wx, wy, rx, ry, gx, gy, bx, by] = color
        .chromaticities
        .map_or([0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06], |c| {
            c.map(|v| f64::from(v) / 1e5)
        });
    if [wy, ry, gy, by].into_iter().any(|y| y < 0.001) {
        return None;
    }
    // 1/2.2 is how writers that mean sRGB put it.
    let gamma = if (gamma - 2.2).abs() < 0.05 {
        None
    } else {
        Some(gamma)
    };
    let at = |x: f64, y: f64| moxcms::Chromaticity {
        x: x as f32,
        y: y as f32,
    };
    let primaries = ColorPrimaries {
        red: at(rx, ry),
        green: at(gx, gy),
        blue: at(bx, by),
    };
    Some(rgb_profile([wx, wy], primaries, gamma))
}

/// A profile with these primaries and a power function, or the curve of sRGB.
fn rgb_profile(white: [f64; 2], primaries: ColorPrimaries, gamma: Option<f64>) -> ColorProfile {
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    profile.update_rgb_colorimetry(
        XyY {
            x: white[0],
            y: white[1],
            yb: 1.0,
        },
        primaries,
    );
    if let Some(gamma) = gamma {
        let curve = Some(ToneReprCurve::Parametric(vec![gamma as f32]));
        (profile.red_trc, profile.green_trc, profile.blue_trc) =
            (curve.clone(), curve.clone(), curve);
    }
    profile
}

/// Transforms with the profile; samples that it does not fit, or that the engine cannot take, stay as they are.
pub(super) fn to_srgb(mut raster: Raster, profile: &ColorProfile) -> (Layout, Vec<u8>) {
    if is_rgb(profile) {
        raster = expand_gray(raster);
    }
    let (from, to) = match (raster.channels, profile.color_space) {
        (Channels::Gray, DataColorSpace::Gray) => (CmsLayout::Gray, CmsLayout::Rgb),
        (Channels::GrayAlpha, DataColorSpace::Gray) => (CmsLayout::GrayAlpha, CmsLayout::Rgba),
        (Channels::Rgb, DataColorSpace::Rgb) => (CmsLayout::Rgb, CmsLayout::Rgb),
        (Channels::Rgba, DataColorSpace::Rgb) => (CmsLayout::Rgba, CmsLayout::Rgba),
        (Channels::Cmyk, DataColorSpace::Cmyk) => (CmsLayout::Rgba, CmsLayout::Rgb),
        _ => return plain(raster),
    };
    let target = ColorProfile::new_srgb();
    let options = TransformOptions {
        rendering_intent: RenderingIntent::Perceptual,
        ..TransformOptions::default()
    };
    let layout = raster.channels.layout();
    let (width, incoming, outgoing) = (
        raster.width as usize,
        raster.channels.count(),
        layout.channels(),
    );
    let data = match &mut raster.samples {
        Samples::U8(data) => profile
            .create_transform_8bit(from, &target, to, options)
            .ok()
            .and_then(|transform| {
                in_strips(transform.as_ref(), data, width * incoming, width * outgoing)
            }),
        Samples::U16(data) => profile
            .create_transform_16bit(from, &target, to, options)
            .ok()
            .and_then(|transform| {
                narrowing(transform.as_ref(), data, width * incoming, width * outgoing)
            }),
    };
    match data {
        Some(data) => (layout, data),
        None => plain(raster),
    }
}

fn expand_gray(raster: Raster) -> Raster {
    fn spread<T: Copy>(data: &[T], alpha: bool) -> Vec<T> {
        if alpha {
            data.as_chunks::<2>()
                .0
                .iter()
                .flat_map(|&[v, a]| [v, v, v, a])
                .collect()
        } else {
            data.iter().flat_map(|&v| [v; 3]).collect()
        }
    }
    let (channels, alpha) = match raster.channels {
        Channels::Gray => (Channels::Rgb, false),
        Channels::GrayAlpha => (Channels::Rgba, true),
        _ => return raster,
    };
    let samples = match &raster.samples {
        Samples::U8(data) => Samples::U8(spread(data, alpha)),
        Samples::U16(data) => Samples::U16(spread(data, alpha)),
    };
    Raster {
        channels,
        samples,
        ..raster
    }
}

/// Rows per call: enough to spread its cost, few enough to stay in cache.
const STRIP: usize = 16;

/// Works within the buffer where the result is no larger than the source.
fn in_strips(
    transform: &dyn TransformExecutor<u8>,
    data: &mut Vec<u8>,
    row_in: usize,
    row_out: usize,
) -> Option<Vec<u8>> {
    if row_out > row_in {
        let mut out = vec![0; data.len() / row_in * row_out];
        for (source, target) in data
            .chunks(STRIP * row_in)
            .zip(out.chunks_mut(STRIP * row_out))
        {
            transform.transform(source, target).ok()?;
        }
        return Some(out);
    }
    let mut strip = Vec::with_capacity(STRIP * row_in);
    for top in (0..data.len() / row_in).step_by(STRIP) {
        strip.clear();
        strip.extend_from_slice(&data[top * row_in..((top + STRIP) * row_in).min(data.len())]);
        let rows = strip.len() / row_in;
        transform
            .transform(&strip, &mut data[top * row_out..(top + rows) * row_out])
            .ok()?;
    }
    data.truncate(data.len() / row_in * row_out);
    Some(std::mem::take(data))
}

/// Converts in 16 bits and rounds to 8 afterwards.
fn narrowing(
    transform: &dyn TransformExecutor<u16>,
    data: &[u16],
    row_in: usize,
    row_out: usize,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len() / row_in * row_out);
    let mut strip = vec![0; STRIP * row_out];
    for source in data.chunks(STRIP * row_in) {
        let target = &mut strip[..source.len() / row_in * row_out];
        transform.transform(source, target).ok()?;
        out.extend(target.iter().map(|&value| narrow(value)));
    }
    Some(out)
}
