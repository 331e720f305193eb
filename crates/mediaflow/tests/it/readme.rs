//! The examples of the README, and those of other pages that are marked, run word by word.

use std::path::Path;
use std::process::Command;

#[test]
fn every_example_of_the_readme_runs() {
    check("README.md");
}

#[test]
fn every_marked_example_about_uploads_runs() {
    check("docs/uploads.md");
}

#[test]
fn every_marked_example_about_sources_runs() {
    check("docs/sources.md");
}

fn check(page: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = root.join("scripts/check-readme");
    let run = Command::new(script)
        .arg(env!("CARGO_BIN_EXE_mediaflow"))
        .arg(root.join(page))
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
}
