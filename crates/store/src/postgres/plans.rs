//! Tests that lists read no more the longer a database lives.

use super::session::{Params, bound};
use super::{
    PostgresOptions, PostgresStore, claim, deliveries, events, relaying, search, tasks, upkeep,
    words,
};
use crate::query::{Query, encode, tasks_of_all, tasks_of_asset};
use crate::{MediaFilter, Search, TaskFilter};
use mediaflow_core::{AssetState, Kind, TaskState, TenantId};
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Enough for PostgreSQL to see that reading all of it would be slow.
const ASSETS: i64 = 30_000;

const FILL: &str = "
    SET synchronous_commit = off;
    INSERT INTO assets (id, tenant, state, in_review, generation, kind, original_sha256, original_bytes, media_type, codec,
                        fact_pixels, fact_frames, fact_bytes, tags, metadata, visibility, watermark, correlation_id,
                        created_at, updated_at)
    SELECT md5(n::text)::uuid, TENANT, CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'ready' END, n % 1000 = 0, 1, 'image', '', 1,
           CASE WHEN n % 200 = 0 THEN 'image/png' ELSE 'image/jpeg' END, CASE WHEN n % 300 = 0 THEN 'hevc' END, 1, 1, 1, '[]', '{}', 'public',
           false, '', n * 1000, n * 1000 FROM generate_series(1, ASSETS) n;
    INSERT INTO asset_words (asset, tenant, created_at, words)
    SELECT md5(n::text)::uuid, TENANT, n * 1000, array_to_tsvector(ARRAY['img', 'n' || n] || CASE WHEN n % 5000 = 0
           THEN '{zebra}'::text[] ELSE '{}' END) FROM generate_series(1, ASSETS) n;
    INSERT INTO tags SELECT TENANT, 'sea', n * 1000, md5(n::text)::uuid FROM generate_series(1, ASSETS) n WHERE n % 10 = 0;
    INSERT INTO runs (asset, generation, state, steps, showing, sequence, recipe, settings, watermark, updated_at)
    SELECT md5(n::text)::uuid, 1, 'ready', '[]', true, 2, '', '', false, 0 FROM generate_series(1, ASSETS) n;
    INSERT INTO tasks (id, tenant, asset, generation, step, number, operation, queue, lane, state, memory_bytes, cpu_ms, created_at,
                       error_code)
    SELECT md5(n || ' ' || step)::uuid, TENANT, md5(n::text)::uuid, 1, step, 0, '', 'image', 1,
           CASE WHEN n % 500 = 0 THEN 'dead' ELSE 'succeeded' END, 1, 1, n, CASE WHEN n % 500 = 0 THEN 'timeout' END
    FROM generate_series(1, ASSETS) n, generate_series(0, 1) step;
    INSERT INTO events (position, tenant, asset, sequence, id, type, at, data)
    SELECT n * 2 + sequence, TENANT, md5(n::text)::uuid, sequence, md5(n || ' ' || sequence)::uuid, '', n, '{}'
    FROM generate_series(1, ASSETS) n, generate_series(1, 2) sequence;
    INSERT INTO webhooks (id, tenant, url, types, after_position, secret, created_at)
    SELECT md5(n::text)::uuid, TENANT, '', '[]', 0, '', 0 FROM generate_series(1, 20) n;
    INSERT INTO webhook_deliveries (webhook, event, asset, type, body, state, run, attempts, tries, created_at, due_at)
    SELECT md5((1 + n % 20)::text)::uuid, md5(n || ' 1')::uuid, md5(n::text)::uuid, '', '{}',
           CASE WHEN n % 50 = 0 THEN 'waiting' WHEN n % 70 = 0 THEN 'failed' ELSE 'delivered' END, 1, 1, '[]', n,
           CASE WHEN n % 50 = 0 THEN n END FROM generate_series(1, ASSETS) n;
    ANALYZE;";

struct Database {
    client: Client,
    _server: mediaflow_servers::Postgres,
}

/// Time stands still, and no two of its ids differ.
pub(super) struct World;

impl crate::Environment for World {
    fn now(&self) -> mediaflow_core::Timestamp {
        mediaflow_core::Timestamp(0)
    }
    fn id(&self) -> Uuid {
        Uuid::nil()
    }
    fn jitter(&self) -> u32 {
        0
    }
}

