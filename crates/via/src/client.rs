//! The worker's side: everything that a worker needs, asked of the API.

use crate::addresses::OfLease;
use crate::caller::{Caller, ViaError, ViaOptions, described_source};
use crate::codec::{self, Malformed, Misfit};
use crate::held::{Held, Leases};
use crate::status::{described, engine_error, store_error};
use async_trait::async_trait;
use mediaflow_core::{ErrorCode, Failure, Sha256, WorkerId};
use mediaflow_engine::blob::{AddressedBlobs, Blobs};
use mediaflow_engine::broker::Broker;
use mediaflow_engine::store::{
    BlobRow, Capacity, Claimed, Lease, Presence, RenditionRecord, Report, Reusable, StoreError,
    Track, Wish,
};
use mediaflow_engine::{Depot, EngineError};
use mediaflow_proto::worker::v1 as proto;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::{Code, Status};
use uuid::Uuid;

/// The pause before listening again; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// An API that has taken the key.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Of its program.
    pub version: String,
    /// The key's name.
    pub key_name: String,
}

/// The API as a depot.
pub struct Via {
    caller: Caller,
    bytes: AddressedBlobs,
    held: Arc<Leases>,
    ready: watch::Receiver<u64>,
}

impl Via {
    /// Begins to listen for what becomes ready. Must be called in a runtime.
    ///
    /// # Errors
    /// When the address or the key can be none; whether they are taken, only [`Self::hello`] finds out.
    pub fn new(options: &ViaOptions) -> Result<Self, ViaError> {
        let caller = Caller::new(options)?;
        let (bell, ready) = watch::channel(0);
        tokio::spawn(listen(caller.clone(), bell));
        Ok(Self {
            caller,
            bytes: AddressedBlobs::new(&options.roots).map_err(ViaError::Unusable)?,
            held: Arc::default(),
            ready,
        })
    }

    /// Asks whether the API takes this worker.
    ///
    /// # Errors
    /// What it says.
    pub async fn hello(&self) -> Result<Connected, ViaError> {
        let request = proto::HelloRequest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let answer = self.caller.client().hello(self.caller.ask(request)).await;
        let answer = answer.map_err(|status| {
            let (url, reason) = (self.caller.base().to_owned(), described_source(&status));
            match status.code() {
                Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                    ViaError::Refused { url, reason }
                }
                _ => ViaError::Unreachable { url, reason },
            }
        })?;
        let proto::HelloResponse { version, key_name } = answer.into_inner();
        Ok(Connected { version, key_name })
    }

    fn held(&self, lease: Lease) -> Result<Arc<Held>, StoreError> {
        self.held.of(lease).ok_or(StoreError::StaleFence)
    }

    fn lease_request(held: &Held) -> proto::LeaseRequest {
        proto::LeaseRequest {
            lease: Some(held.lease.clone()),
        }
    }

    /// Holds what was claimed, and gives back what is not understood.
    async fn take(&self, told: proto::Tasks) -> Vec<Claimed> {
        let (recipes, settings) = (frozen(&told.recipes), frozen(&told.settings));
        let mut tasks = Vec::with_capacity(told.tasks.len());
        for message in &told.tasks {
            match codec::task(message, &recipes, &settings) {
                Ok(task) => {
                    self.held.hold(task.lease, message);
                    tasks.push(task);
                }
                Err(misfit) => self.give_back(misfit).await,
            }
        }
        tasks
    }

    async fn give_back(&self, misfit: Option<Misfit>) {
        let Some(Misfit { lease, reason }) = misfit else {
            return;
        };
        tracing::warn!(%reason, "a task is not understood; this worker and the API are of different versions");
        let text = "the worker does not understand the task; update it";
        let failure = Failure::deferred(ErrorCode::Internal, text);
        let report = codec::report_message(
            &Report::Failed(failure),
            |_| proto::NewBlob::default(),
            |_| None,
        );
        let request = proto::ReportRequest {
            lease: Some(lease),
            report: report.ok(),
            offer: None,
        };
        let given = self.caller.client().report(self.caller.ask(request)).await;
        if let Err(status) = given {
            tracing::warn!(%status, "it could not be given back; its lease will expire");
        }
    }

    async fn send(
        &self,
        held: &Held,
        report: &Report,
        offer: Option<&Capacity>,
    ) -> Result<proto::Tasks, Status> {
        let message = codec::report_message(report, |b| held.written(b), |id| held.row_of(id));
        let message = message.map_err(|e| Status::invalid_argument(e.to_string()))?;
        let request = proto::ReportRequest {
            lease: Some(held.lease.clone()),
            report: Some(message),
            offer: offer.map(codec::capacity_message),
        };
        let answer = self.caller.client().report(self.caller.ask(request)).await;
        answer.map(tonic::Response::into_inner)
    }
}

