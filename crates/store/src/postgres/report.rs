//! Ends of attempts: those that arrive together are decided about together.

use super::changes::{Changes, Ended};
use super::hand::{self, Hand};
use super::live::{self, Live};
use super::output::{self, Blobs};
use super::queue::Done;
use super::session::{self, Repeat};
use super::unit::{Decided, Unit};
use super::{Core, Session, claim};
use crate::{Capacity, Claimed, Lease, Output, Report, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mediaflow_core::{Failure, FailureKind, TaskId, TaskState, transition};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A report that waits for its transaction.
pub(super) struct Reported {
    pub(super) lease: Lease,
    pub(super) report: Report,
    pub(super) offer: Option<Capacity>,
}

/// What is known about a report when its task is in hand.
enum Standing {
    /// To be decided about.
    Open,
    /// It was reported before, and gets the first answer again.
    Repeated,
    /// To be answered with an error.
    Refused(StoreError),
    /// Another report of the same task comes first.
    Later,
}

/// Ends attempts in one transaction.
pub(super) fn end_all<'a>(
    core: &'a Arc<Core>,
    reports: &'a [Reported],
) -> BoxFuture<'a, Result<Vec<Done<Vec<Claimed>>>, StoreError>> {
    session::write_often(core, Repeat::Always, move |s, _| decide(s, reports).boxed()).boxed()
}

async fn decide(
    s: &mut Session,
    reports: &[Reported],
) -> Result<Vec<Done<Vec<Claimed>>>, StoreError> {
    let tasks: Vec<TaskId> = reports.iter().map(|r| r.lease.task).collect();
    let assets = hand::assets(s, &tasks).boxed().await?;
    let lives = live::load(s, &assets).boxed().await?;
    let leases: Vec<Lease> = reports.iter().map(|r| r.lease).collect();
    let hands = hand::load(s, &leases).boxed().await?;
    let mut unit = Unit::new(s, lives);
    let mut seen = HashSet::new();
    let standings: Vec<Standing> = reports
        .iter()
        .map(|report| match seen.insert(report.lease.task) {
            true => standing(report, &hands, &unit),
            false => Standing::Later,
        })
        .collect();
    let blobs = hold(s, reports, &standings, &hands, &mut unit)
        .boxed()
        .await?;
    let mut done = Vec::with_capacity(reports.len());
    let mut offers = Vec::new();
    let mut repeated = Vec::new();
    for (report, standing) in reports.iter().zip(standings) {
        let request = claim::offer_of(report.lease);
        done.push(match standing {
            Standing::Later => Done::Later,
            Standing::Refused(error) => Done::Answer(Err(error)),
            Standing::Repeated => {
                repeated.push(request);
                Done::Answer(Ok(Vec::new()))
            }
            Standing::Open => {
                let hand = hands.get(&report.lease.task);
                let hand = hand.expect("a report is open only with its task in hand");
                let (tenant, asset) = (hand.tenant, hand.asset);
                let ended = end(&mut unit, &blobs, hand, report);
                if let (Report::Succeeded(output), false) =
                    (&report.report, matches!(ended, Ok(Some(true))))
                {
                    unit.orphan(blobs.adopted_for(tenant, output));
                }
                match ended {
                    Ok(None) => Done::Later,
                    Err(error) => Done::Answer(Err(error)),
                    Ok(Some(kept)) => {
                        let refused = !kept && matches!(report.report, Report::Succeeded(_));
                        if let (Some(capacity), false) = (&report.offer, refused) {
                            offers.push(claim::Offer {
                                asset,
                                capacity,
                                request,
                            });
                        }
                        Done::Answer(Ok(Vec::new()))
                    }
                }
            }
        });
    }
    unit.flush(s).boxed().await?;
    let mut given = claim::offer(s, &offers).boxed().await?;
    let gone: HashSet<TaskId> = given.values().flatten().map(|t| t.lease.task).collect();
    s.ready.retain(|ready| !gone.contains(&ready.task));
    given.extend(claim::held(s, &repeated).boxed().await?);
    for (report, done) in reports.iter().zip(&mut done) {
        if let (Done::Answer(Ok(tasks)), Some(found)) =
            (done, given.remove(&claim::offer_of(report.lease)))
        {
            *tasks = found;
        }
    }
    Ok(done)
}

