-- After AutoMigrate: who may touch which table, and which of its rows. It runs at each start.
CREATE UNIQUE INDEX IF NOT EXISTS employees_email ON employees (company, email) WHERE deleted_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON employees, departments, reviews, skills, employee_skills TO people_full;
GRANT SELECT, INSERT ON changes TO people_full;
GRANT USAGE ON SEQUENCE employees_id_seq, departments_id_seq, reviews_id_seq, skills_id_seq, changes_id_seq TO people_full;
GRANT SELECT ON employees, departments, reviews, skills, employee_skills TO people_masks;
GRANT SELECT ON accounts TO people_auth;
GRANT SELECT, INSERT, DELETE ON sessions TO people_auth;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['employees', 'departments', 'reviews', 'changes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('DROP POLICY IF EXISTS own_company ON %I', name);
        EXECUTE format('CREATE POLICY own_company ON %I USING (company = current_company())', name);
    END LOOP;
END $$;
ALTER TABLE employee_skills ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON employee_skills;
CREATE POLICY own_company ON employee_skills USING (EXISTS (SELECT FROM employees e WHERE e.id = employee_id));
