//! A connection with one channel, and what the server says about them unasked.

use super::NAME;
use crate::BrokerError;
use crate::address::Address;
use amqprs::callbacks::{ChannelCallback, ConnectionCallback};
use amqprs::channel::Channel;
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::tls::TlsAdaptor;
use amqprs::{Ack, BasicProperties, Cancel, Close, CloseChannel, Nack, Return};
use async_trait::async_trait;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Two missed ones end a connection that died in silence.
const HEARTBEAT_S: u16 = 10;
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Whom to ask, and as whom.
pub(super) struct Login {
    host: String,
    port: u16,
    user: String,
    password: String,
    vhost: String,
    tls: Option<TlsAdaptor>,
}

/// A connection with its channel. Dropping it closes both.
pub(super) struct Connected {
    pub(super) channel: Channel,
    pub(super) said: mpsc::UnboundedReceiver<Said>,
    connection: Connection,
}

/// What the server says unasked.
pub(super) enum Said {
    /// It has this message, or all up to it.
    Took { tag: u64, multiple: bool },
    /// It has it not.
    Refused,
    /// No queue takes it.
    Unroutable,
    /// A queue that we hear is gone.
    Cancelled,
    /// The channel or the connection is closed.
    Closed { code: u16, text: String },
}

impl Login {
    pub(super) fn new(address: &Address) -> Result<Self, BrokerError> {
        let with_tls = address.scheme == "amqps";
        let (host, port) = address.host_and_port(if with_tls { 5671 } else { 5672 })?;
        if host.is_empty() {
            let message = "the address must be amqp://[user:password@]host[:port][/vhost]";
            return Err(BrokerError::permanent(NAME, message));
        }
        let or = |value: &Option<String>, default: &str| {
            value.clone().unwrap_or_else(|| default.to_owned())
        };
        Ok(Self {
            tls: with_tls.then(|| tls(&host)).transpose()?,
            host,
            port,
            user: or(&address.user, "guest"),
            password: or(&address.password, "guest"),
            vhost: match address.path.as_str() {
                "" => "/".to_owned(),
                path => path.to_owned(),
            },
        })
    }
}

/// TLS with the certificates that the system trusts.
fn tls(host: &str) -> Result<TlsAdaptor, BrokerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|e| BrokerError::permanent(NAME, e))?
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    Ok(TlsAdaptor::new(connector, host.to_owned()))
}

impl Connected {
    pub(super) async fn open(login: &Login) -> Result<Self, BrokerError> {
        let mut arguments =
            OpenConnectionArguments::new(&login.host, login.port, &login.user, &login.password);
        arguments
            .virtual_host(&login.vhost)
            .connection_name("mediaflow")
            .heartbeat(HEARTBEAT_S);
        if let Some(tls) = &login.tls {
            arguments.tls_adaptor(tls.clone());
        }
        let opening = async {
            let connection = Connection::open(&arguments).await?;
            let (speak, said) = mpsc::unbounded_channel();
            connection.register_callback(Hears(speak.clone())).await?;
            let channel = connection.open_channel(None).await?;
            channel.register_callback(Hears(speak)).await?;
            Ok(Self {
                channel,
                said,
                connection,
            })
        };
        match tokio::time::timeout(CONNECT_MAX, opening).await {
            Ok(opened) => opened.map_err(failed),
            Err(_) => Err(BrokerError::transient(NAME, "the server does not answer")),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open() && self.channel.is_open()
    }

    pub(super) async fn close(self) -> Result<(), BrokerError> {
        self.connection.close().await.map_err(failed)
    }

    /// An answer, or why the server closed the channel instead.
    pub(super) async fn unless_closed<T>(
        said: &mut mpsc::UnboundedReceiver<Said>,
        answer: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let closed = async {
            loop {
                match said.recv().await {
                    Some(Said::Closed { code, text }) => return closed(code, &text),
                    Some(_) => {}
                    None => return gone(),
                }
            }
        };
        tokio::select! {
            biased;
            error = closed => Err(error),
            answer = answer => answer,
        }
    }
}

pub(super) fn gone() -> BrokerError {
    BrokerError::transient(NAME, "the connection was closed")
}

/// 403 and 404 are about rights and names, 406 about a queue that was made otherwise, 530 about the vhost.
pub(super) fn closed(code: u16, text: &str) -> BrokerError {
    let text = format!("{code} {text}");
    match code {
        403 | 404 | 406 | 530 => BrokerError::permanent(NAME, text),
        _ => BrokerError::transient(NAME, text),
    }
}

pub(super) fn failed(error: Error) -> BrokerError {
    BrokerError::transient(NAME, error)
}

struct Hears(mpsc::UnboundedSender<Said>);

impl Hears {
    fn say(&self, said: Said) {
        // Whoever dropped the connection does not care any more.
        let _ = self.0.send(said);
    }
}

type Told = Result<(), Error>;

#[async_trait]
impl ConnectionCallback for Hears {
    async fn close(&mut self, _: &Connection, close: Close) -> Told {
        self.say(Said::Closed {
            code: close.reply_code(),
            text: close.reply_text().clone(),
        });
        Ok(())
    }

    async fn blocked(&mut self, _: &Connection, reason: String) {
        tracing::warn!(%reason, "RabbitMQ takes no messages for now");
    }

    async fn unblocked(&mut self, _: &Connection) {}

    async fn secret_updated(&mut self, _: &Connection) {}
}

#[async_trait]
impl ChannelCallback for Hears {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Told {
        self.say(Said::Closed {
            code: close.reply_code(),
            text: close.reply_text().clone(),
        });
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Told {
        self.say(Said::Cancelled);
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.say(Said::Took {
            tag: ack.delivery_tag(),
            multiple: ack.mutiple(),
        });
    }

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {
        self.say(Said::Refused);
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {
        self.say(Said::Unroutable);
    }
}
