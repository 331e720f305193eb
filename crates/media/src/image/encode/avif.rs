//! AVIF by libaom, one still picture per call and one thread per picture.
//!
//! Built against the libaom that `libaom-sys` vendors (3.11) or, where the build points it there,
//! a newer one of the system: since 3.12 `tune=iq` saves about a tenth of the bytes, and is used
//! wherever the linked library has it.

#![allow(
    unsafe_code,
    reason = "libaom is a C library; pixels and sizes given to it are ours and checked"
)]

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;

use libaom_sys as ffi;
use serde::{Deserialize, Serialize};

use super::heif::{self, Av1Image};
use super::yuv::{self, Planes};
use super::{Encoded, Metadata, check_sides, exif, hidden};
use crate::MediaError;
use crate::image::Pixels;

/// AV1 stores sides in 16 bits.
const SIDE_MAX: u32 = 65_535;
/// The first libaom with `tune=iq`: 3.12.0.
const IQ_SINCE: c_int = 3 << 16 | 12 << 8;
/// `AOM_TUNE_IQ`, which the bindings of 3.11 do not know.
const TUNE_IQ: c_uint = 10;

/// Images of more pixels than this take [`SPEED_LARGE`]: a thorough search of them would cost as
/// much as the rest of the set.
const LARGE_PIXELS: u64 = 4_000_000;
const SPEED: u8 = 6;
const SPEED_LARGE: u8 = 8;
/// Above this, details are large beside a block and need finer quantizers for the same score.
const DETAILED_PIXELS: u64 = 1_300_000;

/// How to encode an AVIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AvifOptions {
    /// 0 to 100; a step is about one point of SSIMULACRA2, whatever the speed and the size.
    pub quality: u8,
    /// 0 (smallest) to 9 (fastest); without one, 6, or 8 above 4 megapixels.
    pub speed: Option<u8>,
}

impl Default for AvifOptions {
    fn default() -> Self {
        Self {
            quality: 62,
            speed: None,
        }
    }
}

impl AvifOptions {
    fn speed(&self, image: &Pixels) -> u8 {
        let large = pixels(image) > LARGE_PIXELS;
        self.speed
            .unwrap_or(if large { SPEED_LARGE } else { SPEED })
            .min(9)
    }

    /// libaom's 0 (best) to 63: measured corrections keep the score of a quality in place.
    fn quantizer(&self, image: &Pixels) -> c_uint {
        let quantizer = (100 - c_uint::from(self.quality.min(100))) * 63 / 100;
        let for_speed = match self.speed(image) {
            0..=6 => 0,
            7 | 8 => 3,
            _ => 4,
        };
        let for_size = if pixels(image) > DETAILED_PIXELS {
            2
        } else {
            0
        };
        quantizer.saturating_sub(for_speed + for_size)
    }
}

fn pixels(image: &Pixels) -> u64 {
    u64::from(image.width()) * u64::from(image.height())
}

/// Whether the linked libaom has `tune=iq`, and quality numbers mean a little more.
pub fn has_tune_iq() -> bool {
    // SAFETY: returns a constant of the library.
    unsafe { ffi::aom_codec_version() >= IQ_SINCE }
}

/// Encodes `image` as 8-bit 4:2:0, full range; visible transparency as a second picture.
///
/// # Errors
/// `limit.pixels` for a side above 65535, `encoder.failed` when the encoder gives up.
pub fn encode(
    image: &Pixels,
    options: &AvifOptions,
    metadata: &Metadata<'_>,
) -> Result<Encoded, MediaError> {
    check_sides(image, "AVIF", SIDE_MAX)?;
    let transparent = image.is_transparent();
    let planes = if transparent {
        yuv::full_range(&hidden::filled(image))
    } else {
        yuv::full_range(image)
    };
    let speed = options.speed(image);
    let quantizer = options.quantizer(image);
    let color = encode_planes(image, &planes, quantizer, speed, metadata.icc.is_some())?;
    let alpha = if transparent {
        // Errors in alpha show as halos: half the quantizer costs little, as alpha is mostly flat.
        Some(encode_planes(
            image,
            &yuv::alpha(image),
            quantizer / 2,
            speed,
            true,
        )?)
    } else {
        None
    };
    let bytes = heif::file(&heif::Contents {
        width: image.width(),
        height: image.height(),
        subsampled: true,
        color,
        alpha,
        icc: metadata.icc,
        exif: exif::block(metadata),
    });
    Ok(Encoded {
        bytes,
        media_type: "image/avif",
    })
}

