//! What is made of which film; no process runs here.

use mediaflow_media::video::plan::{Plan, PlanSettings, VideoCodec, plan};
use mediaflow_media::video::{
    Container, Hdr, MediaInfo, Orientation, Ratio, VideoStream, VideoTimeline,
};

/// An hour of 1080p30.
fn film() -> VideoStream {
    VideoStream {
        index: 0,
        codec: "h264".into(),
        profile: None,
        level: None,
        width: 1920,
        height: 1080,
        pixel_format: Some("yuv420p".into()),
        bit_depth: 8,
        color: Default::default(),
        hdr: None,
        orientation: Orientation::default(),
        sample_aspect: Ratio { num: 1, den: 1 },
        display_width: 1920,
        display_height: 1080,
        frame_rate: Ratio { num: 30, den: 1 },
        interlaced: false,
        time_base: Ratio {
            num: 1,
            den: 15_360,
        },
        timeline: VideoTimeline {
            first_pts: 0,
            end_pts: 3600 * 15_360,
            frames: 108_000,
            constant_rate: true,
            key_pts: vec![0],
            layout: None,
        },
        bit_rate: 0,
        language: None,
    }
}

fn info(video: VideoStream) -> MediaInfo {
    MediaInfo {
        container: Container::Mov,
        bytes: 1,
        start_us: 0,
        duration_us: 3_600_000_000,
        declared_duration_us: None,
        ends_early: false,
        bit_rate: 0,
        video: vec![video],
        audio: Vec::new(),
        subtitles: Vec::new(),
        pictures: Vec::new(),
        chapters: Vec::new(),
        tags: Default::default(),
    }
}

fn planned(change: impl FnOnce(&mut VideoStream)) -> Plan {
    let mut video = film();
    change(&mut video);
    plan(&info(video), &PlanSettings::default(), "5.1").unwrap()
}

fn sized(width: u32, height: u32) -> Vec<(u32, u32)> {
    let plan = planned(|v| (v.display_width, v.display_height) = (width, height));
    plan.rungs.iter().map(|r| (r.width, r.height)).collect()
}

#[test]
fn rungs_keep_the_shape_and_never_enlarge() {
    assert_eq!(sized(1920, 1080), [(640, 360), (1280, 720), (1920, 1080)]);
    assert_eq!(sized(3840, 2160), [(640, 360), (1280, 720), (1920, 1080)]);
    assert_eq!(sized(1920, 800), [(640, 266), (1280, 534), (1920, 800)]);
    assert_eq!(sized(1080, 1920), [(360, 640), (720, 1280), (1080, 1920)]);
    assert_eq!(sized(854, 480), [(640, 360)]);
    assert_eq!(sized(1279, 719), [(640, 360), (1280, 720)]);
    assert_eq!(sized(321, 181), [(322, 182)]);
    assert_eq!(sized(1, 1), [(2, 2)]);
    assert_eq!(sized(4000, 4), [(640, 2), (1280, 2), (1920, 2)]);
}

#[test]
fn the_grid_has_the_films_rate_up_to_a_limit() {
    let usual = planned(|_| ());
    assert_eq!(
        (usual.grid.timescale, usual.grid.frame_ticks),
        (10_020, 334)
    );
    assert_eq!((usual.segment_frames, usual.segments), (180, 600));
    let broadcast = planned(|v| {
        v.frame_rate = Ratio {
            num: 30_000,
            den: 1001,
        }
    });
    assert_eq!(
        (broadcast.grid.timescale, broadcast.grid.frame_ticks),
        (30_000, 1001)
    );
    assert_eq!(broadcast.segment_frames, 180);
    let fast = planned(|v| {
        v.frame_rate = Ratio { num: 120, den: 1 };
        v.timeline.frames = 432_000;
    });
    assert_eq!(
        (fast.grid.rate, fast.grid.total),
        (Ratio { num: 60, den: 1 }, 216_000)
    );
}

#[test]
fn rungs_with_fewer_pictures_keep_the_borders() {
    let mut settings = PlanSettings::default();
    settings.ladder.rungs[0].frame_rate_max = 20;
    let made = plan(&info(film()), &settings, "5.1").unwrap();
    assert_eq!(made.rungs[0].every, 2);
    assert_eq!(made.segment_frames % 2, 0);
}

#[test]
fn every_segment_of_every_rung_is_made_once() {
    // All rungs of it take 1.5 processors.
    for (processors, is_ahead) in [(2, false), (1, true)] {
        let settings = PlanSettings {
            processors,
            ..PlanSettings::default()
        };
        let made = plan(&info(film()), &settings, "5.1").unwrap();
        let lead = &made.chunks[0];
        assert_eq!(
            (lead.first_segment, lead.segments, &lead.rungs[..]),
            (0, 1, &[0][..])
        );
        assert_eq!(made.chunks[1].rungs == [0], is_ahead);
        let mut count = vec![vec![0; 600]; 3];
        for chunk in &made.chunks {
            for rung in &chunk.rungs {
                for segment in 0..chunk.segments {
                    count[*rung][(chunk.first_segment + segment) as usize] += 1;
                }
            }
        }
        assert!(count.iter().flatten().all(|n| *n == 1));
        assert!(
            (90..250).contains(&made.chunks.len()),
            "{}",
            made.chunks.len()
        );
    }
}

#[test]
fn a_short_clip_is_one_task() {
    let made = planned(|v| {
        v.timeline.frames = 150;
        v.timeline.end_pts = 5 * 15_360;
    });
    assert_eq!(made.chunks.len(), 1);
    assert_eq!((made.segments, made.target_duration()), (1, 5));
}

#[test]
fn a_picture_too_small_for_an_encoder_is_coded_in_h264() {
    let mut settings = PlanSettings::default();
    settings.ladder.rungs.truncate(1);
    settings.ladder.rungs[0].codec = VideoCodec::Av1;
    for (side, codec) in [(62, VideoCodec::H264), (64, VideoCodec::Av1)] {
        let mut video = film();
        (video.display_width, video.display_height) = (112, side);
        let made = plan(&info(video), &settings, "5.1").unwrap();
        assert_eq!(made.rungs[0].codec, codec, "{side} lines");
    }
}

#[test]
fn what_others_cannot_show_is_refused() {
    let mut video = film();
    video.hdr = Some(Hdr::DolbyVision {
        profile: 5,
        compatibility: 0,
    });
    let error = plan(&info(video), &PlanSettings::default(), "5.1").unwrap_err();
    assert_eq!(error.code, "input.unsupported");
    let mut unindexed = info(film());
    unindexed.container = Container::MpegTs;
    assert!(plan(&unindexed, &PlanSettings::default(), "5.1").is_err());
}

#[test]
fn plans_survive_being_stored() {
    let made = planned(|v| v.hdr = Some(Hdr::Hlg));
    let stored = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), made);
}
