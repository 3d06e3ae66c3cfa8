package pganontest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// minCanary is how long a canary must be: shorter ones occur by chance, above all in base64 and hex.
const minCanary = 6

// AssertNoLeak fails t for every canary that occurs in a source. A canary is a value made up for the test, six bytes at
// least, such as "alice-7f3a@example.org", that the code under test must not let out.
//
// A source is one of:
//   - a [*Proxy]: what it recorded, in both directions, each connection for itself; one that has recorded nothing fails
//     t, since nothing can be concluded from it
//   - a string or []byte, or a buffer that a logger wrote to, which is anything with Write and String
//   - an error: it and everything it wraps, as Error gives it, as %v, %+v and %#v print it, as JSON, and as slog logs it
//   - anything else but nil: in the same forms as an error
//
// A canary counts whether it stands there as it is, in any case, in base64 (standard or URL alphabet, alone or within a
// longer text), in hexadecimal, as the numbers that fmt and encoding/json make of bytes, percent-encoded, with the
// escapes of Go, JSON, SQL and PostgreSQL's bytea, with HTML's entities, or with line breaks in between. Compressed or
// encrypted it is not found.
//
// The failure says which source, in what form, where, and the canary's index. It prints neither the canary nor what is
// around it: test logs are kept and passed on, too.
func AssertNoLeak(t testing.TB, canaries []string, sources ...any) {
	t.Helper()
	if len(canaries) == 0 || len(sources) == 0 {
		t.Fatal("pganontest: assert no leak: no canaries or no sources: this would assert nothing")
	}
	needles := make([][]needle, len(canaries))
	for i, canary := range canaries {
		if len(canary) < minCanary {
			t.Fatalf("pganontest: assert no leak: canary %d is shorter than %d bytes: it could occur by chance", i, minCanary)
		}
		needles[i] = needlesFor(canary)
	}
	for i, source := range sources {
		texts, problem := textsOf(source)
		if problem != "" {
			t.Errorf("pganontest: assert no leak: source %d (%T): %s", i, source, problem)
		}
		found := make([]string, len(canaries))
		for _, text := range texts {
			text.search(needles, found, 0)
		}
		for c, where := range found {
			if where != "" {
				t.Errorf("pganontest: canary %d leaked: source %d (%T), %s", c, i, source, where)
			}
		}
	}
}

// text is one thing to search.
type text struct {
	name  string
	bytes []byte
}

func textsOf(source any) (texts []text, problem string) {
	add := func(name string, b []byte) {
		for _, known := range texts {
			if bytes.Equal(known.bytes, b) {
				return
			}
		}
		texts = append(texts, text{name, b})
	}
	switch s := source.(type) {
	case *Proxy:
		empty := true
		for _, r := range s.recorded() {
			empty = empty && len(r.sent)+len(r.received) == 0
			add(fmt.Sprintf("sent on connection %d", r.conn), r.sent)
			add(fmt.Sprintf("received on connection %d", r.conn), r.received)
			add(fmt.Sprintf("copied in on connection %d", r.conn), r.copied())
		}
		if empty {
			problem = "the proxy has recorded nothing"
		}
	case string:
		add("the string", []byte(s))
	case []byte:
		add("the bytes", s)
	case error:
		for depth, err := range unwrapped(s) {
			name := "the error's "
			if depth > 0 {
				name = fmt.Sprintf("wrapped error %d's ", depth)
			}
			add(name+"text", []byte(err.Error()))
			addPrinted(add, name, err)
		}
	case buffer:
		add("the buffer", []byte(s.String()))
	case nil:
	default:
		addPrinted(add, "the value's ", s)
	}
	return texts, problem
}

// buffer is not printed in other forms than String: it may be written to right now, under a lock of its own.
type buffer interface {
	io.Writer
	fmt.Stringer
}

func addPrinted(add func(string, []byte), name string, v any) {
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		add(name+verb+" form", fmt.Appendf(nil, verb, v))
	}
	if b, err := json.Marshal(v); err == nil {
		add(name+"JSON", b)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", v)
	add(name+"form in slog", log.Bytes())
}

// unwrapped lists err and everything it wraps, the outermost first.
func unwrapped(err error) []error {
	all := []error{err}
	for i := 0; i < len(all) && len(all) < 1000; i++ {
		switch e := all[i].(type) {
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				all = append(all, inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if inner != nil {
					all = append(all, inner)
				}
			}
		}
	}
	return all
}

// copied joins what was copied in: a value may be split over CopyData messages.
func (r *record) copied() []byte {
	var joined []byte
	for _, m := range r.messages {
		if m.kind == 'd' && m.end <= len(r.sent) {
			joined = append(joined, r.sent[m.start+5:m.end]...)
		}
	}
	return joined
}

// needle is what a canary looks like in one encoding.
type needle struct {
	form  string
	bytes []byte
	fold  bool // whether case does not matter
}

