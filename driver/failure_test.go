package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// failureWorld is a database with one table and a role that may use it.
type failureWorld struct {
	t     *testing.T
	db    *pganontest.DB
	proxy *pganontest.Proxy
	admin *pgx.Conn // not through the proxy
	role  string
}

func newFailureWorld(t *testing.T) *failureWorld {
	t.Helper()
	w := &failureWorld{t: t, db: pganontest.New(t)}
	w.proxy = w.db.Proxy()
	w.role = w.db.Role("failing")
	var err error
	w.admin, err = pgx.Connect(t.Context(), w.db.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.admin.Close(context.Background()) })
	w.exec(`create table plain(id int, big text);
create table parent(id int primary key);
create table child(id int references parent deferrable initially deferred);
create table uniq(id int unique deferrable initially deferred);
insert into uniq values (1);
create table late(id int);
create function late() returns trigger language plpgsql as $f$
begin
	raise exception 'late' using errcode = '40001';
end $f$;
create constraint trigger late after insert on late deferrable initially deferred for each row execute function late();
create table ssi(id int);
create sequence counter`)
	return w
}

// exec runs sql as the owner and lets the role use what it makes.
func (w *failureWorld) exec(sql string) {
	w.t.Helper()
	_, err := w.admin.Exec(context.Background(), sql+"; grant all on all tables in schema public to "+w.role+"; grant all on all sequences in schema public to "+w.role)
	require.NoError(w.t, err)
}

// open returns a handle of one connection, through the proxy.
func (w *failureWorld) open(t *testing.T, mode, more string) *sql.DB {
	t.Helper()
	return w.openWith(t, mode, more, driver.Config{})
}

func (w *failureWorld) openWith(t *testing.T, mode, more string, cfg driver.Config) *sql.DB {
	t.Helper()
	w.proxy.SetLatency(0)
	if cfg.ShouldPing == nil { // a ping of database/sql's own is not what the tests count
		cfg.ShouldPing = func(context.Context, stdlib.ShouldPingParams) bool { return false }
	}
	h, err := driver.Open(stressDSN(w.proxy.DSN(), mode)+more, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	h.SetMaxOpenConns(1)
	return h
}

// plain is the same on plain pgx.
func (w *failureWorld) plain(t *testing.T, mode string) *sql.DB {
	t.Helper()
	h, err := sql.Open("pgx", stressDSN(w.db.DSN(), mode))
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	h.SetMaxOpenConns(1)
	return h
}

func (w *failureWorld) as(ctx context.Context) context.Context {
	return pganon.WithIdentity(ctx, pganon.Identity{User: "u", Tenant: "a", Role: w.role})
}

func (w *failureWorld) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	require.NoError(t, w.admin.QueryRow(context.Background(), "select count(*) from "+table).Scan(&n))
	return n
}

// alive makes sure that h works, as the identity.
func (w *failureWorld) alive(t *testing.T, h *sql.DB) {
	t.Helper()
	var role, tenant string
	require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select current_user, current_setting('rls.tenant_id')").Scan(&role, &tenant))
	require.Equal(t, w.role, role)
	require.Equal(t, "a", tenant)
}

func (w *failureWorld) inModes(t *testing.T, run func(t *testing.T, mode string)) {
	for _, mode := range failureModes {
		t.Run(mode, func(t *testing.T) { run(t, mode) })
	}
}

var failureModes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

func requireSQLState(t *testing.T, code string, err error) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, code, pgErr.Code, "%v", err)
}

// failureForms are the ways in which a program can insert id into table.
var failureForms = []struct {
	name string
	run  func(ctx context.Context, h *sql.DB, table string, id int) error
}{
	{"exec", func(ctx context.Context, h *sql.DB, table string, id int) error {
		_, err := h.ExecContext(ctx, fmt.Sprintf("insert into %s(id) values (%d)", table, id))
		return err
	}},
	{"exec with arguments", func(ctx context.Context, h *sql.DB, table string, id int) error {
		_, err := h.ExecContext(ctx, "insert into "+table+"(id) values ($1)", id)
		return err
	}},
	{"row", func(ctx context.Context, h *sql.DB, table string, id int) error {
		return h.QueryRowContext(ctx, "insert into "+table+"(id) values ($1) returning id", id).Scan(&id)
	}},
	{"rows", func(ctx context.Context, h *sql.DB, table string, id int) error {
		rows, err := h.QueryContext(ctx, fmt.Sprintf("insert into %s(id) values (%d) returning id", table, id))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(&id); err != nil {
				return err
			}
		}
		return rows.Err()
	}},
	{"rows closed early", func(ctx context.Context, h *sql.DB, table string, id int) error {
		rows, err := h.QueryContext(ctx, "insert into "+table+"(id) values ($1) returning id", id)
		if err != nil {
			return err
		}
		return rows.Close()
	}},
	{"rows of no row", func(ctx context.Context, h *sql.DB, table string, id int) error {
		rows, err := h.QueryContext(ctx, "insert into "+table+"(id) values ($1)", id)
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		return rows.Err()
	}},
	{"prepared exec", func(ctx context.Context, h *sql.DB, table string, id int) error {
		stmt, err := h.PrepareContext(ctx, "insert into "+table+"(id) values ($1)")
		if err != nil {
			return err
		}
		defer stmt.Close()
		_, err = stmt.ExecContext(ctx, id)
		return err
	}},
	{"prepared query", func(ctx context.Context, h *sql.DB, table string, id int) error {
		stmt, err := h.PrepareContext(ctx, "insert into "+table+"(id) values ($1) returning id")
		if err != nil {
			return err
		}
		defer stmt.Close()
		return stmt.QueryRowContext(ctx, id).Scan(&id)
	}},
	{"several", func(ctx context.Context, h *sql.DB, table string, id int) error {
		_, err := h.ExecContext(ctx, fmt.Sprintf("select 1; insert into %s(id) values (%d); select 2", table, id))
		return err
	}},
	{"block", func(ctx context.Context, h *sql.DB, table string, id int) error {
		_, err := h.ExecContext(ctx, fmt.Sprintf("do $$ begin insert into %s(id) values (%d); end $$", table, id))
		return err
	}},
	{"transaction", func(ctx context.Context, h *sql.DB, table string, id int) error {
		tx, err := h.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Exec("insert into "+table+"(id) values ($1)", id); err != nil {
			return err
		}
		return tx.Commit()
	}},
}

