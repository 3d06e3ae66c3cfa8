package sqlcols

import "github.com/pganon/pganon/internal/sqllex"

// startsQuery says whether the n-th token behind the current one starts a query. VALUES alone may be a column.
func (p *parser) startsQuery(n int) bool {
	switch p.peek(n).word() {
	case "select", "table", "with":
		return true
	case "values":
		return p.peek(n+1).kind == sqllex.LeftParen
	}
	return false
}

// queryBehindParens says whether behind the current token, a parenthesis, and all those that follow it, a query starts.
func (p *parser) queryBehindParens() bool {
	if p.at < p.parens || p.at >= p.behind {
		p.parens, p.behind = p.at, p.at
		for p.tokens[p.behind].kind == sqllex.LeftParen {
			p.behind++
		}
	}
	return p.startsQuery(p.behind - p.at)
}

// query reads a query, with or without parentheses around it.
func (p *parser) query() *Query {
	start := p.start()
	var with *With
	if p.is("with") {
		with = p.with()
	}
	return p.queryBehind(start, with)
}

// queryBehind reads what follows WITH.
func (p *parser) queryBehind(start int, with *With) *Query {
	p.enter()
	outer := p.height
	p.height = 0
	q := p.queryRest(start, p.queryOperand(), with)
	p.leave()
	p.height = max(outer, p.height)
	return q
}

// queryRest reads what may follow the first operand of a query: set operations, ORDER BY, LIMIT, OFFSET, FOR UPDATE.
func (p *parser) queryRest(start int, q *Query, with *With) *Query {
	q = p.setOperations(start, q, 0)
	if with != nil {
		if q.With != nil {
			p.fail(with.Start, "WITH given twice")
		}
		q.With = with
	}
	behind := p.end
	if at := p.start(); p.word("order") {
		p.want("by")
		if q.OrderBy != nil {
			p.fail(at, "ORDER BY given twice")
		}
		q.OrderBy = p.sortList()
	}
	if p.is("for") {
		p.locks(q)
		p.limits(q)
	} else if p.limits(q) && p.is("for") {
		p.locks(q)
	}
	if with != nil || p.end != behind {
		q.Span = p.from(start)
	}
	p.grow()
	return q
}

// setOperations reads UNION, EXCEPT (weaker) and INTERSECT (stronger) that bind stronger than min.
func (p *parser) setOperations(start int, left *Query, min int) *Query {
	for {
		op, strength := p.tok().word(), 1
		switch op {
		case "union", "except":
		case "intersect":
			strength = 2
		default:
			return left
		}
		if strength <= min {
			return left
		}
		p.next()
		s := &SetOperation{Op: op, Left: left}
		s.All = p.word("all")
		if !s.All {
			p.word("distinct")
		}
		right := p.start()
		height := p.height
		p.height = 0
		s.Right = p.setOperations(right, p.queryOperand(), strength)
		p.height = max(height, p.height)
		s.Span = p.from(start)
		left = &Query{Span: s.Span, Body: s}
		p.grow()
	}
}

// queryOperand reads SELECT, VALUES, TABLE or a query in parentheses.
func (p *parser) queryOperand() *Query {
	start := p.start()
	var body Body
	switch {
	case p.is("select"):
		body = p.sel()
	case p.is("values"):
		body = p.values()
	case p.is("table"):
		body = p.table()
	case p.tok().kind == sqllex.LeftParen:
		p.enter()
		p.next()
		q := p.query()
		p.expect(sqllex.RightParen)
		p.leave()
		return q
	default:
		p.unexpected("a query")
	}
	return &Query{Span: p.from(start), Body: body}
}

// continuesQuery says whether the current token can go on with a query whose first operand has been read.
func (p *parser) continuesQuery() bool {
	switch p.tok().word() {
	case "union", "except", "intersect", "order", "limit", "offset", "fetch", "for":
		return true
	}
	return false
}

