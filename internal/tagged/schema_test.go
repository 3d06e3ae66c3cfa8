package tagged_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/tagged"
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
func (w *world) load(o tagged.Options) *tagged.Schema {
	w.t.Helper()
	if o.Keys == nil {
		o.Keys = w.ring
	}
	s, err := tagged.Load(w.t.Context(), w.pg, o)
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

// begin runs sql in a transaction that the test's end undoes.
func (w *world) begin(t *testing.T, sql string) {
	t.Helper()
	t.Cleanup(func() { w.pg.Exec(context.Background(), "rollback").ReadAll() })
	_, err := w.pg.Exec(t.Context(), "begin; "+sql).ReadAll()
	require.NoError(t, err)
}

// oid returns the OID of a relation.
func (w *world) oid(relation string) uint32 {
	w.t.Helper()
	relations := tagged.ParseOID([]byte(w.query("select '" + relation + "'::regclass::oid")))
	require.NotZero(w.t, relations)
	return relations
}

// column returns what is known of a column of a relation.
func (w *world) column(s *tagged.Schema, relation, column string) *tagged.Column {
	w.t.Helper()
	number := w.query("select attnum from pg_attribute where attrelid = '" + relation + "'::regclass and attname = '" + column + "'")
	return s.Column(w.oid(relation), uint16(tagged.ParseOID([]byte(number))))
}

var appPath = []string{"pg_catalog", "app", "public"}

func TestLoad(t *testing.T) {
	w := newWorld(t, tables)
	s := w.load(tagged.Options{})
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
	s := w.load(tagged.Options{})
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

	w.query("create temp table users (id int); create temp table made as select email from app.users; alter table app.users drop column name; alter table app.users add b int; select 1")
	temporary := w.query("select nspname from pg_namespace where oid = pg_my_temp_schema()")
	s = w.load(tagged.Options{})
	v = s.View(append([]string{temporary}, appPath...))
	assert.Equal(t, temporary, v.Relation("", "users").Schema, "a temporary table comes first")
	assert.Same(t, s.View(appPath).Relation("", "users").Columns[1].Key, v.Relation("", "made").Columns[0].Key)
	assert.True(t, s.MayName("select * from made"))
	v = s.View(append([]string{"pg_temp_12345"}, appPath...))
	assert.Nil(t, v.Relation("", "made"), "nor another session's")
	users = v.Relation("", "users")
	assert.Equal(t, "app", users.Schema)
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
		{`create table t (a app_email default null, b app_ssn default null::text)`, "t", ""},
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
		{`create type c as (x int); create table t (a c)`, "t", ""},
	} {
		w.refuses(t, c.sql, c.relation, c.want)
	}
	assert.Empty(t, w.load(tagged.Options{}).Refusals())
}

// refuses runs sql and checks for what a relation is then refused, "" for nothing.
func (w *world) refuses(t *testing.T, sql, relation, want string) {
	t.Run(sql, func(t *testing.T) {
		w.begin(t, sql)
		s := w.load(tagged.Options{})
		r := s.View([]string{"public"}).Relation("", relation)
		require.NotNil(t, r)
		assert.Equal(t, want, r.Opaque)
		column := s.Column(r.OID, 100)
		if want == "" {
			assert.Nil(t, column)
			assert.Empty(t, s.Refusals())
		} else {
			require.NotNil(t, column, "each column of a refused relation is refused")
			assert.EqualError(t, column.Err, "pganon: table public.t is refused: "+want)
			assert.Contains(t, s.Refusals(), column.Err)
			assert.True(t, s.MayName("select from t"))
		}
		assert.Empty(t, s.View(appPath).Relation("", "pg_class").Opaque)
	})
}

