-- Whether this installation takes changes, and where it moves to or came from. Every installation has an id of its own.
CREATE TABLE installation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL,
    -- `open`, `draining`, `closed`, `moved` or `arriving`.
    phase TEXT NOT NULL,
    -- The other one of a move: its id, and where it is, for people.
    peer BLOB,
    place TEXT,
    since INTEGER
) STRICT;
INSERT INTO installation (one, id, phase) VALUES (1, randomblob(16), 'open');

-- Blobs whose bytes are here and verified, while others are still arriving.
CREATE TABLE arrivals (blob BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
