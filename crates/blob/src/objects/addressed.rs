//! Bytes that are reached only through addresses which somebody else signs: for a process that has no credentials and
//! knows neither folder nor bucket. Reading is the same as from a bucket; a write is one request, signed for exactly the
//! bytes that it carries.

use super::budget::{Pace, RetryBudget};
use super::config::{Address, Protocol};
use super::wire::{GivenUp, Wire, may_pass};
use super::{Inner, ObjectBlobs, PARTS_SENT_MAX, Signed, WRITTEN_TOGETHER};
use crate::{BlobError, BlobKey, Written};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use object_store::client::{HttpResponse, HttpService as _};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartId, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use reqwest::Url;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// An address is used no more so long before its end.
const MARGIN: Duration = Duration::from_secs(10);
/// A write may be as slow as this, in bytes per second.
const SLOWEST: u64 = 256 << 10;
const WRITE_MIN: Duration = Duration::from_secs(60);
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Who signs.
#[async_trait]
pub trait Addresses: fmt::Debug + Send + Sync + 'static {
    /// An address to read the key from, and how long it is valid.
    ///
    /// # Errors
    /// When the key may not be read, or nobody answers.
    async fn to_read(&self, key: &BlobKey) -> std::result::Result<(Signed, Duration), BlobError>;

    /// For each of these, which are not written yet, an address that takes exactly these bytes.
    ///
    /// # Errors
    /// When one may not be written, or nobody answers.
    async fn to_write(&self, new: &[Written]) -> std::result::Result<Vec<Signed>, BlobError>;
}

/// Connections that the blobs of many signers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AddressedBlobs {
    wire: Wire,
    /// Without a limit between two bytes of an answer: while a file is sent nothing is answered.
    client: reqwest::Client,
    budget: Arc<RetryBudget>,
    parts: Arc<Semaphore>,
    runtime: Handle,
}

impl AddressedBlobs {
    /// Asks nobody yet. Must be called in a runtime, which does the work of calls that block. `roots` are certificates in PEM whose
    /// word is trusted beside those of this machine, perhaps none.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(roots: &[u8]) -> std::result::Result<Self, String> {
        let budget = Arc::new(RetryBudget::new());
        let roots = reqwest::Certificate::from_pem_bundle(roots).map_err(|e| e.to_string())?;
        let builder = || reqwest::Client::builder().tls_certs_merge(roots.clone());
        let client = builder()
            .connect_timeout(CONNECT_MAX)
            .build()
            .map_err(|e| format!("no HTTP client: {e}"))?;
        Ok(Self {
            wire: Wire::trusting(builder(), Arc::clone(&budget), false)?,
            client,
            budget,
            parts: Arc::new(Semaphore::new(PARTS_SENT_MAX)),
            runtime: Handle::current(),
        })
    }

    /// What `addresses` reach.
    pub fn through(&self, addresses: Arc<dyn Addresses>) -> ObjectBlobs {
        let through = Arc::new(Through {
            shared: self.clone(),
            addresses,
            known: Mutex::default(),
        });
        let inner = Inner {
            bucket: Arc::clone(&through) as _,
            unchecked: Arc::clone(&through) as _,
            presigner: None,
            addressed: Some(through),
            // Keys are told as they are; where that is, only the signer knows.
            address: Address {
                protocol: Protocol::S3,
                bucket: String::new(),
                prefix: String::new(),
            },
            part_bytes: usize::MAX,
            parts: Arc::clone(&self.parts),
            budget: Arc::clone(&self.budget),
            pace: Pace::new(1),
            runtime: self.runtime.clone(),
        };
        ObjectBlobs {
            inner: Arc::new(inner),
        }
    }
}

/// One signer's blobs.
#[derive(Debug)]
pub(super) struct Through {
    shared: AddressedBlobs,
    addresses: Arc<dyn Addresses>,
    /// Addresses to read from, each until its end.
    known: Mutex<HashMap<BlobKey, (Signed, Instant)>>,
}

