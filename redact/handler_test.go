package redact_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

// log returns what both of slog's handlers write.
func logs(o redact.Options, do func(*slog.Logger)) string {
	var buf bytes.Buffer
	do(slog.New(redact.Handler(slog.NewTextHandler(&buf, nil), o)))
	do(slog.New(redact.Handler(slog.NewJSONHandler(&buf, nil), o)))
	return buf.String()
}

type valuer struct{ v any }

func (v valuer) LogValue() slog.Value { return slog.AnyValue(v.v) }

type person struct {
	Name     string
	Email    string `json:"mail"`
	Password string
	Inner    *person
	hidden   string
	Pin      redact.Secret[string]
	any      redact.Secret[string]
}

var (
	fernetToken = base64.URLEncoding.EncodeToString(append([]byte{0x80, 0x12, 0x34}, bytes.Repeat([]byte("c4n4ry"), 100)[:70]...))
	jwt         = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjNG40cnkifQ.c4n4ryc4n4ry"
	pem         = "-----BEGIN PRIVATE KEY-----\nc4n4ry\n-----END PRIVATE KEY-----"
)

func TestHandlerShowsNoValue(t *testing.T) {
	const c = "c4n4ry-7f3a"
	key := ed25519.NewKeyFromSeed([]byte("c4n4ry-7f3a-c4n4ry-7f3a-c4n4ry-7"))
	p := person{Name: "ann", Email: c, Password: c, Inner: &person{Password: c}, hidden: c, Pin: redact.NewSecret(c), any: redact.NewSecret(c)}
	_ = p.hidden
	config, err := pgconn.ParseConfig("postgres://u:" + c + "@h/d")
	require.NoError(t, err)
	request := httptest.NewRequest("POST", "/x?token="+c, nil)
	request.Header.Set("Authorization", "Bearer "+c)
	request.Header.Set("Cookie", "session="+c)
	for name, value := range map[string]any{
		"password": c, "userPassword": c, "X-Api-Key": c, "api_key": []byte(c), "Authorization": []string{c}, "secret": map[string]any{"a": c},
		"e-mail": c, "email": valuer{c}, "person": p, "pointer": &p, "list": []any{valuer{p}, &p, valuer{valuer{redact.NewSecret(c)}}},
		"map":   map[string]any{"password": c, "x": map[string]person{"a": p}, "v": valuer{map[string]string{"token": c}}},
		"group": slog.GroupValue(slog.String("passwd", c), slog.Any("g", slog.GroupValue(slog.Any("token", c)))),
		"err":   errors.New(c), "errs": []error{errors.New(c), fmt.Errorf("x: %w", &pgconn.PgError{Message: c, Detail: c})},
		"pgerr": &pgconn.PgError{Message: c, Detail: c}, "notice": &pgconn.Notice{Message: c}, "nested": struct{ Err error }{errors.New(c)},
		"args": []driver.NamedValue{{Ordinal: 1, Value: c}, {Name: "a", Value: c}}, "arg": sql.Named("a", c), "config": config, "config value": *config,
		"header": request.Header, "request": request, "view": redact.Request(request), "form": url.Values{"password": {c}}, "url": request.URL,
		"key": key, "raw": json.RawMessage(`{"password":"` + c + `","a":[{"token":"` + c + `"}]}`), "dsn2": "postgres://u:" + c + "@h/d?x=y",
		"text": "connect host=h password='" + c + "' user=u", "text2": "password=" + c, "bearer2": "Bearer " + c, "pem": "x " + pem,
		"pem open": "-----BEGIN RSA PRIVATE KEY-----\n" + c, "jwtext": "a " + jwt + " b", "fernet": "id_" + fernetToken, "quoted": `{"password"= "` + c + `"}`,
		"pw url": "redis://:" + c + "/" + c + "@h", "cookie2": &http.Cookie{Name: "a", Value: c}, "user": url.UserPassword("u", c),
		"attr": slog.String("password", c), "attrs": []slog.Attr{slog.String("token", c)}, "value": []slog.Value{slog.AnyValue(valuer{p})},
	} {
		for _, o := range []redact.Options{{Names: []string{"email", "mail", "e-mail"}}, {Names: []string{"email", "mail", "e_mail"}, Key: []byte("0123456789abcdef")}} {
			out := logs(o, func(l *slog.Logger) {
				l.Info("m", name, value)
				l.With(name, value).Info("m")
				l.WithGroup("g").With("x", 1).Info("m", slog.Group("h", name, value))
				l.Info("m", "deep", []any{map[string]any{name: value}})
				l.WithGroup("credentials").Info("m", "plainly", "c4n4ry", slog.Group("x", "y", "c4n4ry"))
				l.Info("failed: password=c4n4ry " + jwt + pem + fernetToken)
			})
			pganontest.AssertNoLeak(t, []string{"c4n4ry", c, fernetToken[20:60]}, out)
			if t.Failed() {
				t.Fatal(name)
			}
			assert.Equal(t, 12, strings.Count(out, "\n"), name)
		}
	}
}

