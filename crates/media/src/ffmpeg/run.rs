//! The three ways of running them: writing files, giving a stream, describing an input.

use std::ffi::OsString;
use std::path::Path;

use super::failure::{self, Stage};
use super::watch::{Progress, Watched};
use super::{Ffmpeg, Input};
use crate::MediaError;
use crate::sandbox::{Finished, Job, ProcessLimits, Stdout};
use crate::video::plan::VideoCodec;

/// Most bytes of a document that ffprobe may print.
const DOCUMENT_BYTES_MAX: u64 = 32 << 20;

impl Ffmpeg {
    /// Runs ffmpeg in `scratch`, where `outputs` write files; returns the end of what it said.
    ///
    /// `outputs` is everything after the inputs: filters, maps, encoders, relative file names.
    ///
    /// # Errors
    /// What the input is at fault for (`input.corrupt`, `input.unsupported`, `limit.*`), `timeout`,
    /// `cancelled`, and those of [`Job::run`].
    pub(crate) fn write(
        &self,
        inputs: &[Input],
        outputs: &[OsString],
        scratch: &Path,
    ) -> Result<String, MediaError> {
        let mut args = self.opening(inputs);
        args.extend(outputs.iter().cloned());
        args.extend(["-progress", "pipe:1"].map(OsString::from));
        let job = self.job(&self.ffmpeg, args, inputs, Some(scratch));
        let finished = job.run(|stdout| Progress::new(self, stdout).follow())?;
        self.checked(finished, inputs).map(|(stderr, ())| stderr)
    }

    /// Runs ffmpeg with its output on standard output (`pipe:1`), read by `read` as it comes.
    ///
    /// # Errors
    /// As [`Self::write`], and what `read` returns.
    pub(crate) fn stream<T>(
        &self,
        inputs: &[Input],
        outputs: &[OsString],
        scratch: Option<&Path>,
        read: impl FnOnce(&mut Watched<'_>) -> Result<T, MediaError>,
    ) -> Result<(String, T), MediaError> {
        let mut args = self.opening(inputs);
        args.extend(outputs.iter().cloned());
        let job = self.job(&self.ffmpeg, args, inputs, scratch);
        let finished = job.run(|stdout| read(&mut Watched::new(self, stdout)))?;
        self.checked(finished, inputs)
    }

    /// Runs ffprobe, whose output `read` gets as it comes.
    ///
    /// # Errors
    /// As [`Self::write`], and what `read` returns.
    pub(crate) fn probe<T>(
        &self,
        input: &Input,
        args: &[OsString],
        read: impl FnOnce(&mut Watched<'_>) -> Result<T, MediaError>,
    ) -> Result<T, MediaError> {
        let mut all: Vec<OsString> = ["-hide_banner", "-loglevel", "error"]
            .map(OsString::from)
            .to_vec();
        all.extend(args.iter().cloned());
        all.extend(input.args(self.limits.pixels_max));
        let inputs = std::slice::from_ref(input);
        let job = self.job(&self.ffprobe, all, inputs, None);
        let finished = job.run(|stdout| read(&mut Watched::new(self, stdout)))?;
        self.checked(finished, inputs).map(|(_, output)| output)
    }

    /// A document that ffprobe prints whole.
    ///
    /// # Errors
    /// As [`Self::probe`].
    pub(crate) fn probe_document(
        &self,
        input: &Input,
        args: &[OsString],
    ) -> Result<Vec<u8>, MediaError> {
        self.probe(input, args, |output| output.collect(DOCUMENT_BYTES_MAX))
    }

    pub(super) fn ask_version(&self) -> Result<String, MediaError> {
        let job = self.job(&self.ffmpeg, vec!["-version".into()], &[], None);
        let finished = job.run(|stdout: &mut Stdout| stdout.collect(DOCUMENT_BYTES_MAX))?;
        let text = String::from_utf8_lossy(&finished.output).into_owned();
        text.strip_prefix("ffmpeg version ")
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned)
            .ok_or_else(|| failure::not_ffmpeg(&finished.stderr))
    }

    pub(super) fn ask_codecs(&self) -> Result<Vec<VideoCodec>, MediaError> {
        let args = vec!["-hide_banner".into(), "-encoders".into()];
        let job = self.job(&self.ffmpeg, args, &[], None);
        let finished = job.run(|stdout: &mut Stdout| stdout.collect(DOCUMENT_BYTES_MAX))?;
        Ok(listed(&String::from_utf8_lossy(&finished.output)))
    }

    fn opening(&self, inputs: &[Input]) -> Vec<OsString> {
        let mut args: Vec<OsString> = [
            "-hide_banner",
            "-nostdin",
            "-nostats",
            "-loglevel",
            "error",
            "-y",
        ]
        .map(OsString::from)
        .to_vec();
        for input in inputs {
            args.extend(input.args(self.limits.pixels_max));
        }
        args
    }

    fn job(
        &self,
        program: &Path,
        args: Vec<OsString>,
        inputs: &[Input],
        scratch: Option<&Path>,
    ) -> Job {
        let limits = &self.limits;
        Job {
            name: if program == self.ffprobe {
                "ffprobe"
            } else {
                "ffmpeg"
            },
            program: program.to_owned(),
            args,
            stdin: inputs.iter().find_map(Input::stdin),
            readable: inputs
                .iter()
                .filter_map(|input| input.path().map(Path::to_owned))
                .collect(),
            scratch: scratch.map(Path::to_owned),
            limits: ProcessLimits {
                wall: limits.wall,
                cpu_seconds: limits.cpu_seconds,
                memory_bytes: limits.memory_bytes,
                file_bytes: limits.file_bytes,
                open_files: 256,
                nice: limits.nice,
            },
            mode: self.mode,
            spent: self.spent.clone(),
        }
    }

    fn checked<T>(
        &self,
        finished: Finished<T>,
        inputs: &[Input],
    ) -> Result<(String, T), MediaError> {
        if finished.code == 0 {
            return Ok((finished.stderr, finished.output));
        }
        let paths: Vec<&Path> = inputs.iter().filter_map(Input::path).collect();
        let stage = Stage {
            code: finished.code,
            stderr: &finished.stderr,
            paths: &paths,
        };
        Err(stage.error())
    }
}

/// The codecs whose encoders are in ffmpeg's list of them: flags, a name, a description.
fn listed(encoders: &str) -> Vec<VideoCodec> {
    let names: Vec<&str> = encoders
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let is_there = |codec: &VideoCodec| names.contains(&codec.encoder());
    VideoCodec::ALL.into_iter().filter(is_there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_found_by_their_whole_names() {
        let text = " V..... = Video\n ------\n V....D libx264rgb   libx264 for RGB\n \
                    V..... libvpx               libvpx VP8\n V....D libx265 libx265 H.265 / HEVC\n";
        assert_eq!(listed(text), [VideoCodec::Hevc]);
    }
}
