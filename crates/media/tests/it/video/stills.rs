//! Pictures taken out of films: posters, storyboards, frames for a gate.

use mediaflow_media::image::Pixels;
use mediaflow_media::video::{frame_at, frames, poster, storyboard, subtitles};

use crate::film::{Studio, look, numbered, tools};

/// Mean red, green and blue.
fn mean(pixels: &Pixels) -> [u32; 3] {
    let mut sum = [0_u64; 3];
    for p in pixels.data().chunks_exact(3) {
        (0..3).for_each(|c| sum[c] += u64::from(p[c]));
    }
    let count = u64::from(pixels.width()) * u64::from(pixels.height());
    sum.map(|s| (s / count) as u32)
}

/// The number that a numbered picture carries.
fn number(pixels: &Pixels) -> u32 {
    let (w, h) = (pixels.width() as usize, pixels.height() as usize);
    (0..16).fold(0, |n, bit| {
        let x = (bit * 2 + 1) * w / 32;
        let value = pixels.data()[(h / 2 * w + x) * 3];
        n | u32::from(value > 125) << bit
    })
}

#[test]
fn key_frames_come_with_their_times() {
    let studio = Studio::new();
    for (name, args, keys) in [
        ("few.mp4", "-c:v libx264 -bf 2 -g 30 -sc_threshold 0", 10),
        ("all.mov", "-c:v mjpeg -pix_fmt yuvj420p -q:v 3", 300),
        (
            "late.mkv",
            "-c:v libx264 -g 30 -sc_threshold 0 -output_ts_offset 9",
            10,
        ),
    ] {
        let path = studio.film(name, "30", 10, args);
        let info = look(&path).unwrap().info;
        assert_eq!(info.video[0].timeline.key_pts.len(), keys, "{name}");
        let mut seen = Vec::new();
        frames(&tools(), &path, &info, 5, 200, &mut |moment| {
            assert_eq!((moment.pixels.width(), moment.pixels.height()), (200, 112));
            seen.push((
                number(&moment.pixels),
                (moment.time_us * 30).div_ceil(1_000_000) as u32,
            ));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [0, 60, 120, 180, 240].map(|n| (n, n)), "{name}");
        for n in [0, 1, 45, 299] {
            let seconds = f64::from(n) / 30.0 + 0.001;
            let found = frame_at(&tools(), &path, &info, seconds, 320).unwrap();
            assert_eq!(number(&found), n, "{name}");
        }
        let beyond = frame_at(&tools(), &path, &info, 1e9, 320).unwrap();
        assert_eq!(number(&beyond), 299, "{name}");
    }
}

#[test]
fn a_poster_is_not_black() {
    let studio = Studio::new();
    let path = studio.make(
        "fade.mp4",
        &["testsrc2=s=640x360:r=30:d=10,fade=in:st=1:d=2"],
        "-c:v libx264 -g 30",
    );
    let info = look(&path).unwrap().info;
    let found = poster(&tools(), &path, &info, 480).unwrap();
    assert_eq!((found.pixels.width(), found.pixels.height()), (480, 270));
    assert!(
        mean(&found.pixels).iter().sum::<u32>() > 150,
        "{:?}",
        mean(&found.pixels)
    );
    assert!(
        (1_500_000..=4_000_000).contains(&found.time_us),
        "{}",
        found.time_us
    );

    let one = studio.make(
        "one.mp4",
        &["testsrc2=s=640x360:r=30:d=4,fade=in:st=0:d=1"],
        "-c:v libx264 -g 500",
    );
    let found = poster(&tools(), &one, &look(&one).unwrap().info, 480).unwrap();
    assert!(
        mean(&found.pixels).iter().sum::<u32>() > 100,
        "{:?}",
        mean(&found.pixels)
    );

    let red = studio.make("red.mp4", &["color=red:s=640x360:r=30:d=1"], "-c:v libx264");
    let [r, g, b] = mean(
        &poster(&tools(), &red, &look(&red).unwrap().info, 480)
            .unwrap()
            .pixels,
    );
    assert!(r > 245 && g < 10 && b < 10, "{r} {g} {b}");
}

#[test]
fn storyboards_show_each_moment_where_they_say() {
    let studio = Studio::new();
    for (name, group) in [
        ("keys.mp4", "-g 15"),
        ("rare.mp4", "-g 1000 -sc_threshold 0"),
    ] {
        let path = studio.film(
            name,
            "15",
            120,
            &format!("-c:v libx264 -preset ultrafast {group}"),
        );
        let made = storyboard(&tools(), &path, &look(&path).unwrap().info, 1.0).unwrap();
        assert_eq!((made.sheets.len(), made.manifest.tiles.len()), (2, 120));
        assert_eq!(
            (made.sheets[0].width(), made.sheets[0].height()),
            (1600, 900)
        );
        assert_eq!(made.sheets[1].height(), 180);
        for (n, tile) in made.manifest.tiles.iter().enumerate() {
            let sheet = &made.sheets[tile.sheet as usize];
            let y = (tile.row * 90 + 45) as usize;
            let shown = (0..16).fold(0, |number, bit| {
                let x = tile.column as usize * 160 + bit * 10 + 5;
                let value = sheet.data()[(y * 1600 + x) * 3];
                number | u32::from(value > 125) << bit
            });
            assert_eq!(shown, n as u32 * 15, "{name}");
        }
        let text = made.manifest.webvtt(&["a.jpg".into(), "b.jpg".into()]);
        assert!(
            text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na.jpg#xywh=0,0,160,90\n")
        );
        assert!(
            text.ends_with("00:01:59.000 --> 00:02:00.000\nb.jpg#xywh=1440,90,160,90\n"),
            "{text}"
        );
    }
}

#[test]
fn upright_films_get_upright_pictures() {
    let studio = Studio::new();
    let up = studio.make("up.mp4", &["testsrc2=s=320x180:r=30:d=2"], "-c:v libx264");
    let turned = studio.make(
        "turned.mp4",
        &[up.to_str().unwrap()],
        "-c copy -metadata:s:v:0 rotate=90",
    );
    let info = look(&turned).unwrap().info;
    let found = poster(&tools(), &turned, &info, 4000).unwrap().pixels;
    assert_eq!((found.width(), found.height()), (180, 320));
    assert_eq!(
        storyboard(&tools(), &turned, &info, 1.0).unwrap().sheets[0].height(),
        90
    );
}

#[test]
fn subtitles_become_webvtt() {
    let studio = Studio::new();
    let text = studio.path("a.srt");
    std::fs::write(&text, "1\n00:00:00,500 --> 00:00:01,500\nHello\n").unwrap();
    let path = studio.make(
        "a.mkv",
        &[&numbered("30", 2), text.to_str().unwrap()],
        "-c:v libx264 -c:s srt",
    );
    let info = look(&path).unwrap().info;
    assert!(info.subtitles[0].is_text);
    let found = subtitles(&tools(), &path, info.container, info.subtitles[0].index).unwrap();
    assert_eq!(found, "WEBVTT\n\n00:00.500 --> 00:01.500\nHello\n");
}
