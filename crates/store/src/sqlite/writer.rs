//! The one thread that writes, with group commit: many requests share a transaction, and nobody is answered before its
//! COMMIT. A savepoint for each of them was measured to cost an eighth of it; instead, where one fails after it has changed
//! something, all is undone and the others are done again without it. A database in memory has nothing to wait for: its
//! requests run where they are made, one after the other, so that a simulation is the same each time.

use super::memory::Memory;
use super::phase::phase;
use crate::frozen::Frozen;
use crate::moving::Phase;
use crate::observe::{self, Recorded};
use crate::{Environment, StoreError, Waiting};
use mediaflow_core::{TaskId, Timestamp};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Most requests in one transaction: bounds how long the first of them waits.
const BATCH_MAX: usize = 256;
/// Most requests that wait for the writer; beyond it callers wait to be let in.
const WAITING_MAX: usize = 4096;

/// What a verb works with inside its transaction.
pub(super) struct Session<'a> {
    pub(super) conn: &'a Connection,
    pub(super) now: Timestamp,
    pub(super) env: &'a dyn Environment,
    pub(super) frozen: &'a Frozen,
    /// Tasks that became ready and were not given to anybody.
    pub(super) ready: RefCell<Vec<Waiting>>,
    /// The newest event's position, when one was written.
    pub(super) position: Cell<Option<u64>>,
    /// What was added to histories.
    pub(super) news: RefCell<Vec<Recorded>>,
    /// Whether changes are taken.
    pub(super) phase: Phase,
    /// What the transaction knows already, and writes once at its end.
    pub(super) memory: Memory,
}

impl<'a> Session<'a> {
    pub(super) fn new(conn: &'a Connection, env: &'a dyn Environment, frozen: &'a Frozen) -> Self {
        Self {
            conn,
            now: env.now(),
            env,
            frozen,
            ready: RefCell::default(),
            position: Cell::new(None),
            news: RefCell::default(),
            phase: Phase::Open,
            memory: Memory::default(),
        }
    }

    /// The task was given to somebody, who needs not be told.
    pub(super) fn given(&self, task: TaskId) {
        self.ready.borrow_mut().retain(|ready| ready.task != task);
    }
}

/// What is to be said after a COMMIT.
#[derive(Default)]
pub(super) struct News {
    ready: Vec<Waiting>,
    position: Option<u64>,
    recorded: Vec<Recorded>,
}

/// Why a COMMIT failed; shared by all whose work was in it.
#[derive(Clone)]
pub(super) struct Lost {
    full: bool,
    text: String,
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let full = matches!(StoreError::from(error), StoreError::Full(_));
        Self { full, text }
    }
}

impl From<Lost> for StoreError {
    fn from(lost: Lost) -> Self {
        if lost.full {
            Self::Full(lost.text)
        } else {
            Self::Database(lost.text.into())
        }
    }
}

/// A verb that waits to be done, and whom to answer.
pub(super) trait Request: Send {
    /// Does it, once more if what it did was undone; answers whether it succeeded.
    fn run(&mut self, session: &Session<'_>) -> bool;
    /// Answers after the COMMIT, or why there was none.
    fn answer(self: Box<Self>, committed: Result<(), Lost>);
}

struct Job<V, T> {
    verb: V,
    result: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<V, T> Request for Job<V, T>
where
    V: FnMut(&Session<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, session: &Session<'_>) -> bool {
        // Of a verb that panics the caller learns from the dropped channel.
        self.result = None;
        let may_change = session.phase.may_change();
        let result = may_change.and_then(|()| (self.verb)(session));
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }

    fn answer(self: Box<Self>, committed: Result<(), Lost>) {
        let result = match (self.result, committed) {
            (Some(Ok(_)) | None, Err(lost)) => Err(lost.into()),
            (Some(result), _) => result,
            (None, Ok(())) => return,
        };
        // Nobody waits any more when the caller was cancelled; the work is done all the same.
        let _ = self.caller.send(result);
    }
}

type Requests = VecDeque<Box<dyn Request>>;

/// Signals that are raised after a COMMIT.
pub(super) struct Bells {
    pub(super) ready: watch::Sender<u64>,
    pub(super) waiting: broadcast::Sender<Waiting>,
    pub(super) event: watch::Sender<u64>,
}

impl Bells {
    fn ring(&self, news: &News) {
        if let Some(position) = news.position {
            self.event.send_replace(position);
        }
        if !news.ready.is_empty() {
            self.ready.send_modify(|n| *n = n.wrapping_add(1));
        }
        for waiting in &news.ready {
            // Fails when nobody wants to know.
            let _ = self.waiting.send(*waiting);
        }
    }
}

/// Whoever writes.
pub(super) enum Writer {
    /// A thread of its own.
    Thread {
        requests: Option<mpsc::Sender<Box<dyn Request>>>,
        thread: Option<JoinHandle<()>>,
    },
    /// The caller.
    Inline(Box<Mutex<Desk>>),
}

/// What requests are served with.
pub(super) struct Desk {
    conn: Connection,
    env: Arc<dyn Environment>,
    frozen: Arc<Frozen>,
    bells: Arc<Bells>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        env: Arc<dyn Environment>,
        frozen: Arc<Frozen>,
        bells: Arc<Bells>,
    ) -> std::io::Result<Self> {
        let desk = Desk {
            conn,
            env,
            frozen,
            bells,
        };
        let (sender, mut receiver) = mpsc::channel::<Box<dyn Request>>(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                while let Some(first) = receiver.blocking_recv() {
                    desk.serve(VecDeque::from([first]), &mut || receiver.try_recv().ok());
                }
            })?;
        Ok(Self::Thread {
            requests: Some(sender),
            thread: Some(thread),
        })
    }

    pub(super) fn inline(
        conn: Connection,
        env: Arc<dyn Environment>,
        frozen: Arc<Frozen>,
        bells: Arc<Bells>,
    ) -> Self {
        Self::Inline(Box::new(Mutex::new(Desk {
            conn,
            env,
            frozen,
            bells,
        })))
    }

    /// Runs `verb` in a transaction and answers after it is durable. An error undoes the verb's own
    /// changes and nobody else's, whose verbs may run again for that.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        verb: impl FnMut(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let request = Box::new(Job {
            verb,
            result: None,
            caller: sender,
        });
        let stopped = || StoreError::Database("its writer has stopped".into());
        match self {
            Self::Thread { requests, .. } => {
                let requests = requests.as_ref().ok_or_else(stopped)?;
                requests.send(request).await.map_err(|_| stopped())?;
            }
            Self::Inline(desk) => {
                let desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                desk.serve(VecDeque::from([request as _]), &mut || None);
            }
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Database("a bug stopped this request".into())))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Self::Thread { requests, thread } = self {
            *requests = None;
            if let Some(thread) = thread.take() {
                // It only ends early by a panic, which its hook has reported.
                let _ = thread.join();
            }
        }
    }
}

