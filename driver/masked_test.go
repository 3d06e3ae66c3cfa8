package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
)

func currentUser(ctx context.Context, q identityQuerier) (string, error) {
	var user string
	err := q.QueryRowContext(ctx, "select current_user").Scan(&user)
	return user, err
}

// maskedBy opens the world's database with cfg and wants role to be read only for an identity in it.
func (w *identityWorld) readOnly(t *testing.T, h *sql.DB, ctx context.Context, want bool) {
	t.Helper()
	var on string
	require.NoError(t, h.QueryRowContext(ctx, "select current_setting('transaction_read_only')").Scan(&on))
	require.Equal(t, map[bool]string{true: "on", false: "off"}[want], on)
	_, err := h.ExecContext(ctx, "insert into notes (body) values ('masked?')")
	if want {
		require.Equal(t, "25006", sqlState(err), "%v", err)
	} else {
		require.NoError(t, err)
	}
}

// How a role is known to be masked.
func TestWhichRolesAreMasked(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := context.Background()
	group := func(groups ...string) context.Context {
		return pganon.WithIdentity(ctx, pganon.Identity{User: "1", Tenant: "a", Groups: groups})
	}
	open := func(cfg driver.Config) *sql.DB { return w.open(t, "cache_statement", cfg) }

	t.Run("comment", func(t *testing.T) {
		h := open(driver.Config{})
		w.readOnly(t, h, w.as(w.masked, "a"), true)
		w.readOnly(t, h, w.as(w.tenant, "a"), false)
		user, err := currentUser(pganon.MaskedAs(w.as(w.tenant, "a"), w.masked), h)
		require.NoError(t, err)
		require.Equal(t, w.masked, user)
	})
	t.Run("masked_role", func(t *testing.T) {
		h := open(driver.Config{MaskedRole: w.other}) // no comment says so
		w.readOnly(t, h, w.as(w.other, "a"), true)
		w.readOnly(t, h, pganon.Masked(w.as(w.tenant, "a")), true)
	})
	t.Run("masked_groups", func(t *testing.T) {
		h := open(driver.Config{MaskedRole: w.other, MaskedGroups: []string{"analysts", "qa team"}, Roles: []driver.GroupRole{{Group: "support", Role: w.tenant}}, DefaultRole: w.tenant})
		w.readOnly(t, h, group("x", "analysts"), true)
		w.readOnly(t, h, group("qa team"), true)
		w.readOnly(t, h, group("Analysts"), false)
		w.readOnly(t, h, group("analysts", "support"), false) // roles come before masked_groups
		w.readOnly(t, h, pganon.Masked(group("support")), true)
	})
	t.Run("writable", func(t *testing.T) {
		role := w.db.Role("writable")
		w.exec("grant " + role + " to {login}; grant select, insert on notes to " + role + "; create policy w on notes for insert to " + role + " with check (true);" +
			"comment on role " + role + ` is 'pganon:"masked,writable"'`)
		h := open(driver.Config{})
		w.readOnly(t, h, w.as(role, "a"), false)
		w.readOnly(t, h, pganon.MaskedAs(w.as(w.tenant, "a"), role), false)
	})
	t.Run("label", func(t *testing.T) {
		role := w.db.Role("labelled")
		w.exec("grant " + role + " to {login}; grant select, insert on notes to " + role)
		_, err := w.owner.Exec(`set allow_system_table_mods = on; insert into pg_shseclabel select oid, 'pg_authid'::regclass, 'anon', 'MASKED' from pg_roles where rolname = '` + role + `'`)
		require.NoError(t, err)
		defer func() {
			_, err := w.owner.Exec("set allow_system_table_mods = on; delete from pg_shseclabel where provider = 'anon' and objoid = '" + role + "'::regrole")
			require.NoError(t, err)
		}()
		h := open(driver.Config{})
		w.readOnly(t, h, w.as(role, "a"), true)
		_, err = currentUser(pganon.MaskedAs(w.as(w.tenant, "a"), role), h)
		require.NoError(t, err)
	})
	t.Run("not masked", func(t *testing.T) {
		h := open(driver.Config{})
		_, err := currentUser(pganon.MaskedAs(w.as(w.tenant, "a"), w.other), h)
		require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
		require.ErrorContains(t, err, "is not masked")
		_, err = currentUser(pganon.Masked(w.as(w.tenant, "a")), h)
		require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
		require.ErrorContains(t, err, "pganon.masked_role")
		for _, role := range []string{"", "none", "nosuch", "a\x00b"} {
			_, err = currentUser(pganon.MaskedAs(w.as(w.tenant, "a"), role), h)
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity, "%q", role)
		}
	})
}