func TestHandlerKeepsTheRest(t *testing.T) {
	var buf bytes.Buffer
	l := slog.New(redact.Handler(slog.NewJSONHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" {
			return slog.Attr{}
		}
		return a
	}}), redact.Options{}))
	l.With("a", 1).WithGroup("g").Info("hello", "b", true, "c", 1.5, "d", time.Second, "e", []string{"x"}, "f", map[string]int{"y": 2},
		"n", nil, "err", redact.Error(io.EOF), "p", struct{ A, B int }{1, 2}, "t", time.Unix(0, 0).UTC(), "card no", "4111 1111 1111 1112",
		"when", int64(1716239022123456789), "bin", []byte{0xff}, "tokens", 5, "method", valuer{"GET"})
	assert.JSONEq(t, `{"level":"INFO","msg":"hello","a":1,"g":{"b":true,"c":1.5,"d":1000000000,"e":["x"],"f":{"y":2},"n":null,"err":"EOF",
		"p":{"A":1,"B":2},"t":"1970-01-01T00:00:00Z","card no":"4111 1111 1111 1112","when":1716239022123456789,"bin":"[1 bytes]","tokens":5,"method":"GET"}}`, buf.String())
	assert.True(t, l.Enabled(context.Background(), slog.LevelInfo))
	assert.False(t, l.Enabled(context.Background(), slog.LevelDebug))
}

func TestHandlerCards(t *testing.T) {
	for text, want := range map[string]string{
		"4111111111111111": "********", "4111 1111 1111 1111": "********", "card 5500-0000-0000-0004 ok": "card ******** ok",
		"378282246310005": "********", "x4111111111111111y": "x********y", "4111 1111 1111 1111 05/27": "******** 05/27", "12 4111111111111111": "12 ********",
		"4111111111111112": "4111111111111112", "41111111111111111111": "41111111111111111111", "1716239022123": "1716239022123",
	} {
		assert.Contains(t, logs(redact.Options{}, func(l *slog.Logger) { l.Info("m", "k", text) }), want, text)
	}
	assert.NotContains(t, logs(redact.Options{}, func(l *slog.Logger) { l.Info("m", "k", 4111111111111111, "l", []int64{4111111111111111}) }), "4111")
}

func TestHandlerHashes(t *testing.T) {
	hash := func(key string, v any) string {
		out := logs(redact.Options{Key: []byte(key)}, func(l *slog.Logger) { l.Info("m", "token", v) })
		return out[strings.Index(out, "token=")+6:][:13]
	}
	a := hash("0123456789abcdef", "alice")
	assert.Regexp(t, `^#[0-9a-f]{12}$`, a)
	assert.Equal(t, a, hash("0123456789abcdef", []byte("alice")))
	assert.Equal(t, a, hash("0123456789abcdef", redact.NewSecret("alice")))
	assert.NotEqual(t, a, hash("0123456789abcdef", "bob"))
	assert.NotEqual(t, a, hash("0123456789abcdeg", "alice"))
	assert.Contains(t, hash("short", "alice"), "********")
}

type cycle struct{ Next *cycle }

type rude struct{}

func (rude) MarshalJSON() ([]byte, error) { panic("c4n4ry") }

