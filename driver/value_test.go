package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
)

type (
	valueString string
	valueInt    int64
	valueBool   bool
	valueBytes  []byte
	valueTime   time.Time
	money       struct{ cents int64 }
	nilValuer   struct{ s string }
	failValuer  struct{}
	stringer    struct{ n int }
	shownString string
	shownInt    int64
	coordinates struct {
		X int `json:"x"`
	}
)

func (s stringer) String() string                   { return fmt.Sprint("s", s.n) }
func (s shownString) String() string                { return "shown " + string(s) }
func (n shownInt) String() string                   { return fmt.Sprint("shown ", int64(n)) }
func (t valueTime) Value() (sqldriver.Value, error) { return time.Time(t), nil }
func (m money) Value() (sqldriver.Value, error) {
	return fmt.Sprintf("%d.%02d", m.cents/100, m.cents%100), nil
}

func (v *nilValuer) Value() (sqldriver.Value, error) {
	if v == nil {
		return "of nothing", nil
	}
	return v.s, nil
}

func (failValuer) Value() (sqldriver.Value, error) { return nil, errors.New(failing.Core) }

// typedValues are arguments for columns of each type.
var typedValues = []struct {
	typ    string
	values []any
}{
	{"text", []any{
		"a", "", " ", "0", "false", "NULL", "null", "\\", `\x6162`, "{a,b}", "ž猫🐈", "\u202e", "e\u0301", "a\r\n\tb", strings.Repeat("x", 1<<20), strings.Repeat("é", 1<<19),
		"gAAAAAAA", "gAAAAAAB" + strings.Repeat("A", 92), []byte("bytes"), []byte{}, valueString("named"), valueBytes("named"), new("pointer"), new(valueString("p")), new(new("pp")),
		json.RawMessage(`{"a": 1}`), sql.NullString{String: "", Valid: true}, sql.Null[string]{V: "v", Valid: true}, pgtype.Text{String: "t", Valid: true}, &nilValuer{"v"}, money{1234},
		"a\x00b", "invalid \xff", []byte("invalid \xc3"), "\xed\xa0\x80", 7, int64(-7), true, 1.5, failValuer{}, struct{}{}, shownString("masked"), make(chan int), map[string]any{"a": 1},
		lossy{time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)}, lossy{stringer{7}}, lossy{&stringer{8}}, lossy{shownInt(3)}, lossy{netip.MustParseAddr("192.0.2.7")}, lossy{time.Minute},
		lossy{&url.URL{Scheme: "x"}},
	}},
	{"varchar", []any{"a", "", "ž", "invalid \xff"}},
	{"bytea", []any{
		[]byte("a"), []byte{}, []byte{0, 1, 0xff}, "text", "", `\x00ff`, `\x0`, `a\\b`, valueBytes{0xfe}, new([]byte{1}), json.RawMessage("1"), bytes.Repeat([]byte{0xf0}, 1<<20), []byte("gAAAAAAB" + strings.Repeat("A", 92)),
	}},
	{"bool", []any{true, false, "true", "f", "yes", "0", "maybe", valueBool(true), new(false), sql.NullBool{Bool: false, Valid: true}, 1, ""}},
	{"int2", []any{0, 1, -32768, 32767, 32768, "12", int8(3), uint8(200)}},
	{"int4", []any{0, math.MinInt32, math.MaxInt32, math.MaxInt32 + 1, "-5", "+5", "007", "1.5", 1.0, valueInt(9), uint32(7)}},
	{"int8", []any{
		0, int64(math.MinInt64), int64(math.MaxInt64), uint64(math.MaxUint64), uint64(5), "42", " 42 ", "-0", "x", "", valueInt(-1), new(int64(0)), sql.NullInt64{Int64: 0, Valid: true}, sql.NullInt32{Int32: 3, Valid: true}, pgtype.Int8{Int64: 8, Valid: true},
		true, 2.0, lossy{2.5}, shownInt(4),
	}},
	{"float8", []any{0.0, 1.5, -1e300, math.Inf(1), math.NaN(), "1e3", "Infinity", 7, float32(0.1), "x", math.Copysign(0, -1)}},
	{"float4", []any{float32(1.5), 0.5, "1e3", lossy{1e300}, 7}},
	{"numeric", []any{
		"0", "1234.50", "-0.001", "1e3", "1E-3", "NaN", "00012.30", "+1", "1.", ".5", "x", "", 7, int64(-7), 1.25, new(big.Int).Exp(big.NewInt(10), big.NewInt(40), nil), money{1234},
		pgtype.Numeric{Int: big.NewInt(125), Exp: -2, Valid: true}, strings.Repeat("9", 200) + "." + strings.Repeat("1", 50),
	}},
	{"date", []any{
		time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "2020-02-29", "2021-02-29", "x", "",
		sql.NullTime{Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Valid: true}, valueTime(time.Date(2020, 1, 3, 0, 0, 0, 0, time.UTC)), pgtype.Date{Time: time.Date(2020, 1, 4, 0, 0, 0, 0, time.UTC), Valid: true},
	}},
	{"time", []any{"12:34:56", "12:34:56.123456", "00:00", "24:00:00", "25:00:00", "x"}},
	{"timestamp", []any{time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC), "2020-01-02 03:04:05", "2020-01-02T03:04:05.5", "x", time.Date(2020, 1, 2, 3, 4, 5, 6789, time.UTC)}},
	{"timestamptz", []any{
		time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC), time.Date(2020, 7, 2, 3, 4, 5, 0, time.FixedZone("", 5*3600+1800)), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{},
		"2020-01-02 03:04:05+00", "2020-01-02 03:04:05+05:30", "2020-01-02T03:04:05Z", "x", valueTime(time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)),
	}},
	{"interval", []any{"1 day", "1 year 2 mons 3 days 04:05:06.7", "-00:00:01", 90 * time.Minute, "x"}},
	{"uuid", []any{"0189DDA1-3f2c-7d8e-9a41-0123456789ab", "{0189dda13f2c7d8e9a410123456789ab}", [16]byte{1, 2, 3}, "x", "", pgtype.UUID{Bytes: [16]byte{9}, Valid: true}}},
	{"inet", []any{"10.0.0.1", "10.0.0.1/8", "::1", "x", netip.MustParseAddr("192.0.2.7"), netip.MustParsePrefix("192.0.2.0/24")}},
	{"cidr", []any{"10.0.0.0/8", "10.0.0.1/8", netip.MustParsePrefix("192.0.2.0/24")}},
	{"macaddr", []any{"08:00:2b:01:02:03", "x"}},
	{"json", []any{`{"a": 1}`, `{"a":1, "a":2}`, "null", `"x"`, "{", "", []byte(`[1]`), json.RawMessage(`[2]`), map[string]any{"a": []int{1}}, coordinates{3}, []string{"x"}, 7, true}},
	{"jsonb", []any{`{"a": 1}`, `{"b":1, "a":2, "b":3}`, "null", `"x"`, "{", "", []byte(`[1]`), json.RawMessage(`[2]`), map[string]any{"a": []int{1}}, coordinates{3}, 7, 1.50, `1.50`}},
}