// A tag that is misspelt may be meant to mask: no connection is made. It is its own test, for the comment is the cluster's.
func TestWrongRoleTag(t *testing.T) {
	w := newIdentityWorld(t)
	role := w.db.Role("wrong")
	w.exec("comment on role " + role + ` is 'pganon:"maskd"'`)
	defer w.exec("comment on role " + role + " is null")
	err := w.open(t, "exec", driver.Config{}).PingContext(context.Background())
	require.ErrorContains(t, err, role)
	require.ErrorContains(t, err, "maskd")
}

// Masked holds whatever comes after it.
func TestMaskedIsSticky(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	second := w.db.Role("second")
	w.exec("grant " + second + " to {login}; comment on role " + second + ` is 'pganon:"masked"'`)
	ctx := context.Background()
	a, b := pganon.Identity{User: "1", Tenant: "a", Role: w.tenant}, pganon.Identity{User: "2", Tenant: "b", Role: w.other}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{MaskedRole: w.masked})
		for name, masked := range map[string]context.Context{
			"identity":             pganon.Masked(pganon.WithIdentity(ctx, a)),
			"then identity":        pganon.WithIdentity(pganon.Masked(ctx), a),
			"between":              pganon.WithIdentity(pganon.Masked(pganon.WithIdentity(ctx, a)), b),
			"system":               pganon.System(pganon.Masked(ctx), "test"),
			"masked system":        pganon.Masked(pganon.System(ctx, "test")),
			"system, identity":     pganon.WithIdentity(pganon.System(pganon.Masked(ctx), "test"), b),
			"twice":                pganon.Masked(pganon.Masked(pganon.WithIdentity(ctx, a))),
			"masked as the same":   pganon.MaskedAs(pganon.Masked(pganon.WithIdentity(ctx, a)), w.masked),
			"nobody":               pganon.Masked(ctx),
			"without cancellation": context.WithoutCancel(pganon.Masked(pganon.WithIdentity(ctx, a))),
		} {
			user, err := currentUser(masked, h)
			require.NoError(t, err, name)
			require.Equal(t, w.masked, user, name)
			_, err = h.ExecContext(masked, "insert into notes (tenant, body) values ('a', 'x')")
			require.Equal(t, "25006", sqlState(err), "%s: %v", name, err)
			// In a transaction of another identity, and of its own.
			tx, err := h.BeginTx(pganon.WithIdentity(ctx, a), nil)
			require.NoError(t, err)
			user, err = currentUser(masked, tx)
			require.NoError(t, err, name)
			require.Equal(t, w.masked, user, name)
			require.NoError(t, tx.Rollback())
			tx, err = h.BeginTx(masked, nil)
			require.NoError(t, err)
			user, err = currentUser(ctx, tx)
			require.NoError(t, err, name)
			require.Equal(t, w.masked, user, name)
			require.NoError(t, tx.Rollback())
		}
		for name, conflict := range map[string]context.Context{
			"two roles": pganon.MaskedAs(pganon.Masked(pganon.WithIdentity(ctx, a)), second),
			"reverse":   pganon.Masked(pganon.MaskedAs(pganon.WithIdentity(ctx, a), second)),
			"empty":     pganon.MaskedAs(pganon.Masked(pganon.WithIdentity(ctx, a)), ""),
		} {
			_, err := currentUser(conflict, h)
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity, name)
		}
		// The transaction's mask and the statement's add up.
		tx, err := h.BeginTx(pganon.Masked(pganon.WithIdentity(ctx, a)), nil)
		require.NoError(t, err)
		_, err = currentUser(pganon.MaskedAs(ctx, second), tx)
		require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
		require.NoError(t, tx.Rollback())
	})
}

