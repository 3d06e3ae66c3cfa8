package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/redact"
)

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// pinned takes the handle's one connection.
func pinned(t *testing.T, h *sql.DB) *sql.Conn {
	t.Helper()
	c, err := h.Conn(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// simpleProtocolRefuses says whether pgx, or what splits texts, refuses to quote values for a session with such strings.
func simpleProtocolRefuses(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "standard_conforming_strings=on") || strings.Contains(err.Error(), "client_encoding=UTF8"))
}

var callModes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

// Names are resolved at Parse, with the USAGE on their schema of who parses. So a schema that one role alone may use shows
// who it was: a plan of that role's, handed to another, would go on working.
func TestParseRunsAsTheRole(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	const text = "select count(*) from keyhole.things where id > $1"
	count := func(ctx context.Context, q identityQuerier, text string, args ...any) error {
		var n int
		err := q.QueryRowContext(ctx, text, args...).Scan(&n)
		if err == nil {
			require.Equal(t, 2, n)
		}
		return err
	}
	// refused wants the server's refusal at parse analysis, and nothing else.
	refused := func(t *testing.T, err error) {
		t.Helper()
		require.Equal(t, "42501", sqlState(err), "%v", err)
		require.ErrorContains(t, redact.Unsafe(err), "keyhole")
	}
	tenant, other := w.as(w.tenant, "a"), w.as(w.other, "a")
	system := pganon.System(context.Background(), "test")
	nobody := context.Background()

	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Run("text", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			refused(t, count(system, h, text, 0))
			for range 3 { // first use, second use, and after the others' attempts
				refused(t, count(other, h, text, 0))
				require.NoError(t, count(tenant, h, text, 0))
				refused(t, count(system, h, text, 0))
				require.ErrorIs(t, count(nobody, h, text, 0), pganon.ErrNoIdentity)
				refused(t, count(pganon.Masked(pganon.MaskedAs(tenant, w.masked)), w.open(t, mode, driver.Config{MaskedRole: w.masked}), text, 0))
			}
			_, err := h.ExecContext(tenant, strings.ReplaceAll(text, "$1", "0"))
			require.NoError(t, err)
			_, err = h.ExecContext(other, strings.ReplaceAll(text, "$1", "0"))
			refused(t, err)
		})
		t.Run("per call", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			for range 2 {
				for _, call := range callModes {
					require.NoError(t, count(tenant, h, text, call, 0), call)
				}
				for _, call := range callModes {
					refused(t, count(other, h, text, call, 0))
					refused(t, count(system, h, text, call, 0))
				}
			}
		})
		t.Run("transaction", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			for _, first := range []context.Context{tenant, other} {
				tx, err := h.BeginTx(first, nil)
				require.NoError(t, err)
				_, err = tx.Exec("savepoint s")
				require.NoError(t, err)
				for range 2 {
					require.NoError(t, count(tenant, tx, text, 0))
					refused(t, count(other, tx, text, 0))
					_, err = tx.Exec("rollback to s")
					require.NoError(t, err)
					refused(t, count(system, tx, text, 0))
					_, err = tx.Exec("rollback to s")
					require.NoError(t, err)
				}
				require.NoError(t, tx.Rollback())
			}
		})
		t.Run("statement", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			run := func(ctx context.Context, st *sql.Stmt) error {
				var n int
				return st.QueryRowContext(ctx, 0).Scan(&n)
			}
			for name, ctx := range map[string]context.Context{"tenant": tenant, "nobody": nobody} {
				st, err := h.PrepareContext(ctx, text)
				require.NoError(t, err, name)
				for range 2 {
					require.NoError(t, run(tenant, st), name)
					refused(t, run(other, st))
					refused(t, run(system, st))
					require.ErrorIs(t, run(nobody, st), pganon.ErrNoIdentity)
				}
				tx, err := h.BeginTx(tenant, nil)
				require.NoError(t, err)
				require.NoError(t, run(nobody, tx.Stmt(st)), "as the transaction's identity")
				refused(t, run(other, tx.Stmt(st)))
				require.NoError(t, tx.Rollback())
				require.NoError(t, st.Close())
			}
			for name, ctx := range map[string]context.Context{"other": other, "system": system} {
				st, err := h.PrepareContext(ctx, text)
				if err != nil {
					refused(t, err)
					continue
				}
				refused(t, run(ctx, st))
				require.NoError(t, run(tenant, st), "prepared as %s", name)
				require.NoError(t, st.Close())
			}
		})
	})
}

// Through the registered driver, as most programs open it.
func TestParseRunsAsTheRoleByDSN(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	h, err := sql.Open("pganon", withKeys(w.proxy.DSNAs(w.login), "pganon.default_role="+w.other, "pganon.roles=keys:"+w.tenant))
	require.NoError(t, err)
	defer h.Close()
	h.SetMaxOpenConns(1)
	member := pganon.WithIdentity(context.Background(), pganon.Identity{User: "1", Groups: []string{"x", "keys"}})
	stranger := pganon.WithIdentity(context.Background(), pganon.Identity{User: "1", Groups: []string{"x", "key"}})
	for range 3 {
		var n int
		require.NoError(t, h.QueryRowContext(member, "select count(*) from keyhole.things").Scan(&n))
		require.Equal(t, "42501", sqlState(h.QueryRowContext(stranger, "select count(*) from keyhole.things").Scan(&n)))
	}
}

// shakers are statements that end what a statement before them has set, or replace it, or try to.
var shakers = []string{
	"rollback to s", "rollback to savepoint s", "release s", "savepoint s", "commit", "end", "commit and chain", "commit work and no chain",
	"rollback", "abort", "rollback and chain", "begin", "start transaction", "begin read write", "prepare transaction 'shaken'",
	"reset role", "set role none", "set local role none", "set session role none", "set role {other}", "set local role {other}",
	"set role {login}", "set role to default", "set role = 'none'", "reset all", "discard all", "discard plans", "discard temp", "deallocate all",
	"set session authorization default", "reset session authorization", "set local session authorization default",
	"set session authorization {login}", "set session_authorization = default",
	"select set_config('role', 'none', true)", "select set_config('role', 'none', false)", "select set_config('ROLE', '{other}', false)",
	"with x as materialized (select set_config('role', 'none', true)) select * from x",
	"with x as (insert into audit (what) values ('cte') returning set_config('role', 'none', false)) select * from x",
	"do $$ begin perform set_config('role', 'none', true); end $$", "do $$ begin perform set_config('role', 'none', false); end $$",
	"do $$ begin reset role; end $$", "do $$ begin execute 'set role {other}'; end $$", "do $$ begin set local role none; end $$",
	"do $$ begin perform shake(); exception when others then null; end $$",
	"select shake()", "select shake_local()", "call shaking()", "select shake() from generate_series(1, 3)",
	"set rls.tenant_id = 'b'", "set local rls.tenant_id = 'b'", "select set_config('rls.tenant_id', 'b', false)", "set rls.user_id to default",
	"reset rls.tenant_id", "set rls.region = 'left'", "select set_config('rls.region', 'left', true)",
	"set transaction read write", "set transaction isolation level serializable", "set transaction_read_only = off", "set constraints all immediate",
	"set session characteristics as transaction read write", "set default_transaction_read_only = off",
	"declare c cursor for select 1", "fetch c", "close c", "move c", "close all", "execute p", "prepare p as select set_config('role', 'none', true)",
	"deallocate p", "select 1/0", "nonsense", "select * from nothing", "lock table notes", "listen shaken", "unlisten *",
	"set search_path = keyhole, public", "set standard_conforming_strings = off", "set client_encoding = 'LATIN1'", "set escape_string_warning = off",
	"", ";", "/* */", "-- comment",
	// several commands
	"reset role; reset all", "commit; begin; reset role", "rollback; begin; set role none", "reset role; commit", "set role none; select shake()",
	"rollback and chain; set role none", "select 1; rollback to s", "select 1; select 1/0; reset role", "prepare transaction 'shaken'; reset role",
	"savepoint s; reset role; release s", "savepoint s; reset role; rollback to s", "commit and chain; select set_config('role', 'none', false)",
	"begin; begin; commit; commit", "end; start transaction read only; set transaction read write", "do $$ begin reset role; end $$; select 1",
	"set role none; nonsense", "abort; set session authorization default; begin", ";;reset role;;", "select 1; discard all", "vacuum", "select 1; vacuum",
}

