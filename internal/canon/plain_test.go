package canon_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/canon"
)

func mustType(t testing.TB, name string) canon.Type {
	t.Helper()
	typ, err := canon.ParseType(name)
	require.NoError(t, err)
	return typ
}

type (
	namedString   string
	namedBytes    []byte
	namedInt      int
	namedBool     bool
	namedID       [16]byte
	valuer        struct{ v any }
	pointerValuer struct{ v string } // only a pointer to it has Value, so a nil one may be a value
	sliceValuer   []string           // as may a nil one of these
	texter        string             // pgtype's interface, and no Value
	floater       float64
	marshaler     string
	endless       struct{}
)

func (namedInt) String() string                    { return "never used" }
func (v valuer) Value() (driver.Value, error)      { return v.v, nil }
func (v sliceValuer) Value() (driver.Value, error) { return strings.Join(v, "+"), nil }
func (v texter) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(v), Valid: v != ""}, nil
}
func (v floater) Float64Value() (pgtype.Float8, error) {
	return pgtype.Float8{Float64: float64(v), Valid: true}, nil
}
func (v marshaler) MarshalJSON() ([]byte, error) { return []byte(`{"m": "` + v + `"}`), nil }
func (v endless) Value() (driver.Value, error)   { return v, nil }
func (v *pointerValuer) Value() (driver.Value, error) {
	if v == nil {
		return "nobody", nil
	}
	return v.v, nil
}

func ptr[T any](v T) *T { return &v }

func rfc3339(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return at
}

func cidr(t testing.TB, s string) net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(s)
	require.NoError(t, err)
	return *n
}

const null = "\x00NULL"

