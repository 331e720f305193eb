//! `mediaflow synthetic`: sends known media through the whole path again and again, as somebody who uploads and looks at it, and
//! tells whether it came through, and how soon.

mod export;
mod media;
mod round;

use crate::client::Server;
use crate::fault::Fault;
use crate::output;
use clap::Args;
use export::Export;
pub(crate) use media::Media;
use round::{Round, round};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct Synthetic {
    #[command(flatten)]
    server: Server,
    /// Seconds from the beginning of one round to the next, 1 to 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
    /// One round only; ends with 1 when anything failed
    #[arg(long)]
    once: bool,
    /// What is sent: jpeg, png, webp (moving), wav; may be repeated. The last one needs ffmpeg at the server
    #[arg(long, value_name = "KIND", value_delimiter = ',', default_values = ["jpeg", "png"])]
    media: Vec<Media>,
    /// Seconds within which each must be shown, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    viewable_within: u64,
    /// Seconds within which everything must be made, 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    ready_within: u64,
    /// Serve what was seen as metrics at this address, under /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Write the same into this file after each round, for the node exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// One JSON object per line for each that was sent
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(synthetic: Synthetic) -> Result<ExitCode, Fault> {
    let client = synthetic.server.client()?;
    let limits = round::Limits {
        viewable: Duration::from_secs(synthetic.viewable_within),
        ready: Duration::from_secs(synthetic.ready_within),
    };
    let export = Export::new(&synthetic.media);
    if let Some(listen) = synthetic.listen {
        let address = export.serve(listen).await?;
        eprintln!("metrics are at http://{address}/metrics");
    }
    let mut rounds = tokio::time::interval(Duration::from_secs(synthetic.every));
    // What took longer than the pause is not made up for.
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            stopped = tokio::signal::ctrl_c() => {
                stopped.map_err(Fault::failed)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        let mut all_well = true;
        for media in &synthetic.media {
            let seen = round(&client, *media, limits).await;
            all_well &= seen.trouble.is_none();
            export.note(&seen);
            say(&seen, synthetic.json)?;
        }
        if let Some(file) = &synthetic.textfile {
            export.write(file)?;
        }
        if synthetic.once {
            return Ok(ExitCode::from(u8::from(!all_well)));
        }
    }
}

fn say(seen: &Round, json: bool) -> Result<(), Fault> {
    if json {
        return output::print(&format!("{}\n", seen.json()));
    }
    let seconds = |time: Option<Duration>| match time {
        Some(time) => format!("{:.2} s", time.as_secs_f64()),
        None => "-".to_owned(),
    };
    let outcome = match &seen.trouble {
        None => "ok",
        Some(trouble) => trouble,
    };
    output::print(&format!(
        "{:<5} accepted {}  viewable {}  ready {}  {outcome}\n",
        seen.media.as_str(),
        seconds(seen.accepted),
        seconds(seen.viewable),
        seconds(seen.ready),
    ))
}
