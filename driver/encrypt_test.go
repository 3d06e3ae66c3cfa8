package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

// A vaultWorld is a database with encrypted columns, a login without rights of its own, and roles of three kinds.
type vaultWorld struct {
	t     testing.TB
	db    *pganontest.DB
	proxy *pganontest.Proxy
	owner *sql.DB // plain pgx as the database's owner
	ring  *fernet.Keyring

	login, staff, masked string
	handles              map[string]*sql.DB // by mode: see opened
}

// domain writes the domain of a label by hand, as a migration would without this package.
func domain(name, base, label, options, start string) string {
	value, width := "VALUE", "octet_length(VALUE) >= 100 AND octet_length(VALUE) % 4 = 0"
	if base == "bytea" {
		value = "convert_from(VALUE, 'UTF8')"
	}
	return fmt.Sprintf(`create domain %s as %s check (%s AND left(%s, 8) = '%s' AND %s !~ '[^A-Za-z0-9_=-]');
comment on domain %s is 'pganon:"encrypt,key=%s%s"';
`, name, base, width, value, start, value, name, label, options)
}

func newVaultWorld(t testing.TB) *vaultWorld {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel() // it has a database of its own
	}
	db := pganontest.New(t)
	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	require.NoError(t, err)
	w := &vaultWorld{t: t, db: db, ring: ring}
	w.login = db.Role("login", "LOGIN NOINHERIT")
	w.staff = db.Role("staff")
	w.masked = db.Role("masked")
	w.owner, err = sql.Open("pgx", db.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.owner.Close() })
	w.exec(`grant {staff}, {masked} to {login};
comment on role {masked} is 'pganon:"masked"';
create schema app;
create schema crm;
` + domain("app.d_mail", "text", "mail", ",deterministic", "gAAAAAAA") +
		domain("app.d_ssn", "text", "ssn", "", "gAAAAAAB") +
		domain("app.d_balance", "text", "balance", ",type=numeric,mask=0", "gAAAAAAB") +
		domain("app.d_born", "text", "born", ",deterministic,type=date", "gAAAAAAA") +
		domain("app.d_seen", "text", "seen", ",type=timestamptz", "gAAAAAAB") +
		domain("app.d_flags", "text", "flags", ",type=int8", "gAAAAAAB") +
		domain("app.d_note", "text", "note", ",type=jsonb", "gAAAAAAB") +
		domain("app.d_photo", "bytea", "photo", "", "gAAAAAAB") +
		domain("app.d_active", "text", "active", ",type=bool", "gAAAAAAB") + `
create table app.users (
	id bigint generated always as identity primary key, name text, email app.d_mail unique, ssn app.d_ssn, born app.d_born,
	seen app.d_seen, balance app.d_balance, flags app.d_flags, note app.d_note, photo app.d_photo, active app.d_active);
create table app.orders (id bigint generated always as identity primary key, user_id bigint, email app.d_mail, note text);
create table app.logs (id bigint generated always as identity primary key, msg text);
create table crm.users (id bigint, email text, name text);
create view app.contacts as select id, name, email from app.users;
grant usage on schema app, crm to {staff}, {masked};
grant select, insert, update, delete on all tables in schema app, crm to {staff};
grant select on all tables in schema app, crm to {masked};
alter role {login} set search_path = app, public`)
	w.proxy = db.Proxy()
	return w
}

func (w *vaultWorld) sql(text string) string {
	return strings.NewReplacer("{login}", w.login, "{staff}", w.staff, "{masked}", w.masked, "{db}", w.db.Name()).Replace(text)
}

func (w *vaultWorld) exec(text string) {
	w.t.Helper()
	_, err := w.owner.Exec(w.sql(text))
	require.NoError(w.t, err)
}

// raw is what the database holds, as its owner sees it.
func (w *vaultWorld) raw(query string) string {
	w.t.Helper()
	var got sql.NullString
	require.NoError(w.t, w.owner.QueryRow(query).Scan(&got))
	if !got.Valid {
		return "NULL"
	}
	return got.String
}

func (w *vaultWorld) as(role string) context.Context {
	return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u", Role: role})
}

