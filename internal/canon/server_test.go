package canon_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/pganontest"
)

// server is plain pgx, whose one connection writes dates in ISO and times in UTC.
type server struct {
	db *sql.DB
}

func connect(t *testing.T) *server {
	t.Helper()
	database := pganontest.New(t)
	// What type's input makes of a text, or NULL where it refuses it.
	database.Exec(`CREATE FUNCTION reads(type text, input text) RETURNS text LANGUAGE plpgsql AS $$
		DECLARE output text;
		BEGIN
			EXECUTE format('SELECT format(''%%s'', $1::text::%s)', type) INTO output USING input;
			RETURN output;
		EXCEPTION WHEN data_exception OR program_limit_exceeded OR untranslatable_character THEN RETURN NULL;
		END $$`)
	config, err := pgx.ParseConfig(database.DSN())
	require.NoError(t, err)
	config.RuntimeParams = map[string]string{"timezone": "UTC", "datestyle": "ISO", "intervalstyle": "postgres"}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return &server{db}
}

// stores returns what a column of the type holds after plain pgx stored v there, as text.
func (s *server) stores(typ canon.Type, v any) (text sql.NullString, err error) {
	err = s.db.QueryRow("SELECT CASE WHEN v IS NOT NULL THEN format('%s', v) END FROM (SELECT $1::"+sqlName(typ)+" AS v) x", v).Scan(&text)
	return text, err
}

// manyHours are more than PostgreSQL 14 reads, though it writes them.
var manyHours = regexp.MustCompile(`\d{10,}:`)

// version is the server's major version.
func (s *server) version() (n int) {
	_ = s.db.QueryRow("SELECT current_setting('server_version_num')::int / 10000").Scan(&n)
	return n
}

func sqlName(typ canon.Type) string {
	switch typ.String() {
	case "", "enum", "citext": // pgx knows no citext and would send a []byte as hex
		return "text"
	}
	return typ.String()
}

