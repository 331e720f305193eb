//! What a broker's adapter must do; everything that is the same for all of them is in [`crate::listener`].

use crate::{BrokerError, Ring};
use async_trait::async_trait;
use mediaflow_core::Queue;

/// One broker.
#[async_trait]
pub(crate) trait Adapter: Send + Sync + 'static {
    /// What finds a delivery again, to acknowledge it.
    type Receipt: Send + 'static;

    /// For messages and logs.
    fn name(&self) -> &'static str;

    /// Rings; returns when the broker has them.
    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError>;

    /// Whether it answers.
    async fn health(&self) -> Result<(), BrokerError>;

    /// Begins to listen, after making what is not there yet. Ends when both halves are dropped.
    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<Self::Receipt>, BrokerError>;
}

/// The two halves of a subscription, which work side by side.
pub(crate) struct Halves<R> {
    pub(crate) source: Box<dyn Source<R>>,
    pub(crate) settler: Box<dyn Settle<R>>,
}

/// What comes in.
#[async_trait]
pub(crate) trait Source<R>: Send {
    /// The next deliveries. None after a while of silence is fine; none at once is a busy loop.
    ///
    /// # Errors
    /// The subscription is of no more use.
    async fn receive(&mut self) -> Result<Vec<Received<R>>, BrokerError>;
}

/// A message. One that is no ring of ours is acknowledged unseen.
pub(crate) struct Received<R> {
    pub(crate) ring: Option<Ring>,
    pub(crate) receipt: R,
}

/// What goes back.
#[async_trait]
pub(crate) trait Settle<R>: Send {
    /// Acknowledges or gives back. Both are best effort: what is lost is repeated by the broker.
    ///
    /// # Errors
    /// The subscription is of no more use.
    async fn settle(&mut self, settled: Vec<Settled<R>>) -> Result<(), BrokerError>;
}

/// A delivery that somebody is done with.
pub(crate) struct Settled<R> {
    pub(crate) receipt: R,
    pub(crate) verdict: Verdict,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody needs to hear it again.
    Acknowledged,
    /// Somebody else should hear it.
    GivenBack(Ring),
}
