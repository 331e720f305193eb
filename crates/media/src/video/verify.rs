//! Decodes what was made, before anybody is told that it is there.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chunk::input as source_input;
use super::plan::{AUDIO_BLOCK, Chunk, Packaging, Plan, PlannedRung};
use super::{Container, Ffmpeg, RungChunk, filters};
use crate::MediaError;
use crate::ffmpeg::Input;
use crate::mp4::FragmentedFile;
use crate::ts;

/// Seconds of the source that are decoded before the first compared picture.
const BEFORE: f64 = 0.5;
/// Pictures that are compared on each side of a chunk.
const BORDER: u64 = 8;
/// Of so many segments one is compared whole.
const SAMPLED: u32 = 20;

/// Lists decoded pictures without copying or summing up their bytes, which nobody reads.
const UNTOUCHED: [&str; 2] = ["-c:v", "wrapped_avframe"];

/// Which pictures are compared with the source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsimRange {
    /// None: only decoding is checked.
    None,
    /// Some at the chunk's start.
    Start,
    /// Some at the chunk's start and end, and every twentieth segment of the film.
    Sample,
    /// All of them.
    All,
}

/// How near a result is to its source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// How many pictures were compared.
    pub frames: u64,
    /// Mean structural similarity of luma and colours, 0 to 1.
    pub ssim_mean: f64,
    /// That of the worst picture.
    pub ssim_min: f64,
}

/// Decodes all pictures of `made`, which are the rungs of one chunk as [`super::encode_chunk`]
/// gave them, and compares some with the source's. One process does it all, so the source is
/// decoded once for all rungs. The answer has one entry for each rung.
///
/// # Errors
/// `encoder.failed` when a picture is broken, missing, twice there or at the wrong time; those of
/// reading the source.
pub fn verify_chunk(
    ffmpeg: &Ffmpeg,
    source: &Path,
    plan: &Plan,
    chunk: &Chunk,
    made: &[RungChunk],
    range: SsimRange,
    scratch: &Path,
) -> Result<Vec<Option<Quality>>, MediaError> {
    let check = Check {
        plan,
        made,
        frames: plan.frames(chunk),
        windows: windows(plan, chunk, range),
        scratch,
    };
    let checked = check.write().and_then(|()| check.run(ffmpeg, source));
    check.clean();
    checked
}

/// Parts of a chunk whose pictures are compared, in their order.
fn windows(plan: &Plan, chunk: &Chunk, range: SsimRange) -> Vec<Range<u64>> {
    let frames = plan.frames(chunk);
    // Each begins with a picture that every rung has.
    let shared = plan.pictures_shared();
    let border = BORDER * shared;
    let start = frames.start..frames.end.min(frames.start + border);
    let before_end = (frames.end - frames.start).saturating_sub(border) / shared * shared;
    let end = frames.start + before_end..frames.end;
    match range {
        SsimRange::None => Vec::new(),
        SsimRange::Start => std::iter::once(start).collect(),
        SsimRange::Sample => {
            let segments = chunk.first_segment..chunk.first_segment + chunk.segments;
            let sampled = segments.filter(|segment| segment % SAMPLED == SAMPLED / 2);
            let sampled = sampled.map(|segment| plan.segment(segment));
            joined(std::iter::once(start).chain(sampled).chain([end]))
        }
        SsimRange::All => std::iter::once(frames).collect(),
    }
}

/// `ranges` begin one after the other; those that touch become one.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut apart: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// One check of one chunk. Its files in the scratch folder are named after positions.
struct Check<'a> {
    plan: &'a Plan,
    made: &'a [RungChunk],
    frames: Range<u64>,
    windows: Vec<Range<u64>>,
    scratch: &'a Path,
}

