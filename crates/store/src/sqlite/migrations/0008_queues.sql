-- Who may take a task, and how urgent it is: 0 high, 1 normal, 2 low. `needs` are capabilities, sorted, with a comma between them.
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN needs TEXT NOT NULL DEFAULT '';
DROP INDEX tasks_ready;
-- One line for each tenant and urgency: a claim looks at the heads of the lines, never into one that it may not take from.
CREATE INDEX tasks_ready ON tasks (queue, tenant, priority, needs, lane, rank) WHERE state = 'ready';

-- Virtual time in processor microseconds over shares, up to which a line was served. A line without a row was served never.
CREATE TABLE flows (
    tenant BLOB NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    vtime INTEGER NOT NULL,
    PRIMARY KEY (tenant, queue, priority)
) STRICT, WITHOUT ROWID;

-- Limits are NULL where there is none. `tenants.vtime` still orders what waits in one line.
ALTER TABLE tenants ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN running_max INTEGER;
ALTER TABLE tenants ADD COLUMN waiting_max INTEGER;

-- What operators change while everything runs; what has no row is as it is by default.
CREATE TABLE switches (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- Who changed what: `switch` is a switch's name, or `tenant.<id>.<setting>`.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    switch TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    who TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_by_switch ON changes (switch, id);

-- What came and went in each minute since 1970. Times are of attempts: what was estimated, and what they took.
CREATE TABLE queue_minutes (
    minute INTEGER NOT NULL,
    queue TEXT NOT NULL,
    arrived INTEGER NOT NULL,
    done INTEGER NOT NULL,
    estimated_ms INTEGER NOT NULL,
    spent_ms INTEGER NOT NULL,
    PRIMARY KEY (minute, queue)
) STRICT, WITHOUT ROWID;

-- Assets that are uploaded or processing.
CREATE TABLE unfinished (tenant BLOB PRIMARY KEY, assets INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO unfinished SELECT tenant, count(*) FROM assets WHERE state IN ('uploaded', 'processing') GROUP BY tenant;

-- What the tasks of each count are estimated to cost together. It cannot change while they are ready.
ALTER TABLE task_counts ADD COLUMN cpu_ms INTEGER NOT NULL DEFAULT 0;
UPDATE task_counts SET cpu_ms = coalesce(
    (SELECT sum(cpu_ms) FROM tasks t WHERE t.queue = task_counts.queue AND t.state = 'ready'), 0) WHERE state = 'ready';

DROP TRIGGER tasks_counted_again;
CREATE TRIGGER tasks_counted_again AFTER UPDATE OF state ON tasks WHEN NEW.state <> OLD.state BEGIN
    UPDATE task_counts SET tasks = tasks - 1, cpu_ms = cpu_ms - iif(OLD.state = 'ready', OLD.cpu_ms, 0)
        WHERE queue = OLD.queue AND state = OLD.state;
    INSERT INTO task_counts (queue, state, tasks, cpu_ms) VALUES (NEW.queue, NEW.state, 1, iif(NEW.state = 'ready', NEW.cpu_ms, 0))
        ON CONFLICT DO UPDATE SET tasks = tasks + 1, cpu_ms = cpu_ms + excluded.cpu_ms;
END;
DROP TRIGGER tasks_counted_new;
CREATE TRIGGER tasks_counted_new AFTER INSERT ON tasks BEGIN
    INSERT INTO task_counts (queue, state, tasks, cpu_ms) VALUES (NEW.queue, NEW.state, 1, iif(NEW.state = 'ready', NEW.cpu_ms, 0))
        ON CONFLICT DO UPDATE SET tasks = tasks + 1, cpu_ms = cpu_ms + excluded.cpu_ms;
END;
CREATE TRIGGER unfinished_new AFTER INSERT ON assets WHEN NEW.state IN ('uploaded', 'processing') BEGIN
    INSERT INTO unfinished VALUES (NEW.tenant, 1) ON CONFLICT DO UPDATE SET assets = assets + 1;
END;
CREATE TRIGGER unfinished_again AFTER UPDATE OF state ON assets
WHEN (NEW.state IN ('uploaded', 'processing')) <> (OLD.state IN ('uploaded', 'processing')) BEGIN
    INSERT INTO unfinished VALUES (NEW.tenant, iif(NEW.state IN ('uploaded', 'processing'), 1, -1))
        ON CONFLICT DO UPDATE SET assets = assets + excluded.assets;
END;
