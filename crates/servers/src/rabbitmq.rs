//! RabbitMQ.

use crate::port::free_port;
use crate::process::{Missing, Program, Server, find};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PLACES: [&str; 1] = ["/usr/lib/rabbitmq/bin"];
const INSTALL: &str = "scripts/install.sh servers (or: apt-get install rabbitmq-server)";
/// Erlang's virtual machine spins while it has nothing to do, unless it is told not to; tests share their processors.
const QUIET: &str = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none";

/// A node would start a daemon that knows nodes by their names, and leave it behind; this one ends with the node's group.
const WITH_NAMES: &str = "epmd & exec \"$0\"";

/// A RabbitMQ node. Its user is `guest` with the password `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    port: u16,
    names: u16,
}

impl RabbitMq {
    /// Starts a node without plugins.
    ///
    /// # Panics
    /// When RabbitMQ is not installed, with the command that installs it, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mediaflow-rabbitmq-")
            .tempdir();
        let folder = folder.expect("the folder for temporary files can be written");
        Self::run(folder, free_port(), free_port())
    }

    fn run(folder: TempDir, port: u16, names: u16) -> Self {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("its folder can be written");
            path
        };
        // The programs in /usr/sbin would change the user; this one does not.
        let found = find_elsewhere("rabbitmq-server");
        let mut command = Command::new("sh");
        command.args(["-c", WITH_NAMES]).arg(found);
        command
            .env("HOME", folder.path())
            .env("RABBITMQ_NODENAME", format!("mediaflow-{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.path().join("data"))
            .env("RABBITMQ_LOG_BASE", folder.path())
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", folder.path().join("pid"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", folder.path().join("flags"))
            .env("RABBITMQ_CONF_ENV_FILE", file("env.conf", ""))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins", "[]."))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", QUIET)
            .env("ERL_EPMD_PORT", names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let settings = "log.console.level = warning\nvm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n";
        let settings = file("rabbitmq.conf", settings);
        command.env("RABBITMQ_CONFIG_FILE", settings.with_extension(""));
        let program = Program {
            command,
            end: "KILL",
        };
        let is_ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let server = Server::start(&program, folder, Duration::from_secs(120), is_ready);
        Self {
            server,
            port,
            names,
        }
    }

    /// The same node after it was killed, on the same port and files.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self::run(self.server.into_folder(), self.port, self.names)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// The port of its address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its processes, to be stopped and killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

fn find_elsewhere(name: &str) -> std::path::PathBuf {
    let place = std::path::Path::new(PLACES[0]).join(name);
    if place.is_file() {
        return place;
    }
    find(name, &PLACES, INSTALL).unwrap_or_else(|missing: Missing| panic!("{missing}"))
}