impl Check<'_> {
    fn film(&self, rung: usize) -> String {
        format!("verify-{rung}.mp4")
    }

    fn times(&self, rung: usize) -> String {
        format!("times-{rung}.txt")
    }

    fn similarity(&self, rung: usize, window: usize) -> String {
        format!("ssim-{rung}-{window}.txt")
    }

    fn write(&self) -> Result<(), MediaError> {
        for (n, made) in self.made.iter().enumerate() {
            let mut bytes = made.init.clone();
            for segment in &made.segments {
                bytes.extend_from_slice(&segment.bytes);
            }
            std::fs::write(self.scratch.join(self.film(n)), bytes).map_err(|e| lost(&e))?;
        }
        Ok(())
    }

    fn run(&self, ffmpeg: &Ffmpeg, source: &Path) -> Result<Vec<Option<Quality>>, MediaError> {
        let opened =
            |window: &Range<u64>| source_input(ffmpeg, source, self.plan, window.start, BEFORE);
        let mut inputs: Vec<Input> = self.windows.iter().map(opened).collect();
        for (n, made) in self.made.iter().enumerate() {
            let input = Input::new(&self.scratch.join(self.film(n)), Container::Mov)
                .flag("-copyts")
                .option("-threads", ffmpeg.threads().to_string());
            // What a camera damaged stays so; what the encoder did must be whole.
            inputs.push(match self.plan.rungs[made.rung].pass_through {
                Some(_) => input,
                None => input.option("-err_detect", "+explode"),
            });
        }
        let ran = ffmpeg.write(&inputs, &self.args(), self.scratch);
        ran.map_err(|e| match e.code {
            "input.corrupt" => MediaError::encoder(e.message),
            _ => e,
        })?;
        (0..self.made.len())
            .map(|n| {
                self.check_times(n)?;
                self.quality(n)
            })
            .collect()
    }

    fn args(&self) -> Vec<OsString> {
        let rungs: Vec<&PlannedRung> = self
            .made
            .iter()
            .map(|made| &self.plan.rungs[made.rung])
            .collect();
        let mut graphs = Vec::new();
        let mut maps = Vec::new();
        for (w, window) in self.windows.iter().enumerate() {
            let label = format!("w{w}r");
            graphs.push(filters::ladder(self.plan, window, &rungs, w, &label));
        }
        for (r, rung) in rungs.iter().enumerate() {
            let parts: String = (0..self.windows.len())
                .map(|w| format!("[s{r}w{w}]"))
                .collect();
            let input = self.windows.len() + r;
            let count = self.windows.len() + 1;
            graphs.push(format!("[{input}:v:0]split={count}[d{r}]{parts}"));
            let base = format!("1/{}", self.plan.grid.timescale);
            maps.extend(["-map".into(), format!("[d{r}]")]);
            maps.extend(["-fps_mode", "passthrough", "-enc_time_base", &base].map(String::from));
            maps.extend(UNTOUCHED.map(String::from));
            maps.extend(["-f".into(), "framecrc".into(), self.times(r)]);
            for (w, window) in self.windows.iter().enumerate() {
                let every = u64::from(rung.every);
                let number = |picture: u64| (picture - self.frames.start).div_ceil(every);
                graphs.push(format!(
                    "[s{r}w{w}]trim=start_frame={}:end_frame={},settb=1/1000,setpts=N[a{r}w{w}];\
                     [w{w}r{r}]settb=1/1000,setpts=N[b{r}w{w}];\
                     [a{r}w{w}][b{r}w{w}]ssim=stats_file={}[o{r}w{w}]",
                    number(window.start),
                    number(window.end),
                    self.similarity(r, w)
                ));
                maps.extend(["-map".into(), format!("[o{r}w{w}]")]);
                maps.extend(["-f", "null", "-"].map(String::from));
            }
        }
        let graph = graphs.join(";");
        let args = ["-filter_complex".to_owned(), graph]
            .into_iter()
            .chain(maps);
        args.map(OsString::from).collect()
    }

    fn check_times(&self, n: usize) -> Result<(), MediaError> {
        let text = self.read(&self.times(n))?;
        let mut timing = Timing {
            // What is compared has not been wrapped yet.
            packaging: Packaging::Cmaf,
            ..Timing::new(self.plan, self.made[n].rung, self.frames.clone())
        };
        for (time, _) in text.lines().filter_map(listed) {
            timing.next(time)?;
        }
        timing.end()
    }

    fn quality(&self, n: usize) -> Result<Option<Quality>, MediaError> {
        let every = u64::from(self.plan.rungs[self.made[n].rung].every);
        let mut values = Vec::new();
        let mut expected = 0;
        for (w, window) in self.windows.iter().enumerate() {
            let text = self.read(&self.similarity(n, w))?;
            let all = |line: &str| {
                let mut fields = line.split_whitespace();
                fields.find_map(|f| f.strip_prefix("All:")?.parse::<f64>().ok())
            };
            values.extend(text.lines().filter_map(all));
            expected += (window.end - window.start).div_ceil(every);
        }
        if values.len() as u64 != expected {
            return Err(MediaError::encoder("not all pictures could be compared"));
        }
        Ok(summed(&values))
    }

    fn read(&self, name: &str) -> Result<String, MediaError> {
        std::fs::read_to_string(self.scratch.join(name)).map_err(|e| lost(&e))
    }

    fn clean(&self) {
        for r in 0..self.made.len() {
            let parts = (0..self.windows.len()).map(|w| self.similarity(r, w));
            for name in parts.chain([self.film(r), self.times(r)]) {
                let _ = std::fs::remove_file(self.scratch.join(name));
            }
        }
    }
}