func TestAppendPlain(t *testing.T) {
	summer := rfc3339(t, "2024-07-02T03:04:05.999999999+02:00")
	bc := time.Date(-43, 3, 15, 12, 0, 0, 500_000, time.UTC)
	for _, test := range []struct {
		types string
		v     any
		want  string
	}{
		// NULL, and what is none.
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", nil, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", (*string)(nil), null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", []byte(nil), null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", json.RawMessage(nil), null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", sql.NullString{}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", sql.Null[time.Time]{}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", valuer{}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", valuer{valuer{(*int)(nil)}}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", (*valuer)(nil), null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", ptr(ptr((*int64)(nil))), null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", pgtype.Text{}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", &pgtype.Numeric{}, null},
		{"text bytea int8 bool date numeric json jsonb uuid inet interval", (*time.Time)(nil), null},
		{"text int8 bool date numeric uuid inet interval", texter(""), null},
		{"text", (*pointerValuer)(nil), "nobody"},
		{"text", sliceValuer(nil), ""},
		{"text", sliceValuer{"a", "b"}, "a+b"},
		{"text bytea", "", ""},
		{"text bytea", []byte{}, ""},
		{"text", ptr(""), ""},
		{"int2 int4 int8 numeric float4 float8", 0, "0"},
		{"bool", false, "false"},
		{"bool", sql.NullBool{Valid: true}, "false"},
		{"json", map[string]int(nil), null},
		{"json jsonb", "null", "null"},
		{"date", pgtype.Date{}, null},
		{"timestamp", pgtype.Timestamp{}, null},
		{"timestamptz", pgtype.Timestamptz{}, null},
		{"time", pgtype.Time{}, null},
		{"interval", pgtype.Interval{}, null},
		{"uuid", pgtype.UUID{}, null},
		{"bool", pgtype.Bool{}, null},
		{"numeric float8 int8", pgtype.Float8{}, null},
		{"numeric float8 int8", (*big.Int)(nil), null},
		{"inet cidr", netip.Addr{}, null},
		{"inet cidr", netip.Prefix{}, null},
		{"inet", net.IP(nil), null},
		{"macaddr", net.HardwareAddr(nil), null},
		{"bytea", pgtype.DriverBytes(nil), null},

		// Text.
		{"text varchar bpchar citext enum", "Zoë  ", "Zoë  "},
		{"text", namedString("a"), "a"},
		{"text", ptr(ptr("a")), "a"},
		{"text", namedBytes("a"), "a"},
		{"text", json.RawMessage(`{"a":1}`), `{"a":1}`},
		{"text", []byte(`\x61`), `\x61`},
		{"text", sql.RawBytes("a"), "a"},
		{"text", pgtype.Text{String: "a", Valid: true}, "a"},
		{"text", texter("a"), "a"},
		{"text", &pointerValuer{"a"}, "a"},
		{"text", sql.Null[namedString]{V: "a", Valid: true}, "a"},
		{"text", pgtype.UUID{Valid: true}, "00000000-0000-0000-0000-000000000000"},

		// Bytes: a string is PostgreSQL's text of them.
		{"bytea", []byte("\x00\xff"), "\x00\xff"},
		{"bytea", namedBytes(`\x61`), `\x61`},
		{"bytea", pgtype.DriverBytes("a"), "a"},
		{"bytea", "hello", "hello"},
		{"bytea", `\x00Ff 61` + "\n", "\x00\xffa"},
		{"bytea", `\x`, ""},
		{"bytea", `a\\b\000\377\101`, "a\\b\x00\xffA"},
		{"bytea", pgtype.Text{String: `\x61`, Valid: true}, "a"},
		{"bytea", net.IP{0, 1, 2, 3}, "\x00\x01\x02\x03"},

		// Integers.
		{"int2 int4 int8 numeric", -32768, "-32768"},
		{"int4 int8 numeric", math.MinInt32, "-2147483648"},
		{"int8 numeric", int64(math.MinInt64), "-9223372036854775808"},
		{"int8 numeric", uint64(math.MaxInt64), "9223372036854775807"},
		{"int2", " \t+007\n", "7"},
		{"int8", "-0", "0"},
		{"int8", []byte("42"), "42"},
		{"int2 float8", int8(7), "7"},
		{"int2 float8", uint8(7), "7"},
		{"int2 float8", uint16(7), "7"},
		{"int2 float8", uint32(7), "7"},
		{"int2 float8", uint(7), "7"},
		{"int2 numeric", int16(7), "7"},
		{"int2 numeric", int32(7), "7"},
		{"int8", namedInt(7), "7"},
		{"int8", time.Second, "1000000000"},
		{"int8", 7.0, "7"},
		{"int8", float32(7), "7"},
		{"int8", -9223372036854775808.0, "-9223372036854775808"},
		{"int8 numeric float8", json.Number("7"), "7"},
		{"int8 numeric float8", big.NewInt(7), "7"},
		{"int8 numeric", pgtype.Int4{Int32: 7, Valid: true}, "7"},
		{"int8 numeric float8", pgtype.Numeric{Int: big.NewInt(7), Exp: 2, Valid: true}, "700"},
		{"int8", pgtype.Numeric{Int: big.NewInt(700), Exp: -2, Valid: true}, "7"},
		{"int8", pgtype.Float8{Float64: 7, Valid: true}, "7"},
		{"int8 numeric float8", floater(7), "7"},
		{"int8", sql.NullInt16{Int16: 7, Valid: true}, "7"},
		{"int8", sql.Null[uint32]{V: 7, Valid: true}, "7"},
		{"int8", pgtype.Text{String: "7", Valid: true}, "7"},

		// bool
		{"bool", true, "true"},
		{"bool", namedBool(true), "true"},
		{"bool", pgtype.Bool{Bool: true, Valid: true}, "true"},
		{"bool", " TR ", "true"},
		{"bool", "yes", "true"},
		{"bool", "on", "true"},
		{"bool", []byte("1"), "true"},
		{"bool", "n", "false"},
		{"bool", "Of", "false"},
		{"bool", "f", "false"},

		// Decimals keep their scale.
		{"numeric", "007.500", "7.500"},
		{"numeric", "-.5", "-0.5"},
		{"numeric", "5.", "5"},
		{"numeric", "-0.00", "0.00"},
		{"numeric", "1.50e1", "15.0"},
		{"numeric", "1.5E+3", "1500"},
		{"numeric", "15e-3", "0.015"},
		{"numeric", "0e5", "0"},
		{"numeric", "0.00e1", "0.0"},
		{"numeric", "0e-2", "0.00"},
		{"numeric", " nan ", "NaN"},
		{"numeric float8 float4", "-inf", "-Infinity"},
		{"numeric float8 float4", "+Infinity", "Infinity"},
		{"numeric", 0.1, "0.1"},
		{"numeric", float32(0.1), "0.10000000149011612"},
		{"numeric", 1e21, "1000000000000000000000"},
		{"numeric", math.Copysign(0, -1), "0"},
		{"numeric float8", math.NaN(), "NaN"},
		{"numeric", uint64(math.MaxUint64), "18446744073709551615"},
		{"numeric", new(big.Int).Lsh(big.NewInt(1), 70), "1180591620717411303424"},
		{"numeric", pgtype.Numeric{Int: big.NewInt(-1050), Exp: -2, Valid: true}, "-10.50"},
		{"numeric", pgtype.Numeric{Int: big.NewInt(5), Exp: -3, Valid: true}, "0.005"},
		{"numeric", pgtype.Numeric{NaN: true, Valid: true}, "NaN"},
		{"numeric", pgtype.Numeric{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, "-Infinity"},
		{"numeric int8", pgtype.Numeric{Valid: true}, "0"},
		{"numeric", "1e131071", "1" + strings.Repeat("0", 131071)},
		{"numeric", "1e-16383", "0." + strings.Repeat("0", 16382) + "1"},

		// Floats, as PostgreSQL writes them.
		{"float8", 0.1, "0.1"},
		{"float8", float32(0.1), "0.10000000149011612"},
		{"float4", float32(0.1), "0.1"},
		{"float4", 0.1, "0.1"},
		{"float8", "1e14", "100000000000000"},
		{"float8", 1e15, "1e+15"},
		{"float4", 123456.7, "123456.7"},
		{"float4", 1e6, "1e+06"},
		{"float8 float4", 1e-4, "0.0001"},
		{"float8 float4", 1e-5, "1e-05"},
		{"float8 float4", math.Copysign(0, -1), "-0"},
		{"float8", "4e-324", "5e-324"},
		{"float4", 16777217, "1.6777216e+07"},
		{"float8", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}, "1.5"},
		{"float8", "0e-999", "0"},

		// Dates and times.
		{"date", summer, "2024-07-02"},
		{"timestamp", summer, "2024-07-02 03:04:05.999999"},
		{"timestamptz", summer, "2024-07-02 01:04:05.999999+00"},
		{"time", summer, "03:04:05.999999"},
		{"timetz", summer, "01:04:05.999999+00"},
		{"date", bc, "0044-03-15 BC"},
		{"timestamp", bc, "0044-03-15 12:00:00.0005 BC"},
		{"timestamptz", bc, "0044-03-15 12:00:00.0005+00 BC"},
		{"timestamptz", time.Time{}, "0001-01-01 00:00:00+00"},
		{"date", pgtype.Date{Time: summer, Valid: true}, "2024-07-02"},
		{"date timestamp timestamptz", pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}, "infinity"},
		{"date timestamp timestamptz", pgtype.Timestamp{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, "-infinity"},
		{"date timestamp timestamptz", "Infinity", "infinity"},
		{"timestamptz", pgtype.Timestamptz{Time: summer, Valid: true}, "2024-07-02 01:04:05.999999+00"},
		{"timestamp", &pgtype.Timestamp{Time: summer, Valid: true}, "2024-07-02 03:04:05.999999"},
		{"timestamp", sql.NullTime{Time: summer, Valid: true}, "2024-07-02 03:04:05.999999"},
		{"date", " 2024-02-29 ", "2024-02-29"},
		{"date", "0001-12-31 BC", "0001-12-31 BC"},
		{"date", "4714-11-24 BC", "4714-11-24 BC"},
		{"date", "5874897-12-31", "5874897-12-31"},
		{"timestamp", "2024-07-02", "2024-07-02 00:00:00"},
		{"timestamp", "2024-07-02T03:04", "2024-07-02 03:04:00"},
		{"timestamp", "2024-12-31 24:00:00", "2025-01-01 00:00:00"},
		{"timestamp", "2024-12-31 23:59:59.9999999", "2025-01-01 00:00:00"},
		{"timestamp", "294276-12-31 23:59:59.999999", "294276-12-31 23:59:59.999999"},
		{"timestamptz", "2024-07-02T03:04:05.1234565+05:30", "2024-07-01 21:34:05.123456+00"},
		{"timestamptz", "2024-07-02T03:04:05.1234575+0530", "2024-07-01 21:34:05.123458+00"},
		{"timestamptz", "2024-07-02 03:04:05.500 -07", "2024-07-02 10:04:05.5+00"},
		{"timestamptz", "2024-07-02t03:04:05z", "2024-07-02 03:04:05+00"},
		{"timestamptz", "2024-07-02 03:04:05-00:30:15 BC", "2024-07-02 03:34:20+00 BC"},
		{"timestamptz", "0001-01-01 00:00:00+01", "0001-12-31 23:00:00+00 BC"},
		{"time", "24:00:00", "24:00:00"},
		{"time", "12:00:60.5", "12:01:00.5"},
		{"time", "03:04", "03:04:00"},
		{"time", "03:04:05.120", "03:04:05.12"},
		{"time", pgtype.Time{Microseconds: 5, Valid: true}, "00:00:00.000005"},
		{"timetz", "03:04:05.5+0200", "03:04:05.5+02"},
		{"timetz", "03:04:05-05:30", "03:04:05-05:30"},
		{"timetz", "03:04:05 -00:30:15", "03:04:05-00:30:15"},
		{"timetz", "03:04Z", "03:04:00+00"},

		// Intervals, as PostgreSQL writes them.
		{"interval", 25*time.Hour + time.Millisecond, "25:00:00.001"},
		{"interval", -1500 * time.Nanosecond, "-00:00:00.000001"},
		{"interval", pgtype.Interval{Months: -14, Days: 3, Microseconds: -5, Valid: true}, "-1 years -2 mons +3 days -00:00:00.000005"},
		{"interval", pgtype.Interval{Months: 1, Days: -1, Microseconds: 1, Valid: true}, "1 mon -1 days +00:00:00.000001"},
		{"interval", pgtype.Interval{Months: 12, Valid: true}, "1 year"},
		{"interval", pgtype.Interval{Valid: true}, "00:00:00"},
		{"interval", "14 mon 3 day -04:05:06.7", "1 year 2 mons 3 days -04:05:06.7"},
		{"interval", "-1 years +3 days", "-1 years +3 days"},
		{"interval", pgtype.Interval{Microseconds: math.MinInt64, Valid: true}, "-2562047788:00:54.775808"},

		// UUIDs.
		{"uuid", [16]byte{15: 0xab}, "00000000-0000-0000-0000-0000000000ab"},
		{"uuid", namedID{15: 0xab}, "00000000-0000-0000-0000-0000000000ab"},
		{"uuid", &namedID{15: 0xab}, "00000000-0000-0000-0000-0000000000ab"},
		{"uuid", pgtype.UUID{Bytes: [16]byte{15: 0xab}, Valid: true}, "00000000-0000-0000-0000-0000000000ab"},
		{"uuid", []byte("0123456789abcdef"), "30313233-3435-3637-3839-616263646566"},
		{"uuid", "{A0EEBC99-9c0b4ef8bb6d-6bb9bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"uuid", []byte("a0eebc999c0b4ef8bb6d6bb9bd380a11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},

		// Addresses.
		{"inet", netip.MustParseAddr("1.2.3.4"), "1.2.3.4"},
		{"inet", netip.MustParsePrefix("1.2.3.4/24"), "1.2.3.4/24"},
		{"inet", netip.MustParseAddr("fe80::1%eth0"), "fe80::1"},
		{"inet", net.ParseIP("1.2.3.4"), "::ffff:1.2.3.4"},
		{"inet", net.ParseIP("1.2.3.4").To4(), "1.2.3.4"},
		{"inet cidr", cidr(t, "10.1.0.0/16"), "10.1.0.0/16"},
		{"inet", ptr(cidr(t, "10.1.2.3/32")), "10.1.2.3"},
		{"cidr", netip.MustParseAddr("1.2.3.4"), "1.2.3.4/32"},
		{"inet", "2001:DB8:0:0::1/128", "2001:db8::1"},
		{"inet", "::1:1", "::0.1.0.1"},
		{"inet", "::1", "::1"},
		{"inet", "::", "::"},
		{"macaddr", net.HardwareAddr{1, 2, 3, 4, 5, 0xab}, "01:02:03:04:05:ab"},
		{"macaddr", "01-02-03-04-05-AB", "01:02:03:04:05:ab"},

		// JSON.
		{"json", `{"b":1, "b":2}`, `{"b":1, "b":2}`},
		{"json", []byte(`{"b":1, "b":2}`), `{"b":1, "b":2}`},
		{"json", json.RawMessage(`"\u0000\ud800"`), `"\u0000\ud800"`},
		{"json", namedString(`[1]`), `[1]`},
		{"json", valuer{`[1]`}, `[1]`},
		{"json", valuer{1}, `1`},
		{"json", marshaler("a"), `{"m":"a"}`},
		{"json", ptr(marshaler("a")), `{"m":"a"}`},
		{"json", map[string]any{"b": 1, "a": nil}, `{"a":null,"b":1}`},
		{"json", struct{ A []int }{[]int{1}}, `{"A":[1]}`},
		{"json", []string{"a"}, `["a"]`},
		{"json", true, `true`},
		{"json", 1.5, `1.5`},
		{"json", summer, `"2024-07-02T03:04:05.999999999+02:00"`},
		{"json", netip.MustParseAddr("1.2.3.4"), `"1.2.3.4"`},
		{"jsonb", `{"b":1,"aa":1e2, "a":"x", "b": -0.10}`, `{"a": "x", "b": -0.10, "aa": 100}`},
		{"jsonb", `"\u0041\/é\u001f\u007f\n\ud83d\ude00\\u0000"`, "\"A/é\\u001f\x7f\\n😀\\\\u0000\""},
		{"jsonb", `[ 1,{"a":[]} , {}, true, null]`, `[1, {"a": []}, {}, true, null]`},
		{"jsonb", map[string]int{"bb": 1, "a": 2}, `{"a": 2, "bb": 1}`},
	} {
		for _, name := range strings.Fields(test.types) {
			typ := mustType(t, name)
			what := fmt.Sprintf("%s %T %.60v", name, test.v, test.v)
			got, isNull, err := typ.AppendPlain([]byte("before"), test.v, canon.Options{})
			require.NoError(t, err, what)
			plain, found := strings.CutPrefix(string(got), "before")
			require.True(t, found, what)
			assert.Equal(t, test.want == null, isNull, what)
			if isNull {
				assert.Empty(t, plain, what)
				continue
			}
			assert.Equal(t, test.want, plain, what)
			again, isNull, err := typ.AppendPlain(nil, valueOf(t, typ, plain), canon.Options{})
			require.NoError(t, err, what)
			assert.False(t, isNull, what)
			assert.Equal(t, test.want, string(again), what)
		}
	}
}

