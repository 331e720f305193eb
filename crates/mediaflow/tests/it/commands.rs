//! What people ask the server on the command line, and the next command that it names.

use crate::server::{Server, run, stderr, stdout};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

/// Runs a command that asks this server.
pub(crate) fn asked(folder: &Path, server: &Server, args: &[&str]) -> Output {
    let at = server.url("");
    run(folder, &[args, &["--server", &at]].concat())
}

/// What a command prints that goes well.
pub(crate) fn said(folder: &Path, server: &Server, args: &[&str]) -> String {
    let done = asked(folder, server, args);
    assert!(
        done.status.success(),
        "{args:?}: {}{}",
        stdout(&done),
        stderr(&done)
    );
    stdout(&done)
}

/// The same as JSON.
pub(crate) fn json(folder: &Path, server: &Server, args: &[&str]) -> Value {
    let text = said(folder, server, &[args, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
}

/// What a command complains of that does not go well.
pub(crate) fn complained(folder: &Path, server: &Server, args: &[&str]) -> String {
    let done = asked(folder, server, args);
    assert!(!done.status.success(), "{args:?}: {}", stdout(&done));
    stderr(&done)
}

/// The JSON documents of a stream.
pub(crate) fn json_lines(folder: &Path, server: &Server, args: &[&str]) -> Vec<Value> {
    let text = said(folder, server, &[args, &["--json"]].concat());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
