//! Webhooks: who is told what, what is due, and what becomes of it.

use crate::given::{Given, TENANT};
use mediaflow_core::{ErrorCode, EventId, TenantId, WebhookId};
use mediaflow_store::{
    Attempted, DeliveryFilter, DeliveryNext, DeliveryState, DeliveryTry, EventRecord, NewDelivery,
    NewWebhook, OffBecause, SigningKeys, StoreError, WebhookChange, WebhookRecord,
};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

on_every_store! {
    a_webhook_is_its_tenants_own_and_there_are_not_too_many,
    it_is_told_of_what_happens_after_it_was_made_or_switched_on,
    what_is_planned_is_due_once_and_survives,
    an_attempt_is_followed_by_another_until_it_went_well,
    what_waits_comes_soon_when_the_receiver_is_back,
    a_webhook_that_is_gone_or_fails_for_days_is_switched_off,
    those_that_fail_stand_behind_the_others,
    for_a_while_two_keys_sign,
    deliveries_are_listed_page_by_page,
    what_failed_is_delivered_again_when_asked_for,
    what_is_over_is_forgotten_and_what_waits_is_not,
}

const OUTLET: &str = "webhooks";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const OTHER: TenantId = TenantId(Uuid::from_u128(7));

impl Given {
    async fn webhook(&self) -> WebhookId {
        self.try_webhook(TENANT).await.unwrap().id
    }

    async fn try_webhook(&self, tenant: TenantId) -> Result<WebhookRecord, StoreError> {
        let new = NewWebhook {
            id: self.world_id().into(),
            tenant,
            url: "https://example.com/hook".into(),
            types: vec!["asset.*".into()],
            description: Some("the shop".into()),
            keys: SigningKeys(vec![vec![7; 32]]),
            count_max: 3,
        };
        self.store.add_webhook(new).await
    }

    async fn look_at(&self, id: WebhookId) -> WebhookRecord {
        self.store.webhook(TENANT, id).await.unwrap()
    }

    async fn switch(&self, id: WebhookId, is_on: bool) -> WebhookRecord {
        let change = WebhookChange {
            is_on: Some(is_on),
            ..WebhookChange::default()
        };
        let changed = self.store.change_webhook(TENANT, id, change);
        changed.await.unwrap()
    }

    /// Everything that happened and was not planned yet, for these.
    async fn plan(&self, webhooks: &[WebhookId]) -> Vec<EventId> {
        // Readers of PostgreSQL see events when they have their numbers.
        self.store.feed(TENANT, 0, 1).await.unwrap();
        let events = self.store.untold(OUTLET, 500).await.unwrap();
        let last = events.last().unwrap().position;
        let new = deliveries(&events, webhooks);
        self.store.plan_deliveries(OUTLET, last, new).await.unwrap();
        events.into_iter().map(|event| event.id).collect()
    }

    async fn due(&self) -> Vec<(WebhookId, EventId)> {
        let due = self.store.due_deliveries(10, 100).await.unwrap();
        due.iter().map(|due| (due.webhook, due.event)).collect()
    }

    async fn tried(
        &self,
        webhook: WebhookId,
        event: EventId,
        next: DeliveryNext,
    ) -> Option<OffBecause> {
        let attempted = self.attempted(next, false);
        let saved = self.store.save_attempt(webhook, event, attempted);
        saved.await.unwrap()
    }

    fn attempted(&self, next: DeliveryNext, is_gone: bool) -> Attempted {
        let is_well = next == DeliveryNext::Delivered;
        Attempted {
            tried: DeliveryTry {
                at: self.world_now(),
                status: Some(if is_well { 204 } else { 500 }),
                ms: 12,
                error: (!is_well).then(|| "it answers 500".to_owned()),
                answer: Some("what?".into()),
            },
            next,
            is_gone,
            failing_max: DAY * 5,
        }
    }

    async fn states(&self, webhook: WebhookId) -> (u32, u32, u32) {
        let found = self.look_at(webhook).await;
        (found.waiting, found.delivered, found.failed)
    }
}

fn deliveries(events: &[EventRecord], webhooks: &[WebhookId]) -> Vec<NewDelivery> {
    let each = |event: &EventRecord, webhook: WebhookId| NewDelivery {
        webhook,
        event: event.id,
        kind: event.kind,
        asset: event.asset,
        body: format!("{{\"id\":\"{}\"}}", event.id),
    };
    let all = events.iter();
    all.flat_map(|event| webhooks.iter().map(move |webhook| each(event, *webhook)))
        .collect()
}

