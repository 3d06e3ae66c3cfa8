package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/scope"
	"github.com/pganon/pganon/internal/tagged"
)

// conn is the identity conn: every statement that goes through it carries what it runs as.
type conn struct {
	connector *connector
	std       *stdlib.Conn
	pgx       *pgx.Conn
	pg        *pgconn.PgConn
	mode      pgx.QueryExecMode
	named     bool // settings are a named statement: the mode keeps statements on the session
	broken    bool // its state is unsure

	// What the connection remembers can only make it send more.
	seen    bool   // an identity has been here
	left    bool   // something is left on the session
	leftBy  string // by the principal of this key
	lastKey string // of the last principal
	plans   string // role of all plans on the session, mixed where it is not one
	shapes  map[*shape]*settingStatement
	nonce   string        // in the names of our statements
	locals  []guc.Setting // PostgreSQL's own settings sent in the open transaction, with the values to go back to
	// An identity's SQL can DEALLOCATE a statement of ours and PREPARE another under its name. Where that may have
	// happened a new epoch begins: each name is closed and parsed again, in the write that uses it next.
	epoch     int
	sent      settingsBatch
	unseen    bool // there may be prepared statements that we have not seen
	pgxForgot bool // the statements of pgx's own cache are gone

	base      []guc.Setting         // values of PostgreSQL's own settings when the session was new
	described *statementCache       // texts with a named statement
	unnamed   *statementCache       // texts with a description only
	names     map[string]*described // whose statement a name is on the session
	closing   []string              // names of statements that nobody wants any more
	prepared  []string              // names of the application's own PREPARE
	texts     map[string]*text
	eqb       pgx.ExtendedQueryBuilder

	tx     *tx
	writer *principal // of the last statement of the open transaction that may have written

	// Of encrypted columns: the tags as the open transaction has changed them, whether it has changed them since, and the
	// search paths that hold on this session where something may have set one.
	ownTags   *tagged.Schema
	changed   bool
	temporary bool // it may have made a temporary table since the tags were read
	ownPath   bool
	movedInTx bool
	paths     map[pathKey][]string
	pathEpoch int
	last      *rows // of the last query
	unplanned passage
}

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
)

// mixed is the key of leftovers that no one principal has left.
const mixed = "\x00"

func (c *conn) Close() error                                { return c.std.Close() }
func (c *conn) CheckNamedValue(nv *driver.NamedValue) error { return c.std.CheckNamedValue(nv) }
func (c *conn) Ping(ctx context.Context) error              { return c.std.Ping(ctx) }
func (c *conn) IsValid() bool                               { return !c.broken && !c.pgx.IsClosed() }

func (c *conn) ResetSession(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	if c.connector.cfg.session() == sessionAlways {
		c.left, c.leftBy = true, mixed
	}
	return c.std.ResetSession(ctx)
}

// ExecContext runs query as what ctx says.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(ctx, query, args, nil)
}

// QueryContext runs query as what ctx says. Its rows have succeeded only when Next has said io.EOF.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(ctx, query, args, nil)
}

func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue, st *stmt) (driver.Result, error) {
	if !c.IsValid() {
		return nil, driver.ErrBadConn
	}
	cl := call{sql: query, args: values(args), stmt: st, passage: c.passageOf(ctx)}
	if err := c.run(ctx, &cl); err != nil {
		return nil, c.retryable(err)
	}
	return driver.RowsAffected(cl.tag.RowsAffected()), nil
}

func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue, st *stmt) (driver.Rows, error) {
	if !c.IsValid() {
		return nil, driver.ErrBadConn
	}
	cl := call{sql: query, args: values(args), stmt: st, wantRows: true, passage: c.passageOf(ctx)}
	if err := c.run(ctx, &cl); err != nil {
		return nil, c.retryable(err)
	}
	c.last = cl.rows
	return cl.rows, nil
}

func values(named []driver.NamedValue) []any {
	if len(named) == 0 {
		return nil
	}
	args := make([]any, len(named))
	for i := range named {
		args[i] = named[i].Value
	}
	return args
}

// retryable turns an error that came before anything was sent into the one on which database/sql tries again.
func (c *conn) retryable(err error) error {
	if err = c.unretryable(err); pgconn.SafeToRetry(err) {
		return driver.ErrBadConn
	}
	return err
}

