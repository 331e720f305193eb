//! What must hold after every transaction, seen from its changes alone: the oracle keeps its own picture of tasks,
//! runs and assets, made from nothing but what changed, and says when a change cannot be right.

use crate::coverage::{Coverage, Met};
use crate::recipes;
use crate::seen::Change;
use mediaflow_core::{AssetId, AssetState, EventType, Recipe, RunState, TaskId, TaskState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A task as the oracle sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenTask {
    pub(crate) asset: AssetId,
    pub(crate) generation: u32,
    pub(crate) step: usize,
    pub(crate) state: TaskState,
    pub(crate) fence: u64,
    /// It was pruned.
    pub(crate) forgotten: bool,
}

struct SeenRun {
    state: RunState,
    recipe: Arc<Recipe>,
    steps: String,
    tasks: Vec<TaskId>,
}

/// An asset as the oracle sees it.
pub(crate) struct SeenAsset {
    pub(crate) state: AssetState,
    pub(crate) generation: u32,
    pub(crate) published: u32,
    pub(crate) sequence: u64,
    pub(crate) filename: String,
    /// Somebody was told that it is deleted.
    pub(crate) deleted: bool,
    /// The generation that somebody was told has begun: no older one is published from then on.
    pub(crate) oldest: u32,
}

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) tasks: BTreeMap<TaskId, SeenTask>,
    runs: BTreeMap<(AssetId, u32), SeenRun>,
    pub(crate) assets: BTreeMap<AssetId, SeenAsset>,
    /// Reports that somebody was told are taken, by task and fence.
    pub(crate) taken: BTreeSet<(TaskId, u64)>,
    pub(crate) coverage: Coverage,
    /// Changes of state.
    pub(crate) transitions: u64,
    /// When each asset was ready first.
    pub(crate) ready_at: BTreeMap<AssetId, i64>,
}

/// What a change did that it must not.
pub(crate) type Wrong = String;

impl Oracle {
    /// Looks at what one transaction changed.
    pub(crate) fn look(&mut self, at: i64, by: &str, changes: &[Change]) -> Result<(), Wrong> {
        let mut runs = BTreeMap::new();
        let (mut changed, mut told) = (BTreeSet::new(), BTreeSet::new());
        for change in changes {
            if let Change::Asset {
                asset,
                new: AssetState::Ready,
                ..
            } = *change
            {
                self.ready_at.entry(asset).or_insert(at);
            }
            self.count(by, change);
            self.apply(change, &mut runs, &mut changed, &mut told)?;
        }
        for (run, begun) in &runs {
            self.recount(*run, begun)?;
        }
        if let Some(asset) = changed.iter().find(|a| !told.contains(*a)) {
            return Err(format!("{asset} changed its state and no event says so"));
        }
        Ok(())
    }

    /// What met the task, as far as only the change tells.
    fn count(&mut self, by: &str, change: &Change) {
        let Change::Task { old, new, .. } = *change else {
            return;
        };
        match (by, old, new) {
            (_, TaskState::Ready, TaskState::Running) => self.coverage.hit(Met::Claim, old),
            ("sweep" | "reopen", TaskState::Running, _) if new != old => {
                self.coverage.hit(Met::Lost, old)
            }
            ("sweep", TaskState::Waiting, TaskState::Ready) => self.coverage.hit(Met::Due, old),
            _ => {}
        }
    }

