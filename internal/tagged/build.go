package tagged

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
)

// Types that encrypted columns may have, domains over them aside.
const (
	byteaOID   = 17
	textOID    = 25
	varcharOID = 1043

	byteaArrayOID   = 1001
	textArrayOID    = 1009
	varcharArrayOID = 1015
)

// narrowest is the length that a varchar column of tokens must have: it holds the token of a value of 100 bytes.
const narrowest = 228

// builder makes a Schema of a catalog. What is wrong with a column it notes at the mark of the column, and what is wrong with a label
// at the label; from there it reaches the relations.
type builder struct {
	*catalog
	ctx        context.Context // of the one reading, for the source of keys
	o          Options
	s          *Schema
	ordered    []*relation // by OID
	kinds      map[uint32]*domainKind
	marks      map[origin]*mark
	byRelation map[*relation][]*mark
	labels     map[string]*labelUse
	rows       map[uint32]*relation // by the type of their rows
	dependent  map[*relation]bool   // that reach a tagged relation by a rule
	read       map[*relation]bool   // views whose definition has been looked at
}

// domainKind is what a domain is, with all domains that it is made of.
type domainKind struct {
	*domain
	root     uint32 // the base type that is no domain
	length   int32  // atttypmod of the root
	standard string // the DEFAULT that holds
	checks   []domainCheck
	tagged   bool
	tag      hooks.Tag
	problem  string
}

// mark is a column with a tag.
type mark struct {
	relation  *relation
	at        int // in the relation's columns
	name      string
	tag       hooks.Tag
	domain    *domainKind // whose tag it is, nil where it has another
	label     string
	implicit  bool
	inherited bool // it is its parent's tag
	problem   string
}

func newBuilder(ctx context.Context, c *catalog, o Options) *builder {
	b := &builder{
		ctx: ctx, catalog: c, o: o,
		s: &Schema{
			fingerprint: c.fingerprint, digest: c.digest, keys: o.Keys, domainsOnly: o.RequireDomains,
			relations: c.relations, schemas: make(map[string]map[string]*sqlcols.Relation),
			columns: make(map[origin]*Column), refused: make(map[uint32]*Column), labels: make(map[*sqlcols.Key]*Label),
			domains: make(map[uint32]*Label), wrapping: make(map[uint32]bool), types: make(map[uint32]bool),
		},
		ordered: slices.SortedFunc(maps.Values(c.relations), func(a, b *relation) int { return cmp.Compare(a.OID, b.OID) }),
		kinds:   make(map[uint32]*domainKind), marks: make(map[origin]*mark), byRelation: make(map[*relation][]*mark),
		labels: make(map[string]*labelUse), rows: make(map[uint32]*relation), dependent: make(map[*relation]bool), read: make(map[*relation]bool),
	}
	for _, r := range b.ordered {
		if r.kind != 'c' {
			put(b.s.schemas, r.Schema, r.Name, &r.Relation)
		}
	}
	return b
}

func (b *builder) build() *Schema {
	for _, d := range b.domains {
		b.kinds[d.oid] = b.kind(d)
		b.s.types[d.oid] = true
	}
	for _, r := range b.ordered {
		for _, c := range r.columns {
			b.s.types[c.oid] = true
		}
	}
	for _, f := range b.functions {
		for _, typ := range f.in {
			b.s.types[typ] = true
		}
	}
	for _, r := range b.ordered {
		if r.row != 0 {
			b.rows[r.row] = r
		}
	}
	b.findMarks()
	b.inherit()
	for _, m := range b.encrypted() {
		b.checkColumn(m)
	}
	b.findLabels()
	b.refuseColumns()
	b.refuseLostDomains()
	b.refuseLost(isTable)
	b.findFunctions()
	b.readViews()
	b.refuseLost(isView)
	b.refuseWrapping()
	b.followRules()
	b.publish()
	return b.s
}