// Errors that come at the Sync, after the statement's own result has said success.
func TestFailureDeferred(t *testing.T) {
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		for table, code := range map[string]string{"child": "23503", "uniq": "23505", "late": "40001"} {
			before := w.count(t, table)
			for _, form := range failureForms {
				for range 2 { // the second time without a description
					requireSQLState(t, code, form.run(w.as(t.Context()), h, table, 1))
				}
			}
			require.Equal(t, before, w.count(t, table))
			w.alive(t, h)
		}
		// The login role fails no less.
		system := pganon.System(t.Context(), "failure test")
		for _, form := range failureForms {
			requireSQLState(t, "23503", form.run(system, h, "child", 1))
		}
		require.Zero(t, w.count(t, "child"))
	})
}

// A serialization failure of a statement that is a transaction of its own.
func TestFailureSerializable(t *testing.T) {
	w := newFailureWorld(t)
	const text = `with read as materialized (select count(*) c from ssi), wait as materialized (select pg_advisory_xact_lock(7))
insert into ssi(id) select c from read, wait`
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "&default_transaction_isolation=serializable")
		other, err := pgx.Connect(t.Context(), w.db.DSN())
		require.NoError(t, err)
		defer other.Close(context.Background())
		for name, run := range map[string]func() error{
			"exec": func() error {
				_, err := h.ExecContext(w.as(context.Background()), text)
				return err
			},
			"row": func() error {
				var id int
				return h.QueryRowContext(w.as(context.Background()), text+" returning id").Scan(&id)
			},
		} {
			w.admin.Exec(t.Context(), "truncate ssi")
			_, err := other.Exec(t.Context(), "select pg_advisory_lock(7)")
			require.NoError(t, err)
			_, err = other.Exec(t.Context(), "begin isolation level serializable; select count(*) from ssi; insert into ssi values (100)")
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- run() }()
			require.Eventually(t, func() bool { return w.count(t, "pg_locks where locktype = 'advisory' and not granted") == 1 }, 10*time.Second, 2*time.Millisecond)
			_, err = other.Exec(t.Context(), "commit; select pg_advisory_unlock(7)")
			require.NoError(t, err)
			requireSQLState(t, "40001", <-done)
			require.Equal(t, 1, w.count(t, "ssi"), name)
			w.alive(t, h)
		}
	})
}

// An error in the middle of a result, and what the next statement finds.
func TestFailureMidResult(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		for range 2 {
			rows, err := h.QueryContext(w.as(t.Context()), "select 1/(5000 - g) from generate_series(1, 10000) g where g > $1", 0)
			require.NoError(t, err)
			n := 0
			for rows.Next() {
				n++
			}
			requireSQLState(t, "22012", rows.Err())
			require.Equal(t, 4999, n)
			require.NoError(t, rows.Close())
			w.alive(t, h)
		}
		// Closed before the error comes: it is the statement's all the same.
		rows, err := h.QueryContext(w.as(t.Context()), "select 1/(5000 - g) from generate_series(1, 10000) g where g > $1", 0)
		require.NoError(t, err)
		require.True(t, rows.Next())
		requireSQLState(t, "22012", rows.Close())
		w.alive(t, h)

		pid := func() (n int) {
			require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select pg_backend_pid()").Scan(&n))
			return n
		}
		before := pid()
		rows, err = h.QueryContext(w.as(t.Context()), "select g, repeat('x', 100), current_user from generate_series(1, 200000) g")
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Close())
		require.Equal(t, before, pid(), "a large result closed early costs the connection")
		w.alive(t, h)
	})
}

// The application, or a function that it calls, takes our statements off the session.
func TestFailureDeallocate(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	w.exec(`create function lose_all() returns void language plpgsql as $f$ begin execute 'deallocate all'; end $f$;
create function lose_one() returns void language plpgsql as $f$
declare n text;
begin
	for n in select name from pg_prepared_statements where statement like 'insert into plain%' loop execute format('deallocate %I', n); end loop;
end $f$`)
	system := pganon.System(t.Context(), "failure test")
	w.inModes(t, func(t *testing.T, mode string) {
		for _, test := range []struct {
			name, text string
			system     bool
			seen       bool // by the driver, which can tell from the text
		}{
			{"DEALLOCATE ALL", "deallocate all", false, true},
			{"DISCARD ALL of System", "discard all", true, true},
			{"DISCARD PLANS", "discard plans", false, true},
			{"DO", "do $$ begin execute 'deallocate all'; end $$", false, true},
			{"all in a function", "select lose_all()", false, false},
			{"one in a function", "select lose_one()", false, false},
		} {
			t.Run(test.name, func(t *testing.T) {
				h := w.open(t, mode, "")
				_, err := w.admin.Exec(t.Context(), "truncate plain")
				require.NoError(t, err)
				lose := func(q stressQueryer) {
					ctx := w.as(t.Context())
					if test.system {
						ctx = system
					}
					_, err := q.ExecContext(ctx, test.text)
					require.NoError(t, err)
				}
				const insert = "insert into plain(id) values ($1)"
				stmt, err := h.PrepareContext(w.as(t.Context()), insert)
				require.NoError(t, err)
				defer stmt.Close()
				n := 0
				for range 3 {
					_, err = h.ExecContext(w.as(t.Context()), insert, n)
					require.NoError(t, err)
					lose(h)
					_, err = h.ExecContext(w.as(t.Context()), insert, n)
					require.NoError(t, err)
					lose(h)
					_, err = stmt.ExecContext(w.as(t.Context()), n)
					require.NoError(t, err)
					n += 3
					require.Equal(t, n, w.count(t, "plain"), "each once")
					w.alive(t, h)
				}
				if test.system {
					return // DISCARD ALL cannot run in a transaction
				}
				tx, err := h.BeginTx(w.as(t.Context()), nil)
				require.NoError(t, err)
				_, err = tx.Exec(insert, n)
				require.NoError(t, err)
				lose(tx)
				_, err = tx.Exec(insert, n)
				if err != nil && !test.seen {
					requireSQLState(t, "26000", err)
					require.NoError(t, tx.Rollback())
				} else {
					require.NoError(t, err)
					require.NoError(t, tx.Commit())
					n += 2
				}
				require.Equal(t, n, w.count(t, "plain"))
				for range 2 {
					_, err = h.ExecContext(w.as(t.Context()), insert, n)
					require.NoError(t, err)
				}
				require.Equal(t, n+2, w.count(t, "plain"))
				w.alive(t, h)
			})
		}
	})
}

