//! What shells and `man` are given.

use crate::server::{run, stderr, stdout};
use std::process::Command;

#[test]
fn completions_are_scripts_that_their_shells_understand() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let made = run(folder.path(), &["completions", shell]);
        assert!(made.status.success(), "{shell}: {}", stderr(&made));
        let text = stdout(&made);
        for word in ["ingest", "dead", "capacity"] {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, text).unwrap();
        // What is not installed cannot be asked; bash always is.
        if let Ok(read) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(read.status.success(), "{shell}: {}", stderr(&read));
        }
    }
    let script = ". ./bash; COMP_WORDS=(mediaflow dead re); COMP_CWORD=2; _mediaflow mediaflow re dead; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(stdout(&completed), "replay\n", "{}", stderr(&completed));
    let unknown = run(folder.path(), &["completions", "tcsh"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let page = run(folder.path(), &["man"]);
    let text = stdout(&page);
    assert!(
        text.contains(".TH mediaflow 1") && text.contains(".SH NAME"),
        "{text}"
    );
    let written = run(folder.path(), &["man", "pages"]);
    assert!(written.status.success(), "{}", stderr(&written));
    let pages = folder.path().join("pages");
    for name in [
        "mediaflow",
        "mediaflow-dead",
        "mediaflow-dead-replay",
        "mediaflow-serve",
    ] {
        let text = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {name} 1")), "{name}: {text}");
        assert!(text.contains(".SH SYNOPSIS"), "{name}");
    }
    let hidden = pages.join("mediaflow-decode-helper.1");
    assert!(!hidden.exists(), "what nobody is to call has no page");
}