var maskedWrites = []string{
	"insert into notes (tenant, body) values ('a', 'masked')", "update notes set body = 'masked'", "delete from notes", "select writes('masked')",
	"with x as (insert into notes (tenant, body) values ('a', 'masked') returning 1) select * from x", "insert into audit (what) values ('masked')",
	"do $$ begin insert into audit (what) values ('masked'); end $$", "do $$ begin perform writes('masked'); end $$", "select nextval('reached')",
	"select setval('reached', 100)", "create temp table masked ()", "create table masked ()", "truncate notes", "select 1 as x into masked",
	"explain analyze insert into audit (what) values ('masked')", "select * from notes for update", "call write_too('masked')", "comment on table notes is 'masked'",
	"grant select on notes to public", "refresh materialized view nosuch", "select 1; insert into audit (what) values ('masked')",
	"set transaction_read_only = off; insert into audit (what) values ('masked')", "set transaction read write; insert into audit (what) values ('masked')",
	"begin read write; insert into audit (what) values ('masked'); commit", "begin; set transaction read write; insert into audit (what) values ('masked'); commit",
	"start transaction read write; insert into audit (what) values ('masked'); commit", "commit; insert into audit (what) values ('masked')",
	"select set_config('transaction_read_only', 'off', true); insert into audit (what) values ('masked')",
	"do $$ begin perform set_config('transaction_read_only', 'off', true); insert into audit (what) values ('masked'); end $$",
	"do $$ begin set transaction read write; insert into audit (what) values ('masked'); end $$",
	"do $$ begin set local transaction_read_only = off; insert into audit (what) values ('masked'); end $$",
	"with x as materialized (select set_config('transaction_read_only', 'off', true)), y as (insert into audit (what) select * from x returning 1) select * from y",
	"select undoes()", "savepoint s; insert into audit (what) values ('masked')",
}

// A masked role only reads, whatever it tries.
func TestMaskedRolesOnlyRead(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`
create function writes(t text) returns int language plpgsql as $$ begin insert into audit (what) values (t); return 1; end $$;
create function undoes() returns int language plpgsql as $$ begin
	begin perform set_config('transaction_read_only', 'off', true); exception when others then null; end;
	insert into audit (what) values ('masked'); return 1; end $$;
create procedure write_too(t text) language plpgsql as $$ begin insert into audit (what) values (t); end $$;
grant usage, select, update on sequence reached to {masked};
grant insert, update, delete, truncate on notes to {masked};
create policy masked_update on notes for update to {masked} using (true);
grant create on schema public to {masked}`)
	ctx := context.Background()
	a := w.as(w.tenant, "a")
	masked := pganon.Masked(a)
	untouched := func(t *testing.T, what string) {
		t.Helper()
		var n int
		require.NoError(t, w.owner.QueryRow("select (select count(*) from audit) + (select count(*) from notes where body = 'masked') + (select count(*) - 3 from notes) + (select count(*) from pg_class where relname = 'masked') + (select last_value from reached) - 1").Scan(&n))
		assert.Zero(t, n, what)
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{MaskedRole: w.masked})
		refused := func(t *testing.T, what string, err error) {
			t.Helper()
			if err == nil {
				assert.Fail(t, "not refused", what)
			} else if code := sqlState(err); code == "" {
				assert.ErrorContains(t, err, "pganon: ", what)
			}
		}
		// setters only try to undo read only; what counts is whether the next one can write.
		setters := []string{"set transaction_read_only = off", "set transaction read write", "set local transaction_read_only = off", "select set_config('transaction_read_only', 'off', true)",
			"select set_config('transaction_read_only', 'off', false)", "set default_transaction_read_only = off", "set session characteristics as transaction read write", "reset all",
			"reset transaction_read_only", "begin read write", "rollback", "rollback to s", "commit and chain", "savepoint s"}
		for _, text := range maskedWrites {
			_, err := h.ExecContext(masked, text)
			refused(t, text, err)
			_, _ = h.ExecContext(masked, "rollback")
			rows, err := h.QueryContext(masked, text)
			if err == nil {
				for rows.Next() {
				}
				err = errors.Join(rows.Err(), rows.Close())
			}
			refused(t, "query: "+text, err)
			for _, begun := range []context.Context{masked, a} {
				tx, err := h.BeginTx(begun, nil)
				require.NoError(t, err)
				_, err = tx.ExecContext(masked, text)
				refused(t, "transaction: "+text, err)
				_ = tx.Commit()
				_ = tx.Rollback()
			}
			_, _ = h.ExecContext(masked, "rollback")
		}
		untouched(t, "one of the writes")
		const write = "insert into audit (what) values ($1)"
		for _, set := range setters {
			for _, begun := range []context.Context{masked, a, nil} {
				c, err := h.Conn(ctx)
				require.NoError(t, err)
				var q identityQuerier = c
				var tx *sql.Tx
				if begun != nil {
					tx, err = c.BeginTx(begun, nil)
					require.NoError(t, err)
					q = tx
				}
				_, _ = q.ExecContext(masked, set)
				_, err = q.ExecContext(masked, write, "masked")
				refused(t, set, err)
				_, _ = q.ExecContext(masked, "commit")
				if tx != nil {
					_ = tx.Rollback()
				}
				_, _ = c.ExecContext(masked, "rollback")
				require.NoError(t, c.Close())
			}
		}
		untouched(t, "one of the setters")
		// The error says why.
		_, err := h.ExecContext(masked, write, "masked")
		require.ErrorContains(t, err, "25006")
	})
}