func (w *identityWorld) withShakers() {
	w.exec(`
create function shake() returns int language plpgsql as $$ begin perform set_config('role', 'none', false); return 1; end $$;
create function shake_local() returns int language plpgsql as $$ begin reset role; set local role {other}; perform set_config('rls.tenant_id', 'b', true); return 1; end $$;
create procedure shaking() language plpgsql as $$ begin perform set_config('role', 'none', false); perform set_config('rls.tenant_id', 'b', false); end $$;
grant execute on all functions in schema public to public;
`)
}

// Whatever a statement does to the session or the transaction, the next one runs as its identity or fails.
func TestNothingShakesTheIdentityOff(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.withShakers()
	a, b := w.as(w.tenant, "a"), w.as(w.other, "b")
	// after wants the statement behind a shaker to run as its identity. A failed transaction may refuse it.
	after := func(t *testing.T, q identityQuerier, ctx context.Context, want, shaker string) {
		t.Helper()
		got, err := probeIdentity(ctx, q)
		if err != nil {
			if !simpleProtocolRefuses(err) {
				assert.Contains(t, []string{"25P02", "26000", "0A000"}, sqlState(err), "%q: %v", shaker, err)
			}
			return
		}
		assert.Equal(t, want, got, "%q", shaker)
	}
	asA, asB := w.tenant+"|u-a|a|", w.other+"|u-b|b|"
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		h := w.open(t, mode, driver.Config{})
		// From now on the connector knows of the setting, and blanks it for everyone else.
		_, err := h.ExecContext(pganon.WithIdentity(context.Background(), pganon.Identity{Role: w.tenant, Settings: map[string]string{"region": "eu"}}), "select 1")
		require.NoError(t, err)
		t.Run("transaction", func(t *testing.T) {
			for _, shaker := range shakers {
				shaker = w.sql(shaker)
				for _, ctx := range []context.Context{context.Background(), a} { // the transaction's identity, and the statement's
					tx, err := h.BeginTx(a, nil)
					require.NoError(t, err, shaker)
					after(t, tx, ctx, asA, "begin")
					_, err = tx.Exec("savepoint s")
					require.NoError(t, err)
					_, _ = tx.ExecContext(ctx, shaker)
					after(t, tx, ctx, asA, shaker)
					after(t, tx, b, asB, shaker)
					after(t, tx, ctx, asA, shaker)
					_, _ = tx.Exec("rollback to s")
					after(t, tx, b, asB, shaker)
					_ = tx.Rollback()
					after(t, h, a, asA, shaker)
				}
			}
		})
		t.Run("connection", func(t *testing.T) {
			for _, shaker := range shakers {
				shaker = w.sql(shaker)
				c, err := h.Conn(context.Background())
				require.NoError(t, err)
				after(t, c, b, asB, shaker)
				_, _ = c.ExecContext(a, shaker)
				after(t, c, a, asA, shaker)
				_, _ = c.ExecContext(a, shaker)
				after(t, c, b, asB, shaker)
				_, _ = c.ExecContext(a, "rollback")
				after(t, c, b, asB, shaker)
				require.NoError(t, c.Close())
			}
		})
		t.Run("rows", func(t *testing.T) { // by Query, and with rows left unread
			for _, shaker := range shakers {
				shaker = w.sql(shaker)
				tx, err := h.BeginTx(a, nil)
				require.NoError(t, err, shaker)
				rows, err := tx.Query(shaker)
				if err == nil {
					_ = rows.Close()
				}
				after(t, tx, a, asA, shaker)
				after(t, tx, b, asB, shaker)
				_ = tx.Rollback()
			}
		})
	})
	var who []string
	rows, err := w.open(t, "exec", driver.Config{}).QueryContext(a, "select who from audit")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var one string
		require.NoError(t, rows.Scan(&one))
		who = append(who, one)
	}
	require.NotContains(t, who, w.login)
}

// In a failed transaction settings cannot stand before what ends it. What comes behind that in the same text has them again.
func TestTextThatEndsAFailedTransaction(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a := w.as(w.tenant, "a")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for _, end := range []string{
			"rollback", "abort", "commit", "end", "rollback to s", "rollback and chain", "commit and chain", "prepare transaction 'failed'", "rollback work",
			"/* x */ rollback", "rollback to s; rollback", "rollback; rollback; begin; commit", "prepare transaction 'failed'; begin; commit",
			"begin; rollback", "rollback to nosuch; rollback",
		} {
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			_, err = tx.Exec("savepoint s")
			require.NoError(t, err)
			_, err = tx.Exec("select 1/0")
			require.Equal(t, "22012", sqlState(err))
			_, err = tx.Exec(end + "; insert into audit (what) values ('" + mode + "')")
			if err != nil {
				assert.Contains(t, []string{"25P02", "3B001", "25P01"}, sqlState(err), "%q: %v", end, err)
			}
			got, err := probeIdentity(a, tx)
			if err != nil {
				assert.Equal(t, "25P02", sqlState(err), "%q: %v", end, err)
			} else {
				assert.Equal(t, w.tenant+"|u-a|a|", got, end)
			}
			_, _ = tx.Exec("commit")
			_ = tx.Rollback()
			var wrong int
			require.NoError(t, h.QueryRowContext(a, "select count(*) from audit where who <> $1 or tenant <> 'a'", w.tenant).Scan(&wrong))
			assert.Zero(t, wrong, "%q", end)
			w.exec("delete from audit")
		}
	})
}

