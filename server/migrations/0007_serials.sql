-- A certificate's serial number is a number: without 0x and zeros at its front, colons and blanks. Facts from before that
-- was so may have it in several spellings, of one device or claim too.
CREATE TEMPORARY TABLE serial AS
  SELECT canonical, 'cert:' || COALESCE(NULLIF(ltrim(replace(replace(body, ':', ''), ' ', ''), '0'), ''), '0') AS short
  FROM (
    SELECT canonical, substr(canonical, CASE WHEN canonical LIKE 'cert:0x%' THEN 8 ELSE 6 END) AS body
    FROM (SELECT canonical FROM device_key UNION SELECT canonical FROM device_claim) AS known
    WHERE canonical LIKE 'cert:%'
  ) AS numbers
  WHERE ltrim(body, '0123456789abcdef: ') = '' AND ltrim(body, ': ') <> '';
DELETE FROM serial WHERE short = canonical;
INSERT INTO device_key (canonical, device, text)
  SELECT short, device, MIN(text) FROM device_key JOIN serial USING (canonical) GROUP BY short, device
  ON CONFLICT (canonical, device) DO NOTHING;
DELETE FROM device_key WHERE canonical IN (SELECT canonical FROM serial);
INSERT INTO device_claim (canonical, person, text, at, is_first)
  SELECT short, person, MIN(text), MIN(at), MAX(is_first) FROM device_claim JOIN serial USING (canonical) GROUP BY short, person
  ON CONFLICT (canonical, person) DO UPDATE SET
    at = CASE WHEN excluded.at < device_claim.at THEN excluded.at ELSE device_claim.at END,
    is_first = CASE WHEN excluded.is_first = 1 THEN 1 ELSE device_claim.is_first END;
DELETE FROM device_claim WHERE canonical IN (SELECT canonical FROM serial);
DROP TABLE serial;
-- Two spellings may have had a first person each: the earlier is the key's.
UPDATE device_claim SET is_first = 0
  WHERE canonical LIKE 'cert:%' AND is_first = 1 AND EXISTS (
    SELECT 1 FROM device_claim AS other
    WHERE other.canonical = device_claim.canonical AND other.is_first = 1
    AND (other.at < device_claim.at OR (other.at = device_claim.at AND other.person < device_claim.person)));

-- What a word gave before that was kept: of a device that no report has named, all. Of the others nobody can tell it from
-- what reports gave.
INSERT INTO device_word (device, canonical, gave_key, gave_person)
  SELECT device_key.device, device_key.canonical, 1, 1 FROM device_key JOIN device ON device.id = device_key.device
  WHERE device.last_report IS NULL AND device.person IS NOT NULL
  ON CONFLICT (device, canonical) DO NOTHING;

-- When the refusal was of which `fallback` is: a gate that was alone tells of an older one later.
ALTER TABLE refused ADD COLUMN fallback_at BIGINT;
