//! A table as both databases have it, and its rows as neither does.

use mediaflow_core::Sha256;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// What a column holds, where it is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sixteen bytes here, a UUID there.
    Id,
    /// Bytes.
    Bytes,
    /// Text, JSON too.
    Text,
    /// A number, a time too.
    Int,
    /// An approximate number.
    Real,
    /// 0 or 1 here, a truth value there.
    Flag,
}

/// A table whose rows move.
#[derive(Debug)]
pub struct Table {
    /// The same in both databases.
    pub name: &'static str,
    /// The columns that move.
    pub columns: &'static [(&'static str, Kind)],
    /// The order that new numbers are given in, where rows get some.
    pub order: Option<&'static str>,
    /// Which rows move, where not all do.
    pub only: Option<&'static str>,
}

/// What is in one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Id(Uuid),
    Bytes(Vec<u8>),
    Text(String),
    Int(i64),
    Real(f64),
    Flag(bool),
}

/// One row.
pub(crate) type Row = Vec<Value>;

/// Rows under way together.
pub(crate) const ROWS_TOGETHER: usize = 500;

impl Table {
    /// Reads all rows that move.
    pub(crate) fn select(&self) -> String {
        let only = self.only.map(|o| format!(" WHERE {o}"));
        let order = self.order.map(|o| format!(" ORDER BY {o}"));
        let names = self.names().collect::<Vec<_>>().join(", ");
        let (only, order) = (only.unwrap_or_default(), order.unwrap_or_default());
        format!("SELECT {names} FROM {}{only}{order}", self.name)
    }

    /// The columns' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }
}

impl Kind {
    /// PostgreSQL's.
    pub(crate) fn postgres(self) -> Type {
        match self {
            Self::Id => Type::UUID,
            Self::Bytes => Type::BYTEA,
            Self::Text => Type::TEXT,
            Self::Int => Type::INT8,
            Self::Real => Type::FLOAT8,
            Self::Flag => Type::BOOL,
        }
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Id(id) => id.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Real(number) => number.to_sql(kind, out),
            Self::Flag(flag) => flag.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// How many rows there are and what is in them, whatever their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    sum: u128,
}

impl Tally {
    pub(crate) fn add(&mut self, row: &Row) {
        let mut bytes = Vec::with_capacity(256);
        for value in row {
            write(value, &mut bytes);
        }
        let digest = Sha256::of(&bytes).0;
        let (half, _) = digest.split_at(16);
        let half = u128::from_be_bytes(half.try_into().expect("it was cut to sixteen bytes"));
        self.sum = self.sum.wrapping_add(half);
        self.rows += 1;
    }
}

/// Each value with its kind and length, so that no two rows are written alike.
fn write(value: &Value, out: &mut Vec<u8>) {
    let mut put = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    };
    match value {
        Value::Null => put(0, &[]),
        Value::Id(id) => put(1, id.as_bytes()),
        Value::Bytes(bytes) => put(2, bytes),
        Value::Text(text) => put(3, text.as_bytes()),
        Value::Int(number) => put(4, &number.to_be_bytes()),
        Value::Real(number) => put(5, &number.to_bits().to_be_bytes()),
        Value::Flag(flag) => put(6, &[u8::from(*flag)]),
    }
}
