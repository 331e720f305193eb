//! `POST /v1/assets/import`: files of other people's servers, which break off, lie, change and lead astray.

use crate::given::{Server, Wish};
use crate::web::{Asked, Steps, Web, bytes, cut, file, head, redirect};
use async_trait::async_trait;
use mediaflow_core::Sha256;
use mediaflow_engine::services::Services;
use mediaflow_engine::{ImportConfig, Lookup};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that may import from a web, with its services at work.
pub(crate) struct Importing {
    pub(crate) server: Server,
    pub(crate) web: Web,
    _services: Services,
}

impl Importing {
    pub(crate) async fn of(answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static) -> Self {
        Self::with(answer, |_| {}).await
    }

    pub(crate) async fn with(
        answer: impl Fn(&Asked) -> Steps + Send + Sync + 'static,
        change: impl FnOnce(&mut Wish),
    ) -> Self {
        let web = Web::start(answer).await;
        let mut wish = Wish {
            import: ImportConfig {
                allow: vec!["127.0.0.1".into()],
                ports: vec![80, web.port],
                tries_max: 3,
                ..ImportConfig::default()
            },
            ..Wish::default()
        };
        change(&mut wish);
        let server = Server::with(wish);
        let services = Services::start(&server.engine, &server.stopping);
        Self {
            server,
            web,
            _services: services,
        }
    }

    pub(crate) async fn begin(&self, body: Value) -> Value {
        let answer = self
            .server
            .post("/v1/assets/import", &body.to_string())
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let import = answer.json();
        let path = format!("/v1/imports/{}", import["id"].as_str().unwrap());
        assert_eq!(answer.header("location"), path);
        import
    }

