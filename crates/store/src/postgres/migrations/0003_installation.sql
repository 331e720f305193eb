-- Whether this installation takes changes, and where it moves to or came from. Every installation has an id of its own.
CREATE TABLE installation (
    one bigint PRIMARY KEY CHECK (one = 1),
    id uuid NOT NULL,
    -- `open`, `draining`, `closed`, `moved` or `arriving`.
    phase text NOT NULL,
    -- The other one of a move: its id, and where it is, for people.
    peer uuid,
    place text,
    since bigint
);
INSERT INTO installation (one, id, phase) VALUES (1, gen_random_uuid(), 'open');

-- Blobs whose bytes are here and verified, while others are still arriving.
CREATE TABLE arrivals (blob uuid PRIMARY KEY);
