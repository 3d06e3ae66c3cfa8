package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon/internal/sqllex"
)

// InTx runs fn in a transaction on sqlConn, as what ctx says: for COPY, batches and large objects, which database/sql has no
// words for. It commits when fn returns nil, else it rolls back and returns fn's error. What fn sends through the pgx.Tx
// carries the identity as every other statement does; a context of its own given to a method counts as it does
// elsewhere. Its errors are redacted as all others are, large objects' excepted; fn's own error is returned as it is. The
// Tx is valid until fn returns. Its Conn is nil unless raw access is allowed, its Prepare is refused
// because statements are prepared for each role by themselves, and so is text that begins or ends a transaction.
//
// sqlConn must not be in a transaction already.
func InTx(ctx context.Context, sqlConn *sql.Conn, fn func(pgx.Tx) error) error {
	return sqlConn.Raw(func(driverConn any) error {
		holder, ok := driverConn.(interface{ identityConn() *conn })
		if !ok {
			return fmt.Errorf("pganon: begin transaction: the connection is a %T, want one of this package's", driverConn)
		}
		return holder.identityConn().inTx(ctx, fn)
	})
}

func (c *conn) inTx(ctx context.Context, fn func(pgx.Tx) error) (err error) {
	t, err := c.beginPinned(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if !t.closed { // fn has failed, or panicked
			if rollbackErr := t.end(t.tx.Rollback); err == nil {
				err = rollbackErr
			}
		}
	}()
	if err := fn(t); err != nil || t.closed {
		return err
	}
	return t.end(t.tx.Commit)
}

// beginPinned begins a transaction whose settings are in force. One that could not be made so is rolled back.
func (c *conn) beginPinned(ctx context.Context) (_ *pinnedTx, err error) {
	defer c.guard(&err, "", nil)
	if c.pg.TxStatus() != 'I' || c.tx != nil {
		return nil, errors.New("pganon: begin transaction: the connection is in one already")
	}
	if err := c.refresh(ctx); err != nil {
		return nil, c.retryable(err)
	}
	if _, err := c.principal(ctx); err != nil {
		return nil, err
	}
	if c.pgxForgot {
		if err := c.pgx.DeallocateAll(ctx); err != nil {
			return nil, err
		}
		c.forget()
		c.pgxForgot = false
	}
	begun, err := c.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, err
	}
	t := &pinnedTx{conn: c, tx: begun.(*tx), savepoints: new(int)}
	if err := t.pin(ctx, t.tx.who); err != nil {
		_ = t.tx.Rollback()
		return nil, err
	}
	return t, nil
}

// pinnedTx is a pgx.Tx whose statements all carry the identity. What does not pass through this package, COPY and large
// objects, finds the transaction's identity in force: it is set again behind every statement.
type pinnedTx struct {
	conn       *conn
	tx         *tx
	savepoint  string // "" for the transaction itself
	savepoints *int
	closed     bool
}

var _ pgx.Tx = (*pinnedTx)(nil)

var (
	errTxText    = errors.New("pganon: run statement: InTx begins and ends the transaction: use the Tx's own methods")
	errTxPrepare = errors.New("pganon: prepare: not in InTx: statements are prepared by themselves, for each role")
	errTxDecrypt = errors.New("pganon: run statement: it reads an encrypted column, which InTx does not decrypt: run it on the *sql.Conn or *sql.Tx")
	errTxMasked  = errors.New("pganon: copy: under a masked role, in a transaction that is not")
)

var errBatchChanged = errors.New("pganon: run batch: a query with arguments, behind one that may change which columns are encrypted: send it in a batch of its own")

// pin puts who's settings in force.
func (t *pinnedTx) pin(ctx context.Context, who *principal) error {
	if who.login && !t.conn.seen {
		return nil
	}
	return t.pinGuarded(ctx, who, nil)
}

