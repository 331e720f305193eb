//! What every store promises.

use crate::given::{Given, PART, content, everywhere, new_key, sha256};
use bytes::Bytes;
use mediaflow_blob::{BlobError, BlobKey};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;
use uuid::Uuid;

everywhere! {
    a_streamed_write_is_whole_hashed_and_ranged
    sizes_around_the_size_of_a_part
    several_are_written_and_read_by_threads
    a_file_is_sent_whole
    keys_are_never_overwritten
    of_many_writers_of_one_key_exactly_one_wins
    a_write_that_is_dropped_leaves_nothing
    deleting_twice_is_no_error_and_reading_then_says_so
    old_keys_are_listed_by_shard
    headers_are_read_where_they_lie
}

async fn a_streamed_write_is_whole_hashed_and_ranged(given: Given) {
    let (content, key) = (content(2 * PART + 12_345), new_key());
    let written = given.write(&key, &content).await.unwrap();
    assert_eq!(written.key, key);
    assert_eq!(written.bytes, content.len() as u64);
    assert_eq!(written.sha256, sha256(&content));
    let middle = given.read(&key, 1_000_000, 7_000_000).await.unwrap();
    assert!(middle == content[1_000_000..8_000_000]);
    assert!(given.blobs.get(&key).await.unwrap() == content);
    let reader = given.blobs.open(&key, 5, 1).await.unwrap();
    assert_eq!(reader.bytes(), content.len() as u64);
    assert_eq!(given.stored(), 1);
}

async fn sizes_around_the_size_of_a_part(given: Given) {
    for bytes in [0, 1, PART - 1, PART, PART + 1, 2 * PART] {
        let (content, key) = (content(bytes), new_key());
        let written = given.write(&key, &content).await.unwrap();
        assert_eq!(written.bytes, bytes as u64);
        assert!(given.blobs.get(&key).await.unwrap() == content, "{bytes}");
        let last = bytes as u64 / 2;
        let half = given.read(&key, last, bytes as u64 - last).await.unwrap();
        assert!(half == content[last as usize..], "{bytes}");
    }
}

async fn several_are_written_and_read_by_threads(given: Given) {
    let task = Uuid::new_v4();
    let contents: Vec<_> = (0..20).map(|i| content(1000 * i)).collect();
    let keys: Vec<_> = (0..20).map(|i| BlobKey::output(task, 3, i)).collect();
    let blobs = given.blobs.clone();
    let (read, written) = tokio::task::spawn_blocking(move || {
        let pairs = keys.iter().cloned();
        let pairs: Vec<_> = pairs.zip(contents.iter().map(Vec::as_slice)).collect();
        let written = blobs.put_all(&pairs).unwrap();
        let read = keys.iter().zip(&contents);
        let read = read.map(|(key, content)| blobs.read_all(key).unwrap() == *content);
        (read.collect::<Vec<_>>(), written)
    })
    .await
    .unwrap();
    assert_eq!(read, [true; 20]);
    for (i, written) in written.iter().enumerate() {
        assert_eq!(written.key, BlobKey::output(task, 3, i));
        assert_eq!(written.sha256, sha256(&content(1000 * i)));
    }
}

async fn a_file_is_sent_whole(given: Given) {
    let (content, key) = (content(PART + 77), new_key());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let (blobs, own) = (given.blobs.clone(), key.clone());
    let put = tokio::task::spawn_blocking(move || blobs.put_file(&own, file.path()));
    let written = put.await.unwrap().unwrap();
    assert_eq!(written.sha256, sha256(&content));
    assert!(given.blobs.get(&key).await.unwrap() == content);
}

async fn keys_are_never_overwritten(given: Given) {
    for bytes in [10, PART + 10] {
        let (first, key) = (content(bytes), new_key());
        given.write(&key, &first).await.unwrap();
        let again = given.write(&key, &vec![7; bytes]).await;
        assert!(
            matches!(again, Err(BlobError::AlreadyExists(_))),
            "{again:?}"
        );
        assert!(given.blobs.get(&key).await.unwrap() == first);
    }
    assert_eq!(given.stored(), 2, "what is refused leaves nothing");
}

async fn of_many_writers_of_one_key_exactly_one_wins(given: Given) {
    for bytes in [1000, PART + 1000] {
        let key = new_key();
        let contents: Vec<_> = (0..6u8).map(|n| vec![n; bytes]).collect();
        let writes = contents.iter().map(|content| given.write(&key, content));
        let said = futures_util::future::join_all(writes).await;
        let won: Vec<_> = said.iter().flatten().collect();
        assert_eq!(won.len(), 1, "{said:?}");
        let stored = given.blobs.get(&key).await.unwrap();
        assert_eq!(won[0].sha256, sha256(&stored));
    }
}

async fn a_write_that_is_dropped_leaves_nothing(given: Given) {
    let key = new_key();
    let mut writer = given.blobs.writer(key.clone());
    for _ in 0..3 {
        let piece = Bytes::from(content(PART / 2 + 1));
        writer.write(piece).await.unwrap();
    }
    drop(writer);
    let read = given.blobs.get(&key).await;
    assert!(matches!(read, Err(BlobError::NotFound(_))), "{read:?}");
    while given.stored() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    given.write(&key, b"another").await.unwrap();
}

async fn deleting_twice_is_no_error_and_reading_then_says_so(given: Given) {
    let key = new_key();
    given.write(&key, b"x").await.unwrap();
    given.blobs.delete(&key).await.unwrap();
    given.blobs.delete(&key).await.unwrap();
    given.blobs.collect(&key).await.unwrap();
    for length in [0, 1] {
        let opened = given.blobs.open(&key, 0, length).await;
        assert!(matches!(opened, Err(BlobError::NotFound(_))), "{opened:?}");
    }
    let got = given.blobs.get(&key).await;
    assert!(matches!(got, Err(BlobError::NotFound(_))), "{got:?}");
}

async fn old_keys_are_listed_by_shard(given: Given) {
    let task = Uuid::from_u128(0xAB);
    let keys = [BlobKey::original(task), BlobKey::output(task, 1, 0)];
    for key in &keys {
        given.write(key, b"x").await.unwrap();
    }
    // Stores count in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let listed = |shard, age| given.blobs.older_than(shard, age);
    assert_eq!(listed(0xAB, Duration::ZERO).await.unwrap(), keys);
    assert_eq!(listed(0xAB, Duration::from_secs(60)).await.unwrap(), []);
    assert_eq!(listed(0xAC, Duration::ZERO).await.unwrap(), []);
}

async fn headers_are_read_where_they_lie(given: Given) {
    let (content, key) = (content(1_000_000), new_key());
    given.write(&key, &content).await.unwrap();
    let blobs = given.blobs.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut file = blobs.file(&key, 1_000_000).unwrap();
        let mut read = [[0; 10]; 3];
        file.read_exact(&mut read[0]).unwrap();
        file.seek(SeekFrom::End(-10)).unwrap();
        file.read_exact(&mut read[1]).unwrap();
        assert_eq!(file.read(&mut [0]).unwrap(), 0);
        file.seek(SeekFrom::Start(262_140)).unwrap();
        file.read_exact(&mut read[2]).unwrap();
        read
    });
    let read = read.await.unwrap();
    assert_eq!(read[0], content[..10]);
    assert_eq!(read[1], content[999_990..]);
    assert_eq!(read[2], content[262_140..262_150]);
}