async fn a_webhook_is_its_tenants_own_and_there_are_not_too_many(given: &mut Given) {
    let id = given.webhook().await;
    let made = given.look_at(id).await;
    assert_eq!(made.url, "https://example.com/hook");
    assert_eq!(made.types, ["asset.*"]);
    assert_eq!(made.description.as_deref(), Some("the shop"));
    assert_eq!((made.off_because, made.failing_since), (None, None));
    assert_eq!(given.store.webhooks(TENANT).await.unwrap(), [made]);

    let foreign = given.store.webhook(OTHER, id).await.unwrap_err();
    assert_eq!(foreign.code(), ErrorCode::WebhookNotFound);
    let change = WebhookChange {
        url: Some("https://other.example/".into()),
        description: Some(None),
        ..WebhookChange::default()
    };
    let foreign = given.store.change_webhook(OTHER, id, change.clone());
    assert!(matches!(foreign.await, Err(StoreError::WebhookNotFound)));
    let changed = given.store.change_webhook(TENANT, id, change);
    let changed = changed.await.unwrap();
    assert_eq!(changed.url, "https://other.example/");
    assert_eq!(changed.types, ["asset.*"], "what is not said stays");
    assert_eq!(changed.description, None);
    for foreign in [
        given.store.remove_webhook(OTHER, id).await.err(),
        given.store.signing_keys(OTHER, id).await.err(),
        given
            .store
            .rotate_webhook(OTHER, id, vec![1], DAY)
            .await
            .err(),
    ] {
        assert!(matches!(foreign, Some(StoreError::WebhookNotFound)));
    }

    let (second, _) = (given.webhook().await, given.webhook().await);
    let full = given.try_webhook(TENANT).await.unwrap_err();
    assert!(matches!(full, StoreError::WebhooksFull(3)), "{full}");
    given.try_webhook(OTHER).await.unwrap();
    given.store.remove_webhook(TENANT, second).await.unwrap();
    let gone = given.store.webhook(TENANT, second).await;
    assert!(matches!(gone, Err(StoreError::WebhookNotFound)));
    given.try_webhook(TENANT).await.unwrap();
    assert_eq!(given.store.webhooks(TENANT).await.unwrap().len(), 3);

    // Whoever writes down what it has does not write down what is secret.
    let keys = given.store.signing_keys(TENANT, id).await.unwrap();
    assert_eq!(keys.0, [vec![7; 32]]);
    assert_eq!(format!("{keys:?}"), "SigningKeys(1)");
}

async fn it_is_told_of_what_happens_after_it_was_made_or_switched_on(given: &mut Given) {
    given.asset().await;
    given.all_done().await;
    let before = given.store.feed(TENANT, 0, 200).await.unwrap().next;
    let id = given.webhook().await;
    let store = Arc::clone(&given.store);
    let after = async || {
        let all = store.subscriptions().await.unwrap();
        all.iter().map(|of| of.after).collect::<Vec<_>>()
    };
    assert_eq!(after().await, [before]);
    given.asset().await;
    given.store.feed(TENANT, 0, 1).await.unwrap();
    given.switch(id, true).await;
    assert_eq!(after().await, [before], "it was on all the time");

    let off = given.switch(id, false).await;
    assert_eq!(off.off_because, Some(OffBecause::Operator));
    assert!(after().await.is_empty());
    // Who was told meanwhile that there is one does not plan for it.
    given.plan(&[id]).await;
    assert!(given.due().await.is_empty());
    let end = given.store.feed(TENANT, 0, 200).await.unwrap().next;
    assert!(end > before);
    assert_eq!(given.switch(id, true).await.off_because, None);
    assert_eq!(after().await, [end]);
}

