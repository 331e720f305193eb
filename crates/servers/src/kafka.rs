//! Something that speaks Kafka's protocol: the test cluster inside librdkafka. It knows topics, consumer groups with rebalancing and
//! commits, and keeps everything in memory; it makes topics when they are first used and not on request.
//!
//! A real Kafka is not packaged where these tests install from, and others that speak its protocol take longer to build than all else.

use crate::process::{Program, Server};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const INSTALL: &str = "scripts/install.sh servers (or: apt-get install librdkafka1 python3)";
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("kafka.py");

/// A cluster of one broker.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    address: String,
}

impl Kafka {
    /// Starts it.
    ///
    /// # Panics
    /// When librdkafka or Python is not installed, with the command that installs them, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        assert!(
            Path::new(PYTHON).is_file(),
            "python3 is missing. Install it with: {INSTALL}"
        );
        let folder = tempfile::Builder::new()
            .prefix("mediaflow-kafka-")
            .tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        let file = folder.path().join("address");
        let mut command = Command::new(PYTHON);
        command.args(["-c", SCRIPT]).arg(&file);
        let program = Program {
            command,
            end: "KILL",
        };
        let mut address = String::new();
        let server = Server::start(&program, folder, Duration::from_secs(20), || {
            address = std::fs::read_to_string(&file).unwrap_or_default();
            address.ends_with('\n')
        });
        Self {
            server,
            address: address.trim().to_owned(),
        }
    }

    /// Its address: `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same as MediaFlow's configuration has it. This cluster makes topics when they are used, but never answers who asks it to
    /// make one; so consumers must look for new ones themselves.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        let address = &self.address;
        format!("kafka://{address}/{prefix}?create=false&topic.metadata.refresh.interval.ms=500")
    }

    /// Drops all connections and refuses new ones, or accepts them again.
    ///
    /// # Panics
    /// When its process is gone.
    pub fn set_reachable(&self, reachable: bool) {
        let signal = if reachable { "USR2" } else { "USR1" };
        self.server.signal(signal).expect("it runs");
    }

    /// Its process, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}
