package driver_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/sqlgen"
	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

// The conformance suite: every case does the same on plain pgx and on every variant of pganon, in every exec mode, and
// notes what it sees. What pganon shows must be what pgx shows: with redaction off, to the letter; with redaction on, what
// package redact leaves of it. The exceptions are in the table of differences, each with its reason, and an exception that
// does not occur is a failure too.

// conformance are the cases of the suite, from the files beside this one.
var conformance = slices.Concat(typeCases, textCases, errorCases, statementCases, transactionCases, connectionCases)

// A conformanceCase does something and notes what it sees.
type conformanceCase struct {
	name string
	run  func(*conformanceEnv)
	// perCall runs it a second time with the exec mode given with each call instead of by the DSN.
	perCall bool
	// slow runs it with an identity only, and in the default mode without one too.
	slow bool
}

// namedExecMode is an exec mode as a DSN and as an argument says it.
type namedExecMode struct {
	dsn      string
	argument pgx.QueryExecMode
}

var execModes = []namedExecMode{
	{"cache_statement", pgx.QueryExecModeCacheStatement},
	{"cache_describe", pgx.QueryExecModeCacheDescribe},
	{"describe_exec", pgx.QueryExecModeDescribeExec},
	{"exec", pgx.QueryExecModeExec},
	{"simple_protocol", pgx.QueryExecModeSimpleProtocol},
}

// A conformanceVariant is a way to open a database and to call it.
type conformanceVariant struct {
	name   string
	params map[string]string // of the DSN
	config driver.Config
	seen   bool // every connection has had an identity on it
	asked  bool // contexts hold an identity
	// redacted leaves redaction on, and makes of plain pgx the yardstick for that.
	redacted bool
}

// plainPgx is the yardstick.
func plainPgx(redacted bool) conformanceVariant {
	if redacted {
		return conformanceVariant{name: "pgx, redacted", redacted: true}
	}
	return conformanceVariant{name: "pgx"}
}

func (v conformanceVariant) pgx() bool { return v.name == plainPgx(v.redacted).name }

const (
	noIdentity           = "no identity"
	seenIdentity         = "seen"
	withIdentity         = "identity"
	asAnonymous          = "anonymous"
	overInterceptor      = "interceptor"
	plainOverInterceptor = "interceptor, no identity"
	redactedPlain        = "redacted, no identity"
	redactedIdentity     = "redacted, identity"
	redactedInterceptor  = "redacted, interceptor"
)

// variants returns those to run a case in.
func (c *conformanceCase) variants(s *conformanceSite, mode namedExecMode, perCall bool) []conformanceVariant {
	none := conformanceVariant{name: noIdentity, params: map[string]string{"pganon.identity": "optional"}}
	seen := conformanceVariant{name: seenIdentity, params: none.params, seen: true}
	with := conformanceVariant{name: withIdentity, config: driver.Config{Raw: "allow"}, asked: true}
	anonymous := conformanceVariant{name: asAnonymous, params: map[string]string{"pganon.anonymous": s.member, "pganon.raw": "allow"}}
	nothing := []sqlmw.Interceptor{sqlmw.NullInterceptor{}}
	over := conformanceVariant{name: overInterceptor, config: driver.Config{Raw: "allow", Interceptors: nothing}, asked: true}
	plainOver := conformanceVariant{name: plainOverInterceptor, config: driver.Config{Identity: "optional", Interceptors: nothing}}
	cleaned := func(name string, v conformanceVariant) conformanceVariant {
		v.name, v.redacted = name, true
		return v
	}
	switch {
	case perCall:
		return []conformanceVariant{with}
	case mode.argument == pgx.QueryExecModeCacheStatement && c.slow:
		return []conformanceVariant{none, with, cleaned(redactedIdentity, with)}
	case c.slow:
		return []conformanceVariant{with}
	case mode.argument == pgx.QueryExecModeCacheStatement:
		return []conformanceVariant{none, seen, with, anonymous, over, plainOver,
			cleaned(redactedPlain, none), cleaned(redactedIdentity, with), cleaned(redactedInterceptor, over)}
	case mode.argument == pgx.QueryExecModeSimpleProtocol:
		return []conformanceVariant{none, seen, with, anonymous, cleaned(redactedPlain, none), cleaned(redactedIdentity, with)}
	}
	return []conformanceVariant{none, with, anonymous}
}

