//! `mediaflow plan` and `mediaflow capacity`: what they foresee is what comes.

use crate::commands::{complained, json, said};
use crate::films::film;
use crate::given;
use crate::pictures::photo;
use crate::server::{Server, run, stderr, stdout};
use crate::sounds::{made, tone};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn offline(folder: &Path, args: &[&str]) -> Value {
    let done = run(folder, &[args, &["--offline", "--json"]].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// How many tasks each step has that is not skipped.
fn planned(plan: &Value) -> BTreeMap<String, u64> {
    let steps = plan["steps"].as_array().unwrap().iter();
    let steps = steps.map(|s| {
        (
            s["step"].as_str().unwrap().to_owned(),
            s["tasks"].as_u64().unwrap(),
        )
    });
    steps.filter(|(_, tasks)| *tasks > 0).collect()
}

async fn done(server: &Server, bytes: Vec<u8>) -> (Value, BTreeMap<String, u64>) {
    let id = server.upload("", bytes).await;
    let asset = server.asset_in(&id, "ready").await;
    let mut steps = BTreeMap::new();
    for task in asset["tasks"].as_array().unwrap() {
        if task["state"] == "succeeded" {
            *steps
                .entry(task["step"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    (asset, steps)
}

#[tokio::test]
async fn the_tasks_that_are_planned_are_those_that_come() {
    let folder = given::config("");
    let at = folder.path();
    let server = Server::start(at);
    let picture = photo(800, 600, 1);
    let sources = [&*tone(2, 48_000, 20.0)];
    let sound = made(at, "sound.flac", &sources, "-c:a flac");
    let film = film(at, "film.mp4", "640x360", &[]);
    for (name, bytes) in [
        ("photo.bin", picture),
        ("sound.bin", sound),
        ("film.bin", film),
    ] {
        // Nothing is known of its name: only bytes count.
        given::write(at, name, &bytes);
        let plan = offline(at, &["plan", name]);
        let (asset, steps) = done(&server, bytes).await;
        assert_eq!(plan["kind"], asset["kind"], "{name}");
        assert_eq!(
            plan["media_type"], asset["original"]["media_type"],
            "{name}"
        );
        assert_eq!(planned(&plan), steps, "{name}: {plan:#} {asset:#}");
        let froms = plan["steps"].as_array().unwrap().iter().map(|s| &s["from"]);
        assert!(froms.clone().all(|from| from == "stated"), "{plan:#}");
        assert!(plan["wall_seconds"].as_f64() <= plan["cpu_seconds"].as_f64());

        // Now there is something measured, and it is near to what it was for the same bytes.
        let again = json(at, &server, &["plan", name]);
        let measured = again["steps"].as_array().unwrap().iter();
        let measured = measured
            .filter(|s| s["from"] == "measured, 1 asset")
            .count();
        assert!(measured >= steps.len() - 2, "{name}: {again:#}");
        let (foreseen, is) = (again["made_bytes"].as_f64().unwrap(), stored(&asset));
        let ratio = foreseen / is;
        assert!(
            (0.5..2.0).contains(&ratio),
            "{name}: {foreseen} bytes were foreseen of {is}"
        );
    }
}

fn stored(asset: &Value) -> f64 {
    let all = asset["renditions"].as_array().unwrap().iter();
    all.map(|r| r["bytes"].as_f64().unwrap()).sum()
}

#[tokio::test]
async fn people_are_told_what_it_takes_and_costs() {
    let folder =
        given::config("[prices]\ncurrency = \"EUR\"\ncpu_hour = 0.05\nstorage_gb_month = 0.02\n");
    let at = folder.path();
    given::write(at, "photo.jpg", &photo(1200, 800, 1));
    let told = run(at, &["plan", "photo.jpg", "--offline"]);
    let told = stdout(&told);
    for part in [
        "image/jpeg, 1200x800",
        "recipe image version 1",
        "image.compress",
        "watermark",
        "skipped",
        "processor time",
        "EUR a month",
        "No server was asked: --offline",
    ] {
        assert!(told.contains(part), "no {part} in:\n{told}");
    }
    // A server that is not there is no reason not to answer.
    let alone = run(at, &["plan", "photo.jpg", "--server", "http://127.0.0.1:1"]);
    assert!(alone.status.success(), "{}", stderr(&alone));
    assert!(stdout(&alone).contains("No server was asked: no MediaFlow answers"));

    for (name, bytes, why) in [
        ("notes.txt", &b"hello"[..], "input.unsupported"),
        ("empty.jpg", b"", "input.empty"),
    ] {
        given::write(at, name, bytes);
        let refused = run(at, &["plan", name, "--offline"]);
        assert_eq!(refused.status.code(), Some(1));
        let said = stderr(&refused);
        assert!(
            said.contains("would be refused") && said.contains(why),
            "{said}"
        );
    }
    let server = Server::start(at);
    let wrong = complained(at, &server, &["plan", "photo.jpg", "--recipe", "video"]);
    assert!(wrong.contains("`mediaflow recipes ls`"), "{wrong}");
}

#[tokio::test]
async fn capacity_says_what_it_assumes_and_measures_where_it_can() {
    let folder = given::config(
        "[prices]\ncpu_hour = 0.04\nstorage_gb_month = 0.02\negress_gb = 0.05\nrequests_million = 0.4\n",
    );
    let at = folder.path();
    let args = [
        "capacity",
        "--uploads-per-day",
        "1000000",
        "--mix",
        "image=90,video=9,audio=1",
    ];
    let stated = offline(at, &args);
    assert_eq!(stated["kinds"][0]["uploads_day"], 900_000.0);
    assert_eq!(stated["kinds"][0]["from"], "stated");
    assert_eq!(stated["costs_month"].as_object().unwrap().len(), 4);
    // Twice as many need twice as much.
    let double = offline(at, &[&args[..2], &["2000000"], &args[3..]].concat());
    let ratio =
        |name: &str| double["day"][name].as_f64().unwrap() / stated["day"][name].as_f64().unwrap();
    for name in [
        "requests",
        "tasks",
        "cpu_seconds",
        "stored_bytes",
        "egress_bytes",
    ] {
        assert!((ratio(name) - 2.0).abs() < 1e-6, "{name}");
    }
    let peak = offline(at, &[&args[..], &["--peak-factor", "6"]].concat());
    assert!(peak["workers"].as_u64() > stated["workers"].as_u64());

    let server = Server::start(at);
    let (asset, steps) = done(&server, photo(800, 600, 1)).await;
    let told = said(at, &server, &["capacity", "--uploads-per-day", "1000"]);
    for part in [
        "AT THE PEAK",
        "workers",
        "Assumed",
        "(measured, 1 asset)",
        "egress",
        "SQLite",
    ] {
        assert!(told.contains(part), "no {part} in:\n{told}");
    }
    let measured = json(at, &server, &["capacity", "--uploads-per-day", "1000"]);
    let each = &measured["kinds"][0];
    assert_eq!(each["made_bytes"].as_f64(), Some(stored(&asset)));
    assert!(each["tasks"].as_f64() >= Some(steps.len() as f64));
    let described = [
        "capacity",
        "--uploads-per-day",
        "1000",
        "--image-megapixels",
        "24",
    ];
    let described = json(at, &server, &described);
    assert!(
        described["kinds"][0]["assumed"]
            .as_str()
            .unwrap()
            .starts_with("24 megapixels")
    );

    let wrong = complained(
        at,
        &server,
        &["capacity", "--uploads-per-day", "5", "--mix", "book=1"],
    );
    assert!(wrong.contains("image=90,video=9,audio=1"), "{wrong}");
}
