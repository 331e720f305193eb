//! The calls: who asks, with which lease, and what the store says to it.

use super::bytes::{is_held, to_read, to_write};
use super::permit::{Permit, seal_row};
use super::report::checked;
use crate::Shared;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use mediaflow_core::{ErrorCode, KeyId, Sha256};
use mediaflow_engine::store::{Claimed, Wish};
use mediaflow_proto::worker::v1 as proto;
use mediaflow_via::codec::{self, Malformed};
use mediaflow_via::{MESSAGE_BYTES_MAX, refusal, store_status};
use proto::worker_server::{Worker, WorkerServer};
use std::time::Duration;
use tonic::{Code, Request, Response, Status};

/// Leases of one heartbeat, derivations of one question, blobs of one answer.
const ITEMS_MAX: usize = 10_000;
/// Rings do not follow each other faster.
const BETWEEN_RINGS: Duration = Duration::from_millis(5);
/// After this a listener asks again, and its key is looked at again.
const LISTEN_MAX: Duration = Duration::from_secs(300);

/// Answers workers.
pub(crate) struct WorkerService(Shared);

/// Who asks.
struct Key {
    id: KeyId,
    name: String,
}

type Answer<T> = Result<Response<T>, Status>;

impl WorkerService {
    /// As a service of HTTP/2.
    pub(crate) fn server(context: Shared) -> WorkerServer<Self> {
        WorkerServer::new(Self(context))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    async fn key<T>(&self, request: &Request<T>) -> Result<Key, Status> {
        let header = request.metadata().get("authorization");
        let header = header.and_then(|value| value.to_str().ok());
        let caller = self.0.access.worker(header).await.map_err(|problem| {
            let code = match problem.code() {
                ErrorCode::AuthMissing | ErrorCode::AuthInvalid => Code::Unauthenticated,
                ErrorCode::AuthScope => Code::PermissionDenied,
                _ => Code::Unavailable,
            };
            refusal(code, problem.code(), problem.detail())
        })?;
        let (id, name) = caller;
        Ok(Key { id, name })
    }

    async fn permit<T>(
        &self,
        request: &Request<T>,
        lease: Option<&proto::Lease>,
    ) -> Result<Permit, Status> {
        let key = self.key(request).await?;
        self.opened(lease, &key)
    }

    fn opened(&self, lease: Option<&proto::Lease>, key: &Key) -> Result<Permit, Status> {
        let lease = lease.ok_or_else(|| malformed(Malformed("lease")))?;
        Permit::open(&self.0.signer, lease, key.id).map_err(|_| {
            let text = "the lease was not given to this key";
            refusal(Code::PermissionDenied, ErrorCode::AuthScope, text)
        })
    }

    /// The permit of a lease that was not taken away.
    async fn held<T>(
        &self,
        request: &Request<T>,
        lease: Option<&proto::Lease>,
    ) -> Result<Permit, Status> {
        let permit = self.permit(request, lease).await?;
        is_held(&self.0, &permit).await?;
        Ok(permit)
    }

    fn tasks(&self, claimed: &[Claimed], key: &Key) -> proto::Tasks {
        let signer = &self.0.signer;
        codec::tasks_message(
            claimed,
            |task| Permit::of(task, key.id).seal(signer),
            |lease, row| seal_row(signer, lease, row),
        )
    }
}

/// What cannot be read will not be read the next time either.
pub(super) fn malformed(error: Malformed) -> Status {
    refusal(
        Code::InvalidArgument,
        ErrorCode::RequestInvalid,
        error.to_string(),
    )
}

fn bounded<T>(items: &[T]) -> Result<(), Status> {
    match items.len() > ITEMS_MAX {
        true => Err(malformed(Malformed("more than 10000 items"))),
        false => Ok(()),
    }
}

#[tonic::async_trait]
impl Worker for WorkerService {
    async fn hello(&self, request: Request<proto::HelloRequest>) -> Answer<proto::HelloResponse> {
        let key = self.key(&request).await?;
        Ok(Response::new(proto::HelloResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key_name: key.name,
        }))
    }

    type ReadyStream = BoxStream<'static, Result<proto::ReadyResponse, Status>>;