// Views have the labels of what they show, by their columns' types or, where those are others, by what they are made of.
func TestViews(t *testing.T) {
	w := newWorld(t, tables+`
create table app.plain (id int, note text, mail text); comment on column app.plain.mail is 'pganon:"encrypt,deterministic,key=mail"';
create table app.other (id int, mail text); comment on column app.other.mail is 'pganon:"encrypt,deterministic,key=othermail"'`)
	for _, c := range []struct {
		sql    string
		labels string // of v's columns, or what it is refused for
	}{
		{`create view v as select id, email from app.users`, " email"},
		{`create view v as select * from app.users where email is not null`, "  email ssn"},
		{`create view v as select email::text e, email::varchar v, ssn as x from app.users`, "email email ssn"},
		{`create view v as select count(*), count(email) c from app.users`, " "},
		{`create view v as select null::app_email email, id from app.users`, "email "},
		{`create view v as select u.email, o.total from app.users u join app.orders o on o.email = u.email`, "its definition: orders.email: compared with users.email by =, while its key is being rotated"},
		{`create view v as select email from app.users union all select email from app.orders`, "email"},
		{`create view v as select id, mail from app.plain`, " mail"},
		{`create view v as select id, mail as a, mail as b from app.plain`, " mail mail"},
		{`create view v as select id, note from app.plain`, " "},
		{`create view v as select id from app.plain where mail is null`, ""},
		{`create view w as select mail m from app.plain; create view v as select m from w`, "mail"},
		{`create materialized view v as select id, mail from app.plain`, " mail"},
		{`create materialized view v as select id, email from app.users`, " email"},
		{`create view v as with x as (select id, mail from app.plain) select x.mail, x.id from x`, "mail "},
		{`create view v as select mail from app.plain; comment on column v.mail is 'pganon:"encrypt,deterministic,key=mail"'`, "mail"},
		{`create view v as select name from crm.users`, ""},

		{`create view v as select id, lower(email) from app.users`, "its definition: users.email: argument of lower()"},
		{`create view v as select coalesce(email, '') e from app.users`, "its definition: users.email: "},
		{`create view v as select email || 'x' from app.users`, "its definition: users.email: operator ||"},
		{`create view v as select to_jsonb(u) from app.users u`, "its definition: users.email: argument of to_jsonb()"},
		{`create view v as select u from app.users u`, "its definition: users.email: "},
		{`create view v as select array_agg(email) from app.users`, "column array_agg is an array of encrypted values: that is not supported"},
		{`create view v as select array[mail] x from app.plain`, "column x is an array of encrypted values: that is not supported"},
		{`create view v as select id from app.users where email like 'a%'`, "its definition: users.email: operator ~~"},
		{`create view v as select id from app.users order by ssn`, "its definition: users.ssn: ORDER BY"},
		{`create view v as select mail || '' from app.plain`, "its definition: plain.mail: operator ||"},
		{`create view w as select lower(mail) m from app.plain; create view v as select m from w`, "its definition: w: public.w: its definition: plain.mail: argument of lower()"},
		{`create view v as select mail from app.plain; comment on column v.mail is 'pganon:"encrypt,deterministic,key=othermail"'`,
			"column mail has label othermail by its tag, and values of label mail"},
		{`create view v as select mail from app.plain; comment on column v.mail is 'pganon:"encrypt"'`, "column mail has label public.v.mail by its tag, and values of label mail"},
		{`create view v as select mail from app.plain; create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger x instead of insert on v for each row execute function f()`,
			"column public.v.mail: it has values of label mail, and an INSTEAD OF trigger may put others there: give it their type"},
		{`create view v as select id, mail::bytea from app.plain`, "its definition: plain.mail: cast to bytea"},
		{`create function app.mail() returns app_email language sql return null::app_email; create view v as select id, app.mail() n from app.plain where mail is not null`, " email"},
		{`create function app.mail() returns app_email language sql return null::app_email; create view v as select id, lower(app.mail()) m from app.plain where mail is not null`, "its definition: mail.mail: "},
		{`create view v as select email from app.users; create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger x instead of insert on v for each row execute function f()`, "email"},
		{`create table v (id int); create rule r as on insert to v do also insert into app.plain values (new.id)`, "a rule of it reaches app.plain, which has encrypted columns"},
		{`create table v (id int); create rule r as on insert to v do also delete from app.users`, "a rule of it reaches app.users, which has encrypted columns"},
		{`create table v (id int); create rule r as on insert to v do also insert into crm.users values (new.id)`, ""},
		{`create table v (e app_email, id int); create rule r as on update to v do also insert into crm.users (email) values (old.e)`, "a rule of it reaches public.v, which has encrypted columns"},
		{`create table v (e app_email, id int); create rule r as on update to v do instead nothing`, "email "},
	} {
		w.shows(t, c.sql, c.labels)
	}
}

