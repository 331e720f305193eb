//! Switches, tenants' limits, and the history of both.

use super::rows::{id, time};
use super::writer::Session;
use super::{SqliteStore, intake};
use crate::control::on_off;
use crate::{
    Admission, Change, Control, StoreError, Switch, SwitchRecord, TenantChange, TenantRecord,
};
use async_trait::async_trait;
use mediaflow_core::{Queue, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The switch of a queue's claims.
pub(super) const fn claims(queue: Queue) -> Switch {
    Switch::Claims(queue)
}

/// Whether somebody switched it off.
pub(super) fn is_off(conn: &Connection, switch: &Switch) -> Result<bool, StoreError> {
    let mut statement = conn.prepare_cached("SELECT value FROM switches WHERE name = ?1")?;
    let value: Option<String> = statement
        .query_row([switch.as_str()], |row| row.get(0))
        .optional()?;
    Ok(value.as_deref() == Some(on_off(false)))
}

#[async_trait]
impl Control for SqliteStore {
    async fn switches(&self) -> Result<Vec<SwitchRecord>, StoreError> {
        self.read(|conn, _| {
            let stand = Switch::ALL.iter().map(|switch| {
                let is_on = !is_off(conn, switch)?;
                Ok(SwitchRecord {
                    switch: *switch,
                    is_on,
                })
            });
            stand.collect()
        })
        .await
    }

    async fn set_switch(&self, switch: Switch, on: bool, who: &str) -> Result<bool, StoreError> {
        let who = who.to_owned();
        self.write(move |s| {
            if is_off(s.conn, &switch)? != on {
                return Ok(false);
            }
            s.conn
                .prepare_cached("INSERT OR REPLACE INTO switches VALUES (?1, ?2)")?
                .execute([switch.as_str(), on_off(on)])?;
            s.memory.forget_ready();
            note(s, switch.as_str(), on_off(!on), on_off(on), &who)?;
            Ok(true)
        })
        .await
    }

    async fn changes(&self, name: Option<&str>, limit: u32) -> Result<Vec<Change>, StoreError> {
        let name = name.map(str::to_owned);
        self.read(move |conn, _| {
            let sql = match name {
                Some(_) => "SELECT * FROM changes WHERE switch = ?1 ORDER BY id DESC LIMIT ?2",
                None => "SELECT * FROM changes WHERE ?1 IS NULL ORDER BY id DESC LIMIT ?2",
            };
            let mut statement = conn.prepare_cached(sql)?;
            let found = statement.query_map(params![name, limit], |row| {
                Ok(Change {
                    switch: row.get("switch")?,
                    before: row.get("before")?,
                    after: row.get("after")?,
                    who: row.get("who")?,
                    at: time(row, "at")?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        self.read(|conn, _| {
            let mut statement = conn.prepare_cached(&format!("{TENANT} ORDER BY t.id"))?;
            let found = statement.query_map([], tenant)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn set_tenant(
        &self,
        id: TenantId,
        change: TenantChange,
        who: &str,
    ) -> Result<TenantRecord, StoreError> {
        let who = who.to_owned();
        self.write(move |s| {
            intake::make_tenant(s, id)?;
            let mut record = s
                .conn
                .prepare_cached(&format!("{TENANT} WHERE t.id = ?1"))?
                .query_row([id.as_bytes()], tenant)?;
            for (setting, before, after) in change.apply(&mut record) {
                note(s, &format!("tenant.{id}.{setting}"), &before, &after, &who)?;
            }
            s.conn
                .prepare_cached(
                    "UPDATE tenants SET name = ?2, weight = ?3, running_max = ?4, waiting_max = ?5 WHERE id = ?1",
                )?
                .execute(params![
                    id.as_bytes(),
                    record.name,
                    record.weight,
                    record.running_max,
                    record.waiting_max
                ])?;
            s.memory.forget_limits(s.conn)?;
            Ok(record)
        })
        .await
    }

    async fn admission(&self, tenant: TenantId) -> Result<Admission, StoreError> {
        self.read(move |conn, _| {
            if is_off(conn, &Switch::Uploads)? {
                return Ok(Admission::Off);
            }
            let full = conn
                .prepare_cached(
                    "SELECT t.waiting_max FROM tenants t JOIN unfinished u ON u.tenant = t.id
                     WHERE t.id = ?1 AND u.assets >= t.waiting_max",
                )?
                .query_row([tenant.as_bytes()], |row| row.get(0))
                .optional()?;
            Ok(full.map_or(Admission::Open, Admission::Full))
        })
        .await
    }
}

const TENANT: &str =
    "SELECT t.id, t.name, t.weight, t.running_max, t.waiting_max, coalesce(u.assets, 0) AS waiting,
        (SELECT count(*) FROM tasks k WHERE k.state = 'running' AND k.tenant = t.id) AS running
     FROM tenants t LEFT JOIN unfinished u ON u.tenant = t.id";

fn tenant(row: &Row<'_>) -> rusqlite::Result<TenantRecord> {
    Ok(TenantRecord {
        id: id(row, "id")?,
        name: row.get("name")?,
        weight: row.get("weight")?,
        running_max: row.get("running_max")?,
        waiting_max: row.get("waiting_max")?,
        running: row.get("running")?,
        waiting: row.get("waiting")?,
    })
}

fn note(
    s: &Session<'_>,
    name: &str,
    before: &str,
    after: &str,
    who: &str,
) -> Result<(), StoreError> {
    s.conn
        .prepare_cached(
            "INSERT INTO changes (switch, before, after, who, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![name, before, after, who, s.now.0])?;
    Ok(())
}
