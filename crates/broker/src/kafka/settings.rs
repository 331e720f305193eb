//! What the address says, and what librdkafka is told.

use super::{NAME, failed};
use crate::BrokerError;
use crate::address::Address;
use mediaflow_core::Queue;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;

/// Lanes by what they mean; a topic for each number would be too many.
const PRIORITIES: [&str; 3] = ["high", "normal", "idle"];

pub(super) struct Settings {
    servers: String,
    pub(super) prefix: String,
    group: String,
    /// Those with a dot in their name are librdkafka's own.
    own: BTreeMap<String, String>,
    login: Option<(String, String)>,
    pub(super) create: bool,
    pub(super) partitions: i32,
    pub(super) replication: i32,
}

impl Settings {
    pub(super) fn read(mut address: Address) -> Result<Self, BrokerError> {
        if address.authority.is_empty() {
            let message =
                "the address must be kafka://[user:password@]host[:port][,host...][/prefix]";
            return Err(BrokerError::permanent(NAME, message));
        }
        let prefix = match address.path.as_str() {
            "" => "mediaflow".to_owned(),
            path => path.to_owned(),
        };
        let settings = Self {
            servers: address.authority.clone(),
            group: address.take("group", format!("{prefix}-workers"))?,
            prefix,
            create: address.take("create", true)?,
            partitions: address.take("partitions", 12)?,
            replication: address.take("replication", -1)?,
            own: address.take_where(|name| name.contains('.')),
            login: address.user.clone().zip(address.password.clone()),
        };
        address.nothing_left()?;
        let is_plain = settings.own.contains_key("security.protocol");
        if settings.login.is_some() && !is_plain && !cfg!(feature = "kafka-tls") {
            let message = "a user and a password mean TLS, which this program was built without: build it with --features kafka-tls, or give security.protocol";
            return Err(BrokerError::permanent(NAME, message));
        }
        // librdkafka knows its settings and says at once which it does not; this asks no network.
        for config in [settings.client(), settings.producer(), settings.consumer()] {
            config.create_native_config().map_err(failed)?;
        }
        Ok(settings)
    }

    /// What all clients share. Whatever the address says wins.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("client.id", "mediaflow")
            .set("socket.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "5000")
            // It is silent by default about what matters, and loud about what does not.
            .set("log.connection.close", "false");
        if let Some((user, password)) = &self.login {
            config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", user)
                .set("sasl.password", password);
        }
        self.with_own(config)
    }

    /// A ring wants to be early: batches form only of what comes within five milliseconds.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("linger.ms", "5")
            .set("acks", "1")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "16384");
        self.with_own(config)
    }

    /// An offset is stored when its ring is acknowledged, and committed every second.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "1000")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "30000")
            .set("allow.auto.create.topics", "true")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", "65536")
            .set("queued.min.messages", "100")
            .set("queued.max.messages.kbytes", "1024");
        self.with_own(config)
    }

    pub(super) fn with_own(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.own {
            config.set(name, value);
        }
        config
    }

    pub(super) fn topic(&self, queue: Queue, lane: u8) -> String {
        let priority = match lane {
            0 => 0,
            1..=8 => 1,
            _ => 2,
        };
        self.named(queue, PRIORITIES[priority])
    }

    /// All topics of these queues.
    pub(super) fn topics(&self, queues: &[Queue]) -> Vec<String> {
        let of = |&queue: &Queue| PRIORITIES.map(|priority| self.named(queue, priority));
        queues.iter().flat_map(of).collect()
    }

    fn named(&self, queue: Queue, priority: &str) -> String {
        format!("{}.wake.{}.{priority}", self.prefix, queue.as_str())
    }
}
