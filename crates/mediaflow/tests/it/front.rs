//! What stands in front of an API and ends TLS there.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Passes on what comes encrypted for as long as the runtime lives.
pub(crate) struct Front {
    /// `https://127.0.0.1:...`
    pub(crate) base: String,
    /// The file that vouches for it.
    pub(crate) certificate: PathBuf,
    _folder: TempDir,
}

impl Front {
    /// In front of `http://...`.
    pub(crate) async fn of(base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = mediaflow_servers::certificate::made_in(folder.path());
        let shown = CertificateDer::from_pem_file(&certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut config = config
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = base.trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self {
            base: format!("https://{address}"),
            certificate,
            _folder: folder,
        }
    }
}
