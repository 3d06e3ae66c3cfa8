package sqlcols

import "github.com/pganon/pganon/internal/sqllex"

// fromList reads what stands behind FROM.
func (p *parser) fromList() []From {
	list := []From{p.tableRef()}
	for p.accept(sqllex.Comma) {
		list = append(list, p.tableRef())
	}
	return list
}

// tableRef reads an element of FROM with all joins.
func (p *parser) tableRef() From {
	start := p.start()
	p.enter()
	outer := p.height
	p.height = 0
	f := p.joins(start, p.tablePrimary())
	p.leave()
	p.height = max(outer, p.height)
	return f
}

// startsJoin says whether the current token goes on with a join.
func (p *parser) startsJoin() bool {
	switch p.tok().word() {
	case "join", "cross", "natural", "inner", "left", "right", "full":
		return true
	}
	return false
}

// joins reads the joins behind their left side.
func (p *parser) joins(start int, left From) From {
	for p.startsJoin() {
		j := &Join{Kind: "inner", Left: left}
		switch {
		case p.word("cross"):
			j.Kind = "cross"
		default:
			j.Natural = p.word("natural")
			if kind := p.oneOf("inner", "left", "right", "full"); kind != "" {
				j.Kind = kind
				if kind != "inner" {
					p.word("outer")
				}
			}
		}
		p.want("join")
		right := p.start()
		height := p.height
		p.height = 0
		j.Right = p.tablePrimary()
		if j.Kind != "cross" && !j.Natural {
			if p.startsJoin() { // a JOIN b JOIN c ON … ON …
				p.enter()
				j.Right = p.joins(right, j.Right)
				p.leave()
			}
			p.joinCondition(j)
		}
		p.height = max(height, p.height)
		j.Span = p.from(start)
		left = j
		p.grow()
	}
	return left
}

// joinCondition reads ON or USING.
func (p *parser) joinCondition(j *Join) {
	switch {
	case p.word("on"):
		j.On = p.expr()
	case p.word("using"):
		j.Using = p.columnNames()
		if p.word("as") {
			name := p.columnName()
			j.UsingAlias = &name
		}
	default:
		p.unexpected("on or using")
	}
}

// tablePrimary reads an element of FROM up to its alias.
func (p *parser) tablePrimary() From {
	start := p.start()
	lateral := p.word("lateral")
	switch word := p.tok().word(); {
	case p.tok().kind == sqllex.LeftParen:
		if lateral {
			if !p.queryBehindParens() {
				p.unexpected("a query")
			}
			q, f := p.fromParen()
			if f != nil {
				p.fail(start, "LATERAL before a join")
			}
			return p.subqueryRef(start, lateral, q)
		}
		q, f := p.fromParen()
		if q != nil {
			return p.subqueryRef(start, false, q)
		}
		if alias := p.alias(); alias != nil {
			f.Alias = alias
			f.Span = p.from(start)
		}
		return f
	case word == "only" && !lateral:
		return p.tableBehind(start, p.tableName())
	case (word == "xmltable" || word == "json_table") && p.peek(1).kind == sqllex.LeftParen:
		t := p.tableFunction()
		t.Lateral = lateral
		t.Alias = p.alias()
		t.Span = p.from(start)
		return t
	case word == "rows" && p.peek(1).word() == "from":
		return p.rowsFrom(start, lateral)
	}
	if p.mayName(0, columnName) {
		// A table, unless a parenthesis makes it a function.
		n := 1
		for p.peek(n).kind == sqllex.Dot {
			n += 2
		}
		if p.peek(n).kind != sqllex.LeftParen && !lateral {
			return p.tableBehind(start, p.tableName())
		}
	}
	f := &FunctionRef{Lateral: lateral, Calls: []Expr{p.windowless()}}
	p.functionBehind(start, f)
	return f
}