    /// The import when it has ended. Time flies until then.
    pub(crate) async fn ended(&self, import: &Value) -> Value {
        let path = format!("/v1/imports/{}", import["id"].as_str().unwrap());
        let began = Instant::now();
        loop {
            let now = self.server.get(&path).await.json();
            if now["state"] != "importing" {
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "{now:#}");
            self.server.world.pass(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What becomes of an import of this path.
    pub(crate) async fn import(&self, path: &str) -> Value {
        let begun = self.begin(json!({ "url": self.web.url(path) })).await;
        self.ended(&begun).await
    }

    /// The same, when that should fail with this code; answers the text.
    pub(crate) async fn fails(&self, path: &str, code: &str) -> String {
        let ended = self.import(path).await;
        assert_eq!(ended["state"], "failed", "{path}: {ended:#}");
        assert_eq!(ended["error"]["code"], code, "{path}: {ended:#}");
        assert_eq!(ended["asset"], Value::Null);
        ended["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The asset of one that should go well.
    pub(crate) async fn asset(&self, ended: &Value, content: &[u8]) -> Value {
        assert_eq!(ended["state"], "done", "{ended:#}");
        assert_eq!(ended["error"], Value::Null);
        let asset = self.server.asset(ended["asset"].as_str().unwrap()).await;
        assert_eq!(asset["original"]["sha256"], Sha256::of(content).to_string());
        assert_eq!(asset["original"]["bytes"], content.len());
        asset
    }

    /// Nothing is left but whole originals.
    pub(crate) async fn leaves_only(&self, originals: usize) {
        let began = Instant::now();
        while crate::tus::files(&self.server).len() != originals {
            assert!(
                began.elapsed() < PATIENCE,
                "{:?}",
                crate::tus::files(&self.server)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn content(seed: u8) -> Vec<u8> {
    (0..300_000u32)
        .map(|n| (n.wrapping_mul(31) >> 3) as u8 ^ seed)
        .collect()
}

#[tokio::test]
async fn a_file_becomes_an_asset_with_all_that_was_said() {
    let content = content(1);
    let web = content.clone();
    let importing = Importing::of(move |asked| file(asked, &web, "\"v1\"")).await;
    let begun = importing
        .begin(json!({
            "url": importing.web.url("/photos/The%20sea+1.jpg?x=1"), "title": "Sea", "tags": ["a", "b"],
            "metadata": { "album": 7 }, "visibility": "private", "focus": { "x": 0.25, "y": 0.5 },
            "sha256": Sha256::of(&content).to_string(),
        }))
        .await;
    assert_eq!(begun["state"], "importing");
    let ended = importing.ended(&begun).await;
    assert_eq!(ended["bytes"], content.len());
    assert_eq!(ended["length"], content.len());
    let asset = importing.asset(&ended, &content).await;
    assert_eq!(asset["original"]["filename"], "The sea+1.jpg");
    assert_eq!(asset["title"], "Sea");
    assert_eq!(asset["tags"], json!(["a", "b"]));
    assert_eq!(asset["metadata"], json!({ "album": 7 }));
    assert_eq!(asset["visibility"], "private");
    let asked = &importing.web.asked()[0];
    assert!(asked.header("user-agent").starts_with("MediaFlow/"));
    assert_eq!(asked.header("accept-encoding"), "identity");
    assert_eq!(asked.header("range"), "");
}

#[tokio::test]
async fn a_length_that_nobody_tells_is_found_at_the_end() {
    let content = content(2);
    let mut chunked = Vec::new();
    for chunk in content.chunks(70_000) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    let web = content.clone();
    let importing = Importing::of(move |asked| match (asked.path.as_str(), asked.before) {
        ("/chunked", _) => vec![
            head(200, &["Transfer-Encoding: chunked"]),
            bytes(&chunked),
            bytes("0\r\n\r\n"),
        ],
        ("/broken", 0) => vec![head(200, &["Transfer-Encoding: chunked"]), bytes(&chunked)],
        ("/broken", _) => vec![
            head(200, &["Transfer-Encoding: chunked"]),
            bytes(&chunked),
            bytes("0\r\n\r\n"),
        ],
        ("/empty", _) => vec![
            head(200, &["Transfer-Encoding: chunked"]),
            bytes("0\r\n\r\n"),
        ],
        _ => vec![head(200, &[]), bytes(&web)],
    })
    .await;
    for path in ["/chunked", "/broken", "/closed"] {
        let ended = importing.import(path).await;
        importing.asset(&ended, &content).await;
    }
    importing.fails("/empty", "input.empty").await;
}

#[tokio::test]
async fn what_may_not_be_asked_for_is_refused_at_once() {
    let server = Server::new();
    for (url, code) in [
        ("ftp://example.com/a.jpg", "import.url"),
        ("file:///etc/passwd", "import.url"),
        ("gopher://example.com/", "import.url"),
        ("no address", "import.url"),
        ("http://", "import.url"),
        ("http://user@example.com/", "import.url"),
        ("http://user:secret@example.com/", "import.url"),
        ("http://:secret@example.com/", "import.url"),
        ("http://example.com:22/", "import.url"),
        ("https://example.com:6379/", "import.url"),
        ("http://127.0.0.1/", "import.address"),
        ("http://127.1/", "import.address"),
        ("http://2130706433/", "import.address"),
        ("http://0x7f000001/", "import.address"),
        ("http://0x7f.0.0.1/", "import.address"),
        ("http://0177.0.0.01/", "import.address"),
        ("http://017700000001/", "import.address"),
        ("http://%31%32%37.0.0.1/", "import.address"),
        ("http://１２７.０.０.１/", "import.address"),
        ("http://127.0.0.1./", "import.address"),
        ("http://0/", "import.address"),
        ("http://[::1]/", "import.address"),
        ("http://[::]/", "import.address"),
        ("http://[::ffff:127.0.0.1]/", "import.address"),
        ("http://[::ffff:7f00:1]/", "import.address"),
        ("http://[64:ff9b::a00:1]/", "import.address"),
        ("http://[fe80::1]/", "import.address"),
        ("http://[fd00::1]/", "import.address"),
        ("http://169.254.169.254/latest/meta-data/", "import.address"),
        ("https://10.0.0.1/", "import.address"),
        ("https://100.64.0.1/", "import.address"),
    ] {
        let body = json!({ "url": url }).to_string();
        let answer = server.post("/v1/assets/import", &body).await;
        assert!(!answer.problem(422, code).is_empty(), "{url}");
    }
    let long = format!("http://example.com/{}", "x".repeat(5000));
    let answer = server
        .post("/v1/assets/import", &json!({ "url": long }).to_string())
        .await;
    answer.problem(422, "import.url");
    for wrong in [
        "{}",
        r#"{"url":"http://example.com/","colour":1}"#,
        r#"{"url":"http://example.com/","sha256":"x"}"#,
    ] {
        server
            .post("/v1/assets/import", wrong)
            .await
            .problem(400, "request.invalid");
    }
    let nobody = "/v1/imports/01920000-0000-7000-8000-000000000001";
    server.get(nobody).await.problem(404, "import.not_found");
}

#[tokio::test]
async fn names_of_private_addresses_lead_nowhere() {
    let importing = Importing::with(
        |asked| file(asked, b"secret", "\"v1\""),
        |wish| {
            wish.import.allow.clear();
        },
    )
    .await;
    let url = format!("http://localhost:{}/", importing.web.port);
    let begun = importing.begin(json!({ "url": url })).await;
    let ended = importing.ended(&begun).await;
    assert_eq!(ended["error"]["code"], "import.address", "{ended:#}");
    assert!(importing.web.asked().is_empty(), "nobody was connected to");
}

#[tokio::test]
async fn redirects_are_followed_and_checked_again() {
    let port = AtomicUsize::new(0);
    let port = Arc::new(port);
    let own = Arc::clone(&port);
    let importing = Importing::of(move |asked| {
        let port = own.load(Ordering::SeqCst);
        match asked.path.as_str() {
            "/good" => redirect("/next/../file.jpg"),
            "/private" => redirect(&format!("http://127.0.0.2:{port}/file.jpg")),
            "/mapped" => redirect(&format!("http://[::ffff:127.0.0.1]:{port}/file.jpg")),
            "/metadata" => redirect("http://169.254.169.254/latest/"),
            "/named" => redirect(&format!("http://localhost.:{port}/file.jpg")),
            "/scheme" => redirect("file:///etc/passwd"),
            "/port" => redirect("http://127.0.0.1:22/"),
            "/key" => redirect(&format!("http://name:secret@127.0.0.1:{port}/file.jpg")),
            "/loop" => redirect("/loop"),
            "/nowhere" => vec![head(302, &["Content-Length: 0"])],
            _ => file(asked, b"a picture", "\"v1\""),
        }
    })
    .await;
    port.store(usize::from(importing.web.port), Ordering::SeqCst);
    let ended = importing.import("/good").await;
    importing.asset(&ended, b"a picture").await;
    for path in ["/private", "/mapped", "/metadata"] {
        importing.fails(path, "import.address").await;
    }
    for path in ["/scheme", "/port", "/key"] {
        importing.fails(path, "import.url").await;
    }
    for path in ["/loop", "/nowhere"] {
        importing.fails(path, "import.refused").await;
    }
    // A name of this machine leads to what is allowed here.
    let ended = importing.import("/named").await;
    let files = importing.web.asked();
    let files = files
        .iter()
        .filter(|asked| asked.path == "/file.jpg")
        .count();
    assert_eq!(files, if ended["state"] == "done" { 2 } else { 1 });
}

/// Knows one name, and says something else each time.
struct Turning(Vec<Vec<IpAddr>>, AtomicUsize);

#[async_trait]
impl Lookup for Turning {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let turn = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0[turn.min(self.0.len() - 1)].clone())
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_each_time() {
    let content = content(3);
    let web = content.clone();
    let allowed: IpAddr = "127.0.0.1".parse().unwrap();
    let private: IpAddr = "127.0.0.3".parse().unwrap();
    let lookup = Arc::new(Turning(
        vec![
            vec![private, allowed],
            vec![allowed],
            vec![private],
            vec![allowed],
        ],
        AtomicUsize::new(0),
    ));
    let turns = Arc::clone(&lookup);
    let importing = Importing::with(
        move |asked| cut(file(asked, &web, "\"v1\""), 100_000),
        |wish| wish.lookup = Some(lookup),
    )
    .await;
    let url = format!("http://turning.example:{}/a.jpg", importing.web.port);
    let begun = importing.begin(json!({ "url": url })).await;
    let ended = importing.ended(&begun).await;
    // The first time only the good one of two was connected to, the third time nobody.
    assert_eq!(ended["error"]["code"], "import.address", "{ended:#}");
    assert_eq!(importing.web.asked().len(), 2);
    assert_eq!(turns.1.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_same_key_is_the_same_import() {
    let importing = Importing::of(|asked| file(asked, b"a picture", "\"v1\"")).await;
    let ask = async |body: Value| {
        let headers = ["content-type: application/json", "idempotency-key: one"];
        let path = "/v1/assets/import";
        importing
            .server
            .send("POST", path, &headers, body.to_string())
            .await
    };
    let body = json!({ "url": importing.web.url("/a.jpg"), "title": "A" });
    let first = ask(body.clone()).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let ended = importing.ended(&first.json()).await;
    let again = ask(body).await;
    assert_eq!(again.status, 202);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json()["id"], ended["id"]);
    assert_eq!(again.json()["state"], "done");
    let other = ask(json!({ "url": importing.web.url("/a.jpg"), "title": "B" })).await;
    other.problem(422, "idempotency.mismatch");
    assert_eq!(importing.web.asked().len(), 1);
}

#[tokio::test]
async fn an_import_can_be_ended() {
    let content = content(6);
    let importing = Importing::of(move |asked| {
        let mut steps = cut(file(asked, &content, "\"v1\""), 100_000);
        steps.push(crate::web::Step::Pause(PATIENCE));
        steps
    })
    .await;
    let begun = importing
        .begin(json!({ "url": importing.web.url("/a.jpg") }))
        .await;
    let path = format!("/v1/imports/{}", begun["id"].as_str().unwrap());
    while importing.web.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = importing.server.send("DELETE", &path, &[], "").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    importing
        .server
        .get(&path)
        .await
        .problem(404, "import.not_found");
    importing.leaves_only(0).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(importing.web.asked().len(), 1, "nobody goes on with it");
}

#[tokio::test]
async fn a_file_is_called_what_its_server_calls_it() {
    let importing = Importing::of(|asked| {
        let name = match asked.path.as_str() {
            "/get?id=7" => "attachment; filename=\"x\"; filename*=UTF-8''../S%C3%A9a.jpg",
            _ => "attachment",
        };
        let name = format!("Content-Disposition: {name}");
        vec![head(200, &["Content-Length: 9", &name]), bytes("a picture")]
    })
    .await;
    for (path, said, expected) in [
        ("/get?id=7", Value::Null, "Séa.jpg"),
        ("/get?id=7", json!("mine.jpg"), "mine.jpg"),
        ("/in/last.jpg", Value::Null, "last.jpg"),
    ] {
        let url = importing.web.url(path);
        let begun = importing.begin(json!({ "url": url, "filename": said }));
        let ended = importing.ended(&begun.await).await;
        let asset = importing.asset(&ended, b"a picture").await;
        assert_eq!(asset["original"]["filename"], expected);
    }
    let metrics = importing.server.get("/metrics").await;
    for line in [
        "mediaflow_imports_total{outcome=\"done\"} 3\n",
        "mediaflow_imports_total{outcome=\"failed\"} 0\n",
        "mediaflow_imports_open{} 0\n",
    ] {
        assert!(metrics.text().contains(line), "{line}{}", metrics.text());
    }
}
