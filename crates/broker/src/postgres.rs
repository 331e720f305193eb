//! PostgreSQL's `LISTEN` and `NOTIFY`. A `NOTIFY` takes a lock of the whole database when its transaction commits, so it has no place
//! in the store's transactions: here it has a connection of its own, transactions of nothing else, and at most fifty of them a second.
//!
//! Everyone who listens hears everything, so one ring for each queue and lane says as much as a thousand.

use crate::adapter::{Adapter, Halves, Received, Settle, Settled, Source};
use crate::address::Address;
use crate::{BrokerError, Ring};
use async_trait::async_trait;
use mediaflow_core::Queue;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};

const NAME: &str = "postgres";
/// The least time between two notifications of one process.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// A listener that heard nothing this long asks whether the server is still there.
const SILENCE_MAX: Duration = Duration::from_secs(15);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Notifications that wait between the connection and whoever listens; more are dropped, for those there say the same.
const WAITING_MAX: usize = 16;

pub(crate) struct Postgres {
    config: Config,
    channel: String,
    pending: StdMutex<BTreeMap<(Queue, u8), Ring>>,
    notifier: Mutex<Notifier>,
}

#[derive(Default)]
struct Notifier {
    connected: Option<Connected>,
    last: Option<Instant>,
}

/// A client, and the task that drives its connection.
struct Connected {
    client: Client,
    driver: AbortHandle,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Postgres {
    pub(crate) fn new(mut address: Address) -> Result<Self, BrokerError> {
        let channel = address.take("channel", "mediaflow_wake".to_owned())?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if channel.is_empty() || channel.len() > 63 || !channel.chars().all(plain) {
            let message = "channel must be up to 63 lower-case letters, digits and underscores";
            return Err(BrokerError::permanent(NAME, message));
        }
        let mut config: Config = address
            .remaining()
            .parse()
            .map_err(|e| BrokerError::permanent(NAME, e))?;
        config
            .application_name("mediaflow-broker")
            .connect_timeout(ANSWER_MAX)
            .keepalives_idle(SILENCE_MAX);
        Ok(Self {
            config,
            channel,
            pending: StdMutex::default(),
            notifier: Mutex::default(),
        })
    }

    /// Connects; notifications go to `heard`.
    async fn connect(&self, heard: Option<mpsc::Sender<String>>) -> Result<Connected, BrokerError> {
        let (client, mut connection) = self.config.connect(NoTls).await.map_err(failed)?;
        let driver = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        if let Some(heard) = &heard {
                            // Fails when many wait already, which wake as well.
                            let _ = heard.try_send(notification.payload().to_owned());
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
        });
        Ok(Connected {
            client,
            driver: driver.abort_handle(),
        })
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Queue, u8), Ring>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Adapter for Postgres {
    type Receipt = ();

    fn name(&self) -> &'static str {
        NAME
    }

    async fn announce(&self, rings: &[Ring]) -> Result<(), BrokerError> {
        self.pending()
            .extend(rings.iter().map(|r| ((r.queue, r.lane), *r)));
        let mut notifier = self.notifier.lock().await;
        if let Some(last) = notifier.last {
            tokio::time::sleep_until(last + DEBOUNCE).await;
        }
        let pending = std::mem::take(&mut *self.pending());
        if pending.is_empty() {
            // Whoever had the connection before has told these as well.
            return Ok(());
        }
        let lines: Vec<String> = pending.into_values().map(Ring::to_line).collect();
        let connected = match notifier.connected.take() {
            Some(connected) if !connected.client.is_closed() => connected,
            _ => self.connect(None).await?,
        };
        notifier.last = Some(Instant::now());
        connected
            .client
            .execute(
                "SELECT pg_notify($1, $2)",
                &[&self.channel, &lines.join("\n")],
            )
            .await
            .map_err(failed)?;
        notifier.connected = Some(connected);
        Ok(())
    }

    async fn health(&self) -> Result<(), BrokerError> {
        let connected = self.connect(None).await?;
        connected
            .client
            .batch_execute("SELECT 1")
            .await
            .map_err(failed)
    }

    async fn subscribe(&self, queues: &[Queue]) -> Result<Halves<()>, BrokerError> {
        let (sender, heard) = mpsc::channel(WAITING_MAX);
        let connected = self.connect(Some(sender)).await?;
        let listen = format!("LISTEN {}", self.channel);
        connected
            .client
            .batch_execute(&listen)
            .await
            .map_err(failed)?;
        Ok(Halves {
            source: Box::new(Ear {
                connected,
                heard,
                queues: queues.to_vec(),
            }),
            settler: Box::new(Nothing),
        })
    }
}

struct Ear {
    connected: Connected,
    heard: mpsc::Receiver<String>,
    queues: Vec<Queue>,
}

#[async_trait]
impl Source<()> for Ear {
    async fn receive(&mut self) -> Result<Vec<Received<()>>, BrokerError> {
        let payload = match tokio::time::timeout(SILENCE_MAX, self.heard.recv()).await {
            Ok(Some(payload)) => payload,
            Ok(None) => return Err(BrokerError::transient(NAME, "the connection was closed")),
            Err(_) => {
                let question = self.connected.client.batch_execute("SELECT 1");
                return match tokio::time::timeout(ANSWER_MAX, question).await {
                    Ok(Ok(())) => Ok(Vec::new()),
                    Ok(Err(error)) => Err(failed(error)),
                    Err(_) => Err(BrokerError::transient(NAME, "the server does not answer")),
                };
            }
        };
        let rings = payload.lines().filter_map(Ring::from_line);
        Ok(rings
            .filter(|ring| self.queues.contains(&ring.queue))
            .map(|ring| Received {
                ring: Some(ring),
                receipt: (),
            })
            .collect())
    }
}

/// A notification needs no answer, and everybody else heard it too.
struct Nothing;

#[async_trait]
impl Settle<()> for Nothing {
    async fn settle(&mut self, _settled: Vec<Settled<()>>) -> Result<(), BrokerError> {
        Ok(())
    }
}

fn failed(error: Error) -> BrokerError {
    // Its own text leaves out what the server said.
    let text = match error.as_db_error() {
        Some(said) => said.to_string(),
        None => error.to_string(),
    };
    // Classes of SQLSTATE: 28 is about who may come in, 42 about rights and names, 3D about the database.
    let class = error.code().map(|code| &code.code()[..2]);
    match class {
        Some("28" | "42" | "3D") => BrokerError::permanent(NAME, text),
        _ => BrokerError::transient(NAME, text),
    }
}
