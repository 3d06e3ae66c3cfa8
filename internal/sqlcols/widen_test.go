package sqlcols_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/pganontest"
)

// rotating is the clinic's schema while D and B have tokens of several keys.
func rotating() *schema {
	return newSchema(&sqlcols.Key{Label: "D", Searchable: true, Several: true, Mixed: true}, &sqlcols.Key{Label: "R", Several: true, Mixed: true},
		&sqlcols.Key{Label: "B", Searchable: true, Several: true, Mixed: true}, clinic...).withFunctions()
}

func two(k *sqlcols.Key) int {
	if k.Several {
		return 2
	}
	return 1
}

func TestWiden(t *testing.T) {
	for _, row := range []struct{ text, want, params string }{
		{"SELECT name FROM users WHERE id = $1", "", "$1"},
		{"SELECT email FROM users WHERE id = $1", "", "$1"},
		{"INSERT INTO users (email, ssn) VALUES ($1, $2)", "", "enc($1) enc($2)"},
		{"SELECT 1 FROM users WHERE email = $1", "SELECT 1 FROM users WHERE (email = ANY($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE $1=email", "SELECT 1 FROM users WHERE (email = ANY($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE ($1) = (email)", "SELECT 1 FROM users WHERE ( (email) = ANY($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE (email /*(*/)= (( $1::text ))", "SELECT 1 FROM users WHERE ((email /*(*/)= ANY($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE NOT email <> $1::varchar AND name = $2", "SELECT 1 FROM users WHERE NOT (email <> ALL($1::text[])) AND name = $2", "all($1) $2"},
		{"SELECT 1 FROM users WHERE email != $1", "SELECT 1 FROM users WHERE (email <> ALL($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE email OPERATOR(pg_catalog.=) $1", "SELECT 1 FROM users WHERE (email = ANY($1::text[]))", "all($1)"},
		{"SELECT 1 FROM users WHERE $2 = $3 AND email = $1", "SELECT 1 FROM users WHERE $2 = $3 AND (email = ANY($1::text[]))", "all($1) $2 $3"},
		{"SELECT 1 FROM users WHERE email IN ($1)", "SELECT 1 FROM users WHERE email IN ($1, $2)", "one($1,0) one($1,1)"},
		{"SELECT 1 FROM users WHERE email NOT IN (($2), $1::text) AND id = $3", "SELECT 1 FROM users WHERE email NOT IN (($2), $1::text, $4, $5) AND id = $3", "one($1,0) one($2,0) $3 one($1,1) one($2,1)"},
		{"SELECT 1 FROM users WHERE email IN ($1, $1)", "SELECT 1 FROM users WHERE email IN ($1, $1, $2, $2)", "one($1,0) one($1,1)"},
		{"SELECT 1 FROM users WHERE email = ANY($1)", "", "all($1[])"},
		{"SELECT 1 FROM users WHERE email <> ALL($1::text[])", "", "all($1[])"},
		{"SELECT 1 FROM users WHERE email = ANY(ARRAY[$1, $2]::text[])", "SELECT 1 FROM users WHERE email = ANY(ARRAY[$1, $2, $3, $4]::text[])", "one($1,0) one($2,0) one($1,1) one($2,1)"},
		{"SELECT 1 FROM users WHERE email IS NOT DISTINCT FROM $1", "SELECT 1 FROM users WHERE (email IS NOT NULL AND $1::text[] IS NOT NULL AND email = ANY($1::text[]) OR email IS NULL AND $1::text[] IS NULL)", "all($1)"},
		{"SELECT 1 FROM users u WHERE $1::text IS DISTINCT FROM u.email", "SELECT 1 FROM users u WHERE (NOT (u.email IS NOT NULL AND $1::text[] IS NOT NULL AND u.email = ANY($1::text[]) OR u.email IS NULL AND $1::text[] IS NULL))", "all($1)"},
		{"SELECT 1 FROM files WHERE digest = $1::bytea", "SELECT 1 FROM files WHERE (digest = ANY($1::bytea[]))", "all($1)"},
		{"UPDATE users SET email = $1 WHERE email = $1", "UPDATE users SET email = $1 WHERE (email = ANY($2::text[]))", "enc($1) all($1)"},
		{"UPDATE users SET email = $1 WHERE email IN ($2, $1) AND email = $2", "UPDATE users SET email = $1 WHERE email IN ($2, $3, $4, $5) AND (email = ANY($6::text[]))", "enc($1) one($2,0) one($1,0) one($1,1) one($2,1) all($2)"},
		{"UPDATE users SET email = $1, name = $2 WHERE email = $3", "UPDATE users SET email = $1, name = $2 WHERE (email = ANY($3::text[]))", "enc($1) $2 all($3)"},
		{"SELECT 1 FROM users WHERE (email = $1 OR $1 IS NULL)", "SELECT 1 FROM users WHERE ((email = ANY($2::text[])) OR $1::text IS NULL)", "enc($1) all($1)"},
		{"SELECT 1 FROM users WHERE (email = ANY($1) OR $1 IS NULL)", "SELECT 1 FROM users WHERE (email = ANY($2) OR $1::text[] IS NULL)", "enc($1[]) all($1[])"},
		{"SELECT 1 FROM users WHERE (SELECT o.email FROM orders o WHERE o.email = $1) = $2", "SELECT 1 FROM users WHERE ((SELECT o.email FROM orders o WHERE (o.email = ANY($1::text[]))) = ANY($2::text[]))", "all($1) all($2)"},
		{"SELECT 1 FROM users u, orders o WHERE u.email = $1 AND o.email = $1", "SELECT 1 FROM users u, orders o WHERE (u.email = ANY($1::text[])) AND (o.email = ANY($1::text[]))", "all($1)"},
		{"INSERT INTO users (email) SELECT unnest($1::text[]) WHERE NOT EXISTS (SELECT 1 FROM users WHERE email = ANY($1))", "INSERT INTO users (email) SELECT unnest($1::text[]) WHERE NOT EXISTS (SELECT 1 FROM users WHERE email = ANY($2))", "enc($1[]) all($1[])"},
		{"WITH RECURSIVE t AS (SELECT id FROM users WHERE email = $1 UNION ALL SELECT u.id FROM users u, t WHERE u.email = $2 AND u.id = t.id) SELECT * FROM t", "WITH RECURSIVE t AS (SELECT id FROM users WHERE (email = ANY($1::text[])) UNION ALL SELECT u.id FROM users u, t WHERE (u.email = ANY($2::text[])) AND u.id = t.id) SELECT * FROM t", "all($1) all($2)"},
		{"SELECT mask($1) FROM users WHERE email = $1", "SELECT mask($1) FROM users WHERE (email = ANY($2::text[]))", "enc($1) all($1)"},
	} {
		a, err := sqlcols.Analyze(row.text, rotating())
		require.NoError(t, err, row.text)
		w, err := a.Widen(row.text, two)
		require.NoError(t, err, row.text)
		if row.want == "" {
			row.want = row.text
		}
		assert.Equal(t, row.want, w.Text)
		assert.Equal(t, row.params, sources(w), row.text)
		last := 0
		for i := range len(w.Text) + 1 {
			at := w.Original(i)
			assert.GreaterOrEqual(t, at, last, "%s\n%d", w.Text, i)
			last = at
		}
		assert.Equal(t, len(row.text), last)
		// Behind a single key nothing changes.
		w, err = a.Widen(row.text, func(*sqlcols.Key) int { return 1 })
		require.NoError(t, err)
		assert.Equal(t, row.text, w.Text)
		assert.Len(t, w.Parameters, len(a.Parameters))
	}
}

