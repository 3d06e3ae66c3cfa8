package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// identityModes are all values of default_query_exec_mode.
var identityModes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

// An identityWorld is a database with a login that is no superuser and owns a table of its own, so that a statement that gets away
// from its identity has something to gain, and roles that the login may set.
type identityWorld struct {
	t     *testing.T
	db    *pganontest.DB
	proxy *pganontest.Proxy
	owner *sql.DB // plain pgx as the database's owner

	login      string
	tenant     string // the role of ordinary identities
	other      string // another one
	masked     string // reads notes; masked by its comment
	notGranted string // exists, but not for the login
}

func newIdentityWorld(t *testing.T) *identityWorld {
	t.Helper()
	db := pganontest.New(t)
	w := &identityWorld{t: t, db: db}
	w.login = db.Role("login", "LOGIN NOINHERIT")
	w.tenant = db.Role("tenant")
	w.other = db.Role("other")
	w.masked = db.Role("masked")
	w.notGranted = db.Role("notgranted")
	var err error
	w.owner, err = sql.Open("pgx", db.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.owner.Close() })
	w.owner.SetMaxOpenConns(1)
	w.exec(`
grant {tenant}, {other}, {masked} to {login};
grant create on schema public to {login};
comment on role {masked} is 'analysts; pganon:"masked"';
create table notes (
	id bigint generated always as identity primary key,
	tenant text not null default current_setting('rls.tenant_id', true),
	body text not null default '',
	who text not null default current_user);
alter table notes enable row level security;
create policy tenants on notes to {tenant}, {other} using (tenant = nullif(current_setting('rls.tenant_id', true), ''));
create policy masked on notes for select to {masked} using (true);
create policy masked_write on notes for insert to {masked} with check (true);
grant select, insert, update, delete on notes to {tenant}, {other}, {masked};
insert into notes (tenant, body) values ('a', 'one'), ('a', 'two'), ('b', 'three');
create table secrets (body text);

insert into secrets values ('of the login');
alter table secrets owner to {login};
create table audit (what text, who text not null default current_user, tenant text not null default coalesce(current_setting('rls.tenant_id', true), ''), at bigint generated always as identity);
grant insert, select on audit to public;
create sequence reached;
grant usage, select on sequence reached to public;
create schema keyhole;
create table keyhole.things (id int);
insert into keyhole.things values (1), (2);
grant usage on schema keyhole to {tenant};
grant select on keyhole.things to public;
`)
	w.proxy = db.Proxy()
	return w
}

// sql puts the roles' names in.
func (w *identityWorld) sql(text string) string {
	return strings.NewReplacer("{login}", w.login, "{tenant}", w.tenant, "{other}", w.other, "{masked}", w.masked,
		"{notgranted}", w.notGranted, "{db}", w.db.Name()).Replace(text)
}

// exec runs text as the database's owner.
func (w *identityWorld) exec(text string) {
	w.t.Helper()
	_, err := w.owner.Exec(w.sql(text))
	require.NoError(w.t, err)
}

// as is a context of an identity in role with a tenant.
func (w *identityWorld) as(role, tenant string) context.Context {
	return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u-" + tenant, Tenant: tenant, Role: role})
}