/// Planes without chroma are encoded as a monochrome picture.
fn encode_planes(
    image: &Pixels,
    planes: &Planes,
    quantizer: c_uint,
    speed: u8,
    untagged: bool,
) -> Result<Av1Image, MediaError> {
    let monochrome = planes.u.is_empty();
    let mut encoder = Encoder::new(image.width(), image.height(), monochrome)?;
    encoder.set(ffi::AOME_SET_CPUUSED, c_uint::from(speed.min(9)))?;
    encoder.set(ffi::AOME_SET_CQ_LEVEL, quantizer)?;
    // Alpha is compared by numbers and not by eyes.
    if !monochrome {
        encoder.tune()?;
    }
    encoder.set(ffi::AV1E_SET_COLOR_RANGE, ffi::AOM_CR_FULL_RANGE)?;
    if untagged {
        encoder.set(ffi::AV1E_SET_COLOR_PRIMARIES, ffi::AOM_CICP_CP_UNSPECIFIED)?;
        encoder.set(
            ffi::AV1E_SET_TRANSFER_CHARACTERISTICS,
            ffi::AOM_CICP_TC_UNSPECIFIED,
        )?;
    } else {
        encoder.set(ffi::AV1E_SET_COLOR_PRIMARIES, ffi::AOM_CICP_CP_BT_709)?;
        encoder.set(
            ffi::AV1E_SET_TRANSFER_CHARACTERISTICS,
            ffi::AOM_CICP_TC_SRGB,
        )?;
    }
    encoder.set(ffi::AV1E_SET_MATRIX_COEFFICIENTS, ffi::AOM_CICP_MC_BT_601)?;
    let unit = encoder.encode(image, planes)?;
    Av1Image::from_temporal_unit(&unit)
        .ok_or_else(|| MediaError::encoder("AVIF: libaom gave an unknown bitstream"))
}

/// libaom's encoder for one picture.
struct Encoder(Box<ffi::aom_codec_ctx_t>);

impl Encoder {
    fn new(width: u32, height: u32, monochrome: bool) -> Result<Self, MediaError> {
        let check = |code, what| match code {
            ffi::AOM_CODEC_OK => Ok(()),
            code => Err(failed(what, code)),
        };
        // SAFETY: libaom fills the configuration before it is read; a context of zeros is what it
        // expects to initialise; both structs hold numbers and pointers only.
        unsafe {
            let interface = ffi::aom_codec_av1_cx();
            let mut config = MaybeUninit::<ffi::aom_codec_enc_cfg_t>::zeroed();
            let usage = ffi::AOM_USAGE_ALL_INTRA;
            check(
                ffi::aom_codec_enc_config_default(interface, config.as_mut_ptr(), usage),
                "configuration",
            )?;
            let mut config = config.assume_init();
            config.g_w = width;
            config.g_h = height;
            config.g_threads = 1;
            config.g_limit = 1;
            config.g_lag_in_frames = 0;
            config.rc_end_usage = ffi::AOM_Q;
            config.monochrome = c_uint::from(monochrome);
            let mut context: Box<ffi::aom_codec_ctx_t> = Box::new(std::mem::zeroed());
            let version = ffi::AOM_ENCODER_ABI_VERSION as c_int;
            check(
                ffi::aom_codec_enc_init_ver(&mut *context, interface, &config, 0, version),
                "start",
            )?;
            Ok(Self(context))
        }
    }

