//! What waiting costs.

use crate::place::Place;
use std::time::Duration;

/// Processor time of this thread, on which everything of a scenario runs, and of the threads that work for it.
fn spent(threads: Option<&str>) -> Duration {
    let own = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut sum = nanoseconds(&own);
    let Some(threads) = threads else {
        return Duration::from_nanos(sum);
    };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name));
        if read("comm").is_ok_and(|name| name.starts_with(threads)) {
            sum += nanoseconds(&read("schedstat").unwrap_or_default());
        }
    }
    Duration::from_nanos(sum)
}

fn nanoseconds(schedstat: &str) -> u64 {
    let first = schedstat.split_whitespace().next();
    first.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Waits, and asserts that nothing here was busy meanwhile.
pub(crate) async fn waits_quietly<P: Place>(time: Duration) {
    let before = spent(P::THREADS);
    tokio::time::sleep(time).await;
    let spent = spent(P::THREADS).saturating_sub(before);
    assert!(
        spent < time / 5,
        "{spent:?} of processor time within {time:?} of waiting"
    );
}
