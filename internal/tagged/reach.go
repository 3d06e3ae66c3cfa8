package tagged

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
)

// refuse makes a relation opaque; the first reason counts.
func (r *relation) refuse(reason string) {
	if r.Opaque == "" {
		r.Opaque = reason
	}
}

// refuseColumns gives columns their keys, and makes relations opaque that have a column which may not be used.
func (b *builder) refuseColumns() {
	for _, m := range b.encrypted() {
		problem := m.problem
		l := b.labels[m.label]
		if l != nil {
			m.relation.Columns[m.at].Key = l.Key
			problem = cmp.Or(problem, l.problem)
		}
		if problem != "" {
			if l != nil && m.problem == "" && b.o.Keys == nil {
				problem = "column " + m.name + " " + noKeys
			}
			m.relation.refuse(problem)
		}
	}
}

// refuseWrapping makes relations opaque that have a column whose type holds encrypted values inside, or that the server makes of one.
func (b *builder) refuseWrapping() {
	inside := make(map[uint32]bool)
	hold := func(typ uint32) {
		if typ != 0 {
			inside[typ] = true
		}
	}
	encrypts := func(typ uint32) bool { return b.s.domains[typ] != nil }
	type use struct {
		typ uint32
		by  *relation
	}
	var uses []use
	for _, r := range b.ordered {
		if slices.ContainsFunc(b.byRelation[r], func(m *mark) bool { return m.tag.Encrypt || m.problem != "" }) {
			hold(r.row)
		}
		for _, c := range r.columns {
			if c.oid >= firstUserOID {
				uses = append(uses, use{c.oid, r})
			}
		}
	}
	for before := -1; before != len(inside); {
		before = len(inside)
		for _, u := range uses {
			if inside[u.typ] || encrypts(u.typ) {
				hold(u.by.row)
			}
		}
		for _, r := range b.ordered {
			if inside[r.row] {
				hold(r.rowArray)
			}
		}
		for _, d := range b.domains {
			if inside[d.base] {
				hold(d.oid)
			}
			if inside[d.oid] || encrypts(d.oid) {
				hold(d.array)
			}
		}
		for subtype, types := range b.ranges {
			if inside[subtype] || encrypts(subtype) {
				for _, typ := range types {
					hold(typ)
				}
			}
		}
	}
	b.s.wrapping = inside
	for _, r := range b.ordered {
		for i, c := range r.columns {
			if inside[c.oid] && r.kind != 'c' {
				r.refuse(fmt.Sprintf("column %s: its type holds encrypted values inside, in an array, a row or a range: that is not supported",
					qualified(r.Schema, r.Name, r.Columns[i].Name)))
			}
		}
	}
	for o, computed := range b.computed {
		r, at := b.column(o)
		for _, from := range computed {
			if m := b.marks[from]; r != nil && m != nil && m.tag.Encrypt {
				r.refuse(fmt.Sprintf("column %s: is generated from column %s, of which the server sees tokens only", qualified(r.Schema, r.Name, r.Columns[at].Name), m.name))
			}
		}
	}
}

// firstUserOID is the least OID of what initdb has not made.
const firstUserOID = 16384

// readViews finds where the values of a view's columns come from. A column that holds an encrypted one's values has its label, whatever its
// type. A view that does with encrypted columns what a statement may not do is refused, as that statement would be.
func (b *builder) readViews() {
	for _, r := range b.ordered {
		b.readView(r)
	}
}

// catalogPath is the search path that definitions are written for.
var catalogPath = []string{"pg_catalog"}

func (b *builder) readView(r *relation) {
	text, ok := b.definitions[r.OID]
	if !ok || b.read[r] {
		return
	}
	b.read[r] = true // also of a view that is made of itself
	for _, u := range b.rules[r.OID] {
		if from := b.relations[u.table]; from != nil && u.selects {
			b.readView(from)
		}
	}
	name := qualified(r.Schema, r.Name)
	if !slices.ContainsFunc(b.rules[r.OID], func(u ruleUse) bool { return b.relations[u.table] != nil && b.tagged(b.relations[u.table]) }) {
		return
	}
	a, err := sqlcols.Analyze(text, b.s.View(catalogPath))
	if err == nil && len(a.Mixed) > 0 {
		err = a.Mixed[0]
	}
	switch {
	case err != nil:
		r.refuse(fmt.Sprintf("%s: its definition: %v", name, err))
		return
	case a.Open || len(a.Outputs) != len(r.Columns):
		r.refuse(name + ": its definition has other columns than it has itself")
		return
	}
	for i, out := range a.Outputs {
		m, own := b.marks[origin{r.OID, r.Columns[i].Number}], r.Columns[i].Key
		switch {
		case out.Key == nil || out.Key == own:
		case out.Array:
			r.refuse(fmt.Sprintf("%s: column %s is an array of encrypted values: that is not supported", name, r.Columns[i].Name))
		case own != nil || m != nil && m.tag.Encrypt:
			r.refuse(fmt.Sprintf("%s: column %s has label %s by its tag, and values of label %s", name, r.Columns[i].Name, m.label, out.Key.Label))
		default:
			b.derive(r, i, out.Key)
		}
	}
}

