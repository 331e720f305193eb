//! An ffmpeg that lacks an encoder: what that does to videos is said, and mended by one that has it.

use crate::films::film;
use crate::given;
use crate::server::{Server, mediaflow, stdout};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The real ffmpeg, but that it lists only these encoders, as a build without the others does.
fn ffmpeg_with(folder: &Path, encoders: &[&str]) {
    let list: String = encoders
        .iter()
        .map(|name| format!(" V....D {name} a codec\\n"))
        .collect();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-encoders*) printf '{list}'; exit;; esac\nexec /usr/bin/ffmpeg \"$@\"\n"
    );
    given::write(folder, "bin/ffmpeg", script.as_bytes());
    let all_may = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("bin/ffmpeg"), all_may).unwrap();
}

/// The program that finds that ffmpeg first.
fn finding(folder: &Path) -> Command {
    let mut command = mediaflow();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}/bin:{path}", folder.display()));
    command
}

#[tokio::test]
async fn a_film_without_its_encoder_fails_with_a_code_and_is_replayed_when_there_is_one() {
    // A script is no program of the system's folders, so the sandbox would not let it run.
    let folder = given::config("sandbox = \"off\"\n");
    let film = film(folder.path(), "a.mp4", "320x180", &["-t", "2"]);
    ffmpeg_with(folder.path(), &["libx265", "libvpx-vp9", "libsvtav1"]);
    let server = Server::launch(finding(folder.path()), folder.path(), "127.0.0.1:0");
    let id = server.upload("", film).await;
    let asset = server.asset_in(&id, "failed").await;
    assert_eq!(asset["error"]["code"], "encoder.missing", "{asset}");
    let tasks = server.get(&format!("/v1/assets/{id}/tasks")).await;
    let tasks = tasks["items"].as_array().unwrap();
    let dead = tasks.iter().find(|t| t["state"] == "dead").unwrap();
    let message = dead["error_message"].as_str().unwrap();
    assert!(message.contains("360p is H.264"), "{message}");
    let task = dead["id"].as_str().unwrap().to_owned();
    server.stop();

    let server = Server::start(folder.path());
    let (status, _) = server
        .post(&format!("/v1/tasks/{task}/replay"), Vec::new())
        .await;
    assert_eq!(status, 200);
    server.asset_in(&id, "ready").await;
}

#[test]
fn the_doctor_says_what_a_missing_encoder_means() {
    let folder = given::config("sandbox = \"off\"\n");
    let said = |encoders: &[&str]| {
        ffmpeg_with(folder.path(), encoders);
        let mut doctor = finding(folder.path());
        doctor.current_dir(folder.path()).arg("doctor");
        stdout(&doctor.output().unwrap())
    };
    let none = said(&["libx265"]);
    assert!(
        none.contains("videos fail with `encoder.missing`"),
        "{none}"
    );
    let some = said(&["libx264", "libvpx-vp9"]);
    let wait = "rungs in HEVC, AV1 wait for a worker that can (`no_worker.capability`)";
    assert!(some.contains(wait), "{some}");
}
