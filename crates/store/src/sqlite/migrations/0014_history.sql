-- Up to which position the history was pruned. The newest event always stays, so that its number is known.
CREATE TABLE history (one INTEGER PRIMARY KEY CHECK (one = 1), pruned INTEGER NOT NULL) STRICT;
INSERT INTO history VALUES (1, 0);
