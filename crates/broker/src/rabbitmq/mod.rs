//! RabbitMQ 3.10 or later: a quorum queue for each queue of ours, filled with publisher confirms. Queues keep the newest rings, so
//! that one which nobody hears stays small.

mod connect;
mod consume;
mod publish;

use crate::adapter::{Adapter, Halves};
use crate::address::Address;
use crate::{BrokerError, Ring};
use amqprs::channel::{Channel, QueueDeclareArguments};
use amqprs::{FieldTable, FieldValue};
use async_trait::async_trait;
use connect::{Connected, Login, failed};
use consume::{Back, Ear};
use mediaflow_core::Queue;
use publish::Publisher;
use tokio::sync::Mutex;

const NAME: &str = "rabbitmq";

pub(crate) struct RabbitMq {
    login: Login,
    queues: Queues,
    publisher: Mutex<Option<Publisher>>,
}

/// How queues are named and made.
#[derive(Clone)]
struct Queues {
    prefix: String,
    length: i64,
    create: bool,
}

impl RabbitMq {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let queues = Queues {
            prefix: address.take("prefix", "mediaflow".to_owned())?,
            length: address.take("length", 10_000)?,
            create: address.take("create", true)?,
        };
        address.nothing_left()?;
        Ok(Self {
            login: Login::new(&address)?,
            queues,
            publisher: Mutex::default(),
        })
    }
}

impl Queues {
    fn name(&self, queue: Queue) -> String {
        format!("{}.wake.{}", self.prefix, queue.as_str())
    }

    /// Makes the queue where it is not there; an operator who makes them has said `create=false`.
    async fn declare(&self, channel: &Channel, queue: Queue) -> Result<(), BrokerError> {
        let mut declare = QueueDeclareArguments::durable_client_named(&self.name(queue));
        if self.create {
            let mut arguments = FieldTable::new();
            let mut set = |name: &str, value: FieldValue| {
                let name = name.try_into().expect("it is shorter than 256 bytes");
                arguments.insert(name, value);
            };
            let word = |word: &str| FieldValue::S(word.try_into().expect("it is short"));
            set("x-queue-type", word("quorum"));
            set("x-overflow", word("drop-head"));
            set("x-max-length", FieldValue::l(self.length));
            declare.arguments(arguments);
        } else {
            declare.passive(true);
        }
        channel.queue_declare(declare).await.map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl Adapter for RabbitMq {
    type Receipt = u64;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        let mut place = self.publisher.lock().await;
        // One that fails, or is given up on while it works, is not used again.
        let mut publisher = match place.take().filter(Publisher::is_open) {
            Some(publisher) => publisher,
            None => Publisher::connect(&self.login).await?,
        };
        publisher.publish(&self.queues, rings).await?;
        *place = Some(publisher);
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        let connected = Connected::open(&self.login).await?;
        // The answer to this close comes from the server.
        connected.close().await
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<u64>, BrokerError> {
        let ear = Ear::open(&self.login, &self.queues, queues).await?;
        let back = Back(ear.channel());
        Ok(Halves {
            source: Box::new(ear),
            settler: Box::new(back),
        })
    }
}
