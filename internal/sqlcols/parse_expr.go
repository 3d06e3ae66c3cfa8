package sqlcols

import "github.com/pganon/pganon/internal/sqllex"

// precedence of operators, as in the grammar's table.
type precedence uint8

const (
	lowest precedence = iota
	precOr
	precAnd
	precNot
	precIs      // nonassociative, as the next two
	precCompare // < > = <= >= <>
	precIn      // BETWEEN, IN, LIKE, ILIKE, SIMILAR
	precOperator
	precAdd
	precMultiply
	precPower
	precAt
	precCollate
	precSign
	precCast
)

func (p precedence) nonassociative() bool { return p >= precIs && p <= precIn }

// expr reads an expression.
func (p *parser) expr() Expr { return p.exprAbove(lowest, false) }

// restricted reads what the grammar calls b_expr: an expression without AND, OR, NOT, IN and their like.
func (p *parser) restricted() Expr { return p.exprAbove(lowest, true) }

// exprAbove reads an expression that stands behind an operator of that precedence.
func (p *parser) exprAbove(min precedence, restricted bool) Expr {
	start := p.start()
	outer := p.height
	p.height = 0
	x := p.operators(start, p.operand(restricted), min, restricted)
	p.height = max(outer, p.height)
	return x
}

// exprList reads expressions between commas onto the stack.
func (p *parser) exprList() {
	p.push(p.expr())
	for p.accept(sqllex.Comma) {
		p.push(p.expr())
	}
}

// exprsInParens reads expressions in parentheses.
func (p *parser) exprsInParens() []Expr {
	p.expect(sqllex.LeftParen)
	p.enter()
	base := len(p.stack)
	p.exprList()
	p.leave()
	p.expect(sqllex.RightParen)
	return p.pop(base)
}

// pop takes from the stack what was put onto it since it was that long.
func (p *parser) pop(base int) []Expr {
	if len(p.stack) == base {
		return nil
	}
	list := p.lists.copy(p.stack[base:])
	clear(p.stack[base:])
	p.stack = p.stack[:base]
	return list
}

// infix returns the precedence of the current token as an operator behind an operand, lowest where it is none. label is true where it is
// a word that is an operator only with what would follow: as the last of an output it is its label.
func (p *parser) infix(restricted bool) (prec precedence, label bool) {
	t := p.tok()
	switch t.kind {
	case sqllex.Operator:
		return symbolPrecedence(p.text[t.start:t.end]), false
	case sqllex.TypeCast:
		return precCast, false
	case sqllex.Ident:
	default:
		return lowest, false
	}
	next := p.peek(1)
	switch t.word() {
	case "":
		return lowest, false
	case "is":
		return precIs, p.endsItem(1)
	case "operator":
		return precOperator, next.kind != sqllex.LeftParen
	}
	if restricted {
		return lowest, false
	}
	switch t.word() {
	case "or":
		return precOr, p.endsItem(1)
	case "and":
		return precAnd, p.endsItem(1)
	case "isnull", "notnull":
		return precIs, false
	case "between", "in", "like", "ilike":
		return precIn, p.endsItem(1)
	case "similar":
		return precIn, next.word() != "to"
	case "not":
		if p.pair(0) {
			return precIn, false
		}
	case "collate":
		return precCollate, p.endsItem(1)
	case "at":
		return precAt, next.word() != "time" && next.word() != "local"
	}
	return lowest, false
}

func symbolPrecedence(symbol string) precedence {
	switch symbol {
	case "=", "<", ">", "<=", ">=", "<>", "!=":
		return precCompare
	case "+", "-":
		return precAdd
	case "*", "/", "%":
		return precMultiply
	case "^":
		return precPower
	}
	return precOperator
}

// operators reads the operators behind an operand that bind stronger than min.
func (p *parser) operators(start int, x Expr, min precedence, restricted bool) Expr {
	for {
		prec, label := p.infix(restricted)
		if label && min == lowest {
			return x
		}
		if prec <= min {
			if prec == min && prec.nonassociative() {
				p.fail(p.start(), "parentheses expected between operators of the same precedence")
			}
			return x
		}
		x = p.operatorBehind(start, x, prec, restricted)
	}
}

// operatorBehind reads the operator that is the current token and what belongs to it.
func (p *parser) operatorBehind(start int, x Expr, prec precedence, restricted bool) Expr {
	switch prec {
	case precOr, precAnd:
		return p.logic(start, x, prec)
	case precIs:
		x = p.isBehind(start, x, restricted)
	case precIn:
		x = p.matchBehind(start, x)
	case precAt:
		p.next()
		a := &AtTimeZone{X: x}
		if !p.word("local") {
			p.want("time", "zone")
			a.Zone = p.exprAbove(precAt, false)
		}
		a.Span = p.from(start)
		x = a
	case precCollate:
		p.next()
		p.dotted(p.columnName())
		x = &Collate{p.from(start), x}
	case precCast:
		p.next()
		c := &Cast{X: x, Type: p.typ()}
		c.Span = p.from(start)
		x = c
	default:
		op := p.anyOperator()
		if !restricted {
			switch p.tok().word() {
			case "any", "some", "all":
				x = p.anyBehind(start, x, op)
				p.grow()
				return x
			}
		}
		b := p.binary.new()
		b.Op, b.L, b.R = op, x, p.exprAbove(prec, restricted)
		b.Span = p.from(start)
		x = b
	}
	p.grow()
	return x
}