// underRole are the variants whose statements run as a role.
var underRole = []string{withIdentity, asAnonymous, overInterceptor, redactedIdentity, redactedInterceptor}

// throughPipeline are underRole and the one that sends role none.
var throughPipeline = append([]string{seenIdentity}, underRole...)

// conformanceSite is a database that the cases of one exec mode share, one after the other.
type conformanceSite struct {
	db     *pganontest.DB
	admin  *pgx.Conn // its owner
	watch  *pgx.Conn // too, for what happens while admin is busy
	login  string
	member string // may do what login may

	version int // of the server, its major one
}

func newConformanceSite(t *testing.T) *conformanceSite {
	t.Helper()
	s := &conformanceSite{db: pganontest.New(t)}
	s.login, s.member = s.db.Role("app", "LOGIN"), s.db.Role("member")
	ctx := context.Background()
	for _, conn := range []**pgx.Conn{&s.admin, &s.watch} {
		var err error
		*conn, err = pgx.Connect(ctx, s.db.DSN())
		require.NoError(t, err)
		t.Cleanup(func() { _ = (*conn).Close(ctx) })
	}
	s.version = sqlgen.Major(s.admin.PgConn().ParameterStatus("server_version"))
	s.exec(t, fmt.Sprintf("grant %s to %s", s.member, s.login))
	s.exec(t, `create schema k; grant usage on schema k to public; set search_path = k;
create type mood as enum ('sad', 'ok', 'happy');
create domain positive as int check (value > 0);
create domain email as text;
create type pair as (a int, b text);
create type span as range (subtype = float8);
create function boom() returns int language plpgsql as $$begin
	raise exception 'boom' using detail = 'in detail', hint = 'a hint', errcode = 'P4242', column = 'c', constraint = 'k', datatype = 'd', table = 't', schema = 's';
end$$;
create function tell(n int) returns int language plpgsql as $$begin
	for i in 1..n loop raise notice 'notice %', i; end loop; raise warning 'warning'; return n; end$$;
create procedure twice(inout n int) language plpgsql as $$begin n := n * 2; end$$`)
	return s
}

func (s *conformanceSite) exec(t testing.TB, sql string) {
	t.Helper()
	_, err := s.admin.Exec(context.Background(), sql)
	require.NoError(t, err)
}

// conformanceEnv is what a case has to work with.
type conformanceEnv struct {
	*testing.T
	site    *conformanceSite
	variant conformanceVariant
	mode    namedExecMode
	call    *namedExecMode // given with each call
	db      *sql.DB        // one connection
	ctx     context.Context
	opened  atomic.Int64   // connections
	ends    []func() error // of what the case has opened
	log     []observation
	labels  map[string]bool
}

type observation struct{ label, text string }

// after ends something that the case has opened, in case that it does not do so itself.
func (e *conformanceEnv) after(end func() error) { e.ends = append(e.ends, end) }

func (e *conformanceEnv) end() {
	for _, end := range slices.Backward(e.ends) {
		_ = end()
	}
	e.ends = nil
}

// see notes values under a label that the case uses once.
func (e *conformanceEnv) see(label string, values ...any) {
	e.Helper()
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = e.shown(v)
	}
	require.False(e, e.labels[label], "the case notes two things under the label %q", label)
	e.labels[label] = true
	e.log = append(e.log, observation{label, strings.Join(texts, " ")})
}

// handleOptions are what a handle can be opened with beyond a DSN.
type handleOptions struct {
	tracer    pgx.QueryTracer
	configure func(*pgx.ConnConfig)
	after     func(context.Context, *pgx.Conn) error
	reset     func(context.Context, *pgx.Conn) error
	ping      bool
	params    map[string]string
	proxy     *pganontest.Proxy
	conns     int // 1 where 0
}

