package sqlcols

import (
	"errors"
	"slices"
	"strings"

	"github.com/pganon/pganon/internal/sqllex"
)

// UtilityCheck is what a text of commands does that may pass.
type UtilityCheck struct {
	// Changes is true where the schema, or what its names mean to a role, may be another once the text has run.
	Changes bool
	// Analyses are those of the commands that read or write rows, in the text's order: of CREATE TABLE AS and COPY its query's, without
	// outputs. What they say of places is said of the whole text.
	Analyses []*Analysis
}

// UtilityOptions are what CheckUtility has to know beside the Schema. The zero value is the strictest.
type UtilityOptions struct {
	// KeyOf returns the key of the label that a type has; nil for a type without one.
	KeyOf func(schema, name string) *Key
	// Mentions says whether a command may name an encrypted table; those that do not pass unread.
	Mentions func(command string) bool
}

// CheckUtility says whether a text of one command or several may pass that Analyze does not take: those that define, lock or move things,
// and among several of them those that read or write rows. What would take the encryption off a column, or put a value
// beside it, is refused: the error is an *Error, or holds one by errors.As, that names the column and the way out.
func CheckUtility(text string, schema Schema, options UtilityOptions) (*UtilityCheck, error) {
	if len(text) > MaxText {
		return nil, &Error{Position: MaxText, Reason: "text too long", Syntax: true}
	}
	commands, err := sqllex.Split(text)
	if err != nil {
		e := &Error{Position: -1, Reason: "text cannot be split", Syntax: true}
		var failure *sqllex.Error
		if errors.As(err, &failure) {
			e.Position, e.Reason = failure.Offset, failure.Reason.String()
		}
		return nil, e
	}
	u := utility{text: text, schema: schema, options: options}
	for _, c := range commands {
		u.mentions = options.Mentions == nil || options.Mentions(text[c.Start:c.End])
		err := read(text, c.Start, c.End, func(p *parser) { u.command(p, c.Command) })
		if err == nil {
			err = u.refused
		}
		if err != nil {
			return nil, err
		}
	}
	return &u.check, nil
}

// utility is the check of one text.
type utility struct {
	text     string
	schema   Schema
	options  UtilityOptions
	check    UtilityCheck
	mentions bool  // the command may name an encrypted table
	refused  error // by an analysis

	// What the commands so far have changed that the schema does not know yet: what names without a schema mean, what any
	// name means, anything at all.
	paths, names, things bool
}

// command checks one command.
func (u *utility) command(p *parser, c sqllex.Command) {
	switch c.Class {
	case sqllex.Set, sqllex.Reset, sqllex.Discard:
		switch c.Name {
		case "search_path", "role", "session_authorization", "temp", "all", "":
			u.paths = true
		}
		return
	case sqllex.Commit, sqllex.Rollback, sqllex.RollbackTo, sqllex.PrepareTransaction: // ends what was set for the transaction
		u.paths = true
		return
	case sqllex.Utility:
		u.define(p, c.Verb)
		return
	}
	if !u.mentions {
		return
	}
	switch c.Class {
	case sqllex.Query, sqllex.Declare:
		u.query(p, c.Verb)
	case sqllex.Prepare:
		u.prepare(p)
	case sqllex.Execute:
		u.execute(p)
	case sqllex.Do:
		p.fail(p.start(), "the statements of a DO block are not seen: send them one by one")
	case sqllex.Call:
		u.call(p)
	case sqllex.Copy:
		u.copy(p)
	case sqllex.Unknown:
		p.fail(p.start(), OtherCommand)
	}
}

// define checks a command that defines, locks or moves things.
func (u *utility) define(p *parser, verb string) {
	switch verb {
	case "alter", "comment", "create", "drop", "grant", "import", "reassign", "revoke", "security":
		switch {
		case verb == "alter" && u.mentions:
			u.alter(p)
		case verb == "create" && u.mentions:
			u.create(p)
		}
		// From here on: a command sees what came before it.
		u.check.Changes, u.things = true, true
		u.names = u.names || verb == "alter" && p.tokens[1].is("schema")
		u.paths = u.paths || (verb == "grant" || verb == "revoke") && slices.ContainsFunc(p.tokens, func(t token) bool { return t.is("schema") })
	case "analyse", "analyze", "checkpoint", "close", "cluster", "fetch", "listen", "lock", "move", "notify", "refresh", "reindex",
		"truncate", "unlisten", "vacuum":
	default:
		if u.mentions {
			p.fail(p.start(), OtherCommand)
		}
	}
}

