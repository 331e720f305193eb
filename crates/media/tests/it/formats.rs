use gif::{DisposalMethod, Repeat};
use mediaflow_media::MediaError;
use mediaflow_media::image::pixels::Layout;
use mediaflow_media::image::{
    DecodeOptions, Format, Frame, ImageLimits, InspectOptions, Pixels, decode, decode_frames,
    inspect, probe,
};
use png::{BitDepth, ColorType};

use crate::make::{self, GifFrame};

fn pixels(bytes: &[u8]) -> Pixels {
    let pixels = decode(bytes, &DecodeOptions::default()).unwrap();
    let probe = probe(bytes, &ImageLimits::default(), None).unwrap();
    assert_eq!(
        (probe.width, probe.height),
        (pixels.width(), pixels.height())
    );
    assert!(
        probe.has_alpha || pixels.layout() == Layout::Rgb,
        "alpha that the headers did not announce"
    );
    pixels
}

fn frames(bytes: &[u8]) -> (Vec<Frame>, u32) {
    let mut frames = Vec::new();
    let info = decode_frames(bytes, &DecodeOptions::default(), &mut |frame| {
        frames.push(frame);
        Ok(())
    })
    .unwrap();
    assert_eq!(info.frames as usize, frames.len());
    (frames, info.loops)
}

