package sqlcols

import "github.com/pganon/pganon/internal/sqllex"

// typ reads the name of a type.
func (p *parser) typ() Type {
	start := p.start()
	setOf := p.word("setof")
	t := p.simpleType()
	t.SetOf = setOf
	if p.word("array") {
		t.Array = true
		if p.accept(sqllex.LeftBracket) {
			p.expect(sqllex.Integer)
			p.expect(sqllex.RightBracket)
		}
	} else {
		for p.accept(sqllex.LeftBracket) {
			t.Array = true
			p.accept(sqllex.Integer)
			p.expect(sqllex.RightBracket)
		}
	}
	t.Span = p.from(start)
	return t
}

// grammarType says whether the current token starts a type that the grammar has words of its own for, rather than a name. Most of these words
// can name a column too: a type they are only with what follows.
func (p *parser) grammarType() bool {
	switch p.tok().word {
	case "int", "integer", "smallint", "bigint", "real", "float", "decimal", "dec", "numeric", "boolean", "bit", "character", "char",
		"varchar", "national", "nchar", "timestamp", "time", "interval", "json":
		return true
	case "double":
		return p.peek(1).word == "precision"
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
	if p.tok().kind != sqllex.Integer {
		p.unexpected("integer")
	}
	n := p.literal(Number)
	p.expect(sqllex.RightParen)
	return p.lists.copy([]Expr{n})
}

// grammarTypeName reads a type that grammarType has found. Before a string, fields of an interval come later.
func (p *parser) grammarTypeName(fields bool) Type {
	start := p.start()
	word := p.tok().word
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
		if mods := p.length(); mods != nil {
			name = floatName(mods[0].(*Literal).Text)
			if name == "" {
				p.fail(start, "precision of float out of range")
			}
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

// floatName returns the type that float(precision) is, "" where there is none.
func floatName(precision string) string {
	n := 0
	for _, c := range []byte(precision) {
		if c < '0' || c > '9' || n > 53 {
			return ""
		}
		n = 10*n + int(c-'0')
	}
	switch {
	case n < 1 || n > 53:
		return ""
	case n <= 24:
		return "float4"
	}
	return "float8"
}

// intervalFields reads YEAR TO MONTH and the like, if it is there.
func (p *parser) intervalFields() {
	switch p.tok().word {
	case "year":
		p.next()
		p.words("to", "month")
	case "month":
		p.next()
	case "day", "hour", "minute":
		from := p.tok().word
		p.next()
		if !p.word("to") {
			return
		}
		switch word := p.tok().word; {
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
