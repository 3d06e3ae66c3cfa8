package sqlcols

import (
	"strconv"
	"strings"
)

// columnRef resolves a column's name. One that means nothing has the value of NULL, for which there is no second reason to refuse it.
func (r *resolver) columnRef(s *scope, x *ColumnRef) value {
	r.step(1)
	last := &x.Parts[len(x.Parts)-1]
	if len(x.Parts) > 1 {
		it := r.itemOf(s, x.Parts[:len(x.Parts)-1], x.Span)
		if it == nil {
			return value{}
		}
		found, n := it.findAny(last.Text)
		switch {
		case n == 1:
			return r.valueAt(found)
		case n > 1:
			r.refuseUnknown(x.Span, "ambiguous column")
			return value{}
		case it.isOpen():
			return value{other: aComputation}
		}
		// The server would look for a function of the row, but a column may have come since the schema was read.
		r.refuseUnknown(x.Span, "unknown column")
		return value{}
	}
	m := r.column(s, last.Text, false)
	var v value
	switch {
	case m.n == 1:
		v = r.valueAt(m.place)
	case m.n > 1:
		r.refuseUnknown(x.Span, "ambiguous column")
		return value{}
	default:
		whole := r.itemNamed(s, last.Text, nil)
		switch {
		case whole.n == 1:
			v = r.wholeRow(whole.item, x.Span)
		case whole.n > 1:
			r.refuseUnknown(x.Span, "ambiguous table name")
			return value{}
		case m.open == nil:
			r.refuseUnknown(x.Span, "unknown column")
			return value{}
		default:
			return value{other: aComputation}
		}
	}
	if m.open != nil && !v.isPlain() {
		return r.useAll(x.Span, use{form: useClause, name: "a name that may be a column of " + m.open.name}, &v)
	}
	return v
}

// itemOf resolves the name in front of a column's; nil if there is none, which has been refused then.
func (r *resolver) itemOf(s *scope, parts []Name, at Span) *item {
	var qualified *Relation
	name := parts[len(parts)-1].Text
	if len(parts) > 1 {
		if qualified = r.schema.Relation(parts[len(parts)-2].Text, name); qualified == nil {
			r.refuseUnknown(at, "unknown relation")
			return nil
		}
	}
	m := r.itemNamed(s, name, qualified)
	switch {
	case m.n == 1:
		return m.item
	case m.n > 1:
		r.refuseUnknown(at, "ambiguous table name")
	default:
		r.refuseUnknown(at, "unknown table in front of a column")
	}
	return nil
}

// wholeRow returns the value of an item's row.
func (r *resolver) wholeRow(it *item, at Span) value {
	places := r.places(it)
	whole := &row{whole: true, renamed: len(it.renames) > 0, names: make([]string, len(places)), values: make([]value, len(places))}
	for i, p := range places {
		whole.names[i], whole.values[i] = p.name(), r.valueAt(p)
	}
	v := value{row: whole}
	if it.isOpen() {
		return r.useAll(at, use{form: useClause, name: "in a row whose number of columns is not known"}, &v)
	}
	return v
}

