package sqlcols

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what an analysis may cost.
const (
	maxSteps      = 10_000_000 // names, columns and parameters looked at
	maxNesting    = 5_000      // of a tree, which an operator's chain makes deeper than MaxDepth
	maxOutputs    = 1_664      // PostgreSQL's own limit for a list of outputs
	maxParameters = 65_535     // the protocol's
	maxReasons    = 16         // that one text is refused for
)

// Analyze says which parameters and outputs of a statement meet which encrypted columns. The error says why the statement is refused:
// it is, or holds by errors.As, an *Error.
func Analyze(text string, schema Schema) (*Analysis, error) {
	statements, err := Parse(text)
	switch {
	case err != nil:
		return nil, err
	case len(statements) == 0:
		return &Analysis{}, nil
	case len(statements) > 1:
		return nil, &Error{
			Position: statements[1].Pos().Start, Reason: "unsupported: " + strconv.Itoa(len(statements)) + " statements",
		}
	}
	return analyze(statements[0], schema)
}

// refusals are all the reasons why a text is refused; the first is the one that matters most.
type refusals []*Error

func (e refusals) Error() string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].Error()
	}
	return strings.Join(texts, "; ")
}

func (e refusals) Unwrap() []error {
	errs := make([]error, len(e))
	for i := range e {
		errs[i] = e[i]
	}
	return errs
}

// resolver is one analysis.
type resolver struct {
	schema   Schema
	params   []parameter
	refs     []Reference
	reasons  []*Error
	mixed    []*Error
	occurred []occurrence // of all parameters
	origins  []Origin     // memory of values
	meetings []Meeting    // memory of parameters
	links    bool         // there are groups of parameters
	steps    int
	nesting  int

	scalarNames map[*Query]string // of the first column of sub-selects, which may name an output
}

// A parameter is what is known of $n so far.
type parameter struct {
	used      bool
	meetings  []Meeting
	index     map[meetingPlace]bool // of many meetings
	asIs      use                   // its first use that has nothing to do with encryption
	asIsAt    Span
	grouped   string // a clause that tells its values apart, "" for none
	groupedAt Span
	casts     uint8 // casts in place to text and bytea, as bits: the first of them gives it its type, the others may change the value

	// Parameters that a value may be one of are a group, which is a tree of links.
	link   int        // n of another one of its group, 0 for the root
	linked occurrence // where it is in a group, its zero value for nowhere
}

func analyze(statement Statement, schema Schema) (a *Analysis, err error) {
	r := &resolver{schema: schema}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case *Error:
			a, err = nil, failure
		default:
			panic(failure)
		}
	}()
	a = &Analysis{}
	r.top(statement, a)
	r.settle(a)
	if len(r.reasons) > 0 {
		// A name that is not known may have grown unknown since the schema was read; that goes first.
		slices.SortStableFunc(r.reasons, func(a, b *Error) int { return cmp.Compare(known(a), known(b)) })
		if len(r.reasons) == 1 {
			return nil, r.reasons[0]
		}
		return nil, refusals(r.reasons)
	}
	a.References, a.Mixed, a.occurred = r.refs, r.mixed, r.occurred
	return a, nil
}

func known(e *Error) int {
	if e.Unknown {
		return 0
	}
	return 1
}

// top analyses the statement itself, whose outputs go to the client.
func (r *resolver) top(statement Statement, a *Analysis) {
	switch st := statement.(type) {
	case *Explain:
		r.top(st.Statement, a)
		a.Outputs, a.Open = []Output{{Name: "QUERY PLAN"}}, false
	case *Declare:
		t := r.query(nil, st.Query)
		r.outputs(&t, a)
		for _, c := range t.columns {
			if c.value.key != nil && !c.value.direct {
				r.refuse(st.Query.Span, c.value.origins[0], 0, "output of a cursor that is not the column itself, which FETCH would not know")
			}
		}
		a.Outputs, a.Open = nil, false
	default:
		if t, rows := r.statement(nil, statement); rows {
			r.outputs(&t, a)
		}
	}
}