func (w *vaultWorld) open(mode string, cfg driver.Config) *sql.DB {
	w.t.Helper()
	if cfg.Keys == nil {
		cfg.Keys = w.ring
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := driver.Open(withKeys(w.proxy.DSNAs(w.login), "default_query_exec_mode="+mode), cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = h.Close() })
	h.SetMaxOpenConns(1)
	return h
}

func TestEncryptRoundTrip(t *testing.T) {
	w := newVaultWorld(t)
	for i, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			staff := w.as(w.staff)
			canary := fmt.Sprintf("canary%d", i)
			mail := canary + "@example.org"
			born := time.Date(1990, 1, 2+i, 0, 0, 0, 0, time.UTC)
			seen := time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)
			var id int64
			w.proxy.Reset()
			for round := range 3 {
				require.NoError(t, db.QueryRowContext(staff, `INSERT INTO users (name, email, ssn, born, seen, balance, flags, note, photo, active)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (email) DO UPDATE SET ssn = excluded.ssn RETURNING id`,
					"n", mail, canary+"-ssn", born, seen, "1234.50", int64(-7), `{"k": "`+canary+`"}`, []byte(canary+"\x00photo"), false).Scan(&id))
				var gotMail, gotSSN, gotBalance, gotNote string
				var gotBorn, gotSeen time.Time
				var gotFlags int64
				var gotPhoto []byte
				var gotActive bool
				require.NoError(t, db.QueryRowContext(staff, `SELECT email, ssn, born, seen, balance, flags, note, photo, active FROM users WHERE email = $1`, mail).
					Scan(&gotMail, &gotSSN, &gotBorn, &gotSeen, &gotBalance, &gotFlags, &gotNote, &gotPhoto, &gotActive), "round %d", round)
				require.Equal(t, mail, gotMail)
				require.Equal(t, canary+"-ssn", gotSSN)
				require.True(t, born.Equal(gotBorn))
				require.True(t, seen.Equal(gotSeen))
				require.Equal(t, "1234.50", gotBalance)
				require.EqualValues(t, -7, gotFlags)
				require.JSONEq(t, `{"k": "`+canary+`"}`, gotNote)
				require.Equal(t, []byte(canary+"\x00photo"), gotPhoto)
				require.False(t, gotActive)
			}
			var n int
			require.NoError(t, db.QueryRowContext(staff, "SELECT count(*) FROM users WHERE email IN ($1, $2) OR born = $3", mail, "nobody", born).Scan(&n))
			require.Equal(t, 1, n)
			require.NoError(t, db.QueryRowContext(staff, "SELECT count(*) FROM users WHERE email = ANY($1)", []string{mail, "x"}).Scan(&n))
			require.Equal(t, 1, n)
			require.NoError(t, db.QueryRowContext(staff, "SELECT count(*) FROM contacts WHERE email = $1", mail).Scan(&n))
			require.Equal(t, 1, n)

			st, err := db.PrepareContext(staff, "SELECT ssn FROM users WHERE email = $1")
			require.NoError(t, err)
			var ssn string
			for range 3 {
				require.NoError(t, st.QueryRowContext(staff, mail).Scan(&ssn))
				require.Equal(t, canary+"-ssn", ssn)
			}
			require.NoError(t, st.Close())

			tx, err := db.BeginTx(staff, nil)
			require.NoError(t, err)
			_, err = tx.Exec("UPDATE users SET ssn = $1 WHERE email = $2", canary+"-new", mail)
			require.NoError(t, err)
			require.NoError(t, tx.QueryRow("SELECT ssn FROM users WHERE email = $1", mail).Scan(&ssn))
			require.Equal(t, canary+"-new", ssn)
			require.NoError(t, tx.Rollback())

			_, err = db.ExecContext(staff, "UPDATE users SET note = $1, ssn = $2 WHERE email = $3", nil, "", mail)
			require.NoError(t, err)
			var note sql.NullString
			require.NoError(t, db.QueryRowContext(staff, "SELECT note, ssn FROM users WHERE email = $1", mail).Scan(&note, &ssn))
			require.False(t, note.Valid)
			require.Equal(t, "", ssn)

			pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
			token := w.raw("select ssn from app.users where id = " + fmt.Sprint(id))
			require.True(t, strings.HasPrefix(token, "gAAAAAAB"), token)
			require.Equal(t, "NULL", w.raw("select note from app.users where id = "+fmt.Sprint(id)))
		})
	}
}

