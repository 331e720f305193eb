//! What the codecs alone cost for the same set: nothing cheaper can be built from them.

use std::sync::Arc;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use libaom_sys as aom;
use libwebp_sys as webp;
use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::webp::WebpOptions;

use crate::{cpu, ours, read};

/// CPU seconds of decoding, of each resize from its best parent, and of each bare encoder.
pub fn of(photo: &[u8], pixels: &[Arc<Pixels>]) -> f64 {
    let (source, mut sum) = cpu::timed(|| read::jpeg(photo));
    let mut resizer = Resizer::new();
    let mut parent = &source;
    for made in [4, 3, 2, 1, 0].map(|i| &pixels[i]) {
        if (made.width(), made.height()) == (source.width(), source.height()) {
            continue;
        }
        let from = ImageRef::new(
            parent.width(),
            parent.height(),
            parent.data(),
            PixelType::U8x3,
        )
        .expect("a source");
        let mut to = Image::new(made.width(), made.height(), PixelType::U8x3);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .fit_into_destination(None);
        sum += cpu::timed(|| resizer.resize(&from, &mut to, &options)).1;
        parent = made;
    }
    // jpegli has no cheaper way in than packed RGB rows.
    pixels.iter().fold(sum, |sum, p| {
        sum + cpu::timed(|| ours::encode("jpeg", p)).1 + bare_webp(p) + bare_avif(p)
    })
}

/// libwebp on a picture that it has imported already.
fn bare_webp(pixels: &Pixels) -> f64 {
    unsafe extern "C" fn count(_: *const u8, _: usize, _: *const webp::WebPPicture) -> i32 {
        1
    }
    let defaults = WebpOptions::default();
    let mut config = webp::WebPConfig::new().expect("a config");
    config.quality = defaults.quality;
    config.method = i32::from(defaults.method);
    config.sns_strength = 60;
    let mut picture = webp::WebPPicture::new().expect("a picture");
    (picture.width, picture.height) = (pixels.width() as i32, pixels.height() as i32);
    picture.writer = Some(count);
    // SAFETY: `Pixels` holds packed RGB rows of these sides; the picture is freed once.
    unsafe {
        webp::WebPPictureImportRGB(
            &mut picture,
            pixels.data().as_ptr(),
            pixels.width() as i32 * 3,
        );
        let (done, seconds) = cpu::timed(|| webp::WebPEncode(&config, &mut picture));
        assert_eq!(done, 1);
        webp::WebPPictureFree(&mut picture);
        seconds
    }
}

/// libaom on planes that are converted already.
fn bare_avif(pixels: &Pixels) -> f64 {
    let (w, h) = (pixels.width(), pixels.height());
    let planes = planes(pixels);
    // What `AvifOptions::default()` comes to.
    let (speed, quantizer) = match w * h {
        0..=1_300_000 => (c"6", c"28"),
        1_300_001..=4_000_000 => (c"6", c"25"),
        _ => (c"8", c"22"),
    };
    let settings = [
        (c"cpu-used", speed),
        (c"cq-level", quantizer),
        (c"tune", c"ssim"),
        (c"enable-qm", c"1"),
        (c"qm-min", c"2"),
        (c"qm-max", c"10"),
        (c"dist-metric", c"qm-psnr"),
    ];
    // SAFETY: as in the encoder of `mediaflow-media`, whose settings these are.
    unsafe {
        let interface = aom::aom_codec_av1_cx();
        let mut config: aom::aom_codec_enc_cfg_t = std::mem::zeroed();
        aom::aom_codec_enc_config_default(interface, &mut config, aom::AOM_USAGE_ALL_INTRA);
        (config.g_w, config.g_h, config.g_threads, config.g_limit) = (w, h, 1, 1);
        (config.g_lag_in_frames, config.rc_end_usage) = (0, aom::AOM_Q);
        let mut image: aom::aom_image_t = std::mem::zeroed();
        let y = planes[0].as_ptr().cast_mut();
        aom::aom_img_wrap(&mut image, aom::AOM_IMG_FMT_I420, w, h, 1, y);
        image.planes = [
            y,
            planes[1].as_ptr().cast_mut(),
            planes[2].as_ptr().cast_mut(),
        ];
        image.stride = [w, w.div_ceil(2), w.div_ceil(2)].map(|s| s as i32);
        cpu::timed(|| {
            let mut context: Box<aom::aom_codec_ctx_t> = Box::new(std::mem::zeroed());
            let version = aom::AOM_ENCODER_ABI_VERSION as i32;
            assert_eq!(
                aom::aom_codec_enc_init_ver(&mut *context, interface, &config, 0, version),
                0
            );
            for (option, value) in settings {
                assert_eq!(
                    aom::aom_codec_set_option(&mut *context, option.as_ptr(), value.as_ptr()),
                    0
                );
            }
            for picture in [&raw const image, std::ptr::null()] {
                assert_eq!(aom::aom_codec_encode(&mut *context, picture, 0, 1, 0), 0);
            }
            aom::aom_codec_destroy(&mut *context);
        })
        .1
    }
}

fn planes(pixels: &Pixels) -> [Vec<u8>; 3] {
    let (w, h) = (pixels.width() as usize, pixels.height() as usize);
    let at = |x: usize, y: usize| &pixels.data()[(y.min(h - 1) * w + x.min(w - 1)) * 3..][..3];
    let dot = |p: &[u8], m: [f32; 3]| (0..3).map(|c| f32::from(p[c]) * m[c]).sum::<f32>();
    let luma = (0..w * h)
        .map(|i| dot(at(i % w, i / w), [0.299, 0.587, 0.114]).round() as u8)
        .collect();
    let half = w.div_ceil(2);
    let chroma = |m: [f32; 3]| {
        let one = |i: usize| (dot(at(i % half * 2, i / half * 2), m) + 128.0).round() as u8;
        (0..half * h.div_ceil(2)).map(one).collect()
    };
    [
        luma,
        chroma([-0.1687, -0.3313, 0.5]),
        chroma([0.5, -0.4187, -0.0813]),
    ]
}
