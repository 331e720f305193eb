//! What is asked over TLS: who decides about files, and servers that files are fetched from.

use crate::front::Front;
use crate::given;
use crate::pictures::photo;
use crate::server::{PATIENCE, Server, mediaflow};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use mediaflow_proto::hook::v1 as proto;
use proto::accepting_response::Decision;
use proto::upload_hook_server::{UploadHook, UploadHookServer};
use serde_json::json;
use std::time::Instant;
use tonic::{Request, Response, Status};

struct Refusing;

#[tonic::async_trait]
impl UploadHook for Refusing {
    async fn accepting(
        &self,
        _: Request<proto::AcceptingRequest>,
    ) -> Result<Response<proto::AcceptingResponse>, Status> {
        let refusal = proto::Refusal {
            message: "not on a Sunday".into(),
            status: None,
        };
        Ok(Response::new(proto::AcceptingResponse {
            decision: Some(Decision::Refuse(refusal)),
        }))
    }
}

/// A server of MediaFlow that believes these certificates and no others.
fn believing(config: &str, front: &Front) -> (tempfile::TempDir, Server) {
    let folder = given::config(config);
    let mut command = mediaflow();
    command.env("SSL_CERT_FILE", &front.certificate);
    let server = Server::launch(command, folder.path(), "127.0.0.1:0");
    (folder, server)
}

#[tokio::test]
async fn a_hook_over_grpc_is_asked_over_tls_and_nobody_else_is_believed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hook = tonic::transport::Server::builder().add_service(UploadHookServer::new(Refusing));
    let calls = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(hook.serve_with_incoming(calls));
    let front = Front::of(&format!("http://{address}")).await;
    let impostor = Front::of(&format!("http://{address}")).await;

    for (asked, code, detail) in [
        (&front, "hook.refused", "not on a Sunday"),
        (&impostor, "hook.unavailable", "did not answer"),
    ] {
        let config = format!("[ingest.hook]\ngrpc = \"{}\"\n", asked.base);
        let (_folder, server) = believing(&config, &front);
        let upload = server.http().post(server.url("/v1/assets"));
        let answer = upload.body(photo(64, 48, 1)).send().await.unwrap();
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem.to_string().contains(detail), "{problem}");
    }
}

#[tokio::test]
async fn a_fetch_over_tls_is_not_led_away_from_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = format!("http://{address}/photo.jpg");
    let pages = Router::new()
        .route("/photo.jpg", get(async || photo(64, 48, 1)))
        .route(
            "/elsewhere",
            get(async move || (StatusCode::FOUND, [(header::LOCATION, plain)])),
        );
    tokio::spawn(async move { axum::serve(listener, pages).await });
    let front = Front::of(&format!("http://{address}")).await;
    let ports = [&front.base, &format!("http://{address}")].map(|base| {
        let (_, port) = base.rsplit_once(':').unwrap();
        port.to_owned()
    });
    let config = format!(
        "[ingest.import]\nallow = [\"127.0.0.1\"]\nports = [{}]\ntries_max = 1\n",
        ports.join(", ")
    );
    let (_folder, server) = believing(&config, &front);
    for (page, state) in [("photo.jpg", "done"), ("elsewhere", "failed")] {
        let wanted = json!({ "url": format!("{}/{page}", front.base) });
        let asked = server.http().post(server.url("/v1/assets/import"));
        let opened = asked.json(&wanted).send().await.unwrap();
        let opened: serde_json::Value = opened.json().await.unwrap();
        let path = format!("/v1/imports/{}", opened["id"].as_str().unwrap());
        let began = Instant::now();
        let import = loop {
            let import = server.get(&path).await;
            if import["state"] != "importing" {
                break import;
            }
            assert!(began.elapsed() < PATIENCE, "{import}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!(import["state"], state, "{import}");
        let downgraded = import.to_string().contains("from https to http");
        assert_eq!(downgraded, state == "failed", "{import}");
    }
}
