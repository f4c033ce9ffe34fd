-- A config that was saved, and every text it ever had.
CREATE TABLE config (
  slug TEXT PRIMARY KEY,
  record TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE config_version (
  slug TEXT NOT NULL,
  number INTEGER NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (slug, number)
) WITHOUT ROWID;
