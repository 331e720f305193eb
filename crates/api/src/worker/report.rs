//! What a worker reports, looked at before the store is told: blobs of its own attempt, with an address given by us and
//! bytes that are really there.

use super::permit::{Permit, was_addressed, was_told};
use crate::Context;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mediaflow_core::{ErrorCode, FailureKind};
use mediaflow_engine::blob::{BlobError, BlobKey};
use mediaflow_engine::store::{NewBlob, Output, RenditionBlob, Report};
use mediaflow_proto::worker::v1 as proto;
use mediaflow_via::codec::{self, Malformed};
use mediaflow_via::refusal;
use proto::report_request::Report as Said;
use tonic::{Code, Status};

/// Blobs that are looked at together.
const TOGETHER: usize = 16;

/// The report in our own words.
pub(super) async fn checked(
    context: &Context,
    permit: &Permit,
    said: Option<Said>,
) -> Result<Report, Status> {
    let said = said.ok_or_else(|| super::service::malformed(Malformed("report")))?;
    if let Said::Succeeded(output) = &said {
        sealed(context, permit, output)?;
    }
    let mut report = codec::report(said).map_err(super::service::malformed)?;
    match &mut report {
        Report::Succeeded(output) => {
            for rendition in &mut output.renditions {
                rendition.derivation = permit.derivation(rendition.derivation);
            }
            are_there(context, output).await?;
        }
        // That a worker vanished is the sweeper's to say.
        Report::Failed(failure) if failure.kind == FailureKind::Lost => {
            failure.kind = FailureKind::Transient;
        }
        Report::Failed(_) | Report::HandedBack => {}
    }
    Ok(report)
}

/// Whether every blob was given an address or told, for this lease.
fn sealed(context: &Context, permit: &Permit, output: &proto::Output) -> Result<(), Status> {
    use proto::new_rendition::Source;
    let (mut written, mut told) = (Vec::new(), Vec::new());
    for rendition in &output.renditions {
        match &rendition.source {
            Some(Source::Written(new)) => written.push(new),
            Some(Source::Existing(row)) => told.push(row),
            None => {}
        }
    }
    written.extend(output.tracks.iter().filter_map(|t| t.init.as_ref()));
    written.extend(output.segments.iter().filter_map(|s| s.blob.as_ref()));
    written.extend(output.captions.iter().filter_map(|c| c.blob.as_ref()));
    written.extend(&output.pieces);
    for message in written {
        let new = codec::written(message).map_err(super::service::malformed)?;
        if !is_own(permit, &new.key) || !was_addressed(&context.signer, &new, &message.seal) {
            let text = format!(
                "no address was given to write `{}` with these bytes",
                new.key
            );
            return Err(refusal(
                Code::InvalidArgument,
                ErrorCode::RequestInvalid,
                text,
            ));
        }
    }
    for message in told {
        let row = codec::blob(message).map_err(super::service::malformed)?;
        if !was_told(&context.signer, permit.lease, &row, &message.seal) {
            let text = format!("the blob {} was not told for this lease", row.id);
            return Err(refusal(
                Code::InvalidArgument,
                ErrorCode::RequestInvalid,
                text,
            ));
        }
    }
    Ok(())
}

/// Whether the key is one of this attempt's, in its one way of writing.
pub(super) fn is_own(permit: &Permit, key: &str) -> bool {
    let number = key.rsplit('-').next().and_then(|n| n.parse().ok());
    let (task, fence) = (permit.lease.task.0, permit.lease.fence);
    number.is_some_and(|n| BlobKey::output(task, fence, n).as_str() == key)
}

async fn are_there(context: &Context, output: &Output) -> Result<(), Status> {
    let renditions = output.renditions.iter().filter_map(|r| match &r.blob {
        RenditionBlob::New(new) => Some(new),
        RenditionBlob::Existing(_) => None,
    });
    let all = renditions
        .chain(output.tracks.iter().map(|t| &t.init))
        .chain(output.segments.iter().map(|s| &s.blob))
        .chain(output.captions.iter().map(|c| &c.blob))
        .chain(&output.pieces);
    let looks: Vec<_> = all.map(|new| is_there(context, new)).collect();
    let together = stream::iter(looks).buffer_unordered(TOGETHER);
    together.try_collect::<Vec<()>>().await.map(drop)
}

async fn is_there(context: &Context, new: &NewBlob) -> Result<(), Status> {
    let key: BlobKey = new
        .key
        .parse()
        .map_err(|_| super::service::malformed(Malformed("written.key")))?;
    let found = match context.engine.blobs().open(&key, 0, 0).await {
        Ok(found) => Some(found.bytes()),
        Err(BlobError::NotFound(_)) => None,
        Err(error) => return Err(super::bytes::unavailable(&error)),
    };
    match found == Some(new.bytes) {
        true => Ok(()),
        false => {
            let text = format!("`{key}` was not written, or not with {} bytes", new.bytes);
            Err(refusal(Code::Aborted, ErrorCode::StorageCorrupt, text))
        }
    }
}
