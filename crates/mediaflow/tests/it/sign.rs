//! Signed URLs open private assets, for a while.

use crate::given;
use crate::pictures;
use crate::server::{Server, run, stderr, stdout};
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test]
async fn a_private_asset_is_shown_to_who_holds_the_url() {
    let folder = given::config("");
    let server = Server::start(folder.path());
    let id = server
        .upload("?visibility=private", pictures::photo(400, 300, 1))
        .await;
    server.asset_in(&id, "ready").await;
    let plain = server
        .http()
        .get(server.url(&format!("/media/{id}/small.jpg")));
    assert!(plain.send().await.unwrap().status().is_client_error());

    let args = [
        "sign",
        &id,
        "small.jpg",
        "--data",
        "data",
        "--expires",
        "1h",
        "--server",
        &server.base,
    ];
    let signed = run(folder.path(), &args);
    assert!(signed.status.success(), "{}", stderr(&signed));
    let url = stdout(&signed).trim().to_owned();
    let answer = server.http().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("private")
    );

    let short = [&args[..6], &["1s", "--server", &server.base]].concat();
    let url = stdout(&run(folder.path(), &short)).trim().to_owned();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(server.http().get(&url).send().await.unwrap().status(), 403);

    let keys = std::fs::metadata(folder.path().join("data/signing-keys.toml")).unwrap();
    assert_eq!(keys.permissions().mode() & 0o777, 0o600);
}