// A text whose commands cannot be told apart with certainty must not run, in no mode and in no state.
func TestTextThatCannotBeSplit(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a := w.as(w.tenant, "a")
	long := " -- " + strings.Repeat("x", 1<<20)
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for _, text := range []string{
			"select 1; reset role; insert into audit (what) values ('long');" + long,
			"rollback; insert into audit (what) values ('long');" + long,
			"begin; insert into audit (what) values ('long'); commit;" + long,
			"commit; insert into audit (what) values ('long');" + long,
			"reset role; insert into audit (what) values ('long');" + long,
			"vacuum; insert into audit (what) values ('long');" + long,
			"do $$ begin end $$; reset role; insert into audit (what) values ('long');" + long,
		} {
			short := text[:40]
			if mode != "simple_protocol" && mode != "cache_statement" && strings.HasPrefix(text, "commit") {
				continue
			}
			_, err := h.ExecContext(a, text)
			assert.Error(t, err, short)
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			_, err = tx.Exec(text)
			assert.Error(t, err, short)
			_ = tx.Rollback()
			tx, err = h.BeginTx(a, nil)
			require.NoError(t, err)
			_, _ = tx.Exec("select 1/0")
			_, err = tx.Exec(text)
			assert.Error(t, err, short)
			_ = tx.Rollback()
			rows, err := h.QueryContext(a, text)
			if err == nil {
				err = errors.Join(rows.Err(), rows.Close())
			}
			assert.Error(t, err, short)
			_, err = h.ExecContext(a, text, pgx.QueryExecModeSimpleProtocol)
			assert.Error(t, err, short)
		}
		var n int
		require.NoError(t, h.QueryRowContext(a, "select count(*) from audit where what = 'long'").Scan(&n))
		assert.Zero(t, n)
		w.exec("delete from audit")
		// One command is one command, however long.
		_, err := h.ExecContext(a, "select 1;"+strings.Repeat(" ", 1<<20))
		assert.NoError(t, err)
	})
}

// The session's statements are in the application's reach: PREPARE and DEALLOCATE take any name.
func TestStatementsOfOursCannotBeReplaced(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	victim := "select body from notes where id > $1 order by id limit 1"
	for _, mode := range []string{"cache_statement"} { // the others have no names of ours on the session
		for how, replace := range map[string]func(*sql.Conn, string, string) error{
			"commands": func(c *sql.Conn, name, prepare string) error {
				if _, err := c.ExecContext(a, fmt.Sprintf("deallocate %q", name)); err != nil {
					return err
				}
				_, err := c.ExecContext(a, prepare)
				return err
			},
			"one text": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("deallocate %q; %s", name, prepare))
				return err
			},
			"one text, spelt": func(c *sql.Conn, name, prepare string) error {
				spelt := `U&"\0070` + name[1:] + `"`
				_, err := c.ExecContext(a, fmt.Sprintf("select 1; deallocate %s; %s", spelt, strings.Replace(prepare, `"`+name+`"`, spelt, 1)))
				return err
			},
			"spelt": func(c *sql.Conn, name, prepare string) error {
				spelt := `U&"\0070` + name[1:] + `"`
				if _, err := c.ExecContext(a, "deallocate "+spelt); err != nil {
					return err
				}
				_, err := c.ExecContext(a, strings.Replace(prepare, `"`+name+`"`, spelt, 1))
				return err
			},
			"savepoint": func(c *sql.Conn, name, prepare string) error { // rolled back, but PREPARE is not transactional
				tx, err := c.BeginTx(a, nil)
				if err != nil {
					return err
				}
				_, err = tx.Exec(fmt.Sprintf("do $_$ begin execute %s; execute %s; end $_$", hidden("deallocate", name), hidden(prepare, "")))
				return errors.Join(err, tx.Rollback())
			},
			"failed block": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("do $_$ begin execute %s; execute %s; perform 1/0; end $_$", hidden("deallocate", name), hidden(prepare, "")))
				return err
			},
			"new function": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("create or replace function pg_temp.evil() returns void language plpgsql as $_$ begin execute %s; execute %s; end $_$", hidden("deallocate", name), hidden(prepare, "")))
				if err == nil {
					_, err = c.ExecContext(a, "select pg_temp.evil()")
				}
				return err
			},
			"function made by a block": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("do $o$ begin execute $e$create or replace function pg_temp.evil() returns void language plpgsql as $_$ begin execute %s; execute %s; end $_$ $e$; end $o$", hidden("deallocate", name), hidden(prepare, "")))
				if err == nil {
					_, err = c.ExecContext(a, "select 1") // the block's own epoch is over
				}
				if err == nil {
					_, err = c.ExecContext(a, "select pg_temp.evil()")
				}
				return err
			},
			"block": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("do $_$ begin execute %s; execute %s; end $_$", hidden("deallocate", name), hidden(prepare, "")))
				return err
			},
			"block, all": func(c *sql.Conn, _, prepare string) error {
				_, err := c.ExecContext(a, fmt.Sprintf("do $_$ begin execute 'deallocate all'; execute %s; end $_$", hidden(prepare, "")))
				return err
			},
			"procedure": func(c *sql.Conn, name, prepare string) error {
				_, err := c.ExecContext(a, "call replaces($1, $2)", name, prepare)
				return err
			},
		} {
			t.Run(mode+"/"+how, func(t *testing.T) {
				w.exec(`
create or replace procedure replaces(name text, prepare text) language plpgsql as $$ begin execute format('deallocate %I', name); execute prepare; end $$;
`)
				h := w.open(t, mode, driver.Config{})
				c := pinned(t, h)
				var body string
				for _, ctx := range []context.Context{a, b, a, b} {
					require.NoError(t, c.QueryRowContext(ctx, victim, 0).Scan(&body))
					w.is(t, ctx, c, w.tenant, map[bool]string{true: "a", false: "b"}[ctx == a])
				}
				rows, err := c.QueryContext(a, "select name, parameter_types::text, statement from pg_prepared_statements where name not like 'stmtcache%'")
				require.NoError(t, err)
				var names, types, texts []string
				for rows.Next() {
					var name, typ, text string
					require.NoError(t, rows.Scan(&name, &typ, &text))
					names, types, texts = append(names, name), append(types, typ), append(texts, text)
				}
				require.NoError(t, rows.Err())
				attacks := 0
				for i, name := range names {
					params := strings.Trim(types[i], "{}")
					answer := "select 0"
					if strings.HasPrefix(texts[i], victim) {
						answer = "select 'replaced'::text"
					}
					if params != "" {
						params = "(" + params + ")"
					}
					if err := replace(c, name, fmt.Sprintf("prepare %q%s as %s", name, params, answer)); err == nil {
						attacks++
					}
					for _, who := range []string{"a", "b"} {
						ctx := w.as(w.tenant, who)
						if got, err := probeIdentity(ctx, c); err == nil {
							assert.Equal(t, w.tenant+"|u-"+who+"|"+who+"|", got, "%s replaced: %s", name, texts[i])
						}
						if err := c.QueryRowContext(ctx, victim, 0).Scan(&body); err == nil && who == "b" {
							assert.Equal(t, "three", body, "%s replaced: %s", name, texts[i])
						}
					}
				}
				t.Logf("%d of %d attacks were not refused", attacks, len(names))
			})
		}
	}
}

