package pganontest_test

import (
	"bytes"
	"context"
	"encoding/ascii85"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encodings are what a value may look like in a log, an error or on the wire.
var encodings = map[string]func(string) string{
	"raw":          func(s string) string { return s },
	"upper case":   strings.ToUpper,
	"lower case":   strings.ToLower,
	"hex":          func(s string) string { return hex.EncodeToString([]byte(s)) },
	"upper hex":    func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"bytea hex":    func(s string) string { return `\x` + hex.EncodeToString([]byte(s)) },
	"spaced hex":   func(s string) string { return fmt.Sprintf("% x", s) },
	"base64":       func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 URL":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"base64 +1":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s + "y")) },
	"base64 +2":    func(s string) string { return base64.URLEncoding.EncodeToString([]byte("xy" + s)) },
	"base64 lines": func(s string) string { return wrap(base64.StdEncoding.EncodeToString([]byte("xyz"+s)), 4) },
	"query":        url.QueryEscape,
	"path":         url.PathEscape,
	"all percent": func(s string) string {
		var out strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&out, "%%%02x", c)
		}
		return out.String()
	},
	"Go string":    strconv.Quote,
	"Go ASCII":     strconv.QuoteToASCII,
	"JSON":         func(s string) string { b, _ := json.Marshal(s); return string(b) },
	"JSON twice":   func(s string) string { b, _ := json.Marshal(s); b, _ = json.Marshal(string(b)); return string(b) },
	"JSON ASCII":   asciiJSON,
	"JSON bytes":   func(s string) string { b, _ := json.Marshal([]byte(s)); return string(b) },
	"JSON numbers": func(s string) string { return strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ",") },
	"%v of bytes":  func(s string) string { return fmt.Sprint([]byte(s)) },
	"%#v of bytes": func(s string) string { return fmt.Sprintf("%#v", []byte(s)) },
	"%x":           func(s string) string { return fmt.Sprintf("%x", s) },
	"SQL":          func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" },
	"SQL name":     func(s string) string { return pgx.Identifier{s}.Sanitize() },
	"bytea escape": func(s string) string {
		var out strings.Builder
		for _, c := range []byte(s) {
			switch {
			case c == '\\':
				out.WriteString(`\\`)
			case c < ' ' || c > '~':
				fmt.Fprintf(&out, `\%03o`, c)
			default:
				out.WriteByte(c)
			}
		}
		return out.String()
	},
	"HTML": html.EscapeString,
	"XML": func(s string) string {
		var out bytes.Buffer
		_ = xml.EscapeText(&out, []byte(s))
		return out.String()
	},
	"query in JSON": func(s string) string { b, _ := json.Marshal("q=" + url.QueryEscape(s) + `"`); return string(b) },
	"in a log line": func(s string) string {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", s)
		return out.String()
	},
}

