//! A network and a store in trouble: nothing is lost that was answered, and nothing half-written can be read.

use crate::given::{Given, PART, SERVER, config, content, new_key, sha256};
use crate::proxy::{AWAY, DENIED, Fault, Proxy, SLOW_DOWN, SLOW_DOWN_IN_200};
use mediaflow_blob::{BlobError, Blobs, ObjectBlobs, ObjectVersion};
use std::sync::atomic::AtomicBool;

async fn given() -> (Given, Proxy) {
    let proxy = Proxy::start(&SERVER.endpoint()).await;
    (Given::bucket_at(&proxy.endpoint()), proxy)
}

/// Writes something small and something large through the faults, and reads both.
async fn both_arrive(given: &Given) {
    for bytes in [1000, 2 * PART + 1000] {
        let (content, key) = (content(bytes), new_key());
        let written = given.write(&key, &content).await.unwrap();
        assert_eq!(written.sha256, sha256(&content));
        assert!(given.blobs.get(&key).await.unwrap() == content);
    }
    assert_eq!(given.stored(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_busy_for_a_while_is_asked_again() {
    let (given, proxy) = given().await;
    for (method, part) in [("PUT", ""), ("POST", "uploads"), ("HEAD", ""), ("GET", "")] {
        proxy.next(2, method, part, Fault::Answered(SLOW_DOWN));
    }
    both_arrive(&given).await;
    assert!(proxy.seen("PUT") >= 1 + 3 + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_inside_a_200_is_an_error() {
    let (given, proxy) = given().await;
    proxy.next(2, "POST", "uploadId=", Fault::Answered(SLOW_DOWN_IN_200));
    both_arrive(&given).await;
    assert_eq!(
        proxy.seen("POST"),
        4,
        "begun once, completed at the third try"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_after_success_cost_nothing() {
    let (given, proxy) = given().await;
    proxy.next(1, "PUT", "", Fault::AnswerLost);
    proxy.next(1, "PUT", "partNumber=2", Fault::AnswerLost);
    proxy.next(1, "POST", "uploadId=", Fault::AnswerLost);
    proxy.next(1, "HEAD", "", Fault::AnswerLost);
    both_arrive(&given).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_in_the_middle_of_a_body_are_made_again() {
    let (given, proxy) = given().await;
    proxy.next(1, "PUT", "", Fault::RequestCut(100));
    proxy.next(1, "PUT", "partNumber=1", Fault::RequestCut(1 << 20));
    proxy.next(2, "GET", "", Fault::AnswerCut(3_000_000));
    both_arrive(&given).await;
    let key = new_key();
    let content = content(4_000_000);
    given.write(&key, &content).await.unwrap();
    proxy.next(3, "GET", "", Fault::AnswerCut(1_000_000));
    let read = given.read(&key, 500_000, 3_400_000).await.unwrap();
    assert!(
        read == content[500_000..3_900_000],
        "read on where it broke"
    );
}

/// Fetches these parts of an object, on a thread that may block.
async fn parts(
    version: &ObjectVersion,
    wanted: &[std::ops::Range<u64>],
) -> Result<Vec<(u64, Vec<u8>)>, BlobError> {
    let (version, wanted) = (version.clone(), wanted.to_vec());
    let fetched = tokio::task::spawn_blocking(move || {
        let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
        version.fetch(
            wanted.into_iter(),
            &AtomicBool::new(false),
            &mut |at, bytes| {
                found.push((at, bytes.to_vec()));
                Ok(())
            },
        )?;
        Ok(found)
    });
    fetched.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_an_object_arrive_through_trouble_and_are_of_no_other_object() {
    let (given, proxy) = given().await;
    let Blobs::Objects(objects) = given.blobs.clone() else {
        panic!("these are objects");
    };
    let (key, content) = (new_key(), content(2 * PART));
    given.write(&key, &content).await.unwrap();
    let length = content.len() as u64;
    let version = |bytes: u64| {
        let (objects, key) = (objects.clone(), key.clone());
        tokio::task::spawn_blocking(move || objects.version(&key, bytes))
    };
    let other = version(length - 1).await.unwrap();
    assert!(matches!(other, Err(BlobError::Torn { .. })), "{other:?}");
    let version = version(length).await.unwrap().unwrap();

    proxy.next(1, "GET", "", Fault::Answered(SLOW_DOWN));
    proxy.next(2, "GET", "", Fault::AnswerCut(1_000_000));
    let wanted = [10..2000, 4_000_000..4_000_001, 5_000_000..length];
    let found = parts(&version, &wanted).await.unwrap();
    for (part, (at, bytes)) in wanted.iter().zip(&found) {
        assert_eq!(
            (part.start, part.end - part.start),
            (*at, bytes.len() as u64)
        );
        assert!(content[part.start as usize..part.end as usize] == bytes[..]);
    }

    given.blobs.delete(&key).await.unwrap();
    let replaced: Vec<u8> = content.iter().map(|byte| !byte).collect();
    given.write(&key, &replaced).await.unwrap();
    let said = parts(&version, &wanted).await;
    assert!(matches!(said, Err(BlobError::Refused { .. })), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bits_that_flip_on_the_way_are_noticed_by_the_store() {
    let (given, proxy) = given().await;
    proxy.next(1, "PUT", "", Fault::Flipped);
    proxy.next(1, "PUT", "partNumber=1", Fault::Flipped);
    both_arrive(&given).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_writers_object_is_never_taken_for_ones_own() {
    let (given, proxy) = given().await;
    let key = new_key();
    given.write(&key, b"first").await.unwrap();
    proxy.next(1, "PUT", "", Fault::AnswerLost);
    let again = given.write(&key, b"other").await;
    assert!(
        matches!(again, Err(BlobError::AlreadyExists(_))),
        "{again:?}"
    );
    assert_eq!(given.blobs.get(&key).await.unwrap(), b"first"[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stays_away_is_not_available_and_shows_nothing_half() {
    let (given, proxy) = given().await;
    for bytes in [1000, PART + 1000] {
        proxy.next(1000, "P", "", Fault::Answered(AWAY));
        let key = new_key();
        let said = given.write(&key, &content(bytes)).await;
        let is_away = matches!(said, Err(BlobError::Unavailable { .. }));
        assert!(is_away, "{said:?}");
        proxy.no_more();
        let read = given.blobs.get(&key).await;
        assert!(matches!(read, Err(BlobError::NotFound(_))), "{read:?}");
    }
    assert_eq!(given.stored(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_refuses_is_asked_once() {
    let (given, proxy) = given().await;
    proxy.next(1, "PUT", "", Fault::Answered(DENIED));
    let said = given.write(&new_key(), b"x").await;
    assert!(matches!(said, Err(BlobError::Refused { .. })), "{said:?}");
    assert_eq!(proxy.seen("PUT"), 1);
    let mut missing = config(&proxy.endpoint());
    missing.secret_access_key = Some("wrong".into());
    let blobs = ObjectBlobs::open("s3://nowhere", &missing).unwrap();
    let said = blobs.check().await;
    assert!(matches!(said, Err(BlobError::Refused { .. })), "{said:?}");
}
