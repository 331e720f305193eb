//! WebP by libwebp: stills and animations.

#![allow(
    unsafe_code,
    reason = "libwebp is a C library; pixels and sizes given to it are ours and checked"
)]

use std::ffi::{c_int, c_void};

use libwebp_sys as ffi;
use serde::{Deserialize, Serialize};

use super::yuv::Planes;
use super::{Encoded, Metadata, check_sides, exif, hidden, yuv};
use crate::MediaError;
use crate::image::{Pixels, pixels::Layout};

/// The bitstream stores sides in 14 bits.
const SIDE_MAX: u32 = 16_383;
const MEDIA_TYPE: &str = "image/webp";

/// How to encode a WebP.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebpOptions {
    /// 0 to 100: about the same score at every size, which takes a little more where images are small. For
    /// lossless images: how hard to try.
    pub quality: f32,
    /// 0 (fastest) to 6 (smallest).
    pub method: u8,
    /// Every pixel exactly as it was, where it is visible.
    pub lossless: bool,
}

impl Default for WebpOptions {
    fn default() -> Self {
        Self {
            quality: 80.0,
            method: 2,
            lossless: false,
        }
    }
}

/// Encodes `image`.
///
/// # Errors
/// `limit.pixels` for a side above 16383, `encoder.failed` when the encoder gives up.
pub fn encode(
    image: &Pixels,
    options: &WebpOptions,
    metadata: &Metadata<'_>,
) -> Result<Encoded, MediaError> {
    check_sides(image, "WebP", SIDE_MAX)?;
    let config = config(options, (image.width(), image.height()))?;
    let transparent = image.is_transparent();
    let mut planes = match (options.lossless, transparent) {
        (true, _) => None,
        (false, true) => Some((
            yuv::limited_range(&hidden::filled(image)),
            Some(yuv::alpha(image)),
        )),
        (false, false) => Some((yuv::limited_range(image), None)),
    };
    let mut picture = match &mut planes {
        // SAFETY: `planes` lives as long as `picture`, and nothing else touches it.
        Some((color, alpha)) => unsafe { Picture::borrow(image, color, alpha.as_mut())? },
        None => Picture::import(image)?,
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(image.bytes() / 20 + 1024);
    picture.0.writer = Some(append);
    picture.0.custom_ptr = (&raw mut bytes).cast::<c_void>();
    // SAFETY: picture and config were initialised by libwebp, and `bytes` outlives the call.
    let done = unsafe { ffi::WebPEncode(&config, &mut picture.0) };
    if done == 0 {
        return Err(MediaError::encoder(format!(
            "WebP: {:?}",
            picture.0.error_code
        )));
    }
    Ok(Encoded {
        bytes: add_chunks(
            bytes,
            (image.width(), image.height()),
            transparent,
            metadata,
        ),
        media_type: MEDIA_TYPE,
    })
}

fn config(options: &WebpOptions, size: (u32, u32)) -> Result<ffi::WebPConfig, MediaError> {
    let refused = || MediaError::encoder("WebP: options refused");
    let mut config = ffi::WebPConfig::new().map_err(|()| refused())?;
    let wanted = if options.quality.is_finite() {
        options.quality
    } else {
        75.0
    };
    // Measured: what keeps the score of a quality in place from thumbnails to originals.
    let correction = match u64::from(size.0) * u64::from(size.1) {
        _ if options.lossless => 0.0,
        0..=150_000 => 2.0,
        150_001..=600_000 => 0.4,
        _ => -0.4,
    };
    config.quality = (wanted + correction).clamp(0.0, 100.0);
    config.method = c_int::from(options.method.min(6));
    // Measured: a touch more than libwebp's 50 saves half a percent at the same score.
    config.sns_strength = 60;
    config.lossless = c_int::from(options.lossless);
    // SAFETY: a valid pointer to an initialised struct.
    if unsafe { ffi::WebPValidateConfig(&config) } == 0 {
        Err(refused())
    } else {
        Ok(config)
    }
}

/// Appends what libwebp has finished; 0 would stop the encoder.
unsafe extern "C" fn append(
    data: *const u8,
    size: usize,
    picture: *const ffi::WebPPicture,
) -> c_int {
    // SAFETY: `custom_ptr` is the `Vec` that `encode` holds through the call, and libwebp gives
    // `size` readable bytes.
    unsafe {
        let out = &mut *(*picture).custom_ptr.cast::<Vec<u8>>();
        out.extend_from_slice(std::slice::from_raw_parts(data, size));
    }
    1
}

/// An image as libwebp sees it, with the memory that libwebp gave it.
struct Picture(ffi::WebPPicture);

impl Picture {
    /// Lends `color` and `alpha` to libwebp, which may flatten what is invisible in them.
    ///
    /// # Safety
    /// Both belong to `image` and must outlive the picture without being touched.
    unsafe fn borrow(
        image: &Pixels,
        color: &mut Planes,
        alpha: Option<&mut Planes>,
    ) -> Result<Self, MediaError> {
        let mut picture =
            Self(ffi::WebPPicture::new().map_err(|()| MediaError::encoder("WebP: wrong version"))?);
        picture.0.width = image.width() as c_int;
        picture.0.height = image.height() as c_int;
        picture.0.colorspace = ffi::WebPEncCSP::WEBP_YUV420;
        (picture.0.y, picture.0.y_stride) = (color.y.as_mut_ptr(), color.width as c_int);
        (picture.0.u, picture.0.v) = (color.u.as_mut_ptr(), color.v.as_mut_ptr());
        picture.0.uv_stride = color.chroma_width as c_int;
        if let Some(alpha) = alpha {
            picture.0.colorspace = ffi::WebPEncCSP::WEBP_YUV420A;
            (picture.0.a, picture.0.a_stride) = (alpha.y.as_mut_ptr(), alpha.width as c_int);
        }
        Ok(picture)
    }

    fn import(image: &Pixels) -> Result<Self, MediaError> {
        let mut picture =
            Self(ffi::WebPPicture::new().map_err(|()| MediaError::encoder("WebP: wrong version"))?);
        picture.0.width = image.width() as c_int;
        picture.0.height = image.height() as c_int;
        picture.0.use_argb = 1;
        let stride = image.width() as c_int * image.layout().channels() as c_int;
        // SAFETY: `Pixels` guarantees width times height packed pixels of this layout.
        let done = unsafe {
            match image.layout() {
                Layout::Rgb => {
                    ffi::WebPPictureImportRGB(&mut picture.0, image.data().as_ptr(), stride)
                }
                Layout::Rgba => {
                    ffi::WebPPictureImportRGBA(&mut picture.0, image.data().as_ptr(), stride)
                }
            }
        };
        if done == 0 {
            Err(MediaError::encoder("WebP: no memory for the picture"))
        } else {
            Ok(picture)
        }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: initialised in `import`; freeing an empty picture is allowed.
        unsafe { ffi::WebPPictureFree(&mut self.0) }
    }
}

/// Encodes an animation frame by frame, holding only what libwebp needs of earlier frames.
pub struct AnimationEncoder {
    encoder: *mut ffi::WebPAnimEncoder,
    config: ffi::WebPConfig,
    size: (u32, u32),
    /// Alpha may appear in any frame, and the header must say so.
    transparent: bool,
    elapsed_ms: c_int,
}

impl AnimationEncoder {
    /// Begins an animation of `width` by `height` pixels that plays `loops` times; 0 is for ever.
    ///
    /// # Errors
    /// `limit.pixels` for a side above 16383, `encoder.failed` when there is no memory.
    pub fn new(
        width: u32,
        height: u32,
        loops: u32,
        options: &WebpOptions,
    ) -> Result<Self, MediaError> {
        if width.max(height) > SIDE_MAX || width.min(height) == 0 {
            let text = format!(
                "WebP holds 1 to {SIDE_MAX} pixels a side; this animation has {width}x{height}"
            );
            return Err(MediaError::limit("limit.pixels", text));
        }
        let config = config(options, (width, height))?;
        let version = ffi::WebPGetMuxABIVersion();
        // SAFETY: zero is valid for this struct of integers, and libwebp initialises it before use.
        let encoder = unsafe {
            let mut setup: ffi::WebPAnimEncoderOptions = std::mem::zeroed();
            if ffi::WebPAnimEncoderOptionsInitInternal(&mut setup, version) == 0 {
                return Err(MediaError::encoder("WebP: wrong version"));
            }
            // The container counts loops in 16 bits.
            setup.anim_params.loop_count = c_int::from(u16::try_from(loops).unwrap_or(u16::MAX));
            setup.anim_params.bgcolor = 0;
            ffi::WebPAnimEncoderNewInternal(width as c_int, height as c_int, &setup, version)
        };
        if encoder.is_null() {
            return Err(MediaError::encoder("WebP: no memory for the animation"));
        }
        Ok(Self {
            encoder,
            config,
            size: (width, height),
            transparent: false,
            elapsed_ms: 0,
        })
    }

    /// Adds a frame, the whole canvas, shown for `delay_ms` milliseconds.
    ///
    /// # Errors
    /// `encoder.failed` for a frame of another size or an animation of over 24 days.
    pub fn add_frame(&mut self, frame: &Pixels, delay_ms: u32) -> Result<(), MediaError> {
        if (frame.width(), frame.height()) != self.size {
            return Err(MediaError::encoder(
                "all frames of an animation have one size",
            ));
        }
        let next = i32::try_from(delay_ms)
            .ok()
            .and_then(|d| self.elapsed_ms.checked_add(d));
        let next = next.ok_or_else(|| MediaError::encoder("the animation is too long"))?;
        let transparent = frame.is_transparent();
        let mut picture = if transparent && self.config.lossless == 0 {
            Picture::import(&hidden::filled(frame))?
        } else {
            Picture::import(frame)?
        };
        self.transparent |= transparent;
        // SAFETY: encoder, picture and config are valid; libwebp copies what it keeps.
        let done = unsafe {
            ffi::WebPAnimEncoderAdd(self.encoder, &mut picture.0, self.elapsed_ms, &self.config)
        };
        if done == 0 {
            return Err(MediaError::encoder(format!(
                "WebP: {:?}",
                picture.0.error_code
            )));
        }
        self.elapsed_ms = next;
        Ok(())
    }

    /// Ends the animation.
    ///
    /// # Errors
    /// `encoder.failed` when no frame was added or memory ran out.
    pub fn finish(self, metadata: &Metadata<'_>) -> Result<Encoded, MediaError> {
        let mut data = ffi::WebPData::default();
        // SAFETY: a null frame ends the last one; `data` is freed below, once it is copied.
        let bytes = unsafe {
            let ended = ffi::WebPAnimEncoderAdd(
                self.encoder,
                std::ptr::null_mut(),
                self.elapsed_ms,
                std::ptr::null(),
            );
            if ended == 0 || ffi::WebPAnimEncoderAssemble(self.encoder, &mut data) == 0 {
                return Err(MediaError::encoder(
                    "WebP: the animation could not be finished",
                ));
            }
            let bytes = std::slice::from_raw_parts(data.bytes, data.size).to_vec();
            ffi::WebPDataClear(&mut data);
            bytes
        };
        let bytes = add_chunks(bytes, self.size, self.transparent, metadata);
        Ok(Encoded {
            bytes,
            media_type: MEDIA_TYPE,
        })
    }
}

impl Drop for AnimationEncoder {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here.
        unsafe { ffi::WebPAnimEncoderDelete(self.encoder) }
    }
}

