-- Versions of who is what to a room (XEP-0463).

-- version: the change that the affiliation came with, or went with; 0 if there never was one. Those
-- who were there before are one change.
ALTER TABLE room_person ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
UPDATE room_person SET version = 1 WHERE affiliation <> 0;

-- people_since: who went with this version or before is forgotten.
ALTER TABLE room ADD COLUMN people_since BIGINT NOT NULL DEFAULT 0;