    async fn ready(&self, request: Request<proto::ReadyRequest>) -> Answer<Self::ReadyStream> {
        self.key(&request).await?;
        let ready = self.0.engine.store().on_ready();
        let stopping = self.0.stopping.clone();
        let rings = stream::unfold((ready, stopping), |(mut ready, stopping)| async move {
            tokio::time::sleep(BETWEEN_RINGS).await;
            tokio::select! {
                rung = ready.changed() => rung.ok()?,
                () = stopping.cancelled() => return None,
            }
            Some((Ok(proto::ReadyResponse {}), (ready, stopping)))
        });
        let rings = rings.take_until(tokio::time::sleep(LISTEN_MAX));
        Ok(Response::new(rings.boxed()))
    }

    async fn claim(&self, request: Request<proto::ClaimRequest>) -> Answer<proto::Tasks> {
        let key = self.key(&request).await?;
        let request = request.into_inner();
        let id = codec::id(&request.request, "request").map_err(malformed)?;
        let capacity = request.capacity.as_ref();
        let capacity = capacity.ok_or_else(|| malformed(Malformed("capacity")))?;
        let capacity = codec::capacity(capacity, &key.name).map_err(malformed)?;
        let store = self.0.engine.store();
        let claimed = store.claim(id, &capacity).await.map_err(store_status)?;
        Ok(Response::new(self.tasks(&claimed, &key)))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Answer<proto::HeartbeatResponse> {
        let key = self.key(&request).await?;
        let request = request.into_inner();
        bounded(&request.leases)?;
        let leases = request.leases.iter().map(|lease| {
            let permit = self.opened(Some(lease), &key)?;
            Ok(permit.lease)
        });
        let leases = leases.collect::<Result<Vec<_>, Status>>()?;
        let time = codec::lease_time(request.lease_ms);
        let lost = self.0.engine.store().heartbeat(&leases, time).await;
        let lost = lost.map_err(store_status)?;
        let places = leases.iter().zip(0..).filter(|(l, _)| lost.contains(l));
        Ok(Response::new(proto::HeartbeatResponse {
            lost: places.map(|(_, place)| place).collect(),
        }))
    }

    async fn report(&self, request: Request<proto::ReportRequest>) -> Answer<proto::Tasks> {
        let key = self.key(&request).await?;
        let request = request.into_inner();
        let permit = self.opened(request.lease.as_ref(), &key)?;
        let offer = request.offer.as_ref();
        let offer = offer.map(|capacity| codec::capacity(capacity, &key.name));
        let offer = offer.transpose().map_err(malformed)?;
        let report = checked(&self.0, &permit, request.report).await?;
        let store = self.0.engine.store();
        let offered = store.report(permit.lease, report, offer.as_ref()).await;
        let offered = offered.map_err(store_status)?;
        Ok(Response::new(self.tasks(&offered, &key)))
    }

    async fn present(
        &self,
        request: Request<proto::PresentRequest>,
    ) -> Answer<proto::PresentResponse> {
        let key = self.key(&request).await?;
        let presence = codec::presence(request.get_ref(), &key.name).map_err(malformed)?;
        let wish: Wish = self
            .0
            .engine
            .store()
            .present(&presence)
            .await
            .map_err(store_status)?;
        Ok(Response::new(proto::PresentResponse {
            wish: wish.as_str().to_owned(),
        }))
    }

    async fn leave(&self, request: Request<proto::LeaveRequest>) -> Answer<proto::LeaveResponse> {
        self.key(&request).await?;
        let worker = codec::id(&request.get_ref().worker, "worker").map_err(malformed)?;
        let left = self.0.engine.store().leave(worker).await;
        left.map_err(store_status)?;
        Ok(Response::new(proto::LeaveResponse {}))
    }

    async fn reusable(
        &self,
        request: Request<proto::ReusableRequest>,
    ) -> Answer<proto::ReusableResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let told = &request.get_ref().derivations;
        bounded(told)?;
        let told = told.iter().map(|d| codec::sha256(d, "derivation"));
        let told: Vec<Sha256> = told.collect::<Result<_, _>>().map_err(malformed)?;
        let ours: Vec<Sha256> = told.iter().map(|d| permit.derivation(*d)).collect();
        let store = self.0.engine.store();
        let found = store.reusable(permit.tenant, &ours).await;
        let found = found.map_err(store_status)?;
        let found = found.iter().filter_map(|(derivation, found)| {
            let place = ours.iter().position(|d| d == derivation)?;
            let seal = seal_row(&self.0.signer, permit.lease, &found.blob);
            Some(codec::reusable_message(told[place], found, seal))
        });
        Ok(Response::new(proto::ReusableResponse {
            found: found.collect(),
        }))
    }