// logic reads AND or OR; a chain of them is one node.
func (p *parser) logic(start int, x Expr, prec precedence) Expr {
	op := p.tok().word()
	p.next()
	right := p.exprAbove(prec, false)
	if l, ok := x.(*Logic); ok && l.Op == op {
		l.Args = append(l.Args, right)
		l.Span = p.from(start)
		return l
	}
	p.grow()
	return &Logic{p.from(start), op, append(make([]Expr, 0, 4), x, right)}
}

// isBehind reads IS …, ISNULL and NOTNULL.
func (p *parser) isBehind(start int, x Expr, restricted bool) Expr {
	switch p.oneOf("isnull", "notnull") {
	case "isnull":
		return &Is{p.from(start), x, false, "null"}
	case "notnull":
		return &Is{p.from(start), x, true, "null"}
	}
	p.want("is")
	not := p.word("not")
	if p.words("distinct", "from") {
		d := &DistinctFrom{L: x, Not: not}
		d.R = p.exprAbove(precIs, restricted)
		d.Span = p.from(start)
		return d
	}
	what := p.tok().word()
	switch {
	case p.word("document"):
	case restricted:
		p.unexpected("distinct from or document")
	case p.word("null"), p.word("true"), p.word("false"), p.word("unknown"), p.word("normalized"):
	case p.oneOf("nfc", "nfd", "nfkc", "nfkd") != "":
		p.want("normalized")
		what = "normalized"
	case p.word("json"):
		p.oneOf("value", "array", "object", "scalar")
		p.uniqueKeys()
	default:
		p.unexpected("what can be asked by IS")
	}
	return &Is{p.from(start), x, not, what}
}

// uniqueKeys reads WITH UNIQUE KEYS or WITHOUT UNIQUE KEYS, if it is there.
func (p *parser) uniqueKeys() {
	if p.words("with", "unique") || p.words("without", "unique") {
		p.word("keys")
	}
}

// matchBehind reads [NOT] BETWEEN, IN, LIKE, ILIKE and SIMILAR TO.
func (p *parser) matchBehind(start int, x Expr) Expr {
	at := p.start()
	not := p.word("not")
	switch word := p.tok().word(); word {
	case "between":
		p.next()
		b := &Between{X: x, Not: not}
		p.oneOf("symmetric", "asymmetric")
		b.Low = p.restricted()
		p.want("and")
		b.High = p.exprAbove(precIn, false)
		b.Span = p.from(start)
		return b
	case "in":
		p.next()
		in := &In{X: x, Not: not}
		if p.tok().kind != sqllex.LeftParen {
			p.unexpected("(")
		}
		in.Query, in.List = p.paren()
		in.Span = p.from(start)
		return in
	case "like", "ilike":
		p.next()
		op := Operator{p.from(at), likeSymbol(word, not), nil, word}
		switch p.tok().word() {
		case "any", "some", "all":
			return p.anyBehind(start, x, op)
		}
		return p.likeBehind(start, x, op)
	default:
		p.want("similar", "to")
		op := Operator{p.from(at), likeSymbol("similar", not), nil, "similar to"}
		return p.likeBehind(start, x, op)
	}
}

// likeSymbol returns the operator that one of these words stands for.
func likeSymbol(word string, not bool) string {
	var symbol string
	switch word {
	case "like":
		symbol = "!~~"
	case "ilike":
		symbol = "!~~*"
	default:
		symbol = "!~"
	}
	if not {
		return symbol
	}
	return symbol[1:]
}

func (p *parser) likeBehind(start int, x Expr, op Operator) Expr {
	b := &Binary{Op: op, L: x, R: p.exprAbove(precIn, false)}
	if p.word("escape") {
		b.Escape = p.exprAbove(precIn, false)
	}
	b.Span = p.from(start)
	return b
}

// anyBehind reads ANY ( … ), SOME ( … ) or ALL ( … ) behind an operator.
func (p *parser) anyBehind(start int, x Expr, op Operator) Expr {
	a := &Any{X: x, Op: op, All: p.is("all")}
	p.next()
	if p.tok().kind != sqllex.LeftParen {
		p.unexpected("(")
	}
	at := p.start()
	query, list := p.paren()
	if a.Query = query; query == nil {
		if len(list) != 1 {
			p.fail(at, "one array expected")
		}
		a.Array = list[0]
	}
	a.Span = p.from(start)
	return a
}

