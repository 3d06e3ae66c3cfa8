package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/sqlgen"
	"github.com/pganon/pganon/pganontest"
)

// major is the server's major version.
func major(t *testing.T, db *pganontest.DB) int {
	t.Helper()
	return sqlgen.Major(rawConn(t, db).ParameterStatus("server_version"))
}

// since skips a test of what PostgreSQL has from a version on, where the server is of one before.
func since(t *testing.T, db *pganontest.DB, version int) {
	t.Helper()
	if n := major(t, db); n < version {
		t.Skipf("PostgreSQL %d has no such thing, %d is the first", n, version)
	}
}

// Both rows that a statement writes over come back decrypted, whatever they are called.
func TestEncryptOldAndNew(t *testing.T) {
	w := newVaultWorld(t)
	since(t, w.db, 18)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			ctx := w.as(w.staff)
			canary := func(n int) string { return fmt.Sprintf("canary%d-%s", n, mode) }
			w.proxy.Reset()
			null := sql.NullString{}
			is := func(text string) sql.NullString { return sql.NullString{String: text, Valid: true} }
			for _, row := range []struct {
				text string
				args []any
				want []sql.NullString
			}{
				{"INSERT INTO users (email, ssn) VALUES ($1, $2) RETURNING old.email, new.email, new.ssn, ssn", []any{canary(1), canary(2)},
					[]sql.NullString{null, is(canary(1)), is(canary(2)), is(canary(2))}},
				{"INSERT INTO users (email, ssn) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET ssn = excluded.ssn RETURNING WITH (OLD AS o, NEW AS n) o.ssn, n.ssn, n.email",
					[]any{canary(1), canary(3)}, []sql.NullString{is(canary(2)), is(canary(3)), is(canary(1))}},
				{"UPDATE users u SET email = $1, ssn = $2 WHERE email = $3 AND name IS NULL RETURNING old.email, new.email, old.ssn, new.ssn, u.email",
					[]any{canary(4), canary(5), canary(1)}, []sql.NullString{is(canary(1)), is(canary(4)), is(canary(3)), is(canary(5)), is(canary(4))}},
				{"WITH w AS (UPDATE users SET ssn = $1 WHERE email = $2 RETURNING old.ssn AS was, new.ssn AS now, old.email = new.email AS same) SELECT was, now, same::text FROM w",
					[]any{canary(6), canary(4)}, []sql.NullString{is(canary(5)), is(canary(6)), is("true")}},
				{"UPDATE users SET ssn = NULL WHERE email = $1 RETURNING COALESCE(new.ssn, old.ssn), new.ssn", []any{canary(4)}, []sql.NullString{is(canary(6)), null}},
				{"DELETE FROM users WHERE email = $1 RETURNING old.email, new.email", []any{canary(4)}, []sql.NullString{is(canary(4)), null}},
			} {
				got, into := make([]sql.NullString, len(row.want)), make([]any, len(row.want))
				for i := range got {
					into[i] = &got[i]
				}
				require.NoError(t, db.QueryRowContext(ctx, row.text, row.args...).Scan(into...), row.text)
				require.Equal(t, row.want, got, row.text)
			}
			pganontest.AssertNoLeak(t, []string{canary(0)[:6]}, w.proxy)

			for text, want := range map[string]string{
				"UPDATE users SET name = $1 RETURNING old":                          "users.email",
				"UPDATE users SET name = $1 RETURNING to_jsonb(new)":                "users.email: argument of to_jsonb()",
				"UPDATE users SET name = $1 RETURNING lower(old.email)":             "users.email: argument of lower()",
				"UPDATE users SET name = $1 RETURNING old.email || 'x'":             "users.email: operator ||",
				"UPDATE users SET name = $1 RETURNING WITH (OLD AS o) o.ssn < 'x'":  "users.ssn",
				"UPDATE users SET name = $1 RETURNING COALESCE(old.email, new.ssn)": "another key",
			} {
				w.proxy.Reset()
				_, err := db.QueryContext(ctx, text, "canary")
				require.ErrorContains(t, err, want, text)
				require.NotContains(t, string(w.proxy.Sent()), "canary", text)
			}
		})
	}
}

