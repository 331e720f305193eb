//! The program's side: `decode-helper probe|decode ...` reads an image from standard input and
//! writes the answer to standard output. It opens no file and trusts its parent's sandbox.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use super::answer::{self, Answer};
use super::libheif;
use crate::image::ImageLimits;
use crate::{ErrorKind, MediaError};

/// Runs the helper with the arguments that [`super::HeifHelper`] gives it, without the program's
/// name and its prefix. Exit code 0 means that an answer was written, be it an error.
pub fn helper_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = Request::parse(args).and_then(|request| request.answer(&mut io::stdout().lock()));
    let refused = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(refused) => refused,
    };
    let answer = Answer::Refused {
        code: refused.code.into(),
        message: refused.message,
    };
    match io::stdout().write_all(&answer::line(answer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What the helper is asked to do.
pub(super) struct Request {
    /// Whether the samples are wanted, not only what the headers say.
    pub(super) samples: bool,
    pub(super) limits: ImageLimits,
}

impl Request {
    /// The arguments that say this.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let limits = serde_json::to_string(&self.limits).expect("limits are plain numbers");
        vec![
            if self.samples { "decode" } else { "probe" }.into(),
            limits.into(),
        ]
    }

    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, MediaError> {
        let wrong = || MediaError {
            code: "internal",
            message: "the image decoder takes `probe` or `decode` and limits as JSON".into(),
            kind: ErrorKind::Permanent,
        };
        let args: Vec<_> = args.into_iter().map(|arg| arg.into_string()).collect();
        let [Ok(verb), Ok(limits)] = args.as_slice() else {
            return Err(wrong());
        };
        let samples = match verb.as_str() {
            "decode" => true,
            "probe" => false,
            _ => return Err(wrong()),
        };
        Ok(Self {
            samples,
            limits: serde_json::from_str(limits).map_err(|_| wrong())?,
        })
    }

    fn answer(&self, out: &mut impl Write) -> Result<(), MediaError> {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|e| unwritten(&e))?;
        let file = libheif::File::open(&bytes, &self.limits)?;
        if self.samples {
            let image = file.decode()?;
            send(out, &image.head)?;
            image.write_samples(out).map_err(|e| unwritten(&e))?;
        } else {
            send(out, &file.head()?)?;
        }
        out.flush().map_err(|e| unwritten(&e))
    }
}

fn send(out: &mut impl Write, head: &libheif::Head) -> Result<(), MediaError> {
    let line = answer::line(Answer::Image(head.header.clone()));
    [&line, &head.icc, &head.exif, &head.xmp]
        .into_iter()
        .try_for_each(|part| out.write_all(part))
        .map_err(|e| unwritten(&e))
}

fn unwritten(error: &io::Error) -> MediaError {
    MediaError {
        code: "internal",
        message: format!("the image decoder lost its parent: {error}"),
        kind: ErrorKind::Transient,
    }
}
