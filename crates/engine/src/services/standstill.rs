//! Whether everything stood still: a sleeping laptop, a stopped process, a database that did not answer. Leases ran out meanwhile
//! whose workers are as well as before, so they get time to extend them before any is swept.
//!
//! Every process watches the store's answers, also while another one sweeps: whoever takes that over knows of it too.

use mediaflow_core::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The store answers some service at least every few seconds, if only whose turn it is. A longer silence is a standstill.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// More than a worker pauses between two heartbeats, unless leases are longer than usual.
const GRACE: Duration = Duration::from_secs(15);

/// In milliseconds since 1970 by this machine's clock, which goes on while it sleeps; 0 is never.
#[derive(Debug, Default)]
pub(crate) struct Standstill {
    answered_at: AtomicI64,
    until: AtomicI64,
}

impl Standstill {
    /// The store has answered.
    pub(super) fn answered(&self, now: Timestamp) {
        self.look(now);
        self.answered_at.store(now.0, Ordering::Relaxed);
    }

    /// Whether workers have had their time.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.look(now);
        let until = Timestamp(self.until.load(Ordering::Relaxed));
        let left = until.since(now);
        // More is left only when the clock was set back.
        left.is_zero() || left > GRACE
    }

    fn look(&self, now: Timestamp) {
        let last = Timestamp(self.answered_at.load(Ordering::Relaxed));
        if last.0 == 0 || now.since(last) <= SILENCE_MAX {
            return;
        }
        let before = self.until.swap(now.after(GRACE).0, Ordering::Relaxed);
        if before < now.0 {
            tracing::warn!(
                "everything stood still for a while; leases are extended before any is swept"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp(1_700_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        BEGAN.after(Duration::from_secs(seconds))
    }

    #[test]
    fn leases_are_left_alone_for_a_while_after_a_silence() {
        let standstill = Standstill::default();
        assert!(standstill.is_over(at(0)), "nobody knows of anything before");
        for seconds in [0, 5, 10] {
            standstill.answered(at(seconds));
            assert!(standstill.is_over(at(seconds)));
        }
        // The database is away, and back.
        assert!(!standstill.is_over(at(70)));
        standstill.answered(at(72));
        assert!(!standstill.is_over(at(72)));
        standstill.answered(at(80));
        assert!(!standstill.is_over(at(86)));
        assert!(standstill.is_over(at(87)));
    }

    #[test]
    fn a_machine_that_slept_knows_before_it_asks() {
        let standstill = Standstill::default();
        standstill.answered(at(0));
        assert!(!standstill.is_over(at(3600)));
        for seconds in [3600, 3605, 3610] {
            standstill.answered(at(seconds));
        }
        assert!(standstill.is_over(at(3615)));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let standstill = Standstill::default();
        standstill.answered(at(4000));
        standstill.answered(at(4100));
        assert!(!standstill.is_over(at(4100)));
        assert!(standstill.is_over(at(500)));
    }
}
