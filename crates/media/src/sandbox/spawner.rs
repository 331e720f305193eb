//! The one thread that starts all children.
//!
//! The signal that ends a child when its parent dies (`PR_SET_PDEATHSIG`) follows the *thread*
//! that forked it, not the process: a child started from a pool's thread would be killed when the
//! pool lets that thread go. So all are started from here, by a thread that lives as long as the
//! process does.

use std::io;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

struct Request {
    command: Command,
    answer: SyncSender<io::Result<Child>>,
}

static SPAWNER: LazyLock<Result<Sender<Request>, io::ErrorKind>> = LazyLock::new(|| {
    let (sender, requests) = channel::<Request>();
    thread::Builder::new()
        .name("sandbox-spawner".into())
        .spawn(move || {
            for Request {
                mut command,
                answer,
            } in requests
            {
                if let Err(unheard) = answer.send(command.spawn())
                    && let Ok(mut child) = unheard.0
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })
        .map(|_| sender)
        .map_err(|e| e.kind())
});

/// Starts `command` from the spawner's thread.
///
/// # Errors
/// What [`Command::spawn`] says, which includes the errors of what runs before exec.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the spawner thread is gone");
    let spawner = SPAWNER.as_ref().map_err(|kind| io::Error::from(*kind))?;
    let (answer, answered) = sync_channel(1);
    spawner
        .send(Request { command, answer })
        .map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
