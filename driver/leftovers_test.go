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
	"github.com/pganon/pganon/driver"
)

// leftover is something that an application can leave on a session, and a way to see it.
type leftover struct {
	name  string
	leave []string
	// see is a query whose answer is true for who has left it. One that fails says false.
	see string
}

var leftovers = []leftover{
	{"with hold cursor", []string{"declare held cursor with hold for select body from notes order by id"}, "select count(*) = 1 from pg_cursors where name = 'held'"},
	{"with hold cursor in a transaction", []string{"begin", "declare held cursor with hold for select body from notes order by id", "commit"}, "select count(*) = 1 from pg_cursors where name = 'held'"},
	{"temp table", []string{"create temp table mine (secret text)", "insert into mine values ('of a')"}, "select secret = 'of a' from mine"},
	{"temp table before a real one", []string{"create temporary table notes as select 1 as id, 'x'::text as tenant, 'of a'::text as body"}, "select count(*) = 1 from notes where body = 'of a'"},
	{"temp table by schema", []string{"create table pg_temp.mine as select 'of a'::text as secret"}, "select secret = 'of a' from mine"},
	{"temp table by select into", []string{"select 'of a'::text as secret into temp mine"}, "select secret = 'of a' from mine"},
	{"temp table in a block", []string{"do $$ begin create temp table mine as select 'of a'::text as secret; end $$"}, "select secret = 'of a' from mine"},
	{"temp table in a procedure", []string{"call makes_temp()"}, "select secret = 'of a' from mine"},
	{"temp table in a text of several", []string{"select 1; create temp table mine as select 'of a'::text as secret; select 2"}, "select secret = 'of a' from mine"},
	{"temp table, spelt", []string{`create table U&"pg\005ftemp".mine as select 'of a'::text as secret`}, "select secret = 'of a' from mine"},
	{"temp view", []string{"create temp view mine as select 'of a'::text as secret"}, "select secret = 'of a' from mine"},
	{"temp sequence", []string{"create temp sequence mine"}, "select true from pg_class where relname = 'mine' and relnamespace = pg_my_temp_schema()"},
	{"temp function", []string{"create function pg_temp.mine() returns text language sql as $$ select 'of a'::text $$"}, "select pg_temp.mine() = 'of a'"},
	{"set", []string{"set app.remains = 'of a'"}, "select current_setting('app.remains') = 'of a'"},
	{"set in a transaction", []string{"begin", "set app.remains = 'of a'", "commit"}, "select current_setting('app.remains') = 'of a'"},
	{"set in a text of several", []string{"select 1; set app.remains = 'of a'"}, "select current_setting('app.remains') = 'of a'"},
	{"set_config", []string{"select set_config('app.remains', 'of a', false)"}, "select current_setting('app.remains') = 'of a'"},
	{"set_config, spelt", []string{`select U&"set\005fconfig"('app.remains', 'of a', false)`}, "select current_setting('app.remains') = 'of a'"},
	{"set_config in a CTE", []string{"with x as (select set_config('app.remains', 'of a', false) s) select * from x"}, "select current_setting('app.remains') = 'of a'"},
	{"set in a block", []string{"do $$ begin set app.remains = 'of a'; end $$"}, "select current_setting('app.remains') = 'of a'"},
	{"search_path", []string{"set search_path = keyhole"}, "select current_setting('search_path') = 'keyhole'"},
	{"search_path by schema", []string{"set schema 'keyhole'"}, "select current_setting('search_path') like '%keyhole%'"},
	{"time zone", []string{"set time zone 'Asia/Tokyo'"}, "select current_setting('timezone') = 'Asia/Tokyo'"},
	{"datestyle", []string{"set datestyle = german"}, "select current_setting('datestyle') like 'German%'"},
	{"row_security", []string{"set row_security = off"}, "select current_setting('row_security') = 'off'"},
	{"statement_timeout", []string{"set statement_timeout = '1h'"}, "select current_setting('statement_timeout') = '1h'"},
	{"isolation", []string{"set session characteristics as transaction isolation level serializable"}, "select current_setting('transaction_isolation') = 'serializable'"},
	{"isolation by setting", []string{"set default_transaction_isolation = 'repeatable read'"}, "select current_setting('transaction_isolation') = 'repeatable read'"},
	{"read only", []string{"set default_transaction_read_only = on"}, "select current_setting('transaction_read_only') = 'on'"},
	{"session role", []string{"set role {other}"}, "select current_setting('role') = 'none'"},
	{"listen", []string{"listen mine"}, "select count(*) = 1 from pg_listening_channels()"},
	{"advisory lock", []string{"select pg_advisory_lock(4711)"}, "select count(*) = 1 from pg_locks where locktype = 'advisory' and objid = 4711 and pid = pg_backend_pid()"},
	{"advisory lock, tried", []string{"select pg_try_advisory_lock_shared(47, 11)"}, "select count(*) = 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"},
	{"advisory lock, spelt", []string{`select U&"pg\005fadvisory_lock"(4711)`}, "select count(*) = 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"},
	{"prepare", []string{"prepare mine as select 'of a'::text"}, "select count(*) = 1 from pg_prepared_statements where name = 'mine'"},
	{"prepare, quoted", []string{`prepare "Mine; of a" as select 'of a'::text`}, "select count(*) = 1 from pg_prepared_statements where name = 'Mine; of a'"},
	{"prepare in a text of several", []string{"select 1; prepare mine as select 'of a'::text; select 2"}, "select count(*) = 1 from pg_prepared_statements where name = 'mine'"},
	{"prepare in a block", []string{"do $$ begin execute 'prepare mine as select ''of a''::text'; end $$"}, "select count(*) = 1 from pg_prepared_statements where name = 'mine'"},
	{"prepare in a transaction rolled back", []string{"begin", "prepare mine as select 'of a'::text", "rollback"}, "select count(*) = 1 from pg_prepared_statements where name = 'mine'"},
	{"currval", []string{"create temp table x ()", "select nextval('reached')"}, "select currval('reached') > 0"},
	{"seed", []string{"select setseed(0.25)"}, "select random() = 0.7234670017091168"},
}

