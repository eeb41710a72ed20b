-- Who said that an order looks wrong: each person once (invariant 14).
CREATE TABLE looks_wrong (order_id TEXT NOT NULL, person BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (order_id, person));
-- The rejected, counted again and again while notices go out. A query must name the same condition.
CREATE INDEX receipt_rejected ON receipt (order_id, kind) WHERE state = 'rejected';