// unretryable is retryable for what pgx's stdlib does not have tried again, Begin and Prepare.
func (c *conn) unretryable(err error) error {
	switch {
	case errors.Is(err, errUnsent):
		return driver.ErrBadConn
	case errors.Is(err, pgconn.ErrConnClosed):
		// The call began on an open connection, so it was lost on the way and the statement may have committed. pgx
		// says of this error that it is safe to retry, which it is only where the connection was closed before.
		return errLost
	case c.pgx.IsClosed() && pgconn.SafeToRetry(err):
		return driver.ErrBadConn
	}
	return err
}

var errLost = fmt.Errorf("pganon: connection lost while a statement ran, which may have succeeded: %w", io.ErrUnexpectedEOF)

// A call is one statement on its way.
type call struct {
	sql      string
	args     []any
	stmt     *stmt     // nil unless it was prepared
	pinned   *pinnedTx // nil unless it is of InTx
	passage  *passage  // nil unless it meets encrypted columns
	wantRows bool

	text    *text
	who     *principal
	mode    pgx.QueryExecMode
	formats pgx.QueryResultFormats
	byOID   pgx.QueryResultFormatsByOID
	// formatted is true where byOID was given: it stands in for the formats of database/sql, even if it is nil.
	formatted bool
	start     time.Time

	discarded bool // in the simple protocol: plans of other roles went before it
	rows      *rows
	tag       pgconn.CommandTag
}

// named says that the statement runs as an identity or a masked role, not as the login role on purpose.
func (cl *call) named() bool { return cl.who == nil || !cl.who.login }

// maxParams is what the protocol has room for; one more would end the connection.
const maxParams = math.MaxUint16

var errTooMany = fmt.Errorf("pganon: run statement: extended protocol limited to %d parameters", maxParams)

// enter finds out what a call is and what it runs as; who is nil for transaction control that runs as nobody.
func (c *conn) enter(ctx context.Context, cl *call) error {
	cl.mode = c.mode
	if err := c.options(ctx, cl); err != nil {
		return err
	}
	cl.text = c.textOf(cl.sql)
	if err := c.refresh(ctx); err != nil {
		return err
	}
	who, err := c.principal(ctx)
	switch {
	case err == nil:
	case errors.Is(err, pganon.ErrNoIdentity) && cl.text.control() && !cl.text.several:
		// The end of a transaction runs as whoever wrote in it; the rest of transaction control as nobody.
		if cl.text.kind == kindCommit {
			who = c.writer
		}
	default:
		return err
	}
	if p := cl.passage; p != nil && p.who != nil && (who == nil || who.pathKey != p.who.pathKey || who.masked != p.who.masked) {
		return errReplan
	}
	cl.who = who
	return nil
}

// guards are those of the call's plan.
func (cl *call) guards() *guards {
	if cl.passage == nil || cl.passage.planned == nil {
		return nil
	}
	return cl.passage.planned.guards
}

// encrypts says whether the call's plan encrypts any parameter.
func (cl *call) encrypts() bool {
	return cl.passage != nil && cl.passage.planned != nil && cl.passage.planned.plan != nil && cl.passage.planned.plan.Encrypts()
}

func (c *conn) run(ctx context.Context, cl *call) error {
	sql, args := cl.sql, cl.args
	if err := c.enter(ctx, cl); err != nil {
		return err
	}
	if (cl.who == nil || cl.who.login) && !c.seen && cl.guards() == nil {
		cl.sql = sql // a rewriter runs once, inside pgx
		return c.runPlain(ctx, cl, args)
	}
	if cl.who != nil && !cl.who.login {
		c.seen = true
	}
	cl.start = time.Now()
	traced := c.connector.tracer.start(ctx, c.pgx, sql)
	err := c.runAs(ctx, cl)
	if cl.rows == nil {
		c.connector.tracer.end(traced, c.pgx, cl, err)
		c.connector.logStatement(ctx, cl, err)
		return err
	}
	if finish := cl.rows.finish; c.connector.watched() {
		cl.rows.finish = func(tag pgconn.CommandTag, err error) error {
			err = finish(tag, err)
			cl.tag = tag
			c.connector.tracer.end(traced, c.pgx, cl, err)
			c.connector.logStatement(ctx, cl, err)
			return err
		}
	}
	if err := cl.rows.start(); err != nil {
		cl.rows = nil
		return err
	}
	return nil
}