// hidden is an expression for command and name in which the name cannot be read.
func hidden(command, name string) string {
	if name != "" {
		command += fmt.Sprintf(" %q", name)
	}
	return "replace($q$" + strings.ReplaceAll(command, "pganon", "pga~on") + "$q$, '~', 'n')"
}

// Before PostgreSQL 18 a DO or CALL that commits goes on in a transaction of its own, which has no settings.
func TestBlocksThatEndTheTransaction(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`
create procedure commits(n int default 0) language plpgsql as $$ begin
	insert into audit (what) values ('before'); commit; insert into audit (what) values ('after'); end $$;
create procedure gives(inout n int default 0) language plpgsql as $$ begin commit; insert into audit (what) values ('after'); n := 1; end $$;
create procedure rolls_back() language plpgsql as $$ begin rollback; insert into audit (what) values ('after'); end $$;
create procedure nested() language plpgsql as $$ begin call commits(); end $$;
create procedure writes() language plpgsql as $$ begin insert into audit (what) values ('within'); end $$;
grant execute on all procedures in schema public to public;
`)
	a := w.as(w.tenant, "a")
	masked := pganon.MaskedAs(a, w.masked)
	refused := []string{
		"do $$ begin insert into audit (what) values ('before'); commit; insert into audit (what) values ('after'); end $$",
		"do $$ begin commit; insert into audit (what) values ('after'); end $$",
		"do $$ begin rollback; insert into audit (what) values ('after'); end $$",
		"do $$ begin rollback and chain; insert into audit (what) values ('after'); end $$",
		"do $$ begin call commits(); end $$", "do $$ begin call rolls_back(); end $$",
		"do language plpgsql 'begin commit; insert into audit (what) values (''after''); end'",
		"/* a */ -- b\n do $$ begin commit; end $$", "DO $$ BEGIN COMMIT; END $$;", "\n;do $$ begin commit; insert into audit (what) values ('after'); end $$;",
		"call commits()", "call commits(1)", "call public.commits()", "call rolls_back()", "call nested()", "call gives()", " ( call commits() )", "call commits();",
		"select 1; call commits()", "call commits(); select 1", "call commits(); call commits()",
		"do $$ begin commit; end $$; insert into audit (what) values ('after')",
		"commit; do $$ begin commit; insert into audit (what) values ('after'); end $$", "begin; call commits()",
	}
	empty := func(t *testing.T, text string) {
		t.Helper()
		var n int
		require.NoError(t, w.open(t, "exec", driver.Config{}).QueryRowContext(a, "select count(*) from audit").Scan(&n))
		assert.Zero(t, n, "%q has written", text)
		if n > 0 {
			w.exec("delete from audit")
		}
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for who, ctx := range map[string]context.Context{"tenant": a, "masked": masked} {
			for _, text := range refused {
				_, err := h.ExecContext(ctx, text)
				assert.Error(t, err, "%s: %q", who, text)
				if who == "tenant" && !strings.HasPrefix(text, " (") {
					assert.Contains(t, []string{"2D000", "0A000"}, sqlState(err), "%s: %q: %v", who, text, err)
				}
				// The pool's connection is not left in a transaction, nor with the text's BEGIN.
				w.is(t, a, h, w.tenant, "a")
				if !strings.Contains(strings.Trim(text, ";\n"), "; ") || !strings.Contains(text, "select") {
					rows, err := h.QueryContext(ctx, text)
					if err == nil {
						for rows.Next() {
						}
						err = errors.Join(rows.Err(), rows.Close())
					}
					assert.Error(t, err, "%s: %q by Query", who, text)
				}
				if !strings.HasPrefix(text, "commit;") && !strings.HasPrefix(text, "begin;") {
					tx, err := h.BeginTx(ctx, nil)
					require.NoError(t, err)
					_, err = tx.Exec(text)
					assert.Error(t, err, "%s: %q in a transaction", who, text)
					_ = tx.Rollback()
					tx, err = h.BeginTx(a, nil) // a masked statement in a writable one
					require.NoError(t, err)
					_, err = tx.ExecContext(ctx, text)
					assert.Error(t, err, "%s: %q in a transaction", who, text)
					_ = tx.Rollback()
				}
			}
		}
		empty(t, "one of them")
		// Prepared, and with arguments.
		st, err := h.PrepareContext(a, "call gives($1)")
		if err == nil {
			_, err = st.ExecContext(a, 1)
			_ = st.Close()
		}
		assert.Error(t, err)
		var n int
		assert.Error(t, h.QueryRowContext(a, "call gives($1)", 1).Scan(&n))
		empty(t, "call with an argument")

		// One that swallows the refusal goes on as the identity.
		_, err = h.ExecContext(a, "do $$ begin begin commit; exception when others then null; end; insert into audit (what) values ('on'); end $$")
		require.NoError(t, err)
		_, err = h.ExecContext(masked, "do $$ begin begin commit; exception when others then null; end; insert into audit (what) values ('on'); end $$")
		assert.Equal(t, "25006", sqlState(err), "%v", err)
		_, err = h.ExecContext(a, "call writes()")
		require.NoError(t, err)
		_, err = h.ExecContext(masked, "call writes()")
		assert.Equal(t, "25006", sqlState(err), "%v", err)
		tx, err := h.BeginTx(a, nil)
		require.NoError(t, err)
		_, err = tx.Exec("call writes()")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		var all string
		require.NoError(t, h.QueryRowContext(a, "select string_agg(what || ' ' || who || ' ' || tenant, ', ' order by at) from audit").Scan(&all))
		assert.Equal(t, w.sql("on {tenant} a, within {tenant} a, within {tenant} a"), all)
		w.exec("delete from audit")

		// On purpose as the login role it commits, as on plain pgx.
		_, err = h.ExecContext(pganon.System(context.Background(), "test"), "do $$ begin insert into audit (what) values ('1'); commit; insert into audit (what) values ('2'); rollback; end $$")
		require.NoError(t, err)
		require.NoError(t, h.QueryRowContext(a, "select string_agg(what || ' ' || who || ' ' || tenant, ', ' order by at) from audit").Scan(&all))
		assert.Equal(t, w.sql("1 {login} "), all)
		w.exec("delete from audit")
	})
}

