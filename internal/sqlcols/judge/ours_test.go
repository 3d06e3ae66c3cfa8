package judge

import (
	"slices"
	"strings"

	"github.com/pganon/pganon/internal/sqlcols"
)

func ourStatement(s sqlcols.Statement) string {
	switch s := s.(type) {
	case *sqlcols.Query:
		return ourQuery(s)
	case *sqlcols.Insert:
		source := "_"
		if s.Source != nil {
			source = ourQuery(s.Source)
		}
		return node("insert", ourWith(s.With), ourTable(s.Table), list(s.Columns, ourTarget), yes("overriding", s.Overriding), source,
			ourConflict(s.Conflict), ourReturning(s.Returning))
	case *sqlcols.Update:
		return node("update", ourWith(s.With), ourTable(s.Table), list(s.Set, ourAssignment), list(s.From, ourFrom),
			ourWhere(s.Where, s.CurrentOf), ourReturning(s.Returning))
	case *sqlcols.Delete:
		return node("delete", ourWith(s.With), ourTable(s.Table), list(s.Using, ourFrom), ourWhere(s.Where, s.CurrentOf),
			ourReturning(s.Returning))
	case *sqlcols.Merge:
		return node("merge", ourWith(s.With), ourTable(s.Target), ourFrom(s.Source), ourExpr(s.On), list(s.Whens, ourWhen),
			ourReturning(s.Returning))
	case *sqlcols.Explain:
		return node("explain", ourStatement(s.Statement))
	case *sqlcols.Declare:
		return node("declare", s.Cursor.Text, ourQuery(s.Query))
	}
	return "(unknown statement)"
}

func ourWhen(w sqlcols.MergeWhen) string {
	kind := "not-matched"
	switch {
	case w.Matched:
		kind = "matched"
	case w.BySource:
		kind = "not-matched-by-source"
	}
	return node("when", kind, ourExpr(w.And), w.Action, list(w.Columns, ourTarget), list(w.Values, ourExpr), list(w.Set, ourAssignment))
}

func ourWhere(where sqlcols.Expr, current *sqlcols.Name) string {
	if current != nil {
		return node("current-of", current.Text)
	}
	return ourExpr(where)
}

func ourWith(w *sqlcols.With) string {
	if w == nil {
		return "_"
	}
	return node("with", yes("recursive", w.Recursive), list(w.Tables, func(c sqlcols.CTE) string {
		return node("cte", c.Name.Text, list(c.Columns, ourName), ourStatement(c.Statement), list(c.Uses, ourName), list(c.Adds, ourName),
			list(c.CycleMarks, ourExpr))
	}))
}

func ourName(n sqlcols.Name) string { return quote(n.Text) }

func ourNamep(n *sqlcols.Name) string {
	if n == nil {
		return "_"
	}
	return ourName(*n)
}

func ourQuery(q *sqlcols.Query) string {
	var body string
	switch b := q.Body.(type) {
	case *sqlcols.Select:
		distinct := "_"
		if b.Distinct {
			distinct = node("distinct", list(b.DistinctOn, ourExpr))
		}
		body = node("select", distinct, list(b.Items, ourItem), yes("into", b.Into), list(b.From, ourFrom), ourExpr(b.Where),
			list(b.GroupBy, ourExpr), ourExpr(b.Having), list(b.Windows, func(w sqlcols.Window) string { return ourWindow(&w) }))
	case *sqlcols.Values:
		body = node("values", list(b.Rows, func(row []sqlcols.Expr) string { return list(row, ourExpr) }))
	case *sqlcols.SetOperation:
		body = node(b.Op, yes("all", b.All), ourQuery(b.Left), ourQuery(b.Right))
	}
	limit := ourExpr(q.Limit)
	if l, ok := q.Limit.(*sqlcols.Literal); ok && l.Kind == sqlcols.Null {
		limit = "_"
	}
	return node("query", ourWith(q.With), body, list(q.OrderBy, ourSort), limit, ourExpr(q.Offset),
		list(q.Locks, func(l sqlcols.Lock) string { return list(l.Of, ourRelation) }))
}

