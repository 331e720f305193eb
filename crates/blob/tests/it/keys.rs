//! Keys as texts.

use mediaflow_blob::BlobKey;
use uuid::Uuid;

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
    assert_eq!(key.as_str().parse::<BlobKey>().unwrap(), key);
    assert_eq!(key.attempt(), Some((task, 7)));
    assert_eq!(BlobKey::original(task).attempt(), None);
}