// encrypted returns the marks of encrypted columns and of those that cannot be told, in a fixed order.
func (b *builder) encrypted() []*mark {
	var all []*mark
	for _, r := range b.ordered {
		for _, m := range b.byRelation[r] {
			if m.tag.Encrypt || m.problem != "" {
				all = append(all, m)
			}
		}
	}
	return all
}

func (b *builder) kind(d *domain) *domainKind {
	k := &domainKind{domain: d, length: -1}
	for level := d; level != nil; level = b.domains[level.base] {
		k.root = level.base
		k.checks = append(k.checks, level.checks...)
		if k.length < 0 {
			k.length = level.width
		}
		if k.standard == "" {
			k.standard = level.standard
		}
		tag, found, err := findTag(level.comment)
		switch {
		case err != nil:
			k.tagged = true
			k.fail("comment on domain %s: %v", qualified(level.schema, level.name), err)
		case !found:
		case !k.tagged:
			k.tagged, k.tag = true, tag
		default:
			merged, option := mergeTags(k.tag, tag)
			if k.tag = merged; option != "" {
				k.fail("domain %s: option %s: the domain %s that it is made of says otherwise", qualified(d.schema, d.name), option,
					qualified(level.schema, level.name))
			}
		}
	}
	switch name := qualified(d.schema, d.name); {
	case !k.tag.Encrypt:
	case k.tag.Key == "":
		k.fail("comment on domain %s: option key: a domain's tag must name its label", name)
	case !isText(k.root) && k.root != byteaOID:
		k.fail("domain %s: encrypted columns need a domain over text, varchar or bytea", name)
	case tooNarrow(k.root, k.length):
		k.fail("domain %s: too short for tokens: make it one over text, or varchar(%d) at least", name, narrowest)
	case k.standard != "" && !nullDefault.MatchString(k.standard):
		k.fail("domain %s: has a DEFAULT, which is no token: ALTER DOMAIN … DROP DEFAULT", name)
	}
	return k
}

func (k *domainKind) fail(format string, args ...any) {
	if k.problem == "" {
		k.problem = fmt.Sprintf(format, args...)
	}
}

func isText(typ uint32) bool { return typ == textOID || typ == varcharOID }

// tooNarrow tells a varchar by its atttypmod, which is 4 more than its length.
func tooNarrow(typ uint32, width int32) bool {
	return typ == varcharOID && width >= 0 && width < narrowest+4
}

// mergeTags joins what two sources say of one column. One may leave out key, write, mask, migrating and lowcardinality; in all else they must
// say the same, or it returns the option in which they differ.
func mergeTags(a, b hooks.Tag) (merged hooks.Tag, differs string) {
	merged = a
	for _, o := range []struct {
		name string
		same bool
	}{
		{"encrypt", a.Encrypt == b.Encrypt},
		{"deterministic", a.Deterministic == b.Deterministic},
		{"type", a.Type == b.Type},
		{"fold", a.Fold == b.Fold},
		{"redact", a.Redact == b.Redact},
		{"mask", a.MaskFunction == b.MaskFunction && (!a.Mask.Valid || !b.Mask.Valid || a.Mask == b.Mask)},
		{"key", a.Key == "" || b.Key == "" || a.Key == b.Key},
		{"write", a.Write == "" || b.Write == "" || a.Write == b.Write},
	} {
		if !o.same {
			return a, o.name
		}
	}
	merged.Key = cmp.Or(a.Key, b.Key)
	merged.Write = cmp.Or(a.Write, b.Write)
	merged.Mask = cmp.Or(a.Mask, b.Mask)
	merged.Migrating = a.Migrating || b.Migrating
	merged.LowCardinality = a.LowCardinality || b.LowCardinality
	return merged, ""
}

// source is one place that says something of a column.
type source struct {
	where string
	tag   hooks.Tag
	err   error
}

