//! Tells webhooks what happened: plans what each is to be told, and sends what is due, several at the same time, so that a receiver that is slow delays
//! nobody but itself. What was planned and how it went is in the store; who goes on after a crash repeats a little, under the same id.

use super::duty::{Duty, ELSEWHERE};
use super::{Board, Round, ServiceStatus};
use crate::webhooks::{Answered, Letter, OUTLET, wants};
use crate::{CloudEvent, Engine, EngineError};
use mediaflow_core::trace::TraceId;
use mediaflow_core::{EventId, WebhookId};
use mediaflow_store::{
    Attempted, DeliveryNext, DeliveryTry, DueDelivery, EventRecord, NewDelivery, Subscription,
};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub(super) const NAME: &str = "webhooks";
const PAUSE: Duration = Duration::from_millis(500);
/// Events that are planned in one transaction.
const EVENTS_MAX: u32 = 200;
/// Deliveries of one webhook at the same time.
const EACH_MAX: usize = 8;
/// The same while its deliveries fail: enough to see when it is well again.
const FAILING_MAX: usize = 1;
/// After how long with nothing but failures a webhook is switched off.
const SWITCHED_OFF_AFTER: Duration = Duration::from_secs(5 * 86_400);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Between the attempts of a delivery, as Standard Webhooks has it, in seconds.
const PAUSES: [u64; 9] = [
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
];

/// What happens within so much time is planned together.
const TOGETHER: Duration = Duration::from_millis(25);

type Key = (WebhookId, EventId);

/// Deliveries that this process is at.
#[derive(Default)]
struct Running {
    /// Each with whether its outcome was recorded.
    tasks: JoinSet<(Key, bool)>,
    keys: HashSet<Key>,
    /// Whether the store did not take an outcome: nothing more is sent that would be sent again and again.
    is_unrecorded: bool,
}

impl Running {
    /// Stops all: what was sent and not recorded is sent again.
    async fn end(&mut self) {
        self.tasks.shutdown().await;
        self.keys.clear();
    }

    fn ended(&mut self, task: Result<(Key, bool), tokio::task::JoinError>) {
        match task {
            Ok((key, is_recorded)) => {
                self.keys.remove(&key);
                self.is_unrecorded |= !is_recorded;
            }
            Err(error) => {
                tracing::error!(%error, "a delivery ended badly; it is tried again");
                // Which one it was nobody knows; at the next start all can be tried again.
                if self.tasks.is_empty() {
                    self.keys.clear();
                }
            }
        }
    }
}

pub(super) async fn run(
    engine: Arc<Engine>,
    mut duty: Duty,
    board: Board,
    stop: CancellationToken,
) {
    let mut running = Running::default();
    let mut news = engine.store().on_event();
    loop {
        let (mut pause, mut listens) = (ELSEWHERE, false);
        if duty.is_ours(&engine).await {
            news.mark_unchanged();
            let round = round(&engine, &mut running).await;
            let error = round.as_ref().err().map(|error| {
                tracing::warn!(service = NAME, %error, reason = ?error.reason, "a round failed");
                error.to_string()
            });
            let at = engine.environment().now();
            board.write(NAME, ServiceStatus { at, error });
            listens = matches!(round, Ok(Some(_)));
            pause = match round {
                Ok(Some(Round::More)) => Duration::ZERO,
                _ => PAUSE,
            };
        } else {
            running.end().await;
            engine.undelivered_since.store(0, Ordering::Relaxed);
        }
        tokio::select! {
            () = stop.cancelled() => return running.end().await,
            () = tokio::time::sleep(pause) => {}
            () = engine.webhook_wanted.notified() => {}
            Ok(()) = news.changed(), if listens => tokio::time::sleep(TOGETHER).await,
            Some(task) = running.tasks.join_next() => running.ended(task),
        }
        while let Some(task) = running.tasks.try_join_next() {
            running.ended(task);
        }
    }
}

/// Plans and begins what there is. Answers nothing when there are no webhooks.
async fn round(engine: &Arc<Engine>, running: &mut Running) -> Result<Option<Round>, EngineError> {
    let planned = plan(engine).await?;
    if planned.is_some() {
        begin(engine, running).await?;
    }
    Ok(planned)
}

/// Plans what happened since, for all who want to be told of it.
async fn plan(engine: &Engine) -> Result<Option<Round>, EngineError> {
    let store = engine.store();
    let wanted = store.subscriptions().await?;
    let Some(first) = wanted.iter().map(|wanted| wanted.after).min() else {
        return Ok(None);
    };
    let events = store.untold(OUTLET, EVENTS_MAX).await?;
    let Some(last) = events.last().map(|last| last.position) else {
        return Ok(Some(Round::Done));
    };
    if last <= first {
        // All of it happened before anybody wanted to be told.
        store.told(OUTLET, first).await?;
        return Ok(Some(Round::More));
    }
    // Who was added after these had been read is told of what comes after them.
    let wanted = store.subscriptions().await?;
    let deliveries = events.iter().flat_map(|event| told(event, &wanted));
    let deliveries = deliveries.collect();
    store.plan_deliveries(OUTLET, last, deliveries).await?;
    Ok(Some(Round::of(events.len(), EVENTS_MAX)))
}

