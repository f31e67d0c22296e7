-- Messages for other domains that have not taken them yet. An entry is one more holder of its message;
-- the queue has the totals, for its bounds, and a row only while there are entries.
CREATE TABLE outgoing_queue (
    local_domain TEXT NOT NULL,
    remote_domain TEXT NOT NULL,
    messages BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (local_domain, remote_domain)
) CLUSTERED;
CREATE TABLE outgoing_entry (
    local_domain TEXT NOT NULL,
    remote_domain TEXT NOT NULL,
    id BIGINT NOT NULL,
    stanza_bytes BIGINT NOT NULL,
    PRIMARY KEY (local_domain, remote_domain, id)
) CLUSTERED;