// findMarks brings together what types, comments and struct tags say.
func (b *builder) findMarks() {
	for _, r := range b.ordered {
		if r.kind == 'c' {
			continue
		}
		for i, c := range r.columns {
			if k := b.kinds[c.oid]; k != nil && k.tagged {
				m := b.mark(r, i)
				m.domain, m.tag, m.problem = k, k.tag, k.problem
			}
			r.Columns[i].Text = isText(c.oid) || b.kinds[c.oid] != nil && isText(b.kinds[c.oid].root)
		}
	}
	for _, comment := range b.comments {
		if r, i := b.column(comment.origin); r != nil {
			if tag, found, err := findTag(comment.text); found {
				b.say(r, i, source{"its comment", tag, err})
			}
		}
	}
	for _, model := range b.o.Models {
		b.meet(model)
	}
	for _, m := range b.marks {
		m.label, m.implicit = m.tag.Key, false
		if m.tag.Encrypt && m.label == "" {
			m.label, m.implicit = m.name, true
		}
		b.byRelation[m.relation] = append(b.byRelation[m.relation], m)
	}
}

func (b *builder) column(o origin) (*relation, int) {
	r := b.relations[o.table]
	if r == nil || r.kind == 'c' {
		return nil, 0
	}
	i := slices.IndexFunc(r.Columns, func(c sqlcols.Column) bool { return c.Number == o.number })
	if i < 0 {
		return nil, 0
	}
	return r, i
}

// mark returns the mark of a column, which it makes where there is none yet.
func (b *builder) mark(r *relation, at int) *mark {
	o := origin{r.OID, r.Columns[at].Number}
	m := b.marks[o]
	if m == nil {
		m = &mark{relation: r, at: at, name: qualified(r.Schema, r.Name, r.Columns[at].Name)}
		b.marks[o] = m
	}
	return m
}

// say adds what a source says of a column to what is known.
func (b *builder) say(r *relation, at int, s source) {
	m := b.mark(r, at)
	if s.err != nil {
		m.fail("%s: %v", s.where, s.err)
		return
	}
	if m.tag == (hooks.Tag{}) {
		m.tag = s.tag
		return
	}
	merged, option := mergeTags(m.tag, s.tag)
	if option != "" {
		other := "another source"
		if m.domain != nil {
			other = "domain " + qualified(m.domain.schema, m.domain.name)
		}
		m.fail("option %s: %s and %s differ", option, s.where, other)
	}
	if m.tag = merged; option == "encrypt" {
		m.tag.Encrypt = true
	}
}

// fail notes what is wrong with a column; the first that is counts.
func (m *mark) fail(format string, args ...any) {
	if m.problem == "" {
		m.problem = "column " + m.name + ": " + fmt.Sprintf(format, args...)
	}
}

// meet finds the column that a struct field means. A table without a schema is looked for as the server does, on the session's search_path.
// Another role may have another path, so no other table of that name may take the field's values unencrypted.
func (b *builder) meet(model hooks.ModelColumn) {
	where := "struct field " + model.Field
	tag, err := parseTag(model.Tag.String())
	found := b.named(model.Schema, model.Table)
	at := -1
	if len(found) > 0 && (model.Schema != "" || slices.Contains(b.path, found[0].Schema)) {
		if at = found[0].index(model.Column); at >= 0 {
			b.say(found[0], at, source{where, tag, err})
		}
		found = found[1:]
	}
	if at < 0 {
		name := []string{model.Schema, model.Table, model.Column}
		if model.Schema == "" {
			name = name[1:]
		}
		b.s.unmet = append(b.s.unmet, model.Field+": "+qualified(name...))
	}
	for _, r := range found {
		at := r.index(model.Column)
		if at < 0 || r.kind == 'v' || r.kind == 'm' { // a view stores nothing: its columns are what they are made of
			continue
		}
		if m := b.marks[origin{r.OID, r.Columns[at].Number}]; model.Tag.Encrypt && (m == nil || !m.tag.Encrypt) {
			b.mark(r, at).fail("%s may mean it too, since its table has no schema: let TableName say which, or tag the column in the database", where)
		}
	}
}

