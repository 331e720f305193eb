//! Every change of a row, as the database itself saw it: triggers of this connection alone write them down.

use mediaflow_core::{AssetId, AssetState, EventType, RunState, TaskId, TaskState};
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Tables and triggers that belong to this connection. A change that is undone is forgotten with it. While `full`
/// holds a number, the change of that number since then finds the disk full.
const SETUP: &str = "
CREATE TEMP TABLE seen (
    n INTEGER PRIMARY KEY, what TEXT NOT NULL, id BLOB, number INTEGER, old TEXT, new TEXT, a INTEGER, b INTEGER, c INTEGER, text TEXT);
CREATE TEMP TABLE full (at INTEGER NOT NULL, all_of_it INTEGER NOT NULL);
CREATE TEMP TRIGGER seen_full BEFORE INSERT ON seen WHEN EXISTS (SELECT 1 FROM full) BEGIN
    SELECT RAISE(ROLLBACK, 'simulated: the disk is full') FROM full
        WHERE all_of_it AND (SELECT coalesce(max(n), 0) FROM seen) >= at;
    SELECT RAISE(ABORT, 'simulated: the disk is full') FROM full
        WHERE NOT all_of_it AND (SELECT coalesce(max(n), 0) FROM seen) >= at;
END;
CREATE TEMP TRIGGER seen_new_task AFTER INSERT ON main.tasks BEGIN
    INSERT INTO seen VALUES (NULL, 'new task', NEW.id, NEW.generation, NULL, NEW.state, NEW.step, NEW.number, NEW.fence, hex(NEW.asset));
END;
CREATE TEMP TRIGGER seen_task AFTER UPDATE ON main.tasks
    WHEN OLD.state <> NEW.state OR OLD.fence <> NEW.fence BEGIN
    INSERT INTO seen VALUES (NULL, 'task', NEW.id, NEW.generation, OLD.state, NEW.state, OLD.fence, NEW.fence, NEW.attempts, NEW.retry_at);
END;
CREATE TEMP TRIGGER seen_new_run AFTER INSERT ON main.runs BEGIN
    INSERT INTO seen VALUES (NULL, 'run', NEW.asset, NEW.generation, NULL, NEW.state, 0, 0, 0, hex(NEW.recipe) || NEW.steps);
END;
CREATE TEMP TRIGGER seen_run AFTER UPDATE ON main.runs
    WHEN OLD.state <> NEW.state OR OLD.steps <> NEW.steps BEGIN
    INSERT INTO seen VALUES (NULL, 'run', NEW.asset, NEW.generation, OLD.state, NEW.state, 0, 0, 0, hex(NEW.recipe) || NEW.steps);
END;
CREATE TEMP TRIGGER seen_new_asset AFTER INSERT ON main.assets BEGIN
    INSERT INTO seen VALUES (NULL, 'asset', NEW.id, NEW.generation, NULL, NEW.state, 0, NEW.published, 0, NEW.filename);
END;
CREATE TEMP TRIGGER seen_asset AFTER UPDATE ON main.assets
    WHEN OLD.state <> NEW.state OR OLD.published <> NEW.published OR OLD.generation <> NEW.generation BEGIN
    INSERT INTO seen VALUES (NULL, 'asset', NEW.id, NEW.generation, OLD.state, NEW.state, OLD.published, NEW.published, 0, NEW.filename);
END;
CREATE TEMP TRIGGER seen_event AFTER INSERT ON main.events BEGIN
    INSERT INTO seen VALUES (NULL, 'event', NEW.asset, NEW.sequence, NULL, NEW.type, NEW.position, 0, 0, hex(NEW.id));
END;
CREATE TEMP TRIGGER seen_purge AFTER INSERT ON main.purges BEGIN
    INSERT INTO seen VALUES (NULL, 'purge', NEW.asset, 0, NULL, '', NEW.id, 0, 0, NEW.paths);
END;
";

/// Everything that a world leaves behind.
const EMPTY: &[&str] = &[
    "PRAGMA defer_foreign_keys = ON",
    "DELETE FROM attempts",
    "DELETE FROM facts",
    "DELETE FROM renditions",
    "DELETE FROM segments",
    "DELETE FROM tracks",
    "DELETE FROM captions",
    "DELETE FROM pieces",
    "DELETE FROM events",
    "DELETE FROM purges",
    "DELETE FROM idempotency",
    "DELETE FROM tags",
    "DELETE FROM pins",
    "DELETE FROM orphans",
    "DELETE FROM tasks",
    "DELETE FROM runs",
    "DELETE FROM assets",
    "DELETE FROM blobs",
    "DELETE FROM tenants",
    "DELETE FROM recipes",
    "DELETE FROM settings",
    "DELETE FROM task_counts",
    "DELETE FROM asset_counts",
    "UPDATE clock SET vtime = 0",
    "DELETE FROM flows",
    "DELETE FROM switches",
    "DELETE FROM changes",
    "DELETE FROM queue_minutes",
    "DELETE FROM unfinished",
    "DELETE FROM outlets",
    "UPDATE history SET pruned = 0",
    "INSERT INTO asset_text (asset_text) VALUES ('delete-all')",
    "DELETE FROM sqlite_sequence",
    "DELETE FROM temp.seen",
    "DELETE FROM temp.full",
];

