//! Placeholders.

use mediaflow_media::image::placeholder::placeholder;

use crate::drawn;

#[test]
fn the_hash_decodes_to_about_the_picture() {
    // Dark left, bright right.
    let image = drawn::rgb(300, 200, |x, _| {
        if x < 150 {
            [20, 30, 40]
        } else {
            [200, 180, 160]
        }
    });
    let made = placeholder(&image).unwrap();
    let decoded = blurhash::decode(&made.blurhash, 30, 20, 1.0).unwrap();
    let mean = |columns: std::ops::Range<usize>| {
        let sum: usize = columns
            .clone()
            .flat_map(|x| (0..20).map(move |y| (y * 30 + x) * 4))
            .map(|p| decoded[p] as usize)
            .sum();
        sum / (columns.len() * 20)
    };
    assert!(
        mean(0..10) < 70 && mean(20..30) > 150,
        "left {} right {}",
        mean(0..10),
        mean(20..30)
    );
}

#[test]
fn a_flat_picture_has_its_own_colour() {
    let made = placeholder(&drawn::rgb(97, 61, |_, _| [18, 52, 86])).unwrap();
    assert_eq!(made.color, "#123456");
    let decoded = blurhash::decode(&made.blurhash, 4, 4, 1.0).unwrap();
    for p in decoded.chunks_exact(4) {
        let close = p
            .iter()
            .zip([18u8, 52, 86])
            .all(|(a, b)| a.abs_diff(b) < 10);
        assert!(close, "{p:?}");
    }
}

#[test]
fn hidden_colours_tint_nothing() {
    let made = placeholder(&drawn::red_beside_hidden_blue(200, 100)).unwrap();
    assert_eq!(made.color, "#ff0000");
    let nothing = placeholder(&drawn::rgba(5, 5, |_, _| [9, 9, 9, 0])).unwrap();
    assert_eq!(nothing.color, "#ffffff");
}

#[test]
fn any_shape_has_one() {
    for (w, h) in [(1, 1), (1, 4000), (4000, 1), (3, 5)] {
        assert!(placeholder(&drawn::scene(w, h)).unwrap().blurhash.len() >= 20);
    }
}