/// Who is told of an event.
fn told(event: &EventRecord, wanted: &[Subscription]) -> Vec<NewDelivery> {
    let wants = |of: &&Subscription| {
        of.tenant == event.tenant && of.after < event.position && wants(&of.types, event.kind)
    };
    let deliveries = wanted.iter().filter(wants).map(|of| NewDelivery {
        webhook: of.webhook,
        event: event.id,
        kind: event.kind,
        asset: event.asset,
        body: serde_json::to_string(&CloudEvent::of(event)).expect("an event is JSON"),
    });
    deliveries.collect()
}

/// Begins as many of those that are due as there is room for.
async fn begin(engine: &Arc<Engine>, running: &mut Running) -> Result<(), EngineError> {
    if running.is_unrecorded {
        // Changes nothing: it is far behind. But it fails for as long as the store takes no changes.
        engine.store().told(OUTLET, 0).await?;
        running.is_unrecorded = false;
    }
    let most = engine.parts.webhooks.config.concurrent_max;
    // Those that run are due as well.
    let webhooks = u32::try_from(most * 2).unwrap_or(u32::MAX);
    let due = engine.store().due_deliveries(webhooks, 2 * EACH_MAX as u32);
    let due = due.await?;
    let late = due.iter().filter(|due| !due.is_failing);
    let since = late.map(|due| due.due_at.0).min().unwrap_or(0);
    engine.undelivered_since.store(since, Ordering::Relaxed);
    for due in chosen(due, &running.keys, most) {
        let key = (due.webhook, due.event);
        let engine = Arc::clone(engine);
        running.keys.insert(key);
        running.tasks.spawn(async move {
            let done = attempt(&engine, &due).await;
            if let Err(error) = &done {
                tracing::warn!(webhook = %due.webhook, event = %due.event, %error, reason = ?error.reason, "how a delivery went could not be recorded; it is sent again");
                tokio::time::sleep(PAUSE).await;
            }
            (key, done.is_ok())
        });
    }
    Ok(())
}

/// Which of those that are due begin now: the next one is of the webhook that has the fewest under way. When all places are taken a
/// webhook that has none gets one more, so that nobody waits for receivers that hang; at most as many again.
fn chosen(due: Vec<DueDelivery>, running: &HashSet<Key>, most: usize) -> Vec<DueDelivery> {
    let mut at_work: HashMap<WebhookId, usize> = HashMap::new();
    for (webhook, _) in running {
        *at_work.entry(*webhook).or_default() += 1;
    }
    let mut waiting: Vec<(WebhookId, VecDeque<DueDelivery>)> = Vec::new();
    for due in due {
        if running.contains(&(due.webhook, due.event)) {
            continue;
        }
        match waiting.last_mut() {
            Some((webhook, of_it)) if *webhook == due.webhook => of_it.push_back(due),
            _ => waiting.push((due.webhook, VecDeque::from([due]))),
        }
    }
    let mut chosen = Vec::new();
    loop {
        let own = |webhook: &WebhookId| at_work.get(webhook).copied().unwrap_or(0);
        let taken = running.len() + chosen.len();
        let may_begin = |(webhook, of_it): &&mut (WebhookId, VecDeque<DueDelivery>)| {
            let each_max = match of_it.front() {
                None => 0,
                Some(due) if due.is_failing => FAILING_MAX,
                Some(_) => EACH_MAX,
            };
            let own = own(webhook);
            own < each_max && (taken < most || (own == 0 && taken < most * 2))
        };
        let next = waiting.iter_mut().filter(may_begin);
        let Some((webhook, of_it)) = next.min_by_key(|(webhook, _)| own(webhook)) else {
            return chosen;
        };
        let webhook = *webhook;
        chosen.extend(of_it.pop_front());
        *at_work.entry(webhook).or_default() += 1;
    }
}

/// Sends a delivery once and records how that went.
async fn attempt(engine: &Engine, due: &DueDelivery) -> Result<(), EngineError> {
    let span = tracing::info_span!(
        parent: None,
        "webhook",
        correlation_id = due.correlation_id,
        trace_id = %TraceId::of(&due.correlation_id),
        asset = %due.asset,
        event = due.kind.as_str(),
        webhook = %due.webhook,
        status = tracing::field::Empty,
        error = tracing::field::Empty,
    );
    let at = engine.environment().now();
    let letter = Letter {
        url: &due.url,
        keys: &due.keys,
        id: &due.event.to_string(),
        body: &due.body,
    };
    let sending = engine.parts.webhooks.send(&letter, at);
    let answered = sending.instrument(span.clone()).await;
    span.record("status", answered.status);
    // The reason may have the receiver's name in it, which is no matter of who collects traces.
    let failed = answered.error.is_some();
    span.record("error", failed.then_some("it was not delivered"));
    drop(span);
    let next = next(&answered, due.run, engine.environment().jitter());
    engine.metrics().webhook_tried(match next {
        DeliveryNext::Delivered => "delivered",
        DeliveryNext::Again(_) => "retried",
        DeliveryNext::Failed => "failed",
    });
    let attempted = Attempted {
        is_gone: answered.status == Some(410),
        tried: DeliveryTry {
            at,
            status: answered.status,
            ms: u64::try_from(answered.took.as_millis()).unwrap_or(u64::MAX),
            error: answered.error,
            answer: answered.answer,
        },
        next,
        failing_max: SWITCHED_OFF_AFTER,
    };
    let saved = engine
        .store()
        .save_attempt(due.webhook, due.event, attempted);
    if let Some(off) = saved.await? {
        tracing::warn!(webhook = %due.webhook, because = off.as_str(), "a webhook was switched off");
    }
    Ok(())
}

