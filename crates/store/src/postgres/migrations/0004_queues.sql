-- Who may take a task, and how urgent it is: 0 high, 1 normal, 2 low. `needs` are capabilities, sorted, with a comma between them.
ALTER TABLE tasks ADD COLUMN priority bigint NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN needs text NOT NULL DEFAULT '';
DROP INDEX tasks_ready;
-- One line for each tenant and urgency: a claim looks at the heads of the lines, never into one that it may not take from.
CREATE INDEX tasks_ready ON tasks (queue, tenant, priority, needs, lane, rank) WHERE state = 'ready';

-- Virtual time in processor microseconds over shares, up to which a line was served. A line without a row was served never.
CREATE TABLE flows (
    tenant uuid NOT NULL,
    queue text NOT NULL,
    priority bigint NOT NULL,
    vtime bigint NOT NULL,
    PRIMARY KEY (tenant, queue, priority)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- Limits are NULL where there is none. `tenants.vtime` still orders what waits in one line.
ALTER TABLE tenants ADD COLUMN name text NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN running_max bigint;
ALTER TABLE tenants ADD COLUMN waiting_max bigint;

-- What operators change while everything runs; what has no row is as it is by default.
CREATE TABLE switches (name text PRIMARY KEY, value text NOT NULL);
-- Who changed what: `switch` is a switch's name, or `tenant.<id>.<setting>`.
CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    switch text NOT NULL,
    before text NOT NULL,
    after text NOT NULL,
    who text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX changes_by_switch ON changes (switch, id);

-- What came and went in each minute since 1970, as each statement counted it. Times are of attempts: what was estimated,
-- and what they took. Upkeep folds them.
CREATE TABLE queue_minutes (
    minute bigint NOT NULL,
    queue text NOT NULL,
    arrived bigint NOT NULL,
    done bigint NOT NULL,
    estimated_ms bigint NOT NULL,
    spent_ms bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Assets that are uploaded or processing, counted likewise.
CREATE TABLE unfinished_deltas (tenant uuid NOT NULL, assets bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO unfinished_deltas SELECT tenant, count(*) FROM assets WHERE state IN ('uploaded', 'processing') GROUP BY tenant;
CREATE VIEW unfinished AS SELECT tenant, sum(assets)::bigint AS assets FROM unfinished_deltas GROUP BY tenant;

-- What ready tasks are estimated to cost together. It cannot change while they are ready.
CREATE TABLE ready_deltas (queue text NOT NULL, cpu_ms bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO ready_deltas SELECT queue, sum(cpu_ms) FROM tasks WHERE state = 'ready' GROUP BY queue;

CREATE OR REPLACE FUNCTION tasks_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO task_deltas SELECT queue, state, count(*) FROM rows_after GROUP BY queue, state;
    -- A task begins ready only where it is moved from another database.
    INSERT INTO ready_deltas SELECT queue, sum(cpu_ms) FROM rows_after WHERE state = 'ready' GROUP BY queue;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION tasks_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO task_deltas
        SELECT queue, state, sum(n) FROM (
            SELECT queue, state, 1 AS n FROM rows_after UNION ALL SELECT queue, state, -1 FROM rows_before) moved
        GROUP BY queue, state HAVING sum(n) <> 0;
    INSERT INTO ready_deltas
        SELECT queue, sum(cpu_ms) FROM (
            SELECT queue, cpu_ms FROM rows_after WHERE state = 'ready'
            UNION ALL SELECT queue, -cpu_ms FROM rows_before WHERE state = 'ready') moved
        GROUP BY queue HAVING sum(cpu_ms) <> 0;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION assets_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO asset_deltas SELECT state, count(*) FROM rows_after GROUP BY state;
    INSERT INTO unfinished_deltas
        SELECT tenant, count(*) FROM rows_after WHERE state IN ('uploaded', 'processing') GROUP BY tenant;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION assets_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO asset_deltas
        SELECT state, sum(n) FROM (
            SELECT state, 1 AS n FROM rows_after UNION ALL SELECT state, -1 FROM rows_before) moved
        GROUP BY state HAVING sum(n) <> 0;
    INSERT INTO unfinished_deltas
        SELECT tenant, sum(n) FROM (
            SELECT tenant, 1 AS n FROM rows_after WHERE state IN ('uploaded', 'processing')
            UNION ALL SELECT tenant, -1 FROM rows_before WHERE state IN ('uploaded', 'processing')) moved
        GROUP BY tenant HAVING sum(n) <> 0;
    RETURN NULL;
END $$;

-- What workers can do, beside their queues, and how many tasks that wait for others they take.
ALTER TABLE workers ADD COLUMN network bigint NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN capabilities text[] NOT NULL DEFAULT '{}';