func TestEncryptMasked(t *testing.T) {
	w := newVaultWorld(t)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email, balance) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", "n", "m@example.org", 5)
			require.NoError(t, err)
			for range 2 {
				var mail, balance sql.NullString
				require.NoError(t, db.QueryRowContext(w.as(w.masked), "SELECT email, balance FROM users").Scan(&mail, &balance))
				require.False(t, mail.Valid)
				require.Equal(t, sql.NullString{String: "0", Valid: true}, balance)
				require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT email, balance FROM users").Scan(&mail, &balance))
				require.Equal(t, "m@example.org", mail.String)
				require.Equal(t, "5", balance.String)
			}
			_, err = db.ExecContext(w.as(w.masked), "SELECT 1 FROM users WHERE email = $1", "m@example.org")
			require.ErrorContains(t, err, "masked")
			rows, err := db.QueryContext(w.as(w.masked), "SELECT email FROM contacts UNION SELECT email FROM orders")
			require.NoError(t, err)
			for rows.Next() {
				var mail sql.NullString
				require.NoError(t, rows.Scan(&mail))
				require.False(t, mail.Valid)
			}
			require.NoError(t, rows.Err())
		})
	}
}

// What is refused never reaches the server.
func TestEncryptRefused(t *testing.T) {
	w := newVaultWorld(t)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			pool := w.open(mode, driver.Config{})
			db, err := pool.Conn(context.Background()) // which is not pinged
			require.NoError(t, err)
			defer db.Close()
			var one int
			require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT count(*) FROM users").Scan(&one))
			for _, row := range []struct{ text, want string }{
				{"INSERT INTO users (email) VALUES ('canary')", "users.email: literal assigned"},
				{"SELECT id FROM users WHERE lower(email) = $1", "users.email"},
				{"SELECT id FROM users WHERE ssn = $1", "users.ssn"},
				{"UPDATE users SET name = email WHERE name = $1", "users.email: copied into users.name"},
				{"SELECT to_jsonb(u) FROM users u WHERE name = $1", "users.email"},
				{"DO $$ BEGIN INSERT INTO users (email) VALUES ('canary'); END $$", "encrypt statement"},
				{"SELECT 1; INSERT INTO users (email) VALUES ('canary')", "users.email: literal assigned"},
				{"INSERT INTO users (email) VALUES ($1 || 'canary')", "computation"},
				{"PREPARE x AS INSERT INTO users (email) VALUES ('canary')", "encrypt statement"},
				{"COPY users (email) FROM STDIN", "encrypt statement"},
			} {
				w.proxy.Reset()
				var args []any
				if strings.Contains(row.text, "$1") {
					args = []any{"canary"}
				}
				_, err := db.ExecContext(w.as(w.staff), row.text, args...)
				require.ErrorContains(t, err, row.want, row.text)
				require.Zero(t, w.proxy.RoundTrips(), "%s: %s", row.text, w.proxy.Messages())
				st, err := db.PrepareContext(w.as(w.staff), row.text)
				if err == nil {
					_, err = st.ExecContext(w.as(w.staff), args...)
					_ = st.Close()
				}
				require.Error(t, err, row.text)
				require.NotContains(t, err.Error(), "canary")
				require.NotContains(t, string(w.proxy.Sent()), "canary")
			}
		})
	}
}