// outputs says what the columns are that go to the client.
func (r *resolver) outputs(t *table, a *Analysis) {
	a.Outputs, a.Open = make([]Output, len(t.columns)), t.open
	for i := range t.columns {
		c := &t.columns[i]
		a.Outputs[i].Name = c.name
		v, at := &c.value, c.at
		if v.isPlain() {
			continue
		}
		for _, o := range v.taint {
			r.refuse(at, o, 0, "output "+strconv.Quote(c.name)+" is computed from it")
		}
		if v.key == nil {
			r.consume(v, at, use{form: useOutput, name: c.name})
			continue
		}
		if t.open {
			r.refuse(at, v.origins[0], 0, "output beside columns whose number is not known")
		}
		a.Outputs[i].Origins, a.Outputs[i].Key, a.Outputs[i].Array = v.origins, v.key, v.array
	}
}

// settle gives each parameter its one meaning.
func (r *resolver) settle(a *Analysis) {
	r.settleGroups()
	a.Parameters = make([]Parameter, len(r.params))
	for i := range r.params {
		known, n := &r.params[i], i+1
		a.Parameters[i].Used = known.used
		if len(known.meetings) == 0 {
			continue
		}
		first := &known.meetings[0]
		a.Parameters[i].Key, a.Parameters[i].Meetings = first.Key, known.meetings
		name := first.subject()
		for j := range known.meetings[1:] {
			m := &known.meetings[1+j]
			if m.Key != first.Key {
				r.refuseParameter(m.At, first.Column, n, name+" and "+m.subject())
				break
			}
			if m.Array != first.Array {
				r.refuseParameter(m.At, first.Column, n, name+" as one value and as an array of values")
				break
			}
		}
		if c := castOf(first.columnType(), first.Array); known.casts&^c != 0 {
			r.refuseParameter(first.At, first.Column, n, name+" and cast to another type elsewhere")
		}
		if known.asIs.form != useNone {
			r.refuseParameter(known.asIsAt, first.Column, n, name+" and for "+known.asIs.ofParameter())
		}
		if known.grouped == "" {
			continue
		}
		if !first.Key.Searchable {
			r.refuse(known.groupedAt, first.Column, n, known.grouped+" of $"+strconv.Itoa(n)+", and it is not searchable")
		} else {
			r.mix(known.groupedAt, first.Column, first.Key, known.grouped+" of $"+strconv.Itoa(n))
		}
	}
}

// link says that a value may be the one parameter or the other: then they mean the same, also where nothing looks at the value.
func (r *resolver) link(p, q occurrence) {
	for _, o := range [...]occurrence{p, q} {
		known := &r.params[o.n-1]
		switch {
		case known.linked.n == 0:
			known.linked = o
		case known.linked.array != o.array:
			r.useAsIs(o, use{form: useClause, name: "an array of values beside single ones"})
		}
	}
	if a, b := r.root(p.n), r.root(q.n); a != b {
		r.params[max(a, b)-1].link = min(a, b)
		r.links = true
	}
}

// root returns the parameter that stands for the group of $n.
func (r *resolver) root(n int) int {
	for r.params[n-1].link != 0 {
		if next := r.params[r.params[n-1].link-1].link; next != 0 {
			r.params[n-1].link = next
		}
		n = r.params[n-1].link
	}
	return n
}

// settleGroups gives each parameter the meaning of its group.
func (r *resolver) settleGroups() {
	if !r.links {
		return
	}
	meanings := map[int]*Meeting{} // by root
	for i := range r.params {
		if known := &r.params[i]; len(known.meetings) > 0 && meanings[r.root(i+1)] == nil {
			meanings[r.root(i+1)] = &known.meetings[0]
		}
	}
	for i := range r.params {
		known, meaning := &r.params[i], meanings[r.root(i+1)]
		if meaning == nil || known.linked.n == 0 {
			continue
		}
		m := Meeting{Use: meaning.Use, Column: meaning.Column, Key: meaning.Key, function: meaning.function}
		if m.Use == Compared {
			m.Use = Assigned
		}
		r.meet(known.linked, m)
	}
}

// columnType returns the type of the column that a parameter meets; typUnknown of an argument.
func (m *Meeting) columnType() typ {
	switch {
	case m.Column.Column == nil:
		return typUnknown
	case m.Column.Column.Text:
		return typText
	}
	return typBytea
}