// Whatever one command of a text does to the role, the next one of the same text runs under the identity again.
func TestSeveralCommandsRunAsTheIdentity(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.withShakers()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	insert := "insert into audit (what) values ('%d')"
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for _, shaker := range shakers {
			shaker = w.sql(shaker)
			// An insert before, between and behind; a failure takes what is uncommitted along.
			text := fmt.Sprintf(insert+"; %s; "+insert+"; %s\n;"+insert, 1, shaker, 2, shaker, 3)
			for _, prefix := range []string{"", "begin; savepoint s; "} {
				if prefix != "" && mode != "simple_protocol" && mode != "cache_statement" {
					continue // a Query is a Query in every mode
				}
				c, err := h.Conn(context.Background())
				require.NoError(t, err)
				_, err = c.ExecContext(a, prefix+text)
				if err != nil {
					assert.NotEmpty(t, sqlState(err), "%q: %v", prefix+text, err)
				}
				if _, err = c.ExecContext(a, "commit"); err != nil { // in simple_protocol, without standard_conforming_strings
					_, _ = c.ExecContext(a, "rollback")
				}
				w.is(t, b, c, w.tenant, "b") // who cleans up behind a
				require.NoError(t, c.Close())
			}
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			_, _ = tx.Exec("savepoint s")
			_, _ = tx.Exec(text)
			_, _ = tx.Exec("commit")
			_ = tx.Rollback()
			w.is(t, b, h, w.tenant, "b")
			var wrong, n int
			require.NoError(t, h.QueryRowContext(a, "select count(*) filter (where who <> $1 or tenant <> 'a'), count(*) from audit", w.tenant).Scan(&wrong, &n))
			assert.Zero(t, wrong, "%q", shaker)
			w.exec("delete from audit")
		}
		// The settings' own results are taken out: what Exec tells is the last command's.
		result, err := h.ExecContext(a, "insert into audit (what) values ('1'); select 1; insert into audit (what) values ('2'), ('3')")
		require.NoError(t, err)
		n, err := result.RowsAffected()
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		w.exec("delete from audit")
	})
}

// Positions count characters of the user's text, as they do on plain pgx.
func TestSeveralCommandsErrorPositions(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := context.Background()
	w.exec("grant create on schema public to {tenant}")
	plain, err := pgx.Connect(ctx, w.db.DSN())
	require.NoError(t, err)
	defer plain.Close(ctx)
	a := w.as(w.tenant, "a")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for _, text := range []string{
			"select nothing; select 1", "select 1; select nothing", "select 1; select 1; select nothing; select 1",
			"select 1; selec 1", "selec 1; select 1", "select 1; select 1 1 1; select 1", "select 1; select * from nothing; select 1",
			"select 1;\n\n  select\n\tnothing", "select 1; -- comment; with semicolon\n select nothing", "select 1 /* a ; /* b */ ; */; select nothing /* c */",
			"select 'ä€😀'; select nothing", "select 'ä€😀', nothing; select 1", "select 1; select 'ä€😀', nothing", "select 1 as \"ä;€\"; select \"😀;😀\"",
			"-- ä€😀\nselect 1; -- 😀\nselect nothing", "select $$ a; b $$; select $ä$ ; $$ ; $ä$, nothing", "select $$;\n;$$; select $$ä$$ from nothing",
			"select E'\\';'; select nothing", "select U&'\\0041;' ; select nothing", "select 'a'\n'b;'; select nothing",
			"select 1; select 1 +", "select 1; select (1", "select 1; select 1)", "select 1; select '", "select 1; select $$", "select 1; /*",
			"select 1; select nosuch(1)", "select 1; select 1 + 'a'::date", "select 1; select 'x'::int", "select 1; select 1::nosuch",
			"select 1; create table x (a nosuch)", "select 1; insert into notes (nosuch) values (1)", "select 1; select 1 from notes n where m.id = 1",
			"select 1; select 1/0; select 1", "select 1; select nothing;", ";; select 1 ;; select nothing ;;", "select 1;select nothing", "select 1; select nothing--",
			"begin; select nothing; commit", "select 1; do $$ begin perform nothing; end $$", "select 1; do $$ begin nonsense; end $$",
			"select 1; do $$ begin execute 'select nothing'; end $$", "select 1; select 1 where nothing = 1 group by", "select 1; declare c cursor for select nothing",
			"select 1; prepare q as select nothing", "select 1; create function f() returns int language sql as 'select nothing'", "select 1; rollback to nosuch",
		} {
			_, err := plain.PgConn().Exec(ctx, text).ReadAll()
			_, _ = plain.Exec(ctx, "rollback")
			var want, got *pgconn.PgError
			require.ErrorAs(t, err, &want, "%q", text)
			_, err = h.ExecContext(a, text)
			if err == nil {
				assert.Fail(t, "no error", "%q, want %v", text, want)
				continue
			}
			if !errors.As(redact.Unsafe(err), &got) {
				// Refused before anything is sent, since the text cannot be split: the server would have found a syntax error.
				assert.Equal(t, "42601", want.Code, "%q: %v", text, err)
				assert.ErrorContains(t, err, "split", "%q", text)
				continue
			}
			assert.Equal(t, want.Code, got.Code, "%q: %v", text, err)
			assert.Equal(t, want.Position, got.Position, "%q: %s: %v", text, mode, err)
			assert.Equal(t, want.InternalPosition, got.InternalPosition, "%q", text)
			if !strings.HasSuffix(want.Message, "end of input") { // ours goes on, at the same position
				assert.Equal(t, want.Message, got.Message, "%q", text)
			}
			w.is(t, a, h, w.tenant, "a")
		}
	})
}

// One command is parsed by itself but in simple_protocol, where its settings stand before it in the same Query.
func TestOneCommandErrorPositions(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a := w.as(w.tenant, "a")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		for text, want := range map[string]int32{
			"select nothing": 8, "select 'ä', nothing": 13, "\n selec": 3, "select 1 +": 11, "-- 😀\nselect nothing": 13, "select nothing -- b": 8, "select nothing;": 8,
		} {
			_, err := h.ExecContext(a, text)
			var got *pgconn.PgError
			require.ErrorAs(t, err, &got, text)
			assert.Equal(t, want, got.Position, "%q", text)
		}
	})
}

