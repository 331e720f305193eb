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
