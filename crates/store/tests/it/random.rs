//! Any order of what can happen, with the promises checked after each of it.

use crate::check;
use crate::given::{Given, LEASE, TENANT, output, recipe, roomy, squeezing, video};
use crate::stores::{Database, Dbms};
use mediaflow_core::{
    AssetId, AssetState, Decision, ErrorCode, Failure, FailureKind, ModerationPolicy, TaskState,
    Verdict,
};
use mediaflow_store::{Capacity, Claimed, Lease, ReplayFilter, Report, StoreError};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Happening {
    Upload {
        bytes: u8,
        moderation: ModerationPolicy,
        recipe: u8,
    },
    Claim {
        slots: u32,
        idle: bool,
    },
    Report {
        which: usize,
        how: How,
        offer: bool,
    },
    Heartbeat,
    Decide {
        which: usize,
        decision: Decision,
    },
    Replay {
        which: usize,
    },
    ReplayAll,
    Reprocess {
        which: usize,
    },
    Delete {
        which: usize,
    },
    Sweep,
    Pass {
        seconds: u64,
    },
    Collect,
    AllDone,
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Success,
    Rejection,
    Failure(FailureKind),
    HandBack,
}

fn happening() -> impl Strategy<Value = Happening> {
    use FailureKind::{Crash, Deferred, Permanent, Transient};
    let moderation = prop_oneof![
        3 => Just(ModerationPolicy::Off),
        1 => Just(ModerationPolicy::Review),
        1 => Just(ModerationPolicy::Classifier),
    ];
    let how = prop_oneof![
        8 => Just(How::Success),
        1 => Just(How::Rejection),
        1 => prop_oneof![Just(Permanent), Just(Transient), Just(Crash), Just(Deferred)].prop_map(How::Failure),
        1 => Just(How::HandBack),
    ];
    let decision = prop_oneof![3 => Just(Decision::Approve), 1 => Just(Decision::Reject)];
    prop_oneof![
        3 => (0..4u8, moderation, 0..3u8)
            .prop_map(|(bytes, moderation, recipe)| Happening::Upload { bytes, moderation, recipe }),
        6 => (1..6u32, any::<bool>()).prop_map(|(slots, idle)| Happening::Claim { slots, idle }),
        16 => (any::<usize>(), how, any::<bool>())
            .prop_map(|(which, how, offer)| Happening::Report { which, how, offer }),
        1 => Just(Happening::Heartbeat),
        2 => (any::<usize>(), decision).prop_map(|(which, decision)| Happening::Decide { which, decision }),
        2 => any::<usize>().prop_map(|which| Happening::Replay { which }),
        1 => Just(Happening::ReplayAll),
        1 => any::<usize>().prop_map(|which| Happening::Reprocess { which }),
        1 => any::<usize>().prop_map(|which| Happening::Delete { which }),
        2 => Just(Happening::Sweep),
        2 => (0..100u64).prop_map(|seconds| Happening::Pass { seconds }),
        1 => Just(Happening::Collect),
        1 => Just(Happening::AllDone),
        1 => Just(Happening::Restart),
    ]
}

/// What the outside knows: what it was given and what it was told.
struct Outside {
    given: Given,
    database: Database,
    assets: Vec<AssetId>,
    held: Vec<Claimed>,
    reported: HashSet<Lease>,
    deleted: HashSet<AssetId>,
    tasks: HashMap<String, (TaskState, u64)>,
    shown: HashMap<String, (AssetState, u64)>,
}

impl Outside {
    async fn new(dbms: Dbms) -> Self {
        let given = Given::on(dbms).await;
        Self {
            database: given.place.look().await,
            given,
            assets: Vec::new(),
            held: Vec::new(),
            reported: HashSet::new(),
            deleted: HashSet::new(),
            tasks: HashMap::new(),
            shown: HashMap::new(),
        }
    }

    fn pick(&self, which: usize) -> Option<AssetId> {
        (!self.assets.is_empty()).then(|| self.assets[which % self.assets.len()])
    }