impl Database {
    async fn with(assets: i64) -> Self {
        let server = mediaflow_servers::Postgres::start(&[]);
        let url = server.database("plans");
        let store = PostgresStore::open(&url, Arc::new(World), PostgresOptions::default()).await;
        drop(store.unwrap());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let fill = FILL
            .replace("TENANT", &format!("'{}'::uuid", TenantId::DEFAULT.0))
            .replace("ASSETS", &assets.to_string());
        client.batch_execute(&fill).await.unwrap();
        Self {
            client,
            _server: server,
        }
    }

    /// How PostgreSQL goes about a list, planned for its values.
    async fn plan(&self, query: &Query) -> String {
        let (sql, params) = bound(query);
        let rows = self
            .client
            .query_typed(&format!("EXPLAIN {sql}"), &params)
            .await;
        lines(&rows.unwrap())
    }

    /// The same of a statement that is prepared once for all values.
    async fn plan_of_any(&self, sql: &str, values: Params<'_>) -> String {
        self.client
            .batch_execute("SET plan_cache_mode = force_generic_plan")
            .await
            .unwrap();
        let rows = self.client.query(&format!("EXPLAIN {sql}"), values).await;
        self.client
            .batch_execute("RESET plan_cache_mode")
            .await
            .unwrap();
        lines(&rows.unwrap())
    }
}

