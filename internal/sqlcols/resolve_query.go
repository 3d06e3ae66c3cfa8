package sqlcols

import (
	"slices"
	"strconv"
	"strings"
)

// statement analyses a statement that reads or writes rows, and returns what it returns, if it returns rows at all.
func (r *resolver) statement(parent *scope, statement Statement) (table, bool) {
	r.enter(statement.Pos())
	defer r.leave()
	switch st := statement.(type) {
	case *Query:
		return r.query(parent, st), true
	case *Insert:
		return r.insert(parent, st)
	case *Update:
		return r.update(parent, st)
	case *Delete:
		return r.delete(parent, st)
	case *Merge:
		return r.merge(parent, st)
	}
	panic(unsupported(statement.Pos().Start, "statement in a statement"))
}

// query analyses a query in the scope around it.
func (r *resolver) query(parent *scope, q *Query) table {
	r.enter(q.Span)
	defer r.leave()
	s := &scope{parent: parent}
	r.with(s, q.With)
	var t table
	switch body := q.Body.(type) {
	case *Select:
		t = r.selection(s, body)
	case *Values:
		t = r.values(s, body)
		s.items = []*item{{name: "*VALUES*", noName: true, columns: t.columns}}
	case *SetOperation:
		left, right := r.query(s, body.Left), r.query(s, body.Right)
		t = r.combine(body, &left, &right, false)
		s.items = []*item{{noName: true, columns: t.columns, open: t.open}}
	default:
		panic(unsupported(q.Start, "query"))
	}
	r.tail(s, q, &t)
	return t
}

// tail analyses what stands behind a query's body.
func (r *resolver) tail(s *scope, q *Query, t *table) {
	for i := range q.OrderBy {
		x := q.OrderBy[i].X
		r.eachNamed(s, x, t, false, func(v *value) { r.consume(v, x.Pos(), use{form: useClause, name: "ORDER BY"}) })
	}
	for _, x := range [...]Expr{q.Limit, q.Offset} {
		if x != nil {
			r.clause(s, x, "LIMIT or OFFSET")
		}
	}
}

// clause analyses an expression that a clause uses as a number, a condition, or otherwise as what it is.
func (r *resolver) clause(s *scope, x Expr, name string) {
	if x == nil {
		return
	}
	v := r.expr(s, x)
	r.consume(&v, x.Pos(), use{form: useClause, name: name})
}

const conditional = "used as a condition"

func (r *resolver) condition(s *scope, x Expr) { r.clause(s, x, conditional) }

// with makes the tables of a WITH known in a scope that has nothing else yet.
func (r *resolver) with(s *scope, w *With) {
	if w == nil {
		return
	}
	all := make([]*cte, len(w.Tables))
	for i := range w.Tables {
		all[i] = &cte{def: &w.Tables[i], scope: s}
		r.step(i)
		for _, other := range all[:i] {
			if other.def.Name.Text == all[i].def.Name.Text {
				r.refuse(all[i].def.Span, Origin{}, 0, "unsupported: two tables of one WITH with the same name")
			}
		}
	}
	for i, c := range all {
		if w.Recursive {
			s.ctes = all
		}
		r.readCTE(c, w.Recursive)
		s.ctes = all[:i+1]
	}
	s.ctes = all
}

// readCTE analyses a table of a WITH, unless that has been done.
func (r *resolver) readCTE(c *cte, recursive bool) {
	if c.state != cteNew {
		return
	}
	c.state = cteReading
	c.rows = true
	q, ok := c.def.Statement.(*Query)
	var union *SetOperation
	if ok && recursive {
		if union, ok = q.Body.(*SetOperation); ok && union.Op != "union" {
			union = nil
		}
	}
	if union == nil {
		var t table
		t, c.rows = r.statement(c.scope, c.def.Statement)
		c.table = c.named(t)
	} else {
		r.readRecursive(c, q, union)
	}
	c.state = cteRead
	if len(c.def.Uses) > 0 || len(c.def.Adds) > 0 {
		r.addColumns(c)
	}
	for _, x := range c.def.CycleMarks {
		r.clause(c.scope, x, "CYCLE")
	}
}

// readRecursive analyses a UNION that may refer to itself, as often as that shows anything new.
func (r *resolver) readRecursive(c *cte, q *Query, union *SetOperation) {
	r.enter(q.Span)
	defer r.leave()
	s := &scope{parent: c.scope}
	r.with(s, q.With)
	left := r.query(s, union.Left)
	c.table, c.state = c.named(left), cteRecursing
	for {
		before := c.table.size()
		right := r.query(s, union.Right)
		t := c.named(r.combine(union, &c.table, &right, true))
		c.table = t
		if !c.touched || t.size() == before {
			break
		}
	}
	s.items = []*item{{noName: true, columns: c.table.columns, open: c.table.open}}
	r.tail(s, q, &c.table)
}

