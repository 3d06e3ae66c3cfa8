package sqllex

// Class is the kind of a command, as far as it matters to who sends it.
type Class uint8

// The classes. "Block" is a transaction block, as BEGIN opens one; several messages before one Sync are none, but forbid the same.
const (
	// Unknown: the first word is none of PostgreSQL's, or what follows is not what this class of command needs to be. The command
	// may be anything, one that commits half-way included; most likely the server finds it syntactically wrong.
	Unknown Class = iota
	// Empty: no command, nothing but white space, comments and semicolons.
	Empty
	// Query: SELECT, VALUES, TABLE, WITH, in parentheses too; INSERT, UPDATE, DELETE, MERGE; SHOW; EXPLAIN. SELECT INTO TEMP is
	// not told from SELECT.
	Query
	// Utility: all that is named nowhere else, such as CREATE, ALTER, GRANT, TRUNCATE, LOCK, FETCH, NOTIFY, VACUUM. Some have NoBlock.
	Utility

	// Begin: BEGIN, START TRANSACTION. Opens a block; in one, a warning. Flags tell its modes.
	Begin
	// Commit: COMMIT, END, with Chain. Runs deferred triggers and constraints. In a failed transaction it rolls back.
	Commit
	// Rollback: ROLLBACK, ABORT of the whole transaction, with Chain.
	Rollback
	// Savepoint: SAVEPOINT Name. Needs a block.
	Savepoint
	// Release: RELEASE [SAVEPOINT] Name.
	Release
	// RollbackTo: ROLLBACK … TO [SAVEPOINT] Name. In a failed transaction nothing may come before it; undoes SET LOCAL since the savepoint.
	RollbackTo
	// PrepareTransaction: PREPARE TRANSACTION '…'. Ends the block; nothing of it is seen before CommitPrepared.
	PrepareTransaction
	// CommitPrepared: COMMIT PREPARED '…'. NoBlock.
	CommitPrepared
	// RollbackPrepared: ROLLBACK PREPARED '…'. NoBlock.
	RollbackPrepared
	// SetTransaction: SET [LOCAL | SESSION] TRANSACTION …; flags tell the modes, BeforeQuery that no query may come first.
	SetTransaction
	// SetConstraints: SET CONSTRAINTS. IMMEDIATE runs what was deferred, there and then.
	SetConstraints

	// Do: DO. Before PostgreSQL 18 a COMMIT inside goes on in a new transaction, without what was set for the first, unless in a block.
	Do
	// Call: CALL. As Do.
	Call

	// Set: SET Name …, with Local or for the session. Name is a setting's name in lower case: role for SET ROLE,
	// session_authorization, timezone, search_path for SET SCHEMA, client_encoding for SET NAMES; empty if it cannot be told.
	Set
	// SetCharacteristics: SET SESSION CHARACTERISTICS AS TRANSACTION …: the defaults of later transactions; flags tell the modes.
	SetCharacteristics
	// Reset: RESET Name, or, with All, RESET ALL.
	Reset
	// Discard: DISCARD Name: all (with All and NoBlock), plans, sequences, temp.
	Discard
	// Listen: LISTEN Name.
	Listen
	// Unlisten: UNLISTEN Name, or, with All, UNLISTEN *.
	Unlisten
	// Prepare: PREPARE Name AS Inner …; the plan belongs to who prepared it.
	Prepare
	// Execute: EXECUTE Name …; runs a text that was analysed earlier.
	Execute
	// Deallocate: DEALLOCATE Name, or, with All, of all, the driver's own statements included.
	Deallocate
	// Declare: DECLARE Name … CURSOR [WITH HOLD] FOR Inner …. Without Hold it needs a block. The cursor keeps the rights of who opened it.
	Declare
	// Load: LOAD '…'; a library stays loaded until the session ends.
	Load
	// Copy: COPY. With FromClient or ToClient it needs the copy protocol.
	Copy
)

var classNames = [...]string{
	Unknown: "unknown", Empty: "empty", Query: "query", Utility: "utility", Begin: "begin", Commit: "commit", Rollback: "rollback",
	Savepoint: "savepoint", Release: "release", RollbackTo: "rollback to", PrepareTransaction: "prepare transaction",
	CommitPrepared: "commit prepared", RollbackPrepared: "rollback prepared", SetTransaction: "set transaction",
	SetConstraints: "set constraints", Do: "do", Call: "call", Set: "set", SetCharacteristics: "set session characteristics",
	Reset: "reset", Discard: "discard", Listen: "listen", Unlisten: "unlisten", Prepare: "prepare", Execute: "execute",
	Deallocate: "deallocate", Declare: "declare", Load: "load", Copy: "copy",
}