// pinGuarded puts who's settings in force, if the names of g mean under them what they have to.
func (t *pinnedTx) pinGuarded(ctx context.Context, who *principal, g *guards) error {
	f := t.conn.launch(ctx, who, planPin, &message{guards: g})
	_ = f.untilText()
	return t.conn.landed(f, &call{text: &text{}, who: who, passage: &passage{planned: &planned{guards: g}}}, nil)
}

// check refuses what is not in the transaction any more.
func (t *pinnedTx) check() error {
	if t.closed || t.conn.tx != t.tx {
		return pgx.ErrTxClosed
	}
	return nil
}

// call makes a statement of what pgx's methods take.
func (t *pinnedTx) call(ctx context.Context, sql string, args []any, wantRows bool) (*call, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := staysInTx(sql); err != nil {
		return nil, err
	}
	return t.encrypted(ctx, &call{sql: sql, args: args, wantRows: wantRows, pinned: t})
}

// encrypted puts a statement's arguments into the form that may leave. Results are not decrypted here: pgx.Rows gives away what
// came over the wire.
func (t *pinnedTx) encrypted(ctx context.Context, cl *call) (*call, error) {
	named := make([]driver.NamedValue, len(cl.args))
	for i, v := range cl.args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	p, err := t.conn.encrypt(ctx, cl.sql, named)
	switch {
	case err != nil || p == nil:
		return cl, err
	case p.answer != nil || p.planned != nil && cl.wantRows && p.planned.plan.Decrypts():
		return nil, errTxDecrypt
	}
	cl.sql, cl.args, cl.passage = p.text, values(p.args), p
	return cl, nil
}

// staysInTx refuses text that begins or ends a transaction, or may.
func staysInTx(sql string) error {
	command, count := sqllex.Classify(sql)
	if count == sqllex.One || count == sqllex.None {
		return staysIn(command)
	}
	commands, err := sqllex.Split(sql)
	if err != nil {
		return fmt.Errorf("pganon: run statement: split text: %w", err)
	}
	for _, c := range commands {
		if err := staysIn(c.Command); err != nil {
			return err
		}
	}
	return nil
}

func staysIn(command sqllex.Command) error {
	switch command.Class {
	case sqllex.Begin, sqllex.Commit, sqllex.Rollback, sqllex.PrepareTransaction:
		return errTxText
	}
	return nil
}

// run runs what pgx's methods take.
func (t *pinnedTx) run(ctx context.Context, sql string, args []any, wantRows bool) (_ *call, err error) {
	defer t.conn.guard(&err, positioned(t.conn.mode, sql, args), nil)
	cl, err := t.call(ctx, sql, args, wantRows)
	if err != nil {
		return nil, err
	}
	return cl, t.conn.run(ctx, cl)
}

func (t *pinnedTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	cl, err := t.run(ctx, sql, args, false)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return cl.tag, nil
}

func (t *pinnedTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	cl, err := t.run(ctx, sql, args, true)
	if err != nil {
		return t.conn.noRows(err), err
	}
	if err := t.conn.undecoded(ctx, cl); err != nil {
		cl.rows.close()
		return t.conn.noRows(err), err
	}
	return &pinnedRows{rows: cl.rows}, nil
}

func (t *pinnedTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, _ := t.Query(ctx, sql, args...)
	return pinnedRow{rows}
}

// Begin sets a savepoint.
func (t *pinnedTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	*t.savepoints++
	nested := &pinnedTx{conn: t.conn, tx: t.tx, savepoints: t.savepoints, savepoint: "pganon_sp_" + strconv.Itoa(*t.savepoints)}
	if _, err := t.Exec(ctx, "savepoint "+nested.savepoint); err != nil {
		return nil, err
	}
	return nested, nil
}

func (t *pinnedTx) Commit(ctx context.Context) error {
	if err := t.check(); err != nil {
		return err
	}
	if t.savepoint != "" {
		_, err := t.Exec(ctx, "release savepoint "+t.savepoint)
		t.closed = true
		return err
	}
	return t.end(t.tx.Commit)
}

