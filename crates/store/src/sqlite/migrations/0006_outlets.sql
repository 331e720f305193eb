-- How far the history was told outside, by the name of who is told.
CREATE TABLE outlets (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
