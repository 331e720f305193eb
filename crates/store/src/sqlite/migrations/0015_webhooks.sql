-- Addresses that are told what happens to a tenant's assets: of events after a position. One without `off_because` is on. `secret`
-- signs, and `old_secret` does as well until `old_until`. One with `deleted_at` is there until its deliveries are gone.
CREATE TABLE webhooks (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    url TEXT NOT NULL,
    types TEXT NOT NULL,
    description TEXT,
    off_because TEXT,
    after_position INTEGER NOT NULL,
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_until INTEGER,
    created_at INTEGER NOT NULL,
    failing_since INTEGER,
    last_delivered_at INTEGER,
    last_error TEXT,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_tenant ON webhooks (tenant, id) WHERE deleted_at IS NULL;

-- What each of them is told, or was. One that waits has `due_at`. `run` counts the attempts since it was planned or asked for
-- again, `attempts` all; `tries` has the last of them.
CREATE TABLE webhook_deliveries (
    webhook BLOB NOT NULL,
    event BLOB NOT NULL,
    asset BLOB NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    run INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    tries TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER,
    last_at INTEGER,
    status INTEGER,
    ms INTEGER,
    error TEXT,
    PRIMARY KEY (webhook, event)
) STRICT;
CREATE INDEX webhook_deliveries_state ON webhook_deliveries (webhook, state, event);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);
