-- Publish-subscribe (XEP-0060, XEP-0163).

-- Whose nodes: an account's, which go with it, or a service's. nodes and bytes are what its quotas
-- are about, so that they cost no scan.
CREATE TABLE pubsub_owner (
    number ROWKEY,
    jid TEXT NOT NULL,
    account BIGINT REFERENCES account (number) ON DELETE CASCADE,
    nodes BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX pubsub_owner_jid ON pubsub_owner (jid);
CREATE UNIQUE INDEX pubsub_owner_account ON pubsub_owner (account);

-- version: of everything here but items; no two nodes ever have the same.
CREATE TABLE pubsub_node (
    number ROWKEY,
    owner BIGINT NOT NULL REFERENCES pubsub_owner (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    config BYTES NOT NULL
);
CREATE UNIQUE INDEX pubsub_node_name ON pubsub_node (owner, name);

-- affiliation: 1 owner, 2 publisher, 3 publish-only, 4 member, 5 outcast.
CREATE TABLE pubsub_affiliation (
    node BIGINT NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    affiliation BIGINT NOT NULL,
    PRIMARY KEY (node, jid)
) CLUSTERED;

CREATE TABLE pubsub_subscription (
    node BIGINT NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    pending BIGINT NOT NULL,
    options BYTES NOT NULL,
    PRIMARY KEY (node, jid)
) CLUSTERED;

-- seq: the order of publication; an item that is published again comes last.
CREATE TABLE pubsub_item (
    seq ROWKEY,
    node BIGINT NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    publisher TEXT NOT NULL,
    published BIGINT NOT NULL,
    payload BYTES NOT NULL
);
CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (node, id);
CREATE INDEX pubsub_item_order ON pubsub_item (node, seq);
