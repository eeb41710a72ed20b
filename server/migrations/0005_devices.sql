-- Device keys that people came with to a door that vouched for them, where no report says that the
-- device is theirs. Of those who came with one key, the first has `is_first` = 1.
CREATE TABLE device_claim (canonical TEXT NOT NULL, person BIGINT NOT NULL, text TEXT NOT NULL, at BIGINT NOT NULL, is_first BIGINT NOT NULL, PRIMARY KEY (canonical, person));
CREATE INDEX device_claim_person ON device_claim (person);

-- 1 where it was certainly the person's, and a device that is not known: then no app is what has to go.
ALTER TABLE refused ADD COLUMN unknown_device BIGINT NOT NULL DEFAULT 0;

-- What the helpdesk looks up for somebody whose phone shows no reference.
CREATE INDEX refusal_person ON refusal (person, last_at);
