-- Uploaded files (XEP-0363): under which name a content can be had, and whose it is. The content is
-- a file named by its SHA-256 hash, which several uploads can share.

-- forever: 1 if it does not end by its age. until: when it ends by the wish of whoever uploaded it.
CREATE TABLE upload (
    slot TEXT NOT NULL PRIMARY KEY,
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    content BYTES NOT NULL,
    content_bytes BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    added BIGINT NOT NULL,
    forever BIGINT NOT NULL,
    until BIGINT
);
CREATE INDEX upload_account ON upload (account);
CREATE INDEX upload_content ON upload (content);
CREATE INDEX upload_added ON upload (added) WHERE forever = 0;
CREATE INDEX upload_until ON upload (until) WHERE until IS NOT NULL;

-- What an account has, for its bounds.
CREATE TABLE upload_total (
    account BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (account)
) CLUSTERED;

-- Contents of which there may be a file and no upload.
CREATE TABLE upload_stray (
    content BYTES NOT NULL,
    PRIMARY KEY (content)
) CLUSTERED;
