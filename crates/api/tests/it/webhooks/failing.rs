//! Receivers that break off, hang, lead astray and go away.

use super::{HOUR, Telling, is_signed, says, until};
use crate::imports::PATIENCE;
use crate::web::{Asked, Step, head, redirect};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

#[tokio::test]
async fn whatever_a_receiver_does_wrong_is_tried_again_under_the_same_id() {
    let telling = Telling::to(|asked| match (asked.before, asked.path.as_str()) {
        (0, "/fails") => vec![
            head(500, &["Content-Length: 4"]),
            Step::Bytes(b"Oh\x00!".to_vec()),
        ],
        (0, "/breaks") => vec![],
        (0, "/hangs") => vec![Step::Pause(PATIENCE)],
        (0, "/leads") => redirect("/elsewhere"),
        (0, "/busy") => vec![head(503, &["Retry-After: 600", "Content-Length: 0"])],
        _ => says(200),
    })
    .await;
    for (path, error, pause) in [
        ("/fails", "it answers 500 Internal Server Error", 5),
        ("/breaks", "it broke off before it answered", 5),
        ("/hangs", "it did not answer within 1000 ms", 5),
        (
            "/leads",
            "it answers 302 Found, and redirects are not followed",
            5,
        ),
        ("/busy", "it answers 503 Service Unavailable", 600),
    ] {
        let (webhook, secret) = telling.webhook(path, &["asset.accepted"]).await;
        telling.server.upload("a picture", "").await;
        telling.delivery(&webhook, |d| d["attempts"] != 0).await;
        let view = telling.look(&webhook).await;
        assert_eq!(view["last_error"], error);
        assert_eq!(view["state"], "on");
        telling.server.world.pass(Duration::from_secs(pause - 2));
        telling.server.engine.wake_webhooks();
        telling.server.world.pass(Duration::from_secs(2));
        let well = telling
            .delivery(&webhook, |d| d["state"] != "waiting")
            .await;
        assert_eq!(
            (&well["state"], &well["attempts"]),
            (&json!("delivered"), &json!(2))
        );
        assert_eq!(well["error"], Value::Null);
        assert_eq!(telling.look(&webhook).await["failing_since"], Value::Null);

        let told = telling.told(path, 2).await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
        assert_eq!(told[0].body, told[1].body);
        let time = |asked: &Asked| asked.header("webhook-timestamp").parse::<u64>().unwrap();
        assert!(time(&told[1]) >= time(&told[0]) + pause - 1, "{path}");
        assert!(told.iter().all(|asked| is_signed(asked, &[&secret])));
        let details = telling.details(&webhook, &well).await;
        let tries = details["tries"].as_array().unwrap();
        assert_eq!((tries.len(), &tries[0]["error"]), (2, &json!(error)));
        if path == "/fails" {
            assert_eq!(tries[0]["answer"], "Oh!");
        }
        let gone = telling.server.send("DELETE", &webhook, &[], "").await;
        assert_eq!(gone.status, 204);
        let gone = telling.server.get(&webhook).await;
        gone.problem(404, "webhook.not_found");
    }
    let asked = telling.web.asked();
    assert!(asked.iter().all(|asked| asked.path != "/elsewhere"));
}

