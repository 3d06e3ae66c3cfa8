package tagged_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/tagged"
)

// tokenCheck is a CHECK that lets in tokens of the keys alone.
func tokenCheck(ids ...fernet.KeyID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, "'"+id.String()+"'")
	}
	return "check (octet_length(VALUE) > 1 AND substr(VALUE, 9, 4) IN (" + strings.Join(texts, ", ") + "))"
}

// Which keys a label has: to write under, to search for.
func TestLabelKeys(t *testing.T) {
	w := newWorld(t, "")
	keys := []fernet.Key{fernet.GenerateKey(), fernet.GenerateKey(), fernet.GenerateKey(), fernet.GenerateKey()}
	ids := make([]fernet.KeyID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID()
	}
	ring, err := fernet.NewKeyring(keys[:3]...)
	require.NoError(t, err)
	stranger := ids[3]
	domain := func(name, tag, check string) string {
		return "create domain " + name + " as text " + check + "; comment on domain " + name + ` is 'pganon:"` + tag + `"'; `
	}
	const missing = ", is not in the key ring: add it to pganon.keys_env or pganon.keys_file"
	for _, c := range []struct {
		name, sql string
		write     int
		occurring []int
		mixed     bool
		err       string
	}{
		{"random", domain("d", "encrypt,key=x", ""), 0, []int{0, 1, 2}, false, ""},
		{"random with a CHECK", domain("d", "encrypt,key=x", tokenCheck(ids[0], ids[1])), 0, []int{0, 1, 2}, false, ""},
		{"random, first key not in the CHECK", domain("d", "encrypt,key=x", tokenCheck(ids[1])), 0, nil, false,
			"label x: the CHECK of its domain does not let in tokens of key " + ids[0].String() + ", which it would write: say write=… in the domain's comment, or change the CHECK"},
		{"deterministic", domain("d", "encrypt,deterministic,key=x", ""), 2, []int{2, 0, 1}, true, ""},
		{"write", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), ""), 1, []int{1, 0, 2}, true, ""},
		{"one key", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), tokenCheck(ids[1])), 1, []int{1, 0, 2}, false, ""},
		{"one key, the last, not recorded", domain("d", "encrypt,deterministic,key=x", tokenCheck(ids[2])), 2, []int{2, 0, 1}, false, ""},
		{"two keys", domain("d", "encrypt,deterministic,key=x,write="+ids[0].String(), tokenCheck(ids[1], ids[0])), 0, []int{0, 1, 2}, true, ""},
		{"not validated", domain("d", "encrypt,deterministic,key=x", "") + "alter domain d add " + tokenCheck(ids[2]) + " not valid", 2, []int{2, 0, 1}, true, ""},
		{"two CHECKs", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), tokenCheck(ids[1], ids[0])) + "alter domain d add " + tokenCheck(ids[1], ids[2]),
			1, []int{1, 0, 2}, false, ""},
		{"domain over domain", "create domain e as text " + tokenCheck(ids[1]) + ";" + domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), "") + "drop domain d; create domain d as e; comment on domain d is 'pganon:\"encrypt,deterministic,key=x,write=" + ids[1].String() + "\"'",
			1, []int{1, 0, 2}, false, ""},
		{"two domains", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), tokenCheck(ids[1])) + domain("e", "encrypt,deterministic,key=x", tokenCheck(ids[1])),
			1, []int{1, 0, 2}, false, ""},
		{"two domains, one without limit", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), tokenCheck(ids[1])) + domain("e", "encrypt,deterministic,key=x", ""),
			1, []int{1, 0, 2}, true, ""},
		{"two domains with other keys", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), tokenCheck(ids[1])) + domain("e", "encrypt,deterministic,key=x", tokenCheck(ids[1], ids[2])),
			1, []int{1, 0, 2}, true, ""},
		{"a column without domain", domain("d", "encrypt,deterministic,key=x", tokenCheck(ids[2])) + `create table u (b text); comment on column u.b is 'pganon:"encrypt,deterministic,key=x"'`,
			2, []int{2, 0, 1}, true, ""},
		{"unknown write", domain("d", "encrypt,deterministic,key=x,write="+stranger.String(), ""), 0, nil, false,
			"label x: key " + stranger.String() + ", which option write names" + missing},
		{"unknown key in the CHECK", domain("d", "encrypt,deterministic,key=x", tokenCheck(ids[2], stranger)), 0, nil, false,
			"label x: key " + stranger.String() + ", which the CHECK of its domain names" + missing},
		{"write not in the CHECK", domain("d", "encrypt,deterministic,key=x", tokenCheck(ids[0])), 0, nil, false,
			"label x: the CHECK of its domain does not let in tokens of key " + ids[2].String() + ", which it would write: say write=… in the domain's comment, or change the CHECK"},
		{"write not in the CHECK, not validated", domain("d", "encrypt,deterministic,key=x", "") + "alter domain d add " + tokenCheck(ids[0]) + " not valid", 0, nil, false,
			"label x: the CHECK of its domain does not let in tokens of key " + ids[2].String() + ", which it would write: say write=… in the domain's comment, or change the CHECK"},
		{"two writes", domain("d", "encrypt,deterministic,key=x,write="+ids[1].String(), "") + domain("e", "encrypt,deterministic,key=x,write="+ids[0].String(), ""), 0, nil, false,
			"label x: option write: domain public.d and domain public.e differ"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.begin(t, c.sql+"; create table t (a d)")
			s := w.load(tagged.Options{Keys: ring})
			column := w.column(s, "t", "a")
			require.NotNil(t, column)
			label := column.Label
			if c.err != "" {
				assert.EqualError(t, column.Err, "pganon: table public.t is refused: "+c.err)
				assert.EqualError(t, label.Err, "pganon: "+c.err)
				assert.Contains(t, s.Refusals(), label.Err)
				assert.Same(t, label, s.DomainNamed("public", "d"))
				return
			}
			require.NoError(t, column.Err)
			assert.Equal(t, ids[c.write], label.Write)
			var occurring []fernet.KeyID
			for _, i := range c.occurring {
				occurring = append(occurring, ids[i])
			}
			assert.Equal(t, occurring, label.Occurring)
			deterministic := label.Mode == fernet.Deterministic
			assert.Equal(t, deterministic, label.Key.Searchable)
			assert.Equal(t, deterministic, label.Key.Several)
			assert.Equal(t, c.mixed, label.Key.Mixed)
		})
	}
	t.Run("one key in the ring", func(t *testing.T) {
		w.begin(t, domain("d", "encrypt,deterministic,key=x", "")+"; create table t (a d)")
		one, err := fernet.NewKeyring(keys[0])
		require.NoError(t, err)
		key := w.column(w.load(tagged.Options{Keys: one}), "t", "a").Label.Key
		assert.False(t, key.Several)
		assert.False(t, key.Mixed)
	})
}

