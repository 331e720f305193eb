//! ffmpeg's filter graphs for a chunk, built from the plan's typed values alone.

use super::plan::{Plan, PlannedRung, PlannedSource, ToneMap};

/// Pictures of a film's end that may be missing because its last duration was rounded; they are
/// repeats of the last one.
const PADDING_SECONDS: f64 = 1.0;

/// Everything up to the pictures `frames` of the grid, in the grid's own time base.
fn selected(plan: &Plan, frames: &std::ops::Range<u64>, input: usize) -> String {
    let source = &plan.source;
    let rate = format!("{}/{}", plan.grid.rate.num, plan.grid.rate.den);
    let mut graph = format!(
        "[{input}:{}]settb={}/{},setpts=PTS-({}),",
        source.stream, source.time_base.num, source.time_base.den, source.first_pts
    );
    if source.deinterlace {
        graph += "bwdif=mode=send_frame,";
    }
    // Every chunk rounds the same times to the same grid, so none is shown twice or never.
    graph += &format!("fps={rate}:round=near,");
    if frames.end == plan.grid.total {
        let extra = (PADDING_SECONDS * plan.grid.rate.as_f64()).ceil().max(2.0);
        graph += &format!("tpad=stop_mode=clone:stop={extra},");
    }
    graph += &format!("trim=start_pts={}:end_pts={},", frames.start, frames.end);
    graph += &format!("setpts=PTS-{},", frames.start);
    graph
}

/// Upright pictures of `width` and `height` in 8-bit BT.709, from whatever the source has.
pub(super) fn shaped(source: &PlannedSource, width: u32, height: u32) -> String {
    // Turning comes last where it is cheap: on the small picture.
    let swapped = source.orientation.swaps_sides();
    let (w, h) = if swapped {
        (height, width)
    } else {
        (width, height)
    };
    let range = if source.full_range { "pc" } else { "tv" };
    let turned = source.orientation.filters();
    match &source.tone_map {
        // Named colours would make the filter copy pictures that are as they should be already.
        None if source.matrix == "bt709" && !source.full_range => {
            format!("scale={w}:{h}:flags=bicubic,format=yuv420p,{turned}setsar=1")
        }
        None => format!(
            "scale={w}:{h}:flags=bicubic:in_color_matrix={}:in_range={range}\
             :out_color_matrix=bt709:out_range=tv,format=yuv420p,{turned}setsar=1",
            source.matrix
        ),
        Some(map) => format!(
            "scale={w}:{h}:flags=bicubic,format=yuv420p10le,{}{turned}setsar=1",
            tone_mapped(map, range)
        ),
    }
}

/// Reference white (203 cd/m², ITU-R BT.2408) becomes one, light up to half of it stays as it is, and what is brighter
/// is bent, up to ten times it. Nothing depends on one picture, so chunks fit; and nothing on the source's own tags,
/// which may be missing.
fn tone_mapped(map: &ToneMap, range: &str) -> String {
    // `zscale` calls the limited range "tv" and the full one "pc" too.
    format!(
        "zscale=tin={}:pin={}:min={}:rin={range}:t=linear:p=bt709:npl=203,format=gbrpf32le,\
         tonemap=tonemap=mobius:param=0.5:peak=10:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,",
        map.transfer, map.primaries, map.matrix
    )
}

/// The whole graph for `rungs`, each scaled from the next larger one. Reads the input number
/// `input`; outputs are labelled `label` and the rung's position.
pub(super) fn ladder(
    plan: &Plan,
    frames: &std::ops::Range<u64>,
    rungs: &[&PlannedRung],
    input: usize,
    label: &str,
) -> String {
    let mut smaller: Vec<usize> = (0..rungs.len()).collect();
    smaller.sort_by_key(|&index| u64::from(rungs[index].width) * u64::from(rungs[index].height));
    let mut graph = selected(plan, frames, input);
    let mut size = None;
    while let Some(index) = smaller.pop() {
        let rung = rungs[index];
        graph += &match size {
            None => shaped(&plan.source, rung.width, rung.height),
            Some(same) if same == (rung.width, rung.height) => format!(";[{label}s{index}]null"),
            Some(_) => format!(
                ";[{label}s{index}]scale={}:{}:flags=bicubic",
                rung.width, rung.height
            ),
        };
        size = Some((rung.width, rung.height));
        if let Some(next) = smaller.last() {
            graph += &format!(",split[{label}o{index}][{label}s{next}];[{label}o{index}]null");
        }
        if rung.every > 1 {
            // Chunks begin at a multiple of it, so every chunk keeps the same ones.
            graph += &format!(",framestep={}", rung.every);
        }
        graph += &format!("[{label}{index}]");
    }
    graph
}

/// What [`shaped`] gives, as the RGB of pictures.
pub(super) const AS_RGB: &str =
    ",scale=in_color_matrix=bt709:in_range=tv:out_range=pc,format=rgb24";
