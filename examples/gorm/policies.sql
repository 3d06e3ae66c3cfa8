-- After AutoMigrate: who may touch which table, and which of its rows. It runs at each start.
CREATE UNIQUE INDEX IF NOT EXISTS employees_email ON employees (company, email) WHERE deleted_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON employees, departments, reviews, skills, employee_skills TO people_full;
GRANT SELECT, INSERT ON changes TO people_full;
GRANT USAGE ON SEQUENCE employees_id_seq, departments_id_seq, reviews_id_seq, skills_id_seq, changes_id_seq TO people_full;
GRANT SELECT ON employees, departments, reviews, skills, employee_skills TO people_masks;
GRANT SELECT ON accounts TO people_auth;
GRANT SELECT, INSERT, DELETE ON sessions TO people_auth;

ALTER TABLE employees ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON employees;
CREATE POLICY own_company ON employees USING (company = current_company());
ALTER TABLE departments ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON departments;
CREATE POLICY own_company ON departments USING (company = current_company());
ALTER TABLE reviews ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON reviews;
CREATE POLICY own_company ON reviews USING (company = current_company());
ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON changes;
CREATE POLICY own_company ON changes USING (company = current_company());
ALTER TABLE employee_skills ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_company ON employee_skills;
CREATE POLICY own_company ON employee_skills USING (EXISTS (SELECT FROM employees e WHERE e.id = employee_id));