func TestEncryptNamesThatMove(t *testing.T) {
	w := newVaultWorld(t)
	w.exec("create schema shadow; create table shadow.users (id bigint, email text, name text); grant usage on schema shadow to {staff}; grant all on shadow.users to {staff}")
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{AllowSettings: []string{"search_path"}})
			ctx := w.as(w.staff)
			insert := func(ctx context.Context, mail string) error {
				_, err := db.ExecContext(ctx, "INSERT INTO users (email) VALUES ($1)", mail)
				return err
			}
			mail := func(n int) string { return fmt.Sprintf("%s%d@example.org", mode, n) }
			require.NoError(t, insert(ctx, mail(1)))
			require.NoError(t, insert(ctx, mail(2)))

			// By a setting of the identity.
			other := pganon.WithIdentity(context.Background(), pganon.Identity{Role: w.staff, Settings: map[string]string{"search_path": "shadow"}})
			require.NoError(t, insert(other, mail(3)))
			require.Equal(t, mail(3), w.raw("select email from shadow.users"))

			// On the session, by the program.
			_, err := db.ExecContext(ctx, "SET search_path = shadow")
			require.NoError(t, err)
			require.NoError(t, insert(ctx, mail(4)))
			require.Equal(t, mail(4), w.raw("select max(email) from shadow.users"))
			_, err = db.ExecContext(ctx, "RESET search_path")
			require.NoError(t, err)
			require.NoError(t, insert(ctx, mail(5)))

			// Behind our back: another table takes its name.
			w.exec("alter table app.users rename to users_real; create table app.users (id bigint, email text, name text); grant all on app.users to {staff}")
			w.proxy.Reset()
			err = insert(ctx, mail(6))
			require.ErrorContains(t, err, "app.users.email")
			pganontest.AssertNoLeak(t, []string{mail(6)}, w.proxy, err)
			w.exec("drop table app.users; alter table app.users_real rename to users")
			require.Eventually(t, func() bool { return insert(ctx, mail(7)) == nil }, 3*time.Second, 100*time.Millisecond)
			require.True(t, strings.HasPrefix(w.raw("select min(email) from app.users"), "gAAAAAAA"))
			w.exec("delete from app.users; delete from shadow.users")
		})
	}
}

func TestEncryptInTransactionWithDDL(t *testing.T) {
	w := newVaultWorld(t)
	w.exec("grant create on schema app to {login}; grant usage on schema app to {login}")
	db := w.open("cache_statement", driver.Config{})
	ctx := pganon.System(context.Background(), "migration")
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	for _, text := range []string{
		domain("app.d_phone", "text", "phone", "", "gAAAAAAB"),
		"CREATE TABLE app.people (id int, phone app.d_phone)",
	} {
		_, err = tx.Exec(text)
		require.NoError(t, err)
	}
	w.proxy.Reset()
	_, err = tx.Exec("INSERT INTO app.people VALUES ($1, $2)", 1, "canary")
	require.NoError(t, err)
	var phone string
	require.NoError(t, tx.QueryRow("SELECT phone FROM app.people").Scan(&phone))
	require.Equal(t, "canary", phone)
	pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)
	require.NoError(t, tx.Commit())
	require.NoError(t, db.QueryRowContext(ctx, "SELECT phone FROM app.people").Scan(&phone))
	require.Equal(t, "canary", phone)
	require.True(t, strings.HasPrefix(w.raw("select phone from app.people"), "gAAAAAAB"))
}

// ROLLBACK TO and AND CHAIN take back what the transaction has changed of tables, tags and the search path.
func TestEncryptUndone(t *testing.T) {
	w := newVaultWorld(t)
	w.exec("alter table app.logs owner to {staff}; grant create on schema app to {staff}")
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("truncate app.logs, app.users, crm.users")
			tx, err := w.open(mode, driver.Config{}).BeginTx(w.as(w.staff), nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			do := func(query string, args ...any) {
				t.Helper()
				_, err := tx.Exec(query, args...)
				require.NoError(t, err, query)
			}
			n := 0
			undone := func(undo, what, query, before, after string) {
				t.Helper()
				n++
				do("SAVEPOINT s")
				do(what)
				do(query, fmt.Sprint(before, n))
				do(undo)
				do(query, fmt.Sprint(after, n))
			}
			stored := func(query string, args ...any) {
				t.Helper()
				var n int
				require.NoError(t, tx.QueryRow(query, args...).Scan(&n), query)
				require.Equal(t, 1, n, query)
			}
			const canary = "c4n4ry"
			for _, undo := range []string{"ROLLBACK TO s", "ROLLBACK AND CHAIN", "select 1; ROLLBACK TO s"} {
				undone(undo, `COMMENT ON COLUMN logs.msg IS 'pganon:"encrypt"'`, "INSERT INTO logs (msg) VALUES ($1)", canary, "plain")
				stored(fmt.Sprintf("SELECT count(*) FROM logs WHERE msg = 'plain%d'", n))
			}
			for _, undo := range []string{"ROLLBACK TO s", "ROLLBACK AND CHAIN", "COMMIT AND CHAIN", "select 1; COMMIT AND CHAIN"} {
				undone(undo, "SET LOCAL search_path = crm", "INSERT INTO users (email) VALUES ($1)", "plain", canary)
				stored("SELECT count(*) FROM users WHERE email = $1", fmt.Sprint(canary, n))
			}
			do("SET LOCAL search_path = crm")
			undone("ROLLBACK TO s", "SET LOCAL search_path = app", "INSERT INTO users (email) VALUES ($1)", canary, "plain")
			stored(fmt.Sprintf("SELECT count(*) FROM users WHERE email = 'plain%d'", n))
			require.NoError(t, tx.Commit())
			pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
		})
	}
}

