//! Tasks on their way out, and what workers say of themselves.

use super::{Malformed, Result, blob, blob_message, given, id, sha256};
use mediaflow_core::operation::Facts;
use mediaflow_core::{AssetOptions, Cost, Queue, Recipe, RunSettings, TaskId, Timestamp, WorkerId};
use mediaflow_engine::store::{BlobRow, Capacity, Claimed, Lease, NewBlob, Presence};
use mediaflow_proto::worker::v1 as proto;
use std::sync::Arc;
use std::time::Duration;

/// Most characters of a worker's name.
const NAME_MAX: usize = 128;
/// A lease is no shorter and no longer.
const LEASE_S: (u64, u64) = (3, 3600);
/// Most capabilities of a worker.
const CAPABILITIES_MAX: usize = 64;
/// Most tasks that are given at once.
const SLOTS_MAX: u32 = 1024;

/// A task that this program does not understand, because the API is of another version.
#[derive(Debug, Clone)]
pub struct Misfit {
    /// The right to it.
    pub lease: proto::Lease,
    /// What it was.
    pub reason: String,
}

/// Tasks with what they are frozen with. `permit` and `seal` bind them to who claimed them.
pub fn tasks_message(
    tasks: &[Claimed],
    permit: impl Fn(&Claimed) -> String,
    seal: impl Fn(Lease, &BlobRow) -> String,
) -> proto::Tasks {
    let (mut recipes, mut settings) = (Frozen::default(), Frozen::default());
    let tasks = tasks.iter().map(|task| {
        // What users say of their files stays here; the result depends on these.
        let options = AssetOptions {
            visibility: task.options.visibility,
            watermark: task.options.watermark,
            focus: task.options.focus,
            ..AssetOptions::default()
        };
        proto::Task {
            lease: Some(proto::Lease {
                task: task.lease.task.as_bytes().to_vec(),
                fence: task.lease.fence,
                permit: permit(task),
            }),
            tenant: task.tenant.as_bytes().to_vec(),
            asset: task.asset.as_bytes().to_vec(),
            generation: task.generation,
            step: u32::try_from(task.step).unwrap_or(u32::MAX),
            number: task.number,
            recipe: recipes.place(&*task.recipe),
            setting: settings.place(&*task.settings),
            options: json(&options),
            original: Some(blob_message(
                &task.original,
                seal(task.lease, &task.original),
            )),
            media_type: task.media_type.clone(),
            fact_pixels: task.facts.pixels,
            fact_frames: task.facts.frames,
            fact_bytes: task.facts.bytes,
            cost: Some(cost_message(task.cost)),
            attempt: task.attempt,
            alone: task.alone,
            correlation_id: task.correlation_id.clone(),
            ready_at_ms: task.ready_at.0,
        }
    });
    let tasks = tasks.collect();
    proto::Tasks {
        tasks,
        recipes: recipes.texts,
        settings: settings.texts,
    }
}

/// What several tasks are frozen with, once.
#[derive(Default)]
struct Frozen {
    texts: Vec<String>,
}