// operator reads a symbol.
func (p *parser) operator() Operator {
	t := p.tok()
	op := Operator{Span: Span{int(t.start), int(t.end)}, Symbol: p.text[t.start:t.end]}
	if op.Symbol == "!=" {
		op.Symbol = "<>"
	}
	p.next()
	return op
}

// anyOperator reads a symbol or OPERATOR ( … ).
func (p *parser) anyOperator() Operator {
	start := p.start()
	if !p.word("operator") {
		if p.tok().kind != sqllex.Operator {
			p.unexpected("operator")
		}
		return p.operator()
	}
	p.expect(sqllex.LeftParen)
	var schema *Name
	for p.tok().kind.IsIdent() {
		if schema != nil {
			p.fail(start, "operator's name of too many parts")
		}
		name := p.columnName()
		schema = &name
		p.expect(sqllex.Dot)
	}
	if p.tok().kind != sqllex.Operator {
		p.unexpected("operator")
	}
	op := p.operator()
	op.Schema = schema
	p.expect(sqllex.RightParen)
	op.Span = p.from(start)
	return op
}

// prefix says whether the current token is an operator before its operand, and returns its precedence.
func (p *parser) prefix(restricted bool) (precedence, bool) {
	switch t := p.tok(); {
	case t.kind == sqllex.Operator:
		switch prec := symbolPrecedence(p.text[t.start:t.end]); prec {
		case precAdd:
			return precSign, true
		case precOperator:
			return prec, true
		}
	case t.word() == "not":
		return precNot, !restricted
	case t.word() == "operator":
		return precOperator, p.peek(1).kind == sqllex.LeftParen
	}
	return lowest, false
}

// operand reads an expression up to its first operator behind an operand.
func (p *parser) operand(restricted bool) Expr {
	start := p.start()
	prec, prefix := p.prefix(restricted)
	switch {
	case prefix && prec == precNot:
		p.next()
		p.enter()
		x := p.exprAbove(precNot, false)
		p.leave()
		p.grow()
		return &Logic{p.from(start), "not", p.lists.copy([]Expr{x})}
	case prefix:
		return p.unary(start, prec, restricted)
	case p.is("default") && !restricted:
		p.next()
		return &Default{p.from(start)}
	}
	x := p.primary(restricted)
	if row, ok := x.(*Row); ok && !restricted && p.is("overlaps") {
		return p.overlaps(start, row)
	}
	return x
}

// unary reads an operator before its operand.
func (p *parser) unary(start int, prec precedence, restricted bool) Expr {
	p.enter()
	u := &Unary{Op: p.anyOperator()}
	u.X = p.exprAbove(prec, restricted)
	u.Span = p.from(start)
	p.leave()
	p.grow()
	return u
}

// overlaps reads OVERLAPS behind its left side.
func (p *parser) overlaps(start int, left *Row) Expr {
	p.want("overlaps")
	at := p.start()
	if p.tok().kind != sqllex.LeftParen && !p.is("row") {
		p.unexpected("row")
	}
	right, ok := p.primary(false).(*Row)
	if !ok || len(left.Items) != 2 || len(right.Items) != 2 {
		p.fail(at, "OVERLAPS takes two pairs")
	}
	p.grow()
	return &Overlaps{p.from(start), left, right}
}

// primary reads what the grammar calls c_expr: an operand without operators.
func (p *parser) primary(restricted bool) Expr {
	t := p.tok()
	start := int(t.start)
	switch t.kind {
	case sqllex.Param:
		x := p.params.new()
		x.Span, x.N = Span{start, int(t.end)}, int(t.param)
		p.next()
		return p.indirection(start, x)
	case sqllex.Integer, sqllex.Decimal:
		return p.literal(Number)
	case sqllex.String, sqllex.EscapeString, sqllex.UnicodeString, sqllex.DollarString:
		return p.literal(String)
	case sqllex.BitString, sqllex.HexString:
		return p.literal(Bits)
	case sqllex.NationalString:
		name := Name{Span{start, start + 1}, "bpchar"}
		l := p.literal(String)
		l.Start++
		c := &Cast{X: l, Type: Type{Span: name.Span, Names: []Name{name}}}
		c.Span = p.from(start)
		return c
	case sqllex.LeftParen:
		query, list := p.paren()
		return p.behindParen(start, query, list)
	case sqllex.Ident:
		if t.word() != "" {
			if x := p.keywordPrimary(start); x != nil {
				return x
			}
		}
		return p.namePrimary(start, true)
	case sqllex.QuotedIdent, sqllex.UnicodeIdent:
		return p.namePrimary(start, true)
	}
	p.unexpected("expression")
	return nil
}