// fromParen reads what stands in parentheses in FROM: a query or a join.
func (p *parser) fromParen() (*Query, *Join) {
	p.enter()
	defer p.leave()
	p.expect(sqllex.LeftParen)
	start := p.start()
	if p.startsQuery(0) {
		q := p.query()
		p.expect(sqllex.RightParen)
		return q, nil
	}
	var f From
	if p.tok().kind == sqllex.LeftParen && p.queryBehindParens() {
		q, join := p.fromParen()
		switch {
		case q == nil:
			if alias := p.alias(); alias != nil {
				join.Alias = alias
				join.Span = p.from(start)
			}
			f = join
		case p.accept(sqllex.RightParen):
			return q, nil
		case p.continuesQuery():
			q = p.queryRest(start, q, nil)
			p.expect(sqllex.RightParen)
			return q, nil
		default:
			f = p.subqueryRef(start, false, q)
		}
		f = p.joins(start, f)
	} else {
		f = p.tableRef()
	}
	join, ok := f.(*Join)
	if !ok || join.Alias != nil {
		p.unexpected("a join")
	}
	p.expect(sqllex.RightParen)
	return nil, join
}

// subqueryRef reads what follows a query in parentheses in FROM.
func (p *parser) subqueryRef(start int, lateral bool, q *Query) *SubqueryRef {
	s := &SubqueryRef{Lateral: lateral, Query: q, Alias: p.alias()}
	s.Span = p.from(start)
	p.grow()
	return s
}

// tableName reads a table's name with ONLY or * around it.
func (p *parser) tableName() *TableRef {
	start := p.start()
	t := &TableRef{Only: p.word("only")}
	if t.Only && p.accept(sqllex.LeftParen) {
		t.Name = p.relationName()
		p.expect(sqllex.RightParen)
	} else {
		t.Name = p.relationName()
		if !t.Only {
			p.star()
		}
	}
	t.Span = p.from(start)
	return t
}

// tableBehind reads what follows a table's name in FROM.
func (p *parser) tableBehind(start int, t *TableRef) *TableRef {
	t.Alias = p.alias()
	if p.word("tablesample") {
		p.functionName()
		t.Sample = p.exprsInParens()
		if p.word("repeatable") {
			p.expect(sqllex.LeftParen)
			t.Sample = append(t.Sample, p.expr())
			p.expect(sqllex.RightParen)
		}
	}
	t.Span = p.from(start)
	return t
}

// alias reads an alias that may have names of columns, if it is there.
func (p *parser) alias() *Alias {
	start := p.start()
	if !p.word("as") && !p.mayName(0, columnName) {
		return nil
	}
	a := &Alias{Name: p.columnName()}
	if p.tok().kind == sqllex.LeftParen {
		a.Columns = p.columnNames()
	}
	a.Span = p.from(start)
	return a
}

// rowsFrom reads ROWS FROM ( … ).
func (p *parser) rowsFrom(start int, lateral bool) *FunctionRef {
	p.want("rows", "from")
	p.expect(sqllex.LeftParen)
	f := &FunctionRef{Lateral: lateral, RowsFrom: true}
	for more := true; more; more = p.accept(sqllex.Comma) {
		f.Calls = append(f.Calls, p.windowless())
		var own *Alias
		n := 0
		if at := p.start(); p.word("as") {
			own = &Alias{}
			p.definitions(own)
			own.Span = p.from(at)
			n = len(own.Columns)
		}
		f.CallAliases = append(f.CallAliases, own)
		f.Defined = append(f.Defined, n)
	}
	p.expect(sqllex.RightParen)
	p.functionBehind(start, f)
	return f
}