func needlesFor(canary string) []needle {
	raw := []byte(canary)
	decimal := strings.Trim(fmt.Sprint(raw), "[]")
	goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", raw), "[]byte{"), "}")
	needles := []needle{
		{"", lower(raw), true},
		{"", lower([]byte(strings.ToLower(canary))), true},
		{"", lower([]byte(strings.ToUpper(canary))), true},
		{" in hexadecimal", []byte(hex.EncodeToString(raw)), true},
		{" in hexadecimal", fmt.Appendf(nil, "% x", raw), true},
		{" as numbers", []byte(goSyntax), true},
		{" as numbers", []byte(decimal), false},
		{" as numbers", []byte(strings.ReplaceAll(decimal, " ", ",")), false},
		{" as numbers", []byte(strings.ReplaceAll(decimal, " ", ", ")), false},
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// Within a longer text the canary begins at any of three places in a group of four characters. Those
			// that it shares with its neighbours are left out.
			encoded := encoding.EncodeToString(append(make([]byte, shift), raw...))
			first := (shift*8 + 5) / 6
			last := (shift + len(raw)) * 8 / 6
			needles = append(needles, needle{" in base64", []byte(encoded[first:last]), false})
		}
	}
	return needles
}

// maxDepth is how many escapes may be within each other: JSON within JSON, a query string within a log line.
const maxDepth = 2

// search looks for each canary's needles in t and in what its escapes stand for. It notes in found where it has found
// the first of each; the other forms of the same text would only say it again.
func (t text) search(needles [][]needle, found []string, depth int) {
	folded := lower(t.bytes)
	missing := false
	for canary := range needles {
		for _, n := range needles[canary] {
			if found[canary] != "" {
				break
			}
			in := t.bytes
			if n.fold {
				in = folded
			}
			if at := bytes.Index(in, n.bytes); at >= 0 {
				found[canary] = fmt.Sprintf("%s, byte %d%s", t.name, at, n.form)
			}
		}
		missing = missing || found[canary] == ""
	}
	for _, e := range escapes {
		if !missing || depth == maxDepth {
			return
		}
		if plain := e.decode(t.bytes); !bytes.Equal(plain, t.bytes) {
			text{t.name + " without " + e.name, plain}.search(needles, found, depth+1)
		}
	}
}

// lower folds ASCII alone, so that every byte stays in its place in what need not be text.
func lower(b []byte) []byte {
	folded := bytes.Clone(b)
	for i, c := range folded {
		if c >= 'A' && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return folded
}

var escapes = []struct {
	name   string
	decode func([]byte) []byte
}{
	{"percent escapes", decodePercent},
	{"form encoding", func(b []byte) []byte { return decodePercent(bytes.ReplaceAll(b, []byte("+"), []byte(" "))) }},
	{"backslash escapes", decodeBackslash},
	{"doubled quotes", func(b []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("''"), []byte("'")), []byte(`""`), []byte(`"`))
	}},
	{"line breaks", func(b []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\n"), nil), []byte("\r"), nil)
	}},
	{"HTML entities", func(b []byte) []byte { return []byte(html.UnescapeString(string(b))) }},
}

// decodePercent decodes percent escapes, and leaves what is none.
func decodePercent(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		plain, n := b[0], 1
		if b[0] == '%' && len(b) > 2 {
			if v, err := strconv.ParseUint(string(b[1:3]), 16, 8); err == nil {
				plain, n = byte(v), 3
			}
		}
		out = append(out, plain)
		b = b[n:]
	}
	return out
}

// decodeBackslash decodes the escapes of Go, C, JSON and bytea, and leaves what is none.
func decodeBackslash(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if b[0] != '\\' || len(b) == 1 {
			out = append(out, b[0])
			b = b[1:]
			continue
		}
		if v, ok := escapedNumber(b[1:], 'x', 2, 16); ok {
			out = append(out, byte(v))
			b = b[4:]
		} else if v, ok := escapedNumber(b, '\\', 3, 8); ok {
			out = append(out, byte(v))
			b = b[4:]
		} else if v, ok := escapedNumber(b[1:], 'u', 4, 16); ok {
			b = b[6:]
			if low, ok := escapedNumber(b[min(1, len(b)):], 'u', 4, 16); ok && b[0] == '\\' && utf16.IsSurrogate(rune(v)) {
				v = uint64(utf16.DecodeRune(rune(v), rune(low)))
				b = b[6:]
			}
			out = utf8.AppendRune(out, rune(v))
		} else if v, ok := escapedNumber(b[1:], 'U', 8, 16); ok {
			out = utf8.AppendRune(out, rune(v))
			b = b[10:]
		} else {
			plain := b[1]
			if i := strings.IndexByte(`abfnrtv`, plain); i >= 0 {
				plain = "\a\b\f\n\r\t\v"[i]
			}
			out = append(out, plain)
			b = b[2:]
		}
	}
	return out
}

// escapedNumber reads the digits after the letter that b begins with.
func escapedNumber(b []byte, letter byte, digits, base int) (uint64, bool) {
	if len(b) <= digits || b[0] != letter {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[1:1+digits]), base, 31)
	return v, err == nil
}