// One of our names, dropped below us.
func TestFailureDeallocateRaw(t *testing.T) {
	w := newFailureWorld(t)
	h := w.open(t, "cache_statement", "&pganon.raw=allow")
	const insert = "insert into plain(id) values ($1)"
	for round := range 3 {
		_, err := h.ExecContext(w.as(t.Context()), insert, 1)
		require.NoError(t, err)
		conn, err := h.Conn(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.Raw(func(c any) error {
			var name string
			pgxConn := c.(interface{ Conn() *pgx.Conn }).Conn()
			if err := pgxConn.QueryRow(t.Context(), "select name from pg_prepared_statements where statement like 'insert into plain%'", pgx.QueryExecModeExec).Scan(&name); err != nil {
				return err
			}
			_, err := pgxConn.Exec(t.Context(), "deallocate "+pgx.Identifier{name}.Sanitize())
			return err
		}))
		require.NoError(t, conn.Close())
		_, err = h.ExecContext(w.as(t.Context()), insert, 2)
		require.NoError(t, err)
		require.Equal(t, 2*(round+1), w.count(t, "plain"))
	}
	// An identity may not name them.
	_, err := h.ExecContext(w.as(t.Context()), `deallocate "pganon_x"`)
	require.Error(t, err)
	w.alive(t, h)
}

// What changes under a statement that is cached: as plain pgx, or better.
func TestFailureSchemaChanges(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	selects := func(ctx context.Context, h *sql.DB, stmt *sql.Stmt) error {
		var rows *sql.Rows
		var err error
		if stmt != nil {
			rows, err = stmt.QueryContext(ctx, 0)
		} else {
			rows, err = h.QueryContext(ctx, "select * from changing where a::text <> $1::int::text", 0)
		}
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		if want := w.count(t, "pg_attribute where attrelid = 'changing'::regclass and attnum > 0 and not attisdropped"); len(columns) != want {
			return fmt.Errorf("%d columns, want %d", len(columns), want)
		}
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		for rows.Next() {
			if err := rows.Scan(values...); err != nil {
				return err
			}
			for i, column := range columns {
				if got := fmt.Sprint(*values[i].(*any)); column == "a" && got != "1" && got != "7" {
					return fmt.Errorf("a is %s", got)
				}
			}
		}
		return rows.Err()
	}
	inserts := func(ctx context.Context, h *sql.DB, stmt *sql.Stmt) error {
		var err error
		if stmt != nil {
			_, err = stmt.ExecContext(ctx, "7")
		} else {
			_, err = h.ExecContext(ctx, "insert into changing(a) values ($1)", "7")
		}
		return err
	}
	for _, change := range []struct{ name, sql string }{
		{"add column", "alter table changing add column c text default 'c'"},
		{"drop column", "alter table changing drop column b"},
		{"other type", "alter table changing alter column a type text"},
		{"wider type", "alter table changing alter column a type int8"},
		{"same again", "drop table changing; create table changing(a int, b int); insert into changing values (1, 2)"},
		{"other again", "drop table changing; create table changing(b text, a text, c date); insert into changing values ('x', '1', now())"},
	} {
		t.Run(change.name, func(t *testing.T) {
			w.inModes(t, func(t *testing.T, mode string) {
				outcomes := func(ctx context.Context, open func() *sql.DB) []string {
					var all []string
					for what, run := range []func(context.Context, *sql.DB, *sql.Stmt) error{selects, inserts} {
						for _, prepared := range []bool{false, true} {
							w.exec("drop table if exists changing; create table changing(a int, b int); insert into changing values (1, 2)")
							h := open()
							var stmt *sql.Stmt
							if prepared {
								var err error
								stmt, err = h.PrepareContext(ctx, []string{"select * from changing where a::text <> $1::int::text", "insert into changing(a) values ($1)"}[what])
								require.NoError(t, err)
							}
							for range 2 {
								require.NoError(t, run(ctx, h, stmt))
							}
							w.exec(change.sql)
							for range 3 {
								outcome := "ok"
								if err := run(ctx, h, stmt); err != nil {
									outcome = "error"
									var pgErr *pgconn.PgError
									if errors.As(err, &pgErr) {
										outcome = pgErr.Code
									}
								}
								all = append(all, outcome)
							}
							if stmt != nil {
								require.NoError(t, stmt.Close())
							}
							require.NoError(t, h.Close())
						}
					}
					return all
				}
				want := outcomes(t.Context(), func() *sql.DB { return w.plain(t, mode) })
				got := outcomes(w.as(t.Context()), func() *sql.DB { return w.open(t, mode, "") })
				t.Log("pgx:   ", want)
				t.Log("pganon:", got)
				for i := range want {
					if got[i] != "ok" { // the SQLSTATE may differ
						assert.NotEqual(t, "ok", want[i], "outcome %d", i)
						assert.NotEqual(t, "error", got[i], "outcome %d", i)
					}
				}
			})
		})
	}
}

