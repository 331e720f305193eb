//! JPEG by jpegli: the CPU of libjpeg-turbo, with fewer bytes at the same quality.
//!
//! jpegli reports errors by calling back and never expecting to return. The callback
//! unwinds through its frames, which are compiled without exceptions and own nothing that Rust
//! could leave dangling, and is caught at the border. It can only run out of memory here:
//! everything else that it checks has been checked before.

#![allow(
    unsafe_code,
    reason = "jpegli is a C library; pixels and sizes given to it are ours and checked"
)]

use std::ffi::{c_int, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use jpegli_sys as ffi;
use serde::{Deserialize, Serialize};

use super::{Encoded, Metadata, check_sides, exif};
use crate::MediaError;
use crate::image::{Pixels, pixels::Layout};

/// jpegli's own limit, a little under what the format could hold.
const SIDE_MAX: u32 = 65_500;
/// Rows that one call hands over: one row of 4:2:0 blocks.
const BAND: usize = 16;
/// What is behind transparent pixels, which JPEG does not have.
const BACKGROUND: u32 = 255;
const APP1: c_int = 0xE1;
/// jpegli writes this many bytes per ICC marker and numbers the markers with one byte.
const ICC_BYTES_MAX: usize = 255 * 65_519;

/// How colour is stored beside brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subsampling {
    /// Half the sides; right for photographs.
    #[serde(rename = "4:2:0")]
    Half,
    /// Full size; right for drawings and text.
    #[serde(rename = "4:4:4")]
    Full,
}

/// How to encode a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JpegOptions {
    /// 1 to 100, on jpegli's scale, where 87 looks like libjpeg's 80.
    pub quality: u8,
    /// Several scans, coarse to fine: smaller files for about twice the CPU.
    pub progressive: bool,
    /// How colour is stored.
    pub subsampling: Subsampling,
}

impl Default for JpegOptions {
    fn default() -> Self {
        Self {
            quality: 87,
            progressive: true,
            subsampling: Subsampling::Half,
        }
    }
}

// In the library but not in its bindings.
unsafe extern "C-unwind" {
    fn jpegli_set_progressive_level(cinfo: &mut ffi::jpegli_compress_struct, level: c_int);
}

/// Encodes `image`; what is transparent is laid on white.
///
/// # Errors
/// `limit.pixels` for a side above 65500, `encoder.failed` when the encoder gives up.
pub fn encode(
    image: &Pixels,
    options: &JpegOptions,
    metadata: &Metadata<'_>,
) -> Result<Encoded, MediaError> {
    check_sides(image, "JPEG", SIDE_MAX)?;
    if metadata
        .icc
        .is_some_and(|icc| icc.is_empty() || icc.len() > ICC_BYTES_MAX)
    {
        return Err(MediaError::limit(
            "limit.metadata",
            "JPEG cannot hold this ICC profile",
        ));
    }
    let exif = exif::block(metadata);
    let mut sink = Sink::new(image.bytes() / 12 + 4096);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut compressor = Compressor::new();
        // SAFETY: the struct was initialised by `Compressor::new`, `sink` outlives it, and every
        // pointer handed over points at memory that lives through the call.
        unsafe {
            compress(
                &mut compressor.cinfo,
                &mut sink,
                image,
                options,
                exif.as_deref(),
                metadata.icc,
            )
        }
    }));
    match result {
        Ok(()) => Ok(Encoded {
            bytes: sink.written,
            media_type: "image/jpeg",
        }),
        Err(panic) => match panic.downcast::<JpegliError>() {
            Ok(error) => Err(MediaError::encoder(format!(
                "JPEG: jpegli error {}",
                error.0
            ))),
            Err(other) => resume_unwind(other),
        },
    }
}

unsafe fn compress(
    cinfo: &mut ffi::jpegli_compress_struct,
    sink: &mut Sink,
    image: &Pixels,
    options: &JpegOptions,
    exif: Option<&[u8]>,
    icc: Option<&[u8]>,
) {
    // SAFETY: see the caller; `comp_info` has three entries after `jpegli_set_defaults` for RGB.
    unsafe {
        cinfo.image_width = image.width();
        cinfo.image_height = image.height();
        cinfo.input_components = 3;
        cinfo.in_color_space = ffi::J_COLOR_SPACE::JCS_RGB;
        cinfo.dest = sink.attach();
        ffi::jpegli_set_defaults(cinfo);
        ffi::jpegli_set_quality(cinfo, c_int::from(options.quality.clamp(1, 100)), 1);
        jpegli_set_progressive_level(cinfo, if options.progressive { 2 } else { 0 });
        cinfo.optimize_coding = 1;
        let factor = if options.subsampling == Subsampling::Half {
            2
        } else {
            1
        };
        let components = std::slice::from_raw_parts_mut(cinfo.comp_info, 3);
        for (i, component) in components.iter_mut().enumerate() {
            let factor = if i == 0 { factor } else { 1 };
            (component.h_samp_factor, component.v_samp_factor) = (factor, factor);
        }
        ffi::jpegli_start_compress(cinfo, 1);
        if let Some(tiff) = exif {
            let marker = [b"Exif\0\0", tiff].concat();
            ffi::jpegli_write_marker(cinfo, APP1, marker.as_ptr(), marker.len() as c_uint);
        }
        if let Some(icc) = icc {
            ffi::jpegli_write_icc_profile(cinfo, icc.as_ptr(), icc.len() as c_uint);
        }
        let stride = image.width() as usize * image.layout().channels();
        let mut flat = Vec::new();
        for band in image.data().chunks(BAND * stride) {
            let (rows, stride) = match image.layout() {
                Layout::Rgb => (band, stride),
                Layout::Rgba => {
                    flatten(band, &mut flat);
                    (&flat[..], stride / 4 * 3)
                }
            };
            let mut pointers = [std::ptr::null(); BAND];
            let mut count = 0;
            for (pointer, row) in pointers.iter_mut().zip(rows.chunks_exact(stride)) {
                *pointer = row.as_ptr();
                count += 1;
            }
            ffi::jpegli_write_scanlines(cinfo, pointers.as_ptr(), count);
        }
        ffi::jpegli_finish_compress(cinfo);
    }
}

