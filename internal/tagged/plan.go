package tagged

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/redact"
)

// A Plan says what becomes of one text's arguments and results, under one Schema, search path and kind of role. It does
// not change; applying it decides nothing.
type Plan struct {
	schema      *Schema
	given, text string // what was planned, and what is sent in its place
	// taken is how many arguments the statement takes, slots what is made of them for the text that is sent; nil where
	// they are passed on as they are.
	taken   int
	slots   []slot
	outputs []output
	open    bool // the outputs' number is not known: none of them is encrypted
	guards  []Guard
	labels  []*Label // all that it meets
	masked  bool
	widened *sqlcols.Widened
}

// A slot is a parameter of the text that is sent.
type slot struct {
	from   int    // index of the argument
	label  *Label // nil: the argument as it is
	column string // for errors
	form   sqlcols.Form
	token  int  // of OneToken
	array  bool // the argument is an array, and form what becomes of its elements
}

// isArray says whether an array is sent.
func (s *slot) isArray() bool { return s.array || s.form == sqlcols.AllTokens }

// An output is what is known of a column of the result.
type output struct {
	label  *Label  // nil: nothing encrypted
	column *Column // one that it comes from, nil for the result of a function
	array  bool
}

// A Guard is a name in the text and the relation that it has to mean.
type Guard struct {
	Name string // as SQL, quoted
	OID  uint32
}

// ErrKeysChanged says that a key source gives other keys than the Schema was made with: it has to be loaded again.
var ErrKeysChanged = errors.New("pganon: encrypt: the keys have changed")

// Plan makes the plan of a text that may name an encrypted table. path is the search path of the role that it runs under,
// as current_schemas(true) gives it; masked is true of a role that reads masked values.
func (s *Schema) Plan(text string, path []string, masked bool) (*Plan, error) {
	view := s.View(path)
	command, count := sqllex.Classify(text)
	switch {
	case command.Verb == "show":
		return &Plan{schema: s, given: text, text: text, masked: masked}, nil
	case command.Class != sqllex.Query && command.Class != sqllex.Declare, count == sqllex.Several:
		return s.utility(text, path, masked)
	}
	a, err := sqlcols.Analyze(text, view)
	if err != nil {
		return nil, refusal(text, err)
	}
	p := &Plan{schema: s, given: text, text: text, open: a.Open, masked: masked}
	if err := p.meet(a); err != nil {
		return nil, err
	}
	if masked && command.Verb == "explain" && p.Encrypts() {
		return nil, redact.Safe(errors.New("pganon: encrypt statement: a masked role may not explain what has encrypted parameters: a plan shows their tokens"))
	}
	p.guards = s.guards(a.References)
	return p, nil
}

// refusal is an error of the analysis in the words of this package. Its text holds names, positions and reasons only.
func refusal(text string, err error) error {
	if at, ok := errors.AsType[*sqlcols.Error](err); ok && at.Position >= 0 {
		return redact.Safe(fmt.Errorf("pganon: encrypt statement: %w, at position %d", err, sqllex.Position(text, at.Position)))
	}
	return redact.Safe(fmt.Errorf("pganon: encrypt statement: %w", err))
}

// meet takes over what the analysis says of parameters and outputs.
func (p *Plan) meet(a *sqlcols.Analysis) error {
	p.taken = len(a.Parameters)
	for n, parameter := range a.Parameters {
		if parameter.Key == nil {
			continue
		}
		if _, err := p.label(parameter.Key); err != nil {
			return err
		}
		for _, m := range parameter.Meetings {
			if p.masked && m.Use != sqlcols.Assigned {
				return redact.Safe(fmt.Errorf("pganon: encrypt statement: %s: a masked role may not search it: $%d", p.meeting(m), n+1))
			}
		}
	}
	for _, out := range a.Outputs {
		o := output{array: out.Array}
		if out.Key != nil {
			var err error
			if o.label, err = p.label(out.Key); err != nil {
				return err
			}
			for _, origin := range out.Origins {
				if c := p.schema.Column(origin.Relation.OID, uint16(origin.Column.Number)); c != nil && o.column == nil {
					o.column = c
				}
			}
		}
		p.outputs = append(p.outputs, o)
	}
	if len(p.labels) == 0 && len(a.Mixed) == 0 {
		return nil
	}
	return p.widen(a)
}

// label is the label of a key, which is among the plan's from here on.
func (p *Plan) label(key *sqlcols.Key) (*Label, error) {
	label := p.schema.Label(key)
	if label.Err != nil {
		return nil, redact.Safe(label.Err)
	}
	if !slices.Contains(p.labels, label) {
		p.labels = append(p.labels, label)
	}
	return label, nil
}