async fn what_is_planned_is_due_once_and_survives(given: &mut Given) {
    let (one, two) = (given.webhook().await, given.webhook().await);
    let asset = given.asset().await;
    let events = given.plan(&[one, two]).await;
    let correlation = given.record(asset).await.correlation_id;
    // The process died after it had planned, and before it knew.
    let page = given.store.feed(TENANT, 0, 200).await.unwrap();
    let again = deliveries(&page.items, &[one]);
    given.store.plan_deliveries(OUTLET, 1, again).await.unwrap();
    given.reopen().await;
    assert!(given.store.untold(OUTLET, 10).await.unwrap().is_empty());
    let due = given.store.due_deliveries(10, 100).await.unwrap();
    assert_eq!(due.len(), 2 * events.len());
    for webhook in [one, two] {
        let of = due.iter().filter(|due| due.webhook == webhook);
        assert_eq!(of.map(|due| due.event).collect::<Vec<_>>(), events);
    }
    let first = &due[0];
    assert_eq!(first.body, format!("{{\"id\":\"{}\"}}", first.event));
    assert_eq!(first.url, "https://example.com/hook");
    assert_eq!((first.asset, &first.correlation_id), (asset, &correlation));
    assert_eq!((first.run, first.is_failing), (0, false));
    assert_eq!(given.states(one).await, (events.len() as u32, 0, 0));

    // One at a time of each, and of one only.
    let due = async |webhooks, each| {
        let due = given.store.due_deliveries(webhooks, each).await.unwrap();
        due.into_iter().map(|due| due.webhook).collect::<Vec<_>>()
    };
    assert_eq!(due(10, 1).await, [one, two]);
    assert_eq!(due(1, 2).await, [one, one][..events.len().min(2)]);
}

async fn an_attempt_is_followed_by_another_until_it_went_well(given: &mut Given) {
    let id = given.webhook().await;
    given.asset().await;
    let event = given.plan(&[id]).await[0];
    for attempt in 1..=12 {
        assert!(given.due().await.contains(&(id, event)));
        given.tried(id, event, DeliveryNext::Again(MINUTE)).await;
        assert!(!given.due().await.contains(&(id, event)));
        let failing = given.look_at(id).await;
        assert_eq!(failing.last_error.as_deref(), Some("it answers 500"));
        let delivery = given.store.delivery(TENANT, id, event).await.unwrap();
        assert_eq!(delivery.delivery.attempts, attempt);
        assert_eq!(delivery.delivery.state, DeliveryState::Waiting);
        let next = given.world_now().after(MINUTE);
        assert_eq!(delivery.delivery.due_at, Some(next));
        given.world.pass(MINUTE);
    }
    let since = given.look_at(id).await.failing_since.unwrap();
    assert_eq!(given.world_now().since(since), MINUTE * 12);
    assert_eq!(given.tried(id, event, DeliveryNext::Delivered).await, None);
    let well = given.look_at(id).await;
    assert_eq!(well.failing_since, None);
    assert_eq!(well.last_delivered_at, Some(given.world_now()));
    let details = given.store.delivery(TENANT, id, event).await.unwrap();
    assert_eq!(details.body, format!("{{\"id\":\"{event}\"}}"));
    let delivery = details.delivery;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!((delivery.attempts, delivery.status), (13, Some(204)));
    assert_eq!((delivery.error, delivery.due_at), (None, None));
    let statuses: Vec<_> = details.tries.iter().map(|t| t.status).collect();
    assert_eq!(statuses.len(), 10);
    assert_eq!(statuses[9], Some(204));
    assert_eq!(details.tries[8].answer.as_deref(), Some("what?"));

    // Somebody who was at it at the same time comes late.
    given.tried(id, event, DeliveryNext::Failed).await;
    let details = given.store.delivery(TENANT, id, event).await.unwrap();
    assert_eq!(details.delivery.state, DeliveryState::Delivered);
    assert_eq!(given.look_at(id).await.failing_since, None);
}

