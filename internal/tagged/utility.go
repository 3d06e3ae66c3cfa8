package tagged

import (
	"errors"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/redact"
)

var errSeveral = redact.Safe(errors.New("pganon: encrypt statement: several commands in one text, and a parameter of them meets an encrypted column: send it by itself"))

// utility plans a text of commands that are no single query.
func (s *Schema) utility(text string, path []string, masked bool) (*Plan, error) {
	view := s.View(path)
	check, err := sqlcols.CheckUtility(text, view, sqlcols.UtilityOptions{
		KeyOf:    func(schema, name string) *sqlcols.Key { return s.keyOf(path, schema, name) },
		Mentions: s.names.match,
	})
	if err != nil {
		return nil, refusal(text, err)
	}
	p := &Plan{schema: s, given: text, text: text, masked: masked, open: true}
	for _, a := range check.Analyses {
		switch {
		case len(check.Analyses) == 1:
			if err := p.meet(a); err != nil {
				return nil, err
			}
		case meetsAny(a):
			return nil, errSeveral
		case len(a.Mixed) > 0:
			return nil, refusal(text, a.Mixed[0])
		}
		if !check.Changes || len(check.Analyses) == 1 {
			p.guards = append(p.guards, s.guards(a.References)...)
		}
	}
	return p, nil
}

func meetsAny(a *sqlcols.Analysis) bool {
	for _, parameter := range a.Parameters {
		if parameter.Key != nil {
			return true
		}
	}
	return false
}

// keyOf returns the key of the label that a type has on a search path, nil where it has none.
func (s *Schema) keyOf(path []string, schema, name string) *sqlcols.Key {
	if schema != "" {
		path = []string{schema}
	}
	for _, schema := range path {
		if label := s.DomainNamed(schema, name); label != nil {
			return label.Key
		}
	}
	return nil
}
