-- How far the history was told outside, by the name of who is told.
CREATE TABLE outlets (name text PRIMARY KEY, position bigint NOT NULL);