// In a transaction the error is reported, and the next transaction works.
func TestFailureCachedPlanInTransaction(t *testing.T) {
	w := newFailureWorld(t)
	h := w.open(t, "cache_statement", "")
	w.exec("create table changing(a int)")
	query := func(q stressQueryer) error {
		rows, err := q.QueryContext(w.as(t.Context()), "select * from changing")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	}
	for i := range 3 {
		require.NoError(t, query(h))
		w.exec(fmt.Sprintf("alter table changing add column c%d int", i))
		tx, err := h.BeginTx(w.as(t.Context()), nil)
		require.NoError(t, err)
		err = query(tx)
		requireSQLState(t, "0A000", err)
		requireSQLState(t, "25P02", query(tx))
		require.NoError(t, tx.Rollback())
		tx, err = h.BeginTx(w.as(t.Context()), nil)
		require.NoError(t, err)
		require.NoError(t, query(tx))
		require.NoError(t, tx.Commit())
	}
}

func TestFailureParameters(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	query := func(n int) (string, []any) {
		var text strings.Builder
		text.WriteString("select count(*) from plain where 1 in (")
		args := make([]any, n)
		for i := range args {
			if i > 0 {
				text.WriteString(",")
			}
			fmt.Fprintf(&text, "$%d::int", i+1)
			args[i] = i
		}
		return text.String() + ")", args
	}
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		var pid, again int
		require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select pg_backend_pid()").Scan(&pid))
		n := 1
		text, args := query(65536)
		_, plain := w.plain(t, mode).Exec(text, args...)
		w.proxy.Reset()
		err := h.QueryRowContext(w.as(t.Context()), text, args...).Scan(&n)
		if plain == nil {
			assert.NoError(t, err, "plain pgx can")
		} else {
			require.ErrorContains(t, err, "65535 parameters")
			require.Empty(t, w.proxy.Messages(), "refused before anything is sent")
			_, err = h.ExecContext(w.as(t.Context()), text, args...)
			require.ErrorContains(t, err, "65535 parameters")
			require.Empty(t, w.proxy.Messages())
		}
		require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select pg_backend_pid()").Scan(&again))
		require.Equal(t, pid, again)

		text, args = query(65535)
		require.NoError(t, h.QueryRowContext(w.as(t.Context()), text, args...).Scan(&n))
		require.Zero(t, n)
		w.alive(t, h)
	})
}

// A write that the server has done is never sent again, whenever the connection is lost.
func TestFailureSentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		for _, form := range failureForms {
			switch form.name {
			case "exec", "exec with arguments", "row", "prepared exec", "several", "block":
			default:
				continue
			}
			t.Run(form.name, func(t *testing.T) {
				for attempt := 1; ; attempt++ {
					h := w.open(t, mode, "")
					id := attempt * 10
					require.NoError(t, form.run(w.as(t.Context()), h, "plain", id)) // described from now on
					_, err := w.admin.Exec(t.Context(), "truncate plain")
					require.NoError(t, err)
					w.proxy.SetLatency(100 * time.Millisecond)
					done := make(chan error, 1)
					go func() { done <- form.run(w.as(context.Background()), h, "plain", id) }()
					require.Eventually(t, func() bool { return w.count(t, "plain") > 0 }, 10*time.Second, time.Millisecond)
					w.proxy.Cut() // the answer is on its way
					w.proxy.SetLatency(0)
					err = <-done
					time.Sleep(20 * time.Millisecond)
					require.Equal(t, 1, w.count(t, "plain"), "%v", err)
					if err == nil && attempt < 5 {
						continue // the cut came too late
					}
					require.Error(t, err)
					require.False(t, pgconn.SafeToRetry(err), "what sits above the driver must not send it again either: %v", err)
					w.alive(t, h)
					return
				}
			})
		}
	})
}

// A connection that was lost while it was idle: nothing has been sent, so database/sql takes another.
func TestFailureCutBefore(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		_, err := w.admin.Exec(t.Context(), "truncate plain")
		require.NoError(t, err)
		for i, form := range failureForms {
			w.alive(t, h)
			w.proxy.Cut()
			time.Sleep(10 * time.Millisecond)
			err := form.run(w.as(t.Context()), h, "plain", i)
			if err != nil && (strings.HasPrefix(form.name, "prepared") || form.name == "transaction") {
				// As on plain pgx, whose PrepareContext and BeginTx leave it to the caller.
				err = form.run(w.as(t.Context()), h, "plain", i)
			}
			require.NoError(t, err, form.name)
			require.Equal(t, i+1, w.count(t, "plain"))
		}
		w.proxy.Cut()
		time.Sleep(10 * time.Millisecond)
		if err := h.PingContext(t.Context()); err != nil { // as on plain pgx
			require.ErrorIs(t, err, sqldriver.ErrBadConn)
		}
		require.NoError(t, h.PingContext(t.Context()))
		tx, err := h.BeginTx(w.as(t.Context()), nil)
		require.NoError(t, err)
		_, err = tx.Exec("insert into plain(id) values (1)")
		require.NoError(t, err)
		w.proxy.Cut()
		time.Sleep(10 * time.Millisecond)
		// In a transaction nothing can be tried again.
		_, err = tx.Exec("insert into plain(id) values (1)")
		require.Error(t, err)
		require.Error(t, tx.Commit())
		require.Equal(t, len(failureForms), w.count(t, "plain"))
		w.alive(t, h)
	})
}

func TestFailureCutInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	big := strings.Repeat("x", 6<<20)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		_, err := h.ExecContext(w.as(t.Context()), "insert into plain(id, big) values ($1, $2)", 1, "x")
		require.NoError(t, err)
		_, err = w.admin.Exec(t.Context(), "truncate plain")
		require.NoError(t, err)
		w.proxy.Reset()
		done := make(chan error, 1)
		go func() {
			_, err := h.ExecContext(w.as(context.Background()), "insert into plain(id, big) values ($1, $2)", 1, big)
			done <- err
		}()
		for len(w.proxy.Sent()) < 1<<20 {
			time.Sleep(100 * time.Microsecond)
		}
		w.proxy.Cut()
		err = <-done
		time.Sleep(20 * time.Millisecond)
		n := w.count(t, "plain")
		t.Logf("%v; %d rows", err, n)
		if err == nil {
			require.Equal(t, 1, n) // the Sync had not left, so it was safe to send it again
		} else {
			require.LessOrEqual(t, n, 1)
		}
		w.proxy.Reset()
		w.alive(t, h)
	})
}

