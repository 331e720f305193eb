//! The protocol of claim, lease, fence and outbox in its small form, and every state that it can reach: two tasks of
//! which one needs the other, two workers who can die and stand still, answers that are lost, and a relay that can die
//! between passing an event on and noting that it did.

use stateright::{Checker, Model, Property};

const TASKS: usize = 2;
const WORKERS: usize = 2;

/// What of the protocol is there.
#[derive(Clone)]
struct Protocol {
    checks_fences: bool,
    /// Whether events are rows of the transaction that they tell of, or are sent after it.
    has_outbox: bool,
    has_sweeper: bool,
    /// How often a worker or the relay may die, and how often a lease may run out under a worker that lives.
    troubles: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Task {
    Pending,
    Ready,
    /// Whether its lease has run out.
    Running(bool),
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    tasks: [Task; TASKS],
    fences: [u8; TASKS],
    /// The fence of the attempt whose result is committed, and the task's own at that moment.
    results: [Option<(u8, u8)>; TASKS],
    /// What each worker believes to hold.
    held: [Option<(usize, u8)>; WORKERS],
    /// Events that are recorded and not noted as passed on.
    outbox: [bool; TASKS],
    /// Events that somebody outside was told of.
    told: [bool; TASKS],
    /// A good report that was refused.
    refused: bool,
    troubles: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    Claim(usize, usize),
    /// The report is taken; its answer is lost where the second says so.
    Report(usize, bool),
    /// A worker's process is gone, and what it held with it.
    Die(usize),
    LeaseEnds(usize),
    Sweep(usize),
    PassOn(usize),
    /// Passed on, and the relay dies before it notes that.
    PassOnAndDie(usize),
}

impl Protocol {
    fn whole(troubles: u8) -> Self {
        Self {
            checks_fences: true,
            has_outbox: true,
            has_sweeper: true,
            troubles,
        }
    }

