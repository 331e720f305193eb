//! A connection for what is said, which is made anew when the last one failed.

use super::{ANSWER_MAX, NAME, failed};
use crate::BrokerError;
use crate::address::Address;
use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Pipeline, pipe};
use std::time::Duration;
use tokio::sync::Mutex;

pub(super) struct Speaker {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Speaker {
    /// `address` without the parameters that are ours.
    pub(super) fn new(address: &Address) -> Result<Self, BrokerError> {
        let client = Client::open(address.remaining())
            .map_err(|_| BrokerError::permanent(NAME, "the address must be redis://[user:password@]host[:port][/database], or rediss:// for TLS"))?;
        Ok(Self {
            client,
            connection: Mutex::default(),
        })
    }

    /// Another connection.
    pub(super) async fn connect(
        &self,
        answer_max: Duration,
    ) -> Result<MultiplexedConnection, BrokerError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_MAX))
            .set_response_timeout(Some(answer_max));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(failed)
    }

    /// One round trip.
    pub(super) async fn ask(&self, pipeline: &Pipeline) -> Result<(), BrokerError> {
        let mut place = self.connection.lock().await;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.connect(ANSWER_MAX).await?,
        };
        pipeline.exec_async(&mut connection).await.map_err(failed)?;
        *place = Some(connection);
        Ok(())
    }

    pub(super) async fn health(&self) -> Result<(), BrokerError> {
        let mut pipeline = pipe();
        pipeline.cmd("PING").ignore();
        self.ask(&pipeline).await
    }
}
