//! libheif behind the few verbs that the helper needs. Runs in the helper's process only.

use std::io::{self, BufWriter, Write};

use libheif_rs::{
    ColorProfileNCLX, ColorSpace, DecodingOptions, HeifContext, HeifError, HeifErrorCode,
    HeifErrorSubCode, Image, ImageHandle, LibHeif, RgbChroma,
};

use super::answer::{Header, fits, too_large};
use crate::MediaError;
use crate::image::ImageLimits;

/// Most tiles of one grid: 100 megapixels in tiles of 128x128 have 6,100.
const TILES_MAX: u64 = 16_384;
/// The code point for "not said" in all three tables of H.273.
const UNSPECIFIED: u16 = 2;

/// A parsed file whose primary image fits the limits.
pub(super) struct File<'a> {
    library: LibHeif,
    handle: ImageHandle,
    limits: &'a ImageLimits,
    // Last, so that it is dropped last: the handle points into it.
    _context: HeifContext<'a>,
}

/// What goes before the samples.
pub(super) struct Head {
    pub(super) header: Header,
    pub(super) icc: Vec<u8>,
    pub(super) exif: Vec<u8>,
    pub(super) xmp: Vec<u8>,
}

/// A decoded image, upright.
pub(super) struct Decoded {
    pub(super) head: Head,
    image: Image,
}

impl<'a> File<'a> {
    /// Parses `bytes` and checks the size of the primary image.
    pub(super) fn open(bytes: &'a [u8], limits: &'a ImageLimits) -> Result<Self, MediaError> {
        let library = LibHeif::new();
        let mut context = HeifContext::new().map_err(refusal)?;
        let mut security = context.security_limits();
        security.set_max_image_size_pixels(limits.pixels_max);
        security.set_max_number_of_tiles(TILES_MAX);
        context.set_security_limits(&security).map_err(refusal)?;
        // One thread: the machine's others are busy with other images.
        context.set_max_decoding_threads(0);
        context.read_bytes(bytes).map_err(refusal)?;
        let handle = context.primary_image_handle().map_err(refusal)?;
        if !fits(handle.width(), handle.height(), limits) {
            return Err(too_large(handle.width(), handle.height()));
        }
        Ok(Self {
            library,
            handle,
            limits,
            _context: context,
        })
    }

    /// What the headers say.
    pub(super) fn head(&self) -> Result<Head, MediaError> {
        let handle = &self.handle;
        let kept = |blob: Option<Vec<u8>>| {
            blob.filter(|blob| blob.len() <= self.limits.metadata_bytes_max)
                .unwrap_or_default()
        };
        let icc = kept(handle.color_profile_raw().map(|profile| profile.data));
        let exif = kept(
            self.metadata(|kind, _| kind == "Exif")
                .and_then(without_offset),
        );
        let xmp = kept(self.metadata(|kind, mime| kind == "mime" && mime == "application/rdf+xml"));
        let bit_depth = handle.luma_bits_per_pixel();
        if !(1..=16).contains(&bit_depth) {
            return Err(MediaError::unsupported(format!(
                "{bit_depth} bits per sample"
            )));
        }
        let header = Header {
            width: handle.width(),
            height: handle.height(),
            has_alpha: handle.has_alpha_channel(),
            bit_depth,
            gain_map: self.has_gain_map(),
            nclx: handle
                .color_profile_nclx()
                .map(|profile| code_points(&profile)),
            icc_bytes: icc.len(),
            exif_bytes: exif.len(),
            xmp_bytes: xmp.len(),
        };
        Ok(Head {
            header,
            icc,
            exif,
            xmp,
        })
    }

    /// Decodes the primary image, with the file's rotations, mirrorings and croppings applied, in
    /// the colours that the file has.
    pub(super) fn decode(&self) -> Result<Decoded, MediaError> {
        let mut head = self.head()?;
        let chroma = match (head.header.sample_bits(), head.header.has_alpha) {
            (8, false) => RgbChroma::Rgb,
            (8, true) => RgbChroma::Rgba,
            (_, false) => RgbChroma::HdrRgbLe,
            (_, true) => RgbChroma::HdrRgbaLe,
        };
        let mut options = DecodingOptions::new()
            .ok_or_else(|| MediaError::limit("limit.memory", "no memory for an image"))?;
        // A grid with missing tiles is a broken file, not a photo with grey squares.
        options.set_strict_decoding(true);
        options.set_num_codec_threads(1);
        // The default would squeeze wide and HDR colours into sRGB without tone mapping.
        options.set_output_image_nclx_profile_passthrough(true);
        options.set_autocorrect_broken_input(true);
        let image = self
            .library
            .decode(&self.handle, ColorSpace::Rgb(chroma), Some(options))
            .map_err(refusal)?;

        let planes = image.planes();
        let Some(plane) = planes.interleaved else {
            return Err(MediaError::corrupt("the image has no colour"));
        };
        if !fits(plane.width, plane.height, self.limits) {
            return Err(too_large(plane.width, plane.height));
        }
        let header = &mut head.header;
        header.width = plane.width;
        header.height = plane.height;
        header.bit_depth = plane.bits_per_pixel;
        // Where the file has no `nclx` box, the code points in the bitstream count.
        header.nclx = image
            .color_profile_nclx()
            .map(|p| code_points(&p))
            .or(header.nclx);
        Ok(Decoded { head, image })
    }