// open opens a handle with one connection, as the login.
func (w *identityWorld) open(t *testing.T, mode string, cfg driver.Config) *sql.DB {
	t.Helper()
	h, err := driver.Open(withKeys(w.proxy.DSNAs(w.login), "default_query_exec_mode="+mode), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	h.SetMaxOpenConns(1)
	return h
}

// withKeys adds keys to a URL.
func withKeys(dsn string, keys ...string) string {
	for _, key := range keys {
		if strings.Contains(dsn, "?") {
			dsn += "&" + key
		} else {
			dsn += "?" + key
		}
	}
	return dsn
}

// identityQuerier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type identityQuerier interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}

// identityProbe asks the server who it takes a statement's identity for.
const identityProbe = `select current_user::text || '|' || coalesce(current_setting('rls.user_id', true), '') || '|' ||
	coalesce(current_setting('rls.tenant_id', true), '') || '|' || coalesce(current_setting('rls.region', true), '')`

func probeIdentity(ctx context.Context, q identityQuerier) (string, error) {
	var got string
	err := q.QueryRowContext(ctx, identityProbe).Scan(&got)
	return got, err
}

// is requires that a statement of ctx runs as role and tenant, as w.as makes them.
func (w *identityWorld) is(t *testing.T, ctx context.Context, q identityQuerier, role, tenant string) {
	t.Helper()
	got, err := probeIdentity(ctx, q)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%s|u-%s|%s|", role, tenant, tenant), got)
}

func eachIdentityMode(t *testing.T, f func(t *testing.T, mode string)) {
	t.Helper()
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) { f(t, mode) })
	}
}

func containsFold(body []byte, text string) bool {
	return strings.Contains(strings.ToLower(string(body)), text)
}

// settingsOf asks for the values of settings; ” is one that is absent.
func settingsOf(t *testing.T, ctx context.Context, q identityQuerier, names ...string) (values []string) {
	t.Helper()
	for _, name := range names {
		var v string
		require.NoError(t, q.QueryRowContext(ctx, "select coalesce(current_setting($1, true), '')", name).Scan(&v))
		values = append(values, v)
	}
	return values
}