// seen asks whether what left of l is there. On an error it is not.
func (l leftover) seen(ctx context.Context, q identityQuerier) bool {
	var is sql.NullBool
	if err := q.QueryRowContext(ctx, l.see).Scan(&is); err != nil {
		return false
	}
	return is.Bool
}

func newLeftoverWorld(t *testing.T) *identityWorld {
	w := newIdentityWorld(t)
	w.exec(`
create procedure makes_temp() language plpgsql as $$ begin create temp table mine as select 'of a'::text as secret; end $$;
grant execute on all procedures in schema public to public`)
	return w
}

// What an identity leaves is there for itself, and for nobody else.
func TestLeftoversAreNotSeenByTheNext(t *testing.T) {
	t.Parallel()
	w := newLeftoverWorld(t)
	ctx := context.Background()
	a := w.as(w.tenant, "a")
	next := map[string]context.Context{
		"tenant":     w.as(w.tenant, "b"),
		"other role": w.as(w.other, "a"),
		"masked":     pganon.MaskedAs(a, w.masked),
		"system":     pganon.System(ctx, "test"),
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		for _, warm := range []bool{false, true} { // whether the next one's query has been on the connection before
			h := w.open(t, mode, driver.Config{})
			for _, l := range leftovers {
				for who, b := range next {
					switch {
					case !warm && who != "tenant", who == "masked" && l.name == "read only", who == "system" && l.name == "session role",
						warm && l.name == "temp table before a real one": // a plan that is there stays the real one's
						continue
					}
					c, err := h.Conn(ctx)
					require.NoError(t, err)
					if warm {
						_ = l.seen(b, c)
					}
					name := fmt.Sprintf("%s, %s next, warm %t", l.name, who, warm)
					for _, text := range l.leave {
						_, err := c.ExecContext(a, w.sql(text))
						assert.NoError(t, err, name)
					}
					require.NoError(t, c.Close()) // back to the pool
					c, err = h.Conn(ctx)
					require.NoError(t, err)
					if l.name != "session role" && l.name != "seed" {
						assert.True(t, l.seen(a, c), "%s: not even its own", name)
					}
					assert.False(t, l.seen(b, c), name)
					if l.name != "session role" && l.name != "seed" {
						assert.False(t, l.seen(a, c), "%s: it comes back", name)
					}
					_, _ = c.ExecContext(a, "rollback")
					require.NoError(t, c.Close())
				}
			}
			_ = h.Close()
		}
	})
}

