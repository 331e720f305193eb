//! `/v1/storage`: how much is kept and of what, what deduplication saves, and what the collector will free.

use crate::Shared;
use crate::access::MayOperate;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_engine::Stock;
use mediaflow_engine::store::{Amount, Held};
use serde::Serialize;
use utoipa::ToSchema;

/// What is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Storage)]
pub(crate) struct StorageView {
    /// The last whole count; null before the first has ended.
    stock: Option<StockView>,
    /// Another count is under way; null while none is. Ask again to see its result.
    counting: Option<CountingView>,
    /// Free where originals and renditions are; null in an object store.
    free_bytes: Option<u64>,
    /// With less than this free uploads are refused.
    free_bytes_min: u64,
    /// How long the collector leaves what nothing refers to any more, in seconds.
    unreferenced_s: u64,
}

/// A count under way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountingView {
    /// Assets so far, about.
    assets: u64,
}

/// What was kept when it was counted. A count takes its time, so that what changed meanwhile is in it or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StockView {
    #[schema(value_type = String, format = DateTime)]
    measured_at: String,
    /// How long the count took.
    took_s: f64,
    /// By kind, sort and format. Equal files are stored once and count here for each asset that has them.
    held: Vec<HeldView>,
    /// All files as they are stored, each once.
    stored: AmountView,
    /// Bytes that would be stored as well if equal files were not stored once.
    saved_bytes: u64,
    /// What nothing refers to any more; the collector takes it after its grace time.
    unreferenced: AmountView,
    /// What the collector is about to delete.
    condemned: AmountView,
    /// Of uploads that are not whole yet.
    arriving: AmountView,
    /// What this installation keeps for itself, such as the watermark.
    own: AmountView,
    /// The database itself.
    database_bytes: u64,
}

/// What assets have of one sort and format.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Held)]
pub(crate) struct HeldView {
    /// Of the assets: `image`, `video` or `audio`.
    kind: &'static str,
    /// `original`, `rendition`, `stream`, `captions` or `piece` (what tasks make of a film for each other).
    sort: &'static str,
    /// `avif`, `cmaf`, ...; of originals the media type.
    format: String,
    /// Of a stream under way the segments that are planned.
    files: u64,
    bytes: u64,
}

/// Files, and their bytes together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Amount)]
pub(crate) struct AmountView {
    files: u64,
    bytes: u64,
}

impl From<Amount> for AmountView {
    fn from(amount: Amount) -> Self {
        Self {
            files: amount.files,
            bytes: amount.bytes,
        }
    }
}

impl From<&Held> for HeldView {
    fn from(held: &Held) -> Self {
        Self {
            kind: held.kind.as_str(),
            sort: held.sort.as_str(),
            format: held.format.clone(),
            files: held.amount.files,
            bytes: held.amount.bytes,
        }
    }
}

impl From<&Stock> for StockView {
    fn from(stock: &Stock) -> Self {
        Self {
            measured_at: stock.measured_at.to_string(),
            took_s: stock.took.as_secs_f64(),
            held: stock.held.iter().map(HeldView::from).collect(),
            stored: stock.shelved.live.into(),
            saved_bytes: stock.saved_bytes(),
            unreferenced: stock.unreferenced.into(),
            condemned: stock.shelved.condemned.into(),
            arriving: stock.aside.arriving.into(),
            own: stock.aside.pinned.into(),
            database_bytes: stock.aside.database_bytes,
        }
    }
}

/// How much is kept, and of what.
///
/// It is counted when somebody asks, at most once a minute, and with many assets in the background: then `counting` is set, and the
/// answer has the count before.
#[utoipa::path(
    get, path = "/v1/storage", operation_id = "getStorage", tag = "storage",
    responses(
        (status = 200, body = StorageView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get(
    State(context): State<Shared>,
    _: MayOperate,
    _: NoParams,
) -> Result<Answer<StorageView>, Problem> {
    let engine = &context.engine;
    let counted = engine.stock().await?;
    Ok(Answer(StorageView {
        stock: counted.stock.as_deref().map(StockView::from),
        counting: counted.counting.map(|assets| CountingView { assets }),
        free_bytes: engine.blobs().free_bytes()?,
        free_bytes_min: engine.limits().free_bytes_min,
        unreferenced_s: engine.retention().unreferenced_s,
    }))
}