func identity(role string, settings map[string]string) context.Context {
	return pganon.WithIdentity(context.Background(), pganon.Identity{Role: role, Settings: settings})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	none := context.Background()
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Run("names", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{SettingsPrefix: "Clinic", Claims: "request.jwt.claims"})
			ctx := pganon.WithIdentity(none, pganon.Identity{User: "u", Tenant: "t", Groups: []string{"g"}, Role: w.tenant, Settings: map[string]string{"Region": "eu", "app.Level": "3"}})
			require.Equal(t, []string{"u", "t", "eu", "3", "", ""}, settingsOf(t, ctx, h, "clinic.user_id", "clinic.tenant_id", "clinic.region", "app.level", "rls.user_id", "rls.region"))
			require.JSONEq(t, `{"sub": "u", "tenant_id": "t", "groups": ["g"], "role": "`+w.tenant+`", "settings": {"clinic.region": "eu", "app.level": "3"}}`, settingsOf(t, ctx, h, "request.jwt.claims")[0])
			// '' for what another one lacks.
			other := identity(w.tenant, map[string]string{"x": "1"})
			require.Equal(t, []string{"", "", "", "", "1"}, settingsOf(t, other, h, "clinic.user_id", "clinic.tenant_id", "clinic.region", "app.level", "clinic.x"))
			system := pganon.System(none, "test")
			require.Equal(t, []string{"", "", "", "", "", ""}, settingsOf(t, system, h, "clinic.user_id", "clinic.tenant_id", "clinic.region", "app.level", "clinic.x", "request.jwt.claims"))
		})
		t.Run("transaction", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{Claims: "jwt.claims", AllowSettings: []string{"statement_timeout", "Lock_Timeout"}})
			a := pganon.WithIdentity(none, pganon.Identity{User: "ua", Tenant: "ta", Role: w.tenant, Settings: map[string]string{"region": "eu", "Statement_Timeout": "12345", "app.x": "y"}})
			b := pganon.WithIdentity(none, pganon.Identity{User: "ub", Role: w.tenant, Settings: map[string]string{"lock_timeout": "777"}})
			names := []string{"rls.user_id", "rls.tenant_id", "rls.region", "app.x", "statement_timeout", "lock_timeout"}
			ofA, ofB := []string{"ua", "ta", "eu", "y", "12345ms", "0"}, []string{"ub", "", "", "", "0", "777ms"}
			require.Equal(t, ofA, settingsOf(t, a, h, names...))
			require.Equal(t, ofB, settingsOf(t, b, h, names...))
			tx, err := h.BeginTx(a, nil)
			require.NoError(t, err)
			_, err = tx.Exec("savepoint s")
			require.NoError(t, err)
			for range 2 {
				require.Equal(t, ofA, settingsOf(t, none, tx, names...))
				require.Equal(t, ofB, settingsOf(t, b, tx, names...))
				require.NotContains(t, settingsOf(t, b, tx, "jwt.claims")[0], "eu")
				require.Equal(t, []string{"", "", "", "", "0", "0"}, settingsOf(t, pganon.System(none, "test"), tx, names...))
				_, err = tx.Exec("rollback to s")
				require.NoError(t, err)
				_, err = tx.ExecContext(b, "select 1; select 2")
				require.NoError(t, err)
				require.Equal(t, ofB, settingsOf(t, b, tx, names...))
			}
			require.NoError(t, tx.Commit())
			require.Equal(t, ofB, settingsOf(t, b, h, names...))
		})
		t.Run("values", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{Claims: "jwt.claims"})
			for _, v := range []string{"'", "''", `\`, `\'`, `'; reset role; --`, "$1", "$$", "$a$", "a\nb\r\n", "\t", `"`, "ä€😀", "%s", "{}", "E'x'", "/*", "*/", "--", "?", ":a", "@a", strings.Repeat("x'\\", 5000)} {
				ctx := pganon.WithIdentity(none, pganon.Identity{User: v, Tenant: v + "2", Role: w.tenant, Settings: map[string]string{"v": v}})
				require.Equal(t, []string{v, v + "2", v}, settingsOf(t, ctx, h, "rls.user_id", "rls.tenant_id", "rls.v"))
				_, err := h.ExecContext(ctx, "delete from audit; select 1")
				require.Equal(t, "42501", sqlState(err), "as the role, %q", v)
				_, err = h.ExecContext(ctx, "select 1; insert into audit (what) values (current_setting('rls.v') || current_setting('rls.user_id')); select 2")
				require.NoError(t, err, "%q", v)
				var what, tenant, who string
				require.NoError(t, h.QueryRowContext(ctx, "select what, tenant, who from audit order by at desc limit 1").Scan(&what, &tenant, &who))
				require.Equal(t, []string{v + v, v + "2", w.tenant}, []string{what, tenant, who})
			}
		})
		t.Run("many", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			many := map[string]string{}
			for i := range 126 {
				many[fmt.Sprintf("n%d", i)] = fmt.Sprint("v", i)
			}
			ctx := identity(w.tenant, many)
			require.Equal(t, []string{"v0", "v89", "v90", "v125"}, settingsOf(t, ctx, h, "rls.n0", "rls.n89", "rls.n90", "rls.n125"))
			_, err := h.ExecContext(ctx, "select 1; select 2")
			require.NoError(t, err)
			_, err = h.ExecContext(identity(w.tenant, map[string]string{"one_more": "secret-value"}), "select 1")
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
			require.NotContains(t, err.Error(), "secret-value")
			w.is(t, w.as(w.tenant, "a"), h, w.tenant, "a")
			require.Equal(t, []string{"", ""}, settingsOf(t, w.as(w.tenant, "a"), h, "rls.n0", "rls.n125"))
		})
	})
}

