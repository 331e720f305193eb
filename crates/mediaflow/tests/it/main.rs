//! The real binary, as its users meet it: started, stopped, killed, fed and asked.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // all of this is test code, also what is no test itself

mod audio;
mod bell;
mod brokers;
mod buckets;
mod chaos;
mod classifier;
mod cluster;
mod crowd;
mod films;
mod front;
mod full;
mod given;
mod hostile;
mod imports;
mod ingest;
mod keys;
mod kill;
mod logs;
mod memory;
mod moving;
mod observability;
mod operators;
mod pictures;
mod pieces;
mod promql;
mod readme;
mod references;
mod resume;
mod review;
mod sandboxless;
mod serve;
mod server;
mod sign;
mod sounds;
mod storage_events;
mod synthetic;
mod traces;
mod transport;
mod uploads;
mod via;
mod video;
mod watches;
mod workers;