/// What tasks are frozen with; nothing where this program does not understand it.
fn frozen<T: serde::de::DeserializeOwned>(texts: &[String]) -> Vec<Option<Arc<T>>> {
    let read = |text: &String| serde_json::from_str(text).ok().map(Arc::new);
    texts.iter().map(read).collect()
}

/// Rings while somebody listens. What was missed while nobody answered is made up for by ringing once.
async fn listen(caller: Caller, bell: watch::Sender<u64>) {
    let mut pause = PAUSE;
    loop {
        let request = caller.open(proto::ReadyRequest {});
        let mut client = caller.client();
        let heard = async {
            let mut rings = client.ready(request).await?.into_inner();
            loop {
                bell.send_modify(|n| *n += 1);
                pause = PAUSE;
                if rings.message().await?.is_none() {
                    return Ok::<(), Status>(());
                }
            }
        };
        tokio::select! {
            () = bell.closed() => return,
            ended = heard => if let Err(status) = ended {
                tracing::debug!(%status, "the API is not listened to at this moment");
            },
        }
        tokio::select! {
            () = bell.closed() => return,
            () = tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn garbled(error: Malformed) -> StoreError {
    StoreError::Unavailable(format!("the API's answer cannot be read: {error}").into())
}

#[async_trait]
impl Depot for Via {
    fn on_ready(&self) -> watch::Receiver<u64> {
        self.ready.clone()
    }

    fn broker(&self) -> Option<&Broker> {
        None
    }

    async fn claim(&self, request: Uuid, capacity: &Capacity) -> Result<Vec<Claimed>, StoreError> {
        let request = proto::ClaimRequest {
            request: request.as_bytes().to_vec(),
            capacity: Some(codec::capacity_message(capacity)),
        };
        let answer = self.caller.client().claim(self.caller.ask(request)).await;
        Ok(self.take(answer.map_err(store_error)?.into_inner()).await)
    }

    async fn heartbeat(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, StoreError> {
        let held = leases.iter().map(|l| (*l, self.held.of(*l)));
        let (known, unknown): (Vec<_>, Vec<_>) = held.partition(|(_, held)| held.is_some());
        let known: Vec<_> = known
            .into_iter()
            .filter_map(|(l, held)| Some((l, held?)))
            .collect();
        let request = proto::HeartbeatRequest {
            leases: known.iter().map(|(_, held)| held.lease.clone()).collect(),
            lease_ms: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        };
        let mut client = self.caller.client();
        let answer = client.heartbeat(self.caller.ask(request)).await;
        let lost = answer.map_err(store_error)?.into_inner().lost;
        let lost = lost.into_iter().filter_map(|at| known.get(at as usize));
        let lost = lost.map(|(lease, _)| *lease);
        Ok(lost.chain(unknown.iter().map(|(l, _)| *l)).collect())
    }

    async fn report(
        &self,
        lease: Lease,
        report: Report,
        offer: Option<&Capacity>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let held = self.held(lease)?;
        let mut answer = self.send(&held, &report, offer).await;
        if let (Err(status), Report::Succeeded(_)) = (&answer, &report)
            && matches!(status.code(), Code::InvalidArgument | Code::OutOfRange)
        {
            // It would be refused for ever, while heartbeats keep the task.
            let text = format!("the API refused the report: {}", described(status));
            let failure = Report::Failed(Failure::permanent(ErrorCode::Internal, text));
            answer = self.send(&held, &failure, offer).await;
        }
        let answer = answer.map_err(store_error);
        if matches!(answer, Ok(_) | Err(StoreError::StaleFence)) {
            self.held.forget(lease);
        }
        Ok(self.take(answer?).await)
    }

    async fn present(&self, worker: &Presence) -> Result<Wish, StoreError> {
        let request = codec::presence_message(worker);
        let answer = self.caller.client().present(self.caller.ask(request)).await;
        let wish = answer.map_err(store_error)?.into_inner().wish;
        Ok(Wish::parse(&wish).unwrap_or_default())
    }

    async fn leave(&self, worker: WorkerId) -> Result<(), StoreError> {
        let request = proto::LeaveRequest {
            worker: worker.as_bytes().to_vec(),
        };
        let answer = self.caller.client().leave(self.caller.ask(request)).await;
        answer.map(drop).map_err(store_error)
    }

    async fn reusable(
        &self,
        task: &Claimed,
        derivations: &[Sha256],
    ) -> Result<Vec<(Sha256, Reusable)>, StoreError> {
        let held = self.held(task.lease)?;
        let request = proto::ReusableRequest {
            lease: Some(held.lease.clone()),
            derivations: derivations.iter().map(|d| d.0.to_vec()).collect(),
        };
        let mut client = self.caller.client();
        let answer = client.reusable(self.caller.ask(request)).await;
        let found = answer.map_err(store_error)?.into_inner().found;
        let found = found.iter().map(|message| {
            held.learn(message.blob.as_ref());
            codec::reusable(message)
        });
        found.collect::<Result<_, _>>().map_err(garbled)
    }

    async fn recorded(
        &self,
        task: &Claimed,
    ) -> Result<Vec<(RenditionRecord, BlobRow)>, StoreError> {
        let held = self.held(task.lease)?;
        let request = self.caller.ask(Self::lease_request(&held));
        let answer = self.caller.client().recorded(request).await;
        let found = answer.map_err(store_error)?.into_inner().renditions;
        let found = found.iter().map(|message| {
            held.learn(message.blob.as_ref());
            codec::recorded(message, task.generation)
        });
        found.collect::<Result<_, _>>().map_err(garbled)
    }

    async fn made(
        &self,
        task: &Claimed,
    ) -> Result<Vec<(Track, BlobRow, Vec<BlobRow>)>, StoreError> {
        let held = self.held(task.lease)?;
        let request = self.caller.ask(Self::lease_request(&held));
        let answer = self.caller.client().made(request).await;
        let mut parts = answer.map_err(store_error)?.into_inner();
        let mut made = Vec::new();
        while let Some(part) = parts.message().await.map_err(store_error)? {
            held.learn(part.track.as_ref().and_then(|t| t.init.as_ref()));
            for segment in &part.segments {
                held.learn(segment.blob.as_ref());
            }
            codec::made(&part, &mut made).map_err(garbled)?;
        }
        Ok(made)
    }

    async fn pieces(&self, task: &Claimed) -> Result<Vec<BlobRow>, StoreError> {
        let held = self.held(task.lease)?;
        let request = self.caller.ask(Self::lease_request(&held));
        let answer = match self.caller.client().pieces(request).await {
            // An older API keeps none, and whoever asks can do without.
            Err(status) if status.code() == Code::Unimplemented => return Ok(Vec::new()),
            answer => answer.map_err(store_error)?.into_inner(),
        };
        let blobs = answer.blobs.iter().map(|message| {
            held.learn(Some(message));
            codec::blob(message)
        });
        blobs.collect::<Result<_, _>>().map_err(garbled)
    }

    async fn found(&self, task: &Claimed, operation: &str) -> Result<Option<Value>, StoreError> {
        let held = self.held(task.lease)?;
        let request = proto::FoundRequest {
            lease: Some(held.lease.clone()),
            operation: operation.to_owned(),
        };
        let answer = self.caller.client().found(self.caller.ask(request)).await;
        let facts = answer.map_err(store_error)?.into_inner().facts;
        let facts = facts.map(|text| serde_json::from_str(&text));
        facts.transpose().map_err(|_| garbled(Malformed("facts")))
    }

    async fn mark(&self, task: &Claimed, sha256: Sha256) -> Result<Option<BlobRow>, StoreError> {
        let held = self.held(task.lease)?;
        let request = proto::MarkRequest {
            lease: Some(held.lease.clone()),
            sha256: sha256.0.to_vec(),
        };
        let answer = self.caller.client().mark(self.caller.ask(request)).await;
        let row = answer.map_err(store_error)?.into_inner().blob;
        held.learn(row.as_ref());
        let row = row.as_ref().map(codec::blob);
        row.transpose().map_err(garbled)
    }

    async fn warm(&self, task: &Claimed) -> Result<Option<usize>, EngineError> {
        let held = self.held(task.lease)?;
        let request = self.caller.open(Self::lease_request(&held));
        let answer = self.caller.client().warm(request).await;
        let warmed = answer.map_err(engine_error)?.into_inner().warmed;
        Ok(warmed.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
    }

    fn blobs(&self, lease: Lease) -> Blobs {
        let addresses = OfLease {
            caller: self.caller.clone(),
            leases: Arc::clone(&self.held),
            lease,
        };
        self.bytes.through(Arc::new(addresses)).into()
    }
}
