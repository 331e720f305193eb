-- Files that are fetched. The upload of the same id takes the bytes; `mark` is what the same thing is known by when it is told of
-- again. One without `due_at` has ended: as an asset, or with `code` and `message`. Without `expires_at` it is remembered.
CREATE TABLE imports (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    source text NOT NULL,
    reference text NOT NULL,
    mark text,
    digest bytea,
    validator text,
    tries bigint NOT NULL,
    code text,
    message text,
    asset uuid,
    due_at bigint,
    created_at bigint NOT NULL,
    expires_at bigint
) WITH (fillfactor = 70);
CREATE INDEX imports_due ON imports (source, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX imports_source ON imports (source, id);
CREATE INDEX imports_expires ON imports (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX imports_mark ON imports (mark) WHERE mark IS NOT NULL;
