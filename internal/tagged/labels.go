package tagged

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/internal/sqlcols"
)

// labelUse is a label and where it is used.
type labelUse struct {
	*Label
	tag      hooks.Tag
	where    string   // whose tag came first
	limited  bool     // only tokens of allowed keys can occur
	allowed  []string // by the CHECKs
	untyped  bool     // a column has it without a domain
	problem  string
	required []domainCheck // what new tokens must pass
}

// findLabels brings together what the tags of one label say, and chooses its keys.
func (b *builder) findLabels() {
	kinds := slices.SortedFunc(maps.Values(b.kinds), func(a, b *domainKind) int { return cmp.Compare(a.oid, b.oid) })
	for _, k := range kinds {
		if !k.tagged || !k.tag.Encrypt && k.problem == "" {
			continue
		}
		if k.problem != "" {
			b.badDomain(k.domain, k.tag.Key, k.problem)
			continue
		}
		l := b.use(k.tag.Key, k.tag, "domain "+qualified(k.schema, k.name), k.root)
		l.Domains = append(l.Domains, LabelDomain{k.oid, k.schema, k.name, k.comment})
		l.limit(k.checks)
		b.s.domains[k.oid] = l.Label
	}
	for _, m := range b.encrypted() {
		if m.problem != "" {
			continue
		}
		c := m.relation.columns[m.at]
		root := c.oid
		if k := b.kinds[c.oid]; k != nil {
			root = k.root
		}
		l := b.use(m.label, m.tag, "column "+m.name, root)
		l.Implicit = l.Implicit || m.implicit
		l.untyped = l.untyped || m.domain == nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.labels)) {
		b.finishLabel(b.labels[name])
	}
}

// badDomain gives a domain a label that may not be used.
func (b *builder) badDomain(d *domain, name, problem string) {
	l := &Label{Name: name, Err: errors.New("pganon: " + problem), Key: &sqlcols.Key{Label: name}}
	l.Domains = []LabelDomain{{d.oid, d.schema, d.name, d.comment}}
	b.s.labels[l.Key], b.s.domains[d.oid] = l, l
	b.s.refusals = append(b.s.refusals, l.Err)
}

// use notes that a label has a tag at some place, over some base type.
func (b *builder) use(name string, tag hooks.Tag, where string, root uint32) *labelUse {
	l := b.labels[name]
	if l == nil {
		l = &labelUse{Label: &Label{Name: name, Bytea: root == byteaOID, Key: &sqlcols.Key{Label: name}}, tag: tag, where: where}
		b.labels[name], b.s.labels[l.Key] = l, l.Label
		return l
	}
	tag.Key = l.tag.Key
	merged, option := mergeTags(l.tag, tag)
	if option == "" && l.Bytea != (root == byteaOID) {
		option = "key"
	}
	if l.tag = merged; option != "" && l.problem == "" {
		l.problem = fmt.Sprintf("label %s: option %s: %s and %s differ", name, option, l.where, where)
		if option == "key" {
			l.problem = fmt.Sprintf("label %s: option key: one of %s and %s is bytea, the other text: give them different labels", name, l.where, where)
		}
	}
	return l
}

// limit takes the CHECKs of one of the label's domains: a token is in a column if its domain lets it in.
func (l *labelUse) limit(checks []domainCheck) {
	var ids []string
	limited := false
	for _, c := range checks {
		if these, ok := checkKeys(c.definition); ok {
			l.required = append(l.required, c)
			if c.validated {
				ids, limited = intersect(ids, limited, these), true
			}
		}
	}
	first := len(l.Domains) == 1
	switch {
	case first:
		l.limited, l.allowed = limited, ids
	case limited && l.limited:
		l.allowed = append(slices.Clone(l.allowed), ids...)
	default:
		l.limited = false
	}
}

const noKeys = "is tagged encrypt, but no keys are configured: set pganon.keys_env or pganon.keys_file"

