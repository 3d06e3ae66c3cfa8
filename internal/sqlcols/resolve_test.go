package sqlcols_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/sqlcols"
)

// answer is what an analysis says, as the tables of testdata have it.
func answer(a *sqlcols.Analysis, err error) (encrypts, decrypts string) {
	if err != nil {
		return "refused: " + sorted(err.Error()), ""
	}
	var in, out []string
	for i, p := range a.Parameters {
		if p.Key != nil {
			in = append(in, fmt.Sprintf("$%d:%s", i+1, p.Key.Label))
		}
	}
	for i, o := range a.Outputs {
		array := ""
		if o.Array {
			array = "[]"
		}
		var names []string
		for _, origin := range o.Origins {
			names = append(names, fmt.Sprintf("col%d=%s.%s%s", i+1, origin.Relation.Name, origin.Column.Name, array))
		}
		slices.Sort(names)
		out = append(out, names...)
	}
	return strings.Join(in, " "), strings.Join(out, " ")
}

// sorted sorts reasons; the tables have them in any order, and each once.
func sorted(reasons string) string {
	list := strings.Split(reasons, "; ")
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "; ")
}

// rows returns the statements of a table in testdata with their answers.
func rows(t testing.TB, file string) (rows [][3]string) {
	text, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00"), "|")
		require.GreaterOrEqual(t, len(cells), 5, line)
		var row [3]string
		for i := range row {
			row[i] = strings.ReplaceAll(strings.TrimSpace(cells[i+1]), "\x00", "|")
		}
		row[0] = strings.Trim(row[0], "`")
		if row[1] == "–" {
			row[1] = ""
		}
		rows = append(rows, row)
	}
	return rows
}

// The table that says what the rules mean.
func TestStatements(t *testing.T) {
	table := rows(t, "statements.md")
	assert.Len(t, table, 64)
	for _, row := range table {
		if reasons, ok := strings.CutPrefix(row[1], "refused: "); ok {
			row[1] = "refused: " + sorted(reasons)
		}
		encrypts, decrypts := answer(sqlcols.Analyze(row[0], newSchema(keyD, keyR, keyB, clinic...)))
		assert.Equal(t, row[1], encrypts, row[0])
		assert.Equal(t, row[2], decrypts, row[0])
	}
}

func TestMoreStatements(t *testing.T) {
	table := rows(t, "more.md")
	assert.Greater(t, len(table), 400)
	seen := map[string]bool{}
	for _, row := range table {
		assert.False(t, seen[row[0]], "twice: %s", row[0])
		seen[row[0]] = true
		a, err := sqlcols.Analyze(row[0], newSchema(keyD, keyR, keyB, clinic...).withFunctions())
		encrypts, decrypts := answer(a, err)
		reasons, refused := strings.CutPrefix(row[1], "refused: ")
		if some, more := strings.CutSuffix(reasons, "…"); refused && more {
			if assert.Error(t, err, row[0]) {
				assert.Subset(t, strings.Split(err.Error(), "; "), strings.Split(some, "; "), row[0])
			}
		} else if refused {
			assert.Equal(t, "refused: "+sorted(reasons), encrypts, row[0])
		} else {
			assert.Equal(t, row[1], encrypts, row[0])
		}
		assert.Equal(t, row[2], decrypts, row[0])
	}
}

