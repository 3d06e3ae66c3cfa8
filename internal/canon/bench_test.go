package canon_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon/internal/canon"
)

func BenchmarkAppendPlain(b *testing.B) {
	noon := time.Date(2024, 7, 2, 12, 34, 56, 123456789, time.UTC)
	for _, bench := range []struct {
		name string
		v    any
		o    canon.Options
	}{
		{"text", "alice@example.org", canon.Options{}},
		{"text", []byte("alice@example.org"), canon.Options{}},
		{"text", "Alice@Example.org", canon.Options{Fold: true}},
		{"text", ptr("alice@example.org"), canon.Options{}},
		{"text", sql.NullString{String: "alice@example.org", Valid: true}, canon.Options{}},
		{"text", strings.Repeat("alice@example.org", 1000), canon.Options{}},
		{"bytea", []byte("alice@example.org"), canon.Options{}},
		{"int8", int64(1234567890), canon.Options{}},
		{"int8", 1234567890, canon.Options{}},
		{"int8", "1234567890", canon.Options{}},
		{"bool", true, canon.Options{}},
		{"numeric", "1234.5600", canon.Options{Deterministic: true}},
		{"numeric", 1234.56, canon.Options{}},
		{"date", noon, canon.Options{}},
		{"timestamptz", noon, canon.Options{}},
		{"timestamptz", "2024-07-02T12:34:56.123456+02:00", canon.Options{}},
		{"timestamptz", pgtype.Timestamptz{Time: noon, Valid: true}, canon.Options{}},
		{"uuid", [16]byte{1, 2, 3}, canon.Options{}},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", canon.Options{}},
		{"jsonb", `{"a": [1, 2, {"b": "c"}]}`, canon.Options{}},
	} {
		typ := mustType(b, bench.name)
		size := ""
		if s, ok := bench.v.(string); ok && len(s) > 1000 {
			size = fmt.Sprint("/", len(s))
		}
		b.Run(fmt.Sprintf("%s/%T%s", bench.name, bench.v, size), func(b *testing.B) {
			dst := make([]byte, 0, 1<<15)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := typ.AppendPlain(dst, bench.v, bench.o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValue(b *testing.B) {
	for name, plain := range map[string]string{
		"text": "alice@example.org", "int8": "1234567890", "timestamptz": "2024-07-02 12:34:56.123456+00", "date": "2024-07-02", "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "numeric": "1234.56",
	} {
		typ := mustType(b, name)
		b.Run(name, func(b *testing.B) {
			in := []byte(plain)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := typ.Value(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkElements(b *testing.B) {
	for _, v := range []any{[]string{"a", "b", "c"}, `{a,b,c}`} {
		b.Run(fmt.Sprintf("%T", v), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := canon.Elements(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
