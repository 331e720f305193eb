//! How often and when to try again, and how fast to collect. When a store is in trouble, retries are what keeps it there:
//! so they are paid from what successes have earned.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Tries of one request.
pub(super) const TRIES_MAX: u32 = 6;
/// The longest pause before the second try; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A store that asks for less gets longer pauses.
const SLOW_DOWN: u32 = 4;
/// What can be saved: a hundred retries.
const TOKENS_MAX: u32 = 500;
const RETRY_COSTS: u32 = 5;

/// Retries of all requests together.
#[derive(Debug)]
pub(super) struct RetryBudget {
    tokens: Mutex<u32>,
}

impl RetryBudget {
    pub(super) fn new() -> Self {
        Self {
            tokens: Mutex::new(TOKENS_MAX),
        }
    }

    /// A request succeeded.
    pub(super) fn earn(&self) {
        let mut tokens = lock(&self.tokens);
        *tokens = (*tokens + 1).min(TOKENS_MAX);
    }

    /// How long to wait before the next try; none when there is to be none. `tries` were made.
    pub(super) fn next(&self, tries: u32, slow_down: bool) -> Option<Duration> {
        if tries >= TRIES_MAX {
            return None;
        }
        let mut tokens = lock(&self.tokens);
        *tokens = tokens.checked_sub(RETRY_COSTS)?;
        drop(tokens);
        let factor = (1 << (tries - 1)) * if slow_down { SLOW_DOWN } else { 1 };
        let longest = PAUSE_FIRST.saturating_mul(factor).min(PAUSE_MAX);
        // Anything between nothing and the longest: those who failed together must not come back together.
        Some(longest.mul_f64(rand::random::<f64>()))
    }
}

/// Turns of requests that nobody waits for.
#[derive(Debug)]
pub(super) struct Pace {
    between: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            between: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits until it is the caller's turn.
    pub(super) async fn turn(&self) {
        let now = Instant::now();
        let mine = {
            let mut next = lock(&self.next);
            let mine = next.unwrap_or(now).max(now);
            *next = Some(mine + self.between);
            mine
        };
        tokio::time::sleep_until(mine).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_paid_from_successes_and_end() {
        let budget = RetryBudget::new();
        assert_eq!(budget.next(TRIES_MAX, false), None);
        let given = (0..1000)
            .filter(|_| budget.next(1, false).is_some())
            .count();
        assert_eq!(given, 100, "then the store is left alone");
        for _ in 0..RETRY_COSTS {
            budget.earn();
        }
        assert!(budget.next(5, true).is_some_and(|pause| pause <= PAUSE_MAX));
        assert_eq!(budget.next(1, false), None);
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_their_pace() {
        let pace = Pace::new(10);
        let began = Instant::now();
        for _ in 0..21 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