// shows runs sql and checks which labels the columns of a view v then have, or what it is refused for.
func (w *world) shows(t *testing.T, sql, labels string) {
	t.Run(sql, func(t *testing.T) {
		w.begin(t, sql)
		s := w.load(tagged.Options{})
		v := s.View([]string{"public"}).Relation("", "v")
		var got []string
		for _, column := range v.Columns {
			name := ""
			if column.Key != nil {
				name = column.Key.Label
				if v.Opaque == "" {
					assert.Same(t, s.Label(column.Key), s.Column(v.OID, uint16(column.Number)).Label)
				}
			}
			got = append(got, name)
		}
		if v.Opaque != "" {
			assert.Contains(t, v.Opaque, labels)
			assert.NotEmpty(t, labels)
		} else {
			assert.Equal(t, labels, strings.Join(got, " "))
		}
		assert.Equal(t, strings.Contains(sql, "app"), s.MayName("select from v"), "views that reach a tagged table count as such")
	})
}

// What a rotation makes wrong is refused in a view while tokens of several keys are in the columns.
func TestViewsWhileKeysRotate(t *testing.T) {
	w := newWorld(t, tables+"create view app.v as select u.email, o.total from app.users u join app.orders o on o.email = u.email")
	assert.NotEmpty(t, w.load(tagged.Options{}).View(appPath).Relation("", "v").Opaque)
	sql, err := hooks.ChangeDomainSQL(hooks.Domain{Name: "app_email", Tag: mustTag(t, "encrypt,deterministic,key=email"), Keys: w.ring.KeyIDs()[1:]})
	require.NoError(t, err)
	w.Exec(sql)
	assert.NotEmpty(t, w.load(tagged.Options{}).View(appPath).Relation("", "v").Opaque, "not validated")
	sql, err = hooks.ValidateDomainSQL(hooks.Domain{Name: "app_email", Tag: mustTag(t, "encrypt,key=email")})
	require.NoError(t, err)
	w.Exec(sql)
	assert.Empty(t, w.load(tagged.Options{}).Refusals())
}

// The table of a model counts as tagged before it is there: what is written to it must be looked at.
func TestModelsWithoutTable(t *testing.T) {
	w := newWorld(t, "drop domain app_email; drop domain app_ssn")
	s := w.load(tagged.Options{})
	assert.True(t, s.Empty())
	assert.False(t, s.MayName("insert into users (email) values ($1)"))
	models, err := hooks.ParseModels([]any{User{}})
	require.NoError(t, err)
	s = w.load(tagged.Options{Models: models})
	assert.False(t, s.Empty())
	assert.True(t, s.MayName("insert into users (email) values ($1)"))
	assert.Nil(t, s.View(appPath).Relation("", "users"))

	s = w.load(tagged.Options{Models: []hooks.ModelColumn{{Table: "pg_class", Column: "relname", Field: "x.Y", Tag: mustTag(t, "encrypt")}}})
	assert.Equal(t, []string{"x.Y: pg_class.relname"}, s.Unmet(), "a struct means no system catalog")
	w.Exec("create table users (email text)")
	s = w.load(tagged.Options{Models: []hooks.ModelColumn{{Table: "users", Column: "email", Field: "x.Y", Tag: hooks.Tag{Encrypt: true, Write: "abcd"}}}})
	assert.Equal(t, "column public.users.email: struct field x.Y: option write: only deterministic columns have a key of their own to write under; others use the ring's first",
		s.View([]string{"public"}).Relation("", "users").Opaque)
}

