package sqlcols

import "github.com/pganon/pganon/internal/sqllex"

// call reads a function's call behind its name. full is true where it is an expression, which may be a window function or a type with
// modifiers before a string.
func (p *parser) call(start int, name []Name, full bool) Expr {
	c := &Call{Name: name}
	p.expect(sqllex.LeftParen)
	p.enter()
	plain := false
	switch {
	case p.star():
		c.Star = true
	case p.tok().kind == sqllex.RightParen:
	default:
		c.Distinct = p.word("distinct")
		plain = !c.Distinct && !p.word("all")
		p.args(c, plain)
		plain = plain && !c.Variadic
		if p.word("order") {
			p.want("by")
			c.OrderBy = p.sortList()
			plain = false
		}
	}
	p.leave()
	p.expect(sqllex.RightParen)
	if full {
		if plain && p.tok().isString() {
			return p.typedString(start, c)
		}
		p.callBehind(c, true)
	}
	c.Span = p.from(start)
	p.grow()
	return c
}

// args reads arguments between commas.
func (p *parser) args(c *Call, variadic bool) {
	for more := true; more; more = !c.Variadic && p.accept(sqllex.Comma) {
		c.Variadic = variadic && p.word("variadic")
		c.Args = append(c.Args, p.arg())
	}
}

// namesArg says whether an argument given by name follows.
func (p *parser) namesArg() bool {
	next := p.peek(1).kind
	return (next == sqllex.ColonEquals || next == sqllex.EqualsGreater) && p.mayName(0, typeName)
}

func (p *parser) arg() Arg {
	if !p.namesArg() {
		return Arg{X: p.expr()}
	}
	name := p.ident()
	p.next()
	return Arg{X: p.expr(), Name: &name}
}

// typedString reads the string behind a type with modifiers, which has been read as a call.
func (p *parser) typedString(start int, c *Call) Expr {
	t := Type{Names: c.Name, Span: p.from(start)}
	for _, arg := range c.Args {
		if arg.Name != nil {
			p.fail(arg.Name.Start, "name before a type's modifier")
		}
		t.Mods = append(t.Mods, arg.X)
	}
	x := &Cast{X: p.wantString(), Type: t}
	x.Span = p.from(start)
	p.grow()
	return x
}

// callBehind reads what may follow a call's arguments: WITHIN GROUP, FILTER, IGNORE NULLS, OVER.
func (p *parser) callBehind(c *Call, ordered bool) {
	if ordered && p.is("within") && p.peek(1).word() == "group" {
		at := p.start()
		p.want("within", "group")
		if c.OrderBy != nil || c.Distinct || c.Variadic {
			p.fail(at, "WITHIN GROUP with ORDER BY, DISTINCT or VARIADIC")
		}
		p.expect(sqllex.LeftParen)
		p.enter()
		p.want("order", "by")
		c.OrderBy, c.WithinGroup = p.sortList(), true
		p.leave()
		p.expect(sqllex.RightParen)
	}
	if p.is("filter") && p.peek(1).kind == sqllex.LeftParen {
		p.next()
		p.next()
		p.enter()
		p.want("where")
		c.Filter = p.expr()
		p.leave()
		p.expect(sqllex.RightParen)
	}
	if p.peek(1).word() == "nulls" { // from PostgreSQL 19
		t := p.tok()
		word := sqllex.Token{Start: int(t.start), End: int(t.end), Kind: t.kind}
		if p.lexer.Is(word, "ignore") || p.lexer.Is(word, "respect") {
			p.next()
			p.next()
		}
	}
	if !p.word("over") {
		return
	}
	if p.tok().kind == sqllex.LeftParen {
		c.Over = p.window()
		return
	}
	name := p.columnName()
	c.Over = &Window{Span: name.Span, Base: &name}
}

// windowless reads a function's call, or what looks like one, where it cannot be a window function.
func (p *parser) windowless() Expr {
	start := p.start()
	if x := p.keywordCall(start, false); x != nil {
		return x
	}
	name := p.functionName()
	if p.tok().kind != sqllex.LeftParen {
		p.unexpected("(")
	}
	return p.call(start, name, false)
}