fn lines(rows: &[tokio_postgres::Row]) -> String {
    let lines: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

fn assert_led_by(plan: &str, index: &str) {
    assert!(plan.contains(index), "{index} is not used:\n{plan}");
    // Of what was pruned there is one row.
    let others = plan.replace("Seq Scan on history", "");
    assert!(
        !others.contains("Seq Scan"),
        "a whole table is read:\n{plan}"
    );
}

#[tokio::test]
async fn lists_are_led_by_an_index_in_their_order() {
    let database = Database::with(ASSETS).await;
    let media = MediaFilter {
        codec: Some("hevc".into()),
        duration_ms: (None, Some(10)),
        ..MediaFilter::default()
    };
    let all = Search::default;
    #[rustfmt::skip]
    let searches = [
        ("assets_newest", all()),
        ("assets_by_state", Search { state: Some(AssetState::Failed), ..all() }),
        ("assets_in_review", Search { state: Some(AssetState::InReview), ..all() }),
        ("assets_by_kind", Search { kind: Some(Kind::Audio), ..all() }),
        ("assets_by_type", Search { media_type: Some("image/png".into()), ..all() }),
        ("assets_by_codec", Search { media, ..all() }),
        ("tags_pkey", Search { tag: Some("sea".into()), state: Some(AssetState::Ready), ..all() }),
        // A frequent word is met soon among the newest.
        ("asset_words_newest", Search { text: Some("im".into()), ..all() }),
    ];
    let cursor = encode(&serde_json::json!({ "at": ASSETS * 900, "id": Uuid::nil() }));
    for (index, search) in searches {
        for cursor in [None, Some(cursor.clone())] {
            let begins = cursor.is_none();
            let search = Search {
                cursor,
                ..search.clone()
            };
            let words = search.text.as_deref().and_then(words::expression);
            let words = words.map(|query| search::Wanted {
                query,
                is_rare: false,
            });
            let query = search::statement(TenantId::DEFAULT, &search, words, 50).unwrap();
            let plan = database.plan(&query).await;
            assert_led_by(&plan, index);
            assert!(!plan.contains("Sort"), "{plan}");
            assert!(
                begins || plan.contains("< ROW("),
                "it begins at its cursor:\n{plan}"
            );
        }
    }
    // The beginning of a word that six assets have.
    let sql = "SELECT asset FROM with_words($1, $2::text::tsquery, 5001)";
    let params: Params<'_> = &[&TenantId::DEFAULT.0, &words::expression("zeb")];
    let found = database.client.query(sql, params).await;
    assert_eq!(found.unwrap().len(), 6);
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'asset_words'";
    database
        .client
        .batch_execute("SELECT pg_stat_force_next_flush()")
        .await
        .unwrap();
    let read: i64 = database.client.query_one(read, &[]).await.unwrap().get(0);
    assert!(read < 100, "{read} rows were read");

    let all = TaskFilter::default;
    #[rustfmt::skip]
    let filters = [
        ("tasks_by_tenant", all()),
        ("tasks_stuck", TaskFilter { state: Some(TaskState::Dead), ..all() }),
        ("tasks_by_code", TaskFilter { code: Some("timeout".into()), ..all() }),
    ];
    for (index, filter) in filters {
        let query = tasks_of_all(tasks::SELECT, TenantId::DEFAULT, &filter, 50).unwrap();
        assert_led_by(&database.plan(&query).await, index);
    }
    let asset = (Uuid::nil().into(), 1);
    let query = tasks_of_asset(tasks::SELECT, asset, &all(), 50).unwrap();
    assert_led_by(&database.plan(&query).await, "tasks_by_step");

    let (tenant, asset, from, most) = (TenantId::DEFAULT.0, Uuid::nil(), 10i64, 100i64);
    let feed: Params<'_> = &[&tenant, &from, &most];
    let history: Params<'_> = &[&asset, &tenant, &from, &most];
    for (index, sql, values) in [
        ("events_by_tenant", events::FEED, feed),
        ("events_pkey", events::HISTORY, history),
    ] {
        assert_led_by(&database.plan_of_any(sql, values).await, index);
    }

    let (webhook, last) = (Uuid::nil(), Uuid::max());
    let due: Params<'_> = &[&from, &most, &most];
    let newest: Params<'_> = &[&webhook, &last, &most];
    let failed: Params<'_> = &[&webhook, &last, &most, &"failed"];
    let old: Params<'_> = &[&from, &most];
    for (index, sql, values) in [
        ("webhook_deliveries_due", deliveries::DUE, due),
        ("webhook_deliveries_pkey", deliveries::NEWEST, newest),
        ("webhook_deliveries_state", deliveries::NEWEST_OF, failed),
        ("webhook_deliveries_created", deliveries::FORGET_OLD, old),
    ] {
        let plan = database.plan_of_any(sql, values).await;
        // A tenant has few webhooks.
        assert_led_by(&plan.replace("Seq Scan on webhooks", ""), index);
    }

    let (queues, can) = (["image", "video"], ["gpu"]);
    let heads: Params<'_> = &[&&queues[..], &most, &&can[..]];
    for sql in [claim::READY, claim::HEADS] {
        let plan = database.plan_of_any(sql, heads).await;
        // The first line of each queue, the next line, and the tasks of each.
        let uses = plan.matches("using tasks_ready on").count();
        assert_eq!(uses, 3, "{plan}");
        assert!(!plan.contains("Seq Scan on tasks"), "{plan}");
    }
}

#[tokio::test]
async fn no_tenant_is_asked_what_is_untold_when_nothing_is() {
    let database = Database::with(20).await;
    let last = "UPDATE relay SET position = (SELECT max(position) FROM events);
        INSERT INTO tenants (id) SELECT DISTINCT tenant FROM events ON CONFLICT DO NOTHING";
    database.client.batch_execute(last).await.unwrap();
    for (told, asks) in [(0, true), (1000, false)] {
        let tell = format!(
            "INSERT INTO outlets VALUES ('events', {told}) ON CONFLICT (name) DO UPDATE SET position = {told}"
        );
        database.client.batch_execute(&tell).await.unwrap();
        let sql = format!("EXPLAIN ANALYZE {}", relaying::UNTOLD);
        let values: Params<'_> = &[&"events", &500i64];
        let plan = lines(&database.client.query(&sql, values).await.unwrap());
        let mut events = plan.lines().filter(|line| line.contains(" on events"));
        let asked = events.any(|line| !line.contains("never executed"));
        assert_eq!(asked, asks, "{plan}");
    }
}

/// Makes PostgreSQL join by running one side again for each row of the other, as it does where a table was small when it last looked.
const NESTED: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
    SET enable_hashagg = off; SET enable_sort = off;
    UPDATE assets SET rejected_at = created_at;
    INSERT INTO idempotency SELECT tenant, id::text, '', id, created_at FROM assets; ANALYZE;
    UPDATE pg_class SET reltuples = 1 WHERE relname IN ('assets', 'idempotency')";

#[tokio::test]
async fn what_goes_at_once_is_no_more_than_asked_for_however_it_is_joined() {
    let database = Database::with(20).await;
    database.client.batch_execute(NESTED).await.unwrap();
    let (until, most) = (i64::MAX, 2i64);
    for sql in [upkeep::REJECTED, upkeep::OLD_KEYS] {
        let gone = database.client.execute(sql, &[&until, &most]).await;
        assert_eq!(gone.unwrap(), 2, "{sql}");
    }
}
