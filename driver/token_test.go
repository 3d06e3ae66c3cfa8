package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/pganontest"
)

// readAlone reads one value as staff, in a mode of its own.
func (w *vaultWorld) readAlone(db *sql.DB, query string, args ...any) (any, error) {
	var got any
	err := db.QueryRowContext(w.as(w.staff), query, args...).Scan(&got)
	return got, err
}

// A token is good for one label alone, and as it was made.
func TestTokenElsewhere(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(domain("app.d_pin", "text", "pin", "", "gAAAAAAB") + `
alter table app.users add pin app.d_pin;
create table app.staff (id bigint, ssn app.d_ssn, pin app.d_pin);
create table app.loose (id int primary key, secret text);
comment on column app.loose.secret is 'pganon:"encrypt"';
grant all on app.users, app.staff, app.loose to {staff}`)
	const canary = "c4n4ry-of-a-token"
	db := w.open("cache_statement", driver.Config{})
	_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email, ssn, pin) VALUES ('n', $1, $1, $2)", canary, canary)
	require.ErrorContains(t, err, "$1 is used for users.email and users.ssn")
	_, err = db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email, ssn, pin) VALUES ('n', $1, $2, $3)", canary, canary, canary)
	require.NoError(t, err)
	w.exec(`insert into app.staff (id, ssn) select 1, ssn from app.users;
insert into app.staff (id, pin) select 2, ssn::text::app.d_pin from app.users;
insert into app.loose select 1, ssn from app.users;
insert into app.loose select 2, 'plain ` + canary + `';
insert into app.logs (msg) select ssn from app.users`)

	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	require.NoError(t, err)
	django := w.ring.Encrypt([]byte(canary))
	other, err := ring.Derive("ssn")
	require.NoError(t, err)
	foreign, err := other.Encrypt([]byte(canary), fernet.Random, other.KeyIDs()[0])
	require.NoError(t, err)
	token := w.raw("select ssn from app.users")
	flipped := func(at int) string {
		c := byte('A')
		if token[at] == c {
			c = 'B'
		}
		return token[:at] + string(c) + token[at+1:]
	}
	require.Len(t, token, 120)
	for _, row := range []struct{ name, sql, query, column string }{
		{"another column of the table", "update app.users set pin = ssn::text::app.d_pin", "SELECT pin FROM users", "app.users.pin"},
		{"another column of another table", "", "SELECT pin FROM staff WHERE id = 2", "app.staff.pin"},
		{"a column with a tag in its comment", "", "SELECT secret FROM loose WHERE id = 1", "app.loose.secret"},
		{"plaintext", "", "SELECT secret FROM loose WHERE id = 2", "app.loose.secret"},
		{"a flipped bit in the ciphertext", "update app.users set ssn = '" + flipped(60) + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a flipped bit in the signature", "update app.users set ssn = '" + flipped(100) + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a flipped bit in the initialisation vector", "update app.users set ssn = '" + flipped(20) + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"another key id", "update app.users set ssn = '" + flipped(10) + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a block less", "update app.users set ssn = '" + token[:len(token)-4] + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a block more", "update app.users set ssn = '" + token + "AAAA'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a token of another ring", "update app.users set ssn = '" + string(foreign) + "'", "SELECT ssn FROM users", "app.users.ssn"},
		{"a token with a time in it", "update app.loose set secret = '" + string(django) + "' where id = 1", "SELECT secret FROM loose WHERE id = 1", "app.loose.secret"},
		{"half a token", "update app.loose set secret = '" + token[:50] + "' where id = 1", "SELECT secret FROM loose WHERE id = 1", "app.loose.secret"},
		{"nothing", "update app.loose set secret = '' where id = 1", "SELECT secret FROM loose WHERE id = 1", "app.loose.secret"},
	} {
		if row.sql != "" {
			w.exec(row.sql)
		}
		for _, mode := range identityModes {
			got, err := w.readAlone(w.opened(mode), row.query)
			assert.Nilf(t, got, "%s: %s", mode, row.name)
			assert.ErrorContainsf(t, err, "pganon: decrypt "+row.column+": ", "%s: %s", mode, row.name)
			if err != nil {
				pganontest.AssertNoLeak(t, []string{canary, token[40:100]}, err)
			}
		}
		// Nothing is guessed where the value is one of several, either.
		_, err := w.readAlone(db, "SELECT x.v FROM (SELECT 1 AS n, "+strings.TrimPrefix(strings.Replace(row.query, " FROM", " AS v FROM", 1), "SELECT ")+") x")
		assert.ErrorContains(t, err, "pganon: decrypt ", row.name)
	}
	// The label's other columns have its keys.
	got, err := w.readAlone(db, "SELECT ssn FROM staff WHERE id = 1")
	require.NoError(t, err)
	require.Equal(t, canary, got)
	// A column without a tag is none of our business.
	for _, mode := range identityModes {
		got, err = w.readAlone(w.opened(mode), "SELECT msg FROM logs")
		require.NoError(t, err)
		require.Equal(t, token, got)
		got, err = w.readAlone(w.opened(mode), "SELECT msg FROM logs WHERE msg = $1", token)
		require.NoError(t, err)
		require.Equal(t, token, got)
	}
}

