//! Bytes that clients bring by themselves.

use crate::given::{Given, PART, content, everywhere, sha256};
use bytes::Bytes;
use mediaflow_blob::{Announced, BlobError, BlobKey, Incoming};
use std::time::Duration;
use uuid::Uuid;

everywhere! {
    one_request_or_parts_become_a_blob
    what_has_not_come_is_not_taken_in
    what_is_turned_away_leaves_nothing
    taking_in_twice_is_no_error
}

const VALID: Duration = Duration::from_secs(60);

fn announced(content: &[u8]) -> Announced {
    Announced {
        bytes: content.len() as u64,
        sha256: Some(sha256(content)),
        media_type: Some("image/jpeg".into()),
    }
}

/// As it is told from one process to another.
async fn expect(given: &Given, id: Uuid, content: &[u8]) -> Incoming {
    let announced = announced(content);
    let expected = given.blobs.expect(id, &announced, PART as u64);
    Incoming::from_text(&expected.await.unwrap().to_text()).unwrap()
}

/// A client sends these pieces, and answers what was said of each.
async fn send(
    given: &Given,
    id: Uuid,
    incoming: &Incoming,
    content: &[u8],
    most: usize,
) -> Vec<String> {
    let signed = given
        .blobs
        .signed_incoming(id, incoming, VALID)
        .await
        .unwrap();
    let http = reqwest::Client::new();
    let mut tags = Vec::new();
    for (n, piece) in incoming.pieces().iter().enumerate().take(most) {
        let start = piece.start as usize;
        let bytes = Bytes::copy_from_slice(&content[start..start + piece.bytes as usize]);
        match &signed {
            Some(signed) => {
                let mut request = http.put(&signed[n].url).body(bytes);
                for (name, value) in &signed[n].headers {
                    request = request.header(name, value);
                }
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200);
                tags.push(answer.headers()["etag"].to_str().unwrap().to_owned());
            }
            None => {
                let mut receiver = given.blobs.receiver(id, piece.part).unwrap();
                for piece in bytes.chunks(1_000_003) {
                    receiver.write(Bytes::copy_from_slice(piece)).await.unwrap();
                }
                tags.push(receiver.finish(None).await.unwrap());
            }
        }
    }
    tags
}

fn tagged(incoming: Incoming, tags: Vec<String>) -> Incoming {
    match incoming.pieces()[0].part {
        Some(_) => incoming.tagged(tags).unwrap(),
        None => incoming,
    }
}

async fn one_request_or_parts_become_a_blob(given: Given) {
    for bytes in [1, PART, PART + 1, 2 * PART + 7] {
        let (id, content) = (Uuid::now_v7(), content(bytes));
        let incoming = expect(&given, id, &content).await;
        let tags = send(&given, id, &incoming, &content, usize::MAX).await;
        let incoming = tagged(incoming, tags);
        let key = given.blobs.take_in(id, 3, &incoming).await.unwrap();
        assert_eq!(key.upload(), Some(id));
        assert!(given.blobs.get(&key).await.unwrap() == content, "{bytes}");
        let rest = given.blobs.turn_away(id, &incoming, Some(&key));
        rest.await.unwrap();
        assert_eq!(given.stored(), 1, "{bytes}");
        given.blobs.delete(&key).await.unwrap();
        assert_eq!(given.stored(), 0, "{bytes}");
    }
}

async fn what_has_not_come_is_not_taken_in(given: Given) {
    let (id, whole) = (Uuid::now_v7(), content(100));
    let incoming = expect(&given, id, &whole).await;
    let early = given.blobs.take_in(id, 1, &incoming).await;
    assert!(matches!(early, Err(BlobError::NotFound(_))), "{early:?}");
    send(&given, id, &incoming, &whole, 1).await;
    given.blobs.take_in(id, 2, &incoming).await.unwrap();

    let (id, parts) = (Uuid::now_v7(), content(2 * PART));
    let incoming = expect(&given, id, &parts).await;
    let mut tags = send(&given, id, &incoming, &parts, 1).await;
    tags.push("0123456789abcdef0123456789abcdef".into());
    let early = incoming.clone().tagged(tags).unwrap();
    let early = given.blobs.take_in(id, 1, &early).await;
    assert!(matches!(early, Err(BlobError::NotFound(_))), "{early:?}");
    // The other part comes, the first one comes again, and all is well.
    let tags = send(&given, id, &incoming, &parts, 2).await;
    let key = given.blobs.take_in(id, 2, &tagged(incoming, tags)).await;
    assert!(given.blobs.get(&key.unwrap()).await.unwrap() == parts);
}

