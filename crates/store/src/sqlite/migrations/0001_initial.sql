-- Ids are the sixteen bytes of a UUID, digests thirty-two bytes, times milliseconds since 1970 in UTC.

-- Virtual time of the whole queue: the rank of the task that was claimed last.
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    vtime INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0);

CREATE TABLE tenants (
    id BLOB PRIMARY KEY,
    -- Virtual time in processor microseconds over weight, up to which work was handed to the queue.
    vtime INTEGER NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1 CHECK (weight > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    sha256 BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    condemned_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX blobs_live ON blobs (tenant, sha256) WHERE condemned_at IS NULL;
CREATE INDEX blobs_condemned ON blobs (condemned_at) WHERE condemned_at IS NOT NULL;

-- Blobs that lost a reference. Whether it was the last one is looked up when they are old enough.
CREATE TABLE orphans (
    blob BLOB PRIMARY KEY REFERENCES blobs (id),
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orphans_since ON orphans (since);

CREATE TABLE pins (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX pins_blob ON pins (blob);

CREATE TABLE assets (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    -- Always what follows from `published` and the newest run; kept here for searching.
    state TEXT NOT NULL,
    -- Whether the newest run waits for a person; what is published shows meanwhile.
    in_review INTEGER NOT NULL DEFAULT 0,
    -- The newest run.
    generation INTEGER NOT NULL,
    -- The run that readers see; 0 when there is none.
    published INTEGER NOT NULL DEFAULT 0,
    kind TEXT NOT NULL,
    original BLOB REFERENCES blobs (id),
    original_sha256 BLOB NOT NULL,
    original_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    filename TEXT,
    width INTEGER,
    height INTEGER,
    fact_pixels INTEGER NOT NULL,
    fact_frames INTEGER NOT NULL,
    fact_bytes INTEGER NOT NULL,
    title TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    visibility TEXT NOT NULL,
    watermark INTEGER NOT NULL,
    focus TEXT,
    -- What inspection adds to the words that the asset is found by.
    search_text TEXT,
    correlation_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    rejected_at INTEGER
) STRICT;
CREATE INDEX assets_newest ON assets (tenant, created_at, id) WHERE state <> 'deleted';
CREATE INDEX assets_by_state ON assets (tenant, state, created_at, id);
CREATE INDEX assets_in_review ON assets (tenant, created_at, id) WHERE in_review = 1;
CREATE INDEX assets_by_type ON assets (tenant, media_type, created_at, id) WHERE state <> 'deleted';
CREATE INDEX assets_original ON assets (original) WHERE original IS NOT NULL;
CREATE INDEX assets_rejected ON assets (rejected_at) WHERE rejected_at IS NOT NULL;

CREATE TABLE tags (
    tenant BLOB NOT NULL,
    tag TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    asset BLOB NOT NULL REFERENCES assets (id),
    PRIMARY KEY (tenant, tag, created_at, asset)
) STRICT, WITHOUT ROWID;

-- Words of assets that are not deleted; the row's number is `assets.seq`.
CREATE VIRTUAL TABLE asset_text USING fts5 (
    words, content = '', contentless_delete = 1, detail = 'full',
    tokenize = 'unicode61 remove_diacritics 2'
);

-- Recipes and settings are frozen into runs; equal ones are stored once, under the digest of their JSON.
CREATE TABLE recipes (hash BLOB PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE settings (hash BLOB PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    asset BLOB NOT NULL REFERENCES assets (id),
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    -- One list per step: total, succeeded, skipped, dead, cancelled, released.
    steps TEXT NOT NULL,
    showing INTEGER NOT NULL,
    -- The number of the asset's last event; only the newest run's counts.
    sequence INTEGER NOT NULL,
    recipe BLOB NOT NULL REFERENCES recipes (hash),
    settings BLOB NOT NULL REFERENCES settings (hash),
    watermark INTEGER NOT NULL,
    focus TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (asset, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    asset BLOB NOT NULL,
    generation INTEGER NOT NULL,
    step INTEGER NOT NULL,
    number INTEGER NOT NULL,
    operation TEXT NOT NULL,
    queue TEXT NOT NULL,
    lane INTEGER NOT NULL,
    -- Place among the ready tasks of its lane, set when it became ready.
    rank INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    -- Since the last replay; `tries` counts all.
    attempts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    alone INTEGER NOT NULL DEFAULT 0,
    losses_alone INTEGER NOT NULL DEFAULT 0,
    memory_bytes INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    queued_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    retry_at INTEGER,
    lease_until INTEGER,
    worker TEXT,
    error_code TEXT,
    error_message TEXT,
    FOREIGN KEY (asset, generation) REFERENCES runs (asset, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tasks_by_step ON tasks (asset, generation, step, number);
CREATE INDEX tasks_ready ON tasks (queue, lane, rank) WHERE state = 'ready';
CREATE INDEX tasks_oldest ON tasks (queue, queued_at) WHERE state = 'ready';
CREATE INDEX tasks_running ON tasks (lease_until, lane) WHERE state = 'running';
CREATE INDEX tasks_due ON tasks (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX tasks_by_state ON tasks (tenant, state, id);
CREATE INDEX tasks_by_code ON tasks (tenant, error_code, id) WHERE error_code IS NOT NULL;

CREATE TABLE attempts (
    task BLOB NOT NULL REFERENCES tasks (id),
    fence INTEGER NOT NULL,
    number INTEGER NOT NULL,
    worker TEXT NOT NULL,
    -- What gave it out: a claim's request id, or the task and fence whose report offered it.
    request BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    code TEXT,
    message TEXT,
    PRIMARY KEY (task, fence)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_held ON attempts (request) WHERE ended_at IS NULL;

-- What tasks found out, by operation; of the newest run that has it.
CREATE TABLE facts (
    asset BLOB NOT NULL REFERENCES assets (id),
    operation TEXT NOT NULL,
    generation INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (asset, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE renditions (
    asset BLOB NOT NULL REFERENCES assets (id),
    generation INTEGER NOT NULL,
    profile TEXT NOT NULL,
    format TEXT NOT NULL,
    tenant BLOB NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    animated INTEGER NOT NULL,
    derivation BLOB NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, profile, format)
) STRICT, WITHOUT ROWID;
CREATE INDEX renditions_derivation ON renditions (tenant, derivation);
CREATE INDEX renditions_blob ON renditions (blob);

-- There is one writer, so positions commit in their order and a reader that saw one has seen all before it.
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL,
    asset BLOB NOT NULL REFERENCES assets (id),
    sequence INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_asset ON events (asset, sequence);
CREATE INDEX events_by_tenant ON events (tenant, position);

CREATE TABLE purges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asset BLOB NOT NULL REFERENCES assets (id),
    paths TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX purges_due ON purges (due_at, id);

CREATE TABLE idempotency (
    tenant BLOB NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    asset BLOB NOT NULL REFERENCES assets (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE api_keys (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at, id);

-- Counts for metrics, kept here because counting the rows would take longer the more there are.
CREATE TABLE task_counts (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    tasks INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE asset_counts (state TEXT PRIMARY KEY, assets INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TRIGGER tasks_counted_new AFTER INSERT ON tasks BEGIN
    INSERT INTO task_counts VALUES (NEW.queue, NEW.state, 1)
        ON CONFLICT DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER tasks_counted_again AFTER UPDATE OF state ON tasks WHEN NEW.state <> OLD.state BEGIN
    UPDATE task_counts SET tasks = tasks - 1 WHERE queue = OLD.queue AND state = OLD.state;
    INSERT INTO task_counts VALUES (NEW.queue, NEW.state, 1)
        ON CONFLICT DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER assets_counted_new AFTER INSERT ON assets BEGIN
    INSERT INTO asset_counts VALUES (NEW.state, 1) ON CONFLICT DO UPDATE SET assets = assets + 1;
END;
CREATE TRIGGER assets_counted_again AFTER UPDATE OF state ON assets WHEN NEW.state <> OLD.state BEGIN
    UPDATE asset_counts SET assets = assets - 1 WHERE state = OLD.state;
    INSERT INTO asset_counts VALUES (NEW.state, 1) ON CONFLICT DO UPDATE SET assets = assets + 1;
END;
