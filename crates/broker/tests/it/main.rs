//! One suite over every broker, against real servers: what is announced is heard, whatever a broker does to its listeners, they
//! come back by themselves, and events arrive in their order.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of this is test code, also what is no test itself"
)]

mod claims;
mod idle;
mod kafka;
mod outlets;
mod place;
mod places;
mod sqs;
mod suite;

use places::{InProcess, Kafka, Postgres, RabbitMq, Redis, Sqs};

/// All scenarios on one kind of broker: what disturbs nobody happens all at once, what does happens after it.
macro_rules! conforms {
    ($place:ident $(+ $own:path)* $(; then $last:path)*) => {
        || place::on(async |stage: &place::Stage<$place>| {
            tokio::join!(
                stage.play(suite::heard),
                stage.play(suite::own_queues),
                stage.play(suite::many),
                stage.play(suite::dies),
                stage.play(suite::given_back),
                stage.play(claims::all_are_claimed),
                $(stage.play($own),)*
            );
            stage.play(suite::lost).await;
            stage.play(suite::stopped).await;
            $(stage.play($last).await;)*
        })
    };
}

/// One test, because its kinds wait most of the time, and so for each other.
#[test]
fn every_broker_conforms() {
    let kinds: [(&str, fn()); 6] = [
        ("rabbitmq", conforms!(RabbitMq + suite::rung_first)),
        (
            "kafka",
            conforms!(
                Kafka
                    + kafka::a_rebalance_in_the_middle_of_a_claim_is_survived
                    + kafka::settings_of_the_library_can_be_given
                    + outlets::kafka
            ),
        ),
        (
            "sqs",
            conforms!(Sqs
                + sqs::a_dead_letter_queue_stays_empty
                + sqs::a_queue_that_is_not_there_and_may_not_be_made_is_said
                + sqs::fifo_queues_ring_again_for_the_same_task
                + outlets::sqs
                + outlets::sns; then suite::killed),
        ),
        (
            "redis",
            conforms!(Redis + outlets::redis; then suite::killed),
        ),
        ("postgres", conforms!(Postgres; then suite::killed)),
        ("in_process", conforms!(InProcess)),
    ];
    let began = std::time::Instant::now();
    let threads = kinds.map(|(name, kind)| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let timed = move || {
            kind();
            began.elapsed()
        };
        (name, thread.spawn(timed).unwrap())
    });
    let ended = threads.map(|(name, thread)| (name, thread.join().ok()));
    assert!(ended.iter().all(|(_, time)| time.is_some()), "{ended:?}");
    println!("{ended:?}");
}

#[test]
#[ignore = "starting again takes long: make brokers"]
fn rabbitmq_and_kafka_may_be_killed() {
    place::on(async |stage: &place::Stage<RabbitMq>| stage.play(suite::killed).await);
    place::on(async |stage: &place::Stage<Kafka>| stage.play(suite::killed).await);
}
