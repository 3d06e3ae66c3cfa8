package hooks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
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

// refuseWrapping makes relations opaque that have a column whose type holds encrypted values inside.
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
			if c.oid >= firstUserOID && inside[c.oid] && r.kind != 'c' {
				r.refuse(fmt.Sprintf("column %s: its type holds encrypted values inside, in an array, a row or a range: that is not supported",
					qualified(r.Schema, r.Name, r.Columns[i].Name)))
			}
		}
	}
	for _, o := range slices.SortedFunc(maps.Keys(b.computed), func(x, y origin) int { return cmp.Or(cmp.Compare(x.table, y.table), cmp.Compare(x.number, y.number)) }) {
		for _, from := range b.computed[o] {
			r, at := b.column(o)
			if m := b.marks[from]; r != nil && m != nil && m.tag.Encrypt {
				r.refuse(fmt.Sprintf("column %s: is generated from column %s, of which the server sees tokens only", qualified(r.Schema, r.Name, r.Columns[at].Name), m.name))
			}
		}
	}
}

// firstUserOID is the least OID of what initdb has not made.
const firstUserOID = 16384

// followRules looks at what views and rules reach. A view's columns have the types, and so the tags, of what they are; where the tag is not
// that of the type, the view's own column must have it too.
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
	for _, u := range b.rules[r.OID] {
		from := b.relations[u.table]
		if from == nil || from == r && u.selects {
			continue
		}
		tagged := b.tagged(from) || b.dependent[from]
		if !tagged {
			continue
		}
		b.dependent[r] = true
		name := qualified(r.Schema, r.Name)
		m := b.marks[u.origin]
		switch {
		case from != r && from.Opaque != "":
			r.refuse(fmt.Sprintf("%s: it is made of %s, which is refused: %s", name, qualified(from.Schema, from.Name), from.Opaque))
		case !u.selects && (from != r && b.tagged(from) || m != nil && m.tag.Encrypt):
			r.refuse(fmt.Sprintf("%s: a rule of it reaches %s, which has encrypted columns", name, qualified(from.Schema, from.Name)))
		case m == nil || !m.tag.Encrypt || m.domain != nil:
		case b.insteadOf[r.OID]:
			r.refuse(fmt.Sprintf("%s: it has an INSTEAD OF trigger, and reaches column %s, which is tagged without a domain", name, m.name))
		case !slices.ContainsFunc(b.byRelation[r], func(own *mark) bool { return own.tag.Encrypt && own.label == m.label }):
			r.refuse(fmt.Sprintf("%s: it is made of column %s, which is tagged without a domain: give that one a domain, or tag the view's own column with encrypt and key=%s",
				name, m.name, quoteValue(m.label)))
		}
	}
	return b.dependent[r] != wasDependent || r.Opaque != wasOpaque
}

// tagged says whether a relation has something encrypted or is refused.
func (b *builder) tagged(r *relation) bool {
	return r.Opaque != "" || slices.ContainsFunc(b.byRelation[r], func(m *mark) bool { return m.tag.Encrypt })
}

// refuseLost refuses what was encrypted when Previous was read and has no tag any more: the same column, or one of its name.
func (b *builder) refuseLost() {
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
		if r.kind == 'c' {
			continue
		}
		names := byName[qualified(r.Schema, r.Name)]
		for i, c := range r.Columns {
			o := origin{r.OID, c.Number}
			if was := p.columns[o]; (was == nil || !was.encrypted) && !names[c.Name] {
				continue
			}
			m := b.mark(r, i)
			if m.tag.Encrypt {
				continue
			}
			m.tag = Tag{Encrypt: true}
			m.fail("was encrypted when its tag was read before, and has none now: put the tag back, or restart once no token is left in the column")
			if !slices.Contains(b.byRelation[r], m) {
				b.byRelation[r] = append(b.byRelation[r], m)
			}
			r.refuse(m.problem)
		}
	}
	for oid, l := range p.domains {
		if d := b.domains[oid]; d != nil && b.s.domains[oid] == nil {
			b.badDomain(d, l.Name, fmt.Sprintf("domain %s: had a tag when it was read before, and has none now: put the tag back", qualified(d.schema, d.name)))
		}
	}
}
