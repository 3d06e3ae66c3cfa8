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

// answer is what an analysis says, as the tables of tests have it.
func answer(a *sqlcols.Analysis, err error) (encrypts, decrypts string) {
	if err != nil {
		reasons := strings.Split(err.Error(), "; ")
		slices.Sort(reasons)
		return "refused: " + strings.Join(reasons, "; "), ""
	}
	var in, out []string
	for i, p := range a.Parameters {
		if p.Key != nil {
			in = append(in, fmt.Sprintf("$%d:%s", i+1, p.Key.Label))
		}
	}
	for i, o := range a.Outputs {
		var names []string
		for _, origin := range o.Origins {
			names = append(names, fmt.Sprintf("col%d=%s.%s", i+1, origin.Relation.Name, origin.Column.Name))
		}
		slices.Sort(names)
		out = append(out, names...)
	}
	return strings.Join(in, " "), strings.Join(out, " ")
}

func TestStatements(t *testing.T) {
	text, err := os.ReadFile("testdata/statements.md")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		line = strings.ReplaceAll(line, `\|`, "\x00")
		cells := strings.Split(strings.TrimSpace(line), " | ")
		require.GreaterOrEqual(t, len(cells), 2, line)
		statement := strings.ReplaceAll(strings.Trim(cells[0], "| `"), "\x00", "|")
		encrypts, decrypts := strings.TrimRight(cells[1], " |"), ""
		if len(cells) > 2 {
			decrypts = strings.TrimRight(cells[2], " |")
		}
		if encrypts == "–" {
			encrypts = ""
		}
		if reasons, ok := strings.CutPrefix(encrypts, "refused: "); ok {
			list := strings.Split(reasons, "; ")
			slices.Sort(list)
			encrypts = "refused: " + strings.Join(list, "; ")
		}
		gotEncrypts, gotDecrypts := answer(sqlcols.Analyze(statement, newSchema(keyD, keyR, keyB, clinic...)))
		assert.Equal(t, encrypts, gotEncrypts, statement)
		assert.Equal(t, decrypts, gotDecrypts, statement)
	}
	assert.Equal(t, 64, rows)
}