/// One change.
#[derive(Debug)]
pub(crate) enum Change {
    NewTask {
        task: TaskId,
        asset: AssetId,
        generation: u32,
        step: usize,
        state: TaskState,
    },
    Task {
        task: TaskId,
        old: TaskState,
        new: TaskState,
        fences: (u64, u64),
    },
    Run {
        asset: AssetId,
        generation: u32,
        old: Option<RunState>,
        new: RunState,
        recipe: String,
        steps: String,
    },
    Asset {
        asset: AssetId,
        generation: u32,
        old: Option<AssetState>,
        new: AssetState,
        published: (u32, u32),
        filename: String,
    },
    Event {
        asset: AssetId,
        sequence: u64,
        kind: EventType,
    },
    Purge {
        row: i64,
        paths: String,
    },
}

/// Prepares a connection for any number of worlds.
pub(crate) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(SETUP)
}

/// Makes the database as it was when it was new.
pub(crate) fn empty(conn: &Connection) -> rusqlite::Result<()> {
    for sql in EMPTY {
        conn.prepare_cached(sql)?.execute([])?;
    }
    Ok(())
}

/// The disk is full after so many changes more; `all_of_it` gives up the whole transaction, as SQLite does sometimes.
pub(crate) fn fill(conn: &Connection, after: u64, all_of_it: bool) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO full SELECT coalesce(max(n), 0) + ?1, ?2 FROM seen")?
        .execute((after, all_of_it))?;
    Ok(())
}

/// There is room again.
pub(crate) fn relieve(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM full")?.execute([])?;
    Ok(())
}

/// All tasks that there are.
pub(crate) fn tasks(conn: &Connection) -> rusqlite::Result<BTreeSet<TaskId>> {
    let mut statement = conn.prepare_cached("SELECT id FROM tasks")?;
    let rows = statement.query_map([], |row| Ok(TaskId(Uuid::from_bytes(row.get(0)?))))?;
    rows.collect()
}

/// What changed after the change of this number, and the number of the last.
pub(crate) fn since(conn: &Connection, last: i64) -> rusqlite::Result<(i64, Vec<Change>)> {
    let mut statement = conn.prepare_cached(
        "SELECT n, what, id, number, old, new, a, b, c, text FROM seen WHERE n > ?1 ORDER BY n",
    )?;
    let mut rows = statement.query([last])?;
    let (mut last, mut changes) = (last, Vec::new());
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        changes.push(change(row)?);
    }
    Ok((last, changes))
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let id = Uuid::from_bytes(row.get(2)?);
    let text =
        |i: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(i)?.unwrap_or_default());
    let (old, new) = (text(4)?, text(5)?);
    let what: String = row.get(1)?;
    Ok(match what.as_str() {
        "new task" => Change::NewTask {
            task: TaskId(id),
            asset: AssetId(Uuid::parse_str(&text(9)?).expect("ids are UUIDs")),
            generation: row.get(3)?,
            step: row.get(6)?,
            state: TaskState::parse(&new).expect("states have names"),
        },
        "task" => Change::Task {
            task: TaskId(id),
            old: TaskState::parse(&old).expect("states have names"),
            new: TaskState::parse(&new).expect("states have names"),
            fences: (row.get(6)?, row.get(7)?),
        },
        "run" => {
            let text = text(9)?;
            let (recipe, steps) = text.split_at(64);
            Change::Run {
                asset: AssetId(id),
                generation: row.get(3)?,
                old: RunState::parse(&old),
                new: RunState::parse(&new).expect("states have names"),
                recipe: recipe.to_lowercase(),
                steps: steps.to_owned(),
            }
        }
        "asset" => Change::Asset {
            asset: AssetId(id),
            generation: row.get(3)?,
            old: AssetState::parse(&old),
            new: AssetState::parse(&new).expect("states have names"),
            published: (row.get(6)?, row.get(7)?),
            filename: text(9)?,
        },
        "event" => Change::Event {
            asset: AssetId(id),
            sequence: row.get(3)?,
            kind: EventType::parse(&new).expect("events have names"),
        },
        _ => Change::Purge {
            row: row.get(6)?,
            paths: text(9)?,
        },
    })
}