/// Pictures that come at their times, one by one.
struct Timing<'a> {
    plan: &'a Plan,
    packaging: Packaging,
    every: u64,
    frames: Range<u64>,
    seen: u64,
}

impl<'a> Timing<'a> {
    fn new(plan: &'a Plan, rung: usize, frames: Range<u64>) -> Self {
        Self {
            plan,
            packaging: plan.packaging,
            every: u64::from(plan.rungs[rung].every),
            frames,
            seen: 0,
        }
    }

    fn next(&mut self, time: i64) -> Result<(), MediaError> {
        let picture = self.frames.start + self.seen * self.every;
        let due = picture * u64::from(self.plan.grid.frame_ticks);
        let timescale = self.plan.grid.timescale;
        if !self.packaging.is_time(time, due, timescale) {
            let message = format!("picture {picture} is shown at tick {time} and not {due}");
            return Err(MediaError::encoder(message));
        }
        self.seen += 1;
        Ok(())
    }

    fn end(self) -> Result<(), MediaError> {
        let count = (self.frames.end - self.frames.start).div_ceil(self.every);
        if self.seen != count {
            let message = format!("{} pictures can be decoded and not {count}", self.seen);
            return Err(MediaError::encoder(message));
        }
        Ok(())
    }
}

fn lost(error: &std::io::Error) -> MediaError {
    MediaError::scratch("the check's own files are lost", error)
}

/// Decodes the file `path`, which must show exactly the pictures `frames` of the grid in the rung
/// number `rung`, each at its time. A whole rung is checked by all its segments in one file, in the
/// plan's packaging.
///
/// # Errors
/// `encoder.failed` when it does not.
pub fn verify_stream(
    ffmpeg: &Ffmpeg,
    path: &Path,
    plan: &Plan,
    rung: usize,
    frames: Range<u64>,
) -> Result<(), MediaError> {
    let mut timing = Timing::new(plan, rung, frames);
    let timescale = plan.packaging.timescale(plan.grid.timescale);
    let kind = ("v", plan.packaging.container());
    decoded(ffmpeg, path, kind, timescale, &mut |time, _| {
        timing.next(time)
    })?;
    timing.end()
}

/// Whether the `segments` of a rung, whose bytes follow each other in `bytes`, hold each picture
/// once, evenly spaced, and can each be decoded from their own start. Decodes nothing.
///
/// # Errors
/// `encoder.failed` when they do not.
pub fn verify_listed(
    plan: &Plan,
    rung: usize,
    segments: Range<u32>,
    bytes: &[u8],
) -> Result<(), MediaError> {
    let every = u64::from(plan.rungs[rung].every);
    let count = |segment: u32| {
        let frames = plan.segment(segment);
        (frames.end - frames.start).div_ceil(every) as usize
    };
    let listed: Vec<(i64, bool)> = match plan.packaging {
        Packaging::Cmaf => {
            let samples = FragmentedFile::new(bytes).samples()?;
            samples.iter().map(|s| (s.pts, s.is_sync)).collect()
        }
        Packaging::MpegTs => ts::pictures(bytes)?,
    };
    let wrong = |what: &str| {
        let first = segments.start;
        MediaError::encoder(format!("what is stored from segment {first} on {what}"))
    };
    if listed.len() != segments.clone().map(count).sum::<usize>() {
        return Err(wrong("has too many or too few pictures"));
    }
    let mut first = 0;
    for segment in segments.clone() {
        if !listed.get(first).is_some_and(|(_, is_key)| *is_key) {
            return Err(wrong("does not begin with a key frame"));
        }
        first += count(segment);
    }
    let mut times: Vec<i64> = listed.iter().map(|(time, _)| *time).collect();
    let ticks = u64::from(plan.grid.frame_ticks);
    let is_even = match plan.packaging {
        Packaging::Cmaf => {
            times.sort_unstable();
            let step = (ticks * every) as i64;
            times.windows(2).all(|pair| pair[1] - pair[0] == step)
        }
        Packaging::MpegTs => {
            let first = plan.segment(segments.start).start;
            let due = |n: u64| ts::time(((first + n * every) * ticks) as i64, plan.grid.timescale);
            let mut due: Vec<i64> = (0..times.len() as u64).map(|n| due(n) as i64).collect();
            // Where times begin anew both are in another order than the pictures, and in the same.
            due.sort_unstable();
            times.sort_unstable();
            times == due
        }
    };
    match is_even {
        true => Ok(()),
        false => Err(wrong("has a gap or shows a picture twice")),
    }
}

