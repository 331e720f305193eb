//! The scenarios.

use crate::idle::waits_quietly;
use crate::place::{Place, Scene};
use mediaflow_broker::{Broker, BrokerError, Listener, Ring};
use mediaflow_core::{AssetId, Queue, TaskId};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Long enough for a loaded machine; nobody waits it out when all is well.
const SOON: Duration = Duration::from_secs(60);

pub(crate) fn ring(queue: Queue, lane: u8) -> Ring {
    Ring {
        queue,
        lane,
        asset: AssetId(Uuid::new_v4()),
        task: TaskId(Uuid::new_v4()),
    }
}

/// Until it works: a loaded machine is no fault of a broker's.
pub(crate) async fn patiently(what: impl AsyncFn() -> Result<(), BrokerError>) {
    let began = Instant::now();
    while let Err(error) = what().await {
        let waited = began.elapsed();
        assert!(error.is_transient() && waited < SOON, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Rings, once or more.
pub(crate) async fn announce(broker: &Broker, rings: &[Ring]) {
    patiently(async || broker.announce(rings).await).await;
}

/// Rings until it is heard: what rings while nobody listens yet may be lost.
pub(crate) async fn ring_until_heard(broker: &Broker, listener: &mut Listener, queue: Queue) {
    let began = Instant::now();
    let mut said = String::new();
    loop {
        let wanted = ring(queue, 0);
        let heard = async {
            if let Err(error) = broker.announce(&[wanted]).await {
                assert!(error.is_transient(), "{error}");
                said = error.to_string();
                tokio::time::sleep(Duration::from_millis(200)).await;
                return false;
            }
            timeout(Duration::from_secs(3), hear(listener, wanted))
                .await
                .is_ok()
        };
        if heard.await {
            return;
        }
        assert!(began.elapsed() < SOON * 2, "nothing is heard: {said}");
    }
}

/// Acknowledges everything up to this ring.
pub(crate) async fn hear(listener: &mut Listener, wanted: Ring) -> Vec<Ring> {
    let mut heard = Vec::new();
    loop {
        let delivery = listener.next().await;
        let ring = delivery.ring();
        delivery.acknowledge();
        if ring == wanted {
            return heard;
        }
        heard.push(ring);
    }
}

/// A listener that is known to hear.
pub(crate) async fn listening(broker: &Broker, queues: &[Queue]) -> Listener {
    let mut listener = broker.listen(queues);
    for &queue in queues {
        ring_until_heard(broker, &mut listener, queue).await;
    }
    listener
}

pub(crate) async fn heard<P: Place>(scene: &Scene<P>) {
    let broker = &scene.broker;
    patiently(async || broker.health().await).await;
    let mut listener = listening(broker, &[Queue::Image, Queue::Network]).await;
    let rings = [
        ring(Queue::Image, 0),
        ring(Queue::Network, 1),
        ring(Queue::Image, 9),
    ];
    // From elsewhere: not by way of the process's memory.
    announce(&scene.again(), &rings).await;
    let mut missing = HashSet::from(rings);
    let all = async {
        while !missing.is_empty() {
            let delivery = listener.next().await;
            missing.remove(&delivery.ring());
            delivery.acknowledge();
        }
    };
    timeout(SOON, all).await.expect("all are heard");
    assert!(broker.stats().received >= 3);
    assert!(scene.broker.stats().announced >= 2);

    // Acknowledgements travel in the background, and one that is lost repeats its ring: then that one is acknowledged.
    let acknowledged = async {
        loop {
            drop(listener);
            listener = scene.again().listen(&[Queue::Image, Queue::Network]);
            let before = heard_before(broker, &mut listener, ring(Queue::Image, 0)).await;
            if rings.iter().all(|ring| !before.contains(ring)) {
                return;
            }
        }
    };
    let in_time = timeout(SOON * 2, acknowledged).await;
    in_time.expect("what was acknowledged is heard no more");
}

/// Rings until it is heard, and answers what was heard before it.
async fn heard_before(broker: &Broker, listener: &mut Listener, last: Ring) -> Vec<Ring> {
    loop {
        announce(broker, &[last]).await;
        if let Ok(before) = timeout(Duration::from_secs(3), hear(listener, last)).await {
            return before;
        }
    }
}

pub(crate) async fn own_queues<P: Place>(scene: &Scene<P>) {
    let broker = &scene.broker;
    let mut images = listening(broker, &[Queue::Image]).await;
    let mut videos = listening(broker, &[Queue::Video]).await;
    let (image, video) = (ring(Queue::Image, 0), ring(Queue::Video, 1));
    announce(broker, &[video, image]).await;
    let before = timeout(SOON, hear(&mut images, image)).await.unwrap();
    assert!(before.iter().all(|ring| ring.queue == Queue::Image));
    let before = timeout(SOON, hear(&mut videos, video)).await.unwrap();
    assert!(before.iter().all(|ring| ring.queue == Queue::Video));
}

/// The first rings of a process are for queues that are not there yet, and make them.
pub(crate) async fn rung_first<P: Place>(scene: &Scene<P>) {
    let rings: Vec<Ring> = Queue::ALL.iter().map(|&queue| ring(queue, 0)).collect();
    let mut errors = Vec::new();
    // A loaded machine may be too late now and then.
    for n in 0..4 {
        let broker = scene.place().open(&format!("{}-{n}", scene.name));
        match broker.announce(&rings).await {
            Ok(()) => return,
            Err(error) => errors.push(error.to_string()),
        }
    }
    panic!("{errors:?}");
}

pub(crate) async fn many<P: Place>(scene: &Scene<P>) {
    let broker = &scene.broker;
    let mut listener = listening(broker, &[Queue::Video]).await;
    let rings: Vec<Ring> = (0..300u16)
        .map(|n| ring(Queue::Video, (n % 3) as u8))
        .collect();
    announce(broker, &rings).await;
    // Nobody asks for a while: what waits here is bounded, and the rest stays with the broker.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut missing: HashSet<Ring> = rings.into_iter().collect();
    let all = async {
        while !missing.is_empty() {
            let deliveries = listener.next_many(usize::MAX).await;
            assert!(deliveries.len() <= 65, "{} are held", deliveries.len());
            for delivery in deliveries {
                missing.remove(&delivery.ring());
                delivery.acknowledge();
            }
            if !P::COMPETES && missing.len() <= 297 {
                // One for each lane says as much as all of them.
                return;
            }
        }
    };
    timeout(SOON, all).await.expect("all are heard");
}

pub(crate) async fn dies<P: Place>(scene: &Scene<P>) {
    let broker = &scene.broker;
    let mut dying = listening(broker, &[Queue::Image]).await;
    announce(broker, &[ring(Queue::Image, 0)]).await;
    let held = timeout(SOON, dying.next()).await.unwrap();
    // Nobody ever says what became of this one.
    std::mem::forget(held);
    drop(dying);
    let mut other = scene.again().listen(&[Queue::Image]);
    ring_until_heard(broker, &mut other, Queue::Image).await;
}

pub(crate) async fn given_back<P: Place>(scene: &Scene<P>) {
    if !P::GIVES_BACK {
        return;
    }
    let broker = &scene.broker;
    let mut first = listening(broker, &[Queue::Image]).await;
    let wanted = ring(Queue::Image, 0);
    announce(broker, &[wanted]).await;
    let delivery = async {
        loop {
            let delivery = first.next().await;
            if delivery.ring() == wanted {
                return delivery;
            }
            delivery.acknowledge();
        }
    };
    let delivery = timeout(SOON, delivery).await.unwrap();
    let mut second = scene.again().listen(&[Queue::Image]);
    delivery.give_back();
    // Whoever comes first.
    timeout(SOON, async {
        tokio::select! {
            _ = hear(&mut first, wanted) => {}
            _ = hear(&mut second, wanted) => {}
        }
    })
    .await
    .expect("it is heard again");
}

pub(crate) async fn lost<P: Place>(scene: &Scene<P>) {
    let mut listener = listening(&scene.broker, &[Queue::Image]).await;
    let rings: Vec<Ring> = (0..20).map(|_| ring(Queue::Image, 1)).collect();
    announce(&scene.broker, &rings).await;
    scene.place().lose(&scene.name);
    waits_quietly::<P>(Duration::from_secs(1)).await;
    ring_until_heard(&scene.broker, &mut listener, Queue::Image).await;
}

pub(crate) async fn killed<P: Place>(scene: &Scene<P>) {
    if !P::HAS_SERVER {
        return;
    }
    let mut listener = listening(&scene.broker, &[Queue::Image]).await;
    scene.place().kill();
    waits_quietly::<P>(Duration::from_secs(1)).await;
    let error = scene.again().health().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    scene.place().restart();
    ring_until_heard(&scene.broker, &mut listener, Queue::Image).await;
}

pub(crate) async fn stopped<P: Place>(scene: &Scene<P>) {
    if !P::HAS_SERVER {
        return;
    }
    let mut listener = listening(&scene.broker, &[Queue::Image]).await;
    scene.place().stand_still(true);
    let broker = scene.broker.clone();
    let announcing = tokio::spawn(async move { broker.announce(&[ring(Queue::Image, 0)]).await });
    waits_quietly::<P>(Duration::from_millis(1500)).await;
    scene.place().stand_still(false);
    // It may have gone well or not, but it ends.
    let ended = timeout(SOON, announcing).await.expect("it ends").unwrap();
    assert!(ended.is_ok() || ended.is_err_and(|error| error.is_transient()));
    ring_until_heard(&scene.broker, &mut listener, Queue::Image).await;
}
