package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// shapes are queries over one user (a@x, ssn 1) and one order (b@x): what staff gets of them, a line for each row, and what a masked role
// gets. In want, <…> is what is hidden from masked roles.
var shapes = []struct{ query, want string }{
	{"SELECT email, ssn FROM users", "<a@x> <s-1>"},
	{"TABLE contacts", "1 n <a@x>"},
	{"SELECT c.* FROM contacts c", "1 n <a@x>"},
	{"SELECT email FROM users UNION SELECT email FROM orders LIMIT 0", ""},
	{"SELECT email FROM users UNION ALL SELECT email FROM orders", "<a@x>\n<b@x>"},
	{"SELECT email FROM users INTERSECT SELECT email FROM orders", ""},
	{"SELECT email FROM users EXCEPT SELECT email FROM orders", "<a@x>"},
	{"SELECT email FROM users UNION ALL SELECT NULL", "<a@x>\nNULL"},
	{"SELECT COALESCE(o.email, u.email) FROM users u LEFT JOIN orders o ON o.user_id = -u.id", "<a@x>"},
	{"SELECT CASE WHEN u.id = 1 THEN u.email ELSE o.email END FROM users u, orders o", "<a@x>"},
	{"SELECT NULLIF(u.email, o.email) FROM users u, orders o", "<a@x>"},
	{"SELECT (SELECT email FROM users LIMIT 1), (SELECT count(*) FROM users)", "<a@x> 1"},
	{"SELECT x.e FROM (SELECT email AS e FROM users) x", "<a@x>"},
	{"WITH x AS MATERIALIZED (SELECT email FROM users), y AS (TABLE x) SELECT y.email FROM y", "<a@x>"},
	{"WITH RECURSIVE x(n, e) AS (SELECT 1, email FROM users UNION ALL SELECT n + 1, e FROM x WHERE n < 2) SELECT n, e FROM x", "1 <a@x>\n2 <a@x>"},
	{"SELECT email::text FROM users", "<a@x>"},
	{"SELECT u.email FROM users u, LATERAL (SELECT u.email) l", "<a@x>"},
	{"SELECT email FROM users NATURAL FULL JOIN (SELECT email FROM users) x", "<a@x>"},
	{"SELECT max(id), email FROM users GROUP BY email", "1 <a@x>"},
	{"SELECT DISTINCT email FROM users", "<a@x>"},
	{"SELECT count(email), count(DISTINCT email) FROM users", "1 1"},
	{"SELECT email IS NULL, email IS NOT NULL FROM users", "false true"},
	{"SELECT email = email FROM users", "true"},
	{"SELECT array_agg(email) FROM users", "<{a@x}>"},
	{"SELECT ARRAY(SELECT email FROM users UNION ALL SELECT email FROM orders)", "<{a@x,b@x}>"},
	{"SELECT ARRAY[email, NULL] FROM users", "<{a@x,NULL}>"},
	{"SELECT unnest(array_agg(email)) FROM users", "<a@x>"},
	{"SELECT email FROM parts", "<p@x>"},
	{"SELECT email FROM parts1", "<p@x>"},
	{"SELECT email, extra FROM child", "<c@x> <e>"},
	{"SELECT email FROM parent", "<c@x>"},
	{"SELECT email FROM kept", "<a@x>"},
	{"SELECT email FROM copied", "<a@x>"},
	{"SELECT * FROM mails()", "<a@x>"},
	{"SELECT mails()", "<a@x>"},
	{"SELECT m.mail, m.n FROM pairs() m", "<a@x> 1"},
	{"SELECT * FROM everyone()", "1 n <a@x>"},
	{"SELECT u.email FROM users u JOIN pairs() m ON m.mail = u.email", "<a@x>"},
	{"VALUES (1)", "1"},
	{"SELECT 1 FROM users", "1"},
	{"SELECT u.email, o.email AS email FROM users u, orders o", "<a@x> <b@x>"},
	{"SELECT email AS id, id AS email FROM users", "<a@x> 1"},
	{"SELECT ctid IS NULL, tableoid::regclass::text, email FROM users", "false users <a@x>"},
}