// Partitions and children have their parents' labels, by their types or without.
func TestInheritance(t *testing.T) {
	w := newWorld(t, tables)
	for _, c := range []struct {
		sql, want string // of p.e, c.e, g.e: the label, or what it is refused for
	}{
		{`create table p (id int, e app_email) partition by range (id); create table c partition of p for values from (0) to (9) partition by range (id);
			create table g partition of c for values from (0) to (5)`, "email|email|email"},
		{`create table p (id int, e app_email); create table c () inherits (p); create table g (x int) inherits (c)`, "email|email|email"},
		{`create table p (id int, e app_email); create table c (x int, e app_email, id int); alter table c inherit p; create table g (like p)`, "email|email|email"},
		{`create table p (id int, e app_email); create table c as select * from p; create table g as table c`, "email|email|email"},
		{`create table p (id int, e text) partition by range (id); comment on column p.e is 'pganon:"encrypt"';
			create table c partition of p for values from (0) to (9) partition by range (id); create table g (x int, e text, id int); alter table g drop x;
			alter table c attach partition g for values from (0) to (5)`, "public.p.e|public.p.e|public.p.e"},
		{`create table p (id int, e text); comment on column p.e is 'pganon:"encrypt"'; create table c () inherits (p); create table g () inherits (c);
			comment on column g.e is 'pganon:"encrypt"'`, "public.p.e|public.p.e|public.p.e"},
		{`create table p (id int, e text); comment on column p.e is 'pganon:"encrypt,key=k"'; create table c () inherits (p);
			comment on column c.e is 'pganon:"encrypt,key=k"'; create table g () inherits (p)`, "k|k|k"},
		{`create table p (id int, e text); comment on column p.e is 'pganon:"encrypt,key=k"'; create table c () inherits (p);
			comment on column c.e is 'pganon:"encrypt,key=other"'; create table g () inherits (p); -- the one that agrees is not refused`,
			"column public.p.e: option key: differs from that of its child's column public.c.e|column public.c.e: option key: differs from that of its parent's column public.p.e|k"},
		{`create table p (id int, e text); comment on column p.e is 'pganon:"encrypt"'; create table c () inherits (p);
			comment on column c.e is 'pganon:"encrypt,deterministic"'; create table g () inherits (p)`,
			"column public.p.e: option deterministic: differs from that of its child's column public.c.e|column public.c.e: option deterministic: differs from that of its parent's column public.p.e|public.p.e"},
		{`create table p (id int, e text); create table c () inherits (p); comment on column c.e is 'pganon:"encrypt"'; create table g () inherits (p)`,
			"column public.p.e: is not tagged, but its child's column public.c.e is: tag both, or this one only|public.c.e|"},
		{`create table p (id int, e app_email); create table c () inherits (p); alter table c alter e set default 'x'; create table g () inherits (p)`,
			"email|column public.c.e: has a DEFAULT, which is no token: ALTER TABLE … ALTER COLUMN … DROP DEFAULT|email"},
		{`create table p (id int); create table q (e text); create table c () inherits (p, q); comment on column q.e is 'pganon:"encrypt,key=k"';
			create table g () inherits (c); alter table p add e text`,
			"column public.p.e: is not tagged, but its child's column public.c.e is: tag both, or this one only|k|k"},
		{`create table p (id int, e text); comment on column p.e is 'pganon:"encrypt,"'; create table c () inherits (p); create table g () inherits (c)`,
			"column public.p.e: its comment: empty option|column public.p.e: its comment: empty option|column public.p.e: its comment: empty option"},
	} {
		t.Run(c.sql, func(t *testing.T) {
			w.begin(t, c.sql)
			s := w.load(tagged.Options{})
			var got []string
			for _, name := range []string{"p", "c", "g"} {
				r := s.View([]string{"public"}).Relation("", name)
				at := slices.IndexFunc(r.Columns, func(c sqlcols.Column) bool { return c.Name == "e" })
				switch {
				case r.Opaque != "":
					got = append(got, r.Opaque)
				case r.Columns[at].Key == nil:
					got = append(got, "")
				default:
					got = append(got, r.Columns[at].Key.Label)
					assert.Same(t, s.Label(r.Columns[at].Key), w.column(s, name, "e").Label)
				}
			}
			assert.Equal(t, c.want, strings.Join(got, "|"))
		})
	}
}

type User struct {
	Email string `pganon:"encrypt,deterministic,key=model"`
	Name  string `pganon:"redact"`
	Notes string `gorm:"column:comments" pganon:"encrypt"`
}

type shopUser struct {
	Email string `pganon:"encrypt,deterministic"`
}

func (shopUser) TableName() string { return "shop.users" }

