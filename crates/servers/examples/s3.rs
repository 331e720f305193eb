//! An S3 server on the files of a folder: `s3 ADDRESS FOLDER`. What the library's own server leaves open is closed here: of
//! two writes of one key that refuse to replace, one succeeds, and who asks for an object with a tag gets no other one, as with
//! Amazon's. While a file named `busy` is beside the folder, it refuses everything. A file named `reads` tells what was read.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mediaflow_servers::S3;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3 as Service, S3Request, S3Response, S3Result, dto, s3_error};
use s3s_fs::FileSystem;
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tokio::net::TcpListener;

struct Files {
    files: FileSystem,
    /// Keys that are being written; a second write of one is refused for now.
    writing: Mutex<HashSet<String>>,
    /// The tags of parts that were sent, by upload and number.
    parts: Mutex<HashMap<(String, i32), dto::ETag>>,
    folder: PathBuf,
    /// What was read, a line for each answer.
    reads: Mutex<File>,
}

struct Turn<'a>(&'a Files, String);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut writing = self.0.writing.lock().expect("no holder panics");
        writing.remove(&self.1);
    }
}

impl Files {
    fn turn(&self, bucket: &str, key: &str) -> S3Result<Turn<'_>> {
        let name = format!("{bucket}/{key}");
        let mut writing = self.writing.lock().expect("no holder panics");
        match writing.insert(name.clone()) {
            true => Ok(Turn(self, name)),
            false => Err(s3_error!(OperationAborted)),
        }
    }

    /// Refuses parts that were not sent, or replaced since, and leaves the others for another try.
    fn check_parts(&self, input: &dto::CompleteMultipartUploadInput) -> S3Result<()> {
        let parts = self.parts.lock().expect("no holder panics");
        let named = input.multipart_upload.iter();
        for part in named.flat_map(|named| named.parts.iter().flatten()) {
            let number = part.part_number.unwrap_or_default();
            let sent = parts.get(&(input.upload_id.clone(), number));
            // Those from before a restart nobody remembers.
            if sent.is_none() && !self.is_sent(&input.upload_id, number)
                || sent.is_some_and(|sent| part.e_tag.as_ref() != Some(sent))
            {
                return Err(s3_error!(InvalidPart));
            }
        }
        Ok(())
    }

    fn is_sent(&self, upload: &str, number: i32) -> bool {
        let name = format!(".upload_id-{upload}.part-{number}");
        self.folder.join(name).exists()
    }
}

macro_rules! pass_on {
    ($($method:ident $input:ident $output:ident),+ $(,)?) => {
        #[async_trait::async_trait]
        impl Service for Files {
            async fn put_object(
                &self,
                request: S3Request<dto::PutObjectInput>,
            ) -> S3Result<S3Response<dto::PutObjectOutput>> {
                let _turn = self.turn(&request.input.bucket, &request.input.key)?;
                self.files.put_object(request).await
            }

            async fn complete_multipart_upload(
                &self,
                request: S3Request<dto::CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
                let _turn = self.turn(&request.input.bucket, &request.input.key)?;
                self.check_parts(&request.input)?;
                self.files.complete_multipart_upload(request).await
            }

            async fn upload_part(
                &self,
                request: S3Request<dto::UploadPartInput>,
            ) -> S3Result<S3Response<dto::UploadPartOutput>> {
                let name = (request.input.upload_id.clone(), request.input.part_number);
                let sent = self.files.upload_part(request).await?;
                if let Some(tag) = sent.output.e_tag.clone() {
                    self.parts.lock().expect("no holder panics").insert(name, tag);
                }
                Ok(sent)
            }

            async fn get_object(
                &self,
                mut request: S3Request<dto::GetObjectInput>,
            ) -> S3Result<S3Response<dto::GetObjectOutput>> {
                let wanted = request.input.if_match.take();
                let key = request.input.key.clone();
                let found = self.files.get_object(request).await?;
                if let Some(dto::ETagCondition::ETag(wanted)) = wanted
                    && !found.output.e_tag.as_ref().is_some_and(|tag| tag.strong_cmp(&wanted))
                {
                    return Err(s3_error!(PreconditionFailed, "it is another object now"));
                }
                let bytes = found.output.content_length.unwrap_or(0);
                let mut reads = self.reads.lock().expect("no holder panics");
                writeln!(reads, "{bytes} {key}").expect("its folder can be written");
                Ok(found)
            }

            $(async fn $method(
                &self,
                request: S3Request<dto::$input>,
            ) -> S3Result<S3Response<dto::$output>> {
                self.files.$method(request).await
            })+
        }
    };
}

pass_on! {
    copy_object CopyObjectInput CopyObjectOutput,
    head_object HeadObjectInput HeadObjectOutput,
    delete_object DeleteObjectInput DeleteObjectOutput,
    list_objects_v2 ListObjectsV2Input ListObjectsV2Output,
    create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput,
    abort_multipart_upload AbortMultipartUploadInput AbortMultipartUploadOutput,
}

struct Door {
    busy: PathBuf,
}

#[async_trait::async_trait]
impl S3Access for Door {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if self.busy.exists() {
            return Err(s3_error!(SlowDown));
        }
        match context.credentials() {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied)),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(folder)) = (args.next(), args.next()) else {
        return Err("s3 ADDRESS FOLDER".into());
    };
    let busy = Path::new(&folder).with_file_name(S3::BUSY);
    let reads = Path::new(&folder).with_file_name(S3::READS);
    let reads = Mutex::new(File::options().append(true).create(true).open(reads)?);
    let files = FileSystem::new(&folder).map_err(|e| format!("{e:?}"))?;
    let writing = Mutex::default();
    let mut service = S3ServiceBuilder::new(Files {
        files,
        writing,
        parts: Mutex::default(),
        folder: folder.into(),
        reads,
    });
    service.set_auth(SimpleAuth::from_single(S3::KEY_ID, S3::SECRET));
    service.set_access(Door { busy });
    let service = service.build();
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            // Clients go as they like.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
