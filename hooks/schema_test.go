package hooks_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/pganontest"
)

// world is a database with the two domains that most tests need, and a ring.
type world struct {
	*pganontest.DB
	t    *testing.T
	pg   *pgconn.PgConn
	ring *fernet.Keyring
}

// tables are those of a small shop.
const tables = `
create schema app; create schema crm;
create table app.users (id bigint, name text, email app_email, ssn app_ssn);
create table app.orders (id bigint, email app_email, total numeric);
create table crm.users (id bigint, email text, name text);
create table app."Weird Table" ("Select" text, "E-Mail" app_email, "a""b" text);
`

func newWorld(t *testing.T, sql string) *world {
	t.Helper()
	t.Parallel()
	w := &world{DB: pganontest.New(t), t: t, ring: newRing(t, 2)}
	w.Exec(domainSQL(t, hooks.Domain{Name: "app_email", Tag: mustTag(t, "encrypt,deterministic,key=email")}) +
		domainSQL(t, hooks.Domain{Name: "app_ssn", Tag: mustTag(t, "encrypt,key=ssn,mask='***'")}) + sql)
	w.pg = connect(t, w.DSN())
	return w
}

// load loads with the world's ring.
func (w *world) load(o hooks.Options) *hooks.Schema {
	w.t.Helper()
	if o.Keys == nil {
		o.Keys = w.ring
	}
	s, err := hooks.Load(w.t.Context(), w.pg, o)
	require.NoError(w.t, err)
	return s
}

// query returns the first column of the first row.
func (w *world) query(sql string) string {
	w.t.Helper()
	results, err := w.pg.Exec(w.t.Context(), sql).ReadAll()
	require.NoError(w.t, err, sql)
	last := results[len(results)-1]
	require.NotEmpty(w.t, last.Rows, sql)
	return string(last.Rows[0][0])
}

// oid returns the OID of a relation.
func (w *world) oid(relation string) uint32 {
	w.t.Helper()
	relations := hooks.ParseOID([]byte(w.query("select '" + relation + "'::regclass::oid")))
	require.NotZero(w.t, relations)
	return relations
}

// column returns what is known of a column of a relation.
func (w *world) column(s *hooks.Schema, relation, column string) *hooks.Column {
	w.t.Helper()
	number := w.query("select attnum from pg_attribute where attrelid = '" + relation + "'::regclass and attname = '" + column + "'")
	return s.Column(w.oid(relation), uint16(hooks.ParseOID([]byte(number))))
}

var appPath = []string{"pg_catalog", "app", "public"}

func TestLoad(t *testing.T) {
	w := newWorld(t, tables)
	s := w.load(hooks.Options{})
	assert.Empty(t, s.Refusals())
	assert.Empty(t, s.Untyped())
	assert.False(t, s.Empty())
	assert.Equal(t, []string{"E-Mail", "email", "ssn"}, s.Names())

	email := w.column(s, "app.users", "email")
	require.NotNil(t, email)
	assert.Equal(t, "app.users.email", email.Name)
	assert.True(t, email.Typed)
	assert.NoError(t, email.Err)
	label := email.Label
	assert.Equal(t, "email", label.Name)
	assert.NoError(t, label.Err)
	assert.Equal(t, fernet.Deterministic, label.Mode)
	assert.Equal(t, "text", label.Type.String())
	assert.Equal(t, w.ring.KeyIDs()[1], label.Write, "the ring's last key")
	assert.Equal(t, []fernet.KeyID{w.ring.KeyIDs()[1], w.ring.KeyIDs()[0]}, label.Occurring)
	assert.True(t, label.Key.Searchable)
	assert.True(t, label.Key.Several)
	assert.Nil(t, label.Mask)
	assert.False(t, label.Bytea)
	assert.False(t, label.Implicit)
	require.Len(t, label.Domains, 1)
	assert.Equal(t, "app_email", label.Domains[0].Name)
	assert.Equal(t, `pganon:"encrypt,deterministic,key=email"`, label.Domains[0].Comment)
	token, err := label.Keys.Encrypt([]byte("a"), label.Mode, label.Write)
	require.NoError(t, err)
	keys, err := w.ring.Derive("email")
	require.NoError(t, err)
	plain, err := keys.Decrypt(token)
	require.NoError(t, err)
	assert.Equal(t, "a", string(plain))

	ssn := w.column(s, "app.users", "ssn").Label
	assert.Equal(t, fernet.Random, ssn.Mode)
	assert.Equal(t, w.ring.KeyIDs()[0], ssn.Write, "the ring's first key")
	assert.Equal(t, []byte("***"), ssn.Mask)
	assert.False(t, ssn.Key.Searchable)
	assert.False(t, ssn.Key.Several)

	assert.Same(t, label, w.column(s, "app.orders", "email").Label)
	assert.Same(t, label, w.column(s, `app."Weird Table"`, "E-Mail").Label)
	assert.Same(t, label, s.Label(label.Key))
	assert.Same(t, label, s.Domain(label.Domains[0].OID))
	assert.Same(t, label, s.DomainNamed("public", "app_email"))
	assert.Nil(t, s.DomainNamed("app", "app_email"))
	assert.Nil(t, s.Domain(25))
	assert.Nil(t, w.column(s, "app.users", "name"))
	assert.Nil(t, w.column(s, "crm.users", "email"))
	assert.True(t, s.Known(w.oid("crm.users")))
	assert.True(t, s.Known(w.oid("pg_catalog.pg_class")))
	assert.False(t, s.Known(1))

	for text, want := range map[string]bool{
		"select * from users": true, "select * from orders": true, `select "Select" from "Weird Table"`: true, "select * from pg_class": false,
	} {
		assert.Equal(t, want, s.MayName(text), text)
	}
}