#[test]
fn jpeg_baseline_progressive_and_grey() {
    let baseline = pixels(make::QUADRANTS_JPEG);
    let progressive = pixels(make::PROGRESSIVE_JPEG);
    let far = baseline
        .data()
        .iter()
        .zip(progressive.data())
        .filter(|(a, b)| a.abs_diff(**b) > 12)
        .count();
    assert!(far < baseline.data().len() / 20);
    assert!(
        inspect(make::PROGRESSIVE_JPEG, &InspectOptions::default())
            .unwrap()
            .progressive
    );

    let gray = pixels(make::GRAY_JPEG);
    assert!(gray.data().chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    assert_eq!(
        inspect(make::GRAY_JPEG, &InspectOptions::default())
            .unwrap()
            .color_space,
        "gray"
    );
}

#[test]
fn jpeg_with_stray_bytes_and_strange_segments() {
    let expected = pixels(make::QUADRANTS_JPEG);
    // The first segment ends after 20 bytes.
    let (head, rest) = make::QUADRANTS_JPEG.split_at(20);
    let stray = [head, &[0; 9], rest].concat();
    let trailing = [make::QUADRANTS_JPEG, b"MotionPhoto_Data and more"].concat();
    let adobe = make::with_segment(make::QUADRANTS_JPEG, 0xee, b"Adobe");
    let exif = make::with_segment(make::QUADRANTS_JPEG, 0xe1, b"Exif\0\0II*\0\xff\xff\xff\xff");
    let xmp = make::with_segment(
        make::QUADRANTS_JPEG,
        0xe1,
        b"http://ns.adobe.com/xmp/extension/\0short",
    );
    let icc = make::with_segment(make::QUADRANTS_JPEG, 0xe2, b"ICC_PROFILE\0\x01\x01garbage");
    for file in [stray, trailing, adobe, exif, xmp, icc] {
        assert_eq!(pixels(&file), expected);
    }
}

#[test]
fn jpeg_without_its_end_marker_is_whole_and_with_an_early_one_is_not() {
    let jpeg = make::QUADRANTS_JPEG;
    assert_eq!(pixels(&jpeg[..jpeg.len() - 2]), pixels(jpeg));
    for cut in [60, 100, 150] {
        let early = [&jpeg[..jpeg.len() - cut], &[0xff, 0xd9]].concat();
        let error = decode(&early, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error.code, "input.corrupt", "{cut} bytes short");
    }
}

#[test]
fn png_of_every_kind() {
    let gray = |depth, data: &[u8]| {
        pixels(&make::png((2, 1), ColorType::Grayscale, depth, data)).into_data()
    };
    assert_eq!(
        gray(BitDepth::One, &[0b0100_0000]),
        [0, 0, 0, 255, 255, 255]
    );
    assert_eq!(gray(BitDepth::Four, &[0x3c]), [51, 51, 51, 204, 204, 204]);
    assert_eq!(gray(BitDepth::Sixteen, &[0x80, 0x7f, 0x80, 0x81]), [128; 6]);

    let palette = make::png_of(
        (3, 1),
        ColorType::Indexed,
        BitDepth::Two,
        &[0b0001_1000],
        |encoder| {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
            encoder.set_trns(vec![255, 0]);
        },
    );
    let palette = pixels(&palette);
    assert_eq!(palette.data(), [1, 2, 3, 255, 4, 5, 6, 0, 7, 8, 9, 255]);

    let keyed = make::png_of(
        (2, 1),
        ColorType::Rgb,
        BitDepth::Eight,
        &[9, 9, 9, 1, 2, 3],
        |encoder| {
            encoder.set_trns(vec![0, 9, 0, 9, 0, 9]);
        },
    );
    assert_eq!(pixels(&keyed).data(), [9, 9, 9, 0, 1, 2, 3, 255]);
}

#[test]
fn gif_frames_are_composed_as_browsers_do() {
    let frame = |at, size, color, delay_cs, dispose| GifFrame {
        at,
        size,
        color,
        delay_cs,
        dispose,
    };
    let gif = make::gif(
        (4, 2),
        &[
            frame((0, 0), (4, 2), 0, 0, DisposalMethod::Keep),
            frame((0, 0), (2, 2), 1, 5, DisposalMethod::Previous),
            frame((2, 0), (2, 2), 2, 7, DisposalMethod::Background),
            // Reaches over the edge, and is transparent.
            frame((3, 1), (9, 9), 3, 1, DisposalMethod::Keep),
        ],
        Repeat::Finite(2),
    );
    let (frames, loops) = frames(&gif);
    let rows: Vec<String> = frames
        .iter()
        .map(|frame| {
            let letters = frame.pixels.data().chunks(4).map(|p| match p {
                [255, 0, 0, 255] => 'r',
                [0, 255, 0, 255] => 'g',
                [0, 0, 255, 255] => 'b',
                [.., 0] => '.',
                _ => '?',
            });
            letters.collect()
        })
        .collect();
    assert_eq!(rows, ["rrrrrrrr", "ggrrggrr", "rrbbrrbb", "rr..rr.."]);
    assert_eq!(
        frames.iter().map(|f| f.delay_ms).collect::<Vec<_>>(),
        [100, 50, 70, 100]
    );
    assert_eq!(loops, 3);

    let info = inspect(&gif, &InspectOptions::default()).unwrap();
    assert_eq!(
        (info.frames, info.loops, info.duration_ms),
        (4, Some(3), Some(320))
    );
    assert_eq!(pixels(&gif), frames[0].pixels);
}

#[test]
fn animated_webp_frames() {
    let (frames, loops) = frames(make::ANIMATED_WEBP);
    assert_eq!(
        frames.iter().map(|f| f.delay_ms).collect::<Vec<_>>(),
        [40, 100, 120]
    );
    assert_eq!(loops, 2);
    let colors: Vec<&[u8]> = frames.iter().map(|f| &f.pixels.data()[..4]).collect();
    assert_eq!(colors[..2], [&[255, 0, 0, 255], &[0, 255, 0, 255]]);
    assert!(frames.iter().all(|f| f.pixels.layout() == Layout::Rgba));
    assert_eq!(pixels(make::ANIMATED_WEBP), frames[0].pixels);
}

#[test]
fn a_still_image_is_one_frame() {
    let (frames, _) = frames(make::LOSSY_WEBP);
    assert_eq!((frames.len(), frames[0].delay_ms), (1, 0));
    assert_eq!(
        (frames[0].pixels.width(), frames[0].pixels.height()),
        (64, 48)
    );
}

#[test]
fn the_callback_can_stop_an_animation() {
    let stop = || MediaError::limit("limit.memory", "enough");
    let result = decode_frames(make::ANIMATED_WEBP, &DecodeOptions::default(), &mut |_| {
        Err(stop())
    });
    assert_eq!(result.unwrap_err().code, "limit.memory");
}

#[test]
fn lossless_webp_is_exact() {
    let data = make::gradient(33, 17);
    assert_eq!(pixels(&make::lossless_webp(33, 17, &data)).data(), data);
}

#[test]
fn tiff_of_many_kinds() {
    use tiff::encoder::colortype::{Gray8, Gray16, RGB8, RGB16, RGBA8};
    let data = make::gradient(7, 5);
    assert_eq!(pixels(&make::tiff::<RGB8>(7, 5, &data)).data(), data);
    let wide: Vec<u16> = data.iter().map(|v| u16::from(*v) * 257).collect();
    assert_eq!(pixels(&make::tiff::<RGB16>(7, 5, &wide)).data(), data);
    assert_eq!(
        pixels(&make::tiff::<Gray8>(2, 1, &[3, 200])).data(),
        [3, 3, 3, 200, 200, 200]
    );
    assert_eq!(
        pixels(&make::tiff::<Gray16>(1, 1, &[0x8080])).data(),
        [128; 3]
    );
    assert_eq!(
        pixels(&make::tiff::<RGBA8>(1, 1, &[1, 2, 3, 4])).data(),
        [1, 2, 3, 4]
    );

    let expected = pixels(make::LZW_TIFF);
    assert_eq!((expected.width(), expected.height()), (128, 96));
    let palette = pixels(make::PALETTE_TIFF);
    let far = palette
        .data()
        .iter()
        .zip(expected.data())
        .filter(|(a, b)| a.abs_diff(**b) > 40)
        .count();
    assert!(far < expected.data().len() / 20);
    let fax = pixels(make::FAX_TIFF);
    let at = |x: usize, y: usize| fax.data()[(y * 128 + x) * 3];
    assert_eq!(
        [at(8, 8), at(120, 8), at(8, 90), at(120, 90)],
        [255, 0, 0, 255]
    );
}

#[test]
fn bmp_of_many_kinds() {
    // Rows are padded to four bytes and come bottom first.
    let rows = [3, 2, 1, 6, 5, 4, 0, 0, 9, 8, 7, 12, 11, 10, 0, 0];
    assert_eq!(
        pixels(&make::bmp((2, 2), 24, 0, &[], &rows)).data(),
        [7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        pixels(&make::bmp((2, -2), 24, 0, &[], &rows)).data(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    );

    // The fourth byte of this kind means nothing, even when it is zero everywhere.
    let padded = pixels(&make::bmp((1, 1), 32, 0, &[], &[3, 2, 1, 0]));
    assert_eq!(
        (padded.layout(), padded.data()),
        (Layout::Rgb, &[1, 2, 3][..])
    );

    let masks: Vec<u8> = [0xf800u32, 0x07e0, 0x001f]
        .iter()
        .flat_map(|m| m.to_le_bytes())
        .collect();
    let green_and_red = [0xe0, 0x07, 0x00, 0xf8];
    assert_eq!(
        pixels(&make::bmp((2, 1), 16, 3, &masks, &green_and_red)).data(),
        [0, 255, 0, 255, 0, 0]
    );

    let palette = [30, 20, 10, 0, 60, 50, 40, 0];
    let indexed = [0b0100_0000, 0, 0, 0];
    assert_eq!(
        pixels(&make::bmp((2, 1), 1, 0, &palette, &indexed)).data(),
        [10, 20, 30, 40, 50, 60]
    );

    let palette = [palette.as_slice(), &[0; 1016]].concat();
    // Two of colour 1; end of line; one of colour 0, a literal pair would need three; end of picture.
    let runs = [2, 1, 0, 0, 1, 0, 1, 1, 0, 1];
    let rle = pixels(&make::bmp((2, 2), 8, 1, &palette, &runs));
    assert_eq!(rle.data(), [10, 20, 30, 40, 50, 60, 40, 50, 60, 40, 50, 60]);
    let early = decode(
        &make::bmp((2, 2), 8, 1, &palette, &runs[..5]),
        &DecodeOptions::default(),
    );
    assert_eq!(early.unwrap_err().code, "input.corrupt");
}

#[test]
fn the_name_of_the_format_comes_from_the_bytes() {
    let limits = ImageLimits::default();
    assert_eq!(
        probe(make::LOSSY_WEBP, &limits, None).unwrap().format,
        Format::Webp
    );
    assert_eq!(probe(b"", &limits, None).unwrap_err().code, "input.empty");
    let svg = probe(b"<svg/>", &limits, None).unwrap_err();
    assert_eq!(svg.code, "input.unsupported");
    assert!(svg.message.contains("SVG"));
    assert!(
        probe(b"fLaC\0\0\0\x22", &limits, None)
            .unwrap_err()
            .message
            .contains("audio/flac")
    );
}
