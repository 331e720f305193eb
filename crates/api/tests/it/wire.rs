//! What only a real connection shows.

use crate::given::{Server, TENANT};
use crate::imports::PATIENCE;
use mediaflow_api::minting::mint;
use mediaflow_engine::store::{Environment as _, KeyLimits, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn connected(server: &Server) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    TcpStream::connect(address).await.unwrap()
}

/// Reads until the text has come.
async fn until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 4096];
        let count = connection.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the connection ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::new();
    let mut connection = connected(&server).await;
    let head = "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    until(&mut connection, "HTTP/1.1 100 Continue\r\n\r\n").await;
    connection.write_all(b"photo").await.unwrap();
    let answer = until(&mut connection, "\"links\"").await;
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let server = Server::new();
    for line in [
        "Content-Length: 99999999",
        "Content-Length: 5\r\nOrigin: https://evil.example",
    ] {
        let mut connection = connected(&server).await;
        let head = format!(
            "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\n{line}\r\nExpect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = until(&mut connection, "correlation_id").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("100 Continue"));
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_of_limits_before_it_sends() {
    let server = Server::new();
    let mut key = mint(server.world.id().into(), "phones", &[Scope::Ingest], TENANT);
    key.stored.limits = KeyLimits {
        file_bytes_max: Some(1000),
        types: vec!["image/*".into()],
        open_max: Some(0),
        day_files_max: Some(0),
        ..KeyLimits::default()
    };
    server.store.add_key(key.stored).await.unwrap();
    for (line, status) in [
        ("POST /v1/assets HTTP/1.1\r\nContent-Length: 1001", "413"),
        (
            "POST /v1/assets HTTP/1.1\r\nContent-Length: 5\r\nContent-Type: video/mp4",
            "415",
        ),
        ("POST /v1/assets HTTP/1.1\r\nContent-Length: 5", "429"),
        (
            "POST /v1/tus HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 9\r\nContent-Length: 5\r\nContent-Type: application/offset+octet-stream",
            "429",
        ),
    ] {
        let mut connection = connected(&server).await;
        let head = format!(
            "{line}\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\n\r\n",
            key.text
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = until(&mut connection, "correlation_id").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {answer}"
        );
        assert!(!answer.contains("100 Continue"));
        assert_eq!(
            status == "429",
            answer.contains("retry-after: "),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_why() {
    let server = Server::new();
    for form in [false, true] {
        let mut connection = connected(&server).await;
        let kind = match form {
            true => "Content-Type: multipart/form-data; boundary=XX\r\n",
            false => "",
        };
        let bytes = 20 << 20;
        let head = format!(
            "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {bytes}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 1 << 20];
        // Nothing is read before everything is sent, as simple clients do.
        for _ in 0..20 {
            connection.write_all(&piece).await.unwrap();
        }
        let answer = until(&mut connection, "correlation_id").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_nothing() {
    let server = Server::new();
    let mut connection = connected(&server).await;
    let head = "POST /v1/assets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b'x'; 2_000_000]).await.unwrap();
    let files = || server.writes_under_way();
    let has = async |wanted: usize| {
        let began = std::time::Instant::now();
        while files() != wanted {
            assert!(began.elapsed() < PATIENCE, "{} files", files());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    has(1).await;
    drop(connection);
    has(0).await;
    assert_eq!(
        server.get("/v1/assets").await.json()["items"],
        serde_json::json!([])
    );
}
