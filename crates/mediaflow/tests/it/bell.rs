//! A broker of any kind, to which things are done.

use mediaflow_servers::{Kafka, RabbitMq, Redis, Server, Sqs};
use std::time::Duration;

pub(crate) enum Bell {
    Kafka(Kafka),
    RabbitMq(RabbitMq),
    Redis(Redis),
    Sqs(Sqs),
}

impl Bell {
    /// By the first word of its address.
    pub(crate) fn start(kind: &str) -> Self {
        match kind {
            "kafka" => Self::Kafka(Kafka::start()),
            "amqp" => Self::RabbitMq(RabbitMq::start()),
            "redis" => Self::Redis(Redis::start(&[])),
            "sqs" => Self::Sqs(Sqs::start()),
            _ => panic!("BROKER must be kafka, amqp, redis or sqs and not {kind:?}"),
        }
    }

    /// As the configuration has it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Kafka(kafka) => kafka.url("mediaflow"),
            Self::RabbitMq(rabbit) => rabbit.url(),
            Self::Redis(redis) => redis.url(0),
            Self::Sqs(sqs) => format!("sqs://eu-west-1/chaos?endpoint={}", sqs.endpoint()),
        }
    }

    fn server(&self) -> &Server {
        match self {
            Self::Kafka(kafka) => kafka.server(),
            Self::RabbitMq(rabbit) => rabbit.server(),
            Self::Redis(redis) => redis.server(),
            Self::Sqs(sqs) => sqs.server(),
        }
    }

    /// Killed and started again. Kafka's would forget its port, so it only drops its connections and refuses new ones for a moment.
    pub(crate) async fn killed(self) -> Self {
        match self {
            Self::Kafka(kafka) => {
                kafka.set_reachable(false);
                tokio::time::sleep(Duration::from_secs(2)).await;
                kafka.set_reachable(true);
                Self::Kafka(kafka)
            }
            Self::RabbitMq(rabbit) => Self::RabbitMq(rabbit.restarted()),
            Self::Redis(redis) => Self::Redis(redis.restarted(&[])),
            Self::Sqs(sqs) => Self::Sqs(sqs.restarted()),
        }
    }

    pub(crate) async fn frozen(&self, time: Duration) {
        self.server().signal("STOP").unwrap();
        tokio::time::sleep(time).await;
        self.server().signal("CONT").unwrap();
    }
}
