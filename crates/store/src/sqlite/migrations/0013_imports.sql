-- Files that are fetched. The upload of the same id takes the bytes; `mark` is what the same thing is known by when it is told of
-- again. One without `due_at` has ended: as an asset, or with `code` and `message`. Without `expires_at` it is remembered.
CREATE TABLE imports (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    source TEXT NOT NULL,
    reference TEXT NOT NULL,
    mark TEXT,
    digest BLOB,
    validator TEXT,
    tries INTEGER NOT NULL,
    code TEXT,
    message TEXT,
    asset BLOB,
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX imports_due ON imports (source, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX imports_source ON imports (source, id);
CREATE INDEX imports_expires ON imports (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX imports_mark ON imports (mark) WHERE mark IS NOT NULL;
