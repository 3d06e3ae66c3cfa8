package pganontest

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseConnString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"postgres://u:p@h:5433/d?sslmode=disable", "postgres://u:p@h:5433/d?sslmode=disable"},
		{"postgresql://h/d", "postgres://h/d"},
		{"postgres://", "postgres:///"},
		{"postgres://u@a:1,b:2/d?target_session_attrs=any", "postgres://u@a:1,b:2/d?target_session_attrs=any"},
		{"postgres:///d?host=/run/postgresql&user=u", "postgres://u@/d?host=%2Frun%2Fpostgresql"},
		{"postgres://x@h/y?user=u&dbname=d&password=p%20q", "postgres://u:p%20q@h/d"},
		{"postgres://h/d?pganon.roles=a:b,c:d", "postgres://h/d?pganon.roles=a%3Ab%2Cc%3Ad"},
		{"postgres://h/d?options=-c%20a%3Db+c", "postgres://h/d?options=-c%20a%3Db%2Bc"},
		{"postgres://h/a#b/c?x=#1", "postgres://h/a%23b/c?x=%231"},
		{"", "postgres:///"},
		{"host=/run/postgresql user=u dbname=d", "postgres://u@/d?host=%2Frun%2Fpostgresql"},
		{" host = h  port=1 password = 'a\\'b c\\\\' ", "postgres://:a%27b%20c%5C@/?host=h&port=1"},
		{"user=a\\ b", "postgres://a%20b@/"},
		{"user='' dbname=d", "postgres:///d"},
	} {
		got, err := parseConnString(c.in)
		require.NoError(t, err, c.in)
		assert.Equal(t, c.want, got.String(), c.in)
	}
}

func TestParseConnStringRefuses(t *testing.T) {
	for _, in := range []string{
		"postgres://u:s3cret@h:port/d",
		"postgres://u:s3cret@h/d?x=%zz",
		"postgres://u:s3cret @h/d",
		"postgres://u:s3cret@h@i/d",
		"postgres://h?password=s3cret@i",
		"password='s3cret",
		"password='s3cret\\",
		"s3cret",
		"pass word=s3cret",
		"=s3cret",
		"password=s3cret\x00",
	} {
		_, err := parseConnString(in)
		require.Error(t, err, in)
		AssertNoLeak(t, []string{"s3cret"}, err)
	}
}

func TestConnStringAt(t *testing.T) {
	c, err := parseConnString("postgres://u:p@h:1/d?sslmode=verify-full&sslrootcert=/x&pganon.identity=required&host=z")
	require.NoError(t, err)
	before := c.String()
	assert.Equal(t, "postgres://u:p@127.0.0.1:9/d?pganon.identity=required&sslmode=disable", c.at("127.0.0.1", "9").String())
	assert.Equal(t, "postgres://u:p@/d?host=%2Fs&pganon.identity=required&port=9&sslmode=disable", c.at("/s", "9").String())
	assert.Equal(t, "postgres://r@h:1/other", connString{host: "h:1"}.withDatabase("other").withLogin("r", "").String())
	assert.Equal(t, before, c.String(), "the original is not changed")
}

// pgx is the judge: what it reads from a string it must read from the same string taken apart and put together again.
func FuzzParseConnString(f *testing.F) {
	for _, seed := range []string{
		"postgres://u:p@h:5433/d?sslmode=disable", "postgres:///d?host=/run/postgresql&user=u", "postgres://a:1,b:2/d",
		"host=h port=1 password='a\\'b' application_name=x", "user=a\\ b dbname=", "postgres://[::1]:5/d", "dbname=a database=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		c, err := parseConnString(in)
		if err != nil {
			return
		}
		want, err := pgconn.ParseConfig(in)
		if err != nil || want.User == "" || strings.Contains(in, "service") || strings.Contains(in, "passfile") {
			return // what is explicitly empty becomes absent
		}
		got, err := pgconn.ParseConfig(c.String())
		require.NoError(t, err, "%q became %q", in, c.String())
		assert.Equal(t, []any{want.Host, want.Port, want.User, want.Password, want.Database, want.RuntimeParams},
			[]any{got.Host, got.Port, got.User, got.Password, got.Database, got.RuntimeParams}, "%q became %q", in, c.String())
	})
}
