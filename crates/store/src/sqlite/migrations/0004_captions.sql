-- What people sort films and recordings by; of the newest inspection.
ALTER TABLE assets ADD COLUMN duration_ms INTEGER;
ALTER TABLE assets ADD COLUMN container TEXT;
-- Of the pictures, or of the sound where there are none.
ALTER TABLE assets ADD COLUMN codec TEXT;
ALTER TABLE assets ADD COLUMN frame_rate REAL;
ALTER TABLE assets ADD COLUMN has_sound INTEGER;
-- `hdr10`, `hlg` or `dolby_vision`.
ALTER TABLE assets ADD COLUMN hdr TEXT;
CREATE INDEX assets_by_codec ON assets (tenant, codec, created_at, id)
    WHERE codec IS NOT NULL AND state <> 'deleted';

-- Of a stream's segments together: an asset's JSON tells it without reading them.
ALTER TABLE tracks ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE tracks SET bytes = coalesce((
    SELECT sum(b.bytes) FROM segments g JOIN blobs b ON b.id = g.blob
    WHERE g.asset = tracks.asset AND g.generation = tracks.generation AND g.track = tracks.name), 0);

-- WebVTT beside the streams. Generation 0 are those that people gave: they outlive every run.
CREATE TABLE captions (
    asset BLOB NOT NULL REFERENCES assets (id),
    generation INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- BCP 47.
    language TEXT NOT NULL,
    label TEXT NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX captions_blob ON captions (blob);
