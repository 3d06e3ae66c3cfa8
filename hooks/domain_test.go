package hooks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

func newRing(t testing.TB, keys int) *fernet.Keyring {
	t.Helper()
	all := make([]fernet.Key, keys)
	for i := range all {
		all[i] = fernet.GenerateKey()
	}
	ring, err := fernet.NewKeyring(all...)
	require.NoError(t, err)
	return ring
}

func mustTag(t testing.TB, text string) hooks.Tag {
	t.Helper()
	tag, err := hooks.ParseTag(text)
	require.NoError(t, err)
	return tag
}

func domainSQL(t testing.TB, d hooks.Domain) string {
	t.Helper()
	sql, err := hooks.DomainSQL(d)
	require.NoError(t, err)
	return sql
}

func TestDomainSQL(t *testing.T) {
	id, err := fernet.ParseKeyID("aB-_")
	require.NoError(t, err)
	assert.Equal(t, `CREATE DOMAIN "app"."E ""mail" AS pg_catalog.text;
ALTER DOMAIN "app"."E ""mail" ADD CONSTRAINT pganon_token CHECK (octet_length(VALUE) >= 100 AND octet_length(VALUE) % 4 = 0 AND left(VALUE, 8) = 'gAAAAAAA' AND substr(VALUE, 9, 4) IN ('aB-_') AND VALUE !~ '[^A-Za-z0-9_=-]');
COMMENT ON DOMAIN "app"."E ""mail" IS 'pganon:"encrypt,deterministic,key=mail,mask=''''''''"';
`, domainSQL(t, hooks.Domain{Schema: "app", Name: `E "mail`, Tag: mustTag(t, "encrypt,deterministic,key=mail,mask=''''"), Keys: []fernet.KeyID{id}}))

	assert.Equal(t, `CREATE DOMAIN "d" AS pg_catalog.bytea;
COMMENT ON DOMAIN "d" IS E'pganon:"encrypt,key=a\\\\b\\"c,migrating"';
`, domainSQL(t, hooks.Domain{Name: "d", Bytea: true, Tag: mustTag(t, `encrypt,migrating,key=a\b"c`)}))
}

func TestDomainSQLRefuses(t *testing.T) {
	id, err := fernet.ParseKeyID("aB-_")
	require.NoError(t, err)
	good := hooks.Domain{Name: "d", Tag: mustTag(t, "encrypt,deterministic,key=a,write=abcd")}
	for want, change := range map[string]func(*hooks.Domain){
		"option key: a domain's tag must name its label":                  func(d *hooks.Domain) { d.Tag.Key = "" },
		"option encrypt: missing":                                         func(d *hooks.Domain) { d.Tag = hooks.Tag{Redact: true} },
		"option write: want a key's id, four characters of base64url":     func(d *hooks.Domain) { d.Tag.Write = "x" },
		"keys: cannot be told in all tokens of a mixed column: give none": func(d *hooks.Domain) { d.Mixed = true; d.Keys = []fernet.KeyID{id} },
		"option write: names a key that is not among the keys":            func(d *hooks.Domain) { d.Keys = []fernet.KeyID{id} },
		"name: empty": func(d *hooks.Domain) { d.Name = "" },
		"name: longer than the 63 bytes that PostgreSQL keeps": func(d *hooks.Domain) { d.Schema = strings.Repeat("x", 64) },
		"name: not UTF-8, or a zero byte in it":                func(d *hooks.Domain) { d.Name = "a\x00" },
	} {
		d := good
		change(&d)
		_, err := hooks.DomainSQL(d)
		assert.EqualError(t, err, "pganon: write domain: "+want)
		_, err = hooks.ChangeDomainSQL(d)
		assert.EqualError(t, err, "pganon: change domain: "+want)
		_, err = hooks.ValidateDomainSQL(d)
		assert.EqualError(t, err, "pganon: validate domain: "+want)
	}
}

// insert says whether a domain's column takes a value.
func insert(t *testing.T, pg *pgconn.PgConn, domain string, value any) bool {
	t.Helper()
	text, _ := value.(string)
	param := [][]byte{[]byte(text)}
	if value == nil {
		param[0] = nil
	}
	result := pg.ExecParams(t.Context(), "insert into "+domain+"_table values ($1)", param, nil, nil, nil).Read()
	if result.Err != nil {
		var pgErr *pgconn.PgError
		require.ErrorAs(t, result.Err, &pgErr)
		require.Equal(t, "23514", pgErr.Code)
		if len(text) > 10 {
			require.NotContains(t, fmt.Sprintf("%+v", *pgErr), text)
		}
	}
	return result.Err == nil
}

