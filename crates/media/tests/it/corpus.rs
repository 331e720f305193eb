use mediaflow_media::image::{DecodeOptions, InspectOptions, decode, decode_frames, inspect};

use crate::make;

/// Files that do not become pictures, and why. HEIF needs a reader, which other tests have.
const REFUSED: &[(&str, &str)] = &[
    ("corrupt-header.jpg", "input.corrupt"),
    ("truncated.jpg", "input.corrupt"),
    ("truncated.png", "input.corrupt"),
    ("jpg_corrupted.jpg", "input.corrupt"),
    ("struct-image-04-t.svg", "input.unsupported"),
    (
        "sdr_cosmos12920_cicp1-13-6_yuv444_full_qp10.avif",
        "input.unsupported",
    ),
    ("heic_IMG_5195.HEIC", "input.unsupported"),
    ("bottle-detection.mp4", "input.unsupported"),
    ("car-detection.mp4", "input.unsupported"),
    ("echo-hereweare.webm", "input.unsupported"),
];

#[test]
fn every_file_ends_as_it_should() {
    let Some(corpus) = make::corpus() else { return };
    let mut wrong = Vec::new();
    for folder in ["images", "exif", "video"] {
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap();
            let expected = REFUSED
                .iter()
                .find(|(refused, _)| *refused == name)
                .map_or("ok", |(_, code)| code);
            let found = match decode(&bytes, &DecodeOptions::default()) {
                Ok(pixels) => {
                    let info = inspect(&bytes, &InspectOptions::default()).unwrap();
                    assert_eq!(
                        (info.width, info.height),
                        (pixels.width(), pixels.height()),
                        "{name}"
                    );
                    "ok"
                }
                Err(error) => error.code,
            };
            if found != expected {
                wrong.push(format!("{name}: {found} instead of {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn known_facts_about_known_files() {
    let Some(corpus) = make::corpus() else { return };
    let info = |name: &str| {
        let bytes = std::fs::read(corpus.join(name)).unwrap();
        inspect(
            &bytes,
            &InspectOptions {
                record_positions: true,
                ..InspectOptions::default()
            },
        )
        .unwrap()
    };
    let gps = info("exif/jpg_gps_DSCN0010.jpg");
    let position = gps.metadata.gps.unwrap();
    assert!(
        (position.latitude - 43.467).abs() < 0.001 && (position.longitude - 11.885).abs() < 0.001
    );
    assert_eq!(
        gps.metadata.camera.unwrap().model.as_deref(),
        Some("COOLPIX P6000")
    );
    assert_eq!(
        gps.metadata.taken_at.as_deref(),
        Some("2008-10-22T16:28:39")
    );

    assert!(info("images/gain-map.jpg").gain_map);
    assert_eq!(
        info("images/Channel_digital_image_CMYK_color.jpg").color_space,
        "cmyk"
    );
    assert_eq!(info("images/16-bit-grey-alpha.png").bit_depth, 16);
    let squares = info("images/rotating-squares.gif");
    assert_eq!((squares.frames, squares.loops), (30, Some(0)));
    for name in ["images/animated-loop-3.gif", "images/animated-loop-3.webp"] {
        let bytes = std::fs::read(corpus.join(name)).unwrap();
        let animation = decode_frames(&bytes, &DecodeOptions::default(), &mut |_| Ok(())).unwrap();
        assert_eq!(Some(animation.loops), info(name).loops);
        assert_eq!(animation.frames, info(name).frames);
    }
}