// named returns the relations that a struct can mean by a table's name: those on the search path first, in its order.
func (b *builder) named(schema, name string) []*relation {
	var found []*relation
	for _, r := range b.ordered {
		if r.Name == name && r.kind != 'c' && !isTemporary(r.Schema) && !isSystem(r.Schema) && (schema == "" || r.Schema == schema) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(x, y *relation) int {
		return cmp.Compare(uint(slices.Index(b.path, x.Schema)), uint(slices.Index(b.path, y.Schema)))
	})
	return found
}

func isTemporary(schema string) bool { return strings.HasPrefix(schema, "pg_temp_") }
func isSystem(schema string) bool    { return schema == "pg_catalog" || schema == "information_schema" }

// inherit gives the columns of children and partitions the tags of their parents where their types do not: a row of the child is seen, and
// written, through the parent too.
func (b *builder) inherit() {
	done := make(map[*relation]bool)
	var visit func(child *relation)
	visit = func(child *relation) {
		if done[child] {
			return
		}
		done[child] = true
		for parent := range b.parentsOf(child) {
			visit(parent)
			b.inheritFrom(child, parent)
		}
	}
	for _, r := range b.ordered {
		visit(r)
	}
	for _, child := range b.ordered {
		for parent := range b.parentsOf(child) {
			b.compare(child, parent)
		}
	}
	for _, marks := range b.byRelation { // so that errors come in a fixed order
		slices.SortFunc(marks, func(a, b *mark) int { return a.at - b.at })
	}
}

func (b *builder) parentsOf(child *relation) iter.Seq[*relation] {
	return func(yield func(*relation) bool) {
		for _, oid := range b.parents[child.OID] {
			if parent := b.relations[oid]; parent != nil && !yield(parent) {
				return
			}
		}
	}
}

func (b *builder) inheritFrom(child, parent *relation) {
	for _, theirs := range b.byRelation[parent] {
		at := child.index(parent.Columns[theirs.at].Name)
		if at < 0 || !theirs.tag.Encrypt && theirs.problem == "" {
			continue
		}
		ours := b.marks[origin{child.OID, child.Columns[at].Number}]
		if ours == nil {
			ours = b.mark(child, at)
			ours.tag, ours.label, ours.implicit, ours.problem = theirs.tag, theirs.label, theirs.implicit, theirs.problem
			ours.inherited = true
			b.byRelation[child] = append(b.byRelation[child], ours)
		} else if merged, option := mergeTags(ours.tag, theirs.tag); option == "" && ours.implicit {
			ours.tag, ours.label, ours.implicit = merged, theirs.label, theirs.implicit
		}
	}
}

// compare refuses columns of parent and child that do not agree.
func (b *builder) compare(child, parent *relation) {
	for _, ours := range b.byRelation[child] {
		at := parent.index(child.Columns[ours.at].Name)
		if at < 0 {
			continue
		}
		theirs := b.marks[origin{parent.OID, parent.Columns[at].Number}]
		switch {
		case theirs == nil || !theirs.tag.Encrypt:
			if !ours.tag.Encrypt {
				continue
			}
			if theirs == nil {
				theirs = b.mark(parent, at)
				b.byRelation[parent] = append(b.byRelation[parent], theirs)
			}
			theirs.fail("is not tagged, but its child's column %s is: tag both, or this one only", ours.name)
		default:
			_, option := mergeTags(ours.tag, theirs.tag)
			if option == "" && ours.label != theirs.label {
				option = "key"
			}
			if option != "" {
				ours.fail("option %s: differs from that of its parent's column %s", option, theirs.name)
				theirs.fail("option %s: differs from that of its child's column %s", option, ours.name)
			}
		}
	}
}

