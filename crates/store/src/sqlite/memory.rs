//! What a transaction of many requests has read and wants again, and sums that it writes once, at its end. It knows nothing
//! of why: `claim` gives tasks, `task` puts them into the queue.

use super::claim::{self, Lined};
use super::switches;
use crate::StoreError;
use crate::fairness::Turns;
use crate::giving::Candidate;
use mediaflow_core::{Queue, TaskState, TenantId};
use rusqlite::{Connection, params};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Of each line so many tasks are read at once.
const TOGETHER: usize = 32;

/// See the module. It ends with its transaction, so nothing in it is ever older than the database.
#[derive(Default)]
pub(super) struct Memory {
    /// Nothing for a queue whose claims are switched off.
    queues: RefCell<HashMap<Queue, Option<Vec<Heads>>>>,
    turns: RefCell<Option<Turns>>,
    tenants: RefCell<HashMap<TenantId, Tenant>>,
    minutes: RefCell<BTreeMap<(i64, Queue), Minute>>,
    /// By queue and state.
    counts: RefCell<BTreeMap<(Queue, &'static str), Count>>,
    changes: Cell<u64>,
}

/// The first ready tasks of a line, in their order.
struct Heads {
    line: Lined,
    tasks: Vec<Candidate>,
    /// Whether there are no others behind them.
    all: bool,
}

#[derive(Clone, Copy)]
struct Tenant {
    weight: u64,
    running_max: Option<u32>,
    vtime: i64,
    changed: bool,
}

/// How many tasks more than before are in a state, and what those that are ready cost.
#[derive(Default)]
struct Count {
    tasks: i64,
    cpu_ms: i64,
}

/// What came and went in a minute.
#[derive(Default)]
struct Minute {
    arrived: u64,
    done: u64,
    estimated_ms: u64,
    spent_ms: u64,
}

impl Memory {
    /// How often something changed that is only here: it is not undone with the rows.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    fn change(&self) {
        self.changes.set(self.changes.get() + 1);
    }

    /// The first ready tasks of each line of this queue whose needs satisfy `can`. How many of one, `each` says by the
    /// number of such lines.
    pub(super) fn heads(
        &self,
        conn: &Connection,
        queue: Queue,
        can: impl Fn(&str) -> bool,
        each: impl FnOnce(usize) -> usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut lines = self.lines(conn, queue)?;
        let Some(lines) = &mut *lines else {
            return Ok(Vec::new());
        };
        let mut lines: Vec<&mut Heads> = lines.iter_mut().filter(|h| can(&h.line.needs)).collect();
        let each = each(lines.len());
        let mut found = Vec::new();
        for heads in &mut lines {
            if heads.tasks.len() < each && !heads.all {
                let most = each.max(TOGETHER);
                heads.tasks = claim::first_of(conn, queue, &heads.line, most)?;
                heads.all = heads.tasks.len() < most;
            }
            found.extend(heads.tasks.iter().take(each).cloned());
        }
        Ok(found)
    }

    /// Whether claims of this queue are switched off.
    pub(super) fn is_off(&self, conn: &Connection, queue: Queue) -> Result<bool, StoreError> {
        Ok(self.lines(conn, queue)?.is_none())
    }

