package judge

import (
	"cmp"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verdicts counts what came of statements. read are those that both should read.
type verdicts struct{ read, refused, differ, extra, unreadable int }

// judge gives one statement to both parsers.
func (v *verdicts) judge(t *testing.T, text string) {
	tree, err := pg.Parse(text)
	ours, ourErr := sqlcols.Parse(text)
	if err != nil {
		v.unreadable++
		// Other messages than this are of checks that are no grammar.
		if ourErr == nil && len(ours) > 0 && strings.HasPrefix(err.Error(), "syntax error") {
			v.extra++
			t.Errorf("taken, but not by the server: %s\n%v", text, err)
		}
		return
	}
	if len(tree.Stmts) != 1 || !reads(tree.Stmts[0].Stmt) || onlyLibrary(text, ourErr) {
		return
	}
	v.read++
	if ourErr != nil {
		v.refused++
		t.Logf("refused: %s\n%v at byte %d", text, ourErr, ourErr.(*sqlcols.Error).Position)
		return
	}
	if got, want := ourStatement(ours[0]), theirStatement(tree.Stmts[0].Stmt); got != want && !strings.Contains(got, "(kw treat") {
		v.differ++
		t.Errorf("read otherwise than by the server: %s\n%s", text, difference(got, want))
	}
}

// reads says whether a command is one that Parse is for.
func reads(n *pg.Node) bool {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_DeclareCursorStmt:
		return true
	case *pg.Node_ExplainStmt:
		return reads(s.ExplainStmt.Query)
	}
	return false
}

var params = regexp.MustCompile(`\$[0-9]+`)

// onlyLibrary says whether we refuse rightly what only libpg_query takes: parameters where the server wants a string. A constant is
// taken wherever the server takes a parameter.
func onlyLibrary(text string, ourErr error) bool {
	if ourErr == nil || !strings.Contains(text, "$") {
		return false
	}
	_, err := pg.Parse(params.ReplaceAllString(text, "1"))
	return err != nil
}

func difference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	i = max(0, i-60)
	return "got  " + got[i:min(len(got), i+200)] + "\nwant " + want[i:min(len(want), i+200)]
}

// rate fails where too many statements were refused.
func (v *verdicts) rate(t *testing.T) {
	t.Logf("read %d, refused %d of them (%.3f %%), read otherwise %d; of %d that the server cannot read, taken %d",
		v.read, v.refused, 100*float64(v.refused)/float64(max(1, v.read)), v.differ, v.unreadable, v.extra)
	assert.Less(t, float64(v.refused), 0.005*float64(v.read))
}

func TestRegression(t *testing.T) {
	var v verdicts
	for _, text := range regression(t) {
		v.judge(t, text)
	}
	require.Greater(t, v.read, 20_000)
	v.rate(t)
}

// TestNewer has what came after the version whose regression SQL may be at hand.
func TestNewer(t *testing.T) {
	var v verdicts
	for _, text := range newer(t) {
		_, err := pg.Parse(text)
		assert.NoError(t, err, text)
		v.judge(t, text)
	}
	assert.Zero(t, v.refused)
	v.rate(t)
}

// TestMutants changes tokens of statements: what the server still reads must be read the same, what it does not must be refused.
// MUTANTS says how many, SEED which.
func TestMutants(t *testing.T) {
	count, _ := strconv.Atoi(cmp.Or(os.Getenv("MUTANTS"), "200000"))
	seed, _ := strconv.ParseUint(cmp.Or(os.Getenv("SEED"), "1"), 10, 64)
	r := rand.New(rand.NewPCG(seed, 0))

	var texts [2][]string
	for i, corpus := range [][]string{regression(t), newer(t)} {
		for _, text := range corpus {
			if len(text) <= 600 {
				if tree, err := pg.Parse(text); err == nil && len(tree.Stmts) == 1 && reads(tree.Stmts[0].Stmt) {
					texts[i] = append(texts[i], text)
				}
			}
		}
	}
	all := slices.Concat(texts[:]...)
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	var v verdicts
	for range count {
		words := tokens(pick(texts[r.IntN(2)]))
		for range 1 + r.IntN(2) {
			i := r.IntN(len(words))
			switch r.IntN(7) {
			case 0:
				j := r.IntN(len(words))
				words[i], words[j] = words[j], words[i]
			case 1:
				words = slices.Delete(words, i, i+1)
			case 2:
				words[i] = pick(tokens(pick(all)))
			case 3:
				words = slices.Insert(words, i, pick(tokens(pick(all))))
			case 4:
				words[i] = "$" + strconv.Itoa(1+r.IntN(9))
			case 5:
				words[i] = pick(vocabulary)
			case 6:
				words = slices.Insert(words, i, pick(vocabulary))
			}
			if len(words) == 0 {
				break
			}
		}
		v.judge(t, strings.Join(words, " "))
	}
	v.rate(t)
}

