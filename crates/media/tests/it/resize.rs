//! Sizes, crops and the cascade.

use std::sync::Arc;

use mediaflow_media::image::resize::{Fit, cascade, dimensions};

use crate::drawn;

fn cover(focus: (f32, f32)) -> Fit {
    Fit::Cover {
        width: 150,
        height: 150,
        focus,
    }
}

#[test]
fn sizes_keep_the_shape_and_never_grow() {
    let check = |fit: Fit, source, expected| {
        assert_eq!(dimensions(&fit, source), expected, "{fit:?} of {source:?}")
    };
    check(Fit::Width(320), (2725, 2225), (320, 261));
    check(Fit::Width(2160), (640, 480), (640, 480));
    check(Fit::Width(640), (640, 480), (640, 480));
    check(Fit::Width(10), (1000, 3), (10, 1));
    check(Fit::Width(0), (100, 100), (1, 1));
    check(Fit::Original, (1, 70_000), (1, 70_000));
    check(cover((0.5, 0.5)), (2725, 2225), (150, 150));
    check(cover((0.5, 0.5)), (100, 300), (100, 100));
    check(cover((0.5, 0.5)), (400, 60), (60, 60));
    check(cover((0.5, 0.5)), (1, 1), (1, 1));
    check(
        Fit::Cover {
            width: 160,
            height: 90,
            focus: (0.5, 0.5),
        },
        (80, 400),
        (80, 45),
    );
}

#[test]
fn a_set_comes_back_in_order_and_shares_what_is_equal() {
    let source = Arc::new(drawn::scene(900, 700));
    let fits = [
        cover((0.5, 0.5)),
        Fit::Width(320),
        Fit::Width(640),
        Fit::Width(1080),
        Fit::Original,
        Fit::Width(320),
    ];
    let made = cascade(&source, &fits).unwrap();
    let sizes: Vec<_> = made.iter().map(|p| (p.width(), p.height())).collect();
    assert_eq!(
        sizes,
        [
            (150, 150),
            (320, 249),
            (640, 498),
            (900, 700),
            (900, 700),
            (320, 249)
        ]
    );
    assert!(
        Arc::ptr_eq(&made[3], &source) && Arc::ptr_eq(&made[4], &source),
        "originals are not copied"
    );
    assert!(Arc::ptr_eq(&made[1], &made[5]), "equal sizes are made once");
}

#[test]
fn the_cascade_looks_like_resizing_from_the_source() {
    let source = Arc::new(drawn::scene(1600, 1200));
    let together = cascade(
        &source,
        &[
            Fit::Width(1000),
            Fit::Width(640),
            Fit::Width(320),
            cover((0.3, 0.6)),
        ],
    )
    .unwrap();
    for (i, fit) in [
        Fit::Width(1000),
        Fit::Width(640),
        Fit::Width(320),
        cover((0.3, 0.6)),
    ]
    .into_iter()
    .enumerate()
    {
        let alone = cascade(&source, &[fit]).unwrap().remove(0);
        let psnr = drawn::psnr(&together[i], &alone);
        assert!(psnr > 40.0, "{fit:?} has only {psnr:.1} dB");
    }
}

#[test]
fn a_crop_follows_its_focus() {
    // Three vertical bands of 300: red, green, blue.
    let bands = drawn::rgb(900, 300, |x, _| {
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]][x as usize / 300]
    });
    let source = Arc::new(bands);
    for (focus, expected) in [(0.0, 0), (0.5, 1), (1.0, 2), (f32::NAN, 1), (9.0, 2)] {
        let made = cascade(&source, &[cover((focus, 0.5))]).unwrap();
        let middle = drawn::at(&made[0], 75, 75);
        assert!(middle[expected] > 250, "focus {focus} shows {middle:?}");
    }
}

#[test]
fn invisible_colours_do_not_bleed() {
    let source = Arc::new(drawn::red_beside_hidden_blue(400, 40));
    let made = cascade(&source, &[Fit::Width(90)]).unwrap();
    for x in 0..90 {
        let p = drawn::at(&made[0], x, 4);
        assert!(
            p[3] < 8 || (p[0] > 230 && p[1] < 16 && p[2] < 16),
            "a fringe at {x}: {p:?}"
        );
    }
    assert_eq!(drawn::at(&made[0], 2, 4)[3], 255);
    assert_eq!(drawn::at(&made[0], 88, 4)[3], 0);
}

#[test]
fn extreme_shapes_resize() {
    for (w, h) in [(1, 1), (1, 500), (500, 1), (151, 149), (3, 2)] {
        let source = Arc::new(drawn::scene(w, h));
        for image in cascade(
            &source,
            &[
                Fit::Width(2),
                Fit::Width(320),
                cover((0.5, 0.5)),
                Fit::Original,
            ],
        )
        .unwrap()
        {
            assert!(image.width() <= w && image.height() <= h);
        }
    }
}
