//! The brokers there are.

use crate::place::Place;
use amqprs::channel::QueueDeleteArguments;
use amqprs::connection::{Connection, OpenConnectionArguments};
use mediaflow_broker::Broker;
use mediaflow_servers as servers;
use std::cell::RefCell;
use std::collections::HashMap;

fn open(address: &str) -> Broker {
    Broker::open(address).expect("the address can be used")
}

/// Handles of one scenario share what is in the process.
pub(crate) struct InProcess(RefCell<HashMap<String, Broker>>);

impl Place for InProcess {
    const COMPETES: bool = true;
    const GIVES_BACK: bool = true;
    const HAS_SERVER: bool = false;

    fn start() -> Self {
        Self(RefCell::default())
    }
    fn open(&self, name: &str) -> Broker {
        let mut opened = self.0.borrow_mut();
        let broker = opened.entry(name.to_owned());
        broker.or_insert_with(|| open("in-process")).clone()
    }
    fn lose(&mut self, _name: &str) {}
    fn kill(&mut self) {}
    fn restart(&mut self) {}
    fn stand_still(&self, _still: bool) {}
}

/// What all servers have in common.
macro_rules! with_server {
    ($name:ident, $restarted:expr) => {
        pub(crate) struct $name(Option<servers::$name>);

        impl $name {
            pub(crate) fn server(&self) -> &servers::$name {
                self.0.as_ref().expect("it runs")
            }
            fn signal(&self, name: &str) {
                self.server().server().signal(name).expect("it runs");
            }
            fn begin_again(&mut self) {
                let restarted: fn(servers::$name) -> servers::$name = $restarted;
                self.0 = self.0.take().map(restarted);
            }
        }
    };
}

macro_rules! usual {
    () => {
        const HAS_SERVER: bool = true;

        fn stand_still(&self, still: bool) {
            self.signal(if still { "STOP" } else { "CONT" });
        }
    };
}

with_server!(Postgres, |old| old.restarted(&[]));

impl Place for Postgres {
    const COMPETES: bool = false;
    const GIVES_BACK: bool = false;
    usual!();

    fn start() -> Self {
        Self(Some(servers::Postgres::start(&["max_connections=40"])))
    }
    fn open(&self, name: &str) -> Broker {
        let database = self.server().url("postgres");
        open(&format!("{database}?channel={name}"))
    }
    /// Nobody keeps a notification.
    fn lose(&mut self, _name: &str) {}
    fn kill(&mut self) {
        self.signal("QUIT");
    }
    fn restart(&mut self) {
        self.begin_again();
    }
}

with_server!(Redis, |old| old.restarted(&[]));

impl Place for Redis {
    const COMPETES: bool = true;
    const GIVES_BACK: bool = true;
    usual!();

    fn start() -> Self {
        Self(Some(servers::Redis::start(&[])))
    }
    fn open(&self, name: &str) -> Broker {
        open(&format!("{}?prefix={name}", self.server().url(0)))
    }
    fn lose(&mut self, _name: &str) {
        self.server().flush();
    }
    fn kill(&mut self) {
        self.signal("KILL");
    }
    fn restart(&mut self) {
        self.begin_again();
    }
}

with_server!(RabbitMq, servers::RabbitMq::restarted);

impl Place for RabbitMq {
    const COMPETES: bool = true;
    const GIVES_BACK: bool = true;
    usual!();

    fn start() -> Self {
        Self(Some(servers::RabbitMq::start()))
    }
    fn open(&self, name: &str) -> Broker {
        open(&format!("{}?prefix={name}", self.server().url()))
    }
    /// The queue is deleted under its consumers.
    fn lose(&mut self, name: &str) {
        let (port, queue) = (self.server().port(), format!("{name}.wake.image"));
        let delete = async move {
            let login = OpenConnectionArguments::new("127.0.0.1", port, "guest", "guest");
            let connection = Connection::open(&login).await.unwrap();
            let channel = connection.open_channel(None).await.unwrap();
            let delete = QueueDeleteArguments::new(&queue);
            channel.queue_delete(delete).await.unwrap();
            connection.close().await.unwrap();
        };
        let deleting =
            std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(delete));
        deleting.join().unwrap();
    }
    /// It writes down twice a second which quorum queues there are; one killed before that hangs for ever on those it made last.
    fn kill(&mut self) {
        std::thread::sleep(std::time::Duration::from_millis(1500));
        self.signal("KILL");
    }
    fn restart(&mut self) {
        self.begin_again();
    }
}

/// What speaks Kafka's protocol here forgets everything when it is killed, its port included; so its connections are.
pub(crate) struct Kafka(servers::Kafka);

impl Kafka {
    pub(crate) fn address(&self) -> &str {
        self.0.address()
    }
}

impl Place for Kafka {
    const COMPETES: bool = true;
    const GIVES_BACK: bool = false;
    const HAS_SERVER: bool = true;
    const THREADS: Option<&'static str> = Some("rdk:");

    fn start() -> Self {
        Self(servers::Kafka::start())
    }
    fn open(&self, name: &str) -> Broker {
        // Shorter times than in earnest, so that a group forgets its dead soon.
        let times =
            "session.timeout.ms=6000&heartbeat.interval.ms=500&reconnect.backoff.max.ms=1000";
        open(&format!("{}&{times}", self.0.url(name)))
    }
    fn lose(&mut self, _name: &str) {}
    fn kill(&mut self) {
        self.0.set_reachable(false);
    }
    fn restart(&mut self) {
        self.0.set_reachable(true);
    }
    fn stand_still(&self, still: bool) {
        let signal = if still { "STOP" } else { "CONT" };
        self.0.server().signal(signal).expect("it runs");
    }
}

with_server!(Sqs, servers::Sqs::restarted);

impl Sqs {
    pub(crate) fn open_with(&self, name: &str, more: &str) -> Broker {
        crate::sqs::give_keys();
        let endpoint = self.server().endpoint();
        open(&format!(
            "sqs://eu-west-1/{name}?endpoint={endpoint}&wait=1{more}"
        ))
    }
}

impl Place for Sqs {
    const COMPETES: bool = true;
    const GIVES_BACK: bool = true;
    usual!();

    fn start() -> Self {
        Self(Some(servers::Sqs::start()))
    }
    fn open(&self, name: &str) -> Broker {
        self.open_with(name, "")
    }
    fn lose(&mut self, _name: &str) {
        self.server().reset();
    }
    fn kill(&mut self) {
        self.signal("KILL");
    }
    fn restart(&mut self) {
        self.begin_again();
    }
}
