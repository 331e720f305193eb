//! What arrives at the same moment is done together: all that waits in one transaction, and no more than two of these at a time.

use super::Core;
use crate::{StoreError, observe};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Most items in one transaction: bounds how long the first of them waits.
const BATCH_MAX: usize = 128;
/// Transactions at the same time: while one is committed the next is at work.
const SERVERS: usize = 2;
/// Most items that wait; beyond it callers wait to be let in.
const WAITING_MAX: usize = 4096;

/// What became of an item of a batch.
pub(super) enum Done<A> {
    /// It was done, or is refused without harm to others.
    Answer(Result<A, StoreError>),
    /// It cannot be done together with an item before it; the next batch begins with it.
    Later,
}

/// Does a batch in one transaction. On an error nothing of it was done. The first item is never left for later.
pub(super) type Run<I, A> =
    for<'a> fn(&'a Arc<Core>, &'a [I]) -> BoxFuture<'a, Result<Vec<Done<A>>, StoreError>>;

type Waiting<I, A> = (I, oneshot::Sender<Result<A, StoreError>>);

/// A line of items that wait for a transaction.
pub(super) struct Queue<I, A> {
    verb: &'static str,
    sender: mpsc::Sender<Waiting<I, A>>,
}

/// The other end of the line, until somebody serves it.
pub(super) struct Served<I, A>(mpsc::Receiver<Waiting<I, A>>);

impl<I: Send + Sync + 'static, A: Send + 'static> Queue<I, A> {
    /// A line for what `verb` is asked.
    pub(super) fn new(verb: &'static str) -> (Self, Served<I, A>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { verb, sender }, Served(receiver))
    }

    /// Has an item done; answers after the commit. It is done though the caller goes away.
    pub(super) async fn run(&self, item: I) -> Result<A, StoreError> {
        observe::timed(self.verb, self.wait(item)).await
    }

    async fn wait(&self, item: I) -> Result<A, StoreError> {
        let stopped = || StoreError::Unavailable("the store was closed".into());
        let (sender, answer) = oneshot::channel();
        let sent = self.sender.send((item, sender)).await;
        sent.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl<I: Send + Sync + 'static, A: Send + 'static> Served<I, A> {
    /// Serves the line in the background for as long as the store is open.
    pub(super) fn start(self, core: &Arc<Core>, run: Run<I, A>) {
        let arriving = Arc::new(Mutex::new(self.0));
        for _ in 0..SERVERS {
            tokio::spawn(serve(Arc::downgrade(core), Arc::clone(&arriving), run));
        }
    }
}

async fn serve<I: Send + Sync, A: Send>(
    core: Weak<Core>,
    arriving: Arc<Mutex<mpsc::Receiver<Waiting<I, A>>>>,
    run: Run<I, A>,
) {
    let mut waiting = VecDeque::new();
    loop {
        // Whoever waits for the first of a batch has the line; what is left for later does not wait for it.
        if waiting.is_empty() {
            let mut arriving = arriving.lock().await;
            let Some(first) = arriving.recv().await else {
                return;
            };
            waiting.push_back(first);
            fill(&mut waiting, &mut arriving);
        } else if let Ok(mut arriving) = arriving.try_lock() {
            fill(&mut waiting, &mut arriving);
        }
        let Some(core) = core.upgrade() else { return };
        let (items, callers): (Vec<I>, Vec<_>) =
            waiting.drain(..waiting.len().min(BATCH_MAX)).unzip();
        match survived(run(&core, &items)).await {
            Ok(done) => {
                for ((item, caller), done) in items.into_iter().zip(callers).zip(done).rev() {
                    match done {
                        // Nobody waits any more when the caller was cancelled.
                        Done::Answer(answer) => drop(caller.send(answer)),
                        Done::Later => waiting.push_front((item, caller)),
                    }
                }
            }
            Err(error) => alone(&core, items, callers, run, error).await,
        }
    }
}

/// A bug that one item meets is its error and not the end of who serves the line: its transaction is undone.
async fn survived<A>(
    done: BoxFuture<'_, Result<Vec<Done<A>>, StoreError>>,
) -> Result<Vec<Done<A>>, StoreError> {
    let done = AssertUnwindSafe(done).catch_unwind().await;
    done.unwrap_or_else(|_| Err(StoreError::Database("a bug ended the transaction".into())))
}

/// Takes what is there already.
fn fill<I, A>(waiting: &mut VecDeque<Waiting<I, A>>, arriving: &mut mpsc::Receiver<Waiting<I, A>>) {
    while waiting.len() < BATCH_MAX
        && let Ok(next) = arriving.try_recv()
    {
        waiting.push_back(next);
    }
}

/// One item may have spoiled it for all: each gets a transaction of its own, unless that cannot help.
async fn alone<I, A>(
    core: &Arc<Core>,
    items: Vec<I>,
    callers: Vec<oneshot::Sender<Result<A, StoreError>>>,
    run: Run<I, A>,
    error: StoreError,
) {
    if items.len() == 1 || matches!(error, StoreError::Unavailable(_) | StoreError::Full(_)) {
        let text = error.to_string();
        let mut error = Some(error);
        for caller in callers {
            let error = error.take();
            let error = error.unwrap_or_else(|| StoreError::Unavailable(text.clone().into()));
            drop(caller.send(Err(error)));
        }
        return;
    }
    for (item, caller) in items.into_iter().zip(callers) {
        let done = survived(run(core, std::slice::from_ref(&item))).await;
        let answer = match done.map(|mut done| done.pop()) {
            Ok(Some(Done::Answer(answer))) => answer,
            Ok(_) => Err(StoreError::Database(
                "a bug left a request for later".into(),
            )),
            Err(error) => Err(error),
        };
        drop(caller.send(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::plans::World;
    use crate::postgres::{PostgresOptions, PostgresStore};

    fn halved<'a>(
        _: &'a Arc<Core>,
        items: &'a [u32],
    ) -> BoxFuture<'a, Result<Vec<Done<u32>>, StoreError>> {
        let halves = async {
            let halves = items.iter().map(|item| {
                assert!(item % 2 == 0, "a bug");
                Done::Answer(Ok(item / 2))
            });
            Ok(halves.collect())
        };
        halves.boxed()
    }

    #[tokio::test]
    async fn a_bug_is_the_error_of_who_meets_it_and_others_go_on() {
        let server = mediaflow_servers::Postgres::start(&[]);
        let (url, options) = (server.database("line"), PostgresOptions::default());
        let store = PostgresStore::open(&url, Arc::new(World), options).await;
        let store = store.unwrap();
        let (line, served) = Queue::new("halve");
        served.start(&store.core, halved);
        // More often than there are those who serve.
        for _ in 0..2 * SERVERS {
            let (good, bad) = tokio::join!(line.run(4), line.run(3));
            assert_eq!(good.unwrap(), 2);
            assert!(matches!(bad, Err(StoreError::Database(_))), "{bad:?}");
        }
    }
}