    fn metadata(&self, wanted: impl Fn(&str, &str) -> bool) -> Option<Vec<u8>> {
        let handle = &self.handle;
        let mut ids = vec![0; handle.number_of_metadata_blocks(0).clamp(0, 64) as usize];
        let count = handle.metadata_block_ids(&mut ids, 0).min(ids.len());
        let id = ids[..count].iter().copied().find(|id| {
            wanted(
                handle.metadata_type(*id).unwrap_or_default(),
                handle.metadata_content_type(*id).unwrap_or_default(),
            )
        })?;
        handle.metadata(id).ok()
    }

    fn has_gain_map(&self) -> bool {
        self.handle.auxiliary_images(None).iter().any(|aux| {
            aux.auxiliary_type()
                .is_ok_and(|kind| kind.ends_with(":hdrgainmap"))
        })
    }
}

impl Decoded {
    /// Writes the samples, rows packed, alpha straight, high depths scaled to 16 bits.
    pub(super) fn write_samples(&self, out: &mut impl Write) -> io::Result<()> {
        let planes = self.image.planes();
        let plane = planes
            .interleaved
            .as_ref()
            .expect("it was there when it was decoded");
        let header = &self.head.header;
        let channels = header.channels() as usize;
        let row_bytes = plane.width as usize * channels * (header.sample_bits() / 8) as usize;
        let premultiplied = channels == 4 && self.image.is_premultiplied_alpha();
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let mut changed = Vec::with_capacity(row_bytes);
        for row in plane.data.chunks(plane.stride).take(plane.height as usize) {
            let row = &row[..row_bytes];
            if header.sample_bits() == 8 && !premultiplied {
                out.write_all(row)?;
                continue;
            }
            changed.clear();
            if header.sample_bits() == 8 {
                changed.extend_from_slice(row);
                changed.chunks_exact_mut(4).for_each(|pixel| {
                    let alpha = pixel[3] as u32;
                    pixel[..3]
                        .iter_mut()
                        .for_each(|c| *c = straight(*c as u32, alpha, 255) as u8);
                });
            } else {
                let bits = header.bit_depth as u32;
                let mut samples: Vec<u16> = row
                    .chunks_exact(2)
                    .map(|le| widen(u16::from_le_bytes([le[0], le[1]]), bits))
                    .collect();
                if premultiplied {
                    samples.chunks_exact_mut(4).for_each(|pixel| {
                        let alpha = pixel[3] as u32;
                        pixel[..3]
                            .iter_mut()
                            .for_each(|c| *c = straight(*c as u32, alpha, 65_535) as u16);
                    });
                }
                samples
                    .iter()
                    .for_each(|sample| changed.extend_from_slice(&sample.to_le_bytes()));
            }
            out.write_all(&changed)?;
        }
        out.flush()
    }
}

/// Spreads a sample of 9 to 16 bits over all 16: the largest becomes 65,535.
fn widen(sample: u16, bits: u32) -> u16 {
    let sample = sample as u32;
    ((sample << (16 - bits)) | (sample >> (2 * bits - 16))) as u16
}

/// Undoes the multiplication by alpha; what was multiplied by nothing is black.
fn straight(colour: u32, alpha: u32, full: u32) -> u32 {
    (colour * full + alpha / 2)
        .checked_div(alpha)
        .map_or(0, |colour| colour.min(full))
}

/// An Exif item begins with the offset of its TIFF header, counted from behind that number.
fn without_offset(item: Vec<u8>) -> Option<Vec<u8>> {
    let offset = u32::from_be_bytes(*item.first_chunk()?) as usize;
    item.get(4usize.checked_add(offset)?..).map(<[u8]>::to_vec)
}

fn code_points(profile: &ColorProfileNCLX) -> (u16, u16, u16, bool) {
    use libheif_rs::{ColorPrimaries, MatrixCoefficients, TransferCharacteristics};
    let primaries = match profile.color_primaries() {
        ColorPrimaries::Unknown => UNSPECIFIED,
        known => known as u16,
    };
    let transfer = match profile.transfer_characteristics() {
        TransferCharacteristics::Unknown => UNSPECIFIED,
        known => known as u16,
    };
    let matrix = match profile.matrix_coefficients() {
        MatrixCoefficients::Unknown => UNSPECIFIED,
        known => known as u16,
    };
    (primaries, transfer, matrix, profile.full_range_flag() != 0)
}

fn refusal(error: HeifError) -> MediaError {
    let message = error.message;
    match (error.code, error.sub_code) {
        (_, HeifErrorSubCode::SecurityLimitExceeded) => MediaError::limit("limit.memory", message),
        (HeifErrorCode::MemoryAllocationError, _) => MediaError::limit("limit.memory", message),
        // The third is what it says when it has no decoder for the codec.
        (
            HeifErrorCode::UnsupportedFeature
            | HeifErrorCode::UnsupportedFileType
            | HeifErrorCode::PluginLoadingError,
            _,
        ) => MediaError::unsupported(message),
        _ => MediaError::corrupt(message),
    }
}
