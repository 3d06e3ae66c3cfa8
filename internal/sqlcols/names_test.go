package sqlcols_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqlgen"
	"github.com/pganon/pganon/pganontest"
)

// Names that PostgreSQL makes up are names that an outer query may use.
func TestNamesOfOutputs(t *testing.T) {
	db := pganontest.New(t)
	for _, text := range sqlgen.DDL("text", "text") {
		db.Exec(text)
	}
	conn := connect(t, db)
	for _, x := range []string{
		"1", "'a'", "NULL", "true", "-1", "1 + 1", "id", "u.id", "app.users.id", "(id)", "((u).name)", "(u).id", "u", "$1", "$1::text",
		"id::text", "'a'::text", "'a'::varchar(3)", "1::bigint", "1::int", "'a'::char", "text 'a'", "date '2020-01-01'", "interval '1' day",
		"CAST(1 AS numeric(3,1))", "'{a}'::text[]", "(ARRAY[1,2])[1]", "ARRAY[1]", "ARRAY(SELECT 1)", "(SELECT 1)", "(SELECT 1 AS x)", "(SELECT id)",
		"(SELECT * FROM (SELECT id AS y) s)", "(SELECT max(id) FROM users)", "(VALUES (1))", "(SELECT 1 UNION SELECT 2)", "EXISTS (SELECT 1)",
		"id IN (1)", "id = ANY('{1}')", "id BETWEEN 1 AND 2", "name LIKE 'a'", "name SIMILAR TO 'a'", "name IS NULL", "active IS TRUE",
		"name IS NORMALIZED", "id IS DISTINCT FROM 1", "NOT active", "active AND active", "CASE WHEN active THEN 1 END",
		"CASE WHEN active THEN 1 ELSE id END", "CASE WHEN active THEN name ELSE name::varchar END", "CASE WHEN active THEN 1 ELSE 1::int END",
		"COALESCE(name, 'a')", "NULLIF(id, 1)", "GREATEST(1, 2)", "LEAST(id, 2)", "lower(name)", "pg_catalog.lower(name)", "count(*)", "count(id)",
		"max(id) OVER ()", "row_number() OVER ()", "ROW(1, 2)", "(1, 2)", "name COLLATE \"C\"", "lower(name) COLLATE \"C\"", "now()", "current_date",
		"current_timestamp", "current_timestamp(3)", "localtime", "current_user", "session_user", "user", "current_role", "current_catalog",
		"current_schema", "current_schema()", "EXTRACT(year FROM now())", "SUBSTRING(name FROM 1 FOR 2)", "substring(name, 1)",
		"POSITION('a' IN name)", "OVERLAY(name PLACING 'a' FROM 1)", "TRIM(name)", "TRIM(BOTH FROM name)", "TRIM(LEADING 'a' FROM name)",
		"TRIM(TRAILING FROM name)", "btrim(name)", "NORMALIZE(name)", "now() AT TIME ZONE 'UTC'", "(now(), now()) OVERLAPS (now(), now())",
		"COLLATION FOR (name)", "xmlelement(name a)", "xmlconcat('<a/>')", "xmlforest(name)", "xmlparse(document '<a/>')", "xmlpi(name a)",
		"xmlroot('<a/>', version '1.0')", "xmlserialize(content '<a/>' AS text)", "xmlexists('a' PASSING '<a/>')", "'<a/>'::xml IS DOCUMENT",
		"GROUPING(id)", "to_char(now(), 'x')::text", "(id)::text::varchar", "length(name) + 1", "generate_series(1, 2)", "unnest(ARRAY[1])",
		"u.*", "*", "(u).*", "CASE active WHEN true THEN id ELSE (SELECT 2 AS z) END", "B'1'", "1.5", "E'a'", "N'a'", "U&'a'",
		"float8 '1'", "'a' || 'b'", "@ -1", "json '{}'", "('{}'::json)->'a'", "(ARRAY[1,2])[1:2]", "(ROW(1, 2)).f1",
	} {
		text := "SELECT " + x + " FROM users u"
		if x == "app.users.id" {
			text = "SELECT " + x + " FROM users"
		}
		if x == "GROUPING(id)" {
			text += " GROUP BY id"
		}
		d := describe(t, conn, []string{text})[0]
		if d.err != nil && d.err.Code == "42803" || d.err != nil && d.err.Code == "0A000" { // count(id) is fine; XML may not be built in
			continue
		}
		require.Nil(t, d.err, text)
		a, err := sqlcols.Analyze(text, newSchema(nil, nil, nil, tables()...))
		if !assert.NoError(t, err, text) {
			continue
		}
		names, ours := []string{}, []string{}
		for _, f := range d.Fields {
			names = append(names, f.Name)
		}
		for _, o := range a.Outputs {
			ours = append(ours, o.Name)
		}
		if x == "true" && sqlgen.Major(conn.ParameterStatus("server_version")) < 15 {
			assert.Equal(t, []string{"bool"}, names) // which Analyze does not know: it was a cast once
			continue
		}
		assert.Equal(t, names, ours, text)
	}
}

// The keywords are those of version 18. Words that are none in another version are names there.
func TestKeywords(t *testing.T) {
	conn := connect(t, pganontest.New(t))
	if n := sqlgen.Major(conn.ParameterStatus("server_version")); n != 18 {
		t.Skipf("PostgreSQL %d has other keywords", n)
	}
	result := conn.ExecParams(t.Context(), "select word, catcode, barelabel from pg_get_keywords()", nil, nil, nil, nil).Read()
	require.NoError(t, result.Err)
	require.Greater(t, len(result.Rows), 400)
	for _, row := range result.Rows {
		word, kind, bare := string(row[0]), string(row[1]), string(row[2]) == "t"
		takes := func(text string) bool {
			_, err := sqlcols.Parse(text)
			return err == nil
		}
		assert.Equal(t, kind == "U" || kind == "C", takes("SELECT * FROM t AS "+word), "%s as the name of a table", word)
		assert.Equal(t, kind == "U" || kind == "T", takes("SELECT x::"+word+".y"), "%s as the name of a schema", word)
		if word != "isnull" && word != "notnull" { // operators there
			assert.Equal(t, bare, takes("SELECT 1 "+word+", 2"), "%s behind an output", word)
		}
		assert.True(t, takes("SELECT 1 AS "+word), word)
	}
}
