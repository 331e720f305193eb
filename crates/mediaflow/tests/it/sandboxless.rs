//! On a kernel without Landlock: the doctor says so, `require` refuses, and nothing pretends.
#![allow(unsafe_code)] // a system call filter for the program under test

use crate::given;
use crate::server::{mediaflow, stderr, stdout};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;

/// Runs the program where Landlock "does not exist".
fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = mediaflow();
    command.current_dir(folder).args(args);
    // SAFETY: the closure makes two system calls on values of its own stack and allocates nothing.
    unsafe { command.pre_exec(without_landlock) };
    command.output().unwrap()
}

fn without_landlock() -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_landlock_create_ruleset as u32,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: plain system calls; the filter lives until the second has returned.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ),
        ]
    };
    match results.contains(&-1) {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

#[test]
fn the_doctor_says_what_the_kernel_cannot_give() {
    let preferring = given::config("");
    let output = run(preferring.path(), &["doctor"]);
    let said = stdout(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Landlock is missing and seccomp works"),
        "{said}"
    );
    assert!(said.contains("ffmpeg"), "{said}");

    let requiring = given::config("sandbox = \"require\"\n");
    let output = run(requiring.path(), &["doctor"]);
    let said = stdout(&output);
    assert!(!output.status.success(), "{said}");
    let rows: Vec<&str> = said.lines().filter(|l| l.starts_with("MISSING")).collect();
    let about = |subject: &str| rows.iter().any(|row| row.contains(subject));
    assert!(about("sandbox") && about("video"), "{said}");
}

#[test]
fn the_server_refuses_to_start_where_the_sandbox_is_required_and_missing() {
    let requiring = given::config("sandbox = \"require\"\n");
    let output = run(
        requiring.path(),
        &["serve", "--listen", "127.0.0.1:0", "--data", "data"],
    );
    let said = stderr(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("Landlock is missing"), "{said}");
}
