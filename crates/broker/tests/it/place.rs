//! Where scenarios happen: one server for each kind of broker.

use mediaflow_broker::Broker;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

/// A kind of broker with its server.
pub(crate) trait Place: Sized + 'static {
    /// Whether a ring goes to one listener and is kept until it is heard, and not to everyone who listens at that moment.
    const COMPETES: bool;
    /// Whether a ring can be given back.
    const GIVES_BACK: bool;
    /// Whether its server can be killed and stopped.
    const HAS_SERVER: bool;
    /// How the threads are called that work for it beside the one that a scenario runs on.
    const THREADS: Option<&'static str> = None;

    fn start() -> Self;
    /// Opens a broker that nobody else uses.
    fn open(&self, name: &str) -> Broker;
    /// Loses all rings, at least those of the broker of this name.
    fn lose(&mut self, name: &str);
    fn kill(&mut self);
    fn restart(&mut self);
    fn stand_still(&self, still: bool);
}

/// Where scenarios are played: one server, and one thread, so that what waiting costs can be measured.
pub(crate) struct Stage<P>(Rc<RefCell<P>>);

/// What a scenario is given.
pub(crate) struct Scene<P> {
    place: Rc<RefCell<P>>,
    pub(crate) broker: Broker,
    pub(crate) name: String,
}

impl<P: Place> Scene<P> {
    pub(crate) fn place(&self) -> RefMut<'_, P> {
        self.place.borrow_mut()
    }

    /// Another handle, as another process has it.
    pub(crate) fn again(&self) -> Broker {
        self.place.borrow().open(&self.name)
    }
}

const SCENARIO_MAX: Duration = Duration::from_secs(120);

impl<P: Place> Stage<P> {
    pub(crate) async fn play(&self, scenario: impl AsyncFnOnce(&Scene<P>)) {
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let scene = Scene {
            broker: self.0.borrow().open(&name),
            place: Rc::clone(&self.0),
            name,
        };
        tokio::time::timeout(SCENARIO_MAX, scenario(&scene))
            .await
            .expect("the scenario ends in time");
    }
}

/// Starts the server and plays.
pub(crate) fn on<P: Place>(play: impl AsyncFnOnce(&Stage<P>)) {
    let stage = Stage(Rc::new(RefCell::new(P::start())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(play(&stage));
}
