//! Rings inside of one process. A queue that nobody hears keeps the newest.

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source, Verdict};
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use mediaflow_core::Queue;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

const WAITING_MAX: usize = 1_000;

#[derive(Default)]
pub(crate) struct InProcess {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<VecDeque<Ring>>,
    rung: Notify,
}

impl Shared {
    fn add(&self, rings: &[Ring]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(rings);
        let excess = waiting.len().saturating_sub(WAITING_MAX);
        waiting.drain(..excess);
        drop(waiting);
        self.rung.notify_waiters();
    }

    fn take(&self, queues: &[Queue]) -> Option<Ring> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter().position(|r| queues.contains(&r.queue))?;
        waiting.remove(index)
    }
}

#[async_trait]
impl Adapter for InProcess {
    type Receipt = ();

    fn name(&self) -> &'static str {
        "in-process"
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        self.shared.add(rings);
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<()>, BrokerError> {
        Ok(Halves {
            source: Box::new(Ear {
                shared: Arc::clone(&self.shared),
                queues: queues.to_vec(),
            }),
            settler: Box::new(Back(Arc::clone(&self.shared))),
        })
    }
}

struct Ear {
    shared: Arc<Shared>,
    queues: Vec<Queue>,
}

#[async_trait]
impl Source<()> for Ear {
    async fn receive(&mut self) -> Result<Vec<Received<()>>, BrokerError> {
        loop {
            let mut rung = std::pin::pin!(self.shared.rung.notified());
            // Before looking, so that what rings in between is not missed.
            rung.as_mut().enable();
            if let Some(ring) = self.shared.take(&self.queues) {
                return Ok(vec![Received {
                    ring: Some(ring),
                    receipt: (),
                }]);
            }
            rung.await;
        }
    }
}

struct Back(Arc<Shared>);

#[async_trait]
impl Settle<()> for Back {
    async fn settle(&mut self, settled: Vec<Settled<()>>) -> Result<(), BrokerError> {
        let back: Vec<Ring> = settled
            .iter()
            .filter_map(|settled| match settled.verdict {
                Verdict::GivenBack(ring) => Some(ring),
                Verdict::Acknowledged => None,
            })
            .collect();
        if !back.is_empty() {
            self.0.add(&back);
        }
        Ok(())
    }
}