// What cannot be sent as it is meant is refused before anything is sent, and the connection goes on.
func TestIdentitiesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	none := context.Background()
	long := strings.Repeat("r", 64)
	const canary = "canary-4711"
	cases := map[string]pganon.Identity{
		"empty": {}, "NUL in user": {User: canary + "\x00", Role: w.tenant}, "NUL in tenant": {Tenant: "\x00" + canary, Role: w.tenant}, "UTF-8": {User: canary + "\xff", Role: w.tenant},
		"role none": {Role: "none"}, "role NONE": {Role: "NONE"}, "role None": {Role: "None"}, "long role": {Role: long}, "NUL in role": {Role: w.tenant + "\x00"},
		"own setting of PostgreSQL": {Role: w.tenant, Settings: map[string]string{"work_mem": canary}}, "search_path": {Role: w.tenant, Settings: map[string]string{"Search_Path": canary}},
		"statement_timeout": {Role: w.tenant, Settings: map[string]string{"statement_timeout": canary}}, "role as setting": {Role: w.tenant, Settings: map[string]string{"role": canary}},
		"ROLE as setting":       {Role: w.tenant, Settings: map[string]string{"ROLE": canary}},
		"session_authorization": {Role: w.tenant, Settings: map[string]string{"session_authorization": canary}},
		"read only":             {Role: w.tenant, Settings: map[string]string{"transaction_read_only": canary}},
		"replication role":      {Role: w.tenant, Settings: map[string]string{"session_replication_role": canary}},
		"twice":                 {Role: w.tenant, Settings: map[string]string{"a": canary, "A": canary + "2"}}, "twice by prefix": {Role: w.tenant, Settings: map[string]string{"a": canary, "rls.a": canary}},
		"own field": {Role: w.tenant, Settings: map[string]string{"tenant_id": canary}}, "own field by prefix": {Role: w.tenant, Settings: map[string]string{"RLS.User_Id": canary}},
		"quote in name": {Role: w.tenant, Settings: map[string]string{"a'b": canary}}, "injection": {Role: w.tenant, Settings: map[string]string{"a', 'b', true), pg_catalog.set_config('role', 'none": canary}},
		"empty name": {Role: w.tenant, Settings: map[string]string{"": canary}}, "dot": {Role: w.tenant, Settings: map[string]string{".": canary}}, "NUL in value": {Role: w.tenant, Settings: map[string]string{"a": canary + "\x00"}},
		"UTF-8 in value": {Role: w.tenant, Settings: map[string]string{"a": canary + "\xc0"}}, "extension": {Role: w.tenant, Settings: map[string]string{"plpgsql.variable_conflict": canary}},
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		h := w.open(t, mode, driver.Config{})
		a := w.as(w.tenant, "a")
		w.is(t, a, h, w.tenant, "a")
		for name, id := range cases {
			ctx := pganon.WithIdentity(none, id)
			w.proxy.Reset()
			_, err := h.ExecContext(ctx, "select nextval('reached')")
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity, name)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), canary, name)
			_, err = h.PrepareContext(ctx, "select nextval('reached')")
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity, name)
			_, err = h.BeginTx(ctx, nil)
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity, name)
			for _, m := range w.proxy.Messages() {
				require.False(t, containsFold(m.Body, "reached"), name)
			}
		}
		// The server's own refusals: nothing has run, and the error names the step.
		for name, row := range map[string]struct {
			ctx  context.Context
			want []string
		}{
			"unknown role":     {identity("nosuch", nil), []string{"nosuch", "role unknown"}},
			"quoted role":      {identity(`no"such'`, nil), []string{"role unknown"}},
			"not granted":      {identity(w.notGranted, nil), []string{w.notGranted, "not granted"}},
			"not granted, set": {identity(w.notGranted, map[string]string{"region": canary}), []string{w.notGranted, "not granted"}},
			"upper case":       {identity(strings.ToUpper(w.tenant), nil), []string{"role unknown"}},
		} {
			for _, text := range []string{"select nextval('reached')", "select nextval('reached'); select 1", "do $$ begin perform nextval('reached'); end $$", "select nextval('reached') + $1::int"} {
				var args []any
				if strings.Contains(text, "$1") {
					args = append(args, 1)
				}
				_, err := h.ExecContext(row.ctx, text, args...)
				require.Error(t, err, name)
				for _, want := range row.want {
					require.ErrorContains(t, err, want, name)
				}
				require.NotContains(t, fmt.Sprintf("%v %+v", err, err), canary, name)
				tx, err := h.BeginTx(a, nil)
				require.NoError(t, err)
				_, err = tx.ExecContext(row.ctx, text, args...)
				require.Error(t, err, name)
				require.NoError(t, tx.Rollback())
				w.is(t, a, h, w.tenant, "a")
			}
		}
		bad := w.open(t, mode, driver.Config{AllowSettings: []string{"statement_timeout", "temp_file_limit"}})
		for _, name := range []string{"statement_timeout", "temp_file_limit"} {
			_, err := bad.ExecContext(identity(w.tenant, map[string]string{name: canary}), "select nextval('reached')")
			require.ErrorContains(t, err, name)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), canary)
			w.is(t, a, bad, w.tenant, "a")
		}
		var called bool
		require.NoError(t, w.owner.QueryRow("select is_called from reached").Scan(&called))
		require.False(t, called, "a statement has run")
	})
}

