//! What makes a recipe sound: names, order, parameters, and a publish that everything leads to.

mod streams;

use streams::{files, loudness, rungs, sounds};

use super::parse::{Place, RawStep};
use super::{Condition, Recipe, RecipeError, STEPS_MAX};
use crate::operation::{Download, Encoding, Fit, Format, Packaging, Variant};
use crate::{Kind, Operation};

/// Names are used in URLs and logs.
pub(super) fn name(name: &str) -> Result<(), String> {
    let ok = (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if ok {
        Ok(())
    } else {
        Err(format!(
            "the name `{name}` must be 1 to 40 lower-case letters, digits, `-` or `_`"
        ))
    }
}

/// An order in which every step comes after what it needs, stable with the file's order.
pub(super) fn order(raw: &[(Place, RawStep)], file_line: usize) -> Result<Vec<usize>, RecipeError> {
    if raw.is_empty() || raw.len() > STEPS_MAX {
        let message = format!(
            "a recipe has 1 to {STEPS_MAX} `[[steps]]`; this one has {}",
            raw.len()
        );
        return Err(RecipeError {
            line: file_line,
            step: None,
            message,
        });
    }
    for (index, (place, step)) in raw.iter().enumerate() {
        name(&step.name).map_err(|m| place.error(m))?;
        if raw[..index]
            .iter()
            .any(|(_, other)| other.name == step.name)
        {
            return Err(place.error("another step has this name; names are unique"));
        }
        for (i, need) in step.needs.iter().enumerate() {
            if !raw.iter().any(|(_, other)| &other.name == need) {
                return Err(place.error(format!("needs `{need}`, but there is no such step")));
            }
            if step.needs[..i].contains(need) {
                return Err(place.error(format!("needs `{need}` twice; once is enough")));
            }
        }
    }
    let mut done: Vec<usize> = Vec::with_capacity(raw.len());
    while done.len() < raw.len() {
        let next = (0..raw.len()).find(|&i| {
            !done.contains(&i)
                && raw[i]
                    .1
                    .needs
                    .iter()
                    .all(|need| done.iter().any(|&d| &raw[d].1.name == need))
        });
        match next {
            Some(index) => done.push(index),
            None => {
                let stuck = (0..raw.len())
                    .find(|i| !done.contains(i))
                    .expect("not all are done");
                return Err(raw[stuck]
                    .0
                    .error("its needs form a circle; remove one of them"));
            }
        }
    }
    Ok(done)
}

/// Parameters within what the codecs take.
pub(super) fn parameters(place: &Place, operation: &Operation) -> Result<(), RecipeError> {
    match operation {
        Operation::Resize(resize) => {
            if resize.variants.is_empty() || resize.variants.len() > 32 {
                return Err(place.error("`variants` must list 1 to 32 sizes"));
            }
            if !(1..=100).contains(&resize.jpeg_quality) {
                return Err(place.error("`jpeg_quality` must be 1 to 100"));
            }
            for (index, v) in resize.variants.iter().enumerate() {
                variant(v).map_err(|m| place.error(m))?;
                if resize.variants[..index]
                    .iter()
                    .any(|other| other.name == v.name)
                {
                    return Err(place.error(format!("two variants are called `{}`", v.name)));
                }
            }
            Ok(())
        }
        Operation::Compress(c) | Operation::Squeeze(c) => {
            if c.formats.is_empty() {
                return Err(place.error("`formats` must list at least one format"));
            }
            for (index, e) in c.formats.iter().enumerate() {
                encoding(e).map_err(|m| place.error(m))?;
                if c.formats[..index]
                    .iter()
                    .any(|other| other.format == e.format)
                {
                    return Err(place.error(format!("`{}` is listed twice", e.format.as_str())));
                }
            }
            Ok(())
        }
        Operation::VideoPlan(ladder) => {
            if ![2, 6].contains(&ladder.channels_max) {
                let message =
                    "`channels_max` must be 2 (surround is mixed down) or 6 (5.1 is kept)";
                return Err(place.error(message));
            }
            if ladder.chunk_cpu_s.is_some_and(|s| !(1..=600).contains(&s)) {
                return Err(place.error("`chunk_cpu_s` must be 1 to 600"));
            }
            rungs(&ladder.rungs, ladder.packaging).map_err(|m| place.error(m))
        }
        Operation::AudioPlan(wanted) => sounds(wanted).map_err(|m| place.error(m)),
        Operation::AudioLoudness(wanted) => loudness(wanted).map_err(|m| place.error(m)),
        Operation::AudioDownload(wanted) => files(wanted).map_err(|m| place.error(m)),
        _ => Ok(()),
    }
}

fn variant(v: &Variant) -> Result<(), String> {
    name(&v.name)?;
    let side = |value: Option<u32>| value.is_some_and(|n| (1..=16_383).contains(&n));
    let ok = match v.fit {
        Fit::Width => side(v.width) && v.height.is_none(),
        Fit::Cover => side(v.width) && side(v.height),
        Fit::Original => v.width.is_none() && v.height.is_none(),
    };
    if ok {
        return Ok(());
    }
    let rule = match v.fit {
        Fit::Width => "`width` (1 to 16383) and no `height`",
        Fit::Cover => "`width` and `height` (1 to 16383)",
        Fit::Original => "neither `width` nor `height`",
    };
    Err(format!(
        "variant `{}` has fit `{:?}` and so takes {rule}",
        v.name, v.fit
    )
    .to_lowercase())
}

fn encoding(e: &Encoding) -> Result<(), String> {
    let effort_max = match e.format {
        Format::Webp => 6,
        Format::Avif => 9,
        other => {
            return Err(format!(
                "`formats` takes webp and avif, not `{}`",
                other.as_str()
            ));
        }
    };
    let tunings = e
        .variants
        .values()
        .map(|t| (t.quality.unwrap_or(e.quality), t.effort.or(e.effort)));
    for (quality, effort) in tunings.chain([(e.quality, e.effort)]) {
        if !(1..=100).contains(&quality) {
            return Err(format!(
                "{}: `quality` is {quality}; it must be 1 to 100",
                e.format.as_str()
            ));
        }
        if let Some(effort) = effort.filter(|&e| e > effort_max) {
            return Err(format!(
                "{}: `effort` is {effort}; it must be 0 to {effort_max}",
                e.format.as_str()
            ));
        }
    }
    Ok(())
}

/// What no single step can say of itself.
pub(super) fn meaning(
    recipe: &Recipe,
    places: &[Place],
    file_line: usize,
) -> Result<(), RecipeError> {
    let place = |name: &str| {
        places
            .iter()
            .find(|p| p.name == name)
            .expect("every step has a place")
    };
    let count =
        |test: fn(&Operation) -> bool| recipe.steps.iter().filter(|s| test(&s.operation)).count();
    let file_error = |message: &str| RecipeError {
        line: file_line,
        step: None,
        message: message.to_owned(),
    };

    if count(|o| *o == Operation::Publish) != 1 {
        return Err(file_error(
            "a recipe has exactly one step with operation = \"publish\", which needs all that must be done before an asset is ready",
        ));
    }
    if count(|o| matches!(o, Operation::Resize(_))) > 1 {
        return Err(file_error(
            "a recipe has at most one `image.resize`; list all sizes in its `variants`",
        ));
    }
    if count(|o| *o == Operation::Moderate) > 1 {
        return Err(file_error("a recipe has at most one `moderate`"));
    }
    if count(|o| matches!(o, Operation::VideoDownload(_))) > 1 {
        return Err(file_error("a recipe has at most one `video.download`"));
    }
    if count(|o| matches!(o, Operation::AudioLoudness(_))) > 1 {
        return Err(file_error("a recipe has at most one `audio.loudness`"));
    }
    if count(|o| *o == Operation::Watermark) > 1 {
        return Err(file_error("a recipe has at most one `image.watermark`"));
    }
    let mut added: Vec<Format> = Vec::new();
    for (index, step) in recipe.steps.iter().enumerate() {
        let place = place(&step.name);
        let squeezes = matches!(step.operation, Operation::Squeeze(_));
        if !squeezes && !recipe.is_before_publish(index) {
            return Err(place.error("nothing leads from here to `publish`; add this step to what publish, or a step before it, needs"));
        }
        if squeezes && !(step.optional && recipe.reaches(recipe.publish(), index)) {
            return Err(place.error("`image.squeeze` runs after publishing: it needs the publish step and `optional = true`"));
        }
        if step.optional && recipe.decides_what_shows(index) {
            return Err(place.error(format!(
                "`{}` cannot be optional: without it nothing may be shown; remove `optional`",
                step.operation.name()
            )));
        }
        if let Operation::Compress(c) = &step.operation {
            for format in c.formats.iter().map(|f| f.format) {
                if added.contains(&format) {
                    return Err(place.error(format!(
                        "another step already adds `{}`; each format is made once",
                        format.as_str()
                    )));
                }
                added.push(format);
            }
        }
        fits_kind(recipe, index).map_err(|m| place.error(m))?;
        let is_download = matches!(step.operation, Operation::VideoDownload(_));
        if is_download && recipe.steps.iter().any(|s| wraps_in_ts(&s.operation)) {
            return Err(place.error(
                "`video.download` is made of CMAF; remove it, or `segments = \"ts\"` from `video.plan`",
            ));
        }
        let takes_variants = matches!(
            step.operation,
            Operation::Watermark | Operation::Compress(_) | Operation::Squeeze(_)
        );
        let resizes = |s: usize| matches!(recipe.steps[s].operation, Operation::Resize(_));
        if takes_variants && !(0..index).any(|s| resizes(s) && recipe.reaches(s, index)) {
            return Err(place.error(
                "it works on the variants of `image.resize`; add such a step to what it needs",
            ));
        }
        let is_watermark = step.operation == Operation::Watermark;
        if is_watermark != (step.when == Some(Condition::Watermark)) {
            return Err(place.error(
                "`when = \"watermark\"` belongs to `image.watermark`, and to nothing else",
            ));
        }
        if let Operation::Compress(c) | Operation::Squeeze(c) = &step.operation
            && let Some(unknown) = c
                .formats
                .iter()
                .flat_map(|f| f.variants.keys())
                .find(|v| recipe.variant(v).is_none())
        {
            return Err(place.error(format!(
                "tunes a variant `{unknown}` that `image.resize` does not make"
            )));
        }
        if matches!(step.operation, Operation::Compress(_))
            && let Some(mark) = recipe
                .steps
                .iter()
                .position(|s| s.operation == Operation::Watermark)
            && !recipe.reaches(mark, index)
        {
            return Err(
                place.error("it must need the watermark step, so that pixels are encoded once")
            );
        }
    }
    Ok(())
}

fn wraps_in_ts(operation: &Operation) -> bool {
    matches!(operation, Operation::VideoPlan(ladder) if ladder.packaging == Packaging::Ts)
}

/// Pictures are made from an upload that is one, from a video's poster or from a recording's cover.
fn fits_kind(recipe: &Recipe, index: usize) -> Result<(), String> {
    use Operation::{
        AudioCover, AudioLoudness, Compress, Inspect, Placeholder, Resize, Squeeze, VideoDownload,
        VideoPoster, VideoVerify, Watermark,
    };
    let step = &recipe.steps[index];
    let name = step.operation.name();
    let after = |test: fn(&Operation) -> bool| {
        (0..index).any(|s| test(&recipe.steps[s].operation) && recipe.reaches(s, index))
    };
    let may_be_loud = matches!(step.operation, AudioLoudness(_)) && recipe.kind != Kind::Image;
    match (recipe.kind, &step.operation) {
        (kind, _) if name.starts_with("video.") && kind != Kind::Video => Err(format!(
            "`{name}` is for videos, and this recipe's `kind` is \"{}\"",
            kind.as_str()
        )),
        (kind, _) if name.starts_with("audio.") && kind != Kind::Audio && !may_be_loud => {
            Err(format!(
                "`{name}` is for sounds, and this recipe's `kind` is \"{}\"",
                kind.as_str()
            ))
        }
        (Kind::Video | Kind::Audio, Inspect | Watermark) => {
            Err(format!("`{name}` is for pictures only"))
        }
        (Kind::Video, Resize(_) | Compress(_) | Placeholder | Squeeze(_))
            if !after(|o| *o == VideoPoster) =>
        {
            Err(format!(
                "in a video's recipe `{name}` works on the poster; add the `video.poster` step to what it needs"
            ))
        }
        (Kind::Audio, Resize(_) | Compress(_) | Placeholder | Squeeze(_))
            if !after(|o| *o == AudioCover) =>
        {
            Err(format!(
                "in a sound's recipe `{name}` works on the cover; add the `audio.cover` step to what it needs"
            ))
        }
        (Kind::Video, VideoDownload(_)) if !after(|o| *o == VideoVerify) => Err(format!(
            "`{name}` is made of streams that were checked; add the `video.verify` step to what it needs"
        )),
        (Kind::Video, VideoDownload(download)) => known_rung(recipe, download),
        _ => stands_on_what_decides(recipe, index),
    }
}

fn known_rung(recipe: &Recipe, download: &Download) -> Result<(), String> {
    let planned = recipe.steps.iter().find_map(|s| match &s.operation {
        Operation::VideoPlan(ladder) => Some(ladder),
        _ => None,
    });
    let is_known = |name: &String| planned.is_some_and(|l| l.rungs.iter().any(|r| r.name == *name));
    match &download.rung {
        Some(name) if !is_known(name) => Err(format!("`video.plan` has no rung `{name}`")),
        _ => Ok(()),
    }
}

/// Steps that another one tells how many tasks they have, or how loud they are, must come after it.
fn stands_on_what_decides(recipe: &Recipe, index: usize) -> Result<(), String> {
    use Operation::{
        AudioCover, AudioDownload, AudioEncode, AudioInspect, AudioLoudness, AudioPlan,
        Placeholder, Resize, VideoAudio, VideoEncode, VideoInspect, VideoLead, VideoPlan,
    };
    let step = &recipe.steps[index];
    let name = step.operation.name();
    let needs = |other: &'static str, test: fn(&Operation) -> bool| {
        let found = step.needs.iter().any(|&n| test(&recipe.steps[n].operation));
        match found {
            true => Ok(()),
            false => Err(format!(
                "`{name}` does what `{other}` decides; add that step to its `needs`"
            )),
        }
    };
    match (recipe.kind, &step.operation) {
        (_, VideoLead | VideoEncode | VideoAudio) => {
            needs("video.plan", |o| matches!(o, VideoPlan(_)))?;
        }
        (_, AudioEncode | AudioDownload(_)) => {
            needs("audio.plan", |o| matches!(o, AudioPlan(_)))?;
        }
        (_, AudioCover) => needs("audio.inspect", |o| *o == AudioInspect)?,
        (Kind::Audio, Resize(_) | Placeholder) => needs("audio.cover", |o| *o == AudioCover)?,
        (_, AudioLoudness(_)) => {
            let inspects = |s: usize| {
                let operation = &recipe.steps[s].operation;
                matches!(operation, AudioInspect | VideoInspect) && recipe.reaches(s, index)
            };
            if !(0..index).any(inspects) {
                return Err(format!(
                    "`{name}` measures what inspection found; add the inspect step to its `needs`"
                ));
            }
        }
        _ => {}
    }
    let is_loud = |s: usize| matches!(recipe.steps[s].operation, AudioLoudness(_));
    let is_turned = matches!(step.operation, VideoAudio | AudioEncode | AudioDownload(_));
    let loudness = (0..recipe.steps.len()).find(|&s| is_loud(s));
    if is_turned && loudness.is_some_and(|s| !recipe.reaches(s, index)) {
        return Err(format!(
            "`{name}` is turned up or down by what `audio.loudness` measures; add that step to its `needs`"
        ));
    }
    Ok(())
}
