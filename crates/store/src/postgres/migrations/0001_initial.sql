-- Digests are thirty-two bytes, times milliseconds since 1970 in UTC, JSON is text that only this program reads.
--
-- Rows that change all the time are narrow and leave room in their pages; what grows for ever is only added to.
-- Hot tables refer to others without foreign keys, whose checks would lock a row of the other table for each of theirs.

-- Virtual time of the whole queue: the rank of the task that was claimed last.
CREATE TABLE clock (
    one bigint PRIMARY KEY CHECK (one = 1),
    vtime bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
INSERT INTO clock VALUES (1, 0);

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    -- Virtual time in processor microseconds over weight, up to which work was handed to the queue.
    vtime bigint NOT NULL DEFAULT 0,
    weight bigint NOT NULL DEFAULT 1 CHECK (weight > 0)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE blobs (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    sha256 bytea NOT NULL,
    bytes bigint NOT NULL,
    key text NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    condemned_at bigint
);
CREATE UNIQUE INDEX blobs_live ON blobs (tenant, sha256) WHERE condemned_at IS NULL;
CREATE INDEX blobs_condemned ON blobs (condemned_at) WHERE condemned_at IS NOT NULL;

-- Blobs that lost a reference. Whether it was the last one is looked up when they are old enough.
CREATE TABLE orphans (
    blob uuid PRIMARY KEY REFERENCES blobs (id),
    since bigint NOT NULL
);
CREATE INDEX orphans_since ON orphans (since);

CREATE TABLE pins (
    tenant uuid NOT NULL,
    name text NOT NULL,
    blob uuid NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (tenant, name)
);
CREATE INDEX pins_blob ON pins (blob);

CREATE TABLE assets (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    -- Always what follows from `published` and the newest run; kept here for searching.
    state text NOT NULL,
    -- Whether the newest run waits for a person; what is published shows meanwhile.
    in_review boolean NOT NULL DEFAULT false,
    -- The newest run.
    generation bigint NOT NULL,
    -- The run that readers see; 0 when there is none.
    published bigint NOT NULL DEFAULT 0,
    kind text NOT NULL,
    original uuid REFERENCES blobs (id),
    original_sha256 bytea NOT NULL,
    original_bytes bigint NOT NULL,
    media_type text NOT NULL,
    filename text,
    width bigint,
    height bigint,
    fact_pixels bigint NOT NULL,
    fact_frames bigint NOT NULL,
    fact_bytes bigint NOT NULL,
    -- What people sort films and recordings by; of the newest inspection.
    duration_ms bigint,
    container text,
    -- Of the pictures, or of the sound where there are none.
    codec text,
    frame_rate double precision,
    has_sound boolean,
    -- `hdr10`, `hlg` or `dolby_vision`.
    hdr text,
    title text,
    tags text NOT NULL,
    metadata text NOT NULL,
    visibility text NOT NULL,
    watermark boolean NOT NULL,
    focus text,
    -- What inspection adds to the words that the asset is found by.
    search_text text,
    correlation_id text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    rejected_at bigint
) WITH (fillfactor = 80);
CREATE INDEX assets_newest ON assets (tenant, created_at, id) WHERE state <> 'deleted';
CREATE INDEX assets_by_state ON assets (tenant, state, created_at, id);
CREATE INDEX assets_in_review ON assets (tenant, created_at, id) WHERE in_review;
CREATE INDEX assets_by_type ON assets (tenant, media_type, created_at, id) WHERE state <> 'deleted';
CREATE INDEX assets_by_codec ON assets (tenant, codec, created_at, id) WHERE codec IS NOT NULL AND state <> 'deleted';
CREATE INDEX assets_original ON assets (original) WHERE original IS NOT NULL;
CREATE INDEX assets_rejected ON assets (rejected_at) WHERE rejected_at IS NOT NULL;

CREATE TABLE tags (
    tenant uuid NOT NULL,
    tag text NOT NULL,
    created_at bigint NOT NULL,
    asset uuid NOT NULL REFERENCES assets (id),
    PRIMARY KEY (tenant, tag, created_at, asset)
);
CREATE INDEX tags_by_asset ON tags (asset);

-- Words of assets that are not deleted, apart from the assets because their index is slow to change.
CREATE TABLE asset_words (
    asset uuid PRIMARY KEY REFERENCES assets (id),
    tenant uuid NOT NULL,
    created_at bigint NOT NULL,
    words tsvector NOT NULL
);
-- Rare words are found by the one, frequent ones among the newest assets by the other.
CREATE INDEX asset_words_found ON asset_words USING gin (words);
CREATE INDEX asset_words_newest ON asset_words (tenant, created_at, asset);
-- Up to `most` assets with these words, always by the word index: PostgreSQL takes the beginning of a rare word for frequent.
CREATE FUNCTION with_words(owner uuid, wanted tsquery, most bigint) RETURNS TABLE (asset uuid, created_at bigint)
    LANGUAGE sql STABLE SET enable_seqscan = off SET enable_indexscan = off
    AS 'SELECT asset, created_at FROM asset_words WHERE words @@ wanted AND tenant = owner LIMIT most';

-- Recipes and settings are frozen into runs; equal ones are stored once, under the digest of their JSON.
CREATE TABLE recipes (hash bytea PRIMARY KEY, json text NOT NULL);
CREATE TABLE settings (hash bytea PRIMARY KEY, json text NOT NULL);

CREATE TABLE runs (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL,
    verdict text,
    -- One list per step: total, succeeded, skipped, dead, cancelled, released.
    steps text NOT NULL,
    showing boolean NOT NULL,
    -- The number of the asset's last event; only the newest run's counts.
    sequence bigint NOT NULL,
    recipe bytea NOT NULL,
    settings bytea NOT NULL,
    watermark boolean NOT NULL,
    focus text,
    updated_at bigint NOT NULL,
    PRIMARY KEY (asset, generation)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    step bigint NOT NULL,
    number bigint NOT NULL,
    operation text NOT NULL,
    queue text NOT NULL,
    lane bigint NOT NULL,
    -- Place among the ready tasks of its lane, set when it became ready.
    rank bigint NOT NULL DEFAULT 0,
    state text NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    -- Since the last replay; `tries` counts all.
    attempts bigint NOT NULL DEFAULT 0,
    tries bigint NOT NULL DEFAULT 0,
    crashes bigint NOT NULL DEFAULT 0,
    alone boolean NOT NULL DEFAULT false,
    losses_alone bigint NOT NULL DEFAULT 0,
    memory_bytes bigint NOT NULL,
    cpu_ms bigint NOT NULL,
    created_at bigint NOT NULL,
    queued_at bigint,
    started_at bigint,
    finished_at bigint,
    retry_at bigint,
    lease_until bigint,
    worker text,
    error_code text,
    error_message text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX tasks_by_step ON tasks (asset, generation, step, number);
CREATE INDEX tasks_by_tenant ON tasks (tenant, id);
CREATE INDEX tasks_ready ON tasks (queue, lane, rank) WHERE state = 'ready';
CREATE INDEX tasks_ready_of_asset ON tasks (asset, lane, rank) WHERE state = 'ready';
CREATE INDEX tasks_oldest ON tasks (queue, queued_at) WHERE state = 'ready';
-- Without `lease_until`, so that a heartbeat changes no index; only so many run at a time.
CREATE INDEX tasks_running ON tasks (lane) WHERE state = 'running';
CREATE INDEX tasks_due ON tasks (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX tasks_stuck ON tasks (tenant, state, id) WHERE state IN ('waiting', 'dead');
CREATE INDEX tasks_by_code ON tasks (tenant, error_code, id) WHERE error_code IS NOT NULL;

CREATE TABLE attempts (
    task uuid NOT NULL,
    fence bigint NOT NULL,
    number bigint NOT NULL,
    worker text NOT NULL,
    -- What gave it out: a claim's request id, or the task and fence whose report offered it.
    request bytea NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    outcome text,
    code text,
    message text,
    PRIMARY KEY (task, fence)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX attempts_held ON attempts (request) WHERE ended_at IS NULL;

-- What tasks found out, by operation; of the newest run that has it.
CREATE TABLE facts (
    asset uuid NOT NULL,
    operation text NOT NULL,
    generation bigint NOT NULL,
    json text NOT NULL,
    PRIMARY KEY (asset, operation)
);

CREATE TABLE renditions (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    profile text NOT NULL,
    format text NOT NULL,
    tenant uuid NOT NULL,
    width bigint NOT NULL,
    height bigint NOT NULL,
    animated boolean NOT NULL,
    derivation bytea NOT NULL,
    blob uuid NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, profile, format)
);
CREATE INDEX renditions_derivation ON renditions (tenant, derivation);
CREATE INDEX renditions_blob ON renditions (blob);

-- The streams of videos: what a player needs to know of each, and its segments in their order.
CREATE TABLE tracks (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    name text NOT NULL,
    -- `video` or `audio`.
    kind text NOT NULL,
    -- As in the attribute CODECS of a playlist.
    codecs text NOT NULL,
    width bigint,
    height bigint,
    -- What else a playlist says, as JSON.
    said text NOT NULL,
    -- Units of time in a second.
    timescale bigint NOT NULL,
    -- Segments that the plan foresees.
    segments bigint NOT NULL,
    -- What they are wrapped in: `cmaf` or `ts`. Of the second kind no player reads the initialisation segment; it is kept
    -- as what all tasks must agree on.
    packaging text NOT NULL,
    -- The initialisation segment.
    blob uuid NOT NULL REFERENCES blobs (id),
    -- Of its segments together: an asset's JSON tells it without reading them.
    bytes bigint NOT NULL DEFAULT 0,
    -- How near its pictures came to their source: how many were compared, the sum of their structural similarities,
    -- and the least.
    compared bigint NOT NULL DEFAULT 0,
    ssim_sum double precision NOT NULL DEFAULT 0,
    ssim_min double precision NOT NULL DEFAULT 1,
    PRIMARY KEY (asset, generation, name)
) WITH (fillfactor = 70);
CREATE INDEX tracks_blob ON tracks (blob);

CREATE TABLE segments (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    track text NOT NULL,
    number bigint NOT NULL,
    -- In the track's units of time.
    duration bigint NOT NULL,
    -- How many of its first bytes show its first picture, for I-frame playlists; 0 in sound.
    key_bytes bigint NOT NULL,
    blob uuid NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, track, number)
);
CREATE INDEX segments_blob ON segments (blob);

-- WebVTT beside the streams. Generation 0 are those that people gave: they outlive every run.
CREATE TABLE captions (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    name text NOT NULL,
    -- BCP 47.
    language text NOT NULL,
    label text NOT NULL,
    blob uuid NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, name)
);
CREATE INDEX captions_blob ON captions (blob);

-- Here transactions do not commit in the order of `n`. Readers go by `position`, which is given to rows that have
-- committed, by one transaction at a time, so that none is skipped.
CREATE TABLE events (
    n bigint GENERATED ALWAYS AS IDENTITY,
    position bigint,
    tenant uuid NOT NULL,
    asset uuid NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    at bigint NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (asset, sequence)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX events_unnumbered ON events (n) WHERE position IS NULL;
CREATE INDEX events_by_tenant ON events (tenant, position) WHERE position IS NOT NULL;

-- The last position that was given.
CREATE TABLE relay (one bigint PRIMARY KEY CHECK (one = 1), position bigint NOT NULL)
    WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
INSERT INTO relay VALUES (1, 0);

CREATE TABLE purges (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset uuid NOT NULL,
    paths text NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    due_at bigint NOT NULL
);
CREATE INDEX purges_due ON purges (due_at, id);

CREATE TABLE idempotency (
    tenant uuid NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    asset uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- Who works, as each tells of itself now and then, and what operators want of it.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    queues text[] NOT NULL,
    cpu bigint NOT NULL,
    memory_bytes bigint NOT NULL,
    started_at bigint NOT NULL,
    wish text NOT NULL,
    seen_at bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    name text NOT NULL,
    scopes text NOT NULL,
    secret_sha256 bytea NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at, id);

-- Counts for metrics, as sums of what each statement changed: a row per count would have all writers wait for each
-- other. Upkeep folds them.
CREATE TABLE task_deltas (queue text NOT NULL, state text NOT NULL, tasks bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE asset_deltas (state text NOT NULL, assets bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE VIEW task_counts AS SELECT queue, state, sum(tasks)::bigint AS tasks FROM task_deltas GROUP BY queue, state;
CREATE VIEW asset_counts AS SELECT state, sum(assets)::bigint AS assets FROM asset_deltas GROUP BY state;

CREATE FUNCTION tasks_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO task_deltas SELECT queue, state, count(*) FROM rows_after GROUP BY queue, state;
    RETURN NULL;
END $$;
CREATE FUNCTION tasks_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO task_deltas
        SELECT queue, state, sum(n) FROM (
            SELECT queue, state, 1 AS n FROM rows_after UNION ALL SELECT queue, state, -1 FROM rows_before) moved
        GROUP BY queue, state HAVING sum(n) <> 0;
    RETURN NULL;
END $$;
CREATE FUNCTION assets_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO asset_deltas SELECT state, count(*) FROM rows_after GROUP BY state;
    RETURN NULL;
END $$;
CREATE FUNCTION assets_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO asset_deltas
        SELECT state, sum(n) FROM (
            SELECT state, 1 AS n FROM rows_after UNION ALL SELECT state, -1 FROM rows_before) moved
        GROUP BY state HAVING sum(n) <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER tasks_added AFTER INSERT ON tasks REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_added();
CREATE TRIGGER tasks_moved AFTER UPDATE ON tasks REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION tasks_moved();
CREATE TRIGGER assets_added AFTER INSERT ON assets REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION assets_added();
CREATE TRIGGER assets_moved AFTER UPDATE ON assets REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION assets_moved();

-- What one process at a time does for all.
CREATE TABLE duties (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    until bigint NOT NULL
);
