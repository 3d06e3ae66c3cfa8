package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// encryptedTrips are what programs do to encrypted columns again and again.
var encryptedTrips = []struct {
	name string
	do   func(ctx context.Context, db *sql.DB, st *sql.Stmt, n int) error
}{
	{"insert", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		_, err := db.ExecContext(ctx, "INSERT INTO users (name, email, ssn) VALUES ($1, $2, $3)", "n", fmt.Sprint(n), "s")
		return err
	}},
	{"insert returning", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "INSERT INTO users (email, ssn) VALUES ($1, $2), ($3, $2) RETURNING id, email", fmt.Sprint("a", n), "s", fmt.Sprint("b", n)))
	}},
	{"upsert", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		_, err := db.ExecContext(ctx, "INSERT INTO users (email, ssn) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET ssn = excluded.ssn", "0", "s")
		return err
	}},
	{"query by value", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT id, email, ssn FROM users WHERE email = $1", "0"))
	}},
	{"query by list", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT email FROM users WHERE email = ANY($1) OR email IN ($2, $3)", []string{"0", "1"}, "2", "3"))
	}},
	{"all rows", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT * FROM users"))
	}},
	{"union", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT email FROM users UNION SELECT email FROM orders"))
	}},
	{"join", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT u.ssn FROM users u JOIN orders o ON o.email = u.email WHERE o.email <> $1", "0"))
	}},
	{"view", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT email FROM contacts WHERE email = $1", "0"))
	}},
	{"named arguments", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		return readAll(db.QueryContext(ctx, "SELECT ssn FROM users WHERE email = @mail", pgx.NamedArgs{"mail": "0"}))
	}},
	{"update", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		_, err := db.ExecContext(ctx, "UPDATE users SET ssn = $1 WHERE email = $2", "t", "0")
		return err
	}},
	{"prepared", func(ctx context.Context, db *sql.DB, st *sql.Stmt, n int) error {
		return readAll(st.QueryContext(ctx, "0"))
	}},
	{"a duplicate", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		_, err := db.ExecContext(ctx, "INSERT INTO orders (id, email) VALUES ($1, $2)", 1, "dup")
		return wanted(err)
	}},
	{"transaction", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET email = $1 WHERE email = $2", "moved", "0"); err != nil {
			return err
		}
		if err := readAll(tx.QueryContext(ctx, "SELECT email FROM users WHERE email = $1", "moved")); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET email = $1 WHERE email = $2", "0", "moved"); err != nil {
			return err
		}
		return tx.Commit()
	}},
	{"a table without tags", func(ctx context.Context, db *sql.DB, _ *sql.Stmt, n int) error {
		_, err := db.ExecContext(ctx, "INSERT INTO logs (msg) VALUES ($1)", "x")
		return err
	}},
}

// After its first use a statement on encrypted columns takes as many round trips as on plain pgx, for each of two identities in turn.
func TestEncryptRoundTrips(t *testing.T) {
	w := newVaultWorld(t)
	second := w.db.Role("second")
	w.exec(`grant ` + second + ` to {login}; grant usage on schema app to ` + second + `; grant all on all tables in schema app to ` + second + `;
create schema plain; create table plain.users (id bigint generated always as identity, name text, email text unique, ssn text);
create table plain.orders (id bigint primary key, email text); create table plain.logs (msg text); create view plain.contacts as select * from plain.users;
insert into plain.orders values (1, 'x')`)
	const rounds = 4
	count := func(db *sql.DB, proxy *pganontest.Proxy, ctx func(int) context.Context) (counts [][rounds]int) {
		t.Helper()
		st, err := db.PrepareContext(ctx(0), "SELECT email, ssn FROM users WHERE email = $1")
		require.NoError(t, err)
		defer st.Close()
		counts = make([][rounds]int, len(encryptedTrips))
		for round := range rounds {
			for i, op := range encryptedTrips {
				proxy.Reset()
				require.NoError(t, op.do(ctx(round), db, st, round), op.name)
				counts[i][round] = proxy.RoundTrips()
			}
		}
		return counts
	}
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("truncate app.users, app.orders, plain.users; insert into app.orders (id) overriding system value values (1)")
			plain, err := sql.Open("pgx", withKeys(w.proxy.DSN(), "search_path=plain", "default_query_exec_mode="+mode))
			require.NoError(t, err)
			defer plain.Close()
			plain.SetMaxOpenConns(1)
			want := count(plain, w.proxy, func(int) context.Context { return context.Background() })
			got := count(w.open(mode, driver.Config{}), w.proxy, func(round int) context.Context { return w.as([]string{w.staff, second}[round%2]) })
			for i, op := range encryptedTrips {
				for round := 2; round < rounds; round++ { // of either identity the second
					if op.name == "a duplicate" || op.name == "transaction" { // an error costs plain pgx its statement, and the next flight a Close
						assert.LessOrEqual(t, got[i][round], want[i][round], op.name)
						continue
					}
					assert.Equal(t, want[i][round], got[i][round], "%s, use %d", op.name, round+1)
				}
				assert.LessOrEqual(t, got[i][0], want[i][0]+3, "%s: the first use", op.name)
			}
		})
	}
}

// BenchmarkPlanAgain is what a statement costs on its way whose plan is known, and one that names no encrypted table.
func BenchmarkPlanAgain(b *testing.B) {
	w := newVaultWorld(b)
	db := w.open("cache_statement", driver.Config{Raw: "allow"})
	ctx := w.as(w.staff)
	for _, query := range []string{"SELECT id, name, email, ssn, born FROM users WHERE name = 'x' ORDER BY id", "SELECT id, msg FROM logs ORDER BY id"} {
		b.Run(query, func(b *testing.B) {
			_, err := db.ExecContext(ctx, query)
			require.NoError(b, err)
			conn, err := db.Conn(ctx)
			require.NoError(b, err)
			defer conn.Close()
			require.NoError(b, conn.Raw(func(c any) error {
				b.ReportAllocs()
				for b.Loop() {
					if err := driver.PlanAgain(ctx, c, query); err != nil {
						return err
					}
				}
				return nil
			}))
		})
	}
}