func TestHandlerIsBounded(t *testing.T) {
	c := &cycle{}
	c.Next = c
	self := map[string]any{}
	self["self"] = self
	out := logs(redact.Options{}, func(l *slog.Logger) {
		l.Info("m", "c", c, "self", self, "many", make([]int, 100_000), "long", strings.Repeat("x", 1<<20), "rude", rude{}, "loop", valuer{valuer{c}},
			"nil", (*cycle)(nil), "nilerr", (*dataError)(nil), "f", func() {})
	})
	assert.Less(t, len(out), 400_000)
	assert.NotContains(t, out, "c4n4ry")
}

func FuzzHandler(f *testing.F) {
	f.Add(uint64(1), "password")
	f.Add(uint64(99), "db_token")
	f.Fuzz(func(t *testing.T, seed uint64, other string) {
		r := rand.New(rand.NewPCG(seed, 7))
		const c = "c4n4ry-7f3a"
		leaf := func() any { // holds the canary where a handler must find it
			return []any{errors.New(c), redact.NewSecret(c), &pgconn.PgError{Message: other + c}, valuer{redact.NewSecret(c)}, "postgres://u:" + c + "@h",
				map[string]any{"password": c}, person{Password: c}, slog.GroupValue(slog.String("x_token", c)), driver.NamedValue{Name: other, Value: c},
				fmt.Errorf("%s: %w", c, io.EOF), jwt, pem, fernetToken}[r.IntN(13)]
		}
		var grow func(depth int) any
		grow = func(depth int) any {
			if depth == 0 {
				return leaf()
			}
			switch r.IntN(6) {
			case 0:
				return []any{grow(depth - 1), other}
			case 1:
				return map[string]any{other: grow(depth - 1)}
			case 2:
				return valuer{grow(depth - 1)}
			case 3:
				return slog.GroupValue(slog.Any(other, grow(depth-1)))
			case 4:
				return struct{ V any }{grow(depth - 1)}
			}
			return &[]any{grow(depth - 1)}[0]
		}
		out := logs(redact.Options{}, func(l *slog.Logger) {
			l.With(other, grow(r.IntN(8))).WithGroup(other).Info(other, "v", grow(r.IntN(20)))
		})
		if strings.Contains(out, "c4n4ry") && !strings.Contains(other, "c4n4ry") {
			t.Fatalf("leak: %d %q", seed, other)
		}
	})
}

func TestSecret(t *testing.T) {
	s := redact.NewSecret("c4n4ry-value")
	type holder struct {
		S redact.Secret[string]
		p *redact.Secret[string]
		u redact.Secret[string]
		N redact.Secret[int]
	}
	h := holder{s, &s, s, redact.NewSecret(424242)}
	_, _ = h.p, h.u
	for _, v := range []any{s, &s, h, &h, []any{s}, map[string]any{"a": h}} {
		for _, verb := range "vsqxXdbcoeUtpT" {
			for _, flag := range []string{"", "+", "#", "020", "-5.2"} {
				out := fmt.Sprintf("%"+flag+string(verb), v)
				assert.NotContains(t, out, "c4n4ry")
				assert.NotContains(t, out, "424242")
			}
		}
		pganontest.AssertNoLeak(t, []string{"c4n4ry-value"}, v)
	}
	assert.Equal(t, "********", s.String())
	j, err := json.Marshal(h)
	require.NoError(t, err)
	assert.JSONEq(t, `{"S":"********","N":"********"}`, string(j))
	type document struct{ S redact.Secret[string] }
	x, err := xml.Marshal(document{s})
	require.NoError(t, err)
	assert.NotContains(t, string(x), "c4n4ry")
	require.Error(t, gob.NewEncoder(io.Discard).Encode(s))
	require.Error(t, gob.NewEncoder(io.Discard).Encode(struct{ S redact.Secret[string] }{s}))
	require.Error(t, new(redact.Secret[string]).GobDecode(nil))
	assert.Equal(t, "c4n4ry-value", s.Reveal())
	assert.Equal(t, "", redact.Secret[string]{}.Reveal())
	assert.True(t, s.Equal(redact.NewSecret("c4n4ry-value")))
	assert.False(t, s.Equal(redact.Secret[string]{}))

	var read struct{ P redact.Secret[string] }
	require.NoError(t, json.Unmarshal([]byte(`{"P":"hunter2"}`), &read))
	assert.Equal(t, "hunter2", read.P.Reveal())
	require.Error(t, json.Unmarshal([]byte(`{"P":"********"}`), &read))
	var number redact.Secret[int]
	err = json.Unmarshal([]byte(`"c4n4ry"`), &number)
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, err)

	v, err := redact.NewSecret(7).Value()
	require.NoError(t, err)
	assert.Equal(t, int64(7), v)
	v, err = redact.NewSecret([]string{"a"}).Value()
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, v)
	_, err = redact.NewSecret(alwaysFailing{"c4n4ry"}).Value()
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, err)
	require.NoError(t, number.Scan("42"))
	assert.Equal(t, 42, number.Reveal())
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, number.Scan("c4n4ry"))
	require.Error(t, number.Scan(nil))
	var null redact.Secret[sql.NullString]
	require.NoError(t, null.Scan(nil))
	require.NoError(t, null.Scan("x"))
	assert.True(t, null.Reveal().Valid)
	var pointer redact.Secret[*string]
	require.NoError(t, pointer.Scan(nil))
	assert.Nil(t, pointer.Reveal())
}

