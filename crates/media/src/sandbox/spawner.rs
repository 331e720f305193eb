//! The one thread that starts all children.
//!
//! The signal that ends a child when its parent dies (`PR_SET_PDEATHSIG`) follows the *thread*
//! that started it, not the process: a child started from a pool's thread would be killed when the
//! pool lets that thread go. So all are started from here, by a thread that lives as long as the
//! process does.

use std::io;
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::launch::{Launch, Started};

struct Request {
    launch: Launch,
    answer: SyncSender<io::Result<Started>>,
}

static SPAWNER: LazyLock<Result<Sender<Request>, io::ErrorKind>> = LazyLock::new(|| {
    let (sender, requests) = channel::<Request>();
    thread::Builder::new()
        .name("sandbox-spawner".into())
        .spawn(move || {
            for Request { launch, answer } in requests {
                // Whoever asks waits for the answer and does nothing else.
                let _ = answer.send(launch.start());
            }
        })
        .map(|_| sender)
        .map_err(|e| e.kind())
});

/// Starts a program from the spawner's thread.
///
/// # Errors
/// As [`Launch::start`].
pub(super) fn spawn(launch: Launch) -> io::Result<Started> {
    let gone = || io::Error::other("the spawner thread is gone");
    let spawner = SPAWNER.as_ref().map_err(|kind| io::Error::from(*kind))?;
    let (answer, answered) = sync_channel(1);
    spawner
        .send(Request { launch, answer })
        .map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
