//! The README's examples run word by word.

use std::path::Path;
use std::process::Command;

#[test]
fn every_example_of_the_readme_runs() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check-readme");
    let run = Command::new(script)
        .arg(env!("CARGO_BIN_EXE_mediaflow"))
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
}
