-- Archives, sessions, clients. Two more aliases beside BYTES: ROWKEY is a 64-bit key that rows are
-- stored by (SQLite: INTEGER PRIMARY KEY, which BIGINT would not give; PostgreSQL: BIGINT PRIMARY
-- KEY), CLUSTERED at the end of a table that rows are stored by the primary key (SQLite: WITHOUT
-- ROWID; PostgreSQL: nothing).

-- A short name for an account in rows that are many.
ALTER TABLE account ADD COLUMN number BIGINT;
UPDATE account SET number = numbered.number FROM
    (SELECT jid, row_number() OVER (ORDER BY jid) AS number FROM account) AS numbered
    WHERE numbered.jid = account.jid;
CREATE UNIQUE INDEX account_number ON account (number);

-- Stanzas, each once. A row goes when nothing holds it any more: holders counts the rows of
-- archive_entry without a tombstone and of offline_entry that have its id.
CREATE TABLE message (
    id ROWKEY,
    received BIGINT NOT NULL,
    -- A hash of the id that the sender gave it.
    origin BIGINT,
    holders BIGINT NOT NULL,
    stanza BYTES NOT NULL
);

-- XEP-0313. flags: 1 if the account sent it, and twice the flags of the engine.
CREATE TABLE archive_entry (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    contact TEXT NOT NULL,
    resource TEXT NOT NULL,
    flags BIGINT NOT NULL,
    tombstone BYTES,
    PRIMARY KEY (account, id)
) CLUSTERED;
-- In which spans of 2^36 microseconds (19 hours) of ids an archive has entries of a conversation: a
-- query of one reads these spans only. An index of each entry would make every message write two
-- pages more.
CREATE TABLE archive_span (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    span BIGINT NOT NULL,
    PRIMARY KEY (account, contact, span)
) CLUSTERED;

-- XEP-0160: what waits, in the archive or not.
CREATE TABLE offline_entry (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    stanza_bytes BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) CLUSTERED;
INSERT INTO message (id, received, holders, stanza)
    SELECT id, received, 1, stanza FROM offline_message;
INSERT INTO offline_entry (account, id, stanza_bytes)
    SELECT account.number, offline_message.id, octet_length(offline_message.stanza)
    FROM offline_message JOIN account ON account.jid = offline_message.account;
DROP TABLE offline_message;

-- What a resend of a recent message is recognised by; id is that of the first.
CREATE TABLE resend (
    id ROWKEY,
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    hash BYTES NOT NULL
);
CREATE UNIQUE INDEX resend_hash ON resend (account, hash);

-- XEP-0441. mode: 0 always, 1 never, 2 roster; keep_days: null as the admin sets it, -1 for ever.
CREATE TABLE archive_preference (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    mode BIGINT NOT NULL,
    keep_days BIGINT,
    PRIMARY KEY (account)
);
CREATE TABLE archive_rule (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    archived BIGINT NOT NULL,
    PRIMARY KEY (account, jid)
) CLUSTERED;

-- XEP-0198. The state is apart, so that counting a stanza writes few bytes.
CREATE TABLE sm_session (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    resource TEXT NOT NULL,
    handled BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL,
    expires BIGINT,
    stanzas BIGINT NOT NULL DEFAULT 0,
    stanza_bytes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account, id)
) CLUSTERED;
CREATE INDEX sm_session_expires ON sm_session (expires);
CREATE TABLE sm_state (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    session TEXT NOT NULL,
    state BYTES NOT NULL,
    PRIMARY KEY (account, session)
);
-- Stanzas for a session that no archive holds.
CREATE TABLE sm_stanza (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    session TEXT NOT NULL,
    id BIGINT NOT NULL,
    stanza BYTES NOT NULL,
    PRIMARY KEY (account, session, id)
);

-- Software that has access (XEP-0494); times to the hour.
CREATE TABLE client (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    software TEXT NOT NULL,
    device TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) CLUSTERED;
-- XEP-0484: one in use, one given and not yet used.
CREATE TABLE client_token (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    client TEXT NOT NULL,
    fresh BIGINT NOT NULL,
    verifier BYTES NOT NULL,
    mechanism TEXT NOT NULL,
    expires BIGINT NOT NULL,
    counter BIGINT NOT NULL,
    PRIMARY KEY (account, client, fresh)
) CLUSTERED;
CREATE INDEX client_token_expires ON client_token (expires);

-- XEP-0357.
CREATE TABLE push (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    service TEXT NOT NULL,
    node TEXT NOT NULL,
    client TEXT NOT NULL,
    options BYTES NOT NULL,
    failures BIGINT NOT NULL,
    retry BIGINT,
    PRIMARY KEY (account, service, node)
);
