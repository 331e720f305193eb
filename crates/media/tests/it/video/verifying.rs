//! Nothing broken passes for a result.

use mediaflow_media::video::plan::{Plan, PlanSettings, plan};
use mediaflow_media::video::{RungChunk, SsimRange, encode_chunk, verify_chunk};

use crate::film::{Studio, look, tools};

#[test]
fn good_chunks_pass_and_damaged_ones_do_not() {
    let studio = Studio::new();
    let path = studio.make(
        "a.mp4",
        &["testsrc2=s=640x360:r=30:d=4"],
        "-c:v libx264 -bf 2 -g 50 -output_ts_offset 3",
    );
    let mut settings = PlanSettings {
        segment_seconds: 1,
        ..PlanSettings::default()
    };
    settings.ladder.rungs[0].height = 180;
    settings.ladder.rungs[0].frame_rate_max = 15;
    settings.ladder.rungs[1].height = 360;
    let mut plan: Plan = plan(&look(&path).unwrap().info, &settings, tools().version()).unwrap();
    plan.chunks[0].first_segment = 1;
    plan.chunks[0].segments = 2;
    let chunk = plan.chunks[0].clone();
    let made = encode_chunk(&tools(), &path, &plan, &chunk, &studio.scratch()).unwrap();
    assert_eq!(made[0].segments[0].frames * 2, made[1].segments[0].frames);
    let verified = |made: &[RungChunk], range| {
        verify_chunk(
            &tools(),
            &path,
            &plan,
            &chunk,
            made,
            range,
            &studio.scratch(),
        )
    };
    let all = verified(&made, SsimRange::All).unwrap();
    let borders = verified(&made, SsimRange::Sample).unwrap();
    for ((rung, all), borders) in made.iter().zip(all).zip(borders) {
        let (all, borders) = (all.unwrap(), borders.unwrap());
        assert_eq!(all.frames, u64::from(rung.segments[0].frames) * 2);
        assert!(all.ssim_min > 0.9, "{all:?}");
        assert!(borders.ssim_min >= all.ssim_min && borders.frames < all.frames);
    }
    assert_eq!(verified(&made, SsimRange::None).unwrap(), [None, None]);

    let damaged = |damage: &dyn Fn(&mut RungChunk)| {
        let mut rungs = made.clone();
        damage(&mut rungs[1]);
        verified(&rungs, SsimRange::Sample)
            .map(|_| ())
            .map_err(|e| e.code)
    };
    let failed = Err("encoder.failed");
    assert_eq!(damaged(&|rung| drop(rung.segments.pop())), failed);
    assert_eq!(damaged(&|rung| rung.segments.swap(0, 1)), failed);
    assert_eq!(
        damaged(&|rung| rung.segments[1].bytes.truncate(3000)),
        failed
    );
    assert_eq!(
        damaged(&|rung| {
            let bytes = &mut rung.segments[1].bytes;
            let middle = bytes.len() / 2;
            bytes[middle..middle + 400].fill(0x55);
        }),
        failed
    );
}

#[test]
fn every_twentieth_segment_is_compared_whole() {
    let studio = Studio::new();
    let path = studio.make("a.mp4", &["testsrc2=s=64x36:r=10:d=12"], "-c:v libx264");
    let settings = PlanSettings {
        segment_seconds: 1,
        ..PlanSettings::default()
    };
    let mut plan: Plan = plan(&look(&path).unwrap().info, &settings, tools().version()).unwrap();
    plan.chunks[0].first_segment = 9;
    plan.chunks[0].segments = 3;
    let chunk = &plan.chunks[0];
    let made = encode_chunk(&tools(), &path, &plan, chunk, &studio.scratch()).unwrap();
    let range = SsimRange::Sample;
    let found = verify_chunk(
        &tools(),
        &path,
        &plan,
        chunk,
        &made,
        range,
        &studio.scratch(),
    );
    // Eight at each end, and the ten of segment 10.
    assert_eq!(found.unwrap()[0].unwrap().frames, 8 + 10 + 8);
}
