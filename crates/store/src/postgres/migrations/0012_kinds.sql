-- Without it a search for a kind that few assets are of read all of them. Whoever cannot have writers wait for it makes it before.
CREATE INDEX IF NOT EXISTS assets_by_kind ON assets (tenant, kind, created_at, id) WHERE state <> 'deleted';