// opened is a handle of a mode, one for the whole test.
func (w *vaultWorld) opened(mode string) *sql.DB {
	if w.handles == nil {
		w.handles = map[string]*sql.DB{}
	}
	if w.handles[mode] == nil {
		w.handles[mode] = w.open(mode, driver.Config{})
	}
	return w.handles[mode]
}

// Who may change the database moves a label to where they may read.
func TestTokenWithMovedTag(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`grant usage, create on schema app to {staff}`)
	const canary = "c4n4ry-of-a-label"
	labels := map[string][]string{"mail": {"app.users.email", "app.orders.email", "app.contacts.email"}, "ssn": {"app.users.ssn"}}
	for _, label := range []string{"balance", "born", "seen", "flags", "note", "photo", "active"} {
		labels[label] = []string{"app.users.*"}
	}
	pinned := w.open("cache_statement", driver.Config{Labels: labels})
	for _, db := range []*sql.DB{pinned, w.opened("exec")} {
		_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (email, ssn) VALUES ($1, $2) ON CONFLICT DO NOTHING", canary, canary)
		require.NoError(t, err)
		for _, query := range []string{"SELECT email FROM users", "SELECT email FROM contacts", "SELECT ssn FROM users"} {
			got, err := w.readAlone(db, query)
			require.NoError(t, err, query)
			require.Equal(t, canary, got)
		}
	}
	for _, row := range []struct{ name, sql, query string }{
		{"a copy of the table", "create table app.stolen as table app.users; grant select on app.stolen to {staff}", "SELECT email FROM stolen"},
		{"a column of the domain", "create table app.mine (e app.d_mail); insert into app.mine select email from app.users; grant select on app.mine to {staff}", "SELECT e FROM mine"},
		{"a view", "create view app.seen_mail as select email as e from app.users; grant select on app.seen_mail to {staff}", "SELECT e FROM seen_mail"},
		{"another domain of the label", "create domain app.d_trap as text; comment on domain app.d_trap is 'pganon:\"encrypt,deterministic,key=mail\"'; create table app.trap (e app.d_trap); insert into app.trap select email from app.users; grant select on app.trap to {staff}", "SELECT e FROM trap"},
		{"a comment with the label", "create table app.note (e text); comment on column app.note.e is 'pganon:\"encrypt,key=ssn\"'; insert into app.note select ssn from app.users; grant select on app.note to {staff}", "SELECT e FROM note"},
		{"a function", "create function app.leak() returns setof app.d_mail language sql security definer as 'select email from app.users'; grant execute on function app.leak to {staff}", "SELECT leak()"},
	} {
		w.exec(row.sql)
		got, err := w.readAlone(w.open("cache_statement", driver.Config{}), row.query)
		assert.NoError(t, err, row.name)
		assert.Equal(t, canary, got, "%s: without Labels it is decrypted", row.name)
		for _, db := range []*sql.DB{w.open("cache_statement", driver.Config{Labels: labels}), pinned} {
			got, err := w.readAlone(db, row.query)
			if row.name == "a function" { // whose result is what it is: a token
				assert.NoError(t, err)
				assert.Regexp(t, "^gAAAAAAA", got)
				continue
			}
			assert.Nil(t, got, row.name)
			assert.ErrorContains(t, err, "Config.Labels", row.name)
			if err != nil {
				pganontest.AssertNoLeak(t, []string{canary}, err)
			}
		}
		got, err = w.readAlone(pinned, "SELECT email FROM users")
		assert.NoError(t, err, "%s: what is pinned stays readable", row.name)
		assert.Equal(t, canary, got)
	}
}