async fn what_is_turned_away_leaves_nothing(given: Given) {
    for bytes in [10, PART + 10] {
        let (id, content) = (Uuid::now_v7(), content(bytes));
        let incoming = expect(&given, id, &content).await;
        let tags = send(&given, id, &incoming, &content, usize::MAX).await;
        given.blobs.turn_away(id, &incoming, None).await.unwrap();
        assert_eq!(given.stored(), 0, "{bytes}");
        let late = given.blobs.take_in(id, 1, &tagged(incoming, tags)).await;
        assert!(matches!(late, Err(BlobError::NotFound(_))), "{late:?}");
    }
}

async fn taking_in_twice_is_no_error(given: Given) {
    for bytes in [10, PART + 10] {
        let (id, content) = (Uuid::now_v7(), content(bytes));
        let incoming = expect(&given, id, &content).await;
        let tags = send(&given, id, &incoming, &content, usize::MAX).await;
        let incoming = tagged(incoming, tags);
        let other = Given::beside(&given);
        let (one, two) = tokio::join!(
            given.blobs.take_in(id, 1, &incoming),
            other.blobs.take_in(id, 2, &incoming)
        );
        for key in [one.unwrap(), two.unwrap()] {
            assert!(given.blobs.get(&key).await.unwrap() == content);
        }
    }
}

#[tokio::test]
async fn a_folder_takes_what_was_announced_and_once() {
    let given = Given::folder();
    let (id, content) = (Uuid::now_v7(), content(1000));
    let other = async |wanted: Option<[u8; 32]>, content: &[u8]| {
        let mut receiver = given.blobs.receiver(id, None).unwrap();
        let piece = Bytes::copy_from_slice(content);
        receiver.write(piece).await.unwrap();
        receiver.finish(wanted).await
    };
    let wrong = other(Some([7; 32]), &content).await;
    assert!(matches!(wrong, Err(BlobError::Other)), "{wrong:?}");
    assert_eq!(given.stored(), 0);
    other(Some(sha256(&content)), &content).await.unwrap();
    let again = other(None, b"something else").await;
    assert!(
        matches!(again, Err(BlobError::AlreadyExists(_))),
        "{again:?}"
    );
}

/// What a signature says, the store holds against what comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_takes_what_was_announced_and_once() {
    let given = Given::bucket();
    let http = reqwest::Client::new();
    let put = async |signed: &mediaflow_blob::Signed, but: &str, body: Vec<u8>| {
        let mut request = http.put(&signed.url).body(body);
        for (name, value) in &signed.headers {
            request = match name.as_str() == but {
                true => request.header(name, "image/gif"),
                false if name == "content-length" => request,
                false => request.header(name, value),
            };
        }
        request.send().await.unwrap().status().as_u16()
    };
    let (id, whole) = (Uuid::now_v7(), content(1000));
    let incoming = expect(&given, id, &whole).await;
    let signed = given.blobs.signed_incoming(id, &incoming, VALID).await;
    let [signed] = &*signed.unwrap().unwrap() else {
        panic!("one request");
    };
    assert_eq!(put(signed, "", content(999)).await, 403, "another length");
    assert_eq!(put(signed, "content-type", whole.clone()).await, 403);
    assert_eq!(put(signed, "", whole.clone()).await, 200);
    assert_eq!(put(signed, "", whole.clone()).await, 412, "not twice");

    let (id, other) = (Uuid::now_v7(), content(1000));
    let incoming = expect(&given, id, &other).await;
    let signed = given.blobs.signed_incoming(id, &incoming, VALID).await;
    let signed = &signed.unwrap().unwrap()[0];
    assert_eq!(put(signed, "", vec![7; 1000]).await, 400, "other bytes");

    let (id, parts) = (Uuid::now_v7(), content(PART + 9));
    let incoming = expect(&given, id, &parts).await;
    let signed = given.blobs.signed_incoming(id, &incoming, VALID).await;
    let signed = signed.unwrap().unwrap();
    assert_eq!(put(&signed[1], "", content(8)).await, 403);
    assert_eq!(put(&signed[1], "", content(10)).await, 403);
    let taken = BlobKey::original(id);
    let nothing = given.blobs.get(&taken).await;
    assert!(matches!(nothing, Err(BlobError::NotFound(_))));
}