// sources is what a Widened sends, as the rows have it.
func sources(w *sqlcols.Widened) string {
	list := make([]string, len(w.Parameters))
	for i, s := range w.Parameters {
		list[i] = fmt.Sprintf("$%d", s.Parameter)
		if s.Array {
			list[i] += "[]"
		}
		switch s.Form {
		case sqlcols.Encrypted:
			list[i] = "enc(" + list[i] + ")"
		case sqlcols.OneToken:
			list[i] = fmt.Sprintf("one(%s,%d)", list[i], s.Token)
		case sqlcols.AllTokens:
			list[i] = "all(" + list[i] + ")"
		}
	}
	return strings.Join(list, " ")
}

// What tokens of several keys make wrong is refused while there are several, and only then.
func TestMixed(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"SELECT 1 FROM users u JOIN orders o ON u.email = o.email", "users.email: compared with orders.email by ="},
		{"SELECT 1 FROM users u JOIN orders o USING (email)", "users.email: compared with orders.email by USING"},
		{"SELECT 1 FROM users WHERE (name, email) = ($1, $2)", "users.email: compared by = with $2, which is not its operand in place"},
		{"SELECT email FROM users GROUP BY email", "users.email: GROUP BY"},
		{"SELECT DISTINCT email FROM users", "users.email: DISTINCT"},
		{"SELECT DISTINCT ON (email) id FROM users", "users.email: DISTINCT ON"},
		{"SELECT count(DISTINCT email) FROM users", "users.email: count(DISTINCT)"},
		{"SELECT row_number() OVER (PARTITION BY email) FROM users", "users.email: PARTITION BY"},
		{"SELECT email FROM users UNION SELECT email FROM users", "users.email: UNION"},
		{"SELECT email FROM users EXCEPT ALL SELECT $1", "users.email: EXCEPT"},
		{"INSERT INTO users (email) VALUES ($1) ON CONFLICT (email) DO NOTHING", "users.email: ON CONFLICT"},
		{"INSERT INTO users (email) VALUES ($1) ON CONFLICT DO NOTHING", "users.email: ON CONFLICT"},
		{"INSERT INTO users (email) VALUES ($1) ON CONFLICT ON CONSTRAINT x DO NOTHING", "users.email: ON CONFLICT"},
		{"INSERT INTO users (email) SELECT DISTINCT $1::text", "users.email: DISTINCT of $1"},
		{"SELECT mask(m) FROM (SELECT DISTINCT $1::text AS m) x", "DISTINCT of $1"},
		{"SELECT 1 FROM users WHERE email IN (SELECT email FROM orders)", "users.email: compared with orders.email by IN"},
		{"SELECT 1 FROM users WHERE $1 IN (SELECT email FROM orders)", "orders.email: compared by IN with $1, which is not its operand in place"},
		{"SELECT 1 FROM users WHERE $1 IN (email)", "users.email: compared by IN with $1, which is not its operand in place"},
		{"WITH p(m) AS (SELECT $1) SELECT 1 FROM users, p WHERE email = m", "users.email: compared by = with $1, which is not its operand in place"},
		{"SELECT 1 FROM users WHERE email = (SELECT $1)", "users.email: compared by = with $1, which is not its operand in place"},
		{"SELECT 1 FROM users WHERE email = COALESCE($1, $2)", "users.email: compared by = with $1, which is not its operand in place"},
		{"SELECT 1 FROM users WHERE COALESCE(email, $1) = $2", "users.email: compared by = with $2, which is not its operand in place"},
		{"SELECT 1 FROM users WHERE email::text IS DISTINCT FROM $1", "users.email: compared by IS DISTINCT FROM with $1, which is not its operand in place"},
		{"SELECT CASE email WHEN $1 THEN 1 END FROM users", "users.email: compared by CASE with $1, which is not its operand in place"},
		{"SELECT 1 FROM users GROUP BY email", "users.email: GROUP BY"},
		{"SELECT NULLIF(email, $1) FROM users", "users.email: compared by NULLIF with $1, which is not its operand in place"},
		{"MERGE INTO users u USING (VALUES ($1)) v(e) ON u.email = v.e WHEN MATCHED THEN DELETE", "users.email: compared by = with $1, which is not its operand in place"},
		{"MERGE INTO users u USING orders o ON u.id = o.id WHEN MATCHED AND u.email <> o.email THEN DELETE", "users.email: compared with orders.email by <>"},
		{"INSERT INTO users (email) VALUES ($1) ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email", ""},
		{"INSERT INTO audit (email) SELECT email FROM users", ""},
		{"SELECT email FROM users UNION ALL SELECT email FROM orders", ""},
		{"UPDATE users SET email = COALESCE($1, email)", ""},
		{"SELECT email FROM users WHERE email IS NULL", ""},
		{"INSERT INTO users (ssn) VALUES ($1) ON CONFLICT (id) DO NOTHING", ""},
	} {
		a, err := sqlcols.Analyze(row.text, rotating())
		require.NoError(t, err, row.text)
		_, err = a.Widen(row.text, two)
		if row.want == "" {
			assert.NoError(t, err, row.text)
			assert.Empty(t, a.Mixed, row.text)
			continue
		}
		assert.ErrorContains(t, err, row.want+", while its key is being rotated", row.text)
		a, err = sqlcols.Analyze(row.text, newSchema(keyD, keyR, keyB, clinic...).withFunctions())
		require.NoError(t, err, row.text)
		assert.Empty(t, a.Mixed, row.text)
	}
}

