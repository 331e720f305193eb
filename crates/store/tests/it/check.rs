//! What must hold between the rows at every moment, counted again from scratch.

use crate::stores::{Database, Dbms};
use mediaflow_core::{AssetState, Recipe, RunState, TaskState};
use std::collections::{BTreeMap, HashMap};

struct Task {
    step: usize,
    state: TaskState,
}

/// Panics with what disagrees.
pub(crate) async fn rows(database: &Database) {
    runs(database).await;
    let own = match database.dbms() {
        Dbms::Sqlite => SQLITE,
        Dbms::Postgres => POSTGRES,
    };
    for (what, sql) in EMPTY.iter().chain(own) {
        assert!(database.ask::<1>(sql).await.is_empty(), "{what}");
    }
}

/// Queries that find nothing in a sound database.
const EMPTY: &[(&str, &str)] = &[
    ("a running task has exactly one open attempt, with its fence, and a lease",
     "SELECT 1 FROM tasks t WHERE (t.state = 'running') <> (t.lease_until IS NOT NULL)
      OR (t.state = 'running') <> EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.fence = t.fence AND a.ended_at IS NULL)
      OR EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.ended_at IS NULL AND (a.fence <> t.fence OR t.state <> 'running'))"),
    ("a retry time belongs to a waiting task",
     "SELECT 1 FROM tasks WHERE retry_at IS NOT NULL AND state <> 'waiting'"),
    ("a dead task tells why and keeps its attempts",
     "SELECT 1 FROM tasks t WHERE state = 'dead' AND (error_code IS NULL
      OR NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.code = t.error_code))"),
    ("tries equal the attempts that count",
     "SELECT 1 FROM tasks t WHERE tries <> (SELECT count(*) FROM attempts a WHERE a.task = t.id AND a.outcome IS DISTINCT FROM 'handed_back')"),
    ("tasks of older runs have ended",
     "SELECT 1 FROM tasks t JOIN assets a ON a.id = t.asset
      WHERE t.generation < a.generation AND t.state IN ('pending', 'ready', 'running', 'waiting')"),
    ("what readers see is ready, or the first generation that a newer one overtook",
     "SELECT 1 FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.published
      WHERE r.state <> 'ready' AND NOT (r.state = 'cancelled' AND r.generation = 1 AND a.generation > 1)"),
    ("renditions of generations before the published one are gone",
     "SELECT 1 FROM renditions r JOIN assets a ON a.id = r.asset WHERE r.generation < a.published"),
    ("nothing is left of what was made of rejected and deleted assets",
     "SELECT 1 FROM assets a WHERE state IN ('rejected', 'deleted')
      AND (published > 0 OR EXISTS (SELECT 1 FROM renditions r WHERE r.asset = a.id)
           OR EXISTS (SELECT 1 FROM tracks t WHERE t.asset = a.id)
           OR EXISTS (SELECT 1 FROM pieces p WHERE p.asset = a.id)
           OR EXISTS (SELECT 1 FROM captions c WHERE c.asset = a.id))"),
    ("pieces are there only while a task of their generation may want them",
     "SELECT 1 FROM pieces p WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.asset = p.asset
      AND t.generation = p.generation AND t.state IN ('pending', 'ready', 'running', 'waiting'))"),
    ("captions of generations before the published one are gone, but those that people gave",
     "SELECT 1 FROM captions c JOIN assets a ON a.id = c.asset WHERE c.generation BETWEEN 1 AND a.published - 1"),
    ("streams of generations before the published one are gone",
     "SELECT 1 FROM tracks t JOIN assets a ON a.id = t.asset WHERE t.generation < a.published"),
    ("deleted assets have let go of their originals, others than these and rejected ones have not",
     "SELECT 1 FROM assets WHERE (state = 'deleted' AND original IS NOT NULL)
      OR (state NOT IN ('deleted', 'rejected') AND original IS NULL)"),
    ("what is referred to is not condemned",
     "SELECT 1 FROM blobs b WHERE condemned_at IS NOT NULL AND (
      EXISTS (SELECT 1 FROM assets WHERE original = b.id) OR EXISTS (SELECT 1 FROM renditions WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM segments WHERE blob = b.id) OR EXISTS (SELECT 1 FROM tracks WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM captions WHERE blob = b.id) OR EXISTS (SELECT 1 FROM pieces WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM pins WHERE blob = b.id))"),
    ("what is not referred to is on its way out",
     "SELECT 1 FROM blobs b WHERE condemned_at IS NULL AND NOT (
      EXISTS (SELECT 1 FROM assets WHERE original = b.id) OR EXISTS (SELECT 1 FROM renditions WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM segments WHERE blob = b.id) OR EXISTS (SELECT 1 FROM tracks WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM captions WHERE blob = b.id) OR EXISTS (SELECT 1 FROM pieces WHERE blob = b.id)
      OR EXISTS (SELECT 1 FROM pins WHERE blob = b.id) OR EXISTS (SELECT 1 FROM orphans WHERE blob = b.id))"),
    ("events of an asset are numbered from 1, or from the first that was not pruned, without gaps, and the newest run knows the last",
     "SELECT 1 FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
      JOIN (SELECT asset, count(*) AS n, max(sequence) AS last, min(sequence) AS first FROM events GROUP BY asset) e
        ON e.asset = a.id CROSS JOIN history h
      WHERE (e.first <> 1 AND h.pruned = 0) OR e.last - e.first + 1 <> e.n OR r.sequence <> e.last"),
    ("events of an asset rise in the feed as in its history",
     "SELECT 1 FROM events a JOIN events b ON b.asset = a.asset AND b.sequence = a.sequence + 1 WHERE b.position <= a.position"),
    ("there is one asset.ready for each run that is ready, where none was pruned",
     "SELECT 1 FROM assets a WHERE (SELECT count(*) FROM events WHERE asset = a.id AND type = 'asset.ready')
      <> (SELECT count(*) FROM runs WHERE asset = a.id AND state = 'ready')
      AND a.state NOT IN ('deleted', 'rejected') AND (SELECT pruned FROM history) = 0
      AND (SELECT count(*) FROM runs WHERE asset = a.id) = a.generation"),
    ("what waits for a person is marked so",
     "SELECT 1 FROM assets a JOIN runs r ON r.asset = a.id AND r.generation = a.generation
      WHERE a.in_review <> (r.state = 'in_review')"),
    ("task counts equal a recount",
     "SELECT 1 FROM task_counts c WHERE tasks <> (SELECT count(*) FROM tasks t WHERE t.queue = c.queue AND t.state = c.state)"),
    ("unfinished assets are counted by tenant",
     "SELECT 1 FROM tenants t LEFT JOIN unfinished u ON u.tenant = t.id WHERE coalesce(u.assets, 0) <>
      (SELECT count(*) FROM assets a WHERE a.tenant = t.id AND a.state IN ('uploaded', 'processing'))"),
    ("asset counts equal a recount",
     "SELECT 1 FROM asset_counts c WHERE assets <> (SELECT count(*) FROM assets a WHERE a.state = c.state)"),
];

/// The same in SQLite's own words.
const SQLITE: &[(&str, &str)] = &[
    (
        "tags can be searched exactly as the assets say",
        "SELECT 1 FROM assets a WHERE (SELECT count(*) FROM tags WHERE asset = a.id)
      <> iif(a.state = 'deleted', 0, (SELECT count(DISTINCT value) FROM json_each(a.tags)))",
    ),
    (
        "what ready tasks cost equals a recount",
        "SELECT 1 FROM task_counts c WHERE state = 'ready' AND cpu_ms <>
      (SELECT coalesce(sum(cpu_ms), 0) FROM tasks t WHERE t.queue = c.queue AND t.state = 'ready')",
    ),
    (
        "no row refers to nothing",
        "SELECT 1 FROM pragma_foreign_key_check",
    ),
];

/// The same in PostgreSQL's own words, and what SQLite itself sees to by foreign keys.
const POSTGRES: &[(&str, &str)] = &[
    ("tags can be searched exactly as the assets say",
     "SELECT 1 FROM assets a WHERE (SELECT count(*) FROM tags WHERE asset = a.id)
      <> CASE WHEN a.state = 'deleted' THEN 0
              ELSE (SELECT count(DISTINCT tag) FROM json_array_elements_text(a.tags::json) AS tag) END"),
    ("assets that are not deleted can be searched by their words, and no others",
     "SELECT 1 FROM assets a WHERE (a.state <> 'deleted') <> EXISTS (SELECT 1 FROM asset_words w
      WHERE w.asset = a.id AND w.tenant = a.tenant AND w.created_at = a.created_at)"),
    ("what ready tasks cost equals a recount",
     "SELECT 1 FROM (SELECT DISTINCT queue FROM tasks) q WHERE
      (SELECT coalesce(sum(cpu_ms), 0) FROM ready_deltas d WHERE d.queue = q.queue)
      <> (SELECT coalesce(sum(cpu_ms), 0) FROM tasks t WHERE t.queue = q.queue AND t.state = 'ready')"),
    ("no run, task, attempt or event is of nothing",
     "SELECT 1 FROM runs r WHERE NOT EXISTS (SELECT 1 FROM assets a WHERE a.id = r.asset)
      UNION ALL SELECT 1 FROM tasks t WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.asset = t.asset AND r.generation = t.generation)
      UNION ALL SELECT 1 FROM attempts t WHERE NOT EXISTS (SELECT 1 FROM tasks k WHERE k.id = t.task)
      UNION ALL SELECT 1 FROM events e WHERE NOT EXISTS (SELECT 1 FROM assets a WHERE a.id = e.asset)
      UNION ALL SELECT 1 FROM runs r WHERE NOT EXISTS (SELECT 1 FROM recipes WHERE hash = r.recipe)
                                        OR NOT EXISTS (SELECT 1 FROM settings WHERE hash = r.settings)"),
    ("nothing that was made is of no run, but captions that people gave",
     "SELECT 1 FROM (SELECT asset, generation FROM renditions UNION ALL SELECT asset, generation FROM tracks
                     UNION ALL SELECT asset, generation FROM facts
                     UNION ALL SELECT asset, generation FROM captions WHERE generation > 0) m
      WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.asset = m.asset AND r.generation = m.generation)"),
    ("no segment is of no track",
     "SELECT 1 FROM segments g WHERE NOT EXISTS (SELECT 1 FROM tracks t
      WHERE t.asset = g.asset AND t.generation = g.generation AND t.name = g.track)"),
];

async fn runs(database: &Database) {
    let mut tasks: HashMap<(String, String), Vec<Task>> = HashMap::new();
    let sql = "SELECT asset, generation, step, state FROM tasks";
    for row in database.ask(sql).await {
        let [asset, generation, step, state] = row.map(Option::unwrap);
        let state = TaskState::parse(&state).unwrap();
        let step = step.parse().unwrap();
        let of_run = tasks.entry((asset, generation)).or_default();
        of_run.push(Task { step, state });
    }
    let mut recipes = BTreeMap::<String, Recipe>::new();
    // Of replaced generations and deleted assets no tasks may be left.
    let sql = "SELECT r.asset, r.generation, r.state, r.steps, r.recipe, c.json, a.generation, a.state,
                      CASE WHEN EXISTS (SELECT 1 FROM runs p WHERE p.asset = a.id
                                        AND p.generation = a.published AND p.state = 'ready') THEN 1 ELSE 0 END
               FROM runs r JOIN recipes c ON c.hash = r.recipe JOIN assets a ON a.id = r.asset";
    for row in database.ask(sql).await {
        let [
            asset,
            generation,
            state,
            steps,
            hash,
            json,
            newest,
            shown,
            is_published,
        ] = row.map(Option::unwrap);
        let recipe = recipes.entry(hash);
        let recipe = recipe.or_insert_with(|| serde_json::from_str(&json).unwrap());
        let state = RunState::parse(&state).unwrap();
        let steps: Vec<[u32; 6]> = serde_json::from_str(&steps).unwrap();
        let is_newest = generation == newest;
        match tasks.get(&(asset, generation)) {
            Some(tasks) => run(recipe, state, &steps, tasks),
            None => assert!(!is_newest || shown == "deleted", "a run has tasks"),
        }
        if is_newest {
            let asset = AssetState::parse(&shown).unwrap();
            let expected = match (asset, state) {
                (AssetState::Deleted, _) => AssetState::Deleted,
                (_, RunState::Rejected) => AssetState::Rejected,
                _ if is_published == "1" => AssetState::Ready,
                (_, state) => state.asset_state(),
            };
            assert_eq!(asset, expected, "the asset shows what its runs say");
        }
    }
}

fn run(recipe: &Recipe, state: RunState, steps: &[[u32; 6]], tasks: &[Task]) {
    assert_eq!(steps.len(), recipe.steps.len());
    for (index, step) in steps.iter().enumerate() {
        let count = |state| {
            let of_step = tasks.iter().filter(|t| t.step == index && t.state == state);
            u32::try_from(of_step.count()).unwrap()
        };
        let total = tasks.iter().filter(|t| t.step == index).count();
        assert_eq!(
            step[..5],
            [
                u32::try_from(total).unwrap(),
                count(TaskState::Succeeded),
                count(TaskState::Skipped),
                count(TaskState::Dead),
                count(TaskState::Cancelled),
            ],
            "counters of {} equal a recount",
            recipe.steps[index].name
        );
    }
    for task in tasks {
        use TaskState::{Cancelled, Pending, Skipped};
        if !matches!(task.state, Pending | Skipped | Cancelled) {
            let step = &recipe.steps[task.step];
            for &need in &step.needs {
                let what = format!("{} began after {}", step.name, recipe.steps[need].name);
                assert!(met(recipe, tasks, need), "{what}");
            }
        }
    }
    let required = |t: &&Task| recipe.is_before_publish(t.step);
    if state == RunState::Ready {
        for task in tasks.iter().filter(required) {
            let optional = recipe.steps[task.step].optional;
            let fine = matches!(task.state, TaskState::Succeeded | TaskState::Skipped);
            assert!(
                fine || optional,
                "a ready run has done all that it requires"
            );
        }
    }
    if state == RunState::Failed {
        let mut dead = tasks.iter().filter(required);
        let dead = dead.any(|t| t.state == TaskState::Dead);
        assert!(dead, "a failed run has a dead task");
    }
}

fn met(recipe: &Recipe, tasks: &[Task], step: usize) -> bool {
    let optional = recipe.steps[step].optional;
    tasks
        .iter()
        .filter(|t| t.step == step)
        .all(|t| match t.state {
            TaskState::Succeeded => true,
            TaskState::Skipped => recipe.steps[step]
                .needs
                .iter()
                .all(|&n| met(recipe, tasks, n)),
            TaskState::Dead | TaskState::Cancelled => optional,
            _ => false,
        })
}
