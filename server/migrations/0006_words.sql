-- Who had a device recognised by their own word, by a notice of which order: once for each.
CREATE TABLE own_word (order_id TEXT NOT NULL, person BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (order_id, person));

-- What somebody's word made, and so what is gone when it is taken back: of a device, this key, and whose it is. What
-- a report says as well is the report's from then on.
CREATE TABLE device_word (device BIGINT NOT NULL, canonical TEXT NOT NULL, gave_key BIGINT NOT NULL, gave_person BIGINT NOT NULL, PRIMARY KEY (device, canonical));

-- What was missing where a door certainly refused that person and no app was seen; NULL where one was.
ALTER TABLE refused ADD COLUMN fallback TEXT;

-- A certificate's serial number is compared without zeros at its front, colons and blanks. An insert and a delete, since
-- a device may have had it in both spellings.
INSERT INTO device_key (canonical, device, text)
  SELECT 'cert:' || ltrim(replace(replace(substr(canonical, 6), ':', ''), ' ', ''), '0'), device, text FROM device_key
  WHERE canonical LIKE 'cert:%' AND ltrim(substr(canonical, 6), '0123456789abcdef: ') = '' AND ltrim(substr(canonical, 6), '0: ') <> ''
  ON CONFLICT (canonical, device) DO NOTHING;
DELETE FROM device_key
  WHERE canonical LIKE 'cert:%' AND ltrim(substr(canonical, 6), '0123456789abcdef: ') = '' AND ltrim(substr(canonical, 6), '0: ') <> ''
  AND canonical <> 'cert:' || ltrim(replace(replace(substr(canonical, 6), ':', ''), ' ', ''), '0');
INSERT INTO device_claim (canonical, person, text, at, is_first)
  SELECT 'cert:' || ltrim(replace(replace(substr(canonical, 6), ':', ''), ' ', ''), '0'), person, text, at, is_first FROM device_claim
  WHERE canonical LIKE 'cert:%' AND ltrim(substr(canonical, 6), '0123456789abcdef: ') = '' AND ltrim(substr(canonical, 6), '0: ') <> ''
  ON CONFLICT (canonical, person) DO NOTHING;
DELETE FROM device_claim
  WHERE canonical LIKE 'cert:%' AND ltrim(substr(canonical, 6), '0123456789abcdef: ') = '' AND ltrim(substr(canonical, 6), '0: ') <> ''
  AND canonical <> 'cert:' || ltrim(replace(replace(substr(canonical, 6), ':', ''), ' ', ''), '0');
-- Two spellings may have had a first person each: the earlier is the key's.
UPDATE device_claim SET is_first = 0
  WHERE canonical LIKE 'cert:%' AND is_first = 1 AND EXISTS (
    SELECT 1 FROM device_claim AS other
    WHERE other.canonical = device_claim.canonical AND other.is_first = 1
    AND (other.at < device_claim.at OR (other.at = device_claim.at AND other.person < device_claim.person)));
