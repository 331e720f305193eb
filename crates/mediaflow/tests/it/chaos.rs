//! A cluster to which things are done: two APIs and three workers on PostgreSQL, a bucket and a broker, clients that never stop
//! uploading, and processes, database, bucket and broker that are killed, frozen, cut off and refused in turn. Afterwards every upload
//! that was answered is there and whole, nothing was published twice, and the bucket has all that the database knows of.

use crate::bell::Bell;
use crate::cluster;
use crate::crowd::{self, Pictures, Random, Upload};
use crate::given;
use crate::server::{PATIENCE, Server};
use mediaflow_servers::{Postgres, S3};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Things that are done; `make chaos KILLS=1000` for a long night.
const KILLS: u32 = 11;
const CLIENTS: u32 = 2;
/// As the configuration has it.
const LEASE: Duration = Duration::from_secs(3);
const SEED: u64 = 0x6368_616f_735f_6d66;
/// What was committed must survive the server's death, as in production; the machine does not die here.
const DURABLE: [&str; 2] = ["synchronous_commit=on", "full_page_writes=on"];

/// What is done, and how often out of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    KillWorker,
    KillApi,
    FreezeWorker,
    FreezeApi,
    CutConnections,
    KillDatabase,
    FreezeDatabase,
    KillBucket,
    RefuseInBucket,
    KillBroker,
    FreezeBroker,
}

const TROUBLES: [(Trouble, u64); 11] = [
    (Trouble::KillWorker, 28),
    (Trouble::KillApi, 12),
    (Trouble::FreezeWorker, 12),
    (Trouble::FreezeApi, 6),
    (Trouble::CutConnections, 12),
    (Trouble::KillDatabase, 7),
    (Trouble::FreezeDatabase, 5),
    (Trouble::KillBucket, 5),
    (Trouble::RefuseInBucket, 5),
    (Trouble::KillBroker, 4),
    (Trouble::FreezeBroker, 4),
];

/// One process, which may be started again on the same folder.
struct Member {
    server: Option<Server>,
    folder: TempDir,
}

impl Member {
    fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
        self.server = Some(Server::start(self.folder.path()));
    }

    fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    async fn frozen(&self, time: Duration) {
        self.server().signal(Signal::STOP);
        tokio::time::sleep(time).await;
        self.server().signal(Signal::CONT);
    }
}

struct Cluster {
    database: String,
    bucket: String,
    postgres: Option<Postgres>,
    s3: Option<S3>,
    bell: Option<Bell>,
    apis: Vec<Member>,
    workers: Vec<Member>,
    /// Where clients find the APIs.
    doors: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    fn start(broker: &str) -> Self {
        let (postgres, s3) = (Postgres::start(&DURABLE), S3::start());
        let mut cluster = Self {
            database: postgres.database("mediaflow"),
            bucket: s3.bucket("media"),
            postgres: Some(postgres),
            s3: Some(s3),
            bell: Some(Bell::start(broker)),
            apis: Vec::new(),
            workers: Vec::new(),
            doors: Arc::default(),
        };
        cluster.apis = (0..2).map(|_| cluster.member("\"api\"")).collect();
        cluster.workers = (0..3).map(|_| cluster.member("\"worker\"")).collect();
        cluster.show_doors();
        cluster
    }

    fn member(&self, roles: &str) -> Member {
        let config = cluster::config(&self.database, &self.bucket, self.s3(), roles);
        // The last table of that configuration is the workers'.
        let broker = self.bell.as_ref().unwrap().address();
        let settings = format!(
            "broker = \"{broker}\"\n{config}poll_ms = 500\n[retention]\nunreferenced_s = 1\n{}",
            crowd::RECIPES
        );
        let folder = given::config(&settings);
        crowd::write_recipe(folder.path());
        let mut member = Member {
            server: None,
            folder,
        };
        member.restart();
        member
    }

    fn show_doors(&self) {
        let bases = self.apis.iter().map(|api| api.server().base.clone());
        *self.doors.lock().unwrap() = bases.collect();
    }

    fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().unwrap()
    }

    fn s3(&self) -> &S3 {
        self.s3.as_ref().unwrap()
    }

    fn ask(&self, sql: &str) -> Vec<String> {
        self.postgres().query("mediaflow", sql)
    }

    /// Does it, and heals it again.
    async fn suffer(&mut self, trouble: Trouble, random: &mut Random, outage: Duration) {
        let moment = Duration::from_millis(200 + random.below(1500));
        let (worker, api) = (random.below(3) as usize, random.below(2) as usize);
        match trouble {
            Trouble::KillWorker => self.workers[worker].restart(),
            Trouble::KillApi => {
                self.apis[api].restart();
                self.show_doors();
            }
            Trouble::FreezeWorker => self.workers[worker].frozen(LEASE + moment).await,
            Trouble::FreezeApi => self.apis[api].frozen(LEASE + moment).await,
            Trouble::CutConnections => {
                self.ask(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = 'mediaflow' AND pid <> pg_backend_pid()",
                );
            }
            Trouble::KillDatabase => {
                let postgres = self.postgres.take().unwrap();
                self.postgres = Some(postgres.restarted(&DURABLE));
            }
            Trouble::FreezeDatabase => {
                self.postgres().server().signal("STOP").unwrap();
                tokio::time::sleep(LEASE + moment).await;
                self.postgres().server().signal("CONT").unwrap();
            }
            Trouble::KillBucket => {
                let s3 = self.s3.take().unwrap();
                self.s3 = Some(s3.restarted());
            }
            Trouble::RefuseInBucket => {
                self.s3().refuse(true);
                tokio::time::sleep(outage).await;
                self.s3().refuse(false);
            }
            Trouble::KillBroker => {
                let bell = self.bell.take().unwrap();
                self.bell = Some(bell.killed().await);
            }
            Trouble::FreezeBroker => {
                self.bell.as_ref().unwrap().frozen(LEASE + moment).await;
            }
        }
    }

    /// Keys of objects: files but the server's own notes about them.
    fn objects(&self) -> BTreeSet<String> {
        let root = self.s3().files("media").join("here");
        let mut keys = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for path in entries.map(|entry| entry.unwrap().path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let key = path.strip_prefix(&root).unwrap();
                        keys.insert(key.display().to_string());
                    }
                }
            }
        }
        keys
    }
}

