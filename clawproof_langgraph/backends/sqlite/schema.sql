-- The tables of a coordination file. Several namespaces may share one file; `ns` is a namespace's number.
-- Times are seconds since the epoch. `expires`, `since`, `seen`, `arrived` and `until` are seconds on a clock that nobody
-- can set, and mean nothing once the machine was started anew. Modes are one letter: x exclusive, s shared.

CREATE TABLE namespaces (
    ns     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    secret BLOB NOT NULL,               -- keys the fingerprints of arguments, so that nobody can guess them from these
    trimmed INTEGER NOT NULL DEFAULT 0  -- the newest cursor that was deleted from its log
);

-- All that is live: each lease (its row has no resource), and each resource that it holds (a row has no more than its
-- mode). They share one tree, which stays small, so that a begin changes one page whatever the number of locks.
-- A lease is the only trace of a running call: when it expires, it becomes a record in doubt.
CREATE TABLE live (
    ns          INTEGER NOT NULL,
    resource    TEXT NOT NULL,
    owner       TEXT NOT NULL,
    mode        TEXT,
    fence       INTEGER,                -- 0 until the grant is claimed
    expires     REAL,
    since       REAL,
    seen        REAL,
    claimed     INTEGER,
    attempt     INTEGER,
    suspected   INTEGER,
    wants       TEXT,                   -- mode and name of each resource, separated by line feeds
    session     TEXT,
    ttl         REAL,
    agent       TEXT,
    thread      TEXT,
    tool        TEXT,
    key         TEXT,
    scope       TEXT,
    fingerprint TEXT,
    ancestors   TEXT,                   -- owners, separated by spaces
    bell        TEXT,
    expected    REAL,
    lineage     TEXT,                   -- what the call came out of: "group:member" words, separated by spaces
    PRIMARY KEY (ns, resource, owner)
) WITHOUT ROWID;

CREATE TABLE waiters (
    ns          INTEGER NOT NULL,
    owner       TEXT NOT NULL,
    place       INTEGER NOT NULL,
    arrived     REAL NOT NULL,
    wants       TEXT NOT NULL,
    session     TEXT NOT NULL,
    ttl         REAL NOT NULL,
    agent       TEXT NOT NULL,
    thread      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    key         TEXT NOT NULL,
    scope       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    ancestors   TEXT NOT NULL,
    bell        TEXT NOT NULL,
    expected    REAL NOT NULL,
    lineage     TEXT NOT NULL,
    PRIMARY KEY (ns, owner)
) WITHOUT ROWID;

-- One row for each waiter and resource. Exclusive waiters and readers are apart, so that a reader finds the first
-- exclusive waiter, and anybody the first waiter, in one step each.
CREATE TABLE queue (
    ns        INTEGER NOT NULL,
    resource  TEXT NOT NULL,
    exclusive INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    owner     TEXT NOT NULL,
    PRIMARY KEY (ns, resource, exclusive, place)
) WITHOUT ROWID;

-- The waiters of a session count as alive until then.
CREATE TABLE sessions (
    ns      INTEGER NOT NULL,
    session TEXT NOT NULL,
    until   REAL NOT NULL,
    PRIMARY KEY (ns, session)
) WITHOUT ROWID;

-- What is known of a call that has settled.
CREATE TABLE records (
    ns          INTEGER NOT NULL,
    key         TEXT NOT NULL,
    state       TEXT NOT NULL,
    agent       TEXT NOT NULL,
    thread      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    owner       TEXT NOT NULL,
    fence       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    result      BLOB,
    first_at    REAL NOT NULL,
    updated_at  REAL NOT NULL,
    same_as     TEXT NOT NULL,          -- the key of the call that this one has turned out to be
    resources   TEXT NOT NULL,          -- what a call in doubt held: names, separated by line feeds
    reason      TEXT NOT NULL,          -- why it is in doubt
    doubted_before INTEGER NOT NULL,    -- whether its effect may have happened when its last execution began
    touched     INTEGER NOT NULL,       -- whether its effect may have happened though it did not succeed
    asked       TEXT NOT NULL,          -- questions to a human: task and fence of each, separated by spaces
    lineage     TEXT NOT NULL,
    PRIMARY KEY (ns, key)
) WITHOUT ROWID;

CREATE INDEX records_unsettled ON records (ns, scope, first_at) WHERE touched;

-- Versions of resources that somebody has read, and the call that gave each; those of nobody are not kept.
CREATE TABLE versions (
    ns       INTEGER NOT NULL,
    resource TEXT NOT NULL,
    version  INTEGER NOT NULL,
    agent    TEXT NOT NULL,
    tool     TEXT NOT NULL,
    thread   TEXT NOT NULL,
    key      TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (ns, resource)
) WITHOUT ROWID;

CREATE TABLE killed (
    ns     INTEGER NOT NULL,
    agent  TEXT NOT NULL,
    reason TEXT NOT NULL,
    by     TEXT NOT NULL,
    at     REAL NOT NULL,
    PRIMARY KEY (ns, agent)
) WITHOUT ROWID;

-- How far the log was read under a name, and by whom. `seen` is a date: what is kept for how long goes by that.
CREATE TABLE subscribers (
    ns     INTEGER NOT NULL,
    name   TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    owner  TEXT NOT NULL,               -- who reads; empty for nobody
    until  REAL NOT NULL,               -- when another may
    seen   REAL NOT NULL,
    PRIMARY KEY (ns, name)
) WITHOUT ROWID;

-- The log, of all namespaces in one order. Its newest cursor is the clock of fences: that row is never deleted.
CREATE TABLE events (
    cursor    INTEGER PRIMARY KEY,
    ns        INTEGER NOT NULL,
    time      REAL NOT NULL,
    type      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    thread    TEXT NOT NULL,
    call      TEXT NOT NULL,
    key       TEXT NOT NULL,
    resources TEXT NOT NULL,            -- names, separated by line feeds
    fence     INTEGER NOT NULL,
    data      TEXT NOT NULL             -- a JSON object
);
