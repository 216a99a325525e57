-- The tables of clawproof_langgraph.effects.sql, in the user's own database: SQLite 3.24 or newer, PostgreSQL.

-- One row for each call whose effect was made here, written in the transaction of the effect.
CREATE TABLE IF NOT EXISTS clawproof_inbox (
    idempotency_key TEXT PRIMARY KEY,
    result TEXT,                        -- what the write returned; NULL only inside the transaction
    made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- The highest fencing token that was seen for each resource.
CREATE TABLE IF NOT EXISTS clawproof_fences (
    resource TEXT PRIMARY KEY,
    fence BIGINT NOT NULL
);