// What is still plaintext is read where the tag says that it may be, and nowhere else.
func TestTokenMigrating(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create domain app.d_old as text; comment on domain app.d_old is 'pganon:"encrypt,deterministic,key=old,migrating"';
create domain app.d_day as text; comment on domain app.d_day is 'pganon:"encrypt,key=day,type=date,migrating"';
create table app.old (id int primary key, mail app.d_old, day app.d_day);
insert into app.old values (1, 'plain-c4n4ry', '2001-02-03'), (2, '', null), (3, 'gAAAAnot a token', '2001-02-04');
grant all on app.old to {staff}`)
	read := func(db *sql.DB, id int) (mail any, day sql.NullTime, err error) {
		err = db.QueryRowContext(w.as(w.staff), "SELECT mail, day FROM old WHERE id = $1", id).Scan(&mail, &day)
		return mail, day, err
	}
	for i, mode := range identityModes {
		db := w.opened(mode)
		for id, want := range map[int]string{1: "plain-c4n4ry", 2: "", 3: "gAAAAnot a token"} {
			mail, day, err := read(db, id)
			require.NoError(t, err, mode)
			require.Equal(t, want, mail)
			require.Equal(t, id != 2, day.Valid)
		}
		w.proxy.Reset()
		_, err := db.ExecContext(w.as(w.staff), "INSERT INTO old VALUES ($1, $2, $3)", 10+i, "canary-new", time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC))
		require.NoError(t, err)
		mail, day, err := read(db, 10+i)
		require.NoError(t, err)
		require.Equal(t, "canary-new", mail)
		require.Equal(t, "2020-01-02", day.Time.Format(time.DateOnly))
		pganontest.AssertNoLeak(t, []string{"canary-new", "2020-01-02"}, w.proxy)
		require.True(t, strings.HasPrefix(w.raw(fmt.Sprint("select mail from app.old where id = ", 10+i)), "gAAAAAAA"))
		_, err = w.readAlone(db, "SELECT id FROM old WHERE mail = $1", "plain-c4n4ry")
		require.ErrorContains(t, err, "label old is migrating")
		for text, want := range map[string]string{ // nothing encrypted goes in or comes out
			"SELECT count(*) FROM old GROUP BY mail":                             "old.mail: GROUP BY, while it is migrating",
			"SELECT count(DISTINCT mail) FROM old":                               "while it is migrating",
			"SELECT count(*) FROM old a JOIN old b USING (mail)":                 "while it is migrating",
			"SELECT count(*) FROM old a WHERE mail = ANY (SELECT mail FROM old)": "while it is migrating",
		} {
			_, err = w.readAlone(db, text)
			require.ErrorContains(t, err, want, text)
			_, err = db.ExecContext(w.as(w.staff), text+"; SELECT count(*) FROM old")
			require.ErrorContains(t, err, want, text)
		}
	}
	w.exec(`comment on domain app.d_old is 'pganon:"encrypt,deterministic,key=old"'; comment on domain app.d_day is 'pganon:"encrypt,key=day,type=date"'`)
	db := w.open("cache_statement", driver.Config{})
	for _, id := range []int{1, 2, 3} {
		_, _, err := read(db, id)
		require.ErrorContains(t, err, "pganon: decrypt app.old.mail: ")
		require.ErrorContains(t, err, "migrating")
		require.ErrorContains(t, err, "pganon encrypt")
		pganontest.AssertNoLeak(t, []string{"plain-c4n4ry"}, err)
	}
	mail, _, err := read(db, 10)
	require.NoError(t, err)
	require.Equal(t, "canary-new", mail)
}

func TestDomainsRequired(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create table app.loose (id int, secret text);
comment on column app.loose.secret is 'see the wiki. pganon:"encrypt" since 2024';
grant all on app.loose to {staff}`)
	db := w.open("cache_statement", driver.Config{Domains: "required"})
	w.proxy.Reset()
	for _, text := range []string{"INSERT INTO loose VALUES (1, $1)", "SELECT id FROM loose WHERE secret IS NULL AND $1 <> ''", "UPDATE loose SET secret = $1"} {
		_, err := db.ExecContext(w.as(w.staff), text, "canary")
		require.ErrorContains(t, err, "app.loose.secret", text)
		require.ErrorContains(t, err, "domain", text)
	}
	_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (email) VALUES ($1)", "canary@example.org")
	require.NoError(t, err)
	pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)

	var log logBuffer
	db = w.open("cache_statement", driver.Config{Logger: log.logger(0)})
	_, err = db.ExecContext(w.as(w.staff), "INSERT INTO loose VALUES (1, $1)", "canary")
	require.NoError(t, err)
	got, err := w.readAlone(db, "SELECT secret FROM loose")
	require.NoError(t, err)
	require.Equal(t, "canary", got)
	require.True(t, strings.HasPrefix(w.raw("select secret from app.loose"), "gAAAAAAB"))
	require.Contains(t, log.String(), "app.loose.secret", "what has no domain is listed")
	pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy, &log)
}