// String returns the class in words.
func (c Class) String() string { return classNames[c%Class(len(classNames))] }

// Flags are what more can be told of a command.
type Flags uint32

// The flags. A flag that is set is certain, but for those whose comment says otherwise.
const (
	// NoBlock: refused inside a transaction block or a pipeline (25001), whatever the objects are: VACUUM, CREATE and DROP DATABASE
	// and TABLESPACE, ALTER DATABASE … TABLESPACE, ALTER SYSTEM, CREATE and DROP INDEX CONCURRENTLY, REINDEX CONCURRENTLY and of a
	// database, system or schema, CLUSTER without a table, CREATE SUBSCRIPTION and ALTER SUBSCRIPTION … PUBLICATION without WITH
	// options that say otherwise, DETACH PARTITION CONCURRENTLY, DISCARD ALL, COMMIT and ROLLBACK PREPARED. What depends on the
	// objects or the version is not flagged: REINDEX or CLUSTER of a partitioned table, DROP SUBSCRIPTION with a slot, ALTER
	// SUBSCRIPTION … SET (two_phase or failover), ALTER TYPE … ADD VALUE before PostgreSQL 12.
	NoBlock Flags = 1 << iota
	// BeforeQuery: the server may refuse it once the transaction has run a query (25001): SET TRANSACTION and SET transaction_…, unless
	// they only make it READ ONLY.
	BeforeQuery
	// Chain: AND CHAIN; the next transaction begins at once with the same modes.
	Chain
	// Isolation: an isolation level is given.
	Isolation
	// ReadOnly: READ ONLY is given. With ReadWrite too, the later of the two counts.
	ReadOnly
	// ReadWrite: READ WRITE is given.
	ReadWrite
	// Deferrable: DEFERRABLE or NOT DEFERRABLE is given.
	Deferrable
	// Snapshot: SET TRANSACTION SNAPSHOT.
	Snapshot
	// Local: SET LOCAL; gone when the transaction ends.
	Local
	// All: RESET ALL, DISCARD ALL, DEALLOCATE ALL, UNLISTEN *.
	All
	// Hold: DECLARE … WITH HOLD; the cursor outlives the transaction.
	Hold
	// Temp: CREATE TEMP …, under EXPLAIN ANALYZE too; a temporary object made otherwise (in schema pg_temp, by SELECT INTO, in a
	// function) is not flagged.
	Temp
	// FromClient: COPY … FROM STDIN.
	FromClient
	// ToClient: COPY … TO STDOUT.
	ToClient
	// Analyze: EXPLAIN that runs its command, or whose ANALYZE option this package cannot read.
	Analyze
)

// Has says whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// Command is what one command is.
type Command struct {
	Class Class
	Flags Flags
	Verb  string // first keyword in lower case, behind opening parentheses; "" for Unknown and Empty
	Inner string // Verb of the command inside EXPLAIN, PREPARE, DECLARE, COPY ( … ), and of the main command of WITH; "" if it cannot be told
	Name  string // see Class; as the server folds and cuts it, a setting's name in lower case
}

// LeavesState says whether the command, as far as its text tells, changes something on the session that a later user of it could
// notice: settings, prepared statements, held cursors, temporary objects, LISTEN, a loaded library. A function can do the same
// unseen, and so can SELECT INTO TEMP.
func (c Command) LeavesState() bool {
	switch c.Class {
	case Set:
		return !c.Flags.Has(Local)
	case Declare:
		return c.Flags.Has(Hold)
	case SetCharacteristics, Reset, Discard, Listen, Unlisten, Prepare, Deallocate, Load:
		return true
	}
	return c.Flags.Has(Temp)
}

// Classify returns what the first command of text is and how many there are, with default options; see Options.Classify.
func Classify(text string) (Command, Count) { return Options{}.Classify(text) }

