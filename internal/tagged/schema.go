package tagged

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
)

// Options say what [Load] goes by beside what the database holds.
type Options struct {
	// Models are the columns that struct tags are about; see [hooks.ParseModels].
	Models []hooks.ModelColumn
	// Labels, where it has entries, says which columns may carry a label, as schema.table.column or schema.table.*, of functions that
	// return values of the label schema.function.*. A label that is elsewhere, or that it does not name, is refused, so whoever may change
	// the database cannot have values decrypted in another place. A part of a name that has a dot or a quote in it stands in double quotes.
	Labels map[string][]string
	// Keys are asked for the keys of each label. Without them encrypted columns are refused.
	Keys fernet.KeySource
	// RequireDomains refuses encrypted columns whose tag is not that of their type.
	RequireDomains bool
	// Previous is what was loaded before with the same Models, Labels and Keys. A tag that it has and the database has no more is an error.
	Previous *Schema
}

// Schema is what one reading of the database says about tags. It does not change and is safe for concurrent use.
//
// What cannot be used safely is refused for itself: a relation is opaque to sqlcols, and its columns and labels hold the reason in Err.
// Statements on other tables go on.
type Schema struct {
	version     uint64
	fingerprint string
	digest      uint64
	keys        fernet.KeySource
	domainsOnly bool

	relations map[uint32]*relation
	schemas   map[string]map[string]*sqlcols.Relation
	functions map[string]map[string][]sqlcols.Function
	columns   map[origin]*Column
	refused   map[uint32]*Column
	labels    map[*sqlcols.Key]*Label
	domains   map[uint32]*Label
	wrapping  map[uint32]bool
	types     map[uint32]bool // of columns and arguments, and domains
	names     matcher
	shown     []string
	untyped   []string
	unmet     []string
	refusals  []error
}

// Column is an encrypted column, or any column of a relation that is refused.
type Column struct {
	// Name is schema.table.column; of a refused relation's other columns it is schema.table.
	Name string
	// Label is nil where Err says why there is none.
	Label *Label
	// Typed is true where the tag is that of the column's type.
	Typed bool
	// Err is why the column may not be used, nil where it may.
	Err error

	attribute string // its own name
	encrypted bool   // it has a tag that says so, whether or not that can be used
}

// Label is what the columns that share keys have in common.
type Label struct {
	Name string
	// Err is why the label may not be used; then only Name, Key and Domains hold.
	Err  error
	Mode fernet.Mode
	// Type is the type of the values, Bytea whether the columns are bytea columns, in place of text or varchar.
	Type  canon.Type
	Bytea bool
	// Fold: values are lower-cased before they are encrypted. Migrating: plaintext in a column is read as such.
	Fold, Migrating bool
	// Mask is the plaintext that masked identities see in place of values; nil: NULL.
	Mask []byte
	// Keys are the label's keys. Write is the id of the one that new values are written under.
	Keys  *fernet.ColumnKeys
	Write fernet.KeyID
	// Occurring are the ids of the keys whose tokens can come to be in the columns, Write first.
	Occurring []fernet.KeyID
	// Key stands for the label in what sqlcols says.
	Key *sqlcols.Key
	// Domains are the domains that have the label.
	Domains []LabelDomain
	// Implicit is true where the label is a column's name, since no tag has one: who renames the column loses its keys.
	Implicit bool

	asked bool            // the source of keys, which gave
	ring  *fernet.Keyring // that Keys are of, nil where it gave none

	plaintextReads *atomic.Uint64 // while Migrating; goes on from one Schema to the next
}

// LabelDomain is a domain that has a label. As long as it has this comment, which names the key that a deterministic label is written under,
// Label.Write is the right one.
type LabelDomain struct {
	OID          uint32
	Schema, Name string
	Comment      string
}

var versions atomic.Uint64

// Load reads the tags, in one round trip, as whoever is connected: it needs no rights but to read the system catalogs. In a transaction
// it sees what the transaction sees.
//
// The definitions of views can be read only while no other session has a table of theirs locked in ACCESS EXCLUSIVE MODE. Load waits a second
// for that, then refuses the views that show encrypted columns, until it is called again.
//
// It returns an error where the database cannot be read or the options cannot be; what is wrong with single tags is in
// [Schema.Refusals]. Where nothing has changed it returns Previous.
func Load(ctx context.Context, pg *pgconn.PgConn, o Options) (*Schema, error) {
	if err := checkPins(o.Labels); err != nil {
		return nil, fmt.Errorf("pganon: read tags: %w", err)
	}
	c := newCatalog()
	err := c.read(ctx, pg, slices.Concat(catalogQueries, viewQueries(o.Models)))
	if locked, ok := errors.AsType[*pgconn.PgError](err); ok && locked.Code == lockNotAvailable {
		c = newCatalog()
		err = c.read(ctx, pg, catalogQueries)
		c.fingerprint = "" // so that it is read again soon
	}
	if err != nil {
		return nil, fmt.Errorf("pganon: read tags: %w", err)
	}
	if p := o.Previous; p != nil && p.digest == c.digest && p.domainsOnly == o.RequireDomains && p.sameKeys(ctx, o.Keys) {
		return p, nil
	}
	s := newBuilder(ctx, c, o).build()
	s.keepCounts(o.Previous)
	s.version = versions.Add(1)
	return s, nil
}

// lockNotAvailable is the SQLSTATE of a lock_timeout.
const lockNotAvailable = "55P03"

