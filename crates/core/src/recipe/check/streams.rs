//! Whether the parameters of streams and files make sense.

use super::name;
use crate::operation::{Downloads, Format, Loudness, Packaging, Rung, Sounds, VideoCodec};

pub(super) fn rungs(rungs: &[Rung], packaging: Packaging) -> Result<(), String> {
    if rungs.is_empty() || rungs.len() > 8 {
        return Err("`rungs` must list 1 to 8 streams".into());
    }
    for (index, rung) in rungs.iter().enumerate() {
        let called = &rung.name;
        name(called)?;
        if rungs[..index].iter().any(|other| other.name == *called) {
            return Err(format!("two rungs are called `{called}`"));
        }
        if !(96..=4320).contains(&rung.height) || rung.height % 2 == 1 {
            return Err(format!(
                "rung `{called}`: `height` must be an even number, 96 to 4320"
            ));
        }
        let mut before = rungs[..index].iter().filter(|r| r.codec == rung.codec);
        if before.any(|lower| lower.height >= rung.height) {
            return Err(format!(
                "rung `{called}` must be higher than those of its codec before it"
            ));
        }
        if rungs[..index].last().is_some_and(|r| r.codec > rung.codec) {
            return Err(format!(
                "rung `{called}` must stand before those of newer codecs: h264, hevc, vp9, av1"
            ));
        }
        if rung
            .frame_rate_max
            .is_some_and(|rate| !(1..=240).contains(&rate))
        {
            return Err(format!(
                "rung `{called}`: `frame_rate_max` must be 1 to 240"
            ));
        }
        if packaging == Packaging::Ts && rung.codec != VideoCodec::H264 {
            return Err(format!(
                "rung `{called}`: players of `segments = \"ts\"` know h264 only"
            ));
        }
        if !(50..=200_000).contains(&rung.video_kbps) {
            return Err(format!(
                "rung `{called}`: `video_kbps` must be 50 to 200000"
            ));
        }
        if !(16..=512).contains(&rung.audio_kbps) {
            return Err(format!("rung `{called}`: `audio_kbps` must be 16 to 512"));
        }
    }
    Ok(())
}

pub(super) fn sounds(wanted: &Sounds) -> Result<(), String> {
    let rates = &wanted.kbps;
    let is_rising = rates.windows(2).all(|pair| pair[0] < pair[1]);
    if !(1..=8).contains(&rates.len()) || !is_rising {
        return Err("`kbps` must list 1 to 8 bit rates, each higher than the one before".into());
    }
    if !rates.iter().all(|rate| (16..=512).contains(rate)) {
        return Err("`kbps`: each bit rate must be 16 to 512".into());
    }
    match wanted.channels {
        2 | 6 => Ok(()),
        _ => Err("`channels` must be 2 (more are mixed down) or 6 (5.1 is kept)".into()),
    }
}

pub(super) fn loudness(wanted: &Loudness) -> Result<(), String> {
    if !(-40.0..=-5.0).contains(&wanted.target_lufs) {
        return Err("`target_lufs` must be -40 to -5".into());
    }
    if !(-12.0..=0.0).contains(&wanted.true_peak_dbtp) {
        return Err("`true_peak_dbtp` must be -12 to 0".into());
    }
    Ok(())
}

pub(super) fn files(wanted: &Downloads) -> Result<(), String> {
    let files = &wanted.files;
    if files.is_empty() {
        return Err("`files` must list at least one file".into());
    }
    for (index, file) in files.iter().enumerate() {
        let format = file.format.as_str();
        let rates = match file.format {
            Format::Mp3 => 32..=320,
            Format::Opus => 16..=256,
            Format::M4a => 16..=512,
            _ => {
                return Err(format!("`files` takes mp3, opus and m4a, not `{format}`"));
            }
        };
        if !rates.contains(&file.kbps) {
            let (least, most) = (rates.start(), rates.end());
            return Err(format!("{format}: `kbps` must be {least} to {most}"));
        }
        if files[..index].iter().any(|f| f.format == file.format) {
            return Err(format!("`{format}` is listed twice"));
        }
    }
    Ok(())
}
