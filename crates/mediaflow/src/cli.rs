//! The command line as data. What each command does is in `commands`.

use crate::commands::{config, ingest, keys, recipes, sign, workers};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Takes in pictures, turns each into everything a page needs, and says at any moment where every file is.
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
    #[arg(long, global = true, value_name = "FILE", env = "MEDIAFLOW_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder; wins over `data` of the file
    #[arg(long, global = true, value_name = "FOLDER", env = "MEDIAFLOW_DATA")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server
    Serve {
        /// Address and port; wins over `listen` of the file
        #[arg(long, value_name = "ADDRESS:PORT", env = "MEDIAFLOW_LISTEN")]
        listen: Option<SocketAddr>,
    },
    /// Upload files, follow the work, print every rendition
    Ingest(ingest::Ingest),
    /// Make, list and revoke API keys
    Keys {
        #[command(subcommand)]
        verb: keys::Verb,
    },
    /// Show who works on what; drain and stop workers
    Workers(workers::Workers),
    /// Print a signed, expiring URL of a private asset
    Sign(sign::Sign),
    /// Check and show recipes
    Recipes {
        #[command(subcommand)]
        verb: recipes::Verb,
    },
    /// Say whether this machine has what MediaFlow needs
    Doctor,
    /// Check, show and explain the configuration
    Config {
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// Print the reference of all error codes (Markdown)
    Errors,
    /// Print the reference of all event types (Markdown)
    Events,
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
