//! `mediaflow doctor`: whether this machine has what MediaFlow needs, in words that say what to do.

use super::{block_on, outpost};
use crate::config::Config;
use crate::data::DataFolder;
use crate::fault::Fault;
use crate::output;
use mediaflow_engine::Recipes;
use mediaflow_media::sandbox::{Posture, SandboxMode};
use mediaflow_media::video::plan::VideoCodec;
use mediaflow_media::video::{Ffmpeg, FfmpegLimits};
use std::path::Path;

enum Finding {
    Good(String),
    /// Works, but somebody should know.
    Note(String),
    /// Keeps the server from starting or from doing its work.
    Missing(String),
}
use Finding::{Good, Missing, Note};

pub(crate) fn run(config: &Config) -> Result<(), Fault> {
    let mut findings = vec![
        ("version", version()),
        ("system", system()),
        ("sandbox", sandbox(config.sandbox)),
        ("decoders", decoders()),
        ("encoders", encoders()),
        ("video", video(config.sandbox)),
        ("data folder", data_folder(&config.data)),
        ("disk", disk(config)),
        ("recipes", recipes(config)),
        ("memory", memory(config)),
        ("broker", broker(config)?),
        ("events", events(config)?),
    ];
    if let Some(finding) = via(config)? {
        findings.push(("via", finding));
    }
    let mut rows = Vec::new();
    let mut missing = 0;
    for (subject, finding) in findings {
        let (mark, text) = match finding {
            Good(text) => ("ok", text),
            Note(text) => ("note", text),
            Missing(text) => {
                missing += 1;
                ("MISSING", text)
            }
        };
        rows.push(vec![mark.to_owned(), subject.to_owned(), text]);
    }
    output::print(&output::table(&rows, ""))?;
    match missing {
        0 => Ok(()),
        _ => Err(Fault::failed(format!(
            "{missing} of {} things are missing",
            rows.len()
        ))),
    }
}

/// Whether the API takes this machine's worker, where it is to have one.
fn via(config: &Config) -> Result<Option<Finding>, Fault> {
    let Some(options) = config.via.options()? else {
        return Ok(None);
    };
    Ok(Some(match block_on(outpost::hello(&options))? {
        Ok(text) => Good(text),
        Err(error) => Missing(error.to_string()),
    }))
}

/// A broker that is down is no reason not to start: workers poll.
fn broker(config: &Config) -> Result<Finding, Fault> {
    Ok(match config.open_broker() {
        Err(error) => Missing(error),
        Ok(None) if config.store.is_some() => {
            Good("the database wakes workers of other processes".to_owned())
        }
        Ok(None) => Good("none is needed: there is one process".to_owned()),
        Ok(Some(broker)) => match block_on(broker.health())? {
            Ok(()) => Good(format!("{} answers", broker.name())),
            Err(error) => Note(format!(
                "{error}; until it answers workers find what is ready when they poll (worker.poll_ms)"
            )),
        },
    })
}

fn events(config: &Config) -> Result<Finding, Fault> {
    Ok(match config.events.open() {
        Err(error) => Missing(error),
        Ok(None) => Good("told nobody outside (events.to)".to_owned()),
        Ok(Some(outlet)) => match block_on(outlet.health())? {
            Ok(()) => Good(format!("{} answers", outlet.name())),
            Err(error) => Note(format!(
                "{error}; until it answers events wait in the store"
            )),
        },
    })
}

fn version() -> Finding {
    Good(format!("mediaflow {}", env!("CARGO_PKG_VERSION")))
}

fn system() -> Finding {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Good(format!("Linux {}, {processors} processors", kernel.trim()))
}

fn sandbox(mode: SandboxMode) -> Finding {
    let posture = Posture::probe();
    match (posture.complete(), mode) {
        (_, SandboxMode::Off) => Note(format!(
            "{posture}, but `sandbox = \"off\"` uses neither; HEIC and AVIF are decoded by C libraries without it"
        )),
        (true, _) => Good(posture.to_string()),
        (false, SandboxMode::Require) => Missing(format!(
            "{posture}, and `sandbox = \"require\"` is set: use a kernel from 5.13 on with Landlock, or allow both in the container"
        )),
        (false, SandboxMode::Prefer) => Note(format!(
            "{posture}; what is missing is not enforced (`sandbox = \"require\"` would refuse to start)"
        )),
    }
}

fn decoders() -> Finding {
    Good("JPEG, PNG, GIF, WebP, TIFF, BMP here; HEIC and AVIF in a process of their own".to_owned())
}

fn encoders() -> Finding {
    Good("JPEG, PNG, WebP, AVIF".to_owned())
}

fn video(mode: SandboxMode) -> Finding {
    match Ffmpeg::find(None, mode, FfmpegLimits::default()) {
        Ok(found) if mode != SandboxMode::Off && !Posture::probe().complete() => Note(format!(
            "ffmpeg {}, which reads strangers' files with less than the whole sandbox",
            found.version()
        )),
        Ok(found) => {
            let (can, cannot): (Vec<_>, Vec<_>) = VideoCodec::ALL
                .into_iter()
                .partition(|codec| found.codecs().contains(codec));
            let names = |codecs: &[VideoCodec]| {
                let names: Vec<&str> = codecs.iter().map(|codec| codec.name()).collect();
                names.join(", ")
            };
            let text = format!("ffmpeg {} encodes {}", found.version(), names(&can));
            match cannot.as_slice() {
                [] => Good(text),
                cannot if cannot.contains(&VideoCodec::H264) => Note(format!(
                    "{text}; without H.264 videos fail with `encoder.missing`"
                )),
                cannot => Note(format!(
                    "{text}; rungs in {} wait for a worker that can (`no_worker.capability`)",
                    names(cannot)
                )),
            }
        }
        Err(e) if e.code == "sandbox.unavailable" => Missing(e.message),
        Err(e) => Note(format!("videos and sounds are refused: {}", e.message)),
    }
}

fn data_folder(path: &Path) -> Finding {
    match path.exists() {
        false => Note(format!(
            "{} will be made by the first start",
            path.display()
        )),
        true => match DataFolder::open(path) {
            Ok(_) => Good(format!("{} can be written", path.display())),
            Err(_) => Missing(format!("{} cannot be written by this user", path.display())),
        },
    }
}

fn disk(config: &Config) -> Finding {
    let existing = config.data.ancestors().find(|p| p.exists());
    let Ok(stat) = rustix::fs::statvfs(existing.unwrap_or(Path::new("."))) else {
        return Note("the file system does not say how much is free".to_owned());
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let least = config.limits.upload.free_bytes_min;
    let text = format!("{} MiB free", free >> 20);
    if free < least {
        return Missing(format!(
            "{text}; uploads need {} MiB (limits.upload.free_bytes_min)",
            least >> 20
        ));
    }
    Good(text)
}

fn recipes(config: &Config) -> Finding {
    match Recipes::load(config.recipes.folder.as_deref()) {
        Ok(recipes) => Good(recipes.names().collect::<Vec<_>>().join(", ")),
        Err(e) => Missing(e.to_string()),
    }
}

fn memory(config: &Config) -> Finding {
    let budget = config.worker.memory_bytes;
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:"))
        .and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kib| kib << 10);
    let text = format!(
        "{} MiB, of which tasks may use {} MiB (worker.memory_bytes)",
        total >> 20,
        budget >> 20
    );
    if total > 0 && budget > total / 10 * 8 {
        return Note(format!("{text}; leave at least a fifth to the system"));
    }
    Good(text)
}