// sameKeys reports whether the source still gives each label the keys that it had.
func (s *Schema) sameKeys(ctx context.Context, keys fernet.KeySource) bool {
	if s.keys == nil || keys == nil {
		return s.keys == keys
	}
	for _, l := range s.labels {
		if !l.asked {
			continue
		}
		if ring, err := keys.Keyring(ctx, l.Name); err != nil || ring != l.ring {
			return false
		}
	}
	return true
}

// keepCounts has the labels go on with the counts of those of the same name before them.
func (s *Schema) keepCounts(previous *Schema) {
	counts := make(map[string]*atomic.Uint64)
	if previous != nil {
		for _, l := range previous.labels {
			counts[l.Name] = l.plaintextReads
		}
	}
	for _, l := range s.labels {
		if l.plaintextReads = counts[l.Name]; l.plaintextReads == nil {
			l.plaintextReads = new(atomic.Uint64)
		}
	}
}

// PlaintextReads returns how many values of each migrating label have been read that were plaintext still.
func (s *Schema) PlaintextReads() map[string]uint64 {
	reads := make(map[string]uint64)
	for _, l := range s.labels {
		if l.Migrating {
			reads[l.Name] = l.plaintextReads.Load()
		}
	}
	return reads
}

// Version is another one for each Schema of this process.
func (s *Schema) Version() uint64 { return s.version }

// Fingerprint is what [Fingerprint] said when the schema was read.
func (s *Schema) Fingerprint() string { return s.fingerprint }

// Empty reports whether nothing is encrypted or refused, so that no statement needs a look.
func (s *Schema) Empty() bool { return len(s.domains) == 0 && s.names.empty() }

// Column returns the encrypted column with the origin that RowDescription reports, or nil. Of a refused relation it returns each column,
// with its Err. Where it returns nil and [Schema.Known] is false, the schema may have changed.
func (s *Schema) Column(table uint32, attribute uint16) *Column {
	if c := s.columns[origin{table, int16(attribute)}]; c != nil {
		return c
	}
	return s.refused[table]
}

// Known reports whether a relation is part of what was read.
func (s *Schema) Known(table uint32) bool { return s.relations[table] != nil }

// KnownType reports whether a type is one of PostgreSQL's own, or was that of a column or an argument when the schema was read. One
// that is not known may be a domain with a tag.
func (s *Schema) KnownType(oid uint32) bool { return oid < firstOwnOID || s.types[oid] }

// firstOwnOID is the first that PostgreSQL gives to what users make.
const firstOwnOID = 16384

// Label returns the label that sqlcols names by its key.
func (s *Schema) Label(key *sqlcols.Key) *Label { return s.labels[key] }

// Domain returns the label of a domain, as a parameter's type or as that of a value, or nil.
func (s *Schema) Domain(oid uint32) *Label { return s.domains[oid] }

// DomainNamed returns the label of a domain by its name, as errors of the server have it, or nil.
func (s *Schema) DomainNamed(schema, name string) *Label {
	for oid, l := range s.domains {
		if slices.ContainsFunc(l.Domains, func(d LabelDomain) bool { return d.OID == oid && d.Schema == schema && d.Name == name }) {
			return l
		}
	}
	return nil
}

// Wraps reports whether values of a type hold values of a label's domain inside: arrays, rows, ranges. They are neither encrypted nor
// decrypted.
func (s *Schema) Wraps(oid uint32) bool { return s.wrapping[oid] }

// MayName reports whether a text may name an encrypted or refused relation, one that reaches it by a view or rule, the table of a model, or
// a function that has to do with a label. If not, the text need not be read. A name is found as a substring, in any case; a text with u&" in it may name all.
func (s *Schema) MayName(text string) bool { return s.names.match(text) }

// Names returns the names of all columns that have a tag, and of the struct fields that have one: what a log must not show.
func (s *Schema) Names() []string { return slices.Clone(s.shown) }

// Untyped returns the encrypted columns whose tag is not that of their type, as schema.table.column.
func (s *Schema) Untyped() []string { return slices.Clone(s.untyped) }

// Unmet returns the struct fields with a tag whose table or column is not there, with the name that was looked for. A table that
// a migration has yet to make is no harm; a wrong name is one.
func (s *Schema) Unmet() []string { return slices.Clone(s.unmet) }

// Refusals returns why relations and labels are refused.
func (s *Schema) Refusals() []error { return slices.Clone(s.refusals) }

// View returns the schema as names mean it on a search path: the schemas that the server searches, pg_catalog among them where it is
// implied, as current_schemas(true) has them. A session's temporary
// tables are known by the schema that it has for them, if they were there when the tags were read.
func (s *Schema) View(path []string) sqlcols.Schema {
	return &view{s, slices.Clone(path)}
}

type view struct {
	schema *Schema
	path   []string
}

func (v *view) Relation(schema, name string) *sqlcols.Relation {
	if schema != "" {
		return v.schema.schemas[schema][name]
	}
	for _, schema := range v.path {
		if r := v.schema.schemas[schema][name]; r != nil {
			return r
		}
	}
	return nil
}

func (v *view) Functions(schema, name string) []sqlcols.Function {
	if schema != "" {
		return v.schema.functions[schema][name]
	}
	var all []sqlcols.Function
	for _, schema := range v.path {
		all = append(all, v.schema.functions[schema][name]...)
	}
	return all
}

// qualified joins the parts of a name with dots. A part that has a dot or a quote in it is put into double quotes.
func qualified(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.ContainsAny(part, `."`) {
			part = sqllex.QuoteIdent(part)
		}
		b.WriteString(part)
	}
	return b.String()
}
