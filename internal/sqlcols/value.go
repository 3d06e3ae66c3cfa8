package sqlcols

import (
	"slices"
	"strconv"
)

// A value is what is known of an expression's value, for all rows at once. The zero value is that of NULL.
//
// Encrypted values are followed as long as nothing changes them. A parameter is open until something says what it must be: then it
// meets a column (resolver.meet) or has a use that has nothing to do with encryption (resolver.useAsIs).
type value struct {
	origins []Origin     // encrypted columns it may be an unchanged value of
	key     *Key         // of origins
	params  []occurrence // parameters it may be, unchanged
	taint   []Origin     // encrypted columns it is computed from; that has been refused already
	other   other        // what else it may be
	column  Origin       // of anotherColumn
	through int          // a parameter that the computation of it read
	row     *row
	array   bool // an array of such values
	typ     typ  // of origins and params
	direct  bool // RowDescription tells the origin
}

// An occurrence is one place of a parameter.
type occurrence struct {
	n     int
	at    Span
	array bool // the parameter is an array of what it is here
}

// other is what a value may be that is neither encrypted nor a parameter.
type other uint8

const (
	nothing other = iota
	aLiteral
	anotherColumn
	aComputation
)

type typ uint8

const (
	typUnknown typ = iota // PostgreSQL has still to find out
	typText               // text, varchar, domains over them
	typBytea
	typOther
)

// A row is the value of ROW(…), of a whole row, of a sub-select of several columns.
type row struct {
	names  []string
	values []value
	whole  bool // a row of its own type: compared and stored as one
	// renamed is true of a whole row whose columns have other names here than in its type; travelled, where it is not used in place:
	// then its type's names hold.
	renamed, travelled bool
}

func (o Origin) String() string { return o.Relation.Name + "." + o.Column.Name }

// text is String, "" for no column.
func (o Origin) text() string {
	if o.Column == nil {
		return ""
	}
	return o.String()
}

// isPlain says that nothing of v has to be told to anybody.
func (v *value) isPlain() bool {
	return v.key == nil && len(v.params) == 0 && len(v.taint) == 0 && v.row == nil
}

// isNull says that v is NULL.
func (v *value) isNull() bool { return v.isPlain() && v.other == nothing }

func (v *value) add(o Origin) {
	if !slices.Contains(v.origins, o) {
		v.origins = append(slices.Clip(v.origins), o)
	}
}

// A use is what is done with a value, other than what encrypted values are for.
type use struct {
	form   useForm
	name   string
	column Origin // the untagged column: on the other side of an operator, or that is written
}

type useForm uint8

const (
	useNone useForm = iota
	useOperator
	useFunction
	useClause // a part of the statement, or of the grammar
	useCast
	useCopy   // into column
	useOutput // an output
)

// ofColumn says what is refused when it is an encrypted column that is used.
func (u use) ofColumn() string {
	switch u.form {
	case useOperator:
		return "operator " + u.name
	case useFunction:
		return "argument of " + u.name + "()"
	case useCast:
		return "cast to " + u.name
	case useCopy:
		return "copied into " + u.column.String()
	case useOutput:
		return "output " + strconv.Quote(u.name) + " is a row with it"
	}
	return u.name
}

// ofParameter says what else a parameter is used for.
func (u use) ofParameter() string {
	switch u.form {
	case useOperator:
		if u.column.Column != nil {
			return strconv.Quote(u.name) + "/" + u.column.String()
		}
		return strconv.Quote(u.name)
	case useFunction:
		return u.name + "()"
	case useCast:
		return "a cast to " + u.name
	case useCopy:
		return u.column.String()
	case useOutput:
		return "output " + strconv.Quote(u.name)
	}
	return u.name
}

