//! The rule that workers follow, over a toy store and a broker that is worse than any: a ring is a hint, a claim takes what the store
//! gives, the acknowledgement comes right after the claim, and everyone polls too.

use crate::place::{Place, Scene};
use crate::suite::ring;
use mediaflow_broker::{Broker, Ring};
use mediaflow_core::{Queue, TaskId};
use rand::seq::SliceRandom as _;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

const TASKS: usize = 60;
const POLL: Duration = Duration::from_millis(400);

#[derive(Default)]
struct Store {
    ready: VecDeque<TaskId>,
    claimed: HashMap<TaskId, u32>,
}

impl Store {
    fn claim(&mut self, most: usize) {
        for _ in 0..most {
            let Some(task) = self.ready.pop_front() else {
                return;
            };
            *self.claimed.entry(task).or_default() += 1;
        }
    }
}

/// Loses, repeats, delays and reorders what is announced.
async fn announce_badly(broker: &Broker, rings: &[Ring]) {
    let mut badly: Vec<Ring> = rings.iter().flat_map(|&ring| [ring; 2]).collect();
    badly.shuffle(&mut rand::rng());
    badly.truncate(rings.len() * 3 / 2);
    for some in badly.chunks(20) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        broker.announce(some).await.unwrap();
    }
}

async fn work(broker: &Broker, store: &RefCell<Store>) {
    let mut listener = broker.listen(Queue::ALL);
    loop {
        let rung = tokio::select! {
            rung = listener.next_many(16) => rung,
            () = tokio::time::sleep(POLL) => Vec::new(),
        };
        store.borrow_mut().claim(2);
        for delivery in rung {
            // One in eight forgets what it had heard, as a process that dies does.
            match rand::random_range(0..8) {
                0 => std::mem::forget(delivery),
                1 => delivery.give_back(),
                _ => delivery.acknowledge(),
            }
        }
    }
}

pub(crate) async fn all_are_claimed<P: Place>(scene: &Scene<P>) {
    let store = Rc::new(RefCell::new(Store::default()));
    let rings: Vec<Ring> = (0..TASKS).map(|n| ring(Queue::ALL[n % 3], 0)).collect();
    store
        .borrow_mut()
        .ready
        .extend(rings.iter().map(|r| r.task));
    let (one, two) = (scene.again(), scene.again());
    let done = async {
        announce_badly(&scene.broker, &rings).await;
        while store.borrow().claimed.len() < TASKS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = done => {}
        () = work(&one, &store) => {}
        () = work(&two, &store) => {}
    }
    assert!(store.borrow().claimed.values().all(|&times| times == 1));
}
