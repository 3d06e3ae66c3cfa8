package canon_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/canon"
)

// A pqArray gives its array as lib/pq's do: as a literal.
type pqArray struct{ literal any }

func (a pqArray) Value() (driver.Value, error) { return a.literal, nil }

type namedStrings []string

func TestElements(t *testing.T) {
	noon := time.Date(2024, 7, 2, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		v    any
		want []any // nil: NULL
	}{
		{nil, nil},
		{[]string(nil), nil},
		{[]int(nil), nil},
		{[]any(nil), nil},
		{(*[]string)(nil), nil},
		{pqArray{}, nil},
		{(*pqArray)(nil), nil},
		{[]byte(nil), nil},
		{pgtype.FlatArray[string](nil), nil},
		{pgtype.Array[string]{}, nil},
		{sql.NullString{}, nil},

		{[]string{}, []any{}},
		{[0]string{}, []any{}},
		{pgtype.FlatArray[string]{}, []any{}},
		{pgtype.Array[string]{Dims: []pgtype.ArrayDimension{}, Valid: true}, []any{}},
		{pgtype.Array[string]{Dims: []pgtype.ArrayDimension{{Length: 0, LowerBound: 1}}, Valid: true}, []any{}},
		{"{}", []any{}},
		{" { } ", []any{}},

		{[]string{"a", ""}, []any{"a", ""}},
		{[]int64{1, 2}, []any{int64(1), int64(2)}},
		{[]any{"a", nil, 1}, []any{"a", nil, 1}},
		{[2]bool{true, false}, []any{true, false}},
		{&[]string{"a"}, []any{"a"}},
		{namedStrings{"a"}, []any{"a"}},
		{[]namedString{"a"}, []any{namedString("a")}},
		{[]*string{nil}, []any{(*string)(nil)}},
		{[][]byte{[]byte("a"), nil}, []any{[]byte("a"), []byte(nil)}},
		{[]json.RawMessage{json.RawMessage("1")}, []any{json.RawMessage("1")}},
		{[]net.IP{{1, 2, 3, 4}}, []any{net.IP{1, 2, 3, 4}}},
		{[][16]byte{{1}}, []any{[16]byte{1}}},
		{[]namedID{{1}}, []any{namedID{1}}},
		{[]time.Time{noon}, []any{noon}},
		{[]sliceValuer{{"a", "b"}}, []any{sliceValuer{"a", "b"}}},
		{[]any{sliceValuer{"a", "b"}}, []any{sliceValuer{"a", "b"}}},
		{pgtype.FlatArray[int]{7}, []any{7}},
		{&pgtype.Array[*string]{Elements: []*string{nil}, Dims: []pgtype.ArrayDimension{{Length: 1, LowerBound: 5}}, Valid: true}, []any{(*string)(nil)}},

		{pqArray{`{"a","b\"\\c",NULL,"NULL"}`}, []any{"a", `b"\c`, nil, "NULL"}},
		{pqArray{[]byte(`{1,2}`)}, []any{"1", "2"}},
		{pqArray{[]int{1}}, []any{1}},
		{&pqArray{`{1}`}, []any{"1"}},
		{namedString(`{a}`), []any{"a"}},
		{json.RawMessage(`{a}`), []any{"a"}},
		{` { a b , "c" ,null, \NULL, d\ , "" } `, []any{"a b", "c", nil, "NULL", "d ", ""}},
		{"{é,\u00a0,\"}\"}", []any{"é", "\u00a0", "}"}},
	} {
		elems, isNull, err := canon.Elements(test.v)
		what := fmt.Sprintf("%T %v", test.v, test.v)
		require.NoError(t, err, what)
		assert.Equal(t, test.want == nil, isNull, what)
		assert.Equal(t, test.want, elems, what)
	}
}

