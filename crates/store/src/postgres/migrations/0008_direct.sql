-- How an upload comes: `tus`, or `direct` to where blobs are. `checking` is one whose client says that all is there, `refused` one that
-- became nothing; `refusal` then says why.
ALTER TABLE uploads ADD COLUMN way text NOT NULL DEFAULT 'tus';
ALTER TABLE uploads ADD COLUMN state text NOT NULL DEFAULT 'open';
ALTER TABLE uploads ADD COLUMN refusal text;
-- What a key's uploads may be, as JSON; NULL is what all may.
ALTER TABLE api_keys ADD COLUMN limits text;
-- What was taken in with a key that has limits of a day. Days are counted from 1970 in UTC. Processes count in different slots, so that
-- they do not wait for each other.
CREATE TABLE key_usage (
    key uuid NOT NULL,
    day bigint NOT NULL,
    slot bigint NOT NULL,
    bytes bigint NOT NULL,
    files bigint NOT NULL,
    PRIMARY KEY (key, day, slot)
) WITH (fillfactor = 50);
-- For one upload each. `held_at` is set while it is used, and stays when the upload was taken in; `upload` is the one that it opened.
CREATE TABLE upload_tokens (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    key uuid NOT NULL,
    secret_sha256 bytea NOT NULL,
    terms text NOT NULL,
    held_at bigint,
    upload uuid,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX upload_tokens_expires ON upload_tokens (expires_at);