// open opens a further handle, in the same variant and mode.
func (e *conformanceEnv) open(o handleOptions) *sql.DB {
	e.Helper()
	dsn := e.site.db.DSNAs(e.site.login)
	if o.proxy != nil {
		dsn = o.proxy.DSNAs(e.site.login)
	}
	u, err := url.Parse(dsn)
	require.NoError(e, err)
	query := u.Query()
	query.Set("default_query_exec_mode", e.mode.dsn)
	query.Set("search_path", "c,k")
	for _, params := range []map[string]string{o.params, e.variant.params} {
		for key, value := range params {
			query.Set(key, value)
		}
	}
	u.RawQuery = query.Encode()
	dsn = u.String()

	before := func(_ context.Context, config *pgx.ConnConfig) error {
		e.opened.Add(1)
		if o.configure != nil {
			o.configure(config)
		}
		if notice := config.OnNotice; notice != nil && e.variant.pgx() && e.variant.redacted {
			config.OnNotice = func(pg *pgconn.PgConn, n *pgconn.Notice) { notice(pg, redact.Notice(n)) }
		}
		return nil
	}
	shouldPing := func(context.Context, stdlib.ShouldPingParams) bool { return o.ping }
	var connector sqldriver.Connector
	if e.variant.pgx() {
		config, err := pgx.ParseConfig(dsn)
		require.NoError(e, err)
		config.Tracer = o.tracer
		opts := []stdlib.OptionOpenDB{stdlib.OptionBeforeConnect(before), stdlib.OptionShouldPing(shouldPing)}
		if o.after != nil {
			opts = append(opts, stdlib.OptionAfterConnect(o.after))
		}
		if o.reset != nil {
			opts = append(opts, stdlib.OptionResetSession(o.reset))
		}
		connector = stdlib.GetConnector(*config, opts...)
	} else {
		config := e.variant.config
		config.BeforeConnect, config.AfterConnect, config.ResetSession = before, o.after, o.reset
		config.ShouldPing, config.Tracer = shouldPing, o.tracer
		config.Logger = slog.New(slog.DiscardHandler)
		if !e.variant.redacted {
			config.Redact = "off"
		}
		connector, err = driver.NewConnector(dsn, config)
		require.NoError(e, err)
		if e.variant.seen {
			connector = seenConnector{connector, e.identified(context.Background())}
		}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(max(o.conns, 1))
	db.SetMaxIdleConns(max(o.conns, 1))
	e.after(db.Close)
	return db
}

// seenConnector makes connections that have had an identity on them.
type seenConnector struct {
	sqldriver.Connector
	identified context.Context
}

const seenQuery = "select 'seen'"

func (c seenConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.(sqldriver.ExecerContext).ExecContext(c.identified, seenQuery, nil)
	return conn, err
}

func (e *conformanceEnv) identified(ctx context.Context) context.Context {
	return pganon.WithIdentity(ctx, pganon.Identity{User: "u1", Tenant: "t1", Role: e.site.member})
}

// scoped makes of ctx one that says what the variant's contexts say.
func (e *conformanceEnv) scoped(ctx context.Context) context.Context {
	if e.variant.asked {
		return e.identified(ctx)
	}
	return ctx
}

// setup runs sql as the database's owner in an empty schema c, in which everyone may do everything.
func (e *conformanceEnv) setup(sql string) {
	e.Helper()
	e.site.exec(e, `set client_min_messages = error; drop schema if exists c cascade; create schema c; set search_path = c, k;
grant all on schema c to public; `+sql+`;
grant all on all tables in schema c to public; grant all on all sequences in schema c to public`)
}

// owner runs sql as the database's owner.
func (e *conformanceEnv) owner(sql string) { e.Helper(); e.site.exec(e, sql) }

// args puts the exec mode before the arguments, where the case runs with one per call.
func (e *conformanceEnv) args(args []any) []any {
	if e.call == nil {
		return args
	}
	return append([]any{e.call.argument}, args...)
}

// sqlRunner is a *sql.DB, *sql.Conn or *sql.Tx, or a bound *sql.Stmt.
type sqlRunner interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// boundStmt is a *sql.Stmt as a sqlRunner.
type boundStmt struct{ stmt *sql.Stmt }

func (b boundStmt) QueryContext(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
	return b.stmt.QueryContext(ctx, args...)
}

func (b boundStmt) ExecContext(ctx context.Context, _ string, args ...any) (sql.Result, error) {
	return b.stmt.ExecContext(ctx, args...)
}

// query notes all there is to a query: columns, their types, values, errors.
func (e *conformanceEnv) query(label string, r sqlRunner, query string, args ...any) {
	e.Helper()
	if _, isStmt := r.(boundStmt); !isStmt {
		args = e.args(args)
	}
	rows, err := r.QueryContext(e.ctx, query, args...)
	e.rows(label, rows, err)
}

func (e *conformanceEnv) rows(label string, rows *sql.Rows, err error) {
	e.Helper()
	if err != nil {
		e.see(label, err)
		return
	}
	defer rows.Close()
	var text strings.Builder
	text.WriteString(shownColumns(rows))
	columns, err := rows.Columns()
	require.NoError(e, err)
	n := 0
	for rows.Next() {
		n++
		dest := make([]any, len(columns))
		values := make([]any, len(columns))
		for i := range dest {
			dest[i] = &values[i]
		}
		fmt.Fprintf(&text, "\n  row %d:", n)
		if err := rows.Scan(dest...); err != nil {
			text.WriteString(" " + e.shown(err))
			continue
		}
		for _, v := range values {
			text.WriteString(" " + shown(v))
		}
	}
	fmt.Fprintf(&text, "\n  err %s, close %s", e.shown(rows.Err()), e.shown(rows.Close()))
	e.see(label, printedText(text.String()))
}

func shownColumns(rows *sql.Rows) string {
	types, err := rows.ColumnTypes()
	if err != nil {
		return shown(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d columns", len(types))
	for _, ct := range types {
		length, hasLength := ct.Length()
		precision, scale, hasScale := ct.DecimalSize()
		nullable, known := ct.Nullable()
		fmt.Fprintf(&text, "\n  column %q %s length %d %t decimal %d %d %t nullable %t %t scan %v", ct.Name(), typeName(ct), length, hasLength,
			precision, scale, hasScale, nullable, known, ct.ScanType())
	}
	return text.String()
}

// typeName is the name of a column's type, "own" for one of this database: pgx has its OID only.
func typeName(ct *sql.ColumnType) string {
	const firstOwn = 16384
	if oid, err := strconv.Atoi(ct.DatabaseTypeName()); err == nil && oid >= firstOwn {
		return "own"
	}
	return ct.DatabaseTypeName()
}

// exec notes all there is to an Exec.
func (e *conformanceEnv) exec(label string, r sqlRunner, query string, args ...any) {
	e.Helper()
	if _, isStmt := r.(boundStmt); !isStmt {
		args = e.args(args)
	}
	result, err := r.ExecContext(e.ctx, query, args...)
	if err != nil {
		e.see(label, err)
		return
	}
	affected, affectedErr := result.RowsAffected()
	id, idErr := result.LastInsertId()
	e.see(label, affected, affectedErr, id, idErr)
}

func (e *conformanceEnv) conn(db *sql.DB) *sql.Conn {
	e.Helper()
	conn, err := db.Conn(e.ctx)
	require.NoError(e, err)
	e.after(conn.Close)
	return conn
}

func (e *conformanceEnv) begin(b interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}, opts *sql.TxOptions) *sql.Tx {
	e.Helper()
	tx, err := b.BeginTx(e.ctx, opts)
	require.NoError(e, err)
	e.after(tx.Rollback)
	return tx
}

func (e *conformanceEnv) prepare(p interface {
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}, query string) *sql.Stmt {
	e.Helper()
	stmt, err := p.PrepareContext(e.ctx, query)
	require.NoError(e, err)
	e.after(stmt.Close)
	return stmt
}

// onPgx runs f on the connection of pgx that conn holds.
func onPgx(conn *sql.Conn, f func(*pgx.Conn) error) error {
	return conn.Raw(func(c any) error { return f(c.(interface{ Conn() *pgx.Conn }).Conn()) })
}

// printedText is text to be shown as it is.
type printedText string

var addressPattern = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+`)

// shown prints v. What an error may show with redaction on is what package redact leaves of pgx's; what it makes of the
// identifiers of a text that it knows is tested elsewhere.
func (e *conformanceEnv) shown(v any) string {
	err, ok := v.(error)
	if !ok || !e.variant.redacted {
		return shown(v)
	}
	aboveDriver := strings.HasPrefix(err.Error(), "sql: ")
	if aboveDriver || e.variant.pgx() && err != pgx.ErrTxCommitRollback && err != pgx.ErrTxClosed { // package redact does not know pgx's
		err = redact.Error(err)
	}
	return identifying.ReplaceAllString(shownError(err), `$1"…"`)
}

// identifying is the message of an error that may quote an identifier.
var identifying = regexp.MustCompile(`( 42\w{3}: )"(?:[^"\\]|\\.)*"`)