// end commits or rolls back.
func (t *pinnedTx) end(how func() error) (err error) {
	defer t.conn.guard(&err, "", nil)
	t.closed = true
	return how()
}

func (t *pinnedTx) Rollback(ctx context.Context) error {
	if err := t.check(); err != nil {
		return err
	}
	if t.savepoint != "" {
		_, err := t.Exec(ctx, "rollback to savepoint "+t.savepoint)
		t.closed = true
		return err
	}
	return t.end(t.tx.Rollback)
}

// CopyFrom copies as what ctx says, or as the transaction's identity. PostgreSQL refuses COPY FROM on tables with
// row-level security. A panic in src, or in a Valuer of its, ends the program as on pgx: it is in a goroutine of pgx's.
func (t *pinnedTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (n int64, err error) {
	defer t.conn.guard(&err, "", nil)
	if err := t.check(); err != nil {
		return 0, err
	}
	c := t.conn
	who, err := c.principal(ctx)
	if err != nil {
		return 0, err
	}
	src, g, err := c.encryptCopy(ctx, who, table, columns, src)
	if err != nil {
		return 0, err
	}
	if g != nil {
		if err := t.pinGuarded(ctx, t.tx.who, g); err != nil {
			return 0, err
		}
	}
	if c.pg.TxStatus() == 'T' && who != t.tx.who {
		if who.readOnly && !t.tx.readOnly {
			return 0, errTxMasked
		}
		c.seen = c.seen || !who.login
		if err := t.pinGuarded(ctx, who, g); err != nil {
			return 0, err
		}
		defer func() {
			if c.pg.TxStatus() == 'T' {
				err = errors.Join(err, t.pin(ctx, t.tx.who))
			}
		}()
	}
	cl := call{who: who, start: time.Now()}
	n, err = c.pgx.CopyFrom(ctx, table, columns, src)
	if ours, ok := src.(*encryptedSource); ok && ours.err != nil {
		err = ours.err // not that the server was told to stop
	}
	cl.tag = pgconn.NewCommandTag("COPY " + strconv.FormatInt(n, 10))
	c.connector.logStatement(ctx, &cl, err)
	return n, err
}

// LargeObjects gives pgx's large objects, which run as the transaction's identity. Their errors are pgx's own, and name
// nothing but OIDs.
func (t *pinnedTx) LargeObjects() pgx.LargeObjects { return t.tx.pgx.LargeObjects() }

func (t *pinnedTx) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, errTxPrepare
}

// Conn returns nil unless raw access is allowed.
func (t *pinnedTx) Conn() *pgx.Conn {
	if !t.conn.connector.cfg.rawAllowed() {
		return nil
	}
	return rawConn{&outerConn{inner: t.conn}}.Conn()
}

// SendBatch sends b with the settings before each of its queries. Texts that the role has not had parsed yet are parsed
// first, in a round trip each. In simple_protocol the queries go out one by one.
func (t *pinnedTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	br := &pinnedBatch{tx: t, ctx: ctx, queries: b.QueuedQueries}
	if err := t.check(); err != nil {
		br.fail(err)
		return br
	}
	if t.conn.mode == pgx.QueryExecModeSimpleProtocol {
		return br
	}
	if err := br.send(); err != nil {
		br.fail(err)
	}
	return br
}

// noRows are the rows of a query that failed.
func (c *conn) noRows(err error) *pinnedRows {
	return &pinnedRows{rows: &rows{conn: c, closed: true, err: err}}
}

// pinnedBatch are the results of a batch: from one pipeline, or of queries sent one by one.
type pinnedBatch struct {
	tx       *pinnedTx
	ctx      context.Context
	queries  []*pgx.QueuedQuery
	at       int
	calls    []*call
	pipeline *pgconn.Pipeline
	closed   bool
	err      error
}

func (br *pinnedBatch) fail(err error) error {
	err = br.tx.conn.connector.clean(err, "")
	if br.err == nil {
		br.err = err
	}
	return err
}

