//! The command line as data. What each command does is in `commands`.

use crate::commands::{
    assets, capacity, completions, config, dead, events, import, ingest, keys, migrate, migrations,
    plan, queues, recipes, sign, switches, synthetic, tasks, tenants, top, watches, webhooks,
    workers,
};
use crate::config::Config;
use crate::roles::Role;
use clap::{Args, Parser, Subcommand};
use mediaflow_core::Queue;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Takes in pictures, videos and sounds, turns each into everything a page needs, and says at any moment where every file is.
#[derive(Debug, Parser)]
#[command(name = "mediaflow", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the configuration and the data are: the same for all commands.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The configuration file [default: ./mediaflow.toml where it exists]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "MEDIAFLOW_CONFIG",
        display_order = 900
    )]
    pub(crate) config: Option<PathBuf>,
    /// The data folder; wins over `data` of the file
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        env = "MEDIAFLOW_DATA",
        display_order = 901
    )]
    pub(crate) data: Option<PathBuf>,
}

/// How a worker on a network of its own reaches the API.
#[derive(Debug, Args)]
pub(crate) struct Via {
    /// The API that a worker asks for tasks and bytes, where it reaches neither database nor bucket; wins over `via.url`
    #[arg(long, value_name = "URL", env = "MEDIAFLOW_VIA")]
    via: Option<String>,
    /// A file with the worker's key, unless MEDIAFLOW_API_KEY has it; wins over `via.key_file`
    #[arg(long, value_name = "FILE", env = "MEDIAFLOW_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// A PEM file with roots that vouch for the API, instead of this machine's; wins over `via.ca_file`
    #[arg(long, value_name = "FILE", env = "MEDIAFLOW_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl Via {
    /// Flags win over the file.
    pub(crate) fn apply(self, config: &mut Config) {
        config.via.url = self.via.or(config.via.url.take());
        config.via.key_file = self.key_file.or(config.via.key_file.take());
        config.via.ca_file = self.ca_file.or(config.via.ca_file.take());
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server
    Serve {
        /// Address and port; wins over `listen` of the file
        #[arg(long, value_name = "ADDRESS:PORT", env = "MEDIAFLOW_LISTEN")]
        listen: Option<SocketAddr>,
        /// What this process does; may be repeated. Both without it. Wins over `roles` of the file
        #[arg(
            long = "role",
            value_name = "ROLE",
            env = "MEDIAFLOW_ROLE",
            value_delimiter = ','
        )]
        roles: Vec<Role>,
        /// What wakes workers of other processes; wins over `broker` of the file
        #[arg(
            long,
            value_name = "ADDRESS",
            env = "MEDIAFLOW_BROKER",
            hide_env_values = true
        )]
        broker: Option<String>,
        /// Where other systems are told what happens; wins over `events.to` of the file
        #[arg(
            long,
            value_name = "ADDRESS",
            env = "MEDIAFLOW_EVENTS",
            hide_env_values = true
        )]
        events: Option<String>,
        /// The queues that its worker serves: image, video, network; wins over `worker.queues` of the file
        #[arg(long, value_name = "QUEUE", env = "MEDIAFLOW_QUEUES", value_delimiter = ',', value_parser = queue)]
        queues: Vec<Queue>,
        /// What it can do beside what its ffmpeg encodes, for example gpu; wins over `worker.capabilities` of the file
        #[arg(
            long,
            value_name = "NAME",
            env = "MEDIAFLOW_CAPABILITIES",
            value_delimiter = ','
        )]
        capabilities: Vec<String>,
        /// Media tasks at the same time; wins over `worker.cpu` of the file
        #[arg(long, value_name = "NUMBER", env = "MEDIAFLOW_CPU")]
        cpu: Option<u32>,
        /// Memory for media tasks, for example 16GiB; wins over `worker.memory_bytes` of the file
        #[arg(long, value_name = "BYTES", env = "MEDIAFLOW_MEMORY", value_parser = bytes)]
        memory: Option<u64>,
        #[command(flatten)]
        via: Via,
    },
    /// Upload files, follow the work, print every rendition
    Ingest(ingest::Ingest),
    /// Have the server fetch files from other servers, follow the work, print every rendition
    Import(import::Import),
    /// Watch what happens now: queues, workers, failures, uploads
    Top(top::Top),
    /// Say what would be done with a file and what that would take, before anything is done
    Plan(plan::Plan),
    /// Say what so many uploads a day need: requests, tasks, workers, storage, egress
    Capacity(capacity::Capacity),
    /// Search assets; show one with its renditions, steps and story
    Assets(assets::Assets),
    /// List tasks: what is to be done, is done and was done
    Tasks(tasks::Tasks),
    /// Show what failed for good, by what went wrong; try it again
    Dead(dead::Dead),
    /// Show what happened, and follow what happens
    Events(events::Events),
    /// Send known media through the whole path again and again, and tell whether it comes through
    Synthetic(synthetic::Synthetic),
    /// Make, list and revoke API keys
    Keys {
        #[command(subcommand)]
        verb: keys::Verb,
    },
    /// Show who works on what; drain and stop workers
    Workers(workers::Workers),
    /// Show how much each queue has to do, how fast it goes, and what nobody can do
    Queues(queues::Queues),
    /// Turn uploads and queues on and off while everything runs
    Switches(switches::Switches),
    /// Show watched folders, and which files of them are not taken
    Watches(watches::Watches),
    /// Tell other programs what happens over HTTP; show what became of each delivery, repeat it
    Webhooks(webhooks::Webhooks),
    /// Show who shares this installation; set shares and limits
    Tenants(tenants::Tenants),
    /// Print a signed, expiring URL of a private asset
    Sign(sign::Sign),
    /// Show and apply changes of the database's schema
    Migrations {
        #[command(subcommand)]
        verb: Option<migrations::Verb>,
    },
    /// Move an installation to another database and other bytes, while it works
    Migrate(migrate::Migrate),
    /// Check and show recipes
    Recipes {
        #[command(subcommand)]
        verb: recipes::Verb,
    },
    /// Say whether this machine has what MediaFlow needs
    Doctor {
        /// Mend what needs nobody's decision: a data folder that is missing, a schema of SQLite that is older, keys that others can read
        #[arg(long)]
        fix: bool,
        #[command(flatten)]
        via: Via,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check, show and explain the configuration
    Config {
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// Print the reference of all error codes (Markdown)
    Errors,
    /// Print what completes commands and flags in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands
    Man(completions::Manual),
    /// Run the reference classifier: a small gRPC server for tests and to start from. It is no model
    Classifier {
        /// Address and port
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
        listen: SocketAddr,
    },
    /// Make a few pictures to try things with
    #[command(hide = true)]
    Samples {
        /// Where to
        folder: PathBuf,
    },
    /// The program that decodes what has no memory-safe decoder; started by the server, in a sandbox
    #[command(hide = true)]
    DecodeHelper {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn queue(name: &str) -> Result<Queue, String> {
    let names: Vec<_> = Queue::ALL.iter().map(|q| q.as_str()).collect();
    Queue::parse(name).ok_or_else(|| format!("queues are {}", names.join(", ")))
}

/// A number of bytes with or without a unit.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("give a number of bytes, KiB, MiB or GiB, for example 16GiB".to_owned()),
    };
    let number: Option<u64> = digits.parse().ok();
    let all = number.and_then(|n| n.checked_mul(unit));
    all.ok_or_else(|| "give a number of bytes, KiB, MiB or GiB, for example 16GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("16GiB"), Ok(16 << 30));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("1024"), Ok(1024));
        for bad in ["", "GiB", "1GB", "1.5GiB", "99999999999GiB", "-1"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