// The next one's first words may be a BEGIN, in text or by BeginTx, a prepared statement, or a text of several commands.
func TestLeftoversAreNotSeenHoweverTheNextBegins(t *testing.T) {
	t.Parallel()
	w := newLeftoverWorld(t)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	first := map[string]func(c *sql.Conn, l leftover) bool{
		"BeginTx": func(c *sql.Conn, l leftover) bool {
			tx, err := c.BeginTx(b, nil)
			if err != nil {
				return true
			}
			defer func() { _ = tx.Rollback() }()
			return l.seen(ctx, tx)
		},
		"BeginTx of nobody": func(c *sql.Conn, l leftover) bool {
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				return true
			}
			defer func() { _ = tx.Rollback() }()
			return l.seen(b, tx)
		},
		"begin": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(b, "begin")
			defer func() { _, _ = c.ExecContext(b, "rollback") }()
			return err != nil || l.seen(b, c)
		},
		"begin of nobody": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(ctx, "begin")
			defer func() { _, _ = c.ExecContext(ctx, "rollback") }()
			return err != nil || l.seen(b, c)
		},
		"statement": func(c *sql.Conn, l leftover) bool {
			st, err := c.PrepareContext(b, l.see)
			if err != nil {
				return false
			}
			defer st.Close()
			var is sql.NullBool
			return st.QueryRowContext(b).Scan(&is) == nil && is.Bool
		},
		"several": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(b, "select 1; do $_$ declare s bool; begin execute $q$"+l.see+"$q$ into s; if s then perform 1/0; end if; end $_$")
			return sqlState(err) == "22012"
		},
		"block": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(b, "do $_$ declare s bool; begin execute $q$"+l.see+"$q$ into s; if s then perform 1/0; end if; end $_$")
			return sqlState(err) == "22012"
		},
		"failure": func(c *sql.Conn, l leftover) bool { // what rolls back the statement must not bring back what was cleaned with it
			_, _ = c.ExecContext(b, "select 1/0")
			_, _ = c.ExecContext(b, "nonsense")
			return l.seen(b, c)
		},
		"EXECUTE": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(b, "execute mine")
			return err == nil
		},
		"FETCH": func(c *sql.Conn, l leftover) bool {
			_, err := c.ExecContext(b, "fetch held")
			return err == nil
		},
		"Raw": func(c *sql.Conn, l leftover) bool { return l.seen(b, c) },
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		h := w.open(t, mode, driver.Config{})
		for how, begin := range first {
			for i, l := range leftovers {
				if (mode == "cache_describe" || mode == "describe_exec") && i%5 > 0 {
					continue // their first flights are those of cache_statement
				}
				c, err := h.Conn(ctx)
				require.NoError(t, err)
				for _, text := range l.leave {
					_, err := c.ExecContext(a, w.sql(text))
					require.NoError(t, err, l.name)
				}
				assert.False(t, begin(c, l), "%s, next begins by %s", l.name, how)
				_, _ = c.ExecContext(b, "rollback")
				w.is(t, b, c, w.tenant, "b")
				require.NoError(t, c.Close())
			}
		}
	})
}

