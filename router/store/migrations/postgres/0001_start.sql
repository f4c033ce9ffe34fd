-- Text is compared byte by byte ("C"), whatever the database's language: ids and names sort as in SQLite, and
-- prefixes are ranges of an index. Records are text: what is read is what was written, and a null character in a
-- client's words, which jsonb refuses, stops nothing.

CREATE TABLE meta (name TEXT COLLATE "C" PRIMARY KEY, value TEXT NOT NULL);

-- One row for each connection that writes: the numbers of its last transaction and of its last batch of
-- the ledger tell whether a commit whose answer was lost has happened.
CREATE TABLE writer (
  writer BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node TEXT NOT NULL,
  number BIGINT NOT NULL DEFAULT 0,
  batch BIGINT NOT NULL DEFAULT 0,
  at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE api_key (
  id TEXT COLLATE "C" PRIMARY KEY,
  hash BYTEA NOT NULL UNIQUE,
  name TEXT COLLATE "C" NOT NULL,
  workspace TEXT COLLATE "C" NOT NULL,
  config TEXT COLLATE "C",
  active BOOLEAN NOT NULL,
  -- Whether it expires, gets new secrets, or has an old one that still works.
  dated BOOLEAN NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  -- Id of the user that it belongs to.
  owner TEXT COLLATE "C",
  -- Whether it may do everything.
  root BOOLEAN NOT NULL,
  record TEXT NOT NULL
);
CREATE INDEX api_key_owner ON api_key (owner) WHERE owner IS NOT NULL;
CREATE INDEX api_key_dated ON api_key (id) WHERE dated AND active;
CREATE INDEX api_key_name ON api_key (name, id);
CREATE INDEX api_key_workspace ON api_key (workspace, name, id);
-- Inline configs are longer than a row of a btree may be.
CREATE INDEX api_key_config ON api_key USING hash (config);

-- Secrets that were replaced and still work for a while.
CREATE TABLE api_key_old (hash BYTEA PRIMARY KEY, id TEXT COLLATE "C" NOT NULL);
CREATE INDEX api_key_old_id ON api_key_old (id);

CREATE TABLE budget (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT COLLATE "C" NOT NULL,
  record TEXT NOT NULL
);

-- Spend is kept by the node that spent it, so that shared leases can be rebuilt exactly.
CREATE TABLE budget_spend (
  budget TEXT COLLATE "C" NOT NULL,
  period_start BIGINT NOT NULL,
  node TEXT COLLATE "C" NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (budget, period_start, node)
);

CREATE TABLE provider (slug TEXT COLLATE "C" PRIMARY KEY, record TEXT NOT NULL);

CREATE TABLE config (slug TEXT COLLATE "C" PRIMARY KEY, active BIGINT NOT NULL, record TEXT NOT NULL);

CREATE TABLE config_version (
  slug TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (slug, number)
);

-- What the Admin API keeps: workspaces, users, integrations, policies, guardrails and the like.
CREATE TABLE object (
  kind TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  workspace TEXT COLLATE "C" NOT NULL,
  slug TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (kind, id),
  CONSTRAINT object_slug UNIQUE (kind, workspace, slug)
);

CREATE TABLE object_version (
  kind TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (kind, id, version)
);

-- Written under the lock of the feed, so that a number is never seen before a smaller one.
CREATE TABLE change (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL
);
CREATE INDEX change_reset ON change (id, seq) WHERE kind = 'reset';

-- What was told already, so that nobody is told twice, whichever node tells.
CREATE TABLE told (dedup_key TEXT COLLATE "C" PRIMARY KEY, until_ms BIGINT NOT NULL);
CREATE INDEX told_until ON told (until_ms);
