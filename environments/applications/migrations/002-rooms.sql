ALTER TABLE appointment ADD COLUMN room text NOT NULL DEFAULT 'aula';
CREATE INDEX appointment_day ON appointment (day);
