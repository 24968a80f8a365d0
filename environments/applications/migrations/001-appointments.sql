CREATE TABLE appointment (
  id serial PRIMARY KEY,
  day date NOT NULL,
  title text NOT NULL
);
