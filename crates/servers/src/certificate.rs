//! What a server shows that speaks TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A key and a certificate for 127.0.0.1 that only its own file vouches for, as PEM files in `folder`.
///
/// # Panics
/// When OpenSSL is not installed or does not make them.
#[must_use]
pub fn made_in(folder: &Path) -> (PathBuf, PathBuf) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let mut request = Command::new("openssl");
    request.args(["req", "-x509", "-newkey", "ec"]);
    request.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    request.args(["-nodes", "-days", "2", "-subj", "/CN=mediaflow"]);
    request.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
    request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    request.arg("-keyout").arg(&key);
    request.arg("-out").arg(&certificate);
    let made = request
        .output()
        .expect("openssl can be started; apt-get install openssl");
    assert!(
        made.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    (key, certificate)
}