func TestFailureKilledBackend(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	kill := func(t *testing.T, h *sql.DB, ctx context.Context) {
		var pid int
		require.NoError(t, h.QueryRowContext(ctx, "select pg_backend_pid()").Scan(&pid))
		_, err := w.admin.Exec(t.Context(), "select pg_terminate_backend($1)", pid)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.count(t, fmt.Sprintf("pg_stat_activity where pid = %d", pid)) == 0 }, 10*time.Second, time.Millisecond)
		time.Sleep(5 * time.Millisecond)
	}
	w.inModes(t, func(t *testing.T, mode string) {
		// What plain pgx makes of it, without and with a ping before use.
		for _, ping := range []bool{false, true} {
			shouldPing := func(context.Context, stdlib.ShouldPingParams) bool { return ping }
			h := w.openWith(t, mode, "", driver.Config{ShouldPing: shouldPing})
			_, err := w.admin.Exec(t.Context(), "truncate plain")
			require.NoError(t, err)
			done := 0
			for i, form := range failureForms {
				kill(t, h, w.as(t.Context()))
				err := form.run(w.as(t.Context()), h, "plain", i)
				if err != nil {
					require.False(t, ping, "%s: %v", form.name, err)
					err = form.run(w.as(t.Context()), h, "plain", i)
				}
				require.NoError(t, err, form.name)
				done++
				require.Equal(t, done, w.count(t, "plain"), form.name)
				w.alive(t, h)
			}
		}
		h := w.open(t, mode, "")
		tx, err := h.BeginTx(w.as(t.Context()), nil)
		require.NoError(t, err)
		var pid int
		require.NoError(t, tx.QueryRow("select pg_backend_pid()").Scan(&pid))
		_, err = w.admin.Exec(t.Context(), "select pg_terminate_backend($1)", pid)
		require.NoError(t, err)
		_, err = tx.Exec("insert into plain(id) values (99)")
		require.Error(t, err)
		require.Error(t, tx.Commit())
		require.Zero(t, w.count(t, "plain where id = 99"))
		w.alive(t, h)

		// While a statement runs.
		conn, err := h.Conn(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.QueryRowContext(w.as(t.Context()), "select pg_backend_pid()").Scan(&pid))
		done := make(chan error, 1)
		go func() {
			_, err := conn.ExecContext(w.as(context.Background()), "select pg_sleep(30)")
			done <- err
		}()
		require.Eventually(t, func() bool {
			return w.count(t, fmt.Sprintf("pg_stat_activity where pid = %d and wait_event = 'PgSleep'", pid)) == 1
		}, 10*time.Second, time.Millisecond)
		_, err = w.admin.Exec(t.Context(), "select pg_terminate_backend($1)", pid)
		require.NoError(t, err)
		requireSQLState(t, "57P01", <-done)
		_ = conn.Close()
		w.alive(t, h)
	})
}

func TestFailureContext(t *testing.T) {
	t.Parallel()
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		w.alive(t, h)
		ctx, cancel := context.WithCancel(w.as(t.Context()))
		cancel()
		w.proxy.Reset()
		for _, form := range failureForms {
			require.ErrorIs(t, form.run(ctx, h, "plain", 1), context.Canceled, form.name)
		}
		require.ErrorIs(t, h.PingContext(ctx), context.Canceled)
		// Past database/sql, which looks at the context itself.
		conn, err := h.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		require.Empty(t, w.proxy.Messages(), "nothing is sent for a context that is done")
		w.alive2(t, conn)
		require.NoError(t, conn.Close())

		for _, form := range failureForms {
			switch form.name {
			case "exec with arguments", "row", "several", "transaction":
			default:
				continue
			}
			for _, after := range []time.Duration{8 * time.Millisecond, 35 * time.Millisecond, 50 * time.Millisecond} {
				_, err := w.admin.Exec(t.Context(), "truncate plain")
				require.NoError(t, err)
				w.alive(t, h)
				w.proxy.SetLatency(30 * time.Millisecond)
				ctx, cancel := context.WithTimeout(w.as(t.Context()), after)
				err = form.run(ctx, h, "plain", 1)
				cancel()
				w.proxy.SetLatency(0)
				if err != nil {
					require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone), "%s: %v", form.name, err)
				}
				time.Sleep(time.Millisecond)
				w.alive(t, h)
				n := w.count(t, "plain")
				if err == nil {
					require.Equal(t, 1, n, form.name)
				} else {
					require.LessOrEqual(t, n, 1, form.name)
				}
			}
		}
	})
}

func (w *failureWorld) alive2(t *testing.T, q stressQueryer) {
	t.Helper()
	var role string
	require.NoError(t, q.QueryRowContext(w.as(t.Context()), "select current_user").Scan(&role))
	require.Equal(t, w.role, role)
}

