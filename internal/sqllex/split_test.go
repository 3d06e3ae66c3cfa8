package sqllex_test

import (
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqllex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" ;; -- ;\n ;/*;*/; ", nil},
		{"SELECT 1", []string{"SELECT 1"}},
		{" /*+ hint */ SELECT 1 /* x */ ; -- y\n", []string{"SELECT 1"}},
		{"SELECT 1;SELECT 2 -- a; b\n;\rSELECT 3--;", []string{"SELECT 1", "SELECT 2", "SELECT 3"}},
		{"SELECT 1 -- a\r;DROP ROLE x", []string{"SELECT 1", "DROP ROLE x"}},
		{`SELECT 'a;b', ";", E'\';', $$;$$, $q$;$$;$q$, U&';', U&";" /*;/*;*/;*/;x`, []string{`SELECT 'a;b', ";", E'\';', $$;$$, $q$;$$;$q$, U&';', U&";"`, "x"}},
		{`SELECT 'a\'; RESET ROLE; --'`, []string{`SELECT 'a\'`, "RESET ROLE"}},
		{"SELECT a$$;b;c$$", []string{"SELECT a$$", "b", "c$$"}},
		{"SELECT 'a'\n';';'b'", []string{"SELECT 'a'\n';'", "'b'"}},
		{"SELECT (1), a[1]; SELECT ((2))", []string{"SELECT (1), a[1]", "SELECT ((2))"}},
		{"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; DELETE FROM u WHERE (a)=(1);); SELECT 1",
			[]string{"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; DELETE FROM u WHERE (a)=(1);)", "SELECT 1"}},
		{"create or replace rule r as on delete to t do instead (select 1;select 2);;", []string{"create or replace rule r as on delete to t do instead (select 1;select 2)"}},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 1 AS end; SELECT 2 end; END; SELECT 1",
			[]string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 1 AS end; SELECT 2 end; END", "SELECT 1"}},
		{"CREATE OR REPLACE PROCEDURE p() begin /*x*/ atomic END", []string{"CREATE OR REPLACE PROCEDURE p() begin /*x*/ atomic END"}},
		{"CREATE FUNCTION begin(atomic int) RETURNS begin SET x TO begin BEGIN ATOMIC INSERT INTO t SELECT x.end FROM x; END;END",
			[]string{"CREATE FUNCTION begin(atomic int) RETURNS begin SET x TO begin BEGIN ATOMIC INSERT INTO t SELECT x.end FROM x; END", "END"}},
		{"CREATE FUNCTION f() RETURNS int RETURN 1; END", []string{"CREATE FUNCTION f() RETURNS int RETURN 1", "END"}},
		{`CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin; end'; SELECT "begin" atomic`, []string{`CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin; end'`, `SELECT "begin" atomic`}},
		{"BEGIN; SELECT 1; END; BEGIN", []string{"BEGIN", "SELECT 1", "END", "BEGIN"}},
		{"é;日本", []string{"é", "日本"}},
	} {
		all, err := sqllex.Split(c.text)
		require.NoError(t, err, "%q", c.text)
		var got []string
		for _, s := range all {
			got = append(got, c.text[s.Start:s.End])
			want, count := sqllex.Classify(c.text[s.Start:s.End])
			assert.Equal(t, want, s.Command, "%q", c.text)
			assert.Equal(t, sqllex.One, count, "%q", c.text)
		}
		assert.Equal(t, c.want, got, "%q", c.text)

		_, count := sqllex.Classify(c.text)
		assert.Equal(t, min(sqllex.None+sqllex.Count(len(c.want)), sqllex.Several), count, "%q", c.text)
	}
}

