//! A film in an object store is fetched in parts: no worker has all of it, and what is made of it is what is made of a file.

use crate::given;
use crate::server::Server;
use mediaflow_servers::{Postgres, S3};
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for several chunks; in small and noisy pictures, so that it is large and quickly made.
const SECONDS: u32 = 200;

fn film(folder: &Path) -> Vec<u8> {
    let path = folder.join("film.mov");
    let pictures = format!("testsrc2=s=128x72:r=10:d={SECONDS},noise=alls=24:allf=t");
    let sound = format!("sine=440:d={SECONDS}");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &pictures])
        .args(["-f", "lavfi", "-i", &sound])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-qp", "2"])
        .args(["-g", "20", "-c:a", "aac", "-b:a", "32k"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed: apt-get install ffmpeg");
    assert!(made.success());
    std::fs::read(path).unwrap()
}

/// One small stream, of which reading it back is little beside reading the film.
fn recipe(folder: &Path) {
    let recipe = include_str!("../../../../recipes/video.toml");
    let first = recipe.find("  { name = \"360p\"").unwrap();
    let end = first + recipe[first..].find("\n]").unwrap();
    let rung = "  { name = \"360p\", height = 360, video_kbps = 100, audio_kbps = 32 },";
    let recipe = [&recipe[..first], rung, &recipe[end..]].concat();
    given::write(folder, "recipes/video.toml", recipe.as_bytes());
}

/// Passes connections on and counts what comes back.
async fn counting(endpoint: &str) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = endpoint.trim_start_matches("http://").to_owned();
    let counted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&counted);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, count) = (server.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let upstream = TcpStream::connect(server).await.unwrap();
                let (mut from, mut to) = client.into_split();
                let (mut back, mut forth) = upstream.into_split();
                let sent = async {
                    // Whoever is killed in the middle breaks his connections.
                    tokio::io::copy(&mut from, &mut forth).await.ok();
                    forth.shutdown().await.ok();
                };
                let received = async {
                    let mut piece = vec![0; 64 << 10];
                    while let Ok(read @ 1..) = back.read(&mut piece).await {
                        count.fetch_add(read as u64, Ordering::Relaxed);
                        if to.write_all(&piece[..read]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::join!(sent, received);
            });
        }
    });
    (address, counted)
}

/// Bytes that the files in a folder take on the disk; holes take none.
fn taken(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => taken(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// Watches a folder until it is told to stop, and answers the most that it held.
struct Watch {
    stop: Arc<AtomicBool>,
    most: std::thread::JoinHandle<u64>,
}

impl Watch {
    fn over(folder: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let most = std::thread::spawn(move || {
            let mut most = 0;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(taken(&folder));
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        Self { stop, most }
    }

    fn most(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.most.join().unwrap()
    }
}

struct Member {
    server: Server,
    folder: TempDir,
}

/// What all pictures and all sound of a result sum up to.
fn shown(asset: &Value) -> String {
    let url = asset["playback"]["hls"].as_str().unwrap();
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i", url])
        .args(["-map", "0:v:0", "-map", "0:a:0", "-f", "streamhash", "-"])
        .output()
        .unwrap();
    assert!(decoded.stderr.is_empty(), "{decoded:?}");
    String::from_utf8(decoded.stdout).unwrap()
}

async fn workers_of(server: &Server, asset: &str) -> BTreeSet<String> {
    let path = format!("/v1/assets/{asset}/tasks?limit=200");
    let tasks = server.get(&path).await;
    let tasks = tasks["items"].as_array().unwrap();
    let workers = tasks.iter().filter(|t| t["attempts"].as_u64() > Some(0));
    let workers = workers.filter_map(|t| t["worker"].as_str());
    workers.map(str::to_owned).collect()
}

// Processes are waited for while what they talk through must run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_a_film_and_none_fetches_it_whole_also_when_one_is_killed() {
    let (postgres, s3) = (Postgres::start(&[]), S3::start());
    let (database, bucket) = (postgres.database("mediaflow"), s3.bucket("media"));
    let (id, secret, signing) = (S3::KEY_ID, S3::SECRET, "5e".repeat(32));
    let join = |roles: &str, endpoint: &str| {
        let folder = given::config(&format!(
            "store = \"{database}\"\nblobs = \"{bucket}/here\"\nroles = [{roles}]\n\
             [object_store]\nendpoint = \"{endpoint}\"\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n\
             [recipes]\nfolder = \"recipes\"\n\
             [[delivery.signing_keys]]\nid = \"all\"\nsecret = \"{signing}\"\n\
             [worker]\ncpu = 1\nlease_s = 3\nscratch_disk_bytes = {}\n",
            256_u64 << 20
        ));
        recipe(folder.path());
        Member {
            server: Server::start(folder.path()),
            folder,
        }
    };
    let api = join("\"api\"", &s3.endpoint());
    let film = film(api.folder.path());
    let bytes = film.len() as u64;
    let (one, of_one) = counting(&s3.endpoint()).await;
    let (other, of_other) = counting(&s3.endpoint()).await;
    let doomed = join("\"worker\"", &one);
    let survivor = join("\"worker\"", &other);
    let watch = |member: &Member| Watch::over(member.folder.path().join("data/scratch"));
    let watches = [watch(&doomed), watch(&survivor)];
    let id = api.server.upload("?filename=a.mov", film.clone()).await;
    while workers_of(&api.server, &id).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.server.asset_when(&id, |a| a["viewable"] == true).await;
    doomed.server.kill();
    let asset = api.server.asset_in(&id, "ready").await;

    let fetched = [&of_one, &of_other].map(|count| count.load(Ordering::Relaxed));
    let held = watches.map(Watch::most);
    println!("of {bytes} bytes were fetched {fetched:?}, held {held:?}");
    assert!(held.iter().all(|held| held * 3 < bytes * 2), "{held:?}");
    // Sound lies between small pictures here, so that reading it passes over all of them; besides there are the chunks, the
    // chunk that died, and what is read back of the result. With this little room nothing is kept for the next reader.
    assert!(fetched.iter().sum::<u64>() < bytes * 4, "{fetched:?}");

    let folder = given::config("[recipes]\nfolder = \"recipes\"\n");
    recipe(folder.path());
    let alone = Server::start(folder.path());
    let id = alone.upload("?filename=a.mov", film).await;
    let local = alone.asset_in(&id, "ready").await;
    assert_eq!(shown(&asset), shown(&local));
}
