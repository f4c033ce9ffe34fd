-- What the Admin API keeps: workspaces, users, integrations, policies, guardrails and the like.
CREATE TABLE object (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  workspace TEXT NOT NULL DEFAULT '',
  slug TEXT NOT NULL,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX object_slug ON object (kind, workspace, slug);

CREATE TABLE object_version (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (kind, id, version)
) WITHOUT ROWID;

-- Every action of an administrator, each row chained to the one before.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  record TEXT NOT NULL,
  hash BLOB NOT NULL
);
CREATE INDEX audit_at ON audit (at_ms);

-- Secrets that were replaced and still work for a while.
CREATE TABLE api_key_old (hash BLOB PRIMARY KEY, id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX api_key_old_id ON api_key_old (id);

ALTER TABLE api_key ADD COLUMN workspace TEXT NOT NULL DEFAULT '';
CREATE INDEX api_key_workspace ON api_key (workspace, name);
CREATE INDEX api_key_dated ON api_key (id) WHERE
  (json_extract(record, '$.expires_at') IS NOT NULL
     OR json_extract(record, '$.extra.rotation') IS NOT NULL
     OR json_extract(record, '$.extra.old_secret') IS NOT NULL);
ALTER TABLE request_log ADD COLUMN workspace TEXT NOT NULL DEFAULT '';

-- Spend is kept by the node that spent it, so that shared leases can be rebuilt exactly.
CREATE TABLE budget_spend_by (
  budget TEXT NOT NULL,
  period_start INTEGER NOT NULL,
  node TEXT NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (budget, period_start, node)
) WITHOUT ROWID;
INSERT INTO budget_spend_by SELECT budget, period_start, '', nano_usd FROM budget_spend;
DROP TABLE budget_spend;
ALTER TABLE budget_spend_by RENAME TO budget_spend;

ALTER TABLE hold ADD COLUMN node TEXT NOT NULL DEFAULT '';

-- What was told already, so that nobody is told twice, whichever node tells.
CREATE TABLE told (dedup_key TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID;