/// What follows an attempt that so many were before, in this run.
fn next(answered: &Answered, before: u32, jitter: u32) -> DeliveryNext {
    if answered.error.is_none() {
        return DeliveryNext::Delivered;
    }
    let pause = usize::try_from(before).ok().and_then(|n| PAUSES.get(n));
    let Some(pause) = pause else {
        return DeliveryNext::Failed;
    };
    let pause = Duration::from_secs(*pause);
    // Up to a tenth longer, so that what failed together does not come back together.
    let later = pause.mul_f64(f64::from(jitter) / f64::from(u32::MAX) / 10.0);
    DeliveryNext::Again((pause + later).max(answered.retry_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediaflow_core::{AssetId, EventType, Timestamp};
    use mediaflow_store::SigningKeys;
    use uuid::Uuid;

    /// One for each number: of the webhook with this number, failing where it is negative. The store answers them by webhook.
    fn due(webhooks: &[i8], from: u128) -> Vec<DueDelivery> {
        let due = webhooks.iter().zip(from..);
        let due = due.map(|(webhook, event)| DueDelivery {
            webhook: Uuid::from_u128(webhook.unsigned_abs().into()).into(),
            event: Uuid::from_u128(event).into(),
            kind: EventType::AssetReady,
            asset: AssetId(Uuid::nil()),
            correlation_id: String::new(),
            url: String::new(),
            keys: SigningKeys(Vec::new()),
            body: String::new(),
            run: 0,
            due_at: Timestamp(0),
            is_failing: *webhook < 0,
        });
        due.collect()
    }

    fn check(at_work: &[i8], waiting: &[i8], expected: &[u128]) {
        let at_work = due(at_work, 100);
        let running = at_work.iter().map(|d| (d.webhook, d.event)).collect();
        let mut all = due(waiting, 1000);
        // Those that run are still due, and stand before the others of their webhook.
        for one in at_work.into_iter().rev() {
            let place = all.iter().position(|d| d.webhook == one.webhook);
            all.insert(place.unwrap_or(0), one);
        }
        let begun = chosen(all, &running, 4);
        let mut begun: Vec<u128> = begun.iter().map(|d| d.webhook.0.as_u128()).collect();
        begun.sort_unstable();
        assert_eq!(begun, expected);
    }

    #[test]
    fn webhooks_have_their_turn_whatever_others_have_waiting() {
        check(&[], &[], &[]);
        check(&[], &[1, 1, 1, 1, 1, 1], &[1, 1, 1, 1]);
        check(&[1, 1, 1, 1], &[1, 1], &[]);
        check(&[], &[1, 1, 1, 1, 2, 2, 2], &[1, 1, 2, 2]);
        // Nobody waits for the slow ones of somebody else, but not everybody at once.
        check(&[1, 1, 1, 1], &[1, 2, 2, 3], &[2, 3]);
        check(&[1, 1, 1, 1], &[2, 3, 4, 5, 6, 7], &[2, 3, 4, 5]);
        // One that fails is asked one thing at a time.
        check(&[], &[-1, -1, -1, 2], &[1, 2]);
        check(&[-1], &[-1, -1, 2], &[2]);
    }

    #[test]
    fn attempts_are_as_far_apart_as_the_specification_has_it() {
        let failed = |retry_after| Answered {
            status: Some(503),
            took: Duration::ZERO,
            error: Some("no".into()),
            answer: None,
            retry_after: Duration::from_secs(retry_after),
        };
        let pause = |before, retry_after| match next(&failed(retry_after), before, 0) {
            DeliveryNext::Again(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(pause(0, 0), 5);
        assert_eq!(pause(0, 60), 60);
        assert_eq!(pause(8, 60), 24 * HOUR);
        assert_eq!(next(&failed(0), 9, 0), DeliveryNext::Failed);
        let DeliveryNext::Again(late) = next(&failed(0), 1, u32::MAX) else {
            panic!("it is tried again")
        };
        assert_eq!(late.as_secs(), 330);
        let well = Answered {
            error: None,
            ..failed(0)
        };
        assert_eq!(next(&well, 9, 0), DeliveryNext::Delivered);
    }
}