func TestSecretInDatabase(t *testing.T) {
	db := pganontest.New(t)
	pool, err := sql.Open("pgx", db.DSN())
	require.NoError(t, err)
	defer func() { _ = pool.Close() }()
	var s redact.Secret[string]
	require.NoError(t, pool.QueryRow("select $1::text", redact.NewSecret("c4n4ry")).Scan(&s))
	assert.Equal(t, "c4n4ry", s.Reveal())
	var n int
	err = pool.QueryRow("select 'c4n4ry'").Scan(&n)
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, redact.Error(err))
	assert.Contains(t, redact.Error(err).Error(), `column index 0, name "?column?"`)
	var when time.Time
	for _, err := range []error{
		pool.QueryRow("select $1::int", "c4n4ry").Scan(&n), pool.QueryRow("select $1::int", struct{ A string }{"c4n4ry"}).Scan(&n),
		pool.QueryRow("select 'c4n4ry'").Scan(&when), pool.QueryRow("select $1::text", alwaysFailing{"c4n4ry"}).Scan(&n),
		pool.QueryRow("select $1::int", int64(1)<<40+4242).Scan(&n),
	} {
		require.Error(t, err)
		pganontest.AssertNoLeak(t, []string{"c4n4ry", "1099511632018"}, redact.Error(err))
	}
}

func TestSQL(t *testing.T) {
	for text, want := range map[string]string{
		"select * from users where email = 'c4n4ry' and id = $1":       "select * from users where email = '…' and id = $1",
		"select  e'c4n4ry\\'' /* c4n4ry */ ,\n $$c4n4ry$$ -- c4n4ry":   "select '…' , '…'",
		`insert into "Users" values (424242, 1.5, b'101', U&'c4n4ry')`: `insert into "Users" values (0, 0, '…', '…')`,
		`select "c4n4ry@example.org"`:                                  `select "…"`,
		"select 1 'c4n4ry":                                             "select 0 …",
		"":                                                             "",
		"select a::text, b->>'k', c[1] from t":                         "select a::text, b->>'…', c[0] from t",
	} {
		assert.Equal(t, want, redact.SQL(text), text)
	}
	long := redact.SQL(strings.Repeat("select 1, ", 100_000))
	assert.Less(t, len(long), 70_000)
	cut := redact.SQL(strings.Repeat(" ", 1<<16-3) + "c4n4ry")
	assert.Equal(t, "…", strings.TrimSpace(cut))
}