/// Decodes the file `path` of sound, which must be `blocks` long, without a gap, from the block
/// number `first` of the plan on.
///
/// # Errors
/// `encoder.failed` when it is not.
pub fn verify_sound(
    ffmpeg: &Ffmpeg,
    path: &Path,
    sample_rate: u32,
    first: u64,
    blocks: u64,
) -> Result<(), MediaError> {
    let block = i64::from(AUDIO_BLOCK);
    let mut next = first as i64 * block;
    let kind = ("a", Container::Mov);
    decoded(ffmpeg, path, kind, sample_rate, &mut |time, duration| {
        if time != next {
            let message = format!("sound goes on at sample {time} and not {next}");
            return Err(MediaError::encoder(message));
        }
        next += duration;
        Ok(())
    })?;
    let end = (first + blocks) as i64 * block;
    if next != end {
        let message = format!("the sound ends at sample {next} and not {end}");
        return Err(MediaError::encoder(message));
    }
    Ok(())
}

/// Decodes a file of ours, strictly, and gives each picture's or block's time and duration.
fn decoded(
    ffmpeg: &Ffmpeg,
    path: &Path,
    (kind, container): (&str, Container),
    timescale: u32,
    each: &mut dyn FnMut(i64, i64) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let input = Input::new(path, container)
        .flag("-copyts")
        .flag("-xerror")
        .option("-err_detect", "+explode")
        .option("-threads", ffmpeg.threads().to_string());
    let base = format!("1/{timescale}");
    let mut args: Vec<OsString> = ["-map", &format!("0:{kind}:0"), "-fps_mode", "passthrough"]
        .map(OsString::from)
        .to_vec();
    if kind == "v" {
        args.extend(["-enc_time_base", &base].map(OsString::from));
        args.extend(UNTOUCHED.map(OsString::from));
    }
    args.extend(["-f", "framecrc", "pipe:1"].map(OsString::from));
    let expected = format!("#tb 0: {base}");
    let read = ffmpeg.stream(&[input], &args, None, |output| {
        output.lines(|line| {
            if line.starts_with("#tb 0:") && line.trim() != expected {
                return Err(MediaError::encoder(format!("its clock is {line}")));
            }
            listed(line).map_or(Ok(()), |(time, duration)| each(time, duration))
        })
    });
    // The file is ours: whatever is wrong with it is not the uploader's fault.
    read.map(|_| ()).map_err(|e| match e.code {
        "input.corrupt" | "input.unsupported" => MediaError::encoder(e.message),
        _ => e,
    })
}

/// Time and duration in a line of `framecrc`: stream, decoding time, time, duration, ...
pub(super) fn listed(line: &str) -> Option<(i64, i64)> {
    let mut fields = line
        .split(',')
        .map(|field| field.trim().parse::<i64>().ok());
    match (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    ) {
        (Some(0), _, Some(time), Some(duration)) => Some((time, duration)),
        _ => None,
    }
}

fn summed(values: &[f64]) -> Option<Quality> {
    let worst = values.iter().copied().min_by(f64::total_cmp)?;
    Some(Quality {
        frames: values.len() as u64,
        ssim_mean: values.iter().sum::<f64>() / values.len() as f64,
        ssim_min: worst,
    })
}