async fn what_waits_comes_soon_when_the_receiver_is_back(given: &mut Given) {
    let (id, other) = (given.webhook().await, given.webhook().await);
    for _ in 0..7 {
        given.asset().await;
    }
    let events = given.plan(&[id, other]).await;
    let due_at = async |webhook, event| {
        let details = given.store.delivery(TENANT, webhook, event).await.unwrap();
        details.delivery.due_at
    };
    let (early, late, near) = (events[0], events[1], events[2]);
    given.tried(id, early, DeliveryNext::Again(DAY)).await;
    given.tried(other, early, DeliveryNext::Again(DAY)).await;
    let not_its = due_at(other, early).await;
    given.world.pass(MINUTE * 120);
    let tried_at = given.world_now();
    given.tried(id, late, DeliveryNext::Again(DAY)).await;
    given
        .tried(id, near, DeliveryNext::Again(MINUTE * 70))
        .await;
    given.world.pass(MINUTE * 15);
    let near_at = due_at(id, near).await;

    given.tried(id, events[3], DeliveryNext::Delivered).await;
    assert_eq!(due_at(id, early).await, Some(given.world_now()));
    let soon = Some(tried_at.after(MINUTE * 60));
    assert_eq!(
        due_at(id, late).await,
        soon,
        "not much sooner than it was tried"
    );
    assert_eq!(due_at(id, near).await, near_at);
    assert_eq!(due_at(other, early).await, not_its);
    // However much goes well meanwhile, it is an hour.
    given.world.pass(MINUTE);
    given.tried(id, events[4], DeliveryNext::Delivered).await;
    assert_eq!(due_at(id, late).await, soon);
    // What fails alone, while others arrive, has its own time.
    given.tried(id, events[5], DeliveryNext::Again(DAY)).await;
    let alone_at = due_at(id, events[5]).await;
    given.world.pass(MINUTE * 5);
    given.tried(id, events[6], DeliveryNext::Delivered).await;
    assert_eq!(due_at(id, events[5]).await, alone_at);
}

async fn a_webhook_that_is_gone_or_fails_for_days_is_switched_off(given: &mut Given) {
    let (gone, failing) = (given.webhook().await, given.webhook().await);
    given.asset().await;
    let event = given.plan(&[gone, failing]).await[0];
    let attempted = given.attempted(DeliveryNext::Failed, true);
    let off = given.store.save_attempt(gone, event, attempted).await;
    assert_eq!(off.unwrap(), Some(OffBecause::Gone));
    assert_eq!(
        given.look_at(gone).await.off_because,
        Some(OffBecause::Gone)
    );
    let still = given.switch(gone, false).await;
    assert_eq!(still.off_because, Some(OffBecause::Gone));

    let again = DeliveryNext::Again(DAY);
    for _ in 0..5 {
        assert_eq!(given.tried(failing, event, again).await, None);
        given.world.pass(DAY);
    }
    let off = given.tried(failing, event, again).await;
    assert_eq!(off, Some(OffBecause::Failing));
    given.world.pass(DAY);
    assert!(
        given.due().await.is_empty(),
        "nothing is due while it is off"
    );
    let on = given.switch(failing, true).await;
    assert_eq!((on.off_because, on.failing_since), (None, None));
    assert!(given.due().await.contains(&(failing, event)));
}

async fn those_that_fail_stand_behind_the_others(given: &mut Given) {
    let (bad, good) = (given.webhook().await, given.webhook().await);
    given.asset().await;
    let event = given.plan(&[bad, good]).await[0];
    given.tried(bad, event, DeliveryNext::Again(MINUTE)).await;
    given.world.pass(MINUTE);
    let due = given.store.due_deliveries(10, 1).await.unwrap();
    let due: Vec<_> = due.iter().map(|d| (d.webhook, d.is_failing)).collect();
    assert_eq!(due, [(good, false), (bad, true)]);
}

async fn for_a_while_two_keys_sign(given: &mut Given) {
    let id = given.webhook().await;
    given.asset().await;
    given.plan(&[id]).await;
    let rotated = given.store.rotate_webhook(TENANT, id, vec![8; 32], DAY);
    rotated.await.unwrap();
    let keys = async || {
        let due = given.store.due_deliveries(1, 1).await.unwrap().remove(0);
        let keys = given.store.signing_keys(TENANT, id).await.unwrap();
        assert_eq!(due.keys, keys);
        keys.0
    };
    assert_eq!(keys().await, [vec![8; 32], vec![7; 32]]);
    given.world.pass(DAY);
    assert_eq!(keys().await, [vec![8; 32]]);
}