/// How a transaction ended.
enum Ended {
    /// It is durable.
    Committed(News),
    /// This request failed after it had changed something; nothing of the others is wrong.
    Spoilt(Box<dyn Request>),
    /// Nothing of it remains.
    Lost(Lost),
}

impl Desk {
    /// Serves requests and those that wait behind them.
    fn serve(&self, mut requests: Requests, more: &mut dyn FnMut() -> Option<Box<dyn Request>>) {
        let mut session = Session::new(&self.conn, &*self.env, &self.frozen);
        let mut done = Requests::new();
        let ended = match together(&mut session, &mut requests, more, &mut done) {
            Ok(ended) => ended,
            Err(lost) => Ended::Lost(lost),
        };
        let committed = match ended {
            Ended::Committed(news) => {
                self.bells.ring(&news);
                observe::committed(&news.recorded);
                Ok(())
            }
            Ended::Spoilt(request) => {
                self.roll_back();
                request.answer(Ok(()));
                done.append(&mut requests);
                if !done.is_empty() {
                    self.serve(done, &mut || None);
                }
                return;
            }
            Ended::Lost(lost) => {
                tracing::error!(error = lost.text, "a commit failed");
                self.roll_back();
                Err(lost)
            }
        };
        for request in done.into_iter().chain(requests) {
            request.answer(committed.clone());
        }
    }

    fn roll_back(&self) {
        if !self.conn.is_autocommit()
            && let Err(again) = execute(&self.conn, "ROLLBACK")
        {
            tracing::error!(error = again.text, "a rollback failed");
        }
    }
}

/// One transaction over all requests that wait: they go from `requests` to `done`.
fn together(
    session: &mut Session<'_>,
    requests: &mut Requests,
    more: &mut dyn FnMut() -> Option<Box<dyn Request>>,
    done: &mut Requests,
) -> Result<Ended, Lost> {
    let conn = session.conn;
    begin(session)?;
    let mut news = News::default();
    while let Some(mut request) = requests.pop_front() {
        session.now = session.env.now();
        session.ready.borrow_mut().clear();
        session.position.set(None);
        session.news.borrow_mut().clear();
        let changes = || (conn.total_changes(), session.memory.changes());
        let before = changes();
        let is_ok = catch_unwind(AssertUnwindSafe(|| request.run(session)));
        // SQLite gives up the whole transaction on some errors, a full disk among them.
        if conn.is_autocommit() {
            done.push_back(request);
            return Err(Lost {
                full: true,
                text: "the transaction was given up because another request in it met a full disk"
                    .into(),
            });
        }
        if matches!(is_ok, Ok(true)) {
            news.ready.append(&mut session.ready.borrow_mut());
            news.position = session.position.get().or(news.position);
            news.recorded.append(&mut session.news.borrow_mut());
        } else if is_ok.is_err() || changes() != before {
            return Ok(Ended::Spoilt(request));
        }
        done.push_back(request);
        if requests.is_empty() && done.len() < BATCH_MAX {
            requests.extend(more());
        }
    }
    session.memory.write(conn)?;
    execute(conn, "COMMIT")?;
    Ok(Ended::Committed(news))
}

/// From here on no other process writes: what the phase is now it still is at COMMIT.
fn begin(session: &mut Session<'_>) -> Result<(), Lost> {
    execute(session.conn, "BEGIN IMMEDIATE")?;
    session.phase = phase(session.conn).map_err(|error| Lost {
        full: false,
        text: error.to_string(),
    })?;
    Ok(())
}

fn execute(conn: &Connection, sql: &str) -> Result<(), Lost> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}
