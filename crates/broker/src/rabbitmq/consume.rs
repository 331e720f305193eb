//! Hearing, and acknowledging on the same channel: a delivery's tag means nothing on another one.

use super::connect::{Connected, Login, Said, closed, failed, gone};
use super::{NAME, Queues};
use crate::adapter::{Received, Settle, Settled, Source, Verdict};
use crate::{BrokerError, Ring};
use amqprs::channel::{
    BasicAckArguments, BasicConsumeArguments, BasicNackArguments, BasicQosArguments, Channel,
    ConsumerMessage,
};
use async_trait::async_trait;
use mediaflow_core::Queue;
use std::time::Duration;
use tokio::sync::mpsc;

/// Deliveries under way from each queue, unacknowledged ones included.
const PREFETCH: u16 = 64;
/// How often somebody looks whether the connection is still there; the library tells nobody who asks too late.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Ear {
    connected: Connected,
    heard: mpsc::Receiver<ConsumerMessage>,
}

impl Ear {
    pub(super) async fn open(
        login: &Login,
        names: &Queues,
        queues: &[Queue],
    ) -> Result<Self, BrokerError> {
        let mut connected = Connected::open(login).await?;
        let (sender, heard) = mpsc::channel(usize::from(PREFETCH));
        let Connected { channel, said, .. } = &mut connected;
        let begin = async {
            let prefetch = BasicQosArguments::new(0, PREFETCH, false);
            channel.basic_qos(prefetch).await.map_err(failed)?;
            for &queue in queues {
                names.declare(channel, queue).await?;
                // Empty: the server names the consumer.
                let consume = BasicConsumeArguments::new(&names.name(queue), "");
                let (_, from) = channel.basic_consume_rx(consume).await.map_err(failed)?;
                tokio::spawn(forward(from, sender.clone()));
            }
            Ok(())
        };
        Connected::unless_closed(said, begin).await?;
        Ok(Self { connected, heard })
    }

    pub(super) fn channel(&self) -> Channel {
        self.connected.channel.clone()
    }
}

/// Joins the queues. Ends when either side is gone.
async fn forward(
    mut from: mpsc::UnboundedReceiver<ConsumerMessage>,
    to: mpsc::Sender<ConsumerMessage>,
) {
    loop {
        let message = tokio::select! {
            message = from.recv() => message,
            () = to.closed() => return,
        };
        let Some(message) = message else { return };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Source<u64> for Ear {
    async fn receive(&mut self) -> Result<Vec<Received<u64>>, BrokerError> {
        tokio::select! {
            message = self.heard.recv() => Ok(vec![received(message.ok_or_else(gone)?)]),
            said = self.connected.said.recv() => match said {
                Some(Said::Closed { code, text }) => Err(closed(code, &text)),
                Some(Said::Cancelled) => Err(BrokerError::transient(NAME, "a queue is gone")),
                Some(_) => Ok(Vec::new()),
                None => Err(gone()),
            },
            () = tokio::time::sleep(LOOK) => match self.connected.is_open() {
                true => Ok(Vec::new()),
                false => Err(gone()),
            },
        }
    }
}

fn received(message: ConsumerMessage) -> Received<u64> {
    let content = message.content.unwrap_or_default();
    Received {
        ring: Ring::from_bytes(&content),
        receipt: message.deliver.map_or(0, |deliver| deliver.delivery_tag()),
    }
}

pub(super) struct Back(pub(super) Channel);

#[async_trait]
impl Settle<u64> for Back {
    async fn settle(&mut self, settled: Vec<Settled<u64>>) -> Result<(), BrokerError> {
        for Settled { receipt, verdict } in settled {
            let told = match verdict {
                Verdict::Acknowledged => {
                    let acknowledge = BasicAckArguments::new(receipt, false);
                    self.0.basic_ack(acknowledge).await
                }
                Verdict::GivenBack(_) => {
                    let back = BasicNackArguments::new(receipt, false, true);
                    self.0.basic_nack(back).await
                }
            };
            told.map_err(failed)?;
        }
        Ok(())
    }
}
