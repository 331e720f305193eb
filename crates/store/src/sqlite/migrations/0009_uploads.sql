-- Uploads that arrive in several requests. `progress` is the blob store's: where the first `bytes` are. A writer's fence is the one
-- of when it took the upload. `concat` is NULL, `partial`, or `final` and its parts. One with an asset is done, and only shown.
CREATE TABLE uploads (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    -- Who opened it; zeros where no keys are needed.
    key BLOB NOT NULL,
    fence INTEGER NOT NULL,
    length INTEGER,
    bytes INTEGER NOT NULL,
    progress TEXT NOT NULL,
    concat TEXT,
    said TEXT NOT NULL,
    metadata TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    asset BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_expires ON uploads (expires_at);
CREATE INDEX uploads_open ON uploads (tenant, key) WHERE asset IS NULL;
