//! SQS as moto plays it.

use crate::port::free_port;
use crate::process::{Program, Server};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const INSTALL: &str = "scripts/install.sh servers";
const PLACE: &str = "../../.tools/moto/bin/moto_server";

/// A moto server: SQS and the other services of AWS that moto has, in memory, for any key.
#[derive(Debug)]
pub struct Sqs {
    server: Server,
    port: u16,
}

impl Sqs {
    /// Starts it.
    ///
    /// # Panics
    /// When moto is not installed, with the command that installs it, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::run(free_port())
    }

    fn run(port: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("mediaflow-sqs-").tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        let mut command = Command::new(program());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let program = Program {
            command,
            end: "KILL",
        };
        let is_ready = || ask(port, "GET", "/moto-api/").starts_with("HTTP/1.1 200");
        let server = Server::start(&program, folder, Duration::from_secs(60), is_ready);
        Self { server, port }
    }

    /// A new one on the same port, after the old one was killed. It remembers nothing.
    #[must_use]
    pub fn restarted(self) -> Self {
        let port = self.port;
        drop(self);
        Self::run(port)
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets everything, queues included.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn reset(&self) {
        let said = ask(self.port, "POST", "/moto-api/reset");
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    /// Its process, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

fn program() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(PLACE);
    assert!(
        place.is_file(),
        "moto_server is missing. Install it with: {INSTALL}"
    );
    place
}

/// A request and the beginning of its answer; nothing when there is none.
fn ask(port: u16, method: &str, path: &str) -> String {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: moto\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut bytes = [0; 256];
        let length = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    };
    answer().unwrap_or_default()
}