// consume says that v is used by something that is not for encrypted values.
func (r *resolver) consume(v *value, at Span, u use) {
	if v.isPlain() {
		return
	}
	r.step(len(v.params))
	for _, o := range v.origins {
		r.refuse(at, o, 0, u.ofColumn())
	}
	for _, p := range v.params {
		r.useAsIs(p, u)
	}
	if v.row != nil {
		for i := range v.row.values {
			r.consume(&v.row.values[i], at, u)
		}
	}
}

// computed returns the value of a computation over values that have been consumed.
func computed(values ...*value) value {
	c := value{other: aComputation}
	for _, v := range values {
		c.compute(v)
	}
	return c
}

// compute adds v to what c is computed from.
func (c *value) compute(v *value) {
	c.other = aComputation
	if v.isPlain() {
		if c.through == 0 {
			c.through = v.through
		}
		return
	}
	if len(v.params) > 0 && c.through == 0 {
		c.through = v.params[0].n
	}
	if c.through == 0 {
		c.through = v.through
	}
	for _, from := range [...][]Origin{v.origins, v.taint} {
		for _, o := range from {
			if !slices.Contains(c.taint, o) {
				c.taint = append(slices.Clip(c.taint), o)
			}
		}
	}
	if v.row != nil {
		for i := range v.row.values {
			c.compute(&v.row.values[i])
		}
	}
}

// useAll consumes values, all for one use, and returns what is computed from them.
func (r *resolver) useAll(at Span, u use, values ...*value) value {
	for _, v := range values {
		r.consume(v, at, u)
	}
	return computed(values...)
}

// useAsIs records a use of a parameter that has nothing to do with encryption.
func (r *resolver) useAsIs(p occurrence, u use) {
	if known := &r.params[p.n-1]; known.asIs.form == useNone {
		known.asIs, known.asIsAt = u, p.at
	}
}

// meet records that a parameter meets a column, or the argument of a function.
func (r *resolver) meet(p occurrence, m Meeting) {
	m.At, m.Array = p.at, p.array
	known := &r.params[p.n-1]
	r.step(4)
	if known.met(&m) {
		return
	}
	if known.meetings == nil {
		// Most parameters meet one column: their lists are cut from one piece of memory.
		if len(r.meetings) == cap(r.meetings) {
			r.meetings = make([]Meeting, 0, min(max(4, 2*cap(r.meetings)), 256))
		}
		n := len(r.meetings)
		r.meetings = append(r.meetings, m)
		known.meetings = r.meetings[n : n+1 : n+1]
		return
	}
	known.meetings = append(known.meetings, m)
}

// met says whether a parameter is known to meet the column at that place already.
func (p *parameter) met(m *Meeting) bool {
	if len(p.meetings) <= fewMeetings {
		for i := range p.meetings {
			if old := &p.meetings[i]; old.At == m.At && old.Use == m.Use && old.Column == m.Column && old.Key == m.Key {
				return true
			}
		}
		return false
	}
	if p.index == nil {
		p.index = map[meetingPlace]bool{}
		for i := range p.meetings {
			p.index[p.meetings[i].place()] = true
		}
	}
	if p.index[m.place()] {
		return true
	}
	p.index[m.place()] = true
	return false
}

// More meetings than these are found by an index.
const fewMeetings = 16

type meetingPlace struct {
	at     int
	use    Use
	column *Column
	key    *Key
}

func (m *Meeting) place() meetingPlace {
	return meetingPlace{m.At.Start, m.Use, m.Column.Column, m.Key}
}

// A gathering is a value made of several, any of which it may be: arms of COALESCE and CASE, rows of VALUES, UNION.
type gathering struct {
	value
	n    int
	seen map[int]bool // where the parameters stand, if each is to be kept once
}