// options takes pgx's leading option arguments, which mean what they mean in pgx.
func (c *conn) options(ctx context.Context, cl *call) error {
	var rewriter pgx.QueryRewriter
options:
	for len(cl.args) > 0 {
		switch arg := cl.args[0].(type) {
		case pgx.QueryResultFormats:
			if !cl.wantRows {
				break options
			}
			cl.formats = arg
		case pgx.QueryResultFormatsByOID:
			if !cl.wantRows {
				break options
			}
			cl.byOID, cl.formatted = arg, true
		case pgx.QueryExecMode:
			cl.mode = arg
		case pgx.QueryRewriter:
			rewriter = arg
		default:
			break options
		}
		cl.args = cl.args[1:]
	}
	if rewriter == nil {
		return nil
	}
	var raw *pgx.Conn
	if c.connector.cfg.rawAllowed() {
		raw = c.pgx
	}
	var err error
	if cl.sql, cl.args, err = rewriter.RewriteQuery(ctx, raw, cl.sql, cl.args); err != nil {
		return fmt.Errorf("rewrite query failed: %w", err)
	}
	return nil
}

// refresh reads the catalog again where its last reading has grown old. Not inside a transaction, where it could see
// what another transaction has not committed, or fail.
func (c *conn) refresh(ctx context.Context) error {
	ps := c.connector.principals
	cat := ps.catalog.Load()
	if time.Since(cat.readAt) < catalogAge || c.pg.TxStatus() != 'I' || !c.connector.refreshing.CompareAndSwap(false, true) {
		return nil
	}
	defer c.connector.refreshing.Store(false)
	fresh, err := readCatalog(ctx, c.pg)
	if err != nil {
		return err
	}
	ps.catalog.Store(fresh)
	return nil
}

func (c *conn) principal(ctx context.Context) (*principal, error) {
	var outer *scope.Scope
	if c.tx != nil {
		outer = c.tx.scope
	}
	return c.connector.principals.of(ctx, outer)
}

// runPlain is plain pgx: the login role on a connection that has never seen an identity.
func (c *conn) runPlain(ctx context.Context, cl *call, args []any) error {
	defer c.leave(cl.text, "")
	defer c.noteChange(cl.text)
	finish := func(_ pgconn.CommandTag, err error) error { return err }
	if c.connector.logs() {
		cl.start = time.Now()
		finish = func(tag pgconn.CommandTag, err error) error {
			cl.tag = tag
			c.connector.logStatement(ctx, cl, err)
			return err
		}
	}
	if !cl.wantRows {
		tag, err := c.pgx.Exec(ctx, cl.sql, args...)
		cl.tag = tag
		return finish(tag, err)
	}
	withFormats := make([]any, 1, len(args)+1)
	withFormats[0] = resultFormats
	pgxRows, err := c.pgx.Query(ctx, cl.sql, append(withFormats, args...)...)
	if err != nil {
		return finish(pgconn.CommandTag{}, err)
	}
	cl.rows = &rows{conn: c, plain: pgxRows, finish: finish}
	if err := cl.rows.start(); err != nil {
		cl.rows = nil
		return err
	}
	return nil
}

// leave notes that t may leave something on the session.
func (c *conn) leave(t *text, key string) {
	if t.forgets {
		c.forget()
	}
	if !t.leaves {
		return
	}
	if c.left && c.leftBy != key {
		key = mixed
	}
	c.left, c.leftBy = true, key
	if t.prepares != "" && !slices.Contains(c.prepared, t.prepares) {
		c.prepared = append(c.prepared, t.prepares)
	}
}

// situation says all that decides what goes on the wire for t.
func (c *conn) situation(who *principal, t *text) situation {
	s := situation{kind: t.kind, status: c.pg.TxStatus(), nobody: who == nil, unsettles: t.leaves}
	key := mixed
	if who != nil {
		key = who.key
		s.login = who.login
		s.readOnly = who.readOnly
		s.plans = c.plans != who.role && c.connector.principals.catalog.Load().transparent
	}
	s.leftovers = c.leftovers(key)
	s.txReadOnly = c.tx != nil && c.tx.readOnly
	return s
}

