//! Imports by the real binary, which is killed in the middle: it goes on where it was, and nothing is left behind.

use crate::cluster::Cluster;
use crate::given;
use crate::server::{PATIENCE, Server, run, stderr, stdout};
use crate::uploads::{all_agree, is_right, large};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Other people's server of one file, slow enough to be interrupted. It ends with the process.
struct Web {
    port: u16,
    sent: Arc<AtomicUsize>,
}

impl Web {
    fn start(content: Vec<u8>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (content, sent) = (Arc::new(content), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (content, sent) = (Arc::clone(&content), Arc::clone(&counted));
                std::thread::spawn(move || {
                    // Who asks is killed at any moment.
                    let _ = answer(stream, &content, &sent, pause);
                });
            }
        });
        Self { port, sent }
    }

    fn config(&self) -> String {
        format!(
            "[ingest.import]\nallow = [\"127.0.0.1\"]\nports = [{}]\n",
            self.port
        )
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/photo.jpg", self.port)
    }
}

fn answer(
    mut stream: TcpStream,
    content: &[u8],
    sent: &AtomicUsize,
    pause: Duration,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let range = head
        .lines()
        .find_map(|line| line.strip_prefix("range: bytes="));
    let start: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
    let (last, all) = (content.len() - 1, content.len());
    let status = match range {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{last}/{all}"),
        None => "200 OK".to_owned(),
    };
    let length = all - start;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    for piece in content[start..].chunks(256 << 10) {
        stream.write_all(piece)?;
        sent.fetch_add(piece.len(), Ordering::SeqCst);
        std::thread::sleep(pause);
    }
    Ok(())
}

async fn begin(server: &Server, url: &str) -> String {
    let body = json!({ "url": url, "title": "Sea" }).to_string();
    let (status, import) = server.post("/v1/assets/import", body).await;
    assert_eq!(status, 202, "{import}");
    format!("/v1/imports/{}", import["id"].as_str().unwrap())
}

async fn when(server: &Server, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let import = server.get(path).await;
        if done(&import) {
            return import;
        }
        assert!(began.elapsed() < PATIENCE, "{import:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_import_survives_kills_of_the_server() {
    let content = large(24 << 20, 11);
    let web = Web::start(content.clone(), Duration::from_millis(70));
    let folder = given::config(&format!(
        "[retention]\nunreferenced_s = 1\n[worker]\ncpu = 1\n{}",
        web.config()
    ));
    let mut server = Server::start(folder.path());
    let path = begin(&server, &web.url()).await;
    // Once before anything is recorded, and twice after something was: every five seconds.
    when(&server, &path, |_| {
        web.sent.load(Ordering::SeqCst) > 1 << 20
    })
    .await;
    for _ in 0..2 {
        server.kill();
        server = Server::start(folder.path());
        let has = server.get(&path).await["bytes"].as_u64().unwrap();
        when(&server, &path, |import| {
            import["bytes"].as_u64().unwrap() > has
        })
        .await;
    }
    server.kill();
    server = Server::start(folder.path());
    let ended = when(&server, &path, |import| import["state"] != "importing").await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let asset = server
        .get(&format!("/v1/assets/{}", ended["asset"].as_str().unwrap()))
        .await;
    assert_eq!(asset["title"], "Sea");
    is_right(&server, &asset, &content).await;
    let sent = web.sent.load(Ordering::SeqCst);
    assert!(
        sent < content.len() * 2,
        "{sent} bytes were sent of {}",
        content.len()
    );
    let page = server.get("/v1/assets").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    all_agree(server, folder.path()).await;
}

#[tokio::test]
async fn another_process_goes_on_with_what_one_began() {
    let content = large(24 << 20, 12);
    let web = Web::start(content.clone(), Duration::from_millis(100));
    let cluster = Cluster::start();
    let settings = web.config();
    let first = cluster.join_with("\"api\"", "", &settings);
    let path = begin(&first.server, &web.url()).await;
    when(&first.server, &path, |import| {
        import["bytes"].as_u64() > Some(0)
    })
    .await;
    let second = cluster.join_with("\"api\"", "", &settings);
    first.server.kill();
    let ended = when(&second.server, &path, |import| {
        import["state"] != "importing"
    })
    .await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let asset = format!("/v1/assets/{}", ended["asset"].as_str().unwrap());
    let asset = second.server.get(&asset).await;
    is_right(&second.server, &asset, &content).await;
    let sent = web.sent.load(Ordering::SeqCst);
    assert!(
        sent < content.len() * 2,
        "{sent} bytes were sent of {}",
        content.len()
    );
    assert_eq!(cluster.stored_originals(), 1);
}

#[tokio::test]
async fn the_command_imports_and_waits() {
    let content = crate::pictures::photo(64, 48, 3);
    let web = Web::start(content, Duration::ZERO);
    let folder = given::config(&web.config());
    let server = Server::start(folder.path());
    let command = |args: &[&str]| {
        run(
            folder.path(),
            &[&["import", "--server", &server.base], args].concat(),
        )
    };
    let done = command(&["--title", "Sea", "--json", &web.url()]);
    assert!(done.status.success(), "{}", stderr(&done));
    let shown: Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(shown[0]["state"], "ready");
    assert_eq!(shown[0]["title"], "Sea");
    assert_eq!(shown[0]["original"]["filename"], "photo.jpg");
    let refused = command(&["http://127.0.0.1:1/", "http://10.0.0.1/"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stdout(&refused);
    assert!(
        said.contains("import.url") && said.contains("2 files: 0 done"),
        "{said}"
    );
    let begun = command(&["--no-wait", &web.url()]);
    assert!(
        stdout(&begun).contains("/v1/imports/"),
        "{}",
        stdout(&begun)
    );
}
