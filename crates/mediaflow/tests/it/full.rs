//! A disk that becomes full while everything goes on, really: a small file system of its own.

use crate::crowd::{self, Pictures, Random};
use crate::given;
use crate::server::{Server, run, stderr};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const BYTES: u32 = 48 << 20;
const SEED: u64 = 0x6675_6c6c_5f64_6973;

/// Takes all that is left, to the last byte.
fn fill(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    for step in [64 << 10, 1 << 10, 1] {
        while file.write(&vec![0; step]).is_ok_and(|written| written > 0) {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system, so it needs a namespace of its own: make chaos"]
async fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room() {
    let kills: u32 = std::env::var("KILLS").map_or(6, |n| n.parse().unwrap());
    let folder = given::config(&format!(
        "[limits.upload]\nfree_bytes_min = 0\n{}",
        crowd::RECIPES
    ));
    crowd::write_recipe(folder.path());
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &format!("size={BYTES}"), "none"]);
    let mounted = mount.arg(&data).status().unwrap().success();
    assert!(mounted, "run it with: unshare --map-root-user --mount");

    let (pictures, mut random) = (Arc::new(Pictures::default()), Random(SEED));
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let junk = data.join("junk");
    fill(&junk);
    let told = run(
        folder.path(),
        &["serve", "--data", "data", "--listen", "127.0.0.1:0"],
    );
    assert!(stderr(&told).ends_with("free some space\n"), "{told:?}");
    std::fs::remove_file(&junk).unwrap();
    let mut server = Server::start(folder.path());
    for turn in 0..kills {
        let until = tokio::time::Instant::now() + Duration::from_millis(400 + random.below(800));
        let mut is_full = false;
        while tokio::time::Instant::now() < until {
            match crowd::upload(server.http(), &server.base, &pictures).await {
                Ok(Some(upload)) => accepted.push(upload),
                Ok(None) => refused += 1,
                Err(error) => panic!("it answers: {error}"),
            }
            if !is_full && random.below(3) == 0 {
                fill(&junk);
                is_full = true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Every other time it is killed while nothing can be written.
        let alive = (turn % 2 == 1).then_some(server);
        std::fs::remove_file(&junk).unwrap_or_default();
        server = alive.unwrap_or_else(|| Server::start(folder.path()));
    }
    println!("{} uploads answered, {refused} refused", accepted.len());
    assert!(accepted.len() as u32 >= kills && refused >= kills);
    let assets = crowd::all_settled(&server, &accepted).await;
    for (asset, upload) in assets.iter().zip(&accepted) {
        assert_eq!(asset["state"], "ready", "{asset:#}");
        assert_eq!(asset["original"]["sha256"], upload.sha256.as_str());
        crowd::every_rendition_is_whole(&server, asset).await;
    }
    crowd::none_unfinished(&server).await;
    assert!(server.stop().success());
    let unmounted = Command::new("umount").arg(&data).status().unwrap();
    assert!(unmounted.success());
}