// nulls are NULL in every column.
var nulls = []any{
	nil, (*string)(nil), (*int64)(nil), (*time.Time)(nil), []byte(nil), valueBytes(nil), sql.NullString{}, sql.NullInt64{}, sql.NullTime{}, sql.Null[string]{}, &sql.NullBool{}, (*sql.NullString)(nil),
	pgtype.Text{}, new((*string)(nil)), json.RawMessage(nil), (*money)(nil),
}

// lossy is a value of which plain pgx stores something else, such as what it shows of itself, and which is refused here.
type lossy struct{ value any }

// Values come back from an encrypted column, in every mode, as they do on plain pgx, in its own mode, from one that is not.
func TestTypedValues(t *testing.T) {
	w := newVaultWorld(t)
	var plain, encrypted, domains []string
	for _, row := range typedValues {
		base, name := "text", "app.t_"+row.typ
		if row.typ == "bytea" {
			base = "bytea"
		}
		plain, encrypted = append(plain, "c_"+row.typ+" "+row.typ), append(encrypted, "c_"+row.typ+" "+name)
		domains = append(domains, domain(name, base, "t_"+row.typ, ",type="+row.typ, "gAAAAAAB"))
	}
	w.exec(strings.Join(domains, "") + "create table app.typed (id int, " + strings.Join(encrypted, ", ") + "); grant all on app.typed to {staff};" +
		"create schema plain; create table plain.typed (id int, " + strings.Join(plain, ", ") + ")")
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			ours := w.opened(mode)
			pgx, err := sql.Open("pgx", withKeys(w.db.DSN(), "search_path=plain"))
			require.NoError(t, err)
			defer pgx.Close()
			pgx.SetMaxOpenConns(1)
			id := 0
			for _, row := range typedValues {
				column := "c_" + row.typ
				round := func(ctx context.Context, db *sql.DB, value any) (got any, about string, err error) {
					if _, err := db.ExecContext(ctx, "INSERT INTO typed (id, "+column+") VALUES ($1, $2)", id, value); err != nil {
						return nil, "", err
					}
					rows, err := db.QueryContext(ctx, "SELECT "+column+" FROM typed WHERE id = $1", id)
					if err != nil {
						return nil, "", err
					}
					defer rows.Close()
					types, err := rows.ColumnTypes()
					require.NoError(t, err)
					require.True(t, rows.Next())
					require.NoError(t, rows.Scan(&got))
					return got, fmt.Sprint(types[0].DatabaseTypeName(), " ", types[0].ScanType()), rows.Err()
				}
				for i, value := range append(row.values[:len(row.values):len(row.values)], nulls...) {
					id++
					about := fmt.Sprintf("%s: value %d, %T %.40q", row.typ, i, value, fmt.Sprint(value))
					lost, isLossy := value.(lossy)
					if isLossy {
						value = lost.value
					}
					got, gotType, gotErr := round(w.as(w.staff), ours, value)
					want, wantType, wantErr := round(context.Background(), pgx, value)
					if gotErr != nil {
						pganontest.AssertNoLeak(t, []string{failing.Core}, gotErr)
					}
					if isLossy {
						assert.ErrorContains(t, gotErr, "pganon: encrypt $2 for app.typed."+column+": want ", about)
						assert.NoError(t, wantErr, about)
						continue
					}
					if (gotErr == nil) != (wantErr == nil) {
						t.Errorf("%s\ngot  %T %.90v\nwant %T %.90v", about, got, gotErr, want, wantErr)
						continue
					}
					if gotErr != nil {
						require.NotContains(t, gotErr.Error(), "invalid \\xff")
						continue
					}
					if w, ok := want.(time.Time); ok {
						g, ok := got.(time.Time)
						assert.Truef(t, ok && w.Equal(g) && w.Format(time.RFC3339Nano) == g.Format(time.RFC3339Nano), "%s\ngot  %v\nwant %v", about, got, want)
					} else if f, ok := want.(float64); ok && math.IsNaN(f) {
						assert.Truef(t, math.IsNaN(got.(float64)), about)
					} else if !assert.ObjectsAreEqual(want, got) {
						t.Errorf("%s\ngot  %T %.80q\nwant %T %.80q", about, got, got, want, want)
					}
					assert.Equal(t, wantType, gotType, about)
				}
			}
		})
	}
}