func (c *conn) leftovers(key string) bool {
	switch c.connector.cfg.session() {
	case sessionKeep:
		return false
	case sessionAlways:
		return c.left || c.lastKey != key
	}
	return c.left && c.leftBy != key
}

// settings returns the settings of who for the next statement on this connection.
func (c *conn) settings(who *principal) (*shape, [][]byte) {
	return c.connector.principals.settings(who, c.locals)
}

// runAs sends a statement with what it runs as before it, in the same write.
func (c *conn) runAs(ctx context.Context, cl *call) error {
	switch {
	case cl.text.copyIn:
		return errCopy
	case cl.text.ours && cl.named():
		return errOurs
	case cl.text.uncertain != nil && c.mode == pgx.QueryExecModeSimpleProtocol:
		return fmt.Errorf("pganon: run statement: split text: %w", cl.text.uncertain)
	}
	s := c.situation(cl.who, cl.text)
	if s.leftovers && s.status == 'I' && (c.connector.cfg.AfterConnect != nil || cl.text.several || c.mode == pgx.QueryExecModeSimpleProtocol) {
		if err := c.clean(ctx); err != nil {
			return err
		}
		s = c.situation(cl.who, cl.text)
	}
	if cl.mode == pgx.QueryExecModeSimpleProtocol {
		if c.mode == pgx.QueryExecModeSimpleProtocol {
			return c.runSimple(ctx, cl, s)
		}
		cl.mode = pgx.QueryExecModeExec
	}
	if !cl.wantRows && len(cl.args) == 0 && cl.stmt == nil {
		if cl.text.several || cl.text.copyOut {
			return c.runSeveral(ctx, cl, s)
		}
		cl.mode = pgx.QueryExecModeExec // as pgx, which uses no named statement here
	}
	if cl.text.control() || s.status == 'E' || cl.text.empty {
		cl.mode = pgx.QueryExecModeExec
	}
	err := c.fly(ctx, cl, s)
	committed := s.login && (s.kind == kindBlock || s.kind == kindAlone) // it may have, in part: never twice
	if err != nil && s.status == 'I' && !committed && c.lost(err) {
		c.forget()
		err = c.fly(ctx, cl, c.situation(cl.who, cl.text))
	}
	return err
}

var errOurs = errors.New("pganon: run statement: it names a prepared statement of the driver's, which are not the application's to use")

// clean removes what is left on the session, in a round trip of its own, and lets AfterConnect set again what it had set.
func (c *conn) clean(ctx context.Context) error {
	var err error
	if c.mode == pgx.QueryExecModeSimpleProtocol {
		c.unseen = true // what PREPARE has left cannot be closed by name without failing where it is gone
		_, err = c.pg.Exec(ctx, strings.Join(c.cleaning(), ";")).ReadAll()
	} else {
		err = c.launch(ctx, nil, planClean, nil).untilText()
	}
	if err != nil {
		c.abandon()
		return c.stepError(stepClean, nil, err)
	}
	c.cleaned()
	if hook := c.connector.cfg.AfterConnect; hook != nil {
		if err := hook(ctx, c.pgx); err != nil {
			c.abandon()
			return err
		}
	}
	return nil
}

func (c *conn) cleaned() {
	c.left, c.lastKey = false, ""
	if c.ownPath {
		c.repath(c.connector.cfg.AfterConnect != nil)
	}
}

var errCopyOut = errors.New("pganon: run statement: COPY TO STDOUT has no rows: use Exec, or driver.InTx")

var errCopy = errors.New("pganon: run statement: COPY FROM STDIN needs a stream: use driver.InTx and CopyFrom of the pgx.Tx it gives")

// lost says that the session does not have a statement of ours any more (DEALLOCATE ALL, DISCARD ALL, a pooler).
func (c *conn) lost(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "26000" && c.pg.TxStatus() == 'I' && !c.pgx.IsClosed()
}

// forget forgets all names. What of them is on the server still is closed before its name is used again.
func (c *conn) forget() {
	clear(c.shapes)
	clear(c.names)
	c.described.forget()
	c.closing, c.prepared = nil, nil
	c.unseen = false
	c.epoch++
}