// As GORM and other ORMs do: a savepoint per nested transaction, rolled back to when something has failed.
func TestNestedTransactions(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		tx, err := h.BeginTx(a, nil)
		require.NoError(t, err)
		do := func(ctx context.Context, text string, args ...any) error {
			_, err := tx.ExecContext(ctx, text, args...)
			return err
		}
		none := context.Background()
		require.NoError(t, do(none, "SAVEPOINT sp0xc000"))
		require.NoError(t, do(none, "insert into notes (body) values ($1)", "kept"))
		require.NoError(t, do(none, "SAVEPOINT sp1"))
		require.NoError(t, do(none, "insert into notes (body) values ($1)", "rolled back"))
		require.Equal(t, "22012", sqlState(do(none, "select 1/$1::int", 0)))
		require.Equal(t, "25P02", sqlState(do(none, "select 1")))
		require.NoError(t, do(none, "ROLLBACK TO SAVEPOINT sp1"))
		w.is(t, none, tx, w.tenant, "a")
		require.NoError(t, do(none, "insert into notes (body) values ($1)", "kept too"))
		require.NoError(t, do(b, "SAVEPOINT sp2"))
		require.NoError(t, do(b, "insert into notes (body) values ($1)", "of b"))
		require.Error(t, do(b, "insert into notes (tenant, body) values ($1, $2)", "a", "not of b"))
		require.NoError(t, do(b, "ROLLBACK TO SAVEPOINT sp2"))
		w.is(t, b, tx, w.tenant, "b")
		w.is(t, none, tx, w.tenant, "a")
		require.NoError(t, do(none, "RELEASE SAVEPOINT sp1"))
		// By arguments, prepared, and as Query.
		require.NoError(t, do(none, "SAVEPOINT sp3"))
		rows, err := tx.Query("select 1/0")
		if err == nil {
			rows.Next()
			err = errors.Join(rows.Err(), rows.Close())
		}
		require.Equal(t, "22012", sqlState(err))
		rows, err = tx.Query("ROLLBACK TO SAVEPOINT sp3")
		require.NoError(t, err)
		require.NoError(t, rows.Close())
		st, err := tx.Prepare("SAVEPOINT sp4")
		require.NoError(t, err)
		_, err = st.Exec()
		require.NoError(t, err)
		require.NoError(t, st.Close())
		require.Error(t, do(none, "nonsense"))
		require.NoError(t, do(none, "ROLLBACK TO SAVEPOINT sp4; insert into notes (body) values ('kept as well')"))
		w.is(t, none, tx, w.tenant, "a")
		require.NoError(t, tx.Commit())
		var bodies string
		require.NoError(t, h.QueryRowContext(a, "select string_agg(body, ', ' order by id) from notes where body like 'kept%'").Scan(&bodies))
		require.Equal(t, "kept, kept too, kept as well", bodies)
		var n int
		require.NoError(t, h.QueryRowContext(b, "select count(*) from notes where body = 'of b'").Scan(&n))
		require.Zero(t, n)
		w.exec("delete from notes where body like 'kept%'")
	})
}

// Deferred triggers run at COMMIT, as whoever is set then.
func TestDeferredTriggersRunAsTheTransactionsIdentity(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.withShakers()
	w.exec(`
create function note() returns trigger language plpgsql as $$ begin insert into audit (what) values ('fired for ' || new.body); return null; end $$;
create constraint trigger noted after insert on notes deferrable initially deferred for each row execute function note();
`)
	a, b := w.as(w.tenant, "a"), w.as(w.other, "b")
	none := context.Background()
	const insert = "insert into notes (body) values ('x')"
	// From version 18 on the role is the one that was set when the row was written. The settings are those of the end.
	byWriter := major(t, w.db) >= 18
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		fired := func(t *testing.T, want ...string) {
			t.Helper()
			var got string
			require.NoError(t, h.QueryRowContext(a, "select coalesce(string_agg(who || ' ' || tenant, ', ' order by at), '') from audit").Scan(&got))
			for i := range want {
				want[i] = w.sql(want[i])
			}
			assert.Equal(t, strings.Join(want, ", "), got)
			w.exec("delete from audit")
		}
		inTx := func(f func(tx *sql.Tx)) {
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			f(tx)
			_ = tx.Rollback()
		}
		ok := func(_ any, err error) { t.Helper(); require.NoError(t, err) }

		ok(h.ExecContext(a, insert)) // by itself
		fired(t, "{tenant} a")
		rows, err := h.QueryContext(a, insert+" returning id")
		require.NoError(t, err)
		require.NoError(t, rows.Close())
		fired(t, "{tenant} a")
		ok(h.ExecContext(a, "do $$ begin "+insert+"; end $$"))
		fired(t, "{tenant} a")
		ok(h.ExecContext(a, insert+"; reset role"))
		fired(t, "{tenant} a")
		ok(h.ExecContext(a, "begin; "+insert+"; reset role; commit"))
		fired(t, "{tenant} a")
		ok(h.ExecContext(a, insert+"; commit; "+insert+"; set rls.tenant_id = 'b'"))
		fired(t, "{tenant} a", "{tenant} a")

		for _, ctx := range []context.Context{none, a} {
			inTx(func(tx *sql.Tx) { ok(tx.ExecContext(ctx, insert)); require.NoError(t, tx.Commit()) })
			fired(t, "{tenant} a")
			for _, commit := range []string{"commit", "end", "commit and chain", "select 1; commit", "reset role; commit", "commit; select 1", "set constraints all immediate",
				"set constraints all immediate; reset role", "commit; begin; select 1", insert + "; select shake_local(); commit"} {
				inTx(func(tx *sql.Tx) {
					ok(tx.ExecContext(ctx, insert))
					ok(tx.ExecContext(ctx, commit))
					_, _ = tx.ExecContext(ctx, "commit")
				})
				want := []string{"{tenant} a"}
				if strings.HasPrefix(commit, insert) {
					want = append(want, "{tenant} a")
				}
				fired(t, want...)
			}
			for _, shaker := range []string{"reset role", "set role none", "select shake()", "select shake_local()", "set local role {other}", "set local rls.tenant_id = 'b'",
				"savepoint s; reset role; release s", "rollback to s", "reset all", "set session authorization default", "do $$ begin reset role; end $$"} {
				for _, commit := range []string{"", "commit", "select 1; end"} {
					inTx(func(tx *sql.Tx) {
						ok(tx.ExecContext(ctx, insert))
						ok(tx.Exec("savepoint s"))
						ok(tx.ExecContext(ctx, w.sql(shaker)))
						if commit == "" {
							require.NoError(t, tx.Commit())
						} else {
							ok(tx.ExecContext(ctx, commit))
						}
					})
					fired(t, "{tenant} a")
				}
			}
		}
		// Another identity in the transaction: it is still the transaction's that commits.
		inTx(func(tx *sql.Tx) {
			ok(tx.Exec(insert))
			ok(tx.ExecContext(b, "select 1"))
			require.NoError(t, tx.Commit())
		})
		fired(t, "{tenant} a")
		inTx(func(tx *sql.Tx) { ok(tx.ExecContext(b, insert)); require.NoError(t, tx.Commit()) })
		if byWriter {
			fired(t, "{other} a")
		} else {
			fired(t, "{tenant} a")
		}
		inTx(func(tx *sql.Tx) {
			ok(tx.Exec(insert))
			ok(tx.ExecContext(pganon.System(none, "test"), "select 1"))
			require.NoError(t, tx.Commit())
		})
		fired(t, "{tenant} a")

		// Without an identity of the transaction: whoever wrote in it, never the login role.
		for _, commit := range []context.Context{none, a} {
			c, err := h.Conn(none)
			require.NoError(t, err)
			ok(c.ExecContext(none, "begin"))
			ok(c.ExecContext(a, insert))
			ok(c.ExecContext(a, "reset role"))
			ok(c.ExecContext(commit, "commit"))
			require.NoError(t, c.Close())
			fired(t, "{tenant} a")
			tx, err := h.BeginTx(none, nil)
			require.NoError(t, err)
			ok(tx.ExecContext(a, insert))
			ok(tx.ExecContext(a, "reset role"))
			require.NoError(t, tx.Commit())
			fired(t, "{tenant} a")
			tx, err = h.BeginTx(none, nil)
			require.NoError(t, err)
			ok(tx.ExecContext(a, insert))
			ok(tx.ExecContext(a, "reset role; select 1"))
			ok(tx.ExecContext(commit, "commit"))
			require.NoError(t, tx.Rollback())
			fired(t, "{tenant} a")
		}
		w.exec("delete from notes where body = 'x'")
		w.exec("delete from audit")
	})
}