    fn apply(
        &mut self,
        change: &Change,
        runs: &mut BTreeMap<(AssetId, u32), BTreeSet<usize>>,
        changed: &mut BTreeSet<AssetId>,
        told: &mut BTreeSet<AssetId>,
    ) -> Result<(), Wrong> {
        match *change {
            Change::NewTask {
                task,
                asset,
                generation,
                step,
                state,
            } => {
                let run = self
                    .runs
                    .get_mut(&(asset, generation))
                    .ok_or("a task without a run")?;
                run.tasks.push(task);
                self.tasks.insert(
                    task,
                    SeenTask {
                        asset,
                        generation,
                        step,
                        state,
                        fence: 0,
                        forgotten: false,
                    },
                );
                runs.entry((asset, generation)).or_default();
            }
            Change::Task {
                task,
                old,
                new,
                fences,
            } => {
                let seen = self
                    .tasks
                    .get_mut(&task)
                    .ok_or("a change of an unknown task")?;
                if (seen.state, seen.fence) != (old, fences.0) {
                    return Err(format!(
                        "{task} was {:?} and changed from {old:?} unseen",
                        seen.state
                    ));
                }
                if fences.1 < fences.0 {
                    return Err(format!(
                        "the fence of {task} fell from {} to {}",
                        fences.0, fences.1
                    ));
                }
                let rises = old != new && matches!(new, TaskState::Running | TaskState::Cancelled);
                if rises && fences.1 == fences.0 {
                    return Err(format!("{task} became {new:?} and its fence did not rise"));
                }
                if old != new {
                    if !old.allows(new) {
                        return Err(format!("{task} went from {old:?} to {new:?}"));
                    }
                    self.transitions += 1;
                    let begun = runs.entry((seen.asset, seen.generation)).or_default();
                    if old == TaskState::Pending
                        && matches!(new, TaskState::Ready | TaskState::Succeeded)
                    {
                        begun.insert(seen.step);
                    }
                }
                (seen.state, seen.fence) = (new, fences.1);
            }
            Change::Run {
                asset,
                generation,
                old,
                new,
                ref recipe,
                ref steps,
            } => {
                self.run(asset, generation, (old, new), recipe, steps)?;
                runs.entry((asset, generation)).or_default();
            }
            Change::Asset {
                asset,
                generation,
                old,
                new,
                published,
                ref filename,
            } => {
                self.asset(asset, generation, (old, new), published, filename)?;
                if old != Some(new) {
                    changed.insert(asset);
                }
            }
            Change::Event {
                asset,
                sequence,
                kind,
            } => {
                let seen = self
                    .assets
                    .get_mut(&asset)
                    .ok_or("an event of an unknown asset")?;
                if sequence != seen.sequence + 1 {
                    return Err(format!(
                        "event {sequence} of {asset} came after {}",
                        seen.sequence
                    ));
                }
                seen.sequence = sequence;
                told.insert(asset);
                if kind == EventType::AssetReady && seen.deleted {
                    return Err(format!(
                        "{asset} became ready after its deletion was acknowledged"
                    ));
                }
            }
            Change::Purge { .. } => {}
        }
        Ok(())
    }

    fn run(
        &mut self,
        asset: AssetId,
        generation: u32,
        (old, new): (Option<RunState>, RunState),
        recipe: &str,
        steps: &str,
    ) -> Result<(), Wrong> {
        let Some(old) = old else {
            let recipe = recipes::all()
                .iter()
                .find(|r| r.hash().to_string() == recipe);
            let recipe = Arc::clone(recipe.ok_or("a run of an unknown recipe")?);
            let run = SeenRun {
                state: new,
                recipe,
                steps: steps.to_owned(),
                tasks: Vec::new(),
            };
            self.runs.insert((asset, generation), run);
            return Ok(());
        };
        let run = self
            .runs
            .get_mut(&(asset, generation))
            .ok_or("a change of an unknown run")?;
        if old != run.state {
            return Err(format!("run {generation} of {asset} changed unseen"));
        }
        let is_over = matches!(old, RunState::Rejected | RunState::Cancelled);
        let back = old == RunState::Ready && new != RunState::Cancelled;
        if old != new && (is_over && new != RunState::Cancelled || back) {
            return Err(format!(
                "run {generation} of {asset} went from {old:?} to {new:?}"
            ));
        }
        self.transitions += u64::from(old != new);
        run.state = new;
        steps.clone_into(&mut run.steps);
        Ok(())
    }

    fn asset(
        &mut self,
        asset: AssetId,
        generation: u32,
        (old, new): (Option<AssetState>, AssetState),
        published: (u32, u32),
        filename: &str,
    ) -> Result<(), Wrong> {
        if old.is_none() {
            let seen = SeenAsset {
                state: new,
                generation,
                published: 0,
                sequence: 0,
                filename: filename.to_owned(),
                deleted: false,
                oldest: 1,
            };
            self.assets.insert(asset, seen);
            return Ok(());
        }
        let seen = self
            .assets
            .get_mut(&asset)
            .ok_or("a change of an unknown asset")?;
        let is_new = published.1 != published.0 && published.1 > 0;
        if is_new && published.1 != generation {
            return Err(format!(
                "{asset} published {} though {generation} is the newest",
                published.1
            ));
        }
        if is_new && (seen.deleted || published.1 < seen.oldest) {
            return Err(format!(
                "{asset} published {} after that was cancelled and acknowledged",
                published.1
            ));
        }
        let gone = matches!(seen.state, AssetState::Deleted | AssetState::Rejected);
        if gone && new != seen.state && new != AssetState::Deleted {
            return Err(format!("{asset} went from {:?} to {new:?}", seen.state));
        }
        self.transitions += u64::from(seen.state != new);
        (seen.state, seen.generation, seen.published) = (new, generation, published.1);
        Ok(())
    }

