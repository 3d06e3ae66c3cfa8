package canon_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/canon"
)

// FuzzText reads any text as a value of each type. What is read has one plaintext: read again it is the same, as text, as bytes
// and as the value that database/sql gets. What is refused is not in the error.
func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"", "a\x00", "\xff", "TRUE", "-007", "9223372036854775808", "-1.50e-3", "1e131072", "0e-16384", "NaN", "-Infinity", "4e-324",
		"2024-02-29", "0001-12-31 BC", "5874897-12-31", "2024-02-29 23:59:60.9999999+15:59:59 BC", "2024-02-29T24:00Z", "infinity", "24:00:00", "03:04-00:30:15",
		"-1 years -2 mons +3 days -04:05:06.7", "178956970 years 8 mons", "2562047788:00:54.775807", "{A0EEBC99-9C0B4ef8bb6d-6bb9bd380a11}",
		"1.2.3.4/24", "::ffff:1.2.3.4/120", "::1:0", "01-02-03-04-05-0A", `\x00 fF`, `a\\b\377`, `{"a":[1e2,"\ud83d\ude00\u0000"], "a":null}`,
	} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, deterministic bool) {
		o := canon.Options{Deterministic: deterministic}
		for _, name := range allTypes {
			typ := mustType(t, name)
			dst := []byte("before")
			plain, isNull, err := typ.AppendPlain(dst, text, o)
			require.False(t, isNull)
			require.True(t, strings.HasPrefix(string(plain), "before"))
			if err != nil {
				require.Len(t, plain, len(dst))
				require.Less(t, len(err.Error()), 100)
				if len(text) > 12 {
					require.NotContains(t, err.Error(), text)
				}
				continue
			}
			once := string(plain[len(dst):])
			if name == "bytea" { // a plaintext is bytes, and no text for bytea
				require.LessOrEqual(t, len(once), len(text))
				require.Equal(t, []byte(once), valueOf(t, typ, once))
				continue
			}
			for _, v := range []any{once, []byte(once), valueOf(t, typ, once)} {
				if name == "uuid" {
					require.Len(t, once, 36)
				}
				again, isNull, err := typ.AppendPlain(nil, v, o)
				require.NoError(t, err, "%s %q", name, once)
				require.False(t, isNull)
				require.Equal(t, once, string(again), "%s %T", name, v)
			}
			if typ.Folds() {
				require.Equal(t, text, once)
			}
			if strings.HasPrefix(name, "json") {
				require.True(t, json.Valid([]byte(once)))
			}
		}
	})
}

// FuzzElements reads any text as an array literal. The elements of what is read make a literal that has the same elements.
func FuzzElements(f *testing.F) {
	for _, seed := range []string{"", "{}", `{a,"b\"",NULL,"NULL",\,}`, "{{a}}", "{a,}", ` { a b , "" } `, "[0:1]={a,b}", `{"a"b}`, "{\xff\x00}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		elems, isNull, err := canon.Elements(text)
		require.False(t, isNull)
		if err != nil {
			require.Nil(t, elems)
			require.Less(t, len(err.Error()), 60)
			return
		}
		require.LessOrEqual(t, len(elems), len(text)/2)
		all := make([][]byte, len(elems))
		for i, e := range elems {
			if e != nil {
				all[i] = append([]byte{}, e.(string)...)
			}
		}
		again, isNull, err := canon.Elements(canon.AppendArray(nil, all))
		require.NoError(t, err)
		require.False(t, isNull)
		require.Equal(t, fmt.Sprintf("%#v", elems), fmt.Sprintf("%#v", again))
	})
}