// gather adds v to what g may be.
func (r *resolver) gather(g *gathering, v *value, at Span) {
	r.step(1 + len(v.params))
	g.n++
	if g.n == 1 || g.value.isNull() {
		through, t := g.through, g.typ
		g.value = *v
		g.direct = false
		if g.through == 0 {
			g.through = through
		}
		if g.typ == typUnknown {
			g.typ = t // NULL has a type too, which parameters without one take
		}
		g.params, g.origins, g.taint = slices.Clip(g.news(v.params)), slices.Clip(g.origins), slices.Clip(g.taint)
		r.retype(g)
		return
	}
	if g.typ == typUnknown {
		g.typ = v.typ
	}
	if v.isNull() {
		r.retype(g)
		return
	}
	if g.row != nil || v.row != nil || g.array != v.array && !(g.isPlain() && v.isPlain()) {
		// Whatever the server makes of it, it is no encrypted value any more.
		u := use{form: useClause, name: "mixed with a row or an array"}
		r.consume(&g.value, at, u)
		r.consume(v, at, u)
		g.value = computed(&g.value, v)
		return
	}
	had := g.key
	for _, o := range v.origins {
		if g.key == nil {
			g.key = v.key
		}
		if v.key != g.key {
			r.refuseKeys(at, o, g.origins[0])
			break
		}
		g.add(o)
	}
	news := g.news(v.params)
	g.params = append(g.params, news...)
	for _, o := range v.taint {
		if !slices.Contains(g.taint, o) {
			g.taint = append(g.taint, o)
		}
	}
	if g.through == 0 {
		g.through = v.through
	}
	if g.other == nothing {
		g.other, g.column = v.other, v.column
	}
	if g.key == nil {
		if len(g.params) > 0 && len(v.params) > 0 {
			r.link(g.params[0], v.params[0])
		}
		if len(g.params) > 0 && g.other != nothing {
			r.useAsIs(g.params[0], use{form: useClause, name: "a value that may be " + g.describe()})
		}
		return
	}
	if g.other != nothing {
		r.refuse(at, g.origins[0], g.through, "mixed with "+g.describe())
		g.other, g.column = nothing, Origin{}
	}
	if had == nil {
		news = g.params
	}
	for _, p := range news {
		for _, o := range g.origins {
			r.assignParameter(p, g.typ, o, g.key)
		}
	}
}

// retype notes that parameters take a type from what they are gathered with.
func (r *resolver) retype(g *gathering) {
	if g.key == nil && g.typ == typOther && len(g.params) > 0 {
		r.useAsIs(g.params[0], use{form: useClause, name: "a value of another type"})
	}
}

// news returns those of params that are not in g yet.
func (g *gathering) news(params []occurrence) []occurrence {
	if g.seen == nil {
		return params
	}
	var news []occurrence
	for _, p := range params {
		if !g.seen[p.at.Start] {
			g.seen[p.at.Start] = true
			news = append(news, p)
		}
	}
	return news
}

// describe says what v is besides encrypted values and parameters.
func (v *value) describe() string {
	switch {
	case v.other == aLiteral:
		return "a literal"
	case v.other == anotherColumn:
		return "untagged column " + v.column.String()
	case v.through != 0:
		return "a computation of $" + strconv.Itoa(v.through)
	}
	return "a computed value"
}

// store says that v is written into an encrypted or another column.
func (r *resolver) store(v *value, into Origin, at Span) {
	r.step(len(v.params))
	key := into.Column.Key
	if key == nil {
		r.consume(v, at, use{form: useCopy, column: into})
		for _, o := range v.taint {
			r.refuse(at, o, 0, "computed value of it copied into "+into.String())
		}
		return
	}
	switch {
	case v.row != nil:
		r.refuse(at, into, 0, "row assigned")
		return
	case v.array:
		r.refuse(at, into, 0, "array assigned")
		return
	}
	for _, o := range v.origins {
		if v.key != key {
			r.refuseKeys(at, o, into)
		} else if v.typ != typOther && o.Column.Text != into.Column.Text {
			r.refuse(at, into, 0, "column "+o.String()+" of another type copied into it")
		}
	}
	switch {
	case v.other == nothing:
		for _, p := range v.params {
			r.assignParameter(p, v.typ, into, key)
		}
	case v.other == aLiteral:
		r.refuse(at, into, 0, "literal assigned")
	case v.other == anotherColumn:
		r.refuse(at, into, 0, "column "+v.column.String()+" copied into it")
	case v.other == aComputation && v.through != 0:
		r.refuse(at, into, v.through, reaches(v.through))
	case v.other == aComputation:
		r.refuse(at, into, 0, "computed value assigned")
	}
}