// expr analyses an expression.
func (r *resolver) expr(s *scope, x Expr) value {
	switch x := x.(type) { // what has nothing below it
	case *Param:
		n := len(r.occurred)
		r.parameterAt(x)
		return value{params: r.occurred[n : n+1 : n+1]}
	case *ColumnRef:
		return r.columnRef(s, x)
	case *Literal:
		if x.Kind == Null {
			return value{}
		}
		return value{other: aLiteral}
	}
	r.enter(x.Pos())
	defer r.leave()
	switch x := x.(type) {
	case *Star:
		if len(x.Parts) == 0 {
			r.refuseUnknown(x.Span, "* outside of a list of outputs")
		} else if it := r.itemOf(s, x.Parts, x.Span); it != nil {
			return r.wholeRow(it, x.Span)
		}
		return value{other: aComputation}
	case *Default:
		r.refuse(x.Span, Origin{}, 0, "unsupported: DEFAULT here")
		return value{}
	case *Cast:
		return r.cast(s, x)
	case *Unary:
		v := r.expr(s, x.X)
		return r.useAll(x.X.Pos(), use{form: useOperator, name: x.Op.Symbol}, &v)
	case *Binary:
		return r.binary(s, x)
	case *Logic:
		all := value{other: aComputation}
		for _, arg := range x.Args {
			v := r.expr(s, arg)
			r.consume(&v, arg.Pos(), use{form: useClause, name: conditional})
			all.compute(&v)
		}
		return all
	case *Is:
		v := r.expr(s, x.X)
		if x.What == "null" {
			return value{other: aComputation}
		}
		return r.useAll(x.X.Pos(), use{form: useOperator, name: "IS " + strings.ToUpper(x.What)}, &v)
	case *DistinctFrom:
		c := comparing{op: "IS DISTINCT FROM", whole: x.Span, kind: Distinct, widens: true}
		if x.Not {
			c.op, c.kind = "IS NOT DISTINCT FROM", NotDistinctFrom
		}
		l, m := r.operand(s, x.L), r.operand(s, x.R)
		r.compare(&c, &l, &m)
		return value{other: aComputation}
	case *Between:
		v, low, high := r.operand(s, x.X), r.operand(s, x.Low), r.operand(s, x.High)
		return r.operate("BETWEEN", &v, &low, &high)
	case *In:
		return r.in(s, x)
	case *Any:
		return r.any(s, x)
	case *Row:
		t := r.list(s, x.Items)
		for i := range t.columns {
			t.columns[i].name = "f" + strconv.Itoa(i+1)
		}
		return r.rowOf(&t, x.Span)
	case *Array:
		var g gathering
		for _, item := range x.Items {
			v := r.expr(s, item)
			if v.array || v.row != nil {
				v = r.useAll(item.Pos(), use{form: useClause, name: "in an array of arrays or rows"}, &v)
			}
			r.gather(&g, &v, item.Pos())
		}
		return arrayOf(&g.value)
	case *ArrayQuery:
		v := r.scalar(s, x.Query)
		if v.array || v.row != nil {
			return r.useAll(x.Span, use{form: useClause, name: "in an array of arrays or rows"}, &v)
		}
		return arrayOf(&v)
	case *Subscript:
		v := r.expr(s, x.X)
		for _, at := range x.At {
			r.clause(s, at, "subscript")
		}
		return r.useAll(x.X.Pos(), use{form: useClause, name: "subscript of it"}, &v)
	case *Field:
		return r.field(s, x)
	case *Case:
		return r.caseOf(s, x)
	case *Call:
		return r.call(s, x)
	case *Subquery:
		return r.scalar(s, x.Query)
	case *Exists:
		r.query(s, x.Query)
		return value{other: aComputation}
	case *Collate:
		v := r.expr(s, x.X)
		return r.useAll(x.X.Pos(), use{form: useClause, name: "COLLATE"}, &v)
	case *AtTimeZone:
		v := r.operand(s, x.X)
		if x.Zone == nil {
			return r.operate("AT LOCAL", &v)
		}
		zone := r.operand(s, x.Zone)
		return r.operate("AT TIME ZONE", &v, &zone)
	case *Overlaps:
		l, m := r.operand(s, x.L), r.operand(s, x.R)
		return r.operate("OVERLAPS", &l, &m)
	}
	panic(unsupported(x.Pos().Start, "expression"))
}

func (r *resolver) operand(s *scope, x Expr) operand { return operand{r.expr(s, x), x} }

// operate returns the value of an operator that is not for encrypted values.
func (r *resolver) operate(name string, operands ...*operand) value {
	result := value{other: aComputation}
	for i, o := range operands {
		u := use{form: useOperator, name: name}
		for j, p := range operands {
			if i != j && u.column.Column == nil {
				u.column = p.untagged()
			}
		}
		r.consume(&o.value, o.x.Pos(), u)
		result.compute(&o.value)
	}
	return result
}