// A LISTEN of one identity gives the next one no notifications, and an advisory lock is free for others.
func TestLeftoversAreGoneOnTheServer(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{Raw: "allow"})
		c := pinned(t, h)
		_, err := c.ExecContext(a, "listen mine; select pg_advisory_lock(815)")
		require.NoError(t, err)
		var free bool
		require.NoError(t, w.owner.QueryRow("select pg_try_advisory_lock(815)").Scan(&free))
		require.False(t, free)
		w.is(t, b, c, w.tenant, "b")
		require.NoError(t, w.owner.QueryRow("select pg_try_advisory_lock(815)").Scan(&free))
		require.True(t, free)
		w.exec("select pg_advisory_unlock_all()")
		w.exec("notify mine, 'for a'")
		require.NoError(t, c.Raw(func(raw any) error {
			wait, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			n, err := raw.(interface{ Conn() *pgx.Conn }).Conn().WaitForNotification(wait)
			require.Error(t, err)
			require.Nil(t, n)
			return nil
		}))
	})
}

func TestLeftoversKept(t *testing.T) {
	t.Parallel()
	w := newLeftoverWorld(t)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{Session: "keep"})
		c := pinned(t, h)
		for _, text := range []string{"set app.remains = 'of a'", "create temp table mine as select 'of a'::text as secret", "select pg_advisory_lock(1)", "listen mine", "prepare mine as select 1"} {
			_, err := c.ExecContext(a, text)
			require.NoError(t, err)
		}
		for _, l := range leftovers {
			switch l.name {
			case "set", "temp table", "listen", "prepare":
				assert.True(t, l.seen(b, c), l.name)
			}
		}
		w.is(t, b, c, w.tenant, "b")
		_ = ctx
	})
}

// A function hides what it leaves from a driver that reads the text. pganon.session=always does not ask what was left.
func TestLeftoversOfFunctions(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`
create function hides() returns int language plpgsql as $$ begin
	perform set_config('app.remains', 'of a', false); create temp table mine as select 'of a'::text as secret; perform pg_advisory_lock(4711);
	return 1; end $$;
grant execute on all functions in schema public to public`)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	look := func(q identityQuerier, who context.Context) (seen []string) {
		for _, l := range leftovers {
			switch l.name {
			case "set", "temp table", "advisory lock":
				if l.seen(who, q) {
					seen = append(seen, l.name)
				}
			}
		}
		return seen
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{Session: "always"})
		c := pinned(t, h)
		_, err := c.ExecContext(a, "select hides()")
		require.NoError(t, err)
		require.Len(t, look(c, a), 3)
		require.Empty(t, look(c, b))
		_, err = c.ExecContext(b, "select hides()")
		require.NoError(t, err)
		require.Len(t, look(c, b), 3)
		require.NoError(t, c.Close()) // a checkout is enough, even for the same identity
		require.Empty(t, look(h, b))
		// A transaction begins clean, too.
		_, err = h.ExecContext(a, "select hides()")
		require.NoError(t, err)
		tx, err := h.BeginTx(b, nil)
		require.NoError(t, err)
		require.Empty(t, look(tx, ctx))
		_, err = tx.Exec("rollback")
		require.NoError(t, err)
		_ = tx.Rollback()
	})
}

// What was done by Raw is taken for something left.
func TestLeftoversOfRaw(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := context.Background()
	a := w.as(w.tenant, "a")
	for _, identity := range []string{"", "optional"} {
		eachIdentityMode(t, func(t *testing.T, mode string) {
			cfg := driver.Config{Raw: "allow"}
			if identity == "optional" {
				cfg = driver.Config{Identity: "optional"}
			}
			h := w.open(t, mode, cfg)
			for _, warm := range []bool{false, true} {
				c, err := h.Conn(ctx)
				require.NoError(t, err)
				if warm {
					w.is(t, a, c, w.tenant, "a")
				}
				require.NoError(t, c.Raw(func(raw any) error {
					p := raw.(interface{ Conn() *pgx.Conn }).Conn()
					for _, text := range []string{"set app.remains = 'of a'", "create temp table notes as select 1 as id, 'a'::text as tenant, 'of a'::text as body",
						"prepare mine as select 'of a'::text", "set role " + w.other, "select pg_advisory_lock(4711)", "listen mine", "set default_transaction_read_only = on"} {
						_, err := p.Exec(ctx, text)
						require.NoError(t, err)
					}
					return nil
				}))
				require.NoError(t, c.Close())
				c, err = h.Conn(ctx)
				require.NoError(t, err)
				w.is(t, a, c, w.tenant, "a")
				for _, l := range leftovers {
					switch l.name {
					case "set", "temp table before a real one", "prepare", "listen", "advisory lock", "read only":
						assert.False(t, l.seen(a, c), "%s, warm %t", l.name, warm)
					}
				}
				require.NoError(t, c.Close())
			}
		})
	}
}

