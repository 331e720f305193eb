//! Rungs in every codec: the same borders, one header for all chunks, names that players know.

use mediaflow_media::mp4::codec_string;
use mediaflow_media::video::plan::{Chunk, PlanSettings, Rung, VideoCodec, plan};
use mediaflow_media::video::{SsimRange, verify_chunk};

use super::chunks::{encoded, joined};
use crate::film::{Studio, look, numbers, times, tools};

fn rung(codec: VideoCodec, height: u32, frame_rate_max: u32) -> Rung {
    Rung {
        name: format!("{codec:?}-{height}"),
        height,
        video_bit_rate: 500_000,
        audio_bit_rate: 96_000,
        frame_rate_max,
        codec,
    }
}

#[test]
fn rungs_of_all_codecs_fit_together() {
    let studio = Studio::new();
    let path = studio.film("a.mp4", "30", 4, "-c:v libx264 -bf 2 -g 50");
    let mut settings = PlanSettings {
        segment_seconds: 1,
        ..PlanSettings::default()
    };
    settings.ladder.rungs = vec![
        rung(VideoCodec::Av1, 180, 60),
        rung(VideoCodec::Vp9, 90, 15),
        rung(VideoCodec::Hevc, 180, 60),
        rung(VideoCodec::H264, 90, 60),
        rung(VideoCodec::H264, 180, 60),
    ];
    let mut plan = plan(&look(&path).unwrap().info, &settings, tools().version()).unwrap();
    let order = [VideoCodec::H264, VideoCodec::H264, VideoCodec::Hevc];
    assert_eq!(
        plan.rungs[..3].iter().map(|r| r.codec).collect::<Vec<_>>(),
        order
    );
    plan.chunks = [0, 2]
        .map(|first_segment| Chunk {
            first_segment,
            segments: 2,
            rungs: (0..5).collect(),
            cost_cpu_seconds: 1,
        })
        .to_vec();
    let chunks = encoded(&studio, &path, &plan).unwrap();
    for (rung, starts) in ["avc1.64", "avc1.64", "hvc1.1.6.L", "vp09.00.", "av01.0."]
        .iter()
        .enumerate()
    {
        let name = codec_string(&chunks[0][rung].init).unwrap();
        assert!(name.starts_with(starts), "{name}");
        let file = joined(&studio, &chunks, rung);
        let every = plan.rungs[rung].every;
        let shown: Vec<u32> = (0..120).step_by(every as usize).collect();
        assert_eq!(numbers(&file), shown, "{name}");
        let ticks = shown.iter().map(|n| i64::from(n * plan.grid.frame_ticks));
        assert_eq!(times(&file), ticks.collect::<Vec<_>>(), "{name}");
    }
    for (chunk, made) in plan.chunks.iter().zip(&chunks) {
        let scratch = studio.scratch();
        let range = SsimRange::Sample;
        let found = verify_chunk(&tools(), &path, &plan, chunk, made, range, &scratch);
        for quality in found.unwrap() {
            assert!(quality.unwrap().ssim_min > 0.9, "{quality:?}");
        }
    }
}