    async fn happens(&mut self, what: &Happening) {
        let store = std::sync::Arc::clone(&self.given.store);
        match *what {
            Happening::Upload {
                bytes,
                moderation,
                recipe: which,
            } => {
                let mut upload = self.given.upload_of(&format!("bytes {bytes}"));
                upload.settings.moderation = moderation;
                upload.recipe = match which {
                    0 => recipe(),
                    1 => squeezing(),
                    _ => video(),
                };
                self.assets.push(self.given.accept(upload).await.asset);
            }
            Happening::Claim { slots, idle } => {
                let capacity = Capacity {
                    slots: roomy().slots.into_iter().map(|(q, _)| (q, slots)).collect(),
                    idle,
                    ..roomy()
                };
                let mut claimed = self.given.claim_with(&capacity).await;
                claimed.sort_by_key(place);
                self.held.extend(claimed);
            }
            Happening::Report { which, how, offer } => self.report(which, how, offer).await,
            Happening::Heartbeat => {
                let leases: Vec<Lease> = self.held.iter().map(|c| c.lease).collect();
                let lost = store.heartbeat(&leases, LEASE).await.unwrap();
                for lease in leases {
                    let held = store.is_leased(lease.task, lease.fence).await.unwrap();
                    assert_eq!(held, !lost.contains(&lease));
                }
            }
            Happening::Decide { which, decision } => {
                if let Some(asset) = self.pick(which) {
                    let done = store.decide(TENANT, asset, decision, None, "key:ann").await;
                    assert!(matches!(
                        done,
                        Ok(()) | Err(StoreError::Conflict(_) | StoreError::AssetDeleted)
                    ));
                }
            }
            Happening::Replay { which } => {
                let dead = self.database.ask::<1>(DEAD).await;
                if !dead.is_empty() {
                    let id = dead[which % dead.len()][0].as_deref().unwrap();
                    let id = uuid::Uuid::parse_str(id).unwrap();
                    let done = store.replay(TENANT, id.into()).await;
                    assert!(matches!(done, Ok(true) | Err(StoreError::Conflict(_))));
                    if done.is_ok() {
                        assert!(!store.replay(TENANT, id.into()).await.unwrap());
                    }
                }
            }
            Happening::ReplayAll => {
                store
                    .replay_all(TENANT, &ReplayFilter::default(), 100)
                    .await
                    .unwrap();
            }
            Happening::Reprocess { which } => {
                if let Some(asset) = self.pick(which) {
                    let done = self.given.try_reprocess(asset).await;
                    assert!(matches!(done, Ok(_) | Err(StoreError::Conflict(_))));
                }
            }
            Happening::Delete { which } => {
                if let Some(asset) = self.pick(which) {
                    store.delete(TENANT, asset).await.unwrap();
                    self.deleted.insert(asset);
                }
            }
            Happening::Sweep => {
                store.sweep(100).await.unwrap();
            }
            Happening::Pass { seconds } => self.given.world.pass(Duration::from_secs(seconds)),
            Happening::Collect => {
                // Some bytes are gone at once, others remain condemned for a while.
                let condemned = store.condemn(Duration::from_secs(50), 100).await.unwrap();
                for blob in condemned.iter().step_by(2) {
                    store.forget(blob.id).await.unwrap();
                }
            }
            Happening::AllDone => self.given.all_done().await,
            Happening::Restart => {
                drop(store);
                self.given.reopen().await;
            }
        }
    }