// AfterConnect sets what every user of the session shall have. A clean-up takes it away, so the hook runs again.
func TestAfterConnectSurvivesACleanUp(t *testing.T) {
	t.Parallel()
	w := newLeftoverWorld(t)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		hooks := 0
		h := w.open(t, mode, driver.Config{AfterConnect: func(ctx context.Context, c *pgx.Conn) error {
			hooks++
			_, err := c.Exec(ctx, "set search_path = keyhole, public; set application_name = 'hooked'; set app.hooked = 'yes'")
			return err
		}})
		hooked := leftover{see: "select current_setting('application_name') = 'hooked' and current_setting('search_path') = 'keyhole, public' and current_setting('app.hooked') = 'yes' and count(*) = 2 from things"}
		require.True(t, hooked.seen(a, h))
		require.Equal(t, 1, hooks)
		for _, l := range leftovers {
			if l.name == "isolation" || l.name == "read only" || mode != "cache_statement" && strings.Contains(l.name, " in ") {
				continue
			}
			for how, begin := range map[string]func(q *sql.DB) bool{
				"query": func(q *sql.DB) bool { return hooked.seen(b, q) },
				"begin": func(q *sql.DB) bool {
					tx, err := q.BeginTx(b, nil)
					if err != nil {
						return false
					}
					defer func() { _ = tx.Rollback() }()
					return hooked.seen(ctx, tx)
				},
				"block": func(q *sql.DB) bool {
					_, err := q.ExecContext(b, "do $$ begin if current_setting('app.hooked') <> 'yes' then perform 1/0; end if; end $$")
					return err == nil
				},
				"several": func(q *sql.DB) bool {
					_, err := q.ExecContext(b, "select 1; do $$ begin if current_setting('app.hooked') <> 'yes' then perform 1/0; end if; end $$")
					return err == nil
				},
			} {
				_, _ = h.ExecContext(b, "select 1")
				c, err := h.Conn(ctx)
				require.NoError(t, err)
				for _, text := range l.leave {
					_, _ = c.ExecContext(a, w.sql(text))
				}
				require.NoError(t, c.Close())
				assert.True(t, begin(h), "%s, next by %s", l.name, how)
				assert.False(t, l.seen(b, h) && l.name != "search_path" && l.name != "search_path by schema", l.name)
			}
		}
		require.Greater(t, hooks, 1)
	})
}

