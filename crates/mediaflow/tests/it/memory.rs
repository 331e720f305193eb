//! Memory is bounded by admission, however many large pictures arrive at once. `bench/memory` does the same with
//! 200 of them and prints the peak.

use crate::server::Server;
use crate::{films, given, pictures};

const PHOTOS: usize = 12;
const BUDGET: u64 = 400 << 20;
/// The program itself, the database, and what the allocator keeps.
const ELSE: u64 = 160 << 20;

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
    assert!(peak < BUDGET + ELSE, "the peak was {} MiB", peak >> 20);
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