// with reads WITH.
func (p *parser) with() *With {
	start := p.start()
	p.want("with")
	w := &With{}
	w.Recursive = p.is("recursive") && p.peek(1).word() != "as" && p.peek(1).kind != sqllex.LeftParen
	if w.Recursive {
		p.next()
	}
	for more := true; more; more = p.accept(sqllex.Comma) {
		w.Tables = append(w.Tables, p.cte())
	}
	w.Span = p.from(start)
	return w
}

// cte reads one table of WITH.
func (p *parser) cte() CTE {
	start := p.start()
	c := CTE{Name: p.columnName()}
	if p.tok().kind == sqllex.LeftParen {
		c.Columns = p.columnNames()
	}
	p.want("as")
	if p.word("not") {
		p.want("materialized")
	} else {
		p.word("materialized")
	}
	p.expect(sqllex.LeftParen)
	p.enter()
	if c.Statement = p.preparable(); c.Statement == nil {
		p.unexpected("a command")
	}
	p.leave()
	p.expect(sqllex.RightParen)
	if p.word("search") {
		if p.oneOf("depth", "breadth") == "" {
			p.unexpected("depth or breadth")
		}
		p.want("first", "by")
		c.Uses = append(c.Uses, p.nameList()...)
		p.want("set")
		c.Adds = append(c.Adds, p.columnName())
	}
	if p.word("cycle") {
		c.Uses = append(c.Uses, p.nameList()...)
		p.want("set")
		c.Adds = append(c.Adds, p.columnName())
		if p.word("to") {
			value := p.constant()
			p.want("default")
			c.CycleMarks = []Expr{value, p.constant()}
		}
		p.want("using")
		c.Adds = append(c.Adds, p.columnName())
	}
	c.Span = p.from(start)
	return c
}

// constant reads a constant, which may have a type's name in front.
func (p *parser) constant() Expr {
	x := p.primary(false)
	switch x := x.(type) {
	case *Literal:
	case *Cast:
		if _, literal := x.X.(*Literal); literal {
			break
		}
		p.fail(x.Start, "constant expected")
	default:
		p.fail(x.Pos().Start, "constant expected")
	}
	return x
}

// sel reads SELECT up to its windows.
func (p *parser) sel() *Select {
	start := p.start()
	p.want("select")
	s := &Select{}
	if p.word("distinct") {
		s.Distinct = true
		if p.word("on") {
			s.DistinctOn = p.exprsInParens()
		}
		s.Items = p.items()
	} else {
		p.word("all")
		if !p.endsItems(0) {
			s.Items = p.items()
		}
	}
	if p.word("into") {
		s.Into = true
		p.into()
	}
	if p.word("from") {
		s.From = p.fromList()
	}
	s.Where = p.where()
	if p.word("group") {
		p.want("by")
		if !p.word("all") {
			p.word("distinct")
		}
		base := len(p.stack)
		p.groupList()
		s.GroupBy = p.pop(base)
	}
	if p.word("having") {
		s.Having = p.expr()
	}
	if p.word("window") {
		for more := true; more; more = p.accept(sqllex.Comma) {
			at := p.start()
			name := p.columnName()
			p.want("as")
			w := p.window()
			w.Name = &name
			w.Span = p.from(at)
			s.Windows = append(s.Windows, *w)
		}
	}
	s.Span = p.from(start)
	return s
}

// endsItems says whether the n-th token behind the current one ends a list of outputs.
func (p *parser) endsItems(n int) bool {
	t := p.peek(n)
	switch t.kind {
	case sqllex.EOF, sqllex.RightParen, sqllex.Semicolon:
		return true
	case sqllex.Ident:
		switch t.word() {
		case "from", "into", "where", "group", "having", "window", "union", "except", "intersect", "order", "limit", "offset", "fetch",
			"for", "on", "returning":
			return true
		case "format": // of JSON_ARRAY (SELECT … FORMAT JSON)
			return p.pair(n)
		}
	}
	return false
}