/// Where the bytes of a write are.
#[derive(Clone, Copy)]
enum Source<'a> {
    Memory(&'a [u8]),
    File(&'a Path),
}

impl Through {
    pub(super) async fn put_all(
        &self,
        blobs: &[(BlobKey, &[u8])],
    ) -> std::result::Result<Vec<Written>, BlobError> {
        let new = blobs.iter().map(|(key, bytes)| Written {
            key: key.clone(),
            sha256: Sha256::digest(bytes).into(),
            bytes: bytes.len() as u64,
        });
        let new: Vec<Written> = new.collect();
        let signed = self.addresses.to_write(&new).await?;
        let writes: Vec<_> = signed
            .iter()
            .zip(blobs.iter().zip(&new))
            .map(|(signed, ((_, bytes), new))| self.put(signed, new, Source::Memory(bytes)))
            .collect();
        let together = stream::iter(writes).buffered(WRITTEN_TOGETHER);
        let _: Vec<()> = together.try_collect().await?;
        Ok(new)
    }

    pub(super) async fn put_file(
        &self,
        key: &BlobKey,
        file: &Path,
    ) -> std::result::Result<Written, BlobError> {
        let path = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || hash(&path)).await;
        let hashed = hashed.unwrap_or_else(|e| Err(std::io::Error::other(e)));
        let (sha256, bytes) = hashed.map_err(BlobError::io("reading a file", key.as_str()))?;
        let new = [Written {
            key: key.clone(),
            sha256,
            bytes,
        }];
        let signed = self.addresses.to_write(&new).await?;
        let [new] = new;
        for signed in &signed {
            self.put(signed, &new, Source::File(file)).await?;
        }
        Ok(new)
    }

    async fn put(
        &self,
        signed: &Signed,
        new: &Written,
        source: Source<'_>,
    ) -> std::result::Result<(), BlobError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let said = match self.put_once(signed, new, source).await? {
                Ok(status) if status.is_success() => {
                    self.shared.budget.earn();
                    return Ok(());
                }
                // An earlier try has arrived though its answer has not: the address takes no other bytes than these.
                Ok(StatusCode::PRECONDITION_FAILED) => return Ok(()),
                Ok(status) if may_pass(status) => status.to_string(),
                Ok(status) => {
                    return Err(BlobError::Refused {
                        action: "writing a blob",
                        reason: format!("the answer was {status}"),
                    });
                }
                Err(error) => error.to_string(),
            };
            let Some(pause) = self.shared.budget.next(tries, false) else {
                return Err(BlobError::Unavailable {
                    action: "writing a blob",
                    reason: said,
                });
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn put_once(
        &self,
        signed: &Signed,
        new: &Written,
        source: Source<'_>,
    ) -> std::result::Result<reqwest::Result<StatusCode>, BlobError> {
        let body = match source {
            Source::Memory(bytes) => reqwest::Body::from(Bytes::copy_from_slice(bytes)),
            Source::File(path) => {
                let file = tokio::fs::File::open(path).await;
                file.map_err(BlobError::io("reading a file", new.key.as_str()))?
                    .into()
            }
        };
        let time = WRITE_MIN + Duration::from_secs(new.bytes / SLOWEST);
        let mut request = self.shared.client.put(&signed.url).timeout(time).body(body);
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        let request = request.header(CONTENT_LENGTH, new.bytes);
        Ok(request.send().await.map(|answer| answer.status()))
    }

    async fn address(&self, key: &BlobKey) -> Result<Signed> {
        let known = self.lock().get(key).cloned();
        if let Some((signed, end)) = known
            && Instant::now() < end
        {
            return Ok(signed);
        }
        let (signed, valid) = self.addresses.to_read(key).await.map_err(unsigned)?;
        let end = Instant::now() + valid.saturating_sub(MARGIN);
        self.lock().insert(key.clone(), (signed.clone(), end));
        Ok(signed)
    }

    /// The answer of the address, with what of the file it is: its first byte and the length of the whole.
    async fn get(&self, key: &BlobKey, options: &GetOptions) -> Result<(HttpResponse, u64, u64)> {
        let path = || key.to_string();
        let (mut again, mut is_empty) = (true, false);
        loop {
            let signed = self.address(key).await?;
            let request = request(&signed, options, is_empty).map_err(|e| generic(e.into()))?;
            let answer = self.shared.wire.call(request).await;
            let answer = answer.map_err(|e| generic(Box::new(e)))?;
            let status = answer.status();
            let range = of_whole(answer.headers());
            match (status, range) {
                (StatusCode::OK, _) => {
                    let length = answer.headers().get(CONTENT_LENGTH);
                    let length = length.and_then(|l| l.to_str().ok()?.parse().ok());
                    let length = length.ok_or_else(|| generic("a length is missing".into()))?;
                    return Ok((answer, 0, length));
                }
                (StatusCode::PARTIAL_CONTENT, Some((start, length))) => {
                    return Ok((answer, start, length));
                }
                // Of nothing no part can be asked for, and not every store says that it is nothing.
                (StatusCode::RANGE_NOT_SATISFIABLE, _) if options.head && !is_empty => {
                    is_empty = true;
                }
                (StatusCode::NOT_FOUND, _) => {
                    let source = "nothing is there".into();
                    let path = path();
                    return Err(Error::NotFound { path, source });
                }
                (StatusCode::PRECONDITION_FAILED, _) => {
                    let source = "it was replaced".into();
                    let path = path();
                    return Err(Error::Precondition { path, source });
                }
                // Its time was over, by the other side's clock.
                (StatusCode::FORBIDDEN, _) if again => {
                    again = false;
                    self.lock().remove(key);
                }
                _ => return Err(generic(format!("the answer was {status}").into())),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<BlobKey, (Signed, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request(
    signed: &Signed,
    options: &GetOptions,
    is_empty: bool,
) -> std::result::Result<object_store::client::HttpRequest, http::Error> {
    let mut request = http::Request::builder()
        .method(Method::GET)
        .uri(&signed.url);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let range = match &options.range {
        _ if is_empty => None,
        // An address is signed for one method: the head comes with one byte.
        _ if options.head => Some("bytes=0-0".to_owned()),
        Some(GetRange::Bounded(range)) => Some(format!("bytes={}-{}", range.start, range.end - 1)),
        Some(GetRange::Offset(start)) => Some(format!("bytes={start}-")),
        Some(GetRange::Suffix(length)) => Some(format!("bytes=-{length}")),
        None => None,
    };
    if let Some(range) = range {
        request = request.header(RANGE, range);
    }
    if let Some(e_tag) = &options.if_match {
        request = request.header(IF_MATCH, e_tag);
    }
    request.body(Bytes::new().into())
}

/// First byte and length of the whole, as `Content-Range` says them.
fn of_whole(headers: &HeaderMap) -> Option<(u64, u64)> {
    let said = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (part, length) = said.strip_prefix("bytes ")?.split_once('/')?;
    let start = part
        .split_once('-')
        .and_then(|(start, _)| start.parse().ok());
    Some((start.unwrap_or(0), length.parse().ok()?))
}

fn hash(path: &Path) -> std::io::Result<([u8; 32], u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finalize().into(), bytes)),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic {
        store: "addresses",
        source,
    }
}

/// No address was given.
fn unsigned(error: BlobError) -> Error {
    match error {
        BlobError::NotFound(path) => Error::NotFound {
            path,
            source: "nobody knows it".into(),
        },
        BlobError::Unavailable { reason, .. } => generic(Box::new(GivenUp {
            said: reason,
            tries: 1,
        })),
        error => generic(Box::new(error)),
    }
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signed addresses")
    }
}

#[async_trait]
impl ObjectStore for Through {
    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        let key: BlobKey = location.as_ref().parse().map_err(unsigned)?;
        let (answer, start, size) = self.get(&key, &options).await?;
        let e_tag = answer.headers().get(ETAG);
        let e_tag = e_tag.and_then(|e| Some(e.to_str().ok()?.to_owned()));
        let body = answer.into_body().bytes_stream();
        let body = body.map_err(|e| generic(Box::new(e))).boxed();
        let end = match &options.range {
            Some(GetRange::Bounded(range)) => range.end.min(size),
            _ => size,
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(body),
            meta: ObjectMeta {
                location: location.clone(),
                last_modified: SystemTime::UNIX_EPOCH.into(),
                size,
                e_tag,
                version: None,
            },
            range: start..end.max(start),
            attributes: Attributes::new(),
            extensions: http::Extensions::new(),
        })
    }

    async fn put_opts(&self, _: &ObjectPath, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(unknown())
    }

    async fn put_multipart_opts(
        &self,
        _: &ObjectPath,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(unknown())
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        stream::once(async { Err(unknown()) }).boxed()
    }

    fn list(&self, _: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { Err(unknown()) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&ObjectPath>) -> Result<ListResult> {
        Err(unknown())
    }

    async fn copy_opts(&self, _: &ObjectPath, _: &ObjectPath, _: CopyOptions) -> Result<()> {
        Err(unknown())
    }
}

#[async_trait]
impl MultipartStore for Through {
    async fn create_multipart(&self, _: &ObjectPath) -> Result<MultipartId> {
        Err(unknown())
    }

    async fn put_part(
        &self,
        _: &ObjectPath,
        _: &MultipartId,
        _: usize,
        _: PutPayload,
    ) -> Result<PartId> {
        Err(unknown())
    }

    async fn complete_multipart(
        &self,
        _: &ObjectPath,
        _: &MultipartId,
        _: Vec<PartId>,
    ) -> Result<PutResult> {
        Err(unknown())
    }

    async fn abort_multipart(&self, _: &ObjectPath, _: &MultipartId) -> Result<()> {
        Err(unknown())
    }
}

#[async_trait]
impl Signer for Through {
    async fn signed_url(&self, _: Method, _: &ObjectPath, _: Duration) -> Result<Url> {
        Err(unknown())
    }
}

/// Whoever has only addresses can read and write what they are for, and do nothing else.
fn unknown() -> Error {
    Error::NotSupported {
        source: "there are only addresses to read and to write".into(),
    }
}