// refuse fails with a reason about a column; the relation alone where there is none.
func (u *utility) refuse(position int, relation *Relation, column *Column, reason string) {
	e := &Error{Position: position, Reason: reason}
	if column != nil {
		e.Column = Origin{relation, column}.String()
	} else {
		e.Reason = relation.Name + ": " + reason
	}
	panic(e)
}

// relation reads the name of a relation and returns what it means, nil where it is not known.
func (u *utility) relation(p *parser) *Relation {
	at := p.start()
	p.word("only")
	paren := p.accept(sqllex.LeftParen)
	name := p.relationName()
	if paren {
		p.expect(sqllex.RightParen)
	}
	p.star()
	schema := ""
	if name.Schema != nil {
		schema = name.Schema.Text
	}
	if u.paths && schema == "" {
		panic(&Error{Position: at, Unknown: true,
			Reason: "name without a schema, in one text behind a command that may change what it means: write the schema before it"})
	}
	relation := u.schema.Relation(schema, name.Name.Text)
	if relation == nil && u.names {
		panic(&Error{Position: at, Unknown: true,
			Reason: "unknown relation, in one text behind a command that renames some: send it by itself"})
	}
	return relation
}

// column returns the relation's column of that name, nil for none.
func (r *Relation) column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// encrypted returns the first encrypted column of the relation, nil for none.
func (r *Relation) encrypted() *Column {
	for i := range r.Columns {
		if r.Columns[i].Key != nil {
			return &r.Columns[i]
		}
	}
	return nil
}

// analyze analyses a statement that stands in the command; nil where it is refused.
func (u *utility) analyze(s Statement) *Analysis {
	if u.things || u.paths || u.names {
		panic(&Error{Position: s.Pos().Start, Reason: "reads or writes rows, in one text behind a command that may change what names mean: send it by itself"})
	}
	a, err := analyze(s, u.schema)
	if err != nil {
		u.refused = err
		return nil
	}
	return a
}

// rows keeps the analysis of a command that reads or writes rows.
func (u *utility) rows(a *Analysis) {
	if a != nil {
		u.check.Analyses = append(u.check.Analyses, a)
	}
}

// query checks a command that reads or writes rows, or explains one.
func (u *utility) query(p *parser, verb string) {
	switch verb {
	case "show":
		return
	case "explain":
		before := p.at
		p.explainOptions()
		switch p.tok().word() {
		case "create":
			u.create(p)
			u.check.Changes, u.things = true, true
			return
		case "execute":
			u.execute(p)
			return
		case "refresh":
			return
		}
		p.at = before
	}
	s := p.statement()
	p.wantEnd()
	u.rows(u.analyze(s))
	u.paths = u.paths || strings.Contains(strings.ToLower(u.text[s.Pos().Start:s.Pos().End]), "set_config")
}

// copied checks a query whose outputs go elsewhere than to the client: they may hold nothing encrypted.
func (u *utility) copied(s Statement, reason string) {
	a := u.analyze(s)
	if a == nil {
		return
	}
	for _, o := range a.Outputs {
		if o.Key != nil {
			e := &Error{Position: s.Pos().Start, Reason: reason}
			if len(o.Origins) > 0 {
				e.Column = o.Origins[0].text()
			}
			panic(e)
		}
	}
	a.Outputs, a.Open = nil, false
	u.rows(a)
}

// prepare checks PREPARE.
func (u *utility) prepare(p *parser) {
	at := p.start()
	p.want("prepare")
	p.columnName()
	if p.accept(sqllex.LeftParen) {
		for more := true; more; more = p.accept(sqllex.Comma) {
			p.typ()
		}
		p.expect(sqllex.RightParen)
	}
	p.want("as")
	s := p.preparable()
	if s == nil {
		p.unexpected("a command")
	}
	p.wantEnd()
	a := u.analyze(s)
	if a == nil {
		return
	}
	for _, r := range a.References {
		if c := r.Relation.encrypted(); c != nil {
			u.refuse(at, r.Relation, c, "what EXECUTE hands to a statement of PREPARE is not encrypted: let database/sql prepare it")
		}
	}
}

