//! Decoders that know nothing of our encoders, to read back what those wrote.

#![allow(
    unsafe_code,
    reason = "libaom and libwebp read back files made a moment ago"
)]

use std::io::Cursor;

use libaom_sys as aom;
use libwebp_sys as webp;
use mediaflow_media::image::{Pixels, pixels::Layout};
use zune_jpeg::zune_core::{colorspace::ColorSpace, options::DecoderOptions};

pub(crate) fn jpeg(bytes: &[u8]) -> Pixels {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Cursor::new(bytes), options);
    let data = decoder.decode().expect("a readable JPEG");
    let (w, h) = decoder.dimensions().expect("dimensions");
    Pixels::new(w as u32, h as u32, Layout::Rgb, data)
}

pub(crate) fn png(bytes: &[u8]) -> Pixels {
    let mut reader = png::Decoder::new(Cursor::new(bytes))
        .read_info()
        .expect("a readable PNG");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut data).expect("pixels");
    let layout = if info.color_type == png::ColorType::Rgba {
        Layout::Rgba
    } else {
        Layout::Rgb
    };
    Pixels::new(info.width, info.height, layout, data)
}

pub(crate) fn webp_still(bytes: &[u8]) -> Pixels {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).expect("a readable WebP");
    let (w, h) = decoder.dimensions();
    let layout = if decoder.has_alpha() {
        Layout::Rgba
    } else {
        Layout::Rgb
    };
    let mut data = vec![0; decoder.output_buffer_size().expect("a size")];
    decoder.read_image(&mut data).expect("pixels");
    Pixels::new(w, h, layout, data)
}

/// All frames with their delays, and how often they play (0 is for ever). By libwebp's own player:
/// image-webp 0.2.4 leaves earlier frames standing where they should be cleared.
pub(crate) fn webp_animation(bytes: &[u8]) -> (Vec<(Pixels, u32)>, u32) {
    // SAFETY: the player reads `bytes`, which outlive it; each frame is copied before the next.
    unsafe {
        let data = webp::WebPData {
            bytes: bytes.as_ptr(),
            size: bytes.len(),
        };
        let player = webp::WebPAnimDecoderNew(&data, std::ptr::null());
        assert!(!player.is_null(), "a readable animation");
        let mut info = webp::WebPAnimInfo::default();
        assert_eq!(webp::WebPAnimDecoderGetInfo(player, &mut info), 1);
        let (w, h) = (info.canvas_width, info.canvas_height);
        let (mut frames, mut shown_until) = (Vec::new(), 0);
        while webp::WebPAnimDecoderHasMoreFrames(player) != 0 {
            let (mut canvas, mut until) = (std::ptr::null_mut(), 0);
            assert_eq!(
                webp::WebPAnimDecoderGetNext(player, &mut canvas, &mut until),
                1
            );
            let data = std::slice::from_raw_parts(canvas, w as usize * h as usize * 4).to_vec();
            frames.push((
                Pixels::new(w, h, Layout::Rgba, data),
                (until - shown_until) as u32,
            ));
            shown_until = until;
        }
        webp::WebPAnimDecoderDelete(player);
        (frames, info.loop_count)
    }
}

pub(crate) fn avif(bytes: &[u8]) -> Pixels {
    let file = avif_parse::read_avif(&mut Cursor::new(bytes)).expect("a readable AVIF");
    let (w, h, [y, u, v]) = av1(&file.primary_item);
    let alpha = file.alpha_item.as_ref().map(|item| {
        let (aw, ah, [alpha, ..]) = av1(item);
        assert_eq!((aw, ah), (w, h), "alpha is as large as the image");
        alpha
    });
    let mut data = Vec::new();
    for i in 0..w * h {
        let (x, row) = (i % w, i / w);
        let c = (row / 2) * w.div_ceil(2) + x / 2;
        let (l, cb, cr) = (
            f64::from(y[i]),
            f64::from(u[c]) - 128.0,
            f64::from(v[c]) - 128.0,
        );
        let rgb = [
            l + 1.402 * cr,
            l - 0.344_136 * cb - 0.714_136 * cr,
            l + 1.772 * cb,
        ];
        data.extend(rgb.map(|c| c.round().clamp(0.0, 255.0) as u8));
        data.extend(alpha.as_ref().map(|a| a[i]));
    }
    Pixels::new(
        w as u32,
        h as u32,
        if alpha.is_some() {
            Layout::Rgba
        } else {
            Layout::Rgb
        },
        data,
    )
}

/// Width, height and packed 4:2:0 planes; chroma is empty for monochrome.
fn av1(data: &[u8]) -> (usize, usize, [Vec<u8>; 3]) {
    // SAFETY: a decoder made, used and destroyed here; planes are copied by their own strides.
    unsafe {
        let mut context: Box<aom::aom_codec_ctx_t> = Box::new(std::mem::zeroed());
        let version = aom::AOM_DECODER_ABI_VERSION as i32;
        let started = aom::aom_codec_dec_init_ver(
            &mut *context,
            aom::aom_codec_av1_dx(),
            std::ptr::null(),
            0,
            version,
        );
        assert_eq!(started, aom::AOM_CODEC_OK);
        let decoded = aom::aom_codec_decode(
            &mut *context,
            data.as_ptr(),
            data.len(),
            std::ptr::null_mut(),
        );
        assert_eq!(decoded, aom::AOM_CODEC_OK, "the bitstream decodes");
        let mut iterator = std::ptr::null();
        let image = aom::aom_codec_get_frame(&mut *context, &mut iterator)
            .as_ref()
            .expect("a picture");
        assert_eq!(image.range, aom::AOM_CR_FULL_RANGE);
        let (w, h) = (image.d_w as usize, image.d_h as usize);
        let plane = |i: usize, w: usize, h: usize| {
            let row = |y: usize| {
                std::slice::from_raw_parts(image.planes[i].add(y * image.stride[i] as usize), w)
            };
            (0..h).flat_map(row).copied().collect::<Vec<u8>>()
        };
        let (cw, ch) = if image.monochrome != 0 {
            (0, 0)
        } else {
            (w.div_ceil(2), h.div_ceil(2))
        };
        let planes = [plane(0, w, h), plane(1, cw, ch), plane(2, cw, ch)];
        aom::aom_codec_destroy(&mut *context);
        (w, h, planes)
    }
}
