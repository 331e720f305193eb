//! Bytes that are reached through addresses which somebody else signs.

use crate::given::{Given, new_key};
use async_trait::async_trait;
use mediaflow_blob::{AddressedBlobs, Addresses, BlobError, BlobKey, Blobs, Signed, Written};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Signs for a bucket, and counts what is asked to be read.
#[derive(Debug)]
struct Signer {
    bucket: Blobs,
    valid: Duration,
    asked: AtomicU32,
}

#[async_trait]
impl Addresses for Signer {
    async fn to_read(&self, key: &BlobKey) -> Result<(Signed, Duration), BlobError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let signed = self.bucket.signed_get(key, self.valid).await?;
        // It believes that they hold for longer than they do.
        Ok((signed.unwrap(), Duration::from_secs(600)))
    }

    async fn to_write(&self, new: &[Written]) -> Result<Vec<Signed>, BlobError> {
        let mut signed = Vec::new();
        for one in new {
            let one = self.bucket.signed_put(one, Duration::from_secs(60)).await?;
            signed.push(one.unwrap());
        }
        Ok(signed)
    }
}

fn through(valid: Duration) -> (Blobs, Arc<Signer>, Given) {
    let given = Given::bucket();
    let signer = Arc::new(Signer {
        bucket: given.blobs.clone(),
        valid,
        asked: AtomicU32::new(0),
    });
    let shared = AddressedBlobs::new(&[]).unwrap();
    (
        shared.through(Arc::clone(&signer) as _).into(),
        signer,
        given,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_through_addresses_is_read_through_them() {
    let (blobs, signer, given) = through(Duration::from_secs(60));
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..9_u32 << 20).map(|n| (n % 251) as u8).collect();
    let file = folder.path().join("large");
    std::fs::write(&file, &large).unwrap();
    let keys = [new_key(), new_key(), new_key(), new_key()];
    let [small, empty, whole, nothing] = keys.clone();
    let work = move || {
        let written = blobs.put_all(&[(small.clone(), b"small".as_slice()), (empty.clone(), b"")]);
        assert_eq!(written.unwrap()[0].bytes, 5);
        blobs.put_file(&whole, &file).unwrap();
        assert_eq!(blobs.read_all(&small).unwrap(), b"small");
        assert_eq!(blobs.read_all(&empty).unwrap(), b"");
        assert!(blobs.read_all(&whole).unwrap() == large);
        let none = blobs.read_all(&nothing);
        assert!(matches!(none, Err(BlobError::NotFound(_))), "{none:?}");
        let Blobs::Objects(objects) = &blobs else {
            panic!("they are objects")
        };
        let version = objects.version(&whole, large.len() as u64).unwrap();
        let (mut copy, go_on) = (Vec::new(), false.into());
        let fetched = version.fetch_whole(&go_on, &mut |_, bytes| {
            copy.extend_from_slice(bytes);
            Ok(())
        });
        fetched.unwrap();
        assert!(copy == large);
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    assert_eq!(signer.asked.load(Ordering::Relaxed), 4, "one for each key");
    assert_eq!(&given.blobs.get(&keys[0]).await.unwrap()[..], b"small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_ended_early_is_asked_for_again() {
    let (blobs, signer, given) = through(Duration::from_secs(1));
    let key = new_key();
    let mut writer = given.blobs.writer(key.clone());
    writer.write("here".into()).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(&blobs.get(&key).await.unwrap()[..], b"here");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(&blobs.get(&key).await.unwrap()[..], b"here");
    assert_eq!(signer.asked.load(Ordering::Relaxed), 2);
}