// Settings before these would make them fail.
func TestTransactionModes(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a := w.as(w.tenant, "a")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		show := func(q identityQuerier, what string) string {
			var s string
			require.NoError(t, q.QueryRowContext(a, "select current_setting('transaction_"+what+"')").Scan(&s))
			return s
		}
		for _, ctx := range []context.Context{a, context.Background()} {
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(ctx, "set transaction isolation level serializable, read only, deferrable")
			require.NoError(t, err)
			require.Equal(t, "serializable", show(tx, "isolation"))
			require.Equal(t, "on", show(tx, "read_only"))
			require.Equal(t, "on", show(tx, "deferrable"))
			w.is(t, ctx, tx, w.tenant, "a")
			require.NoError(t, tx.Rollback())

			tx, err = h.BeginTx(a, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
			require.NoError(t, err)
			require.Equal(t, "repeatable read", show(tx, "isolation"))
			require.Equal(t, "on", show(tx, "read_only"))
			_, err = tx.ExecContext(ctx, "insert into notes (body) values ('x')")
			require.Equal(t, "25006", sqlState(err))
			require.NoError(t, tx.Rollback())

			for _, begin := range []string{"begin isolation level serializable", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE;", "begin; set transaction isolation level serializable"} {
				if ctx != a && strings.Contains(begin, "; ") {
					continue // several commands need an identity
				}
				c, err := h.Conn(ctx)
				require.NoError(t, err)
				_, err = c.ExecContext(ctx, begin)
				require.NoError(t, err, begin)
				require.Equal(t, "serializable", show(c, "isolation"), begin)
				w.is(t, a, c, w.tenant, "a")
				_, err = c.ExecContext(ctx, "commit")
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}
			c, err := h.Conn(ctx)
			require.NoError(t, err)
			_, err = c.ExecContext(a, "begin transaction isolation level serializable; select 1; rollback; begin isolation level repeatable read; select 2")
			require.NoError(t, err)
			require.Equal(t, "repeatable read", show(c, "isolation"))
			_, err = c.ExecContext(a, "rollback")
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		for _, level := range []sql.IsolationLevel{sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSnapshot, sql.LevelSerializable} {
			tx, err := h.BeginTx(a, &sql.TxOptions{Isolation: level})
			require.NoError(t, err)
			want := strings.ToLower(level.String())
			if level == sql.LevelSnapshot {
				want = "repeatable read"
			}
			require.Equal(t, want, show(tx, "isolation"))
			require.NoError(t, tx.Commit())
		}
	})
}

// attackPieces are what a random attack is made of: whole commands, in the shakers' spirit, that are also put together to
// texts of several commands.
var attackPieces = append(slices.DeleteFunc(slices.Clone(shakers), func(s string) bool { return strings.Contains(s, ";") || s == "discard all" || s == "vacuum" }),
	"insert into audit (what) values ('attack')", "with w as (insert into audit (what) values ('attack') returning 1) select 1", "select ';'", "select 1 as \"a;b\"",
	"select $$;$$", "select $a$ $$ ; $a$", "select e'\\';'", "select /* ; /* ; */ */ 1", "select 1 -- ;\n", "do $_$ begin insert into audit (what) values ('attack'); end $_$",
	"do $$ begin insert into audit (what) values ('attack'); commit; insert into audit (what) values ('attack'); end $$",
	"create temp table notes (id int, tenant text)", "drop table if exists pg_temp.notes", "select count(*) from notes", "insert into notes (body) values ('attack')",
	"begin isolation level serializable", "savepoint t", "rollback to t", "release t", "set local role none", "declare h cursor with hold for select body from notes",
	"fetch all from h", "prepare q as insert into audit (what) values ('attack')", "execute q", "select pg_advisory_lock(7)", "explain analyze select shake()",
	"select shake_local() from notes", "truncate notes", "create schema attack", "select current_setting('rls.tenant_id')", "set rls.region = 'attack'",
)

// TestRandomAttack sends random sequences of statements, transaction control and savepoints on one connection, as random
// identities, and asks after each whether the connection still takes the next statement for its identity's.
// PGANON_ATTACK_SEED repeats one sequence; PGANON_ATTACK_PROBES says how many probes to make.
func TestRandomAttack(t *testing.T) {
	t.Parallel()
	probes := 20_500
	if s := os.Getenv("PGANON_ATTACK_PROBES"); s != "" {
		var err error
		probes, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	w := newIdentityWorld(t)
	w.withShakers()
	for i, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano()) + uint64(i)
			only := os.Getenv("PGANON_ATTACK_SEED")
			if only != "" {
				var err error
				seed, err = strconv.ParseUint(only, 10, 64)
				require.NoError(t, err)
			}
			h := w.open(t, mode, driver.Config{MaskedRole: w.masked})
			made, answered := 0, 0
			for made < probes/len(identityModes) {
				a := attack{w: w, t: t, h: h, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0))}
				a.run(40)
				made, answered = made+a.probes, answered+a.answered
				if t.Failed() || only != "" {
					break
				}
				seed++
			}
			t.Logf("%d probes, %d of them answered", made, answered)
			if only == "" && !t.Failed() {
				require.Greater(t, answered*10, made*6, "most probes must reach the server and be answered")
			}
			// What the attacks wrote bears the name of who sent it, whatever stood around it in its text.
			var wrong string
			require.NoError(t, w.owner.QueryRow(`select coalesce(string_agg(distinct what || ' by ' || who || ' of ' || tenant, ', '), '') from audit
				where (who, tenant) not in (($1, 'a'), ($1, 'b'), ($2, 'a'))`, w.tenant, w.other).Scan(&wrong))
			require.Empty(t, wrong)
		})
	}
}

type attack struct {
	w                *identityWorld
	t                *testing.T
	h                *sql.DB
	seed             uint64
	rnd              *rand.Rand
	c                *sql.Conn
	tx               *sql.Tx
	txWho            int
	done             []string
	probes, answered int
}

