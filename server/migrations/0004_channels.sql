-- Names of channels that orders were announced at. A number once given is never given again: receipts
-- name their recipient by it (person = 4294967295 - no).
CREATE TABLE channel (no BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
