-- Only for questions about the time: before PostgreSQL has counted the rows, it would take this index for the shorter way to the
-- heads of lines too, and read and sort everything that is ready.
DROP INDEX tasks_oldest;
CREATE INDEX tasks_oldest ON tasks (queue, queued_at) WHERE state = 'ready' AND queued_at IS NOT NULL;
