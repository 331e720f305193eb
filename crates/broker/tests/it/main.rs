//! One suite over every broker, against real servers: what is announced is heard, and whatever a broker does to its listeners, they
//! come back by themselves.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly, too")]

mod claims;
mod idle;
mod kafka;
mod place;
mod places;
mod sqs;
mod suite;

/// Scenarios for brokers with a server of their own.
macro_rules! conforms {
    ($($name:ident: $place:ty;)*) => {$(
        mod $name {
            use crate::{claims, place::on, suite};
            type Place = $place;

            #[test]
            fn rings_are_heard_and_those_acknowledged_not_again() {
                on::<Place, _>(suite::heard);
            }
            #[test]
            fn listeners_hear_their_queues_only() {
                on::<Place, _>(suite::own_queues);
            }
            #[test]
            fn many_rings_are_heard_and_few_are_held() {
                on::<Place, _>(suite::many);
            }
            #[test]
            fn a_listener_that_dies_with_a_ring_blocks_nobody() {
                on::<Place, _>(suite::dies);
            }
            #[test]
            fn a_ring_given_back_is_heard_again() {
                on::<Place, _>(suite::given_back);
            }
            #[test]
            fn listeners_survive_that_everything_is_lost() {
                on::<Place, _>(suite::lost);
            }
            #[test]
            fn listeners_survive_a_server_that_is_killed() {
                on::<Place, _>(suite::killed);
            }
            #[test]
            fn listeners_survive_a_server_that_stands_still() {
                on::<Place, _>(suite::stopped);
            }
            #[test]
            fn every_task_is_claimed_once_whatever_happens_to_rings() {
                on::<Place, _>(claims::all_are_claimed);
            }
        }
    )*};
}

conforms! {
    in_process: crate::places::InProcess;
    postgres: crate::places::Postgres;
    redis: crate::places::Redis;
    rabbitmq: crate::places::RabbitMq;
    kafka_cluster: crate::places::Kafka;
    sqs_standard: crate::places::Sqs;
}
