//! Marks on images.

use mediaflow_media::image::watermark::{Position, WatermarkOptions, apply};

use crate::drawn;

fn options(position: Position) -> WatermarkOptions {
    WatermarkOptions {
        position,
        opacity: 1.0,
        scale: 0.2,
        margin: 0.05,
    }
}

#[test]
fn the_mark_appears_where_it_should() {
    let mark = drawn::rgb(40, 20, |_, _| [255, 255, 255]);
    let places = [
        (Position::TopLeft, (15, 10)),
        (Position::Top, (100, 10)),
        (Position::TopRight, (185, 10)),
        (Position::Left, (15, 50)),
        (Position::Center, (100, 50)),
        (Position::Right, (185, 50)),
        (Position::BottomLeft, (15, 90)),
        (Position::Bottom, (100, 90)),
        (Position::BottomRight, (185, 90)),
    ];
    for (position, (x, y)) in places {
        let mut image = drawn::rgb(200, 100, |_, _| [0, 0, 0]);
        apply(&mut image, &mark, &options(position)).unwrap();
        assert_eq!(drawn::at(&image, x, y), [255, 255, 255], "{position:?}");
        let covered = image.data().iter().filter(|v| **v == 255).count() / 3;
        assert_eq!(covered, 40 * 20, "{position:?} is whole");
        assert_eq!(
            drawn::at(&image, 2, 2),
            [0, 0, 0],
            "{position:?} keeps the margin"
        );
    }
}

#[test]
fn opacity_and_alpha_multiply() {
    let mark = drawn::rgba(10, 10, |_, _| [255, 255, 255, 128]);
    let mut image = drawn::rgb(50, 50, |_, _| [0, 0, 0]);
    let half = WatermarkOptions {
        opacity: 0.5,
        ..options(Position::Center)
    };
    apply(&mut image, &mark, &half).unwrap();
    assert_eq!(drawn::at(&image, 25, 25), [64, 64, 64]);
}

#[test]
fn on_a_transparent_image_the_mark_keeps_its_colour() {
    let mark = drawn::rgb(10, 10, |_, _| [10, 200, 30]);
    let mut image = drawn::rgba(50, 50, |_, _| [255, 0, 255, 0]);
    let half = WatermarkOptions {
        opacity: 0.5,
        ..options(Position::Center)
    };
    apply(&mut image, &mark, &half).unwrap();
    assert_eq!(drawn::at(&image, 25, 25), [10, 200, 30, 128]);
    assert_eq!(
        drawn::at(&image, 1, 1),
        [255, 0, 255, 0],
        "elsewhere nothing changes"
    );
}

#[test]
fn a_mark_that_does_not_fit_shrinks_or_stays_away() {
    let tall = drawn::rgb(10, 400, |_, _| [255, 255, 255]);
    let mut image = drawn::rgb(200, 40, |_, _| [0, 0, 0]);
    apply(&mut image, &tall, &options(Position::Center)).unwrap();
    assert_eq!(drawn::at(&image, 99, 20), [255, 255, 255]);
    assert_eq!(drawn::at(&image, 99, 0), [0, 0, 0]);

    let wide = drawn::rgb(400, 10, |_, _| [255, 255, 255]);
    for (w, h) in [(1, 1), (2, 2), (1, 50), (50, 1)] {
        let mut image = drawn::rgb(w, h, |_, _| [0, 0, 0]);
        apply(&mut image, &wide, &options(Position::BottomRight)).unwrap();
    }
}