// A masked statement does not make the transaction of another identity read only.
func TestMaskedThenAWrite(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	a := w.as(w.tenant, "a")
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{MaskedRole: w.masked})
		for _, masked := range []context.Context{pganon.Masked(context.Background()), pganon.Masked(a), w.as(w.masked, "a")} {
			for name, begin := range map[string]func() (identityQuerier, func() error){
				"BeginTx": func() (identityQuerier, func() error) {
					tx, err := h.BeginTx(a, nil)
					require.NoError(t, err)
					return tx, tx.Commit
				},
				"BeginTx of nobody": func() (identityQuerier, func() error) {
					tx, err := h.BeginTx(context.Background(), nil)
					require.NoError(t, err)
					return tx, tx.Commit
				},
				"begin": func() (identityQuerier, func() error) {
					c, err := h.Conn(a)
					require.NoError(t, err)
					_, err = c.ExecContext(a, "begin")
					require.NoError(t, err)
					return c, func() error { _, err := c.ExecContext(a, "commit"); return errors.Join(err, c.Close()) }
				},
			} {
				q, commit := begin()
				for i := range 3 {
					// All notes, by several ways of asking.
					var n int
					require.NoError(t, q.QueryRowContext(masked, "select count(distinct tenant) from notes where id > $1", 0).Scan(&n), name)
					require.Equal(t, 2, n)
					user, err := currentUser(masked, q)
					require.NoError(t, err)
					require.Equal(t, w.masked, user)
					_, err = q.ExecContext(masked, "select 1 -- a comment at the end")
					require.NoError(t, err)
					_, err = q.ExecContext(masked, "select 1; select 2 -- a comment at the end")
					require.NoError(t, err)
					_, err = q.ExecContext(masked, "do $$ begin perform 1; end $$")
					require.NoError(t, err)
					rows, err := q.QueryContext(masked, "select generate_series(1, 1000)")
					require.NoError(t, err)
					require.True(t, rows.Next())
					require.NoError(t, rows.Close())
					_, err = q.ExecContext(a, "savepoint s")
					require.NoError(t, err)
					_, err = q.ExecContext(masked, "insert into notes (tenant, body) values ('a', 'masked')")
					require.Equal(t, "25006", sqlState(err), "%v", err)
					_, err = q.ExecContext(a, "rollback to s")
					require.NoError(t, err)
					_, err = q.ExecContext(a, "insert into notes (body) values ($1)", fmt.Sprint("written ", i))
					require.NoError(t, err, name)
				}
				require.NoError(t, commit(), name)
			}
		}
		var n int
		require.NoError(t, h.QueryRowContext(a, "select count(*) from notes where body like 'written %' and who = $1", w.tenant).Scan(&n))
		require.Equal(t, 27, n)
		w.exec("delete from notes where body like 'written %'")

		// The other way round: in a masked transaction nobody writes.
		tx, err := h.BeginTx(pganon.Masked(a), nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(a, "insert into notes (body) values ('x')")
		require.Equal(t, "25006", sqlState(err))
		require.NoError(t, tx.Rollback())
	})
}