// refusedShapes would give a token, or what is computed from one.
var refusedShapes = []string{
	"SELECT lower(email) FROM users", "SELECT email || '' FROM users", "SELECT to_jsonb(u) FROM users u", "SELECT u FROM users u", "SELECT row(email) FROM users", "SELECT json_agg(email) FROM users",
	"SELECT string_agg(email, ',') FROM users", "SELECT max(email) FROM users", "SELECT length(email) FROM users", "SELECT email FROM users ORDER BY email", "SELECT COALESCE(email, name) FROM users",
	"SELECT email FROM users UNION SELECT name FROM users", "SELECT email FROM users UNION SELECT ssn FROM users", "SELECT DISTINCT ssn FROM users", "SELECT ssn FROM users UNION SELECT ssn FROM users",
	"SELECT count(DISTINCT ssn) FROM users", "SELECT name FROM users GROUP BY name, ssn", "SELECT CASE WHEN true THEN email ELSE 'x' END FROM users", "SELECT format('%s', email) FROM users",
	"SELECT email::bytea FROM users", "SELECT md5(email) FROM users", "SELECT row_to_json(c) FROM contacts c", "SELECT array_to_string(array_agg(email), ',') FROM users",
	"SELECT first_value(email) OVER () FROM users", "SELECT (array_agg(email))[1] FROM users", "SELECT email FROM users UNION SELECT email FROM orders ORDER BY 1",
	"INSERT INTO logs (msg) SELECT email FROM users", "UPDATE logs SET msg = u.email FROM users u", "SELECT xmlelement(name x, email) FROM users", "SELECT (u).email FROM (SELECT users AS u FROM users) x WHERE (u).name = email",
}

var hiddenShape = regexp.MustCompile("<[^>]*>")

