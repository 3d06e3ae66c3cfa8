package sqlcols

import "slices"

// call analyses a function's call, or what looks like one.
func (r *resolver) call(s *scope, x *Call) value {
	if x.Keyword != "" {
		return r.keyword(s, x)
	}
	name := x.Name[len(x.Name)-1].Text
	schema := ""
	if n := len(x.Name); n > 1 {
		schema = x.Name[n-2].Text
	}
	if x.Filter != nil {
		r.condition(s, x.Filter)
	}
	if x.Over != nil {
		r.window(s, x.Over)
	}
	for i := range x.OrderBy {
		r.clause(s, x.OrderBy[i].X, "ORDER BY")
	}
	var few [4]operand
	args := few[:0]
	for _, arg := range x.Args {
		args = append(args, r.operand(s, arg.X))
	}
	if functions := r.schema.Functions(schema, name); functions != nil {
		result, _ := r.tagged(x, schema, name, functions, args)
		return result
	}
	if len(args) == 1 && !x.Variadic && x.Args[0].Name == nil && (schema == "" || schema == "pg_catalog") {
		v, at := &args[0].value, args[0].x.Pos()
		switch name {
		case "count":
			if x.Distinct {
				r.groupBy(v, at, "count(DISTINCT)")
			}
			return value{other: aComputation}
		case "array_agg":
			if v.array || v.row != nil || v.isPlain() {
				break
			}
			if x.Distinct {
				r.groupBy(v, at, "array_agg(DISTINCT)")
			}
			return arrayOf(v)
		case "unnest":
			if x.Distinct || v.isPlain() {
				break
			}
			return r.element(v, at)
		}
	}
	result := value{other: aComputation}
	for i := range args {
		r.consume(&args[i].value, args[i].x.Pos(), use{form: useFunction, name: name})
		result.compute(&args[i].value)
	}
	return result
}

// window analyses the definition of a window.
func (r *resolver) window(s *scope, w *Window) {
	for _, x := range w.PartitionBy {
		v := r.expr(s, x)
		r.groupBy(&v, x.Pos(), "PARTITION BY")
	}
	for i := range w.OrderBy {
		r.clause(s, w.OrderBy[i].X, "ORDER BY")
	}
	for _, x := range w.Frame {
		r.clause(s, x, "frame of a window")
	}
}

// keyword analyses what the grammar has words of its own for.
func (r *resolver) keyword(s *scope, x *Call) value {
	switch x.Keyword {
	case "coalesce":
		var g gathering
		for _, arg := range x.Args {
			v := r.expr(s, arg.X)
			r.gather(&g, &v, arg.X.Pos())
		}
		return g.value
	case "nullif":
		if len(x.Args) == 2 {
			a, b := r.operand(s, x.Args[0].X), r.operand(s, x.Args[1].X)
			r.compare(&comparing{op: "NULLIF", whole: x.Span}, &a, &b)
			if a.isNull() {
				return value{other: aComputation} // of a type that only the server knows
			}
			a.direct = false
			return a.value
		}
	case "system_user":
		if m := r.column(s, x.Keyword, false); m.n > 0 {
			if v := r.valueAt(m.place); !v.isPlain() {
				return r.useAll(x.Span, use{form: useClause, name: "the name of a column before PostgreSQL 16, a keyword since: put quotes around it"}, &v)
			}
		}
	case "grouping":
		for _, arg := range x.Args {
			r.expr(s, arg.X)
		}
		return value{other: aComputation}
	}
	if x.Filter != nil {
		r.condition(s, x.Filter)
	}
	if x.Over != nil {
		r.window(s, x.Over)
	}
	for i := range x.OrderBy {
		r.clause(s, x.OrderBy[i].X, "ORDER BY")
	}
	result := value{other: aComputation}
	for _, arg := range x.Args {
		v := r.expr(s, arg.X)
		r.consume(&v, arg.X.Pos(), use{form: useFunction, name: x.Keyword})
		result.compute(&v)
	}
	return result
}

