//! `mediaflow migrate`: moves a living installation to another database and other bytes, in either direction.
//!
//! Bytes go first, while the source works. Then it drains and closes, the rest of the bytes and all rows follow, and it stays
//! behind, marked as moved. Killed at any point and run again, it goes on where it was.

mod bytes;
mod end;
mod keys;

use crate::fault::Fault;
use crate::output;
use bytes::{Bad, Copying};
use clap::Args;
use end::End;
use mediaflow_engine::SystemEnvironment;
use mediaflow_store::Environment as _;
use mediaflow_store::moving::{Installation, Phase, copy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long transactions of others may take to end.
const SETTLED_MAX: Duration = Duration::from_secs(60);
/// Passes over the bytes while the source works; each copies what came in during the one before.
const PASSES_MAX: u32 = 5;
/// So few new blobs are left for the time when the source is closed.
const FEW: u64 = 50;

#[derive(Debug, Clone, Args)]
pub(crate) struct Migrate {
    /// The installation: its configuration file, or its data folder with SQLite and bytes in it
    #[arg(
        long,
        value_name = "FILE|FOLDER",
        required_unless_present = "take_back"
    )]
    from: Option<PathBuf>,
    /// Where it goes: the configuration file that is used there, or an empty data folder
    #[arg(
        long,
        value_name = "FILE|FOLDER",
        required_unless_present = "take_back"
    )]
    to: Option<PathBuf>,
    /// Seconds that tasks under way get to end; the others are begun again at the new place
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    drain: u64,
    /// Files that are copied at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    together: u8,
    /// Replace what an installation that has moved away left at the new place
    #[arg(long)]
    replace: bool,
    /// Let an installation take changes again, after a move that was given up or that was wrong
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = ["from", "to", "replace"])]
    take_back: Option<PathBuf>,
}

pub(crate) async fn run(migrate: Migrate) -> Result<ExitCode, Fault> {
    if let Some(place) = &migrate.take_back {
        take_back(&End::source(place).await?).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let missing = || Fault::unusable("--from and --to are both needed");
    let from = End::source(migrate.from.as_deref().ok_or_else(missing)?).await?;
    let to = End::target(migrate.to.as_deref().ok_or_else(missing)?).await?;
    let bad = Move {
        copying: Copying::new(&from, &to, migrate.together.into()),
        from: &from,
        to: &to,
        options: &migrate,
    }
    .run()
    .await?;
    if bad.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for bad in &bad {
        eprintln!("{bad}");
    }
    Err(Fault::failed(format!(
        "{} could not be copied and {} missing at the new place; everything else is there. Repair them at {} and run the \
         same command again",
        match bad.len() {
            1 => "1 file".to_owned(),
            n => format!("{n} files"),
        },
        if bad.len() == 1 { "is" } else { "are" },
        from.name
    )))
}

/// A move at work.
struct Move<'a> {
    from: &'a End,
    to: &'a End,
    options: &'a Migrate,
    copying: Copying<'a>,
}

/// Where a move stands when the command begins.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was done, or some bytes were copied.
    Begin,
    /// All rows are at the new place; perhaps some bytes are not.
    Arrived,
}

