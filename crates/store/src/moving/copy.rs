//! All rows of one database into another: in one snapshot of the one and one transaction of the other, table by table, each read
//! again from where it went and compared.

use super::table::{Row, Table, Tally};
use super::{Installation, Premises, TABLES, either};
use crate::StoreError;
use tokio::sync::mpsc;

/// Batches of rows on their way.
const UNDER_WAY: usize = 4;

/// A table that was copied and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableReport {
    /// Which.
    pub table: &'static str,
    /// How many rows it has, here and there.
    pub rows: u64,
}

/// Replaces all rows of `to` by those of `from`, and makes `to` what `then` says, or changes nothing at all. Nobody else may
/// change either of them meanwhile. Tells of each table that is done.
///
/// # Errors
/// When a database fails, or a table did not become what it should.
pub async fn copy(
    from: &Premises,
    to: &Premises,
    then: &Installation,
    mut done: impl FnMut(TableReport),
) -> Result<Vec<TableReport>, StoreError> {
    let copied = copy_all(from, to, then, &mut done).await;
    if copied.is_err() {
        from.abandon().await;
        to.abandon().await;
    }
    copied
}

async fn copy_all(
    from: &Premises,
    to: &Premises,
    then: &Installation,
    done: &mut impl FnMut(TableReport),
) -> Result<Vec<TableReport>, StoreError> {
    either!(from, premises => premises.begin_reading().await?);
    either!(to, premises => premises.begin_writing().await?);
    let mut reports = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let report = move_table(from, to, table).await?;
        done(report);
        reports.push(report);
    }
    either!(to, premises => premises.derive().await?);
    to.enter(then).await?;
    either!(to, premises => premises.commit().await?);
    either!(from, premises => premises.commit().await?);
    Ok(reports)
}

async fn move_table(
    from: &Premises,
    to: &Premises,
    table: &'static Table,
) -> Result<TableReport, StoreError> {
    let (forward, rows) = mpsc::channel(UNDER_WAY);
    let write = async { either!(to, premises => premises.write(table, rows).await) };
    let (there, ()) = tokio::try_join!(read(from, table, Some(forward)), write)?;
    let here = read(to, table, None).await?;
    if here != there {
        return Err(StoreError::Database(
            format!(
                "the rows of `{}` did not arrive as they were sent ({} of {})",
                table.name, here.rows, there.rows
            )
            .into(),
        ));
    }
    Ok(TableReport {
        table: table.name,
        rows: here.rows,
    })
}

/// Reads all rows and tells what they are, and forwards them.
async fn read(
    premises: &Premises,
    table: &'static Table,
    forward: Option<mpsc::Sender<Vec<Row>>>,
) -> Result<Tally, StoreError> {
    let (sender, mut batches) = mpsc::channel::<Vec<Row>>(UNDER_WAY);
    let read = async { either!(premises, premises => premises.read(table, sender).await) };
    let pass = async move {
        let mut tally = Tally::default();
        while let Some(rows) = batches.recv().await {
            rows.iter().for_each(|row| tally.add(row));
            if let Some(forward) = &forward
                && forward.send(rows).await.is_err()
            {
                // Whoever writes has failed, and says so.
                break;
            }
        }
        Ok(tally)
    };
    let ((), tally) = tokio::try_join!(read, pass)?;
    Ok(tally)
}
