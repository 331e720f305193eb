//! `mediaflow doctor`: whether this machine has what MediaFlow needs, in words that say what to do.

use super::{block_on, migrations, outpost};
use crate::config::Config;
use crate::data::{DATABASE, DataFolder, SIGNING_KEYS};
use crate::fault::Fault;
use crate::output;
use mediaflow_blob::{BlobError, ObjectBlobs};
use mediaflow_engine::Recipes;
use mediaflow_media::sandbox::{Posture, SandboxMode};
use mediaflow_media::video::plan::VideoCodec;
use mediaflow_media::video::{Ffmpeg, FfmpegLimits};
use mediaflow_store::MigrationState;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

enum Finding {
    Good(String),
    /// Was not well, and is now.
    Fixed(String),
    /// Works, but somebody should know.
    Note(String),
    /// Keeps the server from starting or from doing its work.
    Missing(String),
}
use Finding::{Fixed, Good, Missing, Note};

/// Looks at everything; with `fix` mends what needs nobody's decision.
pub(crate) fn run(config: &Config, fix: bool, json: bool) -> Result<(), Fault> {
    let mut findings = vec![
        ("version", version()),
        ("system", system()),
        ("sandbox", sandbox(config.sandbox)),
        ("decoders", decoders()),
        ("encoders", encoders()),
        ("video", video(config.sandbox)),
        ("data folder", data_folder(&config.data, fix)),
        ("signing keys", signing_keys(&config.data, fix)),
        ("disk", disk(config)),
        ("recipes", recipes(config)),
        ("memory", memory(config)),
        ("broker", broker(config)?),
        ("events", events(config)?),
    ];
    match via(config)? {
        Some(finding) => findings.push(("via", finding)),
        None => findings.extend([("store", store(config, fix)?), ("blobs", blobs(config)?)]),
    }
    let mut rows = Vec::new();
    let mut missing = 0;
    for (subject, finding) in findings {
        let (mark, text) = match finding {
            Good(text) => ("ok", text),
            Fixed(text) => ("fixed", text),
            Note(text) => ("note", text),
            Missing(text) => {
                missing += 1;
                ("MISSING", text)
            }
        };
        rows.push(vec![mark.to_owned(), subject.to_owned(), text]);
    }
    if json {
        let said = |row: &Vec<String>| json!({ "subject": row[1], "finding": row[0].to_lowercase(), "text": row[2] });
        let findings: Vec<Value> = rows.iter().map(said).collect();
        output::print_json(&json!({ "findings": findings, "missing": missing }))?;
    } else {
        output::print(&output::table(&rows, ""))?;
    }
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

/// Whether the database answers, and has the schema of this program.
fn store(config: &Config, fix: bool) -> Result<Finding, Fault> {
    if config.store.is_none() && !config.data.join(DATABASE).exists() {
        return Ok(Good("SQLite, made by the first start".to_owned()));
    }
    let steps = match block_on(migrations::records(config))? {
        Ok(steps) => steps,
        Err(error) => return Ok(Missing(error.message().to_owned())),
    };
    let count = |state| steps.iter().filter(|step| step.state == state).count();
    let name = match config.store {
        Some(_) => "PostgreSQL",
        None => "SQLite",
    };
    Ok(match count(MigrationState::Pending) {
        0 if count(MigrationState::Newer) > 0 => Note(format!(
            "{name} answers; its schema is of a newer release than this program"
        )),
        0 => Good(format!("{name} answers, with the schema of this program")),
        // Of a cluster's steps some end what older programs can do: that is somebody's decision.
        _ if fix && config.store.is_none() => match block_on(migrations::apply(config))? {
            Ok(applied) => Fixed(format!("{name}: {}", migrations::said(applied))),
            Err(error) => Missing(error.message().to_owned()),
        },
        pending => Note(format!(
            "{name} answers; {pending} of its schema's steps are pending (`mediaflow migrations` lists them, `mediaflow migrations apply` applies them)"
        )),
    })
}

/// Whether the bucket answers, and takes these credentials.
fn blobs(config: &Config) -> Result<Finding, Fault> {
    let Some(address) = &config.blobs else {
        return Ok(Good("in the data folder".to_owned()));
    };
    let objects = match ObjectBlobs::open(address, &config.object_store) {
        Ok(objects) => objects,
        Err(error) => return Ok(Missing(format!("blobs: {error}"))),
    };
    Ok(match block_on(objects.check())? {
        Ok(()) => Good(format!("{address} answers")),
        Err(error @ BlobError::Unavailable { .. }) => Note(format!(
            "{address}: {error}; until it answers uploads are refused and tasks are tried again"
        )),
        Err(error) => Missing(format!("{address}: {error}")),
    })
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

fn data_folder(path: &Path, fix: bool) -> Finding {
    let existed = path.exists();
    if !existed && !fix {
        return Note(format!(
            "{} will be made by the first start",
            path.display()
        ));
    }
    match DataFolder::open(path) {
        Ok(_) if existed => Good(format!("{} can be written", path.display())),
        Ok(_) => Fixed(format!("{} was made", path.display())),
        Err(_) => Missing(format!("{} cannot be written by this user", path.display())),
    }
}

/// The keys that sign addresses of private assets are nobody else's to read.
fn signing_keys(data: &Path, fix: bool) -> Finding {
    let path = data.join(SIGNING_KEYS);
    let Ok(found) = path.metadata() else {
        return Good("in the configuration, or made by the first start".to_owned());
    };
    let shown = path.display();
    if found.permissions().mode() & 0o077 == 0 {
        return Good(format!("{shown} is its owner's only"));
    }
    match fix.then(|| std::fs::set_permissions(&path, Permissions::from_mode(0o600))) {
        Some(Ok(())) => Fixed(format!("{shown} is its owner's only now")),
        Some(Err(error)) => Missing(format!("{shown} can be read by others: {error}")),
        None => Note(format!(
            "{shown} can be read by others, who can then sign addresses: `mediaflow doctor --fix`, or chmod 600"
        )),
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
