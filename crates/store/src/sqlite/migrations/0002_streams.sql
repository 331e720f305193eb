-- The streams of videos: what a player needs to know of each, and its segments in their order.
CREATE TABLE tracks (
    asset BLOB NOT NULL REFERENCES assets (id),
    generation INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- `video` or `audio`.
    kind TEXT NOT NULL,
    -- As in the attribute CODECS of a playlist.
    codecs TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    -- What else a playlist says, as JSON.
    said TEXT NOT NULL,
    -- Units of time in a second.
    timescale INTEGER NOT NULL,
    -- Segments that the plan foresees.
    segments INTEGER NOT NULL,
    -- The initialisation segment.
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tracks_blob ON tracks (blob);

CREATE TABLE segments (
    asset BLOB NOT NULL,
    generation INTEGER NOT NULL,
    track TEXT NOT NULL,
    number INTEGER NOT NULL,
    -- In the track's units of time.
    duration INTEGER NOT NULL,
    -- How many of its first bytes show its first picture, for I-frame playlists; 0 in sound.
    key_bytes INTEGER NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, track, number),
    FOREIGN KEY (asset, generation, track) REFERENCES tracks (asset, generation, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX segments_blob ON segments (blob);
