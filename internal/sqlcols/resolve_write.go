package sqlcols

import "slices"

// target returns the relation that a statement writes to, and its item. A table of a WITH is never a target.
func (r *resolver) target(ref *TableRef) *item {
	it := &item{name: ref.Name.Name.Text, relation: r.relation(&ref.Name)}
	it.open = it.relation == nil
	it.alias(ref.Alias)
	return it
}

// targetColumn returns the column of a relation that is written.
func (r *resolver) targetColumn(relation *Relation, t *Target) Origin {
	if relation == nil {
		return Origin{}
	}
	r.step(len(relation.Columns))
	for i := range relation.Columns {
		if relation.Columns[i].Name == t.Column.Text {
			return Origin{relation, &relation.Columns[i]}
		}
	}
	r.refuseUnknown(t.Span, "unknown column")
	return Origin{}
}

// assign says that an expression is written into a column; into nothing, where that is not known.
func (r *resolver) assign(s *scope, into Origin, x Expr) {
	if into.Column != nil {
		switch x := x.(type) {
		case *Default:
			return
		case *Param:
			p := r.parameterAt(x)
			if into.Column.Key == nil {
				r.useAsIs(p, use{form: useCopy, column: into})
			} else {
				r.assignParameter(p, typUnknown, into, into.Column.Key)
			}
			return
		}
	}
	if _, ok := x.(*Default); ok {
		return
	}
	v := r.expr(s, x)
	r.storeInto(&v, into, x.Pos())
}

func (r *resolver) storeInto(v *value, into Origin, at Span) {
	if into.Column != nil {
		r.store(v, into, at)
	} else {
		r.consume(v, at, use{form: useClause, name: "assigned to a column that is not known"})
	}
}

// below says that a part of a column is written; then the value is no value of the column.
func (r *resolver) below(s *scope, t *Target, into Origin) Origin {
	if !t.Below {
		return into
	}
	for _, x := range t.Path {
		r.clause(s, x, "subscript")
	}
	if into.Column != nil && into.Column.Key != nil {
		r.refuse(t.Span, into, 0, "a part of it assigned")
		return Origin{}
	}
	return into
}

// insert analyses INSERT.
func (r *resolver) insert(parent *scope, in *Insert) (table, bool) {
	s := &scope{parent: parent}
	r.with(s, in.With)
	it := r.target(in.Table)
	into := r.insertColumns(s, it.relation, in.Columns)
	if in.Source != nil {
		r.source(s, in, it.relation, into)
	}
	if in.Conflict != nil {
		r.conflict(s, it, in.Conflict)
	}
	return r.returning(s, in.Returning, it, it)
}

// insertColumns returns what the values of an INSERT go to, in order.
func (r *resolver) insertColumns(s *scope, relation *Relation, columns []Target) []Origin {
	if columns == nil && relation != nil {
		into := make([]Origin, len(relation.Columns))
		for i := range relation.Columns {
			into[i] = Origin{relation, &relation.Columns[i]}
		}
		return into
	}
	into := make([]Origin, len(columns))
	for i := range columns {
		into[i] = r.below(s, &columns[i], r.targetColumn(relation, &columns[i]))
	}
	return into
}

// source analyses what an INSERT inserts.
func (r *resolver) source(s *scope, in *Insert, relation *Relation, into []Origin) {
	column := func(i int, at Span) Origin {
		if i < len(into) {
			return into[i]
		}
		if relation != nil {
			r.refuseUnknown(at, "more values than columns")
		}
		return Origin{}
	}
	store := func(t *table) {
		if t.open {
			for _, o := range into {
				if o.Column != nil && o.Column.Key != nil {
					r.refuse(in.Source.Span, o, 0, "assigned from columns whose number is not known")
				}
			}
			r.rowOf(t, in.Source.Span)
			return
		}
		for i := range t.columns {
			c := &t.columns[i]
			r.storeInto(&c.value, column(i, c.at), c.at)
		}
	}
	q := in.Source
	values, ok := q.Body.(*Values)
	if !ok || q.With != nil || q.OrderBy != nil || q.Limit != nil || q.Offset != nil {
		t := r.query(s, q)
		store(&t)
		return
	}
	inside := &scope{parent: s}
	for _, row := range values.Rows {
		if slices.ContainsFunc(row, isStar) {
			t := r.list(inside, row)
			store(&t)
			continue
		}
		for i, x := range row {
			r.assign(inside, column(i, x.Pos()), x)
		}
	}
}

