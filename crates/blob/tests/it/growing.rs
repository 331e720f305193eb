//! Bytes that arrive over several requests.

use crate::given::{Given, PART, content, everywhere, sha256};
use bytes::Bytes;
use mediaflow_blob::{BlobError, Grown, Growth};
use uuid::Uuid;

everywhere! {
    requests_of_all_sizes_become_one_blob
    what_was_not_recorded_does_not_count
    a_writer_that_was_overtaken_changes_nothing
    completing_twice_is_no_error
    what_is_given_up_leaves_nothing
}

/// Adds bytes in small pieces.
async fn add(growth: &mut Growth, bytes: &[u8]) {
    for piece in bytes.chunks(300_001) {
        growth.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
}

/// One request: its bytes, and whether they are the last.
async fn request(
    given: &Given,
    id: Uuid,
    fence: u64,
    grown: Option<&Grown>,
    bytes: &[u8],
    is_last: bool,
) -> Grown {
    // As it is told from one process to another.
    let text = grown.map_or_else(String::new, Grown::to_text);
    let grown = Grown::from_text(&text).unwrap();
    let mut growth = given.blobs.grow(id, fence, grown).await.unwrap();
    add(&mut growth, bytes).await;
    let grown = match is_last {
        true => growth.seal().await.unwrap(),
        false => growth.pause().await.unwrap(),
    };
    growth.close(true).await;
    grown
}

async fn requests_of_all_sizes_become_one_blob(given: Given) {
    let sizes: [&[usize]; 7] = [
        &[10],
        &[0, 7, 0, 9],
        &[PART],
        &[PART - 1, 1],
        &[PART, 1],
        &[1, PART, PART, 3],
        &[2 * PART + 5, 1000, PART - 1005, PART],
    ];
    for sizes in sizes {
        let (id, content) = (Uuid::now_v7(), content(sizes.iter().sum()));
        let (mut grown, mut start) = (None, 0);
        for (n, size) in sizes.iter().enumerate() {
            let part = &content[start..start + size];
            let is_last = n + 1 == sizes.len();
            grown = Some(request(&given, id, n as u64 + 1, grown.as_ref(), part, is_last).await);
            start += size;
            assert_eq!(grown.as_ref().unwrap().bytes, start as u64, "{sizes:?}");
        }
        let grown = grown.unwrap();
        let written = given.blobs.complete(id, &grown).await.unwrap();
        assert_eq!(written.sha256, sha256(&content), "{sizes:?}");
        assert_eq!(written.bytes, content.len() as u64);
        assert_eq!(written.key.upload(), Some(id));
        assert!(
            given.blobs.get(&written.key).await.unwrap() == content,
            "{sizes:?}"
        );
        let takers = sizes.len() as u64;
        let left = given
            .blobs
            .abandon(id, takers, Some(&grown), Some(&written.key));
        left.await.unwrap();
        assert_eq!(given.stored(), 1, "{sizes:?}");
        given.blobs.delete(&written.key).await.unwrap();
        assert_eq!(given.stored(), 0, "{sizes:?}");
    }
}

async fn what_was_not_recorded_does_not_count(given: Given) {
    let (id, content) = (Uuid::now_v7(), content(3 * PART));
    let half = PART + PART / 2;
    let first = request(&given, id, 1, None, &content[..half], false).await;
    // Something else arrives, and nobody records it.
    let mut lost = given.blobs.grow(id, 2, Some(first.clone())).await.unwrap();
    add(&mut lost, &vec![9; PART * 2]).await;
    lost.checkpoint().await.unwrap();
    lost.pause().await.unwrap();
    lost.close(false).await;
    let all = request(&given, id, 3, Some(&first), &content[half..], true).await;
    let written = given.blobs.complete(id, &all).await.unwrap();
    assert_eq!(written.sha256, sha256(&content));
    assert!(given.blobs.get(&written.key).await.unwrap() == content);
}

async fn a_writer_that_was_overtaken_changes_nothing(given: Given) {
    let (id, content) = (Uuid::now_v7(), content(2 * PART));
    let first = request(&given, id, 1, None, &content[..1000], false).await;
    // Another process, which has not noticed yet.
    let other = Given::beside(&given);
    let mut stale = other.blobs.grow(id, 2, Some(first.clone())).await.unwrap();
    add(&mut stale, &vec![9; 2000]).await;
    let all = request(&given, id, 3, Some(&first), &content[1000..], true).await;
    add(&mut stale, &vec![9; 2000]).await;
    stale.pause().await.unwrap();
    let written = given.blobs.complete(id, &all).await.unwrap();
    add(&mut stale, &vec![9; 2000]).await;
    let _ = stale.pause().await;
    stale.close(false).await;
    assert_eq!(written.sha256, sha256(&content));
    assert!(given.blobs.get(&written.key).await.unwrap() == content);
}

async fn completing_twice_is_no_error(given: Given) {
    for bytes in [100, PART + 100] {
        let (id, content) = (Uuid::now_v7(), content(bytes));
        let part = request(&given, id, 1, None, &content[..50], false).await;
        let all = request(&given, id, 2, Some(&part), &content[50..], true).await;
        let first = given.blobs.complete(id, &all).await.unwrap();
        assert_eq!(given.blobs.complete(id, &all).await.unwrap(), first);
        // Another process does not know that it was done.
        let again = Given::beside(&given)
            .blobs
            .complete(id, &all)
            .await
            .unwrap();
        assert_eq!(again.sha256, sha256(&content));
        assert!(given.blobs.get(&again.key).await.unwrap() == content);
    }
}

async fn what_is_given_up_leaves_nothing(given: Given) {
    let (id, content) = (Uuid::now_v7(), content(PART + 10));
    let first = request(&given, id, 1, None, &content, false).await;
    let second = request(&given, id, 2, Some(&first), &content, false).await;
    for _ in 0..2 {
        let left = given.blobs.abandon(id, 2, Some(&second), None);
        left.await.unwrap();
    }
    assert_eq!(given.stored(), 0);
    let gone = given.blobs.complete(id, &second).await;
    assert!(gone.is_err(), "{gone:?}");
    let misplaced = Grown::from_text("{}");
    assert!(matches!(misplaced, Err(BlobError::Io { .. })));
}

/// Processes that are killed before they could record what they wrote.
#[tokio::test]
async fn what_nobody_recorded_goes_with_its_upload() {
    for ends_well in [true, false] {
        let given = Given::folder();
        let (id, content) = (Uuid::now_v7(), content(3000));
        let lost = async |fence: u64, grown: Option<Grown>| {
            let other = Given::beside(&given);
            let mut growth = other.blobs.grow(id, fence, grown).await.unwrap();
            add(&mut growth, &content).await;
            growth.checkpoint().await.unwrap();
            growth.close(false).await;
        };
        lost(1, None).await;
        let first = request(&given, id, 2, None, &content[..1000], false).await;
        lost(3, Some(first.clone())).await;
        lost(5, Some(first.clone())).await;
        let all = request(&given, id, 6, Some(&first), &content[1000..], true).await;
        assert_eq!(given.stored(), 4);
        let but = match ends_well {
            true => Some(given.blobs.complete(id, &all).await.unwrap().key),
            false => None,
        };
        let left = given.blobs.abandon(id, 6, Some(&all), but.as_ref());
        left.await.unwrap();
        assert_eq!(given.stored(), usize::from(ends_well));
        if let Some(key) = but {
            assert!(given.blobs.get(&key).await.unwrap() == content);
        }
    }
}
