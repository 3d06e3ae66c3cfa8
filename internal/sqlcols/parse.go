package sqlcols

import (
	"errors"
	"slices"
	"sync"

	"github.com/pganon/pganon/internal/sqllex"
)

// Parse reads the commands of a text by the grammar of PostgreSQL 15 to 18; with standard_conforming_strings on. What the versions read
// differently is read as the newest does. Every error is an *Error with Syntax; its Reason is OtherCommand where a command is none
// of the Statements.
//
// What it takes, a server takes too, with few exceptions, none of which changes what a name or a parameter means: those that the
// server finds only in its analysis, and keywords that it does not allow as a name in some places.
func Parse(text string) (statements []Statement, err error) {
	err = read(text, 0, len(text), func(p *parser) {
		for {
			for p.accept(sqllex.Semicolon) {
			}
			if p.tok().kind == sqllex.EOF {
				return
			}
			statements = append(statements, p.statement())
			if p.tok().kind != sqllex.Semicolon {
				p.wantEnd()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return statements, nil
}

// read lets a function read the part of text from start to end. The error is that with which a parser has ended by panic.
func read(text string, start, end int, by func(*parser)) (err error) {
	if len(text) > MaxText {
		return &Error{Position: MaxText, Reason: "text too long", Syntax: true}
	}
	r := rooms.Get().(*room)
	p := parser{text: text, lexer: sqllex.New(text), tokens: r.tokens[:0], stack: r.stack[:0]}
	defer func() {
		if cap(p.tokens) <= largeRoom {
			clear(p.stack)
			r.tokens, r.stack = p.tokens, p.stack
			rooms.Put(r)
		}
		switch failure := recover().(type) {
		case nil:
		case *Error:
			err = failure
		default:
			panic(failure)
		}
	}()
	p.scan(start, end)
	by(&p)
	return nil
}

// token is a sqllex.Token with what the parser asks of it again and again.
type token struct {
	start, end int32
	param      int32
	keyword    uint16 // index into keywords, 0 for all else
	kind       sqllex.Kind
	class      class
}

// word returns the keyword that a token is, "" where it is none.
func (t *token) word() string { return keywords[t.keyword].word }

// is says whether it is that keyword.
func (t *token) is(word string) bool { return t.word() == word }

// room is what is wanted only while a text is read, kept for the next.
type room struct {
	tokens []token
	stack  []Expr
}

const largeRoom = 1 << 16

var rooms = sync.Pool{New: func() any { return &room{} }}

// parser reads one text. Its methods read what their names say from the current token on, and panic with an *Error where it is not there:
// nothing but Parse is called from outside, and there the panic ends.
type parser struct {
	text   string
	lexer  sqllex.Lexer
	tokens []token
	at     int // index of the current token
	end    int // where the last token ended

	depth  int // of what is being read
	height int // of the highest tree that has been read for it

	parens, behind int // tokens[parens:behind] are known to be left parentheses

	stack   []Expr // of lists that are being read
	lists   arena[Expr]
	names   arena[Name]
	columns slab[ColumnRef]
	params  slab[Param]
	strings slab[Literal]
	binary  slab[Binary]
}

// slab hands out new elements, many of one allocation.
type slab[T any] struct {
	free []T
	size int
}

func (s *slab[T]) new() *T {
	if len(s.free) == 0 {
		s.size = min(max(4, 4*s.size), 1024)
		s.free = make([]T, s.size)
	}
	t := &s.free[0]
	s.free = s.free[1:]
	return t
}

// arena hands out slices, many of one allocation.
type arena[T any] struct {
	free []T
	size int
}

func (a *arena[T]) copy(list []T) []T {
	if len(list) > len(a.free) {
		a.size = min(max(8, 4*a.size), 1024)
		a.free = make([]T, max(a.size, len(list)))
	}
	n := copy(a.free, list)
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}

// scan cuts the text from start to end into tokens.
func (p *parser) scan(start, end int) {
	p.tokens = slices.Grow(p.tokens, min(largeRoom, (end-start)/4+8))
	for lexer := sqllex.New(p.text[start:end]); ; {
		t := lexer.Next()
		next := token{start: int32(start + t.Start), end: int32(start + t.End), param: t.Param, kind: t.Kind}
		switch t.Kind {
		case sqllex.Illegal:
			p.lexical(start+t.Start, start, lexer.Err())
		case sqllex.Ident:
			next.keyword = lookup(p.text[next.start:next.end])
			next.class = keywords[next.keyword].class
		}
		p.tokens = append(p.tokens, next)
		if t.Kind == sqllex.EOF {
			return
		}
	}
}

// lexical fails with an error of the lexer over the text from start; position is for one that says none.
func (p *parser) lexical(position, start int, err error) {
	var failure *sqllex.Error
	if errors.As(err, &failure) {
		p.fail(start+failure.Offset, failure.Reason.String())
	}
	p.fail(position, "illegal token")
}

// tok returns the current token.
func (p *parser) tok() *token { return &p.tokens[p.at] }

// peek returns the n-th token behind the current one.
func (p *parser) peek(n int) *token { return &p.tokens[min(p.at+n, len(p.tokens)-1)] }

// start returns where the current token starts.
func (p *parser) start() int { return int(p.tokens[p.at].start) }

// next goes to the next token.
func (p *parser) next() {
	p.end = int(p.tokens[p.at].end)
	if p.at < len(p.tokens)-1 {
		p.at++
	}
}

// from returns the span from start to the end of the last token.
func (p *parser) from(start int) Span { return Span{start, p.end} }

// accept goes over a token of that kind if it is the current one.
func (p *parser) accept(kind sqllex.Kind) bool {
	if p.tok().kind != kind {
		return false
	}
	p.next()
	return true
}

// expect goes over a token of that kind.
func (p *parser) expect(kind sqllex.Kind) {
	if !p.accept(kind) {
		p.unexpected(kind.String())
	}
}

// is says whether the current token is the keyword.
func (p *parser) is(word string) bool { return p.tok().word() == word }

// word goes over the keyword if it is the current token.
func (p *parser) word(word string) bool {
	if p.tok().word() != word {
		return false
	}
	p.next()
	return true
}

// words goes over the keywords if they are the current token and those behind it.
func (p *parser) words(words ...string) bool {
	for i, word := range words {
		if p.peek(i).word() != word {
			return false
		}
	}
	for range words {
		p.next()
	}
	return true
}

// want goes over the keywords.
func (p *parser) want(words ...string) {
	for _, word := range words {
		if !p.word(word) {
			p.unexpected(word)
		}
	}
}

// oneOf goes over the first of the keywords that is the current token, and returns it; "" where none is.
func (p *parser) oneOf(words ...string) string {
	for _, word := range words {
		if p.word(word) {
			return word
		}
	}
	return ""
}

// symbol says whether the current token is that operator.
func (p *parser) symbol(symbol string) bool {
	t := p.tok()
	return t.kind == sqllex.Operator && p.text[t.start:t.end] == symbol
}

// star goes over * if it is the current token.
func (p *parser) star() bool {
	if !p.symbol("*") {
		return false
	}
	p.next()
	return true
}

func (p *parser) fail(position int, reason string) {
	panic(&Error{Position: position, Reason: reason, Syntax: true})
}

// unexpected fails at the current token.
func (p *parser) unexpected(wanted string) {
	t := p.tok()
	found := t.word()
	if found == "" {
		found = t.kind.String()
	}
	p.fail(int(t.start), wanted+" expected, not "+found)
}

// closing returns the index of the token that closes the bracket at the current token.
func (p *parser) closing() int {
	depth := 0
	for i := p.at; i < len(p.tokens); i++ {
		switch p.tokens[i].kind {
		case sqllex.LeftParen, sqllex.LeftBracket:
			depth++
		case sqllex.RightParen, sqllex.RightBracket:
			if depth--; depth <= 0 {
				return i
			}
		}
	}
	return len(p.tokens) - 1
}

// skip goes behind a token, or behind what is in brackets that it opens.
func (p *parser) skip() {
	switch p.tok().kind {
	case sqllex.LeftParen, sqllex.LeftBracket:
		p.at = p.closing()
	}
	p.next()
}

// wantEnd fails where the text goes on.
func (p *parser) wantEnd() {
	if p.tok().kind != sqllex.EOF {
		p.unexpected("end of the command")
	}
}

// enter goes one level down, where reading it takes some of Go's stack.
func (p *parser) enter() {
	if p.depth++; p.depth > MaxDepth {
		p.fail(p.start(), "nested too deep")
	}
}

func (p *parser) leave() { p.depth-- }

// grow puts a node upon the tree that has been read.
func (p *parser) grow() {
	if p.height++; p.height > MaxDepth {
		p.fail(p.start(), "nested too deep")
	}
}

// ident returns the current token as a name and goes over it.
func (p *parser) ident() Name {
	t := p.tok()
	name := Name{Span{int(t.start), int(t.end)}, t.word()}
	if t.word() == "" {
		text, err := p.lexer.Ident(sqllex.Token{Start: int(t.start), End: int(t.end), Kind: t.kind})
		if err != nil {
			p.lexical(int(t.start), 0, err)
		}
		name.Text = text
	}
	p.next()
	return name
}

// mayName says whether the n-th token behind the current one can be a name of that class: columnName for one of columns and tables,
// typeName for one of functions and types, reserved for one behind AS.
func (p *parser) mayName(n int, class class) bool {
	t := p.peek(n)
	if t.word() == "" {
		return t.kind.IsIdent()
	}
	if p.pair(n) {
		return false
	}
	own := t.class & classes
	return class == reserved || own <= unreserved || own == class
}

// pair says whether the n-th token behind the current one and the next are such that the server's lexer makes another word of the first,
// which is no name.
func (p *parser) pair(n int) bool {
	switch p.peek(n).word() {
	case "not":
		switch p.peek(n + 1).word() {
		case "between", "in", "like", "ilike", "similar":
			return true
		}
	case "nulls":
		next := p.peek(n + 1).word()
		return next == "first" || next == "last"
	case "with":
		next := p.peek(n + 1).word()
		return next == "time" || next == "ordinality"
	case "without":
		return p.peek(n+1).word() == "time"
	case "format":
		return p.peek(n+1).word() == "json"
	}
	return false
}

// columnName reads the name of a column, table, alias or the like.
func (p *parser) columnName() Name {
	if !p.mayName(0, columnName) {
		p.unexpected("name")
	}
	return p.ident()
}

// label reads a name behind AS or a dot.
func (p *parser) label() Name {
	if !p.mayName(0, reserved) {
		p.unexpected("name")
	}
	return p.ident()
}

// columnNames reads names in parentheses.
func (p *parser) columnNames() []Name {
	p.expect(sqllex.LeftParen)
	names := p.nameList()
	p.expect(sqllex.RightParen)
	return names
}

// nameList reads names between commas.
func (p *parser) nameList() []Name {
	names := []Name{p.columnName()}
	for p.accept(sqllex.Comma) {
		names = append(names, p.columnName())
	}
	return names
}

// dotted reads what may stand behind the first part of a name.
func (p *parser) dotted(first Name) []Name {
	if p.tok().kind != sqllex.Dot {
		return p.names.copy([]Name{first})
	}
	parts := [4]Name{first}
	n := 1
	for p.accept(sqllex.Dot) {
		if n == len(parts) {
			p.fail(first.Start, "name of too many parts")
		}
		parts[n] = p.label()
		n++
	}
	return p.names.copy(parts[:n])
}

// relationName reads the name of a table or view.
func (p *parser) relationName() RelationName {
	return p.relation(p.dotted(p.columnName()))
}

func (p *parser) relation(parts []Name) RelationName {
	last := len(parts) - 1
	name := RelationName{Span: Span{parts[0].Start, parts[last].End}, Name: parts[last]}
	switch len(parts) {
	case 2:
		name.Schema = &parts[0]
	case 3:
		name.Catalog, name.Schema = &parts[0], &parts[1]
	case 4:
		p.fail(name.Start, "name of too many parts")
	}
	return name
}

// isString says whether the current token is a string as the grammar's Sconst is one.
func (t *token) isString() bool {
	switch t.kind {
	case sqllex.String, sqllex.EscapeString, sqllex.UnicodeString, sqllex.DollarString:
		return true
	}
	return false
}

// wantString reads a string.
func (p *parser) wantString() *Literal {
	if !p.tok().isString() {
		p.unexpected("string")
	}
	return p.literal(String)
}

// literal reads the current token as a constant.
func (p *parser) literal(kind LiteralKind) *Literal {
	t := p.tok()
	l := p.strings.new()
	l.Span, l.Kind = Span{int(t.start), int(t.end)}, kind
	switch kind {
	case Number:
		l.Text = p.text[t.start:t.end]
	case String, Bits:
		text, err := p.lexer.StringValue(sqllex.Token{Start: int(t.start), End: int(t.end), Kind: t.kind})
		if err != nil {
			p.lexical(int(t.start), 0, err)
		}
		l.Text = text
	}
	p.next()
	return l
}

// statement reads one command.
func (p *parser) statement() Statement {
	switch p.tok().word() {
	case "explain":
		return p.explain()
	case "declare":
		return p.declare()
	}
	s := p.preparable()
	if s == nil {
		p.other(p.start())
	}
	return s
}

// preparable reads a command that can be prepared; it returns nil where there is none.
func (p *parser) preparable() Statement {
	start := p.start()
	var with *With
	if p.is("with") {
		with = p.with()
	}
	switch p.tok().word() {
	case "insert":
		return p.insert(start, with)
	case "update":
		return p.update(start, with)
	case "delete":
		return p.delete(start, with)
	case "merge":
		return p.merge(start, with)
	case "select", "values", "table":
		return p.queryBehind(start, with)
	}
	if p.tok().kind == sqllex.LeftParen {
		return p.queryBehind(start, with)
	}
	if with != nil {
		p.unexpected("a command")
	}
	return nil
}

// explain reads EXPLAIN.
func (p *parser) explain() *Explain {
	start := p.start()
	p.explainOptions()
	e := &Explain{}
	if p.is("declare") {
		e.Statement = p.declare()
	} else if e.Statement = p.preparable(); e.Statement == nil {
		p.other(start)
	}
	e.Span = p.from(start)
	return e
}

// other fails where a command of another kind, or none, stands in one that starts at start.
func (p *parser) other(start int) {
	if t := p.tok(); t.kind == sqllex.Ident && t.class&classes != plain {
		p.fail(start, OtherCommand)
	}
	p.unexpected("a command")
}

// explainOptions reads EXPLAIN up to its command.
func (p *parser) explainOptions() {
	p.want("explain")
	switch {
	case p.oneOf("analyze", "analyse") != "":
		p.word("verbose")
	case p.word("verbose"):
	case p.tok().kind == sqllex.LeftParen && !p.queryBehindParens():
		p.next()
		p.option()
		for p.accept(sqllex.Comma) {
			p.option()
		}
		p.expect(sqllex.RightParen)
	}
}

// option reads one option of EXPLAIN ( … ).
func (p *parser) option() {
	if !p.mayName(0, columnName) && !p.mayName(0, typeName) && !p.is("analyze") && !p.is("analyse") && !p.is("format") {
		p.unexpected("option")
	}
	p.next()
	switch t := p.tok(); {
	case t.isString(), t.kind == sqllex.Integer, t.kind == sqllex.Decimal:
		p.next()
	case p.symbol("+"), p.symbol("-"):
		p.next()
		if kind := p.tok().kind; kind != sqllex.Integer && kind != sqllex.Decimal {
			p.unexpected("number")
		}
		p.next()
	case t.word() == "true", t.word() == "false", t.word() == "on", p.mayName(0, columnName), p.mayName(0, typeName):
		p.next()
	}
}

// declare reads DECLARE.
func (p *parser) declare() *Declare {
	start := p.start()
	p.want("declare")
	d := &Declare{Cursor: p.columnName()}
	for p.words("no", "scroll") || p.oneOf("scroll", "binary", "asensitive", "insensitive") != "" {
	}
	p.want("cursor")
	if p.oneOf("with", "without") != "" {
		p.want("hold")
	}
	p.want("for")
	d.Query = p.query()
	d.Span = p.from(start)
	return d
}

// insert reads INSERT.
func (p *parser) insert(start int, with *With) *Insert {
	p.want("insert", "into")
	s := &Insert{With: with}
	table := p.start()
	s.Table = &TableRef{Name: p.relationName()}
	if p.word("as") {
		name := p.columnName()
		s.Table.Alias = &Alias{Span: name.Span, Name: name}
	}
	s.Table.Span = p.from(table)
	if p.words("default", "values") {
		s.Conflict, s.Returning = p.conflict(), p.returning()
		s.Span = p.from(start)
		return s
	}
	if p.tok().kind == sqllex.LeftParen && !p.queryBehindParens() {
		s.Columns = p.insertColumns()
	}
	s.Overriding = p.overriding()
	s.Source = p.query()
	s.Conflict, s.Returning = p.conflict(), p.returning()
	s.Span = p.from(start)
	return s
}

// insertColumns reads the columns of INSERT.
func (p *parser) insertColumns() []Target {
	p.expect(sqllex.LeftParen)
	n := 1
	for _, t := range p.tokens[p.at:] {
		if t.kind == sqllex.RightParen {
			break
		}
		if t.kind == sqllex.Comma {
			n++
		}
	}
	columns := make([]Target, 0, n)
	for more := true; more; more = p.accept(sqllex.Comma) {
		columns = append(columns, p.target())
	}
	p.expect(sqllex.RightParen)
	return columns
}

func (p *parser) overriding() bool {
	if !p.word("overriding") {
		return false
	}
	if p.oneOf("user", "system") == "" {
		p.unexpected("system or user")
	}
	p.want("value")
	return true
}

// target reads a column that is written.
func (p *parser) target() Target {
	start := p.start()
	t := Target{Column: p.columnName()}
	base := len(p.stack)
	for {
		switch p.tok().kind {
		case sqllex.Dot:
			p.next()
			p.label()
		case sqllex.LeftBracket:
			p.subscript()
		default:
			t.Path = p.pop(base)
			t.Span = p.from(start)
			return t
		}
		t.Below = true
	}
}

// assignments reads what stands behind SET.
func (p *parser) assignments() []Assignment {
	var set []Assignment
	for more := true; more; more = p.accept(sqllex.Comma) {
		start := p.start()
		var a Assignment
		if a.Multi = p.accept(sqllex.LeftParen); a.Multi {
			for more := true; more; more = p.accept(sqllex.Comma) {
				a.Targets = append(a.Targets, p.target())
			}
			p.expect(sqllex.RightParen)
		} else {
			a.Targets = []Target{p.target()}
		}
		if !p.symbol("=") {
			p.unexpected("=")
		}
		p.next()
		a.Value = p.expr()
		a.Span = p.from(start)
		set = append(set, a)
	}
	return set
}

// conflict reads ON CONFLICT, if it is there.
func (p *parser) conflict() *Conflict {
	start := p.start()
	if !p.word("on") {
		return nil
	}
	p.want("conflict")
	c := &Conflict{}
	if p.words("on", "constraint") {
		name := p.columnName()
		c.Constraint = &name
	} else if p.accept(sqllex.LeftParen) {
		for more := true; more; more = p.accept(sqllex.Comma) {
			c.Elements = append(c.Elements, p.indexElement(false))
		}
		p.expect(sqllex.RightParen)
		c.Where = p.where()
	}
	p.want("do")
	if p.word("nothing") {
		c.Span = p.from(start)
		return c
	}
	p.want("update", "set")
	c.Update = true
	c.Set = p.assignments()
	c.SetWhere = p.where()
	c.Span = p.from(start)
	return c
}

// indexElement reads an element of an index: a column, a call or an expression in parentheses, with collation, operator class, which may
// have options, and order.
func (p *parser) indexElement(options bool) ConflictElement {
	start := p.start()
	var e ConflictElement
	switch {
	case p.accept(sqllex.LeftParen):
		p.enter()
		e.X = p.expr()
		p.leave()
		p.expect(sqllex.RightParen)
	case p.mayName(0, columnName) && p.peek(1).kind != sqllex.LeftParen && p.peek(1).kind != sqllex.Dot:
		c := p.columns.new()
		name := p.columnName()
		c.Span, c.Parts = name.Span, p.names.copy([]Name{name})
		e.X = c
	default:
		e.X = p.windowless()
	}
	if p.word("collate") {
		p.dotted(p.columnName())
	}
	if p.mayName(0, columnName) && !p.is("nulls") {
		p.dotted(p.columnName())
		if options && p.tok().kind == sqllex.LeftParen {
			p.skip()
		}
	}
	p.oneOf("asc", "desc")
	if p.word("nulls") && p.oneOf("first", "last") == "" {
		p.unexpected("first or last")
	}
	e.Span = p.from(start)
	return e
}

// returning reads RETURNING, if it is there.
func (p *parser) returning() *Returning {
	start := p.start()
	if !p.word("returning") {
		return nil
	}
	r := &Returning{}
	if p.word("with") {
		p.expect(sqllex.LeftParen)
		for more := true; more; more = p.accept(sqllex.Comma) {
			what := p.oneOf("old", "new")
			if what == "" {
				p.unexpected("old or new")
			}
			p.want("as")
			name := p.columnName()
			if what == "old" {
				p.only(p.end, r.Old == nil, "OLD")
				r.Old = &name
			} else {
				p.only(p.end, r.New == nil, "NEW")
				r.New = &name
			}
		}
		p.expect(sqllex.RightParen)
	}
	r.Items = p.items()
	r.Span = p.from(start)
	return r
}

// where reads WHERE, if it is there.
func (p *parser) where() Expr {
	if !p.word("where") {
		return nil
	}
	return p.expr()
}

// whereOrCurrent reads WHERE … or WHERE CURRENT OF …, if it is there.
func (p *parser) whereOrCurrent() (Expr, *Name) {
	if p.words("where", "current", "of") {
		name := p.columnName()
		return nil, &name
	}
	return p.where(), nil
}

// targetTable reads the table of UPDATE, DELETE and MERGE.
func (p *parser) targetTable() *TableRef {
	start := p.start()
	t := p.tableName()
	if p.word("as") || p.mayName(0, columnName) && !p.is("set") {
		name := p.columnName()
		t.Alias = &Alias{Span: name.Span, Name: name}
	}
	t.Span = p.from(start)
	return t
}

// update reads UPDATE.
func (p *parser) update(start int, with *With) *Update {
	p.want("update")
	s := &Update{With: with, Table: p.targetTable()}
	p.want("set")
	s.Set = p.assignments()
	if p.word("from") {
		s.From = p.fromList()
	}
	s.Where, s.CurrentOf = p.whereOrCurrent()
	s.Returning = p.returning()
	s.Span = p.from(start)
	return s
}

// delete reads DELETE.
func (p *parser) delete(start int, with *With) *Delete {
	p.want("delete", "from")
	s := &Delete{With: with, Table: p.targetTable()}
	if p.word("using") {
		s.Using = p.fromList()
	}
	s.Where, s.CurrentOf = p.whereOrCurrent()
	s.Returning = p.returning()
	s.Span = p.from(start)
	return s
}

// merge reads MERGE.
func (p *parser) merge(start int, with *With) *Merge {
	p.want("merge", "into")
	s := &Merge{With: with, Target: p.targetTable()}
	p.want("using")
	s.Source = p.tableRef()
	p.want("on")
	s.On = p.expr()
	for more := true; more; more = p.is("when") {
		s.Whens = append(s.Whens, p.mergeWhen())
	}
	s.Returning = p.returning()
	s.Span = p.from(start)
	return s
}

// mergeWhen reads one WHEN of MERGE.
func (p *parser) mergeWhen() MergeWhen {
	start := p.start()
	p.want("when")
	w := MergeWhen{Matched: !p.word("not")}
	p.want("matched")
	if !w.Matched && p.word("by") {
		if w.BySource = p.word("source"); !w.BySource {
			p.want("target")
		}
	}
	if p.word("and") {
		w.And = p.expr()
	}
	p.want("then")
	exists := w.Matched || w.BySource
	switch {
	case p.words("do", "nothing"):
		w.Action = "nothing"
	case exists && p.word("delete"):
		w.Action = "delete"
	case exists && p.words("update", "set"):
		w.Action = "update"
		w.Set = p.assignments()
	case !exists && p.word("insert"):
		w.Action = "insert"
		if p.words("default", "values") {
			break
		}
		if p.tok().kind == sqllex.LeftParen {
			w.Columns = p.insertColumns()
		}
		p.overriding()
		p.want("values")
		w.Values = p.exprsInParens()
	default:
		p.unexpected("an action")
	}
	w.Span = p.from(start)
	return w
}
