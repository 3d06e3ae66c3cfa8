-- Roles are the server's, so they are made once. people_app is who the program logs in as: it may do nothing but become one of
-- the others.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['people_app', 'people_auth', 'people_full', 'people_limited', 'people_public', 'people_none', 'people_masks'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOINHERIT', role);
        END IF;
    END LOOP;
END $$;
ALTER ROLE people_app LOGIN;
-- people_auth     looks up who asks
-- people_full     human resources: everything of their own company
-- people_limited  managers: their own company, masked, read only
-- people_public   visitors: who works at the company whose site they are on
-- people_none     everybody else who has logged in: nothing
-- people_masks    owns the views; nobody becomes it
GRANT people_auth, people_full, people_limited, people_public, people_none TO people_app;
GRANT people_masks TO CURRENT_USER;
COMMENT ON ROLE people_limited IS 'pganon:"masked"';

-- The company of whoever asks. STABLE, not IMMUTABLE, or a plan could keep another's.
CREATE OR REPLACE FUNCTION current_company() RETURNS text STABLE LANGUAGE sql
    AS $$ SELECT nullif(current_setting('rls.tenant_id', true), '') $$;
