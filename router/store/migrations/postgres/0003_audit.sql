-- Every action of an administrator, each row chained to the one before. The hash is over the record's text; the other
-- columns are copies of it for filters, and the check compares them.
CREATE TABLE audit (
  seq BIGINT PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  workspace TEXT COLLATE "C" NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  resource TEXT COLLATE "C" NOT NULL,
  resource_id TEXT COLLATE "C" NOT NULL,
  action TEXT COLLATE "C" NOT NULL,
  method TEXT COLLATE "C" NOT NULL,
  status INTEGER NOT NULL,
  record TEXT NOT NULL,
  hash BYTEA NOT NULL
);
CREATE INDEX audit_at ON audit (at_ms);
CREATE INDEX audit_resource ON audit (resource, resource_id, seq);
