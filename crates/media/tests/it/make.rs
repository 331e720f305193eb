//! Files for the tests: fixtures, encoders of the crates, and bytes put together by hand.

use std::io::Cursor;

pub(crate) const QUADRANTS_JPEG: &[u8] = include_bytes!("../fixtures/quadrants.jpg");
pub(crate) const PROGRESSIVE_JPEG: &[u8] = include_bytes!("../fixtures/progressive.jpg");
pub(crate) const GRAY_JPEG: &[u8] = include_bytes!("../fixtures/gray.jpg");
pub(crate) const CMYK_JPEG: &[u8] = include_bytes!("../fixtures/cmyk.jpg");
pub(crate) const LOSSY_WEBP: &[u8] = include_bytes!("../fixtures/lossy.webp");
pub(crate) const ANIMATED_WEBP: &[u8] = include_bytes!("../fixtures/animated.webp");
pub(crate) const FAX_TIFF: &[u8] = include_bytes!("../fixtures/fax.tif");
pub(crate) const LZW_TIFF: &[u8] = include_bytes!("../fixtures/lzw.tif");
pub(crate) const PALETTE_TIFF: &[u8] = include_bytes!("../fixtures/palette.tif");
pub(crate) const CMYK_TIFF: &[u8] = include_bytes!("../fixtures/cmyk.tif");

/// A PNG of any kind; `data` is as PNG stores it.
pub(crate) fn png(
    (width, height): (u32, u32),
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
) -> Vec<u8> {
    png_of((width, height), color, depth, data, |_| {})
}

/// As [`png`], after changing what the encoder writes.
pub(crate) fn png_of(
    (width, height): (u32, u32),
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
    prepare: impl FnOnce(&mut png::Encoder<'_, Cursor<&mut Vec<u8>>>),
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(Cursor::new(&mut out), width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    prepare(&mut encoder);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(data)
        .unwrap();
    out
}

/// Puts a chunk behind the header of a PNG.
pub(crate) fn with_chunk(png: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend_from_slice(kind);
    chunk.extend_from_slice(data);
    let mut crc = flate2::Crc::new();
    crc.update(&chunk[4..]);
    chunk.extend_from_slice(&crc.sum().to_be_bytes());
    [&png[..33], &chunk, &png[33..]].concat()
}

/// Puts a colour profile into a PNG.
pub(crate) fn with_profile(png: &[u8], icc: &[u8]) -> Vec<u8> {
    let mut chunk =
        flate2::write::ZlibEncoder::new(b"profile\0\0".to_vec(), flate2::Compression::fast());
    std::io::Write::write_all(&mut chunk, icc).unwrap();
    with_chunk(png, b"iCCP", &chunk.finish().unwrap())
}

/// Puts a segment behind the first two bytes of a JPEG.
pub(crate) fn with_segment(jpeg: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [
        &jpeg[..2],
        &[0xff, marker],
        &length[..],
        payload,
        &jpeg[2..],
    ]
    .concat()
}

/// An RGB gradient that is different in every corner.
pub(crate) fn gradient(width: u32, height: u32) -> Vec<u8> {
    let value = |n: u32, of: u32| (n * 255 / of.max(1)) as u8;
    (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| {
                [
                    value(x, width),
                    value(y, height),
                    value(x + y, width + height),
                ]
            })
        })
        .collect()
}

pub(crate) fn lossless_webp(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    image_webp::WebPEncoder::new(&mut out)
        .encode(rgb, width, height, image_webp::ColorType::Rgb8)
        .unwrap();
    out
}

pub(crate) fn tiff<C: tiff::encoder::colortype::ColorType>(
    width: u32,
    height: u32,
    data: &[C::Inner],
) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    tiff::encoder::TiffEncoder::new(&mut out)
        .unwrap()
        .write_image::<C>(width, height, data)
        .unwrap();
    out.into_inner()
}

/// A frame of [`gif`].
pub(crate) struct GifFrame {
    pub(crate) at: (u16, u16),
    pub(crate) size: (u16, u16),
    pub(crate) color: u8,
    pub(crate) delay_cs: u16,
    pub(crate) dispose: gif::DisposalMethod,
}

/// A GIF with the palette red, green, blue, transparent.
pub(crate) fn gif(
    (width, height): (u16, u16),
    frames: &[GifFrame],
    repeat: gif::Repeat,
) -> Vec<u8> {
    let mut out = Vec::new();
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0];
    let mut encoder = gif::Encoder::new(&mut out, width, height, &palette).unwrap();
    encoder.set_repeat(repeat).unwrap();
    for frame in frames {
        let pixels = vec![frame.color; usize::from(frame.size.0) * usize::from(frame.size.1)];
        let transparent = (frame.color == 3).then_some(3);
        let mut made =
            gif::Frame::from_indexed_pixels(frame.size.0, frame.size.1, pixels, transparent);
        (made.left, made.top) = frame.at;
        made.delay = frame.delay_cs;
        made.dispose = frame.dispose;
        encoder.write_frame(&made).unwrap();
    }
    drop(encoder);
    out
}

/// A bitmap with a header of 40 bytes, a palette and rows that are stored as given.
pub(crate) fn bmp(
    (width, height): (i32, i32),
    bits: u16,
    compression: u32,
    extra: &[u8],
    rows: &[u8],
) -> Vec<u8> {
    let data = 54 + extra.len() as u32;
    let mut out = b"BM".to_vec();
    out.extend_from_slice(&(data + rows.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&data.to_le_bytes());
    out.extend_from_slice(&40u32.to_le_bytes());
    out.extend_from_slice(&width.to_le_bytes());
    out.extend_from_slice(&height.to_le_bytes());
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(&compression.to_le_bytes());
    out.extend_from_slice(&[0; 20]);
    out.extend_from_slice(extra);
    out.extend_from_slice(rows);
    out
}

/// An EXIF block (little endian) of fields in the primary directory and its usual children.
pub(crate) fn exif(fields: &[exif::Field]) -> Vec<u8> {
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut out = Cursor::new(Vec::new());
    writer.write(&mut out, true).unwrap();
    out.into_inner()
}

pub(crate) fn field(tag: exif::Tag, value: exif::Value) -> exif::Field {
    exif::Field {
        tag,
        ifd_num: exif::In::PRIMARY,
        value,
    }
}

pub(crate) fn exif_segment(jpeg: &[u8], fields: &[exif::Field]) -> Vec<u8> {
    with_segment(jpeg, 0xe1, &[b"Exif\0\0", &exif(fields)[..]].concat())
}

pub(crate) fn orientation(value: u16) -> exif::Field {
    field(exif::Tag::Orientation, exif::Value::Short(vec![value]))
}

/// The folder with real files, if this machine has it.
pub(crate) fn corpus() -> Option<std::path::PathBuf> {
    std::env::var_os("MEDIAFLOW_CORPUS").map(Into::into)
}
