-- A hash is as good as random: an index of all of them in step with each message writes a page more
-- for every message, the largest part of what an archived message costs. So `resend` alone is
-- written with the message, in the order of ids, and `resend_key` follows by many rows at once, in
-- its own order. Rows of `resend` after the id in the sequence 'resend' are not in it yet; the
-- writer has these in memory. A row of it counts only if `resend` still has the same.
DROP INDEX resend_hash;
CREATE TABLE resend_key (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    hash BYTES NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (account, hash)
) CLUSTERED;
INSERT INTO resend_key (account, hash, id) SELECT account, hash, id FROM resend;
INSERT INTO sequence (name, last) SELECT 'resend', coalesce(max(id), 0) FROM resend;
