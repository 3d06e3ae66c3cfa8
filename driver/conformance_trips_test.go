package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
)

// roundTripOps are what programs do again and again.
var roundTripOps = []struct {
	name string
	do   func(e *conformanceEnv, s *roundTripState) error
}{
	{"query", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "select id, name from item where id = $1", 1))
	}},
	{"query without arguments", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "select count(*) from item"))
	}},
	{"query without rows", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "select id from item where id = $1", -1))
	}},
	{"10,000 rows", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "select i, 'row ' || i from generate_series(1, $1::int) i", 10_000))
	}},
	{"rows closed early", func(e *conformanceEnv, s *roundTripState) error {
		rows, err := e.db.QueryContext(e.ctx, "select i from generate_series(1, $1::int) i", 100)
		if err != nil {
			return err
		}
		rows.Next()
		return rows.Close()
	}},
	{"one row", func(e *conformanceEnv, s *roundTripState) error {
		var name string
		return e.db.QueryRowContext(e.ctx, "select name from item where id = $1", 1).Scan(&name)
	}},
	{"exec", func(e *conformanceEnv, s *roundTripState) error {
		_, err := e.db.ExecContext(e.ctx, "update item set name = $1 where id = $2", "new", 1)
		return err
	}},
	{"exec without arguments", func(e *conformanceEnv, s *roundTripState) error {
		_, err := e.db.ExecContext(e.ctx, "update item set name = 'newer' where id = 1")
		return err
	}},
	{"exec of several commands", func(e *conformanceEnv, s *roundTripState) error {
		_, err := e.db.ExecContext(e.ctx, "update item set name = 'a' where id = 1; update item set name = 'b' where id = 2")
		return err
	}},
	{"returning", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "update item set name = $1 where id = 1 returning id", "x"))
	}},
	{"named arguments", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(e.db.QueryContext(e.ctx, "select name, @other::text from item where id = @id", pgx.NamedArgs{"id": 1, "other": "x"}))
	}},
	{"error when it runs", func(e *conformanceEnv, s *roundTripState) error {
		_, err := e.db.ExecContext(e.ctx, "insert into item values ($1, 'dup')", 1)
		return wanted(err)
	}},
	{"error when it is parsed", func(e *conformanceEnv, s *roundTripState) error {
		return wanted(readAll(e.db.QueryContext(e.ctx, "select nosuch from item where id = $1", 1)))
	}},
	{"do", func(e *conformanceEnv, s *roundTripState) error {
		_, err := e.db.ExecContext(e.ctx, "do $$ begin perform 1; end $$")
		return err
	}},
	{"prepare", func(e *conformanceEnv, s *roundTripState) (err error) {
		s.stmt, err = e.db.PrepareContext(e.ctx, "select name from item where id = $1 and true")
		return err
	}},
	{"prepared query", func(e *conformanceEnv, s *roundTripState) error {
		return readAll(s.stmt.QueryContext(e.ctx, 1))
	}},
	{"prepared exec", func(e *conformanceEnv, s *roundTripState) error {
		_, err := s.stmt.ExecContext(e.ctx, 1)
		return err
	}},
	{"close prepared", func(e *conformanceEnv, s *roundTripState) error { return s.stmt.Close() }},
	{"transaction of three", func(e *conformanceEnv, s *roundTripState) error {
		tx, err := e.db.BeginTx(e.ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(e.ctx, "insert into item values ($1, 'tx')", 100+s.round); err != nil {
			return err
		}
		if err := readAll(tx.QueryContext(e.ctx, "select id from item where name = $1", "tx")); err != nil {
			return err
		}
		if _, err := tx.ExecContext(e.ctx, "delete from item where id = $1", 100+s.round); err != nil {
			return err
		}
		return tx.Commit()
	}},
	{"transaction rolled back", func(e *conformanceEnv, s *roundTripState) error {
		tx, err := e.db.BeginTx(e.ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		if err := readAll(tx.QueryContext(e.ctx, "select id from item where name <> $1", "tx")); err != nil {
			return err
		}
		return tx.Rollback()
	}},
	{"nested transaction", func(e *conformanceEnv, s *roundTripState) error {
		tx, err := e.db.BeginTx(e.ctx, nil)
		if err != nil {
			return err
		}
		for _, text := range []string{"savepoint sp", "insert into item values (1, 'dup')", "rollback to savepoint sp", "delete from item where id = 99"} {
			if _, err := tx.ExecContext(e.ctx, text); err != nil && !strings.HasPrefix(text, "insert") {
				return err
			}
		}
		return tx.Commit()
	}},
	{"ping", func(e *conformanceEnv, s *roundTripState) error { return e.db.PingContext(e.ctx) }},
}

type roundTripState struct {
	stmt  *sql.Stmt
	round int
}

func readAll(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// wanted is nil for an error.
func wanted(err error) error {
	if err == nil {
		return fmt.Errorf("no error")
	}
	return nil
}

const roundTripRounds = 3

// roundTrips counts what each operation takes in its first, second and third use.
func roundTrips(t *testing.T, s *conformanceSite, v conformanceVariant, mode namedExecMode) [][roundTripRounds]int {
	e := &conformanceEnv{T: t, site: s, variant: v, mode: mode}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer e.end()
	e.ctx = e.scoped(ctx)
	e.setup("create table item(id int primary key, name text); insert into item values (1, 'one'), (2, 'two')")
	proxy := s.db.Proxy()
	e.db = e.open(handleOptions{proxy: proxy})
	require.NoError(t, e.db.PingContext(e.ctx)) // connects
	counts := make([][roundTripRounds]int, len(roundTripOps))
	state := &roundTripState{}
	for round := range roundTripRounds {
		state.round = round
		for i, op := range roundTripOps {
			proxy.Reset()
			require.NoError(t, op.do(e, state), op.name)
			counts[i][round] = proxy.RoundTrips()
		}
	}
	return counts
}

func TestConformanceRoundTrips(t *testing.T) {
	for _, mode := range execModes {
		t.Run(mode.dsn, func(t *testing.T) {
			t.Parallel()
			s := newConformanceSite(t)
			want := roundTrips(t, s, plainPgx(false), mode)
			var table strings.Builder
			for i, op := range roundTripOps {
				fmt.Fprintf(&table, "%-26s %v\n", op.name, want[i])
			}
			t.Logf("round trips of pgx in the first, second and third use\n%s", table.String())
			for _, v := range (&conformanceCase{}).variants(s, mode, false) {
				t.Run(v.name, func(t *testing.T) {
					got := roundTrips(t, s, v, mode)
					for i, op := range roundTripOps {
						if why := fewerTrips[op.name]; why != "" && v.name != noIdentity && v.name != plainOverInterceptor {
							for use := range got[i] {
								assert.LessOrEqual(t, got[i][use], want[i][use], "%s: %s", op.name, why)
							}
							continue
						}
						assert.Equal(t, want[i], got[i], op.name)
					}
				})
			}
			t.Run("alternating roles", func(t *testing.T) { alternatingRoles(t, s, mode) })
		})
	}
}

// fewerTrips are the operations that take fewer round trips than on plain pgx, with the reason.
var fewerTrips = map[string]string{
	"error when it runs":      "an error that cannot come from a stale description, such as that of a constraint, does not cost the statement",
	"error when it is parsed": "and there is nothing to take off the session before the next statement",
	"close prepared":          "what a driver.Stmt held is closed together with the next statement",
	"prepare":                 "in simple_protocol nothing is prepared, and a text that the connection knows is not prepared again",
}

// alternatingRoles counts what it takes when the identities on a connection alternate.
func alternatingRoles(t *testing.T, s *conformanceSite, mode namedExecMode) {
	second := s.db.Role("second")
	s.exec(t, fmt.Sprintf("grant %s to %s", second, s.login))
	e := &conformanceEnv{T: t, site: s, variant: conformanceVariant{name: withIdentity, asked: true}, mode: mode}
	defer e.end()
	e.setup("create table item(id int primary key, name text); insert into item values (1, 'one')")
	proxy := s.db.Proxy()
	e.db = e.open(handleOptions{proxy: proxy})
	query := func(i int) int {
		role := []string{s.member, second}[i%2]
		ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: fmt.Sprint("u", i%3), Tenant: fmt.Sprint("t", i), Role: role})
		proxy.Reset()
		var user, tenant string
		require.NoError(t, e.db.QueryRowContext(ctx, "select current_user, current_setting('rls.tenant_id') from item where id = $1", 1).Scan(&user, &tenant))
		require.Equal(t, role, user)
		require.Equal(t, fmt.Sprint("t", i), tenant)
		return proxy.RoundTrips()
	}
	for i := range 2 {
		query(i)
	}
	want := 1
	if mode.argument == pgx.QueryExecModeDescribeExec {
		want = 2
	}
	for i := range 8 {
		assert.Equal(t, want, query(i), "use %d", i)
	}
}