// shown prints a value with its type, long ones as a digest.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case printedText:
		return string(v)
	case error:
		return shownError(v)
	case time.Time:
		return fmt.Sprintf("time.Time(%s %v)", v.Format(time.RFC3339Nano), v.Location())
	case []byte:
		return shownBytes("[]byte", v)
	case sql.RawBytes:
		return shownBytes("RawBytes", v)
	case string:
		if len(v) <= mostShown {
			v = strconv.Quote(v)
		}
		return "string(" + digestOf(v) + ")"
	}
	switch rv := reflect.ValueOf(v); {
	case rv.Kind() == reflect.Pointer && !rv.IsNil():
		return "*" + shown(rv.Elem().Interface())
	case rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Pointer:
		elements := make([]string, rv.Len())
		for i := range elements {
			elements[i] = shown(rv.Index(i).Interface())
		}
		return fmt.Sprintf("%T%v", v, elements)
	}
	return digestOf(fmt.Sprintf("%T(%#v)", v, v))
}

func shownBytes(name string, b []byte) string {
	if b == nil {
		return name + "(nil)"
	}
	return name + "(" + digestOf(hex.EncodeToString(b)) + ")"
}

const mostShown = 500

func digestOf(s string) string {
	if len(s) <= 2*mostShown {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%q… %d bytes %x", s[:20], len(s), sum[:8])
}

// sentinels are the errors that programs compare with.
var sentinels = map[string]error{
	"context.Canceled": context.Canceled, "context.DeadlineExceeded": context.DeadlineExceeded, "sql.ErrNoRows": sql.ErrNoRows,
	"sql.ErrTxDone": sql.ErrTxDone, "sql.ErrConnDone": sql.ErrConnDone, "driver.ErrBadConn": sqldriver.ErrBadConn, "io.EOF": io.EOF,
	"io.ErrUnexpectedEOF": io.ErrUnexpectedEOF, "pgx.ErrTxCommitRollback": pgx.ErrTxCommitRollback, "pgx.ErrNoRows": pgx.ErrNoRows,
	"pganon.ErrNoIdentity": pganon.ErrNoIdentity, "pganon.ErrInvalidIdentity": pganon.ErrInvalidIdentity, "pgx.ErrTxClosed": pgx.ErrTxClosed,
}

// shownError prints what a program can find out about an error.
func shownError(err error) string {
	if pgErr, ok := err.(*pgconn.PgError); ok { // as GORM looks for it
		return shownPgError(pgErr)
	}
	var names []string
	for name, sentinel := range sentinels {
		switch {
		case err == sentinel:
			names = append(names, "== "+name)
		case errors.Is(err, sentinel):
			names = append(names, "is "+name)
		}
	}
	slices.Sort(names)
	if pgconn.Timeout(err) {
		names = append(names, "timeout")
	}
	var pgErr *pgconn.PgError
	switch {
	case !errors.As(err, &pgErr):
		return fmt.Sprintf("error(%s)%v", digestOf(addressPattern.ReplaceAllString(err.Error(), "ADDRESS")), names)
	case len(names) == 0 && err.Error() == pgErr.Error():
		return wrappedMark + shownPgError(pgErr)
	}
	return fmt.Sprintf("error(%s)%v with %s", digestOf(err.Error()), names, shownPgError(pgErr))
}

// shownPgError prints all of an error of the server but where in its source it comes from.
func shownPgError(e *pgconn.PgError) string {
	text := fmt.Sprintf("%s (%s) %s: %q at %d", e.Severity, e.SeverityUnlocalized, e.Code, e.Message, e.Position)
	for _, field := range [][2]string{
		{"detail", e.Detail}, {"hint", e.Hint}, {"query", e.InternalQuery}, {"where", e.Where}, {"schema", e.SchemaName}, {"table", e.TableName},
		{"column", e.ColumnName}, {"type", e.DataTypeName}, {"constraint", e.ConstraintName},
	} {
		if field[1] != "" {
			text += fmt.Sprintf(", %s %q", field[0], field[1])
		}
	}
	if e.InternalPosition != 0 {
		text += fmt.Sprintf(", at %d of the query", e.InternalPosition)
	}
	return text
}

const wrappedMark = "wrapped "

// errorClass is what of an error does not depend on when it came.
func (e *conformanceEnv) errorClass(err error) printedText {
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, context.Canceled):
		return "context.Canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "context.DeadlineExceeded"
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return printedText("SQLSTATE " + pgErr.Code)
	}
	return printedText(e.shown(err))
}

