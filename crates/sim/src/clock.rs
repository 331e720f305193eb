//! Virtual time, ids and jitter: what the store is given instead of the outside world.

use crate::random::Random;
use mediaflow_core::Timestamp;
use mediaflow_store::Environment;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

const BEGINNING: i64 = 1_700_000_000_000;

struct Hands {
    /// Milliseconds since the world began, as it really is.
    now: i64,
    /// How wrong the store's clock is.
    wrong: i64,
    ids: u64,
    random: Random,
}

/// The clock of one world after the other.
pub(crate) struct Clock(Mutex<Hands>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Hands {
            now: 0,
            wrong: 0,
            ids: 0,
            random: Random::new(0),
        }))
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new world begins.
    pub(crate) fn reset(&self, random: Random) {
        *self.hands() = Hands {
            now: 0,
            wrong: 0,
            ids: 0,
            random,
        };
    }

    /// As it really is.
    pub(crate) fn true_now(&self) -> i64 {
        self.hands().now
    }

    pub(crate) fn set(&self, now: i64) {
        self.hands().now = now;
    }

    /// The store's clock goes wrong by so many milliseconds more.
    pub(crate) fn jump(&self, by: i64) {
        self.hands().wrong += by;
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        let hands = self.hands();
        Timestamp(BEGINNING + hands.now + hands.wrong)
    }

    fn id(&self) -> Uuid {
        let mut hands = self.hands();
        hands.ids += 1;
        let ms = u128::try_from(BEGINNING + hands.now).unwrap_or_default();
        let low = u128::from(hands.random.next() & 0xffff_ffff);
        Uuid::from_u128(ms << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(hands.ids) << 32 | low)
    }

    fn jitter(&self) -> u32 {
        (self.hands().random.next() >> 32) as u32
    }
}