// send describes every query and puts all of them into one write.
func (br *pinnedBatch) send() (err error) {
	t, c := br.tx, br.tx.conn
	defer c.guard(&err, "", nil)
	var all []batched
	changes := false // what its queries so far may have made of tables and tags is not known before it has run
	for _, q := range br.queries {
		one, err := t.batched(br.ctx, q)
		switch {
		case err != nil:
			return err
		case changes && one.cl.passage != nil && len(one.cl.args) > 0:
			return errBatchChanged
		}
		changes = changes || one.cl.text.ddl
		all = append(all, one)
	}
	// A query of the batch that can exchange our statements could do so for the queries behind it.
	trusted := !c.connector.distrusted.Load() && !slices.ContainsFunc(all, func(one batched) bool { return one.cl.text.dynamic || one.cl.text.routine })
	// From here on nothing can fail before all of it is in the buffer: what is queued is sent.
	br.pipeline = c.pg.StartPipeline(br.ctx)
	for _, one := range all {
		if !one.cl.text.control() {
			br.set(one.cl.who, one.cl.guards())
		}
		switch sd := one.sd; {
		case sd == nil:
			br.pipeline.SendQueryParams(one.cl.sql, one.eqb.ParamValues, nil, one.eqb.ParamFormats, nil)
		case sd.Name == "" || !trusted || one.epoch != c.epoch:
			br.pipeline.SendQueryParams(sd.SQL, one.eqb.ParamValues, sd.ParamOIDs, one.eqb.ParamFormats, one.eqb.ResultFormats)
		default:
			br.pipeline.SendQueryStatement(sd, one.eqb.ParamValues, one.eqb.ParamFormats, one.eqb.ResultFormats)
		}
		br.calls = append(br.calls, one.cl)
		c.leave(one.cl.text, one.cl.who.key)
		c.noteChange(one.cl.text)
		defer c.distrust(one.cl.text, one.cl.who)
		c.transactionIs('T', one.cl.who, true)
	}
	br.set(t.tx.who, nil)
	br.pipeline.SendPipelineSync()
	return br.pipeline.Flush()
}

// batched is one query of a batch, ready to be sent.
type batched struct {
	cl    *call
	sd    *pgconn.StatementDescription
	epoch int // of its name
	eqb   pgx.ExtendedQueryBuilder
}

func (t *pinnedTx) batched(ctx context.Context, q *pgx.QueuedQuery) (batched, error) {
	c := t.conn
	cl, err := t.call(ctx, q.SQL, q.Arguments, true)
	if err != nil {
		return batched{}, err
	}
	if err := c.enter(ctx, cl); err != nil {
		return batched{}, err
	}
	if cl.who == nil {
		cl.who = t.tx.who
	}
	c.seen = c.seen || !cl.who.login
	s := c.situation(cl.who, cl.text)
	switch {
	case s.status != 'T':
		return batched{}, pgx.ErrTxClosed
	case s.readOnly && !s.txReadOnly:
		return batched{}, errTxMasked
	case len(cl.args) > maxParams:
		return batched{}, errTooMany
	case cl.text.copyIn:
		return batched{}, errCopy
	case cl.text.ours && cl.named():
		return batched{}, errOurs
	}
	d, err := c.describe(ctx, cl, s)
	if err == nil {
		err = c.witness(ctx, cl, d, s)
	}
	if err != nil {
		return batched{}, c.connector.clean(err, cl.sql)
	}
	cl.start = time.Now()
	one := batched{cl: cl}
	if d != nil {
		one.sd, one.epoch = d.sd, d.epoch
		if len(d.sd.ParamOIDs) != len(cl.args) {
			return batched{}, fmt.Errorf("expected %d arguments, got %d", len(d.sd.ParamOIDs), len(cl.args))
		}
	}
	return one, one.eqb.Build(c.pgx.TypeMap(), one.sd, cl.args)
}

