package hooks

import (
	"fmt"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/redact"
)

// utility plans a text that is no query: it may pass, or it is refused.
func (s *Schema) utility(text string, view sqlcols.Schema) (*Plan, error) {
	p := &Plan{schema: s, given: text, text: text}
	switch command, _ := sqllex.Classify(text); command.Class {
	case sqllex.Do, sqllex.Call, sqllex.Prepare, sqllex.Execute, sqllex.Copy, sqllex.Unknown:
		return nil, redact.Safe(fmt.Errorf("pganon: encrypt statement: %s may not name an encrypted table", command.Class))
	}
	return p, nil
}
