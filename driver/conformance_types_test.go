package driver_test

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

var typeCases = []conformanceCase{
	{name: "results of every type", run: caseResultTypes, perCall: true},
	{name: "results into typed destinations", run: caseTypedDestinations, slow: true},
	{name: "arguments", run: caseArgumentTypes, perCall: true},
	{name: "arguments into columns", run: caseArgumentsIntoColumns, perCall: true},
	{name: "column types", run: caseColumnTypes, perCall: true},
	{name: "large values", run: caseLargeValues, slow: true},
	{name: "many rows", run: caseManyRows, slow: true},
	{name: "most parameters", run: caseMostParameters, slow: true},
}

// expressions are values of the types that PostgreSQL has and a few made ones.
var expressions = []string{
	"true", "false", "null::bool",
	"1::int2", "(-32768)::int2", "2147483647::int4", "(-9223372036854775808)::int8", "null::int2", "null::int4", "null::int8",
	"1.5::float4", "1e-40::float4", "'NaN'::float8", "'-Infinity'::float8", "0.1::float8", "null::float4", "null::float8",
	"123456789012345678901234567890.123456789::numeric", "1.50::numeric(5,2)", "'NaN'::numeric", "'Infinity'::numeric", "0::numeric", "null::numeric",
	"''::text", "'héllo ✓'::text", "e'a\\nb\\t\\\\'::text", "'abc'::varchar(10)", "'abc'::varchar", "'abc'::bpchar", "'abc'::char(5)", "'x'::\"char\"", "'n'::name",
	"null::text", "null::varchar", "'unknown'", "null",
	"''::bytea", "'\\x00ff10'::bytea", "null::bytea",
	`'{"a": [1, "x", null]}'::json`, `'{"b":1,"a":2}'::jsonb`, "'null'::jsonb", "'\"s\"'::jsonb", "null::json", "null::jsonb", "'$.a'::jsonpath",
	"'<a>x</a>'::xml", "null::xml",
	"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "null::uuid",
	"date '2024-02-29'", "date '0044-03-15 BC'", "'infinity'::date", "'-infinity'::date", "null::date",
	"time '12:34:56.789012'", "timetz '12:34:56+02'", "time '24:00'", "null::time",
	"timestamp '2024-02-29 12:34:56.789012'", "'infinity'::timestamp", "'-infinity'::timestamp", "null::timestamp",
	"timestamptz '2024-02-29 12:34:56.789012+02'", "'infinity'::timestamptz", "'-infinity'::timestamptz", "null::timestamptz",
	"interval '1 year 2 mons 3 days 04:05:06.789'", "interval '-1 day'", "null::interval",
	"inet '192.168.0.1/24'", "inet '::1'", "cidr '10.0.0.0/8'", "macaddr '08:00:2b:01:02:03'", "null::inet",
	"'{1,2,null}'::int4[]", "'{}'::int8[]", "'{{1,2},{3,4}}'::int2[]", `'{"a b",null,"\"q\""}'::text[]`, "array[true,false]", "array[1.5,null]::numeric[]",
	"array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']::uuid[]", "array[date '2024-01-01']", "array['\\x01'::bytea]", "null::int4[]",
	"'happy'::mood", "null::mood", "array['sad','ok']::mood[]",
	"5::positive", "'a@b'::email", "null::positive",
	"row(1,'x')::pair", "row(1,'x')", "array[row(1,'x')::pair]", "null::pair",
	"int4range(1,5)", "'empty'::int8range", "numrange(null,1.5)", "tstzrange('2024-01-01','2024-02-01')", "'[1.5,2.5]'::span", "null::int4range",
	"'{[1,3),[5,7)}'::int4multirange",
	"point '(1,2)'", "box '(1,1),(0,0)'", "circle '<(0,0),1>'", "path '[(0,0),(1,1)]'", "lseg '[(0,0),(1,1)]'", "line '{1,2,3}'", "polygon '((0,0),(1,1))'",
	"b'101'::bit(3)", "b'101'::varbit", "money '1.50'", "'a & b'::tsquery", "'a b'::tsvector", "1::oid", "'pg_class'::regclass", "'1'::xid", "'(0,1)'::tid", "'0/1'::pg_lsn",
	"current_schema()", "void_in('')",
}

func caseResultTypes(e *conformanceEnv) {
	for _, x := range expressions {
		e.query(x, e.db, "select "+x+" as x")
	}
	e.query("all at once", e.db, "select "+strings.Join(expressions[:len(expressions)-1], ", "))
}