func reaches(n int) string { return "$" + strconv.Itoa(n) + " reaches it through a computation" }

func (r *resolver) assignParameter(p occurrence, t typ, into Origin, key *Key) {
	if !fits(t, into) {
		r.refuse(p.at, into, p.n, reaches(p.n))
		return
	}
	r.meet(p, Meeting{Use: Assigned, Column: into, Key: key})
}

// fits says whether a value of type t can be one of the column without being converted.
func fits(t typ, c Origin) bool {
	return t == typUnknown || t == typText && c.Column.Text || t == typBytea && !c.Column.Text
}

// A comparing is a comparison that encrypted values are allowed in.
type comparing struct {
	op     string // as messages have it
	whole  Span
	kind   ComparisonKind
	widens bool // to be a search for several tokens, in the way that kind says
	symbol Span // the operator
	list   int  // where the list ends
}

// An operand is one side of a comparison.
type operand struct {
	value
	x Expr // nil where there is no expression of its own
}

func (o *operand) at(c *comparing) Span {
	if o.x == nil {
		return c.whole
	}
	return o.x.Pos()
}

// compare says that two values are compared for being equal.
func (r *resolver) compare(c *comparing, a, b *operand) {
	if a.isPlain() && b.isPlain() {
		return
	}
	r.step(len(a.params) + len(b.params))
	if a.row != nil && b.row != nil && !a.row.whole && !b.row.whole && len(a.row.values) == len(b.row.values) {
		pair := *c
		pair.widens = false
		for i := range a.row.values {
			x, y := operand{value: a.row.values[i]}, operand{value: b.row.values[i]}
			if row, ok := a.x.(*Row); ok && len(row.Items) == len(a.row.values) {
				x.x = row.Items[i]
			}
			if row, ok := b.x.(*Row); ok && len(row.Items) == len(b.row.values) {
				y.x = row.Items[i]
			}
			r.compare(&pair, &x, &y)
		}
		return
	}
	for _, side := range [...]*operand{a, b} {
		for _, o := range side.taint {
			r.refuse(side.at(c), o, 0, "computed value of it compared by "+c.op)
		}
	}
	if a.key == nil && b.key == nil || a.row != nil || b.row != nil {
		r.consume(&a.value, a.at(c), use{form: useOperator, name: c.op, column: b.untagged()})
		r.consume(&b.value, b.at(c), use{form: useOperator, name: c.op, column: a.untagged()})
		return
	}
	if a.key == nil {
		a, b = b, a
	}
	of := a.origins[0]
	if a.array || b.array {
		r.refuse(a.at(c), of, 0, "array compared by "+c.op)
		return
	}
	if b.key != nil && b.key != a.key {
		r.refuseKeys(b.at(c), of, b.origins[0])
		return
	}
	if !a.key.Searchable {
		for _, p := range b.params {
			r.refuse(p.at, of, p.n, "$"+strconv.Itoa(p.n)+": "+of.String()+" is not searchable").alone = true
		}
		if len(b.params) == 0 {
			r.refuse(a.at(c), of, 0, "compared by "+c.op+", and it is not searchable")
		}
		return
	}
	switch {
	case b.other == nothing:
	case b.other == aLiteral:
		r.refuse(a.at(c), of, 0, "compared with a literal")
		return
	case b.other == anotherColumn:
		r.refuse(a.at(c), of, 0, "compared with untagged column "+b.column.String())
		return
	case b.through != 0:
		r.refuse(a.at(c), of, b.through, reaches(b.through))
		return
	default:
		r.refuse(a.at(c), of, 0, "compared with a computed value")
		return
	}
	if b.key != nil {
		if mixed := len(a.params) > 0 || len(b.params) > 0; mixed && a.key.Several || a.key.Mixed {
			r.mixes(a.at(c), of, a.key, "compared with "+b.origins[0].String()+" by "+c.op)
		}
		r.search(&a.value, b.origins[0])
		r.search(&b.value, of)
		return
	}
	var how *Comparison
	if c.widens && len(a.params) == 0 && len(b.params) == 1 && a.x != nil && b.x != nil && parameterOf(b.x) != nil {
		how = &Comparison{Kind: c.kind, Whole: c.whole, Other: a.x.Pos(), Operand: b.x.Pos(), symbol: c.symbol, list: c.list}
		if c.kind == Distinct || c.kind == NotDistinctFrom {
			// The column will stand there twice.
			if _, ok := a.x.(*ColumnRef); !ok {
				how = nil
			}
		}
	}
	for _, p := range b.params {
		if !fits(b.typ, of) {
			r.refuse(p.at, of, p.n, reaches(p.n))
			continue
		}
		for _, o := range a.origins {
			r.meet(p, Meeting{Use: Compared, Column: o, Key: a.key, Comparison: how})
		}
		if how == nil && a.key.Several {
			r.mix(p.at, of, a.key, "compared by "+c.op+" with $"+strconv.Itoa(p.n)+", which is not its operand in place")
		}
	}
}

