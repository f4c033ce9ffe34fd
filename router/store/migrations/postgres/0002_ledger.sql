-- Money reserved by requests in flight; a row that outlives its node is settled at its amount.
CREATE TABLE hold (
  request TEXT COLLATE "C" PRIMARY KEY,
  node TEXT COLLATE "C" NOT NULL,
  nano_usd BIGINT NOT NULL,
  budgets TEXT NOT NULL,
  row TEXT NOT NULL
);

-- Ids sort by time: each of these lists newest first without sorting.
CREATE TABLE request_log (
  id TEXT COLLATE "C" PRIMARY KEY,
  started_at_ms BIGINT NOT NULL,
  trace_id TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  key_name TEXT COLLATE "C" NOT NULL,
  workspace TEXT COLLATE "C" NOT NULL,
  status INTEGER NOT NULL,
  cost_nano_usd BIGINT,
  row TEXT NOT NULL
);
CREATE INDEX request_log_started ON request_log (started_at_ms);
CREATE INDEX request_log_trace ON request_log (trace_id, id);
CREATE INDEX request_log_key ON request_log (key, id);
CREATE INDEX request_log_key_name ON request_log (key_name, id);
CREATE INDEX request_log_workspace ON request_log (workspace, id);