func TestWithoutIdentity(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	none := context.Background()
	a := w.as(w.tenant, "a")
	for _, way := range []string{"WithIdentity", "System", "pganon.identity=optional", "pganon.anonymous="} {
		require.ErrorContains(t, pganon.ErrNoIdentity, way)
	}
	eachIdentityMode(t, func(t *testing.T, mode string) {
		t.Run("required", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{})
			for _, warm := range []bool{false, true} {
				if warm {
					w.is(t, a, h, w.tenant, "a")
				}
				_, err := h.Exec("select nextval('reached')")
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				_, err = h.Query("select nextval('reached')")
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				_, err = h.Exec("select nextval('reached'); select 1")
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				_, err = h.Exec("begin; select nextval('reached')")
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				st, err := h.Prepare("select nextval('reached')")
				require.NoError(t, err)
				_, err = st.Exec()
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				_, err = st.ExecContext(a)
				require.NoError(t, err)
				require.NoError(t, st.Close())
				tx, err := h.Begin()
				require.NoError(t, err)
				_, err = tx.Exec("select nextval('reached')")
				require.ErrorIs(t, err, pganon.ErrNoIdentity)
				_, err = tx.ExecContext(a, "select 1")
				require.NoError(t, err)
				_, err = tx.Exec("select nextval('reached')")
				require.ErrorIs(t, err, pganon.ErrNoIdentity, "another's identity is not the transaction's")
				require.NoError(t, tx.Commit())
			}
		})
		t.Run("optional", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{Identity: "optional"})
			for range 2 {
				user, err := currentUser(none, h)
				require.NoError(t, err)
				require.Equal(t, w.login, user)
				w.is(t, a, h, w.tenant, "a")
				require.Equal(t, []string{"", ""}, settingsOf(t, none, h, "rls.user_id", "rls.tenant_id"))
				tx, err := h.BeginTx(a, nil)
				require.NoError(t, err)
				w.is(t, none, tx, w.tenant, "a")
				require.NoError(t, tx.Commit())
			}
		})
		t.Run("anonymous", func(t *testing.T) {
			h := w.open(t, mode, driver.Config{Anonymous: w.other})
			for range 2 {
				user, err := currentUser(none, h)
				require.NoError(t, err)
				require.Equal(t, w.other, user)
				require.NoError(t, func() error { _, err := h.Exec("reset role; select 1"); return err }())
				w.is(t, a, h, w.tenant, "a")
				require.Equal(t, []string{"", ""}, settingsOf(t, none, h, "rls.user_id", "rls.tenant_id"))
			}
		})
		t.Run("system", func(t *testing.T) {
			var log strings.Builder
			h := w.open(t, mode, driver.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			system := pganon.System(a, "nightly purge")
			for range 3 {
				user, err := currentUser(system, h)
				require.NoError(t, err)
				require.Equal(t, w.login, user)
				w.is(t, a, h, w.tenant, "a")
			}
			require.Equal(t, 1, strings.Count(log.String(), "nightly purge"), log.String())
			_, err := currentUser(pganon.System(none, " "), h)
			require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
			require.ErrorContains(t, err, "reason")
			// What cannot run in a pipeline.
			for _, text := range []string{"vacuum notes", "create index concurrently i on secrets (body)", "drop index concurrently if exists i", "vacuum analyze secrets;"} {
				_, err := h.ExecContext(a, text)
				require.ErrorContains(t, err, "pganon.System", text)
				_, err = h.ExecContext(system, text)
				require.NoError(t, err, text)
			}
			_, err = h.ExecContext(a, "create database nosuch")
			require.ErrorContains(t, err, "pganon.System")
			_, err = h.ExecContext(system, "create database nosuch")
			require.Equal(t, "42501", sqlState(err), "%v", err)
			w.is(t, a, h, w.tenant, "a")
		})
		t.Run("raw", func(t *testing.T) {
			for want, cfgs := range map[bool][]driver.Config{
				false: {{}, {Anonymous: w.other}, {Identity: "optional", Raw: "refuse"}, {Identity: "required"}},
				true:  {{Raw: "allow"}, {Identity: "optional"}},
			} {
				for _, cfg := range cfgs {
					h := w.open(t, mode, cfg)
					c := pinned(t, h)
					require.NoError(t, c.Raw(func(raw any) error {
						_, has := raw.(interface{ Conn() *pgx.Conn })
						require.Equal(t, want, has, "%+v", cfg)
						return nil
					}))
				}
			}
		})
	})
}

