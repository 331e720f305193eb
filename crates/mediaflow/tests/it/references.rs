//! The committed reference pages are what the code says.

use crate::server::{run, stdout};
use std::path::Path;

#[track_caller]
fn check(page: &str, args: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), args);
    assert!(made.status.success());
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(page);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stdout(&made) == committed,
        "docs/reference/{page} is not what `mediaflow {}` prints; run `make docs`",
        args.join(" ")
    );
}

#[test]
fn of_settings() {
    check("configuration.md", &["config", "reference"]);
}

#[test]
fn of_error_codes() {
    check("error-codes.md", &["errors"]);
}

#[test]
fn of_events() {
    check("events.md", &["events", "--types"]);
}