// meeting names the column of a meeting.
func (p *Plan) meeting(m sqlcols.Meeting) string {
	if m.Column.Relation == nil {
		return "label " + m.Key.Label
	}
	return qualified(m.Column.Relation.Schema, m.Column.Relation.Name, m.Column.Column.Name)
}

// widen makes the text that is sent and its slots: where tokens of several keys can occur, searches cover all of them.
func (p *Plan) widen(a *sqlcols.Analysis) error {
	for _, label := range p.labels {
		if label.Migrating && p.searches(a, label) {
			return redact.Safe(fmt.Errorf("pganon: encrypt statement: label %s is migrating: a search by its tokens would miss what is plaintext still: encrypt that first", label.Name))
		}
	}
	w, err := a.Widen(p.text, func(key *sqlcols.Key) int {
		if !key.Several { // of a random label too, whose tokens are not compared
			return 1
		}
		return len(p.schema.Label(key).Occurring)
	})
	if err != nil {
		return refusal(p.text, err)
	}
	if w.Text != p.text {
		p.text, p.widened = w.Text, w
	}
	for _, source := range w.Parameters {
		s := slot{from: source.Parameter - 1, form: source.Form, token: source.Token, array: source.Array}
		if from := a.Parameters[s.from]; source.Form != sqlcols.AsIs {
			m := from.Meetings[0]
			s.label, s.column = p.schema.Label(from.Key), p.meeting(m)
		}
		p.slots = append(p.slots, s)
	}
	return nil
}

// searches says whether a parameter is compared with a column of the label.
func (p *Plan) searches(a *sqlcols.Analysis, label *Label) bool {
	return slices.ContainsFunc(a.Parameters, func(parameter sqlcols.Parameter) bool {
		return parameter.Key != nil && parameter.Key.Label == label.Name &&
			slices.ContainsFunc(parameter.Meetings, func(m sqlcols.Meeting) bool { return m.Use == sqlcols.Compared })
	})
}

// guards are the names in the text that mean, or could come to mean, an encrypted table.
func (s *Schema) guards(references []sqlcols.Reference) []Guard {
	var guards []Guard
	for _, r := range references {
		if !s.names.match(r.Name) {
			continue
		}
		name := []string{r.Schema, r.Name}
		if r.Schema == "" {
			name = name[1:]
		}
		if g := (Guard{Name: quotedName(name), OID: r.Relation.OID}); !slices.Contains(guards, g) {
			guards = append(guards, g)
		}
	}
	return guards
}

// Text is the text that is sent.
func (p *Plan) Text() string { return p.text }

// Guards are the names in the text that may stand for an encrypted table, and what they have to mean when it runs.
func (p *Plan) Guards() []Guard { return p.guards }

// Position returns where a position in the text that is sent, in characters from 1, is in the text that was given.
func (p *Plan) Position(position int) int {
	if p.widened == nil {
		return position
	}
	return sqllex.Position(p.given, p.widened.Original(position))
}

// Decrypts says whether any output is an encrypted value.
func (p *Plan) Decrypts() bool {
	return slices.ContainsFunc(p.outputs, func(o output) bool { return o.label != nil })
}

// Written are the encrypted columns that parameters are encrypted for.
func (p *Plan) Written() []string {
	var columns []string
	for _, s := range p.slots {
		if s.label != nil && !slices.Contains(columns, s.column) {
			columns = append(columns, s.column)
		}
	}
	return columns
}

