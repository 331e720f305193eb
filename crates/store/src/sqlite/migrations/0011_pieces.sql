-- What a generation's tasks made of the original for each other; nobody is shown it.
CREATE TABLE pieces (
    asset BLOB NOT NULL REFERENCES assets (id),
    generation INTEGER NOT NULL,
    number INTEGER NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX pieces_blob ON pieces (blob);
