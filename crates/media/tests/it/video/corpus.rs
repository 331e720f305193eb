//! Films that people made, all the way from the file to checked streams.

use std::path::Path;

use mediaflow_media::audio::{encode_piece, init_segment};
use mediaflow_media::video::plan::{PlanSettings, plan};
use mediaflow_media::video::{
    SsimRange, encode_chunk, poster, storyboard, verify_chunk, verify_sound, verify_stream,
};

use crate::film::{Studio, look, tools};

#[test]
fn films_of_the_corpus_become_streams() {
    let Some(corpus) = std::env::var_os("MEDIAFLOW_CORPUS") else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(Path::new(&corpus).join("video")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "mp4" || e == "webm") {
            streams(&path);
            seen += 1;
        }
    }
    assert!(seen > 0, "the corpus has films");
}

fn streams(path: &Path) {
    let studio = Studio::new();
    let info = look(path).unwrap().info;
    let plan = plan(&info, &PlanSettings::default(), tools().version()).unwrap();
    let mut files: Vec<Vec<u8>> = vec![Vec::new(); plan.rungs.len()];
    for chunk in &plan.chunks {
        let made = encode_chunk(&tools(), path, &plan, chunk, &studio.scratch()).unwrap();
        let range = SsimRange::Sample;
        let quality = verify_chunk(
            &tools(),
            path,
            &plan,
            chunk,
            &made,
            range,
            &studio.scratch(),
        );
        for quality in quality.unwrap() {
            assert!(
                quality.unwrap().ssim_min > 0.85,
                "{}: {quality:?}",
                path.display()
            );
        }
        for made in made {
            let file = &mut files[made.rung];
            if file.is_empty() {
                file.extend_from_slice(&made.init);
            }
            made.segments
                .iter()
                .for_each(|s| file.extend_from_slice(&s.bytes));
        }
    }
    for (rung, bytes) in files.iter().enumerate() {
        let file = studio.path("rung.mp4");
        std::fs::write(&file, bytes).unwrap();
        verify_stream(&tools(), &file, &plan, rung, 0..plan.grid.total).unwrap();
    }
    if let Some(sound) = &plan.audio {
        let mut bytes = init_segment(sound, 0, 0).unwrap();
        for piece in &sound.pieces {
            encode_piece(
                &tools(),
                path,
                sound,
                piece,
                &[],
                &studio.scratch(),
                &mut |made| {
                    if (made.track, made.rendition) == (0, 0) {
                        bytes.extend_from_slice(&made.segment.bytes);
                    }
                    Ok(())
                },
            )
            .unwrap();
        }
        let file = studio.path("sound.mp4");
        std::fs::write(&file, bytes).unwrap();
        verify_sound(&tools(), &file, sound.sample_rate, 0, sound.blocks).unwrap();
        let heard = sound.blocks as f64 * 1024.0 / f64::from(sound.sample_rate);
        assert!((heard - plan.grid.seconds()).abs() < 0.05);
    }
    assert!(poster(&tools(), path, &info, 640).unwrap().pixels.width() <= 640);
    let board = storyboard(&tools(), path, &info, plan.storyboard_seconds).unwrap();
    assert!(!board.manifest.tiles.is_empty());
}
