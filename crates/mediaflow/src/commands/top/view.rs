//! What is seen, as lines that fit a window: first what is wrong or waits, then who works, what failed, what came.

use super::seen::Seen;
use crate::cells;
use crate::commands::queues::{LOAD, drained, load, stuck};
use crate::output;
use console::style;
use mediaflow_core::Timestamp;
use serde_json::Value;

/// Columns from which on the last hour is drawn beside each queue.
const WIDE: usize = 112;
/// Minutes of one of its bars.
const BAR_MINUTES: i64 = 2;

/// At most so many lines of so many columns. The hint stands at the end of the first, where there is room.
pub(super) fn lines(
    seen: &Seen,
    (columns, rows): (usize, usize),
    hint: &str,
    now: Timestamp,
) -> Vec<String> {
    let mut lines = vec![head(seen, columns, hint, now)];
    lines.push(String::new());
    lines.extend(queues(seen, columns));
    let parts = [
        workers(seen, now, columns),
        failures(seen, now),
        uploads(seen, now, columns),
    ];
    // Each part has an empty line and its head; what is left is shared, and what one does not need is the next one's.
    let mut left = rows.saturating_sub(lines.len());
    for (n, part) in parts.iter().enumerate() {
        let share = left / (parts.len() - n);
        if share < 3 {
            continue;
        }
        let shown = part.len().min(share - 1);
        lines.push(String::new());
        lines.extend_from_slice(&part[..shown]);
        left -= shown + 1;
    }
    lines.truncate(rows);
    let clip = |line: &String| cells::clipped(line, columns);
    lines.iter().map(clip).collect()
}

fn head(seen: &Seen, columns: usize, hint: &str, now: Timestamp) -> String {
    let about = match &seen.silence {
        Some(why) => {
            let since = now.since(seen.at).as_secs();
            style(format!("no answer for {since} s: {why}"))
                .red()
                .to_string()
        }
        None => seen.at.to_string()[11..19].to_owned() + " UTC",
    };
    let left = format!("{}  {}  {about}", style("MediaFlow").bold(), seen.server);
    let pad = columns.saturating_sub(console::measure_text_width(&left) + hint.len());
    match pad {
        _ if hint.is_empty() => left,
        0..2 => left,
        _ => format!("{left}{}{hint}", " ".repeat(pad)),
    }
}

fn queues(seen: &Seen, columns: usize) -> Vec<String> {
    let all = match &seen.queues {
        Ok(found) => found["queues"].as_array().map_or(&[][..], Vec::as_slice),
        Err(why) => return vec![refused("QUEUES", why)],
    };
    let rows = all.iter().map(|queue| {
        let mut row = load(queue).to_vec();
        row.push(cells::text(queue, "slots"));
        row.push(drained(queue));
        if columns >= WIDE {
            row.push(last_hour(seen, &queue["queue"]));
        }
        row
    });
    let mut head = [&LOAD[..], &["SLOTS", "DRAIN"]].concat();
    if columns >= WIDE {
        head.push("DONE, LAST HOUR");
    }
    let mut lines = table(&head, rows.collect());
    let notes = all.iter().flat_map(stuck);
    lines.extend(notes.map(|note| style(note).yellow().to_string()));
    lines
}

/// What was done in each two minutes, as bars.
fn last_hour(seen: &Seen, queue: &Value) -> String {
    let Ok(history) = &seen.history else {
        return String::new();
    };
    let Some(now) = cells::moment(&history["now"]) else {
        return String::new();
    };
    let mut bars = [0.0; 60 / BAR_MINUTES as usize];
    for minute in history["minutes"].as_array().into_iter().flatten() {
        let Some(at) = cells::moment(&minute["at"]).filter(|_| &minute["queue"] == queue) else {
            continue;
        };
        let ago = now.since(at).as_secs() / (60 * BAR_MINUTES.unsigned_abs());
        let last = bars.len() - 1;
        if let Some(bar) = last.checked_sub(ago as usize) {
            bars[bar] += minute["completions"].as_f64().unwrap_or_default();
        }
    }
    cells::bars(&bars)
}