fn flatten(rgba: &[u8], rgb: &mut Vec<u8>) {
    rgb.clear();
    for p in rgba.as_chunks::<4>().0 {
        let alpha = u32::from(p[3]);
        let on_white =
            |v: u8| ((u32::from(v) * alpha + BACKGROUND * (255 - alpha) + 127) / 255) as u8;
        rgb.extend([on_white(p[0]), on_white(p[1]), on_white(p[2])]);
    }
}

/// What the error callback throws: jpegli's message number.
struct JpegliError(c_int);

unsafe extern "C-unwind" fn error_exit(cinfo: &mut ffi::jpegli_common_struct) {
    // SAFETY: jpegli calls back with the struct whose `err` `Compressor::new` has set.
    let code = unsafe { (*cinfo.err).msg_code };
    // Not `panic!`: nothing is wrong with this program, and the panic hook need not say so.
    resume_unwind(Box::new(JpegliError(code)));
}

unsafe extern "C-unwind" fn keep_quiet(_: &mut ffi::jpegli_common_struct) {}

/// jpegli's state together with the error handlers that it points to; neither may move.
struct Compressor {
    cinfo: Box<ffi::jpegli_compress_struct>,
    _errors: Box<ffi::jpegli_error_mgr>,
}

impl Compressor {
    fn new() -> Self {
        // SAFETY: both are plain C structs of numbers, pointers and optional functions, for which
        // zero is valid, and both are initialised by jpegli before anything reads them.
        unsafe {
            let mut errors: Box<ffi::jpegli_error_mgr> = Box::new(std::mem::zeroed());
            let mut cinfo: Box<ffi::jpegli_compress_struct> = Box::new(std::mem::zeroed());
            ffi::jpegli_std_error(&mut errors);
            errors.error_exit = Some(error_exit);
            errors.output_message = Some(keep_quiet);
            cinfo.common.err = &raw mut *errors;
            ffi::jpegli_create_compress(&mut cinfo);
            Self {
                cinfo,
                _errors: errors,
            }
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: created in `new`; destroying after an error is what the library asks for.
        unsafe { ffi::jpegli_destroy_compress(&mut self.cinfo) }
    }
}

/// Collects the file. `#[repr(C)]` with the manager first: jpegli hands back a pointer to that.
#[repr(C)]
struct Sink {
    manager: ffi::jpegli_destination_mgr,
    written: Vec<u8>,
    buffer: Vec<u8>,
}

impl Sink {
    fn new(expected: usize) -> Self {
        Self {
            manager: ffi::jpegli_destination_mgr {
                next_output_byte: std::ptr::null_mut(),
                free_in_buffer: 0,
                init_destination: Some(sink_start),
                empty_output_buffer: Some(sink_flush),
                term_destination: Some(sink_end),
            },
            written: Vec::with_capacity(expected),
            buffer: vec![0; 32 << 10],
        }
    }

    fn attach(&mut self) -> *mut ffi::jpegli_destination_mgr {
        (&raw mut *self).cast()
    }

    fn take(&mut self, count: usize) {
        self.written.extend_from_slice(&self.buffer[..count]);
        self.manager.next_output_byte = self.buffer.as_mut_ptr();
        self.manager.free_in_buffer = self.buffer.len();
    }
}

unsafe fn sink<'a>(cinfo: &mut ffi::jpegli_compress_struct) -> &'a mut Sink {
    // SAFETY: `dest` came from `Sink::attach`, whose whole value outlives the compression and
    // is not touched by anyone else meanwhile.
    unsafe { &mut *cinfo.dest.cast::<Sink>() }
}

unsafe extern "C-unwind" fn sink_start(cinfo: &mut ffi::jpegli_compress_struct) {
    // SAFETY: as `sink` says.
    unsafe { sink(cinfo) }.take(0);
}

unsafe extern "C-unwind" fn sink_flush(cinfo: &mut ffi::jpegli_compress_struct) -> ffi::boolean {
    // SAFETY: as `sink` says.
    let sink = unsafe { sink(cinfo) };
    // The whole buffer counts here, whatever `free_in_buffer` says: that is the protocol.
    sink.take(sink.buffer.len());
    1
}

unsafe extern "C-unwind" fn sink_end(cinfo: &mut ffi::jpegli_compress_struct) {
    // SAFETY: as `sink` says.
    let sink = unsafe { sink(cinfo) };
    sink.take(sink.buffer.len() - sink.manager.free_in_buffer);
}
