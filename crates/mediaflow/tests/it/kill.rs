//! Nothing is lost: killed at any moment and started again, every upload that was answered 202 ends, what
//! shows is whole, and every byte on the disk belongs to a row.

use crate::crowd::{
    self, Pictures, Random, Upload, all_settled, every_rendition_is_whole, none_unfinished,
};
use crate::given;
use crate::server::{PATIENCE, Server};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kills; `KILLS=1000` for a long night.
const KILLS: u32 = 50;
/// Clients that upload at the same time.
const CLIENTS: u32 = 2;
const SEED: u64 = 0x6d65_6469_6166_6c6f;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_kills_at_any_moment() {
    let kills = std::env::var("KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let mut random = Random(std::env::var("SEED").map_or(SEED, |n| n.parse().unwrap()));
    let folder = given::config(crowd::RECIPES);
    crowd::write_recipe(folder.path());
    let pictures = Arc::new(Pictures::default());
    let mut accepted = Vec::new();
    let began = Instant::now();
    let mut n = 0;
    // A machine that is too busy to answer gets more time, and is killed more often.
    while n < kills || (accepted.len() as u32) < kills / 2 {
        assert!(
            n < 5 * kills,
            "only {} uploads were answered",
            accepted.len()
        );
        n += 1;
        let server = Server::start(folder.path());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                tokio::spawn(upload_until_it_dies(
                    server.http().clone(),
                    server.base.clone(),
                    Arc::clone(&pictures),
                ))
            })
            .collect();
        // Many moments right after the start, some when work is well under way.
        let moment = random.below(20).pow(2) * 2 * u64::from(1 + n / (kills + 1));
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill();
        for client in clients {
            accepted.extend(client.await.unwrap());
        }
    }
    println!(
        "{n} kills, {} uploads answered, {:?}",
        accepted.len(),
        began.elapsed()
    );

    let mut server = Server::start(folder.path());
    let assets = all_settled(&server, &accepted).await;
    let mut shapes = BTreeMap::new();
    for (asset, upload) in assets.iter().zip(&accepted) {
        assert_eq!(asset["state"], "ready", "{asset:#}");
        assert_eq!(asset["original"]["sha256"], upload.sha256.as_str());
        let shape = every_rendition_is_whole(&server, asset).await;
        *shapes.entry(shape).or_insert(0) += 1;
    }
    assert_eq!(
        shapes.len(),
        1,
        "all pictures have one size, and so one set of renditions: {shapes:#?}"
    );
    println!("all ended and whole after {:?}", began.elapsed());
    // Uploads whose answer was lost are assets too; they must end like the others.
    none_unfinished(&server).await;
    assert!(server.stop().success());

    given::write(
        folder.path(),
        "mediaflow.toml",
        format!("[retention]\nunreferenced_s = 1\n{}", crowd::RECIPES).as_bytes(),
    );
    server = Server::start(folder.path());
    let blobs = folder.path().join("data/blobs");
    let database = folder.path().join("data/mediaflow.db");
    let collecting = Instant::now();
    while rows(&database) != files(&blobs) {
        let (rows, files) = (rows(&database), files(&blobs));
        let strays: Vec<_> = files.difference(&rows).collect();
        let lost: Vec<_> = rows.difference(&files).collect();
        assert!(
            collecting.elapsed() < PATIENCE,
            "without a row: {strays:#?}\nwithout bytes: {lost:#?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let processes = std::fs::read_dir(blobs.join("tmp")).unwrap();
    let left = processes.map(|p| p.unwrap().path());
    let left: Vec<_> = left.flat_map(|p| std::fs::read_dir(p).unwrap()).collect();
    assert!(left.is_empty(), "temporary files are gone: {left:?}");
    println!("every byte has a row after {:?}", began.elapsed());
    for (asset, _) in assets.iter().zip(0..10) {
        every_rendition_is_whole(&server, asset).await;
    }
}

async fn upload_until_it_dies(
    http: reqwest::Client,
    base: String,
    pictures: Arc<Pictures>,
) -> Vec<Upload> {
    let mut accepted = Vec::new();
    while let Ok(answer) = crowd::upload(&http, &base, &pictures).await {
        accepted.extend(answer);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    accepted
}

/// The keys of all blob rows.
pub(crate) fn rows(database: &Path) -> BTreeSet<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database, flags).unwrap();
    let mut query = connection.prepare("SELECT key FROM blobs").unwrap();
    let keys = query.query_map([], |row| row.get(0)).unwrap();
    keys.map(Result::unwrap).collect()
}

/// All files of the blob folder but temporary ones, as keys.
pub(crate) fn files(blobs: &Path) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["originals", "renditions"]
        .map(|area| blobs.join(area))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                keys.insert(path.strip_prefix(blobs).unwrap().display().to_string());
            }
        }
    }
    keys
}