// castOf returns the bit of a cast to a type; all of them for one that is not known.
func castOf(t typ, array bool) uint8 {
	bit := uint8(1)
	switch {
	case t == typUnknown:
		bit |= 1 << 2
	case t == typBytea:
		bit <<= 2
	}
	if array {
		bit <<= 1
	}
	return bit
}

// subject names what a parameter meets.
func (m *Meeting) subject() string {
	if m.Column.Column == nil {
		return "an argument of " + m.function + "()"
	}
	return m.Column.String()
}

func (r *resolver) refuseParameter(at Span, column Origin, n int, uses string) {
	e := r.refuse(at, column, n, "$"+strconv.Itoa(n)+" is used for "+uses)
	e.alone = true
}

// refuse adds a reason to refuse the text. The Error it returns may be told more.
func (r *resolver) refuse(at Span, column Origin, parameter int, reason string) *Error {
	e := &Error{Position: at.Start, Column: column.text(), Parameter: parameter, Reason: reason}
	for _, old := range r.reasons {
		if old.Position == e.Position && old.Column == e.Column && old.Parameter == e.Parameter && old.Reason == e.Reason {
			return old
		}
	}
	if len(r.reasons) < maxReasons {
		r.reasons = append(r.reasons, e)
	}
	return e
}

// refuseKeys says that two columns of different keys meet.
func (r *resolver) refuseKeys(at Span, a, b Origin) {
	r.refuse(at, a, 0, a.String()+" meets "+b.String()+", which has another key").alone = true
}

// refuseUnknown says that a name means nothing, as far as the schema is known.
func (r *resolver) refuseUnknown(at Span, reason string) {
	e := r.refuse(at, Origin{}, 0, reason)
	e.Unknown = true
	if !slices.Contains(r.reasons, e) { // it matters more than the last of too many
		r.reasons[len(r.reasons)-1] = e
	}
}

// mix says that something compares tokens of a key in a way that no rewriting saves while there are several.
func (r *resolver) mix(at Span, column Origin, key *Key, reason string) {
	if key.Several {
		r.mixes(at, column, key, reason)
	}
}

// mixStored is mix for what compares nothing but stored tokens, with each other or with those that are being stored.
func (r *resolver) mixStored(at Span, column Origin, key *Key, reason string) {
	if key.Mixed {
		r.mixes(at, column, key, reason)
	}
}

func (r *resolver) mixes(at Span, column Origin, key *Key, reason string) {
	if len(r.mixed) >= maxReasons {
		return
	}
	why := ", while its key is being rotated"
	if key.Migrating {
		why = ", while it is migrating"
	}
	e := &Error{Position: at.Start, Column: column.text(), Reason: reason + why}
	for _, old := range r.mixed {
		if *old == *e {
			return
		}
	}
	r.mixed = append(r.mixed, e)
}

// unsupported is what an analysis ends with by panic.
func unsupported(at int, what string) *Error {
	return &Error{Position: at, Reason: "unsupported: " + what}
}

// step counts n steps.
func (r *resolver) step(n int) {
	if r.steps += n; r.steps > maxSteps {
		panic(unsupported(-1, "too complex"))
	}
}

// enter counts one level of nesting, until leave.
func (r *resolver) enter(at Span) {
	r.steps++
	if r.nesting++; r.nesting > maxNesting {
		panic(unsupported(at.Start, "nested too deeply"))
	}
}

func (r *resolver) leave() { r.nesting-- }

// parameterAt notes a place of $n.
func (r *resolver) parameterAt(p *Param) occurrence {
	if p.N < 1 || p.N > maxParameters {
		panic(unsupported(p.Start, "number of a parameter"))
	}
	if p.N > len(r.params) {
		if r.params == nil {
			r.params, r.occurred = make([]parameter, 0, max(8, min(p.N, 64))), make([]occurrence, 0, 8)
		}
		r.params = slices.Grow(r.params, p.N-len(r.params))[:p.N]
	}
	r.params[p.N-1].used = true
	r.occurred = append(r.occurred, occurrence{n: p.N, at: p.Span})
	return r.occurred[len(r.occurred)-1]
}