// fly sends a statement that is one command, after a first flight that describes it where the mode asks for that.
func (c *conn) fly(ctx context.Context, cl *call, s situation) error {
	if len(cl.args) > maxParams {
		return errTooMany
	}
	steps, err := plan(s)
	if err != nil {
		return err
	}
	d, err := c.describe(ctx, cl, s)
	if err != nil {
		return err
	}
	if d != nil && (s.leftovers || s.plans) {
		// The first flight may have cleaned up already.
		if steps, err = plan(c.situation(cl.who, cl.text)); err != nil {
			return err
		}
	}
	if cl.pinned != nil && c.seen {
		steps = slices.Insert(slices.Clone(steps), len(steps)-1, stepRestore)
	}
	if d == nil && cl.wantRows && cl.text.copyOut {
		return errCopyOut
	}
	if err := c.witness(ctx, cl, d, s); err != nil {
		return err
	}
	msg := message{sql: cl.sql, guards: cl.guards()}
	var sd *pgconn.StatementDescription
	if d != nil {
		sd = d.sd
		msg.sd, msg.sql, msg.oids = sd, sd.SQL, sd.ParamOIDs
		if len(sd.ParamOIDs) != len(cl.args) {
			c.invalidate(d)
			if cl.wantRows { // as pgx, whose Exec lets the builder count
				return fmt.Errorf("expected %d arguments, got %d", len(sd.ParamOIDs), len(cl.args))
			}
		}
	}
	if err := c.eqb.Build(c.pgx.TypeMap(), sd, cl.args); err != nil {
		if d != nil {
			c.invalidate(d) // the types may have changed since
		}
		return err
	}
	msg.values, msg.formats = c.eqb.ParamValues, c.eqb.ParamFormats
	shared := d // serves the result too: a named statement's cannot change, or the server says so
	if sd != nil {
		switch {
		case cl.wantRows && cl.byOID == nil && cl.pinned == nil && !cl.formatted:
			if d.formats == nil {
				d.formats = formatsFor(sd, resultFormats)
			}
			msg.results = d.formats
		case cl.byOID != nil:
			msg.results, shared = formatsFor(sd, cl.byOID), nil
		case cl.formats != nil:
			msg.results, shared = cl.formats, nil
		default:
			msg.results, shared = slices.Clone(c.eqb.ResultFormats), nil
		}
		if len(sd.Fields) == 0 || sd.Name == "" {
			shared = nil // described at execution
		}
	}
	f := c.launch(ctx, cl.who, c.reparsed(steps, d, &msg), &msg)
	defer func() {
		if f.parsed != nil {
			d.epoch = f.epoch
		}
	}()
	if err := f.untilText(); err != nil {
		return c.uncertain(cl, c.landed(f, cl, d))
	}
	if !cl.wantRows {
		f.end()
		cl.tag = f.tag
		return c.uncertain(cl, c.landed(f, cl, d))
	}
	cl.rows = &rows{conn: c, flight: f, desc: shared, finish: func(pgconn.CommandTag, error) error { return c.landed(f, cl, d) }}
	return nil
}

// reparsed puts the Parse of d before its use where its name may stand for another statement by now.
func (c *conn) reparsed(steps []step, d *described, msg *message) []step {
	if d == nil || d.sd.Name == "" || d.epoch == c.epoch && !slices.Contains(steps, stepClean) {
		return steps
	}
	msg.reparse, msg.types = true, d.types
	return slices.Insert(slices.Clone(steps), slices.Index(steps, stepText), stepParse)
}

// uncertain says why a text was sent as one command, where the server has found it to be more than one.
func (c *conn) uncertain(cl *call, err error) error {
	var pgErr *pgconn.PgError
	if cl.text.uncertain == nil || cl.wantRows || !errors.As(err, &pgErr) || pgErr.Code != "42601" {
		return err
	}
	return fmt.Errorf("pganon: run statement: the text was sent as one command, since it cannot be split with certainty: %w: %w", cl.text.uncertain, err)
}

func formatsFor(sd *pgconn.StatementDescription, byOID pgx.QueryResultFormatsByOID) []int16 {
	formats := make([]int16, len(sd.Fields))
	for i := range formats {
		formats[i] = byOID[sd.Fields[i].DataTypeOID]
	}
	return formats
}

