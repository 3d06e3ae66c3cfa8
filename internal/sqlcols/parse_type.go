package sqlcols

import (
	"strconv"
	"strings"

	"github.com/pganon/pganon/internal/sqllex"
)

// typ reads the name of a type.
func (p *parser) typ() Type {
	start := p.start()
	setOf := p.word("setof")
	t := p.simpleType()
	t.SetOf = setOf
	if p.word("array") {
		t.Array = true
		if p.accept(sqllex.LeftBracket) {
			p.integer()
			p.expect(sqllex.RightBracket)
		}
	} else {
		for p.accept(sqllex.LeftBracket) {
			t.Array = true
			if p.tok().kind != sqllex.RightBracket {
				p.integer()
			}
			p.expect(sqllex.RightBracket)
		}
	}
	t.Span = p.from(start)
	return t
}

// grammarType says whether the current token starts a type that the grammar has words of its own for, rather than a name. Most of these words
// can name a column too: a type they are only with what follows.
func (p *parser) grammarType() bool {
	switch p.tok().word() {
	case "int", "integer", "smallint", "bigint", "real", "float", "decimal", "dec", "numeric", "boolean", "bit", "character", "char",
		"varchar", "national", "nchar", "timestamp", "time", "interval", "json":
		return true
	case "double":
		return p.peek(1).word() == "precision"
	}
	return false
}

// simpleType reads a type without SETOF and array bounds.
func (p *parser) simpleType() Type {
	start := p.start()
	if p.grammarType() {
		t := p.grammarTypeName(true)
		t.Span = p.from(start)
		return t
	}
	if !p.mayName(0, typeName) {
		p.unexpected("type")
	}
	t := Type{Names: p.dotted(p.ident())}
	t.Mods = p.typeModifiers()
	t.Span = p.from(start)
	return t
}

// typeModifiers reads what stands in parentheses behind a type, if it is there.
func (p *parser) typeModifiers() []Expr {
	if p.tok().kind != sqllex.LeftParen {
		return nil
	}
	return p.exprsInParens()
}

// length reads one number in parentheses, if it is there.
func (p *parser) length() []Expr {
	if !p.accept(sqllex.LeftParen) {
		return nil
	}
	n, _ := p.integer()
	p.expect(sqllex.RightParen)
	return p.lists.copy([]Expr{n})
}

// integer reads what the grammar calls Iconst: an integer of 32 bits.
func (p *parser) integer() (*Literal, int) {
	if p.tok().kind != sqllex.Integer {
		p.unexpected("integer")
	}
	at := p.start()
	l := p.literal(Number)
	digits, base := strings.ReplaceAll(l.Text, "_", ""), 10
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] | 0x20 {
		case 'x':
			base = 16
		case 'o':
			base = 8
		case 'b':
			base = 2
		}
	}
	if base != 10 {
		digits = digits[2:]
	}
	n, err := strconv.ParseInt(digits, base, 32)
	if err != nil {
		p.fail(at, "integer out of range")
	}
	return l, int(n)
}

// grammarTypeName reads a type that grammarType has found. Before a string, fields of an interval come later.
func (p *parser) grammarTypeName(fields bool) Type {
	start := p.start()
	word := p.tok().word()
	p.next()
	var t Type
	var name string
	switch word {
	case "int", "integer":
		name = "int4"
	case "smallint":
		name = "int2"
	case "bigint":
		name = "int8"
	case "real":
		name = "float4"
	case "double":
		p.want("precision")
		name = "float8"
	case "float":
		name = "float8"
		if p.accept(sqllex.LeftParen) {
			switch _, bits := p.integer(); {
			case bits < 1 || bits > 53:
				p.fail(start, "precision of float out of range")
			case bits <= 24:
				name = "float4"
			}
			p.expect(sqllex.RightParen)
		}
	case "decimal", "dec", "numeric":
		name = "numeric"
		t.Mods = p.typeModifiers()
	case "boolean":
		name = "bool"
	case "json":
		name = "json"
	case "bit":
		name = "bit"
		if p.word("varying") {
			name = "varbit"
		}
		t.Mods = p.typeModifiers()
	case "varchar":
		name = "varchar"
		t.Mods = p.length()
	case "national":
		if p.oneOf("character", "char") == "" {
			p.unexpected("character")
		}
		fallthrough
	case "character", "char", "nchar":
		name = "bpchar"
		if p.word("varying") {
			name = "varchar"
		}
		t.Mods = p.length()
	case "timestamp", "time":
		name = word
		t.Mods = p.length()
		if p.words("with", "time", "zone") {
			name += "tz"
		} else {
			p.words("without", "time", "zone")
		}
	case "interval":
		name = "interval"
		if t.Mods = p.length(); t.Mods == nil && fields {
			p.intervalFields()
		}
	}
	t.Span = p.from(start)
	t.Names = p.names.copy([]Name{{t.Span, name}})
	return t
}

// intervalFields reads YEAR TO MONTH and the like, if it is there.
func (p *parser) intervalFields() {
	switch p.tok().word() {
	case "year":
		p.next()
		p.words("to", "month")
	case "month":
		p.next()
	case "day", "hour", "minute":
		from := p.tok().word()
		p.next()
		if !p.word("to") {
			return
		}
		switch word := p.tok().word(); {
		case word == "hour" && from == "day", word == "minute" && from != "minute":
			p.next()
		case word == "second":
			p.seconds()
		default:
			p.unexpected("a field of an interval")
		}
	case "second":
		p.seconds()
	}
}

func (p *parser) seconds() {
	p.want("second")
	p.length()
}
