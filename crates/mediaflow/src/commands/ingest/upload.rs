//! One file on its way in: streamed, tried again where that helps, counted once whatever happens. What is small is one request;
//! of what is large nothing that the server has is sent again.

use super::files::Input;
use super::progress::Progress;
use super::resumable::Resumable;
use crate::client::{Client, Trouble};
use futures_util::TryStreamExt as _;
use reqwest::Body;
use serde_json::Value;
use std::io;
use std::time::{Duration, Instant};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

const TRIES_MAX: u32 = 12;
/// Sending so much again costs less than asking how far it is.
const SMALL_BYTES_MAX: u64 = 8 << 20;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A server that was there and is away, as for a restart, is waited for so long.
pub(super) const ABSENCE_MAX: Duration = Duration::from_secs(300);
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Uploads it; answers the receipt.
pub(super) async fn upload(
    client: &Client,
    options: &[(&'static str, String)],
    input: &Input,
    progress: &Progress,
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
        progress.bar.set_length(about.len());
        let resumable = Resumable {
            client,
            path,
            bytes: about.len(),
            changed: about.modified().ok(),
            said: &query,
            progress,
        };
        return resumable.upload().await;
    }
    let (mut tries, mut seen) = (1, Instant::now());
    loop {
        let (length, body) = open(input, progress)
            .await
            .map_err(|e| unreadable(e.to_string()))?;
        let answer = client.upload(&query, &idempotency_key, length, body).await;
        let pause = match &answer {
            // It was read, and cannot be read again.
            _ if matches!(input, Input::StandardInput) => return answer,
            Err(Trouble::Refused {
                again: Some(pause), ..
            }) if tries < TRIES_MAX => {
                (tries, seen) = (tries + 1, Instant::now());
                *pause
            }
            Err(Trouble::Unreachable(_))
                if client.has_answered() && seen.elapsed() < ABSENCE_MAX =>
            {
                PAUSE
            }
            _ => return answer,
        };
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
    }
}

async fn open(input: &Input, progress: &Progress) -> io::Result<(Option<u64>, Body)> {
    progress.stands_at(0);
    match input {
        Input::File(path) => {
            let file = tokio::fs::File::open(path).await?;
            let about = file.metadata().await?;
            let length = about.is_file().then_some(about.len());
            progress.bar.set_length(length.unwrap_or(0));
            Ok((length, body(file, progress)))
        }
        Input::StandardInput => Ok((None, body(tokio::io::stdin(), progress))),
    }
}

fn body(read: impl tokio::io::AsyncRead + Send + 'static, progress: &Progress) -> Body {
    let progress = progress.clone();
    let pieces = ReaderStream::with_capacity(read, PIECE_BYTES);
    Body::wrap_stream(pieces.inspect_ok(move |piece| progress.sent(piece.len() as u64)))
}

/// A file that this machine does not let us read.
pub(super) fn unreadable(reason: String) -> Trouble {
    Trouble::Refused {
        code: "client.unreadable".to_owned(),
        message: reason,
        again: None,
    }
}