fn workers(seen: &Seen, now: Timestamp, columns: usize) -> Vec<String> {
    let all = match &seen.workers {
        Ok(found) => found["workers"].as_array().map_or(&[][..], Vec::as_slice),
        Err(why) => return vec![refused("WORKERS", why)],
    };
    // Who is gone says nothing of this moment.
    let living: Vec<_> = all.iter().filter(|w| w["state"] != "gone").collect();
    if living.is_empty() {
        return vec![nothing("WORKERS", "none; `mediaflow serve` starts one")];
    }
    let rows = living.iter().map(|worker| {
        let tasks = worker["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let mut works: Vec<String> = tasks.iter().map(|task| held(task, now)).collect();
        works.sort();
        let works = match works.is_empty() {
            true => style("idle").dim().to_string(),
            false => works.join(", "),
        };
        vec![
            cells::clipped(
                &cells::text(worker, "name"),
                if columns < WIDE { 24 } else { 40 },
            ),
            cells::state(worker["state"].as_str().unwrap_or_default()),
            format!("{}/{}", tasks.len(), cells::text(worker, "cpu")),
            works,
        ]
    });
    table(&["WORKER", "STATE", "SLOTS", "WORKS ON"], rows.collect())
}

fn held(task: &Value, now: Timestamp) -> String {
    let operation = cells::text(task, "operation");
    format!("{operation} {}", cells::ago(&task["started_at"], now))
}

fn failures(seen: &Seen, now: Timestamp) -> Vec<String> {
    let all = match &seen.failures {
        Ok(found) => found["items"].as_array().map_or(&[][..], Vec::as_slice),
        Err(why) => return vec![refused("FAILURES", why)],
    };
    if all.is_empty() {
        return vec![nothing("FAILURES", "none")];
    }
    let rows = all.iter().map(|group| {
        let state = group["state"].as_str().unwrap_or_default();
        vec![
            cells::text(group, "code"),
            cells::text(group, "operation"),
            cells::text(group, "tasks"),
            cells::state(state),
            cells::ago(&group["newest_at"], now) + " ago",
        ]
    });
    let head = ["FAILURE", "OPERATION", "TASKS", "STATE", "LAST"];
    table(&head, rows.collect())
}

fn uploads(seen: &Seen, now: Timestamp, columns: usize) -> Vec<String> {
    let all = match &seen.uploads {
        Ok(found) => found["items"].as_array().map_or(&[][..], Vec::as_slice),
        Err(why) => return vec![refused("UPLOADS", why)],
    };
    if all.is_empty() {
        return vec![nothing(
            "UPLOADS",
            "none yet; `mediaflow ingest FILE` makes one",
        )];
    }
    let is_wide = columns >= WIDE;
    let rows = all.iter().map(|asset| {
        let original = &asset["original"];
        let done = asset["progress"].as_f64().unwrap_or_default() * 100.0;
        let mut row = vec![
            cells::ago(&asset["created_at"], now) + " ago",
            cells::state(asset["state"].as_str().unwrap_or_default()),
            format!("{done:.0} %"),
            cells::text(asset, "kind"),
            cells::bytes(original["bytes"].as_u64().unwrap_or_default()),
        ];
        row.extend(is_wide.then(|| cells::text(asset, "id")));
        row.push(cells::text(original, "filename"));
        row
    });
    let wide = [
        "UPLOADED", "STATE", "DONE", "KIND", "BYTES", "ASSET", "NAME",
    ];
    let narrow = ["UPLOADED", "STATE", "DONE", "KIND", "BYTES", "NAME"];
    let head: &[&str] = if is_wide { &wide } else { &narrow };
    table(head, rows.collect())
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let head = head.iter().map(|name| style(name).bold().to_string());
    let all: Vec<_> = std::iter::once(head.collect()).chain(rows).collect();
    let text = output::table(&all, "");
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn nothing(part: &str, said: &str) -> String {
    format!("{}  {said}", style(part).bold())
}

fn refused(part: &str, why: &str) -> String {
    format!("{}  {}", style(part).bold(), style(why).dim())
}

#[cfg(test)]
mod tests {
    use super::{Seen, lines};
    use mediaflow_core::Timestamp;
    use serde_json::json;

    fn crowded() -> Seen {
        let queue = |name: &str| {
            json!({
                "queue": name, "ready": 123_456, "running": 512, "waiting": 77, "dead": 4321,
                "oldest_ready_seconds": 86_000.0, "arrivals_per_second": 41.7, "completions_per_second": 40.1,
                "slots": 512, "drain_seconds": 3000.0, "paused": false,
                "unplaceable": [{ "needs": ["gpu"], "tasks": 12 }],
            })
        };
        let worker = json!({
            "name": "a-machine-with-a-very-long-name-in-a-rack:12345", "state": "working", "cpu": 8,
            "tasks": [{ "operation": "image.compress", "started_at": "2026-11-22T00:00:00Z" }],
        });
        let names = ["image", "video", "network"];
        let failure = json!({
            "code": "moderation.unavailable", "operation": "video.storyboard", "tasks": 1000,
            "state": "dead", "newest_at": "2026-11-22T00:00:00Z",
        });
        let upload = json!({
            "id": "0199f5a0-0000-7000-8000-000000000000", "created_at": "2026-11-22T00:00:00Z",
            "state": "processing", "progress": 0.5, "kind": "image",
            "original": { "bytes": 123_456_789, "filename": "a name that is too long for a window\x1b[2J.jpeg".repeat(3) },
        });
        Seen {
            server: "https://media.example.com".to_owned(),
            at: Timestamp::parse_rfc3339("2026-11-22T00:01:00Z").expect("a time"),
            queues: Ok(json!({ "queues": names.map(queue) })),
            history: Ok(json!({ "now": "2026-11-22T00:01:00Z", "minutes": [] })),
            workers: Ok(json!({ "workers": vec![worker; 30] })),
            failures: Ok(json!({ "items": vec![failure; 30] })),
            uploads: Ok(json!({ "items": vec![upload; 30] })),
            silence: None,
        }
    }

    #[test]
    fn everything_fits_and_every_part_is_there() {
        let seen = crowded();
        for (columns, rows) in [(80, 24), (112, 30), (200, 60)] {
            let lines = lines(&seen, (columns, rows), "q quits", seen.at);
            assert!(lines.len() <= rows, "{lines:#?}");
            let widest = lines.iter().map(|l| console::measure_text_width(l)).max();
            assert!(widest <= Some(columns), "{lines:#?}");
            let all = lines.join("\n");
            for part in [
                "q quits", "QUEUE", "WORKER", "FAILURE", "UPLOADED", "network", "has gpu",
            ] {
                assert!(all.contains(part), "no {part} in {columns}x{rows}:\n{all}");
            }
            assert!(!all.contains("\x1b[2J"), "a name steers the terminal");
        }
    }

    #[test]
    fn a_tiny_window_has_what_fits() {
        let seen = crowded();
        assert_eq!(lines(&seen, (20, 3), "q quits", seen.at).len(), 3);
        assert!(lines(&seen, (1, 1), "q quits", seen.at).len() <= 1);
    }

    #[test]
    fn what_is_refused_or_missing_is_said() {
        let mut seen = crowded();
        seen.workers = Err("the key may not (auth.scope)".to_owned());
        seen.failures = Ok(json!({ "items": [] }));
        let seen = seen.without_answer("nobody there".to_owned());
        let all = lines(&seen, (80, 24), "q quits", seen.at).join("\n");
        assert!(
            all.contains("auth.scope") && all.contains("nobody there"),
            "{all}"
        );
        assert!(all.contains("FAILURES  none"), "{all}");
    }
}
