//! A running `mediaflow serve` on a port of its own.

use mediaflow_servers::free_port;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Everything here is slow when the machine is; nothing takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The binary under test.
pub(crate) fn mediaflow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mediaflow"));
    for name in [
        "CONFIG", "DATA", "LISTEN", "SERVER", "API_KEY", "VIA", "KEY_FILE", "CA_FILE",
    ] {
        command.env_remove(format!("MEDIAFLOW_{name}"));
    }
    command
}

/// Runs a command to its end; its working folder is `folder`.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = mediaflow();
    command.current_dir(folder).args(args);
    command.output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:...`
    pub(crate) base: String,
    /// What it printed until it listened.
    pub(crate) greeting: String,
    http: reqwest::Client,
    key: String,
}

impl Server {
    /// Starts on `folder/data`, with `folder/mediaflow.toml` where there is one, and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_at(folder, "127.0.0.1:0")
    }

    /// The same at a port that it can have again when it is killed.
    pub(crate) fn start_to_restart(folder: &Path) -> Self {
        Self::start_at(folder, &format!("127.0.0.1:{}", free_port()))
    }

    /// The same at this address and port.
    pub(crate) fn start_at(folder: &Path, listen: &str) -> Self {
        Self::launch(mediaflow(), folder, listen)
    }

    /// The same with the environment of this command.
    pub(crate) fn launch(command: Command, folder: &Path, listen: &str) -> Self {
        let log = match std::env::var_os("MEDIAFLOW_TEST_LOG") {
            Some(_) => Stdio::inherit(),
            None => Stdio::null(),
        };
        Self::launch_logged(command, folder, listen, log)
    }

    /// Starts on `folder`; its log is in the file `server.log` there.
    pub(crate) fn start_logged(folder: &Path) -> Self {
        let log = std::fs::File::create(folder.join("server.log")).unwrap();
        Self::launch_logged(mediaflow(), folder, "127.0.0.1:0", log.into())
    }

    fn launch_logged(mut command: Command, folder: &Path, listen: &str, log: Stdio) -> Self {
        command
            .current_dir(folder)
            .args(["serve", "--listen", listen, "--data", "data"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (lines, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut greeting = String::new();
        loop {
            let line = heard
                .recv_timeout(PATIENCE)
                .expect("the server says where it listens");
            greeting.push_str(&line);
            greeting.push('\n');
            if line.contains("curl") {
                break;
            }
        }
        let base = greeting
            .split_whitespace()
            .find(|w| w.starts_with("http://"));
        let base = base.expect("the greeting has an address").to_owned();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            child,
            base,
            greeting,
            http,
            key: String::new(),
        }
    }

    /// From now on everything is asked with this key.
    pub(crate) fn authorize(&mut self, key: &str) {
        let mut value = reqwest::header::HeaderValue::try_from(format!("Bearer {key}")).unwrap();
        value.set_sensitive(true);
        let headers = [(reqwest::header::AUTHORIZATION, value)];
        self.http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .default_headers(headers.into_iter().collect())
            .build()
            .unwrap();
        self.key = key.to_owned();
    }

    /// The key that it is asked with.
    pub(crate) fn authorization(&self) -> String {
        self.key.clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The most memory that the process has held so far, in bytes. Pages of the program's file are not counted: how many of them are
    /// there is the kernel's matter, and in a debug build they are more than a hundred megabytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name)).unwrap();
            let kib = line.split_whitespace().nth(1).unwrap();
            kib.parse::<u64>().unwrap() << 10
        };
        field("VmHWM:") - field("RssFile:")
    }

    /// The processes that it has started and that run.
    pub(crate) fn children(&self) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
            .collect::<String>();
        let numbers = children.split_whitespace();
        numbers.map(|pid| pid.parse().unwrap()).collect()
    }

    /// SIGKILL, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The status and the JSON of the answer, null where there is none.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self.http.post(self.url(path)).body(body);
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Uploads and answers the id.
    pub(crate) async fn upload(&self, query: &str, bytes: Vec<u8>) -> String {
        let request = self
            .http
            .post(self.url(&format!("/v1/assets{query}")))
            .body(bytes);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 202, "{text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until the asset satisfies `done`.
    pub(crate) async fn asset_when(&self, id: &str, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let asset = self.get(&format!("/v1/assets/{id}")).await;
            if done(&asset) {
                return asset;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it never came to that: {asset:#}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn asset_in(&self, id: &str, state: &str) -> Value {
        self.asset_when(id, |asset| asset["state"] == state).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `mediaflow classifier` on a port of its own.
pub(crate) struct Classifier {
    child: Child,
    pub(crate) url: String,
}

impl Classifier {
    pub(crate) fn start() -> Self {
        let mut child = mediaflow()
            .args(["classifier", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Self { child, url }
    }
}

impl Drop for Classifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
