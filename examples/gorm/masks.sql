-- What a masked role reads. "$user" stands first in the search_path and follows the role: for people_limited "employees" is the view.
-- The views are people_masks', for which the tables' policies hold: they show no other company. Encrypted columns are masked by their tags.
CREATE SCHEMA people_limited;
CREATE VIEW people_limited.employees WITH (security_barrier) AS
    SELECT id, created_at, updated_at, deleted_at, company, left(name, 1) || '***' AS name, email, '***' || right(phone, 2) AS phone, ssn,
           round(salary, -4)::bigint AS salary, department_id
    FROM public.employees;
CREATE VIEW people_limited.reviews WITH (security_barrier) AS
    SELECT id, company, employee_id, '***' AS text, date_trunc('month', created_at) AS created_at
    FROM public.reviews;
CREATE VIEW people_limited.departments WITH (security_barrier) AS SELECT * FROM public.departments;
CREATE VIEW people_limited.employee_skills WITH (security_barrier) AS SELECT * FROM public.employee_skills;
CREATE VIEW people_limited.skills AS SELECT * FROM public.skills;
-- The directory is for everybody, those who are not masked too.
CREATE VIEW public.directory WITH (security_barrier) AS
    SELECT e.name, d.name AS department
    FROM public.employees e LEFT JOIN public.departments d ON d.id = e.department_id
    WHERE e.deleted_at IS NULL;

GRANT USAGE, CREATE ON SCHEMA people_limited TO people_masks;
GRANT USAGE, CREATE ON SCHEMA public TO people_masks;
ALTER VIEW people_limited.employees OWNER TO people_masks;
ALTER VIEW people_limited.reviews OWNER TO people_masks;
ALTER VIEW people_limited.departments OWNER TO people_masks;
ALTER VIEW people_limited.employee_skills OWNER TO people_masks;
ALTER VIEW people_limited.skills OWNER TO people_masks;
ALTER VIEW public.directory OWNER TO people_masks;
REVOKE CREATE ON SCHEMA people_limited, public FROM people_masks;

GRANT USAGE ON SCHEMA people_limited TO people_limited;
GRANT SELECT ON ALL TABLES IN SCHEMA people_limited TO people_limited;
GRANT SELECT ON public.directory TO people_public, people_full, people_limited;
