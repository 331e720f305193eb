-- What a generation's tasks made of the original for each other; nobody is shown it.
CREATE TABLE pieces (
    asset uuid NOT NULL,
    generation bigint NOT NULL,
    number bigint NOT NULL,
    blob uuid NOT NULL REFERENCES blobs (id),
    PRIMARY KEY (asset, generation, number)
);
CREATE INDEX pieces_blob ON pieces (blob);
