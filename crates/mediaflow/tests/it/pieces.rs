//! Films without an index in an object store: read once, copied into pieces by one task, and made by two workers that fetch what
//! they read. Each picture has its number in it.

use crate::cluster::{Cluster, Member, tried_by};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const SECONDS: u32 = 14;
const RATE: u32 = 10;
/// Read of an original besides all of it, once: its beginning, which describes it.
const HEAD_BYTES: u64 = 8 << 20;

/// Taken of the disk by the beginning of a copy that is being made, and by parts of it for the tasks at work.
const SCRATCH_BYTES: u64 = 110 << 20;

/// A film whose pictures have their number in sixteen dark and light columns, with a tone.
fn numbered(folder: &Path, name: &str, args: &str) -> Vec<u8> {
    let path = folder.join(name);
    let pictures = format!(
        "nullsrc=s=16x9:r={RATE}:d={SECONDS},format=yuv444p,\
         geq=lum='if(mod(floor(N/pow(2,X)),2),220,30)':cb=128:cr=128,scale=320:180:flags=neighbor"
    );
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &pictures])
        .args(["-f", "lavfi", "-i", &format!("sine=440:d={SECONDS}")])
        .args(args.split_whitespace())
        .arg(&path)
        .status();
    assert!(made.unwrap().success(), "{name}");
    std::fs::read(path).unwrap()
}

/// The built-in recipe, with chunks as short as they can be.
fn short_chunks() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = "operation = \"video.plan\"\n";
    let recipe = include_str!("../../../../recipes/video.toml");
    let recipe = recipe.replace(plan, &format!("{plan}chunk_cpu_s = 1\n"));
    std::fs::write(folder.path().join("video.toml"), recipe).unwrap();
    folder
}

fn api(cluster: &Cluster, recipes: &Path) -> Member {
    let recipes = format!("[recipes]\nfolder = \"{}\"\n", recipes.display());
    cluster.join_with("\"api\"", "", &recipes)
}

