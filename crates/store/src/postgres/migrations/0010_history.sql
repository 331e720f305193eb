-- Up to which position the history was pruned. The newest event always stays, so that its number is known.
CREATE TABLE history (one bigint PRIMARY KEY CHECK (one = 1), pruned bigint NOT NULL);
INSERT INTO history VALUES (1, 0);

-- The table becomes the one part of a table of parts without being read. Older programs go on: to them it is the same table.
-- The parts of the time to come are made by a background service, which also gives this first one its end.
LOCK TABLE events IN ACCESS EXCLUSIVE MODE;
CREATE SEQUENCE events_number;
SELECT setval('events_number', nextval(pg_get_serial_sequence('events', 'n')), false);
ALTER TABLE events ALTER n DROP IDENTITY, ALTER n SET DEFAULT nextval('events_number');
ALTER TABLE events RENAME TO events_early;
CREATE TABLE events (LIKE events_early INCLUDING DEFAULTS) PARTITION BY RANGE (at);
ALTER TABLE events ATTACH PARTITION events_early DEFAULT;