// size grows with what is known of a table.
func (t *table) size() (n int) {
	for i := range t.columns {
		v := &t.columns[i].value
		n += len(v.origins) + len(v.params) + len(v.taint) + int(v.other) + min(v.through, 1)
		if v.row != nil {
			n++
		}
	}
	return n
}

// named gives a table the names of its WITH.
func (c *cte) named(t table) table {
	if len(c.def.Columns) == 0 {
		return t
	}
	t.columns = slices.Clone(t.columns)
	for i := range t.columns[:min(len(t.columns), len(c.def.Columns))] {
		t.columns[i].name = c.def.Columns[i].Text
	}
	for _, name := range c.def.Columns[min(len(t.columns), len(c.def.Columns)):] {
		if t.open {
			t.columns = append(t.columns, column{name: name.Text, value: value{other: aComputation}, at: name.Span})
		}
	}
	return t
}

// addColumns adds what SEARCH and CYCLE add.
func (r *resolver) addColumns(c *cte) {
	for _, name := range c.def.Uses {
		for i := range c.table.columns {
			if col := &c.table.columns[i]; col.name == name.Text {
				r.consume(&col.value, name.Span, use{form: useClause, name: "SEARCH or CYCLE"})
			}
		}
	}
	c.table.columns = slices.Clone(c.table.columns)
	for _, name := range c.def.Adds {
		c.table.columns = append(c.table.columns, column{name: name.Text, value: value{other: aComputation}, at: name.Span})
	}
}

// combine returns the columns of a set operation. Once each parameter is kept once.
func (r *resolver) combine(op *SetOperation, left, right *table, once bool) table {
	t := table{columns: make([]column, len(left.columns)), open: left.open || right.open}
	if t.open {
		// Nobody knows what stands below what.
		for _, side := range [...]*table{left, right} {
			for i := range side.columns {
				r.consume(&side.columns[i].value, op.Span, use{form: useClause, name: "set operation beside columns whose number is not known"})
			}
		}
		for i := range left.columns {
			t.columns[i] = column{name: left.columns[i].name, value: value{other: aComputation}, at: left.columns[i].at}
		}
		return t
	}
	if len(left.columns) != len(right.columns) {
		r.refuseUnknown(op.Span, "sides of "+strings.ToUpper(op.Op)+" with different numbers of columns")
		return t
	}
	for i := range left.columns {
		l := &left.columns[i]
		var g gathering
		if once {
			g.seen = map[int]bool{}
		}
		r.gather(&g, &l.value, l.at)
		r.gather(&g, &right.columns[i].value, right.columns[i].at)
		g.direct = false
		t.columns[i] = column{name: l.name, value: g.value, at: l.at}
		if !op.All || op.Op != "union" {
			r.groupBy(&t.columns[i].value, right.columns[i].at, strings.ToUpper(op.Op))
		}
	}
	return t
}

// values analyses VALUES.
func (r *resolver) values(s *scope, values *Values) table {
	var t table
	var all []gathering
	for i, row := range values.Rows {
		cells := r.list(s, row)
		if cells.open {
			r.rowOf(&cells, values.Span)
			return table{open: true}
		}
		if i == 0 {
			all = make([]gathering, len(cells.columns))
			t.columns = make([]column, len(cells.columns))
		} else if len(cells.columns) != len(all) {
			r.refuseUnknown(values.Span, "rows of VALUES with different numbers of columns")
			return t
		}
		for j := range all {
			c := &cells.columns[j]
			r.gather(&all[j], &c.value, c.at)
			if i == 0 {
				t.columns[j] = column{name: "column" + strconv.Itoa(j+1), at: c.at}
			}
		}
	}
	for j := range all {
		t.columns[j].value = all[j].value
	}
	return t
}

// list analyses a list of expressions in which t.* and (x).* stand for all columns of a row.
func (r *resolver) list(s *scope, list []Expr) table {
	t := table{columns: make([]column, 0, len(list))}
	for _, x := range list {
		if isStar(x) {
			t.add(r.expand(s, x))
		} else {
			t.columns = append(t.columns, column{value: r.expr(s, x), at: x.Pos()})
		}
	}
	return t
}

