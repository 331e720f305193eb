//! What a seed decides before its world begins: how large it is, and what goes wrong in it how often.

use crate::random::Random;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The database does not answer, or its pool is empty: nothing was done.
    Unreachable,
    /// The transaction was committed, and its answer lost.
    AnswerLost,
    /// The disk is full in the middle of a transaction.
    DiskFull,
    /// Bytes are not written.
    BlobFails,
    /// Bytes are written, and the answer comes too late.
    BlobLate,
    /// A bit is flipped on the way to the blob store or from it.
    BlobFlips,
    /// A listing shows what is gone already, or not yet what is there.
    ListStale,
    /// A wake-up is lost.
    BellLost,
    /// A wake-up comes twice.
    BellTwice,
    /// A wake-up comes much later, after others.
    BellLate,
    /// A worker's process dies between any two steps.
    Crash,
    /// A worker stands still for longer than its lease, and goes on.
    Pause,
    /// A program says that it succeeded, and its output is cut short.
    Lie,
    /// An attempt fails, in each way that there is.
    Breaks,
    /// A worker's timers are wrong, so that its heartbeats come too late.
    Drift,
    /// The store's clock jumps by up to an hour.
    ClockJump,
    /// The whole process dies, and another one opens the database.
    Restart,
    /// The CDN refuses a purge.
    CdnFails,
    /// Whoever is told of events does not answer.
    SinkFails,
    /// A file kills every process that touches it.
    Poison,
    /// People cancel, replay, reprocess, delete and change things at any moment.
    Operators,
    /// A worker starts with an older version of the program, which cannot do what newer recipes ask for.
    Older,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Unreachable,
        Self::AnswerLost,
        Self::DiskFull,
        Self::BlobFails,
        Self::BlobLate,
        Self::BlobFlips,
        Self::ListStale,
        Self::BellLost,
        Self::BellTwice,
        Self::BellLate,
        Self::Crash,
        Self::Pause,
        Self::Lie,
        Self::Breaks,
        Self::Drift,
        Self::ClockJump,
        Self::Restart,
        Self::CdnFails,
        Self::SinkFails,
        Self::Poison,
        Self::Operators,
        Self::Older,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The largest rate of a seed, in thousandths of the occasions there are.
    const fn most(self) -> u64 {
        match self {
            Self::BellLost | Self::ListStale | Self::Operators => 1000,
            Self::BellTwice | Self::BellLate | Self::CdnFails | Self::SinkFails => 500,
            Self::Older => 800,
            Self::Unreachable | Self::AnswerLost | Self::Breaks | Self::Drift => 150,
            Self::Crash | Self::Pause | Self::Lie | Self::Poison => 100,
            Self::DiskFull | Self::BlobFails | Self::BlobLate | Self::BlobFlips => 100,
            Self::ClockJump | Self::Restart => 100,
        }
    }
}

/// One world, before anything happened.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What everything else follows from.
    pub seed: u64,
    /// How many files people send.
    pub uploads: u32,
    /// How many workers there are.
    pub workers: u32,
    /// For how many seconds things go wrong.
    pub trouble_s: u64,
    /// Thousandths of the occasions at which each fault happens.
    pub(crate) rates: [u32; Fault::COUNT],
    /// Whether everybody deletes everything in the end, to see that nothing is left.
    pub(crate) ends: bool,
    /// Seconds between two polls of an idle worker.
    pub(crate) poll_s: u64,
    /// Recipes to choose from, as bits.
    pub(crate) recipes: u64,
    /// How many of the first files kill every process that touches them.
    pub(crate) poisons: u32,
    /// How many of the first files are one tenant's, who sends them all at once.
    pub(crate) bulk: u32,
    /// Whether old events and tasks are forgotten.
    pub(crate) prunes: bool,
}

impl Plan {
    /// The plan of a seed: worlds differ in size, and each has some of the faults only, because a fault that always
    /// happens hides what only happens without it.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut rates = [0; Fault::COUNT];
        let quiet = random.chance(60);
        for (rate, fault) in rates.iter_mut().zip(Fault::ALL) {
            if !quiet && random.chance(500) {
                *rate = (fault.most() >> random.below(3)) as u32;
            }
        }
        let recipes = random.between(1, (1 << crate::recipes::COUNT) - 1);
        Self {
            seed,
            uploads: random.between(1, 6) as u32,
            workers: random.between(1, 3) as u32,
            trouble_s: random.between(30, 180),
            rates,
            ends: random.chance(300),
            poll_s: random.between(5, 30),
            recipes,
            poisons: 0,
            bulk: 0,
            prunes: random.chance(300),
        }
    }

    /// The same world in which nothing of this kind goes wrong.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.rates[fault as usize] = 0;
        self
    }

    /// A world of this size in which nothing goes wrong but what is added. Files of one step each arrive within
    /// three fifths of `lasts_s` seconds.
    pub fn calm(seed: u64, uploads: u32, workers: u32, lasts_s: u64) -> Self {
        Self {
            seed,
            uploads,
            workers,
            trouble_s: lasts_s,
            rates: [0; Fault::COUNT],
            ends: false,
            poll_s: 10,
            recipes: 1,
            poisons: 0,
            bulk: 0,
            prunes: false,
        }
    }

    /// The same world in which this goes wrong at so many of a thousand occasions.
    #[must_use]
    pub fn with(mut self, fault: Fault, per_mille: u32) -> Self {
        self.rates[fault as usize] = per_mille;
        self
    }

    /// The same world in which so many of the first files kill every process that touches them.
    #[must_use]
    pub fn poisoned(self, poisons: u32) -> Self {
        Self { poisons, ..self }
    }

    /// The same world, in which another tenant sends so many files more, all of them in its first second.
    #[must_use]
    pub fn beside(self, bulk: u32) -> Self {
        let uploads = self.uploads + bulk;
        Self {
            uploads,
            bulk,
            ..self
        }
    }

    /// What goes wrong in it.
    pub fn faults(&self) -> Vec<Fault> {
        let on = |f: &Fault| self.rates[*f as usize] > 0;
        Fault::ALL.iter().copied().filter(on).collect()
    }
}
