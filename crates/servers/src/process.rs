//! A program that lives as long as a value.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program that is not there.
#[derive(Debug)]
pub(crate) struct Missing {
    /// Its name, or where it was expected.
    pub(crate) program: String,
    /// The command that installs it.
    pub(crate) install: &'static str,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is missing. Install it with: {}",
            self.program, self.install
        )
    }
}

/// Where a program is: in `PATH`, or else in one of `places`, which may have one `*` for a version.
///
/// # Errors
/// When it is nowhere.
pub(crate) fn find(name: &str, places: &[&str], install: &'static str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let elsewhere = places
        .iter()
        .flat_map(|place| versions(place))
        .map(|folder| folder.join(name));
    in_path
        .chain(elsewhere)
        .find(|file| file.is_file())
        .ok_or_else(|| Missing {
            program: name.into(),
            install,
        })
}

/// The folders that a place with a `*` stands for, the newest first.
fn versions(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else {
        return vec![place.into()];
    };
    let Ok(entries) = std::fs::read_dir(before) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path().join(after.trim_start_matches('/'))))
        .collect();
    found.sort();
    found.reverse();
    found
}

/// How a server is started and ended.
#[derive(Debug)]
pub(crate) struct Program {
    /// Program and arguments.
    pub(crate) command: Command,
    /// What ends it at once without leaving anything behind: a signal's name without `SIG`.
    pub(crate) end: &'static str,
}

/// A running server. It ends with this value, and with this process.
#[derive(Debug)]
pub struct Server {
    name: String,
    watchdog: Child,
    process: u32,
    folder: TempDir,
}

/// Starts "$@" in a session of its own and says its number. With a line on standard input the server's whole group is ended. The same
/// when it ends without one, because whoever held it died or never drops it: then nobody else removes its folder. Interrupting the tests
/// reaches this script as well, which goes on.
const WATCHDOG: &str = r#"
end=$1 log=$2; shift 2
setsid "$@" >>"$log" 2>&1 </dev/null &
server=$!
trap '' INT HUP TERM
echo "$server"
read -r _ && keep=1
kill -s CONT -- "-$server"
kill -s "$end" -- "-$server"
wait "$server"
kill -s KILL -- "-$server"
[ "$keep" ] || rm -rf -- "$PWD"
"#;

impl Server {
    /// Starts a program whose files are in `folder` and waits until `is_ready` says so, for at most `patience`.
    ///
    /// # Panics
    /// When it cannot be started or does not become ready: with the end of what it said.
    #[must_use]
    pub(crate) fn start(
        program: &Program,
        folder: TempDir,
        patience: Duration,
        mut is_ready: impl FnMut() -> bool,
    ) -> Self {
        let mut server = Self::spawn(program, folder);
        let begin = Instant::now();
        while !is_ready() {
            if begin.elapsed() > patience || !server.is_alive() {
                let log = std::fs::read_to_string(server.log()).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(30).collect();
                let end: Vec<&str> = end.into_iter().rev().collect();
                server.end();
                panic!("{} did not become ready:\n{}", server.name, end.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn spawn(program: &Program, folder: TempDir) -> Self {
        let name = program.command.get_program().to_string_lossy().into_owned();
        let log = folder.path().join("log");
        // The file is made here so that a server under another user's name may be given it open.
        File::create(&log).expect("its folder can be written");
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "watchdog", program.end])
            .arg(&log);
        command
            .arg(program.command.get_program())
            .args(program.command.get_args());
        for (key, value) in program.command.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command.current_dir(folder.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut watchdog = command.spawn().expect("there is a shell");
        let out = watchdog.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(out)
            .read_line(&mut line)
            .expect("the watchdog speaks");
        let process = line.trim().parse().expect("the watchdog says a number");
        Self {
            name,
            watchdog,
            process,
            folder,
        }
    }

    /// The server's own folder, removed with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote to its standard output and error.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Whether its process is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.process));
        state.is_ok_and(|stat| {
            !stat
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" Z"))
        })
    }

    /// Sends a signal (`KILL`, `STOP`, `CONT`, ...) to all its processes, also to children that lead groups of their own.
    ///
    /// # Errors
    /// When they are gone.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let main = self.process;
        let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children"));
        let send = |targets: &[&str]| {
            let mut kill = Command::new("kill");
            kill.args(["-s", name, "--"]).args(targets);
            kill.stderr(Stdio::null()).status()
        };
        let status = send(&[&format!("-{main}")])?;
        // Of children some may have ended since.
        let children = children.unwrap_or_default();
        if !children.is_empty() {
            send(&children.split_whitespace().collect::<Vec<_>>())?;
        }
        if status.success() {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Ends it and keeps its folder, to start it again on the same files.
    #[must_use]
    pub(crate) fn into_folder(mut self) -> TempDir {
        self.end();
        let elsewhere = tempfile::tempdir().expect("there is room for an empty folder");
        std::mem::replace(&mut self.folder, elsewhere)
    }

    fn end(&mut self) {
        if let Some(mut says) = self.watchdog.stdin.take() {
            let _ = says.write_all(b"end\n");
        }
        // It waits for the server; both are gone afterwards, or were before.
        let _ = self.watchdog.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
