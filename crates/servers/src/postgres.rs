//! PostgreSQL.

use crate::certificate;
use crate::port::free_port;
use crate::process::{Missing, Program, Server, find};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PLACES: [&str; 1] = ["/usr/lib/postgresql/*/bin"];
const INSTALL: &str = "scripts/install.sh servers (or: apt-get install postgresql)";

/// A PostgreSQL server with an empty cluster. Its superuser is `mediaflow`, without a password.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    port: u16,
}

impl Postgres {
    /// Makes a cluster and starts it. `settings` are lines for `postgresql.conf`, such as `max_connections = 50`.
    ///
    /// Nothing is synced to the disk: a cluster that dies with the machine is of no use to a test. A test of durability says
    /// `fsync = on`.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, with the command that installs it, or does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::run(Self::made(), free_port(), settings)
    }

    /// The same, encrypted: with a certificate for 127.0.0.1 that only its own file vouches for.
    ///
    /// # Panics
    /// When PostgreSQL or OpenSSL is not installed, with the command that installs it, or does not start.
    #[must_use]
    pub fn start_encrypted() -> (Self, PathBuf) {
        let folder = Self::made();
        let (key, certificate) = certificate::made_in(folder.path());
        give_away(&key);
        give_away(&certificate);
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_key_file={}", key.display()),
            format!("ssl_cert_file={}", certificate.display()),
        ];
        let settings = settings.each_ref().map(String::as_str);
        (Self::run(folder, free_port(), &settings), certificate)
    }

    /// A folder with a new cluster in it.
    fn made() -> TempDir {
        let folder = tempfile::Builder::new()
            .prefix("mediaflow-postgres-")
            .tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        let data = folder.path().join("data");
        give_away(folder.path());
        let mut init = as_other(&program("initdb"));
        init.args([
            "--auth=trust",
            "--username=mediaflow",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-D",
        ]);
        let made = init
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .expect("initdb can be started");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        folder
    }

    fn run(folder: TempDir, port: u16, settings: &[&str]) -> Self {
        let mut command = as_other(&program("postgres"));
        command.arg("-D").arg(folder.path().join("data"));
        let number = format!("port={port}");
        let own = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            &number,
        ];
        for setting in own.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let is_ready = || {
            let mut ask = Command::new(program("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
            ask.stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        // QUIT ends it without a checkpoint, and unlike KILL leaves no shared memory behind.
        let program = Program {
            command,
            end: "QUIT",
        };
        let server = Server::start(&program, folder, Duration::from_secs(60), is_ready);
        Self { server, port }
    }

    /// The same cluster after its server was killed, on the same port.
    #[must_use]
    pub fn restarted(self, settings: &[&str]) -> Self {
        Self::run(self.server.into_folder(), self.port, settings)
    }

    /// A database that is empty, made when it is not there.
    ///
    /// # Panics
    /// When the server does not make it.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let mut create = Command::new(program("createdb"));
        create.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "mediaflow",
            name,
        ]);
        let made = create.output().expect("createdb can be started");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(
            made.status.success() || said.contains("already exists"),
            "createdb: {said}"
        );
        self.url(name)
    }

    /// What a query answers: a line for each row, with `|` between columns. Nothing where the server does not answer.
    #[must_use]
    pub fn query(&self, database: &str, sql: &str) -> Vec<String> {
        let mut ask = Command::new(program("psql"));
        ask.args(["-X", "-A", "-t", "-c", sql, &self.url(database)]);
        let answer = ask.output().expect("psql can be started");
        let text = String::from_utf8_lossy(&answer.stdout);
        text.lines().map(str::to_owned).collect()
    }

    /// Where a database of that name is, or would be; `postgres` always is.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("postgres://mediaflow@127.0.0.1:{}/{name}", self.port)
    }

    /// Its processes, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

fn program(name: &str) -> PathBuf {
    find(name, &PLACES, INSTALL).unwrap_or_else(|missing: Missing| panic!("{missing}"))
}

/// PostgreSQL refuses to run as root; then it runs as `nobody`.
fn as_other(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program);
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        let status = Command::new("chown")
            .arg("nobody:nogroup")
            .arg(folder)
            .status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "chown {}",
            folder.display()
        );
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("Uid:\t") && line.split('\t').nth(2) == Some("0"))
}