// paren reads what stands in parentheses: a query, or expressions. As in the server, parentheses are the query's as long as they can be:
// ((SELECT 1) UNION SELECT 2), but ((SELECT 1) + 2).
func (p *parser) paren() (*Query, []Expr) {
	p.enter()
	defer p.leave()
	p.expect(sqllex.LeftParen)
	if p.startsQuery(0) {
		q := p.query()
		p.expect(sqllex.RightParen)
		return q, nil
	}
	base := len(p.stack)
	if p.tok().kind == sqllex.LeftParen && p.queryBehindParens() {
		start := p.start()
		outer := p.height
		p.height = 0
		query, list := p.paren()
		if query != nil {
			switch {
			case p.accept(sqllex.RightParen):
				p.height = max(outer, p.height)
				return query, nil
			case p.continuesQuery():
				query = p.queryRest(start, query, nil)
				p.expect(sqllex.RightParen)
				p.height = max(outer, p.height)
				return query, nil
			}
		}
		x := p.behindParen(start, query, list)
		if row, ok := x.(*Row); ok && p.is("overlaps") {
			x = p.overlaps(start, row)
		}
		p.push(p.operators(start, x, lowest, false))
		p.height = max(outer, p.height)
		if p.accept(sqllex.Comma) {
			p.exprList()
		}
	} else {
		p.exprList()
	}
	p.expect(sqllex.RightParen)
	return nil, p.pop(base)
}

// behindParen makes an operand of what stood in parentheses.
func (p *parser) behindParen(start int, query *Query, list []Expr) Expr {
	switch {
	case query != nil:
		p.grow()
		return p.indirection(start, &Subquery{p.from(start), query})
	case len(list) == 1:
		return p.indirection(start, list[0])
	}
	p.grow()
	return &Row{p.from(start), list, false}
}

// indirection reads subscripts and fields behind an operand.
func (p *parser) indirection(start int, x Expr) Expr {
	for {
		switch p.tok().kind {
		case sqllex.Dot:
			p.next()
			if p.star() {
				p.grow()
				return &Field{Span: p.from(start), X: x, Star: true}
			}
			f := &Field{X: x, Name: p.label()}
			f.Span = p.from(start)
			x = f
		case sqllex.LeftBracket:
			base := len(p.stack)
			s := &Subscript{X: x, Slice: p.subscript()}
			s.At = p.pop(base)
			s.Span = p.from(start)
			x = s
		default:
			return x
		}
		p.grow()
	}
}

// subscript reads [ … ], the bounds onto the stack, and returns whether it is a slice.
func (p *parser) subscript() (slice bool) {
	p.enter()
	p.expect(sqllex.LeftBracket)
	if p.tok().kind != sqllex.Colon {
		p.push(p.expr())
	}
	if slice = p.accept(sqllex.Colon); slice && p.tok().kind != sqllex.RightBracket {
		p.push(p.expr())
	}
	p.expect(sqllex.RightBracket)
	p.leave()
	return slice
}

// namePrimary reads what starts with a name: a column, t.*, a call, or a type's name before a string.
func (p *parser) namePrimary(start int, window bool) Expr {
	function := p.mayName(0, typeName)
	column := p.mayName(0, columnName)
	if !function && !column {
		p.unexpected("expression")
	}
	first := p.ident()
	var parts []Name
	if p.tok().kind == sqllex.Dot && column {
		var all [4]Name
		all[0] = first
		n := 1
		for p.accept(sqllex.Dot) {
			if p.star() {
				if n == len(all) || p.tok().kind == sqllex.Dot || p.tok().kind == sqllex.LeftBracket {
					p.unexpected("end of the name")
				}
				return &Star{p.from(start), p.names.copy(all[:n])}
			}
			if n == len(all) {
				p.fail(start, "name of too many parts")
			}
			all[n] = p.label()
			n++
		}
		parts = p.names.copy(all[:n])
		function = true
	} else {
		parts = p.names.copy([]Name{first})
	}
	if function {
		if p.tok().kind == sqllex.LeftParen {
			return p.call(start, parts, window)
		}
		if p.tok().isString() {
			c := &Cast{Type: Type{Span: p.from(start), Names: parts}}
			c.X = p.wantString()
			c.Span = p.from(start)
			p.grow()
			return c
		}
	}
	if !column {
		p.unexpected("(")
	}
	c := p.columns.new()
	c.Span, c.Parts = p.from(start), parts
	if p.tok().kind != sqllex.LeftBracket {
		return c
	}
	return p.indirection(start, c)
}

// functionName reads the name of a function.
func (p *parser) functionName() []Name {
	class := typeName
	if p.peek(1).kind == sqllex.Dot {
		class = columnName
	}
	if !p.mayName(0, class) {
		p.unexpected("name")
	}
	return p.dotted(p.ident())
}