func TestEncryptMergeReturning(t *testing.T) {
	w := newVaultWorld(t)
	since(t, w.db, 17)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			ctx := w.as(w.staff)
			canary := "canary-" + mode
			w.proxy.Reset()
			merge := `MERGE INTO users u USING (VALUES ($1, $2)) v(mail, ssn) ON u.email = v.mail
WHEN MATCHED THEN UPDATE SET ssn = v.ssn WHEN NOT MATCHED THEN INSERT (email, ssn) VALUES (v.mail, v.ssn)
RETURNING merge_action(), u.email, u.ssn`
			for i, action := range []string{"INSERT", "UPDATE", "UPDATE"} {
				var did, email, ssn string
				require.NoError(t, db.QueryRowContext(ctx, merge, canary, fmt.Sprint(canary, i)).Scan(&did, &email, &ssn))
				assert.Equal(t, []string{action, canary, fmt.Sprint(canary, i)}, []string{did, email, ssn})
			}
			var email string
			require.NoError(t, db.QueryRowContext(ctx, `WITH m AS (MERGE INTO users u USING logs l ON l.id = u.id WHEN NOT MATCHED BY SOURCE AND u.email = $1 THEN DELETE
RETURNING u.email) SELECT email FROM m`, canary).Scan(&email))
			assert.Equal(t, canary, email)
			pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)
			_, err := db.QueryContext(ctx, merge+", v.ssn", canary, canary)
			require.ErrorContains(t, err, `$2 is used for users.ssn and for output "ssn"`)
			_, err = db.QueryContext(ctx, "MERGE INTO users u USING logs l ON l.id = u.id WHEN MATCHED THEN DELETE RETURNING merge_action() || u.email")
			require.ErrorContains(t, err, "users.email: operator ||")
		})
	}
}

// JSON made of an encrypted column would hold tokens, and what is taken out of JSON is no parameter.
func TestEncryptJSONTable(t *testing.T) {
	w := newVaultWorld(t)
	takes := major(t, w.db) >= 17 // what is refused is so without asking the server
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			ctx := w.as(w.staff)
			_, err := db.ExecContext(ctx, "INSERT INTO users (email, name) VALUES ($1, 'a') ON CONFLICT DO NOTHING", "m@example.org")
			require.NoError(t, err)
			for text, document := range map[string]string{
				`SELECT u.email, j.name FROM users u JOIN JSON_TABLE($1::jsonb, '$[*]' COLUMNS (id bigint PATH '$.id', name text PATH '$.n')) j ON j.name = u.name WHERE u.email = $2`: `[{"id": 1, "n": "a"}]`,
				`SELECT email, JSON_VALUE($1::jsonb, '$.n') FROM users WHERE email = $2`:                                                                                               `{"n": "a"}`,
			} {
				var email, name string
				if takes {
					require.NoError(t, db.QueryRowContext(ctx, text, document, "m@example.org").Scan(&email, &name))
					assert.Equal(t, []string{"m@example.org", "a"}, []string{email, name})
				}
			}
			for _, text := range []string{
				`SELECT j.m FROM users u, JSON_TABLE(u.email, '$' COLUMNS (m text PATH '$')) j WHERE u.name = $1`,
				`SELECT u.id FROM users u JOIN JSON_TABLE($1::jsonb, '$[*]' COLUMNS (m text PATH '$')) j ON j.m = u.email`,
				`INSERT INTO users (email) SELECT m FROM JSON_TABLE($1::jsonb, '$[*]' COLUMNS (m text PATH '$')) j`,
				`INSERT INTO users (email) SELECT m FROM JSON_TABLE($1::jsonb, '$[*]' COLUMNS (m d_mail PATH '$')) j`,
				`INSERT INTO users (email) VALUES (JSON_VALUE($1::jsonb, '$.m'))`,
				`INSERT INTO users (email) VALUES (JSON_VALUE($1::jsonb, '$.m' RETURNING d_mail))`,
				`SELECT JSON_OBJECT('m': email) FROM users WHERE name = $1`,
				`SELECT JSON_ARRAY(name, email) FROM users WHERE name = $1`,
				`SELECT JSON_ARRAY(SELECT email FROM users WHERE name = $1)`,
				`SELECT JSON_OBJECTAGG(name: email) FROM users WHERE name = $1`,
				`SELECT JSON_ARRAYAGG(u) FROM users u WHERE name = $1`,
				`SELECT JSON_SCALAR(email) FROM users WHERE name = $1`,
				`SELECT JSON_SERIALIZE(JSON(email)) FROM users WHERE name = $1`,
				`SELECT JSON_EXISTS($1::jsonb, '$.a ? (@ == $x)' PASSING email AS x) FROM users`,
				`SELECT JSON_QUERY($1::jsonb, '$.a' DEFAULT email ON EMPTY) FROM users`,
				`SELECT any_value(email) FROM users WHERE name = $1`,
				`SELECT email IS JSON FROM users WHERE name = $1`,
			} {
				w.proxy.Reset()
				_, err := db.QueryContext(ctx, text, "canary")
				require.ErrorContains(t, err, "users.email", text)
				require.NotContains(t, string(w.proxy.Sent()), "canary", text)
			}
		})
	}
}

