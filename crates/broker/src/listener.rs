//! Listening that goes on whatever the broker does: connects, receives, settles, and after an error begins anew with a pause that
//! grows.

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source, Verdict};
use crate::broker::{Counters, within};
use crate::{BrokerError, Ring};
use mediaflow_core::Queue;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Deliveries that wait for whoever listens. More stay with the broker.
const WAITING_MAX: usize = 64;
/// Deliveries that are settled with one request.
const SETTLED_MAX: usize = 64;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
const SUBSCRIBE_MAX: Duration = Duration::from_secs(30);
const SETTLE_MAX: Duration = Duration::from_secs(15);
/// How long the last acknowledgements may take when a listener is dropped.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Hears rings. Dropping it ends the subscription in the background; what was not acknowledged may be heard by another.
pub struct Listener {
    deliveries: mpsc::Receiver<Delivery>,
    _stop: DropGuard,
}

/// A ring that was heard. One that is dropped is given back.
#[must_use = "acknowledge it after the claim"]
pub struct Delivery {
    ring: Ring,
    settle: Option<Box<dyn FnOnce(Verdict) + Send>>,
}

impl Listener {
    /// The next ring; waits for ever if none comes. Losing the future loses no ring.
    pub async fn next(&mut self) -> Delivery {
        match self.deliveries.recv().await {
            Some(delivery) => delivery,
            // The other side lives as long as this one, but for a runtime that is shutting down.
            None => std::future::pending().await,
        }
    }

    /// The next ring and all that have come with it, up to `most`.
    pub async fn next_many(&mut self, most: usize) -> Vec<Delivery> {
        let mut many = vec![self.next().await];
        while many.len() < most
            && let Ok(delivery) = self.deliveries.try_recv()
        {
            many.push(delivery);
        }
        many
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Delivery {
    /// What was said.
    #[must_use]
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// The store was asked; nobody needs to hear this ring again. Returns at once: the broker is told in the background, and a lost
    /// acknowledgement only repeats the ring.
    pub fn acknowledge(mut self) {
        self.end(Verdict::Acknowledged);
    }

    /// The store was not asked: let somebody else hear it, where the broker can do that.
    pub fn give_back(self) {
        drop(self);
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some(settle) = self.settle.take() {
            settle(verdict);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.end(Verdict::GivenBack(self.ring));
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Delivery").field(&self.ring).finish()
    }
}

/// Starts listening in the background.
pub(crate) fn start<A: Adapter>(
    adapter: Arc<A>,
    queues: Vec<Queue>,
    counters: Arc<Counters>,
) -> Listener {
    let (sender, deliveries) = mpsc::channel(WAITING_MAX);
    let stop = CancellationToken::new();
    let ear = Ear {
        adapter,
        queues,
        sender,
        counters,
        stop: stop.clone(),
    };
    tokio::spawn(ear.listen());
    Listener {
        deliveries,
        _stop: stop.drop_guard(),
    }
}

struct Ear<A> {
    adapter: Arc<A>,
    queues: Vec<Queue>,
    sender: mpsc::Sender<Delivery>,
    counters: Arc<Counters>,
    stop: CancellationToken,
}

impl<A: Adapter> Ear<A> {
    async fn listen(self) {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let error = tokio::select! {
                () = self.stop.cancelled() => return,
                subscribed = within(self.adapter.name(), SUBSCRIBE_MAX, self.adapter.subscribe(&self.queues)) => match subscribed {
                    Err(error) => error,
                    Ok(halves) => match self.hear(halves).await {
                        Some(error) => error,
                        None => return,
                    },
                },
            };
            self.counters.failed(&error);
            // One that worked for a while and then broke is tried again at once.
            if began.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            tracing::warn!(%error, again_in_ms = pause.as_millis() as u64, "listening to the broker failed; polling goes on");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Until the subscription breaks, or nobody listens any more: then with nothing.
    async fn hear(&self, halves: Halves<A::Receipt>) -> Option<BrokerError> {
        let Halves {
            mut source,
            mut settler,
        } = halves;
        // It holds no more than what was delivered and not settled, which the other channel bounds.
        let (settle, mut settled) = mpsc::unbounded_channel();
        let name = self.adapter.name();
        let error = tokio::select! {
            () = self.stop.cancelled() => None,
            error = self.receive(&mut *source, &settle) => Some(error),
            error = give_all(name, &mut *settler, &mut settled) => Some(error),
        };
        if error.is_none() {
            // What waits unheard in the channel is given back by being dropped with it; the rest is what was just settled.
            let last = async {
                let mut batch = Vec::new();
                while let Ok(one) = settled.try_recv() {
                    batch.push(one);
                }
                if !batch.is_empty() {
                    let _ = settler.settle(batch).await;
                }
            };
            let _ = tokio::time::timeout(FAREWELL_MAX, last).await;
        }
        error
    }

    async fn receive(
        &self,
        source: &mut dyn Source<A::Receipt>,
        settle: &mpsc::UnboundedSender<Settled<A::Receipt>>,
    ) -> BrokerError {
        loop {
            let received = match source.receive().await {
                Ok(received) => received,
                Err(error) => return error,
            };
            if !received.is_empty() {
                self.counters.went_well();
            }
            for Received { ring, receipt } in received {
                let settle = settle.clone();
                let counters = Arc::clone(&self.counters);
                let done = move |verdict| {
                    if verdict == Verdict::Acknowledged {
                        counters.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    // A subscription that is gone has nobody to tell; its broker delivers again.
                    let _ = settle.send(Settled { receipt, verdict });
                };
                let Some(ring) = ring else {
                    done(Verdict::Acknowledged);
                    continue;
                };
                self.counters.received.fetch_add(1, Ordering::Relaxed);
                let delivery = Delivery {
                    ring,
                    settle: Some(Box::new(done)),
                };
                // Fails when the listener was dropped; then `stop` ends this.
                let _ = self.sender.send(delivery).await;
            }
        }
    }
}

async fn give_all<R: Send>(
    name: &'static str,
    settler: &mut dyn Settle<R>,
    settled: &mut mpsc::UnboundedReceiver<Settled<R>>,
) -> BrokerError {
    loop {
        let mut batch = Vec::new();
        if settled.recv_many(&mut batch, SETTLED_MAX).await == 0 {
            std::future::pending::<()>().await;
        }
        if let Err(error) = within(name, SETTLE_MAX, settler.settle(batch)).await {
            return error;
        }
    }
}