var (
	errNoStatementCache   = errors.New("cannot use QueryExecModeCacheStatement with disabled statement cache")
	errNoDescriptionCache = errors.New("cannot use QueryExecModeCacheDescribe with disabled description cache")
)

// describe returns the text as the role has had it parsed, nil where the mode needs no description. Where the connection
// has none yet it asks for one, in a round trip of its own, as pgx does.
func (c *conn) describe(ctx context.Context, cl *call, s situation) (*described, error) {
	cache, named := c.described, true
	switch {
	case cl.text.control() || s.status == 'E' || cl.text.empty:
		return nil, nil
	case cl.stmt != nil:
		if d := c.current(cl, cl.stmt.described(cl.who)); d != nil {
			return d, nil
		}
		if named = c.mode == pgx.QueryExecModeCacheStatement || c.mode == pgx.QueryExecModeDescribeExec; !named {
			cache = c.unnamed
		}
	case cl.mode == pgx.QueryExecModeCacheStatement:
		if cache.capacity <= 0 {
			return nil, errNoStatementCache
		}
	case cl.mode == pgx.QueryExecModeCacheDescribe:
		if cache, named = c.unnamed, false; cache.capacity <= 0 {
			return nil, errNoDescriptionCache
		}
	case cl.mode == pgx.QueryExecModeDescribeExec:
		cache, named = nil, false
	case cl.mode == pgx.QueryExecModeExec:
		return nil, nil
	default:
		return nil, fmt.Errorf("unknown QueryExecMode: %v", cl.mode)
	}
	if cache != nil {
		if d := c.current(cl, cache.get(cl.who.tag, cl.sql)); d != nil {
			cl.stmt.pin(d)
			return d, nil
		}
	}
	d := &described{text: cl.sql, tag: cl.who.tag, pathEpoch: c.pathEpoch, sd: &pgconn.StatementDescription{SQL: cl.sql}}
	msg := message{sd: d.sd, guards: cl.guards()}
	encrypts := cl.encrypts()
	if named {
		d.sd.SQL = roleText(cl.sql, cl.who.tag)
		d.sd.Name = statementName(d.sd.SQL, c.nonce)
		if known := c.current(cl, c.names[d.sd.Name]); known != nil && !known.stale { // held by a stmt only, or by another one
			cl.stmt.pin(known)
			cache.put(known)
			return known, nil
		}
		if encrypts {
			msg.sd = &pgconn.StatementDescription{SQL: d.sd.SQL} // its name is parsed with types, at its first execution
		} else {
			msg.reparse = c.reclaim(d.sd.Name)
		}
	}
	traced := c.connector.tracer.TracePrepareStart(ctx, c.pgx, pgx.TracePrepareStartData{Name: d.sd.Name, SQL: cl.sql})
	f := c.launch(ctx, cl.who, planFirst(s), &msg)
	_ = f.untilText()
	err := c.landed(f, cl, nil)
	if err == nil && f.parsed == nil {
		err = errProtocol
	}
	c.connector.tracer.TracePrepareEnd(traced, c.pgx, pgx.TracePrepareEndData{Err: err})
	if err != nil {
		return nil, err
	}
	d.sd.ParamOIDs, d.sd.Fields = f.parsed.ParamOIDs, f.parsed.Fields
	if p := cl.passage; p != nil && p.planned != nil {
		types, err := p.planned.plan.Types(d.sd.ParamOIDs)
		if err := c.connector.vault.agree(p.tags, d.sd.ParamOIDs, err); err != nil {
			return nil, err
		}
		d.sd.ParamOIDs = types
		if d.witnessed = p.planned; encrypts {
			d.types = d.sd.ParamOIDs
		}
	}
	if named {
		c.names[d.sd.Name] = d
		if d.epoch = f.epoch; encrypts {
			d.epoch = -1
		}
	}
	cl.stmt.pin(d)
	if cache != nil {
		cache.put(d)
	}
	return d, nil
}