// The context ends at each stage of what takes several round trips.
func TestFailureContextAtEachStage(t *testing.T) {
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "")
		soon := func(run func(context.Context) error) {
			t.Helper()
			w.alive(t, h)
			w.proxy.SetLatency(60 * time.Millisecond)
			ctx, cancel := context.WithCancel(w.as(t.Context()))
			timer := time.AfterFunc(20*time.Millisecond, cancel)
			err := run(ctx)
			timer.Stop()
			cancel()
			w.proxy.SetLatency(0)
			require.ErrorIs(t, err, context.Canceled)
		}
		soon(func(ctx context.Context) error {
			_, err := h.BeginTx(ctx, nil)
			return err
		})
		if mode != "simple_protocol" { // which prepares nothing
			soon(func(ctx context.Context) error {
				stmt, err := h.PrepareContext(ctx, "select 'prepared'")
				if err == nil {
					_ = stmt.Close()
				}
				return err
			})
		}
		soon(func(ctx context.Context) error { // reading
			w.proxy.SetLatency(0)
			rows, err := h.QueryContext(ctx, "select g from generate_series(1, 10) g, pg_sleep(case when g = 1 then 0 else 0.02 end)")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		})
		soon(func(ctx context.Context) error { // committing
			w.proxy.SetLatency(0)
			own, cancel := context.WithCancel(w.as(t.Context()))
			defer cancel()
			tx, err := h.BeginTx(own, nil)
			if err != nil {
				return err
			}
			if _, err := tx.Exec("insert into plain(id) values (1)"); err != nil {
				return err
			}
			w.proxy.SetLatency(60 * time.Millisecond)
			time.AfterFunc(20*time.Millisecond, cancel)
			if err := tx.Commit(); err == nil {
				return errors.New("committed, though the context had ended")
			}
			return context.Canceled
		})
		w.alive(t, h)
	})
}

// A settings step that fails: the statement has not run, the connection has not gone.
func TestFailureSettingsStep(t *testing.T) {
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.openWith(t, mode, "", driver.Config{AllowSettings: []string{"statement_timeout", "lock_timeout"}})
		w.alive(t, h)
		var before, after, pid, again int
		require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select nextval('counter'), pg_backend_pid()").Scan(&before, &pid))
		with := func(timeout string) context.Context {
			return pganon.WithIdentity(t.Context(), pganon.Identity{Tenant: "a", Role: w.role, Settings: map[string]string{"statement_timeout": timeout}})
		}
		for _, text := range []string{"select nextval('counter')", "select nextval('counter'); select 1", "do $$ begin perform nextval('counter'); end $$"} {
			_, err := h.ExecContext(with("canary-timeout"), text)
			requireSQLState(t, "22023", err)
			require.ErrorContains(t, err, "statement_timeout")
			require.NotContains(t, err.Error(), "canary")
			if !strings.Contains(text, ";") {
				require.Error(t, h.QueryRowContext(with("canary-timeout"), text).Scan(&after))
			}
		}
		require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select nextval('counter'), pg_backend_pid()").Scan(&after, &again))
		require.Equal(t, before+1, after, "the statement did not run")
		require.Equal(t, pid, again)

		// The identity's timeout is that of its own statements.
		start := time.Now()
		_, err := h.ExecContext(with("40ms"), "select pg_sleep(20)")
		requireSQLState(t, "57014", err)
		require.Less(t, time.Since(start), 15*time.Second)
		_, err = h.ExecContext(w.as(t.Context()), "select pg_sleep(0.1)")
		require.NoError(t, err)
		tx, err := h.BeginTx(w.as(t.Context()), nil)
		require.NoError(t, err)
		var timeout string
		require.NoError(t, tx.QueryRowContext(with("7s"), "select current_setting('statement_timeout')").Scan(&timeout))
		require.Equal(t, "7s", timeout)
		require.NoError(t, tx.QueryRow("select current_setting('statement_timeout')").Scan(&timeout))
		require.Equal(t, "0", timeout)
		require.NoError(t, tx.Commit())
		w.alive(t, h)
	})
}

// Notices come between the answers of any step.
func TestFailureNotices(t *testing.T) {
	w := newFailureWorld(t)
	w.exec(`create function noisy(n int) returns int language plpgsql as $f$
begin
	for i in 1..n loop raise notice 'notice %', i; end loop;
	return n;
end $f$;
create table loud(id int);
create function loud() returns trigger language plpgsql as $f$ begin raise notice 'at the end'; return null; end $f$;
create constraint trigger loud after insert on loud deferrable initially deferred for each row execute function loud()`)
	w.inModes(t, func(t *testing.T, mode string) {
		var notices atomic.Int64
		h := w.openWith(t, mode, "", driver.Config{BeforeConnect: func(_ context.Context, config *pgx.ConnConfig) error {
			config.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { notices.Add(1) }
			return nil
		}})
		w.alive(t, h)
		for range 2 {
			notices.Store(0)
			var n int
			require.NoError(t, h.QueryRowContext(w.as(t.Context()), "select noisy($1)", 5).Scan(&n))
			require.Equal(t, 5, n)
			_, err := h.ExecContext(w.as(t.Context()), "select noisy(2); select noisy(3)")
			require.NoError(t, err)
			_, err = h.ExecContext(w.as(t.Context()), "do $$ begin perform noisy(4); end $$")
			require.NoError(t, err)
			_, err = h.ExecContext(w.as(t.Context()), "insert into loud values ($1)", 1)
			require.NoError(t, err)
			require.EqualValues(t, 5+2+3+4+1, notices.Load())
		}
		_, err := h.ExecContext(w.as(t.Context()), "drop table if exists nowhere") // a notice of the server's own
		require.NoError(t, err)
		w.alive(t, h)
	})
}