func TestView(t *testing.T) {
	w := newWorld(t, tables+"create table public.orders (id int, note varchar(10)); create table app.pg_class (x int)")
	s := w.load(hooks.Options{})
	v := s.View(appPath)
	names := func(r *sqlcols.Relation) (names []string) {
		for _, c := range r.Columns {
			names = append(names, c.Name)
		}
		return names
	}
	users := v.Relation("", "users")
	require.NotNil(t, users)
	assert.Equal(t, "app", users.Schema)
	assert.Equal(t, w.oid("app.users"), users.OID)
	assert.Equal(t, []string{"id", "name", "email", "ssn"}, names(users))
	assert.Equal(t, []bool{false, true, true, true}, []bool{users.Columns[0].Text, users.Columns[1].Text, users.Columns[2].Text, users.Columns[3].Text})
	assert.Same(t, users.Columns[2].Key, v.Relation("", "orders").Columns[1].Key)
	assert.Nil(t, users.Columns[1].Key)
	assert.Equal(t, int16(4), users.Columns[3].Number)

	assert.Equal(t, "crm", v.Relation("crm", "users").Schema)
	assert.Equal(t, "app", v.Relation("", "orders").Schema)
	assert.Equal(t, "public", s.View([]string{"pg_catalog", "public", "app"}).Relation("", "orders").Schema)
	assert.Equal(t, "pg_catalog", v.Relation("", "pg_class").Schema)
	assert.Equal(t, "app", s.View([]string{"app", "pg_catalog"}).Relation("", "pg_class").Schema)
	assert.Contains(t, names(v.Relation("", "pg_class")), "relname")
	assert.Nil(t, v.Relation("", "Users"))
	assert.Nil(t, v.Relation("nowhere", "users"))
	assert.Nil(t, s.View(nil).Relation("", "users"))
	assert.Equal(t, []string{"id", "note"}, names(v.Relation("public", "orders")))

	w.query("create temp table users (id int); alter table app.users drop column name; alter table app.users add b int; select 1")
	v = w.load(hooks.Options{}).View(append([]string{"pg_temp_3"}, appPath...))
	users = v.Relation("", "users")
	assert.Equal(t, "app", users.Schema, "temporary tables are not known")
	assert.Equal(t, []string{"id", "email", "ssn", "b"}, names(users))
	assert.Equal(t, int16(3), users.Columns[1].Number)
	assert.Nil(t, v.Relation("pg_temp", "users"))
}