    async fn recorded(
        &self,
        request: Request<proto::LeaseRequest>,
    ) -> Answer<proto::RecordedResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let store = self.0.engine.store();
        let found = store.recorded(permit.asset, permit.generation).await;
        let found = found.map_err(store_status)?;
        let renditions = found.iter().map(|(record, row)| {
            let seal = seal_row(&self.0.signer, permit.lease, row);
            codec::recorded_message(record, row, seal)
        });
        Ok(Response::new(proto::RecordedResponse {
            renditions: renditions.collect(),
        }))
    }

    type MadeStream = BoxStream<'static, Result<proto::MadeResponse, Status>>;

    async fn made(&self, request: Request<proto::LeaseRequest>) -> Answer<Self::MadeStream> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let store = self.0.engine.store();
        let made = store.made(permit.asset, permit.generation).await;
        let made = made.map_err(store_status)?;
        let seal = |row: &_| seal_row(&self.0.signer, permit.lease, row);
        let parts = codec::made_messages(&made, seal);
        Ok(Response::new(
            stream::iter(parts.into_iter().map(Ok)).boxed(),
        ))
    }

    async fn pieces(&self, request: Request<proto::LeaseRequest>) -> Answer<proto::PiecesResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let store = self.0.engine.store();
        let pieces = store.pieces(permit.asset, permit.generation).await;
        let pieces = pieces.map_err(store_status)?;
        let blobs = pieces.iter().map(|row| {
            let seal = seal_row(&self.0.signer, permit.lease, row);
            codec::blob_message(row, seal)
        });
        Ok(Response::new(proto::PiecesResponse {
            blobs: blobs.collect(),
        }))
    }

    async fn found(&self, request: Request<proto::FoundRequest>) -> Answer<proto::FoundResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let store = self.0.engine.store();
        let operation = &request.get_ref().operation;
        let found = store
            .found(permit.asset, Some(permit.generation), operation)
            .await;
        let facts = found.map_err(store_status)?.map(|facts| facts.to_string());
        Ok(Response::new(proto::FoundResponse { facts }))
    }

    async fn mark(&self, request: Request<proto::MarkRequest>) -> Answer<proto::MarkResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let sha256 = codec::sha256(&request.get_ref().sha256, "sha256").map_err(malformed)?;
        let row = self.0.engine.pinned_mark(permit.tenant, sha256).await;
        let row = row.map_err(store_status)?;
        let seal = |row: &_| seal_row(&self.0.signer, permit.lease, row);
        let blob = row.map(|row| codec::blob_message(&row, seal(&row)));
        Ok(Response::new(proto::MarkResponse { blob }))
    }

    async fn warm(&self, request: Request<proto::LeaseRequest>) -> Answer<proto::WarmResponse> {
        let permit = self
            .held(&request, request.get_ref().lease.as_ref())
            .await?;
        let engine = &self.0.engine;
        let warmed = engine
            .warm_generation(permit.asset, permit.generation)
            .await;
        let warmed = warmed.map_err(|e| refusal(Code::Unavailable, e.code, e.message))?;
        Ok(Response::new(proto::WarmResponse {
            warmed: warmed.map(|n| n as u64),
        }))
    }

    async fn read(&self, request: Request<proto::ReadRequest>) -> Answer<proto::Address> {
        let permit = self
            .permit(&request, request.get_ref().lease.as_ref())
            .await?;
        let address = to_read(&self.0, &permit, request.get_ref()).await?;
        Ok(Response::new(address))
    }

    async fn write(&self, request: Request<proto::WriteRequest>) -> Answer<proto::WriteResponse> {
        let permit = self
            .permit(&request, request.get_ref().lease.as_ref())
            .await?;
        bounded(&request.get_ref().blobs)?;
        let addresses = to_write(&self.0, &permit, request.get_ref()).await?;
        Ok(Response::new(addresses))
    }
}