// selection analyses SELECT … up to its windows.
func (r *resolver) selection(s *scope, q *Select) table {
	r.fromList(s, q.From)
	t := r.items(s, q.Items)
	r.condition(s, q.Where)
	r.groupList(s, q.GroupBy, &t)
	r.condition(s, q.Having)
	for i := range q.Windows {
		r.window(s, &q.Windows[i])
	}
	for _, x := range q.DistinctOn {
		r.eachNamed(s, x, &t, false, func(v *value) { r.groupBy(v, x.Pos(), "DISTINCT ON") })
	}
	for i := range t.columns {
		c := &t.columns[i]
		if q.Distinct && len(q.DistinctOn) == 0 {
			r.groupBy(&c.value, c.at, "DISTINCT")
		}
		if q.Into && c.value.key != nil {
			r.refuse(c.at, c.value.origins[0], 0, "copied by SELECT INTO")
		}
	}
	return t
}

// groupList analyses GROUP BY, in which (a, b) is no row.
func (r *resolver) groupList(s *scope, list []Expr, t *table) {
	for _, x := range list {
		if row, ok := x.(*Row); ok && !row.Explicit {
			r.groupList(s, row.Items, t)
			continue
		}
		r.eachNamed(s, x, t, true, func(v *value) { r.groupBy(v, x.Pos(), "GROUP BY") })
	}
}

// items analyses the list of outputs of SELECT and RETURNING.
func (r *resolver) items(s *scope, items []Item) table {
	t := table{columns: make([]column, 0, len(items))}
	for i := range items {
		if isStar(items[i].X) {
			t.add(r.expand(s, items[i].X))
			continue
		}
		c := column{value: r.expr(s, items[i].X), at: items[i].X.Pos()}
		if items[i].Alias != nil {
			c.name = items[i].Alias.Text
		} else {
			c.name = r.nameOf(items[i].X)
		}
		if c.value.row != nil {
			travelled := *c.value.row
			travelled.travelled = true
			c.value.row = &travelled
		}
		t.columns = append(t.columns, c)
	}
	if len(t.columns) > maxOutputs {
		panic(unsupported(items[0].Start, "more than "+strconv.Itoa(maxOutputs)+" outputs"))
	}
	return t
}

func (t *table) add(more table) {
	t.columns = append(t.columns, more.columns...)
	t.open = t.open || more.open
}

// isStar says whether an element of a list stands for all columns of a row.
func isStar(x Expr) bool {
	switch x := x.(type) {
	case *Star:
		return true
	case *Field:
		return x.Star
	}
	return false
}

// expand returns the columns that such an element stands for.
func (r *resolver) expand(s *scope, x Expr) table {
	if x, ok := x.(*Field); ok {
		return r.fields(s, x)
	}
	return r.star(s, x.(*Star))
}

// star returns the columns of * or t.*.
func (r *resolver) star(s *scope, x *Star) (t table) {
	if len(x.Parts) == 0 {
		found := false
		for _, it := range s.items {
			if !it.noColumns && !it.lateral {
				t.add(r.all(it, x.Span))
				found = true
			}
		}
		if !found {
			r.refuseUnknown(x.Span, "* without FROM")
		}
		return t
	}
	if it := r.itemOf(s, x.Parts, x.Span); it != nil {
		return r.all(it, x.Span)
	}
	return table{open: true}
}

// all returns all columns of an item.
func (r *resolver) all(it *item, at Span) table {
	places := r.places(it)
	t := table{columns: make([]column, len(places)), open: it.isOpen()}
	for i, p := range places {
		t.columns[i] = column{name: p.name(), value: r.valueAt(p), at: at}
	}
	return t
}

func (it *item) isOpen() bool {
	return it.open || it.left != nil && (it.left.isOpen() || it.right.isOpen())
}

// fields returns the columns of (x).*.
func (r *resolver) fields(s *scope, x *Field) (t table) {
	v := r.expr(s, x.X)
	if v.row == nil {
		r.consume(&v, x.Span, use{form: useClause, name: "taken for a row"})
		return table{open: true}
	}
	for i := range v.row.values {
		t.columns = append(t.columns, column{name: v.row.names[i], value: v.row.values[i], at: x.Span})
	}
	return t
}