// tagged analyses the call of a name that has functions with an encrypted argument or result, and returns its result and its columns.
// Which of several functions the server takes is for the server to say: those that it could be must agree.
func (r *resolver) tagged(x *Call, schema, name string, functions []Function, args []operand) (value, *item) {
	refuse := func(reason string) (value, *item) {
		r.refuse(x.Span, Origin{}, 0, name+"(): "+reason)
		return value{other: aComputation}, &item{open: true}
	}
	if x.Variadic || slices.ContainsFunc(x.Args, func(a Arg) bool { return a.Name != nil }) {
		return refuse("has an encrypted argument or result, and is called with VARIADIC or names of arguments")
	}
	var first *Function
	for i := range functions {
		f := &functions[i]
		if len(f.Args) < len(args) {
			continue
		}
		if first == nil {
			first = f
		} else if f.Result != first.Result || !slices.Equal(f.Args[:len(args)], first.Args[:len(args)]) || !f.wrapsAs(first, len(args)) ||
			!slices.EqualFunc(f.Columns, first.Columns, func(a, b Column) bool { return a.Name == b.Name && a.Key == b.Key }) {
			return refuse("functions of that name differ in what is encrypted")
		}
	}
	if first == nil {
		return refuse("no function of that name has so many arguments")
	}
	result := value{other: aComputation}
	for i := range args {
		arg := &args[i]
		if key := first.Args[i]; key != nil {
			r.argument(&arg.value, key, name, arg.x.Pos())
			continue
		}
		if first.wraps(i) && !arg.isNull() {
			r.refuse(arg.x.Pos(), Origin{}, 0, "argument of "+name+"(): its type holds encrypted values inside, in an array, a row or a range: that is not supported")
		}
		r.consume(&arg.value, arg.x.Pos(), use{form: useFunction, name: name})
		result.compute(&arg.value)
	}
	relation := &Relation{Schema: schema, Name: name, Columns: first.Columns}
	switch {
	case first.Result != nil:
		relation.Columns = []Column{{Name: name, Key: first.Result}}
		result = r.columnValue(relation, 0)
		result.typ, result.direct = typOther, false
	case len(first.Columns) > 0:
		result = r.wholeRow(&item{relation: relation}, x.Span)
	default:
		return result, &item{open: true}
	}
	return result, &item{relation: relation}
}

func (f *Function) wraps(arg int) bool { return f.Wraps != nil && f.Wraps[arg] }

// wrapsAs says whether the first n arguments wrap as those of another function do.
func (f *Function) wrapsAs(other *Function, n int) bool {
	for i := range n {
		if f.wraps(i) != other.wraps(i) {
			return false
		}
	}
	return true
}

// argument says that v is given to a function whose argument has a label.
func (r *resolver) argument(v *value, key *Key, name string, at Span) {
	what := "argument of " + name + "()"
	refuse := func(parameter int, reason string) { r.refuse(at, Origin{}, parameter, what+": "+reason) }
	if v.array || v.row != nil {
		refuse(0, "an array or row for an encrypted value")
		return
	}
	for _, o := range v.origins {
		if v.key != key {
			r.refuse(at, o, 0, o.String()+" meets "+what+", which has another key").alone = true
		}
	}
	for _, p := range v.params {
		r.meet(p, Meeting{Use: Argument, Key: key, function: name})
	}
	switch {
	case v.other == aLiteral:
		refuse(0, "literal for an encrypted value")
	case v.other == anotherColumn:
		refuse(0, "column "+v.column.String()+" for an encrypted value")
	case v.other == aComputation && v.through != 0:
		refuse(v.through, reaches(v.through))
	case v.other == aComputation:
		refuse(0, "computed value for an encrypted one")
	}
}

// scalars are functions of PostgreSQL's own that return sets of one plain column: its name, or "" where that is the alias's.
var scalars = map[string]string{
	"generate_series": "", "generate_subscripts": "", "regexp_split_to_table": "", "string_to_table": "", "regexp_matches": "",
	"json_array_elements": "value", "json_array_elements_text": "value", "jsonb_array_elements": "value", "jsonb_array_elements_text": "value",
	"json_object_keys": "", "jsonb_object_keys": "", "jsonb_path_query": "",
}

