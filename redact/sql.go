package redact

import (
	"strings"

	"github.com/pganon/pganon/internal/sqllex"
)

const maxSQL = 1 << 16 // bytes of a statement that SQL reads

// SQL returns a statement's text without its literals, on one line and without comments, fit to be logged: names and $n stay, '…' stands for a string,
// 0 for a number. A quoted identifier that does not look like a name is "…". Where the text cannot be read with
// PostgreSQL's lexical rules, and after 64 KiB, the rest of it is dropped.
func SQL(text string) string {
	cut := len(text) > maxSQL
	if cut {
		text = text[:maxSQL]
	}
	lx := sqllex.New(text)
	var b strings.Builder
	b.Grow(len(text))
	end := 0
	for t := lx.Next(); t.Kind != sqllex.EOF; t = lx.Next() {
		if t.Start > end && b.Len() > 0 {
			b.WriteByte(' ')
		}
		end = t.End
		switch {
		case t.Kind == sqllex.Illegal:
			b.WriteString(gone)
			return b.String()
		case cut && t.End == len(text): // may be a part
		case t.Kind.IsString():
			b.WriteString("'" + gone + "'")
		case t.Kind == sqllex.Integer || t.Kind == sqllex.Decimal:
			b.WriteByte('0')
		case t.Kind == sqllex.QuotedIdent || t.Kind == sqllex.UnicodeIdent:
			if name, err := lx.Ident(t); err == nil && t.Kind == sqllex.QuotedIdent && configName(name) {
				b.WriteString(lx.Text(t))
			} else {
				b.WriteString(`"` + gone + `"`)
			}
		default:
			b.WriteString(lx.Text(t))
		}
	}
	if cut {
		b.WriteString(gone)
	}
	return b.String()
}
