//! Redis.

use crate::port::free_port;
use crate::process::{Missing, Program, Server, find};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const INSTALL: &str = "scripts/install.sh servers (or: apt-get install redis-server)";

/// A Redis server that keeps everything in memory.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    port: u16,
}

impl Redis {
    /// Starts it. `settings` are lines of `redis.conf`, such as `appendonly yes`.
    ///
    /// # Panics
    /// When Redis is not installed, with the command that installs it, or does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mediaflow-redis-")
            .tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        Self::run(folder, free_port(), settings)
    }

    fn run(folder: TempDir, port: u16, settings: &[&str]) -> Self {
        let mut text = format!("bind 127.0.0.1\nport {port}\nsave \"\"\ndaemonize no\n");
        for setting in settings {
            text.extend([setting, "\n"]);
        }
        let file = folder.path().join("redis.conf");
        std::fs::write(&file, text).expect("its folder can be written");
        let found = find("redis-server", &[], INSTALL);
        let mut command =
            Command::new(found.unwrap_or_else(|missing: Missing| panic!("{missing}")));
        command.arg(file);
        let program = Program {
            command,
            end: "KILL",
        };
        let server = Server::start(&program, folder, Duration::from_secs(20), || {
            ask(port, "PING").starts_with("+PONG")
        });
        Self { server, port }
    }

    /// The server again after it was killed, on the same port. What it did not write to disk is gone.
    #[must_use]
    pub fn restarted(self, settings: &[&str]) -> Self {
        Self::run(self.server.into_folder(), self.port, settings)
    }

    /// Its address, with this database.
    #[must_use]
    pub fn url(&self, database: u8) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Forgets everything.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn flush(&self) {
        let said = ask(self.port, "FLUSHALL");
        assert!(said.starts_with("+OK"), "FLUSHALL: {said}");
    }

    /// Its process, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// One command in the form that people type, and the beginning of its answer; nothing when there is none.
fn ask(port: u16, command: &str) -> String {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "{command}\r\n")?;
        let mut bytes = [0; 256];
        let length = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    answer().unwrap_or_default()
}