// Cleaning up behind another identity costs no round trip.
func TestCleanUpCostsNoRoundTrip(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := context.Background()
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	trips := func(t *testing.T, f func()) int {
		t.Helper()
		w.proxy.Reset()
		f()
		return w.proxy.RoundTrips()
	}
	for mode, want := range map[string]int{"cache_statement": 1, "cache_describe": 1, "describe_exec": 2, "exec": 1} {
		t.Run(mode, func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			c := pinned(t, h)
			query := func(who context.Context) {
				var n int
				require.NoError(t, c.QueryRowContext(who, "select count(*) from notes where id > $1", 0).Scan(&n))
			}
			query(a) // first use
			query(b)
			for range 3 {
				_, err := c.ExecContext(a, "set app.remains = 'of a'")
				require.NoError(t, err)
				require.Equal(t, want, trips(t, func() { query(a) }), "nothing to clean for itself: %s", w.proxy.Messages())
				require.Equal(t, want, trips(t, func() { query(b) }), "cleaned: %s", w.proxy.Messages())
				require.Equal(t, want, trips(t, func() { query(b) }), "clean: %s", w.proxy.Messages())
			}
			_, err := c.ExecContext(a, "set app.remains = 'of a'")
			require.NoError(t, err)
			require.Equal(t, 1, trips(t, func() {
				_, err := c.ExecContext(b, "do $$ begin perform 1; end $$")
				require.NoError(t, err)
			}), w.proxy.Messages())
			_, err = c.ExecContext(a, "set app.remains = 'of a'")
			require.NoError(t, err)
			require.LessOrEqual(t, trips(t, func() {
				tx, err := c.BeginTx(b, nil)
				require.NoError(t, err)
				require.NoError(t, tx.Rollback())
			}), 3, w.proxy.Messages())
			_ = ctx
		})
	}
}

// Only what is left is cleaned: without it, a switch of identities sends nothing for it.
func TestNothingIsCleanedWithoutNeed(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	h := w.open(t, "cache_statement", driver.Config{})
	c := pinned(t, h)
	defer c.Close()
	for i := range 6 {
		who := w.as(w.tenant, string(rune('a'+i%2)))
		w.is(t, who, c, w.tenant, string(rune('a'+i%2)))
		_, err := c.ExecContext(who, "insert into notes (body) values ($1)", "x")
		require.NoError(t, err)
		tx, err := c.BeginTx(who, nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec("savepoint s")
		require.NoError(t, err)
		_, err = tx.Exec("set local app.remains = 'x'")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
	}
	for _, m := range w.proxy.Messages() {
		require.NotContains(t, strings.ToLower(string(m.Body)), "discard")
		require.NotContains(t, strings.ToLower(string(m.Body)), "reset all")
	}
}

// In simple_protocol nothing but Query messages goes out: that mode is for poolers that know nothing else.
func TestSimpleProtocolSendsOnlyQueries(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a, b := w.as(w.tenant, "a"), w.as(w.tenant, "b")
	masked := pganon.MaskedAs(a, w.masked)
	h := w.open(t, "simple_protocol", driver.Config{})
	c := pinned(t, h)
	for _, who := range []context.Context{a, b, masked, pganon.System(a, "test")} {
		_, err := c.ExecContext(who, "set app.remains = 'x'")
		require.NoError(t, err)
		var n int
		require.NoError(t, c.QueryRowContext(who, "select $1::int", 1).Scan(&n))
		_, err = c.ExecContext(who, "do $$ begin perform 1; end $$")
		require.NoError(t, err)
		_, err = c.ExecContext(who, "select 1; prepare p as select 1; deallocate p")
		require.NoError(t, err)
		tx, err := c.BeginTx(who, nil)
		require.NoError(t, err)
		_, err = tx.Exec("select $1::int", 1)
		require.NoError(t, err)
		_, err = tx.ExecContext(b, "savepoint s")
		require.NoError(t, err)
		_, err = tx.ExecContext(b, "select 1")
		require.NoError(t, err)
		_, err = tx.ExecContext(masked, "select 1")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		tx, err = c.BeginTx(who, nil)
		require.NoError(t, err)
		_, err = tx.Exec("select 1/0")
		require.Error(t, err)
		require.Error(t, tx.Commit())
		_, err = c.ExecContext(who, "prepare p as select 1")
		require.NoError(t, err)
		st, err := c.PrepareContext(who, "select $1::int")
		require.NoError(t, err)
		_, err = st.ExecContext(who, 1)
		require.NoError(t, err)
		require.NoError(t, st.Close())
	}
	names := map[string]int{}
	for _, m := range w.proxy.Messages() {
		names[m.Name()]++
	}
	for name := range names {
		assert.Contains(t, []string{"StartupMessage", "Query", "Terminate", "PasswordMessage", "SSLRequest"}, name, "%v", names)
	}
}
