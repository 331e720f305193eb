//! Connections: made when needed, kept, and replaced when they break.

use super::PostgresOptions;
use super::address::Address;
use crate::StoreError;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
};
use std::time::Duration;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a verb waits for one of the process's connections.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Sent bytes that nobody acknowledges for so long mean that the other side is gone.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The process's connections.
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    address: Address,
}

impl Pool {
    pub(super) fn new(url: &str, options: &PostgresOptions) -> Result<Self, StoreError> {
        let mut address = Address::read(url)?;
        let config = &mut address.config;
        if config.get_application_name().is_none() {
            config.application_name("mediaflow");
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(SILENCE_MAX)
            .keepalives_idle(SILENCE_MAX)
            // Of several hosts the one that takes writes: after a failover it is another one.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let recycling_method = RecyclingMethod::Fast;
        let Address { config, tls } = address.clone();
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
        let ms = options.statement_timeout.as_millis();
        let prepare = format!(
            "SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; SET lock_timeout = {};
             SET default_transaction_isolation = 'read committed'; SET timezone = 'UTC'; SET jit = off",
            ms / 2
        );
        let prepare = Hook::async_fn(move |conn: &mut deadpool_postgres::ClientWrapper, _| {
            let prepare = prepare.clone();
            Box::pin(async move {
                conn.batch_execute(&prepare)
                    .await
                    .map_err(HookError::Backend)
            })
        });
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(options.connections.max(2))
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .post_create(prepare)
            .build();
        let connections = pool.map_err(|e| StoreError::Database(Box::new(e)))?;
        Ok(Self {
            connections,
            address,
        })
    }

    /// How a connection beside these is made.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Nothing is known to be prepared any more.
    pub(super) fn forget_statements(&self) {
        self.connections.manager().statement_caches.clear();
    }

    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.connections.get().await.map_err(|error| match error {
            PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)) => e.into(),
            other => StoreError::Unavailable(Box::new(other)),
        })
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::DISK_FULL) => Self::Full(text(&error)),
            Some(code) if is_passing(code) => Self::Unavailable(Box::new(error)),
            Some(_) => Self::Database(Box::new(error)),
            None if is_broken(&error) => Self::Unavailable(Box::new(error)),
            None => Self::Database(Box::new(error)),
        }
    }
}

/// What the server said, without which "db error" tells nobody anything.
fn text(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |e| e.message().to_owned())
}

/// States of a server that end by themselves: it shuts down, starts, is a replica now, or has too much to do.
fn is_passing(code: &SqlState) -> bool {
    let passing = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    code.code().starts_with("08") || passing.contains(code)
}

/// Whether the connection, not a statement, has failed.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    use std::error::Error;
    let is_io = error.source().is_some_and(|s| s.is::<std::io::Error>());
    error.is_closed() || is_io || error.to_string().contains("connect")
}

/// Whether a statement was prepared before a migration added columns to what it answers: PostgreSQL refuses it until it is
/// prepared again.
pub(super) fn is_outdated(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else {
        return false;
    };
    let error = error.downcast_ref::<tokio_postgres::Error>();
    let answer = error.and_then(tokio_postgres::Error::as_db_error);
    answer.is_some_and(|e| e.routine() == Some("RevalidateCachedQuery"))
}

/// Whether two transactions were in each other's way and one of them was picked to give up.
pub(super) fn is_contention(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else {
        return false;
    };
    let error = error.downcast_ref::<tokio_postgres::Error>();
    matches!(
        error.and_then(|e| e.code()),
        Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
    )
}