impl Frozen {
    fn place<T: serde::Serialize>(&mut self, value: &T) -> u32 {
        let text = json(value);
        let place = self.texts.iter().position(|t| *t == text);
        let place = place.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

/// One of the tasks.
///
/// # Errors
/// The right to it where it is not understood, so that it can be given back; nothing where not even that is.
pub fn task(
    message: &proto::Task,
    recipes: &[Option<Arc<Recipe>>],
    settings: &[Option<Arc<RunSettings>>],
) -> std::result::Result<Claimed, Option<Misfit>> {
    let Some(lease) = &message.lease else {
        return Err(None);
    };
    understood(message, lease, recipes, settings).map_err(|error| {
        Some(Misfit {
            lease: lease.clone(),
            reason: error.to_string(),
        })
    })
}

fn understood(
    message: &proto::Task,
    lease: &proto::Lease,
    recipes: &[Option<Arc<Recipe>>],
    settings: &[Option<Arc<RunSettings>>],
) -> Result<Claimed> {
    let recipe = recipes.get(message.recipe as usize).cloned().flatten();
    let recipe = given(recipe, "task.recipe")?;
    let settings = settings.get(message.setting as usize).cloned().flatten();
    let step = message.step as usize;
    if step >= recipe.steps.len() {
        return Err(Malformed("task.step"));
    }
    Ok(Claimed {
        lease: Lease {
            task: id::<TaskId>(&lease.task, "lease.task")?,
            fence: lease.fence,
        },
        tenant: id(&message.tenant, "task.tenant")?,
        asset: id(&message.asset, "task.asset")?,
        generation: message.generation,
        step,
        number: message.number,
        recipe,
        settings: given(settings, "task.settings")?,
        options: from_json(&message.options, "task.options")?,
        original: blob(given(message.original.as_ref(), "task.original")?)?,
        media_type: message.media_type.clone(),
        facts: Facts {
            pixels: message.fact_pixels,
            frames: message.fact_frames,
            bytes: message.fact_bytes,
        },
        cost: cost(given(message.cost, "task.cost")?),
        attempt: message.attempt,
        alone: message.alone,
        correlation_id: message.correlation_id.clone(),
        ready_at: Timestamp(message.ready_at_ms),
    })
}

/// What a worker can take on, as a message.
pub fn capacity_message(capacity: &Capacity) -> proto::Capacity {
    proto::Capacity {
        worker: capacity.worker.as_bytes().to_vec(),
        worker_name: capacity.worker_name.clone(),
        slots: capacity
            .slots
            .iter()
            .map(|(queues, most)| proto::Slots {
                queues: names(queues),
                most: *most,
            })
            .collect(),
        memory_free: capacity.memory_free,
        memory_total: capacity.memory_total,
        idle: capacity.idle,
        lease_ms: millis(capacity.lease),
        idle_lane: capacity.idle_lane,
        capabilities: capacity.capabilities.clone(),
    }
}

/// What a worker can take on. Its name begins with that of its key, so that nobody passes for another.
///
/// # Errors
/// Names the field.
pub fn capacity(message: &proto::Capacity, key_name: &str) -> Result<Capacity> {
    let slots = message.slots.iter().map(|slots| {
        let queues: Vec<Queue> = queues(&slots.queues);
        (Queue::among(&queues), slots.most.min(SLOTS_MAX))
    });
    Ok(Capacity {
        worker: id::<WorkerId>(&message.worker, "capacity.worker")?,
        worker_name: worker_name(key_name, &message.worker_name),
        slots: slots.filter(|(queues, _)| !queues.is_empty()).collect(),
        memory_free: message.memory_free,
        memory_total: message.memory_total,
        idle: message.idle,
        lease: lease_time(message.lease_ms),
        idle_lane: message.idle_lane,
        capabilities: capabilities(&message.capabilities),
    })
}

/// How long a lease is to last, within what is allowed.
pub fn lease_time(ms: u64) -> Duration {
    let (least, most) = LEASE_S;
    Duration::from_millis(ms.clamp(least * 1000, most * 1000))
}

/// What a worker tells of itself, as a message.
pub fn presence_message(presence: &Presence) -> proto::PresentRequest {
    proto::PresentRequest {
        worker: presence.id.as_bytes().to_vec(),
        name: presence.name.clone(),
        version: presence.version.clone(),
        queues: names(&presence.queues),
        cpu: presence.cpu,
        memory_bytes: presence.memory_bytes,
        started_at_ms: presence.started_at.0,
        network: presence.network,
        capabilities: presence.capabilities.clone(),
    }
}

/// What a worker tells of itself; named as in [`capacity`].
///
/// # Errors
/// Names the field.
pub fn presence(message: &proto::PresentRequest, key_name: &str) -> Result<Presence> {
    Ok(Presence {
        id: id::<WorkerId>(&message.worker, "worker")?,
        name: worker_name(key_name, &message.name),
        version: message.version.chars().take(NAME_MAX).collect(),
        queues: queues(&message.queues),
        cpu: message.cpu,
        network: message.network.min(SLOTS_MAX),
        capabilities: capabilities(&message.capabilities),
        memory_bytes: message.memory_bytes,
        started_at: Timestamp(message.started_at_ms),
    })
}

/// Bytes that an attempt has written, whose seal is looked at elsewhere.
///
/// # Errors
/// Names the field.
pub fn written(message: &proto::NewBlob) -> Result<NewBlob> {
    Ok(NewBlob {
        sha256: sha256(&message.sha256, "written.sha256")?,
        bytes: message.bytes,
        key: message.key.clone(),
    })
}

/// The same as a message.
pub fn written_message(blob: &NewBlob, seal: String) -> proto::NewBlob {
    proto::NewBlob {
        sha256: blob.sha256.0.to_vec(),
        bytes: blob.bytes,
        key: blob.key.clone(),
        seal,
    }
}

fn worker_name(key_name: &str, name: &str) -> String {
    let whole = format!("{key_name}/{name}");
    let plain = whole.chars().filter(|c| !c.is_control());
    plain.take(NAME_MAX).collect()
}

/// Sorted, and no more than are looked at.
fn capabilities(told: &[String]) -> Vec<String> {
    let mut told: Vec<String> = told.iter().take(CAPABILITIES_MAX).cloned().collect();
    told.sort();
    told.dedup();
    told
}

fn names(queues: &[Queue]) -> Vec<String> {
    queues.iter().map(|q| q.as_str().to_owned()).collect()
}

/// A queue of a later version is none that could be served here.
fn queues(names: &[String]) -> Vec<Queue> {
    names.iter().filter_map(|name| Queue::parse(name)).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn cost(message: proto::Cost) -> Cost {
    Cost {
        memory_bytes: message.memory_bytes,
        cpu_ms: message.cpu_ms,
    }
}

pub(super) fn cost_message(cost: Cost) -> proto::Cost {
    proto::Cost {
        memory_bytes: cost.memory_bytes,
        cpu_ms: cost.cpu_ms,
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own documents are JSON")
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    text: &str,
    field: &'static str,
) -> Result<T> {
    serde_json::from_str(text).map_err(|_| Malformed(field))
}
