//! Logs in JSON: what they are found by is in each line, and what nobody may read is in none.

use crate::given;
use crate::pictures::{located, torn_badge};
use crate::server::{Server, run, stderr, stdout};
use mediaflow_core::trace::TraceId;
use serde_json::{Map, Value};
use std::path::Path;
use std::time::Duration;

/// Everything that our own crates can say, and positions.
fn config(port: u16) -> String {
    let ours = ["", "_api", "_engine", "_worker", "_store", "_blob"];
    let ours = ours.map(|part| format!("mediaflow{part}=trace")).join(",");
    format!(
        "[log]\nformat = \"json\"\nlevel = \"info,{ours}\"\n[metadata]\nrecord_positions = true\n\
         [ingest.import]\nallow = [\"127.0.0.1\"]\nports = [{port}]\n"
    )
}

fn key(folder: &Path) -> String {
    let args = [
        "keys", "create", "--data", "data", "--name", "me", "--scopes", "admin", "--quiet",
    ];
    let made = run(folder, &args);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

fn lines(log: &str) -> Vec<Map<String, Value>> {
    let parsed = log.lines().map(|line| match serde_json::from_str(line) {
        Ok(Value::Object(line)) => line,
        other => panic!("{other:?} is no line of JSON: {line}"),
    });
    parsed.collect()
}

/// The fields that the pipeline for Loki takes out of lines.
fn fields_for_loki() -> Vec<String> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/observability/logs/config.alloy"
    );
    let pipeline = std::fs::read_to_string(file).unwrap();
    let (_, expressions) = pipeline.split_once("expressions = {").unwrap();
    let (expressions, _) = expressions.split_once('}').unwrap();
    let named = expressions.split('"').skip(1).step_by(2);
    named.map(str::to_owned).collect()
}

#[tokio::test]
async fn lines_have_what_they_are_found_by_and_nothing_that_nobody_may_read() {
    // A server that has nothing.
    let empty = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = empty.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(empty, axum::Router::new()).await });
    let folder = given::config(&config(port));
    let key = key(folder.path());
    let mut server = Server::start_logged(folder.path());
    server.authorize(&key);

    // A position, in a picture that only signed addresses open.
    let private = server.upload("?visibility=private", located(1)).await;
    let asset = server.asset_in(&private, "ready").await;
    let position = asset["inspected"].to_string();
    assert!(
        position.contains("47.37"),
        "the test would prove nothing: {position}"
    );
    let signed = asset["renditions"][0]["url"].as_str().unwrap();
    let (_, right) = signed.split_once("/media/s/").expect("it is signed");
    let signature = right.split(['.', '/']).nth(2).unwrap();
    assert!(signature.len() > 16, "{signed}");
    let plain = reqwest::Client::new();
    let status = async |url: &str| plain.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(signed).await, 200);
    let forged = signed.replace(signature, &"forged".repeat(7));
    assert!(status(&forged).await >= 400);

    // Keys that are wrong, and one in an address.
    let wrong = plain
        .get(server.url("/v1/assets"))
        .bearer_auth("mf_wrongwrongwrong");
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    let in_query = server.url(&format!("/v1/assets?key={key}"));
    assert!(status(&in_query).await >= 400);

    // An import whose address has a secret, from a server that says no.
    let url = format!("http://127.0.0.1:{port}/nothing?token=sesame-open-4711");
    let body = serde_json::json!({ "url": url }).to_string();
    let (answered, import) = server.post("/v1/assets/import", body).await;
    assert_eq!(answered, 202, "{import}");
    let import = format!("/v1/imports/{}", import["id"].as_str().unwrap());
    while server.get(&import).await["state"] == "importing" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // An attempt that fails is told of.
    let request = server
        .http()
        .post(server.url("/v1/assets"))
        .body(torn_badge());
    let answer = request
        .header("x-correlation-id", "order-17")
        .send()
        .await
        .unwrap();
    let torn: Value = answer.json().await.unwrap();
    let torn = torn["id"].as_str().unwrap().to_owned();
    server.asset_in(&torn, "failed").await;
    server.stop();

    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap();
    let lines = lines(&log);
    let position = ["47.37", "8.548", "12.3456", "54.321"];
    let secrets = [signature, &key, "forgedforged", "mf_wrong", "sesame"];
    // A time can have the digits of a position.
    let said = |line: &Map<String, Value>| {
        let fields = line.iter().filter(|(name, _)| *name != "timestamp");
        Value::from_iter(fields.map(|(name, value)| (name.clone(), value.clone()))).to_string()
    };
    for secret in secrets.into_iter().chain(position) {
        let found = lines.iter().map(said).find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret}");
    }

    assert!(lines.len() > 20, "{log}");
    let failed = lines.iter().find(|l| l["message"] == "an attempt failed");
    let failed = failed.unwrap_or_else(|| panic!("nothing is said of the failure: {log}"));
    assert_eq!(failed["asset"], torn.as_str());
    assert_eq!(failed["correlation_id"], "order-17");
    assert_eq!(
        failed["trace_id"],
        TraceId::of("order-17").to_string().as_str()
    );
    assert!(
        failed["task"].as_str().is_some_and(|task| task.len() == 36),
        "{failed:?}"
    );
    assert!(failed["operation"].is_string(), "{failed:?}");
    for field in fields_for_loki() {
        assert!(
            lines.iter().any(|line| line.contains_key(&field)),
            "no line has {field}"
        );
    }
}