// functionBehind reads what follows a function in FROM.
func (p *parser) functionBehind(start int, f *FunctionRef) {
	f.Ordinality = p.words("with", "ordinality")
	at := p.start()
	as := p.word("as")
	switch {
	case as && p.tok().kind == sqllex.LeftParen:
		f.Alias = &Alias{}
		p.definitions(f.Alias)
	case as || p.mayName(0, columnName):
		f.Alias = &Alias{Name: p.columnName()}
		if p.tok().kind != sqllex.LeftParen {
			break
		}
		if next := p.peek(2).kind; next == sqllex.Comma || next == sqllex.RightParen {
			f.Alias.Columns = p.columnNames()
		} else {
			p.definitions(f.Alias)
		}
	}
	if f.Alias != nil {
		f.Alias.Span = p.from(at)
	}
	f.Span = p.from(start)
}

// definitions reads definitions of columns in parentheses.
func (p *parser) definitions(a *Alias) {
	a.Types = true
	p.expect(sqllex.LeftParen)
	for more := true; more; more = p.accept(sqllex.Comma) {
		a.Columns = append(a.Columns, p.columnName())
		a.Definitions = append(a.Definitions, p.typ())
		if p.word("collate") {
			p.dotted(p.columnName())
		}
	}
	p.expect(sqllex.RightParen)
}

// tableFunction reads XMLTABLE or JSON_TABLE up to its alias.
func (p *parser) tableFunction() *TableFunctionRef {
	start := p.start()
	t := &TableFunctionRef{Name: p.tok().word()}
	p.next()
	p.expect(sqllex.LeftParen)
	p.enter()
	base := len(p.stack)
	if t.Name == "xmltable" {
		p.xmlTable(t)
	} else {
		p.jsonTable(t)
	}
	t.Args = p.pop(base)
	p.leave()
	p.expect(sqllex.RightParen)
	t.Span = p.from(start)
	p.grow()
	return t
}

// push puts an expression onto the stack.
func (p *parser) push(x Expr) { p.stack = append(p.stack, x) }

func (p *parser) xmlTable(t *TableFunctionRef) {
	if p.word("xmlnamespaces") {
		p.expect(sqllex.LeftParen)
		for more := true; more; more = p.accept(sqllex.Comma) {
			if p.word("default") {
				p.push(p.restricted())
				continue
			}
			p.push(p.restricted())
			p.want("as")
			p.label()
		}
		p.expect(sqllex.RightParen)
		p.expect(sqllex.Comma)
	}
	p.push(p.primary(true))
	p.push(p.xmlPassing())
	p.want("columns")
	for more := true; more; more = p.accept(sqllex.Comma) {
		t.Columns = append(t.Columns, p.columnName())
		if p.words("for", "ordinality") {
			continue
		}
		p.typ()
		for {
			switch {
			case p.words("not", "null"), p.word("null"):
				continue
			case p.word("default"), p.word("path"):
				p.push(p.restricted())
				continue
			}
			break
		}
	}
}

func (p *parser) jsonTable(t *TableFunctionRef) {
	p.push(p.jsonValue())
	p.expect(sqllex.Comma)
	p.push(p.expr())
	if p.word("as") {
		p.columnName()
	}
	p.jsonPassing()
	p.want("columns")
	p.jsonColumns(t)
	p.jsonBehaviours(false)
}

// jsonColumns reads the columns of JSON_TABLE.
func (p *parser) jsonColumns(t *TableFunctionRef) {
	p.enter()
	p.expect(sqllex.LeftParen)
	for more := true; more; more = p.accept(sqllex.Comma) {
		if p.is("nested") && (p.peek(1).word() == "path" || p.peek(1).isString()) {
			p.next()
			p.word("path")
			p.wantString()
			if p.word("as") {
				p.columnName()
			}
			p.want("columns")
			p.jsonColumns(t)
			continue
		}
		t.Columns = append(t.Columns, p.columnName())
		if p.words("for", "ordinality") {
			continue
		}
		p.typ()
		exists := p.word("exists")
		if !exists {
			p.jsonFormat()
		}
		if p.word("path") {
			p.wantString()
		}
		if !exists {
			p.jsonWrapper()
			p.jsonQuotes()
		}
		p.jsonBehaviours(!exists)
	}
	p.expect(sqllex.RightParen)
	p.leave()
}