// TestUtility has all other commands, on a schema in which each table has an encrypted column that none of them names: they pass, but for
// those whose statements are not seen.
func TestUtility(t *testing.T) {
	n := 0
	for _, text := range slices.Concat(regression(t), newer(t)) {
		switch command, _ := sqllex.Classify(text); command.Class {
		case sqllex.Query, sqllex.Declare, sqllex.Copy, sqllex.Prepare, sqllex.Call:
			continue // analysed, so refused for what else they name
		}
		tree, err := pg.Parse(text)
		if err != nil || len(tree.Stmts) == 0 || tree.Stmts[0].Stmt.GetCreateTableAsStmt() != nil || tree.Stmts[0].Stmt.GetViewStmt() != nil {
			continue
		}
		n++
		if _, err := sqlcols.CheckUtility(text, everything{}, sqlcols.UtilityOptions{}); err != nil {
			assert.Regexp(t, "the statements of a DO block|what EXECUTE hands", err.Error(), text)
		}
	}
	t.Logf("read %d", n)
	require.Greater(t, n, 10_000)
}

// everything is a schema that has every table.
type everything struct{}

func (everything) Relation(schema, name string) *sqlcols.Relation {
	return &sqlcols.Relation{Schema: schema, Name: "named by none", Columns: []sqlcols.Column{{Name: "named by none", Key: &sqlcols.Key{}}}}
}

func (everything) Functions(schema, name string) []sqlcols.Function { return nil }

func tokens(text string) []string {
	var words []string
	lexer := sqllex.New(text)
	for token := lexer.Next(); token.Kind != sqllex.EOF; token = lexer.Next() {
		words = append(words, lexer.Text(token))
	}
	return words
}

var vocabulary = strings.Fields(`+ - * / % ^ < > = <= >= <> != || @ ~ ( ) [ ] , . :: := => : is not null and or in like between distinct from any all
some as array row case when then else end select values table with union except intersect order by limit offset fetch first for update of
lateral join left natural using on cast exists collate at time zone local int bigint interval json operator overlaps similar to escape ilike
true filter over within group default returning set where cube rollup grouping sets rows range partition nulls first last only recursive
isnull notnull unknown document normalized symmetric variadic day year second precision double varying character values value format keys
current_date user coalesce nullif extract position substring trim overlay xmlelement json_object json_array normalize unbounded preceding`)

// regression returns the commands of PostgreSQL's regression SQL.
func regression(t *testing.T) []string {
	var all []string
	err := filepath.WalkDir("corpus", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		script, err := os.ReadFile(path)
		all = append(all, commands(string(script))...)
		return err
	})
	require.NoError(t, err, "run ./corpus.sh first")
	return all
}

func newer(t *testing.T) []string {
	script, err := os.ReadFile("testdata/newer.sql")
	require.NoError(t, err)
	return commands(string(script))
}

// commands cuts a script for psql into commands, without psql's own.
func commands(script string) []string {
	var kept strings.Builder
	copying := false
	for line := range strings.Lines(script) {
		switch {
		case copying:
			copying = !strings.HasPrefix(line, `\.`)
		case strings.HasPrefix(line, `\`):
		default:
			kept.WriteString(line)
			lower := strings.ToLower(line)
			copying = strings.HasPrefix(lower, "copy ") && strings.Contains(lower, "from stdin") && strings.Contains(lower, ";")
		}
	}
	var list []string
	for text := kept.String(); text != ""; {
		lexer := sqllex.New(text)
		start, depth := -1, 0
		var token sqllex.Token
		for token = lexer.Next(); token.Kind != sqllex.EOF && token.Kind != sqllex.Illegal; token = lexer.Next() {
			switch token.Kind {
			case sqllex.LeftParen:
				depth++
			case sqllex.RightParen:
				depth--
			}
			switch {
			case token.Kind != sqllex.Semicolon || depth > 0:
				if start < 0 {
					start = token.Start
				}
			case start >= 0:
				list = append(list, text[start:token.Start])
				start, depth = -1, 0
			}
		}
		// What cannot be read ends with its command.
		end := strings.Index(text[token.Start:], ";\n")
		if end < 0 {
			break
		}
		text = text[token.Start+end+2:]
	}
	return list
}
