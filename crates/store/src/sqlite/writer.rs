//! The one thread that writes, with group commit: each request runs in a savepoint of its own, many
//! requests share a COMMIT, and nobody is answered before it. A database in memory has nothing to wait for: its
//! requests run where they are made, one after the other, so that a simulation is the same each time.

use super::phase::phase;
use crate::frozen::Frozen;
use crate::moving::Phase;
use crate::{Environment, StoreError, Waiting};
use mediaflow_core::{TaskId, Timestamp};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
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
    /// Whether changes are taken.
    pub(super) phase: Phase,
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
            phase: Phase::Open,
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

pub(super) type Answer = Box<dyn FnOnce(Result<(), Lost>) + Send>;
/// Answers whether its changes are to be kept. Without a session it only answers why there is none.
pub(super) type Request = Box<dyn FnOnce(Result<&Session<'_>, Lost>) -> (Answer, bool) + Send>;

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
        requests: Option<mpsc::Sender<Request>>,
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
        let (sender, mut receiver) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                while let Some(first) = receiver.blocking_recv() {
                    desk.serve(first, || receiver.try_recv().ok());
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
    /// changes and nobody else's.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let request: Request = Box::new(move |session| {
            let result = session.map_err(StoreError::from).and_then(|s| {
                s.phase.may_change()?;
                verb(s)
            });
            let keep = result.is_ok();
            let answer: Answer = Box::new(move |committed| {
                let result = match committed {
                    Err(lost) if keep => Err(lost.into()),
                    _ => result,
                };
                // Nobody waits any more when the caller was cancelled; the work is done all the same.
                let _ = sender.send(result);
            });
            (answer, keep)
        });
        let stopped = || StoreError::Database("its writer has stopped".into());
        match self {
            Self::Thread { requests, .. } => {
                let requests = requests.as_ref().ok_or_else(stopped)?;
                requests.send(request).await.map_err(|_| stopped())?;
            }
            Self::Inline(desk) => {
                let desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                desk.serve(request, || None);
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

impl Desk {
    /// Serves a request and those that wait behind it.
    fn serve(&self, first: Request, more: impl FnMut() -> Option<Request>) {
        let mut session = Session::new(&self.conn, &*self.env, &self.frozen);
        let mut answers = Vec::new();
        let committed = batch(&mut session, first, more, &mut answers);
        match &committed {
            Ok(news) => self.bells.ring(news),
            Err(lost) => {
                tracing::error!(error = lost.text, "a commit failed");
                if !self.conn.is_autocommit()
                    && let Err(again) = execute(&self.conn, "ROLLBACK")
                {
                    tracing::error!(error = again.text, "a rollback failed");
                }
            }
        }
        for answer in answers {
            answer(committed.as_ref().map(|_| ()).map_err(Lost::clone));
        }
    }
}

/// One transaction over all requests that wait. On an error nothing of it remains.
fn batch(
    session: &mut Session<'_>,
    first: Request,
    mut more: impl FnMut() -> Option<Request>,
    answers: &mut Vec<Answer>,
) -> Result<News, Lost> {
    let conn = session.conn;
    let mut next = Some(first);
    let mut news = News::default();
    while let Some(request) = next {
        let begun = match answers.len() {
            0 => begin(session),
            _ => Ok(()),
        };
        if let Err(lost) = begun.and_then(|()| execute(conn, "SAVEPOINT request")) {
            answers.push(request(Err(lost.clone())).0);
            return Err(lost);
        }
        session.now = session.env.now();
        session.ready.borrow_mut().clear();
        session.position.set(None);
        let done = catch_unwind(AssertUnwindSafe(|| request(Ok(session))));
        let keep = matches!(&done, Ok((_, true)));
        // After a panic the caller learns from its dropped channel.
        answers.push(done.map_or_else(|_| Box::new(|_| ()) as Answer, |(answer, _)| answer));
        // SQLite gives up the whole transaction on some errors, a full disk among them.
        if conn.is_autocommit() {
            return Err(Lost {
                full: true,
                text: "the transaction was given up because another request in it met a full disk"
                    .into(),
            });
        }
        if keep {
            news.ready.append(&mut session.ready.borrow_mut());
            news.position = session.position.get().or(news.position);
        } else {
            execute(conn, "ROLLBACK TO request")?;
        }
        execute(conn, "RELEASE request")?;
        next = if answers.len() < BATCH_MAX {
            more()
        } else {
            None
        };
    }
    execute(conn, "COMMIT")?;
    Ok(news)
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