    async fn report(&mut self, which: usize, how: How, offer: bool) {
        if self.held.is_empty() {
            return;
        }
        let claimed = self.held[which % self.held.len()].clone();
        let lease = claimed.lease;
        let failure = |kind| Failure {
            code: ErrorCode::StorageUnavailable,
            message: "it failed".into(),
            kind,
        };
        let report = match how {
            How::Success => Report::Succeeded(output(&claimed)),
            How::Rejection => {
                let mut output = output(&claimed);
                output.verdict = output.verdict.map(|_| Verdict::Reject);
                Report::Succeeded(output)
            }
            How::Failure(kind) => Report::Failed(failure(kind)),
            How::HandBack => Report::HandedBack,
        };
        let valid = self
            .given
            .store
            .is_leased(lease.task, lease.fence)
            .await
            .unwrap();
        let capacity = roomy();
        let capacity = offer.then_some(&capacity);
        match self.given.store.report(lease, report, capacity).await {
            Ok(mut offered) => {
                offered.sort_by_key(place);
                assert!(
                    valid || self.reported.contains(&lease),
                    "an old fence was taken"
                );
                for task in offered {
                    if self.held.iter().all(|c| c.lease != task.lease) {
                        self.held.push(task);
                    }
                }
                self.reported.insert(lease);
                // Few reports are repeated; most make way for others.
                if !which.is_multiple_of(8) {
                    self.held.retain(|c| c.lease != lease);
                }
            }
            Err(StoreError::StaleFence) => {
                assert!(
                    !valid && !self.reported.contains(&lease),
                    "a good report was refused"
                );
            }
            Err(e) => panic!("{e}"),
        }
    }

    /// What must hold between this moment and the one before, in which a task changed this often at most.
    async fn check(&mut self, changes: u32) {
        check::rows(&self.database).await;
        let rows = self.database.ask("SELECT id, state, fence FROM tasks");
        for row in rows.await {
            let [id, state, fence] = row.map(Option::unwrap);
            let state = TaskState::parse(&state).unwrap();
            let fence: u64 = fence.parse().unwrap();
            if let Some((before, old)) = self.tasks.insert(id, (state, fence)) {
                assert!(fence >= old, "fences rise");
                assert!(
                    before == state || reaches(before, state, changes),
                    "{before:?} to {state:?}"
                );
                let taken = matches!(state, TaskState::Running | TaskState::Cancelled);
                assert!(
                    !taken || before == state || fence > old,
                    "{before:?} to {state:?}"
                );
            }
        }
        let sql =
            "SELECT a.id, a.state, (SELECT count(*) FROM events WHERE asset = a.id) FROM assets a";
        let rows = self.database.ask(sql).await;
        assert_eq!(rows.len(), self.assets.len(), "what was accepted is there");
        for row in rows {
            let [id, state, events] = row.map(Option::unwrap);
            let asset: AssetId = uuid::Uuid::parse_str(&id).unwrap().into();
            let state = AssetState::parse(&state).unwrap();
            let events: u64 = events.parse().unwrap();
            let before = self.shown.insert(id, (state, events));
            if let Some((before, told)) = before {
                assert!(
                    before == state || events > told,
                    "a change without an event"
                );
                assert!(
                    before != AssetState::Rejected
                        || matches!(state, AssetState::Rejected | AssetState::Deleted)
                );
            }
            assert_eq!(self.deleted.contains(&asset), state == AssetState::Deleted);
        }
    }

    /// When nothing more goes wrong, everything comes to an end.
    async fn comes_to_rest(&mut self) {
        loop {
            self.given.world.pass(Duration::from_secs(600));
            let swept = self.given.store.sweep(1000).await.unwrap();
            self.given.all_done().await;
            let mut decided = 0;
            for &asset in &self.assets {
                let approved =
                    self.given
                        .store
                        .decide(TENANT, asset, Decision::Approve, None, "key:ann");
                decided += u32::from(approved.await.is_ok());
            }
            if swept.lost + swept.due + decided == 0 {
                break;
            }
        }
        self.check(5).await;
        for &asset in &self.assets {
            let state = self.given.record(asset).await.state;
            assert!(
                !matches!(
                    state,
                    AssetState::Uploaded | AssetState::Processing | AssetState::InReview
                ),
                "{asset} is still {state:?}"
            );
        }
    }
    /// When everything was deleted and collected, nothing is left but the record.
    async fn comes_to_an_end(&mut self) {
        for asset in self.assets.clone() {
            self.given.store.delete(TENANT, asset).await.unwrap();
            self.deleted.insert(asset);
        }
        self.check(5).await;
        self.happens(&Happening::Pass { seconds: 50 }).await;
        self.happens(&Happening::Collect).await;
        while !self
            .given
            .store
            .condemn(Duration::ZERO, 100)
            .await
            .unwrap()
            .is_empty()
        {
            self.happens(&Happening::Collect).await;
        }
        self.check(5).await;
        let sql = "SELECT (SELECT count(*) FROM blobs) + (SELECT count(*) FROM orphans) + (SELECT count(*) FROM facts)";
        let left = self.database.ask(sql).await;
        assert_eq!(left, [[Some("0".to_owned())]]);
    }
}

