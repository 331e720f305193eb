//! What this machine can enforce, found out by enforcing it once.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind::PermissionDenied;
use std::net::UdpSocket;
use std::sync::OnceLock;
use std::thread;

use serde::Serialize;

use super::confine::Filters;
use super::files;

/// What the kernel, and the container if we are in one, let us enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posture {
    /// Version of Landlock that was seen to work: files, and from 4 on TCP.
    pub landlock_abi: Option<u32>,
    /// Whether a system call filter was seen to work: network, processes, signals.
    pub seccomp: bool,
}

impl Posture {
    /// Tries both on threads that then end, and remembers the answer for the process' life. A
    /// version number alone would prove little: container runtimes hide or forbid either.
    pub fn probe() -> &'static Self {
        static POSTURE: OnceLock<Posture> = OnceLock::new();
        POSTURE.get_or_init(|| Self {
            landlock_abi: on_a_thread(landlock_works).flatten(),
            seccomp: on_a_thread(seccomp_works).unwrap_or(false),
        })
    }

    /// Whether everything that [`super::SandboxMode::Require`] asks for is there.
    pub fn complete(&self) -> bool {
        self.landlock_abi.is_some() && self.seccomp
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock_abi {
            Some(abi) => write!(f, "Landlock {abi} works")?,
            None => write!(f, "Landlock is missing")?,
        }
        write!(
            f,
            " and seccomp {}",
            if self.seccomp { "works" } else { "is missing" }
        )
    }
}

fn on_a_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    thread::Builder::new()
        .name("sandbox-probe".into())
        .spawn(test)
        .ok()?
        .join()
        .ok()
}

fn landlock_works() -> Option<u32> {
    let status = files::nothing_allowed().ok()?.restrict_self().ok()?;
    let refused = File::open("/").is_err_and(|e| e.kind() == PermissionDenied);
    files::kernel_abi(status.landlock).filter(|_| refused)
}

fn seccomp_works() -> bool {
    let applied = Filters::compile().is_ok_and(|mut filters| filters.apply().is_ok());
    applied && UdpSocket::bind("127.0.0.1:0").is_err_and(|e| e.kind() == PermissionDenied)
}