// A generated column would be computed from tokens. The server refuses one of a domain itself, if it is virtual; of other columns
// this driver does.
func TestEncryptVirtualColumns(t *testing.T) {
	w := newVaultWorld(t)
	since(t, w.db, 18)
	w.exec(`create table app.plain (id bigint, mail text); comment on column app.plain.mail is 'pganon:"encrypt,key=plainmail"';
grant all on app.plain to {staff}; grant usage on schema app to {login}`)
	db := w.open("cache_statement", driver.Config{})
	system := pganon.System(context.Background(), "migration")
	for _, text := range []string{
		"ALTER TABLE app.plain ADD COLUMN shown text GENERATED ALWAYS AS (upper(mail)) VIRTUAL",
		"ALTER TABLE app.plain ADD COLUMN shown text GENERATED ALWAYS AS (upper(mail))",
		"ALTER TABLE app.plain ADD shown text GENERATED ALWAYS AS (upper(mail)) STORED",
	} {
		_, err := db.ExecContext(system, text)
		require.ErrorContains(t, err, "plain.mail: a generated value is not encrypted", text)
	}
	_, err := db.ExecContext(w.as(w.staff), "INSERT INTO plain VALUES ($1, $2)", 1, "canary")
	require.NoError(t, err)
	w.exec("alter table app.plain add shown text generated always as (upper(mail))") // by another program
	fresh := w.open("cache_statement", driver.Config{})
	for _, text := range []string{"SELECT shown FROM plain", "SELECT mail FROM plain", "INSERT INTO plain (mail) VALUES ($1)"} {
		var args []any
		if text[0] == 'I' {
			args = []any{"canary"}
		}
		_, err = fresh.QueryContext(w.as(w.staff), text, args...)
		require.ErrorContains(t, err, "app.plain.shown: is generated from column app.plain.mail", text)
	}
	_, err = w.owner.Exec("alter table app.users add shown text generated always as (upper(email)) virtual")
	require.ErrorContains(t, err, "user-defined type")
}

// From protocol 3.2 on, cancel keys are of any length.
func TestCancelWithLongKeys(t *testing.T) {
	db := pganontest.New(t)
	since(t, db, 18)
	t.Parallel()
	proxy := db.Proxy()
	h, err := driver.Open(withKeys(proxy.DSN(), "max_protocol_version=3.2", "pganon.identity=optional"), driver.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := h.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	var one int
	require.NoError(t, conn.QueryRowContext(ctx, "select 1").Scan(&one))
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(ctx, "select pg_sleep(60)")
		done <- err
	}()
	watch := rawConn(t, db)
	sleeping := func() bool {
		result := watch.ExecParams(context.Background(), "select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'", nil, nil, nil, nil).Read()
		return result.Err == nil && len(result.Rows) == 1
	}
	require.Eventually(t, sleeping, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Eventually(t, func() bool { return !sleeping() }, 10*time.Second, time.Millisecond, "the server has stopped")
}

// A membership is one thing, SET ROLE and inherited rights are others, each by itself.
func TestMembershipOptions(t *testing.T) {
	w := newVaultWorld(t)
	since(t, w.db, 16)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("revoke {staff} from {login}; grant {staff} to {login} with set false, inherit true")
			db := w.open(mode, driver.Config{})
			w.proxy.Reset()
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO logs (msg) VALUES ($1)", "canary")
			require.ErrorContains(t, err, "role not granted to the login role: GRANT it (from PostgreSQL 16 on WITH SET TRUE)")
			require.Equal(t, "0", w.raw("select count(*) from app.logs"))

			w.exec("grant {staff} to {login} with set true, inherit false")
			_, err = db.ExecContext(w.as(w.staff), "INSERT INTO logs (msg) VALUES ($1)", "canary")
			require.NoError(t, err)
			_, err = db.ExecContext(pganon.System(context.Background(), "test"), "INSERT INTO app.logs (msg) VALUES ($1)", "canary")
			require.ErrorContains(t, err, "permission denied")
			require.Equal(t, "1", w.raw("select count(*) from app.logs"))
			w.exec("truncate app.logs")
		})
	}
}