// However a text is made, its analysis ends soon: with an answer, or because it is too much.
func TestAnalysisIsBounded(t *testing.T) {
	s := newSchema(keyD, keyR, keyB, clinic...)
	list := func(n int, sep, format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i+1))
		}
		return strings.Join(parts, sep)
	}
	var doubling strings.Builder
	doubling.WriteString("WITH c0 AS (SELECT * FROM users)")
	for i := range 40 {
		fmt.Fprintf(&doubling, ", c%d AS (SELECT a.* FROM c%d a, c%d b)", i+1, i, i)
	}
	for name, row := range map[string]struct{ text, want string }{
		"columns that double":         {strings.ReplaceAll(doubling.String(), "a.*", "*") + " SELECT 1", "unsupported: more than 1664 outputs"},
		"tables that are used twice":  {doubling.String() + " SELECT email FROM c40", ""},
		"many tables, many names":     {"SELECT " + list(20_000, ",", "x#") + " FROM " + list(20_000, ",", "users u#"), "unsupported: "},
		"many tables, qualified":      {"SELECT 1 FROM " + list(20_000, ",", "users u#") + " WHERE " + list(20_000, " OR ", "u#.active"), "unsupported: too complex"},
		"many elements":               {"SELECT 1 FROM users WHERE email IN (" + list(60_000, ",", "$#") + ")", ""},
		"many rows":                   {"INSERT INTO users (email, name) VALUES " + list(30_000, ",", "($1,$2)"), ""},
		"many rows of parameters":     {"INSERT INTO users (email) SELECT m FROM (VALUES " + list(60_000, ",", "($#)") + ") v(m)", ""},
		"many values, used often":     {"WITH v(m) AS (VALUES " + list(30_000, ",", "($#)") + ") SELECT 1 FROM v, users WHERE " + list(30_000, " OR ", "m=email"), "unsupported: too complex"},
		"many values, met often":      {"WITH v(m) AS (VALUES " + list(30_000, ",", "($#)") + ") SELECT 1 FROM v WHERE " + list(30_000, " OR ", "m=m"), "unsupported: too complex"},
		"a long union":                {list(400, " UNION ALL ", "SELECT $# FROM users"), ""},
		"tables of one WITH":          {"WITH RECURSIVE " + list(20_000, ",", "c# AS (SELECT 1)") + " SELECT 1 FROM " + list(20_000, ",", "c#"), "unsupported: "},
		"each referring to the next":  {"WITH RECURSIVE " + list(15_000, ",", "a# AS (SELECT 1 FROM b#), b# AS (SELECT 1)") + " SELECT 1", "unsupported: "},
		"columns that swap":           {"WITH RECURSIVE t(" + list(500, ",", "a#") + ") AS (SELECT " + list(500, ",", "$#") + " UNION ALL SELECT a500," + list(499, ",", "a#") + " FROM t) SELECT 1 FROM users, t WHERE email = a1", "unsupported: too complex"},
		"few columns that swap":       {"WITH RECURSIVE t(" + list(60, ",", "a#") + ") AS (SELECT " + list(60, ",", "$#") + " UNION ALL SELECT a60," + list(59, ",", "a#") + " FROM t) SELECT 1 FROM users, t WHERE email = a1", ""},
		"recursion in recursion":      {recursion(8), ""},
		"names to order by":           {"SELECT " + list(1_600, ",", "id AS o#") + " FROM users ORDER BY " + list(60_000, ",", "o1600"), "unsupported: too complex"},
		"a long chain of USING":       {"SELECT * FROM " + strings.Repeat("logs JOIN ", 300) + "logs" + strings.Repeat(" USING (id)", 300), ""},
		"a long chain of NATURAL":     {"SELECT 1 FROM logs" + strings.Repeat(" NATURAL JOIN logs", 400), ""},
		"columns of a row, many rows": {"SELECT " + list(8_000, ",", "(u).email") + " FROM users u", "unsupported: "},
	} {
		start := time.Now()
		_, err := sqlcols.Analyze(row.text, s)
		assert.Less(t, time.Since(start), 10*time.Second, name)
		var of *sqlcols.Error
		if errors.As(err, &of) {
			assert.False(t, of.Syntax, "%s: %v at %d", name, err, of.Position)
		}
		if row.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, row.want, name)
		}
		t.Logf("%s: %d bytes, %s: %v", name, len(row.text), time.Since(start).Round(time.Millisecond), err)
	}
}

// recursion makes recursive tables in recursive tables.
func recursion(depth int) string {
	if depth == 0 {
		return "SELECT email FROM users"
	}
	return fmt.Sprintf("WITH RECURSIVE t%d(e) AS (%s UNION ALL (SELECT e FROM t%d UNION ALL (%s))) SELECT e FROM t%d",
		depth, "SELECT $1::text", depth, recursion(depth-1), depth)
}
