-- What a stream's segments are wrapped in: `cmaf` or `ts`. Of the second kind no player reads the initialisation segment; it is
-- kept as what all tasks must agree on.
ALTER TABLE tracks ADD COLUMN packaging TEXT NOT NULL DEFAULT 'cmaf';