// Two keys in the ring: a random column is written under the first, read under both, and nothing of it is a search.
func TestTokenTwoKeysOfARandomColumn(t *testing.T) {
	w := newVaultWorld(t)
	first, second := fernet.GenerateKey(), fernet.GenerateKey()
	one, err := fernet.NewKeyring(first)
	require.NoError(t, err)
	both, err := fernet.NewKeyring(second, first)
	require.NoError(t, err)
	_, err = w.open("exec", driver.Config{Keys: one}).ExecContext(w.as(w.staff), "INSERT INTO users (name, ssn) VALUES ('old', $1)", "canary-1")
	require.NoError(t, err)
	for _, mode := range identityModes {
		db := w.open(mode, driver.Config{Keys: both})
		_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, ssn) VALUES ('new', $1)", "canary-2")
		require.NoError(t, err)
		for name, want := range map[string]string{"old": "canary-1", "new": "canary-2"} {
			got, err := w.readAlone(db, "SELECT ssn FROM users WHERE name = $1", name)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	require.Equal(t, second.ID().String(), w.raw("select min(substr(ssn, 9, 4)) from app.users where name = 'new'"))
	require.Equal(t, second.ID().String(), w.raw("select max(substr(ssn, 9, 4)) from app.users where name = 'new'"))
}

// A cancelled statement leaves nothing behind that the next one would trip over.
func TestEncryptCancelled(t *testing.T) {
	w := newVaultWorld(t)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			db.SetMaxOpenConns(2)
			w.exec("truncate app.users")
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (email, ssn) VALUES ($1, $2)", "canary@example.org", "canary")
			require.NoError(t, err)
			w.proxy.Reset()
			for range 3 {
				ctx, cancel := context.WithTimeout(w.as(w.staff), 30*time.Millisecond)
				rows, err := db.QueryContext(ctx, "SELECT email, pg_sleep(5) FROM users WHERE email = $1", "canary@example.org")
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
					_ = rows.Close()
				}
				cancel()
				require.Error(t, err)
				pganontest.AssertNoLeak(t, []string{"canary"}, err)
				done, cancel := context.WithCancel(w.as(w.staff))
				cancel()
				_, err = db.ExecContext(done, "UPDATE users SET ssn = $1", "canary-undone")
				require.ErrorIs(t, err, context.Canceled)
				got, err := w.readAlone(db, "SELECT ssn FROM users WHERE email = $1", "canary@example.org")
				require.NoError(t, err)
				require.Equal(t, "canary", got)
			}
			pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)
		})
	}
}

