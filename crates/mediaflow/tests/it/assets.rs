//! `mediaflow assets`, `tasks` and `dead`: found, looked at, and tried again by operators.

use crate::commands::{asked, complained, json, said};
use crate::given;
use crate::pictures::photo;
use crate::server::{Server, stderr};

#[tokio::test]
async fn assets_are_found_by_what_they_are() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    let none = said(at, &server, &["assets"]);
    assert!(none.contains("`mediaflow ingest FILE`"), "{none}");

    let beach = "?filename=beach.jpg&title=Beach&tags=summer";
    let beach = server.upload(beach, photo(320, 240, 1)).await;
    let others = server.upload("?filename=city.jpg", photo(64, 48, 2)).await;
    for id in [&beach, &others] {
        server.asset_in(id, "ready").await;
    }
    let all = said(at, &server, &["assets"]);
    assert!(all.contains(&beach) && all.contains(&others), "{all}");
    assert!(!all.contains('\x1b'), "colours, and no terminal: {all}");
    for narrowed in [
        &["--text", "beach"][..],
        &["--tag", "summer"],
        &["--tag", "summer", "--state", "ready", "--kind", "image"],
    ] {
        let found = json(at, &server, &[&["assets"], narrowed].concat());
        let items = found["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{narrowed:?}: {found:#}");
        assert_eq!(items[0]["id"], beach.as_str());
    }
    let first = said(at, &server, &["assets", "--limit", "1"]);
    let cursor = first.split_whitespace().last().unwrap();
    assert!(first.contains("There are more"), "{first}");
    let second = said(at, &server, &["assets", "--limit", "1", "--cursor", cursor]);
    assert!(
        first.contains(&others) && second.contains(&beach),
        "{second}"
    );
    let nothing = said(at, &server, &["assets", "--text", "mountain"]);
    assert!(nothing.contains("No asset is like that"), "{nothing}");
    let name = complained(at, &server, &["assets", "beach"]);
    assert!(name.contains("ids are like 0195f3c2-"), "{name}");
    let typo = complained(at, &server, &["assets", "--state", "redy"]);
    assert!(
        typo.contains("similar value") && typo.contains("ready"),
        "{typo}"
    );
}

#[tokio::test]
async fn one_asset_is_shown_whole() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    // A name that would clear the screen of who looks at it.
    let query = "?filename=a%1B%5B2Jb.jpg&title=Beach";
    let id = server.upload(query, photo(320, 240, 1)).await;
    server.asset_in(&id, "ready").await;

    let shown = said(at, &server, &["assets", &id]);
    for part in [
        "Beach",
        "image/jpeg, 320x240",
        "Renditions",
        "/thumbnail",
        "Steps",
        "image.resize",
        "succeeded",
        "Story",
        "asset.accepted",
        "asset.ready",
    ] {
        assert!(shown.contains(part), "no {part} in:\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "{shown}");
    let document = json(at, &server, &["assets", &id]);
    assert_eq!(document["events"][0]["type"], "asset.accepted");
    assert_eq!(document["tasks"][0]["state"], "succeeded");

    let tasks = said(at, &server, &["tasks", &id]);
    assert!(tasks.contains("image.compress"), "{tasks}");
    let dead = said(at, &server, &["tasks", &id, "--state", "dead"]);
    assert_eq!(dead, "No task is like that.\n");

    let unknown = uuid::Uuid::nil().to_string();
    let unknown = complained(at, &server, &["assets", &unknown]);
    assert!(
        unknown.contains("asset.not_found") && unknown.contains("`mediaflow assets`"),
        "{unknown}"
    );
}

#[tokio::test]
async fn what_is_dead_is_grouped_listed_and_replayed() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    assert_eq!(said(at, &server, &["dead"]), "Nothing is dead.\n");
    let mut ids = Vec::new();
    for seed in 0..3 {
        let mut torn = photo(640, 480, seed);
        torn.truncate(600);
        ids.push(server.upload("", torn).await);
    }
    for id in &ids {
        server.asset_in(id, "failed").await;
    }
    let groups = json(at, &server, &["dead"]);
    let group = &groups["items"][0];
    let code = group["code"].as_str().unwrap();
    assert_eq!(code, "input.corrupt");
    let said_groups = said(at, &server, &["dead"]);
    assert!(
        said_groups.contains(&format!("mediaflow dead replay --code {code}")),
        "{said_groups}"
    );
    let listed = json(at, &server, &["dead", "ls", "--code", code]);
    let listed = listed["items"].as_array().unwrap();
    assert!(listed.len() >= 3, "{listed:#?}");
    let failed = said(at, &server, &["assets", &ids[0]]);
    assert!(
        failed.contains("because") && failed.contains("--state dead"),
        "{failed}"
    );

    let task = listed[0]["id"].as_str().unwrap();
    let one = said(at, &server, &["dead", "replay", task]);
    assert!(one.starts_with("1 task replayed"), "{one}");
    let asset = listed[0]["asset"].as_str().unwrap();
    server.asset_in(asset, "failed").await;
    let all = json(at, &server, &["dead", "replay", "--code", code]);
    assert!(all["replayed"].as_u64().unwrap() >= 3, "{all}");
    for id in &ids {
        server.asset_in(id, "failed").await;
    }
    let other = said(at, &server, &["dead", "replay", "--code", "timeout"]);
    assert!(other.contains("No dead task is like that"), "{other}");

    let all_or_nothing = asked(at, &server, &["dead", "replay"]);
    assert_eq!(all_or_nothing.status.code(), Some(2));
    assert!(
        stderr(&all_or_nothing).contains("--all"),
        "{}",
        stderr(&all_or_nothing)
    );
    let unknown = uuid::Uuid::nil().to_string();
    let unknown = complained(at, &server, &["dead", "replay", &unknown]);
    assert!(unknown.contains("`mediaflow dead ls`"), "{unknown}");
}

#[tokio::test]
async fn colours_are_for_who_wants_them() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    let id = server.upload("", photo(64, 48, 1)).await;
    server.asset_in(&id, "ready").await;
    let told = |variables: &[(&str, &str)]| {
        let mut command = crate::server::mediaflow();
        command.args(["assets", "--server", &server.url("")]);
        for (name, value) in variables {
            command.env(name, value);
        }
        let done = command.output().unwrap();
        crate::server::stdout(&done)
    };
    assert!(!told(&[]).contains("\x1b["));
    let coloured = told(&[("CLICOLOR_FORCE", "1")]);
    assert!(coloured.contains("\x1b[32mready"), "{coloured}");
    // Padding goes by what is seen.
    assert_eq!(console::strip_ansi_codes(&coloured), told(&[]));
}
