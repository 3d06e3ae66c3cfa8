package driver_test

import (
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
)

// difference is where pganon means to differ from pgx. All but the reason say where it applies; empty applies everywhere.
type difference struct {
	reason   string
	cases    string // a regular expression, as are labels and modes
	labels   string
	modes    string   // "cache_statement", or "call cache_statement" where it is given per call
	variants []string // all where nil
	since    int      // the first version of PostgreSQL
	pgx      string   // part of what pgx shows
	pganon   string   // part of what pganon shows
	// but makes the two the same, where they differ in one thing only.
	but func(string) string

	occurred atomic.Bool
}

func (d *difference) explains(version int, name, label, mode, variant, want, got string) bool {
	matches := func(pattern, s string) bool {
		return pattern == "" || regexp.MustCompile("(?s)^(?:"+pattern+")$").MatchString(s)
	}
	if version < d.since || !matches(d.cases, name) || !matches(d.labels, label) || !matches(d.modes, mode) || d.variants != nil && !slices.Contains(d.variants, variant) ||
		!strings.Contains(want, d.pgx) || !strings.Contains(got, d.pganon) || d.but != nil && d.but(want) != d.but(got) {
		return false
	}
	d.occurred.Store(true)
	return true
}

// differences are those that the README lists.
var differences = []*difference{
	{
		reason: "what PostgreSQL says of a text that does not parse is a *pgconn.PgError, as all other errors of the server are; pgx wraps it, so that errors.As finds it and a type assertion does not",
		pgx:    wrappedMark,
		but:    func(s string) string { return strings.ReplaceAll(s, wrappedMark, "") },
	},
	{
		reason:   "an error of a function of the program's own, which Raw returns as it is",
		cases:    "raw",
		labels:   "error of the function",
		variants: []string{redactedPlain, redactedIdentity, redactedInterceptor},
		pganon:   "error(mine)",
	},
	{
		reason: "the error says whose it is",
		cases:  "most parameters",
		pgx:    "error(extended protocol limited to 65535 parameters)",
		pganon: "error(pganon: run statement: extended protocol limited to 65535 parameters)",
	},
	{
		reason: "the error says whose it is, and does not hold the configuration with its password as pgx's does",
		cases:  "connect errors",
		pgx:    "error(failed to connect",
		but:    func(s string) string { return strings.ReplaceAll(s, "pganon: connect: ", "") },
	},
	{
		reason:   "a text with a NUL byte is refused by PostgreSQL either way (08P01): the byte ends the text on the wire, and what stands behind it differs",
		variants: throughPipeline,
		pgx:      `08P01: "invalid message format"`,
		pganon:   `08P01: "insufficient data left in message"`,
	},
	{
		reason:   "a text with a NUL byte cannot be split into commands, and is refused before it is sent",
		variants: throughPipeline,
		modes:    "simple_protocol|call cache_statement",
		pgx:      "08P01: ",
		pganon:   "NUL byte",
	},
	{
		reason:   "what cannot run in a transaction block, such as VACUUM, cannot run behind the settings of an identity: it needs a context of pganon.System",
		variants: underRole,
		pganon:   "error(pganon: run statement: it cannot run in a pipeline, so not under an identity: run it with a context of pganon.System)",
	},
	{
		reason:   "COPY FROM STDIN without a stream is refused; pgx waits for the end of the context",
		cases:    "copy",
		labels:   "from stdin",
		variants: throughPipeline,
		pgx:      "context.DeadlineExceeded",
		pganon:   "pganon: run statement: COPY FROM STDIN needs a stream",
	},
	{
		reason:   "COPY TO STDOUT as a query, whose data pgx drops in mode exec and refuses in others, is refused",
		cases:    "copy",
		variants: throughPipeline,
		pganon:   "pganon: run statement: COPY TO STDOUT has no rows: use Exec, or driver.InTx",
	},
	{
		reason:   "so it does not lose the connection",
		cases:    "copy",
		labels:   "at the end: connections opened",
		variants: throughPipeline,
		pgx:      "int64(2)",
		pganon:   "int64(1)",
	},
	{
		reason:   "a DO block or procedure that ends the transaction would go on as the login role: it is refused",
		cases:    "commands for no block",
		variants: underRole,
		pganon:   `2D000: "invalid`,
	},
	{
		reason:   "so what such blocks would have written is not there",
		cases:    "commands for no block",
		labels:   `(query|exec): select \* from mine|rows`,
		variants: underRole,
	},
	{
		reason:   "the settings before a statement are a query to PostgreSQL: SET TRANSACTION ISOLATION LEVEL has to be the first statement of its transaction, even behind a SHOW",
		cases:    "commands for a block only",
		labels:   ".*: set transaction isolation level serializable",
		variants: throughPipeline,
		pganon:   "25001",
	},
	{
		reason:   "simple_protocol asked for with one call is sent as exec, whose errors have no position but name the parameter",
		modes:    "call simple_protocol|cache_statement|cache_describe|describe_exec|exec",
		cases:    "exec modes per call|arguments|arguments into columns|errors of statements|errors after rows|deferred constraints|named arguments and rewriters",
		variants: throughPipeline,
		but:      withoutPlace,
	},
	{
		reason:   "simple_protocol asked for with one call is sent as exec: PostgreSQL counts the arguments, not pgx",
		modes:    "call simple_protocol|cache_statement|cache_describe|describe_exec|exec",
		cases:    "exec modes per call|arguments|errors of statements|named arguments and rewriters",
		variants: throughPipeline,
		pgx:      "argument",
		pganon:   "08P01",
	},
	{
		reason:   "simple_protocol asked for with one call is sent as exec: PostgreSQL numbers the arguments, not pgx",
		modes:    "call simple_protocol",
		cases:    "arguments",
		labels:   "gap|number too high|47: string as text",
		variants: throughPipeline,
	},
	{
		reason:   "simple_protocol asked for with one call is sent as exec: PostgreSQL numbers the arguments, not pgx",
		modes:    "call simple_protocol",
		cases:    "kinds of commands",
		labels:   "(query|exec) 56: prepare p.*",
		variants: throughPipeline,
	},
	{
		reason:   "in simple_protocol a text of several commands runs by Exec without arguments only: pgx quotes arguments into the text, which cannot be done for each of its commands",
		modes:    "simple_protocol",
		variants: throughPipeline,
		pganon:   "error(pganon: run statement: in simple_protocol a text of several commands runs under an identity by Exec without arguments only)",
	},
	{
		reason:   "simple_protocol asked for with one call is sent as exec, which takes one command",
		modes:    "call simple_protocol",
		cases:    "shapes of a text",
		variants: throughPipeline,
		pganon:   "cannot insert multiple commands into a prepared statement",
	},
	{
		reason:   "in simple_protocol, and where a text has several commands, a text that does not end is refused before it is sent: settings stand before each of its commands",
		cases:    "shapes of a text",
		modes:    "simple_protocol",
		variants: throughPipeline,
		pganon:   "error(pganon: run statement: split text: pganon: read SQL text: ",
	},
	{
		reason:   "in simple_protocol, and where a text has several commands, each of them is ended by a semicolon: an error at the end of the input is one at that semicolon",
		variants: throughPipeline,
		pgx:      "42601: \"syntax error at ",
		pganon:   `42601: "syntax error at or near \";\""`,
	},
	{
		reason:   "so what such texts would have written is not there",
		modes:    "simple_protocol",
		cases:    "several commands in one text",
		labels:   "(with arguments|as a query): after",
		variants: throughPipeline,
	},
	{
		reason:   "in simple_protocol settings and statement are one Query, which PostgreSQL takes for a transaction block: what needs one is not refused",
		modes:    "simple_protocol",
		cases:    "kinds of commands|errors of statements",
		labels:   ".*(lock table item|declare c cursor for select 1).*",
		variants: throughPipeline,
		pgx:      "25P01",
	},
	{
		reason:   "from PostgreSQL 18 on a pipeline is a transaction block behind its first statement, which the settings are: what needs one is not refused",
		since:    18,
		cases:    "kinds of commands|errors of statements",
		labels:   ".*(lock table item|declare c cursor for select 1).*",
		variants: throughPipeline,
		pgx:      "25P01",
	},
	{
		reason:   "in simple_protocol nothing is prepared on the server: a text's errors come with its first use",
		modes:    "simple_protocol",
		cases:    "errors of statements|prepare errors|prepared statements.*|tracer|backend killed while idle",
		variants: throughPipeline,
		pganon:   "nil",
	},
	{
		reason:   "in simple_protocol nothing is prepared on the server: a text's errors come with its first use",
		modes:    "simple_protocol",
		cases:    "backend killed while idle",
		labels:   "ping false, prepare: usable",
		variants: throughPipeline,
		pganon:   "57P01",
	},
	{
		reason:   "in simple_protocol nothing is prepared on the server: a tracer is told of nothing",
		modes:    "simple_protocol",
		cases:    "tracer",
		labels:   "full: prepare( error)?: events",
		variants: throughPipeline,
		pgx:      "prepare start",
	},
	{
		reason:   "in simple_protocol nothing is prepared on the server: pgx's quoting counts the arguments",
		modes:    "simple_protocol",
		cases:    "prepared statements",
		variants: throughPipeline,
		pgx:      "error(sql: expected",
		pganon:   "argument",
	},
	{
		reason:   "in simple_protocol nothing is prepared on the server: a driver.Stmt is run as its text is",
		modes:    "simple_protocol",
		cases:    "errors of statements|prepare errors",
		labels:   ".*: (prepared|prepared exec|close)",
		variants: throughPipeline,
		pgx:      "(not seen)",
	},
	{
		reason:   "in simple_protocol a driver.Stmt's errors have the position that its text's have",
		modes:    "simple_protocol",
		cases:    "errors of statements|prepared statements",
		variants: throughPipeline,
		but:      withoutPlace,
	},
	{
		reason:   "a prepared statement whose table has changed tells once, as pgx; then it is prepared again, while on pgx it stays unusable",
		cases:    "cached plan",
		labels:   "prepared true.*: (column added [12]|type changed [12]|after the tx)",
		variants: throughPipeline,
		pgx:      "0A000: ",
		pganon:   "row 1",
	},
	{
		reason:   "a prepared statement has a name on the server in cache_statement and describe_exec only, the other modes being those for poolers: without one it has no plan that could not change",
		cases:    "cached plan",
		modes:    "exec|cache_describe|simple_protocol",
		labels:   "prepared true.*: (column added 0|type changed 0|column dropped, in a tx [01]|commit)",
		variants: throughPipeline,
	},
	{
		reason:   "statements that are gone from the session are prepared again, while on pgx the first use fails and prepared statements stay unusable",
		cases:    "deallocate all",
		labels:   ".*after.*",
		variants: throughPipeline,
		pgx:      "26000",
	},
	{
		reason:   "so the transaction does not fail",
		cases:    "deallocate all",
		labels:   ".*: commit",
		variants: throughPipeline,
		pgx:      "pgx.ErrTxCommitRollback",
		pganon:   "nil",
	},
	{
		reason: "a transaction whose context has ended is rolled back all the same; pgx loses the connection",
		cases:  "cancelled during|contexts of transactions",
		labels: ".*connections opened",
		pgx:    "int64",
		pganon: "int64",
	},
	{
		reason: "BeginTx with a context that has ended keeps the connection, which has nothing to do with it",
		cases:  "contexts of transactions",
		labels: "begin with a done context on a conn",
		pgx:    "context already done: context canceled)[is context.Canceled",
		pganon: "context already done: context canceled)[is context.Canceled",
	},
	{
		reason: "BeginTx with a context that has ended keeps the connection, which has nothing to do with it",
		cases:  "contexts of transactions",
		labels: "the conn after",
		pgx:    "driver.ErrBadConn",
		pganon: "row 1",
	},
	{
		reason: "BeginTx while rows are open is refused as on pgx, and the connection is kept",
		cases:  "statement while rows are open",
		labels: "rows",
		pgx:    "error(conn closed)",
		pganon: "nil",
	},
	{
		reason: "BeginTx while rows are open is refused as on pgx, and the connection is kept",
		cases:  "statement while rows are open",
		labels: "conn after",
		pgx:    "driver.ErrBadConn",
		pganon: "row 1",
	},
	{
		reason: "BeginTx while rows are open is refused as on pgx, and the connection is kept",
		cases:  "statement while rows are open",
		labels: "at the end: connections opened",
		pgx:    "int64",
		pganon: "int64",
	},
	{
		reason: "a query while rows are open is refused in mode exec as it is in the other modes; pgx lets it end the open rows and the transaction",
		cases:  "statement while rows are open",
		labels: "query|query with an argument|commit|rest of the rows|exec after",
		modes:  "exec",
		pgx:    "conn",
	},
	{
		reason:   "what was done on the connection that Raw gives is taken for another's: LISTEN and other leftovers of the session are gone before the next statement, unless pganon.session=keep",
		cases:    "listen",
		labels:   "channels",
		variants: throughPipeline,
		pgx:      `string("ch")`,
	},
}

var place = regexp.MustCompile(` at \d+|(, where "unnamed portal parameter[^"]*"|\\nunnamed portal parameter[^"]*)|failed to encode args\[\d+\]: `)

// withoutPlace takes out of an error where in the text, or in which argument, it is.
func withoutPlace(s string) string { return place.ReplaceAllString(s, "") }