// Savepoints, failed transactions, and the identity of each statement in a transaction.
func TestEncryptTransactions(t *testing.T) {
	w := newVaultWorld(t)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("truncate app.users")
			db := w.open(mode, driver.Config{})
			tx, err := db.BeginTx(w.as(w.staff), nil)
			require.NoError(t, err)
			exec := func(code, text string, args ...any) {
				t.Helper()
				_, err := tx.Exec(text, args...)
				if code == "" {
					require.NoError(t, err, text)
					return
				}
				var of *pgconn.PgError
				require.ErrorAs(t, err, &of, text)
				require.Equal(t, code, of.Code, text)
				pganontest.AssertNoLeak(t, []string{"canary"}, err)
			}
			mail := func(ctx context.Context) any {
				t.Helper()
				var got any
				require.NoError(t, tx.QueryRowContext(ctx, "SELECT email FROM users ORDER BY id LIMIT 1").Scan(&got))
				return got
			}
			exec("", "INSERT INTO users (email) VALUES ($1)", "canary1@example.org")
			exec("", "SAVEPOINT a")
			exec("", "UPDATE users SET email = $1 WHERE email = $2", "canary2@example.org", "canary1@example.org")
			require.Equal(t, "canary2@example.org", mail(context.Background()))
			require.Nil(t, mail(w.as(w.masked)))
			require.Equal(t, "canary2@example.org", mail(w.as(w.staff)))
			exec("23505", "INSERT INTO users (email) VALUES ($1)", "canary2@example.org")
			exec("25P02", "INSERT INTO users (email) VALUES ($1)", "canary3@example.org")
			exec("25P02", "SELECT email FROM users WHERE email = 'canary'")
			exec("", "ROLLBACK TO SAVEPOINT a")
			require.Equal(t, "canary1@example.org", mail(context.Background()))
			exec("", "INSERT INTO users (email) VALUES ($1)", "canary4@example.org")
			_, err = tx.Exec("INSERT INTO users (email) VALUES ('canary')")
			require.ErrorContains(t, err, "literal assigned", "what is refused has not been sent, and the transaction goes on")
			exec("", "RELEASE SAVEPOINT a")
			st, err := tx.Prepare("SELECT count(*) FROM users WHERE email IN ($1, $2)")
			require.NoError(t, err)
			var n int
			for range 3 {
				require.NoError(t, st.QueryRow("canary1@example.org", "canary4@example.org").Scan(&n))
				require.Equal(t, 2, n)
			}
			require.NoError(t, st.Close())
			require.NoError(t, tx.Commit())
			got, err := w.readAlone(db, "SELECT count(*) FROM users WHERE email = ANY($1)", []string{"canary1@example.org", "canary4@example.org"})
			require.NoError(t, err)
			require.EqualValues(t, 2, got)
		})
	}
	pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)
}

