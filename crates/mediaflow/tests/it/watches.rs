//! A watched folder while the real binary is killed: each file becomes one asset, and then goes where it should.

use crate::cluster::Cluster;
use crate::crowd::Random;
use crate::given;
use crate::server::{PATIENCE, Server, run, stdout};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const FILES: u8 = 40;

fn watch(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[[ingest.watch]]\nname = \"camera\"\npath = \"{folder}/in\"\nafter = \"move\"\nmove_to = \"{folder}/taken\"\nsettle_s = 0\nscan_s = 1\n"
    )
}

/// Files of a camera, each another one.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        let photo = crate::pictures::photo(32, 24, u32::from(n));
        given::write(folder.path(), &format!("in/{}/{n}.jpg", n % 3), &photo);
    }
    folder
}

fn below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            found.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

async fn names(server: &Server) -> Vec<String> {
    let page = server.get("/v1/assets?limit=200").await;
    let items = page["items"].as_array().unwrap().iter();
    let mut names: Vec<_> = items
        .map(|a| a["original"]["filename"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn all_taken(server: &Server, folder: &Path) {
    let mut expected: Vec<_> = (0..FILES).map(|n| format!("{n}.jpg")).collect();
    expected.sort();
    let began = Instant::now();
    while names(server).await != expected || !below(&folder.join("in")).is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "{:?}, {:?}",
            names(server).await,
            below(folder)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Vec::from_iter(below(&folder.join("taken"))), expected);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(names(server).await, expected, "none is there twice");
}

#[tokio::test]
async fn kills_neither_lose_nor_double_a_file() {
    let mut random = Random(7);
    let camera = files();
    let folder = given::config(&format!("[worker]\ncpu = 1\n{}", watch(camera.path())));
    for _ in 0..6 {
        let server = Server::start(folder.path());
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        server.kill();
    }
    let server = Server::start(folder.path());
    all_taken(&server, camera.path()).await;
    let listed = run(folder.path(), &["watches", "--server", &server.base]);
    let said = stdout(&listed);
    assert!(
        said.contains("camera") && said.contains("0 not taken"),
        "{said}"
    );
}

#[tokio::test]
async fn of_many_processes_one_takes() {
    let camera = files();
    let cluster = Cluster::start();
    let settings = watch(camera.path());
    let first = cluster.join_with("\"api\"", "", &settings);
    let second = cluster.join_with("\"api\"", "", &settings);
    tokio::time::sleep(Duration::from_millis(700)).await;
    first.server.kill();
    all_taken(&second.server, camera.path()).await;
}
