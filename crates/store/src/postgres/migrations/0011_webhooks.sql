-- Addresses that are told what happens to a tenant's assets: of events after a position. One without `off_because` is on. `secret`
-- signs, and `old_secret` does as well until `old_until`. One with `deleted_at` is there until its deliveries are gone.
CREATE TABLE webhooks (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    url text NOT NULL,
    types text NOT NULL,
    description text,
    off_because text,
    after_position bigint NOT NULL,
    secret bytea NOT NULL,
    old_secret bytea,
    old_until bigint,
    created_at bigint NOT NULL,
    failing_since bigint,
    last_delivered_at bigint,
    last_error text,
    deleted_at bigint
) WITH (fillfactor = 50);
CREATE INDEX webhooks_tenant ON webhooks (tenant, id) WHERE deleted_at IS NULL;

-- What each of them is told, or was. One that waits has `due_at`. `run` counts the attempts since it was planned or asked for
-- again, `attempts` all; `tries` has the last of them.
CREATE TABLE webhook_deliveries (
    webhook uuid NOT NULL,
    event uuid NOT NULL,
    asset uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    run bigint NOT NULL,
    attempts bigint NOT NULL,
    tries text NOT NULL,
    created_at bigint NOT NULL,
    due_at bigint,
    last_at bigint,
    status bigint,
    ms bigint,
    error text,
    PRIMARY KEY (webhook, event)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX webhook_deliveries_state ON webhook_deliveries (webhook, state, event);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);