// One prepared statement, and one connection, by identities in turn; one of them sees another table by the name.
func TestEncryptIdentitiesInTurn(t *testing.T) {
	w := newVaultWorld(t)
	other := w.db.Role("other")
	w.exec(`grant ` + other + ` to {login}; create schema twin; create table twin.users (id bigint, email text, ssn text);
insert into twin.users values (1, 'not encrypted', 'neither');
grant usage on schema twin to ` + other + `; grant select on twin.users to ` + other + `; alter role ` + other + ` set search_path = twin`)
	const canary = "c4n4ry@example.org"
	_, err := w.opened("exec").ExecContext(w.as(w.staff), "INSERT INTO users (email, ssn) VALUES ($1, $2)", canary, canary)
	require.NoError(t, err)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			const query = "SELECT email, ssn FROM users WHERE id > $1"
			st, err := db.PrepareContext(w.as(w.staff), query)
			require.NoError(t, err)
			defer st.Close()
			unasked, err := db.Prepare(query)
			require.NoError(t, err)
			defer unasked.Close()
			w.proxy.Reset()
			for round := range 4 {
				for _, row := range []struct {
					role        string
					email, ssn  any
					description string
				}{
					{w.staff, canary, canary, "staff"}, {w.masked, nil, nil, "masked"}, {other, "not encrypted", "neither", "other"},
					{w.staff, canary, canary, "staff again"}, {other, "not encrypted", "neither", "other again"}, {w.masked, nil, nil, "masked again"},
				} {
					for name, query := range map[string]func(context.Context) *sql.Row{
						"prepared":           func(ctx context.Context) *sql.Row { return st.QueryRowContext(ctx, 0) },
						"prepared as no one": func(ctx context.Context) *sql.Row { return unasked.QueryRowContext(ctx, 0) },
						"query":              func(ctx context.Context) *sql.Row { return db.QueryRowContext(ctx, query, 0) },
					} {
						var email, ssn any
						require.NoError(t, query(w.as(row.role)).Scan(&email, &ssn), "%s %s, round %d", row.description, name, round)
						require.Equal(t, []any{row.email, row.ssn}, []any{email, ssn}, "%s %s, round %d", row.description, name, round)
					}
				}
				_, err = db.ExecContext(w.as(w.masked), "SELECT 1 FROM users WHERE email = $1", canary)
				require.ErrorContains(t, err, "a masked role may not search it")
			}
			_, err = db.QueryContext(context.Background(), query, 0)
			require.ErrorIs(t, err, pganon.ErrNoIdentity)
			pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
		})
	}
}

// There are many ways to ask whether a value is in a column, and none for a masked role.
func TestMaskedSearches(t *testing.T) {
	w := newVaultWorld(t)
	const canary = "c4n4ry@example.org"
	db := w.open("cache_statement", driver.Config{})
	_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email) VALUES ('n', $1), ('m', $2)", canary, "m@example.org")
	require.NoError(t, err)
	for _, query := range []string{
		"SELECT name FROM users WHERE email = $1",
		"SELECT name FROM users WHERE email = COALESCE($1, email)",
		"SELECT name FROM users WHERE CASE WHEN id > 0 THEN $1 ELSE email END IN (SELECT email FROM users)",
		"SELECT name FROM users WHERE email IN (SELECT email FROM users WHERE false UNION ALL SELECT $1)",
		"SELECT name FROM users WHERE email = ANY(ARRAY(SELECT $1 UNION ALL SELECT email FROM users WHERE false))",
		"SELECT name FROM users WHERE NULLIF(email, COALESCE($1, email)) IS NULL",
		"SELECT name FROM users WHERE (name, email) = (name, COALESCE($1, email))",
		"SELECT name FROM users JOIN (SELECT $1 AS email UNION ALL SELECT email FROM users WHERE false) y USING (email)",
		"SELECT count(*) FROM (SELECT $1 INTERSECT SELECT email FROM users) x",
		"SELECT count(*) FROM (SELECT $1 UNION SELECT email FROM users) x",
		"WITH x AS (SELECT $1 AS e UNION ALL SELECT email FROM users) SELECT count(DISTINCT e) FROM x",
		"WITH x AS (SELECT $1 AS e UNION ALL SELECT email FROM users) SELECT count(*) FROM x GROUP BY e",
		"WITH x AS (SELECT $1 AS e UNION ALL SELECT email FROM users) SELECT count(*) OVER (PARTITION BY e) FROM x",
		"WITH x AS (SELECT $1 AS e UNION ALL SELECT email FROM users) SELECT DISTINCT ON (e) 1 FROM x",
	} {
		_, err := db.ExecContext(w.as(w.masked), query, canary)
		assert.ErrorContains(t, err, "a masked role may not search it", query)
		_, err = db.ExecContext(w.as(w.staff), query, canary)
		assert.NoError(t, err, query)
	}
	// Nor may it see the token of a value of its choice.
	const explained = "EXPLAIN (VERBOSE) SELECT $1 UNION ALL SELECT email FROM users"
	_, err = db.ExecContext(w.as(w.masked), explained, canary)
	require.ErrorContains(t, err, "a masked role may not explain")
	_, err = db.ExecContext(w.as(w.masked), "EXPLAIN SELECT email FROM users WHERE name = $1", "n")
	require.NoError(t, err)
	_, err = db.ExecContext(w.as(w.staff), explained, canary)
	require.NoError(t, err)
	pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
}