// What is equal for PostgreSQL is found, however it is written.
func TestTypedSearches(t *testing.T) {
	w := newVaultWorld(t)
	rows := []struct {
		typ    string
		stored any
		equal  []any
		other  any
	}{
		{"int8", 42, []any{"42", " +042 ", int64(42), 42.0, new(uint8(42)), valueInt(42)}, 43},
		{"numeric", "1.50", []any{"1.5", "01.500", 1.5, "15e-1", money{150}}, "1.51"},
		{"date", "2020-01-02", []any{time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC), pgtype.Date{Time: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC), Valid: true}}, "2020-01-03"},
		{"timestamptz", "2020-01-02 03:04:05+00", []any{"2020-01-02T05:04:05+02:00", time.Date(2020, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)), "2020-01-02 03:04:05.000+00"}, "2020-01-02 03:04:05+01"},
		{"uuid", "0189DDA1-3F2C-7D8E-9A41-0123456789AB", []any{"{0189dda13f2c7d8e9a410123456789ab}", "0189dda1-3f2c-7d8e-9a41-0123456789ab"}, "0189dda1-3f2c-7d8e-9a41-0123456789ac"},
		{"text", "É", []any{[]byte("É"), valueString("É"), new("É")}, "E\u0301"},
		{"bool,lowcardinality", true, []any{"t", "on", new(true)}, false},
	}
	text := ""
	for i, row := range rows {
		text += domain(fmt.Sprint("app.s", i), "text", fmt.Sprint("s", i), ",deterministic,type="+row.typ, "gAAAAAAA") +
			fmt.Sprintf("create table app.search%d (v app.s%[1]d); grant all on app.search%[1]d to {staff};", i)
	}
	w.exec(text + domain("app.fold", "text", "fold", ",deterministic,fold", "gAAAAAAA") + "create table app.folded (v app.fold); grant all on app.folded to {staff}")
	for _, mode := range identityModes {
		db := w.opened(mode)
		count := func(table, where string, args ...any) (n int) {
			t.Helper()
			require.NoError(t, db.QueryRowContext(w.as(w.staff), "SELECT count(*) FROM "+table+" WHERE "+where, args...).Scan(&n))
			return n
		}
		for i, row := range rows {
			table := fmt.Sprint("search", i)
			w.exec("truncate app." + table)
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO "+table+" VALUES ($1)", row.stored)
			require.NoError(t, err)
			for _, value := range append(row.equal, row.stored) {
				require.Equal(t, 1, count(table, "v = $1", value), "%s: %s %T %v", mode, row.typ, value, value)
				require.Equal(t, 1, count(table, "v IN ($1, $2)", row.other, value))
				require.Equal(t, 1, count(table, "v = ANY($1)", []any{row.other, nil, value}))
				require.Equal(t, 1, count(table, "v IS NOT DISTINCT FROM $1", value))
				require.Equal(t, 0, count(table, "v <> $1", value))
				require.Equal(t, 0, count(table, "v IS DISTINCT FROM $1 OR v <> ALL($2)", value, []any{value}))
			}
			require.Equal(t, 0, count(table, "v = $1", row.other))
			require.Equal(t, 0, count(table, "v = $1 OR v = ANY($2)", nil, []any{}))
		}
		w.exec("truncate app.folded")
		_, err := db.ExecContext(w.as(w.staff), "INSERT INTO folded VALUES ($1)", "ÉMILE@Example.ORG")
		require.NoError(t, err)
		require.Equal(t, 1, count("folded", "v = $1", "émile@example.org"))
		got, err := w.readAlone(db, "SELECT v FROM folded")
		require.NoError(t, err)
		require.Equal(t, "émile@example.org", got)
	}
}

