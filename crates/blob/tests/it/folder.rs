//! What only a folder does: temporary names.

use crate::given::files_in;
use bytes::Bytes;
use mediaflow_blob::{BlobKey, Blobs, FolderBlobs};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

#[tokio::test]
async fn a_write_under_way_has_a_temporary_name_and_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    let blobs = Blobs::from(FolderBlobs::open(folder.path()).unwrap());
    let mut writer = blobs.writer(BlobKey::original(Uuid::new_v4()));
    writer.write(Bytes::from(vec![1; 2 << 20])).await.unwrap();
    assert_eq!(files_in(&temporary), 1);
    let again = FolderBlobs::open(folder.path()).unwrap();
    assert_eq!(files_in(&temporary), 1, "another that opens it leaves it");
    again.older_than(0, Duration::ZERO).unwrap();
    drop(writer);
    assert_eq!(files_in(&temporary), 0);
}

#[test]
fn what_ended_processes_left_goes_at_once_and_what_other_machines_left_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    FolderBlobs::open(folder.path()).unwrap();
    let own = fs::read_dir(&temporary).unwrap().next().unwrap().unwrap();
    let own = own.file_name().into_string().unwrap();
    let machine = own.split_once('.').unwrap().0;
    // The process that started first on this machine, and at another time than this says.
    let ended = write(&temporary.join(format!("{machine}.1-12345/half")));
    let elsewhere = write(&temporary.join("0011223344556677.1-12345/half"));
    FolderBlobs::open(folder.path()).unwrap();
    assert!(!ended.exists());
    assert!(elsewhere.exists());
    for path in [&elsewhere, elsewhere.parent().unwrap()] {
        let day = SystemTime::now() - Duration::from_secs(25 * 3600);
        File::open(path).unwrap().set_modified(day).unwrap();
    }
    FolderBlobs::open(folder.path()).unwrap();
    assert!(!elsewhere.exists());
}

fn write(path: &Path) -> std::path::PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"half").unwrap();
    path.to_owned()
}
