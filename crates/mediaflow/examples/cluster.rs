//! Pictures through a cluster of 1, 2 and 4 workers that each may use the same share of a processor: so many pictures for each
//! worker, so the time should stay the same. PostgreSQL, a bucket and one API server have no quota; what they use is printed.
//!
//! usage: `cluster MEDIAFLOW [SHARE [PICTURES]]`: the program, processors for each worker, pictures for each worker.
//! The quota is the kernel's (cgroup v1 or v2): it needs root. The shares of all workers and what the servers need must be
//! fewer than the machine's processors. `bench/cluster/run` builds and calls this.

#![allow(clippy::print_stdout)] // its figures are what it is for
#![allow(clippy::unwrap_used)] // it has no caller that could do better

use mediaflow_media::image::Pixels;
use mediaflow_media::image::encode::{Metadata, jpeg};
use mediaflow_media::image::pixels::Layout;
use mediaflow_servers::{Postgres, S3};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WORKERS: [u32; 3] = [1, 2, 4];
const PERIOD_US: f64 = 100_000.0;
const UPLOADS: usize = 4;

/// A control group that may use so many processors.
struct Quota(PathBuf);

impl Quota {
    fn new(name: &str, processors: f64) -> Self {
        let base = Path::new("/sys/fs/cgroup");
        let is_v2 = base.join("cgroup.controllers").exists();
        let name = format!("mediaflow-bench-{}-{name}", std::process::id());
        let group = if is_v2 {
            base.to_owned()
        } else {
            base.join("cpu")
        }
        .join(name);
        let quota = (processors * PERIOD_US).round();
        let settings = match is_v2 {
            true => vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
            false => vec![
                ("cpu.cfs_period_us", PERIOD_US.to_string()),
                ("cpu.cfs_quota_us", quota.to_string()),
            ],
        };
        if is_v2 {
            let _ = fs::write(base.join("cgroup.subtree_control"), "+cpu");
        }
        let made = fs::create_dir(&group).and_then(|()| {
            let mut settings = settings.iter();
            settings.try_for_each(|(file, value)| fs::write(group.join(file), value))
        });
        made.expect("bench/cluster needs root and a writable cgroup");
        Self(group)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A server of MediaFlow's; it ends with this.
struct Member {
    child: Child,
    base: String,
    _folder: TempDir,
    _quota: Option<Quota>,
}

impl Member {
    fn start(program: &str, config: &str, quota: Option<Quota>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mediaflow.toml"), config).unwrap();
        let group = quota
            .as_ref()
            .map_or_else(|| "/dev/null".into(), |q| q.0.join("cgroup.procs"));
        let mut child = Command::new("sh")
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(group)
            .args([
                program,
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
                "data",
            ])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = said.map_while(Result::ok);
        let line = said
            .find(|line| line.contains("http://"))
            .expect("it starts");
        let base = line[line.find("http://").unwrap()..]
            .split_whitespace()
            .next()
            .unwrap();
        let base = base.trim_end_matches(['/', '.', ',']).to_owned();
        std::thread::spawn(move || said.for_each(drop));
        Self {
            child,
            base,
            _folder: folder,
            _quota: quota,
        }
    }

    /// Of itself and of the programs that it has waited for.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat[stat.rfind(')').unwrap()..].split(' ').skip(12).take(4);
        fields
            .map(|ticks| ticks.parse::<f64>().unwrap())
            .sum::<f64>()
            / 100.0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Some 200 kB, each another one.
fn picture(seed: u32) -> Vec<u8> {
    let (width, height) = (1200_u32, 900_u32);
    let mut noise = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for n in 0..width * height {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let (x, y) = (n % width, n / width);
        let grain = (noise >> 28) as u8;
        let tone = |a: u32, b: u32| ((x * a + y * b + seed * 11) / 9 % 230) as u8 + grain;
        data.extend_from_slice(&[tone(1, 2), tone(2, 1), tone(1, 1)]);
    }
    let picture = Pixels::new(width, height, Layout::Rgb, data);
    let options = jpeg::JpegOptions::default();
    jpeg::encode(&picture, &options, &Metadata::default())
        .unwrap()
        .bytes
}

/// Uploads them all and waits until all are ready.
async fn process(api: &str, pictures: Vec<Vec<u8>>) -> Duration {
    let http = reqwest::Client::new();
    let began = Instant::now();
    let count = pictures.len();
    let mut senders = Vec::new();
    for share in pictures.chunks(count.div_ceil(UPLOADS)) {
        let (http, url, share) = (http.clone(), format!("{api}/v1/assets"), share.to_vec());
        senders.push(tokio::spawn(async move {
            for picture in share {
                let answer = http.post(&url).body(picture).send().await.unwrap();
                assert_eq!(answer.status(), 202);
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    loop {
        let url = format!("{api}/v1/assets?state=ready&limit=200");
        let text = http.get(&url).send().await.unwrap().text().await.unwrap();
        let page: Value = serde_json::from_str(&text).unwrap();
        if page["items"].as_array().unwrap().len() == count {
            return began.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args
        .next()
        .expect("usage: cluster MEDIAFLOW [SHARE [PICTURES]]");
    let share: f64 = args.next().map_or(0.5, |n| n.parse().unwrap());
    let each: u32 = args.next().map_or(24, |n| n.parse().unwrap());
    assert!(each * 4 <= 200, "at most 50 pictures for each worker");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (postgres, s3) = (Postgres::start(&[]), S3::start());
    println!("{each} pictures for each worker, {share} of a processor each");
    println!(
        "workers   seconds   pictures/s   worker CPU s each   API CPU s   efficiency (to reach: 0.9)"
    );
    let mut one = None;
    for workers in WORKERS {
        let (database, bucket) = (
            postgres.database(&format!("w{workers}")),
            s3.bucket(&format!("workers-{workers}")),
        );
        let config = |role: &str| {
            format!(
                "log.level = \"error\"\nstore = \"{database}\"\nblobs = \"{bucket}/b\"\nroles = [\"{role}\"]\n\
                 [object_store]\nendpoint = \"{}\"\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\n\
                 [[delivery.signing_keys]]\nid = \"a\"\nsecret = \"{}\"\n[worker]\ncpu = 1\n",
                s3.endpoint(),
                S3::KEY_ID,
                S3::SECRET,
                "5e".repeat(32)
            )
        };
        let api = Member::start(&program, &config("api"), None);
        let members: Vec<Member> = (0..workers)
            .map(|n| {
                Member::start(
                    &program,
                    &config("worker"),
                    Some(Quota::new(&n.to_string(), share)),
                )
            })
            .collect();
        let pictures = (0..each * workers).map(picture).collect();
        let before: f64 = members.iter().map(Member::cpu_seconds).sum();
        let time = runtime.block_on(process(&api.base, pictures)).as_secs_f64();
        let used = members.iter().map(Member::cpu_seconds).sum::<f64>() - before;
        let one = *one.get_or_insert(time);
        println!(
            "{workers:7} {time:9.1} {:12.2} {:19.2} {:11.2}   {:.2}",
            f64::from(each * workers) / time,
            used / f64::from(workers),
            api.cpu_seconds(),
            one / time
        );
    }
}
