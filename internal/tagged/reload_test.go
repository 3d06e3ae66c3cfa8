package tagged_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/tagged"
	"github.com/pganon/pganon/pganontest"
)

// A tag that is gone is an error, not plaintext.
func TestLostTags(t *testing.T) {
	const lost = ": was encrypted when its tag was read before, and has none now: put the tag back, or restart once no token is left in the column"
	for _, c := range []struct {
		name, before, sql string
		refused           map[string]string
		fine              []string
	}{
		{"type", "", "alter table app.users alter email type text",
			map[string]string{"app.users": "column app.users.email" + lost}, []string{"app.orders"}},
		{"domain's comment", "", "comment on domain app_email is null",
			map[string]string{"app.users": "column app.users.email" + lost, "app.orders": "column app.orders.email" + lost}, nil},
		{"domain's comment says redact", "", `comment on domain app_email is 'pganon:"redact"'`,
			map[string]string{"app.orders": "column app.orders.email" + lost}, nil},
		{"column's comment", `comment on column crm.users.email is 'pganon:"encrypt"'`, "comment on column crm.users.email is 'the address'",
			map[string]string{"crm.users": "column crm.users.email" + lost}, []string{"app.users"}},
		{"column's comment, under a view", `comment on column crm.users.email is 'pganon:"encrypt"'; create view crm.v as select email from crm.users; create view crm.n as select id from crm.users`,
			"comment on column crm.users.email is null", map[string]string{"crm.users": "column crm.users.email" + lost, "crm.v": "column crm.v.email" + lost}, nil},
		{"made anew", "", "drop table app.users; create table app.users (id int, email text, ssn app_ssn)",
			map[string]string{"app.users": "column app.users.email" + lost}, []string{"app.orders"}},
		{"another in its place", "", "alter table app.users rename to gone; create table app.users (email text)",
			map[string]string{"app.users": "column app.users.email" + lost}, []string{"app.gone"}},
		{"column renamed", "", "alter table app.users rename email to mail; alter table app.users alter mail type text",
			map[string]string{"app.users": "column app.users.mail" + lost}, []string{"app.orders"}},
		{"view", "create view app.v as select email from app.users", "drop view app.v; create view app.v as select name as email from app.users",
			map[string]string{"app.v": "column app.v.email" + lost}, []string{"app.users"}},
		{"table dropped", "", "drop table app.users", nil, []string{"app.orders", "crm.users"}},
		{"column dropped", "", "alter table app.users drop email; alter table app.users add other text", nil, []string{"app.users"}},
		{"renamed with its type", "", "alter table app.users rename to people", nil, []string{"app.people"}},
		{"of another domain of the label", "", `create domain e as text; comment on domain e is 'pganon:"encrypt,deterministic,key=email"'; alter table app.users alter email type e`,
			nil, []string{"app.users"}},
		{"redact", `comment on column crm.users.email is 'pganon:"redact"'`, "comment on column crm.users.email is null", nil, []string{"crm.users"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, tables+c.before)
			s := w.load(tagged.Options{})
			require.Empty(t, s.Refusals())
			assert.Same(t, s, w.load(tagged.Options{Previous: s}))
			w.Exec(c.sql)
			check := func(s *tagged.Schema) {
				t.Helper()
				for relation, want := range c.refused {
					schema, name, _ := strings.Cut(relation, ".")
					r := s.View(nil).Relation(schema, name)
					assert.Equal(t, want, r.Opaque)
					column := strings.TrimSuffix(strings.TrimPrefix(want, "column "+relation+"."), lost)
					assert.EqualError(t, w.column(s, relation, column).Err, "pganon: table "+relation+" is refused: "+want)
					assert.True(t, s.MayName("select from "+relation))
				}
				for _, relation := range c.fine {
					schema, name, _ := strings.Cut(relation, ".")
					assert.Empty(t, s.View(nil).Relation(schema, name).Opaque)
				}
			}
			changed := w.load(tagged.Options{Previous: s})
			check(changed)
			w.Exec("create table something (else_ int)")
			again := w.load(tagged.Options{Previous: changed})
			assert.NotSame(t, changed, again)
			check(again) // it is not forgotten
			assert.Contains(t, again.Names(), "email")
			if strings.HasPrefix(c.name, "domain's comment") {
				label := again.DomainNamed("public", "app_email")
				assert.EqualError(t, label.Err, "pganon: domain public.app_email: had a tag when it was read before, and has none now: put the tag back")
				assert.Same(t, label, again.Label(label.Key))
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	w := newWorld(t, tables+"create schema pganon")
	ask := func() string {
		t.Helper()
		f, err := tagged.Fingerprint(t.Context(), w.pg)
		require.NoError(t, err)
		return f
	}
	before := ask()
	assert.Equal(t, before, w.load(tagged.Options{}).Fingerprint())
	for _, sql := range []string{
		`comment on domain app_email is 'pganon:"encrypt,deterministic,key=email,write=abcd"'`,
		"alter domain app_email drop constraint pganon_token",
		"alter domain app_email add constraint x check (VALUE <> '') not valid",
		"alter domain app_email validate constraint x",
		"alter domain app_ssn rename to ssn",
		"create domain other as text",
		"alter table crm.users alter email type app_email",
		"create table crm.more (email app_email)",
		"drop table crm.more",
		`comment on column crm.users.name is 'pganon:"redact"'`,
		`comment on column crm.users.name is 'pganon:"encrypt"'`,
		"comment on column crm.users.name is null",
		"comment on schema pganon is '1'",
		"comment on schema pganon is '2'",
		"create function f(app_email) returns int language sql as 'select 1'",
		"create view crm.v as select name from crm.users",
		"create or replace view crm.v as select name || '' as name from crm.users",
		"create table crm.child () inherits (crm.users)",
	} {
		w.Exec(sql)
		after := ask()
		assert.NotEqual(t, before, after, sql)
		assert.Equal(t, after, ask())
		before = after
	}
	w.Exec("create table plain (id int, name text); comment on column plain.name is 'a name'; insert into crm.users values (1)")
	assert.Equal(t, before, ask(), "what has to do with no tag")
}

func TestFunctions(t *testing.T) {
	w := newWorld(t, tables+`
create function app.find(mail app_email, int, text) returns int language sql as 'select 1';
create function app.find(x text) returns int language sql as 'select 1';
create function app.mail(id bigint) returns app_email language sql as 'select email from app.users';
create function app.all_users() returns setof app.users language sql as 'select * from app.users';
create function app.a_user() returns app.users language sql as 'select * from app.users';
create function app.pairs(in x app_ssn, out y app_email, out z text, inout app_ssn) language sql as 'select null::app_email, null, null::app_ssn';
create function app.rows() returns table (a int, b app_email) language sql as 'select 1, null::app_email';
create function app.others() returns setof crm.users language sql as 'select * from crm.users';
create function app.many(variadic app_email[]) returns int language sql as 'select 1';
create function app.kept(int, app.users) returns int language sql as 'select 1';
create function app.initcap(app_email) returns text language sql as 'select null';
create function public.find(app_ssn) returns int language sql as 'select 1'`)
	s := w.load(tagged.Options{})
	v := s.View(appPath)
	name := func(k *sqlcols.Key) string {
		if k == nil {
			return "-"
		}
		assert.Same(t, k, s.Label(k).Key)
		return k.Label
	}
	describe := func(functions []sqlcols.Function) (all []string) {
		for _, f := range functions {
			text := "("
			for i, arg := range f.Args {
				text += " " + name(arg)
				if f.Wraps != nil && f.Wraps[i] {
					text += "[]"
				}
			}
			text += " ) " + name(f.Result)
			for _, c := range f.Columns {
				text += fmt.Sprintf(" %s:%s", c.Name, name(c.Key))
			}
			all = append(all, text)
		}
		return all
	}
	for function, want := range map[string][]string{
		"find":      {"( email - - ) -", "( - ) -", "( ssn ) -"}, // a call may mean any of them
		"mail":      {"( - ) email"},
		"all_users": {"( ) - id:- name:- email:email ssn:ssn"},
		"a_user":    {"( ) - id:- name:- email:email ssn:ssn"},
		"pairs":     {"( ssn ssn ) - y:email z:- column3:ssn"},
		"rows":      {"( ) - a:- b:email"},
		"others":    nil,
		"many":      {"( -[] ) -"},
		"kept":      {"( - -[] ) -"},
		"initcap":   {"( - ) -", "( email ) -"},
		"lower":     nil,
	} {
		got := describe(v.Functions("", function))
		if function == "pairs" {
			require.Len(t, got, 1)
			got[0] = strings.Replace(got[0], " :ssn", " column3:ssn", 1)
		}
		assert.Equal(t, want, got, function)
		assert.Equal(t, want != nil, s.MayName("select "+function+"()"), function)
	}
	assert.Equal(t, []string{"( ssn ) -"}, describe(v.Functions("public", "find")))
	assert.Empty(t, v.Functions("crm", "find"))
	assert.True(t, s.Wraps(tagged.ParseOID([]byte(w.query("select 'app_email[]'::regtype::oid")))))
	assert.True(t, s.Wraps(tagged.ParseOID([]byte(w.query("select 'app.users'::regtype::oid")))))
	assert.False(t, s.Wraps(tagged.ParseOID([]byte(w.query("select 'app_email'::regtype::oid")))))
	assert.False(t, s.Wraps(tagged.ParseOID([]byte(w.query("select 'crm.users'::regtype::oid")))))

	pinned := w.load(tagged.Options{Labels: map[string][]string{
		"email": {"app.users.email", "app.orders.email", "app.Weird Table.*", "app.rows.b", "app.a_user.*"}, "ssn": {"app.users.ssn", "app.mail.*", "app.pairs.*"},
	}}).View(appPath)
	for function, want := range map[string][]string{
		"find":      {"( email - - ) -", "( - ) -", "( ssn ) -"},
		"mail":      nil,
		"all_users": {"( ) - id:- name:- email:- ssn:-"},
		"a_user":    {"( ) - id:- name:- email:email ssn:-"},
		"pairs":     {"( ssn ssn ) - y:- z:- :ssn"},
		"rows":      {"( ) - a:- b:email"},
	} {
		var got []string
		for _, text := range pinned.Functions("", function) {
			line := "("
			for _, arg := range text.Args {
				line += " " + label(arg)
			}
			line += " ) " + label(text.Result)
			for _, c := range text.Columns {
				line += " " + c.Name + ":" + label(c.Key)
			}
			got = append(got, line)
		}
		assert.Equal(t, want, got, function)
	}
}

func label(k *sqlcols.Key) string {
	if k == nil {
		return "-"
	}
	return k.Label
}

// Nothing that somebody else has made runs as who reads the tags.
func TestLoadRunsNothingPlanted(t *testing.T) {
	w := newWorld(t, tables+`
create table traces (what text);
create function trap(what text) returns bool language plpgsql as $$ begin insert into traces values (what); raise exception 'trapped by %', what; end $$;
create schema evil;
create function evil.eq_oid(oid, oid) returns bool language sql as $$ select public.trap('= oid') $$;
create operator evil.= (leftarg = oid, rightarg = oid, function = evil.eq_oid);
create function evil.eq_char("char", "char") returns bool language sql as $$ select public.trap('= char') $$;
create operator evil.= (leftarg = "char", rightarg = "char", function = evil.eq_char);
create function evil.ne_name(name, text) returns bool language sql as $$ select public.trap('!~ name') $$;
create operator evil.!~ (leftarg = name, rightarg = text, function = evil.ne_name);
create function evil.gt(smallint, int) returns bool language sql as $$ select public.trap('>') $$;
create operator evil.> (leftarg = smallint, rightarg = int, function = evil.gt);
create function evil.unnest(name[]) returns setof name language sql as $$ select public.trap('unnest')::text::name $$;
create function evil.lower(text) returns text language sql as $$ select public.trap('lower')::text $$;
create view evil.pg_class as select c.*, public.trap('pg_class') from pg_catalog.pg_class c;
create domain evil.text as pg_catalog.text check (public.trap('text'));
create domain evil.regclass as pg_catalog.regclass check (public.trap('regclass'));
`)
	users := w.oid("app.users")
	for _, path := range []string{"evil, pg_catalog, public", "pg_catalog, evil", "evil, public"} {
		w.query("set search_path = " + path + "; create temp table if not exists pg_class (oid int); create temp table if not exists text (x int); select 1")
		s := w.load(tagged.Options{})
		assert.Empty(t, s.Refusals())
		require.NotNil(t, s.Column(users, 3))
		_, err := tagged.Fingerprint(t.Context(), w.pg)
		require.NoError(t, err)
		assert.Equal(t, path, w.query("select pg_catalog.current_setting('search_path')"), "nothing is left behind")
	}
}

func TestLoadInTransaction(t *testing.T) {
	w := newWorld(t, tables)
	setting := func(name string) string { return w.query("select pg_catalog.current_setting('" + name + "')") }
	outside := w.load(tagged.Options{})
	assert.Equal(t, byte('I'), w.pg.TxStatus())
	assert.Equal(t, []string{`"$user", public`, "0", "off", "read committed"},
		[]string{setting("search_path"), setting("lock_timeout"), setting("transaction_read_only"), setting("transaction_isolation")})

	for _, mode := range []string{"", "isolation level repeatable read", "isolation level serializable", "read only"} {
		w.query("begin " + mode + "; set local search_path = crm, public; savepoint pganon_tags; select 1")
		if mode == "" {
			w.query("set search_path = app, crm, public; alter table crm.users alter email type app_email; select 1")
		}
		s := w.load(tagged.Options{})
		assert.Equal(t, mode == "", s.Column(w.oid("crm.users"), 2) != nil, "it sees what the transaction has done")
		assert.Equal(t, byte('T'), w.pg.TxStatus())
		assert.Equal(t, map[bool]string{true: "app, crm, public", false: "crm, public"}[mode == ""], setting("search_path"))
		assert.Equal(t, "0", setting("lock_timeout"))
		w.query("rollback to savepoint pganon_tags; select 1") // ours has not taken its place
		w.query("commit; select 1")
	}
	assert.Equal(t, `"$user", public`, setting("search_path"))
	assert.Same(t, outside, w.load(tagged.Options{Previous: outside}))

	t.Run("failed", func(t *testing.T) {
		w.begin(t, "")
		_, err := w.pg.Exec(t.Context(), "select 1/0").ReadAll()
		require.Error(t, err)
		_, err = tagged.Load(t.Context(), w.pg, tagged.Options{Keys: w.ring})
		assert.EqualError(t, err, "pganon: read tags: the transaction has failed")
	})
	t.Run("an error of ours does not fail it", func(t *testing.T) {
		role := w.Role("reader", "login")
		w.Exec("revoke select on pg_catalog.pg_description from public")
		pg := connect(t, w.DSNAs(role))
		_, err := tagged.Load(t.Context(), pg, tagged.Options{Keys: w.ring})
		require.ErrorContains(t, err, "pganon: read tags: ERROR: permission denied for table pg_description")
		assert.Equal(t, byte('I'), pg.TxStatus())
		_, err = pg.Exec(t.Context(), "begin").ReadAll()
		require.NoError(t, err)
		_, err = tagged.Load(t.Context(), pg, tagged.Options{Keys: w.ring})
		require.ErrorContains(t, err, "pganon: read tags: ERROR: permission denied for table pg_description")
		assert.Equal(t, byte('T'), pg.TxStatus())
		_, err = tagged.Fingerprint(t.Context(), pg)
		require.ErrorContains(t, err, "pganon: read fingerprint of tags: ERROR: permission denied for table pg_description")
	})
	t.Run("encoding", func(t *testing.T) {
		pg := connect(t, w.DSN()+"&client_encoding=LATIN1")
		_, err := tagged.Load(t.Context(), pg, tagged.Options{})
		assert.EqualError(t, err, "pganon: read tags: client_encoding is LATIN1, want UTF8")
	})
}

// One round trip, as a role that may do nothing.
func TestLoadIsOneRoundTrip(t *testing.T) {
	w := newWorld(t, tables+"create view app.v as select email from app.users")
	role := w.Role("nobody", "login", "noinherit")
	proxy := w.Proxy()
	pg := connect(t, proxy.DSNAs(role))
	model, err := hooks.ParseModels([]any{User{}})
	require.NoError(t, err)
	var s *tagged.Schema
	for _, begin := range []string{"", "begin"} {
		_, err := pg.Exec(t.Context(), begin).ReadAll()
		require.NoError(t, err)
		proxy.Reset()
		s, err = tagged.Load(t.Context(), pg, tagged.Options{Keys: w.ring, Models: model})
		require.NoError(t, err)
		assert.Equal(t, 1, proxy.RoundTrips())
		_, err = tagged.Fingerprint(t.Context(), pg)
		require.NoError(t, err)
		assert.Equal(t, 2, proxy.RoundTrips())
	}
	assert.NoError(t, s.Column(w.oid("app.users"), 3).Err)
	assert.NoError(t, s.Column(w.oid("app.v"), 1).Err)
}

// A migration that has locked a table is not waited for.
func TestLoadWhileATableIsLocked(t *testing.T) {
	w := newWorld(t, tables+`create view app.v as select email from app.users; create view app.w as select id from app.orders where email is not null;
create table app.plain (a text default 'x', b app_email default null)`)
	other := connect(t, w.DSN())
	_, err := other.Exec(t.Context(), "begin; lock table app.users, app.plain, pg_catalog.pg_proc in access exclusive mode; rollback; begin; lock table app.users, app.plain in access exclusive mode").ReadAll()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := tagged.Load(ctx, w.pg, tagged.Options{Keys: w.ring})
	require.NoError(t, err)
	v := s.View(appPath)
	assert.Empty(t, v.Relation("", "users").Opaque)
	assert.Empty(t, v.Relation("", "plain").Opaque)
	assert.Equal(t, "app.v: it is made of column app.users.email, and its definition could not be read: another session has locked a table of it", v.Relation("", "v").Opaque)
	now, err := tagged.Fingerprint(ctx, w.pg)
	require.NoError(t, err)
	assert.NotEqual(t, now, s.Fingerprint(), "it is to be read again soon")
	_, err = other.Exec(t.Context(), "rollback").ReadAll()
	require.NoError(t, err)
	again := w.load(tagged.Options{Previous: s})
	assert.Empty(t, again.Refusals())
	assert.Equal(t, now, again.Fingerprint())
}

func BenchmarkLoad(b *testing.B) {
	db := pganontest.New(b)
	db.Exec("create schema app")
	db.Exec(domainSQL(b, hooks.Domain{Schema: "app", Name: "email", Tag: mustTag(b, "encrypt,deterministic,key=email")}))
	for part := range 20 {
		db.Exec(fmt.Sprintf(`do $$ begin for i in %d..%d loop execute format('create table app.table_%%s (id bigint generated by default as identity primary key, email app.email, %%s,
created_at timestamptz default now(), status text default ''x'')', i, (select string_agg('some_column_' || j || ' text', ',') from generate_series(1, 16) j)); end loop; end $$`, part*100, part*100+99))
	}
	db.Exec("do $$ begin for i in 1..200 loop execute format('create view app.view_%s as select * from app.table_%s where email is not null', i, i); end loop; end $$")
	db.Exec("vacuum analyze")
	ring := newRing(b, 2)
	pg := connect(b, db.DSN())
	b.Run("tables=2000/columns=40000", func(b *testing.B) {
		for b.Loop() {
			s, err := tagged.Load(b.Context(), pg, tagged.Options{Keys: ring})
			if err != nil || len(s.Refusals()) > 0 {
				b.Fatal(err, s.Refusals())
			}
		}
	})
	b.Run("fingerprint", func(b *testing.B) {
		for b.Loop() {
			if _, err := tagged.Fingerprint(b.Context(), pg); err != nil {
				b.Fatal(err)
			}
		}
	})
	small := pganontest.New(b)
	pg = connect(b, small.DSN())
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			if _, err := tagged.Load(b.Context(), pg, tagged.Options{Keys: ring}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