// Classify returns what the first command of text is and how many commands text holds. The first is told from its first words (of
// WITH, from all up to its main command). The count has to read text only where a semicolon is followed by something.
//
// None, One and Several are certain. Uncertain is no danger where the server takes one command only, as Parse does: it refuses more.
func (o Options) Classify(text string) (c Command, n Count) {
	o.Comments = false
	p := phrase{lx: o.Lexer(text)}
	p.classify(&c)
	if c.Class == Empty {
		return c, None
	}
	return c, o.count(text)
}

// phrase reads the words of one command.
type phrase struct {
	lx Lexer
	t  Token
}

func (p *phrase) next() { p.t = p.lx.Next() }

// is says whether the current token is the keyword.
func (p *phrase) is(keyword string) bool { return p.lx.Is(p.t, keyword) }

// take steps over the keyword if the current token is it.
func (p *phrase) take(keyword string) bool {
	if !p.is(keyword) {
		return false
	}
	p.next()
	return true
}

func (p *phrase) end() bool { return p.t.Kind == EOF || p.t.Kind == Semicolon }

// name steps over an identifier and returns it.
func (p *phrase) name() (string, bool) {
	if !p.t.Kind.IsIdent() {
		return "", false
	}
	s, err := p.lx.Ident(p.t)
	p.next()
	return s, err == nil
}

// constant steps over a string constant as the grammar's Sconst.
func (p *phrase) constant() bool {
	switch p.t.Kind {
	case String, EscapeString, UnicodeString, DollarString:
		p.next()
		return true
	}
	return false
}

// group steps over a group in parentheses.
func (p *phrase) group() bool {
	if p.t.Kind != LeftParen {
		return false
	}
	depth := 0
	for {
		switch p.t.Kind {
		case LeftParen:
			depth++
		case RightParen:
			depth--
		case EOF, Illegal:
			return false
		}
		p.next()
		if depth == 0 {
			return true
		}
	}
}

// option looks in a list of options in parentheses for one whose value is a boolean, and steps over the list. The last one counts.
func (p *phrase) option(name string) (on, ok bool) {
	if p.t.Kind != LeftParen {
		return false, false
	}
	p.next()
	for {
		s, isName := p.name()
		if isName && s == name {
			on = !p.isFalse()
		}
		for p.t.Kind != Comma && p.t.Kind != RightParen {
			switch p.t.Kind {
			case EOF, Illegal:
				return on, false
			case LeftParen:
				if !p.group() {
					return on, false
				}
			default:
				p.next()
			}
		}
		done := p.t.Kind == RightParen
		p.next()
		if done {
			return on, true
		}
	}
}

// isFalse says whether the current token is what defGetBoolean takes for false.
func (p *phrase) isFalse() bool {
	var s string
	switch {
	case p.t.Kind == Integer:
		s = p.lx.Text(p.t)
	case p.t.Kind.IsIdent():
		s, _ = p.lx.Ident(p.t)
	case p.t.Kind.IsString():
		s, _ = p.lx.StringValue(p.t)
	}
	return s == "0" || foldsTo(s, "false") || foldsTo(s, "off")
}

// classify tells the next command; c is empty before.
func (p *phrase) classify(c *Command) {
	p.next()
	for p.t.Kind == Semicolon {
		p.next()
	}
	if p.t.Kind == EOF {
		c.Class = Empty
		return
	}
	if p.command(c); c.Class == Unknown {
		*c = Command{}
	}
}