func TestEncryptTemporaryTables(t *testing.T) {
	w := newVaultWorld(t)
	w.exec("grant temporary on database {db} to {staff}")
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			ctx := w.as(w.staff)
			_, err := db.ExecContext(ctx, "INSERT INTO users (name, email) VALUES ($1, $2)", "n", mode)
			require.NoError(t, err)
			check := func(q identityQuerier, name string) {
				t.Helper()
				var mail string
				require.NoError(t, q.QueryRowContext(ctx, "SELECT u.email FROM users u JOIN "+name+" w ON w.id = u.id WHERE u.email = $1", mode).Scan(&mail))
				require.Equal(t, mode, mail)
			}
			_, err = db.ExecContext(ctx, "CREATE TEMP TABLE wanted AS SELECT id FROM users")
			require.NoError(t, err)
			check(db, "wanted")
			tx, err := db.BeginTx(ctx, nil)
			require.NoError(t, err)
			_, err = tx.Exec("CREATE TEMPORARY TABLE wanted_too ON COMMIT DROP AS SELECT id FROM users")
			require.NoError(t, err)
			check(tx, "wanted_too")
			require.NoError(t, tx.Commit())
			check(db, "wanted")
		})
	}
}

func TestEncryptExplicit(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create function app.register(mail text) returns bigint language sql security definer set search_path = app as 'insert into users (email) values (mail) returning id';
grant execute on function app.register to {staff}`)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			w.proxy.Reset()
			var id int64
			require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT register($1)", hooks.Encrypted("app.users.email", "canary-"+mode)).Scan(&id))
			var mail string
			require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT email FROM users WHERE id = $1", id).Scan(&mail))
			require.Equal(t, "canary-"+mode, mail)
			require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT email FROM users WHERE email = $1", hooks.Encrypted("users.email", mail)).Scan(&mail))
			_, err := db.ExecContext(w.as(w.staff), "UPDATE users SET ssn = $1 WHERE id = $2", hooks.Encrypted("app.users.email", "canary"), id)
			require.ErrorContains(t, err, "ssn")
			_, err = db.ExecContext(w.as(w.staff), "INSERT INTO logs (msg) VALUES ($1)", hooks.Encrypted("app.users.nothing", "canary"))
			require.ErrorContains(t, err, "app.users.nothing")
			pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)

			token := w.raw(fmt.Sprintf("select email from app.users where id = %d", id))
			got, err := hooks.Decrypt(w.as(w.staff), db, "app.users.email", token)
			require.NoError(t, err)
			require.Equal(t, "canary-"+mode, got)
			got, err = hooks.Decrypt(w.as(w.masked), db, "app.users.email", token)
			require.NoError(t, err)
			require.Nil(t, got)
			_, err = hooks.Decrypt(w.as(w.staff), db, "app.users.ssn", token)
			require.Error(t, err)
		})
	}
}

// What a masked role may not search for it may not have encrypted by name either: a function would search for it.
func TestEncryptExplicitMasked(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(`create function app.lookup(mail text) returns bigint language sql security definer set search_path = app as 'select id from users where email = mail'`)
	mail := hooks.Encrypted("app.users.email", "c4n4ry")
	for _, mode := range identityModes {
		db := w.open(mode, driver.Config{})
		_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (email) VALUES ($1) ON CONFLICT DO NOTHING", mail)
		require.NoError(t, err)
		for _, query := range []string{"SELECT lookup($1)", "SELECT $1::text", "SELECT lookup($1) FROM users", "SELECT name FROM users WHERE id = lookup($1)"} {
			_, err := db.ExecContext(w.as(w.staff), query, mail)
			require.NoError(t, err, query)
			_, err = db.ExecContext(w.as(w.masked), query, mail)
			require.ErrorContains(t, err, "a masked role may not have a value encrypted by name", query)
			_, err = db.ExecContext(context.Background(), query, mail)
			require.ErrorIs(t, err, pganon.ErrNoIdentity, query)
		}
	}
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, w.proxy)
}

// A value of hooks.Encrypted that nothing encrypts is an error, not its description.
func TestEncryptExplicitElsewhere(t *testing.T) {
	w := newVaultWorld(t)
	explicit := hooks.Encrypted("app.users.email", "c4n4ry")
	for _, mode := range identityModes {
		db := w.open(mode, driver.Config{Interceptors: []sqlmw.Interceptor{sqlmw.NullInterceptor{}}})
		ctx := w.as(w.staff)
		const query = "SELECT count(*) FROM users WHERE email = $1"
		st, err := db.PrepareContext(ctx, query)
		require.NoError(t, err)
		var n int
		require.NoError(t, st.QueryRowContext(ctx, explicit).Scan(&n))
		require.NoError(t, db.QueryRowContext(ctx, query, explicit).Scan(&n))
		require.NoError(t, st.Close())
		for _, row := range []struct {
			query string
			arg   any
		}{
			{query, &explicit},
			{"INSERT INTO logs (msg) VALUES ($1)", &explicit},
			{"SELECT count(*) FROM users WHERE email = ANY($1)", []any{explicit}},
			{"INSERT INTO logs (msg) SELECT unnest($1::text[])", []any{explicit}},
			{"INSERT INTO logs (msg) VALUES ($1)", sql.Null[any]{V: explicit, Valid: true}},
			{"INSERT INTO logs (msg) VALUES ($1::jsonb::text)", map[string]any{"email": explicit}},
		} {
			_, err := db.ExecContext(ctx, row.query, row.arg)
			require.Error(t, err, row.query)
			pganontest.AssertNoLeak(t, []string{"c4n4ry"}, err)
		}
		conn, err := db.Conn(ctx)
		require.NoError(t, err)
		_, err = driver.CopyFrom(ctx, conn, pgx.Identifier{"orders"}, []string{"email"}, pgx.CopyFromRows([][]any{{explicit}}))
		require.ErrorContains(t, err, "pganon: encrypt $1 for app.orders.email: ")
		_, err = driver.CopyFrom(ctx, conn, pgx.Identifier{"logs"}, []string{"msg"}, pgx.CopyFromRows([][]any{{explicit}}))
		require.Error(t, err)
		require.NoError(t, conn.Close())
	}
	require.Equal(t, "0", w.raw("select (select count(*) from app.logs) + (select count(*) from app.orders)"))
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, w.proxy)
}

func TestEncryptCopyFrom(t *testing.T) {
	w := newVaultWorld(t)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			db := w.open(mode, driver.Config{})
			conn, err := db.Conn(context.Background())
			require.NoError(t, err)
			defer conn.Close()
			w.proxy.Reset()
			n, err := driver.CopyFrom(w.as(w.staff), conn, pgx.Identifier{"users"}, []string{"name", "email", "photo"}, pgx.CopyFromRows([][]any{
				{"a", "canary1" + mode, []byte("canary")}, {"b", nil, nil}, {"c", "canary2" + mode, []byte{}},
			}))
			require.NoError(t, err)
			require.EqualValues(t, 3, n)
			pganontest.AssertNoLeak(t, []string{"canary"}, w.proxy)
			var photo []byte
			require.NoError(t, conn.QueryRowContext(w.as(w.staff), "SELECT photo FROM users WHERE email = $1", "canary1"+mode).Scan(&photo))
			require.Equal(t, "canary", string(photo))
		})
	}
}
