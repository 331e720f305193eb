//! Which format an `Accept` header asks for, of those that exist.

use mediaflow_core::operation::Format;
use mediaflow_engine::store::RenditionRecord;

/// The best of `found`, which are one profile's renditions: the highest quality value first, then AVIF, WebP, PNG,
/// JPEG. `None` only when there are none.
///
/// Only a client that names AVIF or WebP gets one: `*/*` and `image/*` come from everywhere, also from programs that
/// know neither. What moves is never answered by something still that is merely smaller. When nothing is acceptable
/// the baseline is answered, because a picture is worth more than a 406.
pub(crate) fn choose<'a>(
    accept: Option<&str>,
    found: &[&'a RenditionRecord],
) -> Option<&'a RenditionRecord> {
    let ranges = accept.map(ranges).unwrap_or_default();
    let moves = found.iter().any(|r| r.animated);
    let quality = |r: &RenditionRecord| match r.format {
        Format::Avif if moves && !r.animated => 0,
        Format::Avif | Format::Webp => named(&ranges, r.format),
        Format::Png | Format::Jpeg => baseline(&ranges, r.format),
        _ => 1,
    };
    let best = found
        .iter()
        .filter(|r| quality(r) > 0)
        .max_by_key(|r| (quality(r), preference(r.format)));
    let fallback = || found.iter().min_by_key(|r| preference(r.format));
    best.or_else(fallback).copied()
}

/// The format that suits `Accept` best, of a picture that can be made in each.
pub(crate) fn preferred(accept: Option<&str>) -> Format {
    let ranges = accept.map(ranges).unwrap_or_default();
    let quality = |format: Format| match format {
        Format::Jpeg => baseline(&ranges, format),
        format => named(&ranges, format),
    };
    let made = [Format::Avif, Format::Webp, Format::Jpeg].into_iter();
    made.filter(|f| quality(*f) > 0)
        .max_by_key(|f| (quality(*f), preference(*f)))
        .unwrap_or(Format::Jpeg)
}

const fn preference(format: Format) -> u8 {
    match format {
        Format::Avif => 3,
        Format::Webp => 2,
        Format::Png => 1,
        _ => 0,
    }
}

/// Media ranges in lower case with their quality in thousandths.
type Ranges = Vec<(String, u16)>;

fn ranges(accept: &str) -> Ranges {
    let range = |text: &str| {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let is_quality = |p: &&str| p.len() >= 2 && p[..2].eq_ignore_ascii_case("q=");
        let quality = match parts.find(|p| p.is_char_boundary(2.min(p.len())) && is_quality(p)) {
            Some(q) => thousandths(&q[2..])?,
            None => 1000,
        };
        (!name.is_empty()).then_some((name, quality))
    };
    accept.split(',').filter_map(range).collect()
}

/// `1`, `0.8`, `0.125`: nothing else is a quality value.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u16 = format!("{fraction:0<3}")
        .parse()
        .ok()
        .filter(|_| is_digits)?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

fn named(ranges: &Ranges, format: Format) -> u16 {
    let found = ranges.iter().find(|(name, _)| name == format.media_type());
    found.map_or(0, |(_, quality)| *quality)
}

/// The most specific range that matches decides; without any range everything is welcome.
fn baseline(ranges: &Ranges, format: Format) -> u16 {
    if ranges.is_empty() {
        return 1000;
    }
    let matching = [format.media_type(), "image/*", "*/*"];
    let quality = |name: &&str| ranges.iter().find(|(n, _)| n == *name).map(|(_, q)| *q);
    matching.iter().find_map(quality).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaflow_core::Sha256;

    fn rendition(format: Format, animated: bool) -> RenditionRecord {
        RenditionRecord {
            generation: 1,
            profile: "large".into(),
            format,
            dimensions: Some((1, 1)),
            animated,
            derivation: Sha256([0; 32]),
            bytes: 1,
            sha256: Sha256([0; 32]),
        }
    }

    /// `have` lists formats; one that moves ends with `!`.
    fn check(have: &str, accept: &str, expected: &str) {
        let have: Vec<RenditionRecord> = have
            .split(' ')
            .map(|f| {
                rendition(
                    Format::parse(f.trim_end_matches('!')).unwrap(),
                    f.ends_with('!'),
                )
            })
            .collect();
        let have: Vec<&RenditionRecord> = have.iter().collect();
        let accept = (accept != "-").then_some(accept);
        let chosen = choose(accept, &have).map_or("none", |r| r.format.as_str());
        assert_eq!(chosen, expected, "{accept:?} of {have:?}");
    }

    const PHOTO: &str = "jpeg webp avif";
    const LOGO: &str = "png webp avif";
    const ANIMATION: &str = "jpeg webp! avif";
    const CHROME: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
    const SAFARI_14: &str =
        "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5";

    #[test]
    fn browsers_get_the_smallest_that_they_name() {
        check(PHOTO, CHROME, "avif");
        check(LOGO, CHROME, "avif");
        check(PHOTO, SAFARI_14, "webp");
        check("jpeg", CHROME, "jpeg");
        check("jpeg webp", CHROME, "webp");
    }

    #[test]
    fn wildcards_do_not_promise_anything() {
        for accept in ["-", "*/*", "image/*", "image/*,*/*;q=0.8", "text/html"] {
            check(PHOTO, accept, "jpeg");
            check(LOGO, accept, "png");
        }
    }

    #[test]
    fn quality_values_decide_before_our_preference() {
        check(PHOTO, "image/avif;q=0.5,image/webp;q=0.9", "webp");
        check(PHOTO, "image/avif;q=0.5, image/webp;q=0.501", "webp");
        check(PHOTO, "image/webp;q=0.5,*/*;q=0.8", "jpeg");
        check(PHOTO, "IMAGE/AVIF ; Q=1.000", "avif");
        check(PHOTO, "image/avif;q=0,image/webp", "webp");
        check(PHOTO, "image/avif;q=0,*/*", "jpeg");
        check(PHOTO, "image/jpeg;q=0,image/webp;q=0.1", "webp");
        check(PHOTO, "image/avif;q=2,image/webp;q=0.1", "webp");
        check(PHOTO, "image/avif;q=high,image/webp;q=0.1", "webp");
        check(PHOTO, "image/avif;q=0.1234,image/webp;q=0.1", "webp");
    }

    #[test]
    fn the_baseline_is_better_than_nothing() {
        check("jpeg", "image/avif", "jpeg");
        check("png", "image/jpeg", "png");
        check(PHOTO, "image/jxl,*/*;q=0", "jpeg");
        check(PHOTO, ",;,q=1,\u{e9}", "jpeg");
        assert!(choose(None, &[]).is_none());
    }

    #[test]
    fn what_moves_stays_moving() {
        check(ANIMATION, CHROME, "webp");
        check(ANIMATION, "image/avif,*/*", "jpeg");
        check(ANIMATION, "image/avif", "jpeg");
        check(ANIMATION, "*/*", "jpeg");
        check("jpeg webp! avif!", CHROME, "avif");
    }
}
