//! A form with a file on its way in.

use crate::Context;
use crate::access::Caller;
use crate::arriving::{Arriving, Budget, Interrupted};
use crate::params::Params;
use crate::problem::invalid;
use crate::routes::upload::said;
use mediaflow_core::ErrorCode;
use mediaflow_engine::{EngineError, Receipt, Upload};
use multer::{Field, Multipart};
use std::time::Duration;
use tokio::time::timeout;

/// All fields of a form but the file.
const FIELDS_BYTES_MAX: usize = 256 << 10;
/// What a form may send between two of its parts: boundaries, headers, fields and what is buffered ahead.
const BETWEEN_BYTES_MAX: u64 = 2 << 20;

/// A form on its way in: its parts come in the order that the client likes.
pub(crate) struct Form<'a> {
    context: &'a Context,
    budget: Budget,
    boundary: String,
    params: Params,
    bytes: usize,
}

impl<'a> Form<'a> {
    pub(crate) fn new(
        context: &'a Context,
        budget: Budget,
        boundary: String,
        params: Params,
    ) -> Self {
        Self {
            context,
            budget,
            boundary,
            params,
            bytes: 0,
        }
    }

    pub(crate) async fn accept(
        mut self,
        caller: &Caller,
        mut upload: Upload,
        body: Arriving,
    ) -> Result<Receipt, EngineError> {
        let engine = &self.context.engine;
        let (bytes_max, says) = engine.bytes_max(&upload.bounds);
        if upload.length.take() > Some(bytes_max.saturating_add(BETWEEN_BYTES_MAX)) {
            let text = format!("the body is larger than {bytes_max} bytes ({says})");
            return Err(EngineError::new(ErrorCode::LimitBytes, text));
        }
        let mut parts = Multipart::new(body, std::mem::take(&mut self.boundary));
        let Some(file) = self.fields_until_file(&mut parts).await? else {
            return Err(invalid("the form has no part `file`"));
        };
        upload.filename = file.file_name().map(str::to_owned);
        // What was said before the file is refused before it is read.
        let upload = caller.shaped(said(self.params.clone(), upload)?);
        self.budget.lift();
        engine
            .accept_then(caller.tenant, upload, file, |upload| {
                self.rest(caller, parts, upload)
            })
            .await
    }

    /// The parts after the file.
    async fn rest(
        mut self,
        caller: &Caller,
        mut parts: Multipart<'static>,
        upload: Upload,
    ) -> Result<Upload, EngineError> {
        if self.fields_until_file(&mut parts).await?.is_some() {
            return Err(invalid("the form has more than one part `file`"));
        }
        said(self.params, upload).map(|upload| caller.shaped(upload))
    }

    async fn fields_until_file(
        &mut self,
        parts: &mut Multipart<'static>,
    ) -> Result<Option<Field<'static>>, EngineError> {
        let idle = Duration::from_secs(self.context.engine.limits().idle_s_max);
        let reading = async {
            loop {
                self.budget.set(BETWEEN_BYTES_MAX);
                let Some(field) = parts.next_field().await.map_err(broken)? else {
                    return Ok(None);
                };
                match field.name() {
                    Some("file") => return Ok(Some(field)),
                    Some(name) => {
                        let name = name.to_owned();
                        let text = self.text(&name, field).await?;
                        self.params.add(name, text);
                    }
                    None => return Err(invalid("a part of the form has no name")),
                }
            }
        };
        let late = || EngineError::new(ErrorCode::RequestTimeout, "the body stopped arriving");
        timeout(idle, reading).await.map_err(|_| late())?
    }

    async fn text(&mut self, name: &str, mut field: Field<'static>) -> Result<String, EngineError> {
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            self.bytes += piece.len();
            if self.bytes > FIELDS_BYTES_MAX {
                let text = format!("the form's fields have more than {FIELDS_BYTES_MAX} bytes");
                return Err(EngineError::new(ErrorCode::LimitMetadata, text));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).map_err(|_| invalid(format!("`{name}` is not UTF-8")))
    }
}

fn broken(error: multer::Error) -> EngineError {
    use multer::Error::{
        IncompleteFieldData, IncompleteHeaders, IncompleteStream, StreamReadFailed,
    };
    match &error {
        StreamReadFailed(inner) if matches!(inner.downcast_ref(), Some(Interrupted::Chatter)) => {
            EngineError::new(ErrorCode::LimitMetadata, inner.to_string())
        }
        IncompleteFieldData { .. } | IncompleteHeaders | IncompleteStream | StreamReadFailed(_) => {
            EngineError {
                code: ErrorCode::InputInterrupted,
                message: "the form ended early; nothing was kept".into(),
                reason: Some(Box::new(error)),
            }
        }
        other => invalid(format!("the form cannot be read: {other}")),
    }
}