// eachNamed calls do for what an expression of ORDER BY, GROUP BY or DISTINCT ON means: outputs by name or number, or itself.
func (r *resolver) eachNamed(s *scope, x Expr, t *table, columnsFirst bool, do func(*value)) {
	switch x := x.(type) {
	case *ColumnRef:
		if len(x.Parts) != 1 || columnsFirst && r.column(s, x.Parts[0].Text, true).n > 0 {
			break
		}
		found := false
		r.step(len(t.columns))
		for i := range t.columns {
			if t.columns[i].name == x.Parts[0].Text {
				do(&t.columns[i].value)
				found = true
			}
		}
		if found {
			return
		}
	case *Literal:
		if x.Kind != Number {
			break
		}
		n, ok := position(x.Text)
		switch {
		case t.open:
			// Any of them, as far as is known.
			for i := range t.columns {
				do(&t.columns[i].value)
			}
		case !ok || n < 1 || n > len(t.columns):
			r.refuseUnknown(x.Span, "position that is none in the list of outputs")
		default:
			do(&t.columns[n-1].value)
		}
		return
	}
	v := r.expr(s, x)
	do(&v)
}

// position reads an integer constant as PostgreSQL does.
func position(text string) (int, bool) {
	base := 10
	if len(text) > 1 && text[0] == '0' && text[1] != '_' && (text[1] < '0' || text[1] > '9') {
		base = 0
	} else {
		text = strings.ReplaceAll(text, "_", "")
	}
	n, err := strconv.ParseInt(text, base, 32)
	return int(n), err == nil
}

// fromList brings a FROM list into scope.
func (r *resolver) fromList(s *scope, list []From) {
	first := len(s.items)
	for _, f := range list {
		_, items := r.from(s, f)
		for _, it := range items {
			it.lateral = true
		}
		s.items = append(s.items, items...)
	}
	for _, it := range s.items[first:] {
		it.lateral = false
	}
}

// from analyses an element of FROM: the item that is all of it, and everything it brings into scope.
func (r *resolver) from(s *scope, f From) (*item, []*item) {
	r.enter(f.Pos())
	defer r.leave()
	var it *item
	switch f := f.(type) {
	case *TableRef:
		it = r.tableItem(s, f)
		for _, x := range f.Sample {
			r.clause(s, x, "TABLESAMPLE")
		}
	case *SubqueryRef:
		t := r.lateral(s, f.Lateral, func() table { return r.query(s, f.Query) })
		it = &item{columns: t.columns, open: t.open, noName: true}
		it.alias(f.Alias)
	case *FunctionRef:
		it = r.functionItem(s, f)
	case *TableFunctionRef:
		r.lateral(s, true, func() table {
			for _, x := range f.Args {
				v := r.expr(s, x)
				r.consume(&v, x.Pos(), use{form: useFunction, name: f.Name})
			}
			return table{}
		})
		it = &item{name: f.Name}
		for _, name := range f.Columns {
			it.columns = append(it.columns, column{name: name.Text, value: value{other: aComputation}, at: name.Span})
		}
		it.alias(f.Alias)
	case *Join:
		return r.join(s, f)
	default:
		panic(unsupported(f.Pos().Start, "element of FROM"))
	}
	return it, []*item{it}
}

// lateral analyses something that may refer to its neighbours in FROM, or may not.
func (r *resolver) lateral(s *scope, may bool, read func() table) table {
	was := s.lateral
	s.lateral = may
	t := read()
	s.lateral = was
	return t
}

// alias names an item and its columns.
func (it *item) alias(a *Alias) {
	if a == nil {
		return
	}
	if a.Name.Text != "" {
		it.name, it.noName, it.aliased = a.Name.Text, false, true
	}
	if it.relation != nil {
		it.renames = a.Columns
		return
	}
	if len(a.Columns) == 0 {
		return
	}
	it.columns = slices.Clone(it.columns)
	for i, name := range a.Columns {
		if i < len(it.columns) {
			it.columns[i].name = name.Text
		} else if it.open {
			it.columns = append(it.columns, column{name: name.Text, value: value{other: aComputation}, at: name.Span})
		}
	}
}

// tableItem returns the item of a name in FROM: a table of a WITH, or a relation.
func (r *resolver) tableItem(s *scope, ref *TableRef) *item {
	if ref.Name.Schema == nil {
		if c := r.cteNamed(s, ref.Name.Name.Text); c != nil {
			t := r.refer(c, ref)
			it := &item{name: c.def.Name.Text, columns: t.columns, open: t.open, aliased: true}
			it.alias(ref.Alias)
			return it
		}
	}
	it := &item{name: ref.Name.Name.Text, relation: r.relation(&ref.Name)}
	it.open = it.relation == nil
	it.alias(ref.Alias)
	return it
}

