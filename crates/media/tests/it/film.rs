//! Films that tests make: each picture carries its own number in sixteen light and dark columns,
//! so that whoever decodes a result knows which picture of the source it shows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use mediaflow_media::MediaError;
use mediaflow_media::sandbox::SandboxMode;
use mediaflow_media::sniff::{SNIFF_BYTES, Sniffed, sniff};
use mediaflow_media::video::{Ffmpeg, FfmpegLimits, Inspection, MediaLimits, inspect};

/// The sandboxed ffmpeg that all tests share.
pub(crate) fn tools() -> Ffmpeg {
    static TOOLS: LazyLock<Ffmpeg> = LazyLock::new(|| {
        Ffmpeg::find(None, SandboxMode::Require, FfmpegLimits::default())
            .expect("the tests need ffmpeg")
            .with_threads(2)
    });
    TOOLS.clone()
}

/// A folder for one test, gone with it.
pub(crate) struct Studio {
    folder: tempfile::TempDir,
}

/// Sixteen columns, bright where the picture's number has a one.
pub(crate) fn numbered(rate: &str, seconds: u32) -> String {
    format!(
        "nullsrc=s=16x9:r={rate}:d={seconds},format=yuv420p,\
         geq=lum='if(mod(floor(N/pow(2,X)),2),220,30)':cb=128:cr=128,scale=320:180:flags=neighbor"
    )
}

impl Studio {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty folder to work in.
    pub(crate) fn scratch(&self) -> PathBuf {
        let path = self.path("scratch");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Runs ffmpeg outside of any sandbox; `args` are separated by spaces, `$lavfi` and a path
    /// per input come first.
    pub(crate) fn make(&self, name: &str, inputs: &[&str], args: &str) -> PathBuf {
        let path = self.path(name);
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y"]);
        for input in inputs {
            if Path::new(input).is_absolute() {
                command.args(["-i", input]);
            } else {
                command.args(["-f", "lavfi", "-i", input]);
            }
        }
        command.args(args.split_whitespace()).arg(&path);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {said}");
        path
    }

    /// A film of numbered pictures.
    pub(crate) fn film(&self, name: &str, rate: &str, seconds: u32, args: &str) -> PathBuf {
        self.make(name, &[&numbered(rate, seconds)], args)
    }
}

/// What our sniffing says of a file.
pub(crate) fn media_type(path: &Path) -> &'static str {
    let mut head = std::fs::read(path).unwrap();
    head.truncate(SNIFF_BYTES);
    match sniff(&head) {
        Sniffed::Video(kind) | Sniffed::Audio(kind) => kind,
        other => panic!("{} is {other:?}", path.display()),
    }
}

pub(crate) fn look(path: &Path) -> Result<Inspection, MediaError> {
    inspect(&tools(), path, media_type(path), &MediaLimits::default())
}

/// The numbers of the pictures that `path` shows, in order, by decoding all of it.
pub(crate) fn numbers(path: &Path) -> Vec<u32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"])
        .args(["scale=16:9:flags=area,format=gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{}: {said}", path.display());
    output
        .stdout
        .chunks_exact(16 * 9)
        .map(|picture| {
            let row = &picture[16 * 4..16 * 5];
            (0..16).fold(0, |n, bit| n | u32::from(row[bit] > 125) << bit)
        })
        .collect()
}

/// Presentation times of a film's pictures, in ticks, in the order of showing.
pub(crate) fn times(path: &Path) -> Vec<i64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts"])
        .arg(path)
        .output()
        .unwrap();
    let mut times: Vec<i64> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    times.sort_unstable();
    times
}

/// An MP4 file whose `moov` is last, with `body` at the end of the innermost of these nested boxes.
pub(crate) fn with_box(mut file: Vec<u8>, nested: &[&[u8; 4]], body: &[u8]) -> Vec<u8> {
    let mut from = 0;
    let mut end = 0;
    for kind in nested {
        let found = file[from..].windows(4).position(|w| w == *kind);
        let at = from + found.unwrap_or_else(|| panic!("no {kind:?}")) - 4;
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        end = at + size as usize;
        let grown = size + body.len() as u32;
        file[at..at + 4].copy_from_slice(&grown.to_be_bytes());
        from = at + 8;
    }
    file.splice(end..end, body.iter().copied());
    file
}