func TestOpenSystem(t *testing.T) {
	w := newIdentityWorld(t)
	var log strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	_, err := driver.OpenSystem(w.proxy.DSNAs(w.login), " ")
	require.ErrorContains(t, err, "reason")
	h, err := driver.OpenSystem(w.proxy.DSNAs(w.login), "migrations of May")
	require.NoError(t, err)
	defer h.Close()
	for range 3 {
		user, err := currentUser(context.Background(), h)
		require.NoError(t, err)
		require.Equal(t, w.login, user)
	}
	require.Equal(t, 1, strings.Count(log.String(), "migrations of May"), log.String())
	_, err = h.Exec("vacuum secrets")
	require.NoError(t, err)
	w.is(t, w.as(w.tenant, "a"), h, w.tenant, "a")
	user, err := currentUser(pganon.MaskedAs(context.Background(), w.masked), h)
	require.NoError(t, err)
	require.Equal(t, w.masked, user)
}

// seeing is an interceptor that notes what it sees.
type seeing struct {
	sqlmw.NullInterceptor
	name string
	seen *[]string
}

func (s seeing) ConnExecContext(ctx context.Context, c sqldriver.ExecerContext, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	*s.seen = append(*s.seen, s.name+": "+query)
	return c.ExecContext(ctx, query, args)
}

func (s seeing) ConnQueryContext(ctx context.Context, c sqldriver.QueryerContext, query string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	id, _ := pganon.IdentityFrom(ctx)
	*s.seen = append(*s.seen, fmt.Sprintf("%s: %s of %s with %d", s.name, query, id.Tenant, len(args)))
	rows, err := c.QueryContext(ctx, query, args)
	return ctx, rows, err
}

func TestInterceptors(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	var seen []string
	h := w.open(t, "cache_statement", driver.Config{Raw: "allow", Interceptors: []sqlmw.Interceptor{seeing{name: "outer", seen: &seen}, seeing{name: "inner", seen: &seen}}})
	a := w.as(w.tenant, "a")
	_, err := h.ExecContext(a, "select 1; select 2")
	require.NoError(t, err)
	var n int
	require.NoError(t, h.QueryRowContext(a, "select $1::int", 3).Scan(&n))
	_, err = h.Exec("select 1")
	require.ErrorIs(t, err, pganon.ErrNoIdentity)
	require.Equal(t, []string{"outer: select 1; select 2", "inner: select 1; select 2", "outer: select $1::int of a with 1", "inner: select $1::int of a with 1",
		"outer: select 1", "inner: select 1"}, seen, "the user's text and the identity; nothing of the settings")
	w.is(t, a, h, w.tenant, "a")
	require.NoError(t, pinned(t, h).Raw(func(raw any) error {
		return raw.(interface{ Conn() *pgx.Conn }).Conn().Ping(context.Background())
	}))
}
