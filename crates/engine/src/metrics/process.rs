//! What the system says of this process, by the names that all Prometheus clients use.

use super::{
    PROCESS_CPU, PROCESS_FILES, PROCESS_FILES_MAX, PROCESS_MEMORY, PROCESS_START, Seconds, add,
    number,
};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

/// The unit of times in /proc, the same on all machines that Linux tells it to programs on (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process {
    cpu: Seconds,
    memory: Gauge,
    files: Gauge,
    files_max: Gauge,
}

impl Process {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let start: Gauge<f64, AtomicU64> = add(registry, PROCESS_START);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        start.set(now.unwrap_or_default().as_secs_f64());
        Self {
            cpu: add(registry, PROCESS_CPU),
            memory: add(registry, PROCESS_MEMORY),
            files: add(registry, PROCESS_FILES),
            files_max: add(registry, PROCESS_FILES_MAX),
        }
    }

    pub(super) fn look(&self) {
        if let Some((cpu_seconds, resident_bytes)) = stat() {
            self.cpu.inc_by((cpu_seconds - self.cpu.get()).max(0.0));
            self.memory.set(number(resident_bytes));
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the folder itself.
            self.files.set(number(files.count() as u64) - 1);
        }
        let most = getrlimit(Resource::Nofile).current;
        self.files_max.set(number(most.unwrap_or(u64::MAX)));
    }
}

/// Processor time, children included, and resident bytes.
fn stat() -> Option<(f64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, which is before it in brackets, may have spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    // Of proc(5)'s numbered fields the first two are cut off: from 14 on these are user and system time.
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks: u64 = times.map_while(|field| field.parse::<u64>().ok()).sum();
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.split_whitespace().next()?.parse().ok()?;
    Some((ticks as f64 / TICKS_PER_SECOND, kib << 10))
}
