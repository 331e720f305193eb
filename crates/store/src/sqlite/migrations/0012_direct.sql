-- How an upload comes: `tus`, or `direct` to where blobs are. `checking` is one whose client says that all is there, `refused` one that
-- became nothing; `refusal` then says why.
ALTER TABLE uploads ADD COLUMN way TEXT NOT NULL DEFAULT 'tus';
ALTER TABLE uploads ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE uploads ADD COLUMN refusal TEXT;
-- What a key's uploads may be, as JSON; NULL is what all may.
ALTER TABLE api_keys ADD COLUMN limits TEXT;
-- What was taken in with a key that has limits of a day. Days are counted from 1970 in UTC.
CREATE TABLE key_usage (
    key BLOB NOT NULL,
    day INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (key, day, slot)
) STRICT, WITHOUT ROWID;
-- For one upload each. `held_at` is set while it is used, and stays when the upload was taken in; `upload` is the one that it opened.
CREATE TABLE upload_tokens (
    id BLOB PRIMARY KEY,
    tenant BLOB NOT NULL,
    key BLOB NOT NULL,
    secret_sha256 BLOB NOT NULL,
    terms TEXT NOT NULL,
    held_at INTEGER,
    upload BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_tokens_expires ON upload_tokens (expires_at);
