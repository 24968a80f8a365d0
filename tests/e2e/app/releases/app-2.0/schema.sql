CREATE TABLE appointment (id INTEGER PRIMARY KEY, person INTEGER REFERENCES person(id), at TEXT);
INSERT INTO appointment (person, at) SELECT id, '2027-01-12T16:00' FROM person;
ALTER TABLE person ADD COLUMN nickname TEXT;
