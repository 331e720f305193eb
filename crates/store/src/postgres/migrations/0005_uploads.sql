-- Uploads that arrive in several requests. `progress` is the blob store's: where the first `bytes` are. A writer's fence is the one
-- of when it took the upload. `concat` is NULL, `partial`, or `final` and its parts. One with an asset is done, and only shown.
CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    -- Who opened it; zeros where no keys are needed.
    key uuid NOT NULL,
    fence bigint NOT NULL,
    length bigint,
    bytes bigint NOT NULL,
    progress text NOT NULL,
    concat text,
    said text NOT NULL,
    metadata text NOT NULL,
    correlation_id text NOT NULL,
    asset uuid,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX uploads_expires ON uploads (expires_at);
CREATE INDEX uploads_open ON uploads (tenant, key) WHERE asset IS NULL;