// set puts who's settings before the next query, whose names have to mean what g says: a query before it may have changed that.
func (br *pinnedBatch) set(who *principal, g *guards) {
	shape, values := br.tx.conn.settings(who)
	if g != nil {
		shape, values = br.tx.conn.connector.principals.guarded(shape, values, g)
	}
	br.pipeline.SendQueryParams(shape.sql, values, shape.oids, nil, nil)
}

// next goes to the result of the next query.
func (br *pinnedBatch) next() (*pgconn.ResultReader, error) {
	switch {
	case br.err != nil:
		return nil, br.err
	case br.closed:
		return nil, errors.New("batch already closed")
	case br.at >= len(br.calls):
		return nil, errors.New("no more results in batch")
	}
	cl := br.calls[br.at]
	br.at++
	if !cl.text.control() {
		rr, err := br.result()
		if err == nil {
			_, err = rr.Close()
		}
		if err != nil {
			if cl.guards() != nil {
				if guarded, ok := guardError(err); ok {
					return nil, br.fail(guarded)
				}
			}
			return nil, br.fail(br.tx.conn.stepError(stepSettings, cl.who, err))
		}
	}
	rr, err := br.result()
	if err != nil {
		return nil, br.fail(br.tx.conn.connector.clean(br.tx.conn.stepError(stepText, cl.who, err), cl.sql))
	}
	return rr, nil
}

func (br *pinnedBatch) result() (*pgconn.ResultReader, error) {
	result, err := br.pipeline.GetResults()
	if err != nil {
		return nil, err
	}
	rr, ok := result.(*pgconn.ResultReader)
	if !ok {
		br.tx.conn.broken = true
		return nil, errProtocol
	}
	return rr, nil
}

func (br *pinnedBatch) Exec() (tag pgconn.CommandTag, err error) {
	if br.pipeline == nil {
		q, err := br.single()
		if err != nil {
			return pgconn.CommandTag{}, err
		}
		if tag, err = br.tx.Exec(br.ctx, q.SQL, q.Arguments...); err != nil {
			return tag, br.fail(err)
		}
		return tag, nil
	}
	defer br.tx.conn.guard(&err, "", nil)
	rr, err := br.next()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	if tag, err = rr.Close(); err != nil {
		err = br.fail(err)
	}
	br.log(tag, err)
	return tag, err
}

// log logs the query whose result has been read last.
func (br *pinnedBatch) log(tag pgconn.CommandTag, err error) {
	cl := br.calls[br.at-1]
	cl.tag = tag
	br.tx.conn.connector.logStatement(br.ctx, cl, err)
}

func (br *pinnedBatch) Query() (pgx.Rows, error) {
	if br.pipeline == nil {
		q, err := br.single()
		if err != nil {
			return br.tx.conn.noRows(err), err
		}
		rows, err := br.tx.Query(br.ctx, q.SQL, q.Arguments...)
		if err != nil {
			err = br.fail(err)
		}
		return rows, err
	}
	r, err := br.rows()
	if err != nil {
		return br.tx.conn.noRows(err), err
	}
	return &pinnedRows{rows: r}, nil
}

// rows are those of the next query.
func (br *pinnedBatch) rows() (_ *rows, err error) {
	defer br.tx.conn.guard(&err, "", nil)
	rr, err := br.next()
	if err != nil {
		return nil, err
	}
	finish := func(tag pgconn.CommandTag, err error) error {
		if err != nil {
			err = br.fail(err)
		}
		br.log(tag, err)
		return err
	}
	cl := br.calls[br.at-1]
	cl.rows = &rows{conn: br.tx.conn, plain: pgx.RowsFromResultReader(br.tx.conn.pgx.TypeMap(), rr), finish: finish}
	if err = cl.rows.start(); err == nil {
		err = br.tx.conn.undecoded(br.ctx, cl)
	}
	if err != nil {
		cl.rows.close()
	}
	return cl.rows, err
}

