//! The threads that media work runs on: never the runtime's, and as many as there are slots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed set of threads.
#[derive(Clone)]
pub(crate) struct MediaThreads {
    jobs: mpsc::Sender<Job>,
}

/// The work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Image codecs of big pictures are recursive at most a few levels; this is what Rust's own main thread has.
const STACK_BYTES: usize = 8 << 20;

impl MediaThreads {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(count: u32) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..count.max(1) {
            let queue = Arc::clone(&queue);
            let name = format!("media-{number}");
            std::thread::Builder::new()
                .name(name)
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    loop {
                        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        match job {
                            Ok(job) => job(),
                            Err(mpsc::RecvError) => return,
                        }
                    }
                })?;
        }
        Ok(Self { jobs })
    }

    /// Runs `work` on one of the threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (answer, wait) = oneshot::channel();
        let job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked);
            // Nobody listens any more when the attempt ran out of time.
            let _ = answer.send(outcome);
        });
        self.jobs.send(job).map_err(|_| Panicked)?;
        wait.await.unwrap_or(Err(Panicked))
    }
}