// observeCase runs a case in a variant and returns what it saw.
func observeCase(t *testing.T, s *conformanceSite, c conformanceCase, v conformanceVariant, mode namedExecMode, call *namedExecMode) []observation {
	e := &conformanceEnv{T: t, site: s, variant: v, mode: mode, call: call, labels: map[string]bool{}}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	e.ctx = e.scoped(ctx)
	defer e.end()
	e.db = e.open(handleOptions{})
	own := e.ends
	e.ends = nil
	c.run(e)
	e.end()
	e.ends = own
	require.NotEmpty(t, e.log, "the case saw nothing")
	var alive int
	err := e.db.QueryRowContext(e.ctx, "select 1").Scan(&alive)
	e.see("at the end: query", alive, err)
	var user string
	require.NoError(t, e.db.QueryRowContext(e.ctx, "select current_user").Scan(&user))
	if slices.Contains(underRole, v.name) {
		require.Equal(t, s.member, user)
	} else {
		require.Equal(t, s.login, user)
	}
	e.see("at the end: connections opened", e.opened.Load())
	return e.log
}

// compareRuns reports where two runs of a case differ and no entry of the table says why.
func compareRuns(t *testing.T, version int, name, mode, variant string, want, got []observation) {
	t.Helper()
	find := func(log []observation, label string) string {
		for _, o := range log {
			if o.label == label {
				return o.text
			}
		}
		return "(not seen)"
	}
	labels := make([]string, 0, len(want))
	for _, o := range slices.Concat(want, got) {
		if !slices.Contains(labels, o.label) {
			labels = append(labels, o.label)
		}
	}
	for _, label := range labels {
		w, g := find(want, label), find(got, label)
		if w == g {
			continue
		}
		explained := slices.ContainsFunc(differences, func(d *difference) bool {
			return d.explains(version, name, label, mode, variant, w, g)
		})
		if !explained {
			w, g = differingLines(w, g)
			t.Errorf("%s\n--- pgx\n%s\n--- pganon (%s, %s)\n%s", label, w, variant, mode, g)
		}
	}
}

