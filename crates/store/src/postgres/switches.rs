//! Switches, tenants' limits, and the history of both.

use super::frozen::make_tenant;
use super::rows::{get, id, maybe_number, number, time};
use super::{PostgresStore, Repeat, Session};
use crate::control::on_off;
use crate::{
    Admission, Change, Control, StoreError, Switch, SwitchRecord, TenantChange, TenantRecord,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use mediaflow_core::TenantId;
use std::collections::HashSet;
use tokio_postgres::Row;

macro_rules! tenant_sql {
    () => {
        "SELECT t.id, t.name, t.weight, t.running_max, t.waiting_max, coalesce(u.assets, 0) AS waiting,
            (SELECT count(*) FROM tasks k WHERE k.state = 'running' AND k.tenant = t.id) AS running
         FROM tenants t LEFT JOIN unfinished u ON u.tenant = t.id"
    };
}
#[async_trait]
impl Control for PostgresStore {
    async fn switches(&self) -> Result<Vec<SwitchRecord>, StoreError> {
        self.read(|s, _| switches(s).boxed()).await
    }

    async fn set_switch(&self, switch: Switch, on: bool, who: &str) -> Result<bool, StoreError> {
        self.write(Repeat::BeforeCommit, move |s, _| {
            set_switch(s, switch, on, who).boxed()
        })
        .await
    }

    async fn changes(&self, name: Option<&str>, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.read(move |s, _| changes(s, name, limit).boxed()).await
    }

    async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        let sql = concat!("SELECT * FROM (", tenant_sql!(), ") t ORDER BY id");
        self.read(move |s, _| {
            async move { s.query(sql, &[]).await?.iter().map(tenant).collect() }.boxed()
        })
        .await
    }

    async fn set_tenant(
        &self,
        id: TenantId,
        change: TenantChange,
        who: &str,
    ) -> Result<TenantRecord, StoreError> {
        make_tenant(&self.core, id).await?;
        let change = &change;
        self.write(Repeat::BeforeCommit, move |s, _| {
            set_tenant(s, id, change, who).boxed()
        })
        .await
    }

    async fn admission(&self, tenant: TenantId) -> Result<Admission, StoreError> {
        self.read(move |s, _| admission(s, tenant).boxed()).await
    }
}

async fn switches(s: &Session) -> Result<Vec<SwitchRecord>, StoreError> {
    let rows = s
        .query("SELECT name FROM switches WHERE value = 'off'", &[])
        .await?;
    let mut off: HashSet<String> = HashSet::new();
    for row in &rows {
        off.insert(get(row, "name")?);
    }
    let stand = Switch::ALL.iter().map(|switch| SwitchRecord {
        switch: *switch,
        is_on: !off.contains(switch.as_str()),
    });
    Ok(stand.collect())
}

/// The row is made first, so that there is one to lock: of two who set it the second sees what the first did.
const MAKE_SWITCH: &str = "INSERT INTO switches VALUES ($1, 'on') ON CONFLICT (name) DO NOTHING";
const SET_SWITCH: &str = "UPDATE switches SET value = $2 WHERE name = $1 AND value <> $2";
const NOTE: &str =
    "INSERT INTO changes (switch, before, after, who, at) VALUES ($1, $2, $3, $4, $5)";

async fn set_switch(
    s: &mut Session,
    switch: Switch,
    on: bool,
    who: &str,
) -> Result<bool, StoreError> {
    let name = switch.as_str();
    s.execute(MAKE_SWITCH, &[&name]).await?;
    if s.execute(SET_SWITCH, &[&name, &on_off(on)]).await? == 0 {
        return Ok(false);
    }
    let values: super::session::Params<'_> = &[&name, &on_off(!on), &on_off(on), &who, &s.now.0];
    s.execute(NOTE, values).await?;
    Ok(true)
}

async fn changes(s: &Session, name: Option<&str>, limit: u32) -> Result<Vec<Change>, StoreError> {
    let limit = i64::from(limit);
    let rows = match name {
        Some(name) => {
            let sql = "SELECT * FROM changes WHERE switch = $1 ORDER BY id DESC LIMIT $2";
            s.query(sql, &[&name, &limit]).await?
        }
        None => {
            let sql = "SELECT * FROM changes ORDER BY id DESC LIMIT $1";
            s.query(sql, &[&limit]).await?
        }
    };
    let found = rows.iter().map(|row| {
        Ok(Change {
            switch: get(row, "switch")?,
            before: get(row, "before")?,
            after: get(row, "after")?,
            who: get(row, "who")?,
            at: time(row, "at")?,
        })
    });
    found.collect()
}

async fn set_tenant(
    s: &mut Session,
    tenant_id: TenantId,
    change: &TenantChange,
    who: &str,
) -> Result<TenantRecord, StoreError> {
    let lock = "SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE";
    s.execute(lock, &[&tenant_id.0]).await?;
    let sql = concat!(tenant_sql!(), " WHERE t.id = $1");
    let mut record = tenant(&s.one(sql, &[&tenant_id.0]).await?)?;
    for (setting, before, after) in change.apply(&mut record) {
        let name = format!("tenant.{tenant_id}.{setting}");
        s.execute(NOTE, &[&name, &before, &after, &who, &s.now.0])
            .await?;
    }
    let sql = "UPDATE tenants SET name = $2, weight = $3, running_max = $4, waiting_max = $5 WHERE id = $1";
    let values: super::session::Params<'_> = &[
        &tenant_id.0,
        &record.name,
        &i64::from(record.weight),
        &record.running_max.map(i64::from),
        &record.waiting_max.map(i64::from),
    ];
    s.execute(sql, values).await?;
    Ok(record)
}

const ADMISSION: &str = "SELECT (SELECT value FROM switches WHERE name = 'uploads') AS uploads,
        (SELECT waiting_max FROM tenants WHERE id = $1) AS waiting_max,
        CASE WHEN (SELECT waiting_max FROM tenants WHERE id = $1) IS NOT NULL
             THEN (SELECT assets FROM unfinished WHERE tenant = $1) END AS waiting";

async fn admission(s: &Session, tenant: TenantId) -> Result<Admission, StoreError> {
    let row = s.one(ADMISSION, &[&tenant.0]).await?;
    let uploads: Option<&str> = get(&row, "uploads")?;
    if uploads == Some(on_off(false)) {
        return Ok(Admission::Off);
    }
    let waiting: Option<i64> = get(&row, "waiting")?;
    let most: Option<u32> = maybe_number(&row, "waiting_max")?;
    Ok(match most {
        Some(most) if waiting.unwrap_or(0) >= i64::from(most) => Admission::Full(most),
        _ => Admission::Open,
    })
}

fn tenant(row: &Row) -> Result<TenantRecord, StoreError> {
    // Sums of what statements changed; seen between two of them they may be less than nothing.
    let waiting: i64 = get(row, "waiting")?;
    Ok(TenantRecord {
        id: id(row, "id")?,
        name: get(row, "name")?,
        weight: number(row, "weight")?,
        running_max: maybe_number(row, "running_max")?,
        waiting_max: maybe_number(row, "waiting_max")?,
        running: number(row, "running")?,
        waiting: u64::try_from(waiting).unwrap_or(0),
    })
}