#[tokio::test]
async fn after_an_outage_what_waits_comes_with_what_is_new() {
    let telling = Telling::to(|asked| match asked.before {
        0..5 => says(500),
        _ => says(200),
    })
    .await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    telling.server.upload("a picture", "").await;
    for (attempts, pause) in (1..).zip([5, 300, 1800, 7200]) {
        telling
            .delivery(&webhook, |d| d["attempts"].as_u64() >= Some(attempts))
            .await;
        telling.server.world.pass(Duration::from_secs(pause));
    }
    telling.delivery(&webhook, |d| d["attempts"] == 5).await;
    // The next attempt is in five hours, and two of them have gone by.
    telling.server.world.pass(HOUR * 2);
    telling.server.upload("another", "").await;
    until(|| async {
        let view = telling.look(&webhook).await;
        (view["delivered"] == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn after_ten_attempts_it_is_given_up_and_after_days_of_failures_switched_off() {
    let telling = Telling::to(|asked| match asked.before {
        0..11 => says(500),
        _ => says(200),
    })
    .await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    telling.server.upload("a picture", "").await;
    let pauses = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (attempts, pause) in (1..).zip(pauses) {
        let waits = telling
            .delivery(&webhook, |d| d["attempts"].as_u64() >= Some(attempts))
            .await;
        assert_eq!(waits["state"], "waiting");
        telling.server.world.pass(Duration::from_secs(pause));
    }
    let failed = telling.delivery(&webhook, |d| d["attempts"] == 10).await;
    assert_eq!(
        (&failed["state"], &failed["next_at"]),
        (&json!("failed"), &Value::Null)
    );
    let told = telling.told("/hook", 10).await;
    let times = told
        .iter()
        .map(|a| a.header("webhook-timestamp").parse::<u64>().unwrap());
    let times: Vec<u64> = times.collect();
    for (between, pause) in times.windows(2).zip(pauses) {
        let between = between[1] - between[0];
        assert!(
            (pause - 1..pause + 60).contains(&between),
            "{between} for {pause}"
        );
    }
    assert_eq!(telling.look(&webhook).await["state"], "on", "not five days");

    telling.server.world.pass(HOUR * 48);
    telling.server.upload("another", "").await;
    let off = until(|| async {
        let view = telling.look(&webhook).await;
        (view["state"] == "off").then_some(view)
    })
    .await;
    assert_eq!(off["off_because"], "failing");
    assert_eq!((&off["failed"], &off["waiting"]), (&json!(1), &json!(1)));
    telling.server.world.pass(HOUR);
    // What happens while it is off it is never told; what waited and what is asked for again it is when it is on.
    telling.server.upload("in between", "").await;
    let again = json!({ "state": "failed" }).to_string();
    let again = telling
        .server
        .post(&format!("{webhook}/redeliver"), &again)
        .await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json(), json!({ "count": 1, "more": false }));
    let on = telling.patch(&webhook, json!({ "state": "on" })).await;
    assert_eq!(
        (&on["state"], &on["failing_since"]),
        (&json!("on"), &Value::Null)
    );
    telling.server.upload("and now", "").await;
    until(|| async {
        let view = telling.look(&webhook).await;
        (view["delivered"] == 3).then_some(())
    })
    .await;
    let ids: HashSet<_> = telling
        .web
        .asked()
        .iter()
        .map(|asked| asked.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    let first = telling.details(&webhook, &failed).await;
    assert_eq!(
        (&first["state"], &first["attempts"]),
        (&json!("delivered"), &json!(11))
    );
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more() {
    let telling = Telling::to(|asked| match asked.before {
        0 => says(410),
        _ => says(200),
    })
    .await;
    let (webhook, _) = telling.webhook("/hook", &["asset.accepted"]).await;
    telling.server.upload("a picture", "").await;
    let off = until(|| async {
        let view = telling.look(&webhook).await;
        (view["state"] == "off").then_some(view)
    })
    .await;
    assert_eq!(off["off_because"], "gone");
    assert_eq!(off["last_error"], "it answers 410 Gone");
    // Whoever put it back says so. One event can be asked for again whatever became of it.
    telling.patch(&webhook, json!({ "state": "on" })).await;
    let delivery = telling.delivery(&webhook, |_| true).await;
    let event = delivery["event"].as_str().unwrap();
    let again = format!("{webhook}/deliveries/{event}/redeliver");
    for times in 2..4 {
        let answer = telling.server.post(&again, "").await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json()["state"], "waiting");
        telling.delivery(&webhook, |d| d["attempts"] == times).await;
    }
    let delivery = telling.delivery(&webhook, |_| true).await;
    assert_eq!(delivery["state"], "delivered");
    let off = telling.patch(&webhook, json!({ "state": "off" })).await;
    assert_eq!(off["off_because"], "operator");
}
