//! Threads that read beside the writer, each with a connection of its own and one snapshot per request.

use crate::StoreError;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Most reads that wait for a thread; beyond it callers wait to be let in.
const WAITING_MAX: usize = 1024;

type Request = Box<dyn FnOnce(&Connection) + Send>;

/// The handle of the threads.
pub(super) struct Readers {
    requests: Option<mpsc::Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = connections
            .into_iter()
            .map(|conn| {
                let receiver = Arc::clone(&receiver);
                std::thread::Builder::new()
                    .name("store-reader".into())
                    .spawn(move || run(&conn, &receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            requests: Some(sender),
            threads,
        })
    }

    /// Runs `query` over one snapshot that holds everything answered before.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, answer) = oneshot::channel();
        let request: Request = Box::new(move |conn| {
            let result = conn
                .unchecked_transaction()
                .map_err(StoreError::from)
                .and_then(|tx| query(&tx));
            // Nobody waits any more when the caller was cancelled.
            let _ = sender.send(result);
        });
        let stopped = || StoreError::Database("its readers have stopped".into());
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(request).await.map_err(|_| stopped())?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Database("a bug stopped this request".into())))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.requests = None;
        for thread in self.threads.drain(..) {
            // It only ends early by a panic, which its hook has reported.
            let _ = thread.join();
        }
    }
}

fn run(conn: &Connection, requests: &Mutex<mpsc::Receiver<Request>>) {
    loop {
        let next = requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(request) = next else { return };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| request(conn)));
        if done.is_err() {
            tracing::error!("a query panicked");
        }
    }
}