fn standing(report: &Reported, hands: &HashMap<TaskId, Hand>, unit: &Unit) -> Standing {
    let Some(hand) = hands.get(&report.lease.task) else {
        return Standing::Refused(StoreError::TaskNotFound);
    };
    if hand.fence != report.lease.fence || hand.task.state != TaskState::Running {
        return match hand.reported {
            true => Standing::Repeated,
            false => Standing::Refused(StoreError::StaleFence),
        };
    }
    let live = unit.lives.get(&hand.asset);
    match live
        .is_some_and(|live| live.run.generation == hand.generation && live.run.state.is_open())
    {
        true => Standing::Open,
        false => Standing::Refused(StoreError::StaleFence),
    }
}

/// Holds what the outputs refer to, and recalls what they may meet.
async fn hold(
    s: &Session,
    reports: &[Reported],
    standings: &[Standing],
    hands: &HashMap<TaskId, Hand>,
    unit: &mut Unit,
) -> Result<Blobs, StoreError> {
    let mut outputs: Vec<(mediaflow_core::TenantId, &Output)> = Vec::new();
    let (mut renditions, mut tracks) = (Vec::new(), Vec::new());
    for (report, standing) in reports.iter().zip(standings) {
        if let (Standing::Open, Report::Succeeded(output), Some(hand)) =
            (standing, &report.report, hands.get(&report.lease.task))
        {
            outputs.push((hand.tenant, output));
            if !output.renditions.is_empty() {
                renditions.push(hand.asset);
            }
            if !output.tracks.is_empty() {
                tracks.push(hand.asset);
            }
        }
    }
    for assets in [&mut renditions, &mut tracks] {
        assets.sort_unstable();
        assets.dedup();
    }
    output::recall(s, &mut unit.lives, &renditions, &tracks)
        .boxed()
        .await?;
    output::hold(s, &outputs).boxed().await
}

/// Ends one attempt: answers whether its output was kept, or nothing when it must wait.
fn end(
    unit: &mut Unit,
    blobs: &Blobs,
    hand: &Hand,
    reported: &Reported,
) -> Result<Option<bool>, StoreError> {
    let mut kept = false;
    let mut task = hand.clone();
    let decided = unit.decide(hand.asset, |live, changes| {
        let jitter = changes.env.jitter();
        match &reported.report {
            Report::Succeeded(output) => {
                if let Some(failure) = live.refuses(output) {
                    return fail(live, changes, &mut task, &failure, "failed", jitter);
                }
                let recipe = Arc::clone(&live.run.recipe);
                let operation = &recipe.steps[task.task.step].operation;
                live.keep(changes, blobs, operation, output)?;
                let effects = transition::succeed(
                    &mut live.run,
                    task.task,
                    output.verdict,
                    &output.expansions,
                )?;
                end_attempt(changes, &task, "succeeded", None);
                live.apply(changes, &effects, Some(&mut task));
                kept = true;
            }
            Report::Failed(failure) => {
                let deferred = failure.kind == FailureKind::Deferred;
                let outcome = if deferred { "handed_back" } else { "failed" };
                return fail(live, changes, &mut task, failure, outcome, jitter);
            }
            Report::HandedBack => {
                let effects = transition::hand_back(&live.run, task.task)?;
                end_attempt(changes, &task, "handed_back", None);
                live.apply(changes, &effects, Some(&mut task));
            }
        }
        changes.hands.push(task);
        Ok(())
    })?;
    Ok(match decided {
        Decided::Yes => Some(kept),
        Decided::Later => None,
    })
}

fn fail(
    live: &mut Live,
    changes: &mut Changes,
    hand: &mut Hand,
    failure: &Failure,
    outcome: &'static str,
    jitter: u32,
) -> Result<(), StoreError> {
    let effects = transition::fail(&mut live.run, hand.task, failure, jitter)?;
    end_attempt(changes, hand, outcome, Some(failure));
    hand.note_failure(failure);
    live.apply(changes, &effects, Some(hand));
    changes.hands.push(hand.clone());
    Ok(())
}

/// The task's worker is gone, and its lease with it.
pub(super) fn lose(unit: &mut Unit, hand: &Hand) -> Result<Decided, StoreError> {
    unit.decide(hand.asset, |live, changes| {
        let mut hand = hand.clone();
        let jitter = changes.env.jitter();
        let failure = Failure::worker_lost();
        let effects = transition::fail(&mut live.run, hand.task, &failure, jitter)?;
        end_attempt(changes, &hand, "lost", Some(&failure));
        hand.note_failure(&failure);
        live.apply(changes, &effects, Some(&mut hand));
        hand.fence += 1;
        changes.hands.push(hand);
        Ok(())
    })
}

fn end_attempt(
    changes: &mut Changes,
    hand: &Hand,
    outcome: &'static str,
    failure: Option<&Failure>,
) {
    changes.ended.push(Ended {
        task: hand.id,
        fence: hand.fence,
        outcome,
        failure: failure.cloned(),
    });
}
