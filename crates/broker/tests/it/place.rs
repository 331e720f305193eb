//! Where a scenario happens: one server for each kind of broker, one scenario on it at a time.

use mediaflow_broker::Broker;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// A kind of broker with its server.
pub(crate) trait Place: Sized + Send + 'static {
    /// Whether a ring goes to one listener and is kept until it is heard, and not to everyone who listens at that moment.
    const COMPETES: bool;
    /// Whether a ring can be given back.
    const GIVES_BACK: bool;
    /// Whether its server can be killed and stopped.
    const HAS_SERVER: bool;

    fn start() -> Self;
    fn shared() -> &'static Mutex<Option<Self>>;
    /// Opens a broker that nobody else uses.
    fn open(&self, name: &str) -> Broker;
    /// Loses all rings, at least those of the broker of this name.
    fn lose(&mut self, name: &str);
    fn kill(&mut self);
    fn restart(&mut self);
    fn stand_still(&self, still: bool);
}

/// What a scenario is given.
pub(crate) struct Scene<P: Place> {
    place: MutexGuard<'static, Option<P>>,
    pub(crate) broker: Broker,
    pub(crate) name: String,
}

impl<P: Place> Scene<P> {
    pub(crate) fn place(&mut self) -> &mut P {
        self.place.as_mut().expect("it was started")
    }

    /// Another handle, as another process has it.
    pub(crate) fn again(&self) -> Broker {
        self.place
            .as_ref()
            .expect("it was started")
            .open(&self.name)
    }
}

const SCENARIO_MAX: Duration = Duration::from_secs(120);

/// Runs a scenario on one thread, so that what it costs can be measured.
pub(crate) fn on<P: Place, F>(scenario: F)
where
    F: AsyncFnOnce(&mut Scene<P>),
{
    let shared = P::shared();
    // After a scenario that failed nobody knows in which state its server is.
    let failed = shared.is_poisoned();
    let mut place = shared.lock().unwrap_or_else(|poison| {
        shared.clear_poison();
        poison.into_inner()
    });
    if failed {
        *place = None;
    }
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let broker = place.get_or_insert_with(P::start).open(&name);
        let mut scene = Scene {
            place,
            broker,
            name,
        };
        tokio::time::timeout(SCENARIO_MAX, scenario(&mut scene))
            .await
            .expect("the scenario ends in time");
    });
}
