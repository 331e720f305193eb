-- Without it a search for a kind that few assets are of read all of them.
CREATE INDEX assets_by_kind ON assets (tenant, kind, created_at, id) WHERE state <> 'deleted';
