//! What a folder of blobs promises.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use mediaflow_blob::{BlobError, BlobKey, FolderBlobs};
use sha2::Digest as _;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

fn open() -> (tempfile::TempDir, FolderBlobs) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let blobs = FolderBlobs::open(folder.path()).expect("opens");
    (folder, blobs)
}

fn files_in(path: &Path) -> usize {
    std::fs::read_dir(path).expect("readable").count()
}

#[tokio::test]
async fn a_streamed_write_is_whole_hashed_and_ranged() {
    let (folder, blobs) = open();
    let content: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7) as u8).collect();
    let mut writer = blobs.writer();
    for piece in content.chunks(70_001) {
        writer
            .write(Bytes::copy_from_slice(piece))
            .await
            .expect("writes");
    }
    let written = writer
        .finish(BlobKey::original(Uuid::new_v4()))
        .await
        .expect("finishes");
    assert_eq!(written.bytes, content.len() as u64);
    assert_eq!(
        written.sha256,
        <[u8; 32]>::from(sha2::Sha256::digest(&content))
    );

    let reader = blobs.open_key(&written.key).await.expect("opens");
    assert_eq!(reader.bytes(), content.len() as u64);
    let pieces: Vec<Bytes> = reader
        .stream(1_000_000, 600_000)
        .await
        .expect("streams")
        .try_collect()
        .await
        .expect("reads");
    assert_eq!(pieces.concat(), content[1_000_000..1_600_000]);
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
}

#[tokio::test]
async fn a_file_is_copied_whole() {
    let (folder, blobs) = open();
    let content: Vec<u8> = (0..2_500_000u32).map(|i| (i * 7) as u8).collect();
    let file = folder.path().join("made");
    std::fs::write(&file, &content).expect("writes");
    let key = BlobKey::output(Uuid::new_v4(), 1, 0);
    let written = blobs.put_file(&key, &file).expect("copies");
    assert_eq!(written.bytes, content.len() as u64);
    assert_eq!(blobs.read_all(&key).expect("reads"), content);
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
}

#[tokio::test]
async fn keys_are_never_overwritten() {
    let (folder, blobs) = open();
    let key = BlobKey::output(Uuid::new_v4(), 1, 0);
    blobs.put_all(&[(key.clone(), b"first")]).expect("writes");
    let again = blobs.put_all(&[(key.clone(), b"second")]);
    assert!(
        matches!(again, Err(BlobError::AlreadyExists(_))),
        "{again:?}"
    );
    assert_eq!(blobs.read_all(&key).expect("reads"), b"first");
    assert_eq!(
        files_in(&folder.path().join("tmp")),
        0,
        "a refused write leaves nothing"
    );
}

#[tokio::test]
async fn what_was_interrupted_is_gone_at_the_next_start() {
    let (folder, blobs) = open();
    let mut writer = blobs.writer();
    writer
        .write(Bytes::from(vec![1; 2 << 20]))
        .await
        .expect("writes");
    assert_eq!(files_in(&folder.path().join("tmp")), 1);
    drop(writer);
    assert_eq!(
        files_in(&folder.path().join("tmp")),
        0,
        "a dropped write leaves nothing"
    );

    std::fs::write(folder.path().join("tmp/left-over"), b"half").expect("writes");
    FolderBlobs::open(folder.path()).expect("opens again");
    assert_eq!(files_in(&folder.path().join("tmp")), 0);
}

#[tokio::test]
async fn deleting_twice_is_no_error_and_reading_then_says_so() {
    let (_folder, blobs) = open();
    let key = BlobKey::output(Uuid::new_v4(), 3, 1);
    blobs.put_all(&[(key.clone(), b"x")]).expect("writes");
    blobs.delete(&key).await.expect("deletes");
    blobs.delete(&key).await.expect("again");
    assert!(matches!(
        blobs.open_key(&key).await,
        Err(BlobError::NotFound(_))
    ));
}

#[test]
fn keys_stay_in_their_folder() {
    for bad in [
        "",
        "originals",
        "../x/y",
        "originals/../etc",
        "originals/aa/b/c",
        "other/aa/bb",
        "originals/aa/B",
        "originals//x",
    ] {
        assert!(bad.parse::<BlobKey>().is_err(), "{bad:?}");
    }
    let task = Uuid::new_v4();
    let key = BlobKey::output(task, 7, 2);
    assert_eq!(key.as_str().parse::<BlobKey>().expect("its own text"), key);
    assert_eq!(key.attempt(), Some((task, 7)));
    assert_eq!(BlobKey::original(task).attempt(), None);
}

#[test]
fn old_keys_are_listed_by_shard() {
    let (_folder, blobs) = open();
    let task = Uuid::from_u128(0xAB);
    let key = BlobKey::output(task, 1, 0);
    blobs.put_all(&[(key.clone(), b"x")]).expect("writes");
    assert_eq!(
        blobs.older_than(0xAB, Duration::ZERO).expect("lists"),
        [key]
    );
    assert_eq!(
        blobs
            .older_than(0xAB, Duration::from_secs(60))
            .expect("lists"),
        []
    );
    assert_eq!(blobs.older_than(0xAC, Duration::ZERO).expect("lists"), []);
    assert!(blobs.free_bytes().expect("knows") > 0);
}