func valueOf(t testing.TB, typ canon.Type, plain string) driver.Value {
	t.Helper()
	v, err := typ.Value([]byte(plain))
	require.NoError(t, err, "%s %q", typ, plain)
	require.True(t, driver.IsValue(v), "%s %T", typ, v)
	return v
}

// Only NULL is nil.
func TestEmptyIsNotNil(t *testing.T) {
	for _, v := range []any{"", []byte{}, ptr("")} {
		plain, isNull, err := mustType(t, "").AppendPlain(nil, v, canon.Options{})
		require.NoError(t, err)
		assert.False(t, isNull)
		assert.NotNil(t, plain)
	}
	plain, isNull, err := mustType(t, "").AppendPlain(nil, nil, canon.Options{})
	require.NoError(t, err)
	assert.True(t, isNull)
	assert.Nil(t, plain)
}

func TestRefused(t *testing.T) {
	noon := rfc3339(t, "2024-07-02T12:00:00Z")
	mapped := cidr(t, "10.0.0.0/8")
	mapped.IP = mapped.IP.To16()
	for _, test := range []struct {
		types string
		v     any
		want  string // %s is what the type wants
	}{
		{"text varchar bpchar citext enum", 42, "want text, got int"},
		{"text", true, "want text, got bool"},
		{"text", noon, "want text, got time.Time"},
		{"text", sql.NullInt64{Int64: 1, Valid: true}, "want text, got int64"},
		{"text", namedInt(1), "want text, got int"},
		{"text date uuid", &url.URL{Path: "/"}, "%s, got url.URL"},
		{"text", netip.MustParseAddr("1.2.3.4"), "want text, got netip.Addr"},
		{"text uuid", net.IP("abcd"), "%s, got net.IP"},
		{"text varchar bytea json jsonb", "a\xff", "want UTF-8 without zero bytes, got string that is not"},
		{"text varchar bytea", "a\x00", "want UTF-8 without zero bytes, got string that is not"},
		{"text varchar", []byte("a\x00"), "want UTF-8 without zero bytes, got []uint8 that is not"},
		{"bytea", `a\`, "want bytes, got string that is none"},
		{"bytea", `a\78`, "want bytes, got string that is none"},
		{"bytea", `\x6`, "want bytes, got string that is none"},
		{"bytea", `\x6 1`, "want bytes, got string that is none"},
		{"bytea", `\xgg`, "want bytes, got string that is none"},
		{"bytea", 7, "want bytes, got int"},
		{"bytea", [3]byte{}, "want bytes, got [3]uint8"},
		{"int2", 40000, "want an integer of 2 bytes, got int out of range"},
		{"int4", "2147483648", "want an integer of 4 bytes, got string out of range"},
		{"int8", uint64(math.MaxUint64), "want an integer of 8 bytes, got uint64 out of range"},
		{"float8", uint64(math.MaxUint64), "%s, got uint64 out of range"},
		{"text date bool", uint64(math.MaxUint64), "%s, got uint64"},
		{"int8", 1.5, "want an integer of 8 bytes, got float64 that is none"},
		{"int8", math.NaN(), "%s, got float64 that is none"},
		{"int8", 9223372036854775808.0, "%s, got float64 that is none"},
		{"int8", pgtype.Float8{Float64: 1.5, Valid: true}, "%s, got float64 that is none"},
		{"int8", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}, "%s, got pgtype.Numeric that is none"},
		{"int8", new(big.Int).Lsh(big.NewInt(1), 64), "%s, got *big.Int out of range"},
		{"int8", "", "want an integer of 8 bytes, got string that is none"},
		{"int8", "1e3", "%s, got string that is none"},
		{"int8", "1_0", "%s, got string that is none"},
		{"int8", "0x1f", "%s, got string that is none"},
		{"int8 numeric float8 bool", "١", "%s, got string that is none"},
		{"int8 date uuid interval", true, "%s, got bool"},
		{"bool", 1, "want true or false, got int"},
		{"bool", "o", "want true or false, got string that is none"},
		{"bool", "", "%s, got string that is none"},
		{"numeric", "1e131072", "%s, got string out of range"},
		{"numeric", "1e-16384", "%s, got string out of range"},
		{"numeric", "1e9999999999", "%s, got string out of range"},
		{"numeric", pgtype.Numeric{Int: big.NewInt(1), Exp: math.MaxInt32, Valid: true}, "%s, got pgtype.Numeric out of range"},
		{"numeric", pgtype.Numeric{Int: new(big.Int).Lsh(big.NewInt(1), 1<<20), Valid: true}, "%s, got pgtype.Numeric out of range"},
		{"numeric float8", ".", "%s, got string that is none"},
		{"numeric float8", "1e", "%s, got string that is none"},
		{"numeric float8", "1 0", "%s, got string that is none"},
		{"numeric float8", "-nan", "%s, got string that is none"},
		{"numeric float8", "0x1p3", "%s, got string that is none"},
		{"float4", 1e300, "%s, got float64 out of range"},
		{"float4", 1e-50, "%s, got float64 out of range"},
		{"float4", "1e-50", "%s, got string out of range"},
		{"float8", "1e309", "%s, got string out of range"},
		{"date", "2024-02-30", "want a date as YYYY-MM-DD, got string that is none"},
		{"date", "2023-02-29", "%s, got string that is none"},
		{"date", "0000-01-01", "%s, got string that is none"},
		{"date", "24-01-01", "%s, got string that is none"},
		{"date", "20240101", "%s, got string that is none"},
		{"date", "01/02/2024", "%s, got string that is none"},
		{"date", "2024-07-02 00:00:00", "%s, got string that is none"},
		{"date timestamp timestamptz", "now", "%s, got string that is none"},
		{"date timestamp timestamptz", "", "%s, got string that is none"},
		{"date timestamp timestamptz", time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), "%s, got time.Time out of range"},
		{"date timestamp timestamptz", time.Date(6_000_000, 1, 1, 0, 0, 0, 0, time.UTC), "%s, got time.Time out of range"},
		{"date", "4714-11-23 BC", "%s, got string out of range"},
		{"timestamp timestamptz", "294277-01-01 00:00:00Z", "%s, got string"},
		{"timestamptz", "294276-12-31 23:00:00-01", "%s, got string out of range"},
		{"date timestamptz", 1, "%s, got int"},
		{"timestamp", "2024-07-02 03:04:05Z", "want a time as YYYY-MM-DD HH:MM:SS, without a zone, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05", "want a time as YYYY-MM-DD HH:MM:SS+HH:MM, with a zone, got string that is none"},
		{"timestamptz", "2024-07-02", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05 Europe/Berlin", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05+16", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05+01:60", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 25:04:05+01", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 24:00:01+01", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05.+01", "%s, got string that is none"},
		{"timestamptz", "2024-07-02 03:04:05." + strings.Repeat("0", 200) + "+01", "%s, got string that is none"},
		{"time", "24:00:00.000001", "%s, got string that is none"},
		{"time", "03:04:05Z", "%s, got string that is none"},
		{"time", time.Second, "%s, got int64"},
		{"time", pgtype.Time{Microseconds: 86_400_000_001, Valid: true}, "%s, got pgtype.Time out of range"},
		{"timetz", "03:04:05", "%s, got string that is none"},
		{"interval", "2 hours", "%s, got string that is none"},
		{"interval", "1 day 1 year", "%s, got string that is none"},
		{"interval", "P1Y", "%s, got string that is none"},
		{"interval", "", "%s, got string that is none"},
		{"interval", "200000000 years", "%s, got string out of range"},
		{"interval", "2562047789:00:00", "%s, got string out of range"},
		{"interval", 5, "%s, got int"},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "want a UUID, got string that is none"},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "want a UUID, got string that is none"},
		{"uuid", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "want a UUID, got string that is none"},
		{"uuid", "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "want a UUID, got string that is none"},
		{"uuid", [15]byte{}, "want a UUID, got [15]uint8"},
		{"inet cidr", "1.2.3", "%s, got string that is none"},
		{"inet cidr", "1.2.3.4/33", "%s, got string that is none"},
		{"inet cidr", "fe80::1%eth0", "%s, got string that is none"},
		{"cidr", netip.MustParsePrefix("1.2.3.4/24"), "want an IP network, got netip.Prefix that is none"},
		{"inet", net.IP{1, 2}, "want an IP address, got net.IP that is none"},
		{"inet", mapped, "want an IP address, got net.IPNet that is none"},
		{"inet", net.IPNet{IP: net.IP{1, 2, 3, 4}, Mask: net.IPMask{255, 0, 255, 0}}, "%s, got net.IPNet that is none"},
		{"macaddr", net.HardwareAddr{1}, "%s, got net.HardwareAddr that is none"},
		{"macaddr", "01:02:03:04:05:06:07:08", "%s, got string that is none"},
		{"json jsonb", "", "want JSON, got string that is none"},
		{"json jsonb", `{"a":}`, "want JSON, got string that is none"},
		{"json jsonb", pgtype.Text{String: "a", Valid: true}, "want JSON, got string that is none"},
		{"jsonb", `"\u0000"`, "want JSON, got string that is none"},
		{"jsonb", `"\ud800"`, "want JSON, got string that is none"},
		{"jsonb", `"\ud800\u0041"`, "want JSON, got string that is none"},
		{"jsonb", `"\udc00"`, "want JSON, got string that is none"},
		{"jsonb", `[1e1001]`, "want JSON, got string out of range"},
		{"text int8", endless{}, "more pointers or Value methods between the argument and its value than pgx follows"},
		{"text int8", make(chan int), "%s, got chan int"},
		{"text int8", struct{ A int }{1}, "%s, got struct { A int }"},
		{"text int8", []string{"a"}, "%s, got []string"},
	} {
		for _, name := range strings.Fields(test.types) {
			typ := mustType(t, name)
			dst := []byte("before")
			got, isNull, err := typ.AppendPlain(dst, test.v, canon.Options{})
			what := fmt.Sprintf("%s %T %.60v", name, test.v, test.v)
			if assert.Error(t, err, what) {
				want, rest, found := strings.Cut(test.want, "%s")
				if found {
					assert.Contains(t, err.Error(), "want ", what)
					want = rest
				}
				assert.Contains(t, err.Error(), want, what)
			}
			assert.False(t, isNull, what)
			assert.Equal(t, "before", string(got), what)
		}
	}
}

// A text is what is UTF-8 and has no zero byte, wherever in it that stands.
func TestText(t *testing.T) {
	text := mustType(t, "text")
	for _, inserted := range []string{"", "\x00", "\x01", "\x7f", "\x80", "\xff", "é", "\xc3", "€", "\xed\xa0\x80", "\xc0\x80", "😀", "é\x00", "\xf4\x90\x80\x80"} {
		for n := range 20 {
			for at := range n + 1 {
				in := strings.Repeat("a", at) + inserted + strings.Repeat("~", n-at)
				want := utf8.ValidString(in) && !strings.Contains(in, "\x00")
				for _, v := range []any{in, []byte(in)} {
					plain, _, err := text.AppendPlain(nil, v, canon.Options{})
					require.Equal(t, want, err == nil, "%q", in)
					if want {
						require.Equal(t, in, string(plain))
					}
				}
				_, err := text.Value([]byte(in))
				require.Equal(t, want, err == nil, "%q", in)
			}
		}
	}
}

func TestDeterministicNumeric(t *testing.T) {
	numeric := mustType(t, "numeric")
	for in, want := range map[any]string{
		"1.500": "1.5", "1.00": "1", "-0.00": "0", "100": "100", "1.50e1": "15", "0e-5": "0", "NaN": "NaN", 2.50: "2.5", 10: "10", "1200e-3": "1.2",
		pgtype.Numeric{Int: big.NewInt(0), Exp: -3, Valid: true}: "0",
	} {
		got, _, err := numeric.AppendPlain(nil, in, canon.Options{Deterministic: true})
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "%v", in)
	}
}

func TestFold(t *testing.T) {
	o := canon.Options{Fold: true}
	text := mustType(t, "text")
	for in, want := range map[string]string{"Alice@Example.ORG": "alice@example.org", "ZOË@x": "zoë@x", "": "", "ÅΣ": "åσ", "already": "already"} {
		for _, v := range []any{in, []byte(in)} {
			got, _, err := text.AppendPlain([]byte("X"), v, o)
			require.NoError(t, err)
			assert.Equal(t, "X"+want, string(got))
		}
	}
	in := []byte("ABC")
	_, _, err := text.AppendPlain(nil, in, o)
	require.NoError(t, err)
	assert.Equal(t, "ABC", string(in), "the argument is not written to")
	for r := rune(1); r <= 0x10ffff; r++ {
		once, _, _ := text.AppendPlain(nil, string(r), o)
		twice, _, _ := text.AppendPlain(nil, once, o)
		if len(once) == 0 || string(once) != string(twice) {
			t.Fatalf("%U: %q, then %q", r, once, twice)
		}
	}
	id, _, err := mustType(t, "uuid").AppendPlain(nil, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", o)
	require.NoError(t, err)
	assert.Equal(t, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", string(id))
}

// What a program's own method says may hold the value: nothing prints it.
func TestCallError(t *testing.T) {
	const canary = "canary-7f3a"
	cause := errors.New("cannot give " + canary)
	for name, v := range map[string]any{"text": failing{cause}, "json": failingJSON{cause}, "numeric": failingNumeric{cause}, "int8": failing{cause}, "inet": failingPrefix{cause}} {
		_, isNull, err := mustType(t, name).AppendPlain(nil, v, canon.Options{})
		assert.False(t, isNull)
		var call *canon.CallError
		require.ErrorAs(t, err, &call)
		assert.ErrorIs(t, call.Cause(), cause)
		assert.NotErrorIs(t, err, cause)
		assert.Contains(t, err.Error(), fmt.Sprintf("of %T failed", v))
		encoded, _ := json.Marshal(err)
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Error("x", "err", err)
		for _, printed := range []string{err.Error(), fmt.Sprintf("%v %+v %#v %s %q %x", err, err, err, err, err, err), fmt.Sprintf("%+v", fmt.Errorf("%w", err)), string(encoded), logged.String()} {
			assert.NotContains(t, printed, canary)
			assert.NotContains(t, printed, fmt.Sprintf("%x", canary))
		}
	}
}

type (
	failing        struct{ err error }
	failingJSON    struct{ err error }
	failingNumeric struct{ err error }
	failingPrefix  struct{ err error }
)

func (f failing) Value() (driver.Value, error)                  { return nil, f.err }
func (f failingJSON) MarshalJSON() ([]byte, error)              { return nil, f.err }
func (f failingNumeric) NumericValue() (pgtype.Numeric, error)  { return pgtype.Numeric{}, f.err }
func (f failingPrefix) NetipPrefixValue() (netip.Prefix, error) { return netip.Prefix{}, f.err }

func TestValue(t *testing.T) {
	for _, test := range []struct {
		name, plain string
		want        driver.Value
	}{
		{"", "a", "a"},
		{"text", "", ""},
		{"bytea", "\x00\xff", []byte("\x00\xff")},
		{"bytea", "", []byte{}},
		{"bool", "true", true},
		{"int2", "-7", int64(-7)},
		{"int8", "7", int64(7)},
		{"float4", "0.1", float64(float32(0.1))},
		{"float8", "0.1", 0.1},
		{"numeric", "1.50", "1.50"},
		{"date", "2024-07-02", time.Date(2024, 7, 2, 0, 0, 0, 0, time.UTC)},
		{"date", "-infinity", "-infinity"},
		{"timestamp", "0044-03-15 12:00:00.5 BC", time.Date(-43, 3, 15, 12, 0, 0, 5e8, time.UTC)},
		{"timestamptz", "2024-07-02 03:04:05+00", time.Date(2024, 7, 2, 3, 4, 5, 0, time.UTC).Local()},
		{"timestamptz", "infinity", "infinity"},
		{"time", "24:00:00", "24:00:00"},
		{"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, // not ours, but a UUID
		{"json", `{"a":1}`, []byte(`{"a":1}`)},
	} {
		assert.Equal(t, test.want, valueOf(t, mustType(t, test.name), test.plain), "%s %q", test.name, test.plain)
	}
	for name, plain := range map[string]string{"": "\xff", "text": "canary\x00", "bool": "canary", "int2": "99999", "float4": "canary", "numeric": "canary", "date": "canary", "timestamptz": "2024-07-02 03:04:05",
		"uuid": "canary", "inet": "canary", "json": "canary\xff", "interval": "canary"} {
		v, err := mustType(t, name).Value([]byte(plain))
		assert.Nil(t, v)
		if assert.ErrorContains(t, err, "the plaintext is not ") {
			assert.NotContains(t, err.Error(), "canary")
		}
	}
	plain := []byte("abc")
	for _, name := range []string{"bytea", "json", "text"} {
		v := valueOf(t, mustType(t, name), string(plain))
		got, _ := mustType(t, name).Value(plain)
		plain[0]++
		assert.Equal(t, v, got, "shares memory")
		plain[0]--
	}
}