func ourItem(i sqlcols.Item) string {
	if i.Alias == nil {
		return ourExpr(i.X)
	}
	return node("as", ourExpr(i.X), ourName(*i.Alias))
}

func ourSort(s sqlcols.SortItem) string {
	if s.Using == "" {
		return ourExpr(s.X)
	}
	return node("using", ourExpr(s.X), s.Using)
}

func ourWindow(w *sqlcols.Window) string {
	if w == nil {
		return "_"
	}
	return node("window", ourNamep(w.Name), ourNamep(w.Base), list(w.PartitionBy, ourExpr), list(w.OrderBy, ourSort),
		list(w.Frame, ourExpr))
}

func ourRelation(r sqlcols.RelationName) string {
	return at("rel", r.Start, ourNamep(r.Catalog), ourNamep(r.Schema), ourName(r.Name))
}

func ourAlias(a *sqlcols.Alias) string {
	if a == nil {
		return "_"
	}
	if a.Types {
		name := "_"
		if a.Name.Text != "" {
			name = node("alias", ourName(a.Name), "[]")
		}
		return name + " " + ourDefinitions(a)
	}
	return node("alias", ourName(a.Name), list(a.Columns, ourName))
}

func ourDefinitions(a *sqlcols.Alias) string {
	if a == nil {
		return "[]"
	}
	parts := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		parts[i] = ourName(c) + " " + ourType(a.Definitions[i])
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func ourTable(t *sqlcols.TableRef) string {
	return node("table", ourRelation(t.Name), yes("only", t.Only), ourAlias(t.Alias), list(t.Sample, ourExpr))
}

func ourFrom(f sqlcols.From) string {
	switch f := f.(type) {
	case *sqlcols.TableRef:
		return ourTable(f)
	case *sqlcols.SubqueryRef:
		return node("subquery", yes("lateral", f.Lateral), ourQuery(f.Query), ourAlias(f.Alias))
	case *sqlcols.FunctionRef:
		calls := make([]string, len(f.Calls))
		for i, c := range f.Calls {
			calls[i] = ourExpr(c)
			if f.RowsFrom {
				calls[i] += " " + ourDefinitions(f.CallAliases[i])
			}
		}
		alias := ourAlias(f.Alias)
		if f.Alias == nil || !f.Alias.Types {
			alias += " []"
		}
		return node("function", yes("lateral", f.Lateral), "["+strings.Join(calls, " ")+"]", yes("rows", f.RowsFrom),
			yes("ordinality", f.Ordinality), alias)
	case *sqlcols.TableFunctionRef:
		args := make([]string, len(f.Args))
		for i, a := range f.Args {
			args[i] = ourExpr(a)
		}
		slices.Sort(args)
		return node(f.Name, yes("lateral", f.Lateral), list(args, func(s string) string { return s }), list(f.Columns, ourName), ourAlias(f.Alias))
	case *sqlcols.Join:
		kind := f.Kind
		if kind == "cross" {
			kind = "inner"
		}
		return node("join", kind, yes("natural", f.Natural), ourFrom(f.Left), ourFrom(f.Right), ourExpr(f.On), list(f.Using, ourName),
			ourNamep(f.UsingAlias), ourAlias(f.Alias))
	}
	return "(unknown from)"
}

func ourTarget(t sqlcols.Target) string {
	return at("target", t.Start, ourName(t.Column), yes("below", t.Below), list(t.Path, ourExpr))
}

func ourAssignment(a sqlcols.Assignment) string {
	return node("set", list(a.Targets, ourTarget), yes("multi", a.Multi), ourExpr(a.Value))
}

func ourConflict(c *sqlcols.Conflict) string {
	if c == nil {
		return "_"
	}
	return node("conflict", list(c.Elements, func(e sqlcols.ConflictElement) string {
		if ref, ok := e.X.(*sqlcols.ColumnRef); ok && len(ref.Parts) == 1 {
			return ourName(ref.Parts[0])
		}
		return ourExpr(e.X)
	}), ourExpr(c.Where), ourNamep(c.Constraint), yes("update", c.Update), list(c.Set, ourAssignment), ourExpr(c.SetWhere))
}

func ourReturning(r *sqlcols.Returning) string {
	if r == nil {
		return "[]"
	}
	return list(r.Items, ourItem)
}

func ourNames(names []sqlcols.Name) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = ourName(n)
	}
	return strings.Join(parts, ".")
}