// single is the next query where they are sent one by one.
func (br *pinnedBatch) single() (*pgx.QueuedQuery, error) {
	switch {
	case br.err != nil:
		return nil, br.err
	case br.closed || br.at >= len(br.queries):
		return nil, errors.New("no more results in batch")
	}
	br.at++
	return br.queries[br.at-1], nil
}

func (br *pinnedBatch) QueryRow() pgx.Row {
	rows, _ := br.Query()
	return pinnedRow{rows}
}

func (br *pinnedBatch) Close() error {
	if br.closed {
		return br.err
	}
	for br.err == nil && br.at < len(br.queries) {
		if fn := br.queries[br.at].Fn; fn != nil {
			if err := fn(br); err != nil && br.err == nil {
				br.err = err // fn's own
			}
		} else {
			_, _ = br.Exec()
		}
	}
	br.closed = true
	if br.pipeline != nil {
		if err := br.end(); err != nil && br.err == nil {
			br.err = err
		}
	}
	return br.err
}

// end reads the end of the pipeline.
func (br *pinnedBatch) end() (err error) {
	c := br.tx.conn
	defer c.guard(&err, "", nil)
	err = br.pipeline.Close()
	c.transactionIs(c.pg.TxStatus(), nil, false)
	return err
}

func (br *pinnedBatch) Tx() pgx.Tx { return nil }

// pinnedRows are rows in pgx's terms. Their error is clean as soon as it is there.
type pinnedRows struct{ rows *rows }

var _ pgx.Rows = (*pinnedRows)(nil)

func (r *pinnedRows) Err() error                                   { return r.rows.err }
func (r *pinnedRows) CommandTag() pgconn.CommandTag                { return r.rows.tag }
func (r *pinnedRows) FieldDescriptions() []pgconn.FieldDescription { return r.rows.fields }
func (r *pinnedRows) RawValues() [][]byte                          { return r.rows.current }
func (r *pinnedRows) Conn() *pgx.Conn                              { return nil }
func (r *pinnedRows) TypeMap() *pgtype.Map                         { return r.rows.conn.pgx.TypeMap() }

func (r *pinnedRows) Close() {
	defer r.rows.conn.guard(&r.rows.err, "", nil)
	r.rows.close()
}

func (r *pinnedRows) Next() bool {
	defer r.rows.conn.guard(&r.rows.err, "", nil)
	return r.rows.advance() == nil
}

func (r *pinnedRows) Scan(dest ...any) error {
	err := r.scan(dest)
	if err != nil {
		r.Close()
		if r.rows.err == nil {
			r.rows.err = err
		}
	}
	return err
}

func (r *pinnedRows) scan(dest []any) (err error) {
	defer r.rows.conn.guard(&err, "", nil)
	if scanner, ok := single(dest).(pgx.RowScanner); ok {
		return scanner.ScanRow(r)
	}
	return pgx.ScanRow(r.TypeMap(), r.rows.fields, r.rows.current, dest...)
}

func single(dest []any) any {
	if len(dest) == 1 {
		return dest[0]
	}
	return nil
}

func (r *pinnedRows) Values() (values []any, err error) {
	defer r.rows.conn.guard(&err, "", nil)
	if r.rows.closed {
		return nil, errors.New("rows is closed")
	}
	values = make([]any, len(r.rows.fields))
	for i, fd := range r.rows.fields {
		src := r.rows.current[i]
		if src == nil {
			continue
		}
		switch dt, known := r.TypeMap().TypeForOID(fd.DataTypeOID); {
		case known:
			values[i], err = dt.Codec.DecodeValue(r.TypeMap(), fd.DataTypeOID, fd.Format, src)
		case fd.Format == pgx.TextFormatCode:
			values[i] = string(src)
		default:
			values[i] = slices.Clone(src)
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

// pinnedRow is the first of rows.
type pinnedRow struct{ rows pgx.Rows }

func (r pinnedRow) Scan(dest ...any) error {
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
