//! The committed description is what the code says.

use crate::given::Server;
use mediaflow_api::openapi;
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// `UPDATE=1` writes the file, so that a change of the API shows in the diff.
#[test]
fn the_committed_description_is_up_to_date() {
    let now = openapi();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &now).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    let hint = "docs/openapi.json is not what the code says; run this test with UPDATE=1 and look at the diff";
    assert!(committed == now, "{hint}");
}

#[tokio::test]
async fn every_described_path_exists_and_is_served() {
    let server = Server::new();
    let answer = server.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    assert!(json["openapi"].as_str().unwrap().starts_with("3."));
    let mut names = std::collections::HashSet::new();
    for (path, operations) in json["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "01920000-0000-7000-8000-000000000001")
            .replace("{asset}", "01920000-0000-7000-8000-000000000001")
            .replace("{rendition}", "large")
            .replace("{name}", "uploads");
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} is there twice");
            let answer = server.send(&method.to_uppercase(), &path, &[], "").await;
            if answer.status.is_client_error() {
                let code = answer.json()["code"].as_str().unwrap().to_owned();
                assert!(!code.starts_with("route."), "{method} {path}: {code}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let json: Value = serde_json::from_str(&openapi()).unwrap();
    let mut open = vec![&json];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(to)) = object.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(json.pointer(pointer).is_some(), "{to}");
                    seen += 1;
                }
                open.extend(object.values());
            }
            Value::Array(array) => open.extend(array),
            _ => {}
        }
    }
    assert!(seen > 20);
}