// caseTypedDestinations scans every value into every destination a program may use.
func caseTypedDestinations(e *conformanceEnv) {
	m := pgtype.NewMap()
	for _, x := range expressions {
		rows, err := e.db.QueryContext(e.ctx, "select "+x)
		require.NoError(e, err)
		require.True(e, rows.Next())
		var text strings.Builder
		for _, dest := range []any{
			new(string), new([]byte), new(int64), new(int), new(int32), new(int16), new(int8), new(uint8), new(uint32), new(uint64), new(float64), new(float32),
			new(bool), new(time.Time), new(any), new(*string), new(*int64), new(*float64), new(*bool), new(*time.Time), new(*[]byte),
			new(namedString), new(namedInt), new(namedBytes), new(namedBool),
			new(sql.NullString), new(sql.NullInt64), new(sql.NullInt32), new(sql.NullInt16), new(sql.NullByte), new(sql.NullFloat64), new(sql.NullBool), new(sql.NullTime),
			new(sql.Null[string]), new(sql.Null[int]), new(sql.Null[[]byte]), new(json.RawMessage),
			new(pgtype.Text), new(pgtype.Int2), new(pgtype.Int4), new(pgtype.Int8), new(pgtype.Float4), new(pgtype.Float8), new(pgtype.Bool), new(pgtype.Numeric),
			new(pgtype.Date), new(pgtype.Timestamp), new(pgtype.Timestamptz), new(pgtype.Time), new(pgtype.Interval), new(pgtype.UUID), new(pgtype.Uint32),
			new(pgtype.Point), new(pgtype.Bits), new(pgtype.DriverBytes),
		} {
			err := rows.Scan(dest)
			fmt.Fprintf(&text, "%T %s %s\n", dest, shown(dest), e.shown(err))
		}
		// PostgreSQL's own types, as pgx's documentation shows it.
		for _, dest := range []any{
			new([]int32), new([]int64), new([]string), new([]*string), new([][]int16), new(pgtype.FlatArray[pgtype.Int8]), new(pgtype.Array[string]),
			new(netip.Prefix), new(netip.Addr), new(pgtype.Range[pgtype.Int4]), new(map[string]any), new(time.Duration), new(big.Int), new([16]byte),
		} {
			err := rows.Scan(m.SQLScanner(dest))
			fmt.Fprintf(&text, "SQLScanner %T %s %s\n", dest, shown(dest), e.shown(err))
		}
		var raw sql.RawBytes // the last one: it holds the row
		fmt.Fprintf(&text, "%s %s\n", e.shown(rows.Scan(&raw)), shown(raw))
		require.NoError(e, rows.Close())
		e.see(x, printedText(text.String()))
	}
}

type (
	namedString string
	namedInt    int16
	namedBytes  []byte
	namedBool   bool
)

// shouting is a driver.Valuer, refusing one that fails, pointing one whose method is on the pointer.
type shouting string

func (s shouting) Value() (sqldriver.Value, error) { return strings.ToUpper(string(s)), nil }

type refusing struct{}

func (refusing) Value() (sqldriver.Value, error) { return nil, errors.New("refused by the valuer") }

type pointing struct{ s string }

func (p *pointing) Value() (sqldriver.Value, error) {
	if p == nil {
		return "was nil", nil
	}
	return p.s, nil
}

type stringing int

func (s stringing) String() string { return fmt.Sprintf("number %d", int(s)) }

func pointerTo[T any](v T) *T { return &v }