// conflict analyses ON CONFLICT.
func (r *resolver) conflict(s *scope, target *item, c *Conflict) {
	inside := &scope{parent: s, items: []*item{target}}
	for i := range c.Elements {
		x := c.Elements[i].X
		v := r.expr(inside, x)
		r.groupBy(&v, x.Pos(), "ON CONFLICT")
	}
	if len(c.Elements) == 0 && target.relation != nil {
		// It may be any of the table's constraints.
		for i := range target.relation.Columns {
			if column := &target.relation.Columns[i]; column.Key != nil && column.Key.Searchable {
				r.mixStored(c.Span, Origin{target.relation, column}, column.Key, "ON CONFLICT")
			}
		}
	}
	r.condition(inside, c.Where)
	if !c.Update {
		return
	}
	excluded := *target
	excluded.name, excluded.aliased = "excluded", true
	inside.items = append(inside.items, &excluded)
	r.set(inside, target.relation, c.Set)
	r.condition(inside, c.SetWhere)
}

// set analyses SET.
func (r *resolver) set(s *scope, relation *Relation, assignments []Assignment) {
	for i := range assignments {
		a := &assignments[i]
		var one [1]Origin
		into := one[:0]
		for j := range a.Targets {
			into = append(into, r.below(s, &a.Targets[j], r.targetColumn(relation, &a.Targets[j])))
		}
		if !a.Multi && len(into) == 1 {
			r.assign(s, into[0], a.Value)
			continue
		}
		at := a.Value.Pos()
		t := table{open: true}
		switch x := a.Value.(type) {
		case *Row:
			if !slices.ContainsFunc(x.Items, isStar) && len(x.Items) == len(into) {
				for j := range into {
					r.assign(s, into[j], x.Items[j])
				}
				continue
			}
			t = r.list(s, x.Items)
		case *Subquery:
			t = r.query(s, x.Query)
		}
		if !t.open && len(t.columns) == len(into) {
			for j := range into {
				r.storeInto(&t.columns[j].value, into[j], at)
			}
			continue
		}
		r.refuse(at, Origin{}, 0, "unsupported: row of columns that are not known assigned to several")
	}
}

// update analyses UPDATE.
func (r *resolver) update(parent *scope, up *Update) (table, bool) {
	s := &scope{parent: parent}
	r.with(s, up.With)
	it := r.target(up.Table)
	it.lateral = true // as far as FROM is concerned
	s.items = []*item{it}
	r.fromList(s, up.From)
	it.lateral = false
	r.set(s, it.relation, up.Set)
	r.condition(s, up.Where)
	return r.returning(s, up.Returning, it)
}

// delete analyses DELETE.
func (r *resolver) delete(parent *scope, del *Delete) (table, bool) {
	s := &scope{parent: parent}
	r.with(s, del.With)
	it := r.target(del.Table)
	it.lateral = true
	s.items = []*item{it}
	r.fromList(s, del.Using)
	it.lateral = false
	r.condition(s, del.Where)
	return r.returning(s, del.Returning, it)
}

// merge analyses MERGE.
func (r *resolver) merge(parent *scope, m *Merge) (table, bool) {
	s := &scope{parent: parent}
	r.with(s, m.With)
	it := r.target(m.Target)
	r.fromList(s, []From{m.Source})
	source := s.items
	both := append(source[:len(source):len(source)], it)
	s.items = both
	r.condition(s, m.On)
	for i := range m.Whens {
		w := &m.Whens[i]
		switch {
		case w.Matched:
			s.items = both
		case w.BySource:
			s.items = []*item{it}
		default:
			s.items = source
		}
		r.condition(s, w.And)
		switch w.Action {
		case "update":
			r.set(s, it.relation, w.Set)
		case "insert":
			into := r.insertColumns(s, it.relation, w.Columns)
			for j, x := range w.Values {
				if j >= len(into) {
					r.refuseUnknown(x.Pos(), "more values than columns")
					break
				}
				r.assign(s, into[j], x)
			}
		}
	}
	s.items = both
	return r.returning(s, m.Returning, it)
}

// returning analyses RETURNING; more are items that only it sees.
func (r *resolver) returning(s *scope, ret *Returning, target *item, more ...*item) (table, bool) {
	if ret == nil {
		return table{}, false
	}
	s.items = append(s.items[:len(s.items):len(s.items)], more...)
	old, renamed := "old", "new"
	if ret.Old != nil {
		old = ret.Old.Text
	}
	if ret.New != nil {
		renamed = ret.New.Text
	}
	var added []*item
	for _, name := range [...]string{old, renamed} {
		if r.itemNamed(s, name, nil).n == 0 {
			row := *target
			row.name, row.aliased, row.noColumns, row.lateral = name, true, true, false
			added = append(added, &row)
		}
	}
	s.items = append(s.items, added...)
	return r.items(s, ret.Items), true
}