func ourType(t sqlcols.Type) string {
	mods := list(t.Mods, ourExpr)
	name := strings.TrimPrefix(ourNames(t.Names), `"pg_catalog".`)
	if name == `"interval"` {
		mods = "[]"
	}
	return node("type", name, mods, yes("array", t.Array), yes("setof", t.SetOf))
}

func ourOperator(op sqlcols.Operator) string {
	if op.Schema != nil {
		return ourName(*op.Schema) + "." + op.Symbol
	}
	return op.Symbol
}

func ourPath(x sqlcols.Expr) (sqlcols.Expr, []string) {
	switch x := x.(type) {
	case *sqlcols.Field:
		inner, path := ourPath(x.X)
		if x.Star {
			return inner, append(path, "*")
		}
		return inner, append(path, ourName(x.Name))
	case *sqlcols.Subscript:
		inner, path := ourPath(x.X)
		return inner, append(path, yes("slice", x.Slice)+list(x.At, ourExpr))
	}
	return x, nil
}

func ourExpr(x sqlcols.Expr) string {
	switch x := x.(type) {
	case nil:
		return "_"
	case *sqlcols.ColumnRef:
		return at("col", x.Start, ourNames(x.Parts))
	case *sqlcols.Star:
		if len(x.Parts) == 0 {
			return "(col *)"
		}
		return at("col", x.Start, ourNames(x.Parts)+".*")
	case *sqlcols.Param:
		return at("param", x.Start, number(itoa(x.N)))
	case *sqlcols.Literal:
		switch x.Kind {
		case sqlcols.Null:
			return at("null", x.Start)
		case sqlcols.String:
			return at("str", x.Start, quote(x.Text))
		case sqlcols.Number:
			return at("num", x.Start, number(x.Text))
		case sqlcols.Bits:
			return at("bits", x.Start, quote(x.Text))
		}
		return at("bool", x.Start)
	case *sqlcols.Default:
		return "default"
	case *sqlcols.Cast:
		return node("cast", ourExpr(x.X), ourType(x.Type))
	case *sqlcols.Unary:
		if x.Op.Symbol == "-" && x.Op.Schema == nil {
			if n, ok := ourNumber(x); ok {
				return at("num", x.Start, n)
			}
			if l, ok := x.X.(*sqlcols.Literal); ok { // the server moves constants to their sign
				moved := *l
				moved.Start = x.Start
				return at("op", x.Op.Start, "-", "_", ourExpr(&moved))
			}
		}
		return at("op", x.Op.Start, ourOperator(x.Op), "_", ourExpr(x.X))
	case *sqlcols.Binary:
		if x.Op.Word != "" {
			return at("like", x.Op.Start, x.Op.Symbol, ourExpr(x.L), ourExpr(x.R), ourExpr(x.Escape))
		}
		return at("op", x.Op.Start, ourOperator(x.Op), ourExpr(x.L), ourExpr(x.R))
	case *sqlcols.Logic:
		return node(x.Op, list(x.Args, ourExpr))
	case *sqlcols.Is:
		return ourIs(x)
	case *sqlcols.DistinctFrom:
		return node("distinct", yes("not", x.Not), ourExpr(x.L), ourExpr(x.R))
	case *sqlcols.Between:
		return node("between", yes("not", x.Not), ourExpr(x.X), ourExpr(x.Low), ourExpr(x.High))
	case *sqlcols.In:
		if x.Query != nil {
			in := node("inquery", ourExpr(x.X), ourQuery(x.Query))
			if x.Not {
				return node("not", "["+in+"]")
			}
			return in
		}
		return node("in", yes("not", x.Not), ourExpr(x.X), list(x.List, ourExpr))
	case *sqlcols.Any:
		kind := "any"
		if x.All {
			kind = "all"
		}
		if x.Query != nil {
			return node(kind+"query", ourOperator(x.Op), ourExpr(x.X), ourQuery(x.Query))
		}
		return at(kind, x.Op.Start, ourOperator(x.Op), ourExpr(x.X), ourExpr(x.Array))
	case *sqlcols.Row:
		return node("row", yes("explicit", x.Explicit), list(x.Items, ourExpr))
	case *sqlcols.Array:
		return node("array", list(x.Items, ourExpr))
	case *sqlcols.ArrayQuery:
		return node("arrayquery", ourQuery(x.Query))
	case *sqlcols.Subquery:
		return node("sub", ourQuery(x.Query))
	case *sqlcols.Exists:
		return node("exists", ourQuery(x.Query))
	case *sqlcols.Subscript, *sqlcols.Field:
		inner, path := ourPath(x)
		return node("path", ourExpr(inner), strings.Join(path, " "))
	case *sqlcols.Case:
		return node("case", ourExpr(x.Operand), list(x.Whens, func(w sqlcols.When) string {
			return node("when", ourExpr(w.If), ourExpr(w.Then))
		}), ourExpr(x.Else))
	case *sqlcols.Collate:
		return node("collate", ourExpr(x.X))
	case *sqlcols.AtTimeZone:
		return node("attimezone", ourExpr(x.X), ourExpr(x.Zone))
	case *sqlcols.Overlaps:
		return node("overlaps", ourExpr(x.L.(*sqlcols.Row).Items[0]), ourExpr(x.L.(*sqlcols.Row).Items[1]),
			ourExpr(x.R.(*sqlcols.Row).Items[0]), ourExpr(x.R.(*sqlcols.Row).Items[1]))
	case *sqlcols.Call:
		return ourCall(x)
	}
	return "(unknown expression)"
}

