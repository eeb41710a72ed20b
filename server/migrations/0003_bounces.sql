-- A bounce: the relay had taken the notice, and it came back. The receipt stays accepted, since the person
-- may have got it all the same and so is corrected; told is withdrawn. The words have a column of their
-- own, since a bounce can be here before the relay's answer to the notice is written down.
ALTER TABLE receipt ADD COLUMN bounced_at BIGINT;
ALTER TABLE receipt ADD COLUMN bounced_words TEXT;
-- Whatever was accepted up to version `through` the relay was asked to drop from its queue.
CREATE TABLE purge (order_id TEXT PRIMARY KEY, through BIGINT NOT NULL);