// What compares stored tokens only is right while they are of one key, whichever key that is.
func TestMixedUnlessHeldToOneKey(t *testing.T) {
	held := newSchema(&sqlcols.Key{Label: "D", Searchable: true, Several: true}, keyR, keyB, clinic...)
	for text, right := range map[string]bool{
		"INSERT INTO users (email) VALUES ($1) ON CONFLICT (email) DO NOTHING":  true,
		"SELECT 1 FROM users u JOIN orders o ON o.email = u.email":              true,
		"SELECT email FROM users GROUP BY email":                                true,
		"SELECT 1 FROM users WHERE email IN (SELECT email FROM orders)":         true,
		"SELECT 1 FROM users WHERE email = (SELECT $1)":                         false,
		"WITH p(m) AS (SELECT $1) SELECT 1 FROM users, p WHERE email = m":       false,
		"INSERT INTO users (email) SELECT DISTINCT $1::text":                    false,
		"SELECT email FROM users UNION SELECT email FROM orders":                true,
		"SELECT email FROM users UNION SELECT $1":                               false,
		"SELECT 1 FROM users u, orders o WHERE COALESCE(u.email, $1) = o.email": false,
	} {
		a, err := sqlcols.Analyze(text, held)
		require.NoError(t, err, text)
		assert.Equal(t, right, len(a.Mixed) == 0, text)
	}
}