// keywordPrimary reads an operand that starts with a keyword other than as a name; it returns nil where it is one.
func (p *parser) keywordPrimary(start int) Expr {
	word := p.tok().word()
	switch word {
	case "null":
		return p.literal(Null)
	case "true", "false":
		return p.literal(Bool)
	case "case":
		return p.caseExpr(start)
	case "array":
		return p.arrayExpr(start)
	case "exists", "row", "grouping":
		if p.peek(1).kind != sqllex.LeftParen {
			return nil
		}
		p.next()
		var x Expr
		switch word {
		case "exists":
			if !p.queryBehindParens() {
				p.unexpected("a query")
			}
			x = p.exists(start)
		case "row":
			row := &Row{Explicit: true}
			if p.peek(1).kind == sqllex.RightParen {
				p.next()
				p.next()
			} else {
				row.Items = p.exprsInParens()
			}
			row.Span = p.from(start)
			x = row
		default:
			c := &Call{Keyword: word}
			p.plainArgs(c, 1, -1)
			c.Span = p.from(start)
			x = c
		}
		p.grow()
		return x
	}
	if p.constantType() {
		t := p.grammarTypeName(false)
		c := &Cast{Type: t}
		c.X = p.wantString()
		if t.Mods == nil && t.Names[0].Text == "interval" {
			p.intervalFields()
		}
		c.Span = p.from(start)
		p.grow()
		return c
	}
	return p.keywordCall(start, true)
}

func (p *parser) exists(start int) Expr {
	query, _ := p.paren()
	if query == nil {
		p.fail(start, "EXISTS without a query")
	}
	return &Exists{p.from(start), query}
}

// constantType says whether the current token starts a type of the grammar's own before a string, rather than being a column's name.
func (p *parser) constantType() bool {
	if !p.grammarType() {
		return false
	}
	next := p.peek(1)
	if next.isString() {
		return true
	}
	switch p.tok().word() {
	case "double":
		return true
	case "national":
		return next.word() == "character" || next.word() == "char"
	case "character", "char", "nchar", "bit":
		return next.word() == "varying" || next.kind == sqllex.LeftParen
	case "varchar", "float", "decimal", "dec", "numeric", "interval":
		return next.kind == sqllex.LeftParen
	case "time", "timestamp":
		return next.kind == sqllex.LeftParen || (next.word() == "with" || next.word() == "without") && p.peek(2).word() == "time"
	}
	return false
}

// caseExpr reads CASE.
func (p *parser) caseExpr(start int) Expr {
	p.want("case")
	p.enter()
	c := &Case{}
	if !p.is("when") {
		c.Operand = p.expr()
	}
	for more := true; more; more = p.is("when") {
		at := p.start()
		p.want("when")
		w := When{If: p.expr()}
		p.want("then")
		w.Then = p.expr()
		w.Span = p.from(at)
		c.Whens = append(c.Whens, w)
	}
	if p.word("else") {
		c.Else = p.expr()
	}
	p.want("end")
	p.leave()
	p.grow()
	c.Span = p.from(start)
	return c
}

// arrayExpr reads ARRAY [ … ] or ARRAY ( … ).
func (p *parser) arrayExpr(start int) Expr {
	p.want("array")
	if p.tok().kind == sqllex.LeftParen && p.queryBehindParens() {
		query, _ := p.paren()
		if query == nil {
			p.fail(start, "ARRAY without a query")
		}
		p.grow()
		return &ArrayQuery{p.from(start), query}
	}
	return p.arrayItems(start)
}

func (p *parser) arrayItems(start int) Expr {
	p.expect(sqllex.LeftBracket)
	p.enter()
	a := &Array{}
	base := len(p.stack)
	switch p.tok().kind {
	case sqllex.RightBracket:
	case sqllex.LeftBracket:
		for more := true; more; more = p.accept(sqllex.Comma) {
			p.push(p.arrayItems(p.start()))
		}
	default:
		p.exprList()
	}
	a.Items = p.pop(base)
	p.leave()
	p.expect(sqllex.RightBracket)
	p.grow()
	a.Span = p.from(start)
	return a
}

// plainArgs reads between min and max expressions in parentheses; max is -1 for any number.
func (p *parser) plainArgs(c *Call, min, max int) {
	at := p.start()
	args := p.exprsInParens()
	if len(args) < min || max >= 0 && len(args) > max {
		p.fail(at, "wrong number of arguments")
	}
	c.Args = toArgs(args)
}

func toArgs(list []Expr) []Arg {
	args := make([]Arg, len(list))
	for i, x := range list {
		args[i].X = x
	}
	return args
}