// sources gives the labels it has, and asks nobody for others.
type source map[string]*fernet.Keyring

func (s source) Keyring(_ context.Context, label string) (*fernet.Keyring, error) {
	if ring := s[label]; ring != nil {
		return ring, nil
	}
	return nil, errors.New("vault is sealed")
}

func TestKeySource(t *testing.T) {
	w := newWorld(t, tables)
	load := func(o tagged.Options) *tagged.Schema {
		t.Helper()
		s, err := tagged.Load(t.Context(), w.pg, o)
		require.NoError(t, err)
		return s
	}
	s := load(tagged.Options{})
	assert.EqualError(t, w.column(s, "app.orders", "email").Err,
		"pganon: table app.orders is refused: column app.orders.email is tagged encrypt, but no keys are configured: set pganon.keys_env or pganon.keys_file")
	assert.EqualError(t, w.column(s, "app.orders", "id").Err, w.column(s, "app.orders", "email").Err.Error())
	assert.Nil(t, w.column(s, "crm.users", "email"))
	assert.False(t, s.Empty())
	assert.Same(t, s, load(tagged.Options{Previous: s}))

	keys := source{"email": w.ring}
	s = load(tagged.Options{Keys: keys, Previous: s})
	assert.NoError(t, w.column(s, "app.orders", "email").Err)
	assert.EqualError(t, w.column(s, "app.users", "email").Err, "pganon: table app.users is refused: label ssn: read its keys: vault is sealed")
	keys["ssn"] = newRing(t, 1)
	s = load(tagged.Options{Keys: keys, Previous: s})
	assert.NoError(t, w.column(s, "app.users", "email").Err)
	assert.Same(t, s, load(tagged.Options{Keys: keys, Previous: s}))
	keys["ssn"] = newRing(t, 1)
	changed := load(tagged.Options{Keys: keys, Previous: s})
	assert.NotSame(t, s, changed)
	assert.NotEqual(t, s.Version(), changed.Version())
}

// A label stays where Options.Labels has put it.
func TestLabelsArePinned(t *testing.T) {
	w := newWorld(t, tables+`create schema evil`)
	labels := map[string][]string{
		"email": {"app.users.email", "app.orders.*", "app.Weird Table.E-Mail", `app."a.b".*`, "app.p.e"}, "ssn": {"app.users.ssn"},
	}
	for _, c := range []struct {
		sql, relation, want string
	}{
		{"select", "app.users", ""},
		{"select", "app.Weird Table", ""},
		{`create table app."a.b" (e app_email)`, "app.a.b", ""},
		{`create table app.a (b app_email)`, "app.a", "column app.a.b: Config.Labels does not let it carry the label email"},
		{"create table evil.users (email app_email)", "evil.users", "column evil.users.email: Config.Labels does not let it carry the label email"},
		{"create view evil.v as select email from app.users", "evil.v", "column evil.v.email: Config.Labels does not let it carry the label email"},
		{"create view app.v as select email::text from app.users", "app.v", "column app.v.email: Config.Labels does not let it carry the label email"},
		{"alter table app.users add x app_email", "app.users", "column app.users.x: Config.Labels does not let it carry the label email"},
		{"create table app.p (id int, e app_email) partition by range (id); create table evil.q partition of app.p for values from (0) to (9)", "evil.q", ""},
		{`create table app.t (a text); comment on column app.t.a is 'pganon:"encrypt"'`, "app.t", "column app.t.a: Config.Labels does not let it carry the label app.t.a"},
		{`create table app.t (a text); comment on column app.t.a is 'pganon:"encrypt,deterministic,key=email"'`, "app.t", "column app.t.a: Config.Labels does not let it carry the label email"},
		{`create table app.t (a text); comment on column app.t.a is 'pganon:"redact"'`, "app.t", ""},
	} {
		t.Run(c.sql, func(t *testing.T) {
			w.begin(t, c.sql)
			s := w.load(tagged.Options{Labels: labels})
			schema, name, _ := strings.Cut(c.relation, ".")
			r := s.View(nil).Relation(schema, name)
			require.NotNil(t, r)
			assert.Equal(t, c.want, r.Opaque)
			if c.want == "" || schema == "evil" {
				assert.Empty(t, s.View(nil).Relation("app", "users").Opaque)
			}
		})
	}
	for _, column := range []string{"users.email", "email", ""} {
		_, err := tagged.Load(t.Context(), w.pg, tagged.Options{Labels: map[string][]string{"email": {column}}})
		assert.EqualError(t, err, "pganon: read tags: labels: email: "+column+": want schema.table.column or schema.table.*")
	}
}