func wrap(s string, n int) string {
	var out strings.Builder
	for len(s) > n {
		out.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	return out.String() + s
}

func asciiJSON(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r > '~' || r < ' ' || r == '"' || r == '\\':
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

var canaries = []string{
	"alice-7f3a@example.org",
	"O'Brien \"Bob\" <&> 100% \\ + a/b?c=d",
	"Zoë Ärztin 😀 naïve",
	"line one\nline two\ttabbed",
	"+49 170 1234567",
	"555-12",
}

func TestAssertNoLeakFindsEveryEncoding(t *testing.T) {
	for i, canary := range canaries {
		for name, encode := range encodings {
			for _, around := range []string{"%s", "some text %s more text", `{"k":%s,"l":"\\u00e9"}`, "\x00\xff%s\xfe\x01"} {
				text := strings.Replace(around, "%s", encode(canary), 1)
				r := record(t, func(tb testing.TB) {
					pganontest.AssertNoLeak(tb, []string{"not-in-there", canary}, "harmless", []byte(text))
				})
				assert.True(t, r.failed, "canary %d, %s, within %q", i, name, around)
				assert.Contains(t, r.output.String(), "canary 1 leaked: source 1 ([]uint8)")
				assert.NotContains(t, r.output.String(), "canary 0")
			}
		}
	}
}

func TestAssertNoLeakPassesWhatIsNoLeak(t *testing.T) {
	harmless := []any{
		"", nil, []byte(nil), error(nil), errors.New("pganon: query: permission denied"), 17, struct{ A []string }{[]string{"x"}},
		strings.Repeat(`%41 \x41 \u0041 '' "" &amp; \n`, 100), `\`, `\u`, `\ud83d`, `\ud83d\u`, `\x4`, `\777`, `\U00110000`, `%`, `%4`, `%zz`, "&#x;",
		fmt.Sprintf("%x", "another value"), base64.StdEncoding.EncodeToString([]byte("another value")),
		"alice-7f3b@example.org", "lice-7f3a@example.org",
	}
	r := record(t, func(tb testing.TB) { pganontest.AssertNoLeak(tb, canaries, harmless...) })
	assert.False(t, r.failed, r.output.String())
}

type hidden struct{ Value string }

func (hidden) String() string   { return "hidden" }
func (hidden) GoString() string { return "hidden" }

type valuer struct{ value string }

func (valuer) String() string                 { return "valuer" }
func (valuer) GoString() string               { return "valuer" }
func (v valuer) LogValue() slog.Value         { return slog.StringValue(v.value) }
func (valuer) MarshalJSON() ([]byte, error)   { return []byte(`"valuer"`), nil }
func (valuer) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "valuer") }

func TestAssertNoLeakLooksIntoValues(t *testing.T) {
	canary := canaries[0]
	pgErr := &pgconn.PgError{Message: "duplicate key", Detail: "Key (email)=(" + canary + ") already exists."}
	var buffer bytes.Buffer
	buffer.WriteString("log line " + canary)
	for name, source := range map[string]any{
		"error text":           errors.New("for " + canary),
		"error field":          pgErr,
		"wrapped error":        fmt.Errorf("query: %w", pgErr),
		"joined errors":        errors.Join(errors.New("a"), fmt.Errorf("b: %w", pgErr)),
		"struct":               struct{ Email string }{canary},
		"unexported field":     struct{ email []byte }{[]byte(canary)},
		"map":                  map[string]any{"a": []any{canary}},
		"buffer":               &buffer,
		"JSON of a Stringer":   hidden{canary},
		"LogValue":             valuer{canary},
		"pointer to a struct":  &struct{ Email string }{canary},
		"JSON behind pointers": &struct{ P *hidden }{&hidden{canary}},
	} {
		r := record(t, func(tb testing.TB) { pganontest.AssertNoLeak(tb, []string{canary}, source) })
		assert.True(t, r.failed, name)
		assert.NotContains(t, r.output.String(), canary)
	}
}

func TestAssertNoLeakSaysWhereAndNotWhat(t *testing.T) {
	r := record(t, func(tb testing.TB) {
		pganontest.AssertNoLeak(tb, []string{"absent-canary", "s3cret-word"}, "nothing", "neighbour S3CRET-word neighbour")
	})
	assert.Equal(t, "pganontest: canary 1 leaked: source 1 (string), the string, byte 10\n", r.output.String())
	r = record(t, func(tb testing.TB) {
		pganontest.AssertNoLeak(tb, []string{"a'b'c'd"}, fmt.Errorf("x: %w", errors.New(`"a''b''c''d"`)))
	})
	assert.Equal(t, "pganontest: canary 0 leaked: source 0 (*fmt.wrapError), the error's text without doubled quotes, byte 4\n", r.output.String())
}

func TestAssertNoLeakRefusesToAssertNothing(t *testing.T) {
	p := pganontest.New(t).Proxy()
	for want, f := range map[string]func(testing.TB){
		"would assert nothing": func(tb testing.TB) { pganontest.AssertNoLeak(tb, nil, "x") },
		"no sources":           func(tb testing.TB) { pganontest.AssertNoLeak(tb, []string{"s3cret-word"}) },
		"could occur":          func(tb testing.TB) { pganontest.AssertNoLeak(tb, []string{"s3cret-word", "short"}, "x") },
		"recorded nothing":     func(tb testing.TB) { pganontest.AssertNoLeak(tb, []string{"s3cret-word"}, p) },
	} {
		r := record(t, f)
		assert.True(t, r.failed)
		assert.Contains(t, r.output.String(), want)
	}
}

func TestAssertNoLeakOnTheWire(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	db.Exec("create table t (x text)")
	canary := canaries[0]
	check := func(p *pganontest.Proxy, want string) {
		t.Helper()
		r := record(t, func(tb testing.TB) { pganontest.AssertNoLeak(tb, []string{canary}, p) })
		assert.Contains(t, r.output.String(), want)
		assert.Equal(t, want != "", r.failed)
	}
	p := db.Proxy()
	conn := connect(t, p.DSN())
	check(p, "")
	assert.Equal(t, canary, scan[string](t, conn, "select $1::text", canary))
	check(p, "sent on connection 1, byte")
	p.Reset()
	assert.Equal(t, canary, scan[string](t, conn, "select 'alice-7f3a' || '@example.org'"))
	check(p, "received on connection 1, byte")

	// Two connections at once do not hide what either carries, nor do the bounds of messages.
	p.Reset()
	p.SetLatency(0)
	half, other := len(canary)/2, connect(t, p.DSN())
	pr, pw := io.Pipe()
	go func() {
		_, _ = pw.Write([]byte(canary[:half]))
		_, _ = other.Exec(ctx, "select 1")
		_, _ = pw.Write([]byte(canary[half:] + "\n"))
		pw.Close()
	}()
	_, err := conn.PgConn().CopyFrom(ctx, pr, "copy t from stdin")
	require.NoError(t, err)
	assert.NotContains(t, string(p.Sent()), canary)
	check(p, "copied in on connection 1, byte")
}

// Whatever stands around it, and whatever the canary is, it is found.
func FuzzAssertNoLeak(f *testing.F) {
	for i := range canaries {
		f.Add("before", canaries[i], "after", uint8(i))
	}
	f.Add("%", "%4%4%4%4", "1", uint8(3))
	names := slices.Sorted(maps.Keys(encodings))
	f.Fuzz(func(t *testing.T, before, canary, after string, pick uint8) {
		if unprintable := func(r rune) bool { return !strconv.IsPrint(r) || r == '\ufffd' }; len(canary) < 6 || strings.ContainsFunc(canary, unprintable) {
			return // some encodings lose it
		}
		name := names[int(pick)%len(names)]
		r := record(t, func(tb testing.TB) {
			pganontest.AssertNoLeak(tb, []string{canary}, before+" "+encodings[name](canary)+" "+after)
		})
		assert.True(t, r.failed, "%q in %s", canary, name)
	})
}

func BenchmarkAssertNoLeak(b *testing.B) {
	random := make([]byte, 1<<20)
	ascii85.Encode(random, bytes.Repeat([]byte("pganontest"), 80_000))
	b.SetBytes(int64(len(random)))
	for b.Loop() {
		pganontest.AssertNoLeak(b, canaries, random)
	}
}
