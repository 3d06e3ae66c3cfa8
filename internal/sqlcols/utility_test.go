package sqlcols_test

import (
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// utilitySchema is that of the clinic with people, whose keys are made from names.
func utilitySchema() *schema {
	s := newSchema(keyD, keyR, keyB, append([]string{"app.people: id, phone D, fax"}, clinic...)...).withFunctions()
	s.relations[0].Columns[1].Key = &sqlcols.Key{Label: "app.people.phone"}
	s.relations = append(s.relations, &sqlcols.Relation{Schema: "app", Name: "hidden", Opaque: "it shows users.email as text"})
	return s
}

func typeKey(schema, name string) *sqlcols.Key {
	if name == "mail" && (schema == "" || schema == "app") {
		return keyD
	}
	return nil
}

func TestCheckUtility(t *testing.T) {
	const (
		rename   = "its key is made from its name: write that key into its tag first, as key=app.people.phone"
		check    = "a CHECK would see the token, not the value: check it before it is written"
		def      = "a default would be stored as it is written, not encrypted: write the value from the program"
		made     = "a generated value is not encrypted: write the value from the program"
		index    = "an index would be made of the token, not of the value: index the column itself"
		where    = "the condition of an index would see the token, not the value: IS NULL and IS NOT NULL are all it may ask"
		off      = "another type than a domain of label D would take its encryption off: add a column, copy the values through the program, drop this one"
		using    = "USING would compute on the token, not on the value: leave it out"
		copyTo   = "its tokens would be copied into a column that is not encrypted: copy the values through the program"
		copies   = "COPY neither encrypts nor decrypts: use INSERT and SELECT, or leave the column out of COPY's list"
		creates  = "CREATE TABLE AS would copy its tokens into a column that may have no tag: create the table, then use INSERT … SELECT"
		execute  = "what EXECUTE hands to a statement is not encrypted: send the statement itself, with its arguments"
		prepares = "what EXECUTE hands to a statement of PREPARE is not encrypted: let database/sql prepare it"
		behind   = "reads or writes rows, in one text behind a command that may change what names mean: send it by itself"
		noSchema = "name without a schema, in one text behind a command that may change what it means: write the schema before it"
	)
	const passes, changes = "passes", "changes"
	for _, row := range [][2]string{
		{"TRUNCATE users", passes},
		{"LOCK TABLE users IN SHARE MODE", passes},
		{"ANALYZE users (email)", passes},
		{"VACUUM FULL users", passes},
		{"REINDEX TABLE users", passes},
		{"CLUSTER users USING i", passes},
		{"REFRESH MATERIALIZED VIEW users", passes},
		{"FETCH 10 FROM users", passes},
		{"SET search_path = app", passes},
		{"BEGIN; LOCK users; COMMIT", passes},
		{"SHOW users.x", passes},
		{"", passes},

		{"GRANT SELECT (email) ON users TO r", changes},
		{"REVOKE ALL ON users FROM r", changes},
		{`COMMENT ON COLUMN users.email IS 'pganon:"encrypt"'`, changes},
		{"DROP TABLE users", changes},
		{"DROP VIEW users; DROP TYPE t", changes},
		{"CREATE TRIGGER t BEFORE UPDATE OF email ON users FOR EACH ROW WHEN (NEW.email <> 'x') EXECUTE FUNCTION f()", changes},
		{"CREATE POLICY p ON users USING (email = current_user)", changes},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT id FROM users; END", changes},
		{"CREATE FUNCTION f() RETURNS text AS $$ SELECT email FROM users $$ LANGUAGE sql", changes},
		{"CREATE TABLE users2 (LIKE users INCLUDING ALL, email app.mail DEFAULT 'x', CHECK (email <> ''))", changes},
		{"CREATE TABLE users_2 PARTITION OF users FOR VALUES IN (1)", changes},
		{"CREATE DOMAIN users AS text", changes},
		{"CREATE SEQUENCE users OWNED BY users.id", changes},
		{"ALTER SEQUENCE s OWNED BY users.id", changes},
		{"ALTER INDEX users_email RENAME TO users_mail", changes},
		{"IMPORT FOREIGN SCHEMA s FROM SERVER users INTO app", changes},
		{"SECURITY LABEL ON COLUMN users.email IS 'x'", changes},

		{"CREATE INDEX ON users (email)", changes},
		{"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.users USING btree (email COLLATE \"C\" text_pattern_ops DESC, (ssn)) " +
			"INCLUDE (ssn) NULLS NOT DISTINCT WITH (fillfactor = 70) WHERE deleted_at IS NULL AND email IS NOT NULL", changes},
		{"CREATE INDEX ON users (lower(name))", changes},
		{"CREATE INDEX ON crm.users (lower(email))", changes},
		{"CREATE INDEX ON users (id, lower(email))", "users.email: " + index},
		{"CREATE INDEX ON users ((name || ssn))", "users.ssn: " + index},
		{"CREATE INDEX ON users (id) WHERE email <> ''", "users.email: " + where},
		{`CREATE INDEX ON users (id) WHERE "users".U&"\0065mail" LIKE 'x%'`, "users.email: " + where},

		{"ALTER TABLE users ADD COLUMN email2 app.mail DEFAULT 'x' NOT NULL UNIQUE", changes},
		{"ALTER TABLE IF EXISTS app.users * DROP COLUMN email, ALTER name TYPE varchar(10) USING substr(name, 1, 10), ALTER name SET DEFAULT 'x'", changes},
		{"ALTER TABLE users ALTER email DROP NOT NULL, ALTER COLUMN email SET STATISTICS 5, ALTER email DROP DEFAULT, ALTER email SET DEFAULT NULL", changes},
		{"ALTER TABLE users ADD UNIQUE (email), ADD CONSTRAINT k PRIMARY KEY (ssn), ADD FOREIGN KEY (email) REFERENCES orders (email), VALIDATE CONSTRAINT c", changes},
		{"ALTER TABLE users ADD CHECK (id > 0), ADD CONSTRAINT c CHECK (email IS NOT NULL)", changes},
		{"ALTER TABLE users ENABLE ROW LEVEL SECURITY, OWNER TO r, SET (fillfactor = 70), INHERIT orders, REPLICA IDENTITY FULL", changes},
		{"ALTER TABLE users ADD EXCLUDE USING gist (email WITH =, id WITH <>) WHERE (name = 'x')", changes},
		{"ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE users", changes},
		{"ALTER TABLE crm.users ALTER email TYPE text, ADD CHECK (email <> '')", changes},
		{"ALTER TABLE unknown ALTER email TYPE text", changes},
		{"ALTER TABLE users ALTER email TYPE app.mail", changes},
		{"ALTER TABLE users ALTER email TYPE mail USING email::text::mail", changes},
		{"ALTER TABLE users RENAME email TO mail", changes},
		{"ALTER TABLE users RENAME TO members", changes},
		{"ALTER TABLE people RENAME fax TO telefax", changes},
		{"ALTER TABLE people RENAME CONSTRAINT a TO b", changes},
		{"ALTER VIEW users RENAME COLUMN email TO mail", changes},

		{"ALTER TABLE users ALTER email TYPE text", "users.email: " + off},
		{"ALTER TABLE users ALTER COLUMN email SET DATA TYPE varchar(10) COLLATE \"C\" USING email", "users.email: " + off},
		{"ALTER TABLE users ALTER email TYPE app.mail[]", "users.email: " + off},
		{"ALTER TABLE users ALTER email TYPE crm.mail", "users.email: " + off},
		{"ALTER TABLE users ADD x int, ALTER ssn TYPE text", "users.ssn: " + strings.ReplaceAll(off, "label D", "label R")},
		{"ALTER TABLE users ALTER email TYPE mail USING lower(email)", "users.email: " + using},
		{"ALTER TABLE users ALTER email TYPE mail USING name", "users.email: " + using},
		{"ALTER TABLE users ALTER name TYPE text USING email, ALTER id SET NOT NULL", "users.email: " + copyTo},
		{"ALTER TABLE users ALTER email SET DEFAULT 'x'", "users.email: " + def},
		{"ALTER TABLE users ALTER COLUMN email SET DEFAULT NULL::text || 'x'", "users.email: " + def},
		{"ALTER TABLE users ALTER email ADD GENERATED ALWAYS AS IDENTITY", "users.email: " + made},
		{"ALTER TABLE users ALTER name SET EXPRESSION AS (email || 'x')", "users.email: " + made},
		{"ALTER TABLE users ADD COLUMN x text GENERATED ALWAYS AS (lower(email)) STORED", "users.email: " + made},
		{"ALTER TABLE users ADD CHECK (email <> '')", "users.email: " + check},
		{"ALTER TABLE users ADD COLUMN x int CONSTRAINT c CHECK (x > length(ssn))", "users.ssn: " + check},
		{"ALTER TABLE users ADD CONSTRAINT c CHECK (length(to_jsonb(users)::text) > 1)", "users.email: " + check},
		{"ALTER TABLE users ADD EXCLUDE USING gist (lower(email) WITH =)", "users.email: " + index},
		{"ALTER TABLE users ADD EXCLUDE USING gist (email WITH &&)", "users.email: tokens can be compared by = only"},
		{"ALTER TABLE users ADD EXCLUDE USING gist (id WITH =) WHERE (email > '')", "users.email: " + where},
		{"ALTER TABLE people RENAME phone TO mobile", "people.phone: " + rename},
		{"ALTER TABLE people RENAME COLUMN phone TO mobile", "people.phone: " + rename},
		{"ALTER TABLE people RENAME TO persons", "people.phone: " + rename},
		{"ALTER TABLE people SET SCHEMA crm", "people.phone: " + rename},

		{"CREATE VIEW v AS SELECT id, email FROM users WHERE deleted_at IS NULL WITH CHECK OPTION", changes},
		{"CREATE OR REPLACE TEMP VIEW v (a) WITH (security_invoker) AS TABLE logs", changes},
		{"CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT email FROM users WITH NO DATA", changes},
		{"CREATE RECURSIVE VIEW v (n) AS SELECT id FROM users UNION ALL SELECT n FROM v", changes},
		{"CREATE VIEW v AS SELECT lower(email) FROM users",
			`users.email: argument of lower(); users.email: output "lower" is computed from it`},
		{"CREATE VIEW v AS SELECT id FROM users WHERE email = 'a@b.c'", "users.email: compared with a literal"},

		{"CREATE TABLE t AS SELECT id, name FROM users", "changes, 1 analysis"},
		{"CREATE TABLE t AS SELECT id FROM users WHERE email = $1", "changes, 1 analysis of $1 for D"},
		{"EXPLAIN ANALYZE CREATE TEMP TABLE t (a) ON COMMIT DROP AS SELECT id FROM users WITH NO DATA", "changes, 1 analysis"},
		{"CREATE TABLE t AS TABLE users", "users.email: " + creates},
		{"CREATE TABLE t AS SELECT id FROM users WHERE email = 'a@b.c'", "users.email: compared with a literal"},
		{"CREATE TABLE t AS EXECUTE p ('a@b.c')", execute},

		{"COPY users (id, name) FROM STDIN", passes},
		{"COPY crm.users TO STDOUT", passes},
		{"COPY (SELECT id FROM users) TO STDOUT", "passes, 1 analysis"},
		{"COPY users FROM STDIN", "users.email: " + copies},
		{"COPY BINARY users TO STDOUT", "users.email: " + copies},
		{"COPY users (id, ssn) FROM STDIN WITH (FORMAT csv)", "users.ssn: " + copies},
		{"COPY users (id) FROM STDIN WHERE email IS NOT NULL AND name <> ''", passes},
		{"COPY users (id) FROM STDIN WHERE email <> ''", "users.email: the condition of COPY would see the token, not the value: leave it out"},
		{"COPY (SELECT email FROM users) TO STDOUT", "users.email: COPY neither encrypts nor decrypts: use SELECT"},
		{"COPY hidden TO STDOUT", "hidden: it shows users.email as text"},

		{"PREPARE p (text) AS SELECT 1 FROM logs WHERE msg = $1", passes},
		{"PREPARE p AS SELECT id FROM users WHERE email = $1", "users.email: " + prepares},
		{"PREPARE p AS UPDATE users SET name = $1", "users.email: " + prepares},
		{"EXECUTE p", passes},
		{"EXECUTE p ('users')", execute},
		{"DEALLOCATE p", passes},
		{"DO $$ BEGIN UPDATE users SET email = 'x'; END $$", "the statements of a DO block are not seen: send them one by one"},
		{"CALL mask($1)", "passes, 1 analysis of $1 for D"},
		{"CALL mask('a@b.c')", "argument of mask(): literal for an encrypted value"},

		{"SELECT 1; SELECT id FROM users", "passes, 2 analyses"},
		{"INSERT INTO users (name) VALUES ('x'); DECLARE c CURSOR FOR SELECT email FROM users; EXPLAIN SELECT 1", "passes, 3 analyses"},
		{"SELECT 1; INSERT INTO users (email) VALUES ('x')", "users.email: literal assigned"},
		{"SELECT id FROM users; CREATE INDEX ON users (email); ALTER TABLE users ADD x int; CREATE VIEW v AS SELECT email || 'x' FROM users", "changes, 1 analysis"},
		{"ALTER TABLE users ADD x int; UPDATE users SET x = 1", behind},
		{"SET search_path = crm; UPDATE users SET email = 'x'", behind},
		{"SELECT set_config('search_path', 'crm', true); DELETE FROM users", behind},
		{"SET ROLE r; ALTER TABLE users ALTER email TYPE text", noSchema},
		{"RESET ALL; COPY app.users (id) TO STDOUT", passes},
		{"GRANT USAGE ON SCHEMA app TO r; CREATE INDEX ON users (email)", noSchema},
		{"ALTER TABLE users RENAME TO members; ALTER TABLE members ALTER email TYPE text",
			"unknown relation, in one text behind a command that renames some: send it by itself"},
		{"ALTER SCHEMA app RENAME TO users; ALTER TABLE users.users ALTER email TYPE text",
			"unknown relation, in one text behind a command that renames some: send it by itself"},
		{"ALTER TABLE users RENAME email TO mail; ALTER TABLE users ALTER mail TYPE text",
			"unknown column, in one text behind a command that renames some: send it by itself"},

		{"ALTER TABLE users ALTER email TYPE", "type expected, not end of text"},
		{"CREATE TABLE t AS SELECT 1 FROM users WHERE", "expression expected, not end of text"},
		{"FROB users", sqlcols.OtherCommand},
		{"SELECT 'users", "unterminated string"},
		{"CREATE FUNCTION users() BEGIN ATOMIC SELECT 1;", "BEGIN ATOMIC body cannot be followed"},
	} {
		got, err := sqlcols.CheckUtility(row[0], utilitySchema(), sqlcols.UtilityOptions{KeyOf: typeKey})
		assert.Equal(t, row[1], utilityText(t, got, err), row[0])
	}
}

func utilityText(t *testing.T, c *sqlcols.UtilityCheck, err error) string {
	if err != nil {
		var failure *sqlcols.Error
		require.ErrorAs(t, err, &failure)
		return err.Error()
	}
	text := "passes"
	if c.Changes {
		text = "changes"
	}
	switch n := len(c.Analyses); n {
	case 0:
	case 1:
		text += ", 1 analysis"
	default:
		text += ", " + string(rune('0'+n)) + " analyses"
	}
	for _, a := range c.Analyses {
		for _, p := range a.Parameters {
			if p.Key != nil {
				text += " of $1 for " + p.Key.Label
			}
		}
	}
	return text
}

// TestCheckUtilityMentions has commands that pass unread, as they name nothing encrypted.
func TestCheckUtilityMentions(t *testing.T) {
	options := sqlcols.UtilityOptions{Mentions: func(command string) bool { return strings.Contains(command, "users") }}
	for _, row := range [][2]string{
		{"DO $$ BEGIN CREATE TYPE t AS ENUM ('a'); END $$; CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE users ADD x t", "changes"},
		{"CREATE FROB x; FROB; EXECUTE p ('x'); CALL f('x'); COPY t FROM STDIN; TRUNCATE users", "changes"},
		{"DO $$ BEGIN DELETE FROM users; END $$", "the statements of a DO block are not seen: send them one by one"},
		{"CREATE TABLE t (a int); INSERT INTO users (id) VALUES (1)",
			"reads or writes rows, in one text behind a command that may change what names mean: send it by itself"},
	} {
		got, err := sqlcols.CheckUtility(row[0], utilitySchema(), options)
		assert.Equal(t, row[1], utilityText(t, got, err), row[0])
	}
}

// TestCheckUtilityPlaces says that places are those in the whole text.
func TestCheckUtilityPlaces(t *testing.T) {
	text := "SELECT 1; /* é */ CREATE TABLE t AS SELECT id FROM users WHERE email = $1"
	got, err := sqlcols.CheckUtility(text, utilitySchema(), sqlcols.UtilityOptions{})
	require.NoError(t, err)
	at := got.Analyses[1].Parameters[0].Meetings[0].At
	assert.Equal(t, "$1", text[at.Start:at.End])

	text = "TRUNCATE users; ALTER TABLE users ADD CHECK (id > 0 AND email <> '')"
	_, err = sqlcols.CheckUtility(text, utilitySchema(), sqlcols.UtilityOptions{})
	var failure *sqlcols.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, strings.Index(text, "email"), failure.Position)
}

func FuzzCheckUtility(f *testing.F) {
	for _, text := range []string{
		"ALTER TABLE users ADD CHECK (email <> ''), ALTER email TYPE app.mail USING email::x, ADD EXCLUDE USING gist ((a) WITH =) WHERE (b)",
		"CREATE UNIQUE INDEX i ON ONLY app.users USING btree (lower(a) COLLATE b c DESC) WHERE email IS NULL",
		"CREATE RECURSIVE VIEW v (n) AS SELECT id FROM users; COPY users (id) TO STDOUT WHERE email; PREPARE p (int) AS SELECT $1",
		"EXPLAIN CREATE TABLE t AS SELECT id FROM users WHERE email = $1; CALL mask($1); EXECUTE p (1); SET ROLE a; DO 'x'",
	} {
		f.Add(text)
	}
	s := utilitySchema()
	f.Fuzz(func(t *testing.T, text string) {
		_, err := sqlcols.CheckUtility(text, s, sqlcols.UtilityOptions{KeyOf: typeKey})
		if err != nil {
			var failure *sqlcols.Error
			require.ErrorAs(t, err, &failure)
			assert.LessOrEqual(t, failure.Position, len(text))
		}
	})
}
