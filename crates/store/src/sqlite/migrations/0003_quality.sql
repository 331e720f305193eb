-- How near a stream's pictures came to their source, kept as chunks are recorded: how many were compared, the sum of
-- their structural similarities, and the least.
ALTER TABLE tracks ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tracks ADD COLUMN ssim_sum REAL NOT NULL DEFAULT 0;
ALTER TABLE tracks ADD COLUMN ssim_min REAL NOT NULL DEFAULT 1;
