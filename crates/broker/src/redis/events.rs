//! Events to Redis: a stream for each kind, cut by length.

use super::NAME;
use super::speak::Speaker;
use crate::BrokerError;
use crate::address::Address;
use crate::outlet::{Outgoing, Way};
use ::redis::pipe;
use async_trait::async_trait;

/// About a day of a hundred events a minute; what nobody read by then is gone from the stream, and still in the store.
const LENGTH: u32 = 100_000;

pub(crate) struct RedisEvents {
    speaker: Speaker,
    prefix: String,
    length: u32,
}

impl RedisEvents {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let prefix = address.take("prefix", "mediaflow".to_owned())?;
        let length = address.take("length", LENGTH)?;
        address.nothing_left()?;
        Ok(Self {
            speaker: Speaker::new(&address)?,
            prefix,
            length,
        })
    }
}

#[async_trait]
impl Way for RedisEvents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps_order(&self) -> bool {
        // All or nothing, on one connection.
        true
    }

    async fn send(&self, events: Outgoing<'_>) -> Result<(), BrokerError> {
        let mut pipeline = pipe();
        pipeline.atomic();
        for event in events {
            let stream = format!("{{{}}}:events:{}", self.prefix, event.topic);
            let add = pipeline.cmd("XADD").arg(stream);
            let add = add.arg("MAXLEN").arg("~").arg(self.length).arg("*");
            let add = add.arg("id").arg(event.id.to_string());
            let add = add.arg("type").arg(event.kind);
            add.arg("event").arg(&event.body).ignore();
        }
        self.speaker.ask(&pipeline).await
    }

    async fn health(&self) -> Result<(), BrokerError> {
        self.speaker.health().await
    }
}
