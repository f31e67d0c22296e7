-- Rooms (XEP-0045). A room is an account that nobody can log in to, as it has no credential: so what
-- goes for archives of accounts goes for those of rooms.

-- listed: its name in the list of rooms, if it is in there. temporary: 1 if it goes with the last
-- occupant.
CREATE TABLE room (
    number BIGINT NOT NULL REFERENCES account (number) ON DELETE CASCADE,
    secret BYTES NOT NULL,
    config BYTES NOT NULL,
    listed TEXT,
    temporary BIGINT NOT NULL,
    subject BYTES,
    PRIMARY KEY (number)
);

-- affiliation: 0 none (there is a nick), 1 owner, 2 admin, 3 member, 4 outcast.
CREATE TABLE room_person (
    room BIGINT NOT NULL REFERENCES room (number) ON DELETE CASCADE,
    jid TEXT NOT NULL,
    affiliation BIGINT NOT NULL,
    nick TEXT,
    PRIMARY KEY (room, jid)
) CLUSTERED;

-- Rooms that were destroyed, by whom and when.
CREATE TABLE room_destroyed (
    jid TEXT NOT NULL PRIMARY KEY,
    destroyed_by TEXT NOT NULL,
    destroyed_at BIGINT NOT NULL
);
