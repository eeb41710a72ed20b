-- One text for SQLite and PostgreSQL. Ids are TEXT or dense BIGINT, times are BIGINT microseconds
-- since 1970 (UTC), booleans BIGINT. BYTES is BLOB or BYTEA.

-- Every write transaction begins by raising this number: that serialises writers on both databases,
-- gives each commit its place in time, and is what followers watch.
CREATE TABLE version (one BIGINT PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO version (one, number) VALUES (1, 0);

-- What each commit touched, for those who follow.
CREATE TABLE change_log (version BIGINT NOT NULL, part BIGINT NOT NULL, touched TEXT NOT NULL, PRIMARY KEY (version, part));

CREATE TABLE audit (
  number BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  order_id TEXT, details TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX audit_order ON audit (order_id, number);
-- The few steps of an order's life, apart from its many exemptions and attestations. A query must
-- name the same condition to be served by it.
CREATE INDEX audit_life ON audit (order_id, number) WHERE action LIKE 'order.%';
CREATE TABLE audit_head (one BIGINT PRIMARY KEY, entries BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO audit_head (one, entries, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE operator (email TEXT PRIMARY KEY, roles TEXT NOT NULL, password TEXT, invitation TEXT, invitation_until BIGINT);
CREATE TABLE session (token TEXT PRIMARY KEY, email TEXT NOT NULL, csrf TEXT NOT NULL, expires_at BIGINT NOT NULL);
CREATE INDEX session_expires_at ON session (expires_at);

CREATE TABLE person (id BIGINT PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, groups TEXT NOT NULL, locale TEXT NOT NULL, time_zone TEXT NOT NULL);
CREATE TABLE person_address (address TEXT PRIMARY KEY, person BIGINT NOT NULL);
CREATE INDEX person_address_person ON person_address (person);
-- An address that a list gave to one known person while another had it: both may be one (invariant 8).
CREATE TABLE person_claim (address TEXT NOT NULL, person BIGINT NOT NULL, PRIMARY KEY (address, person));

CREATE TABLE package (no BIGINT PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (id, name));

CREATE TABLE device (
  id BIGINT PRIMARY KEY, person BIGINT, platform TEXT NOT NULL, form_factor TEXT NOT NULL, ownership TEXT NOT NULL,
  os_version TEXT NOT NULL, visibility TEXT NOT NULL, last_report BIGINT, evidence BYTES NOT NULL
);
CREATE TABLE device_key (canonical TEXT NOT NULL, device BIGINT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (canonical, device));
CREATE INDEX device_key_device ON device_key (device);

-- `changed` is the version of the order's last change: of a retracted order, that of the retraction.
CREATE TABLE orders (id TEXT PRIMARY KEY, changed BIGINT NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX orders_state ON orders (state, id);
CREATE TABLE exemption (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE attestation (order_id TEXT NOT NULL, person BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (order_id, person));

-- A receipt begins with its first claim. `fence` is the version of the commit that claimed it: a
-- worker with an older one writes nothing. `worker` is NULL where a receipt waits for a retry.
-- `in_flight_at` stays set unless the attempt certainly failed.
CREATE TABLE receipt (
  order_id TEXT NOT NULL, person BIGINT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
  fence BIGINT NOT NULL, worker TEXT, attempt BIGINT NOT NULL, not_before BIGINT NOT NULL,
  in_flight_at BIGINT, settled_at BIGINT, settled_version BIGINT, detail TEXT NOT NULL,
  PRIMARY KEY (order_id, person, kind)
);
-- The few that are held or wait, apart from the many that are settled. A query must name the same
-- condition to be served by them.
CREATE INDEX receipt_held ON receipt (order_id, worker) WHERE worker IS NOT NULL;
CREATE INDEX receipt_held_by ON receipt (worker) WHERE worker IS NOT NULL;
CREATE INDEX receipt_waiting ON receipt (order_id, not_before) WHERE state = 'claimed' AND worker IS NULL;
-- A worker's life: past its lease its claims are anyone's.
CREATE TABLE worker (name TEXT PRIMARY KEY, lease_until BIGINT NOT NULL);

CREATE TABLE refusal (
  fingerprint TEXT PRIMARY KEY, reference TEXT NOT NULL, person BIGINT, first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL, times BIGINT NOT NULL, known TEXT NOT NULL
);
CREATE INDEX refusal_reference ON refusal (reference);
-- `certain` is 0 where nobody vouched for the person and nothing was seen on a device of theirs.
CREATE TABLE refused (order_id TEXT NOT NULL, person BIGINT NOT NULL, at BIGINT NOT NULL, certain BIGINT NOT NULL, PRIMARY KEY (order_id, person));
