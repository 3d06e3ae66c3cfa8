package sqlcols_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzParse holds what must be true of every text: no panic, an error with a place in the text, and of a tree that its spans nest, that it is not
// deeper than the bound, and that the text of an expression is read as that expression again.
func FuzzParse(f *testing.F) {
	for _, row := range trees {
		f.Add(row[0])
	}
	for name, text := range texts {
		if name != "500 rows of 50" { // too slow to vary
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) { checkParse(t, text) })
}

func TestParseInvariants(t *testing.T) {
	for _, row := range trees {
		checkParse(t, row[0])
	}
}

func checkParse(t *testing.T, text string) {
	statements, err := sqlcols.Parse(text)
	if err != nil {
		var failure *sqlcols.Error
		require.True(t, errors.As(err, &failure), "an error of another kind: %v", err)
		assert.True(t, failure.Syntax)
		assert.NotEmpty(t, failure.Reason)
		assert.GreaterOrEqual(t, failure.Position, 0)
		assert.LessOrEqual(t, failure.Position, len(text))
		assert.Empty(t, statements)
		return
	}
	var expressions []sqlcols.Expr
	for _, s := range statements {
		walk(s, func(node, around reflect.Value, depth int) {
			own := span(node)
			require.True(t, own.Start >= 0 && own.Start <= own.End && own.End <= len(text), "%v of %s", own, node.Type())
			if around.IsValid() {
				outer := span(around)
				require.True(t, own.Start >= outer.Start && own.End <= outer.End,
					"%s %v reaches out of %s %v", node.Type(), own, around.Type(), outer)
			}
			// Nodes that count are a few others apart: a query's select, its item, a call's argument.
			require.LessOrEqual(t, depth, 8*sqlcols.MaxDepth)
			if x, ok := node.Addr().Interface().(sqlcols.Expr); ok && len(expressions) < 200 {
				expressions = append(expressions, x)
			}
		})
	}
	for _, x := range expressions {
		switch x := x.(type) {
		case *sqlcols.Star:
			if len(x.Parts) == 0 {
				continue // stands alone
			}
		case *sqlcols.Array: // a nested list without the word
			if !strings.EqualFold(text[x.Start:min(x.Start+5, x.End)], "array") {
				continue
			}
		}
		own := text[x.Pos().Start:x.Pos().End]
		again, err := sqlcols.Parse("SELECT (" + own + "\n)")
		if err != nil && err.Error() == "nested too deep" {
			continue
		}
		require.NoError(t, err, "%q", own)
		item := again[0].(*sqlcols.Query).Body.(*sqlcols.Select).Items[0].X
		assert.Equal(t, print(x), print(item), "%q", own)
	}
}