    fn report(&self, state: &mut State, worker: usize, lost: bool) {
        let Some((task, fence)) = state.held[worker] else {
            return;
        };
        let runs = matches!(state.tasks[task], Task::Running(_));
        let current = state.fences[task] == fence;
        if runs && (current || !self.checks_fences) {
            state.results[task] = Some((fence, state.fences[task]));
            state.tasks[task] = Task::Done;
            if task == 0 {
                state.tasks[1] = Task::Ready;
            }
            match self.has_outbox {
                true => state.outbox[task] = true,
                // Whoever committed tells of it, if it still can.
                false => state.told[task] |= !lost,
            }
        } else if current && !matches!(state.results[task], Some((f, _)) if f == fence) {
            state.refused = true;
        }
        if !lost {
            state.held[worker] = None;
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tasks: [Task::Ready, Task::Pending],
            fences: [0; TASKS],
            results: [None; TASKS],
            held: [None; WORKERS],
            outbox: [false; TASKS],
            told: [false; TASKS],
            refused: false,
            troubles: self.troubles,
        }]
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        for worker in 0..WORKERS {
            match state.held[worker] {
                None => acts.extend(
                    (0..TASKS)
                        .filter(|&t| state.tasks[t] == Task::Ready)
                        .map(|t| Act::Claim(worker, t)),
                ),
                Some(_) => {
                    acts.push(Act::Report(worker, false));
                    if state.troubles > 0 {
                        acts.extend([Act::Report(worker, true), Act::Die(worker)]);
                    }
                }
            }
        }
        for task in 0..TASKS {
            match state.tasks[task] {
                // A lease ends by itself once nobody renews it, and under a worker that stands still.
                Task::Running(false) => {
                    let renewed = state.held.contains(&Some((task, state.fences[task])));
                    if !renewed || state.troubles > 0 {
                        acts.push(Act::LeaseEnds(task));
                    }
                }
                Task::Running(true) if self.has_sweeper => acts.push(Act::Sweep(task)),
                _ => {}
            }
            if state.outbox[task] {
                acts.push(Act::PassOn(task));
                if state.troubles > 0 {
                    acts.push(Act::PassOnAndDie(task));
                }
            }
        }
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut state = last.clone();
        match act {
            Act::Claim(worker, task) => {
                state.fences[task] += 1;
                state.tasks[task] = Task::Running(false);
                state.held[worker] = Some((task, state.fences[task]));
            }
            Act::Report(worker, lost) => {
                state.troubles -= u8::from(lost);
                self.report(&mut state, worker, lost);
            }
            Act::Die(worker) => {
                state.troubles -= 1;
                state.held[worker] = None;
            }
            Act::LeaseEnds(task) => {
                let renewed = state.held.contains(&Some((task, state.fences[task])));
                state.troubles -= u8::from(renewed);
                state.tasks[task] = Task::Running(true);
            }
            Act::Sweep(task) => {
                state.fences[task] += 1;
                state.tasks[task] = Task::Ready;
            }
            Act::PassOn(task) => {
                state.told[task] = true;
                state.outbox[task] = false;
            }
            Act::PassOnAndDie(task) => {
                state.troubles -= 1;
                state.told[task] = true;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("only the current fence commits", |_, state: &State| {
                state
                    .results
                    .iter()
                    .flatten()
                    .all(|(by, current)| by == current)
            }),
            Property::always("no good report is refused", |_, state: &State| {
                !state.refused
            }),
            Property::always("what needs another begins after it", |_, state: &State| {
                state.tasks[1] == Task::Pending || state.tasks[0] == Task::Done
            }),
            Property::always("a task is done when it has a result", |_, state: &State| {
                (0..TASKS).all(|t| (state.tasks[t] == Task::Done) == state.results[t].is_some())
            }),
            Property::always("what is told has happened", |_, state: &State| {
                (0..TASKS).all(|t| !state.told[t] || state.results[t].is_some())
            }),
            Property::always(
                "nothing rests before all is done and told",
                |protocol: &Self, state: &State| {
                    let mut acts = Vec::new();
                    protocol.actions(state, &mut acts);
                    let whole =
                        state.tasks.iter().all(|t| *t == Task::Done) && state.told == [true; TASKS];
                    !acts.is_empty() || whole
                },
            ),
            Property::sometimes("a zombie meets a newer fence", |_, state: &State| {
                state
                    .held
                    .iter()
                    .flatten()
                    .any(|&(t, fence)| fence < state.fences[t] && state.tasks[t] != Task::Done)
            }),
        ]
    }
}

/// The promises that the protocol breaks, of all states that it can reach.
fn broken(protocol: Protocol) -> Vec<&'static str> {
    let checker = protocol.checker().spawn_bfs().join();
    let found = checker.discoveries();
    found
        .into_keys()
        .filter(|name| !name.starts_with("a zombie"))
        .collect()
}

#[test]
fn every_reachable_state_keeps_every_promise() {
    let checker = Protocol::whole(4).checker().spawn_bfs().join();
    checker.assert_properties();
    assert!(
        checker.unique_state_count() > 1000,
        "{}",
        checker.unique_state_count()
    );
}

#[test]
fn without_the_fence_a_zombie_commits() {
    let broken = broken(Protocol {
        checks_fences: false,
        ..Protocol::whole(4)
    });
    assert!(
        broken.contains(&"only the current fence commits"),
        "{broken:?}"
    );
}

#[test]
fn without_the_outbox_an_event_is_lost() {
    let broken = broken(Protocol {
        has_outbox: false,
        ..Protocol::whole(2)
    });
    assert!(
        broken.contains(&"nothing rests before all is done and told"),
        "{broken:?}"
    );
}

#[test]
fn without_the_sweeper_a_task_is_stuck() {
    let broken = broken(Protocol {
        has_sweeper: false,
        ..Protocol::whole(2)
    });
    assert!(
        broken.contains(&"nothing rests before all is done and told"),
        "{broken:?}"
    );
}
