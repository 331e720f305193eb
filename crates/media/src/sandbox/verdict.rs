//! From the way a process ended to the error that its task gets.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{ErrorKind, MediaError};

/// Codes of processes that the sandbox did not start, ended, or saw die.
const REFUSED: [&str; 5] = [
    "sandbox.unavailable",
    "decoder.crashed",
    "timeout",
    "limit.memory",
    "limit.output",
];

static TIMES: [AtomicU64; REFUSED.len()] = [const { AtomicU64::new(0) }; REFUSED.len()];

/// How often this process's sandbox did not start a program or ended it, by code.
pub fn refusals() -> [(&'static str, u64); REFUSED.len()] {
    std::array::from_fn(|n| (REFUSED[n], TIMES[n].load(Ordering::Relaxed)))
}

pub(super) fn counted(error: &MediaError) {
    let place = REFUSED.iter().position(|code| *code == error.code);
    if let Some(place) = place {
        TIMES[place].fetch_add(1, Ordering::Relaxed);
    }
}

/// The error for a process that was ended by a signal or for its CPU time, if it was.
///
/// `stderr` is the end of what it said; allocators complain there before they abort. `cpu_spent`
/// tells a program that caught the signal for its CPU time: it leaves with any code and any excuse,
/// or ignores it and is killed.
pub(super) fn of_end(
    name: &str,
    status: ExitStatus,
    stderr: &str,
    cpu_spent: bool,
) -> Option<MediaError> {
    if cpu_spent && !status.success() {
        return Some(timeout(format!(
            "{name} used all the CPU time it was given"
        )));
    }
    let signal = status.signal()?;
    Some(match signal {
        libc::SIGXCPU => timeout(format!("{name} used all the CPU time it was given")),
        libc::SIGXFSZ => {
            MediaError::limit("limit.output", format!("{name} wrote too large a file"))
        }
        libc::SIGABRT if ran_out_of_memory(stderr) => MediaError::limit(
            "limit.memory",
            format!("{name} needed more memory than it was given"),
        ),
        _ => MediaError::crash(match last_line(stderr) {
            Some(line) => format!("{name} was ended by signal {signal}: {line}"),
            None => format!("{name} was ended by signal {signal}"),
        }),
    })
}

/// The error for a process that was still running after `wall`.
pub(super) fn of_deadline(name: &str, wall: Duration) -> MediaError {
    timeout(format!(
        "{name} was not done after {} s",
        wall.as_secs_f32()
    ))
}

/// Counted as a crash: the same bytes may be done in time on a machine that is less busy, but
/// each try is an attempt.
fn timeout(message: String) -> MediaError {
    MediaError {
        code: "timeout",
        message,
        kind: ErrorKind::Crash,
    }
}

fn ran_out_of_memory(stderr: &str) -> bool {
    ["memory allocation of", "bad_alloc", "out of memory"]
        .iter()
        .any(|words| stderr.contains(words))
}

/// What a hostile file can make a decoder say is shown to people: one short line, no controls.
fn last_line(stderr: &str) -> Option<String> {
    let line = stderr
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}
