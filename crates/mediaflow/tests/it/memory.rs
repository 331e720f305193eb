//! Memory is bounded by admission, however many large pictures arrive at once. `bench/memory` does the same with
//! 200 of them and prints the peak.

use crate::server::Server;
use crate::{films, given, pictures};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PHOTOS: usize = 12;
const BUDGET: u64 = 400 << 20;
/// The program itself, the database, and what the allocator keeps.
const ELSE: u64 = 192 << 20;
/// What the allocator keeps beyond that between pictures of different sizes, on each of its threads.
const GAPS: u64 = 64 << 20;

#[tokio::test]
async fn many_large_pictures_at_once_finish_within_the_budget() {
    let config = format!(
        "[worker]\ncpu = 4\nmemory_bytes = {BUDGET}\nscratch_bytes = {}\n[recipes]\nfolder = \"recipes\"\n",
        64 << 20
    );
    let folder = given::config(&config);
    let recipe = include_str!("../../../../recipes/image.toml");
    let fast = recipe.replace(
        "\"avif\", quality = 62 }",
        "\"avif\", quality = 62, effort = 9 }",
    );
    assert_ne!(fast, recipe);
    given::write(folder.path(), "recipes/image.toml", fast.as_bytes());
    let server = Server::start(folder.path());
    let photo = pictures::photo(4000, 3000, 1);
    let mut ids = Vec::new();
    for n in 0..PHOTOS {
        // Bytes behind the end make it another file of the same picture, for which all is made again.
        let mut bytes = photo.clone();
        bytes.push(n as u8);
        ids.push(server.upload("", bytes).await);
    }
    for id in ids {
        server.asset_in(&id, "ready").await;
    }
    let peak = server.peak_memory();
    println!("{} MiB of memory", peak >> 20);
    assert!(
        peak < BUDGET + ELSE + GAPS,
        "the peak was {} MiB",
        peak >> 20
    );
}

/// Larger than everything that the server may hold.
const FILLING: u32 = 320 << 20;

#[tokio::test]
async fn a_film_is_never_held_as_a_whole() {
    let config = "[worker]\nmemory_bytes = 536870912\nscratch_bytes = 16777216\n";
    let folder = given::config(config);
    let mut film = films::film(folder.path(), "a.mp4", "160x90", &["-t", "3"]);
    // A box that everybody skips.
    film.extend(FILLING.to_be_bytes());
    film.extend(b"free");
    film.resize(film.len() + FILLING as usize - 8, 7);
    let server = Server::start(folder.path());
    let id = server.upload("", film).await;
    server.asset_in(&id, "ready").await;
    let peak = server.peak_memory();
    assert!(peak < ELSE, "the peak was {} MiB", peak >> 20);
}

/// The copy of a film without an index is made once, and beside it there are never more than some chunks.
#[tokio::test]
async fn an_hour_takes_the_memory_and_the_disk_of_its_chunks() {
    let folder =
        given::config("[worker]\ncpu = 1\nmemory_bytes = 536870912\nscratch_bytes = 16777216\n");
    let film = films::hour(folder.path());
    let bytes = film.len() as u64;
    let server = Server::start(folder.path());
    let scratch = folder.path().join("data/scratch");
    let done = Arc::new(AtomicBool::new(false));
    let watching = std::thread::spawn({
        let done = Arc::clone(&done);
        move || watch(&scratch, &done)
    });
    let id = server.upload("", film).await;
    server.asset_in(&id, "ready").await;
    done.store(true, Ordering::Relaxed);
    let (most, copies) = watching.join().unwrap();
    let peak = server.peak_memory();
    println!(
        "{} KiB of film, at most {} KiB beside its copy, {} MiB of memory",
        bytes >> 10,
        most >> 10,
        peak >> 20
    );
    assert_eq!(copies, 1, "the copy is made once");
    assert!(most < bytes / 3, "{most} bytes of scratch");
    assert!(peak < ELSE, "the peak was {} MiB", peak >> 20);
}

/// The most bytes in files that are no copy of the film, and how many copies there were.
fn watch(scratch: &Path, done: &AtomicBool) -> (u64, usize) {
    let (mut most, mut copies) = (0, BTreeSet::new());
    while !done.load(Ordering::Relaxed) {
        let processes = std::fs::read_dir(scratch).into_iter().flatten().flatten();
        let folders = processes.filter_map(|p| std::fs::read_dir(p.path()).ok());
        let folders = folders.flatten().flatten();
        let files = folders.filter_map(|f| std::fs::read_dir(f.path()).ok());
        let mut sum = 0;
        for file in files.flatten().flatten() {
            let Ok(found) = file.metadata() else { continue };
            match file.file_name() == "indexed.mkv" {
                true => drop(copies.insert(found.ino())),
                false => sum += found.len(),
            }
        }
        most = most.max(sum);
        std::thread::sleep(Duration::from_millis(5));
    }
    (most, copies.len())
}