// finishLabel sets what the label's tags say, and its keys.
func (b *builder) finishLabel(l *labelUse) {
	root := uint32(textOID)
	if l.Bytea {
		root = byteaOID
	}
	l.Fold, l.Migrating = l.tag.Fold, l.tag.Migrating
	typ, err := canon.ParseType(l.tag.Type)
	if err == nil {
		l.Mask, err = maskOf(l.tag, root)
	}
	l.Type = typ.In(root)
	switch {
	case l.problem != "":
	case err != nil:
		l.problem = fmt.Sprintf("label %s: option mask: no value of type %s", l.Name, l.Type)
	case l.Fold && !l.Type.Folds():
		l.problem = fmt.Sprintf("label %s: option fold: values of type %s have no case", l.Name, l.Type)
	case b.o.Keys == nil:
		l.problem = l.where + " " + noKeys
	default:
		ring, err := b.o.Keys.Keyring(b.ctx, l.Name)
		if l.asked, l.ring = true, ring; err != nil {
			l.problem = fmt.Sprintf("label %s: read its keys: %v", l.Name, err)
		} else {
			l.problem = l.chooseKeys(ring)
		}
	}
	if l.problem != "" {
		l.Err = errors.New("pganon: " + l.problem)
	}
	l.Key.Searchable = l.Mode == fernet.Deterministic
	l.Key.Several = l.Key.Searchable && len(l.Occurring) > 1
	l.Key.Migrating = l.Migrating
	l.Key.Mixed = l.Key.Searchable && (l.Key.Mixed || l.Migrating)
}

// chooseKeys finds the key to write under and those whose tokens can be in the columns, or says what is wrong.
func (l *labelUse) chooseKeys(ring *fernet.Keyring) string {
	keys, err := ring.Derive(l.Name)
	if err != nil {
		return fmt.Sprintf("label %s: %v", l.Name, err)
	}
	l.Keys = keys
	all := keys.KeyIDs()
	missing := func(what, id string) string {
		return fmt.Sprintf("label %s: key %s, which %s names, is not in the key ring: add it to pganon.keys_env or pganon.keys_file", l.Name, id, what)
	}
	if l.Mode, l.Write = fernet.Random, all[0]; l.tag.Deterministic {
		l.Mode, l.Write = fernet.Deterministic, all[len(all)-1]
	}
	if l.tag.Write != "" {
		i := slices.IndexFunc(all, func(id fernet.KeyID) bool { return id.String() == l.tag.Write })
		if i < 0 {
			return missing("option write", l.tag.Write)
		}
		l.Write = all[i]
	}
	for _, c := range l.required {
		ids, _ := checkKeys(c.definition)
		for _, id := range ids {
			if !slices.ContainsFunc(all, func(known fernet.KeyID) bool { return known.String() == id }) {
				return missing("the CHECK of its domain", id)
			}
		}
		if !slices.Contains(ids, l.Write.String()) {
			return fmt.Sprintf("label %s: the CHECK of its domain does not let in tokens of key %s, which it would write: say write=… in the domain's comment, or change the CHECK",
				l.Name, l.Write)
		}
	}
	// The CHECK tells which keys' tokens are in the columns now. Until it is read again, after a rotation, it is another one: so
	// a search covers all keys of the ring, while what compares columns with each other rests on the CHECK.
	l.Occurring = []fernet.KeyID{l.Write}
	for _, id := range all {
		if id != l.Write {
			l.Occurring = append(l.Occurring, id)
			l.Key.Mixed = l.Key.Mixed || !l.limited || l.untyped || slices.Contains(l.allowed, id.String())
		}
	}
	return ""
}

// maskOf returns the plaintext of a tag's constant for a column of that type.
func maskOf(t hooks.Tag, root uint32) ([]byte, error) {
	if !t.Mask.Valid {
		return nil, nil
	}
	typ, err := canon.ParseType(t.Type)
	if err != nil {
		return nil, err
	}
	plain, _, err := typ.In(root).AppendPlain([]byte{}, t.Mask.V, canon.Options{})
	return plain, err
}
