//! Telling other processes that there is work or news, and being told. All of it is hints: who waits for them polls as well.
//!
//! A notification in a business transaction would have all commits wait for each other, so one is sent apart from them,
//! and one for many.

use super::address::Address;
use super::{Core, session};
use crate::StoreError;
use futures_util::FutureExt;
use futures_util::stream::poll_fn;
use futures_util::{StreamExt, pin_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

/// Between two notifications of one process.
const PAUSE: Duration = Duration::from_millis(25);
/// Before listening again after the connection broke.
const AGAIN: Duration = Duration::from_secs(1);

/// What this process has to say.
pub(super) struct Tell {
    tells_ready: bool,
    ready: AtomicBool,
    news: AtomicBool,
    wake: Notify,
}

impl Tell {
    pub(super) fn new(tells_ready: bool) -> Self {
        Self {
            tells_ready,
            ready: AtomicBool::default(),
            news: AtomicBool::default(),
            wake: Notify::new(),
        }
    }

    /// Tasks became ready.
    pub(super) fn ready(&self) {
        if !self.tells_ready {
            return;
        }
        self.ready.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Events have their numbers.
    pub(super) fn news(&self) {
        self.news.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// Tells and listens in the background for as long as the store is open.
pub(super) fn start(core: &Arc<Core>) {
    let own = core.env.id();
    tokio::spawn(tell(Arc::downgrade(core), Arc::clone(&core.tell), own));
    tokio::spawn(listen(Arc::downgrade(core), own));
}

async fn tell(core: Weak<Core>, tell: Arc<Tell>, own: Uuid) {
    loop {
        tell.wake.notified().await;
        let Some(core) = core.upgrade() else { return };
        let ready = tell.ready.swap(false, Ordering::Relaxed);
        let position = match tell.news.swap(false, Ordering::Relaxed) {
            true => *core.bells.event.borrow(),
            false => 0,
        };
        let said = format!("{own} {} {position}", u8::from(ready));
        let said = said.as_str();
        let sent = session::read(&core, move |s, _| {
            async move {
                s.execute("SELECT pg_notify('mediaflow', $1)", &[&said])
                    .await
            }
            .boxed()
        });
        if let Err(error) = sent.await {
            tracing::debug!(%error, "other processes could not be told");
        }
        drop(core);
        // After it and not before: the first of many is told at once, and what comes meanwhile goes with the next.
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(core: Weak<Core>, own: Uuid) {
    while let Some(strong) = core.upgrade() {
        let address = strong.pool.address().clone();
        drop(strong);
        if let Err(error) = hear(&core, address, own).await {
            tracing::debug!(%error, "other processes are not heard");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Passes on what is heard until the connection breaks or the store is closed.
async fn hear(core: &Weak<Core>, address: Address, own: Uuid) -> Result<(), StoreError> {
    let (client, mut connection) = address.config.connect(address.tls).await?;
    let messages = poll_fn(move |cx| connection.poll_message(cx));
    let asked = client.batch_execute("LISTEN mediaflow").map(|_| ());
    pin_mut!(messages, asked);
    let mut asking = true;
    loop {
        tokio::select! {
            () = &mut asked, if asking => asking = false,
            message = messages.next() => match message {
                None => return Ok(()),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(AsyncMessage::Notification(said))) => {
                    let Some(core) = core.upgrade() else { return Ok(()) };
                    pass_on(&core, said.payload(), own);
                }
                Some(Ok(_)) => {}
            },
            () = tokio::time::sleep(AGAIN) => {
                if core.strong_count() == 0 {
                    return Ok(());
                }
            }
        }
    }
}

fn pass_on(core: &Core, said: &str, own: Uuid) {
    let mut words = said.split(' ');
    if words.next().and_then(|id| id.parse().ok()) == Some(own) {
        return;
    }
    if words.next() == Some("1") {
        core.bells.ready.send_modify(|n| *n = n.wrapping_add(1));
    }
    let position: Option<u64> = words.next().and_then(|position| position.parse().ok());
    core.bells.event.send_if_modified(|known| {
        let is_new = position.is_some_and(|position| position > *known);
        *known = (*known).max(position.unwrap_or(0));
        is_new
    });
}
