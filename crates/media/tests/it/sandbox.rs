//! What a program in the sandbox can and cannot do, and what its caller hears of it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mediaflow_media::sandbox::{Finished, Job, Posture, ProcessLimits, SandboxMode};
use mediaflow_media::{ErrorKind, MediaError};

use crate::child;

/// A job that does one of the things in `child::act`.
fn actor(action: &[&str]) -> Job {
    let args = [child::ACTOR]
        .iter()
        .chain(action)
        .map(Into::into)
        .collect();
    Job {
        name: "the actor",
        program: child::program(),
        args,
        stdin: None,
        readable: Vec::new(),
        scratch: None,
        limits: ProcessLimits {
            nice: 0,
            wall: Duration::from_secs(20),
            cpu_seconds: 20,
            memory_bytes: 512 << 20,
            file_bytes: 1 << 20,
            open_files: 32,
        },
        mode: SandboxMode::Require,
        spent: None,
    }
}

fn run(job: Job) -> Result<Finished<String>, MediaError> {
    job.run(|stdout| Ok(String::from_utf8_lossy(&stdout.collect(1 << 20)?).into_owned()))
}

#[track_caller]
fn says(action: &[&str], expected: &str) {
    assert_eq!(run(actor(action)).unwrap().output, expected, "{action:?}");
}

#[track_caller]
fn fails(job: Job, code: &str) -> MediaError {
    let error = run(job).expect_err(code);
    assert_eq!(error.code, code, "{error}");
    error
}

/// A folder that every user may enter: the tests also run as `nobody`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_machine_that_runs_these_tests_has_a_sandbox() {
    let posture = Posture::probe();
    assert!(posture.complete(), "{posture}");
    assert!(posture.to_string().starts_with("Landlock "));
}

#[test]
fn output_exit_code_and_complaints_reach_the_caller() {
    says(&["say", "hello"], "hello");
    says(&["thread"], "from a thread");
    let finished = run(actor(&["complain", "no such codec"])).unwrap();
    assert_eq!(
        (finished.code, finished.stderr.as_str()),
        (3, "no such codec\n")
    );
}

#[test]
fn standard_input_is_a_file() {
    let folder = folder();
    let path = folder.path().join("input");
    std::fs::write(&path, "from a file").unwrap();
    let mut job = actor(&["echo"]);
    job.stdin = Some(std::fs::File::open(path).unwrap());
    assert_eq!(run(job).unwrap().output, "from a file");
}

#[test]
fn only_named_files_can_be_read() {
    let folder = folder();
    let (named, sibling) = (folder.path().join("named"), folder.path().join("sibling"));
    std::fs::write(&named, "mine").unwrap();
    std::fs::write(&sibling, "another tenant's").unwrap();
    let with_named = |action: &[&str]| {
        let mut job = actor(action);
        job.readable = vec![named.clone()];
        run(job).unwrap().output
    };
    assert_eq!(with_named(&["read", text(&named)]), "mine");
    for other in [
        text(&sibling),
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/null",
    ] {
        assert_eq!(with_named(&["read", other]), "denied", "{other}");
    }
    assert_eq!(with_named(&["list", text(folder.path())]), "denied");
    assert_eq!(with_named(&["write", text(&named)]), "denied");
    assert_eq!(with_named(&["chmod", text(&named)]), "denied");
}

#[test]
fn only_the_scratch_folder_can_be_written_and_files_stay_small() {
    let folder = folder();
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let in_scratch = |action: &[&str]| {
        let mut job = actor(action);
        job.scratch = Some(scratch.clone());
        job
    };
    assert_eq!(
        run(in_scratch(&["write", "relative"])).unwrap().output,
        "written"
    );
    assert_eq!(
        std::fs::read_to_string(scratch.join("relative")).unwrap(),
        "written"
    );
    let outside = folder.path().join("outside");
    assert_eq!(
        run(in_scratch(&["write", text(&outside)])).unwrap().output,
        "denied"
    );
    assert!(!outside.exists());

    let mut job = in_scratch(&["write", "large"]);
    job.limits.file_bytes = 3;
    fails(job, "limit.output");
}