// refer returns the columns of a table of a WITH for a reference to it.
func (r *resolver) refer(c *cte, ref *TableRef) table {
	switch c.state {
	case cteNew:
		r.enter(ref.Span)
		r.readCTE(c, true)
		r.leave()
	case cteReading:
		r.refuse(ref.Span, Origin{}, 0, "unsupported: recursive reference outside of the second part of a UNION")
		return table{open: true}
	case cteRecursing:
		c.touched = true
	}
	if !c.rows {
		r.refuse(ref.Span, Origin{}, 0, "unsupported: reference to a statement without RETURNING")
	}
	r.step(len(c.table.columns))
	return c.table
}

// relation resolves the name of a relation; nil if it is not known, which has been refused then.
func (r *resolver) relation(name *RelationName) *Relation {
	schema := ""
	if name.Schema != nil {
		schema = name.Schema.Text
	}
	r.step(1 + len(r.refs))
	for i := range r.refs {
		if r.refs[i].Name == name.Name.Text && r.refs[i].Schema == schema {
			return r.usable(name, r.refs[i].Relation)
		}
	}
	relation := r.schema.Relation(schema, name.Name.Text)
	if relation == nil {
		r.refuseUnknown(name.Span, "unknown relation")
		return nil
	}
	r.refs = append(r.refs, Reference{Schema: schema, Name: name.Name.Text, Relation: relation})
	return r.usable(name, relation)
}

func (r *resolver) usable(name *RelationName, relation *Relation) *Relation {
	if relation.Opaque != "" {
		r.refuse(name.Span, Origin{}, 0, relation.Name+": "+relation.Opaque)
	}
	return relation
}

// join analyses a join.
func (r *resolver) join(s *scope, j *Join) (*item, []*item) {
	n := len(s.items)
	left, items := r.from(s, j.Left)
	for _, it := range items {
		it.lateral = true
	}
	s.items = append(s.items[:n:n], items...)
	right, rightItems := r.from(s, j.Right)
	outside := s.items[:n:n]
	items = append(slices.Clip(items), rightItems...)
	for _, it := range items {
		it.lateral = false
	}
	if j.On != nil {
		s.items = items
		r.condition(s, j.On)
	}
	s.items = outside

	it := &item{noName: true, left: left, right: right}
	var merged []string
	if j.Natural {
		if left.isOpen() || right.isOpen() {
			for _, p := range r.appendPlaces(r.places(left), right, nil) {
				v := r.valueAt(p)
				r.consume(&v, j.Span, use{form: useClause, name: "NATURAL JOIN with columns that are not known"})
			}
		}
		for _, p := range r.places(left) {
			r.step(1)
			if _, n := right.find(p.name()); n > 0 {
				merged = append(merged, p.name())
			}
		}
	} else {
		for _, name := range j.Using {
			merged = append(merged, name.Text)
		}
	}
	for i, name := range merged {
		at := j.Span
		if !j.Natural {
			at = j.Using[i].Span
		}
		it.columns = append(it.columns, column{name: name, value: r.using(j, name, at, left, right), at: at})
	}
	if j.Alias != nil {
		if len(j.Alias.Columns) > 0 {
			t := r.all(it, j.Span)
			it = &item{columns: t.columns, open: t.open, noName: true}
		}
		it.alias(j.Alias)
		return it, []*item{it}
	}
	for _, below := range items {
		below.noColumns = true
	}
	items = append(items, it)
	if j.UsingAlias != nil {
		items = append(items, &item{name: j.UsingAlias.Text, noColumns: true, aliased: true, columns: it.columns})
	}
	return it, items
}

// using compares the two columns of a name that a join merges, and returns the one.
func (r *resolver) using(j *Join, name string, at Span, left, right *item) value {
	var sides [2]operand
	for i, it := range [...]*item{left, right} {
		found, n := it.find(name)
		switch {
		case n == 1:
			sides[i].value = r.valueAt(found)
		case n > 1:
			r.refuseUnknown(at, "ambiguous column")
		case it.isOpen():
			sides[i].value = value{other: aComputation}
		default:
			r.refuseUnknown(at, "unknown column")
		}
	}
	r.compare(&comparing{op: "USING", whole: at}, &sides[0], &sides[1])
	l, m := &sides[0].value, &sides[1].value
	var g gathering
	switch {
	case j.Kind == "full":
		r.gather(&g, l, at)
		r.gather(&g, m, at)
		return g.value
	case j.Kind == "right", j.Kind != "left" && l.key == nil && m.key != nil:
		return *m
	case j.Kind == "left", m.key == nil, m.key != l.key:
		return *l
	}
	// They are equal, and the server takes the one whose type needs no cast.
	r.gather(&g, l, at)
	r.gather(&g, m, at)
	g.direct = l.direct && m.direct
	return g.value
}
