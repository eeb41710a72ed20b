-- Who had a device recognised by their own word, by a notice of which order: once for each.
CREATE TABLE own_word (order_id TEXT NOT NULL, person BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (order_id, person));

-- What somebody's word made, and so what is gone when it is taken back: of a device, this key, and whose it is. What
-- a report says as well is the report's from then on.
CREATE TABLE device_word (device BIGINT NOT NULL, canonical TEXT NOT NULL, gave_key BIGINT NOT NULL, gave_person BIGINT NOT NULL, PRIMARY KEY (device, canonical));

-- What was missing where a door certainly refused that person and no app was seen; NULL where one was.
ALTER TABLE refused ADD COLUMN fallback TEXT;