func TestDomainTakesTokensOnly(t *testing.T) {
	t.Parallel()
	db := pganontest.New(t)
	ring := newRing(t, 2)
	keys, err := ring.Derive("mail")
	require.NoError(t, err)
	ids := keys.KeyIDs()
	token := func(m fernet.Mode, id fernet.KeyID, value string) string {
		token, err := keys.Encrypt([]byte(value), m, id)
		require.NoError(t, err)
		return string(token)
	}
	random, deterministic := token(fernet.Random, ids[0], ""), token(fernet.Deterministic, ids[0], "a@example.org")
	other := token(fernet.Deterministic, ids[1], strings.Repeat("long", 100))
	pg := connect(t, db.DSN())
	dated := string(ring.Encrypt([]byte("Django's")))
	for _, base := range []string{"text", "bytea"} {
		for _, c := range []struct {
			name         string
			d            hooks.Domain
			takes, leave []string
		}{
			{"random", hooks.Domain{Tag: mustTag(t, "encrypt,key=mail")}, []string{random}, []string{deterministic, other, dated}},
			{"deterministic", hooks.Domain{Tag: mustTag(t, "encrypt,deterministic,key=mail")}, []string{deterministic, other}, []string{random, dated}},
			{"one_key", hooks.Domain{Tag: mustTag(t, "encrypt,deterministic,key=mail"), Keys: ids[:1]}, []string{deterministic}, []string{random, other, dated}},
			{"two_keys", hooks.Domain{Tag: mustTag(t, "encrypt,deterministic,key=mail"), Keys: ids}, []string{deterministic, other}, []string{random, dated}},
			{"mixed", hooks.Domain{Tag: mustTag(t, "encrypt,key=mail"), Mixed: true}, []string{random, deterministic, other, dated}, nil},
		} {
			c.d.Name, c.d.Bytea = base+"_"+c.name, base == "bytea"
			db.Exec(domainSQL(t, c.d))
			db.Exec("create table " + c.d.Name + "_table (v " + c.d.Name + ")")
			assert.True(t, insert(t, pg, c.d.Name, nil), "%s: NULL", c.d.Name)
			for _, token := range c.takes {
				assert.True(t, insert(t, pg, c.d.Name, token), "%s: %s", c.d.Name, token)
			}
			for _, value := range append(c.leave, "", "plain", "gAAAAAAA", random[:96], random[:99], random+"!!!!", random[:50]+"\n"+random[51:],
				random[:50]+"+"+random[51:], "x"+random[1:], strings.Repeat("x", 100), deterministic[:90]+"ÄÄÄ"+deterministic[96:]) {
				assert.False(t, insert(t, pg, c.d.Name, value), "%s: %s", c.d.Name, value)
			}
		}
	}
}

// From plaintext to tokens, then to another key, with ChangeDomainSQL and ValidateDomainSQL.
func TestDomainChanges(t *testing.T) {
	t.Parallel()
	db := pganontest.New(t)
	keys, err := newRing(t, 2).Derive("mail")
	require.NoError(t, err)
	ids := keys.KeyIDs()
	tokens := make([]string, 2)
	for i, id := range ids {
		token, err := keys.Encrypt([]byte("a@example.org"), fernet.Deterministic, id)
		require.NoError(t, err)
		tokens[i] = string(token)
	}
	sql := func(text string, err error) string {
		t.Helper()
		require.NoError(t, err)
		return text
	}
	pg := connect(t, db.DSN())
	db.Exec("create table d_table (v text); insert into d_table values ('a@example.org')")

	d := hooks.Domain{Name: "d", Tag: mustTag(t, "encrypt,deterministic,migrating,key=mail"), Keys: ids[:1]}
	db.Exec(domainSQL(t, d))
	db.Exec("alter table d_table alter v type d")
	assert.True(t, insert(t, pg, "d", "plaintext is still written"))
	db.Exec(sql(hooks.ChangeDomainSQL(d)))
	assert.False(t, insert(t, pg, "d", "no more"))
	db.Exec("update d_table set v = $1", tokens[0])
	db.Exec(sql(hooks.ValidateDomainSQL(d)))
	d.Tag.Migrating = false
	db.Exec(sql(hooks.ChangeDomainSQL(d)))
	db.Exec(sql(hooks.ValidateDomainSQL(d)))

	d.Keys, d.Tag.Write = ids[1:], ids[1].String()
	db.Exec("begin; lock table d_table in share row exclusive mode;" + sql(hooks.ChangeDomainSQL(d)) +
		"update d_table set v = '" + tokens[1] + "';" + sql(hooks.ValidateDomainSQL(d)) + "commit")
	assert.False(t, insert(t, pg, "d", tokens[0]))
	assert.True(t, insert(t, pg, "d", tokens[1]))
}