func FuzzSQL(f *testing.F) {
	f.Add("select 1 where a = ", " and b")
	f.Add(`select "x`, `"`)
	f.Add("select $a$", "$a$")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, "c4n4ry") || strings.Contains(redact.SQL(before+" x c4n4ry"), "c4n4ry") == false {
			_ = redact.SQL(before + after)
			return // a literal or comment is open already
		}
		if out := redact.SQL(before + " 'c4n4ry' " + after); strings.Contains(out, "c4n4ry") {
			t.Fatalf("leak: %q", out)
		}
	})
}

func TestForm(t *testing.T) {
	in := url.Values{"password": {"c4n4ry"}, "email": {"c4n4ry@x", "b"}, "page": {"2"}, "note": {"password=c4n4ry"}}
	out := redact.Form(in, "email")
	assert.Equal(t, url.Values{"password": {"********"}, "email": {"********", "********"}, "page": {"2"}, "note": {"password=********"}}, out)
	assert.Equal(t, "c4n4ry", in.Get("password"))
}

func TestRequest(t *testing.T) {
	for _, c := range []struct{ media, body, want string }{
		{"application/json; charset=utf-8", `{"email":"c4n4ry","page":2,"list":[{"apiKey":"c4n4ry"}]}`, `body="map[email:******** list:[map[apiKey:********]] page:2]"`},
		{"application/json", `{"password":"c4n4ry`, `body="…"`}, {"application/json", `{} "c4n4ry"`, `body="…"`},
		{"application/vnd.api+json", `"Bearer c4n4ryc4n4ry"`, `body="Bearer ********"`},
		{"application/x-www-form-urlencoded", "password=c4n4ry&page=2", `form="page=2&password=********"`},
		{"text/plain", "c4n4ry", `body="[text/plain]"`}, {"application/json", `["` + strings.Repeat("c4n4ry", 20_000) + `"]`, `body="…"`},
	} {
		r := httptest.NewRequest("POST", "https://u:c4n4ry@shop.example/login?token=c4n4ry&page=2#c4n4ry", io.NopCloser(strings.NewReader(c.body)))
		r.ContentLength = -1
		for name, value := range map[string]string{"Content-Type": c.media, "Authorization": "Bearer c4n4ry", "Cookie": "session=c4n4ry; theme=c4n4ry",
			"X-Csrf-Token": "c4n4ry", "X-Email": "c4n4ry", "Referer": "https://x/?password=c4n4ry", "Accept": "text/html"} {
			r.Header.Set(name, value)
		}
		view := redact.Request(r, "email")
		pganontest.AssertNoLeak(t, []string{"c4n4ry"}, view.String(), fmt.Sprintf("%v %+v %#v", view, view, view), logs(redact.Options{}, func(l *slog.Logger) { l.Info("m", "r", view) }))
		var plain bytes.Buffer
		slog.New(slog.NewJSONHandler(&plain, nil)).Info("m", "r", view)
		pganontest.AssertNoLeak(t, []string{"c4n4ry"}, plain.String())
		assert.Contains(t, view.String(), c.want)
		assert.Contains(t, view.String(), `/login?page=2&token=********`)
		assert.Contains(t, view.String(), `session=********`)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, c.body, string(body), "the handler reads it all")
	}
	assert.NotPanics(t, func() { _ = redact.Request(nil).String(); _ = redact.Request(&http.Request{}).LogValue() })
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(`{"a":`), failing500{}))
	r.Header.Set("Content-Type", "application/json")
	assert.Contains(t, redact.Request(r).String(), `body="…"`)
	read, err := io.ReadAll(r.Body)
	assert.Equal(t, `{"a":`, string(read))
	assert.EqualError(t, err, "cut")
}

type failing500 struct{}

func (failing500) Read([]byte) (int, error) { return 0, errors.New("cut") }

func BenchmarkHandler(b *testing.B) {
	for name, h := range map[string]slog.Handler{
		"plain": slog.NewJSONHandler(io.Discard, nil), "redact": redact.Handler(slog.NewJSONHandler(io.Discard, nil), redact.Options{}),
	} {
		b.Run(name, func(b *testing.B) {
			l := slog.New(h)
			b.ReportAllocs()
			for b.Loop() {
				l.Info("request served", "method", "GET", "path", "/orders", "status", 200, "took", time.Millisecond)
			}
		})
	}
}