// derive gives a view's column the label whose values it holds.
func (b *builder) derive(view *relation, at int, key *sqlcols.Key) {
	l := b.labels[key.Label]
	if l == nil {
		view.refuse(fmt.Sprintf("column %s: %v", qualified(view.Schema, view.Name, view.Columns[at].Name), b.s.labels[key].Err))
		return
	}
	m := b.mark(view, at)
	m.tag, m.label, m.implicit, m.inherited = l.tag, l.Name, l.Implicit, true
	view.Columns[at].Key = key
	if !slices.Contains(b.byRelation[view], m) {
		b.byRelation[view] = append(b.byRelation[view], m)
	}
	switch {
	case b.insteadOf[view.OID]:
		m.fail("it has values of label %s, and an INSTEAD OF trigger may put others there: give it their type", l.Name)
	case l.Bytea != (b.root(view.columns[at].oid) == byteaOID):
		m.fail("it has values of label %s as another type: make it theirs", l.Name)
	case len(b.o.Labels) > 0:
		b.checkPin(m)
	}
	if m.problem != "" {
		view.refuse(m.problem)
	}
}

// root returns what a type is without domains.
func (b *builder) root(typ uint32) uint32 {
	if k := b.kinds[typ]; k != nil {
		return k.root
	}
	return typ
}

// followRules refuses what is made of something refused, and what has a rule that reaches an encrypted column: what the rule does is not
// looked at.
func (b *builder) followRules() {
	owners := slices.Sorted(maps.Keys(b.rules))
	for changed := true; changed; {
		changed = false
		for _, owner := range owners {
			if r := b.relations[owner]; r != nil && b.followRule(r) {
				changed = true
			}
		}
	}
}

func (b *builder) followRule(r *relation) (changed bool) {
	wasDependent, wasOpaque := b.dependent[r], r.Opaque
	name := qualified(r.Schema, r.Name)
	for _, u := range b.rules[r.OID] {
		from := b.relations[u.table]
		if from == nil || from == r && u.selects || !b.tagged(from) && !b.dependent[from] {
			continue
		}
		b.dependent[r] = true
		m := b.marks[u.origin]
		encrypted := m != nil && m.tag.Encrypt
		switch {
		case from != r && from.Opaque != "":
			r.refuse(fmt.Sprintf("%s: it is made of %s, which is refused: %s", name, qualified(from.Schema, from.Name), from.Opaque))
		case !u.selects && (from != r && b.tagged(from) || encrypted):
			r.refuse(fmt.Sprintf("%s: a rule of it reaches %s, which has encrypted columns", name, qualified(from.Schema, from.Name)))
		case encrypted && !b.read[r]:
			r.refuse(fmt.Sprintf("%s: it is made of column %s, and its definition could not be read: another session has locked a table of it", name, m.name))
		}
	}
	return b.dependent[r] != wasDependent || r.Opaque != wasOpaque
}

// tagged says whether a relation has something encrypted or is refused.
func (b *builder) tagged(r *relation) bool {
	return r.Opaque != "" || slices.ContainsFunc(b.byRelation[r], func(m *mark) bool { return m.tag.Encrypt })
}

func isTable(r *relation) bool { return !isView(r) && r.kind != 'c' }
func isView(r *relation) bool  { return r.kind == 'v' || r.kind == 'm' }

// refuseLost refuses what was encrypted when Previous was read and has no tag any more: the same column, or one of its name.
func (b *builder) refuseLost(concerns func(*relation) bool) {
	p := b.o.Previous
	if p == nil {
		return
	}
	byName := make(map[string]map[string]bool)
	for o, c := range p.columns {
		if r := p.relations[o.table]; c.encrypted && !isTemporary(r.Schema) {
			put(byName, qualified(r.Schema, r.Name), c.attribute, true)
		}
	}
	for _, r := range b.ordered {
		if !concerns(r) {
			continue
		}
		names := byName[qualified(r.Schema, r.Name)]
		for i, c := range r.Columns {
			if was := p.columns[origin{r.OID, c.Number}]; (was == nil || !was.encrypted) && !names[c.Name] {
				continue
			}
			m := b.mark(r, i)
			if m.tag.Encrypt {
				continue
			}
			m.tag = hooks.Tag{Encrypt: true}
			m.fail("was encrypted when its tag was read before, and has none now: put the tag back, or restart once no token is left in the column")
			if !slices.Contains(b.byRelation[r], m) {
				b.byRelation[r] = append(b.byRelation[r], m)
			}
			r.refuse(m.problem)
		}
	}
}

// refuseLostDomains refuses domains that had a tag when Previous was read.
func (b *builder) refuseLostDomains() {
	if b.o.Previous == nil {
		return
	}
	for _, oid := range slices.Sorted(maps.Keys(b.o.Previous.domains)) {
		if d := b.domains[oid]; d != nil && b.s.domains[oid] == nil {
			b.badDomain(d, b.o.Previous.domains[oid].Name,
				fmt.Sprintf("domain %s: had a tag when it was read before, and has none now: put the tag back", qualified(d.schema, d.name)))
		}
	}
}
