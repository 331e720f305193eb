//! Numbered steps to the database's present shape, and which program can use which shape.
//!
//! During a rolling upgrade old and new programs use one database. So a release only *expands*: it adds what older programs
//! need not know. What they still use is taken away by a *contracting* step of a later release, which says
//! how old a program may be that goes on with it. Both facts are recorded in the database with each step, so that a program
//! can judge steps that are newer than itself.

use crate::StoreError;
use mediaflow_core::Timestamp;
use std::ops::Range;

/// What a step does to programs that do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Only adds: whoever could use the database before still can.
    Expand,
    /// Takes away: programs that know fewer steps than this cannot use the database any more.
    Contract(usize),
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) change: Change,
}

/// A step that only adds.
pub(crate) const fn expand(name: &'static str, sql: &'static str) -> Migration {
    Migration {
        name,
        sql,
        change: Change::Expand,
    }
}

/// A step that takes away what programs with fewer steps than `least` need.
pub(crate) const fn contract(least: usize, name: &'static str, sql: &'static str) -> Migration {
    Migration {
        name,
        sql,
        change: Change::Contract(least),
    }
}

/// Where a step stands in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Done.
    Applied,
    /// Known to this program and not done yet.
    Pending,
    /// Done by a newer program, and unknown to this one.
    Newer,
}

/// A step of a database's history or near future.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRecord {
    /// From 1.
    pub number: usize,
    /// What it is about.
    pub name: String,
    /// Where it stands.
    pub state: MigrationState,
    /// When it was done; unknown of steps that older releases did.
    pub applied_at: Option<Timestamp>,
    /// The least number of steps that a program must know to go on with it.
    pub needs: usize,
}

/// A step as a database has recorded it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applied {
    pub(crate) number: usize,
    pub(crate) name: Option<String>,
    pub(crate) applied_at: Option<Timestamp>,
    pub(crate) needs: Option<usize>,
}

/// Which of the pending steps are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that disturb no older program that may still run.
    Harmless,
    /// All: somebody said so, or there is no other program.
    All,
}

/// The steps that are to be applied, as places in `steps`.
///
/// # Errors
/// When the database is too new for this program, or too old without a step that only an operator may order.
pub(crate) fn due(
    steps: &[Migration],
    applied: &[Applied],
    wanted: Wanted,
) -> Result<Range<usize>, StoreError> {
    let level = applied.iter().map(|a| a.number).max().unwrap_or(0);
    let Some(pending) = steps.get(level..) else {
        let needs = applied.iter().filter(|a| a.number > steps.len());
        let needs = needs.map(|a| a.needs.unwrap_or(a.number)).max();
        return match needs.is_some_and(|needs| needs > steps.len()) {
            true => Err(StoreError::newer(level, steps.len())),
            false => Ok(steps.len()..steps.len()),
        };
    };
    let contracts = |m: &Migration| matches!(m.change, Change::Contract(_));
    let harmless = pending.iter().take_while(|m| !contracts(m)).count();
    // An empty database has no older program.
    if wanted == Wanted::All || level == 0 {
        return Ok(level..steps.len());
    }
    // Programs work before and after a contracting step that they know, but not without what comes behind it.
    match pending[harmless..].iter().all(contracts) {
        true => Ok(level..level + harmless),
        false => Err(StoreError::Schema(format!(
            "its schema is at step {level} and this program needs step {}, but step {} ({}) ends the work of older \
             programs: stop them and run `mediaflow migrations apply`",
            steps.len(),
            level + harmless + 1,
            pending[harmless].name,
        ))),
    }
}

/// The least number of known steps with which a program can use the database after the first `number` of `steps`.
pub(crate) fn needs(steps: &[Migration], number: usize) -> usize {
    let contracts = steps[..number].iter().filter_map(|m| match m.change {
        Change::Expand => None,
        Change::Contract(since) => Some(since),
    });
    contracts.max().unwrap_or(1)
}

/// What a database has done and what it still has to.
pub(crate) fn records(steps: &[Migration], applied: &[Applied]) -> Vec<MigrationRecord> {
    let level = applied.iter().map(|a| a.number).max().unwrap_or(0);
    let record = |number: usize| {
        let found = applied.iter().find(|a| a.number == number);
        let known = steps.get(number - 1);
        let recorded = found.and_then(|a| a.name.clone());
        MigrationRecord {
            number,
            name: known.map_or_else(|| recorded.unwrap_or_default(), |m| m.name.to_owned()),
            state: match (number <= level, known) {
                (true, Some(_)) => MigrationState::Applied,
                (true, None) => MigrationState::Newer,
                (false, _) => MigrationState::Pending,
            },
            applied_at: found.and_then(|a| a.applied_at),
            needs: match known {
                Some(_) => needs(steps, number),
                None => found.and_then(|a| a.needs).unwrap_or(number),
            },
        }
    };
    (1..=level.max(steps.len())).map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::{Applied, Change, Migration, MigrationState, Wanted, due, expand, records};

    const CONTRACT: Migration = Migration {
        change: Change::Contract(2),
        ..expand("less", "")
    };

    /// What is due by these letters, one for each step: `e` expands, `c` contracts.
    fn steps(letters: &str) -> Vec<Migration> {
        let step = |c| {
            if c == 'c' {
                CONTRACT
            } else {
                expand("more", "")
            }
        };
        letters.chars().map(step).collect()
    }

    fn at(level: usize) -> Vec<Applied> {
        let applied = |number| Applied {
            number,
            ..Applied::default()
        };
        (1..=level).map(applied).collect()
    }

    #[test]
    fn a_start_expands_and_leaves_contracting_to_people() {
        let cases = [
            ("eee", 1, Wanted::Harmless, Some(1..3)),
            ("eec", 1, Wanted::Harmless, Some(1..2)),
            ("eec", 2, Wanted::Harmless, Some(2..2)),
            ("eec", 2, Wanted::All, Some(2..3)),
            ("eec", 0, Wanted::Harmless, Some(0..3)),
            ("eece", 2, Wanted::Harmless, None),
            ("eece", 3, Wanted::Harmless, Some(3..4)),
            ("eece", 2, Wanted::All, Some(2..4)),
        ];
        for (letters, level, wanted, expected) in cases {
            let found = due(&steps(letters), &at(level), wanted).ok();
            assert_eq!(found, expected, "{letters} at {level}, {wanted:?}");
        }
    }

    #[test]
    fn a_newer_database_is_used_as_long_as_it_allows_it() {
        for (needs, is_usable) in [
            (Some(1), true),
            (Some(2), true),
            (Some(3), false),
            (None, false),
        ] {
            let mut applied = at(2);
            applied.push(Applied {
                number: 3,
                name: Some("future".to_owned()),
                applied_at: None,
                needs,
            });
            let found = due(&steps("ee"), &applied, Wanted::Harmless);
            assert_eq!(found.is_ok(), is_usable, "{needs:?}");
            let last = records(&steps("ee"), &applied).pop().expect("three");
            assert_eq!(last.state, MigrationState::Newer);
            assert_eq!(last.name, "future");
        }
    }
}