// execute checks EXECUTE.
func (u *utility) execute(p *parser) {
	p.want("execute")
	p.columnName()
	if p.tok().kind == sqllex.LeftParen {
		p.fail(p.start(), "what EXECUTE hands to a statement is not encrypted: send the statement itself, with its arguments")
	}
}

// call checks CALL as if the procedure were a function.
func (u *utility) call(p *parser) {
	start := p.start()
	p.want("call")
	call := p.call(p.start(), p.functionName(), false)
	p.wantEnd()
	span := p.from(start)
	item := Item{Span: call.Pos(), X: call}
	if a := u.analyze(&Query{Span: span, Body: &Select{Span: span, Items: []Item{item}}}); a != nil {
		a.Outputs, a.Open = nil, true
		u.rows(a)
	}
}

// copy checks COPY.
func (u *utility) copy(p *parser) {
	at := p.start()
	const reason = "COPY neither encrypts nor decrypts"
	p.want("copy")
	if p.accept(sqllex.LeftParen) {
		s := p.preparable()
		if s == nil {
			p.unexpected("a command")
		}
		p.expect(sqllex.RightParen)
		u.copied(s, reason+": use SELECT")
		return
	}
	p.word("binary")
	relation := u.relation(p)
	if relation == nil {
		return
	}
	if relation.Opaque != "" {
		u.refuse(at, relation, nil, relation.Opaque)
	}
	way := reason + ": use INSERT and SELECT, or leave the column out of COPY's list"
	if p.tok().kind == sqllex.LeftParen {
		for _, name := range p.columnNames() {
			if c := relation.column(name.Text); c != nil && c.Key != nil {
				u.refuse(name.Start, relation, c, way)
			}
		}
	} else if c := relation.encrypted(); c != nil {
		u.refuse(at, relation, c, way)
	}
	for p.tok().kind != sqllex.EOF && !p.is("where") {
		p.next()
	}
	u.unnamed(p, relation, len(p.tokens), "the condition of COPY would see the token, not the value: leave it out")
}

// unnamed refuses what names an encrypted column between the current token and that of an index, but for IS [NOT] NULL; and goes there.
func (u *utility) unnamed(p *parser, relation *Relation, end int, reason string) {
	for ; p.at < min(end, len(p.tokens)-1); p.next() {
		t := p.tok()
		if !t.kind.IsIdent() {
			continue
		}
		at, behind := p.at, p.end
		name := p.ident()
		p.at, p.end = at, behind
		c := relation.column(name.Text)
		if c == nil && name.Text == relation.Name && p.peek(1).kind != sqllex.Dot {
			c = relation.encrypted() // the whole row
		}
		if c == nil || c.Key == nil {
			continue
		}
		if p.peek(1).word() == "is" && (p.peek(2).word() == "null" || p.peek(2).word() == "not" && p.peek(3).word() == "null") {
			continue
		}
		u.refuse(name.Start, relation, c, reason)
	}
}

// comma returns the index of the comma that ends a part of the command, or of its end.
func (p *parser) comma() int {
	depth := 0
	for i := p.at; i < len(p.tokens); i++ {
		switch p.tokens[i].kind {
		case sqllex.LeftParen, sqllex.LeftBracket:
			depth++
		case sqllex.RightParen, sqllex.RightBracket:
			depth--
		case sqllex.Comma:
			if depth == 0 {
				return i
			}
		}
	}
	return len(p.tokens) - 1
}

// alter checks ALTER.
func (u *utility) alter(p *parser) {
	p.want("alter")
	switch {
	case p.word("table"), p.words("foreign", "table"), p.word("view"), p.words("materialized", "view"):
	default:
		return
	}
	if p.is("all") { // ALL IN TABLESPACE
		return
	}
	p.words("if", "exists")
	at := p.start()
	relation := u.relation(p)
	if relation == nil {
		relation = &Relation{} // its columns are as good as any others
	}
	for more := true; more; more = p.accept(sqllex.Comma) {
		u.action(p, at, relation)
		p.at = p.comma()
	}
}

const keyByName = "its key is made from its name: write that key into its tag first, as key="

// action checks one action of ALTER TABLE.
func (u *utility) action(p *parser, at int, relation *Relation) {
	switch {
	case p.word("rename"):
		if p.word("constraint") {
			return
		}
		u.names = true
		if p.is("to") {
			u.moves(at, relation)
			return
		}
		p.word("column")
		name := p.columnName()
		if c := relation.column(name.Text); c != nil && c.Key != nil && c.Key.Label == relation.label(c) {
			u.refuse(name.Start, relation, c, keyByName+c.Key.Label)
		}
	case p.words("set", "schema"):
		u.names = true
		u.moves(at, relation)
	case p.word("add"):
		u.adds(p, relation)
	case p.word("alter"):
		if !p.word("constraint") {
			p.word("column")
			u.alterColumn(p, relation)
		}
	}
}