#[test]
fn there_is_no_network_and_no_other_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    says(
        &["tcp", &listener.local_addr().unwrap().to_string()],
        "denied",
    );
    says(&["udp"], "denied");
    says(&["unix"], "denied");
    says(&["spawn"], "denied");
    says(&["setsid"], "denied");
    says(&["signal", &std::process::id().to_string()], "denied");
}

#[test]
fn nothing_is_inherited_but_the_standard_streams() {
    let folder = folder();
    let leaked = std::fs::File::create(folder.path().join("leak")).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    says(&["descriptors"], "0 1 2 ");
    says(&["environment"], "MALLOC_ARENA_MAX=1 ");
}

#[test]
fn memory_time_and_output_are_bounded() {
    let ten_gigabytes = (10u64 << 30).to_string();
    let error = fails(actor(&["allocate", &ten_gigabytes]), "limit.memory");
    assert_eq!(error.kind, ErrorKind::Permanent);

    let mut job = actor(&["spin"]);
    job.limits.cpu_seconds = 1;
    assert_eq!(fails(job, "timeout").kind, ErrorKind::Crash);

    for action in ["spin", "sleep"] {
        let started = Instant::now();
        let mut job = actor(&[action]);
        job.limits.wall = Duration::from_millis(300);
        assert_eq!(fails(job, "timeout").kind, ErrorKind::Crash);
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{action}: {:?}",
            started.elapsed()
        );
    }

    fails(actor(&["flood"]), "limit.output");
}

#[test]
fn it_gives_way_as_it_is_told() {
    let niceness = |more: u8| -> i32 {
        let mut job = actor(&["nice"]);
        job.limits.nice = more;
        run(job).unwrap().output.parse().unwrap()
    };
    let ours = niceness(0);
    assert_eq!(niceness(3), (ours + 3).min(19));
}

#[test]
fn a_crash_is_told_from_a_refusal() {
    let error = fails(actor(&["abort"]), "decoder.crashed");
    assert_eq!(error.kind, ErrorKind::Crash);
    assert!(
        error.message.contains("the actor was ended by signal 6"),
        "{error}"
    );
}

#[test]
fn a_program_that_is_not_there_is_our_fault() {
    let mut job = actor(&[]);
    job.program = PathBuf::from("/nonexistent/program");
    let error = fails(job, "internal");
    assert_eq!(error.kind, ErrorKind::Transient);
}

#[test]
fn without_a_sandbox_the_limits_still_hold() {
    let mut job = actor(&["read", "/etc/hostname"]);
    job.mode = SandboxMode::Off;
    assert_ne!(run(job).unwrap().output, "denied");
    let mut job = actor(&["sleep"]);
    job.mode = SandboxMode::Off;
    job.limits.wall = Duration::from_millis(300);
    fails(job, "timeout");
}

/// Runs in a process of its own: starts a sandboxed job and says the number of its process.
pub(crate) fn run_as_parent(action: &[&str]) {
    let job = actor(action);
    let running = std::thread::spawn(|| run(job));
    let child = loop {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let children = tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
            .collect::<String>();
        if !children.is_empty() {
            break children;
        }
        std::thread::yield_now();
    };
    println!("{child}");
    let _ = running.join();
}

#[test]
fn no_child_outlives_a_parent_that_is_killed() {
    let mut parent = Command::new(child::program())
        .args([child::ACTOR, "run-and-wait", "sleep"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(parent.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let child = line.trim();
    assert!(
        Path::new("/proc").join(child).join("status").exists(),
        "{line:?}"
    );
    parent.kill().unwrap();
    parent.wait().unwrap();
    let gone = || {
        std::fs::read_to_string(format!("/proc/{child}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !gone() {
        assert!(Instant::now() < deadline, "process {child} is still there");
        std::thread::yield_now();
    }
}

#[test]
fn it_works_for_nobody() {
    if !rustix::process::geteuid().is_root() {
        return; // Then all the other tests have shown it.
    }
    // A copy in a place that nobody may enter: build folders are often private.
    let folder = folder();
    let copy = folder.path().join("tests");
    std::fs::copy(child::program(), &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(&copy);
    command
        .args(["sandbox::", "--skip", "nobody"])
        .stdout(Stdio::piped())
        .current_dir("/");
    std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    let mut tests = command.spawn().unwrap();
    let mut report = String::new();
    tests
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut report)
        .unwrap();
    assert!(tests.wait().unwrap().success(), "{report}");
}