async fn deliveries_are_listed_page_by_page(given: &mut Given) {
    let id = given.webhook().await;
    for _ in 0..5 {
        given.asset().await;
    }
    let mut events = given.plan(&[id]).await;
    events.reverse();
    given.tried(id, events[1], DeliveryNext::Failed).await;
    let list = async |state, limit| {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let filter = DeliveryFilter { state, cursor };
            let page = given.store.deliveries(TENANT, id, &filter, limit);
            let page = page.await.unwrap();
            assert!(page.deliveries.len() <= limit as usize);
            found.extend(page.deliveries.into_iter().map(|delivery| delivery.event));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return found;
            }
        }
    };
    assert_eq!(list(None, 2).await, events);
    assert_eq!(list(None, 200).await, events);
    assert_eq!(list(Some(DeliveryState::Failed), 2).await, [events[1]]);
    let waiting = list(Some(DeliveryState::Waiting), 1).await;
    assert_eq!(waiting.len(), events.len() - 1);
    assert!(list(Some(DeliveryState::Delivered), 5).await.is_empty());

    let filter = DeliveryFilter::default();
    let foreign = given.store.deliveries(OTHER, id, &filter, 10).await;
    assert!(matches!(foreign, Err(StoreError::WebhookNotFound)));
    let filter = DeliveryFilter {
        cursor: Some("x".into()),
        ..filter
    };
    let wrong = given.store.deliveries(TENANT, id, &filter, 10).await;
    assert!(matches!(wrong, Err(StoreError::InvalidQuery(_))));
    let foreign = given.store.delivery(OTHER, id, events[0]).await;
    assert!(matches!(foreign, Err(StoreError::DeliveryNotFound)));
    let unknown = given.world_id().into();
    let unknown = given.store.delivery(TENANT, id, unknown).await;
    assert!(matches!(unknown, Err(StoreError::DeliveryNotFound)));
}

async fn what_failed_is_delivered_again_when_asked_for(given: &mut Given) {
    let id = given.webhook().await;
    given.asset().await;
    let first = given.plan(&[id]).await[0];
    given.world.pass(MINUTE);
    let later = given.world_now();
    given.asset().await;
    let second = given.plan(&[id]).await[0];
    for event in [first, second] {
        given.tried(id, event, DeliveryNext::Again(DAY)).await;
        given.tried(id, event, DeliveryNext::Failed).await;
    }
    assert!(!given.due().await.contains(&(id, second)));
    let again = async |since, limit| {
        let again = given.store.redeliver_failed(TENANT, id, since, limit);
        again.await.unwrap()
    };
    assert_eq!(again(Some(later), 10).await, 1);
    assert!(given.due().await.contains(&(id, second)));
    assert!(!given.due().await.contains(&(id, first)));
    let due = given.store.due_deliveries(1, 100).await.unwrap();
    let due = due.iter().find(|due| due.event == second).unwrap();
    assert_eq!(due.run, 0, "it has a run of its own");
    given.tried(id, second, DeliveryNext::Failed).await;
    assert_eq!(again(None, 1).await, 1);
    assert_eq!(again(None, 10).await, 1);
    assert_eq!(again(None, 10).await, 0);

    given.tried(id, first, DeliveryNext::Delivered).await;
    let redelivered = given.store.redeliver(TENANT, id, first).await.unwrap();
    assert_eq!(redelivered.state, DeliveryState::Waiting);
    assert_eq!(redelivered.attempts, 3);
    assert!(given.due().await.contains(&(id, first)));
    let foreign = given.store.redeliver(OTHER, id, first).await;
    assert!(matches!(foreign, Err(StoreError::DeliveryNotFound)));
    let foreign = given.store.redeliver_failed(OTHER, id, None, 1).await;
    assert!(matches!(foreign, Err(StoreError::WebhookNotFound)));
}

async fn what_is_over_is_forgotten_and_what_waits_is_not(given: &mut Given) {
    let (kept, off, removed) = (
        given.webhook().await,
        given.webhook().await,
        given.webhook().await,
    );
    given.asset().await;
    let events = given.plan(&[kept, off, removed]).await;
    let n = events.len() as u32;
    given.tried(kept, events[0], DeliveryNext::Delivered).await;
    given.switch(off, false).await;
    given.store.remove_webhook(TENANT, removed).await.unwrap();
    let forget = async || while given.store.forget_deliveries(DAY).await.unwrap() {};
    forget().await;
    let rows = async || {
        let sql =
            "SELECT (SELECT count(*) FROM webhooks), (SELECT count(*) FROM webhook_deliveries)";
        let found = given.place.look().await.ask::<2>(sql).await.remove(0);
        found.map(|n| n.unwrap().parse::<u32>().unwrap())
    };
    assert_eq!(rows().await, [2, 2 * n]);
    given.world.pass(DAY);
    forget().await;
    assert_eq!(rows().await, [2, n - 1]);
    assert_eq!(given.states(kept).await, (n - 1, 0, 0));
    assert_eq!(given.states(off).await, (0, 0, 0));
}