// keywordCall reads what the grammar has words of its own for, as COALESCE, and looks like a call; it returns nil where nothing of the kind
// starts here. full as in call.
func (p *parser) keywordCall(start int, full bool) Expr {
	c := &Call{Keyword: p.tok().word()}
	switch c.Keyword {
	case "current_date", "current_role", "current_user", "session_user", "system_user", "user", "current_catalog":
		p.next()
		c.Span = p.from(start)
		return c
	case "current_schema":
		if next := p.peek(1); next.kind == sqllex.LeftParen || next.isString() {
			return nil
		}
		p.next()
		c.Span = p.from(start)
		return c
	case "current_time", "current_timestamp", "localtime", "localtimestamp":
		p.next()
		p.length()
		c.Span = p.from(start)
		return c
	case "collation":
		if p.peek(1).word() != "for" {
			return nil
		}
		c.Keyword = "collation for"
		p.next()
	}
	if p.peek(1).kind != sqllex.LeftParen {
		return nil
	}
	aggregate := false
	switch c.Keyword {
	case "coalesce", "greatest", "least", "xmlconcat":
		p.next()
		p.plainArgs(c, 1, -1)
	case "nullif":
		p.next()
		p.plainArgs(c, 2, 2)
	case "collation for", "json_scalar":
		p.next()
		p.plainArgs(c, 1, 1)
	case "cast", "treat":
		return p.castCall(start, c)
	case "overlay", "substring":
		p.textCall(c, p.ident())
	case "extract", "normalize", "position", "trim", "xmlelement", "xmlexists", "xmlforest", "xmlparse", "xmlpi", "xmlroot", "xmlserialize":
		p.next()
		p.inParens(c, p.wordyCall)
	case "json_objectagg", "json_arrayagg":
		aggregate = true
		fallthrough
	case "json", "json_object", "json_array", "json_serialize", "json_query", "json_exists", "json_value", "merge_action":
		p.next()
		p.inParens(c, p.jsonCall)
	default:
		return nil
	}
	if aggregate && full {
		p.callBehind(c, false)
	}
	c.Span = p.from(start)
	p.grow()
	return c
}

// inParens reads what a method reads between parentheses. Expressions that it leaves on the stack are arguments.
func (p *parser) inParens(c *Call, read func(*Call)) {
	p.expect(sqllex.LeftParen)
	p.enter()
	base := len(p.stack)
	read(c)
	if list := p.pop(base); list != nil {
		c.Args = append(c.Args, toArgs(list)...)
	}
	p.leave()
	p.expect(sqllex.RightParen)
}

// castCall reads CAST ( … AS … ) and TREAT ( … AS … ).
func (p *parser) castCall(start int, c *Call) Expr {
	p.next()
	p.expect(sqllex.LeftParen)
	p.enter()
	x := p.expr()
	p.want("as")
	t := p.typ()
	p.leave()
	p.expect(sqllex.RightParen)
	p.grow()
	if c.Keyword == "cast" {
		return &Cast{p.from(start), x, t}
	}
	c.Args = []Arg{{X: x}}
	c.Span = p.from(start)
	return c
}

// textCall reads the arguments of OVERLAY and SUBSTRING. Without words between them they are those of a function of that name.
func (p *parser) textCall(c *Call, name Name) {
	p.expect(sqllex.LeftParen)
	p.enter()
	add := func() { c.Args = append(c.Args, Arg{X: p.expr()}) }
	named := p.namesArg() || p.tok().kind == sqllex.RightParen
	if !named {
		add()
	}
	switch overlay := c.Keyword == "overlay"; {
	case named || p.tok().kind == sqllex.Comma || p.tok().kind == sqllex.RightParen:
		c.Name, c.Keyword = []Name{name}, ""
		if !named && p.accept(sqllex.Comma) || named && p.tok().kind != sqllex.RightParen {
			p.args(c, false)
		}
	case overlay && p.word("placing"):
		add()
		p.want("from")
		add()
		if p.word("for") {
			add()
		}
	case !overlay && p.word("similar"):
		add()
		p.want("escape")
		add()
	case !overlay && p.word("from"):
		add()
		if p.word("for") {
			add()
		}
	case !overlay && p.word("for"):
		add()
		if p.word("from") {
			add()
		}
	default:
		p.unexpected(")")
	}
	p.leave()
	p.expect(sqllex.RightParen)
}

