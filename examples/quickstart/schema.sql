-- A clinic: what the database must hold so that pganon's identities mean something to it.
-- It runs once, as whoever runs your migrations.

-- Roles. The program logs in as clinic_app, which may do nothing but become one of the two below it:
-- a statement that got out of its identity would find itself without rights.
CREATE ROLE doctor;
CREATE ROLE masked_reader;
CREATE ROLE clinic_app LOGIN NOINHERIT;
GRANT doctor, masked_reader TO clinic_app;

-- Tables. A doctor's INSERT need not name the clinic: it is the identity's.
CREATE TABLE patients (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    clinic text NOT NULL DEFAULT nullif(current_setting('rls.tenant_id', true), ''),
    name   text NOT NULL,
    born   date NOT NULL,
    phone  text NOT NULL
);
CREATE TABLE visits (
    patient   bigint NOT NULL REFERENCES patients,
    clinic    text NOT NULL DEFAULT nullif(current_setting('rls.tenant_id', true), ''),
    seen      date NOT NULL,
    diagnosis text NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON patients, visits TO doctor;

-- Row-level security: each clinic its own rows. pganon sends the tenant of the identity with every statement;
-- nullif because a setting that was there and is gone reads as ''.
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
ALTER TABLE visits   ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_clinic ON patients USING (clinic = nullif(current_setting('rls.tenant_id', true), ''));
CREATE POLICY own_clinic ON visits   USING (clinic = nullif(current_setting('rls.tenant_id', true), ''));

-- Masks. masked_reader has no right to the tables. It has a schema of its own name with views of the same names, and
-- "$user" stands first in PostgreSQL's default search_path: what says "patients" gets the view.
--
-- A view reads its tables as its owner, and policies do not hold for a superuser or the owner of a table. So the views
-- belong to a role of their own, for which they do: an analyst, too, sees one clinic. security_barrier keeps a
-- condition of the reader's from running on rows that the view has not let through.
CREATE ROLE clinic_masks;
GRANT SELECT ON patients, visits TO clinic_masks;
GRANT clinic_masks TO CURRENT_USER; -- only a member may give it something

CREATE SCHEMA masked_reader AUTHORIZATION clinic_masks;
CREATE VIEW masked_reader.patients WITH (security_barrier) AS
    SELECT id,
           clinic,
           left(name, 1) || '***'          AS name,
           date_trunc('year', born)::date  AS born,
           '***' || right(phone, 2)        AS phone
    FROM public.patients;
CREATE VIEW masked_reader.visits WITH (security_barrier) AS
    SELECT patient,
           clinic,
           date_trunc('month', seen)::date AS seen,
           diagnosis
    FROM public.visits;
ALTER VIEW masked_reader.patients OWNER TO clinic_masks;
ALTER VIEW masked_reader.visits   OWNER TO clinic_masks;
GRANT USAGE ON SCHEMA masked_reader TO masked_reader;
GRANT SELECT ON masked_reader.patients, masked_reader.visits TO masked_reader;

-- Something to look at.
INSERT INTO patients (clinic, name, born, phone) VALUES
    ('north', 'Ada Berg',     '1984-02-03', '555-0171'),
    ('north', 'Ben Castro',   '1991-11-20', '555-0132'),
    ('south', 'Cleo Dubois',  '1978-07-14', '555-0119'),
    ('south', 'Dan Eriksson', '2001-05-30', '555-0154');
INSERT INTO visits (patient, clinic, seen, diagnosis) VALUES
    (1, 'north', '2026-03-02', 'asthma'),
    (1, 'north', '2026-05-11', 'asthma'),
    (2, 'north', '2026-04-23', 'migraine'),
    (3, 'south', '2026-03-17', 'diabetes'),
    (4, 'south', '2026-05-29', 'migraine');
