//! Redis 6.2 or later, or Valkey: a stream and a consumer group for each queue. Streams are cut by length, so that a Redis nobody
//! listens to stays small; whatever is cut is found by polling.

pub(crate) mod events;
mod speak;

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source, Verdict};
use crate::address::Address;
use crate::{BrokerError, Ring};
use ::redis::aio::MultiplexedConnection;
use ::redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};
use ::redis::{Pipeline, RedisError, cmd, pipe};
use async_trait::async_trait;
use mediaflow_core::Queue;
use speak::Speaker;
use std::time::{Duration, Instant};
use uuid::Uuid;

const NAME: &str = "redis";
const GROUP: &str = "workers";
const FIELD: &str = "ring";
/// Entries taken at once.
const BATCH: usize = 32;
/// How long the server holds a question for new entries. Bounds how long a connection that died in silence is believed.
const BLOCK: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// An entry that was delivered this long ago and not acknowledged goes to another consumer.
const ABANDONED_AFTER: Duration = Duration::from_secs(30);
/// A consumer that asked for nothing this long, and holds nothing, is removed.
const CONSUMER_GONE_AFTER: Duration = Duration::from_secs(3600);

pub(crate) struct Redis {
    speaker: Speaker,
    prefix: String,
    length: u32,
}

impl Redis {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let prefix = address.take("prefix", "mediaflow".to_owned())?;
        let length = address.take("length", 10_000)?;
        address.nothing_left()?;
        Ok(Self {
            speaker: Speaker::new(&address)?,
            prefix,
            length,
        })
    }

    /// The braces keep all streams in one slot of a cluster.
    fn stream(&self, queue: Queue) -> String {
        format!("{{{}}}:wake:{}", self.prefix, queue.as_str())
    }

    async fn create_groups(
        &self,
        connection: &mut MultiplexedConnection,
        streams: &[String],
    ) -> Result<(), BrokerError> {
        for stream in streams {
            let mut create = cmd("XGROUP");
            create.arg("CREATE").arg(stream).arg(GROUP);
            let made = create.arg("0").arg("MKSTREAM").exec_async(connection).await;
            match made {
                Err(error) if error.code() != Some("BUSYGROUP") => return Err(failed(error)),
                _ => self.remove_gone(connection, stream).await?,
            }
        }
        Ok(())
    }

    /// Every listener is a consumer with a name of its own; those of processes that died are left over.
    async fn remove_gone(
        &self,
        connection: &mut MultiplexedConnection,
        stream: &str,
    ) -> Result<(), BrokerError> {
        let mut ask = cmd("XINFO");
        let consumers: ::redis::streams::StreamInfoConsumersReply = ask
            .arg("CONSUMERS")
            .arg(stream)
            .arg(GROUP)
            .query_async(connection)
            .await
            .map_err(failed)?;
        for consumer in consumers.consumers {
            let gone = consumer.idle as u128 > CONSUMER_GONE_AFTER.as_millis();
            if gone && consumer.pending == 0 {
                let mut remove = cmd("XGROUP");
                remove.arg("DELCONSUMER").arg(stream).arg(GROUP);
                remove
                    .arg(consumer.name)
                    .exec_async(connection)
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn add(pipeline: &mut Pipeline, stream: &str, length: u32, ring: Ring) {
    let add = pipeline.cmd("XADD").arg(stream);
    let add = add.arg("MAXLEN").arg("~").arg(length);
    add.arg("*").arg(FIELD).arg(ring.to_line()).ignore();
}

/// Where an entry is.
pub(crate) struct Entry {
    stream: usize,
    id: String,
}

#[async_trait]
impl Adapter for Redis {
    type Receipt = Entry;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        let mut pipeline = pipe();
        for &ring in rings {
            add(&mut pipeline, &self.stream(ring.queue), self.length, ring);
        }
        self.speaker.ask(&pipeline).await
    }

    async fn health(&self) -> Result<(), BrokerError> {
        self.speaker.health().await
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<Entry>, BrokerError> {
        let streams: Vec<String> = queues.iter().map(|&queue| self.stream(queue)).collect();
        let mut settling = self.speaker.connect(ANSWER_MAX).await?;
        self.create_groups(&mut settling, &streams).await?;
        let source = Ear {
            connection: self.speaker.connect(BLOCK + ANSWER_MAX).await?,
            consumer: Uuid::new_v4().to_string(),
            streams: streams.clone(),
            adopted_at: Instant::now(),
        };
        Ok(Halves {
            source: Box::new(source),
            settler: Box::new(Back {
                connection: settling,
                streams,
                length: self.length,
            }),
        })
    }
}

struct Ear {
    connection: MultiplexedConnection,
    consumer: String,
    streams: Vec<String>,
    adopted_at: Instant,
}

#[async_trait]
impl Source<Entry> for Ear {
    async fn receive(&mut self) -> Result<Vec<Received<Entry>>, BrokerError> {
        if self.adopted_at.elapsed() > ABANDONED_AFTER {
            let adopted = self.adopt().await?;
            self.adopted_at = Instant::now();
            if !adopted.is_empty() {
                return Ok(adopted);
            }
        }
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.consumer);
        read.arg("COUNT").arg(BATCH);
        read.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        read.arg("STREAMS").arg(&self.streams);
        for _ in &self.streams {
            read.arg(">");
        }
        let reply: Option<StreamReadReply> = read
            .query_async(&mut self.connection)
            .await
            .map_err(failed)?;
        let keys = reply.map(|reply| reply.keys).unwrap_or_default();
        let received = keys.into_iter().flat_map(|key| {
            let stream = self.streams.iter().position(|s| *s == key.key);
            key.ids
                .into_iter()
                .filter_map(move |id| Some(received(stream?, id)))
        });
        Ok(received.collect())
    }
}

impl Ear {
    /// Takes over what others were given and did not acknowledge.
    async fn adopt(&mut self) -> Result<Vec<Received<Entry>>, BrokerError> {
        let mut adopted = Vec::new();
        for (index, stream) in self.streams.iter().enumerate() {
            let mut claim = cmd("XAUTOCLAIM");
            claim.arg(stream).arg(GROUP).arg(&self.consumer);
            claim.arg(ABANDONED_AFTER.as_millis() as u64).arg("0-0");
            let reply: StreamAutoClaimReply = claim
                .arg("COUNT")
                .arg(BATCH)
                .query_async(&mut self.connection)
                .await
                .map_err(failed)?;
            adopted.extend(reply.claimed.into_iter().map(|id| received(index, id)));
        }
        Ok(adopted)
    }
}

fn received(stream: usize, entry: StreamId) -> Received<Entry> {
    let line: Option<String> = entry.get(FIELD);
    Received {
        ring: line.as_deref().and_then(Ring::from_line),
        receipt: Entry {
            stream,
            id: entry.id,
        },
    }
}

struct Back {
    connection: MultiplexedConnection,
    streams: Vec<String>,
    length: u32,
}

#[async_trait]
impl Settle<Entry> for Back {
    async fn settle(&mut self, settled: Vec<Settled<Entry>>) -> Result<(), BrokerError> {
        let mut pipeline = pipe();
        for Settled { receipt, verdict } in settled {
            let stream = &self.streams[receipt.stream];
            // A stream cannot take an entry back, but have it again.
            if let Verdict::GivenBack(ring) = verdict {
                add(&mut pipeline, stream, self.length, ring);
            }
            let acknowledge = pipeline.cmd("XACK").arg(stream).arg(GROUP);
            acknowledge.arg(receipt.id).ignore();
        }
        pipeline
            .exec_async(&mut self.connection)
            .await
            .map_err(failed)
    }
}

fn failed(error: RedisError) -> BrokerError {
    match error.code() {
        // No right, no such user, wrong password, or a key of ours that is something else.
        Some("NOPERM" | "WRONGPASS" | "NOAUTH" | "WRONGTYPE") => {
            BrokerError::permanent(NAME, error)
        }
        _ => BrokerError::transient(NAME, error),
    }
}
