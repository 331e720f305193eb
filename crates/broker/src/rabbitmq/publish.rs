//! Publishing with confirms, on a connection that is kept.

use super::connect::{Connected, Login, Said, closed, failed, gone};
use super::{NAME, Queues};
use crate::{BrokerError, Ring};
use amqprs::BasicProperties;
use amqprs::channel::{BasicPublishArguments, ConfirmSelectArguments};
use mediaflow_core::Queue;
use std::collections::BTreeSet;

/// Messages that wait for the server's word at once.
const UNCONFIRMED_MAX: usize = 256;

pub(super) struct Publisher {
    connected: Connected,
    declared: BTreeSet<Queue>,
    last_tag: u64,
}

impl Publisher {
    pub(super) async fn connect(login: &Login) -> Result<Self, BrokerError> {
        let connected = Connected::open(login).await?;
        let confirm = ConfirmSelectArguments::new(false);
        connected
            .channel
            .confirm_select(confirm)
            .await
            .map_err(failed)?;
        Ok(Self {
            connected,
            declared: BTreeSet::new(),
            last_tag: 0,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.connected.is_open()
    }

    pub(super) async fn publish(
        &mut self,
        queues: &Queues,
        rings: &[Ring],
    ) -> Result<(), BrokerError> {
        // Before the first message: whoever waits for a queue hears nothing else, nor that the server has a message.
        for ring in rings {
            self.declare(queues, ring.queue).await?;
        }
        for some in rings.chunks(UNCONFIRMED_MAX) {
            self.publish_some(queues, some).await?;
        }
        Ok(())
    }

    async fn declare(&mut self, queues: &Queues, queue: Queue) -> Result<(), BrokerError> {
        if !self.declared.contains(&queue) {
            let Connected { channel, said, .. } = &mut self.connected;
            Connected::unless_closed(said, queues.declare(channel, queue)).await?;
            self.declared.insert(queue);
        }
        Ok(())
    }

    async fn publish_some(&mut self, queues: &Queues, rings: &[Ring]) -> Result<(), BrokerError> {
        let mut unconfirmed = BTreeSet::new();
        for ring in rings {
            let mut to = BasicPublishArguments::new("", &queues.name(ring.queue));
            to.mandatory(true);
            let body = ring.to_line().into_bytes();
            let properties = BasicProperties::default();
            let publish = self.connected.channel.basic_publish(properties, body, to);
            publish.await.map_err(failed)?;
            self.last_tag += 1;
            unconfirmed.insert(self.last_tag);
        }
        while !unconfirmed.is_empty() {
            match self.connected.said.recv().await {
                Some(Said::Took {
                    tag,
                    multiple: true,
                }) => unconfirmed = unconfirmed.split_off(&(tag + 1)),
                Some(Said::Took { tag, .. }) => {
                    unconfirmed.remove(&tag);
                }
                Some(Said::Closed { code, text }) => return Err(closed(code, &text)),
                Some(Said::Unroutable) => {
                    // The next connection makes the queue again.
                    return Err(BrokerError::transient(NAME, "a queue is gone"));
                }
                Some(Said::Refused) => {
                    return Err(BrokerError::transient(NAME, "a message was refused"));
                }
                Some(Said::Cancelled) => {}
                None => return Err(gone()),
            }
        }
        Ok(())
    }
}
