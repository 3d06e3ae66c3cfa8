package sqlcols_test

import (
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trees are texts and what Parse makes of them; the judge, a module of its own, has many more.
var trees = [][2]string{
	{`SELECT a, t.*, s.t.b AS c, $1 FROM s.t, ONLY u AS x (p, q) WHERE a = $2 AND NOT b OR c IS NULL`,
		`(Query (Select [(Item a) (Item t.*) (Item s.t.b alias:c) (Item $1)] from:[(TableRef (RelationName schema:s t)) ` +
			`(TableRef (RelationName u) only alias:(Alias x columns:[p q]))] where:(Logic or [(Logic and [(Binary (Operator =) a ` +
			`$2) (Logic not [b])]) (Is c null)])))`},
	{`TABLE app.t`,
		`(Query (Select [(Item *)] from:[(TableRef (RelationName schema:app t))]))`},
	{`SELECT (a), ((b, c)), (SELECT 1), ((SELECT 1) + 2), ((SELECT 1) UNION SELECT 2)`,
		`(Query (Select [(Item a) (Item (Row [b c])) (Item (Subquery (Query (Select [(Item 1)])))) (Item (Binary (Operator +) ` +
			`(Subquery (Query (Select [(Item 1)]))) 2)) (Item (Subquery (Query (SetOperation union left:(Query (Select [(Item ` +
			`1)])) right:(Query (Select [(Item 2)]))))))]))`},
	{`SELECT - a ^ 2 + b * c || d, a::int[], CAST($1 AS app.mail), date '2000-01-01', -5`,
		`(Query (Select [(Item (Binary (Operator ||) (Binary (Operator +) (Binary (Operator ^) (Unary (Operator -) a) 2) ` +
			`(Binary (Operator *) b c)) d)) (Item (Cast a (Type [int4] array))) (Item (Cast $1 (Type [app mail]))) (Item (Cast ` +
			`"2000-01-01" (Type [date]))) (Item (Unary (Operator -) 5))]))`},
	{`SELECT a IN (1, $1), a NOT IN (SELECT 1), a = ANY ($1), a LIKE ALL (SELECT 2), a NOT LIKE b ESCAPE c, a OPERATOR(x.=) ` +
		`b`,
		`(Query (Select [(Item (In a list:[1 $1])) (Item (In a not (Query (Select [(Item 1)])))) (Item (Any a (Operator =) ` +
			`array:$1)) (Item (Any a (Operator ~~ like) all (Query (Select [(Item 2)])))) (Item (Binary (Operator !~~ like) a b ` +
			`escape:c)) (Item (Binary (Operator = schema:x) a b))]))`},
	{`SELECT a IS DISTINCT FROM b, a BETWEEN b AND c AND d, (a, b) OVERLAPS (c, d), a COLLATE "C", a AT TIME ZONE b, a AT ` +
		`LOCAL`,
		`(Query (Select [(Item (DistinctFrom a b)) (Item (Logic and [(Between a low:b high:c) d])) (Item (Overlaps (Row [a b]) ` +
			`(Row [c d]))) (Item (Collate a)) (Item (AtTimeZone a zone:b)) (Item (AtTimeZone a))]))`},
	{`SELECT x[1], x[1:$1], (x).y, (x).*, $1.a, ARRAY[[1], [2]], ARRAY(SELECT 1), ROW(), ROW(1), EXISTS (SELECT 1)`,
		`(Query (Select [(Item (Subscript x at:[1])) (Item (Subscript x at:[1 $1] slice)) (Item (Field x y)) (Item (Field x ` +
			`star)) (Item (Field $1 a)) (Item (Array [(Array [1]) (Array [2])])) (Item (ArrayQuery (Query (Select [(Item 1)])))) ` +
			`(Item (Row explicit)) (Item (Row [1] explicit)) (Item (Exists (Query (Select [(Item 1)]))))]))`},
	{`SELECT coalesce(a, $1), app.f(DISTINCT a ORDER BY b), count(*) FILTER (WHERE c) OVER w, f(x => 1, VARIADIC b), CASE a ` +
		`WHEN 1 THEN b ELSE c END FROM t WINDOW w AS (PARTITION BY d ORDER BY e ROWS 1 PRECEDING)`,
		`(Query (Select [(Item (Call coalesce [(Arg a) (Arg $1)])) (Item (Call [app f] [(Arg a)] distinct orderby:[(SortItem ` +
			`b)])) (Item (Call [count] star filter:c over:(Window base:w))) (Item (Call [f] [(Arg 1 x) (Arg b)] variadic)) (Item ` +
			`(Case operand:a whens:[(When if:1 then:b)] else:c))] from:[(TableRef (RelationName t))] windows:[(Window w ` +
			`partitionby:[d] orderby:[(SortItem e)] frame:[1])]))`},
	{`SELECT substring(a FROM $1 FOR 2), substring(a, 1), extract(year FROM b), trim(c), current_date, json_object('a': b), ` +
		`xmlforest(d AS e)`,
		`(Query (Select [(Item (Call substring [(Arg a) (Arg $1) (Arg 2)])) (Item (Call [substring] [(Arg a) (Arg 1)])) (Item ` +
			`(Call extract [(Arg b)])) (Item (Call trim [(Arg c)])) (Item (Call current_date)) (Item (Call json_object [(Arg "a") ` +
			`(Arg b)])) (Item (Call xmlforest [(Arg d e)]))]))`},
	{`SELECT DISTINCT ON (a) a FROM t GROUP BY a, (b, c), CUBE (d), () HAVING e ORDER BY f DESC, g USING < LIMIT 1 OFFSET 2 ` +
		`FOR UPDATE OF t`,
		`(Query (Select distinct distincton:[a] [(Item a)] from:[(TableRef (RelationName t))] groupby:[a b c d] having:e) ` +
			`orderby:[(SortItem f) (SortItem g <)] limit:1 offset:2 locks:[(Lock of:[(RelationName t)])])`},
	{`SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3`,
		`(Query (SetOperation union all left:(Query (Select [(Item 1)])) right:(Query (SetOperation intersect left:(Query ` +
			`(Select [(Item 2)])) right:(Query (Select [(Item 3)]))))))`},
	{`SELECT 1 FROM a LEFT JOIN b USING (c) AS d NATURAL JOIN (e CROSS JOIN f) AS g, LATERAL f(a.x) WITH ORDINALITY AS h ` +
		`(i), ROWS FROM (f() AS (j int)), (VALUES (1)) k, json_to_record('') AS l (m text)`,
		`(Query (Select [(Item 1)] from:[(Join inner natural left:(Join left left:(TableRef (RelationName a)) right:(TableRef ` +
			`(RelationName b)) using:[c] usingalias:d) right:(Join cross left:(TableRef (RelationName e)) right:(TableRef ` +
			`(RelationName f)) alias:(Alias g))) (FunctionRef lateral calls:[(Call [f] [(Arg a.x)])] ordinality alias:(Alias h ` +
			`columns:[i])) (FunctionRef calls:[(Call [f])] rowsfrom defined:[?] callaliases:[(Alias columns:[j] types ` +
			`definitions:[(Type [int4])])]) (SubqueryRef (Query (Values rows:[[1]])) alias:(Alias k)) (FunctionRef calls:[(Call ` +
			`[json_to_record] [(Arg "")])] alias:(Alias l columns:[m] types definitions:[(Type [text])]))]))`},
	{`SELECT 1 FROM a JOIN b JOIN c ON true ON false`,
		`(Query (Select [(Item 1)] from:[(Join inner left:(TableRef (RelationName a)) right:(Join inner left:(TableRef ` +
			`(RelationName b)) right:(TableRef (RelationName c)) on:bool) on:bool)]))`},
	{`WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n FROM t) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c TO 1 ` +
		`DEFAULT 0 USING p SELECT * FROM t`,
		`(Query with:(With recursive tables:[(CTE t columns:[n] (Query (SetOperation union all left:(Query (Values ` +
			`rows:[[1]])) right:(Query (Select [(Item n)] from:[(TableRef (RelationName t))])))) uses:[n n] adds:[o c p] ` +
			`cyclemarks:[1 0])]) (Select [(Item *)] from:[(TableRef (RelationName t))]))`},
	{`WITH d AS (DELETE FROM t WHERE CURRENT OF c RETURNING *) SELECT * FROM d`,
		`(Query with:(With tables:[(CTE d (Delete (TableRef (RelationName t)) currentof:c returning:(Returning [(Item *)])))]) ` +
			`(Select [(Item *)] from:[(TableRef (RelationName d))]))`},
	{`INSERT INTO t AS x (a, b[1], c.d) VALUES ($1, DEFAULT, 2) ON CONFLICT (a, lower(b)) WHERE c DO UPDATE SET a = ` +
		`excluded.a, (b, c) = ($2, 3) WHERE d RETURNING WITH (OLD AS o, NEW AS n) o.a, n.*`,
		`(Insert (TableRef (RelationName t) alias:(Alias x)) columns:[(Target column:a) (Target column:b below path:[1]) ` +
			`(Target column:c below)] source:(Query (Values rows:[[$1 (Default) 2]])) conflict:(Conflict ` +
			`elements:[(ConflictElement a) (ConflictElement (Call [lower] [(Arg b)]))] where:c update set:[(Assignment ` +
			`targets:[(Target column:a)] value:excluded.a) (Assignment targets:[(Target column:b) (Target column:c)] value:(Row ` +
			`[$2 3]) multi)] setwhere:d) returning:(Returning [(Item o.a) (Item n.*)] old:o new:n))`},
	{`INSERT INTO t OVERRIDING SYSTEM VALUE SELECT 1 ON CONFLICT ON CONSTRAINT k DO NOTHING`,
		`(Insert (TableRef (RelationName t)) overriding source:(Query (Select [(Item 1)])) conflict:(Conflict constraint:k))`},
	{`SELECT lag(a) IGNORE NULLS OVER w, lag(b) respect, ignore FROM t`,
		`(Query (Select [(Item (Call [lag] [(Arg a)] over:(Window base:w))) (Item (Call [lag] [(Arg b)]) alias:respect) (Item ignore)] ` +
			`from:[(TableRef (RelationName t))]))`},
	{`INSERT INTO t DEFAULT VALUES`,
		`(Insert (TableRef (RelationName t)))`},
	{`UPDATE t SET a = $1, (b) = (SELECT 1) FROM u WHERE t.x = u.x RETURNING a`,
		`(Update (TableRef (RelationName t)) set:[(Assignment targets:[(Target column:a)] value:$1) (Assignment ` +
			`targets:[(Target column:b)] value:(Subquery (Query (Select [(Item 1)]))) multi)] from:[(TableRef (RelationName u))] ` +
			`where:(Binary (Operator =) t.x u.x) returning:(Returning [(Item a)]))`},
	{`DELETE FROM t USING u WHERE t.x = u.x`,
		`(Delete (TableRef (RelationName t)) using:[(TableRef (RelationName u))] where:(Binary (Operator =) t.x u.x))`},
	{`MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND b THEN UPDATE SET c = $1 WHEN NOT MATCHED BY SOURCE THEN DELETE ` +
		`WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a) RETURNING t.a`,
		`(Merge target:(TableRef (RelationName t)) source:(TableRef (RelationName s)) on:(Binary (Operator =) t.a s.a) ` +
			`whens:[(MergeWhen matched and:b update set:[(Assignment targets:[(Target column:c)] value:$1)]) (MergeWhen bysource ` +
			`delete) (MergeWhen insert columns:[(Target column:a)] values:[s.a])] returning:(Returning [(Item t.a)]))`},
	{`EXPLAIN (ANALYZE, FORMAT json) SELECT 1`,
		`(Explain (Query (Select [(Item 1)])))`},
	{`DECLARE c CURSOR FOR SELECT $1`,
		`(Declare cursor:c (Query (Select [(Item $1)])))`},
	{`SELECT a; ; TABLE b;`,
		`(Query (Select [(Item a)])) ; (Query (Select [(Item *)] from:[(TableRef (RelationName b))]))`},
	{`SELECT U&"d\0061t", "A""b", straße, VALUES, 'it''s', $$x$$, 1_0, B'01' FROM "T"`,
		`(Query (Select [(Item dat) (Item A"b) (Item straße) (Item values) (Item "it's") (Item "x") (Item 1_0) (Item bits)] ` +
			`from:[(TableRef (RelationName T))]))`},
}

func TestParse(t *testing.T) {
	for _, row := range trees {
		statements, err := sqlcols.Parse(row[0])
		require.NoError(t, err, row[0])
		var printed []string
		for _, s := range statements {
			printed = append(printed, print(s))
		}
		assert.Equal(t, row[1], strings.Join(printed, " ; "), row[0])
	}
	none, err := sqlcols.Parse(" ; -- nothing\n;")
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestParseErrors(t *testing.T) {
	for _, row := range []struct {
		text     string
		position int
		reason   string
	}{
		{"SELECT FROM WHERE", 12, "name expected, not where"},
		{"SELECT 1 + FROM t", 11, "expression expected, not from"},
		{"SELECT a b c", 11, "end of the command expected, not identifier"},
		{"SELECT 'it", 7, "unterminated string"},
		{"SELECT \x00", 7, "NUL byte"},
		{"SELECT '\xff'", 8, "invalid UTF-8"},
		{"SELECT E'\\xff'", 9, "invalid UTF-8"},
		{"SELECT a = b = c", 13, "parentheses expected between operators of the same precedence"},
		{"SELECT a IN b", 12, "( expected, not identifier"},
		{"SELECT a IN ()", 13, "expression expected, not )"},
		{"SELECT $4294967297", 7, "parameter number too large"},
		{"SELECT a.b.c.d.e", 7, "name of too many parts"},
		{"SELECT 1 FROM a.b.c.d", 14, "name of too many parts"},
		{"SELECT a.*.b", 10, "end of the name expected, not ."},
		{"SELECT ARRAY[1][1]", 15, "end of the command expected, not ["},
		{"SELECT 1 FROM (a)", 16, "a join expected, not )"},
		{"SELECT 1 FROM a JOIN b", 22, "on or using expected, not end of text"},
		{"SELECT 1 FROM a CROSS JOIN b ON true", 29, "end of the command expected, not on"},
		{"(SELECT 1 LIMIT 1) LIMIT 2", 19, "LIMIT given twice"},
		{"WITH a AS (SELECT 1) (WITH b AS (SELECT 2) SELECT 3)", 0, "WITH given twice"},
		{"SELECT 1 LIMIT 1, 2", 16, "end of the command expected, not ,"},
		{"INSERT INTO t (a) SET a = 1", 18, "a query expected, not set"},
		{"INSERT INTO t VALUES ()", 22, "expression expected, not )"},
		{"UPDATE t SET a", 14, "= expected, not end of text"},
		{"MERGE INTO t USING s ON true", 28, "when expected, not end of text"},
		{"MERGE INTO t USING s ON true WHEN MATCHED THEN INSERT DEFAULT VALUES", 47, "an action expected, not insert"},
		{"SELECT f(a) WITHIN GROUP (ORDER BY b) x.y", 39, "end of the command expected, not ."},
		{"SELECT f(DISTINCT a) WITHIN GROUP (ORDER BY b)", 21, "WITHIN GROUP with ORDER BY, DISTINCT or VARIADIC"},
		{"SELECT nulls first", 7, "expression expected, not nulls"},
		{"SELECT a FROM left", 18, "( expected, not end of text"},
		{"SELECT (a, b, c) OVERLAPS (d, e)", 26, "OVERLAPS takes two pairs"},
		{"SELECT float(54) '1'", 7, "precision of float out of range"},
		{"+ 1", 0, "a command expected, not operator"},
		{"EXPLAIN foo SELECT 1", 8, "a command expected, not identifier"},
		{"SELECT 1; CREATE TABLE t ()", 10, sqlcols.OtherCommand},
		{"TRUNCATE t", 0, sqlcols.OtherCommand},
		{"EXPLAIN CREATE TABLE t AS SELECT 1", 0, sqlcols.OtherCommand},
		{"PREPARE p AS SELECT $1", 0, sqlcols.OtherCommand},
	} {
		statements, err := sqlcols.Parse(row.text)
		var failure *sqlcols.Error
		require.ErrorAs(t, err, &failure, row.text)
		assert.Empty(t, statements)
		assert.Equal(t, sqlcols.Error{Position: row.position, Reason: row.reason, Syntax: true}, *failure, row.text)
	}
}

func repeat(start, unit, middle, end string, n int) string {
	return start + strings.Repeat(unit, n) + middle + strings.Repeat(end, n)
}

// TestDepth has every way to nest: some levels must be taken, more must be refused, however they are written.
func TestDepth(t *testing.T) {
	for name, text := range map[string]func(n int) string{
		"parentheses": func(n int) string { return repeat("SELECT ", "(", "1", ")", n) },
		"row":         func(n int) string { return repeat("SELECT ", "(1, ", "1", ")", n) },
		"not":         func(n int) string { return repeat("SELECT ", "NOT ", "a", "", n) },
		"sign":        func(n int) string { return repeat("SELECT ", "- ", "a", "", n) },
		"prefix":      func(n int) string { return repeat("SELECT ", "@ ", "a", "", n) },
		"chain":       func(n int) string { return repeat("SELECT a", " || b", "", "", n) },
		"right":       func(n int) string { return repeat("SELECT ", "a || (", "b", ")", n) },
		"is":          func(n int) string { return repeat("SELECT a", " IS NULL", "", "", n) },
		"cast":        func(n int) string { return repeat("SELECT a", "::text", "", "", n) },
		"collate":     func(n int) string { return repeat("SELECT a", ` COLLATE "C"`, "", "", n) },
		"time zone":   func(n int) string { return repeat("SELECT a", " AT LOCAL", "", "", n) },
		"in":          func(n int) string { return repeat("SELECT a", " IN (b)", "", "", n) },
		"like":        func(n int) string { return repeat("SELECT a", " LIKE (b", "", ")", n) },
		"between":     func(n int) string { return repeat("SELECT a", " BETWEEN (b", "", ") AND c", n) },
		"any":         func(n int) string { return repeat("SELECT a", " = ANY (b", "", ")", n) },
		"subscript":   func(n int) string { return repeat("SELECT a", "[1]", "", "", n) },
		"subscripts":  func(n int) string { return repeat("SELECT a", "[a", "[1]", "]", n) },
		"field":       func(n int) string { return repeat("SELECT (a)", ".b", "", "", n) },
		"call":        func(n int) string { return repeat("SELECT ", "f(", "1", ")", n) },
		"filter": func(n int) string {
			return repeat("SELECT a", " FROM t WHERE f() FILTER (WHERE (SELECT a", "", "))", n)
		},
		"over":          func(n int) string { return repeat("SELECT 1", ", f() OVER (ORDER BY (SELECT 1", "", "))", n) },
		"coalesce":      func(n int) string { return repeat("SELECT ", "coalesce(", "1", ")", n) },
		"substring":     func(n int) string { return repeat("SELECT ", "substring(", "a", " FROM 1)", n) },
		"position":      func(n int) string { return repeat("SELECT ", "position(", "a", " IN b)", n) },
		"cast call":     func(n int) string { return repeat("SELECT ", "CAST(", "a", " AS int)", n) },
		"json":          func(n int) string { return repeat("SELECT ", "json_object(a: ", "b", ")", n) },
		"case":          func(n int) string { return repeat("SELECT ", "CASE WHEN ", "a", " THEN b END", n) },
		"array":         func(n int) string { return repeat("SELECT ", "ARRAY[", "1", "]", n) },
		"arrays":        func(n int) string { return "SELECT ARRAY" + repeat("", "[", "1", "]", n+1) },
		"modifier":      func(n int) string { return repeat("SELECT 1", "::t(a", "", ")", n) },
		"query":         func(n int) string { return repeat("", "(", "SELECT 1", ")", n) },
		"subquery":      func(n int) string { return repeat("SELECT 1", " + (SELECT 1", "", ")", n) },
		"exists":        func(n int) string { return repeat("SELECT 1", " WHERE EXISTS (SELECT 1", "", ")", n) },
		"union":         func(n int) string { return repeat("SELECT 1", " UNION ALL SELECT 1", "", "", n) },
		"unions":        func(n int) string { return repeat("SELECT 1", " UNION (SELECT 1", "", ")", n) },
		"from":          func(n int) string { return repeat("SELECT 1 FROM ", "(SELECT 1 FROM ", "t", ") a", n) },
		"join":          func(n int) string { return repeat("SELECT 1 FROM t", " CROSS JOIN t", "", "", n) },
		"joins":         func(n int) string { return repeat("SELECT 1 FROM t", " JOIN t", "", " ON true", n) },
		"joins in":      func(n int) string { return repeat("SELECT 1 FROM ", "(", "t CROSS JOIN t", ")", n) },
		"with":          func(n int) string { return repeat("", "WITH a AS (", "SELECT 1", ") SELECT 1", n) },
		"grouping sets": func(n int) string { return repeat("SELECT 1 GROUP BY ", "GROUPING SETS (", "a", ")", n) },
		"json table": func(n int) string {
			return "SELECT 1 FROM JSON_TABLE(a, 'b' COLUMNS (" + repeat("", "NESTED 'c' COLUMNS (", "d int", ")", n) + "))"
		},
		// Each bracket holds a chain: high by both together.
		"chains": func(n int) string { return repeat("SELECT ", "(", "a", strings.Repeat(" + b", n/10)+")", 20) },
	} {
		_, err := sqlcols.Parse(text(100))
		assert.NoError(t, err, name)
		for _, n := range []int{sqlcols.MaxDepth + 1, 20_000} {
			sql := text(n)
			_, err := sqlcols.Parse(sql)
			if assert.Error(t, err, name) && len(sql) <= sqlcols.MaxText {
				assert.Equal(t, "nested too deep", err.Error(), name)
			}
		}
	}
}

// TestWidth has what may be long without being deep.
func TestWidth(t *testing.T) {
	for _, text := range []string{
		"SELECT a" + strings.Repeat(" AND b", 50_000),
		"SELECT a" + strings.Repeat(" OR b = c", 50_000),
		"SELECT a IN (1" + strings.Repeat(", 2", 100_000) + ")",
		"VALUES (1)" + strings.Repeat(", (2)", 100_000),
		"VALUES (" + strings.Repeat("(1 + 2), ", 50_000) + "1)",
		"SELECT 1" + strings.Repeat(", (SELECT 1)", 50_000),
		"SELECT 1 FROM t" + strings.Repeat(", t", 100_000),
		"SELECT f(1" + strings.Repeat(", 2", 100_000) + ")",
		"SELECT CASE " + strings.Repeat("WHEN a THEN b ", 50_000) + "END",
		"SELECT 1" + strings.Repeat(", ((((((((1))))))))", 40_000),
		"SELECT json_object(a || b: c" + strings.Repeat(", a || b: (c + d)", 20_000) + ")",
		strings.Repeat("SELECT 1;", 100_000),
		strings.Repeat(" ", sqlcols.MaxText-8) + "SELECT 1",
	} {
		_, err := sqlcols.Parse(text)
		assert.NoError(t, err, text[:20])
	}
	_, err := sqlcols.Parse(strings.Repeat(" ", sqlcols.MaxText) + "SELECT 1")
	assert.EqualError(t, err, "text too long")
}