    fn lines(
        &self,
        conn: &Connection,
        queue: Queue,
    ) -> Result<RefMut<'_, Option<Vec<Heads>>>, StoreError> {
        let mut queues = self.queues.borrow_mut();
        if let Entry::Vacant(new) = queues.entry(queue) {
            new.insert(read_lines(conn, queue)?);
        }
        Ok(RefMut::map(queues, |queues| {
            queues.get_mut(&queue).expect("it was read just now")
        }))
    }

    /// A task became ready.
    pub(super) fn add(&self, task: &Candidate) {
        let mut queues = self.queues.borrow_mut();
        let Some(Some(lines)) = queues.get_mut(&task.line.queue) else {
            return;
        };
        let Some(heads) = lines.iter_mut().find(|h| h.line.is_of(task)) else {
            // All lines are known: this one was empty.
            lines.push(Heads {
                line: Lined::of(task),
                tasks: vec![task.clone()],
                all: true,
            });
            return;
        };
        let place = heads.tasks.partition_point(|t| t.place() < task.place());
        if place < heads.tasks.len() || heads.all {
            heads.tasks.insert(place, task.clone());
        }
    }

    /// A task is ready no more: it was given to somebody.
    pub(super) fn remove(&self, task: &Candidate) {
        let mut queues = self.queues.borrow_mut();
        let lines = queues.get_mut(&task.line.queue).into_iter().flatten();
        for heads in lines.flatten().filter(|h| h.line.is_of(task)) {
            heads.tasks.retain(|t| t.id != task.id);
        }
    }

    /// What is ready has changed otherwise.
    pub(super) fn forget_ready(&self) {
        self.queues.borrow_mut().clear();
    }

    /// What tenants are allowed has changed.
    pub(super) fn forget_limits(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.write(conn)?;
        self.tenants.borrow_mut().clear();
        *self.turns.borrow_mut() = None;
        Ok(())
    }

    /// Decides with the standing of these tasks' lines.
    pub(super) fn with_turns<T>(
        &self,
        conn: &Connection,
        candidates: Vec<Candidate>,
        decide: impl FnOnce(&mut Turns, Vec<Candidate>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.change();
        let mut turns = self.turns(conn)?;
        let turns = turns.as_mut().expect("they were just read");
        let mut last = None;
        for line in candidates.iter().map(|c| c.line) {
            if last.replace(line) == Some(line) {
                continue;
            }
            let tenant = self.tenant(conn, line.tenant)?;
            if !turns.knows(&line) {
                turns.add(line, tenant.weight, claim::vtime(conn, &line)?);
            }
            if let Some(most) = tenant.running_max {
                let running = claim::running_of(conn, line.tenant)?;
                turns.limit(line.tenant, most.saturating_sub(running));
            }
        }
        decide(turns, candidates)
    }

    /// Charges a tenant for work that it puts into the queue; answers the virtual time at which this is done.
    pub(super) fn charge(
        &self,
        conn: &Connection,
        tenant: TenantId,
        cpu_ms: u32,
    ) -> Result<i64, StoreError> {
        self.change();
        let clock = self.turns(conn)?.as_ref().map_or(0, Turns::clock);
        let mut known = self.tenant(conn, tenant)?;
        let rank = known.vtime.max(clock);
        let charge = u64::from(cpu_ms) * 1000 / known.weight;
        known.vtime = rank.saturating_add_unsigned(charge);
        known.changed = true;
        self.tenants.borrow_mut().insert(tenant, known);
        Ok(rank)
    }

    /// A task of this cost went to another state, or came into being.
    pub(super) fn moved(&self, queue: Queue, cpu_ms: u32, from: Option<TaskState>, to: TaskState) {
        self.count(queue, to, 1, i64::from(cpu_ms));
        if let Some(from) = from {
            self.count(queue, from, -1, -i64::from(cpu_ms));
        }
    }

    /// So many tasks more are in this state, which cost so much together.
    pub(super) fn count(&self, queue: Queue, state: TaskState, tasks: i64, cpu_ms: i64) {
        self.change();
        let mut counts = self.counts.borrow_mut();
        let sum = counts.entry((queue, state.as_str())).or_default();
        sum.tasks += tasks;
        if state == TaskState::Ready {
            sum.cpu_ms += cpu_ms;
        }
    }

    /// A task became ready in this minute.
    pub(super) fn arrived(&self, minute: i64, queue: Queue) {
        self.change();
        let mut minutes = self.minutes.borrow_mut();
        minutes.entry((minute, queue)).or_default().arrived += 1;
    }

    /// An attempt ended in this minute that was thought to take so long, and took so long.
    pub(super) fn done(&self, minute: i64, queue: Queue, estimated_ms: u32, spent_ms: u64) {
        self.change();
        let mut minutes = self.minutes.borrow_mut();
        let sum = minutes.entry((minute, queue)).or_default();
        sum.done += 1;
        sum.estimated_ms += u64::from(estimated_ms);
        sum.spent_ms += spent_ms;
    }

    /// Writes what is only here.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        if let Some(turns) = self.turns.borrow_mut().as_mut() {
            let mut flow = conn.prepare_cached(
                "INSERT INTO flows VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET vtime = excluded.vtime",
            )?;
            let mut is_served = false;
            for (line, vtime, _) in turns.served() {
                is_served = true;
                let (tenant, queue) = (line.tenant.as_bytes(), line.queue.as_str());
                flow.execute(params![tenant, queue, line.priority, vtime])?;
            }
            if is_served {
                conn.prepare_cached("UPDATE clock SET vtime = ?1 WHERE vtime < ?1")?
                    .execute([turns.clock()])?;
            }
        }
        let mut paid = conn.prepare_cached("UPDATE tenants SET vtime = ?2 WHERE id = ?1")?;
        for (tenant, known) in self.tenants.borrow().iter().filter(|(_, t)| t.changed) {
            paid.execute(params![tenant.as_bytes(), known.vtime])?;
        }
        let mut minute = conn.prepare_cached(
            "INSERT INTO queue_minutes VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
                arrived = arrived + excluded.arrived, done = done + excluded.done,
                estimated_ms = estimated_ms + excluded.estimated_ms, spent_ms = spent_ms + excluded.spent_ms",
        )?;
        for ((at, queue), m) in std::mem::take(&mut *self.minutes.borrow_mut()) {
            let queue = queue.as_str();
            minute.execute(params![
                at,
                queue,
                m.arrived,
                m.done,
                m.estimated_ms,
                m.spent_ms
            ])?;
        }
        let mut count = conn.prepare_cached(
            "INSERT INTO task_counts (queue, state, tasks, cpu_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                tasks = tasks + excluded.tasks, cpu_ms = cpu_ms + excluded.cpu_ms",
        )?;
        for ((queue, state), sum) in std::mem::take(&mut *self.counts.borrow_mut()) {
            count.execute(params![queue.as_str(), state, sum.tasks, sum.cpu_ms])?;
        }
        Ok(())
    }

    /// Where lines stand, as far as they are known.
    fn turns(&self, conn: &Connection) -> Result<RefMut<'_, Option<Turns>>, StoreError> {
        let mut turns = self.turns.borrow_mut();
        if turns.is_none() {
            let clock = conn
                .prepare_cached("SELECT vtime FROM clock")?
                .query_row([], |row| row.get(0))?;
            *turns = Some(Turns::new(clock));
        }
        Ok(turns)
    }

    fn tenant(&self, conn: &Connection, tenant: TenantId) -> Result<Tenant, StoreError> {
        if let Some(known) = self.tenants.borrow().get(&tenant) {
            return Ok(*known);
        }
        let found = conn
            .prepare_cached("SELECT weight, running_max, vtime FROM tenants WHERE id = ?1")?
            .query_row([tenant.as_bytes()], |row| {
                Ok(Tenant {
                    weight: row.get(0)?,
                    running_max: row.get(1)?,
                    vtime: row.get(2)?,
                    changed: false,
                })
            })?;
        self.tenants.borrow_mut().insert(tenant, found);
        Ok(found)
    }
}

