package sqlcols_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

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
