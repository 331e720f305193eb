//! Orchestration alone, beside what others use for it: graphs of eight tasks that do nothing, all of them waiting at the
//! start; the core does the last one by itself, so seven are counted. SQLite with a file, PostgreSQL, and on the same PostgreSQL graphile-worker's flat jobs, and BullMQ's flows on Redis.
//!
//! usage: `graph PEERS [GRAPHS]`, where `PEERS` is the folder with `peers.mjs` and its packages, or `graph grow [ROWS]`: what a
//! task costs when so many are in the tables already. Everything is synced as in production: PostgreSQL has its own
//! defaults, Redis appends and syncs once a second. `bench/queue/run` prepares the peers and calls this.

#![allow(clippy::print_stdout)] // its figures are what it is for

use mediaflow_core::operation::Facts;
use mediaflow_core::{
    AssetOptions, Kind, Queue, Recipe, RunSettings, Sha256, TenantId, Timestamp, Verdict, WorkerId,
};
use mediaflow_servers::{Postgres, Redis};
use mediaflow_store::{
    Accept, Capacity, Claimed, Environment, NewBlob, Output, PostgresOptions, PostgresStore,
    Report, SqliteStore, Store,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;
use uuid::Uuid;

const RECIPE: &str = r#"
name = "graph"
version = 1
kind = "image"
steps = [
  { name = "inspect", operation = "image.inspect" },
  { name = "moderate", operation = "moderate" },
  { name = "resize", operation = "image.resize", needs = ["moderate"], jpeg_quality = 87, variants = [{ name = "small", fit = "width", width = 320 }] },
  { name = "webp", operation = "image.compress", needs = ["resize"], formats = [{ format = "webp", quality = 80 }] },
  { name = "avif", operation = "image.compress", needs = ["resize"], formats = [{ format = "avif", quality = 62 }] },
  { name = "placeholder", operation = "image.placeholder", needs = ["resize"] },
  { name = "distribute", operation = "distribute", needs = ["inspect", "webp", "avif", "placeholder"] },
  { name = "publish", operation = "publish", needs = ["distribute"] },
]
"#;
/// Tasks of a graph that workers do.
const TASKS: usize = 7;
/// Claims of one worker take so many.
const SLOTS: u32 = 64;
const WORKERS: usize = 4;
/// Uploads on their way at the same time.
const UPLOADS: usize = 64;
/// For latencies: graphs, one after the other, on idle workers.
const CALM: usize = 200;
const CALM_PAUSE: Duration = Duration::from_millis(20);
/// Graphs that are measured together while tables grow.
const ROUND: usize = 1000;
/// Task rows of a graph.
const ROWS: usize = TASKS + 1;

#[derive(Default)]
struct World;

impl Environment for World {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Timestamp(now.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0)))
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn jitter(&self) -> u32 {
        u32::MAX / 2
    }
}

fn upload(n: usize, recipe: &Arc<Recipe>) -> Accept {
    let text = format!("upload {n}");
    Accept {
        tenant: TenantId::DEFAULT,
        original: NewBlob {
            sha256: Sha256::of(text.as_bytes()),
            bytes: 100,
            key: format!("originals/{n}"),
        },
        media_type: "image/jpeg".into(),
        filename: Some(format!("{n}.jpg")),
        dimensions: Some((40, 30)),
        facts: Facts {
            pixels: 1200,
            frames: 1,
            bytes: 100,
        },
        kind: Kind::Image,
        recipe: Arc::clone(recipe),
        settings: RunSettings::default(),
        options: AssetOptions::default(),
        correlation_id: text,
        idempotency: None,
        upload: None,
        counted: None,
    }
}

fn done(task: &Claimed) -> Report {
    let moderates = task.recipe.steps[task.step].name == "moderate";
    Report::Succeeded(Output {
        verdict: moderates.then_some(Verdict::Pass),
        ..Output::default()
    })
}

fn capacity(slots: u32) -> Capacity {
    Capacity {
        worker: WorkerId(Uuid::from_u128(1)),
        worker_name: "bench:1".into(),
        slots: vec![(Queue::BUSY, slots), (Queue::WAITING, slots)],
        memory_free: 1 << 40,
        memory_total: 1 << 40,
        idle: false,
        lease: Duration::from_secs(60),
        idle_lane: false,
        capabilities: Vec::new(),
    }
}