/// Inserts ICC and EXIF chunks into a RIFF container, extending its header where it has none.
fn add_chunks(bytes: Vec<u8>, size: (u32, u32), alpha: bool, metadata: &Metadata<'_>) -> Vec<u8> {
    const RIFF_HEADER: usize = 12;
    const VP8X_CHUNK: usize = 18;
    const ICC_FLAG: u8 = 0x20;
    const ALPHA_FLAG: u8 = 0x10;
    const EXIF_FLAG: u8 = 0x08;
    let exif = exif::block(metadata);
    if metadata.icc.is_none() && exif.is_none() {
        return bytes;
    }
    let (mut header, rest) = if bytes[RIFF_HEADER..].starts_with(b"VP8X") {
        (
            bytes[RIFF_HEADER..RIFF_HEADER + VP8X_CHUNK].to_vec(),
            &bytes[RIFF_HEADER + VP8X_CHUNK..],
        )
    } else {
        let mut header = b"VP8X\x0A\0\0\0\0\0\0\0".to_vec();
        header[8] = if alpha { ALPHA_FLAG } else { 0 };
        header.extend_from_slice(&(size.0 - 1).to_le_bytes()[..3]);
        header.extend_from_slice(&(size.1 - 1).to_le_bytes()[..3]);
        (header, &bytes[RIFF_HEADER..])
    };
    header[8] |= if metadata.icc.is_some() { ICC_FLAG } else { 0 };
    header[8] |= if exif.is_some() { EXIF_FLAG } else { 0 };

    let mut out = b"RIFF\0\0\0\0WEBP".to_vec();
    out.extend_from_slice(&header);
    let chunk = |out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        out.extend_from_slice(content);
        if content.len() % 2 == 1 {
            out.push(0);
        }
    };
    if let Some(icc) = metadata.icc {
        chunk(&mut out, b"ICCP", icc);
    }
    out.extend_from_slice(rest);
    if let Some(exif) = exif {
        chunk(&mut out, b"EXIF", &exif);
    }
    let length = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&length.to_le_bytes());
    out
}