// A role's own search_path option takes effect at login only, so it is sent with the role: Anonymizer 1 masks by it.
func TestRoleSearchPath(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`
create schema mask;
create view mask.notes as select id, tenant, 'xxx'::text as body from public.notes;
grant usage on schema mask to {masked}; grant select on mask.notes to {masked}; revoke all on public.notes from {masked};
alter role {masked} in database {db} set search_path = mask, public;
alter role {masked} set search_path = nosuch`)
	ctx := context.Background()
	a := w.as(w.tenant, "a")
	masked := pganon.Masked(a)
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{MaskedRole: w.masked})
		body := func(ctx context.Context, q identityQuerier) string {
			t.Helper()
			var s string
			require.NoError(t, q.QueryRowContext(ctx, "select body from notes where id = $1", 1).Scan(&s))
			return s
		}
		path := func(ctx context.Context, q identityQuerier) string {
			t.Helper()
			var s string
			require.NoError(t, q.QueryRowContext(ctx, "select current_setting('search_path')").Scan(&s))
			return s
		}
		for range 3 {
			require.Equal(t, "xxx", body(masked, h))
			require.Equal(t, "one", body(a, h))
			require.Equal(t, "mask, public", path(masked, h))
			require.Equal(t, `"$user", public`, path(a, h))
		}
		tx, err := h.BeginTx(a, nil)
		require.NoError(t, err)
		for range 3 {
			require.Equal(t, "one", body(ctx, tx))
			require.Equal(t, "xxx", body(masked, tx))
			require.Equal(t, "mask, public", path(masked, tx))
			require.Equal(t, `"$user", public`, path(a, tx))
			_, err = tx.ExecContext(masked, "set local search_path = public")
			require.NoError(t, err)
			require.Equal(t, "xxx", body(masked, tx))
			require.Equal(t, `"$user", public`, path(w.as(w.other, "a"), tx))
		}
		require.NoError(t, tx.Commit())
		_, err = h.ExecContext(masked, "select 1; set search_path = public; do $$ begin if (select body from notes limit 1) <> 'xxx' then raise 'unmasked'; end if; end $$")
		require.NoError(t, err)
	})
	h := w.open(t, "cache_statement", driver.Config{MaskedRole: w.masked, AllowSettings: []string{"search_path"}})
	own := pganon.WithIdentity(ctx, pganon.Identity{Role: w.tenant, Settings: map[string]string{"search_path": "public"}})
	_, err := h.ExecContext(own, "select 1")
	require.NoError(t, err)
	_, err = h.ExecContext(pganon.Masked(own), "select 1")
	require.ErrorIs(t, err, pganon.ErrInvalidIdentity, "an identity must not turn the mask's path away")
}

// Where PostgreSQL Anonymizer masks at parse analysis, plans of one role must not serve another.
func TestTransparentMaskingDiscardsPlans(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`alter database {db} set "anon.transparent_dynamic_masking" = on`)
	a, masked := w.as(w.tenant, "a"), w.as(w.masked, "a")
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			discards := func(ctx context.Context, q identityQuerier) int {
				w.proxy.Reset()
				_, err := q.ExecContext(ctx, "select 1")
				require.NoError(t, err)
				n := 0
				for _, m := range w.proxy.Messages() {
					if containsFold(m.Body, "discard plans") {
						n++
					}
				}
				return n
			}
			if mode == "simple_protocol" { // it discards more than it must
				for range 3 {
					require.Equal(t, 1, discards(a, h))
					require.Equal(t, 1, discards(masked, h))
				}
				return
			}
			require.Equal(t, 1, discards(a, h)) // the login role's are there already
			require.Zero(t, discards(a, h))
			require.Equal(t, 1, discards(masked, h))
			require.Zero(t, discards(masked, h))
			require.Zero(t, discards(w.as(w.masked, "b"), h), "plans are the role's, whoever the user is")
			require.Equal(t, 1, discards(a, h))
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			require.Zero(t, discards(a, tx))
			require.Equal(t, 1, discards(masked, tx))
			require.Equal(t, 1, discards(a, tx))
			require.NoError(t, tx.Rollback())
			require.LessOrEqual(t, discards(a, h), 1)
		})
	}
}

// A masked row that is written back: the error says why, also where the mask is a view that nobody could write through.
func TestMaskedWritesSayWhy(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	w.exec(`create schema {masked};
create view {masked}.notes as select id, tenant, left(body, 1) || '***' as body from public.notes;
create view {masked}.tenants as select distinct tenant from public.notes;
grant usage on schema {masked} to {masked};
grant all on {masked}.notes, {masked}.tenants to {masked}`)
	h := w.open(t, "cache_statement", driver.Config{})
	hint := fmt.Sprintf("Role %q is masked: what it reads must not be written back.", w.masked)
	ctx := w.as(w.masked, "a")
	for code, text := range map[string]string{
		"25006": "delete from notes where body = $1",
		"0A000": "update notes set body = $1 where id = 1",
		"55000": "update tenants set tenant = $1",
	} {
		_, plain := h.ExecContext(ctx, strings.Replace(text, "$1", "'o***'", 1))
		_, withArgument := h.ExecContext(ctx, text, "o***") // refused when it is parsed
		for _, err := range []error{plain, withArgument} {
			pgErr, ok := errors.AsType[*pgconn.PgError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, code, pgErr.Code, text)
			assert.Equal(t, hint, pgErr.Hint, text)
		}
	}
	// What has nothing to do with writing keeps the server's own hint, or none.
	_, err := h.ExecContext(ctx, "select count(*) filter (where true) over () from notes for update")
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "0A000", pgErr.Code)
	assert.NotEqual(t, hint, pgErr.Hint)
}
