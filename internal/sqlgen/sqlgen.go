// Package sqlgen makes random statements over a small schema with encrypted columns, for tests: most of them sound, some that mix what
// must not be mixed, some with names that mean nothing.
package sqlgen

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a column or an expression holds.
type Kind byte

// The kinds. Det and Rnd are columns encrypted deterministically and randomly.
const (
	Text Kind = 't'
	Int  Kind = 'i'
	Bool Kind = 'b'
	Det  Kind = 'd'
	Rnd  Kind = 'r'
)

// Column is a column of a Table.
type Column struct {
	Name string
	Kind Kind
}

// Table is a table of the schema.
type Table struct {
	Schema, Name string
	Columns      []Column
}

// Tables is the schema; the search_path holds app alone.
var Tables = []Table{
	{"app", "users", []Column{{"id", Int}, {"name", Text}, {"email", Det}, {"ssn", Rnd}, {"org_id", Int}, {"status", Text}, {"active", Bool}}},
	{"app", "orders", []Column{{"id", Int}, {"user_id", Int}, {"total", Int}, {"status", Text}, {"note", Text}, {"email", Det}}},
	{"app", "audit", []Column{{"id", Int}, {"user_id", Int}, {"email", Det}, {"note", Text}, {"locked", Bool}}},
	{"app", "profiles", []Column{{"user_id", Int}, {"country", Text}, {"ssn", Rnd}}},
	{"app", "logs", []Column{{"id", Int}, {"msg", Text}}},
	{"app", "Weird Table", []Column{{"Select", Int}, {"E-Mail", Det}, {`a"b`, Text}}},
	{"crm", "users", []Column{{"id", Int}, {"email", Text}, {"name", Text}}},
}

// DDL returns the commands that make the schema, with types for encrypted columns.
func DDL(det, rnd string) []string {
	types := map[Kind]string{Text: "text", Int: "bigint", Bool: "bool", Det: det, Rnd: rnd}
	commands := []string{"CREATE SCHEMA app", "CREATE SCHEMA crm"}
	for _, t := range Tables {
		columns := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			columns[i] = quote(c.Name) + " " + types[c.Kind]
		}
		commands = append(commands, fmt.Sprintf("CREATE TABLE %s.%s (%s)", t.Schema, quote(t.Name), strings.Join(columns, ", ")))
	}
	return commands
}

// Cast stands before each cast to text, text[] or varchar that changes nothing, so that a test can take it out.
const Cast = "/*c*/"

// Generator makes statements. The same seed makes the same ones.
type Generator struct {
	rand   *rand.Rand
	params int
	names  int
	depth  int
	scopes []*scope
	ctes   []table
	// Odd is how many of a thousand choices are of what does not fit.
	Odd int
	// Loose is how many of a hundred queries more have no WHERE, of 60 that have one: few conditions are true by chance.
	Loose int
	// Version is the major version of PostgreSQL whose syntax there may be; of 15 and before, none that others lack.
	Version int
}

// scope is what a query's names can mean.
type scope struct{ tables []table }

type table struct {
	name    string
	columns []Column
	real    bool // one of Tables, so that its columns are what they are said to be
}

// New returns a Generator.
func New(seed uint64) *Generator {
	return &Generator{rand: rand.New(rand.NewPCG(seed, 0)), Odd: 15}
}

// Major returns the major version of a server that says it is of a version such as "18.4 (Debian 18.4-1)", 0 where it says none.
func Major(version string) int {
	n, _ := strconv.Atoi(version[:len(version)-len(strings.TrimLeft(version, "0123456789"))])
	return n
}