// search says that the parameters that v may be, beside encrypted columns, are compared with a column's values.
func (r *resolver) search(v *value, of Origin) {
	for _, p := range v.params {
		r.meet(p, Meeting{Use: Compared, Column: of, Key: v.key})
	}
}

// untagged returns the untagged column that the operand is, for messages.
func (o *operand) untagged() Origin {
	if o.other == anotherColumn {
		return o.column
	}
	return Origin{}
}

// parameterOf returns the parameter that x is but for casts that change nothing, nil for none.
func parameterOf(x Expr) *Param {
	for {
		switch at := x.(type) {
		case *Param:
			return at
		case *Cast:
			if t := typeOf(&at.Type); t != typText && t != typBytea {
				return nil
			}
			x = at.X
		default:
			return nil
		}
	}
}

// groupBy says that values of v are told apart by being equal: GROUP BY, DISTINCT, UNION, PARTITION BY.
func (r *resolver) groupBy(v *value, at Span, clause string) {
	if v.isPlain() {
		return
	}
	if v.row != nil {
		r.consume(v, at, use{form: useClause, name: clause + " of a row with it"})
		return
	}
	r.step(len(v.params))
	for _, p := range v.params {
		if known := &r.params[p.n-1]; known.grouped == "" {
			known.grouped, known.groupedAt = clause, at
		}
	}
	if v.key != nil {
		r.search(v, v.origins[0])
	}
	for _, o := range v.origins {
		switch {
		case v.array:
			r.refuse(at, o, 0, clause+" of an array of it")
		case !v.key.Searchable:
			r.refuse(at, o, 0, clause+", and it is not searchable")
		default:
			r.mixStored(at, o, v.key, clause)
		}
	}
}

// element returns the value of an array's elements.
func (r *resolver) element(v *value, at Span) value {
	e := *v
	e.direct = false
	switch {
	case v.array:
		e.array = false
	case v.key == nil && v.row == nil && len(v.params) > 0 && v.other == nothing && v.typ == typUnknown:
		// A parameter without a type is an array here.
		r.step(len(v.params))
		e.params = slices.Clone(v.params)
		for i := range e.params {
			e.params[i].array = true
		}
	case !v.isPlain():
		return r.useAll(at, use{form: useClause, name: "taken for an array"}, v)
	}
	return e
}
