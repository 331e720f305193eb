//! `make simulate`: worlds without end, or as many as are asked for, on every core.

use mediaflow_core::TaskState;
use mediaflow_sim::{Broken, Coverage, Fault, Met, Outcome, Plan, Simulator};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What was seen of many worlds.
#[derive(Default)]
struct Seen {
    seeds: u64,
    events: u64,
    transitions: u64,
    verbs: u64,
    virtual_ms: i64,
    faults: [u64; Fault::COUNT],
    coverage: Coverage,
}

impl Seen {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.transitions += outcome.transitions;
        self.verbs += outcome.verbs;
        self.virtual_ms += outcome.lasted_ms;
        for (count, more) in self.faults.iter_mut().zip(outcome.faults) {
            *count += more;
        }
        self.coverage.add(&outcome.coverage);
    }

    fn summary(&self, took: Duration) -> String {
        let per = |n: u64| n as f64 / took.as_secs_f64();
        let faults: u64 = self.faults.iter().sum();
        format!(
            "{} seeds in {:.1} s: {:.0} seeds/s, {:.0} transitions/s, {:.0} verbs/s, {:.0} events/s, {:.0} faults/s; {:.1} days of virtual time",
            self.seeds,
            took.as_secs_f64(),
            per(self.seeds),
            per(self.transitions),
            per(self.verbs),
            per(self.events),
            per(faults),
            self.virtual_ms as f64 / 86_400_000.0,
        )
    }

    fn tables(&self) -> String {
        let mut text = String::from("\nfaults:\n");
        for (fault, count) in Fault::ALL.iter().zip(self.faults) {
            text.push_str(&format!("  {:<12} {count:>10}\n", format!("{fault:?}")));
        }
        text.push_str("\nwhich event met a task in which state:\n            ");
        for state in TaskState::ALL {
            text.push_str(&format!("{:>10}", state.as_str()));
        }
        for &met in Met::ALL {
            text.push_str(&format!("\n{:<12}", format!("{met:?}")));
            for &state in TaskState::ALL {
                let count = self.coverage.of(met, state);
                match (count, met.can_meet(state)) {
                    (0, false) => text.push_str("         -"),
                    _ => text.push_str(&format!("{count:>10}")),
                }
            }
        }
        let missing = self.coverage.missing();
        if !missing.is_empty() {
            text.push_str(&format!("\nnot met: {missing:?}"));
        }
        text
    }
}

fn number(name: &str) -> Result<Option<u64>, String> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{name} must be a number, not `{text}`")),
    }
}

fn broken() -> Result<Broken, String> {
    match std::env::var("BROKEN").unwrap_or_default().as_str() {
        "" => Ok(Broken::Nothing),
        "fencing" => Ok(Broken::Fencing),
        "outbox" => Ok(Broken::Outbox),
        "idempotency" => Ok(Broken::Idempotency),
        "sweeper" => Ok(Broken::Sweeper),
        other => Err(format!(
            "BROKEN must be fencing, outbox, idempotency or sweeper, not `{other}`"
        )),
    }
}

fn say(text: &str) {
    // Whoever closed the pipe does not want to read on.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The world of one seed with its whole trace.
fn show(seed: u64, broken: Broken) -> bool {
    let mut simulator = Simulator::new(broken);
    let outcome = simulator.run(Plan::of(seed), true);
    say(&format!(
        "seed {seed}: digest {:016x}, {} events, {} transitions",
        outcome.digest, outcome.events, outcome.transitions
    ));
    explain(seed, broken, &outcome)
}

/// Answers whether all was well.
fn explain(seed: u64, broken: Broken, outcome: &Outcome) -> bool {
    let Some(violation) = &outcome.violation else {
        return true;
    };
    for line in &violation.trace {
        say(line);
    }
    let mut simulator = Simulator::new(broken);
    let small = simulator.shrink(Plan::of(seed));
    say(&format!(
        "\nseed {seed} breaks a promise: {}",
        violation.what
    ));
    say(&format!(
        "it needs {} uploads, {} workers and {:?}; run it alone with `make simulate SEED={seed}`",
        small.uploads,
        small.workers,
        small.faults()
    ));
    false
}

fn run(seeds: u64, first: u64, broken: Broken) -> bool {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let end = first.saturating_add(seeds);
    let (sender, outcomes) = mpsc::sync_channel(1024);
    let began = Instant::now();
    let mut seen = Seen::default();
    let mut well = true;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                let mut simulator = Simulator::new(broken);
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || sender.send((seed, simulator.seed(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut told = Instant::now();
        for (seed, outcome) in outcomes {
            seen.add(&outcome);
            if outcome.violation.is_some() && well {
                stop.store(true, Ordering::Relaxed);
                well = explain(seed, broken, &outcome);
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                say(&seen.summary(began.elapsed()));
            }
        }
    });
    say(&seen.summary(began.elapsed()));
    say(&seen.tables());
    well
}

fn main() -> ExitCode {
    let asked = || {
        Ok::<_, String>((
            number("SEED")?,
            number("SEEDS")?,
            number("FIRST")?,
            broken()?,
        ))
    };
    let well = match asked() {
        Err(wrong) => {
            say(&wrong);
            false
        }
        Ok((Some(seed), _, _, broken)) => show(seed, broken),
        Ok((None, seeds, first, broken)) => {
            run(seeds.unwrap_or(u64::MAX), first.unwrap_or(0), broken)
        }
    };
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
