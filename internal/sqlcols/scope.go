package sqlcols

import "slices"

// A scope is what names mean in one query: its FROM list and its WITH list, and behind them those of the queries around it.
type scope struct {
	parent *scope
	items  []*item
	ctes   []*cte
	// lateral is true while something is read that may refer to its neighbours in FROM.
	lateral bool
}

// An item is something that FROM brings into scope.
type item struct {
	name string
	// noName is true of what no qualified name reaches, noColumns of what no bare column name does.
	noName, noColumns bool
	lateral           bool // to be seen by lateral references only, as yet
	open              bool // it may have more columns, of names that are not known and without encrypted values

	// A table has relation, and renames for the column names of its alias. A join without column aliases has its two sides, and columns
	// for those it merges. All others have columns.
	relation    *Relation
	aliased     bool
	renames     []Name
	columns     []column
	left, right *item
}

// A column is one of a query's outputs, or of an item's columns.
type column struct {
	name  string
	value value
	at    Span // where it was said
}

// A table is what a query returns.
type table struct {
	columns []column
	open    bool // there may be more columns anywhere among them, without encrypted values
}

// A cte is a table of a WITH.
type cte struct {
	def     *CTE
	scope   *scope // in which it is read
	state   cteState
	table   table
	rows    bool // it returns rows
	touched bool // it refers to itself
}

type cteState uint8

const (
	cteNew cteState = iota
	cteReading
	cteRecursing // its first part is read, and what it refers to as itself is known so far
	cteRead
)

// A place is a column of an item.
type place struct {
	item  *item
	index int
}

// system is the index of a place that is a table's system column.
const system = -1

func (p place) name() string {
	if p.item.relation == nil {
		return p.item.columns[p.index].name
	}
	if p.index < len(p.item.renames) {
		return p.item.renames[p.index].Text
	}
	return p.item.relation.Columns[p.index].Name
}

func (r *resolver) valueAt(p place) value {
	if p.index == system {
		return value{other: aComputation}
	}
	if p.item.relation == nil {
		return p.item.columns[p.index].value
	}
	return r.columnValue(p.item.relation, p.index)
}

// columnValue returns the value of a relation's column.
func (r *resolver) columnValue(relation *Relation, i int) value {
	o := Origin{relation, &relation.Columns[i]}
	if o.Column.Key == nil {
		return value{other: anotherColumn, column: o}
	}
	r.origins = append(r.origins, o)
	n := len(r.origins)
	v := value{origins: r.origins[n-1 : n : n], key: o.Column.Key, typ: typBytea, direct: true}
	if o.Column.Text {
		v.typ = typText
	}
	return v
}

// find looks for a column, and says how often the item has it. Of an open item, 0 is no answer.
func (it *item) find(name string) (found place, n int) {
	count := func(p place) {
		if n++; n == 1 {
			found = p
		}
	}
	if it.relation != nil {
		for i, c := range it.relation.Columns {
			if i < len(it.renames) {
				if it.renames[i].Text == name {
					count(place{it, i})
				}
			} else if c.Name == name {
				count(place{it, i})
			}
		}
		return found, n
	}
	for i := range it.columns {
		if it.columns[i].name == name {
			count(place{it, i})
		}
	}
	if it.left == nil || n > 0 { // merged columns are not looked for in the sides of a join
		return found, n
	}
	found, n = it.left.find(name)
	right, m := it.right.find(name)
	if n == 0 {
		found = right
	}
	return found, n + m
}

// width is how many columns find looks at, those of its sides aside.
func (it *item) width() int {
	if it.relation != nil {
		return len(it.relation.Columns)
	}
	return 1 + len(it.columns)
}

// findAny is find, of system columns too.
func (it *item) findAny(name string) (place, int) {
	found, n := it.find(name)
	if n == 0 && it.relation != nil {
		switch name {
		case "ctid", "xmin", "cmin", "xmax", "cmax", "tableoid":
			return place{it, system}, 1
		}
	}
	return found, n
}

// places returns all columns of an item in order.
func (r *resolver) places(it *item) []place { return r.appendPlaces(nil, it, nil) }

func (r *resolver) appendPlaces(to []place, it *item, hidden []string) []place {
	n := len(it.columns)
	if it.relation != nil {
		n = len(it.relation.Columns)
	}
	r.step(n * (1 + len(hidden)))
	for i := range n {
		if p := (place{it, i}); !slices.Contains(hidden, p.name()) {
			to = append(to, p)
		}
	}
	if it.left == nil {
		return to
	}
	if len(it.columns) > 0 {
		hidden = slices.Clip(hidden)
		for i := range it.columns {
			if name := it.columns[i].name; !slices.Contains(hidden, name) {
				hidden = append(hidden, name)
			}
		}
	}
	return r.appendPlaces(r.appendPlaces(to, it.left, hidden), it.right, hidden)
}

// A match is what a name was found to mean.
type match struct {
	place
	item *item
	open *item // an item nearer by that may have a column of the name
	n    int   // how many there are in the innermost scope that has any; 0 for none
}

// column looks for a bare column name: in the innermost scope that has it.
func (r *resolver) column(s *scope, name string, local bool) (m match) {
	for ; s != nil; s = s.parent {
		for _, it := range s.items {
			r.step(it.width())
			if it.noColumns || it.lateral && !s.lateral {
				continue
			}
			if found, n := it.findAny(name); n > 0 {
				if m.n == 0 {
					m.place = found
				}
				m.n += n
			}
		}
		if m.n > 0 || local {
			return m
		}
		if m.open == nil {
			for _, it := range s.items {
				if it.open && !it.noColumns && (!it.lateral || s.lateral) {
					m.open = it
					break
				}
			}
		}
	}
	return m
}

// itemNamed looks for what a table name in front of a column means. A qualified one is that of a table without alias.
func (r *resolver) itemNamed(s *scope, name string, qualified *Relation) (m match) {
	for ; s != nil && m.n == 0; s = s.parent {
		r.step(len(s.items))
		for _, it := range s.items {
			if it.noName || it.lateral && !s.lateral || it.name != name ||
				qualified != nil && (it.aliased || it.relation == nil || it.relation.OID != qualified.OID) {
				continue
			}
			m.item = it
			m.n++
		}
	}
	return m
}

// cteNamed looks for a table of a WITH.
func (r *resolver) cteNamed(s *scope, name string) *cte {
	for ; s != nil; s = s.parent {
		r.step(len(s.ctes))
		for _, c := range s.ctes {
			if c.def.Name.Text == name {
				return c
			}
		}
	}
	return nil
}