// On a server: whatever is true, false or NULL of values is so of their tokens, whichever key made them.
func TestWidenedMeansTheSame(t *testing.T) {
	db := pganontest.New(t)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.DSN())
	require.NoError(t, err)
	defer conn.Close(ctx)
	tokens := func(v string) []string { return []string{"k1:" + v, "k2:" + v} }
	for _, text := range []string{
		"CREATE SCHEMA plain", "CREATE SCHEMA app",
		"CREATE TABLE plain.users (id int, email text)", "CREATE TABLE app.users (id int, email text)",
		"INSERT INTO plain.users VALUES (1, 'a'), (2, 'a'), (3, 'b'), (4, 'b'), (5, ''), (6, NULL)",
		"INSERT INTO app.users VALUES (1, 'k1:a'), (2, 'k2:a'), (3, 'k1:b'), (4, 'k2:b'), (5, 'k2:'), (6, NULL)",
	} {
		_, err := conn.Exec(ctx, text)
		require.NoError(t, err, text)
	}
	answers := func(schema, text string, args []any) (list []string) {
		rows, err := conn.Query(ctx, strings.ReplaceAll(text, "users", schema+".users"), args...)
		require.NoError(t, err, text)
		for rows.Next() {
			var id int
			var is *bool
			require.NoError(t, rows.Scan(&id, &is))
			answer := "null"
			if is != nil {
				answer = fmt.Sprint(*is)
			}
			list = append(list, fmt.Sprint(id, answer))
		}
		require.NoError(t, rows.Err(), text)
		return list
	}
	ptr := func(s string) *string { return &s }
	values := []*string{nil, ptr("a"), ptr("b"), ptr(""), ptr("zz")}
	arrays := [][]*string{nil, {}, {ptr("a")}, {ptr("a"), ptr("b")}, {nil}, {ptr("b"), nil}}
	for _, condition := range []string{
		"email = $1", "$1 = email", "email <> $1", "NOT email = $1", "(email = $1) IS NULL", "email = $1 AND email <> $2",
		"email IN ($1, $2)", "email NOT IN ($1, $2)", "email IN ($1)", "email NOT IN ($1)",
		"email = ANY(ARRAY[$1, $2])", "email <> ALL(ARRAY[$1, $2])",
		"email IS DISTINCT FROM $1", "email IS NOT DISTINCT FROM $1", "NOT email IS DISTINCT FROM $1", "NOT $1 IS NOT DISTINCT FROM email",
		"email = $1 OR $1 IS NULL", "email = $1 AND $2 IS NOT NULL AND email IN ($1, $2)",
		"email = ANY($1)", "email <> ALL($1)", "NOT email = ANY($1)", "NOT email <> ALL($1)", "email = ANY($1) OR $1 IS NULL",
	} {
		text := "SELECT id, " + condition + " FROM users ORDER BY id"
		a, err := sqlcols.Analyze(text, rotating())
		require.NoError(t, err, text)
		w, err := a.Widen(text, two)
		require.NoError(t, err, text)
		var cases [][]any
		if a.Parameters[0].Meetings[0].Array {
			for _, v := range arrays {
				cases = append(cases, []any{v})
			}
		} else {
			for _, v := range values {
				if len(a.Parameters) == 1 {
					cases = append(cases, []any{v})
					continue
				}
				for _, w := range values {
					cases = append(cases, []any{v, w})
				}
			}
		}
		for _, args := range cases {
			sent := make([]any, len(w.Parameters))
			for i, s := range w.Parameters {
				sent[i] = tokensOf(s, args[s.Parameter-1], tokens)
			}
			typed := text // what $n IS NULL alone does not say
			for _, old := range []string{"$1 IS", "$2 IS"} {
				if !strings.Contains(condition, old+" DISTINCT") && !strings.Contains(condition, old+" NOT DISTINCT") {
					kind := "::text"
					if a.Parameters[0].Meetings[0].Array {
						kind = "::text[]"
					}
					typed = strings.ReplaceAll(typed, old, old[:2]+kind+old[2:])
				}
			}
			assert.Equal(t, answers("plain", typed, args), answers("app", w.Text, sent), "%s\n%s\n%v", text, w.Text, args)
		}
	}
}