// wordyCall reads the arguments of the calls whose syntax is all their own.
func (p *parser) wordyCall(c *Call) {
	switch c.Keyword {
	case "extract":
		switch t := p.tok(); {
		case t.isString():
			p.wantString()
		case t.kind.IsIdent() && t.word() == "":
			p.ident()
		case p.oneOf("year", "month", "day", "hour", "minute", "second") != "":
		default:
			p.unexpected("a field")
		}
		p.want("from")
		p.push(p.expr())
	case "normalize":
		p.push(p.expr())
		if p.accept(sqllex.Comma) && p.oneOf("nfc", "nfd", "nfkc", "nfkd") == "" {
			p.unexpected("a normal form")
		}
	case "position":
		p.push(p.restricted())
		p.want("in")
		p.push(p.restricted())
	case "trim":
		switch p.oneOf("both", "leading", "trailing") {
		case "leading":
			c.Keyword = "ltrim"
		case "trailing":
			c.Keyword = "rtrim"
		}
		if p.word("from") {
			p.exprList()
			break
		}
		p.push(p.expr())
		if p.word("from") || p.accept(sqllex.Comma) {
			p.exprList()
		}
	case "xmlelement", "xmlpi":
		p.want("name")
		p.label()
		if !p.accept(sqllex.Comma) {
			break
		}
		if c.Keyword == "xmlpi" {
			p.push(p.expr())
			break
		}
		if p.is("xmlattributes") && p.peek(1).kind == sqllex.LeftParen {
			p.next()
			p.expect(sqllex.LeftParen)
			p.xmlAttributes(c)
			p.expect(sqllex.RightParen)
			if !p.accept(sqllex.Comma) {
				break
			}
		}
		p.exprList()
	case "xmlexists":
		p.push(p.primary(true))
		p.push(p.xmlPassing())
	case "xmlforest":
		p.xmlAttributes(c)
	case "xmlparse":
		p.documentOrContent()
		p.push(p.expr())
		if p.oneOf("preserve", "strip") != "" {
			p.want("whitespace")
		}
	case "xmlserialize":
		p.documentOrContent()
		p.push(p.expr())
		p.want("as")
		p.simpleType()
		if p.word("no") {
			p.want("indent")
		} else {
			p.word("indent")
		}
	case "xmlroot":
		p.push(p.expr())
		p.expect(sqllex.Comma)
		p.want("version")
		if !p.words("no", "value") {
			p.push(p.expr())
		}
		if p.accept(sqllex.Comma) {
			p.want("standalone")
			if !p.word("yes") {
				p.want("no")
				p.word("value")
			}
		}
	}
}

func (p *parser) documentOrContent() {
	if p.oneOf("document", "content") == "" {
		p.unexpected("document or content")
	}
}

// xmlAttributes reads expressions that may have names.
func (p *parser) xmlAttributes(c *Call) {
	for more := true; more; more = p.accept(sqllex.Comma) {
		arg := Arg{X: p.expr()}
		if p.word("as") {
			name := p.label()
			arg.Name = &name
		}
		c.Args = append(c.Args, arg)
	}
}

// xmlPassing reads PASSING.
func (p *parser) xmlPassing() Expr {
	mechanism := func() {
		if !p.words("by", "ref") {
			p.words("by", "value")
		}
	}
	p.want("passing")
	mechanism()
	x := p.primary(true)
	mechanism()
	return x
}

// jsonCall reads the arguments of the JSON functions, which go onto the stack.
func (p *parser) jsonCall(c *Call) {
	switch c.Keyword {
	case "merge_action":
	case "json":
		p.push(p.jsonValue())
		p.uniqueKeys()
	case "json_serialize":
		p.push(p.jsonValue())
		p.jsonReturning()
	case "json_object":
		p.jsonObject(c)
	case "json_array":
		p.jsonArray()
	case "json_objectagg":
		if !p.jsonKey() {
			p.unexpected("value or :")
		}
		p.push(p.jsonValue())
		p.jsonNulls()
		p.uniqueKeys()
		p.jsonReturning()
	case "json_arrayagg":
		p.push(p.jsonValue())
		if p.word("order") {
			p.want("by")
			c.OrderBy = p.sortList()
		}
		p.jsonNulls()
		p.jsonReturning()
	default: // json_query, json_exists, json_value
		p.push(p.jsonValue())
		p.expect(sqllex.Comma)
		p.push(p.expr())
		p.jsonPassing()
		if c.Keyword != "json_exists" {
			p.jsonReturning()
		}
		if c.Keyword == "json_query" {
			p.jsonWrapper()
			p.jsonQuotes()
		}
		p.jsonBehaviours(c.Keyword != "json_exists")
	}
}

