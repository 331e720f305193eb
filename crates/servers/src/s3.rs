//! An S3 server: the example `s3` of this crate, which `cargo test --workspace` builds.

use crate::port::free_port;
use crate::process::{Program, Server};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// An S3 server that keeps objects as files. It checks signatures and checksums, and honours `If-None-Match`.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    port: u16,
}

impl S3 {
    /// The name of the one key.
    pub const KEY_ID: &str = "mediaflow";
    /// Its secret.
    pub const SECRET: &str = "mediaflow-secret";

    /// While a file of this name is beside its data, it refuses every request.
    pub const BUSY: &str = "busy";

    /// The name of the file beside its data that tells what was read.
    pub const READS: &str = "reads";

    /// Starts it without buckets.
    ///
    /// # Panics
    /// When it cannot be built or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("mediaflow-s3-").tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        std::fs::create_dir(folder.path().join("data")).expect("its folder can be written");
        Self::run(folder, free_port())
    }

    fn run(folder: TempDir, port: u16) -> Self {
        let mut command = Command::new(program());
        command.arg(format!("127.0.0.1:{port}"));
        command.arg(folder.path().join("data"));
        let program = Program {
            command,
            end: "KILL",
        };
        let is_ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let server = Server::start(&program, folder, Duration::from_secs(60), is_ready);
        Self { server, port }
    }

    /// The same objects at the same address after its server was killed.
    #[must_use]
    pub fn restarted(self) -> Self {
        let port = self.port;
        Self::run(self.server.into_folder(), port)
    }

    /// Where it is: `http://127.0.0.1:...`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A bucket, made when it is not there, as an address: `s3://...`.
    ///
    /// # Panics
    /// When its folder cannot be made.
    #[must_use]
    pub fn bucket(&self, name: &str) -> String {
        std::fs::create_dir_all(self.files(name)).expect("its folder can be written");
        format!("s3://{name}")
    }

    /// The folder in which a bucket's objects are files.
    #[must_use]
    pub fn files(&self, bucket: &str) -> PathBuf {
        self.server.folder().join("data").join(bucket)
    }

    /// Whether it answers every request `503 SlowDown` from now on.
    ///
    /// # Panics
    /// When its folder cannot be written.
    pub fn refuse(&self, refuses: bool) {
        let busy = self.server.folder().join(Self::BUSY);
        let done = match refuses {
            true => std::fs::write(busy, []),
            false => std::fs::remove_file(busy),
        };
        done.expect("its folder can be written");
    }

    /// Bytes that were answered of objects whose keys hold this text.
    ///
    /// # Panics
    /// When its folder cannot be read.
    #[must_use]
    pub fn read_of(&self, key: &str) -> u64 {
        let reads = std::fs::read_to_string(self.server.folder().join(Self::READS));
        let reads = reads.expect("its folder can be read");
        let reads = reads.lines().filter_map(|line| line.split_once(' '));
        let its = reads.filter(|(_, read)| read.contains(key));
        its.filter_map(|(bytes, _)| bytes.parse::<u64>().ok()).sum()
    }

    /// Its process, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// Beside the test that runs: `target/debug/deps/it-...` and `target/debug/examples/s3`.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("it is in target/*/deps");
    let program = profile.join("examples/s3");
    if !program.is_file() {
        build(profile);
    }
    assert!(
        program.is_file(),
        "{} is missing. Build it with: cargo build -p mediaflow-servers --example s3",
        program.display()
    );
    program
}

/// Where only one crate is tested, nobody has built the example of this one.
fn build(profile: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "-p",
        "mediaflow-servers",
        "--example",
        "s3",
    ]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command
        .arg("--target-dir")
        .arg(profile.parent().unwrap_or(profile));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "cargo build of the S3 server");
}
