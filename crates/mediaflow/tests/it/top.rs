//! `mediaflow top` in a terminal of its own, which `script` makes: drawn, quit, given back.

use crate::commands::{complained, json, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, run, stdout};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

/// A shell line in a terminal of 80 by 24.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn run(folder: &Path, line: &str) -> Self {
        let line = format!("stty rows 24 cols 80; {line}; stty -a; echo THE END");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                seen.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        });
        let keys = child.stdin.take();
        Self { child, keys, shown }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn until(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let shown = self.text();
            if shown.contains(text) {
                return shown;
            }
            assert!(began.elapsed() < PATIENCE, "no {text:?} in {shown:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        let stdin = self.keys.as_mut().unwrap();
        stdin.write_all(keys).unwrap();
        stdin.flush().unwrap();
    }

    /// All that was shown.
    fn ended(mut self) -> String {
        let shown = self.until("THE END");
        drop(self.keys.take());
        self.child.wait().unwrap();
        shown
    }
}

/// The screen of before is there again, with its cursor; keys are lines again, and are shown.
fn is_given_back(shown: &str) {
    let entered = shown.find(ENTERED).expect("another screen");
    let (_, rest) = shown[entered..]
        .split_once(LEFT)
        .expect("it was left again");
    assert!(shown[entered..].contains(CURSOR), "{shown:?}");
    assert!(!rest.contains(ENTERED), "{rest:?}");
    assert!(
        rest.contains(" icanon") && rest.contains(" echo "),
        "{rest:?}"
    );
}

fn command(server: &Server, more: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_mediaflow");
    format!("{binary} top --server {} {more}", server.url(""))
}

#[tokio::test]
async fn it_draws_follows_and_gives_the_terminal_back() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    for key in [&b"q"[..], b"\x03", b"\x1b"] {
        let mut terminal = Terminal::run(folder.path(), &command(&server, "--every 1"));
        let shown = terminal.until("UPLOADS");
        assert!(shown.contains(ENTERED), "{shown:?}");
        for part in [
            "QUEUE", "image", "video", "network", "WORKER", "FAILURES", "q quits",
        ] {
            assert!(shown.contains(part), "no {part} in {shown:?}");
        }
        terminal.press(key);
        is_given_back(&terminal.ended());
    }
    // What happens while one looks is there soon.
    let mut terminal = Terminal::run(folder.path(), &command(&server, "--every 1"));
    terminal.until("QUEUE");
    let query = "?filename=seen-by-top.jpg";
    let id = server.upload(query, photo(64, 48, 1)).await;
    terminal.until("seen-by-top.jpg");
    server.asset_in(&id, "ready").await;
    terminal.until("ready");
    // And when nobody answers any more, it says so and stays.
    server.kill();
    terminal.until("no answer for");
    terminal.press(b"q");
    is_given_back(&terminal.ended());
}

#[tokio::test]
async fn a_signal_ends_it_as_a_key_does() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let line = format!("sh -c 'echo $$ >pid; exec {}'", command(&server, ""));
    let terminal = Terminal::run(folder.path(), &line);
    terminal.until("QUEUE");
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    is_given_back(&terminal.ended());
}

#[tokio::test]
async fn without_a_terminal_it_is_printed_once() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    let id = server.upload("?filename=once.jpg", photo(64, 48, 1)).await;
    server.asset_in(&id, "ready").await;
    let printed = said(at, &server, &["top"]);
    for part in ["QUEUE", "WORKER", "FAILURES  none", "once.jpg", &id] {
        assert!(printed.contains(part), "no {part} in:\n{printed}");
    }
    assert!(
        !printed.contains('\x1b') && !printed.contains("q quits"),
        "{printed}"
    );
    let document = json(at, &server, &["top"]);
    assert_eq!(document["queues"].as_array().unwrap().len(), 3);
    assert_eq!(document["uploads"][0]["id"], id.as_str());
}

#[tokio::test]
async fn a_key_sees_what_it_may_and_nobody_else_anything() {
    let folder = given::config("");
    let at = folder.path();
    let made = ["keys", "create", "--name", "reader", "--scopes", "read"];
    let made = run(at, &[&made[..], &["--data", "data"]].concat());
    let made = stdout(&made);
    let key = made.split_whitespace().find(|w| w.starts_with("mf_"));
    let server = Server::start(at);
    let seen = said(at, &server, &["top", "--key", key.unwrap()]);
    assert!(
        seen.contains("UPLOADS  none yet") && seen.contains("FAILURES  none"),
        "{seen}"
    );
    assert!(
        seen.contains("WORKERS") && seen.contains("auth.scope"),
        "{seen}"
    );
    let nobody = complained(at, &server, &["top"]);
    assert!(nobody.contains("mediaflow keys create"), "{nobody}");
}