// Read are the encrypted columns that outputs come from.
func (p *Plan) Read() []string {
	var columns []string
	for _, o := range p.outputs {
		if o.label == nil {
			continue
		}
		if name := nameOf(o.column, o.label); !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// Encrypts says whether any parameter is encrypted.
func (p *Plan) Encrypts() bool {
	return slices.ContainsFunc(p.slots, func(s slot) bool { return s.label != nil })
}

// Types compares the types that PostgreSQL takes the parameters of the sent text for with the plan: a disagreement is refused, since
// one of the two has misunderstood the text. It returns the types that the parameters are to be sent with: in place of a domain its
// base type. A parameter of a domain's type is held to the domain's CHECK when it arrives, which is before its table is
// locked, so that a token of a key that a rotation replaces meanwhile would still be written.
func (p *Plan) Types(types []uint32) ([]uint32, error) {
	if p.slots == nil {
		return types, p.schema.Witness(types)
	}
	if len(types) != len(p.slots) {
		return nil, redact.Safe(fmt.Errorf("pganon: encrypt statement: PostgreSQL finds %d parameters in it, this package %d", len(types), len(p.slots)))
	}
	sent := slices.Clone(types)
	for i, oid := range types {
		s := &p.slots[i]
		domain := p.schema.Domain(oid)
		switch {
		case domain != nil && domain != s.label:
			return nil, redact.Safe(fmt.Errorf("pganon: encrypt statement: PostgreSQL takes $%d for a value of label %s, this package does not", s.from+1, domain.Name))
		case domain != nil && domain.Bytea:
			sent[i] = byteaOID
		case domain != nil:
			sent[i] = textOID
		case s.label != nil && !s.fits(oid), s.label == nil && p.schema.Wraps(oid):
			return nil, redact.Safe(fmt.Errorf("pganon: encrypt statement: PostgreSQL takes $%d for a value of a type (OID %d) that does not go with %s", s.from+1, oid, cmp.Or(s.column, "a value that is not encrypted")))
		}
	}
	return sent, nil
}

// fits says whether tokens go as a type: a domain of another database object reports itself, all else its base.
func (s *slot) fits(oid uint32) bool {
	switch oid {
	case textOID, varcharOID:
		return !s.isArray()
	case byteaOID:
		return !s.isArray() && s.label.Bytea
	case textArrayOID, varcharArrayOID:
		return s.isArray()
	case byteaArrayOID:
		return s.isArray() && s.label.Bytea
	}
	return false
}

// Witness is Plan.Types for a text in which no parameter meets an encrypted column as far as it says.
func (s *Schema) Witness(types []uint32) error {
	for i, oid := range types {
		if s.Wraps(oid) {
			return redact.Safe(fmt.Errorf("pganon: encrypt statement: PostgreSQL takes $%d for a value of a type that has encrypted values in it (OID %d)", i+1, oid))
		}
		if label := s.Domain(oid); label != nil {
			return redact.Safe(fmt.Errorf("pganon: encrypt statement: PostgreSQL takes $%d for a value of label %s, but the text does not say which column it meets: pass it by hooks.Encrypted", i+1, label.Name))
		}
	}
	return nil
}

// Decoders returns what decodes the columns of a result, nil where none is encrypted. origin says for each of its n columns where it
// comes from; what it says must agree with the text.
func (p *Plan) Decoders(ctx context.Context, n int, origin func(int) (table uint32, attribute uint16)) ([]*Decoder, error) {
	if p.open || len(p.slots) == 0 && len(p.outputs) == 0 {
		return p.schema.Decoders(ctx, n, origin, p.masked)
	}
	if n != len(p.outputs) {
		return nil, redact.Safe(fmt.Errorf("pganon: decrypt: the result has %d columns, by the text it has %d", n, len(p.outputs)))
	}
	var decoders []*Decoder
	for i := range n {
		table, attribute := origin(i)
		o, c := &p.outputs[i], p.schema.Column(table, attribute)
		switch {
		case o.label == nil && c == nil:
			continue
		case c != nil && c.Err != nil:
			return nil, redact.Safe(fmt.Errorf("pganon: decrypt %s: %w", c.Name, c.Err))
		case o.label == nil, c != nil && c.Label != o.label, c == nil && table != 0:
			return nil, redact.Safe(fmt.Errorf("pganon: decrypt: column %d of the result: PostgreSQL and the text disagree about where it comes from", i+1))
		case c == nil:
			c = o.column
		}
		if decoders == nil {
			decoders = make([]*Decoder, n)
		}
		decoders[i] = newDecoder(o.label, c, o.array, p.masked)
	}
	return decoders, nil
}

// Decoders is Plan.Decoders for a text that says nothing of encrypted columns, such as FETCH: by their origins alone.
func (s *Schema) Decoders(ctx context.Context, n int, origin func(int) (table uint32, attribute uint16), masked bool) ([]*Decoder, error) {
	var decoders []*Decoder
	for i := range n {
		c := s.Column(origin(i))
		switch {
		case c == nil:
			continue
		case c.Err != nil:
			return nil, redact.Safe(fmt.Errorf("pganon: decrypt %s: %w", c.Name, c.Err))
		}
		if err := s.current(ctx, []*Label{c.Label}); err != nil {
			return nil, err
		}
		if decoders == nil {
			decoders = make([]*Decoder, n)
		}
		decoders[i] = newDecoder(c.Label, c, false, masked)
	}
	return decoders, nil
}

func newDecoder(label *Label, column *Column, array, masked bool) *Decoder {
	d := &Decoder{label: label, column: nameOf(column, label), array: array, masked: masked}
	if masked && label.Mask != nil {
		d.mask, _ = label.Type.Value(label.Mask) // checked when the tag was read
	}
	return d
}