// scalar returns the value of a sub-select: a row, where it has several columns.
func (r *resolver) scalar(s *scope, q *Query) value {
	t := r.query(s, q)
	if len(t.columns) > 0 {
		if r.scalarNames == nil {
			r.scalarNames = map[*Query]string{}
		}
		r.scalarNames[q] = t.columns[0].name
	}
	if len(t.columns) == 1 && !t.open {
		v := t.columns[0].value
		v.direct = false
		return v
	}
	return r.rowOf(&t, q.Span)
}

// rowOf returns the row of a table's columns.
func (r *resolver) rowOf(t *table, at Span) value {
	made := &row{names: make([]string, len(t.columns)), values: make([]value, len(t.columns))}
	for i := range t.columns {
		made.names[i], made.values[i] = t.columns[i].name, t.columns[i].value
	}
	v := value{row: made}
	if t.open {
		return r.useAll(at, use{form: useClause, name: "beside columns whose number is not known"}, &v)
	}
	return v
}

// arrayOf returns the value of an array whose elements may be v.
func arrayOf(v *value) value {
	a := *v
	a.array, a.direct = true, false
	return a
}

// typeOf says which type of unchanged values a cast to t leaves them, as one value or as an array; typOther for one that changes them.
func typeOf(t *Type) typ {
	n := len(t.Names)
	if n == 0 || n > 2 || n == 2 && t.Names[0].Text != "pg_catalog" || len(t.Mods) > 0 || t.SetOf {
		return typOther
	}
	switch t.Names[n-1].Text {
	case "text", "varchar":
		return typText
	case "bytea":
		return typBytea
	}
	return typOther
}

// cast analyses a cast: it leaves a value what it is, or is a computation.
func (r *resolver) cast(s *scope, x *Cast) value {
	v := r.expr(s, x.X)
	for _, mod := range x.Type.Mods {
		r.clause(s, mod, "length of a type")
	}
	t := typeOf(&x.Type)
	if v.isPlain() {
		if v.other == nothing {
			v.typ = t
			if x.Type.Array {
				v.typ = typOther
			}
		}
		if v.other == anotherColumn && (t == typOther || x.Type.Array) {
			return value{other: aComputation}
		}
		return v
	}
	if t != typOther && v.row == nil && len(v.taint) == 0 && (v.typ == typUnknown || v.typ == t) {
		_, bare := x.X.(*Param)
		if bare {
			r.params[v.params[0].n-1].casts |= castOf(t, x.Type.Array)
		}
		switch {
		case x.Type.Array == v.array:
			v.typ, v.direct = t, false
			return v
		case x.Type.Array && bare:
			p := v.params[0]
			p.array = true
			return value{params: []occurrence{p}, array: true, typ: t}
		}
	}
	u := use{form: useCast, name: "another type"}
	if n := len(x.Type.Names); n > 0 {
		u.name = x.Type.Names[n-1].Text
	}
	return r.useAll(x.X.Pos(), u, &v)
}

func (r *resolver) binary(s *scope, x *Binary) value {
	l, m := r.operand(s, x.L), r.operand(s, x.R)
	if symbol := x.Op.Symbol; (symbol == "=" || symbol == "<>") && x.Op.isOfPostgreSQL() {
		c := comparing{op: symbol, whole: x.Span, kind: Equal, widens: true, symbol: x.Op.Span}
		if symbol == "<>" {
			c.kind = NotEqual
		}
		r.compare(&c, &l, &m)
		return value{other: aComputation}
	}
	if x.Escape == nil {
		return r.operate(x.Op.Symbol, &l, &m)
	}
	escape := r.operand(s, x.Escape)
	return r.operate(x.Op.Symbol, &l, &m, &escape)
}

// isOfPostgreSQL says that an operator is not one of another schema.
func (o *Operator) isOfPostgreSQL() bool { return o.Schema == nil || o.Schema.Text == "pg_catalog" }