// endsItem says the same of one output.
func (p *parser) endsItem(n int) bool { return p.peek(n).kind == sqllex.Comma || p.endsItems(n) }

// into reads the name behind INTO.
func (p *parser) into() {
	switch p.tok().word() {
	case "local", "global":
		if next := p.peek(1).word(); next == "temp" || next == "temporary" {
			p.next()
		}
	}
	switch p.tok().word() {
	case "temp", "temporary", "unlogged":
		// A name of its own, unless one follows.
		if next := p.peek(1); next.word() == "table" || p.mayName(1, columnName) {
			p.next()
		}
	}
	p.word("table")
	p.relationName()
}

// items reads the outputs of SELECT or RETURNING.
func (p *parser) items() []Item {
	var items []Item
	for more := true; more; more = p.accept(sqllex.Comma) {
		start := p.start()
		var item Item
		if p.star() {
			item.X = &Star{Span: p.from(start)}
		} else {
			item.X = p.expr()
			if p.word("as") {
				name := p.label()
				item.Alias = &name
			} else if t := p.tok(); t.kind.IsIdent() && t.class&needsAs == 0 && p.mayName(0, reserved) {
				name := p.ident()
				item.Alias = &name
			}
		}
		item.Span = p.from(start)
		items = append(items, item)
	}
	return items
}

// groupList reads what stands behind GROUP BY or in GROUPING SETS ( … ) onto the stack.
func (p *parser) groupList() {
	for more := true; more; more = p.accept(sqllex.Comma) {
		next := p.peek(1).kind
		switch word := p.tok().word(); {
		case p.tok().kind == sqllex.LeftParen && next == sqllex.RightParen:
			p.next()
			p.next()
		case (word == "cube" || word == "rollup") && next == sqllex.LeftParen:
			p.next()
			p.next()
			p.exprList()
			p.expect(sqllex.RightParen)
		case word == "grouping" && p.peek(1).word() == "sets":
			p.next()
			p.next()
			p.expect(sqllex.LeftParen)
			p.enter()
			p.groupList()
			p.leave()
			p.expect(sqllex.RightParen)
		default:
			x := p.expr()
			if row, ok := x.(*Row); ok && !row.Explicit { // several columns, not a row of them
				p.stack = append(p.stack, row.Items...)
			} else {
				p.stack = append(p.stack, x)
			}
		}
	}
}

// values reads VALUES.
func (p *parser) values() *Values {
	start := p.start()
	p.want("values")
	v := &Values{}
	for more := true; more; more = p.accept(sqllex.Comma) {
		v.Rows = append(v.Rows, p.exprsInParens())
	}
	v.Span = p.from(start)
	return v
}

// table reads TABLE.
func (p *parser) table() *Select {
	start := p.start()
	p.want("table")
	at := p.start()
	t := p.tableName()
	t.Span = p.from(at)
	span := p.from(start)
	star := Span{start, at}
	return &Select{Span: span, Items: []Item{{Span: star, X: &Star{Span: star}}}, From: []From{t}}
}

// sortList reads what stands behind ORDER BY.
func (p *parser) sortList() []SortItem {
	var list []SortItem
	for more := true; more; more = p.accept(sqllex.Comma) {
		start := p.start()
		item := SortItem{X: p.expr()}
		if p.word("using") {
			item.Using = p.anyOperator().Symbol
		} else {
			p.oneOf("asc", "desc")
		}
		if p.word("nulls") && p.oneOf("first", "last") == "" {
			p.unexpected("first or last")
		}
		item.Span = p.from(start)
		list = append(list, item)
	}
	return list
}