// label returns the label that a column has by its name.
func (r *Relation) label(c *Column) string { return r.Schema + "." + r.Name + "." + c.Name }

// moves refuses another name for a relation that keys are made from.
func (u *utility) moves(at int, relation *Relation) {
	for i := range relation.Columns {
		if c := &relation.Columns[i]; c.Key != nil && c.Key.Label == relation.label(c) {
			u.refuse(at, relation, c, keyByName+c.Key.Label)
		}
	}
}

// adds checks what stands behind ADD: a column or a constraint.
func (u *utility) adds(p *parser, relation *Relation) {
	for p.tok().kind != sqllex.EOF && p.tok().kind != sqllex.Comma {
		switch {
		case p.word("check"):
			u.unnamed(p, relation, p.closing(), "a CHECK would see the token, not the value: check it before it is written")
		case p.words("generated", "always", "as") && p.tok().kind == sqllex.LeftParen:
			u.unnamed(p, relation, p.closing(), generated)
		case p.is("exclude"):
			p.next()
			if p.word("using") {
				p.columnName()
			}
			u.elements(p, relation, true)
			u.predicate(p, relation)
		default:
			p.skip()
		}
	}
}

const generated = "a generated value is not encrypted: write the value from the program"

// alterColumn checks ALTER COLUMN.
func (u *utility) alterColumn(p *parser, relation *Relation) {
	if p.tok().kind == sqllex.Integer { // of an index
		return
	}
	name := p.columnName()
	c := relation.column(name.Text)
	if c == nil && u.names && relation.encrypted() != nil {
		panic(&Error{Position: name.Start, Unknown: true,
			Reason: "unknown column, in one text behind a command that renames some: send it by itself"})
	}
	encrypted := c != nil && c.Key != nil
	switch {
	case p.words("set", "data", "type"), p.word("type"):
		u.changesType(p, relation, c)
	case p.words("set", "default"):
		if x := p.expr(); encrypted && !isNull(x) {
			u.refuse(name.Start, relation, c, "a default would be stored as it is written, not encrypted: write the value from the program")
		}
	case p.words("set", "expression", "as"), p.words("add", "generated"):
		if encrypted {
			u.refuse(name.Start, relation, c, generated)
		}
		if p.tok().kind == sqllex.LeftParen {
			u.unnamed(p, relation, p.closing(), generated)
		}
	}
}

// isNull says whether an expression is NULL, with casts or without.
func isNull(x Expr) bool {
	if c, ok := x.(*Cast); ok {
		return isNull(c.X)
	}
	l, ok := x.(*Literal)
	return ok && l.Kind == Null
}

// changesType checks what stands behind ALTER … TYPE.
func (u *utility) changesType(p *parser, relation *Relation, c *Column) {
	t := p.typ()
	if p.word("collate") {
		p.dotted(p.columnName())
	}
	encrypted := c != nil && c.Key != nil
	if encrypted && !u.keeps(&t, c.Key) {
		u.refuse(t.Start, relation, c, "another type than a domain of label "+c.Key.Label+" would take its encryption off: "+
			"add a column, copy the values through the program, drop this one")
	}
	if !p.word("using") {
		return
	}
	if !encrypted {
		u.unnamed(p, relation, p.comma(), "its tokens would be copied into a column that is not encrypted: copy the values through the program")
		return
	}
	at := p.start()
	x := p.expr()
	for {
		if cast, ok := x.(*Cast); ok {
			x = cast.X
			continue
		}
		if ref, ok := x.(*ColumnRef); ok && ref.Parts[len(ref.Parts)-1].Text == c.Name {
			return
		}
		u.refuse(at, relation, c, "USING would compute on the token, not on the value: leave it out")
	}
}

// keeps says whether a type has the label of the key.
func (u *utility) keeps(t *Type, key *Key) bool {
	if u.options.KeyOf == nil || t.Array || t.SetOf || len(t.Mods) > 0 || len(t.Names) > 2 {
		return false
	}
	schema, name := "", t.Names[len(t.Names)-1].Text
	if len(t.Names) == 2 {
		schema = t.Names[0].Text
	}
	return u.options.KeyOf(schema, name) == key
}