    /// Counters equal a recount, nothing began before what it needs, and a ready run has all that it requires.
    fn recount(&self, key: (AssetId, u32), begun: &BTreeSet<usize>) -> Result<(), Wrong> {
        let run = &self.runs[&key];
        let recipe = &run.recipe;
        let steps: Vec<[u32; 6]> = serde_json::from_str(&run.steps).map_err(|e| e.to_string())?;
        let mut counted = vec![[0_u32; 8]; recipe.steps.len()];
        for task in &run.tasks {
            let task = &self.tasks[task];
            counted[task.step][task.state as usize] += 1;
        }
        for (index, (step, count)) in steps.iter().zip(&counted).enumerate() {
            let of = |state: TaskState| count[state as usize];
            let total: u32 = count.iter().sum();
            let expected = [
                total,
                of(TaskState::Succeeded),
                of(TaskState::Skipped),
                of(TaskState::Dead),
                of(TaskState::Cancelled),
            ];
            if step[..5] != expected {
                let name = &recipe.steps[index].name;
                return Err(format!(
                    "{name} of {key:?} counts {step:?} and has {expected:?}"
                ));
            }
            let needs = &recipe.steps[index].needs;
            if begun.contains(&index)
                && let Some(&need) = needs.iter().find(|&&n| !met(recipe, &counted, n))
            {
                let (step, need) = (&recipe.steps[index].name, &recipe.steps[need].name);
                return Err(format!("{step} of {key:?} began before {need} was done"));
            }
        }
        let required = |i: &usize| recipe.is_before_publish(*i);
        let done = (0..recipe.steps.len())
            .filter(required)
            .all(|i| met(recipe, &counted, i));
        // What is optional may be tried again later.
        let kept = (0..recipe.steps.len()).filter(required).all(|i| {
            let total: u32 = counted[i].iter().sum();
            let well =
                counted[i][TaskState::Succeeded as usize] + counted[i][TaskState::Skipped as usize];
            recipe.steps[i].optional || well == total
        });
        // Generations are published by the core in the transaction that ends the last step, so it is one with that.
        match run.state {
            RunState::Ready if !kept => Err(format!("{key:?} is ready and not all is done")),
            state
                if done
                    && !matches!(
                        state,
                        RunState::Ready | RunState::Cancelled | RunState::Rejected
                    ) =>
            {
                Err(format!("{key:?} has done all and is {state:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Only these tasks are left: the others were of no use any more.
    pub(crate) fn forget(&mut self, left: &BTreeSet<TaskId>) -> Result<(), Wrong> {
        for (id, task) in &mut self.tasks {
            if task.forgotten || left.contains(id) {
                continue;
            }
            task.forgotten = true;
            let asset = &self.assets[&task.asset];
            let shows = [asset.generation, asset.published].contains(&task.generation);
            if !task.state.is_ended() || shows && asset.state != AssetState::Deleted {
                return Err(format!("{id} is gone, and was {task:?} of a live asset"));
            }
        }
        Ok(())
    }

    /// An event meets a task, whatever becomes of it.
    pub(crate) fn meets(&mut self, met: Met, task: TaskId) {
        if let Some(seen) = self.tasks.get(&task) {
            self.coverage.hit(met, seen.state);
        }
    }

    /// An event meets every task of the asset's newest run.
    pub(crate) fn meets_all(&mut self, met: Met, asset: AssetId) {
        let Some(seen) = self.assets.get(&asset) else {
            return;
        };
        let Some(run) = self.runs.get(&(asset, seen.generation)) else {
            return;
        };
        for task in &run.tasks {
            self.coverage.hit(met, self.tasks[task].state);
        }
    }

    pub(crate) fn recipe(&self, asset: AssetId, generation: u32) -> Option<&Arc<Recipe>> {
        self.runs.get(&(asset, generation)).map(|r| &r.recipe)
    }

    pub(crate) fn run_state(&self, asset: AssetId, generation: u32) -> Option<RunState> {
        self.runs.get(&(asset, generation)).map(|r| r.state)
    }

    /// Whether the run waits for a person, and for nobody else.
    pub(crate) fn waits_for_person(&self, asset: AssetId, generation: u32) -> bool {
        self.run_state(asset, generation) == Some(RunState::InReview)
    }

    /// Whether a worker, the sweeper or a person must still do something.
    pub(crate) fn is_at_rest(&self) -> bool {
        let still = |s: TaskState| {
            matches!(
                s,
                TaskState::Ready | TaskState::Running | TaskState::Waiting
            )
        };
        !self.tasks.values().any(|t| still(t.state))
    }
}

fn met(recipe: &Recipe, counted: &[[u32; 8]], step: usize) -> bool {
    let of = |state: TaskState| counted[step][state as usize];
    let (optional, needs) = (recipe.steps[step].optional, &recipe.steps[step].needs);
    let open = of(TaskState::Pending)
        + of(TaskState::Ready)
        + of(TaskState::Running)
        + of(TaskState::Waiting);
    open == 0
        && of(TaskState::Cancelled) == 0
        && (optional || of(TaskState::Dead) == 0)
        && (of(TaskState::Skipped) == 0 || needs.iter().all(|&n| met(recipe, counted, n)))
}