// What is wrong with a column refuses its relation, and no other.
func TestRefusals(t *testing.T) {
	w := newWorld(t, tables+`create collation folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	for _, c := range []struct{ sql, relation, want string }{
		// What the type cannot be.
		{`create domain d as int; comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t",
			"domain public.d: encrypted columns need a domain over text, varchar or bytea"},
		{`create domain d as varchar(227); comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t",
			"domain public.d: too short for tokens: make it one over text, or varchar(228) at least"},
		{`create domain d as varchar(228); comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t", ""},
		{`create domain d as varchar; comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t", ""},
		{`create domain d as varchar(20); create domain e as d; comment on domain e is 'pganon:"encrypt,key=x"'; create table t (a e)`, "t",
			"domain public.e: too short for tokens: make it one over text, or varchar(228) at least"},
		{`create domain d as bpchar; comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t",
			"domain public.d: encrypted columns need a domain over text, varchar or bytea"},
		{`create domain d as bytea; comment on domain d is 'pganon:"encrypt,fold,key=x"'; create table t (a d)`, "t",
			"label x: option fold: values of type bytea have no case"},
		{`create domain d as bytea; comment on domain d is 'pganon:"encrypt,fold,type=text,key=x"'; create table t (a d)`, "t", ""},
		{`create table t (a app_email collate folding)`, "t", "column public.t.a: its collation calls different tokens equal: give it a deterministic one"},
		{`create table t (a int); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: its type cannot hold tokens: make it text, varchar or bytea, or a domain over one of them"},
		{`create table t (a char(300)); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: its type cannot hold tokens: make it text, varchar or bytea, or a domain over one of them"},
		{`create table t (a varchar(200)); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: too short for tokens: make it text, or varchar(228) at least"},
		{`create table t (a text[]); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: its type cannot hold tokens: make it text, varchar or bytea, or a domain over one of them"},
		{`create table t (a varchar(228), b bytea, c text); comment on column t.a is 'pganon:"encrypt"'; comment on column t.b is 'pganon:"encrypt"'`, "t", ""},

		// What the server would put into it.
		{`create table t (a app_email default 'x')`, "t", "column public.t.a: has a DEFAULT, which is no token: ALTER TABLE … ALTER COLUMN … DROP DEFAULT"},
		{`create table t (a app_email default null, b app_ssn default null::text, c app_ssn default null::varchar(10))`, "t", ""},
		{`create table t (a app_email default coalesce(null, 'x'))`, "t", "column public.t.a: has a DEFAULT, which is no token: ALTER TABLE … ALTER COLUMN … DROP DEFAULT"},
		{`create table t (a text default 'x'); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: has a DEFAULT, which is no token: ALTER TABLE … ALTER COLUMN … DROP DEFAULT"},
		{`create table t (a text default null); comment on column t.a is 'pganon:"encrypt"'`, "t", ""},
		{`create domain d as text default 'x'; comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t",
			"domain public.d: has a DEFAULT, which is no token: ALTER DOMAIN … DROP DEFAULT"},
		{`create domain d as text default null; comment on domain d is 'pganon:"encrypt,key=x"'; create table t (a d)`, "t", ""},
		{`create table t (b text, a app_email generated always as (b) stored)`, "t", "column public.t.a: is generated by the server, which cannot encrypt"},
		{`create table t (a app_email, b text generated always as (lower(a)) stored)`, "t",
			"column public.t.b: is generated from column public.t.a, of which the server sees tokens only"},
		{`create table t (a app_email, c int, b int generated always as (c) stored)`, "t", ""},
		{`create table t (a app_email) partition by list (a)`, "t",
			"column public.t.a: is part of the partition key: what is encrypted has no order, and another token each time or key"},
		{`create table t (a app_email, b int) partition by list (b, lower(a))`, "t", ""}, // list takes one; see below
		{`create table t (a app_email, b int) partition by range (b, lower(a))`, "t",
			"column public.t.a: is part of the partition key: what is encrypted has no order, and another token each time or key"},
		{`create table t (a app_email, b int) partition by range (b, (b + 1))`, "t", ""},

		// Comments and domains.
		{`create table t (a text); comment on column t.a is 'pganon:"encrypt,determinstic"'`, "t",
			"column public.t.a: its comment: option determinstic: unknown, did you mean deterministic?"},
		{`create table t (a text); comment on column t.a is 'pganon:encrypt'`, "t", `column public.t.a: its comment: want pganon:"…", quoted as in a Go struct tag`},
		{`create table t (a app_email); comment on column t.a is 'pganon:"encrypt"'`, "t",
			"column public.t.a: option deterministic: its comment and domain public.app_email differ"},
		{`create table t (a app_email); comment on column t.a is 'pganon:"redact"'`, "t",
			"column public.t.a: option encrypt: its comment and domain public.app_email differ"},
		{`create table t (a app_email); comment on column t.a is 'pganon:"encrypt,deterministic,key=other"'`, "t",
			"column public.t.a: option key: its comment and domain public.app_email differ"},
		{`create table t (a app_email); comment on column t.a is 'pganon:"encrypt,deterministic"'`, "t", ""},
		{`create table t (a text); comment on column t.a is 'pganon:"redact"'`, "t", ""},
		{`create domain d as text; comment on domain d is 'pganon:"encrypt"'; create table t (a d)`, "t",
			"comment on domain public.d: option key: a domain's tag must name its label"},
		{`create domain d as text; comment on domain d is 'pganon:"encrypt,'; create table t (a d)`, "t",
			`comment on domain public.d: want pganon:"…", quoted as in a Go struct tag`},
		{`create domain d as app_email; comment on domain d is 'pganon:"encrypt,key=email"'; create table t (a d)`, "t",
			"domain public.d: option deterministic: the domain public.app_email that it is made of says otherwise"},
		{`create domain d as app_email; create table t (a d)`, "t", ""},

		// One label, two meanings.
		{`create table t (a text); comment on column t.a is 'pganon:"encrypt,key=email"'`, "t",
			"label email: option deterministic: domain public.app_email and column public.t.a differ"},
		{`create table t (a bytea); comment on column t.a is 'pganon:"encrypt,key=ssn"'`, "t",
			"label ssn: option key: one of domain public.app_ssn and column public.t.a is bytea, the other text: give them different labels"},
		{`create domain d as text; comment on domain d is 'pganon:"encrypt,key=ssn,type=int8"'; create table t (a app_ssn)`, "t",
			"label ssn: option type: domain public.app_ssn and domain public.d differ"},

		// Inside other types.
		{`create table t (a app_email[])`, "t", "column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create type c as (x int, e app_email); create table t (a c)`, "t",
			"column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create type c as (x int, e app_email); create domain cs as c[]; create table t (a cs)`, "t",
			"column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create type r as range (subtype = app_email); create table t (a r)`, "t",
			"column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create type r as range (subtype = app_email); create table t (a r_multirange)`, "t",
			"column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create table t (a app.users)`, "t", "column public.t.a: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create view t as select u from app.users u`, "t", "column public.t.u: its type holds encrypted values inside, in an array, a row or a range: that is not supported"},
		{`create type c as (x int); create table t (a c)`, "t", ""},
	} {
		t.Run(c.sql, func(t *testing.T) {
			_, err := w.pg.Exec(t.Context(), "begin; "+c.sql).ReadAll()
			if err == nil {
				s := w.load(hooks.Options{})
				r := s.View([]string{"public"}).Relation("", c.relation)
				require.NotNil(t, r)
				assert.Equal(t, c.want, r.Opaque)
				column := s.Column(r.OID, 100)
				if c.want == "" {
					assert.Nil(t, column)
					assert.Empty(t, s.Refusals())
				} else {
					require.NotNil(t, column, "each column of a refused relation is refused")
					assert.EqualError(t, column.Err, "pganon: table public.t is refused: "+c.want)
					assert.Contains(t, s.Refusals(), column.Err)
					assert.True(t, s.MayName("select from t"))
				}
				assert.Empty(t, s.View(appPath).Relation("", "pg_class").Opaque)
			} else {
				assert.Contains(t, c.sql, "partition by list (b, lower(a))", err)
			}
			_, err = w.pg.Exec(t.Context(), "rollback").ReadAll()
			require.NoError(t, err)
		})
	}
	assert.Empty(t, w.load(hooks.Options{}).Refusals())
}
