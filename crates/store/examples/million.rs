//! A SQLite store that is full: copies the newest asset of a database so many times, by SQL and without any bytes. `bench/assets` asks a
//! server on it for pages.
//!
//! usage: `million DATABASE COUNT [whole]`. Without `whole` only what pages of assets are made of is copied; with it tasks,
//! renditions and blobs are too: for a million assets some 15 GB.

#![allow(clippy::print_stdout, reason = "it tells how far it is")]

use rusqlite::{Connection, OptionalExtension as _, named_params};
use std::time::Instant;

type Failed = Box<dyn std::error::Error>;

/// Copies of one transaction.
const BATCH: u64 = 20_000;

/// A second apart, the last one a second before the asset that is copied.
const AT: &str = ":base + i * 1000";
const ID: &str = "unhex(printf('%012x70008%015x', :base + i * 1000, i))";
/// Of which some words are in every seventh title, some in every thousandth, and every fourth file name is like no other.
const TITLE: &str = "CASE i % 7 WHEN 0 THEN 'Beach' WHEN 1 THEN 'Harbour' WHEN 2 THEN 'Mountain' WHEN 3 THEN 'Street'
         WHEN 4 THEN 'Forest' WHEN 5 THEN 'Winter' ELSE 'People' END
     || ' of the journey' || iif(i % 1000 = 0, ' with a zebra', '')";
const FILENAME: &str =
    "iif(i % 4 = 0, printf('DSC%07d.JPG', i), printf('IMG_%04d.jpg', i % 10000))";
const TAGS: &str = "printf('[\"summer\",\"album%d\"]', i % 500)";

/// What each table's copies have in place of the original's.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    (
        "assets",
        &[
            ("seq", "NULL"),
            ("id", ID),
            ("state", "iif(i % 500 = 0, 'failed', t.state)"),
            ("media_type", "iif(i % 200 = 0, 'image/png', t.media_type)"),
            ("title", TITLE),
            ("filename", FILENAME),
            ("tags", TAGS),
            ("correlation_id", "printf('copy-%d', i)"),
            ("created_at", AT),
            ("updated_at", AT),
        ],
    ),
    ("runs", &[("asset", ID), ("updated_at", AT)]),
    ("facts", &[("asset", ID)]),
];
/// Also what pages are not made of.
const WHOLE: &[(&str, &[(&str, &str)])] = &[
    (
        "tasks",
        &[
            (
                "id",
                "unhex(printf('%012x7%03x9%015x', :base + i * 1000, t.step, i))",
            ),
            ("asset", ID),
        ],
    ),
    (
        "renditions",
        &[
            ("asset", ID),
            (
                "blob",
                "(SELECT id FROM copied c WHERE c.old = t.blob AND c.n = i)",
            ),
        ],
    ),
];

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(path), Some(count)) = (args.first(), args.get(1)) else {
        return Err("usage: million DATABASE COUNT [whole]".into());
    };
    let count: u64 = count.parse()?;
    let whole = args.get(2).is_some_and(|word| word == "whole");
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA foreign_keys = OFF;
         CREATE TEMP TABLE copied (old BLOB, n INTEGER, id BLOB, PRIMARY KEY (old, n)) WITHOUT ROWID;",
    )?;
    let newest = "SELECT id, created_at FROM assets ORDER BY created_at DESC LIMIT 1";
    let newest = conn.query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (template, at): (Vec<u8>, i64) = newest.optional()?.ok_or("there is no asset to copy")?;
    let base = at - i64::try_from(count)? * 1000 - 1000;
    let began = Instant::now();
    let mut from = 1;
    while from <= count {
        let until = (from + BATCH - 1).min(count);
        copy(&conn, &template, base, from..=until, whole)?;
        println!(
            "{until} assets after {:.0} s",
            began.elapsed().as_secs_f64()
        );
        from = until + 1;
    }
    conn.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

fn copy(
    conn: &Connection,
    template: &[u8],
    base: i64,
    range: std::ops::RangeInclusive<u64>,
    whole: bool,
) -> Result<(), Failed> {
    let tx = conn.unchecked_transaction()?;
    let values = named_params! { ":template": template, ":base": base, ":from": range.start(), ":until": range.end() };
    let last: i64 = tx.query_row("SELECT max(seq) FROM assets", [], |row| row.get(0))?;
    if whole {
        blobs(&tx, values)?;
    }
    for (table, own) in ROWS.iter().chain(if whole { WHOLE } else { &[] }) {
        insert(&tx, table, own, values)?;
    }
    tx.execute(
        "INSERT INTO tags SELECT a.tenant, g.value, a.created_at, a.id FROM assets a, json_each(a.tags) g WHERE a.seq > ?1",
        [last],
    )?;
    tx.execute(
        "INSERT INTO asset_text (rowid, words) SELECT seq, title || ' ' || filename || ' ' || tags || ' ' || coalesce(search_text, '')
         FROM assets WHERE seq > ?1",
        [last],
    )?;
    tx.commit()?;
    Ok(())
}

/// Rows of their own for the copies' renditions.
fn blobs(conn: &Connection, values: &[(&str, &dyn rusqlite::ToSql)]) -> Result<(), Failed> {
    conn.execute("DELETE FROM copied", [])?;
    conn.execute(
        "WITH RECURSIVE steps (i) AS (SELECT :from UNION ALL SELECT i + 1 FROM steps WHERE i < :until),
            mine AS (SELECT blob, row_number() OVER (ORDER BY blob) AS k
                FROM (SELECT DISTINCT blob FROM renditions WHERE asset = :template))
         INSERT INTO copied SELECT mine.blob, i, unhex(printf('%012x7%03xa%015x', :base + i * 1000, mine.k, i)) FROM steps, mine",
        values,
    )?;
    conn.execute(
        "INSERT INTO blobs (id, tenant, sha256, bytes, key, created_at)
         SELECT c.id, b.tenant, unhex(hex(c.id) || hex(c.id)), b.bytes, 'copies/' || hex(c.id), b.created_at FROM copied c JOIN blobs b ON b.id = c.old",
        [],
    )?;
    Ok(())
}

fn insert(
    conn: &Connection,
    table: &str,
    own: &[(&str, &str)],
    values: &[(&str, &dyn rusqlite::ToSql)],
) -> Result<(), Failed> {
    let columns = conn
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let copied = columns.iter().map(|column| {
        let found = own.iter().find(|(name, _)| name == column);
        found.map_or(format!("t.{column}"), |(_, value)| (*value).to_owned())
    });
    let copied: Vec<String> = copied.collect();
    let key = if table == "assets" { "id" } else { "asset" };
    let sql = format!(
        "INSERT INTO {table} ({}) WITH RECURSIVE steps (i) AS (SELECT :from UNION ALL SELECT i + 1 FROM steps WHERE i < :until)
         SELECT {} FROM steps, {table} t WHERE t.{key} = :template",
        columns.join(", "),
        copied.join(", "),
    );
    conn.execute(&sql, values)?;
    Ok(())
}