// attackers are the identities of an attack: a role, a tenant, a region, a context.
type attacker struct {
	ctx  context.Context
	want string
	// reads are the tenants whose notes it may see.
	reads    string
	writable bool
}

func (a *attack) attackers() []attacker {
	w := a.w
	id := func(role, tenant, region string) context.Context {
		settings := map[string]string{}
		if region != "" {
			settings["region"] = region
		}
		return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u-" + tenant, Tenant: tenant, Role: role, Settings: settings})
	}
	return []attacker{
		{id(w.tenant, "a", ""), w.tenant + "|u-a|a|", "a", true},
		{id(w.tenant, "b", "eu"), w.tenant + "|u-b|b|eu", "b", true},
		{id(w.other, "a", ""), w.other + "|u-a|a|", "a", true},
		{pganon.Masked(id(w.tenant, "a", "us")), w.masked + "|u-a|a|us", "ab", false},
	}
}

func (a *attack) q() identityQuerier {
	if a.tx != nil {
		return a.tx
	}
	return a.c
}

func (a *attack) run(steps int) {
	who := a.attackers()
	var err error
	a.c, err = a.h.Conn(context.Background())
	require.NoError(a.t, err)
	defer func() {
		if a.tx != nil {
			_ = a.tx.Rollback()
		}
		_, _ = a.c.ExecContext(who[0].ctx, "rollback")
		_ = a.c.Close()
	}()
	for range steps {
		i := a.rnd.IntN(len(who))
		a.step(who, i)
		if a.rnd.IntN(3) == 0 { // the next statement is another's
			i = a.rnd.IntN(len(who))
		}
		a.probe(who, i)
		if a.t.Failed() {
			a.t.Logf("PGANON_ATTACK_SEED=%d\n%s", a.seed, strings.Join(a.done, "\n"))
			return
		}
	}
}

func (a *attack) note(i int, format string, args ...any) {
	a.done = append(a.done, fmt.Sprintf("%d  %s", i, fmt.Sprintf(format, args...)))
}

func (a *attack) text() string {
	n := 1
	if a.rnd.IntN(4) == 0 {
		n = 2 + a.rnd.IntN(3)
	}
	var pieces []string
	for range n {
		pieces = append(pieces, attackPieces[a.rnd.IntN(len(attackPieces))])
	}
	return a.w.sql(strings.Join(pieces, ";"))
}

func (a *attack) step(who []attacker, i int) {
	ctx := who[i].ctx
	switch n := a.rnd.IntN(20); {
	case n == 0 && a.tx == nil:
		tx, err := a.c.BeginTx(ctx, nil)
		a.note(i, "BeginTx: %v", err)
		if err == nil {
			a.tx, a.txWho = tx, i
		}
	case n <= 1 && a.tx != nil:
		a.note(i, "Commit: %v", a.tx.Commit())
		a.tx = nil
	case n == 2 && a.tx != nil:
		a.note(i, "Rollback: %v", a.tx.Rollback())
		a.tx = nil
	case n == 3:
		text := a.text()
		rows, err := a.q().QueryContext(ctx, text)
		if err == nil {
			err = rows.Close()
		}
		a.note(i, "Query %q: %v", text, err)
	case n == 4:
		text := a.text()
		st, err := a.q().PrepareContext(ctx, text)
		if err == nil {
			_, err = st.ExecContext(who[a.rnd.IntN(len(who))].ctx)
			_ = st.Close()
		}
		a.note(i, "Prepare, Exec %q: %v", text, err)
	case n == 5:
		text := a.text()
		_, err := a.q().ExecContext(ctx, text, callModes[a.rnd.IntN(len(callModes))])
		a.note(i, "Exec in a mode %q: %v", text, err)
	case n == 6: // transaction control alone, also as nobody
		text := []string{"begin", "commit", "rollback", "savepoint s", "rollback to s", "release s", "commit and chain"}[a.rnd.IntN(7)]
		if a.rnd.IntN(2) == 0 {
			ctx = context.Background()
		}
		_, err := a.q().ExecContext(ctx, text)
		a.note(i, "Exec %q: %v", text, err)
	default:
		text := a.text()
		_, err := a.q().ExecContext(ctx, text)
		a.note(i, "Exec %q: %v", text, err)
	}
}

// attackProbes are ways to ask. The first column is what identityProbe tells, the second whose notes are seen.
var attackProbes = []string{
	identityProbe + `, (select coalesce(string_agg(distinct tenant, '' order by tenant), '') from public.notes)`,
	`with n as (select coalesce(string_agg(distinct tenant, '' order by tenant), '') as t from public.notes) ` + identityProbe + `, n.t from n where $1 = 1`,
}

func (a *attack) probe(who []attacker, i int) {
	ctx, want := who[i].ctx, who[i]
	if a.tx != nil && i == a.txWho && a.rnd.IntN(2) == 0 {
		ctx = context.Background() // the transaction's identity
	}
	var got, reads string
	var err error
	switch a.rnd.IntN(4) {
	case 0:
		err = a.q().QueryRowContext(ctx, attackProbes[1], 1).Scan(&got, &reads)
	case 1: // what it writes bears its name
		var role, tenant string
		reads = want.reads
		err = a.q().QueryRowContext(ctx, "insert into public.audit (what) values ('probe') returning who, tenant").Scan(&role, &tenant)
		if err == nil && !want.writable {
			assert.Fail(a.t, "a masked identity has written")
		}
		if fields := strings.Split(want.want, "|"); err == nil && role == fields[0] && tenant == fields[2] {
			got = want.want
		} else {
			got = role + "|" + tenant
		}
	default:
		err = a.q().QueryRowContext(ctx, attackProbes[0]).Scan(&got, &reads)
	}
	a.probes++
	if err != nil {
		// Refused is not wrong, as long as it is for a reason that the attack explains.
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) {
			if errors.Is(err, sql.ErrTxDone) || simpleProtocolRefuses(err) {
				a.unfail()
				return
			}
			assert.NoError(a.t, err)
			return
		}
		assert.Contains(a.t, []string{"25P02", "25006", "26000", "40001", "0A000"}, pgErr.Code, "%v", err)
		if pgErr.Code == "25006" && want.writable {
			// By BEGIN READ ONLY or a masked transaction, which a probe that writes may meet.
			return
		}
		if pgErr.Code == "25P02" {
			a.unfail()
		}
		return
	}
	a.answered++
	assert.Equal(a.t, want.want, got)
	for _, tenant := range reads {
		assert.Contains(a.t, want.reads, string(tenant), "notes of another tenant")
	}
}

// unfail makes the connection answer again.
func (a *attack) unfail() {
	if a.tx != nil {
		_ = a.tx.Rollback()
		a.tx = nil
	}
	_, _ = a.c.ExecContext(a.attackers()[0].ctx, "rollback")
	_, _ = a.c.ExecContext(a.attackers()[0].ctx, "reset all")
	a.note(0, "rollback; reset all")
}
