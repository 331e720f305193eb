//! The server's side: starts the helper in the sandbox and reads its answer.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::answer::{Received, fits, receive, too_large};
use super::boxes;
use super::helper::Request;
use crate::image::{HeifProbe, HeifReader, ImageLimits, RawImage};
use crate::sandbox::{Job, ProcessLimits, SandboxMode};
use crate::{ErrorKind, MediaError};

/// Address space that a helper needs for the program, its libraries and the headers, in bytes.
const MEMORY_BASE: u64 = 128 << 20;
/// The worst that a pixel costs: planes with 16 bits, with alpha, before and after a rotation and
/// the conversion to interleaved RGBA.
const MEMORY_PER_PIXEL: u64 = 40;

/// Decodes HEIC and AVIF by a program that calls [`super::helper_main`].
#[derive(Debug, Clone)]
pub struct HeifHelper {
    /// Absolute path of the program; `mediaflow` itself in production.
    pub program: PathBuf,
    /// What comes before the helper's own arguments: the name of the subcommand.
    pub args_prefix: Vec<OsString>,
    /// What happens on a machine without Landlock or seccomp.
    pub mode: SandboxMode,
    /// Time for one image, from start to end; `timeout` after it.
    pub wall: Duration,
}

impl HeifHelper {
    /// Address space that the helper gets for an image of `pixels` in a file of `input_bytes`, in
    /// bytes: a bound, not an estimate. Measured are 6 bytes a pixel for 8-bit HEIC without alpha and
    /// 24 for 10-bit AVIF with it.
    pub fn memory_bytes(pixels: u64, input_bytes: u64) -> u64 {
        MEMORY_BASE + pixels * MEMORY_PER_PIXEL + 2 * input_bytes
    }

    fn ask(&self, bytes: &[u8], request: &Request) -> Result<Received, MediaError> {
        let limits = &request.limits;
        let pixels = match boxes::dimensions(bytes) {
            Some((width, height)) if !fits(width, height, limits) => {
                return Err(too_large(width, height));
            }
            Some((width, height)) => width as u64 * height as u64,
            // libheif may still know better, within what the limits allow.
            None => limits.pixels_max,
        };
        let mut args = self.args_prefix.clone();
        args.extend(request.to_args());
        let job = Job {
            name: "the image decoder",
            program: self.program.clone(),
            args,
            stdin: Some(in_memory(bytes).map_err(|e| MediaError {
                code: "internal",
                message: format!("no memory file for an image: {e}"),
                kind: ErrorKind::Transient,
            })?),
            readable: Vec::new(),
            scratch: None,
            limits: ProcessLimits {
                nice: 0,
                wall: self.wall,
                cpu_seconds: self.wall.as_secs().max(1),
                memory_bytes: Self::memory_bytes(pixels, bytes.len() as u64),
                file_bytes: 0,
                open_files: 16,
            },
            mode: self.mode,
            spent: None,
        };
        let finished = job.run(|stdout| receive(stdout, limits, request.samples))?;
        match finished.code {
            0 => Ok(finished.output),
            code => Err(MediaError::crash(format!(
                "the image decoder ended with code {code}"
            ))),
        }
    }
}

impl HeifReader for HeifHelper {
    fn probe(&self, bytes: &[u8], limits: &ImageLimits) -> Result<HeifProbe, MediaError> {
        let received = self.ask(
            bytes,
            &Request {
                samples: false,
                limits: *limits,
            },
        )?;
        let header = received.header;
        Ok(HeifProbe {
            width: header.width,
            height: header.height,
            has_alpha: header.has_alpha,
            bit_depth: header.bit_depth,
            gain_map: header.gain_map,
            nclx: header.cicp(),
            icc: received.icc,
            exif: received.exif,
            xmp: received.xmp,
        })
    }

    fn decode(&self, bytes: &[u8], limits: &ImageLimits) -> Result<RawImage, MediaError> {
        let received = self.ask(
            bytes,
            &Request {
                samples: true,
                limits: *limits,
            },
        )?;
        let header = received.header;
        Ok(RawImage {
            width: header.width,
            height: header.height,
            channels: header.channels(),
            bit_depth: header.sample_bits(),
            data: received.samples,
            icc: received.icc,
            nclx: header.cicp(),
        })
    }
}

/// The bytes as a file without a name, which nobody can change any more.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let fd = memfd_create(c"image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file)
}