// ourNumber returns what a number is with the signs before it.
func ourNumber(x sqlcols.Expr) (string, bool) {
	switch x := x.(type) {
	case *sqlcols.Literal:
		return number(x.Text), x.Kind == sqlcols.Number
	case *sqlcols.Unary:
		if x.Op.Symbol == "-" && x.Op.Schema == nil {
			n, ok := ourNumber(x.X)
			return negated(n), ok
		}
	}
	return "", false
}

func ourIs(x *sqlcols.Is) string {
	is := node("is", x.What, ourExpr(x.X))
	if !x.Not {
		return is
	}
	switch x.What {
	case "document", "normalized", "json":
		return node("not", "["+is+"]")
	}
	return node("isnot", x.What, ourExpr(x.X))
}

func ourCall(x *sqlcols.Call) string {
	args := make([]string, len(x.Args))
	for i, a := range x.Args {
		args[i] = ourExpr(a.X)
		if a.Name != nil {
			args[i] = node("named", ourName(*a.Name), args[i])
		}
	}
	switch x.Keyword {
	case "":
	case "trim", "ltrim", "rtrim":
		slices.Sort(args)
	case "substring":
		slices.Sort(args[1:])
	case "json_object", "json_objectagg", "json_arrayagg", "json_array", "json_query", "json_value", "json_exists":
		return node("kw", x.Keyword, "["+strings.Join(args, " ")+"]", list(x.OrderBy, ourSort), ourExpr(x.Filter), ourWindow(ourOver(x.Over)))
	default:
	}
	if x.Keyword != "" {
		return node("kw", x.Keyword, "["+strings.Join(args, " ")+"]")
	}
	return at("call", x.Start, ourNames(x.Name), "["+strings.Join(args, " ")+"]", yes("star", x.Star), yes("distinct", x.Distinct),
		yes("variadic", x.Variadic), list(x.OrderBy, ourSort), yes("within", x.WithinGroup), ourExpr(x.Filter), ourWindow(ourOver(x.Over)))
}

// ourOver prints OVER name as the server keeps it: as the window's own name.
func ourOver(w *sqlcols.Window) *sqlcols.Window {
	if w == nil || w.Base == nil || w.Start != w.Base.Start {
		return w
	}
	return &sqlcols.Window{Name: w.Base}
}