// The server goes down and comes back.
func TestFailureServerRestart(t *testing.T) {
	t.Parallel()
	server, err := pganontest.Start(t.Context(), pganontest.Config{})
	require.NoError(t, err)
	defer server.Close()
	if server.Provider() == "dsn" {
		t.Skip("the server of PGANON_TEST_DSN is not ours to take down")
	}
	h, err := driver.Open(server.DSN(), driver.Config{})
	require.NoError(t, err)
	defer h.Close()
	h.SetMaxOpenConns(3)
	ctx := pganon.WithIdentity(t.Context(), pganon.Identity{Tenant: "a"})
	_, err = h.ExecContext(pganon.System(t.Context(), "failure test"), "create table survivors(id int)")
	require.NoError(t, err)
	tx, err := h.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = tx.Exec("insert into survivors values (0)")
	require.NoError(t, err)
	var started, restarted time.Time
	require.NoError(t, h.QueryRowContext(ctx, "select backend_start from pg_stat_activity where backend_type = 'checkpointer'").Scan(&started))
	// A backend that is killed takes all of them down, and the server recovers as from a crash.
	admin, err := pgx.Connect(t.Context(), server.DSN())
	require.NoError(t, err)
	_, _ = admin.Exec(t.Context(), fmt.Sprintf("copy (select 1) to program 'kill -9 %d'", admin.PgConn().PID()))
	_ = admin.Close(t.Context())

	require.Eventually(t, func() bool { // the others are told a moment later
		_, err = tx.Exec("insert into survivors values (1)")
		return err != nil
	}, 10*time.Second, time.Millisecond)
	require.Error(t, tx.Commit())
	done := 0
	var failures []string
	require.Eventually(t, func() bool {
		var tenant string
		_, err := h.ExecContext(ctx, "insert into survivors values ($1)", 2)
		if err == nil {
			done++
			err = h.QueryRowContext(ctx, "select current_setting('rls.tenant_id')").Scan(&tenant)
		}
		if err != nil {
			failures = append(failures, err.Error())
			return false
		}
		return done >= 5 && assert.Equal(t, "a", tenant)
	}, 30*time.Second, 10*time.Millisecond)
	t.Log(failures)
	require.NoError(t, h.QueryRowContext(ctx, "select backend_start from pg_stat_activity where backend_type = 'checkpointer'").Scan(&restarted))
	require.True(t, restarted.After(started), "the server was to restart")
	var n int
	require.NoError(t, h.QueryRowContext(ctx, "select count(*) from survivors where id = 2").Scan(&n))
	require.Equal(t, done, n)
	require.NoError(t, h.QueryRowContext(ctx, "select count(*) from survivors where id <> 2").Scan(&n))
	require.Zero(t, n)
}

// parses are the Parse messages that the proxy has seen.
func (w *failureWorld) parses(t *testing.T) []pgproto3.Parse {
	t.Helper()
	var all []pgproto3.Parse
	for _, m := range w.proxy.Messages() {
		if m.Name() == "Parse" {
			var p pgproto3.Parse
			require.NoError(t, p.Decode(m.Body))
			all = append(all, p)
		}
	}
	return all
}

// What stands in Parse messages: a role's mark in the text of every named statement, and neither role nor values anywhere.
func TestFailureParseTexts(t *testing.T) {
	w := newFailureWorld(t)
	mark := regexp.MustCompile(`\n-- pganon:[0-9a-f]{16,}$`)
	second := w.db.Role("second_role")
	w.db.Exec("grant all on all tables in schema public to " + second)
	for _, mode := range failureModes[:4] {
		t.Run(mode, func(t *testing.T) {
			h := w.open(t, mode, "")
			w.proxy.Reset()
			texts := map[string]map[string]string{} // by text and role: name
			const insert, query = "insert into plain(id, big) values ($1, $2)", "select count(*) from plain where big = $1"
			for _, role := range []string{w.role, second} {
				ctx := pganon.WithIdentity(t.Context(), pganon.Identity{User: "canary-user", Tenant: "canary-tenant", Role: role, Settings: map[string]string{"region": "canary-region"}})
				w.alive(t, h)
				mine := len(w.parses(t))
				for range 2 {
					_, err := h.ExecContext(ctx, insert, 1, "canary-value")
					require.NoError(t, err)
					var n int
					require.NoError(t, h.QueryRowContext(ctx, query, "canary-value").Scan(&n))
				}
				stmt, err := h.PrepareContext(ctx, query)
				require.NoError(t, err)
				var n int
				require.NoError(t, stmt.QueryRowContext(ctx, "canary-value").Scan(&n))
				require.NoError(t, stmt.Close())
				tx, err := h.BeginTx(ctx, nil)
				require.NoError(t, err)
				_, err = tx.Exec(insert, 2, "canary-value")
				require.NoError(t, err)
				require.NoError(t, tx.Commit())
				_, err = h.ExecContext(ctx, "do $$ begin end $$")
				require.NoError(t, err)
				for _, p := range w.parses(t)[mine:] {
					for _, user := range []string{insert, query} {
						if !strings.HasPrefix(p.Query, user) {
							continue
						}
						if p.Name == "" {
							require.Equal(t, user, p.Query, "an unnamed text is as the application wrote it")
							continue
						}
						require.Regexp(t, mark, p.Query)
						require.Equal(t, user, mark.ReplaceAllString(p.Query, ""))
						if texts[p.Query] == nil {
							texts[p.Query] = map[string]string{}
						}
						texts[p.Query][role] = p.Name
					}
				}
			}
			names := map[string]bool{}
			for text, roles := range texts {
				require.Len(t, roles, 1, "two roles share the text %q", text)
				for _, name := range roles {
					require.False(t, names[name], "two texts share a name")
					names[name] = true
				}
			}
			switch mode {
			case "cache_statement":
				require.Len(t, texts, 4)
			case "describe_exec":
				require.Len(t, texts, 2, "the prepared one")
			}
			all := w.parses(t)
			require.NotEmpty(t, all)
			for _, p := range all {
				for _, secret := range []string{"canary", w.role, second} {
					require.NotContains(t, p.Query, secret)
					require.NotContains(t, p.Name, secret)
				}
			}
		})
	}
}

// ownStatements are the user statements that the session has, by their texts.
func (w *failureWorld) ownStatements(t *testing.T, q stressQueryer) (texts []string, settings int) {
	t.Helper()
	rows, err := q.QueryContext(pganon.System(t.Context(), "failure test"), "select name, statement from pg_prepared_statements where name <> '' order by 2", pgx.QueryExecModeExec)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name, text string
		require.NoError(t, rows.Scan(&name, &text))
		if strings.Contains(text, "set_config") {
			settings++
		} else {
			texts = append(texts, text)
		}
	}
	require.NoError(t, rows.Err())
	return texts, settings
}