// differingLines returns the lines of two texts that are not the same.
func differingLines(a, b string) (string, string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(as) != len(bs) {
		return a, b
	}
	var onlyA, onlyB []string
	for i := range as {
		if as[i] != bs[i] {
			onlyA, onlyB = append(onlyA, as[i]), append(onlyB, bs[i])
		}
	}
	return strings.Join(onlyA, "\n"), strings.Join(onlyB, "\n")
}

// raceEnabled is true in what the race detector has instrumented.
var raceEnabled bool

func TestConformance(t *testing.T) {
	if raceEnabled {
		t.Skip("it does one thing after another: make test runs it without the race detector")
	}
	var version atomic.Int64
	passed := t.Run("mode", func(t *testing.T) {
		for i, mode := range execModes {
			t.Run(mode.dsn, func(t *testing.T) {
				t.Parallel()
				s := newConformanceSite(t)
				version.Store(int64(s.version))
				runConformance(t, s, mode, nil)
				// The next mode as an argument, on connections whose default is this one.
				call := execModes[(i+1)%len(execModes)]
				t.Run("call "+call.dsn, func(t *testing.T) { runConformance(t, s, mode, &call) })
			})
		}
	})
	if filter := flag.Lookup("test.run").Value.String(); !passed || strings.Contains(filter, "/") {
		return
	}
	for _, d := range differences {
		if !d.occurred.Load() && int(version.Load()) >= d.since {
			t.Errorf("a difference that does not occur (any more): %s, %s: %s", d.cases, d.labels, d.reason)
		}
	}
}

func runConformance(t *testing.T, s *conformanceSite, mode namedExecMode, call *namedExecMode) {
	modeName := mode.dsn
	if call != nil {
		modeName = "call " + call.dsn
	}
	for _, c := range conformance {
		if call != nil && !c.perCall {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			want := map[bool][]observation{}
			for _, v := range c.variants(s, mode, call != nil) {
				if want[v.redacted] == nil {
					yardstick := plainPgx(v.redacted)
					t.Run(yardstick.name, func(t *testing.T) { want[v.redacted] = observeCase(t, s, c, yardstick, mode, call) })
					require.NotEmpty(t, want[v.redacted])
				}
				t.Run(v.name, func(t *testing.T) {
					compareRuns(t, s.version, c.name, modeName, v.name, want[v.redacted], observeCase(t, s, c, v, mode, call))
				})
			}
		})
	}
}
