//! Nothing is lost: killed at any moment and started again, every upload that was answered 202 ends, what
//! shows is whole, and every byte on the disk belongs to a row.

use crate::given;
use crate::pictures;
use crate::server::{PATIENCE, Server};
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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
    // What is killed is the pipeline: encoders at their fastest leave more moments for it.
    let folder = given::config("[recipes]\nfolder = \"recipes\"\n");
    let recipe = include_str!("../../../../recipes/image.toml");
    let fast = recipe.replace("quality = 62 }", "quality = 62, effort = 9 }");
    given::write(folder.path(), "recipes/image.toml", fast.as_bytes());
    let pictures = Arc::new(Pictures::default());
    let mut accepted = Vec::new();
    let began = Instant::now();
    for _ in 0..kills {
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
        let moment = random.below(20).pow(2) * 2;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill();
        for client in clients {
            accepted.extend(client.await.unwrap());
        }
    }
    assert!(
        accepted.len() as u32 >= kills / 2,
        "only {} uploads were answered",
        accepted.len()
    );

    println!(
        "{kills} kills, {} uploads answered, {:?}",
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
        b"[retention]\nunreferenced_s = 1\n[recipes]\nfolder = \"recipes\"\n",
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

struct Upload {
    id: String,
    sha256: String,
}

/// Pictures that are all different but of one size. Encoding them is not what is tested, so few are made and
/// told apart by a comment at their end.
struct Pictures {
    templates: Vec<Vec<u8>>,
    made: AtomicU32,
}

impl Default for Pictures {
    fn default() -> Self {
        let templates = (0..4).map(|seed| pictures::photo(360, 270, seed)).collect();
        Self {
            templates,
            made: AtomicU32::new(0),
        }
    }
}

impl Pictures {
    fn next(&self) -> Vec<u8> {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        // One in four is a repeat, so that deduplication is killed too.
        let n = if n % 4 == 3 { n - 3 } else { n };
        let template = &self.templates[n as usize % self.templates.len()];
        let comment = n.to_be_bytes();
        [
            &template[..2],
            &[0xff, 0xfe, 0, 6],
            &comment,
            &template[2..],
        ]
        .concat()
    }
}

async fn upload_until_it_dies(
    http: reqwest::Client,
    base: String,
    pictures: Arc<Pictures>,
) -> Vec<Upload> {
    let mut accepted = Vec::new();
    loop {
        let bytes = pictures.next();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let Ok(answer) = http
            .post(format!("{base}/v1/assets"))
            .body(bytes)
            .send()
            .await
        else {
            return accepted;
        };
        let status = answer.status().as_u16();
        // The head was an answer already, whether or not the rest arrives.
        let location = answer
            .headers()
            .get("location")
            .map(|l| l.to_str().unwrap().to_owned());
        match (status, location) {
            (202, Some(location)) => {
                let id = location.rsplit('/').next().unwrap().to_owned();
                accepted.push(Upload { id, sha256 });
            }
            (429 | 503, _) => {}
            (status, _) => panic!("{status}: {}", answer.text().await.unwrap_or_default()),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all_settled(server: &Server, accepted: &[Upload]) -> Vec<Value> {
    let mut assets = Vec::new();
    for upload in accepted {
        let is_settled =
            |asset: &Value| !matches!(asset["state"].as_str(), Some("uploaded" | "processing"));
        assets.push(server.asset_when(&upload.id, is_settled).await);
    }
    assets
}

/// Answers which renditions there are.
async fn every_rendition_is_whole(server: &Server, asset: &Value) -> Vec<String> {
    let mut shape = Vec::new();
    for rendition in asset["renditions"].as_array().unwrap() {
        let name = format!(
            "{}.{}",
            rendition["profile"].as_str().unwrap(),
            rendition["format"].as_str().unwrap()
        );
        // Addresses begin with the host that was asked, which was another port before a restart.
        let url = rendition["url"].as_str().unwrap();
        let url = server.url(&url[url.find("/media/").unwrap()..]);
        let answer = server.http().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            rendition["sha256"].as_str().unwrap(),
            "{url}"
        );
        assert_eq!(bytes.len() as u64, rendition["bytes"].as_u64().unwrap());
        shape.push(name);
    }
    let distinct: BTreeSet<_> = shape.iter().collect();
    assert_eq!(distinct.len(), shape.len(), "nothing is made twice visible");
    shape.sort();
    shape
}

async fn none_unfinished(server: &Server) {
    for state in ["uploaded", "processing"] {
        let began = Instant::now();
        loop {
            let page = server
                .get(&format!("/v1/assets?state={state}&limit=1"))
                .await;
            if page["items"].as_array().unwrap().is_empty() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "still {state}: {page:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The keys of all blob rows.
fn rows(database: &Path) -> BTreeSet<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database, flags).unwrap();
    let mut query = connection.prepare("SELECT key FROM blobs").unwrap();
    let keys = query.query_map([], |row| row.get(0)).unwrap();
    keys.map(Result::unwrap).collect()
}

/// All files of the blob folder but temporary ones, as keys.
fn files(blobs: &Path) -> BTreeSet<String> {
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

/// A small generator: the same seed kills at the same moments.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % end
    }
}