// create checks CREATE.
func (u *utility) create(p *parser) {
	p.want("create")
	p.words("or", "replace")
	for p.oneOf("temp", "temporary", "local", "global", "unlogged", "unique", "materialized") != "" {
	}
	switch {
	case p.word("index"):
		u.index(p)
	case p.word("table"):
		if u.queryBehindAs(p) {
			u.createdAs(p)
		}
	case p.is("view"), p.is("recursive") && p.peek(1).word() == "view":
		recursive := p.word("recursive")
		p.want("view")
		p.words("if", "not", "exists")
		name := p.relationName().Name
		var columns []Name
		if p.tok().kind == sqllex.LeftParen {
			columns = p.columnNames()
		}
		if !u.queryBehindAs(p) {
			p.unexpected("as")
		}
		u.view(p, recursive, name, columns)
	}
}

// queryBehindAs goes to the query behind AS, if there is one.
func (u *utility) queryBehindAs(p *parser) bool {
	for p.tok().kind != sqllex.EOF {
		if p.word("as") {
			return true
		}
		p.skip()
	}
	return false
}

// createdAs checks the query of CREATE TABLE AS.
func (u *utility) createdAs(p *parser) {
	if p.is("execute") {
		u.execute(p)
		return
	}
	q := p.query()
	if p.word("with") {
		p.word("no")
		p.want("data")
	}
	p.wantEnd()
	u.copied(q, "CREATE TABLE AS would copy its tokens into a column that may have no tag: create the table, then use INSERT … SELECT")
}

// view checks a view's query. It may show encrypted columns: the schema will say of the view what can be done with it, and so it will where
// the query's names cannot be known here.
func (u *utility) view(p *parser, recursive bool, name Name, columns []Name) {
	if u.paths || u.names || u.things {
		return
	}
	start := p.start()
	q := p.query()
	span := p.from(start)
	if recursive {
		q = &Query{
			Span: span, With: &With{Span: span, Recursive: true, Tables: []CTE{{Span: span, Name: name, Columns: columns, Statement: q}}},
			Body: &Select{
				Span: span, Items: []Item{{Span: span, X: &Star{Span: span}}},
				From: []From{&TableRef{Span: span, Name: RelationName{Span: span, Name: name}}},
			},
		}
	}
	u.analyze(q)
}

// index checks CREATE INDEX behind that word. An index on a column itself is at worst of no use.
func (u *utility) index(p *parser) {
	p.word("concurrently")
	p.words("if", "not", "exists")
	if !p.is("on") {
		p.columnName()
	}
	p.want("on")
	relation := u.relation(p)
	if relation == nil || relation.encrypted() == nil {
		return
	}
	if p.word("using") {
		p.columnName()
	}
	u.elements(p, relation, false)
	u.predicate(p, relation)
}

// elements checks the elements of an index or of EXCLUDE, which have operators.
func (u *utility) elements(p *parser, relation *Relation, operators bool) {
	const reason = "an index would be made of the token, not of the value: index the column itself"
	p.expect(sqllex.LeftParen)
	for more := true; more; more = p.accept(sqllex.Comma) {
		first := p.at
		x := p.indexElement(true).X
		ref, plain := x.(*ColumnRef)
		if !plain {
			behind := p.at
			p.at = first
			u.unnamed(p, relation, behind, reason)
		}
		if !operators {
			continue
		}
		p.want("with")
		for p.peek(1).kind == sqllex.Dot {
			p.columnName()
			p.next()
		}
		op := p.anyOperator()
		if !plain || op.Symbol == "=" {
			continue
		}
		if c := relation.column(ref.Parts[len(ref.Parts)-1].Text); c != nil && c.Key != nil {
			u.refuse(ref.Start, relation, c, "tokens can be compared by = only")
		}
	}
	p.expect(sqllex.RightParen)
}

// predicate checks the condition of an index, if it is there.
func (u *utility) predicate(p *parser, relation *Relation) {
	for p.tok().kind != sqllex.EOF && p.tok().kind != sqllex.Comma {
		if p.word("where") {
			u.unnamed(p, relation, len(p.tokens), "the condition of an index would see the token, not the value: IS NULL and IS NOT NULL are all it may ask")
			return
		}
		p.skip()
	}
}
