//! The programs that tests run in the sandbox: this very executable, started with another first
//! argument. A second executable would have to be built, linked and found by every test run.
//!
//! The hook runs before the test harness looks at the arguments, which it would not understand.
#![allow(unsafe_code)] // placing a function where the loader calls it

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// First argument for a program that does what its second argument says; see [`act`].
pub(crate) const ACTOR: &str = "sandbox-actor";
/// First argument for the decode helper.
pub(crate) const HELPER: &str = "decode-helper";

/// This executable.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe().expect("a running program has a path")
}

// SAFETY: the loader calls every function of this section once, before `main`; this one only
// needs what libc has set up by then.
#[unsafe(link_section = ".init_array")]
#[used]
static HOOK: extern "C" fn() = hook;

extern "C" fn hook() {
    let mut args = std::env::args_os().skip(1);
    let code = match args.next() {
        Some(first) if first == ACTOR => act(&args
            .map(|arg| arg.into_string().unwrap())
            .collect::<Vec<_>>()),
        Some(first) if first == HELPER => {
            run_later_constructors();
            i32::from(mediaflow_media::image::heif::helper_main(args) != ExitCode::SUCCESS)
        }
        _ => return,
    };
    std::process::exit(code);
}

/// libheif's global objects are set up by functions that come after ours in the same section.
fn run_later_constructors() {
    unsafe extern "C" {
        static __init_array_end: [extern "C" fn(); 0];
    }
    // SAFETY: the linker puts this symbol at the end of the array that HOOK is an element of.
    let later = unsafe {
        let first = (&raw const HOOK).add(1);
        let end: *const extern "C" fn() = (&raw const __init_array_end).cast();
        std::slice::from_raw_parts(first, end.offset_from_unsigned(first))
    };
    later.iter().for_each(|constructor| constructor());
}

/// Does one thing and prints how it went.
fn act(args: &[String]) -> i32 {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["say", words] => Ok((*words).to_owned()),
        ["complain", words] => {
            eprintln!("{words}");
            return 3;
        }
        ["echo"] => {
            let mut all = String::new();
            std::io::stdin().read_to_string(&mut all).map(|_| all)
        }
        ["read", path] => std::fs::read_to_string(path),
        ["list", path] => {
            std::fs::read_dir(path).map(|entries| format!("{} entries", entries.count()))
        }
        ["write", path] => std::fs::write(path, "written").map(|()| "written".into()),
        ["chmod", path] => std::fs::metadata(path)
            .and_then(|m| std::fs::set_permissions(path, m.permissions()))
            .map(|()| "changed".into()),
        ["tcp", address] => TcpStream::connect(address).map(|_| "connected".into()),
        ["udp"] => std::net::UdpSocket::bind("127.0.0.1:0").map(|_| "bound".into()),
        ["unix"] => std::os::unix::net::UnixDatagram::unbound().map(|_| "opened".into()),
        ["spawn"] => Command::new("/bin/true")
            .status()
            .map(|status| status.to_string()),
        ["thread"] => Ok(std::thread::spawn(|| "from a thread")
            .join()
            .unwrap()
            .into()),
        ["signal", pid] => signal(pid.parse().unwrap()),
        ["nice"] => rustix::process::getpriority_process(None)
            .map(|nice| nice.to_string())
            .map_err(Into::into),
        ["setsid"] => rustix::process::setsid()
            .map(|_| "left".into())
            .map_err(Into::into),
        ["environment"] => Ok(std::env::vars().map(|(k, v)| format!("{k}={v} ")).collect()),
        ["descriptors"] => Ok(descriptors()),
        ["allocate", bytes] => {
            let block = vec![1u8; bytes.parse().unwrap()];
            Ok(format!("{}", block.iter().map(|b| *b as u64).sum::<u64>()))
        }
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        ["sleep"] => {
            std::thread::sleep(Duration::from_secs(60));
            Ok("woke".into())
        }
        ["flood"] => loop {
            if std::io::stdout().write_all(&[b'x'; 65536]).is_err() {
                return 1;
            }
        },
        ["abort"] => std::process::abort(),
        ["run-and-wait", inner @ ..] => {
            crate::sandbox::run_as_parent(inner);
            Ok("done".into())
        }
        other => Ok(format!("unknown: {other:?}")),
    };
    match outcome {
        Ok(text) => print!("{text}"),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => print!("denied"),
        Err(e) => print!("failed: {e}"),
    }
    let _ = std::io::stdout().flush();
    0
}

fn signal(pid: i32) -> std::io::Result<String> {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::test_kill_process(pid)?;
    Ok("reached".into())
}

/// The open file descriptors, found without `/proc`.
fn descriptors() -> String {
    // SAFETY: asking about a descriptor that is not open is an error, not a fault.
    let open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0;
    (0..1024).filter(open).map(|fd| format!("{fd} ")).collect()
}
