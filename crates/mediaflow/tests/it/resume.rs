//! Whatever happens to those who make a film's chunks, at most what they were making is made again, and the result is
//! the same.

use crate::given;
use crate::server::{PATIENCE, Server};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// One task at a time, so that each chunk is a moment of its own.
const CONFIG: &str = "[worker]\ncpu = 1\n";
const SECONDS: u32 = 60;
const RATE: u32 = 15;

/// Pictures that carry their number in light and dark columns: large enough for several chunks, cheap to encode.
fn film(folder: &Path) -> Vec<u8> {
    let pictures = format!(
        "nullsrc=s=16x9:r={RATE}:d={SECONDS},format=yuv420p,\
         geq=lum='if(mod(floor(N/pow(2,X)),2),220,30)':cb=128:cr=128,scale=1280:720:flags=neighbor"
    );
    let path = folder.join("a.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &pictures])
        .args(["-f", "lavfi", "-i", &format!("sine=440:d={SECONDS}")])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"])
        .args(["-g", "70", "-c:a", "aac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read(path).unwrap()
}

/// The digest of every decoded picture of each rung and of every block of their sound, sorted: players read the
/// streams of a master in no certain order.
fn decoded(asset: &Value) -> Vec<String> {
    let master = asset["playback"]["hls"].as_str().unwrap();
    let out = Command::new("ffmpeg")
        .args([
            "-v", "error", "-i", master, "-map", "0", "-f", "framemd5", "-",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{said}");
    let listed = String::from_utf8(out.stdout).unwrap();
    let frames = listed.lines().filter(|line| !line.starts_with('#'));
    let mut frames: Vec<String> = frames.map(str::to_owned).collect();
    frames.sort_unstable();
    frames
}

fn encodes(asset: &Value) -> bool {
    let tasks = asset["tasks"].as_array().unwrap();
    tasks
        .iter()
        .any(|t| t["step"] == "encode" && t["state"] == "running")
}

/// The ffmpeg that encodes for the server at this moment.
async fn encoder(server: &Server, id: &str) -> Pid {
    let began = Instant::now();
    loop {
        server.asset_when(id, encodes).await;
        let encodes = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("rung-0")
        };
        if let Some(pid) = server.children().into_iter().find(encodes) {
            return Pid::from_raw(pid).unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "nothing encodes");
    }
}

/// Waits until the process has ended, whether or not somebody has taken note of it.
fn gone(process: Pid) {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    let began = Instant::now();
    while std::fs::read_to_string(&path).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(began.elapsed() < PATIENCE, "it outlives the server");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn count(folder: &Path, sql: &str) -> u32 {
    let database = Connection::open(folder.join("data/mediaflow.db")).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_film_survives_kills_and_is_the_same() {
    let undisturbed = given::config(CONFIG);
    let film = film(undisturbed.path());
    let server = Server::start(undisturbed.path());
    let id = server.upload("", film.clone()).await;
    let expected = decoded(&server.asset_in(&id, "ready").await);
    let pictures = (RATE * SECONDS) as usize;
    assert!(expected.len() > 2 * pictures, "two rungs and their sound");
    let tasks = count(
        undisturbed.path(),
        "SELECT count(*) FROM tasks WHERE operation = 'video.encode'",
    );
    assert!(tasks >= 3, "{tasks} chunks");
    drop(server);

    let folder = given::config(CONFIG);
    let server = Server::start(folder.path());
    let id = server.upload("", film).await;
    encoder(&server, &id).await;
    server.kill();
    let held = count(
        folder.path(),
        "SELECT count(*) FROM attempts WHERE ended_at IS NULL",
    );
    assert!(held >= 1);

    // Then only the child, as when the system is out of memory.
    let server = Server::start(folder.path());
    kill_process(encoder(&server, &id).await, Signal::KILL).unwrap();
    let crash = |asset: &Value| {
        let mut tasks = asset["tasks"].as_array().unwrap().iter();
        tasks
            .find(|t| t["error_code"] == "decoder.crashed")
            .cloned()
    };
    let asset = server.asset_when(&id, |asset| crash(asset).is_some()).await;
    let told = crash(&asset).unwrap()["error_message"].to_string();
    assert!(told.contains("signal 9"), "{told}");

    // And one that is told to stop in the middle: what it cannot end it hands back.
    let child = encoder(&server, &id).await;
    assert!(server.stop().success());
    gone(child);
    assert_eq!(
        count(
            folder.path(),
            "SELECT count(*) FROM attempts WHERE ended_at IS NULL"
        ),
        0
    );

    let server = Server::start(folder.path());
    let asset = server.asset_in(&id, "ready").await;
    let again = count(
        folder.path(),
        "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM attempts
         WHERE outcome IS NOT 'handed_back' GROUP BY task)",
    );
    assert!(
        again <= held + 1,
        "{again} attempts more than tasks, {held} were cut off"
    );
    let found = decoded(&asset);
    assert_eq!(found.len(), expected.len());
    let other = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!(other, 0, "of {} pictures and blocks", expected.len());
}