func caseArgumentTypes(e *conformanceEnv) {
	moment := time.Date(2024, 2, 29, 12, 34, 56, 789012345, time.FixedZone("", 7200))
	for i, arg := range []struct {
		typ   string
		value any
	}{
		{"bool", true}, {"bool", "t"}, {"bool", nil}, {"bool", pointerTo(false)}, {"bool", (*bool)(nil)}, {"bool", namedBool(true)}, {"bool", 1}, {"bool", sql.NullBool{}},
		{"int2", 5}, {"int2", int8(-5)}, {"int2", 70000}, {"int4", uint16(5)}, {"int4", int64(math.MaxInt64)}, {"int4", "12"}, {"int4", "x"}, {"int4", 1.0}, {"int4", 1.5},
		{"int4", namedInt(7)}, {"int4", stringing(7)}, {"int4", pointerTo(7)}, {"int4", (*int)(nil)}, {"int4", pointerTo(pointerTo(7))}, {"int4", sql.NullInt32{Int32: 3, Valid: true}}, {"int4", sql.Null[int]{V: 3, Valid: true}}, {"int4", sql.Null[int]{}},
		{"int8", uint64(math.MaxUint64)}, {"int8", uint64(5)}, {"int8", int64(math.MinInt64)}, {"int8", sql.NullInt64{}}, {"int8", pgtype.Int8{Int64: 5, Valid: true}}, {"int8", json.Number("12")},
		{"float4", float32(0.1)}, {"float8", math.Inf(1)}, {"float8", math.NaN()}, {"float8", 0.1}, {"float8", 3}, {"float8", "1e3"}, {"float8", sql.NullFloat64{Float64: 1, Valid: true}},
		{"numeric", 5}, {"numeric", 1.25}, {"numeric", "1.5000"}, {"numeric", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}}, {"numeric", big.NewInt(12)}, {"numeric", nil},
		{"text", ""}, {"text", "héllo"}, {"text", "it's \\ \"quoted\" $1 @a ?"}, {"text", "a\x00b"}, {"text", "\xff"}, {"text", []byte("bytes")}, {"text", 5}, {"text", true}, {"text", namedString("named")}, {"text", stringing(7)}, {"text", shouting("shout")},
		{"text", pointerTo("p")}, {"text", (*string)(nil)}, {"text", sql.NullString{}}, {"text", sql.NullString{String: "s", Valid: true}}, {"text", &pointing{"x"}}, {"text", (*pointing)(nil)}, {"text", refusing{}}, {"text", pgtype.Text{}}, {"text", moment}, {"text", 'r'}, {"text", json.RawMessage(`{}`)},
		{"varchar(3)", "abcd"}, {"bpchar", "x "}, {"\"char\"", "x"}, {"name", "n"}, {"email", "a@b"}, {"mood", "happy"}, {"mood", "angry"}, {"mood", namedString("sad")}, {"positive", 5}, {"positive", -5},
		{"bytea", []byte{0, 255}}, {"bytea", []byte{}}, {"bytea", []byte(nil)}, {"bytea", "\\xff"}, {"bytea", "text"}, {"bytea", namedBytes{1}}, {"bytea", [3]byte{1, 2, 3}},
		{"json", `{"a":1}`}, {"json", []byte(`{"a":1}`)}, {"jsonb", map[string]any{"a": []int{1, 2}}}, {"jsonb", struct {
			A int `json:"a"`
		}{1}}, {"jsonb", json.RawMessage(`[1]`)}, {"jsonb", []int{1, 2}}, {"jsonb", nil}, {"jsonb", 5}, {"json", "not json"}, {"jsonb", (*map[string]any)(nil)},
		{"xml", "<a/>"}, {"xml", []byte("<a/>")}, {"xml", "<a"},
		{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, {"uuid", [16]byte{1, 2}}, {"uuid", pgtype.UUID{Valid: true}}, {"uuid", []byte{1, 2}}, {"uuid", "nope"},
		{"date", moment}, {"date", "2024-02-29"}, {"date", pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}}, {"date", "2024-02-30"},
		{"time", "12:34"}, {"time", pgtype.Time{Microseconds: 5, Valid: true}}, {"timestamp", moment}, {"timestamptz", moment}, {"timestamptz", moment.UTC()}, {"timestamptz", "infinity"}, {"timestamptz", time.Time{}}, {"timestamptz", sql.NullTime{}}, {"timestamptz", &moment}, {"timestamptz", pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}},
		{"interval", time.Hour}, {"interval", "1 day"}, {"interval", pgtype.Interval{Months: 1, Valid: true}},
		{"inet", "10.0.0.1"}, {"inet", netip.MustParseAddr("10.0.0.1")}, {"inet", netip.MustParsePrefix("10.0.0.0/8")}, {"cidr", net.IPNet{IP: net.IPv4(10, 0, 0, 0), Mask: net.CIDRMask(8, 32)}}, {"inet", net.ParseIP("::1")},
		{"int4[]", []int{1, 2}}, {"int4[]", []int32{}}, {"int4[]", []int32(nil)}, {"int4[]", []*int{pointerTo(1), nil}}, {"int4[]", [][]int{{1, 2}, {3, 4}}}, {"int4[]", "{1,2}"}, {"int4[]", pgtype.FlatArray[int32]{1}}, {"int4[]", []string{"1", "2"}}, {"int4[]", []any{1, "2", nil}}, {"int8[]", []uint64{1}},
		{"text[]", []string{"a,b", `"q"`, "", "null"}}, {"text[]", []string{}}, {"text[]", []namedString{"x"}}, {"text[]", [2]string{"a", "b"}}, {"bytea[]", [][]byte{{1}, nil}}, {"uuid[]", [][16]byte{{1}}}, {"mood[]", []string{"sad"}}, {"timestamptz[]", []time.Time{moment}}, {"bool[]", []bool{true}}, {"float8[]", []float64{math.Inf(-1)}}, {"jsonb[]", []map[string]any{{"a": 1}}},
		{"int4range", pgtype.Range[pgtype.Int4]{Lower: pgtype.Int4{Int32: 1, Valid: true}, Upper: pgtype.Int4{Int32: 5, Valid: true}, LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true}}, {"int4range", "[1,5)"}, {"span", "[1,2]"}, {"pair", "(1,x)"}, {"pair", []any{1, "x"}}, {"point", pgtype.Point{P: pgtype.Vec2{X: 1, Y: 2}, Valid: true}},
		{"bit(3)", "101"}, {"money", "1.5"}, {"oid", 5}, {"oid", uint32(math.MaxUint32)}, {"regclass", "pg_class"}, {"tsvector", "a b"},
		{"int4", (chan int)(nil)}, {"int4", struct{}{}}, {"text", complex(1, 2)}, {"text", map[string]int{"a": 1}}, {"int4", errors.New("an error")},
	} {
		value := strings.ReplaceAll(fmt.Sprintf("%T", arg.value), "driver_test.", "")
		e.query(fmt.Sprintf("%d: %s as %s", i, value, arg.typ), e.db, "select $1::"+arg.typ+" as x", arg.value)
	}
	e.query("no type", e.db, "select $1", "x")
	e.query("no type, number", e.db, "select $1", 5)
	e.query("two uses of one", e.db, "select $1::int + $1, $2::text", 5, "x")
	e.query("type from the context", e.db, "select 1 + $1, 'a' || $2, now() > $3", 5, "x", moment)
	e.query("named by database/sql", e.db, "select $1::int, $2::int", sql.Named("a", 1), sql.Named("b", 2))
	e.query("array with any", e.db, "select n from generate_series(1,5) n where n = any($1)", []int{2, 4})
	e.query("limit", e.db, "select n from generate_series(1,5) n limit $1 offset $2", 2, 1)
	e.query("like", e.db, "select 'abc' like $1, 'abc' ilike $2", "a%", "%B%")
	e.query("too few", e.db, "select $1::int, $2::int", 1)
	e.query("too many", e.db, "select $1::int", 1, 2)
	e.query("none", e.db, "select $1::int")
	e.query("gap", e.db, "select $2::int", 1, 2)
	e.query("number too high", e.db, "select $65536::int", 1)
	e.query("in a string and a comment", e.db, "select '$1', $1::int -- $2\n /* $3 */", 1)
	e.query("negative", e.db, "select 1 -$1::int", -1)
}