// tokensOf applies a form to a value, in the way that a driver would.
func tokensOf(s sqlcols.Source, v any, tokens func(string) []string) any {
	all := func(v *string) []*string {
		if v == nil {
			return nil
		}
		list := tokens(*v)
		return []*string{&list[0], &list[1]}
	}
	if array, ok := v.([]*string); ok {
		if array == nil {
			return nil
		}
		made := []*string{}
		for _, v := range array {
			switch {
			case v == nil:
				made = append(made, nil)
			case s.Form == sqlcols.AllTokens:
				made = append(made, all(v)...)
			default:
				made = append(made, all(v)[0])
			}
		}
		return made
	}
	list := all(v.(*string))
	switch {
	case list == nil:
		return nil
	case s.Form == sqlcols.AllTokens:
		return list
	}
	return list[s.Token]
}

// The widened search is served by the index that served the one for one value.
func TestWidenedUsesTheIndex(t *testing.T) {
	db := pganontest.New(t)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.DSN())
	require.NoError(t, err)
	defer conn.Close(ctx)
	for _, text := range []string{
		"CREATE DOMAIN token AS text", "CREATE TABLE users (id int, email token)", "CREATE INDEX ON users (email)",
		"INSERT INTO users SELECT i, 'k' || i FROM generate_series(1, 10000) i", "ANALYZE users", "SET plan_cache_mode = force_generic_plan",
	} {
		_, err := conn.Exec(ctx, text)
		require.NoError(t, err, text)
	}
	for _, text := range []string{
		"SELECT id FROM users WHERE email = $1", "SELECT id FROM users WHERE email IN ($1)", "SELECT id FROM users WHERE email = ANY($1)",
		"SELECT id FROM users WHERE email IS NOT DISTINCT FROM $1", // which an index does not serve as it is
	} {
		a, err := sqlcols.Analyze(text, rotating())
		require.NoError(t, err)
		w, err := a.Widen(text, two)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "PREPARE s AS "+w.Text)
		require.NoError(t, err, w.Text)
		args := make([]string, len(w.Parameters))
		for i, s := range w.Parameters {
			if args[i] = "'k17'"; s.Form == sqlcols.AllTokens {
				args[i] = "'{k17,k18}'"
			}
		}
		rows, err := conn.Query(ctx, "EXPLAIN EXECUTE s ("+strings.Join(args, ", ")+")")
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		assert.Contains(t, strings.Join(lines, "\n"), "users_email_idx", w.Text)
		_, err = conn.Exec(ctx, "DEALLOCATE s")
		require.NoError(t, err)
	}
}