/// What all workers share.
struct Bench {
    store: Arc<dyn Store>,
    recipe: Arc<Recipe>,
    left: AtomicU64,
    /// Milliseconds from ready to started.
    waits: Mutex<Vec<i64>>,
}

impl Bench {
    fn new(store: Arc<dyn Store>) -> Arc<Self> {
        let recipe = Recipe::parse(RECIPE).expect("the recipe is one");
        Arc::new(Self {
            store,
            recipe: Arc::new(recipe),
            left: AtomicU64::new(0),
            waits: Mutex::default(),
        })
    }

    /// One worker, until nothing is left. Whoever reports is offered what became ready by that.
    async fn work(self: Arc<Self>) {
        let mut ready = self.store.on_ready();
        while self.left.load(Ordering::SeqCst) > 0 {
            ready.mark_unchanged();
            let claimed = self.store.claim(Uuid::now_v7(), &capacity(SLOTS)).await;
            let mut running: JoinSet<()> = JoinSet::new();
            for task in claimed.expect("the store answers") {
                running.spawn(Arc::clone(&self).do_all(task));
            }
            if running.is_empty() {
                let _ = tokio::time::timeout(Duration::from_millis(100), ready.changed()).await;
            }
            running.join_all().await;
        }
    }

    async fn do_all(self: Arc<Self>, first: Claimed) {
        let mut tasks = vec![first];
        while let Some(task) = tasks.pop() {
            let wait = World.now().0 - task.ready_at.0;
            self.waits.lock().expect("no holder panics").push(wait);
            let offer = capacity(1);
            let reported = self.store.report(task.lease, done(&task), Some(&offer));
            tasks.extend(reported.await.expect("the store answers"));
            self.left.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn run(self: &Arc<Self>) {
        let mut workers: JoinSet<()> = JoinSet::new();
        (0..WORKERS).for_each(|_| drop(workers.spawn(Arc::clone(self).work())));
        workers.join_all().await;
    }

    async fn accept(self: &Arc<Self>, first: usize, graphs: usize) {
        let mut uploads: JoinSet<()> = JoinSet::new();
        for lane in 0..UPLOADS {
            let bench = Arc::clone(self);
            uploads.spawn(async move {
                for n in (lane..graphs).step_by(UPLOADS) {
                    let accepted = bench.store.accept(upload(first + n, &bench.recipe)).await;
                    accepted.expect("the store answers");
                }
            });
        }
        uploads.join_all().await;
        self.left
            .fetch_add((graphs * TASKS) as u64, Ordering::SeqCst);
    }

    /// The middle and the 99th of a hundred waits from ready to started, with workers that have nothing else to do.
    async fn calm(self: &Arc<Self>, first: usize) -> (i64, i64) {
        self.waits.lock().expect("no holder panics").clear();
        self.left.store((CALM * TASKS) as u64, Ordering::SeqCst);
        let uploads = async {
            for n in 0..CALM {
                let accepted = self.store.accept(upload(first + n, &self.recipe)).await;
                accepted.expect("the store answers");
                tokio::time::sleep(CALM_PAUSE).await;
            }
        };
        tokio::join!(uploads, self.run());
        let mut waits = self.waits.lock().expect("no holder panics").clone();
        waits.sort_unstable();
        (waits[waits.len() / 2], waits[waits.len() * 99 / 100])
    }
}

/// Processor seconds so far of this process and of all of these programs.
fn cpu_seconds(programs: &[&str]) -> f64 {
    let used = |stat: PathBuf| -> Option<(String, f64)> {
        let text = std::fs::read_to_string(stat).ok()?;
        let name = text[text.find('(')? + 1..text.rfind(')')?].to_owned();
        let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
        // Of children that ended as well: PostgreSQL's come and go.
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap_or(0.0);
        Some((name, (11..15).map(ticks).sum::<f64>() / 100.0))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter_map(|p| used(p.path().join("stat")));
    let others = others.filter(|(name, _)| programs.contains(&name.as_str()));
    let own = used("/proc/self/stat".into()).map_or(0.0, |(_, seconds)| seconds);
    own + others.map(|(_, seconds)| seconds).sum::<f64>()
}

fn tell(who: &str, tasks: usize, seconds: f64, cpu: f64, more: &str) -> f64 {
    let rate = tasks as f64 / seconds;
    let each = cpu * 1e6 / tasks as f64;
    println!("{who:28} {rate:9.0} {each:9.0}   {more}");
    rate
}

async fn ours(who: &str, store: Arc<dyn Store>, programs: &[&str], graphs: usize) -> f64 {
    let bench = Bench::new(store);
    bench.accept(0, graphs).await;
    let (began, cpu) = (Instant::now(), cpu_seconds(programs));
    bench.run().await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(programs) - cpu);
    let (middle, late) = bench.calm(graphs).await;
    let waits = format!("ready to started: p50 {middle} ms, p99 {late} ms");
    tell(who, graphs * TASKS, seconds, cpu, &waits)
}

/// Runs a peer; it prints how many tasks it did in how many seconds.
fn peer(who: &str, folder: &Path, args: &[String], programs: &[&str]) -> f64 {
    let cpu = cpu_seconds(programs);
    let mut command = Command::new("node");
    let output = command.arg(folder.join("peers.mjs")).args(args).output();
    let output = output.expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let Ok(figures) = serde_json::from_str::<BTreeMap<String, f64>>(&said) else {
        panic!("{who}: {said}{}", String::from_utf8_lossy(&output.stderr));
    };
    // Its own processor time it tells itself, without its start and preparing; that of its server has them.
    let servers = cpu_seconds(programs) - cpu;
    let (tasks, seconds) = (figures["tasks"] as usize, figures["seconds"]);
    tell(who, tasks, seconds, figures["cpu"] + servers, "")
}

/// Works off graphs until the tables hold so many rows of tasks, and tells at each power of ten what the last ones cost.
async fn grow(who: &str, store: Arc<dyn Store>, programs: &[&str], rows: usize) {
    let bench = Bench::new(store);
    let (mut graphs, mut next) = (0, 1000);
    while next <= rows {
        // The odd ones first, so that what is told is of a whole round.
        let left = next / ROWS - graphs;
        let round = if left.is_multiple_of(ROUND) {
            ROUND
        } else {
            left % ROUND
        };
        bench.accept(graphs, round).await;
        let (began, cpu) = (Instant::now(), cpu_seconds(programs));
        bench.run().await;
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(programs) - cpu);
        graphs += round;
        if round == left {
            tell(who, round * TASKS, seconds, cpu, &format!("{next} rows"));
            next *= 10;
        }
    }
}

async fn sqlite(folder: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(&folder.join("bench.db"), Arc::new(World));
    Arc::new(store.expect("a store"))
}

fn server() -> Postgres {
    Postgres::start(&[
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
    ])
}

async fn postgres(server: &Postgres) -> Arc<dyn Store> {
    let url = server.database("mediaflow");
    let store = PostgresStore::open(&url, Arc::new(World), PostgresOptions::default()).await;
    Arc::new(store.expect("a store"))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1);
    let peers = args
        .next()
        .expect("usage: graph PEERS [GRAPHS] | grow [ROWS]");
    let number: Option<usize> = args.next().map(|n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server();
    println!(
        "{:28} tasks/s    CPU µs   (CPU of all processes that take part, for each task)",
        ""
    );
    if peers == "grow" {
        let rows = number.unwrap_or(1_000_000);
        grow("MediaFlow, SQLite", sqlite(folder.path()).await, &[], rows).await;
        let store = postgres(&server).await;
        return grow("MediaFlow, PostgreSQL", store, &["postgres"], rows).await;
    }
    let (peers, graphs) = (PathBuf::from(peers), number.unwrap_or(4000));
    println!("{graphs} graphs of {TASKS} tasks");
    let store = sqlite(folder.path()).await;
    let sqlite = ours("MediaFlow, SQLite", store, &[], graphs).await;
    let store = postgres(&server).await;
    let postgres = ours("MediaFlow, PostgreSQL", store, &["postgres"], graphs).await;

    let flat = (graphs * TASKS).to_string();
    let args = ["graphile".into(), server.database("graphile"), flat];
    let graphile = peer("graphile-worker, flat jobs", &peers, &args, &["postgres"]);
    drop(server);
    let redis = Redis::start(&["appendonly yes"]);
    let args = ["bullmq".into(), redis.url(0), graphs.to_string()];
    let bullmq = peer("BullMQ, flows", &peers, &args, &["redis-server"]);
    println!(
        "PostgreSQL against BullMQ's flows: {:.2} (to reach: 3); against flat graphile-worker: {:.2} (to reach: 1); \
         SQLite: {sqlite:.0} (to reach: 20000)",
        postgres / bullmq,
        postgres / graphile,
    );
}
