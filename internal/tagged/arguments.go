package tagged

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/internal/explicit"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/redact"
)

// Arguments returns the arguments of the text that is sent: args behind their first options ones, which are pgx's and stay
// as they are. args are not changed. It refuses what cannot be encrypted; ErrKeysChanged is to be answered by another
// Schema.
func (p *Plan) Arguments(ctx context.Context, args []driver.NamedValue, options int) ([]driver.NamedValue, error) {
	if p.slots == nil {
		return p.schema.Arguments(ctx, args, options, p.masked)
	}
	if err := p.schema.current(ctx, p.labels); err != nil {
		return nil, err
	}
	given := args[options:]
	if len(given) != p.taken {
		return nil, redact.Safe(fmt.Errorf("expected %d arguments, got %d", p.taken, len(given)))
	}
	out := make([]driver.NamedValue, options, options+len(p.slots))
	copy(out, args)
	for i := range p.slots {
		v, err := p.slots[i].argument(ctx, p, given)
		if err != nil {
			return nil, err
		}
		out = append(out, driver.NamedValue{Ordinal: options + i + 1, Value: v})
	}
	return out, nil
}

// Arguments encrypts the arguments that are Encrypted's, of a text in which no parameter meets an encrypted column as far as
// it says, for a masked role or for one that is not. Without any it returns args.
func (s *Schema) Arguments(ctx context.Context, args []driver.NamedValue, options int, masked bool) ([]driver.NamedValue, error) {
	out := args
	for i := options; i < len(args); i++ {
		e, ok := args[i].Value.(*explicit.Encryption)
		if !ok {
			continue
		}
		if &out[0] == &args[0] {
			out = append([]driver.NamedValue(nil), args...)
		}
		var err error
		if out[i].Value, err = s.byName(ctx, e, i-options+1, masked); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// byName encrypts the argument of $n of which no text says what it meets. It may be searched for, by a function, which a masked role may not.
func (s *Schema) byName(ctx context.Context, e *explicit.Encryption, n int, masked bool) (any, error) {
	label, err := s.named(e.Column)
	if err != nil {
		return nil, redact.Safe(fmt.Errorf("pganon: encrypt $%d: %w", n, err))
	}
	if masked {
		return nil, redact.Safe(fmt.Errorf("pganon: encrypt $%d: a masked role may not have a value encrypted by name, for %s", n, e.Column))
	}
	if err := s.current(ctx, []*Label{label}); err != nil {
		return nil, err
	}
	token, err := label.token(e.Plain, label.Write)
	if err != nil {
		return nil, argumentError(n, e.Column, err)
	}
	return sent(token, label.Bytea), nil
}

// current says whether the labels' keys are still those that their source gives.
func (s *Schema) current(ctx context.Context, labels []*Label) error {
	for _, label := range labels {
		if label.Err != nil {
			return redact.Safe(label.Err)
		}
		ring, err := s.keys.Keyring(ctx, label.Name)
		if err != nil {
			return redact.Safe(fmt.Errorf("pganon: encrypt: read the keys of label %s: %w", label.Name, err))
		}
		if ring != label.ring {
			return ErrKeysChanged
		}
	}
	return nil
}

// argumentError says which argument could not be encrypted. canon's errors hold no value, but for the cause of a CallError,
// which stays hidden.
func argumentError(n int, column string, cause error) error {
	return redact.Safe(fmt.Errorf("pganon: encrypt $%d for %s: %w", n, column, cause))
}

// sent is a token, or nil, as pgx takes it in every mode: text as a string, or it would go as the hex digits of its bytes; bytea as
// bytes.
func sent(token []byte, bytea bool) any {
	switch {
	case token == nil:
		return nil
	case bytea:
		return token
	}
	return string(token)
}

// argument makes what is sent for a slot.
func (s *slot) argument(ctx context.Context, p *Plan, given []driver.NamedValue) (any, error) {
	v := given[s.from].Value
	e, asked := v.(*explicit.Encryption)
	switch {
	case s.label == nil && asked:
		return p.schema.byName(ctx, e, s.from+1, p.masked)
	case s.label == nil:
		return v, nil
	case asked:
		named, err := p.schema.named(e.Column)
		if err != nil {
			return nil, redact.Safe(fmt.Errorf("pganon: encrypt $%d: %w", s.from+1, err))
		}
		if named != s.label {
			return nil, redact.Safe(fmt.Errorf("pganon: encrypt $%d: it is given for %s, and is used for %s, which has another label", s.from+1, e.Column, s.column))
		}
		v = e.Plain
	}
	out, err := s.encrypted(v)
	if err != nil {
		return nil, argumentError(s.from+1, s.column, err)
	}
	return out, nil
}

// encrypted makes the tokens of v that the slot's form asks for.
func (s *slot) encrypted(v any) (any, error) {
	if !s.isArray() {
		token, err := s.label.token(v, s.key())
		return sent(token, s.label.Bytea), err
	}
	elements, null := []any{v}, false
	if s.array {
		var err error
		if elements, null, err = canon.Elements(v); err != nil || null {
			return nil, err
		}
	}
	tokens := make([][]byte, 0, len(elements))
	for _, e := range elements {
		if s.form == sqlcols.AllTokens {
			var err error
			if tokens, null, err = s.label.searched(tokens, e); err != nil {
				return nil, err
			}
			if null && !s.array {
				return nil, nil
			}
			if null {
				tokens = append(tokens, nil)
			}
			continue
		}
		token, err := s.label.token(e, s.key())
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return sentArray(tokens, s.label.Bytea), nil
}

// key is the key of the slot's one token.
func (s *slot) key() fernet.KeyID {
	if s.form == sqlcols.OneToken {
		return s.label.Occurring[s.token]
	}
	return s.label.Write
}

// sentArray are tokens as pgx sends them in every mode; a nil one is NULL.
func sentArray(tokens [][]byte, bytea bool) any {
	if bytea {
		return tokens
	}
	texts := make([]*string, len(tokens))
	for i, token := range tokens {
		if token != nil {
			text := string(token)
			texts[i] = &text
		}
	}
	return texts
}

// Decrypt answers a Decryption, for a masked role or for one that is not.
func (s *Schema) Decrypt(ctx context.Context, d *explicit.Decryption, masked bool) (driver.Value, error) {
	label, err := s.named(d.Column)
	if err != nil {
		return nil, redact.Safe(fmt.Errorf("pganon: decrypt: %w", err))
	}
	if err := s.current(ctx, []*Label{label}); err != nil {
		return nil, err
	}
	decoder := newDecoder(label, nil, false, masked)
	decoder.column = d.Column
	switch token := d.Token.(type) {
	case nil, string, []byte:
		return decoder.Value(token)
	}
	return nil, redact.Safe(errors.New("pganon: decrypt: want a token as string or []byte"))
}

// named finds the label of a column, by schema.table.Column or table.Column, or the label of a name.
func (s *Schema) named(name string) (*Label, error) {
	for _, label := range s.labels {
		if label.Name == name {
			return label, nil
		}
	}
	var found *Label
	for _, c := range s.columns {
		if c.Name != name && !strings.HasSuffix(c.Name, "."+name) || c.Label == nil || c.Label == found {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s is the name of several encrypted columns: put the schema before it", name)
		}
		found = c.Label
	}
	if found == nil {
		return nil, fmt.Errorf("no column or label %s is encrypted", name)
	}
	return found, nil
}

func nameOf(c *Column, l *Label) string {
	if c != nil {
		return c.Name
	}
	return "label " + l.Name
}

// A Copier encrypts rows that are copied into a table.
type Copier struct {
	guards  []Guard
	slots   []slot
	columns int
}

// Copy returns the Copier of columns of a table, whose name is that of a table alone or behind its schema.
func (s *Schema) Copy(ctx context.Context, path []string, table, columns []string) (*Copier, error) {
	schema, name := "", table[len(table)-1]
	if len(table) == 2 {
		schema = table[0]
	}
	relation := s.View(path).Relation(schema, name)
	switch {
	case relation == nil:
		return nil, redact.Safe(fmt.Errorf("pganon: copy: table %s is not known", quotedName(table)))
	case relation.Opaque != "":
		return nil, redact.Safe(fmt.Errorf("pganon: copy: table %s: %s", quotedName(table), relation.Opaque))
	}
	c := &Copier{guards: []Guard{{Name: quotedName(table), OID: relation.OID}}, columns: len(columns)}
	var labels []*Label
	for i, name := range columns {
		for _, column := range relation.Columns {
			if column.Name != name || column.Key == nil {
				continue
			}
			tagged := s.Column(relation.OID, uint16(column.Number))
			if tagged == nil {
				return nil, redact.Safe(fmt.Errorf("pganon: copy: column %s of %s: its tag is not known", name, quotedName(table)))
			}
			if tagged.Err != nil {
				return nil, redact.Safe(fmt.Errorf("pganon: copy: %s: %w", tagged.Name, tagged.Err))
			}
			labels = append(labels, tagged.Label)
			c.slots = append(c.slots, slot{from: i, label: tagged.Label, form: sqlcols.Encrypted, column: tagged.Name})
		}
	}
	return c, s.current(ctx, labels)
}

// Guards are the table's name and what it has to mean.
func (c *Copier) Guards() []Guard { return c.guards }

// Encrypts says whether any of the columns is encrypted.
func (c *Copier) Encrypts() bool { return len(c.slots) > 0 }

// Row encrypts the values of one row in place.
func (c *Copier) Row(values []any) ([]any, error) {
	if len(values) != c.columns {
		return nil, redact.Safe(fmt.Errorf("pganon: copy: a row of %d values for %d columns", len(values), c.columns))
	}
	for i := range c.slots {
		s := &c.slots[i]
		token, err := s.label.token(values[s.from], s.key())
		if err != nil {
			return nil, argumentError(s.from+1, s.column, err)
		}
		values[s.from] = sent(token, s.label.Bytea)
	}
	return values, nil
}

// quotedName is a name as SQL.
func quotedName(parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = sqllex.QuoteIdent(p)
	}
	return strings.Join(out, ".")
}