func TestStructTags(t *testing.T) {
	w := newWorld(t, "create schema shop; create schema old; create table shop.users (id int, email text)")
	users := func(models ...any) tagged.Options {
		columns, err := hooks.ParseModels(models)
		require.NoError(t, err)
		return tagged.Options{Models: columns}
	}
	for _, c := range []struct {
		name, sql, relation string
		options             tagged.Options
		want                string // label of email, or what it is refused for
		untyped, unmet      []string
	}{
		{"no table yet", "", "shop.users", users(User{}), `column shop.users.email: struct field tagged_test.User.Email may mean it too, since its table has no schema: let TableName say which, or tag the column in the database`,
			nil, []string{"tagged_test.User.Email: users.email", "tagged_test.User.Name: users.name", "tagged_test.User.Notes: users.comments"}},
		{"on the path", "create table users (email text, name text, comments text); drop table shop.users", "users", users(&User{}), "model",
			[]string{"public.users.comments", "public.users.email"}, nil},
		{"a column is missing", "create table users (email text, name text); drop table shop.users", "users", users(&User{}), "model",
			[]string{"public.users.email"}, []string{"tagged_test.User.Notes: users.comments"}},
		{"first on the path", "create table users (email text, name text, comments text); create table old.users (email text); set search_path = old, public, shop", "old.users", users(User{}), "model",
			[]string{"old.users.email"}, []string{"tagged_test.User.Name: users.name", "tagged_test.User.Notes: users.comments"}},
		{"elsewhere too", "create table users (email text, name text, comments text)", "shop.users", users(User{}),
			"column shop.users.email: struct field tagged_test.User.Email may mean it too, since its table has no schema: let TableName say which, or tag the column in the database",
			[]string{"public.users.comments", "public.users.email"}, nil},
		{"elsewhere with a tag of its own", "create table users (email text, name text, comments text); alter table shop.users alter email type app_email", "shop.users", users(User{}), "email",
			[]string{"public.users.comments", "public.users.email"}, nil},
		{"elsewhere a view", "create table users (email text, name text, comments text); alter table shop.users rename to x; create view shop.users as select ''::text email", "shop.users", users(User{}), "",
			[]string{"public.users.comments", "public.users.email"}, nil},
		{"with a schema", "create table users (email text)", "users", users(shopUser{}), "", []string{"shop.users.email"}, nil},
		{"with a schema, there", "", "shop.users", users(shopUser{}), "shop.users.email", []string{"shop.users.email"}, nil},
		{"like the domain", "alter table shop.users alter email type app_email", "shop.users", users(shopUser{}), "email", nil, nil},
		{"unlike the domain", "alter table shop.users alter email type app_ssn", "shop.users", users(shopUser{}),
			"column shop.users.email: option deterministic: struct field tagged_test.shopUser.Email and domain public.app_ssn differ", nil, nil},
		{"like the comment", `comment on column shop.users.email is 'pganon:"encrypt,deterministic,key=x"'`, "shop.users", users(shopUser{}), "x", []string{"shop.users.email"}, nil},
		{"unlike the comment", `comment on column shop.users.email is 'pganon:"redact"'`, "shop.users", users(shopUser{}),
			"column shop.users.email: option encrypt: struct field tagged_test.shopUser.Email and another source differ", []string{"shop.users.email"}, nil},
		{"unlike another model", "create table users (email text); drop table shop.users; alter table users set schema shop; set search_path = shop, public", "shop.users", users(shopUser{}, User{}), "model",
			[]string{"shop.users.email"}, []string{"tagged_test.User.Name: users.name", "tagged_test.User.Notes: users.comments"}},
		{"domains required", "", "shop.users", tagged.Options{Models: users(shopUser{}).Models, RequireDomains: true},
			"column shop.users.email: is tagged without a domain, which pganon.domains=required refuses: give it a type made by DomainSQL", []string{"shop.users.email"}, nil},
		{"domains required, there", "alter table shop.users alter email type app_email", "shop.users", tagged.Options{Models: users(shopUser{}).Models, RequireDomains: true}, "email", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.begin(t, c.sql)
			s := w.load(c.options)
			schema, name, ok := strings.Cut(c.relation, ".")
			if !ok {
				schema, name = "public", schema
			}
			r := s.View(nil).Relation(schema, name)
			require.NotNil(t, r)
			got := r.Opaque
			for _, column := range r.Columns {
				if column.Name == "email" && column.Key != nil && got == "" {
					got = column.Key.Label
					assert.Equal(t, column.Key.Label != "email", !s.Column(r.OID, uint16(column.Number)).Typed)
					assert.Equal(t, c.name == "with a schema, there", s.Label(column.Key).Implicit)
				}
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.untyped, s.Untyped())
			assert.Equal(t, c.unmet, s.Unmet())
			assert.Contains(t, s.Names(), "email")
			assert.Contains(t, s.Names(), "Email")
		})
	}
}
