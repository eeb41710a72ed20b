-- A bounce: the relay had taken the notice, and it came back. The receipt stays accepted, since the person
-- may have got it all the same and so is corrected; told is withdrawn. The words have a column of their
-- own, since a bounce can be here before the relay's answer to the notice is written down.
ALTER TABLE receipt ADD COLUMN bounced_at BIGINT;
ALTER TABLE receipt ADD COLUMN bounced_words TEXT;
-- The few of them. A query must name the same condition.
CREATE INDEX receipt_bounced ON receipt (order_id, kind) WHERE bounced_at IS NOT NULL;
-- Whatever was accepted up to version `through` the relay was asked to drop from its queue.
CREATE TABLE purge (order_id TEXT PRIMARY KEY, through BIGINT NOT NULL);