// index returns which of its columns has a name, or -1.
func (r *relation) index(name string) int {
	return slices.IndexFunc(r.Columns, func(c sqlcols.Column) bool { return c.Name == name })
}

// checkColumn looks for what an encrypted column may not be.
func (b *builder) checkColumn(m *mark) {
	c, o := m.relation.columns[m.at], origin{m.relation.OID, m.relation.Columns[m.at].Number}
	root, length := c.oid, c.width
	standard := c.defaults // one that is NULL is stored only where it overrides a domain's
	if k := b.kinds[c.oid]; k != nil {
		root, length, standard = k.root, k.length, b.defaults[o]
	}
	switch {
	case !isText(root) && root != byteaOID:
		m.fail("its type cannot hold tokens: make it text, varchar or bytea, or a domain over one of them")
	case tooNarrow(root, length):
		m.fail("too short for tokens: make it text, or varchar(%d) at least", narrowest)
	case b.folding[o]:
		m.fail("its collation calls different tokens equal: give it a deterministic one")
	case c.generated:
		m.fail("is generated by the server, which cannot encrypt")
	case standard:
		m.fail("has a DEFAULT, which is no token: ALTER TABLE … ALTER COLUMN … DROP DEFAULT")
	case b.partitionKeys[o]:
		m.fail("is part of the partition key: what is encrypted has no order, and another token each time or key")
	case m.tag.Encrypt && m.domain == nil && b.o.RequireDomains:
		m.fail("is tagged without a domain, which pganon.domains=required refuses: give it a type made by DomainSQL")
	case m.tag.Encrypt && len(b.o.Labels) > 0:
		b.checkPin(m)
	}
}

// checkPins refuses what cannot be the name of a column.
func checkPins(labels map[string][]string) error {
	for label, columns := range labels {
		for _, column := range columns {
			if strings.Count(column, ".") < 2 {
				return fmt.Errorf("labels: %s: %s: want schema.table.column or schema.table.*", label, column)
			}
		}
	}
	return nil
}

// pinned reports whether Options.Labels lets a column carry a label.
func (o *Options) pinned(label, schema, table, column string) bool {
	if len(o.Labels) == 0 {
		return true
	}
	columns := o.Labels[label]
	return slices.Contains(columns, qualified(schema, table)+".*") || column != "" && slices.Contains(columns, qualified(schema, table, column))
}

