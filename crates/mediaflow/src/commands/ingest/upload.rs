//! One file on its way in: streamed, tried again where that helps, counted once whatever happens. What is small is one request;
//! of what is large nothing that the server has is sent again.

use super::Ingest;
use super::files::Input;
use super::resumable::Resumable;
use crate::client::{Client, Trouble};
use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Body;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

const TRIES_MAX: u32 = 12;
/// Sending so much again costs less than asking how far it is.
const SMALL_BYTES_MAX: u64 = 8 << 20;
const PAUSE_MAX: Duration = Duration::from_secs(30);
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// A bar for one file: bytes, rate, and the time that is left.
pub(in crate::commands) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix:.bold} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
    ProgressBar::no_length().with_style(style.expect("the template is tested by every run"))
}

/// The query of every upload of this command.
pub(super) fn options(ingest: &Ingest) -> Vec<(&'static str, String)> {
    let mut options = Vec::new();
    let mut say = |name, value: Option<String>| options.extend(value.map(|v| (name, v)));
    say("title", ingest.title.clone());
    say("metadata", ingest.metadata.clone());
    say("recipe", ingest.recipe.clone());
    say("visibility", ingest.private.then(|| "private".to_owned()));
    say("priority", ingest.priority.map(|p| p.as_str().to_owned()));
    say("watermark", ingest.watermark.then(|| "true".to_owned()));
    options.extend(ingest.tags.iter().map(|tag| ("tags", tag.clone())));
    options
}

/// Uploads it; answers the receipt.
pub(super) async fn upload(
    client: &Client,
    options: &[(&'static str, String)],
    input: &Input,
    bar: &ProgressBar,
) -> Result<Value, Trouble> {
    // A repeat of an upload whose answer was lost gets that answer, not a second asset.
    let idempotency_key = Uuid::now_v7().to_string();
    let mut query = options.to_vec();
    if let Input::File(path) = input
        && let Some(name) = path.file_name()
    {
        query.push(("filename", name.to_string_lossy().into_owned()));
    }
    if let Input::File(path) = input
        && let Ok(about) = tokio::fs::metadata(path).await
        && about.is_file()
        && about.len() > SMALL_BYTES_MAX
    {
        bar.set_length(about.len());
        let resumable = Resumable {
            client,
            path,
            bytes: about.len(),
            said: &query,
            bar,
        };
        return resumable.upload().await;
    }
    let mut tries = 1;
    loop {
        let (length, body) = open(input, bar)
            .await
            .map_err(|e| unreadable(e.to_string()))?;
        let answer = client.upload(&query, &idempotency_key, length, body).await;
        match answer {
            Err(Trouble::Refused {
                again: Some(pause), ..
            }) if tries < TRIES_MAX && matches!(input, Input::File(_)) => {
                tries += 1;
                tokio::time::sleep(pause.min(PAUSE_MAX)).await;
            }
            answer => return answer,
        }
    }
}

async fn open(input: &Input, bar: &ProgressBar) -> io::Result<(Option<u64>, Body)> {
    bar.reset();
    match input {
        Input::File(path) => {
            let file = tokio::fs::File::open(path).await?;
            let about = file.metadata().await?;
            let length = about.is_file().then_some(about.len());
            bar.set_length(length.unwrap_or(0));
            Ok((length, body(file, bar)))
        }
        Input::StandardInput => Ok((None, body(tokio::io::stdin(), bar))),
    }
}

fn body(read: impl tokio::io::AsyncRead + Send + 'static, bar: &ProgressBar) -> Body {
    let bar = bar.clone();
    let pieces = ReaderStream::with_capacity(read, PIECE_BYTES);
    Body::wrap_stream(pieces.inspect_ok(move |piece| bar.inc(piece.len() as u64)))
}

/// A file that this machine does not let us read.
pub(super) fn unreadable(reason: String) -> Trouble {
    Trouble::Refused {
        code: "client.unreadable".to_owned(),
        message: reason,
        again: None,
    }
}
