CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL,
  record TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE budget (id TEXT PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE budget_spend (
  budget TEXT NOT NULL,
  period_start INTEGER NOT NULL,
  nano_usd INTEGER NOT NULL,
  PRIMARY KEY (budget, period_start)
) WITHOUT ROWID;

CREATE TABLE provider (slug TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;

-- Money reserved by requests in flight; a row that outlives its process is settled at its amount.
CREATE TABLE hold (
  request TEXT PRIMARY KEY,
  nano_usd INTEGER NOT NULL,
  budgets TEXT NOT NULL,
  row TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE request_log (
  id TEXT PRIMARY KEY,
  started_at_ms INTEGER NOT NULL,
  trace_id TEXT NOT NULL,
  key TEXT NOT NULL,
  key_name TEXT NOT NULL,
  status INTEGER NOT NULL,
  cost_nano_usd INTEGER,
  row TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX request_log_started ON request_log (started_at_ms);
CREATE INDEX request_log_trace ON request_log (trace_id);

CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL);