// current returns d unless it has to be described anew: where the search path may have changed since, names may mean other tables,
// whose parameters have other types, which matters where some are encrypted.
func (c *conn) current(cl *call, d *described) *described {
	if d == nil {
		return nil
	}
	switch tags, p := c.connector.vault.tags.Load(), cl.passage; {
	case p != nil && p.planned != nil && d.witnessed == p.planned && d.pathEpoch == c.pathEpoch:
		return d
	case p != nil && p.planned != nil: // described for another plan, perhaps of other tables
	case tags == nil || tags.Empty() || d.pathEpoch == c.pathEpoch:
		return d
	}
	c.invalidate(d)
	return nil
}

// landed takes stock after a flight: what the connection is now, and what the error says.
func (c *conn) landed(f *flight, cl *call, d *described) error {
	who := cl.who
	status := c.pg.TxStatus()
	err := f.err
	cleaned, began, set, executed := f.has(stepClean), f.has(stepBegin) || f.has(stepBeginReadOnly), f.has(stepSettings), f.has(stepText)
	if cleaned {
		if err == nil {
			c.cleaned()
		} else if f.failedAt == stepClean || f.failedAt == stepSync {
			c.abandon()
		}
	}
	if began && status != 'I' {
		c.abandon() // the block that we began did not end
	}
	if executed {
		key := mixed
		if who != nil {
			key = who.key
		}
		c.leave(cl.text, key)
		c.distrust(cl.text, who)
		c.noteChange(cl.text)
	}
	if set {
		c.lastKey = who.key
		if c.plans != who.role && (err != nil || !f.has(stepDiscardPlans)) {
			c.plans = mixed
		} else {
			c.plans = who.role
		}
	}
	c.transactionIs(status, who, set)
	if err == nil {
		return nil
	}
	if d != nil && f.failedAt == stepText && staleable(err) {
		c.invalidate(d)
	}
	if f.has(stepParse) || d != nil {
		err = withoutComment(err, cl)
	}
	if cl.guards() != nil && f.failedAt == stepSettings {
		if guarded, ok := guardError(err); ok {
			return guarded
		}
	}
	return c.stepError(f.failedAt, who, err)
}

// transactionIs notes what an open transaction has had, and forgets it where there is none.
func (c *conn) transactionIs(status byte, who *principal, set bool) {
	if status == 'I' {
		c.locals, c.writer = nil, nil
		if c.movedInTx {
			c.movedInTx = false
			c.repath(true) // SET LOCAL is undone
		}
		return
	}
	if !set {
		return
	}
	if c.writer == nil || !who.readOnly {
		c.writer = who
	}
	for _, s := range who.local {
		c.locals = addLocal(c.locals, guc.Setting{Name: s.Name, Value: c.baseOf(s.Name)})
	}
}

func addLocal(locals []guc.Setting, s guc.Setting) []guc.Setting {
	for _, known := range locals {
		if known.Name == s.Name {
			return locals
		}
	}
	return append(locals, s)
}

func (c *conn) baseOf(name string) string {
	for _, s := range c.base {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// abandon ends a connection whose state is unsure.
func (c *conn) abandon() {
	c.broken = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pgx.Close(ctx)
}

// staleable says whether an error can come from a description that no longer fits: most can, those of the data cannot.
func staleable(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || len(pgErr.Code) != 5 {
		return true
	}
	switch pgErr.Code[:2] {
	case "23", "25", "40", "57", "P0":
		return false
	}
	return true
}

func (c *conn) invalidate(d *described) {
	c.described.invalidate(d)
	c.unnamed.invalidate(d)
}

// dropped is called when neither the cache nor a stmt holds d any more.
func (c *conn) dropped(d *described) {
	if name := d.sd.Name; name != "" && c.names[name] == d {
		delete(c.names, name)
		c.closing = append(c.closing, name)
	}
}

// reclaim says whether the session may have a statement of this name, which has to be closed before the next Parse of it.
func (c *conn) reclaim(name string) bool {
	if i := slices.Index(c.closing, name); i >= 0 {
		c.closing = slices.Delete(c.closing, i, i+1)
		return true
	}
	return c.epoch > 0 || c.names[name] != nil
}

// distrust notes what t, run by an identity, may have done to our statements.
func (c *conn) distrust(t *text, who *principal) {
	if who == nil || who.login {
		return
	}
	if t.dynamic {
		c.unseen = true
	}
	if t.routine {
		c.connector.distrusted.Store(true)
	}
	if t.dynamic || c.connector.distrusted.Load() {
		c.epoch++
	}
}
