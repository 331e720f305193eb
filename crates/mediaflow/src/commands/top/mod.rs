//! `mediaflow top`: what happens now, as long as one looks; or once, where there is no terminal.

mod screen;
mod seen;
mod view;

use crate::client::{Client, Server};
use crate::fault::Fault;
use crate::output;
use clap::Args;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use screen::{Key, Screen};
use seen::Seen;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Room of a printout: nobody scrolls in it.
const PRINTED: (usize, usize) = (160, 200);
/// After so long without an answer what is shown is old.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    server: Server,
    /// Look again after so many seconds, 1 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
    /// Print it once, as is done where there is no terminal
    #[arg(long)]
    once: bool,
    /// Once, as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(top: Top) -> Result<(), Fault> {
    let client = top.server.client()?;
    // Who cannot be asked at all is told on an ordinary screen.
    let seen = Seen::now(&client).await?;
    if top.json {
        return output::print_json(&seen.document());
    }
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if top.once || is_dumb || !std::io::stdout().is_terminal() {
        let lines = view::lines(&seen, PRINTED, "", SystemEnvironment.now());
        return output::print(&(lines.join("\n") + "\n"));
    }
    watch(&client, seen, Duration::from_secs(top.every)).await
}

async fn watch(client: &Client, mut seen: Seen, every: Duration) -> Result<(), Fault> {
    let broken = |e| Fault::failed(format!("the terminal: {e}"));
    let mut ended = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(broken)?;
    let (tell, mut told) = mpsc::channel(1);
    tokio::spawn(look(client.clone(), every, tell));
    let mut screen = Screen::take().map_err(broken)?;
    loop {
        let lines = view::lines(&seen, screen.size(), "q quits", SystemEnvironment.now());
        screen.draw(&lines).map_err(broken)?;
        tokio::select! {
            Some(found) = told.recv() => {
                seen = found.unwrap_or_else(|why| seen.without_answer(why));
            }
            key = screen.key() => match key {
                Key::Quit => return Ok(()),
                Key::Other => {}
            },
            _ = ended.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
        }
    }
}

/// Looks again and again, beside who watches: a server that is slow must not keep anybody from leaving.
async fn look(client: Client, every: Duration, tell: mpsc::Sender<Result<Seen, String>>) {
    loop {
        tokio::time::sleep(every).await;
        let found = match tokio::time::timeout(PATIENCE, Seen::now(&client)).await {
            Ok(found) => found.map_err(|trouble| trouble.to_string()),
            Err(_) => Err(format!("it takes longer than {} s", PATIENCE.as_secs())),
        };
        if tell.send(found).await.is_err() {
            return;
        }
    }
}