func TestShapes(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create table app.parts (id int, email app.d_mail) partition by list (id);
create table app.parts1 partition of app.parts for values in (1);
create table app.parent (email app.d_mail);
create table app.child (extra app.d_ssn) inherits (app.parent);
create function app.mails() returns setof app.d_mail language sql security definer as 'select email from app.users';
create function app.pairs() returns table (mail app.d_mail, n int) language sql security definer as 'select email, 1 from app.users';
create function app.everyone() returns setof app.contacts language sql security definer as 'table app.contacts';
grant select, insert on app.parts, app.parts1, app.parent, app.child to {staff};
grant select on app.parts, app.parts1, app.parent, app.child to {masked}`)
	db := w.open("cache_statement", driver.Config{})
	for _, text := range []string{
		"INSERT INTO users (name, email, ssn) VALUES ('n', $1, 's-1')", "INSERT INTO orders (user_id, email) VALUES (1, $1)",
		"INSERT INTO parts VALUES (1, $1)", "INSERT INTO child VALUES ($1, $2)",
	} {
		args := []any{map[string]string{"users": "a@x", "orders": "b@x", "parts": "p@x", "child": "c@x"}[strings.Fields(text)[2]], "e"}[:strings.Count(text, "$")]
		text = strings.Replace(text, "'s-1'", "$2", 1)
		if strings.Contains(text, "ssn") {
			args = append(args, "s-1")
		}
		_, err := db.ExecContext(w.as(w.staff), text, args...)
		require.NoError(t, err, text)
	}
	w.exec(`create table app.copied as select id, email from app.users; create materialized view app.kept as select email from app.users;
grant select on app.copied, app.kept to {staff}, {masked}`)
	w.proxy.Reset()
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			for _, row := range shapes {
				lines := []string{}
				if row.want != "" {
					lines = strings.Split(row.want, "\n")
				}
				for _, role := range []string{w.staff, w.masked, w.staff, w.masked} {
					want := strings.NewReplacer("<", "", ">", "").Replace(strings.Join(lines, "\n"))
					if role == w.masked {
						want = hiddenShape.ReplaceAllString(strings.Join(lines, "\n"), "NULL")
					}
					got, err := w.lines(db.QueryContext(w.as(role), row.query))
					if !assert.NoErrorf(t, err, "%s", row.query) {
						break
					}
					assert.Equalf(t, want, got, "%s", row.query)
				}
			}
			for _, query := range refusedShapes {
				_, err := db.QueryContext(w.as(w.staff), query)
				assert.ErrorContains(t, err, "pganon: encrypt statement: ", query)
				_, err = db.QueryContext(w.as(w.masked), query)
				assert.Error(t, err, query)
			}
			for _, masked := range []bool{false, true} {
				w.cursors(t, db, masked)
			}
			got, err := w.lines(db.QueryContext(w.as(w.staff), "INSERT INTO orders (user_id, email) VALUES (9, $1) RETURNING email, note, (SELECT email FROM users)", "r@x"))
			assert.NoError(t, err)
			assert.Equal(t, "r@x NULL a@x", got)
			got, err = w.lines(db.QueryContext(w.as(w.staff), "WITH d AS (DELETE FROM orders WHERE user_id = $1 RETURNING *) SELECT d.email, d.user_id FROM d", 9))
			assert.NoError(t, err)
			assert.Equal(t, "r@x 9", got)
		})
	}
	for _, value := range []string{"a@x", "b@x", "p@x", "c@x", "r@x"} {
		assert.NotContains(t, string(w.proxy.Sent()), value)
		assert.NotContains(t, string(w.proxy.Received()), value)
	}
}

// cursors reads by FETCH, whose text says nothing of columns.
func (w *vaultWorld) cursors(t *testing.T, db *sql.DB, masked bool) {
	t.Helper()
	role, want := w.staff, "1 a@x s-1"
	if masked {
		role, want = w.masked, "1 NULL NULL"
	}
	tx, err := db.BeginTx(w.as(role), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("DECLARE c CURSOR FOR SELECT id, email, ssn FROM users")
	require.NoError(t, err)
	for _, text := range []string{"FETCH 1 FROM c", "FETCH ABSOLUTE 1 FROM c", "FETCH BACKWARD ALL FROM c", "FETCH ALL c"} {
		got, err := w.lines(tx.Query(text))
		assert.NoError(t, err, text)
		switch text {
		case "FETCH BACKWARD ALL FROM c":
			assert.Empty(t, got, text)
		default:
			assert.Equal(t, want, got, text)
		}
	}
	_, err = tx.Exec("DECLARE d CURSOR FOR SELECT COALESCE(email, NULL) FROM users")
	assert.ErrorContains(t, err, "which FETCH would not know")
	if masked {
		return
	}
	_, err = tx.Exec("DECLARE e CURSOR FOR SELECT email FROM users WHERE email = $1", "a@x")
	require.NoError(t, err)
	got, err := w.lines(tx.Query("FETCH e"))
	assert.NoError(t, err)
	assert.Equal(t, "a@x", got)
}

// lines are rows as text.
func (w *vaultWorld) lines(rows *sql.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var lines []string
	cells, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return "", err
		}
		line := make([]string, len(cells))
		for i, cell := range cells {
			if line[i] = fmt.Sprint(cell); cell == nil {
				line[i] = "NULL"
			}
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return strings.Join(lines, "\n"), rows.Err()
}

// pgx's leading arguments, and its rewriters, mean what they mean without encryption.
func TestEncryptLeadingArguments(t *testing.T) {
	w := newVaultWorld(t)
	const canary = "c4n4ry@example.org"
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("truncate app.users")
			db := w.open(mode, driver.Config{})
			ctx := w.as(w.staff)
			w.proxy.Reset()
			for i, asked := range []any{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
				mail := fmt.Sprint(i, canary)
				if mode == "simple_protocol" && asked == pgx.QueryExecModeCacheDescribe {
					continue // has no cache
				}
				_, err := db.ExecContext(ctx, "INSERT INTO users (email, ssn) VALUES ($1, $2)", asked, mail, canary)
				require.NoError(t, err, "%v", asked)
				got, err := w.lines(db.QueryContext(ctx, "SELECT email, ssn FROM users WHERE email = @mail AND name IS NULL", asked, pgx.NamedArgs{"mail": mail}))
				require.NoError(t, err, "%v", asked)
				require.Equal(t, mail+" "+canary, got)
				got, err = w.lines(db.QueryContext(ctx, "UPDATE users SET ssn = @ssn WHERE email IN (@mail, @other) RETURNING ssn, email", pgx.StrictNamedArgs{"mail": mail, "ssn": "new " + canary, "other": canary}))
				require.NoError(t, err, "%v", asked)
				require.Equal(t, "new "+canary+" "+mail, got)
				got, err = w.lines(db.QueryContext(ctx, "SELECT id > 0, email FROM users WHERE email = $1", asked, pgx.QueryResultFormats{1, 0}, mail))
				if err == nil { // a format that the mode does not know is an error on plain pgx, too
					require.Equal(t, "true "+mail, got)
				}
			}
			_, err := db.QueryContext(ctx, "SELECT email FROM users WHERE email LIKE @mail", pgx.NamedArgs{"mail": canary})
			require.ErrorContains(t, err, "operator ~~")
			_, err = db.ExecContext(ctx, "INSERT INTO users (email) VALUES (@mail)", pgx.StrictNamedArgs{"nail": canary})
			require.Error(t, err)
			pganontest.AssertNoLeak(t, []string{canary}, w.proxy, err)
		})
	}

}

// keeping is an interceptor that answers by what it has seen before.
type keeping struct {
	sqlmw.NullInterceptor
	kept map[string]*keptRows
}

type keptRows struct {
	columns []string
	rows    [][]sqldriver.Value
}

func (r *keptRows) Columns() []string { return r.columns }
func (r *keptRows) Close() error      { return nil }
func (r *keptRows) Next(dest []sqldriver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

func (k keeping) ConnQueryContext(ctx context.Context, c sqldriver.QueryerContext, query string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	if kept := k.kept[query]; kept != nil {
		answer := *kept
		return ctx, &answer, nil
	}
	rows, err := c.QueryContext(ctx, query, args)
	if err != nil {
		return ctx, nil, err
	}
	made := &keptRows{columns: rows.Columns()}
	for {
		row := make([]sqldriver.Value, len(made.columns))
		if err := rows.Next(row); err == io.EOF {
			break
		} else if err != nil {
			return ctx, nil, err
		}
		made.rows = append(made.rows, row)
	}
	k.kept[query] = made
	answer := *made
	return ctx, &answer, rows.Close()
}

// Rows that an interceptor gives by itself are decoded by what the text says, whatever the connection has answered before.
func TestEncryptInterceptorsThatAnswer(t *testing.T) {
	w := newVaultWorld(t)
	kept := keeping{kept: map[string]*keptRows{}}
	for _, mode := range identityModes {
		clear(kept.kept)
		w.exec("truncate app.users restart identity")
		for range 2 { // another connection, which has answered nothing yet
			db := w.open(mode, driver.Config{Interceptors: []sqlmw.Interceptor{kept}})
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email) VALUES ('n', $1) ON CONFLICT DO NOTHING", "a@x")
			require.NoError(t, err)
			for range 2 {
				for _, row := range []struct{ query, want, masked string }{
					{"SELECT name, email FROM users", "n a@x", "n NULL"},
					{"SELECT 1", "1", "1"},
					{"SELECT email, name FROM users", "a@x n", "NULL n"},
					{"SELECT array_agg(email) FROM users", "{a@x}", "NULL"},
					{"SELECT 2", "2", "2"},
				} {
					got, err := w.lines(db.QueryContext(w.as(w.staff), row.query))
					require.NoError(t, err, row.query)
					require.Equal(t, row.want, got, row.query)
					got, err = w.lines(db.QueryContext(w.as(w.masked), row.query))
					require.NoError(t, err, row.query)
					require.Equal(t, row.masked, got, row.query)
				}
			}
		}
	}
}
