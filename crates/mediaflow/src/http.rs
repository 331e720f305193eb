//! The sockets under the API: taken in, timed, and let go.

use crate::lingering::Lingering;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often HTTP/2 connections are asked whether anybody is still there.
const PING: Duration = Duration::from_secs(30);
/// The pause after the system gave no connection, because too many are open.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping`; then takes nothing new and ends when the requests that run have ended. A connection that
/// takes longer than `head_max` for a request's head is closed.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    head_max: Duration,
    stopping: CancellationToken,
) {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_max);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING);
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken in");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Small answers must not wait for acknowledgements of earlier ones.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let connection = server.serve_connection(TokioIo::new(Lingering::new(stream)), service);
        let connection = open.watch(connection.into_owned());
        // How a connection ends is the client's business; requests are logged by the routes.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    open.shutdown().await;
}