/// Packets that say nothing: the stream takes longer to read, and the film stays what it is.
fn padded(mut stream: Vec<u8>, bytes: usize) -> Vec<u8> {
    let mut nothing = [0xff; 188];
    nothing[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    while stream.len() < bytes {
        stream.extend(nothing);
    }
    stream
}

/// The numbers of the pictures that a player sees.
fn shown(asset: &Value) -> Vec<u32> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(asset["playback"]["hls"].as_str().unwrap())
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-vf"])
        .args(["scale=16:9:flags=area,format=gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let pictures = output.stdout.chunks_exact(16 * 9);
    let number = |picture: &[u8]| {
        let row = &picture[16 * 4..16 * 5];
        (0..16).fold(0, |n, bit| n | u32::from(row[bit] > 125) << bit)
    };
    pictures.map(number).collect()
}

fn all_pictures() -> Vec<u32> {
    (0..SECONDS * RATE).collect()
}

/// The most that a process has in its scratch at any moment, as long as it is watched.
fn watch(member: &Member, done: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    fn taken(folder: &Path) -> u64 {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let taken_by = |entry: std::fs::DirEntry| match entry.metadata() {
            Ok(found) if found.is_dir() => taken(&entry.path()),
            // Most of a file in parts is a hole.
            Ok(found) => std::os::unix::fs::MetadataExt::blocks(&found) * 512,
            Err(_) => 0,
        };
        inside.map(taken_by).sum()
    }
    let (scratch, done) = (member.folder.path().join("data/scratch"), Arc::clone(done));
    std::thread::spawn(move || {
        let mut most = 0;
        while !done.load(Ordering::Relaxed) {
            most = most.max(taken(&scratch));
            std::thread::sleep(Duration::from_millis(20));
        }
        most
    })
}

/// Tasks that workers have done.
async fn tasks(api: &Member, asset: &str) -> Vec<Value> {
    let page = format!("/v1/assets/{asset}/tasks?limit=200&state=succeeded");
    let page = api.server.get(&page).await;
    let done = page["items"].as_array().unwrap().iter();
    // The core publishes.
    done.filter(|t| t["step"] != "publish").cloned().collect()
}

fn rows(cluster: &Cluster, sql: &str) -> u64 {
    cluster.postgres.query("mediaflow", sql)[0].parse().unwrap()
}

#[tokio::test]
async fn films_without_an_index_are_read_once_and_keep_every_picture() {
    let cluster = Cluster::start();
    let recipes = short_chunks();
    let api = api(&cluster, recipes.path());
    let workers = [cluster.join("\"worker\""), cluster.join("\"worker\"")];
    let done = Arc::<AtomicBool>::default();
    let watched = workers.each_ref().map(|worker| watch(worker, &done));
    let films = tempfile::tempdir().unwrap();
    let x264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 3 -g 60 -x264-params open-gop=1 -c:a aac";
    // Twenty megabytes, most of it sound.
    let large = "-pix_fmt yuvj420p -c:v mjpeg -q:v 2 -c:a pcm_s16le -ar 96000 -ac 8";
    let fragments = format!("{x264} -movflags frag_keyframe+empty_moov");
    let cases = [("a.avi", large), ("a.ts", x264), ("a.mp4", &fragments)];
    let (mut largest, mut tried) = (0, BTreeSet::new());
    for (name, args) in cases {
        let film = numbered(films.path(), name, args);
        let bytes = film.len() as u64;
        largest = largest.max(bytes);
        let before = cluster.s3.read_of("originals");
        let id = api.server.upload(&format!("?filename={name}"), film).await;
        let asset = api.server.asset_in(&id, "ready").await;
        assert_eq!(shown(&asset), all_pictures(), "{name}");
        tried.extend(tried_by(&api.server, &id).await);
        let read = cluster.s3.read_of("originals") - before;
        println!("{name}: {read} of {bytes} bytes were read");
        // Of a fragmented MP4 file the index is looked at as well, to see what it is.
        let most = bytes + bytes.min(HEAD_BYTES) + (1 << 20);
        assert!(read <= most, "{name}: {read} of {bytes} bytes were read");
        assert!(tasks(&api, &id).await.iter().all(|t| t["attempts"] == 1));
    }
    assert_eq!(tried.len(), 2, "both have worked");
    done.store(true, Ordering::Relaxed);
    for watched in watched {
        let most = watched.join().unwrap();
        println!("at most {} of {} KiB in scratch", most >> 10, largest >> 10);
        assert!(most < SCRATCH_BYTES, "{most} bytes in scratch");
    }
    // Nothing is kept for tasks that have ended, and nobody was shown any of it.
    assert_eq!(rows(&cluster, "SELECT count(*) FROM pieces"), 0);
}

#[tokio::test]
async fn a_worker_that_is_killed_while_it_splits_costs_that_task_alone() {
    let cluster = Cluster::start();
    let recipes = short_chunks();
    let api = api(&cluster, recipes.path());
    let first = cluster.join("\"worker\"");
    let films = tempfile::tempdir().unwrap();
    let args = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 3 -g 60 -c:a aac";
    let film = padded(numbered(films.path(), "a.ts", args), 200 << 20);
    let id = api.server.upload("?filename=a.ts", film).await;
    // One program counts packets, the other copies them.
    while first.server.children().len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.server.kill();
    assert_eq!(rows(&cluster, "SELECT count(*) FROM pieces"), 0);

    let _second = cluster.join("\"worker\"");
    let asset = api.server.asset_in(&id, "ready").await;
    assert_eq!(shown(&asset), all_pictures());
    for task in tasks(&api, &id).await {
        let tries = if task["step"] == "inspect" { 2 } else { 1 };
        assert_eq!(task["attempts"], tries, "{task:#}");
    }
    assert_eq!(rows(&cluster, "SELECT count(*) FROM pieces"), 0);
}