// limits reads LIMIT or FETCH FIRST, and OFFSET, in either order; it returns whether one is there.
func (p *parser) limits(q *Query) bool {
	limited, offset := false, false
	for {
		at := p.start()
		switch p.tok().word() {
		case "limit":
			p.only(at, !limited && q.Limit == nil, "LIMIT")
			p.next()
			limited = true
			if !p.word("all") {
				q.Limit = p.expr()
			}
		case "fetch":
			p.only(at, !limited && q.Limit == nil, "LIMIT")
			p.next()
			limited = true
			q.Limit = p.fetch()
		case "offset":
			p.only(at, !offset && q.Offset == nil, "OFFSET")
			p.next()
			offset = true
			before := p.at
			if q.Offset = p.expr(); p.is("row") || p.is("rows") { // then it may be no more than a count
				p.at = before
				q.Offset = p.count()
				p.rows()
			}
		default:
			return limited || offset
		}
	}
}

// only fails where what can be given once only is given again.
func (p *parser) only(at int, first bool, what string) {
	if !first {
		p.fail(at, what+" given twice")
	}
}

// fetch reads what stands behind FETCH; the number of rows is nil where it is not said.
func (p *parser) fetch() (count Expr) {
	if p.oneOf("first", "next") == "" {
		p.unexpected("first or next")
	}
	next := p.peek(1).word()
	if !(p.is("row") || p.is("rows")) || next != "only" && next != "with" {
		count = p.count()
	}
	p.rows()
	if !p.word("only") {
		p.want("with", "ties")
	}
	return count
}

// count reads a number of rows before ROWS: an operand or a number with its sign.
func (p *parser) count() Expr {
	if !p.symbol("+") && !p.symbol("-") {
		return p.primary(false)
	}
	start := p.start()
	u := &Unary{Op: p.operator()}
	if kind := p.tok().kind; kind != sqllex.Integer && kind != sqllex.Decimal {
		p.unexpected("number")
	}
	u.X = p.literal(Number)
	u.Span = p.from(start)
	return u
}

func (p *parser) rows() {
	if p.oneOf("row", "rows") == "" {
		p.unexpected("rows")
	}
}

// locks reads FOR UPDATE and its kin, as many as there are, and FOR READ ONLY.
func (p *parser) locks(q *Query) {
	if p.words("for", "read", "only") {
		return
	}
	for p.is("for") {
		start := p.start()
		p.next()
		switch {
		case p.word("update"), p.words("no", "key", "update"), p.word("share"), p.words("key", "share"):
		default:
			p.unexpected("a lock")
		}
		var l Lock
		if p.word("of") {
			for more := true; more; more = p.accept(sqllex.Comma) {
				l.Of = append(l.Of, p.relationName())
			}
		}
		if !p.word("nowait") {
			p.words("skip", "locked")
		}
		l.Span = p.from(start)
		q.Locks = append(q.Locks, l)
	}
}

// window reads a window's definition in parentheses.
func (p *parser) window() *Window {
	start := p.start()
	p.expect(sqllex.LeftParen)
	p.enter()
	w := &Window{}
	if p.mayName(0, columnName) {
		switch p.tok().word() {
		case "partition", "range", "rows", "groups":
		default:
			name := p.columnName()
			w.Base = &name
		}
	}
	if p.words("partition", "by") {
		base := len(p.stack)
		p.exprList()
		w.PartitionBy = p.pop(base)
	}
	if p.words("order", "by") {
		w.OrderBy = p.sortList()
	}
	if p.oneOf("range", "rows", "groups") != "" {
		base := len(p.stack)
		if p.word("between") {
			p.frameBound()
			p.want("and")
		}
		p.frameBound()
		w.Frame = p.pop(base)
		if p.word("exclude") && !p.words("current", "row") && !p.words("no", "others") && p.oneOf("group", "ties") == "" {
			p.unexpected("what to exclude")
		}
	}
	p.expect(sqllex.RightParen)
	p.leave()
	w.Span = p.from(start)
	return w
}

// frameBound reads the bound of a window's frame; its offset goes onto the stack.
func (p *parser) frameBound() {
	switch {
	case p.words("current", "row"):
		return
	case p.words("unbounded", "preceding"), p.words("unbounded", "following"):
		return
	}
	p.stack = append(p.stack, p.expr())
	if p.oneOf("preceding", "following") == "" {
		p.unexpected("preceding or following")
	}
}