func caseArgumentsIntoColumns(e *conformanceEnv) {
	e.setup(`create table thing(id int generated always as identity primary key, b bool, i int, n numeric(9,2), t text, v varchar(5), y bytea, j jsonb, u uuid, d date, at timestamptz,
	a int[], s text[], m mood, p positive)`)
	columns := []string{"b", "i", "n", "t", "v", "y", "j", "u", "d", "at", "a", "s", "m", "p"}
	places := make([]string, len(columns))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	insert := "insert into thing(" + strings.Join(columns, ", ") + ") values (" + strings.Join(places, ", ") + ")"
	full := []any{true, 5, "1.25", "text", "abc", []byte{1, 2}, `{"a":1}`, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2024-02-29",
		time.Date(2024, 2, 29, 1, 2, 3, 4000, time.UTC), []int{1, 2}, []string{"x", "y"}, "happy", 7}
	e.exec("full", e.db, insert, full...)
	e.exec("again", e.db, insert, full...)
	e.exec("nulls", e.db, insert, make([]any, len(columns))...)
	tooLong := append([]any{}, full...)
	tooLong[4] = "too long"
	e.exec("too long", e.db, insert, tooLong...)
	e.query("returning", e.db, insert+" returning id, t as x, a", full...)
	e.exec("update", e.db, "update thing set t = $1, a = $2 where i = $3", "new", []int64{}, 5)
	e.exec("update nothing", e.db, "update thing set t = $1 where i = $2", "new", 99)
	e.query("all", e.db, "select * from thing order by id")
	e.query("filter", e.db, "select id from thing where at < $1 and d = $2 and u = $3", time.Now(), "2024-02-29", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
	e.exec("delete", e.db, "delete from thing where a = $1", []int32{})
}

func caseColumnTypes(e *conformanceEnv) {
	e.setup(`create table typed(i int not null, n numeric(9,2), n0 numeric, v varchar(7), v0 varchar, c char(4), t text not null, y bytea, b varbit(9), d timestamptz(3), a numeric(5,1)[], m mood, p positive);
create view seen as select i as one, t as two from typed`)
	e.query("of a table", e.db, "select * from typed")
	e.query("of a view", e.db, "select * from seen")
	e.query("of expressions", e.db, "select n::numeric(4,1), n + 1, v || 'x', v::varchar(3), null as nothing, $1::numeric(3,2) from typed", 1)
	e.query("twice the same name", e.db, `select 1 as a, 'x' as a, 2 as "A", 4 as "?column?", 5`)
	e.exec("a row", e.db, "insert into typed(i, t) values (1, 't')")
	e.query("with a row", e.db, "select * from typed")
}

func caseLargeValues(e *conformanceEnv) {
	text := strings.Repeat("0123456789abcdé", 1<<16)
	for _, size := range []int{0, 1, 8192, 1 << 16, 1 << 20} {
		e.query(fmt.Sprintf("%d bytes of text", size), e.db, "select $1::text, length($1)", text[:size])
		e.query(fmt.Sprintf("%d bytes", size), e.db, "select $1::bytea", []byte(text[:size]))
	}
	e.query("made there", e.db, "select repeat('x', 1 << 20), i from generate_series(1, 3) i")
	e.query("in the statement", e.db, "select '"+text[:1<<20]+"'")
	e.setup("create table large(t text, y bytea)")
	e.exec("insert", e.db, "insert into large values ($1, $2)", text[:1<<20], []byte(text[:1<<20]))
	e.query("read", e.db, "select * from large")
	var rawBytes sql.RawBytes
	rows, err := e.db.QueryContext(e.ctx, "select t from large")
	require.NoError(e, err)
	require.True(e, rows.Next())
	require.NoError(e, rows.Scan(&rawBytes))
	e.see("raw bytes", rawBytes)
	require.NoError(e, rows.Close())
}

func caseManyRows(e *conformanceEnv) {
	const count = 10_000
	for use := range 2 {
		rows, err := e.db.QueryContext(e.ctx, "select i, i::text || repeat('x', i % 100), nullif(i % 3, 0), i::numeric / 7 from generate_series(1, $1::int) i", count)
		require.NoError(e, err)
		var digested strings.Builder
		n := 0
		for rows.Next() {
			var i int
			var text, number string
			var rest *int
			require.NoError(e, rows.Scan(&i, &text, &rest, &number))
			fmt.Fprintf(&digested, "%d %s %s %s\n", i, text, shown(rest), number)
			n++
		}
		e.see(fmt.Sprintf("use %d", use), n, digested.String(), rows.Err(), rows.Close())
	}
	rows, err := e.db.QueryContext(e.ctx, "select i from generate_series(1, 10000) i")
	require.NoError(e, err)
	for range 10 {
		require.True(e, rows.Next())
	}
	e.see("closed early", rows.Close(), rows.Err(), rows.Next())
	var first int
	e.see("first of many", e.db.QueryRowContext(e.ctx, "select i from generate_series(1, 10000) i").Scan(&first), first)
}

func caseMostParameters(e *conformanceEnv) {
	for _, count := range []int{math.MaxUint16, math.MaxUint16 + 1} {
		var query strings.Builder
		query.WriteString("select cardinality(array[")
		args := make([]any, count)
		for i := range args {
			if i > 0 {
				query.WriteByte(',')
			}
			fmt.Fprintf(&query, "$%d", i+1)
			args[i] = i
		}
		query.WriteString("]::int[])")
		e.query(fmt.Sprint(count), e.db, query.String(), args...)
	}
}