impl Move<'_> {
    async fn run(&self) -> Result<Vec<Bad>, Fault> {
        let (there, here) = (
            self.from.installation().await?,
            self.to.installation().await?,
        );
        let stage = self.stage(&there, &here).await?;
        keys::carry(self.from, self.to)?;
        if stage == Stage::Begin {
            self.begin(&there, &here).await?;
            if let Err(fault) = self.close_and_copy(&there, &here).await {
                return Err(self.reopened(fault, &there).await);
            }
        }
        let moved = Installation {
            phase: Phase::Moved,
            peer: Some(here.id),
            place: Some(self.to.name.clone()),
            since: Some(SystemEnvironment.now()),
            ..there
        };
        self.from.enter(&moved).await?;
        let bad = self.copying.pass(true).await?.bad;
        if bad.is_empty() {
            self.to.forget_arrivals().await?;
        }
        say(format!(
            "moved: {} stays as it is and is marked as moved; start MediaFlow with {} now",
            self.from.name,
            self.options
                .to
                .as_deref()
                .unwrap_or(self.to.data.path())
                .display()
        ))?;
        Ok(bad)
    }

    /// Where the move stands, or why it cannot be.
    async fn stage(&self, there: &Installation, here: &Installation) -> Result<Stage, Fault> {
        let refuse = |text: String| Err(Fault::unusable(text));
        let (from, to) = (&self.from.name, &self.to.name);
        if there.id == here.id {
            return refuse(format!("{from} and {to} are the same installation"));
        }
        let belong = here.peer == Some(there.id);
        match (there.phase, here.phase) {
            (Phase::Arriving, _) => refuse(format!(
                "{from} is where another installation is moving to; let that end first"
            )),
            (Phase::Closed | Phase::Moved, Phase::Open)
                if belong && there.peer == Some(here.id) =>
            {
                Ok(Stage::Arrived)
            }
            (Phase::Moved, _) => {
                let place = there.place.as_deref().unwrap_or("another place");
                refuse(format!(
                    "{from} was moved to {place}; move it from there, or take it back with --take-back"
                ))
            }
            (_, Phase::Arriving) if belong => Ok(Stage::Begin),
            (_, Phase::Arriving) => {
                let place = here.place.as_deref().unwrap_or("another place");
                refuse(format!(
                    "an installation is moving to {to} from {place}; let that end first, or give it up with --take-back"
                ))
            }
            (_, Phase::Moved) if self.options.replace => Ok(Stage::Begin),
            (_, Phase::Moved) => refuse(format!(
                "{to} holds an installation that has moved away; --replace removes what it left"
            )),
            (_, Phase::Draining | Phase::Closed) => refuse(format!("{to} is being moved itself")),
            (_, Phase::Open) => match self.to.is_empty().await? {
                true => Ok(Stage::Begin),
                false => refuse(format!("{to} is not empty: it holds another installation")),
            },
        }
    }

    /// Marks the new place and copies bytes while the old one works.
    async fn begin(&self, there: &Installation, here: &Installation) -> Result<(), Fault> {
        let arriving = Installation {
            phase: Phase::Arriving,
            peer: Some(there.id),
            place: Some(self.from.name.clone()),
            since: Some(SystemEnvironment.now()),
            ..here.clone()
        };
        self.to.enter(&arriving).await?;
        if there.phase == Phase::Closed {
            return Ok(());
        }
        self.tell_of_unfinished().await?;
        for pass in 1..=PASSES_MAX {
            let done = self.copying.pass(false).await?;
            say(format!(
                "pass {pass}: {done} while {} works",
                self.from.name
            ))?;
            if done.files < FEW {
                break;
            }
        }
        Ok(())
    }

    /// What clients and other servers are in the middle of is begun again at the new place, unless somebody waits for its end.
    async fn tell_of_unfinished(&self) -> Result<(), Fault> {
        let (uploads, imports) = self.from.under_way().await?;
        let left = [
            (
                uploads,
                "upload",
                "its client begins again",
                "their clients begin again",
            ),
            (imports, "import", "ask for it again", "ask for them again"),
        ];
        let left = left.into_iter().filter_map(|(n, what, one, many)| match n {
            0 => None,
            1 => Some(format!(
                "1 {what} is not finished and does not move; {one} at the new place"
            )),
            n => Some(format!(
                "{n} {what}s are not finished and do not move; {many} at the new place"
            )),
        });
        let left: Vec<String> = left.collect();
        if left.is_empty() {
            return Ok(());
        }
        say(format!(
            "{}\nto let them end here, stop this, run `mediaflow switches set uploads off`, and move when `GET /v1/uploads` lists none",
            left.join("\n")
        ))
    }

    /// The time in which the source takes no changes.
    async fn close_and_copy(&self, there: &Installation, here: &Installation) -> Result<(), Fault> {
        let began = Instant::now();
        let enter = async |phase| {
            let to = Installation {
                phase,
                peer: Some(here.id),
                place: Some(self.to.name.clone()),
                since: Some(SystemEnvironment.now()),
                ..there.clone()
            };
            self.from.enter(&to).await?;
            self.from.settle(SETTLED_MAX).await
        };
        if there.phase != Phase::Closed {
            enter(Phase::Draining).await?;
            self.drain().await?;
        }
        enter(Phase::Closed).await?;
        let done = self.copying.pass(true).await?;
        say(format!("last pass: {done}"))?;
        let then = Installation {
            phase: Phase::Open,
            peer: Some(there.id),
            place: Some(self.from.name.clone()),
            since: Some(SystemEnvironment.now()),
            ..here.clone()
        };
        let (from, to) = (&self.from.premises, &self.to.premises);
        let tables = copy(from, to, &then, |_| ()).await.map_err(Fault::failed)?;
        let rows: u64 = tables.iter().map(|table| table.rows).sum();
        say(format!(
            "{rows} rows of {} tables, each compared; no changes were taken for {:.1} s",
            tables.len(),
            began.elapsed().as_secs_f64()
        ))
    }

    /// Waits for tasks under way, within reason.
    async fn drain(&self) -> Result<(), Fault> {
        let began = Instant::now();
        let patience = Duration::from_secs(self.options.drain);
        loop {
            let running = self.from.running().await?;
            if running == 0 {
                return Ok(());
            }
            if began.elapsed() >= patience {
                return say(format!(
                    "{running} tasks did not end in {} s and begin again at the new place",
                    self.options.drain
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A source that could not be moved works again, unless its rows have arrived all the same.
    async fn reopened(&self, fault: Fault, there: &Installation) -> Fault {
        let arriving = |i: Installation| i.phase == Phase::Arriving;
        let is_safe = self.to.installation().await.is_ok_and(arriving);
        let open = Installation {
            phase: Phase::Open,
            peer: None,
            place: None,
            ..there.clone()
        };
        match is_safe && self.from.enter(&open).await.is_ok() {
            true => fault.and(format!("{} takes changes again", self.from.name)),
            false => fault.and(format!(
                "{} takes no changes; run the same command again",
                self.from.name
            )),
        }
    }
}

async fn take_back(end: &End) -> Result<(), Fault> {
    let found = end.installation().await?;
    let place = found.place.as_deref().unwrap_or("another place");
    let text = match found.phase {
        Phase::Open => return say(format!("{} takes changes already", end.name)),
        Phase::Moved => format!(
            "{} takes changes again, as it was when it moved. What happened since then is at {place}, which must not work any more",
            end.name
        ),
        Phase::Arriving => format!(
            "{} is given up as a place to move to, and is empty",
            end.name
        ),
        Phase::Draining | Phase::Closed => format!("{} takes changes again", end.name),
    };
    let open = Installation {
        phase: Phase::Open,
        peer: None,
        place: None,
        since: Some(SystemEnvironment.now()),
        ..found.clone()
    };
    end.enter(&open).await?;
    end.forget_arrivals().await?;
    say(text)
}

fn say(text: String) -> Result<(), Fault> {
    output::print(&format!("{text}\n"))
}