// checkPin asks for the column itself, or, in a child or partition, for its parent's.
func (b *builder) checkPin(m *mark) {
	name := m.relation.Columns[m.at].Name
	for queue, seen := []*relation{m.relation}, map[*relation]bool{}; len(queue) > 0; queue = queue[1:] {
		r := queue[0]
		if b.o.pinned(m.label, r.Schema, r.Name, name) {
			return
		}
		for parent := range b.parentsOf(r) {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	m.fail("Config.Labels does not let it carry the label %s", m.label)
}

// publish fills the Schema.
func (b *builder) publish() {
	var names []string
	shown := make(map[string]bool)
	if b.o.Previous != nil {
		for _, name := range b.o.Previous.shown {
			shown[name] = true
		}
	}
	for _, model := range b.o.Models {
		shown[model.Column] = true
		shown[model.Field[strings.LastIndexByte(model.Field, '.')+1:]] = true
		if model.Tag.Encrypt {
			names = append(names, model.Table) // it may be made after this
		}
	}
	for _, r := range b.ordered {
		if r.kind == 'c' {
			delete(b.relations, r.OID)
			continue
		}
		r.columns = nil
		if b.tagged(r) || b.dependent[r] {
			names = append(names, r.Name)
		}
		if r.Opaque != "" {
			err := fmt.Errorf("pganon: table %s is refused: %s", qualified(r.Schema, r.Name), r.Opaque)
			b.s.refusals = append(b.s.refusals, err)
			b.s.refused[r.OID] = &Column{Name: qualified(r.Schema, r.Name), Err: err}
		}
		for _, m := range b.byRelation[r] {
			shown[r.Columns[m.at].Name] = true
			if m.tag.Encrypt || m.problem != "" {
				b.publishColumn(m)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b.labels)) {
		if l := b.labels[k]; l.Err != nil {
			b.s.refusals = append(b.s.refusals, l.Err)
		}
	}
	for _, functions := range b.findFunctions() {
		names = slices.AppendSeq(names, maps.Keys(functions))
	}
	b.s.names = *newMatcher(names)
	b.s.shown = slices.Sorted(maps.Keys(shown))
	slices.Sort(b.s.untyped)
}

func put[V any](m map[string]map[string]V, outer, inner string, v V) {
	if m[outer] == nil {
		m[outer] = make(map[string]V)
	}
	m[outer][inner] = v
}

func (b *builder) publishColumn(m *mark) {
	c := &Column{Name: m.name, Typed: m.domain != nil, attribute: m.relation.Columns[m.at].Name, encrypted: m.tag.Encrypt}
	if l := b.labels[m.label]; l != nil {
		c.Label = l.Label
	}
	if refused := b.s.refused[m.relation.OID]; refused != nil {
		c.Err = refused.Err
	}
	b.s.columns[origin{m.relation.OID, m.relation.Columns[m.at].Number}] = c
	if m.tag.Encrypt && m.domain == nil && !m.inherited {
		b.s.untyped = append(b.s.untyped, m.name)
	}
}

// findFunctions finds the functions that have to do with labels, and those of their names: which of them a call means is for the server to
// say. It is called again when views have their labels.
func (b *builder) findFunctions() map[string]map[string][]sqlcols.Function {
	made, concerns := make([]sqlcols.Function, len(b.functions)), make(map[string]bool)
	for i, f := range b.functions {
		var ok bool
		if made[i], ok = b.function(f); ok {
			concerns[f.name] = true
		}
	}
	b.s.functions = make(map[string]map[string][]sqlcols.Function)
	for i, f := range b.functions {
		if concerns[f.name] {
			put(b.s.functions, f.schema, f.name, append(b.s.functions[f.schema][f.name], made[i]))
		}
	}
	return b.s.functions
}

// function says what a function has to do with labels, and whether it has at all.
func (b *builder) function(f function) (out sqlcols.Function, ok bool) {
	for i, typ := range f.in {
		key := b.keyOf(typ)
		out.Args = append(out.Args, key)
		if b.s.wrapping[typ] {
			if out.Wraps == nil {
				out.Wraps = make([]bool, len(f.in))
			}
			out.Wraps[i] = true
		}
		ok = ok || key != nil || out.Wraps != nil
	}
	result := func(typ uint32, column string) *sqlcols.Key {
		key := b.keyOf(typ)
		if key == nil || !b.o.pinned(key.Label, f.schema, f.name, column) {
			return nil
		}
		ok = true
		return key
	}
	out.Result = result(f.result, "")
	for i, c := range f.out {
		out.Columns = append(out.Columns, sqlcols.Column{Name: c.name, Number: int16(i + 1), Key: result(c.typ, c.name), Text: b.isText(c.typ)})
	}
	if r := b.rows[f.result]; r != nil && len(f.out) == 0 && b.tagged(r) {
		ok = true
		out.Columns = slices.Clone(r.Columns)
		for i, c := range out.Columns {
			if c.Key != nil && !b.o.pinned(c.Key.Label, f.schema, f.name, c.Name) {
				out.Columns[i].Key = nil
			}
		}
	}
	return out, ok
}

func (b *builder) keyOf(typ uint32) *sqlcols.Key {
	if l := b.s.domains[typ]; l != nil {
		return l.Key
	}
	return nil
}

func (b *builder) isText(typ uint32) bool {
	k := b.kinds[typ]
	return isText(typ) || k != nil && isText(k.root)
}
