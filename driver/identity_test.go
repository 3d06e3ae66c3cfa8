package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

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