func (r *resolver) in(s *scope, x *In) value {
	v := r.operand(s, x.X)
	c := comparing{op: "IN", whole: x.Span, kind: Element, list: x.End - 1}
	if x.Query != nil {
		found := operand{value: r.scalar(s, x.Query)}
		r.compare(&c, &v, &found)
	} else {
		r.elements(s, &c, &v, x.List)
	}
	return value{other: aComputation}
}

// elements compares a value with each of a list.
func (r *resolver) elements(s *scope, c *comparing, v *operand, list []Expr) {
	c.widens = v.key != nil
	for _, x := range list {
		element := r.operand(s, x)
		r.compare(c, v, &element)
	}
}

func (r *resolver) any(s *scope, x *Any) value {
	v := r.operand(s, x.X)
	c := comparing{op: x.Op.Symbol + " ANY", whole: x.Span, kind: ArrayElements}
	if x.All {
		c.op = x.Op.Symbol + " ALL"
	}
	equal := (x.Op.Symbol == "=" && !x.All || x.Op.Symbol == "<>" && x.All) && x.Op.isOfPostgreSQL()
	found := operand{x: x.Array}
	if x.Query != nil {
		found = operand{value: r.scalar(s, x.Query), x: &Subquery{Span: x.Query.Span, Query: x.Query}}
	} else if list := elementsOf(x.Array); list != nil && equal {
		c.kind, c.list = Element, list.End-1
		r.elements(s, &c, &v, list.Items)
		return value{other: aComputation}
	} else {
		array := r.expr(s, x.Array)
		found.value = r.element(&array, x.Array.Pos())
		c.widens = v.key != nil
	}
	if !equal {
		return r.operate(c.op, &v, &found)
	}
	r.compare(&c, &v, &found)
	return value{other: aComputation}
}

// elementsOf returns the array constructor that x is but for a cast that changes nothing, if all its elements are parameters in place.
func elementsOf(x Expr) *Array {
	if cast, ok := x.(*Cast); ok && cast.Type.Array && typeOf(&cast.Type) == typText {
		x = cast.X
	}
	list, ok := x.(*Array)
	if !ok {
		return nil
	}
	for _, item := range list.Items {
		if parameterOf(item) == nil {
			return nil
		}
	}
	return list
}

func (r *resolver) field(s *scope, x *Field) value {
	v := r.expr(s, x.X)
	if v.row == nil {
		return r.useAll(x.X.Pos(), use{form: useClause, name: "taken for a row"}, &v)
	}
	if x.Star {
		return v
	}
	if _, here := x.X.(*ColumnRef); v.row.renamed && (v.row.travelled || !here) {
		return r.useAll(x.X.Pos(), use{form: useClause, name: "in a row whose columns have other names in its type"}, &v)
	}
	found := -1
	for i, name := range v.row.names {
		if name != x.Name.Text {
			continue
		}
		if found >= 0 {
			r.refuseUnknown(x.Name.Span, "ambiguous column")
			return value{other: aComputation}
		}
		found = i
	}
	if found < 0 {
		r.refuseUnknown(x.Name.Span, "unknown column")
		return value{other: aComputation}
	}
	return v.row.values[found]
}

func (r *resolver) caseOf(s *scope, x *Case) value {
	var of operand
	if x.Operand != nil {
		of = r.operand(s, x.Operand)
	}
	var g gathering
	for i := range x.Whens {
		w := &x.Whens[i]
		if x.Operand == nil {
			r.condition(s, w.If)
		} else {
			when := r.operand(s, w.If)
			r.compare(&comparing{op: "CASE", whole: w.If.Pos()}, &of, &when)
		}
		v := r.expr(s, w.Then)
		r.gather(&g, &v, w.Then.Pos())
	}
	if x.Else != nil {
		v := r.expr(s, x.Else)
		r.gather(&g, &v, x.Else.Pos())
	}
	return g.value
}
