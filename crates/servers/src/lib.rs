//! Real servers for tests: each starts on a free loopback port with a folder of its own, and is gone when its value is dropped or
//! the process that started it ends, in whatever way. A program that is not installed is an error that says what installs it.
//!
//! One file for each server; it knows how to start that server and when it answers, and nothing of MediaFlow.

#![forbid(unsafe_code)]

pub mod certificate;
mod kafka;
mod port;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod s3;
mod sqs;

pub use kafka::Kafka;
pub use port::free_port;
pub use postgres::Postgres;
pub use process::Server;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use s3::S3;
pub use sqs::Sqs;