func TestElementsRefused(t *testing.T) {
	const dimensions, literal = "want an array of one dimension, got one of more", "want an array, got a text that is no array literal"
	for _, test := range []struct {
		v    any
		want string
	}{
		{[][]string{{"a"}}, dimensions},
		{[][]string{{}}, dimensions},
		{[][2]int{{}}, dimensions},
		{[]any{"a", []string{"a"}}, dimensions},
		{[]pgtype.FlatArray[string]{{"a"}}, dimensions},
		{pgtype.FlatArray[[]string]{{"a"}}, dimensions},
		{pgtype.Array[string]{Elements: []string{"a"}, Dims: []pgtype.ArrayDimension{{Length: 1}, {Length: 1}}, Valid: true}, dimensions},
		{"{{a}}", dimensions},
		{"{{}}", dimensions},
		{"{a,{b}}", dimensions},
		{"", literal},
		{"a", literal},
		{"{", literal},
		{"{a", literal},
		{"{a,}", literal},
		{"{,a}", literal},
		{"{ , a}", literal},
		{"{a}b", literal},
		{"{a}}", literal},
		{`{"a"b}`, literal},
		{`{a"b"}`, literal},
		{`{"a""b"}`, literal},
		{`{"a`, literal},
		{`{"a\`, literal},
		{`{a\`, literal},
		{"{a{b}", literal},
		{"[1:1]={a}", literal},
		{[]byte("a"), literal},
		{7, "want an array, got int"},
		{[16]byte{}, "want an array, got [16]uint8"},
		{map[string]string{}, "want an array, got map[string]string"},
		{struct{}{}, "want an array, got struct {}"},
		{endless{}, "more pointers or Value methods"},
		{failing{errors.New("canary")}, "method Value of canon_test.failing failed"},
	} {
		elems, isNull, err := canon.Elements(test.v)
		assert.ErrorContains(t, err, test.want, "%T %v", test.v, test.v)
		assert.Nil(t, elems)
		assert.False(t, isNull)
	}
}

// Elements are those of the array that pgx makes of the argument.
func TestElementsAsPgxEncodesThem(t *testing.T) {
	r, m := random(t), pgtype.NewMap()
	texts := func(n int) (all []string) {
		for range n {
			all = append(all, []string{randomText(r), "null", "", `"`, `\`, " a ", "a,b"}[r.IntN(7)])
		}
		return all
	}
	for range rounds(300) {
		n := r.IntN(5)
		var times []time.Time
		var numbers []pgtype.Numeric
		var ids [][16]byte
		var ints []int64
		var floats []sql.NullFloat64
		var bytes [][]byte
		var mixed []any
		var pointers []*string
		for _, text := range texts(n) {
			times = append(times, randomTime(r))
			numbers = append(numbers, generators["numeric"][7](r).(pgtype.Numeric))
			ids = append(ids, [16]byte(randomBytes(r, 16)))
			ints = append(ints, small(r))
			floats = append(floats, sql.NullFloat64{Float64: float64(small(r)) / 8, Valid: r.IntN(2) == 0})
			bytes = append(bytes, [][]byte{nil, {}, randomBytes(r, 3)}[r.IntN(3)])
			mixed = append(mixed, []any{nil, text, []byte(text), &text, namedString(text), sql.NullString{String: text, Valid: r.IntN(2) == 0}, (*string)(nil)}[r.IntN(7)])
			pointers = append(pointers, []*string{nil, &text}[r.IntN(2)])
		}
		for _, test := range []struct {
			oid  uint32
			name string
			v    any
		}{
			{pgtype.TextArrayOID, "text", texts(n)},
			{pgtype.TextArrayOID, "text", mixed},
			{pgtype.TextArrayOID, "text", pointers},
			{pgtype.TextArrayOID, "text", pgtype.FlatArray[string](texts(n))},
			{pgtype.TextArrayOID, "text", pgtype.Array[string]{Elements: texts(n), Dims: []pgtype.ArrayDimension{{Length: int32(n), LowerBound: 1}}, Valid: true}},
			{pgtype.TimestamptzArrayOID, "timestamptz", times},
			{pgtype.DateArrayOID, "date", times},
			{pgtype.NumericArrayOID, "numeric", numbers},
			{pgtype.UUIDArrayOID, "uuid", ids},
			{pgtype.Int8ArrayOID, "int8", ints},
			{pgtype.NumericArrayOID, "numeric", ints},
			{pgtype.Float8ArrayOID, "float8", floats},
			{pgtype.ByteaArrayOID, "bytea", bytes},
		} {
			if reflect.ValueOf(test.v).Kind() == reflect.Slice && reflect.ValueOf(test.v).IsNil() {
				_, isNull, err := canon.Elements(test.v)
				require.NoError(t, err)
				require.True(t, isNull)
				continue
			}
			literal, err := m.Encode(test.oid, pgtype.TextFormatCode, test.v, nil)
			require.NoError(t, err)
			require.Equal(t, plains(t, test.name, string(literal)), plains(t, test.name, test.v), "%s %#v", test.name, test.v)
			require.Len(t, plains(t, test.name, test.v), n)
		}
	}
}

// plains are the plaintexts of the elements of v.
func plains(t *testing.T, name string, v any) (all []string) {
	t.Helper()
	elems, isNull, err := canon.Elements(v)
	require.NoError(t, err, "%#v", v)
	require.False(t, isNull)
	for _, e := range elems {
		plain, isNull, err := mustType(t, name).AppendPlain(nil, e, canon.Options{})
		require.NoError(t, err)
		if isNull {
			plain = []byte(null)
		}
		all = append(all, string(plain))
	}
	return all
}

// Array literals are read and refused as PostgreSQL reads and refuses them.
func TestArrayLiteralsAsPostgreSQLReadsThem(t *testing.T) {
	s, r := connect(t), random(t)
	_, err := s.db.Exec(`CREATE FUNCTION reads_array(input text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			IF array_ndims(input::text[]) > 1 THEN RETURN 'more'; END IF;
			RETURN array_to_json(input::text[])::text;
		EXCEPTION WHEN data_exception OR program_limit_exceeded OR array_subscript_error THEN RETURN 'refused';
		END $$`)
	require.NoError(t, err)
	pieces := []string{"{", "}", ",", `"`, `\`, " ", "\t", "\v", "a", "é", "\u00a0", "NULL", "null", `"NULL"`, "{}", "{a", "a}"}
	seen := map[string]bool{}
	var inputs, ours []string
	for len(inputs) < rounds(6000) {
		var b strings.Builder
		for range 1 + r.IntN(8) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		input := b.String()
		if r.IntN(3) > 0 {
			input = "{" + input + "}"
		}
		if seen[input] {
			continue
		}
		seen[input] = true
		elems, isNull, err := canon.Elements(input)
		require.False(t, isNull)
		switch {
		case err != nil && strings.Contains(err.Error(), "dimension"):
			ours = append(ours, "more")
		case err != nil:
			ours = append(ours, "refused")
		default:
			text, err := json.Marshal(elems)
			require.NoError(t, err)
			ours = append(ours, string(text))
		}
		inputs = append(inputs, input)
	}
	rows, err := s.db.Query("SELECT reads_array(x) FROM unnest($1::text[]) WITH ORDINALITY AS u(x, i) ORDER BY i", inputs)
	require.NoError(t, err)
	read := 0
	for i := 0; rows.Next(); i++ {
		var theirs string
		require.NoError(t, rows.Scan(&theirs))
		if ours[i] == "more" && (theirs == "refused" || theirs == "[]") {
			continue // nobody looked further than at the second brace
		}
		if theirs[0] == '[' {
			var elems []any
			require.NoError(t, json.Unmarshal([]byte(theirs), &elems))
			text, err := json.Marshal(elems)
			require.NoError(t, err)
			theirs = string(text)
			read++
		}
		require.Equal(t, theirs, ours[i], "%q", inputs[i])
	}
	require.NoError(t, rows.Err())
	t.Logf("%d texts read, %d refused", read, len(inputs)-read)
	require.Greater(t, read, len(inputs)/50)
}

func TestAppendArray(t *testing.T) {
	for _, test := range []struct {
		elems [][]byte
		want  string
	}{
		{nil, `{}`},
		{[][]byte{nil}, `{NULL}`},
		{[][]byte{[]byte("gAAAAAAA-_09=="), nil, []byte("gAAAAAAB")}, `{gAAAAAAA-_09==,NULL,gAAAAAAB}`},
		{[][]byte{{}, []byte("null"), []byte(" "), []byte(`a"\`), []byte("{,}"), []byte("é")}, `{"","null"," ","a\"\\","{,}",é}`},
	} {
		assert.Equal(t, "before"+test.want, string(canon.AppendArray([]byte("before"), test.elems)))
	}
	r := random(t)
	for range 1000 {
		var elems [][]byte
		var want []any
		for range r.IntN(5) {
			text := randomText(r)
			if r.IntN(5) == 0 {
				elems, want = append(elems, nil), append(want, nil)
			} else {
				elems, want = append(elems, []byte(text)), append(want, text)
			}
		}
		got, isNull, err := canon.Elements(string(canon.AppendArray(nil, elems)))
		require.NoError(t, err)
		require.False(t, isNull)
		require.True(t, slices.Equal(want, got), "%q", elems)
	}
}
