//! Each target for a moment: its seeds as they are, cut, and broken at random places, always the same ones.

#![allow(clippy::unwrap_used)] // all of this is test code

use mediaflow_fuzz::{TARGETS, Target};
use std::path::Path;
use std::time::{Duration, Instant};

/// Mutations of each seed, unless the time is over before: this is a test, not a search.
const ROUNDS: usize = 3000;
const SECONDS_MAX: Duration = Duration::from_secs(20);

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

fn seeds(target: Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target.name);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|p| std::fs::read(p).unwrap()).collect()
}

fn broken(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(5) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, b"\0 .-/%=9"[random.below(8)]),
            4 => {
                let end = (at + 1 + random.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes.extend_from_slice(&other[random.below(other.len())..]),
        }
    }
    bytes
}

#[test]
fn nothing_breaks_a_promise() {
    for target in TARGETS {
        let began = Instant::now();
        let seeds = seeds(*target);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for seed in &seeds {
            (target.feed)(seed);
        }
        for _ in 0..ROUNDS {
            for seed in &seeds {
                let other = &seeds[random.below(seeds.len())];
                (target.feed)(&broken(seed, other, &mut random));
            }
            if began.elapsed() > SECONDS_MAX {
                break;
            }
        }
    }
}
