-- What publish-subscribe services need beside what accounts do (XEP-0060).

-- lifetime: after how many microseconds an item of the node is removed; NULL for never.
ALTER TABLE pubsub_node ADD COLUMN lifetime BIGINT;
CREATE INDEX pubsub_node_lifetime ON pubsub_node (lifetime) WHERE lifetime IS NOT NULL;

-- created: the seq with which an item of this id came first (XEP-0413).
ALTER TABLE pubsub_item ADD COLUMN created BIGINT NOT NULL DEFAULT 0;
UPDATE pubsub_item SET created = seq;
CREATE INDEX pubsub_item_created ON pubsub_item (node, created);

-- What somebody has to do with a service, among all of its nodes.
CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid);
CREATE INDEX pubsub_subscription_jid ON pubsub_subscription (jid);
