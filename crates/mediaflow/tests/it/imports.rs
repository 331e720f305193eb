//! Imports by the real binary, which is killed in the middle: it goes on where it was, and nothing is left behind.

use crate::cluster::Cluster;
use crate::given;
use crate::server::{PATIENCE, Server, run, stderr, stdout};
use crate::uploads::{all_agree, is_right, large};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Other people's server of one file. While it is held back it gives three quarters of it, and then crumbs: enough for it not to be
/// given up, and never all. It ends with the process.
struct Web {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    content: Vec<u8>,
    sent: AtomicUsize,
    is_held_back: AtomicBool,
    /// Where each request wanted to begin.
    starts: Mutex<Vec<usize>>,
}

impl Web {
    fn start(content: Vec<u8>, is_held_back: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            content,
            sent: AtomicUsize::new(0),
            is_held_back: AtomicBool::new(is_held_back),
            starts: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&own);
                std::thread::spawn(move || {
                    // Who asks is killed at any moment.
                    let _ = answer(stream, &shared);
                });
            }
        });
        Self { port, shared }
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

    fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    fn give_all(&self) {
        self.shared.is_held_back.store(false, Ordering::SeqCst);
    }

    fn starts(&self) -> Vec<usize> {
        self.shared.starts.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
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
    shared.starts.lock().unwrap().push(start);
    let (last, all) = (shared.content.len() - 1, shared.content.len());
    let status = match range {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {start}-{last}/{all}"),
        None => "200 OK".to_owned(),
    };
    let length = all - start;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    let mut at = start;
    while at < all {
        let is_held_back = shared.is_held_back.load(Ordering::SeqCst);
        let (size, pause) = match is_held_back {
            true if at >= all / 4 * 3 => (1 << 10, 100),
            true => (256 << 10, 20),
            false => (1 << 20, 0),
        };
        let end = all.min(at + size);
        stream.write_all(&shared.content[at..end])?;
        shared.sent.fetch_add(end - at, Ordering::SeqCst);
        at = end;
        std::thread::sleep(Duration::from_millis(pause));
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

/// Nobody asks again for what is recorded, and in the end not for all.
fn went_on(web: &Web) {
    let starts = web.starts();
    assert!(starts.is_sorted(), "{starts:?}");
    assert!(starts.last() > Some(&0), "{starts:?}");
}

#[tokio::test]
async fn an_import_survives_kills_of_the_server() {
    let content = large(24 << 20, 11);
    let web = Web::start(content.clone(), true);
    let folder = given::config(&format!(
        "[retention]\nunreferenced_s = 1\n[worker]\ncpu = 1\n{}",
        web.config()
    ));
    let mut server = Server::start(folder.path());
    let path = begin(&server, &web.url()).await;
    // Once when bytes are on their way, and twice after some were recorded, which happens every five seconds.
    when(&server, &path, |_| web.sent() > 1 << 20).await;
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
    web.give_all();
    server = Server::start(folder.path());
    let ended = when(&server, &path, |import| import["state"] != "importing").await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let asset = server
        .get(&format!("/v1/assets/{}", ended["asset"].as_str().unwrap()))
        .await;
    assert_eq!(asset["title"], "Sea");
    is_right(&server, &asset, &content).await;
    went_on(&web);
    let page = server.get("/v1/assets").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    all_agree(server, folder.path()).await;
}

#[tokio::test]
async fn another_process_goes_on_with_what_one_began() {
    let content = large(24 << 20, 12);
    let web = Web::start(content.clone(), true);
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
    web.give_all();
    let ended = when(&second.server, &path, |import| {
        import["state"] != "importing"
    })
    .await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    let asset = format!("/v1/assets/{}", ended["asset"].as_str().unwrap());
    let asset = second.server.get(&asset).await;
    is_right(&second.server, &asset, &content).await;
    went_on(&web);
}

#[tokio::test]
async fn the_command_imports_and_waits() {
    let content = crate::pictures::photo(64, 48, 3);
    let web = Web::start(content, false);
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