/// Dead tasks in an order that is the same in every database.
const DEAD: &str =
    "SELECT id FROM tasks WHERE state = 'dead' ORDER BY asset, generation, step, number";

/// What a story comes to, without ids: those are another database's own.
const TOLD: &[&str] = &[
    "SELECT state, published, generation, CASE WHEN in_review THEN 1 ELSE 0 END, original_bytes, updated_at
     FROM assets ORDER BY id",
    "SELECT generation, step, number, state, tries, error_code FROM tasks ORDER BY asset, generation, step, number",
    "SELECT sequence, type, at, 0, 0, 0 FROM events ORDER BY asset, sequence",
    "SELECT generation, profile, format, width, height, 0 FROM renditions ORDER BY asset, generation, profile, format",
    "SELECT generation, track, number, duration, key_bytes, 0 FROM segments ORDER BY asset, generation, track, number",
    "SELECT generation, name, segments, bytes, compared, codecs FROM tracks ORDER BY asset, generation, name",
    "SELECT generation, name, language, label, 0, 0 FROM captions ORDER BY asset, generation, name",
    "SELECT generation, operation, 0, 0, 0, 0 FROM facts ORDER BY asset, operation",
    "SELECT attempts, 0, 0, 0, 0, 0 FROM purges ORDER BY id",
];

/// Where a task is among all, whatever its id.
fn place(claimed: &Claimed) -> (AssetId, u32, usize, u32) {
    (
        claimed.asset,
        claimed.generation,
        claimed.step,
        claimed.number,
    )
}

impl Outside {
    async fn tells(&self) -> Vec<Vec<[Option<String>; 6]>> {
        let mut told = Vec::new();
        for sql in TOLD {
            told.push(self.database.ask(sql).await);
        }
        told
    }

    async fn lives_through(&mut self, story: &[Happening]) {
        for what in story {
            self.happens(what).await;
            let is_long = matches!(what, Happening::AllDone);
            self.check(if is_long { 3 } else { 2 }).await;
        }
        self.comes_to_rest().await;
        self.comes_to_an_end().await;
    }
}

/// Whether a task gets from one state to the other in this many changes; one verb makes two at most.
fn reaches(from: TaskState, to: TaskState, changes: u32) -> bool {
    let mut states = TaskState::ALL.iter();
    from.allows(to)
        || changes > 1
            && states.any(|&between| from.allows(between) && reaches(between, to, changes - 1))
}

fn live_through(dbms: Dbms, story: &[Happening]) {
    let runtime = runtime();
    runtime.block_on(async { Outside::new(dbms).await.lives_through(story).await });
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

fn stories(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(stories(48))]
    #[test]
    fn every_promise_holds_whatever_happens(story in prop::collection::vec(happening(), 1..60)) {
        live_through(Dbms::Sqlite, &story);
    }
}

// Fewer of them: each statement is a way to the server and back.
proptest! {
    #![proptest_config(stories(8))]
    #[test]
    fn every_promise_holds_on_postgres_whatever_happens(story in prop::collection::vec(happening(), 1..60)) {
        live_through(Dbms::Postgres, &story);
    }

    #[test]
    fn both_tell_the_same_of_a_story(story in prop::collection::vec(happening(), 1..60)) {
        runtime().block_on(async {
            let mut sqlite = Outside::new(Dbms::Sqlite).await;
            let mut postgres = Outside::new(Dbms::Postgres).await;
            // Opening SQLite voids leases, opening PostgreSQL does not: others may hold them.
            for what in story.iter().filter(|what| !matches!(what, Happening::Restart)) {
                sqlite.happens(what).await;
                postgres.happens(what).await;
                assert_eq!(sqlite.tells().await, postgres.tells().await, "after {what:?}");
            }
        });
    }
}
