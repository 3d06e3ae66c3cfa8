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
	if o.Ring == nil {
		o.Ring = w.ring
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
