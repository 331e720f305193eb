//! One decoder per format for everybody's files, so that scores differ by encoder only.

use std::io::Cursor;

use libaom_sys as aom;
use libwebp_sys as webp;
use mediaflow_media::image::{Pixels, pixels::Layout};
use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};

pub fn any(format: &str, bytes: &[u8]) -> Pixels {
    match format {
        "jpeg" => jpeg(bytes),
        "webp" => webp(bytes),
        _ => avif(bytes),
    }
}

pub fn jpeg(bytes: &[u8]) -> Pixels {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let data = decoder.decode().expect("a readable JPEG");
    let (w, h) = decoder.dimensions().expect("dimensions");
    Pixels::new(w as u32, h as u32, Layout::Rgb, data)
}

fn webp(bytes: &[u8]) -> Pixels {
    // SAFETY: libwebp allocates what it returns, which is copied and freed.
    unsafe {
        let (mut w, mut h) = (0, 0);
        let data = webp::WebPDecodeRGB(bytes.as_ptr(), bytes.len(), &mut w, &mut h);
        assert!(!data.is_null(), "a readable WebP");
        let pixels = std::slice::from_raw_parts(data, w as usize * h as usize * 3).to_vec();
        webp::WebPFree(data.cast());
        Pixels::new(w as u32, h as u32, Layout::Rgb, pixels)
    }
}

fn avif(bytes: &[u8]) -> Pixels {
    let file = avif_parse::read_avif(&mut Cursor::new(bytes)).expect("a readable AVIF");
    av1(&file.primary_item)
}

/// Full-range 8 bit, 4:4:4 or 4:2:0 (chroma in the middle of four, interpolated linearly).
pub fn av1(data: &[u8]) -> Pixels {
    // SAFETY: a decoder made, used and destroyed here; planes are copied by their own strides.
    let (image, planes) = unsafe {
        let mut context: Box<aom::aom_codec_ctx_t> = Box::new(std::mem::zeroed());
        let interface = aom::aom_codec_av1_dx();
        let version = aom::AOM_DECODER_ABI_VERSION as i32;
        assert_eq!(
            aom::aom_codec_dec_init_ver(&mut *context, interface, std::ptr::null(), 0, version),
            0
        );
        assert_eq!(
            aom::aom_codec_decode(
                &mut *context,
                data.as_ptr(),
                data.len(),
                std::ptr::null_mut()
            ),
            0
        );
        let mut iterator = std::ptr::null();
        let image = *aom::aom_codec_get_frame(&mut *context, &mut iterator)
            .as_ref()
            .expect("a picture");
        let planes: Vec<Vec<f32>> = (0..3)
            .map(|i| {
                let (sx, sy) = if i == 0 {
                    (0, 0)
                } else {
                    (image.x_chroma_shift, image.y_chroma_shift)
                };
                let (w, h) = ((image.d_w + sx) >> sx, (image.d_h + sy) >> sy);
                let row = |y: usize| {
                    std::slice::from_raw_parts(
                        image.planes[i].add(y * image.stride[i] as usize),
                        w as usize,
                    )
                };
                (0..h as usize)
                    .flat_map(row)
                    .map(|v| f32::from(*v))
                    .collect()
            })
            .collect();
        assert_eq!(image.bit_depth, 8);
        aom::aom_codec_destroy(&mut *context);
        (image, planes)
    };
    assert_eq!(image.range, aom::AOM_CR_FULL_RANGE);
    let (kr, kb) = match image.mc {
        aom::AOM_CICP_MC_BT_709 => (0.2126, 0.0722),
        _ => (0.299, 0.114),
    };
    let kg = 1.0 - kr - kb;
    let (w, h) = (image.d_w as usize, image.d_h as usize);
    let half = image.x_chroma_shift == 1;
    let cw = if half { w.div_ceil(2) } else { w };
    let ch = if half { h.div_ceil(2) } else { h };
    let sample = |p: &[f32], x: usize, y: usize| {
        if !half {
            return p[y * cw + x];
        }
        let near = |v: usize, limit: usize| {
            let other = if v % 2 == 0 {
                (v / 2).saturating_sub(1)
            } else {
                (v / 2 + 1).min(limit - 1)
            };
            (v / 2, other)
        };
        let ((x0, x1), (y0, y1)) = (near(x, cw), near(y, ch));
        let row = |y: usize| 0.75 * p[y * cw + x0] + 0.25 * p[y * cw + x1];
        0.75 * row(y0) + 0.25 * row(y1)
    };
    let mut out = Vec::with_capacity(w * h * 3);
    for y in 0..h {
        for x in 0..w {
            let (l, u, v) = (
                planes[0][y * w + x],
                sample(&planes[1], x, y) - 128.0,
                sample(&planes[2], x, y) - 128.0,
            );
            let (r, b) = (l + 2.0 * (1.0 - kr) * v, l + 2.0 * (1.0 - kb) * u);
            let g = (l - kr * r - kb * b) / kg;
            out.extend([r, g, b].map(|c| c.round().clamp(0.0, 255.0) as u8));
        }
    }
    Pixels::new(w as u32, h as u32, Layout::Rgb, out)
}