// An array of encrypted bytes is the text that an array of bytes has on plain pgx, whatever the column is made of.
func TestArraysOfBytes(t *testing.T) {
	w := newVaultWorld(t)
	w.exec(domain("app.d_face", "text", "face", ",deterministic,type=bytea", "gAAAAAAA") + domain("app.d_hand", "bytea", "hand", ",deterministic", "gAAAAAAA") + `
create table app.bytes (id int, plain bytea, face app.d_face, photo app.d_photo, hand app.d_hand); grant all on app.bytes to {staff}`)
	ctx := w.as(w.staff)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("truncate app.bytes")
			db := w.open(mode, driver.Config{})
			for id, b := range [][]byte{{0, 0xff, '\\', '"'}, {}, []byte("text, {}"), nil} {
				_, err := db.ExecContext(ctx, "INSERT INTO bytes VALUES ($1, $2, $3, $4, $5)", id, b, b, b, b)
				require.NoError(t, err)
			}
			var want, n string
			require.NoError(t, db.QueryRowContext(ctx, "SELECT array_agg(plain ORDER BY id) FROM bytes").Scan(&want))
			for _, output := range []string{"hex", "escape"} {
				_, err := db.ExecContext(ctx, "SET bytea_output = "+output)
				require.NoError(t, err)
				for _, column := range []string{"face", "photo", "hand"} {
					var got string
					require.NoError(t, db.QueryRowContext(ctx, "SELECT array_agg("+column+" ORDER BY id) FROM bytes").Scan(&got), column)
					require.Equal(t, want, got)
				}
			}
			for _, column := range []string{"face", "hand"} {
				require.NoError(t, db.QueryRowContext(ctx, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM bytes WHERE "+column+" = ANY($1)", [][]byte{{}, {0, 0xff, '\\', '"'}, {1}, nil}).Scan(&n))
				require.Equal(t, "0 1", n, column)
			}
		})
	}
}