// jsonObject reads the arguments of JSON_OBJECT: keys with values, or those of the older function of that name.
func (p *parser) jsonObject(c *Call) {
	switch {
	case p.tok().kind == sqllex.RightParen:
		return
	case p.is("returning"):
		p.jsonReturning()
		return
	case p.namesArg():
		p.args(c, false)
		return
	case !p.jsonKey():
		if p.accept(sqllex.Comma) {
			c.Args = append(c.Args, Arg{X: p.stack[len(p.stack)-1]})
			p.stack = p.stack[:len(p.stack)-1]
			p.args(c, false)
		}
		return
	}
	p.push(p.jsonValue())
	for p.accept(sqllex.Comma) {
		if !p.jsonKey() {
			p.unexpected("value or :")
		}
		p.push(p.jsonValue())
	}
	p.jsonNulls()
	p.uniqueKeys()
	p.jsonReturning()
}

// jsonKey reads an expression and the VALUE or colon that makes it a key, and returns whether that is there.
func (p *parser) jsonKey() bool {
	start := p.start()
	outer := p.height
	p.height = 0
	_, prefix := p.prefix(false)
	simple := !prefix && !p.is("default")
	x := p.operand(false)
	key := simple && p.word("value")
	if !key {
		x = p.operators(start, x, lowest, false)
		key = p.accept(sqllex.Colon)
	}
	p.push(x)
	p.height = max(outer, p.height)
	return key
}

// jsonArray reads the arguments of JSON_ARRAY: values or a query.
func (p *parser) jsonArray() {
	start := p.start()
	var query *Query
	switch {
	case p.tok().kind == sqllex.RightParen, p.is("returning"):
		p.jsonReturning()
		return
	case p.startsQuery(0):
		query = p.query()
	case p.tok().kind == sqllex.LeftParen && p.queryBehindParens():
		inner, list := p.paren()
		if inner != nil && p.continuesQuery() {
			query = p.queryRest(start, inner, nil)
			break
		}
		x := p.behindParen(start, inner, list)
		if row, ok := x.(*Row); ok && p.is("overlaps") {
			x = p.overlaps(start, row)
		}
		p.push(p.operators(start, x, lowest, false))
		p.jsonFormat()
	default:
		p.push(p.jsonValue())
	}
	if query != nil {
		p.grow()
		p.push(&Subquery{p.from(start), query})
		p.jsonFormat()
		p.jsonReturning()
		return
	}
	for p.accept(sqllex.Comma) {
		p.push(p.jsonValue())
	}
	p.jsonNulls()
	p.jsonReturning()
}

// jsonValue reads an expression that may have FORMAT JSON behind it.
func (p *parser) jsonValue() Expr {
	x := p.expr()
	p.jsonFormat()
	return x
}

func (p *parser) jsonFormat() {
	if p.words("format", "json") && p.word("encoding") {
		p.columnName()
	}
}

func (p *parser) jsonReturning() {
	if p.word("returning") {
		p.typ()
		p.jsonFormat()
	}
}

func (p *parser) jsonNulls() {
	if !p.words("null", "on", "null") {
		p.words("absent", "on", "null")
	}
}

// jsonPassing reads PASSING, if it is there; what is passed goes onto the stack.
func (p *parser) jsonPassing() {
	if !p.word("passing") {
		return
	}
	for more := true; more; more = p.accept(sqllex.Comma) {
		p.push(p.jsonValue())
		p.want("as")
		p.label()
	}
}

func (p *parser) jsonWrapper() {
	switch {
	case p.word("without"):
		p.word("array")
		p.want("wrapper")
	case p.word("with"):
		p.oneOf("conditional", "unconditional")
		p.word("array")
		p.want("wrapper")
	}
}

func (p *parser) jsonQuotes() {
	if p.oneOf("keep", "omit") != "" {
		p.want("quotes")
		p.words("on", "scalar", "string")
	}
}

// jsonBehaviours reads … ON EMPTY and … ON ERROR, as far as they are there; the values of DEFAULT go onto the stack.
func (p *parser) jsonBehaviours(empty bool) {
	for {
		switch p.tok().word() {
		case "default":
			p.next()
			p.push(p.expr())
		case "empty":
			p.next()
			p.oneOf("array", "object")
		case "error", "null", "true", "false", "unknown":
			p.next()
		default:
			return
		}
		p.want("on")
		if !empty || !p.word("empty") {
			p.want("error")
			return
		}
		empty = false
	}
}