/// Uploads until it is told to stop, through whichever API answers.
async fn upload_for_ever(
    doors: Arc<Mutex<Vec<String>>>,
    pictures: Arc<Pictures>,
    answered: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
) -> Vec<Upload> {
    // A frozen API does not answer; then the other one is asked.
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5));
    let http = http.build().unwrap();
    let mut accepted = Vec::new();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let door = doors.lock().unwrap()[turn % 2].clone();
        if let Ok(Some(upload)) = crowd::upload(&http, &door, &pictures).await {
            accepted.push(upload);
            answered.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    accepted
}

fn chosen(random: &mut Random) -> Trouble {
    let mut number = random.below(100);
    for (trouble, share) in TROUBLES {
        match number.checked_sub(share) {
            Some(rest) => number = rest,
            None => return trouble,
        }
    }
    unreachable!("the shares make a hundred")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_nothing_whatever_is_done_to_it() {
    let given = std::env::var("KILLS");
    let kills = given.as_ref().map_or(KILLS, |n| n.parse().unwrap());
    // A whole minute of refusals is for long nights.
    let outage = Duration::from_secs(if kills > 100 { 60 } else { 4 });
    let mut random = Random(std::env::var("SEED").map_or(SEED, |n| n.parse().unwrap()));
    let broker = std::env::var("BROKER").unwrap_or_else(|_| "redis".to_owned());
    let mut cluster = Cluster::start(&broker);
    let (pictures, stop) = (Arc::new(Pictures::default()), Arc::default());
    let answered = Arc::<AtomicU32>::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (doors, pictures) = (Arc::clone(&cluster.doors), Arc::clone(&pictures));
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            tokio::spawn(upload_for_ever(doors, pictures, answered, stop))
        })
        .collect();

    let began = Instant::now();
    let mut done = BTreeMap::new();
    for n in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.below(30).pow(2))).await;
        // The first of each sort, then by their shares.
        let trouble = match TROUBLES.get(n as usize) {
            Some((trouble, _)) => *trouble,
            None => chosen(&mut random),
        };
        cluster.suffer(trouble, &mut random, outage).await;
        *done.entry(trouble).or_insert(0) += 1;
    }
    // On a busy machine few are answered while things are done.
    until(|| answered.load(Ordering::Relaxed) >= kills / 2).await;
    stop.store(true, Ordering::Relaxed);
    let mut accepted = Vec::new();
    for client in clients {
        accepted.extend(client.await.unwrap());
    }
    println!(
        "{broker}: {done:?}, {} uploads answered, {:?}",
        accepted.len(),
        began.elapsed()
    );
    let healed = Instant::now();
    let held_by_the_dead = "SELECT id FROM tasks WHERE state = 'running' AND lease_until < extract(epoch FROM now()) * 1000";
    until(|| cluster.ask(held_by_the_dead).is_empty()).await;
    println!("no task is held by the dead after {:?}", healed.elapsed());

    let server = cluster.apis[0].server();
    let mut shapes = BTreeMap::new();
    let assets = crowd::all_settled(server, &accepted).await;
    for (asset, upload) in assets.iter().zip(&accepted) {
        assert_eq!(asset["state"], "ready", "{asset:#}");
        assert_eq!(asset["original"]["sha256"], upload.sha256.as_str());
        let shape = crowd::every_rendition_is_whole(server, asset).await;
        *shapes.entry(shape).or_insert(0) += 1;
    }
    assert_eq!(shapes.len(), 1, "{shapes:#?}");
    crowd::none_unfinished(server).await;
    println!("all ended and whole after {:?}", healed.elapsed());

    let twice = cluster.ask(
        "SELECT asset FROM events WHERE type = 'asset.ready' GROUP BY asset HAVING count(*) <> 1",
    );
    assert!(twice.is_empty(), "published twice: {twice:?}");
    let gaps = cluster
        .ask("SELECT asset FROM events GROUP BY asset HAVING count(*) <> max(sequence) - min(sequence) + 1");
    assert!(gaps.is_empty(), "histories with gaps: {gaps:?}");
    let objects = cluster.objects();
    // What nothing refers to may go at any moment, and its row after it.
    let kept = "SELECT key FROM blobs WHERE condemned_at IS NULL";
    let lost = cluster.ask(kept).into_iter();
    let lost: Vec<String> = lost.filter(|key| !objects.contains(key)).collect();
    assert!(lost.is_empty(), "recorded and not in the bucket: {lost:?}");
}

async fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "it never came to that");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