func quote(name string) string {
	if strings.IndexFunc(name, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') }) < 0 {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (g *Generator) chance(percent int) bool { return g.rand.IntN(100) < percent }
func (g *Generator) odd() bool               { return g.rand.IntN(1000) < g.Odd }

// since is chance from a version of PostgreSQL on. Before it no number is drawn, so that a seed makes what it did.
func (g *Generator) since(version, percent int) bool {
	return g.Version >= version && g.chance(percent)
}

func pick[T any](g *Generator, list ...T) T { return list[g.rand.IntN(len(list))] }

// one calls one of several functions.
func (g *Generator) one(of ...func() string) string { return pick(g, of...)() }

func (g *Generator) fresh(prefix string) string {
	if g.chance(8) { // names that are in use
		return pick(g, "users", "orders", "logs", "x", "email", "u")
	}
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// param returns a parameter, most often a new one.
func (g *Generator) param() string {
	if g.params > 0 && g.chance(6) {
		return fmt.Sprintf("$%d", 1+g.rand.IntN(g.params))
	}
	g.params++
	return fmt.Sprintf("$%d", g.params)
}

func (g *Generator) reset() { g.params, g.names, g.depth, g.scopes, g.ctes = 0, 0, 0, nil, nil }

// Query returns the next query whose outputs are of some kinds.
func (g *Generator) Query(kinds ...Kind) string {
	g.reset()
	text, _ := g.query(kinds)
	return text
}

// Statement returns the next statement.
func (g *Generator) Statement() string {
	g.reset()
	with := ""
	if g.chance(25) {
		with = g.with()
	}
	n := g.rand.IntN(100)
	if strings.HasPrefix(with, "WITH RECURSIVE") {
		n %= 90 // not before MERGE
	}
	switch {
	case n < 40:
		text, _ := g.query(nil)
		return with + text
	case n < 62:
		return with + g.insert(g.chance(30))
	case n < 80:
		return with + g.update(g.chance(30))
	case n < 90:
		return with + g.delete(g.chance(30))
	}
	return with + g.merge(g.since(17, 50))
}

func (g *Generator) target() Table {
	for {
		if t := pick(g, Tables...); t.Schema == "app" && (t.Name != "logs" || g.chance(20)) {
			return t
		}
	}
}

func (g *Generator) tableName(t Table) string {
	if t.Schema != "app" || g.chance(15) {
		return quote(t.Schema) + "." + quote(t.Name)
	}
	return quote(t.Name)
}

// with makes WITH.
func (g *Generator) with() string {
	var list []string
	recursive := g.chance(25)
	for range 1 + g.rand.IntN(2) {
		name := g.fresh("c")
		if slices.ContainsFunc(g.ctes, func(t table) bool { return t.name == name }) {
			continue
		}
		var text string
		var columns []Column
		switch {
		case recursive && g.chance(60):
			kinds := g.kinds()
			first, c := g.query(kinds)
			columns = named(c, "r")
			g.ctes = append(g.ctes, table{name: name, columns: columns})
			g.scopes = append(g.scopes, &scope{[]table{{name: name, columns: columns}}})
			items := make([]string, len(kinds))
			for i, k := range kinds {
				items[i] = g.expr(k)
			}
			where := g.expr(Bool)
			g.scopes = g.scopes[:len(g.scopes)-1]
			g.ctes = g.ctes[:len(g.ctes)-1]
			text = fmt.Sprintf("(%s) UNION ALL SELECT %s FROM %s WHERE %s", first, strings.Join(items, ", "), quote(name), where)
			list = append(list, fmt.Sprintf("%s(%s) AS (%s)", quote(name), names(columns), text))
		case g.chance(15):
			switch n := g.rand.IntN(3); {
			case !recursive && g.since(17, 30):
				text, columns = g.returning(g.merge(false))
			case n == 0:
				text, columns = g.returning(g.insert(false))
			case n == 1:
				text, columns = g.returning(g.update(false))
			default:
				text, columns = g.returning(g.delete(false))
			}
			columns = named(columns, "w")
			list = append(list, fmt.Sprintf("%s(%s) AS (%s)", quote(name), names(columns), text))
		default:
			var c []Column
			text, c = g.query(g.kinds())
			columns = named(c, "w")
			list = append(list, fmt.Sprintf("%s(%s) AS (%s)", quote(name), names(columns), text))
		}
		g.ctes = append(g.ctes, table{name: name, columns: columns})
	}
	if recursive {
		return "WITH RECURSIVE " + strings.Join(list, ", ") + " "
	}
	return "WITH " + strings.Join(list, ", ") + " "
}

// named gives columns names of their own, or of others.
func named(columns []Column, prefix string) []Column {
	columns = slices.Clone(columns)
	for i := range columns {
		columns[i].Name = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return columns
}

func columnNames(columns []Column) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = quote(c.Name)
	}
	return list
}

func names(columns []Column) string { return strings.Join(columnNames(columns), ", ") }

func (g *Generator) kinds() []Kind {
	kinds := make([]Kind, 1+g.rand.IntN(3))
	for i := range kinds {
		kinds[i] = pick(g, Text, Int, Det, Det, Rnd)
	}
	return kinds
}

// returning adds RETURNING to a statement whose target is the innermost scope that is left.
func (g *Generator) returning(text string) (string, []Column) {
	// The target is the last table that was written to; its columns are known by name.
	i := strings.Index(text, "/*t:")
	t := Tables[text[i+4]-'0']
	var columns []Column
	var items []string
	for range 1 + g.rand.IntN(3) {
		c := pick(g, t.Columns...)
		columns = append(columns, c)
		row := ""
		if g.since(18, 40) {
			row = pick(g, "old.", "new.")
		}
		items = append(items, row+quote(c.Name))
	}
	return text + " RETURNING " + strings.Join(items, ", "), columns
}

// mark notes a statement's target for returning.
func mark(t Table) string {
	i := slices.IndexFunc(Tables, func(o Table) bool { return o.Schema == t.Schema && o.Name == t.Name })
	return fmt.Sprintf("/*t:%d*/", i)
}

func (g *Generator) insert(returning bool) string {
	t := g.target()
	var columns []Column
	for _, i := range g.rand.Perm(len(t.Columns))[:1+g.rand.IntN(len(t.Columns))] {
		columns = append(columns, t.Columns[i])
	}
	text := "INSERT INTO " + g.tableName(t) + mark(t) + " "
	alias := t.Name
	if g.chance(15) {
		alias = g.fresh("t")
		text += "AS " + quote(alias) + " "
	}
	if g.chance(90) {
		text += "(" + names(columns) + ") "
	} else {
		columns = t.Columns[:1+g.rand.IntN(len(t.Columns))]
	}
	if g.chance(60) {
		var rows []string
		for range 1 + g.rand.IntN(3) {
			values := make([]string, len(columns))
			for i, c := range columns {
				values[i] = g.assigned(c.Kind)
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		text += "VALUES " + strings.Join(rows, ", ")
	} else {
		kinds := make([]Kind, len(columns))
		for i, c := range columns {
			kinds[i] = c.Kind
		}
		q, _ := g.query(kinds)
		text += q
	}
	if g.chance(30) {
		text += " ON CONFLICT "
		update := g.chance(60)
		if update || g.chance(50) {
			text += "(" + quote(pick(g, t.Columns...).Name) + ") "
		}
		if update {
			g.scopes = append(g.scopes, &scope{[]table{{alias, t.Columns, true}, {"excluded", t.Columns, true}}})
			text += "DO UPDATE SET " + g.set(t)
			if g.chance(30) {
				text += " WHERE " + g.expr(Bool)
			}
			g.scopes = g.scopes[:len(g.scopes)-1]
		} else {
			text += "DO NOTHING"
		}
	}
	if returning {
		text += g.returningItems(t, table{alias, t.Columns, true})
	}
	return text
}

// returningItems makes RETURNING of a statement that writes to t and sees tables.
func (g *Generator) returningItems(t Table, tables ...table) string {
	returning, row := " RETURNING ", "new"
	if g.since(18, 40) {
		old := "old"
		if g.chance(30) {
			old, row = g.fresh("o"), g.fresh("n")
			returning += "WITH (OLD AS " + quote(old) + ", NEW AS " + quote(row) + ") "
		}
		tables = append(slices.Clip(tables), table{old, t.Columns, true}, table{row, t.Columns, true})
	}
	g.scopes = append(g.scopes, &scope{tables})
	defer func() { g.scopes = g.scopes[:len(g.scopes)-1] }()
	if g.chance(25) {
		if g.since(18, 30) {
			return returning + quote(row) + ".*"
		}
		return returning + "*"
	}
	var items []string
	for range 1 + g.rand.IntN(3) {
		items = append(items, g.item(pick(g, Text, Int, Det, Rnd)))
	}
	return returning + strings.Join(items, ", ")
}

// assigned makes a value that is written into a column.
func (g *Generator) assigned(k Kind) string {
	if g.chance(8) {
		return pick(g, "DEFAULT", "NULL")
	}
	return g.expr(k)
}

// set makes the assignments of SET; the scope holds the target already.
func (g *Generator) set(t Table) string {
	var list []string
	perm := g.rand.Perm(len(t.Columns))[:1+g.rand.IntN(min(3, len(t.Columns)))]
	if len(perm) > 1 && g.chance(20) {
		var columns []Column
		var kinds []Kind
		for _, i := range perm {
			columns, kinds = append(columns, t.Columns[i]), append(kinds, t.Columns[i].Kind)
		}
		if g.chance(50) {
			q, _ := g.query(kinds)
			return "(" + names(columns) + ") = (" + q + ")"
		}
		values := make([]string, len(kinds))
		for i, k := range kinds {
			values[i] = g.expr(k)
		}
		return "(" + names(columns) + ") = " + pick(g, "", "ROW") + "(" + strings.Join(values, ", ") + ")"
	}
	for _, i := range perm {
		list = append(list, quote(t.Columns[i].Name)+" = "+g.assigned(t.Columns[i].Kind))
	}
	return strings.Join(list, ", ")
}

func (g *Generator) update(returning bool) string {
	t := g.target()
	text := "UPDATE " + g.tableName(t) + mark(t)
	alias := t.Name
	if g.chance(40) {
		alias = g.fresh("t")
		text += " AS " + quote(alias)
	}
	s := &scope{}
	from := ""
	if g.chance(35) {
		g.scopes = append(g.scopes, s)
		from = " FROM " + g.from(s)
		g.scopes = g.scopes[:len(g.scopes)-1]
	}
	s.tables = append([]table{{alias, t.Columns, true}}, s.tables...)
	g.scopes = append(g.scopes, s)
	text += " SET " + g.set(t) + from
	if g.chance(80) {
		text += " WHERE " + g.expr(Bool)
	}
	g.scopes = g.scopes[:len(g.scopes)-1]
	if returning {
		text += g.returningItems(t, s.tables...)
	}
	return text
}

func (g *Generator) delete(returning bool) string {
	t := g.target()
	text := "DELETE FROM " + g.tableName(t) + mark(t)
	alias := t.Name
	if g.chance(40) {
		alias = g.fresh("t")
		text += " AS " + quote(alias)
	}
	s := &scope{}
	if g.chance(35) {
		g.scopes = append(g.scopes, s)
		text += " USING " + g.from(s)
		g.scopes = g.scopes[:len(g.scopes)-1]
	}
	s.tables = append([]table{{alias, t.Columns, true}}, s.tables...)
	g.scopes = append(g.scopes, s)
	text += " WHERE " + g.expr(Bool)
	g.scopes = g.scopes[:len(g.scopes)-1]
	if returning {
		text += g.returningItems(t, s.tables...)
	}
	return text
}

func (g *Generator) merge(returning bool) string {
	t := g.target()
	alias := g.fresh("t")
	text := "MERGE INTO " + g.tableName(t) + mark(t) + " AS " + quote(alias) + " USING "
	s := &scope{}
	g.scopes = append(g.scopes, s)
	text += g.item1(s)
	source := s.tables
	both := append(slices.Clone(source), table{alias, t.Columns, true})
	s.tables = both
	text += " ON " + g.expr(Bool)
	last := 1 + g.rand.IntN(3)
	for i := range last {
		matched := g.chance(60)
		switch {
		case matched && g.since(17, 20):
			s.tables = both[len(both)-1:]
			text += " WHEN NOT MATCHED BY SOURCE"
		case matched:
			s.tables = both
			text += " WHEN MATCHED"
		default:
			s.tables = source
			text += " WHEN NOT MATCHED"
		}
		if i < last-1 || g.chance(40) {
			text += " AND " + g.expr(Bool)
		}
		switch {
		case g.chance(10):
			text += " THEN DO NOTHING"
		case matched && g.chance(25):
			text += " THEN DELETE"
		case matched:
			text += " THEN UPDATE SET " + g.set(t)
		default:
			var columns []Column
			var values []string
			for _, i := range g.rand.Perm(len(t.Columns))[:1+g.rand.IntN(len(t.Columns))] {
				columns = append(columns, t.Columns[i])
				values = append(values, g.expr(t.Columns[i].Kind))
			}
			text += " THEN INSERT (" + names(columns) + ") VALUES (" + strings.Join(values, ", ") + ")"
		}
	}
	g.scopes = g.scopes[:len(g.scopes)-1]
	if returning {
		text += g.returningItems(t, both...)
		if g.chance(30) {
			text += ", merge_action()"
		}
	}
	return text
}

// query makes a query whose columns are of the kinds, of any for nil.
func (g *Generator) query(kinds []Kind) (string, []Column) {
	g.depth++
	defer func() { g.depth-- }()
	if kinds != nil && g.depth < 4 && g.chance(12) {
		left, columns := g.query(kinds)
		right, _ := g.query(kinds)
		op := pick(g, "UNION ALL", "UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT")
		text := "(" + left + ") " + op + " (" + right + ")"
		if g.chance(10) {
			text += fmt.Sprintf(" ORDER BY %d", 1+g.rand.IntN(len(kinds)))
		}
		return text, columns
	}
	if kinds != nil && g.chance(8) {
		var rows []string
		for range 1 + g.rand.IntN(2) {
			values := make([]string, len(kinds))
			for i, k := range kinds {
				values[i] = g.expr(k)
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		columns := make([]Column, len(kinds))
		for i, k := range kinds {
			columns[i] = Column{fmt.Sprintf("column%d", i+1), k}
		}
		return "VALUES " + strings.Join(rows, ", "), columns
	}
	s := &scope{}
	g.scopes = append(g.scopes, s)
	defer func() { g.scopes = g.scopes[:len(g.scopes)-1] }()
	from := ""
	if g.depth < 6 && g.chance(92) {
		from = " FROM " + g.from(s)
	}
	var items []string
	var columns []Column
	grouped := kinds == nil && g.chance(12)
	switch {
	case grouped:
		var keys []string
		for range 1 + g.rand.IntN(2) {
			k := pick(g, Det, Text, Int, Rnd)
			if c := g.column(k); c != "" {
				keys = append(keys, c)
				items = append(items, c)
			}
		}
		items = append(items, g.one(
			func() string { return "count(*)" },
			func() string {
				return "count(" + pick(g, "", "DISTINCT ") + cmp.Or(g.column(pick(g, Det, Rnd, Text)), "1") + ")"
			},
			func() string { return "array_agg(" + g.expr(pick(g, Det, Rnd)) + ")" },
			func() string { return "max(" + g.expr(pick(g, Text, Int)) + ")" },
			func() string {
				if len(s.tables) > 0 {
					return "count(" + quote(pick(g, s.tables...).name) + ")"
				}
				return "count(*)"
			},
		))
		text := "SELECT " + strings.Join(items, ", ") + from
		if g.chance(50) {
			text += " WHERE " + g.expr(Bool)
		}
		if len(keys) > 0 {
			text += " GROUP BY " + strings.Join(keys, ", ")
		}
		return text, nil
	case kinds == nil && from != "" && g.chance(8):
		alias := pick(g, "name", "email", "id", "ssn", "o1")
		return "SELECT " + g.expr(pick(g, Det, Text, Int, Rnd)) + " AS " + alias + ", count(*)" + from + " GROUP BY " + alias, nil
	case kinds == nil && from != "" && g.chance(20):
		items = append(items, "*")
		if len(s.tables) > 0 && g.chance(50) {
			items = []string{quote(pick(g, s.tables...).name) + ".*"}
		}
	case kinds == nil:
		for range 1 + g.rand.IntN(3) {
			items = append(items, g.item(pick(g, Text, Int, Det, Det, Rnd, Bool)))
		}
	default:
		for i, k := range kinds {
			name := fmt.Sprintf("o%d", i+1)
			if g.chance(20) {
				name = pick(g, "email", "name", "id", "ssn")
			}
			items = append(items, g.expr(k)+" AS "+name)
			columns = append(columns, Column{name, k})
		}
	}
	text := "SELECT "
	distinct := g.chance(5)
	if distinct {
		text += "DISTINCT "
	}
	text += strings.Join(items, ", ") + from
	if g.chance(60 - g.Loose) {
		text += " WHERE " + g.expr(Bool)
	}
	if !distinct && g.chance(12) {
		text += " ORDER BY " + g.one(
			func() string { return g.expr(pick(g, Int, Text)) },
			func() string { return g.expr(pick(g, Int, Text)) + " DESC" },
			func() string { return "1" },
			func() string { return pick(g, append([]string{"1", "1", "email"}, columnNames(columns)...)...) },
		)
	}
	if g.chance(8) {
		text += " LIMIT " + g.param()
	}
	return text, columns
}

// item makes an output.
func (g *Generator) item(k Kind) string {
	if g.since(16, 2) {
		return g.one(
			func() string { return "JSON_OBJECT('a': " + g.expr(k) + ")" },
			func() string { return "JSON_ARRAY(" + g.expr(k) + ")" },
		)
	}
	if g.chance(4) {
		return g.one(
			func() string { return "row_number() OVER (PARTITION BY " + g.expr(pick(g, Det, Text, Rnd)) + ")" },
			func() string { return "ARRAY[" + g.expr(k) + "]" },
			func() string { q, _ := g.query([]Kind{k}); return "ARRAY(" + q + ")" },
			func() string { return "to_jsonb(" + g.expr(pick(g, Text, Int)) + ")" },
		)
	}
	text := g.expr(k)
	if g.chance(30) {
		text += " AS " + quote(g.fresh("o"))
	}
	return text
}

// from makes a FROM list and brings it into scope.
func (g *Generator) from(s *scope) string {
	list := []string{g.join(s)}
	if g.chance(20) {
		list = append(list, g.item1(s))
	}
	return strings.Join(list, ", ")
}

func (g *Generator) join(s *scope) string {
	text := g.item1(s)
	if g.chance(5) {
		n := len(s.tables) - 1
		text = "(" + text + " CROSS JOIN " + g.item1(s) + ")"
		var columns []Column
		for _, t := range s.tables[n:] {
			columns = append(columns, t.columns...)
		}
		columns = named(columns, "j")
		name := g.fresh("j")
		s.tables = append(s.tables[:n:n], table{name: name, columns: columns})
		return text + " AS " + quote(name) + "(" + names(columns) + ")"
	}
	for g.chance(25) {
		n := len(s.tables)
		kind := pick(g, "JOIN", "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN")
		right := g.item1(s)
		common := func() (list []string) {
			for _, c := range s.tables[len(s.tables)-1].columns {
				for _, t := range s.tables[:n] {
					for _, d := range t.columns {
						if c.Name == d.Name && (c.Kind == d.Kind || g.odd()) {
							list = append(list, c.Name)
						}
					}
				}
			}
			return list
		}()
		switch {
		case len(common) > 0 && n == 1 && g.chance(30):
			name := pick(g, common...)
			text += " " + kind + " " + right + " USING (" + quote(name) + ")"
		case n == 1 && g.chance(3):
			text += " NATURAL " + kind + " " + right
		default:
			text += " " + kind + " " + right + " ON " + g.expr(Bool)
		}
	}
	return text
}

// item1 makes one element of FROM.
func (g *Generator) item1(s *scope) string {
	n := g.rand.IntN(100)
	switch {
	case n < 18 && g.depth < 4:
		lateral := ""
		outer := g.scopes
		if g.chance(30) && len(s.tables) > 0 {
			lateral = "LATERAL "
		} else if len(g.scopes) > 0 && g.scopes[len(g.scopes)-1] == s {
			g.scopes = slices.Clip(g.scopes[:len(g.scopes)-1]) // its neighbours are not to be seen
		}
		q, columns := g.query(g.kinds())
		g.scopes = outer
		name := g.fresh("s")
		text := lateral + "(" + q + ") AS " + quote(name)
		if g.chance(25) {
			columns = named(columns, "a")
			text += "(" + names(columns) + ")"
		}
		s.tables = append(s.tables, table{name: name, columns: columns})
		return text
	case n < 24:
		kinds := g.kinds()
		var rows []string
		for range 1 + g.rand.IntN(2) {
			values := make([]string, len(kinds))
			for i, k := range kinds {
				values[i] = g.leaf(k)
			}
			rows = append(rows, "("+strings.Join(values, ", ")+")")
		}
		columns := make([]Column, len(kinds))
		for i, k := range kinds {
			columns[i].Kind = k
		}
		columns = named(columns, "v")
		name := g.fresh("v")
		s.tables = append(s.tables, table{name: name, columns: columns})
		return "(VALUES " + strings.Join(rows, ", ") + ") AS " + quote(name) + "(" + names(columns) + ")"
	case n < 28:
		name := g.fresh("f")
		s.tables = append(s.tables, table{name: name, columns: []Column{{"m", pick(g, Det, Det, Rnd, Text)}}})
		return "unnest(" + g.param() + Cast + "::text[]) AS " + quote(name) + "(m)"
	case g.since(17, 3):
		name := g.fresh("j")
		s.tables = append(s.tables, table{name: name, columns: []Column{{"m", Text}, {"n", Int}}})
		// A query in there is an error of PostgreSQL's own.
		return "JSON_TABLE(" + g.param() + "::jsonb, '$[*]' PASSING " + g.leaf(pick(g, Text, Int)) + " AS a COLUMNS (m text PATH '$', n FOR ORDINALITY)) AS " + quote(name)
	case n < 30:
		name := g.fresh("g")
		s.tables = append(s.tables, table{name: name, columns: []Column{{name, Int}}})
		return "generate_series(1, 3) AS " + quote(name)
	case n < 45 && len(g.ctes) > 0:
		c := pick(g, g.ctes...)
		text := quote(c.name)
		if g.chance(50) {
			c.name = g.fresh("k")
			text += " AS " + quote(c.name)
		}
		s.tables = append(s.tables, c)
		return text
	}
	t := pick(g, Tables...)
	if t.Name == "logs" && g.chance(60) {
		t = Tables[0]
	}
	text := g.tableName(t)
	name, columns := t.Name, t.Columns
	if g.chance(60) {
		name = g.fresh("u")
		text += pick(g, " ", " AS ") + quote(name)
		if g.chance(12) {
			columns = named(columns[:1+g.rand.IntN(len(columns))], "a")
			text += "(" + names(columns) + ")"
			columns = append(columns, t.Columns[len(columns):]...)
		}
	}
	s.tables = append(s.tables, table{name, columns, true})
	return text
}

// column returns a column of a kind that is in scope, "" for none.
func (g *Generator) column(k Kind) string {
	if g.odd() {
		k = pick(g, Text, Det, Rnd, Int)
	}
	if g.odd() && g.chance(30) {
		return quote(pick(g, "email", "ssn", "name", "id", "nope", "E-Mail", "status"))
	}
	return g.columnOf(k, false)
}

// columnOf is column without oddities, but that an unqualified name may mean something else. Real is for tables' own columns only.
func (g *Generator) columnOf(k Kind, real bool) string {
	var found []string
	for i := len(g.scopes) - 1; i >= 0; i-- {
		for _, t := range g.scopes[i].tables {
			for _, c := range t.columns {
				if c.Kind != k || real && !t.real {
					continue
				}
				n := 1
				for _, o := range g.scopes[i].tables {
					for _, d := range o.columns {
						if d.Name == c.Name {
							n++
						}
					}
				}
				if n == 2 && g.chance(50) || g.chance(3) {
					found = append(found, quote(c.Name))
				} else if t.real && !real && g.chance(5) {
					found = append(found, "("+quote(t.name)+")."+quote(c.Name))
				} else {
					found = append(found, quote(t.name)+"."+quote(c.Name))
				}
			}
		}
		if len(found) > 0 && g.chance(80) {
			break
		}
	}
	if len(found) == 0 {
		return ""
	}
	return pick(g, found...)
}

// leaf makes an expression without others in it.
func (g *Generator) leaf(k Kind) string {
	if g.odd() {
		k = pick(g, Text, Det, Rnd)
	}
	switch k {
	case Int:
		return g.one(func() string { return g.param() + "::bigint" }, func() string { return fmt.Sprint(g.rand.IntN(9)) })
	case Bool:
		return pick(g, "true", "false")
	case Text:
		if g.chance(40) {
			return "'x'"
		}
	case Det, Rnd:
		if g.odd() {
			return "'x'"
		}
	}
	if g.chance(25) {
		return g.param() + Cast + pick(g, "::text", "::varchar")
	}
	return g.param()
}

// expr makes an expression of a kind.
func (g *Generator) expr(k Kind) string {
	if g.odd() {
		k = pick(g, Text, Det, Rnd, Int)
	}
	g.depth++
	defer func() { g.depth-- }()
	if k == Bool {
		return g.condition()
	}
	if g.depth > 5 || g.chance(30) {
		return g.leaf(k)
	}
	if g.chance(60) {
		if c := g.column(k); c != "" {
			if k == Text || k == Int || !g.chance(4) {
				return c
			}
			if c := g.columnOf(k, true); strings.Contains(c, ".") {
				return c + Cast + "::text"
			}
			return c
		}
		return g.leaf(k)
	}
	switch k {
	case Int:
		return g.one(
			func() string { return g.expr(Int) + " + " + g.expr(Int) },
			func() string { return "length(" + g.expr(Text) + ")" },
			func() string {
				s := &scope{}
				g.scopes = append(g.scopes, s)
				from := g.from(s)
				text := "(SELECT count(" + g.one(func() string { return "*" }, func() string { return cmp.Or(g.column(pick(g, Det, Rnd)), "*") }) + ") FROM " + from + " WHERE " + g.expr(Bool) + ")"
				g.scopes = g.scopes[:len(g.scopes)-1]
				return text
			},
		)
	case Text:
		if g.chance(40) {
			return g.one(
				func() string { return "lower(" + g.expr(Text) + ")" },
				func() string { return "(" + g.expr(Text) + " || " + g.expr(Text) + ")" },
				func() string { return "CASE WHEN " + g.expr(Bool) + " THEN 'a' ELSE 'b' END" },
			)
		}
	}
	return g.one(
		func() string {
			if g.chance(20) {
				return "COALESCE(" + g.expr(k) + ", NULL)"
			}
			return "COALESCE(" + g.expr(k) + ", " + g.expr(k) + ")"
		},
		func() string {
			return "CASE WHEN " + g.expr(Bool) + " THEN " + g.expr(k) + " ELSE " + g.expr(k) + " END"
		},
		func() string { return "NULLIF(" + g.expr(k) + ", " + g.expr(k) + ")" },
		func() string {
			if g.depth > 4 {
				return g.leaf(k)
			}
			q, _ := g.query([]Kind{k})
			return "(" + q + ")"
		},
		func() string { return "(" + g.expr(k) + ")" },
	)
}

// condition makes an expression that is true or false.
func (g *Generator) condition() string {
	if g.depth > 6 {
		return pick(g, "true", "false")
	}
	if g.chance(25) {
		return g.one(
			func() string { return g.expr(Bool) + " AND " + g.expr(Bool) },
			func() string { return "(" + g.expr(Bool) + " OR " + g.expr(Bool) + ")" },
			func() string { return "NOT (" + g.expr(Bool) + ")" },
			func() string {
				if c := g.column(pick(g, Det, Rnd, Text)); c != "" {
					return c + pick(g, " IS NULL", " IS NOT NULL")
				}
				return g.param() + Cast + "::text IS NULL"
			},
			func() string {
				if s := g.scopes; len(s) > 0 && len(s[len(s)-1].tables) > 0 {
					return quote(pick(g, s[len(s)-1].tables...).name) + " IS NOT NULL"
				}
				return "true"
			},
			func() string {
				if g.depth > 3 {
					return "true"
				}
				q, _ := g.query(g.kinds())
				return "EXISTS (" + q + ")"
			},
			func() string {
				if c := g.column(Bool); c != "" {
					return c
				}
				return "true"
			},
		)
	}
	k := pick(g, Det, Det, Det, Det, Text, Int)
	if g.odd() {
		k = Rnd
	}
	left := g.expr(k)
	switch n := g.rand.IntN(100); {
	case n < 45:
		return left + " = " + g.expr(k)
	case n < 52:
		return left + " <> " + g.expr(k)
	case n < 60:
		list := make([]string, 1+g.rand.IntN(3))
		for i := range list {
			list[i] = g.expr(k)
		}
		return left + pick(g, " IN (", " NOT IN (") + strings.Join(list, ", ") + ")"
	case n < 66 && k != Int:
		cast := ""
		if g.chance(50) {
			cast = Cast + "::text[]"
		}
		return left + pick(g, " = ANY(", " <> ALL(") + g.param() + cast + ")"
	case n < 69:
		return left + " = ANY(ARRAY[" + g.expr(k) + ", " + g.expr(k) + "])"
	case n < 76:
		return left + pick(g, " IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + g.expr(k)
	case n < 84 && g.depth < 4:
		q, _ := g.query([]Kind{k})
		return left + pick(g, " IN (", " NOT IN (", " = ANY (") + q + ")"
	case n < 91:
		other := pick(g, Det, Text, Int)
		if g.chance(20) && g.depth < 4 {
			q, _ := g.query([]Kind{k, other})
			return "(" + left + ", " + g.expr(other) + ") " + pick(g, "=", "IN") + " (" + q + ")"
		}
		return "(" + left + ", " + g.expr(other) + ") = (" + g.expr(k) + ", " + g.expr(other) + ")"
	case n < 93:
		return "CASE " + left + " WHEN " + g.expr(k) + " THEN true ELSE false END"
	case n < 97 && k == Text, g.odd():
		return left + pick(g, " LIKE ", " < ", " || 'x' = ") + g.expr(k)
	}
	return left + " = " + g.expr(k)
}