/// All lines of a queue in which something is ready.
fn read_lines(conn: &Connection, queue: Queue) -> Result<Option<Vec<Heads>>, StoreError> {
    if switches::is_off(conn, &switches::claims(queue))? {
        return Ok(None);
    }
    let lines = claim::lines(conn, queue)?.into_iter();
    let heads = lines.map(|line| Heads {
        line,
        tasks: Vec::new(),
        all: false,
    });
    Ok(Some(heads.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::writer::Session;
    use crate::sqlite::{SqliteStore, claim, intake, work};
    use crate::{Accept, Capacity, Claimed, NewBlob, Output, Report};
    use mediaflow_core::operation::Facts;
    use mediaflow_core::{
        AssetOptions, Failure, Kind, Priority, Recipe, RunSettings, Sha256, Timestamp, Verdict,
        WorkerId,
    };
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use uuid::Uuid;

    #[derive(Default)]
    struct World(AtomicU64);

    impl World {
        fn next(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }

    impl crate::Environment for World {
        fn now(&self) -> Timestamp {
            Timestamp(1_000_000)
        }
        fn id(&self) -> Uuid {
            Uuid::from_u128(self.next().into())
        }
        fn jitter(&self) -> u32 {
            0
        }
    }

    fn upload(n: u64, recipe: &Arc<Recipe>) -> Accept {
        let text = format!("upload {n}");
        let priorities = [Priority::High, Priority::Normal, Priority::Low];
        Accept {
            tenant: TenantId(Uuid::from_u128(u128::from(n % 3))),
            original: NewBlob {
                sha256: Sha256::of(text.as_bytes()),
                bytes: 100,
                key: text.clone(),
            },
            media_type: "image/jpeg".into(),
            filename: None,
            dimensions: Some((40, 30)),
            facts: Facts {
                pixels: 1200,
                frames: 1,
                bytes: 100,
            },
            kind: Kind::Image,
            recipe: Arc::clone(recipe),
            settings: RunSettings {
                priority: priorities[(n % 2) as usize],
                ..RunSettings::default()
            },
            options: AssetOptions::default(),
            correlation_id: text,
            idempotency: None,
            upload: None,
            counted: None,
        }
    }

    fn capacity(slots: u32) -> Capacity {
        Capacity {
            worker: WorkerId(Uuid::nil()),
            worker_name: "test:1".into(),
            slots: vec![(Queue::BUSY, slots), (Queue::WAITING, slots)],
            memory_free: 1 << 40,
            memory_total: 1 << 40,
            idle: false,
            lease: Duration::from_secs(60),
            idle_lane: true,
            capabilities: Vec::new(),
        }
    }

    fn report(n: u64, task: &Claimed) -> Report {
        let moderates = task.recipe.steps[task.step].name == "moderate";
        let verdict = match n % 5 {
            0 => Verdict::Reject,
            _ => Verdict::Pass,
        };
        match n % 11 {
            0 => Report::Failed(Failure::worker_lost()),
            1 => Report::HandedBack,
            _ => Report::Succeeded(Output {
                verdict: moderates.then_some(verdict),
                ..Output::default()
            }),
        }
    }

    /// What a transaction that has done much knows is what one would read that begins now.
    fn assert_true(s: &Session<'_>) {
        for queue in Queue::ALL {
            let heads = |memory: &Memory| {
                let found = memory.heads(s.conn, *queue, |_| true, |_| 4).unwrap();
                let mut ids: Vec<_> = found.iter().map(|t| (t.line, t.place())).collect();
                ids.sort_unstable();
                ids
            };
            assert_eq!(heads(&s.memory), heads(&Memory::default()));
        }
    }

    #[tokio::test]
    async fn what_is_remembered_is_what_would_be_read() {
        let world = Arc::new(World::default());
        let store = SqliteStore::open_in_memory(Arc::clone(&world) as _).unwrap();
        let recipe = Recipe::parse(include_str!("../../../../recipes/image.toml")).unwrap();
        let recipe = Arc::new(recipe);
        let worked = store.write(move |s| {
            let mut running: Vec<Claimed> = Vec::new();
            for n in 0..600u64 {
                match n % 4 {
                    0 if n < 400 => {
                        intake::take_in(s, &upload(n / 4, &recipe))?;
                    }
                    1 => {
                        let request = s.env.id();
                        let slots = (n % 7) as u32;
                        let given = claim::claim(s, request.as_bytes(), &capacity(slots), Vec::new);
                        running.extend(given?);
                    }
                    _ if !running.is_empty() => {
                        let task = running.remove((n * 7) as usize % running.len());
                        let offer = capacity((n % 3) as u32);
                        match work::end(s, task.lease, &report(n, &task), Some(&offer)) {
                            Ok(offered) => running.extend(offered),
                            // Its asset was rejected meanwhile.
                            Err(StoreError::StaleFence) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    _ => {}
                }
                assert_true(s);
            }
            Ok(())
        });
        worked.await.unwrap();
        let counted = "SELECT count(*) FROM task_counts c WHERE (tasks, cpu_ms) IS NOT (
                SELECT count(*), iif(c.state = 'ready', coalesce(sum(cpu_ms), 0), 0) FROM tasks t
                WHERE t.queue = c.queue AND t.state = c.state)";
        let wrong = store.inspect(|conn| conn.query_row(counted, [], |row| row.get::<_, u32>(0)));
        assert_eq!(wrong.await.unwrap(), 0);
    }
}