func random(t *testing.T) *rand.Rand {
	s := rand.Uint64()
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// rounds returns n, or as many times as PGANON_CANON_ROUNDS says more.
func rounds(n int) int {
	if more, err := strconv.Atoi(os.Getenv("PGANON_CANON_ROUNDS")); err == nil {
		n *= more
	}
	return n
}

// small is a number that is often small and seldom huge.
func small(r *rand.Rand) int64 {
	n := r.Int64N(1<<62) >> r.IntN(62)
	if r.IntN(2) == 0 {
		return -n
	}
	return n
}

func randomText(r *rand.Rand) string {
	runes := []rune("aBcé€😀 \t\n\"'\\{},x0%")
	text := make([]rune, r.IntN(12))
	for i := range text {
		text[i] = runes[r.IntN(len(runes))]
	}
	return string(text)
}

func randomDecimal(r *rand.Rand) string {
	text := []string{"", "-", "+"}[r.IntN(3)] + strings.Repeat("0", r.IntN(3)) + fmt.Sprint(r.Int64N(1<<62)>>r.IntN(62))
	if r.IntN(2) == 0 {
		text += "." + strings.Repeat("0", r.IntN(4)) + fmt.Sprint(r.Int64N(1<<40)>>r.IntN(40)) + strings.Repeat("0", r.IntN(4))
	}
	if r.IntN(4) == 0 {
		text += fmt.Sprintf("e%d", r.IntN(60)-30)
	}
	return text
}

func randomTime(r *rand.Rand) time.Time {
	zone := time.UTC
	if r.IntN(3) > 0 {
		zone = time.FixedZone("", r.IntN(28*3600)-14*3600)
	}
	first, end := time.Date(-4713, 12, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(294276, 12, 1, 0, 0, 0, 0, time.UTC).Unix()
	if r.IntN(3) > 0 {
		first, end = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	nanos := []int64{0, 5e8, 1000, 999_999_999, r.Int64N(1e9)}[r.IntN(5)]
	return time.Unix(first+r.Int64N(end-first), nanos).In(zone)
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if r.IntN(2) == 0 {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte(randomBytes(r, 4)))
	}
	var words [16]byte // runs of zero words, at each end too
	for i := 0; i < 16; i += 2 {
		switch r.IntN(3) {
		case 0:
			words[i+1] = byte(r.Uint32())
		case 1:
			words[i] = byte(r.Uint32())
		}
	}
	for range r.IntN(3) {
		clear(words[:2*r.IntN(8)])
	}
	if r.IntN(8) == 0 {
		copy(words[:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff")
	}
	return netip.AddrFrom16(words)
}

func randomJSON(r *rand.Rand, depth int) any {
	switch n := r.IntN(8 - min(depth, 2)); n {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return json.Number(strings.TrimLeft(randomDecimal(r), "+"))
	case 3, 4, 5:
		return randomText(r)
	case 6:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = randomJSON(r, depth+1)
		}
		return list
	}
	object := map[string]any{}
	for range r.IntN(4) {
		object[randomText(r)] = randomJSON(r, depth+1)
	}
	return object
}

// writtenJSON is v as text, with white space and some keys twice.
func writtenJSON(r *rand.Rand, v any) string {
	space := func() string { return []string{"", " ", "\n\t"}[r.IntN(3)] }
	switch v := v.(type) {
	case json.Number:
		text := v.String()
		sign := ""
		if strings.HasPrefix(text, "-") {
			sign, text = "-", text[1:]
		}
		for len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
			text = text[1:]
		}
		return sign + text
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, space()+writtenJSON(r, e)+space())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		var parts []string
		for key, e := range v {
			for range 1 + r.IntN(2) {
				parts = append(parts, space()+writtenJSON(r, key)+space()+":"+writtenJSON(r, e)+space())
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// generators give values of many Go types for each type, all of which plain pgx stores.
var generators = map[string][]func(*rand.Rand) any{
	"text": {
		func(r *rand.Rand) any { return randomText(r) },
		func(r *rand.Rand) any { return []byte(randomText(r)) },
		func(r *rand.Rand) any { return namedString(randomText(r)) },
		func(r *rand.Rand) any { return sql.NullString{String: randomText(r), Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any { return ptr(randomText(r)) },
		func(r *rand.Rand) any { return texter(randomText(r)) },
	},
	"bytea": {
		func(r *rand.Rand) any { return randomBytes(r, r.IntN(20)) },
		func(r *rand.Rand) any { return namedBytes(randomBytes(r, r.IntN(20))) },
		func(r *rand.Rand) any { return strings.ReplaceAll(randomText(r), `\`, `\\`) },
		func(r *rand.Rand) any { return fmt.Sprintf(`\x%x`, randomBytes(r, r.IntN(20))) },
		func(r *rand.Rand) any { return fmt.Sprintf(`a\%o%o%o`, r.IntN(4), r.IntN(8), r.IntN(8)) },
	},
	"bool": {
		func(r *rand.Rand) any { return r.IntN(2) == 0 },
		func(r *rand.Rand) any { return namedBool(r.IntN(2) == 0) },
		func(r *rand.Rand) any { return pgtype.Bool{Bool: r.IntN(2) == 0, Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any {
			return []string{"t", "tRue", "y", "YES", "on", "1", "f", "fal", "n", "no", "of", "off", "0", " true"}[r.IntN(14)]
		},
	},
	"int2": {
		func(r *rand.Rand) any { return int16(r.Uint32()) },
		func(r *rand.Rand) any { return int64(int16(r.Uint32())) },
		func(r *rand.Rand) any { return fmt.Sprintf(" %+06d", int16(r.Uint32())) },
		func(r *rand.Rand) any { return pgtype.Int2{Int16: int16(r.Uint32()), Valid: r.IntN(4) > 0} },
	},
	"int4": {
		func(r *rand.Rand) any { return int32(small(r)) },
		func(r *rand.Rand) any { return float64(int32(small(r))) },
		func(r *rand.Rand) any { return uint16(r.Uint32()) },
		func(r *rand.Rand) any { return namedInt(int32(r.Uint32())) },
	},
	"int8": {
		func(r *rand.Rand) any { return small(r) },
		func(r *rand.Rand) any { return uint64(r.Int64()) },
		func(r *rand.Rand) any { return int(r.Int64()) },
		func(r *rand.Rand) any { return ptr(ptr(r.Int64())) },
		func(r *rand.Rand) any { return sql.NullInt64{Int64: small(r), Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any { return sql.Null[int32]{V: int32(small(r)), Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any {
			return pgtype.Numeric{Int: big.NewInt(int64(int32(small(r)))), Exp: int32(r.IntN(9)), Valid: true}
		},
		func(r *rand.Rand) any { return big.NewInt(small(r)) },
	},
	"float8": {
		func(r *rand.Rand) any { return math.Float64frombits(r.Uint64()) },
		func(r *rand.Rand) any { return float64(small(r)) / math.Pow10(r.IntN(20)) },
		func(r *rand.Rand) any { return math.Float32frombits(r.Uint32()) },
		func(r *rand.Rand) any { return small(r) },
		func(r *rand.Rand) any { return randomDecimal(r) },
	},
	"float4": {
		func(r *rand.Rand) any { return math.Float32frombits(r.Uint32()) },
		func(r *rand.Rand) any { return float64(small(r)) / math.Pow10(r.IntN(20)) },
		func(r *rand.Rand) any { return small(r) },
		func(r *rand.Rand) any { return randomDecimal(r) },
	},
	"numeric": {
		func(r *rand.Rand) any { return randomDecimal(r) },
		func(r *rand.Rand) any { return json.Number(randomDecimal(r)) },
		func(r *rand.Rand) any { return float64(small(r)) / math.Pow10(r.IntN(20)) },
		func(r *rand.Rand) any { return math.Float64frombits(r.Uint64()) },
		func(r *rand.Rand) any { return float32(small(r)) / 1024 },
		func(r *rand.Rand) any { return small(r) },
		func(r *rand.Rand) any { return r.Uint64() },
		func(r *rand.Rand) any {
			return pgtype.Numeric{Int: new(big.Int).Mul(big.NewInt(small(r)), big.NewInt(small(r))), Exp: int32(r.IntN(40) - 30), Valid: true}
		},
		func(r *rand.Rand) any { return new(big.Int).Mul(big.NewInt(small(r)), big.NewInt(small(r))) },
		func(r *rand.Rand) any { return []string{"NaN", "inf", "-Infinity"}[r.IntN(3)] },
	},
	"date": {
		func(r *rand.Rand) any { return randomTime(r) },
		func(r *rand.Rand) any { return ptr(randomTime(r)) },
		func(r *rand.Rand) any {
			return pgtype.Date{Time: randomTime(r), Valid: r.IntN(4) > 0, InfinityModifier: pgtype.InfinityModifier(r.IntN(3) - 1)}
		},
		func(r *rand.Rand) any { return pgtype.Timestamptz{Time: randomTime(r), Valid: true} },
		func(r *rand.Rand) any {
			return fmt.Sprintf("%04d-%02d-%02d", 1+r.IntN(3000), 1+r.IntN(12), 1+r.IntN(28))
		},
		func(r *rand.Rand) any {
			return fmt.Sprintf("%04d-%02d-%02d BC", 1+r.IntN(4000), 1+r.IntN(12), 1+r.IntN(28))
		},
		func(r *rand.Rand) any {
			return fmt.Sprintf("%d-%02d-%02d", 10000+r.IntN(5_800_000), 1+r.IntN(12), 1+r.IntN(28))
		},
	},
	"timestamp": {
		func(r *rand.Rand) any { return randomTime(r) },
		func(r *rand.Rand) any { return sql.NullTime{Time: randomTime(r), Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any { return pgtype.Timestamp{Time: randomTime(r), Valid: true} },
		func(r *rand.Rand) any { return writtenClock(r, "2024-02-29 ") },
		func(r *rand.Rand) any { return writtenClock(r, "0001-12-31T") },
		func(r *rand.Rand) any { return writtenClock(r, "0001-12-31 ") + " BC" },
	},
	"timestamptz": {
		func(r *rand.Rand) any { return randomTime(r) },
		func(r *rand.Rand) any { return pgtype.Timestamptz{Time: randomTime(r), Valid: true} },
		func(r *rand.Rand) any { return pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true} },
		func(r *rand.Rand) any {
			return randomTime(r).AddDate(0, 0, 0).Truncate(time.Second).Format("2006-01-02 15:04:05Z07:00:00")
		},
		func(r *rand.Rand) any { return writtenClock(r, "2024-02-29 ") + writtenZone(r) },
		func(r *rand.Rand) any { return writtenClock(r, "0001-12-31T") + writtenZone(r) },
		func(r *rand.Rand) any { return writtenClock(r, "0001-12-31 ") + writtenZone(r) + " BC" },
	},
	"time": {
		func(r *rand.Rand) any { return randomTime(r) },
		func(r *rand.Rand) any { return pgtype.Time{Microseconds: r.Int64N(86_400_000_001), Valid: true} },
		func(r *rand.Rand) any { return writtenClock(r, "") },
	},
	"timetz": {
		func(r *rand.Rand) any { return randomTime(r) },
		func(r *rand.Rand) any { return writtenClock(r, "") + writtenZone(r) },
	},
	"interval": {
		func(r *rand.Rand) any { return time.Duration(small(r)) },
		func(r *rand.Rand) any {
			return pgtype.Interval{Months: int32(small(r)), Days: int32(small(r)), Microseconds: small(r), Valid: true}
		},
		func(r *rand.Rand) any {
			return pgtype.Interval{Months: int32(r.IntN(40) - 20), Days: int32(r.IntN(3) - 1), Valid: true}
		},
		func(r *rand.Rand) any {
			return fmt.Sprintf("%d years %+d mons %d days", r.IntN(9)-4, r.IntN(30)-15, r.IntN(9)-4)
		},
		func(r *rand.Rand) any {
			return fmt.Sprintf("%d day %s%02d:%02d:%02d", r.IntN(9)-4, []string{"", "-", "+"}[r.IntN(3)], r.IntN(100), r.IntN(60), r.IntN(60))
		},
	},
	"uuid": {
		func(r *rand.Rand) any { return [16]byte(randomBytes(r, 16)) },
		func(r *rand.Rand) any { return namedID(randomBytes(r, 16)) },
		func(r *rand.Rand) any { return randomBytes(r, 16) },
		func(r *rand.Rand) any { return pgtype.UUID{Bytes: [16]byte(randomBytes(r, 16)), Valid: r.IntN(4) > 0} },
		func(r *rand.Rand) any { return fmt.Sprintf("{%X}", randomBytes(r, 16)) },
		func(r *rand.Rand) any {
			b := randomBytes(r, 16)
			return fmt.Sprintf("%x-%X-%x-%x", b[:4], b[4:6], b[6:14], b[14:])
		},
	},
	"inet": {
		func(r *rand.Rand) any { return randomAddr(r) },
		func(r *rand.Rand) any { return randomAddr(r).String() },
		func(r *rand.Rand) any { return net.IP(randomAddr(r).AsSlice()) },
		func(r *rand.Rand) any { a := randomAddr(r); return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)) },
		func(r *rand.Rand) any { a := randomAddr(r); return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).String() },
		func(r *rand.Rand) any {
			a := randomAddr(r)
			return net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(r.IntN(a.BitLen()+1), a.BitLen())}
		},
	},
	"cidr": {
		func(r *rand.Rand) any { return randomAddr(r) },
		func(r *rand.Rand) any { a := randomAddr(r); return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked() },
		func(r *rand.Rand) any {
			a := randomAddr(r)
			return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked().String()
		},
	},
	"macaddr": {
		func(r *rand.Rand) any { return net.HardwareAddr(randomBytes(r, 6)) },
		func(r *rand.Rand) any { return strings.ToUpper(net.HardwareAddr(randomBytes(r, 6)).String()) },
	},
	"json": {
		func(r *rand.Rand) any { return writtenJSON(r, randomJSON(r, 0)) },
		func(r *rand.Rand) any { return []byte(writtenJSON(r, randomJSON(r, 0))) },
		func(r *rand.Rand) any { return map[string]any{randomText(r): randomText(r)} },
		func(r *rand.Rand) any { return randomTime(r).UTC().AddDate(0, 0, 0) },
		func(r *rand.Rand) any { return small(r) },
	},
	"jsonb": {
		func(r *rand.Rand) any { return writtenJSON(r, randomJSON(r, 0)) },
		func(r *rand.Rand) any { return json.RawMessage(writtenJSON(r, randomJSON(r, 0))) },
		func(r *rand.Rand) any { return map[string]any{randomText(r): randomText(r)} },
	},
}

func writtenClock(r *rand.Rand, date string) string {
	text := date + fmt.Sprintf("%02d:%02d", r.IntN(24), r.IntN(60))
	if r.IntN(4) > 0 {
		text += fmt.Sprintf(":%02d", r.IntN(60))
		if r.IntN(2) == 0 {
			text += "." + fmt.Sprint(r.Uint64()>>r.IntN(60))
		}
	}
	return text
}

func writtenZone(r *rand.Rand) string {
	sign := []string{"+", "-", " +", " -"}[r.IntN(4)]
	hour, minute, second := r.IntN(16), r.IntN(60), r.IntN(60)
	switch r.IntN(5) {
	case 0:
		return "Z"
	case 1:
		return fmt.Sprintf("%s%02d", sign, hour)
	case 2:
		return fmt.Sprintf("%s%02d%02d", sign, hour, minute)
	case 3:
		return fmt.Sprintf("%s%02d:%02d", sign, hour, minute)
	}
	return fmt.Sprintf("%s%02d:%02d:%02d", sign, hour, minute, second)
}

func init() {
	for _, name := range []string{"", "varchar", "bpchar", "citext", "enum"} {
		generators[name] = generators["text"]
	}
}

// A plaintext is what PostgreSQL's output gives after plain pgx has stored the value, and PostgreSQL reads it as that value.
func TestPlainIsWhatPgxStores(t *testing.T) {
	s, r := connect(t), random(t)
	for _, name := range allTypes {
		typ := mustType(t, name)
		for range rounds(250) {
			generate := generators[name][r.IntN(len(generators[name]))]
			v := generate(r)
			what := fmt.Sprintf("%s %T %#v", name, v, v)
			stored, err := s.stores(typ, v)
			plain, isNull, ours := typ.AppendPlain(nil, v, canon.Options{})
			if ours != nil && refusedOnPurpose(name, v) {
				continue
			}
			require.Equal(t, err != nil, ours != nil, "%s: plain pgx: %v; canon: %v", what, err, ours)
			if err != nil {
				continue
			}
			require.Equal(t, !stored.Valid, isNull, what)
			if isNull {
				continue
			}
			want := stored.String
			switch name {
			case "bool":
				want = map[string]string{"t": "true", "f": "false"}[want]
			case "bytea":
				raw, err := hex.DecodeString(strings.TrimPrefix(want, `\x`))
				require.NoError(t, err)
				want = string(raw)
			}
			if !strings.HasPrefix(name, "float") { // whose last digit may differ
				require.Equal(t, want, string(plain), what)
			}

			fromText, isNull, err := typ.AppendPlain(nil, stored.String, canon.Options{})
			require.NoError(t, err, what)
			require.False(t, isNull, what)
			require.Equal(t, string(plain), string(fromText), "%s as %q", what, stored.String)
		}
	}
}

// refusedOnPurpose says where plain pgx stores something that AppendPlain refuses.
func refusedOnPurpose(name string, v any) bool {
	switch v := v.(type) {
	case float64:
		return name == "float4" && !math.IsInf(v, 0) && (math.IsInf(float64(float32(v)), 0) || float32(v) == 0)
	}
	return false
}

// What database/sql gets from a plaintext is what it gets from a column of the type.
func TestValueIsWhatPgxGives(t *testing.T) {
	s, r := connect(t), random(t)
	for _, name := range allTypes {
		typ := mustType(t, name)
		for range rounds(80) {
			v := generators[name][r.IntN(len(generators[name]))](r)
			plain, isNull, err := typ.AppendPlain(nil, v, canon.Options{})
			if err != nil || isNull {
				continue
			}
			rows, err := s.db.Query("SELECT $1::"+sqlName(typ), v)
			require.NoError(t, err)
			require.True(t, rows.Next())
			var theirs any
			require.NoError(t, rows.Scan(&theirs))
			what := fmt.Sprintf("%s %T %#v", name, v, v)
			require.Equal(t, fmt.Sprintf("%#v", theirs), fmt.Sprintf("%#v", valueOf(t, typ, string(plain))), what)
			if name != "enum" && name != "citext" {
				columns, err := rows.ColumnTypes()
				require.NoError(t, err)
				assert.Equal(t, columns[0].DatabaseTypeName(), typ.DatabaseTypeName())
				assert.Equal(t, columns[0].ScanType(), typ.ScanType(), name)
			}
			require.NoError(t, rows.Close())

			again, _, err := typ.AppendPlain(nil, valueOf(t, typ, string(plain)), canon.Options{})
			require.NoError(t, err)
			require.Equal(t, string(plain), string(again), what)
		}
	}
}

// pgtype scans a plaintext as it scans a column.
func TestPgtypeScansPlain(t *testing.T) {
	s, r := connect(t), random(t)
	conn, err := s.db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	for _, name := range allTypes {
		typ := mustType(t, name)
		for range rounds(40) {
			v := generators[name][r.IntN(len(generators[name]))](r)
			plain, isNull, err := typ.AppendPlain(nil, v, canon.Options{})
			if err != nil || isNull {
				continue
			}
			require.NoError(t, conn.Raw(func(driverConn any) error {
				pgxConn := driverConn.(*stdlib.Conn).Conn()
				var theirs, ours any
				if err := pgxConn.QueryRow(context.Background(), "SELECT $1::"+sqlName(typ), v).Scan(&theirs); err != nil {
					return err
				}
				if err := pgxConn.TypeMap().Scan(typ.OID(), typ.Format(), plain, &ours); err != nil {
					return err
				}
				// Numbers compare by value: a text keeps other zeros than the binary format does.
				if n, ok := theirs.(pgtype.Numeric); ok {
					theirs, ours = decimalOf(t, n), decimalOf(t, ours.(pgtype.Numeric))
				}
				require.Equal(t, fmt.Sprintf("%#v", theirs), fmt.Sprintf("%#v", ours), "%s %#v", name, v)
				return nil
			}))
		}
	}
}

func decimalOf(t *testing.T, n pgtype.Numeric) string {
	plain, _, err := mustType(t, "numeric").AppendPlain(nil, n, canon.Options{Deterministic: true})
	require.NoError(t, err)
	return string(plain)
}

// Deterministic plaintexts are equal where PostgreSQL says that the values are, and only there.
func TestEqualValuesHaveEqualPlaintexts(t *testing.T) {
	s, r := connect(t), random(t)
	few := map[string]func() string{
		"numeric": func() string {
			return fmt.Sprintf("%s%d.%s%s", []string{"", "-", "+", "0"}[r.IntN(4)], r.IntN(2), strings.Repeat("0", r.IntN(3)), []string{"", "1", "10", "e1", "e-1", "e2"}[r.IntN(6)])
		},
		"timestamptz": func() string { return fmt.Sprintf("2024-01-01 %02d:00:00%+03d", r.IntN(3), r.IntN(3)) },
		"timestamp": func() string {
			return fmt.Sprintf("2024-01-0%d %d%d:00:00.%s", 1+r.IntN(2), 2*r.IntN(2), 4*r.IntN(2), []string{"0", "5", "50", "4999999", "00000001"}[r.IntN(5)])
		},
		"time": func() string {
			return fmt.Sprintf("0%d:0%d:%s", r.IntN(2), r.IntN(2), []string{"00", "60", "00.0", "59.9999999"}[r.IntN(4)])
		},
		"date": func() string { return fmt.Sprintf("000%d-12-31%s", 1+r.IntN(2), []string{"", " BC"}[r.IntN(2)]) },
		"int8": func() string { return fmt.Sprintf("%s%d", []string{"", "-", "+", "00"}[r.IntN(4)], r.IntN(2)) },
		"bool": func() string { return []string{"t", "true", "on", "f", "no", "0"}[r.IntN(6)] },
		"uuid": func() string { return fmt.Sprintf([]string{"{%032x}", "%032X", "%032x"}[r.IntN(3)], 10+r.IntN(3)) },
		"inet": func() string {
			return []string{"1.2.3.4", "1.2.3.4/32", "1.2.3.4/31", "::ffff:1.2.3.4", "::ffff:102:304", "::ffff:1.2.3.4/128", "0:0::ffff:0102:0304/128"}[r.IntN(7)]
		},
		"cidr": func() string { return []string{"1.2.3.4", "1.2.3.4/32", "::1", "::0001/128", "::/1"}[r.IntN(5)] },
		"macaddr": func() string {
			return []string{"01:02:03:04:05:0a", "01-02-03-04-05-0A", "0102.0304.050a", "01:02:03:04:05:0b"}[r.IntN(4)]
		},
		"bytea":   func() string { return []string{"a", `\x61`, `\141`, `\\`, `\x5c`, "", `\x`}[r.IntN(7)] },
		"text":    func() string { return []string{"a", "A", "a ", "é", "e\u0301"}[r.IntN(5)] },
		"varchar": func() string { return []string{"a", "A", "a ", "é", "e\u0301"}[r.IntN(5)] },
	}
	o := canon.Options{Deterministic: true}
	for _, name := range allTypes {
		typ := mustType(t, name)
		if typ.Deterministic() != nil && name != "bool" || name == "" || name == "int2" || name == "int4" {
			continue
		}
		require.Contains(t, few, name)
		var as, bs []string
		var equal []bool
		for range 1000 {
			a, b := few[name](), few[name]()
			plainA, _, errA := typ.AppendPlain(nil, a, o)
			plainB, _, errB := typ.AppendPlain(nil, b, o)
			if errA == nil && errB == nil {
				as, bs, equal = append(as, a), append(bs, b), append(equal, bytes.Equal(plainA, plainB))
			}
		}
		require.Greater(t, len(as), 300, name)
		var theirs []bool
		require.NoError(t, s.db.QueryRow("SELECT array_agg(a::"+name+" = b::"+name+" ORDER BY i) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS x(a, b, i)", as, bs).
			Scan(pgtype.NewMap().SQLScanner(&theirs)))
		require.Contains(t, equal, true, name)
		require.Contains(t, equal, false, name)
		for i := range as {
			require.Equal(t, theirs[i], equal[i], "%s %q = %q", name, as[i], bs[i])
		}
	}
}

// alphabets are what a text of each type is made of, and a little more.
var alphabets = map[string][]string{
	"bool":        {"t", "r", "u", "e", "f", "a", "l", "s", "y", "n", "o", "1", "0", " ", "T", "true", "false", "yes", "no", "on", "off"},
	"int2":        {"0", "1", "9", "-", "+", " ", "_", "x", ".", "e", "\t", "\v", "32767", "32768", "\u00a0"},
	"int8":        {"0", "1", "9", "-", "+", " ", "_", "x", ".", "e", "\n", "9223372036854775807", "9223372036854775808"},
	"numeric":     {"0", "1", "9", "-", "+", " ", ".", "e", "E", "00", "NaN", "inf", "Infinity", "iNF", "x", "_", "16383", "131071"},
	"float8":      {"0", "1", "9", "-", "+", " ", ".", "e", "E", "NaN", "inf", "Infinity", "infi", "308", "324", "p"},
	"float4":      {"0", "1", "9", "-", "+", " ", ".", "e", "E", "NaN", "inf", "38", "45"},
	"date":        {"2024", "-02-", "-", "29", "30", "0001", "01", "12", "-12-31", " BC", " ", "BC", "infinity", "-infinity", "0000", "4714-11-24", "5874897", "5874898", "T"},
	"timestamp":   {"2024-02-29 23:59", "2024-02-29T23:59", "0001-12-31 23:59", "2024", "-02-29", " ", "T", "23", ":59", ":60", ":", ".5", ".9999999", ".", "0001-01-01", "24:00:00", " BC", "infinity", "294276-12-31", "Z", "4714-11-24"},
	"timestamptz": {"2024-02-29 23:59", "2024-02-29T23:59:59", "0001-01-01 00:00:00", "2024-02-29", " ", "T", "23", ":59", ":60", ":", ".5", ".9999999", "0001-01-01", "24:00", " BC", "+", "-", "01", "15", "16", "30", "Z", "z", "UTC", "294276-12-31", "4714-11-24"},
	"time":        {"23:59", "00:00:00", "23", "24", ":59", ":60", ":00", ":", ".5", ".9999999", ".", " ", "Z", "1", "+01"},
	"timetz":      {"23:59", "00:00:00", "23", "24", ":59", ":60", ":00", ":", ".5", ".9999999", " ", "Z", "+", "-", "01", "15", "30"},
	"interval":    {"1", "-", "+", " ", "year", "years", "mon", "mons", "day", "days", "s", "01:02:03", "02", ":", ".5", "2147483647", "178956970", "2562047788", ":00:54.775807", "-2562047788:00:54.775807"},
	"uuid":        {"a0eebc99", "9c0b", "4ef8", "bb6d", "6bb9bd380a11", "-", "{", "}", "A", "0", " ", "g"},
	"inet":        {"1", "255", "256", ".", ":", "::", "ffff", "0", "/", "24", "32", "128", "1.2.3.4", "fe80", "%1", " "},
	"cidr":        {"1", "255", "256", ".", ":", "::", "ffff", "0", "/", "24", "32", "128", "1.2.3.0", "fe80", " "},
	"macaddr":     {"01", "0A", ":", "-", ".", "0102", "010203", " ", "g"},
	"bytea":       {`\`, `\x`, "0", "7", "8", "a", "g", "F", " ", "\n", `\\`, `\101`, "é"},
	"json":        {"{", "}", "[", "]", ",", ":", `"a"`, `"`, `\u`, `\`, "00", "41", "d800", "dc00", "0", "-", "1", ".", "e", "true", "null", " ", "\x01"},
	"jsonb":       {"{", "}", "[", "]", ",", ":", `"a"`, `"aa"`, `"`, `\u`, `\n`, "0041", "d83d", "de00", "0", "-", "1", ".", "e1", "true", "null", " "},
}

// exact are the types of which every text is read that PostgreSQL reads, but for those that these match: version 16 also reads hex
// digits and underscores in numbers, 15 blanks after an e, both any exponent of zero and in jsonb any exponent of numeric's range.
var exact = map[string]*regexp.Regexp{
	"bool": regexp.MustCompile(`^$`), "uuid": regexp.MustCompile(`^$`), "bytea": regexp.MustCompile(`^$`), "json": regexp.MustCompile(`^$`),
	"int2": regexp.MustCompile(`[_x]`), "int8": regexp.MustCompile(`[_x]`),
	"numeric": regexp.MustCompile(`[_x]|[eE]\s|[eE][+-]?\d{7}`), "jsonb": regexp.MustCompile(`e[+-]?\d{4}`),
}

// Whatever text is read is one that PostgreSQL reads, as the same value.
func TestTextsAreReadAsPostgreSQLReadsThem(t *testing.T) {
	s, r := connect(t), random(t)
	version := s.version()
	for name, alphabet := range alphabets {
		typ := mustType(t, name)
		var inputs, plains []string
		refusals := 0
		seen := map[string]bool{}
		for range rounds(20000) {
			var b strings.Builder
			for range 1 + r.IntN(7) {
				b.WriteString(alphabet[r.IntN(len(alphabet))])
			}
			input := b.String()
			if seen[input] {
				continue
			}
			seen[input] = true
			plain, isNull, err := typ.AppendPlain(nil, input, canon.Options{})
			require.False(t, isNull)
			switch {
			case err == nil && name == "bytea":
				plain = fmt.Appendf(nil, `\x%x`, plain)
			case err != nil && (exact[name] == nil || exact[name].MatchString(input) || refusals > 2000):
				continue
			case err != nil:
				plain = []byte("refused")
				refusals++
			}
			inputs, plains = append(inputs, input), append(plains, string(plain))
		}
		rows, err := s.db.Query("SELECT coalesce(reads($2, x), 'refused') FROM unnest($1::text[]) WITH ORDINALITY AS u(x, i) ORDER BY i", inputs, name)
		require.NoError(t, err)
		for i := 0; rows.Next(); i++ {
			var theirs string
			require.NoError(t, rows.Scan(&theirs))
			if name == "bool" && theirs != "refused" {
				theirs = map[string]string{"t": "true", "f": "false"}[theirs]
			}
			if strings.HasPrefix(name, "float") && theirs != "refused" {
				again, _, err := typ.AppendPlain(nil, theirs, canon.Options{})
				require.NoError(t, err)
				theirs = string(again)
			}
			if theirs == "refused" && name == "interval" && version < 15 && manyHours.MatchString(plains[i]) {
				continue
			}
			require.True(t, theirs == plains[i], "%s %q: %.100q, not %.100q", name, inputs[i], theirs, plains[i])
		}
		require.NoError(t, rows.Err())
		t.Logf("%s: %d texts read, %d refused", name, len(inputs)-refusals, refusals)
		require.Greater(t, len(inputs)-refusals, 10, name)
	}
}