    fn set(&mut self, control: ffi::aome_enc_control_id, value: c_uint) -> Result<(), MediaError> {
        // SAFETY: every control used here takes one int or unsigned int.
        match unsafe { ffi::aom_codec_control(&mut *self.0, control as c_int, value) } {
            ffi::AOM_CODEC_OK => Ok(()),
            code => Err(failed("option", code)),
        }
    }

    /// Tunes for eyes. `tune=iq` of newer versions, or as much of it as 3.11 has: quantization
    /// matrices, and decisions that weigh errors by them, which alone saves a tenth of the bytes.
    fn tune(&mut self) -> Result<(), MediaError> {
        if has_tune_iq() {
            return self.set(ffi::AOME_SET_TUNING, TUNE_IQ);
        }
        self.set(ffi::AOME_SET_TUNING, ffi::AOM_TUNE_SSIM)?;
        self.set(ffi::AV1E_SET_ENABLE_QM, 1)?;
        self.set(ffi::AV1E_SET_QM_MIN, 2)?;
        self.set(ffi::AV1E_SET_QM_MAX, 10)?;
        // SAFETY: two C strings and a valid context; this option has no number of its own.
        let code = unsafe {
            ffi::aom_codec_set_option(&mut *self.0, c"dist-metric".as_ptr(), c"qm-psnr".as_ptr())
        };
        if code == ffi::AOM_CODEC_OK {
            Ok(())
        } else {
            Err(failed("option", code))
        }
    }

    fn encode(&mut self, image: &Pixels, planes: &Planes) -> Result<Vec<u8>, MediaError> {
        // SAFETY: `aom_img_wrap` only fills the struct in; the planes are replaced right away by
        // ours, which have the sizes of 4:2:0 and outlive the call. libaom only reads them.
        // Packets point into memory that stays valid until the next call.
        unsafe {
            let mut wrapped = MaybeUninit::<ffi::aom_image_t>::zeroed();
            let y = planes.y.as_ptr().cast_mut();
            let (w, h) = (image.width(), image.height());
            if ffi::aom_img_wrap(wrapped.as_mut_ptr(), ffi::AOM_IMG_FMT_I420, w, h, 1, y).is_null()
            {
                return Err(MediaError::encoder(
                    "AVIF: libaom refused the picture's size",
                ));
            }
            let mut wrapped = wrapped.assume_init();
            wrapped.monochrome = c_int::from(planes.u.is_empty());
            wrapped.range = ffi::AOM_CR_FULL_RANGE;
            wrapped.planes = [
                y,
                planes.u.as_ptr().cast_mut(),
                planes.v.as_ptr().cast_mut(),
            ];
            let chroma = planes.chroma_width as c_int;
            wrapped.stride = [planes.width as c_int, chroma, chroma];
            let mut unit = Vec::new();
            // The second call has no picture and makes libaom let go of what it still holds.
            for picture in [&raw const wrapped, std::ptr::null()] {
                match ffi::aom_codec_encode(&mut *self.0, picture, 0, 1, 0) {
                    ffi::AOM_CODEC_OK => {}
                    code => return Err(failed("picture", code)),
                }
                let mut iterator = std::ptr::null();
                while let Some(packet) =
                    ffi::aom_codec_get_cx_data(&mut *self.0, &mut iterator).as_ref()
                {
                    if packet.kind == ffi::AOM_CODEC_CX_FRAME_PKT {
                        let frame = packet.data.frame;
                        unit.extend_from_slice(std::slice::from_raw_parts(
                            frame.buf.cast::<u8>(),
                            frame.sz,
                        ));
                    }
                }
            }
            Ok(unit)
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed only here.
        unsafe { ffi::aom_codec_destroy(&mut *self.0) };
    }
}

fn failed(what: &str, code: ffi::aom_codec_err_t) -> MediaError {
    // SAFETY: libaom returns a static text for every code.
    let text = unsafe { CStr::from_ptr(ffi::aom_codec_err_to_string(code)) };
    MediaError::encoder(format!("AVIF: {what}: {}", text.to_string_lossy()))
}
