//! The one binary: configuration, wiring and the command line. What the commands do lives in the
//! other crates; one command is one file of `commands`.

// Printing is what a command line is for; the server's own words go through `tracing`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod admin;
mod advice;
mod cells;
mod cli;
mod client;
mod commands;
mod config;
mod data;
mod estimate;
mod fault;
mod http;
mod lingering;
mod logging;
mod output;
mod roles;
mod signing;
mod stores;
mod telemetry;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Several libraries bring TLS; which code does the cryptography is decided here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match commands::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(fault) => fault.report(),
    }
}