// verbs are the words a command can start with.
func (p *phrase) verb() string {
	if p.t.Kind != Ident {
		return ""
	}
	var buf [10]byte
	s := p.lx.text[p.t.Start:p.t.End]
	if len(s) > len(buf) {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	// One case a word: the constants make it cost no allocation.
	switch string(buf[:len(s)]) {
	case "select":
		return "select"
	case "insert":
		return "insert"
	case "update":
		return "update"
	case "delete":
		return "delete"
	case "merge":
		return "merge"
	case "values":
		return "values"
	case "table":
		return "table"
	case "with":
		return "with"
	case "show":
		return "show"
	case "explain":
		return "explain"
	case "begin":
		return "begin"
	case "start":
		return "start"
	case "commit":
		return "commit"
	case "end":
		return "end"
	case "rollback":
		return "rollback"
	case "abort":
		return "abort"
	case "savepoint":
		return "savepoint"
	case "release":
		return "release"
	case "prepare":
		return "prepare"
	case "set":
		return "set"
	case "reset":
		return "reset"
	case "do":
		return "do"
	case "call":
		return "call"
	case "discard":
		return "discard"
	case "listen":
		return "listen"
	case "unlisten":
		return "unlisten"
	case "notify":
		return "notify"
	case "execute":
		return "execute"
	case "deallocate":
		return "deallocate"
	case "declare":
		return "declare"
	case "fetch":
		return "fetch"
	case "move":
		return "move"
	case "close":
		return "close"
	case "load":
		return "load"
	case "copy":
		return "copy"
	case "create":
		return "create"
	case "alter":
		return "alter"
	case "drop":
		return "drop"
	case "truncate":
		return "truncate"
	case "lock":
		return "lock"
	case "grant":
		return "grant"
	case "revoke":
		return "revoke"
	case "comment":
		return "comment"
	case "security":
		return "security"
	case "analyze", "analyse":
		return "analyze"
	case "vacuum":
		return "vacuum"
	case "reindex":
		return "reindex"
	case "cluster":
		return "cluster"
	case "refresh":
		return "refresh"
	case "reassign":
		return "reassign"
	case "import":
		return "import"
	case "checkpoint":
		return "checkpoint"
	}
	return ""
}

// query returns the verb of a query that may stand in parentheses, "" if there is none. It leaves the verb the current token.
func (p *phrase) query() string {
	inParens := p.t.Kind == LeftParen
	for p.t.Kind == LeftParen {
		p.next()
	}
	switch v := p.verb(); v {
	case "select", "values", "table", "with":
		return v
	case "insert", "update", "delete", "merge":
		if !inParens {
			return v
		}
	}
	return ""
}

func (p *phrase) command(c *Command) {
	inParens := p.t.Kind == LeftParen
	if c.Verb = p.query(); c.Verb != "" {
		c.Class = Query
		if c.Verb == "with" {
			c.Inner = p.with()
		}
		return
	}
	if inParens {
		return
	}
	c.Verb = p.verb()
	p.next()
	switch c.Verb {
	case "show", "explain":
		c.Class = Query
		if c.Verb == "explain" {
			p.explain(c)
		}
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release":
		p.transaction(c)
	case "prepare":
		p.prepare(c)
	case "set":
		p.set(c)
	case "reset":
		p.reset(c)
	case "do":
		c.Class = Do
	case "call":
		c.Class = Call
	case "discard":
		c.Class = Discard
		c.Name, _ = p.name()
		switch c.Name {
		case "all":
			c.Flags = All | NoBlock
		case "temporary":
			c.Name = "temp"
		}
	case "listen":
		c.Class = Listen
		c.Name, _ = p.name()
	case "unlisten":
		c.Class = Unlisten
		if p.t.Kind == Operator && p.lx.Text(p.t) == "*" {
			c.Flags = All
		}
		c.Name, _ = p.name()
	case "execute":
		c.Class = Execute
		c.Name, _ = p.name()
	case "deallocate":
		c.Class = Deallocate
		all := p.is("all")
		prepare := p.is("prepare")
		c.Name, _ = p.name()
		if prepare && !p.end() {
			all = p.is("all")
			c.Name, _ = p.name()
		}
		if all {
			c.Name, c.Flags = "", All
		}
	case "declare":
		p.declare(c)
	case "load":
		c.Class = Load
	case "copy":
		p.copy(c)
	case "":
	default:
		c.Class = Utility
		if p.noBlock(c) {
			c.Flags |= NoBlock
		}
	}
}

// with returns the verb of the main command of WITH, "" if the list of common table expressions is not as expected.
func (p *phrase) with() string {
	p.next()
	if p.is("recursive") {
		// A keyword, or the name of the first expression.
		ahead := *p
		ahead.next()
		if !ahead.is("as") && ahead.t.Kind != LeftParen {
			*p = ahead
		}
	}
	for {
		if _, ok := p.name(); !ok {
			return ""
		}
		if p.t.Kind == LeftParen && !p.group() {
			return ""
		}
		if !p.take("as") {
			return ""
		}
		p.take("not")
		p.take("materialized")
		if !p.group() {
			return ""
		}
		if p.take("search") {
			p.next() // DEPTH or BREADTH
			if !p.take("first") || !p.take("by") || !p.names() || !p.take("set") || !p.names() {
				return ""
			}
		}
		if p.take("cycle") {
			if !p.names() || !p.take("set") {
				return ""
			}
			if _, ok := p.name(); !ok {
				return ""
			}
			if p.take("to") {
				for !p.is("using") && !p.end() && p.t.Kind != Illegal {
					p.next()
				}
			}
			if !p.take("using") {
				return ""
			}
			if _, ok := p.name(); !ok {
				return ""
			}
		}
		if p.t.Kind != Comma {
			return p.query()
		}
		p.next()
	}
}

// names steps over a list of names.
func (p *phrase) names() bool {
	for {
		if _, ok := p.name(); !ok {
			return false
		}
		if p.t.Kind != Comma {
			return true
		}
		p.next()
	}
}

func (p *phrase) explain(c *Command) {
	switch {
	case p.t.Kind == LeftParen:
		// Options, or the parenthesis of a query; VALUES could be an option's name.
		ahead := *p
		ahead.next()
		isQuery := ahead.t.Kind == LeftParen || ahead.is("select") || ahead.is("with") || ahead.is("table")
		if ahead.take("values") {
			isQuery = ahead.t.Kind == LeftParen
		}
		if isQuery {
			break
		}
		before := *p
		on, ok := p.option("analyze")
		if british, _ := before.option("analyse"); on || british || !ok {
			c.Flags |= Analyze
		}
		if !ok {
			return
		}
	case p.take("analyze"), p.take("analyse"):
		c.Flags |= Analyze
		p.take("verbose")
	default:
		p.take("verbose")
	}
	inParens := p.t.Kind == LeftParen
	if c.Inner = p.query(); c.Inner != "" || inParens {
		return
	}
	switch v := p.verb(); v {
	case "create":
		if p.next(); c.Flags.Has(Analyze) {
			inner := Command{Verb: v}
			p.noBlock(&inner)
			c.Flags |= inner.Flags & Temp
		}
		fallthrough
	case "declare", "execute", "refresh":
		c.Inner = v
	}
}

// transaction classifies the commands that control transactions. All of the command must be what the grammar allows.
func (p *phrase) transaction(c *Command) {
	class, ok := Unknown, false
	switch c.Verb {
	case "begin":
		p.noise()
		class, ok = Begin, p.modes(c)
	case "start":
		class, ok = Begin, p.take("transaction") && p.modes(c)
	case "savepoint":
		class = Savepoint
		c.Name, ok = p.name()
	case "release":
		class, ok = Release, p.savepoint(c)
	case "commit", "end":
		if c.Verb == "commit" && p.take("prepared") {
			class, ok = CommitPrepared, p.constant()
			c.Flags = NoBlock
			break
		}
		p.noise()
		class, ok = Commit, p.chain(c)
	case "rollback", "abort":
		if c.Verb == "rollback" && p.take("prepared") {
			class, ok = RollbackPrepared, p.constant()
			c.Flags = NoBlock
			break
		}
		p.noise()
		if c.Verb == "rollback" && p.take("to") {
			class, ok = RollbackTo, p.savepoint(c)
			break
		}
		class, ok = Rollback, p.chain(c)
	}
	if ok && p.end() {
		c.Class = class
	}
}

// chain reads [AND [NO] CHAIN].
func (p *phrase) chain(c *Command) bool {
	if !p.take("and") {
		return true
	}
	if !p.take("no") {
		c.Flags |= Chain
	}
	return p.take("chain")
}

// noise steps over WORK or TRANSACTION.
func (p *phrase) noise() { _ = p.take("work") || p.take("transaction") }

// savepoint reads [SAVEPOINT] name; the name may be savepoint.
func (p *phrase) savepoint(c *Command) bool {
	if p.is("savepoint") {
		ahead := *p
		if ahead.next(); !ahead.end() {
			*p = ahead
		}
	}
	var ok bool
	c.Name, ok = p.name()
	return ok
}

// modes reads a list of transaction modes, which may be empty, to the end of the command.
func (p *phrase) modes(c *Command) bool {
	for first := true; !p.end(); first = false {
		if !first && p.t.Kind == Comma {
			p.next()
		}
		switch {
		case p.take("isolation"):
			c.Flags |= Isolation
			if !p.take("level") {
				return false
			}
			switch {
			case p.take("read"):
				if !p.take("committed") && !p.take("uncommitted") {
					return false
				}
			case p.take("repeatable"):
				if !p.take("read") {
					return false
				}
			case !p.take("serializable"):
				return false
			}
		case p.take("read"):
			switch {
			case p.take("only"):
				c.Flags |= ReadOnly
			case p.take("write"):
				c.Flags |= ReadWrite
			default:
				return false
			}
		case p.take("not"):
			c.Flags |= Deferrable
			if !p.take("deferrable") {
				return false
			}
		case p.take("deferrable"):
			c.Flags |= Deferrable
		default:
			return false
		}
	}
	return true
}

func (p *phrase) prepare(c *Command) {
	if p.is("transaction") {
		// PREPARE transaction AS … prepares a statement of that name.
		ahead := *p
		if ahead.next(); ahead.constant() {
			if ahead.end() {
				c.Class = PrepareTransaction
			}
			return
		}
	}
	c.Class = Prepare
	c.Name, _ = p.name()
	if p.t.Kind == LeftParen && !p.group() || !p.take("as") {
		return
	}
	c.Inner = p.query()
}

// parameter reads var_name, as SET and RESET take it.
func (p *phrase) parameter() string {
	name, ok := p.name()
	for ok && p.t.Kind == Dot {
		p.next()
		var part string
		part, ok = p.name()
		name += "." + part
	}
	if !ok {
		return ""
	}
	return lower(name)
}

// isParameter says whether the current word, which has another meaning in SET, is a setting's name here.
func (p *phrase) isParameter() bool {
	ahead := *p
	ahead.next()
	return ahead.t.Kind == Dot || ahead.is("to") || ahead.is("from") || ahead.t.Kind == Operator && ahead.lx.Text(ahead.t) == "="
}

func (p *phrase) set(c *Command) {
	c.Class = Set
	if (p.is("local") || p.is("session")) && !p.isParameter() {
		ahead := *p
		ahead.next()
		switch {
		case p.is("local"):
			c.Flags = Local
			*p = ahead
		case !ahead.is("characteristics") && !ahead.is("authorization") || ahead.isParameter():
			*p = ahead
		}
	}
	if p.isParameter() {
		p.setParameter(c)
		return
	}
	switch {
	case p.take("transaction"):
		local := c.Flags
		c.Class, c.Flags = SetTransaction, 0
		if p.take("snapshot") {
			c.Flags = Snapshot | BeforeQuery
			if !p.constant() || !p.end() {
				c.Class = Unknown
			}
			return
		}
		if p.end() || !p.modes(c) {
			c.Class = Unknown
		}
		if c.Flags&^ReadOnly != 0 {
			c.Flags |= BeforeQuery
		}
		c.Flags |= local
	case p.take("constraints"):
		c.Class = SetConstraints
	case p.take("session"):
		if p.take("authorization") {
			c.Name = "session_authorization"
			return
		}
		if !p.take("characteristics") || !p.take("as") || !p.take("transaction") || p.end() || !p.modes(c) {
			c.Class = Unknown
			return
		}
		c.Class = SetCharacteristics
		c.Flags &^= Local // it has none
	case p.take("role"):
		c.Name = "role"
	case p.take("time"):
		c.Name = "timezone"
	case p.take("schema"):
		c.Name = "search_path"
	case p.take("names"):
		c.Name = "client_encoding"
	case p.take("xml"):
		c.Name = "xmloption"
	case p.take("catalog"):
	default:
		p.setParameter(c)
	}
}

func (p *phrase) setParameter(c *Command) {
	switch c.Name = p.parameter(); c.Name {
	case "transaction_isolation", "transaction_deferrable":
		c.Flags |= BeforeQuery
	case "transaction_read_only":
		p.next() // = or TO
		s := ""
		if p.t.Kind.IsIdent() || p.t.Kind.IsString() || p.t.Kind == Integer {
			s = p.lx.Text(p.t)
		}
		if !foldsTo(s, "on") && !foldsTo(s, "true") && s != "1" {
			c.Flags |= BeforeQuery
		}
	}
}

func (p *phrase) reset(c *Command) {
	c.Class = Reset
	ahead := *p
	ahead.next()
	switch {
	case p.is("all"):
		c.Flags = All
	case p.is("time") && ahead.is("zone"):
		c.Name = "timezone"
	case p.is("transaction") && ahead.is("isolation"):
		c.Name = "transaction_isolation"
		c.Flags = BeforeQuery
	case p.is("session") && ahead.is("authorization"):
		c.Name = "session_authorization"
	default:
		c.Name = p.parameter()
	}
}

func (p *phrase) declare(c *Command) {
	c.Class = Declare
	c.Name, _ = p.name()
	for !p.take("cursor") {
		if !p.take("binary") && !p.take("insensitive") && !p.take("asensitive") && !p.take("no") && !p.take("scroll") {
			return
		}
	}
	if p.take("with") {
		c.Flags = Hold
		p.next()
	} else if p.take("without") {
		p.next()
	}
	if p.take("for") {
		c.Inner = p.query()
	}
}

func (p *phrase) copy(c *Command) {
	c.Class = Copy
	p.take("binary")
	if p.t.Kind == LeftParen {
		query := *p
		query.next()
		c.Inner = query.query()
		if !p.group() {
			return
		}
	} else {
		_, ok := p.name()
		for ok && p.t.Kind == Dot {
			p.next()
			_, ok = p.name()
		}
		if !ok || p.t.Kind == LeftParen && !p.group() {
			return
		}
	}
	flag := ToClient
	switch {
	case p.take("from"):
		flag = FromClient
	case !p.take("to"):
		return
	}
	// The grammar takes either word for either direction.
	if p.is("stdin") || p.is("stdout") {
		c.Flags = flag
	}
}

// noBlock reads a utility command far enough to tell NoBlock and Temp.
func (p *phrase) noBlock(c *Command) bool {
	switch c.Verb {
	case "vacuum":
		return true
	case "create":
		if p.take("or") {
			p.take("replace")
		}
		if p.is("local") || p.is("global") {
			p.next()
		}
		if p.is("temp") || p.is("temporary") {
			c.Flags |= Temp
			return false
		}
		if p.take("subscription") {
			return !p.mentions("connect", "create_slot")
		}
		p.take("unique")
		return p.is("database") || p.is("tablespace") || p.take("index") && p.is("concurrently")
	case "drop":
		return p.is("database") || p.is("tablespace") || p.take("index") && p.is("concurrently")
	case "alter":
		switch {
		case p.is("system"):
			return true
		case p.take("database"):
			p.next() // name
			if p.take("set") {
				return p.is("tablespace") && !p.isParameter()
			}
			p.take("with")
			return p.is("tablespace")
		case p.take("table"):
			return p.detachesConcurrently()
		case p.take("subscription"):
			p.next() // name
			if p.is("refresh") {
				return true
			}
			return (p.take("set") || p.take("add") || p.take("drop")) && p.is("publication") && !p.mentions("refresh")
		}
	case "reindex":
		if p.t.Kind == LeftParen {
			if on, _ := p.option("concurrently"); on {
				return true
			}
		}
		if p.is("database") || p.is("system") || p.is("schema") {
			return true
		}
		p.next() // INDEX or TABLE
		return p.is("concurrently")
	case "cluster":
		if p.t.Kind == LeftParen && !p.group() {
			return false
		}
		p.take("verbose")
		return p.end()
	}
	return false
}

// mentions says whether one of the words is a name in the rest of the command.
func (p *phrase) mentions(words ...string) bool {
	for ; !p.end() && p.t.Kind != Illegal; p.next() {
		if !p.t.Kind.IsIdent() {
			continue
		}
		s, _ := p.lx.Ident(p.t)
		for _, w := range words {
			if s == w {
				return true
			}
		}
	}
	return false
}

// detachesConcurrently reads on behind ALTER TABLE.
func (p *phrase) detachesConcurrently() bool {
	if p.take("if") {
		p.take("exists")
	}
	p.take("only")
	for {
		if _, ok := p.name(); !ok {
			return false
		}
		if p.t.Kind != Dot {
			break
		}
		p.next()
	}
	if p.t.Kind == Operator && p.lx.Text(p.t) == "*" {
		p.next()
	}
	if !p.take("detach") || !p.take("partition") {
		return false
	}
	for {
		if _, ok := p.name(); !ok {
			return false
		}
		if p.t.Kind != Dot {
			break
		}
		p.next()
	}
	return p.is("concurrently")
}