// What a call means is for the server to say, and what an array or a row has in it is neither encrypted nor decrypted.
func TestFunctionsThatCannotBeTold(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create function app.told(app.d_mail) returns text language sql as 'select ''mail''';
create function app.told(text) returns text language sql as 'select $1';
create function app.lower(app.d_mail) returns text language sql as 'select ''mail''';
create function app.upper(x app.d_mail) returns text language sql as 'select ''mail''';
create function app.kept(app.d_mail[]) returns int language sql as 'select array_length($1, 1)';
create function app.row_kept(app.users) returns bigint language sql as 'select ($1).id';
create function app.mails() returns app.d_mail[] language sql as 'select array_agg(email) from app.users';
create function app.anyone() returns app.users language sql as 'select * from app.users limit 1';
create function app.everyone(out u app.users, out n int) language sql as 'select u, 1 from app.users u limit 1'`)
	const canary = "c4n4ry@example.org"
	for _, mode := range identityModes {
		db := w.open(mode, driver.Config{})
		ctx := w.as(w.staff)
		_, err := db.ExecContext(ctx, "INSERT INTO users (email) VALUES ($1) ON CONFLICT DO NOTHING", canary)
		require.NoError(t, err)
		for query, want := range map[string]string{
			"SELECT told($1)":                                  "functions of that name differ",
			"SELECT lower($1)":                                 "functions of that name differ",
			"SELECT app.upper($1)":                             "",
			"SELECT pg_catalog.upper('x')":                     "",
			"SELECT kept(ARRAY[$1])":                           "its type holds encrypted values inside",
			"SELECT kept($1)":                                  "its type holds encrypted values inside",
			"SELECT row_kept(ROW(1, 'n', $1)::users)":          "its type holds encrypted values inside",
			"SELECT row_kept(u) FROM users u WHERE email = $1": "argument of row_kept()",
			"SELECT kept(NULL)":                                "",
			"SELECT mails()":                                   "column 1 of the result: its type holds encrypted values inside",
			"SELECT 1, mails() m FROM users":                   "column 2 of the result: its type holds encrypted values inside",
			"SELECT array_length(mails(), 1)":                  "",
			"SELECT anyone()":                                  "is a row with it",
			"SELECT u FROM everyone()":                         "column 1 of the result: its type holds encrypted values inside",
			"SELECT (SELECT array_agg(users) FROM users)":      "argument of array_agg()",
			"SELECT null::users":                               "column 1 of the result: its type holds encrypted values inside",
			"SELECT (anyone()).email, array_agg(email) FROM users GROUP BY 1": "",
		} {
			var args []any
			if strings.Contains(query, "$1") {
				args = []any{canary}
			}
			for _, ctx := range []context.Context{ctx, w.as(w.masked)} {
				rows, err := db.QueryContext(ctx, query, args...)
				if err == nil {
					err = rows.Close()
				}
				switch masked := strings.Contains(fmt.Sprint(err), "a masked role may not search it"); {
				case masked && len(args) > 0:
				case want == "":
					assert.NoError(t, err, "%s: %s", mode, query)
				default:
					assert.ErrorContains(t, err, want, "%s: %s", mode, query)
				}
			}
		}
	}
	pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
}
