package tagged_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/tagged"
	"github.com/pganon/pganon/pganontest"
)

func TestCheckKeys(t *testing.T) {
	t.Parallel()
	db := pganontest.New(t)
	limit := "substr(VALUE, 9, 4) IN ('abcd', 'e-_g')"
	pg := connect(t, db.DSN())
	db.Exec("create schema mine; create function mine.substr(text, int, int) returns text language sql immutable return 'abcd'")
	for _, c := range []struct {
		base, check string
		want        []string // nil: no limit
	}{
		{"text", limit, []string{"abcd", "e-_g"}},
		{"text", "substr(VALUE, 9, 4) IN ('abcd')", []string{"abcd"}},
		{"text", "substr(VALUE, 9, 4) = 'abcd'", []string{"abcd"}},
		{"text", "octet_length(VALUE) > 1 AND (" + limit + " AND VALUE LIKE 'g%')", []string{"abcd", "e-_g"}},
		{"text", limit + " AND substr(VALUE, 9, 4) IN ('e-_g', 'zzzz')", []string{"e-_g"}},
		{"text", limit + " AND substr(VALUE, 9, 4) = 'zzzz'", []string{}},
		{"varchar", limit, []string{"abcd", "e-_g"}},
		{"varchar(300)", limit, []string{"abcd", "e-_g"}},
		{"bytea", "encode(substr(VALUE, 9, 4), 'escape') IN ('abcd', 'e-_g')", []string{"abcd", "e-_g"}},
		{"text", "VALUE <> 'x'", nil},
		{"text", limit + " OR VALUE = 'x'", nil},
		{"text", "VALUE <> 'y' AND (" + limit + " OR VALUE = 'x')", nil},
		{"text", "NOT (" + limit + ")", nil},
		{"text", "NOT (VALUE <> 'y' AND " + limit + ")", nil},
		{"text", "CASE WHEN VALUE <> 'y' AND " + limit + " AND VALUE <> 'z' THEN true ELSE true END", nil},
		{"text", "coalesce(" + limit + ", true)", nil},
		{"text", "substr(VALUE, 9, 4) NOT IN ('abcd', 'e-_g')", nil},
		{"text", "substr(VALUE, 8, 4) IN ('abcd', 'e-_g')", nil},
		{"text", "substr(VALUE, 9) IN ('abcd', 'e-_g')", nil},
		{"text", "substr(lower(VALUE), 9, 4) IN ('abcd', 'e-_g')", nil},
		{"text", "(" + limit + ") IS NOT FALSE", nil},
		{"text", "(" + limit + ") = true", nil},
		{"text", "mine.substr(VALUE, 9, 4) = 'abcd'", nil},
	} {
		for _, quoted := range []string{"off", "on"} {
			results, err := pg.Exec(t.Context(), "set search_path = public; drop domain if exists d; create domain d as "+c.base+" check ("+c.check+
				"); set search_path = pg_catalog; set quote_all_identifiers = "+quoted+
				"; select pg_get_constraintdef(oid) from pg_constraint where conname = 'd_check'").ReadAll()
			require.NoError(t, err)
			definition := string(results[5].Rows[0][0])
			for _, text := range []string{definition, definition + " NOT VALID"} {
				ids, limited := tagged.CheckKeys(text)
				assert.Equal(t, c.want, ids, c.check)
				assert.Equal(t, c.want != nil, limited, c.check)
			}
		}
	}
}

func FuzzCheckKeys(f *testing.F) {
	for _, text := range []string{
		"CHECK ((substr(VALUE, 9, 4) = ANY (ARRAY['abcd'::text, 'efgh'::text])))", "CHECK (((a) AND (substr((VALUE)::text, 9, 4) = 'abcd'::text))) NOT VALID",
		"CHECK ((encode(substr(VALUE, 9, 4), 'escape'::text) = 'abcd'::text))", "CHECK ((()", "CHECK )(",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, limited := tagged.CheckKeys(text)
		if limited {
			require.NotNil(t, ids)
			require.Contains(t, text, "9")
		} else {
			require.Empty(t, ids)
		}
	})
}