// The statement cache's capacity counts per role, for up to four roles, and what falls out is closed on the way.
func TestFailureStatementCacheBound(t *testing.T) {
	w := newFailureWorld(t)
	h := w.open(t, "cache_statement", "&statement_cache_capacity=2")
	roles := make([]string, 6)
	for i := range roles {
		roles[i] = w.db.Role(fmt.Sprintf("cached_%d", i))
	}
	conn, err := h.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	const capacity, maxRoles = 2, 4
	as := func(role string) context.Context {
		return pganon.WithIdentity(t.Context(), pganon.Identity{Tenant: "a", Role: role})
	}
	run := func(role string, i int) int {
		w.proxy.Reset()
		var user string
		var n int
		require.NoError(t, conn.QueryRowContext(as(role), fmt.Sprintf("select current_user, $1::int + %d", i), 1).Scan(&user, &n))
		require.Equal(t, role, user)
		require.Equal(t, 1+i, n)
		return w.proxy.RoundTrips()
	}
	for round := range 5 {
		for _, role := range roles {
			for i := range 3 {
				if round == 0 {
					run(role, i)
					continue
				}
				require.Equal(t, 2, run(role, i), "a miss costs what it costs on plain pgx, the closing of others nothing")
				require.Equal(t, 1, run(role, i), "a hit")
			}
			texts, settings := w.ownStatements(t, conn)
			// What was dropped last is closed with the next statement.
			require.LessOrEqual(t, len(texts), maxRoles*capacity+capacity)
			require.LessOrEqual(t, settings, 2)
			texts, _ = w.ownStatements(t, conn)
			require.LessOrEqual(t, len(texts), maxRoles*capacity, "%q", texts)
		}
	}
	// One role keeps two texts, in the order of their use.
	run(roles[0], 0)
	run(roles[0], 1)
	require.Equal(t, 1, run(roles[0], 0))
	require.Equal(t, 2, run(roles[0], 2), "drops text 1")
	require.Equal(t, 1, run(roles[0], 0))
	require.Equal(t, 2, run(roles[0], 1))
	require.NoError(t, conn.Raw(func(c any) error {
		r := driver.RememberedBy(c)
		assert.LessOrEqual(t, r.Described, maxRoles*capacity)
		assert.LessOrEqual(t, r.Names, maxRoles*capacity)
		assert.LessOrEqual(t, r.Closing, capacity)
		return nil
	}))
}

func TestFailureStmtCloseFreesNames(t *testing.T) {
	w := newFailureWorld(t)
	for _, capacity := range []int{0, 2} {
		t.Run(fmt.Sprint("capacity ", capacity), func(t *testing.T) {
			h := w.open(t, "cache_statement", fmt.Sprint("&statement_cache_capacity=", capacity))
			conn, err := h.Conn(t.Context())
			require.NoError(t, err)
			defer conn.Close()
			var stmts []*sql.Stmt
			for i := range 10 {
				stmt, err := conn.PrepareContext(w.as(t.Context()), fmt.Sprint("select ", i))
				require.NoError(t, err)
				stmts = append(stmts, stmt)
			}
			texts, _ := w.ownStatements(t, conn)
			require.Len(t, texts, 10)
			for i, stmt := range stmts {
				w.proxy.Reset()
				var n int
				require.NoError(t, stmt.QueryRowContext(w.as(t.Context())).Scan(&n))
				require.Equal(t, i, n)
				require.Equal(t, 1, w.proxy.RoundTrips())
				w.proxy.Reset()
				require.NoError(t, stmt.Close())
				require.Zero(t, w.proxy.RoundTrips(), "closing rides along")
			}
			_, err = conn.ExecContext(w.as(t.Context()), "select 1")
			require.NoError(t, err)
			texts, _ = w.ownStatements(t, conn)
			require.LessOrEqual(t, len(texts), capacity+1, "%q", texts)
			// The same text twice: the name lives for as long as one of them.
			one, err := conn.PrepareContext(w.as(t.Context()), "select 42")
			require.NoError(t, err)
			two, err := conn.PrepareContext(w.as(t.Context()), "select 42")
			require.NoError(t, err)
			require.NoError(t, one.Close())
			_, err = conn.ExecContext(w.as(t.Context()), "select 1")
			require.NoError(t, err)
			tx, err := conn.BeginTx(w.as(t.Context()), nil)
			require.NoError(t, err)
			var n int
			require.NoError(t, tx.StmtContext(t.Context(), two).QueryRow().Scan(&n))
			require.Equal(t, 42, n)
			require.NoError(t, tx.Commit())
			require.NoError(t, two.Close())
		})
	}
}

// A connection does not grow with the texts that it has run.
func TestFailureMemory(t *testing.T) {
	w := newFailureWorld(t)
	w.inModes(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, "&statement_cache_capacity=16&description_cache_capacity=16")
		w.proxy.SetRecording(false)
		defer w.proxy.SetRecording(true)
		conn, err := h.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		distinct := 10_000
		if mode != "cache_statement" {
			distinct = driver.MaxTexts + 100
		}
		ctx := w.as(t.Context())
		for i := range distinct {
			var n int
			require.NoError(t, conn.QueryRowContext(ctx, fmt.Sprintf("select %d", i)).Scan(&n))
			require.Equal(t, i, n)
		}
		require.NoError(t, conn.Raw(func(c any) error {
			r := driver.RememberedBy(c)
			t.Logf("%+v", r)
			assert.LessOrEqual(t, r.Texts, driver.MaxTexts)
			assert.LessOrEqual(t, r.Described, 16)
			assert.LessOrEqual(t, r.Unnamed, 16)
			assert.LessOrEqual(t, r.Names, 16)
			assert.LessOrEqual(t, r.Closing, 1)
			assert.LessOrEqual(t, r.Shapes, 2)
			assert.Zero(t, r.Prepared)
			return nil
		}))
		texts, settings := w.ownStatements(t, conn)
		require.LessOrEqual(t, len(texts), 17)
		require.LessOrEqual(t, settings, 2)
	})
}
