-- One text for SQLite and PostgreSQL; BYTES is the one alias (BLOB, BYTEA). Times are microseconds
-- since 1970 UTC, addresses are prepared text compared by bytes (PostgreSQL: a database with
-- collation C).
--
-- Whatever is kept for an account references it with ON DELETE CASCADE, so that removing the
-- account removes everything, and nothing can be written for an account that has gone.

-- The last id given to a record. Ids come from here, not from memory, so that they rise across
-- restarts, clock jumps and processes.
CREATE TABLE sequence (
    name TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO sequence (name, last) VALUES ('record', 0);

-- Secrets of the installation.
CREATE TABLE secret (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTES NOT NULL
);

CREATE TABLE account (
    jid TEXT NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    created BIGINT NOT NULL,
    last_at BIGINT,
    last_status TEXT,
    roster_version BIGINT NOT NULL DEFAULT 0,
    -- The newest removal that is no longer in roster_removal.
    roster_forgotten BIGINT NOT NULL DEFAULT 0,
    -- What offline_message holds for the account, so that its quota costs no scan.
    offline_messages BIGINT NOT NULL DEFAULT 0,
    offline_bytes BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX account_domain ON account (domain, jid);

-- SCRAM verifiers (RFC 5802 section 3); hash: 1 SHA-1, 2 SHA-256, 3 SHA-512.
CREATE TABLE credential (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    hash BIGINT NOT NULL,
    salt BYTES NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BYTES NOT NULL,
    server_key BYTES NOT NULL,
    PRIMARY KEY (account, hash)
);

CREATE TABLE roster_item (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Each group ended by a line feed; a line feed or backslash inside is escaped by a backslash.
    group_lines TEXT NOT NULL,
    subscription BIGINT NOT NULL,
    ask BIGINT NOT NULL,
    approved BIGINT NOT NULL,
    request BYTES,
    listed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

-- Contacts that went out of a roster, for roster versioning (RFC 6121 section 2.6).
CREATE TABLE roster_removal (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, contact)
);

CREATE TABLE offline_message (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    received BIGINT NOT NULL,
    stanza BYTES NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE blocked (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    PRIMARY KEY (account, jid)
);

CREATE TABLE document (
    account TEXT NOT NULL REFERENCES account (jid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    xml BYTES NOT NULL,
    PRIMARY KEY (account, name)
);