func TestSplitRefuses(t *testing.T) {
	for _, c := range []struct {
		text   string
		reason sqllex.Reason
		offset int
	}{
		{"a; 'b", sqllex.UnterminatedString, 3},
		{`a; "b`, sqllex.UnterminatedIdent, 3},
		{"a; /* b", sqllex.UnterminatedComment, 3},
		{"a; $x$ b", sqllex.UnterminatedDollarString, 3},
		{"a;\x00b", sqllex.NulByte, 2},
		{"a;\xff", sqllex.InvalidUTF8, 2},
		{"SELECT 1e'\\';'", sqllex.NumberJunk, 7},
		{`a; \gexec`, sqllex.UnexpectedCharacter, 3},
		{"SELECT (1; b)", sqllex.SemicolonInParentheses, 9},
		{"SELECT a[1; b]", sqllex.SemicolonInParentheses, 10},
		{"SELECT (1;", sqllex.SemicolonInParentheses, 9},
		{"SELECT 1); b", sqllex.UnbalancedParentheses, 8},
		{"SELECT 1]; b", sqllex.UnbalancedParentheses, 8},
		{"a; SELECT (1", sqllex.UnbalancedParentheses, 10},
		{"a; SELECT ((1)", sqllex.UnbalancedParentheses, 10},
		{"CREATE RULE r AS ON INSERT TO t DO ((SELECT 1; SELECT 2))", sqllex.SemicolonInParentheses, 45},
		{"CREATE RULE r AS ON INSERT TO t DO (SELECT a[1; 2])", sqllex.SemicolonInParentheses, 46},
		{"CREATE TABLE rule (a; b)", sqllex.SemicolonInParentheses, 20},
		{`CREATE "rule" r (a; b)`, sqllex.SemicolonInParentheses, 18},
		{"SELECT begin atomic; b; END", sqllex.AtomicBody, 13},
		{"CREATE TABLE begin atomic; b; END", sqllex.AtomicBody, 19},
		{"CREATE SCHEMA s CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END", sqllex.AtomicBody, 42},
		{"CREATE FUNCTION f(a int = begin atomic) RETURN 1; b", sqllex.AtomicBody, 32},
		{"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; b", sqllex.AtomicBody, 44},
		{"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; CREATE FUNCTION g() BEGIN ATOMIC END; END", sqllex.AtomicBody, 69},
		{"CREATE FUNCTION f() BEGIN ATOMIC END x; b", sqllex.AtomicBody, 37},
		{"CREATE FUNCTION f() BEGIN ATOMIC SELECT (1; 2); END", sqllex.SemicolonInParentheses, 42},
		{"CREATE FUNCTION f() BEGIN ATOMIC CREATE RULE r AS ON INSERT TO t DO (a; b); END", sqllex.SemicolonInParentheses, 70},
		{"CREATE FUNCTION f() BEGIN ATOMIC SELECT (1", sqllex.UnbalancedParentheses, 40},
	} {
		all, err := sqllex.Split(c.text)
		var e *sqllex.Error
		require.ErrorAs(t, err, &e, "%q", c.text)
		assert.Equal(t, sqllex.Error{Reason: c.reason, Offset: c.offset}, *e, "%q", c.text)
		assert.Nil(t, all, "%q", c.text)
	}
}

func TestSplitLimit(t *testing.T) {
	text := "SELECT 1;" + strings.Repeat(" ", 1<<20) + "SELECT 2"
	_, err := sqllex.Split(text)
	assert.Equal(t, &sqllex.Error{Reason: sqllex.TextTooLong, Offset: 1 << 20}, err)
	_, count := sqllex.Classify(text)
	assert.Equal(t, sqllex.Uncertain, count)

	for _, o := range []sqllex.Options{{MaxSplit: -1}, {MaxSplit: len(text)}} {
		all, err := o.Split(text)
		require.NoError(t, err)
		assert.Len(t, all, 2)
		_, count = o.Classify(text)
		assert.Equal(t, sqllex.Several, count)
	}
	many := strings.Repeat("a;", 10_001)
	_, err = sqllex.Split(many)
	assert.Equal(t, &sqllex.Error{Reason: sqllex.TooManyCommands, Offset: 20_000}, err)
	all, err := sqllex.Split(many[2:])
	require.NoError(t, err)
	assert.Len(t, all, 10_000)
	all, err = sqllex.Options{MaxCommands: -1}.Split(many)
	require.NoError(t, err)
	assert.Len(t, all, 10_001)
	_, err = sqllex.Options{MaxCommands: 1}.Split("a;b")
	assert.Error(t, err)

	c, count := sqllex.Classify("INSERT INTO t VALUES ('" + strings.Repeat("x", 2<<20) + "');")
	assert.Equal(t, sqllex.Query, c.Class)
	assert.Equal(t, sqllex.One, count, "nothing behind the only semicolon, whatever the length")
}

func TestSplitWithBackslashStrings(t *testing.T) {
	const text = `SELECT 'a\'; RESET ROLE; --'; SELECT 2`
	all, err := sqllex.Options{BackslashStrings: true}.Split(text)
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, `SELECT 'a\'; RESET ROLE; --'`, text[all[0].Start:all[0].End])
	_, count := sqllex.Options{BackslashStrings: true}.Classify(text)
	assert.Equal(t, sqllex.Several, count)
}

func TestCount(t *testing.T) {
	for text, want := range map[string]sqllex.Count{
		"": sqllex.None, ";": sqllex.None, "/*;*/ --;": sqllex.None, "a": sqllex.One, "a ; ;\n": sqllex.One, "a; -- b": sqllex.One, ";a": sqllex.One, "'a;": sqllex.One,
		"a;b": sqllex.Several, "a;b;'": sqllex.Several, "a;'": sqllex.Uncertain, "';' 'x": sqllex.Uncertain, "f(;)": sqllex.Uncertain, "a;\x00": sqllex.Uncertain,
		"SELECT ';' -- ;": sqllex.One, "a;\u00a0": sqllex.Several,
	} {
		_, got := sqllex.Classify(text)
		assert.Equal(t, want, got, "%q", text)
	}
}