// functionItem returns the item of a function in FROM.
func (r *resolver) functionItem(s *scope, f *FunctionRef) *item {
	it := &item{noName: true}
	was := s.lateral
	s.lateral = true
	for i, x := range f.Calls {
		var own *Alias
		if i < len(f.CallAliases) {
			own = f.CallAliases[i]
		}
		r.functionColumns(s, it, f, x, own)
	}
	s.lateral = was
	if call, ok := f.Calls[0].(*Call); ok && it.name == "" && len(call.Name) > 0 {
		it.name, it.noName = call.Name[len(call.Name)-1].Text, false
	} else if it.name == "" {
		it.name, it.noName = r.nameOf(f.Calls[0]), false
	}
	it.aliased = true
	if f.Ordinality {
		it.columns = append(it.columns, column{name: "ordinality", value: value{other: aComputation}, at: f.Span})
	}
	if f.Alias == nil || !f.Alias.Types {
		it.alias(f.Alias)
		return it
	}
	if f.Alias.Name.Text != "" {
		it.name = f.Alias.Name.Text
	}
	it.columns, it.open = defined(f.Alias), false
	return it
}

// defined returns the columns of a list of definitions.
func defined(a *Alias) []column {
	columns := make([]column, len(a.Columns))
	for i, name := range a.Columns {
		columns[i] = column{name: name.Text, value: value{other: aComputation}, at: name.Span}
	}
	return columns
}

// functionColumns adds the columns of one call in FROM.
func (r *resolver) functionColumns(s *scope, it *item, f *FunctionRef, x Expr, own *Alias) {
	add := func(name string, v value) { it.columns = append(it.columns, column{name: name, value: v, at: x.Pos()}) }
	call, ok := x.(*Call)
	if !ok || call.Keyword != "" {
		v := r.expr(s, x)
		add(scalarName(f, r.nameOf(x)), v)
		return
	}
	name := call.Name[len(call.Name)-1].Text
	schema := ""
	if n := len(call.Name); n > 1 {
		schema = call.Name[n-2].Text
	}
	if functions := r.schema.Functions(schema, name); functions != nil {
		args := make([]operand, len(call.Args))
		for i, arg := range call.Args {
			args[i] = r.operand(s, arg.X)
		}
		_, made := r.tagged(call, schema, name, functions, args)
		if made.open {
			it.open = true
			return
		}
		for i := range made.relation.Columns {
			c := made.relation.Columns[i].Name
			if len(made.relation.Columns) == 1 && c == name {
				c = scalarName(f, name)
			}
			v := r.columnValue(made.relation, i)
			v.direct = false
			add(c, v)
		}
		return
	}
	if own != nil {
		r.expr(s, x)
		it.columns = append(it.columns, defined(own)...)
		return
	}
	if schema != "" && schema != "pg_catalog" {
		r.expr(s, x)
		it.open = true
		return
	}
	if name == "unnest" && !call.Variadic {
		for i := range call.Args {
			arg := call.Args[i].X
			v := r.expr(s, arg)
			if v.isPlain() && !isArrayOfScalars(arg) {
				it.open = true // an array of rows has their columns
				continue
			}
			column := name
			if len(call.Args) == 1 {
				column = scalarName(f, name)
			}
			add(column, r.element(&v, arg.Pos()))
		}
		return
	}
	v := r.expr(s, x)
	if column, ok := scalars[name]; ok {
		if column == "" {
			column = scalarName(f, name)
		}
		v.direct = false
		add(column, v)
		return
	}
	switch name {
	case "json_each", "json_each_text", "jsonb_each", "jsonb_each_text":
		add("key", value{other: aComputation})
		add("value", value{other: aComputation})
	default:
		it.open = true
	}
}

// scalarName returns the name of the only column of a function in FROM: the alias's, unless there are several functions.
func scalarName(f *FunctionRef, name string) string {
	if f.Alias != nil && len(f.Calls) == 1 && !f.Alias.Types && f.Alias.Name.Text != "" {
		return f.Alias.Name.Text
	}
	return name
}

// isArrayOfScalars says whether an array's type can be seen to have no rows for elements.
func isArrayOfScalars(x Expr) bool {
	cast, ok := x.(*Cast)
	if !ok || !cast.Type.Array {
		return false
	}
	switch cast.Type.Names[len(cast.Type.Names)-1].Text {
	case "text", "varchar", "bpchar", "bool", "int2", "int4", "int8", "integer", "bigint", "smallint", "numeric", "float4", "float8", "uuid",
		"date", "timestamp", "timestamptz", "time", "timetz", "interval", "bytea", "json", "jsonb", "inet":
		return len(cast.Type.Names) == 1
	}
	return false
}
