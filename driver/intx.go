package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon/internal/sqllex"
)

// InTx runs fn in a transaction on sqlConn, as what ctx says: for COPY, batches and large objects, which database/sql has no
// words for. It commits when fn returns nil, else it rolls back and returns fn's error. What fn sends through the pgx.Tx
// carries the identity as every other statement does; a context of its own given to a method counts as it does
// elsewhere. The Tx is valid until fn returns. Its Conn is nil unless raw access is allowed, its Prepare is refused
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
	if c.pg.TxStatus() != 'I' || c.tx != nil {
		return errors.New("pganon: begin transaction: the connection is in one already")
	}
	if err := c.refresh(ctx); err != nil {
		return c.retryable(err)
	}
	if _, err := c.principal(ctx); err != nil {
		return err
	}
	if c.pgxForgot {
		if err := c.pgx.DeallocateAll(ctx); err != nil {
			return err
		}
		c.forget()
		c.pgxForgot = false
	}
	begun, err := c.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return err
	}
	t := &pinnedTx{conn: c, tx: begun.(*tx), savepoints: new(int)}
	defer func() {
		if !t.closed { // fn has failed, or panicked
			t.closed = true
			if rollbackErr := t.tx.Rollback(); rollbackErr != nil && err == nil {
				err = rollbackErr
			}
		}
	}()
	if err := t.pin(ctx, t.tx.who); err != nil {
		return err
	}
	if err := fn(t); err != nil || t.closed {
		return err
	}
	t.closed = true
	return t.tx.Commit()
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
	errTxMasked  = errors.New("pganon: copy: under a masked role, in a transaction that is not")
)

// pin puts who's settings in force.
func (t *pinnedTx) pin(ctx context.Context, who *principal) error {
	if who.login && !t.conn.seen {
		return nil
	}
	f := t.conn.launch(ctx, who, planPin, nil)
	_ = f.untilText()
	return t.conn.landed(f, &call{text: &text{}, who: who}, nil)
}

// check refuses what is not in the transaction any more.
func (t *pinnedTx) check() error {
	if t.closed || t.conn.tx != t.tx {
		return pgx.ErrTxClosed
	}
	return nil
}

// call makes a statement of what pgx's methods take.
func (t *pinnedTx) call(sql string, args []any, wantRows bool) (*call, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := staysInTx(sql); err != nil {
		return nil, err
	}
	return &call{sql: sql, args: args, wantRows: wantRows, pinned: t}, nil
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

func (t *pinnedTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	cl, err := t.call(sql, args, false)
	if err == nil {
		err = t.conn.run(ctx, cl)
	}
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return cl.tag, nil
}

func (t *pinnedTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	cl, err := t.call(sql, args, true)
	if err == nil {
		err = t.conn.run(ctx, cl)
	}
	if err != nil {
		return &pinnedRows{rows: &rows{conn: t.conn, closed: true, err: err}}, err
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
	t.closed = true
	return t.tx.Commit()
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
	t.closed = true
	return t.tx.Rollback()
}

// CopyFrom copies as what ctx says, or as the transaction's identity. PostgreSQL refuses COPY FROM on tables with
// row-level security.
func (t *pinnedTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (n int64, err error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	c := t.conn
	who, err := c.principal(ctx)
	if err != nil {
		return 0, err
	}
	if c.pg.TxStatus() == 'T' && who != t.tx.who {
		if who.readOnly && !t.tx.readOnly {
			return 0, errTxMasked
		}
		c.seen = c.seen || !who.login
		if err := t.pin(ctx, who); err != nil {
			return 0, err
		}
		defer func() {
			if c.pg.TxStatus() == 'T' {
				err = errors.Join(err, t.pin(ctx, t.tx.who))
			}
		}()
	}
	return c.pgx.CopyFrom(ctx, table, columns, src)
}

// LargeObjects gives pgx's large objects, which run as the transaction's identity.
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

func (br *pinnedBatch) fail(err error) {
	if br.err == nil {
		br.err = err
	}
}

// send describes every query and puts all of them into one write.
func (br *pinnedBatch) send() error {
	t, c := br.tx, br.tx.conn
	var all []batched
	for _, q := range br.queries {
		one, err := t.batched(br.ctx, q)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	// A query of the batch that can exchange our statements could do so for the queries behind it.
	trusted := !c.connector.distrusted.Load() && !slices.ContainsFunc(all, func(one batched) bool { return one.cl.text.dynamic || one.cl.text.routine })
	// From here on nothing can fail before all of it is in the buffer: what is queued is sent.
	br.pipeline = c.pg.StartPipeline(br.ctx)
	for _, one := range all {
		if !one.cl.text.control() {
			br.set(one.cl.who)
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
		defer c.distrust(one.cl.text, one.cl.who)
		c.transactionIs('T', one.cl.who, true)
	}
	br.set(t.tx.who)
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
	cl, err := t.call(q.SQL, q.Arguments, true)
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
	if err != nil {
		return batched{}, err
	}
	one := batched{cl: cl}
	if d != nil {
		one.sd, one.epoch = d.sd, d.epoch
		if len(d.sd.ParamOIDs) != len(cl.args) {
			return batched{}, fmt.Errorf("expected %d arguments, got %d", len(d.sd.ParamOIDs), len(cl.args))
		}
	}
	return one, one.eqb.Build(c.pgx.TypeMap(), one.sd, cl.args)
}

func (br *pinnedBatch) set(who *principal) {
	shape, values := br.tx.conn.settings(who)
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
			br.fail(stepError(stepSettings, cl.who, err))
			return nil, br.err
		}
	}
	rr, err := br.result()
	if err != nil {
		br.fail(stepError(stepText, cl.who, err))
		return nil, br.err
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

func (br *pinnedBatch) Exec() (pgconn.CommandTag, error) {
	if br.pipeline == nil {
		q, err := br.single()
		if err != nil {
			return pgconn.CommandTag{}, err
		}
		tag, err := br.tx.Exec(br.ctx, q.SQL, q.Arguments...)
		if err != nil {
			br.fail(err)
		}
		return tag, err
	}
	rr, err := br.next()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := rr.Close()
	if err != nil {
		br.fail(err)
	}
	return tag, err
}

func (br *pinnedBatch) Query() (pgx.Rows, error) {
	if br.pipeline == nil {
		q, err := br.single()
		if err != nil {
			return &pinnedRows{rows: &rows{conn: br.tx.conn, closed: true, err: err}}, err
		}
		return br.tx.Query(br.ctx, q.SQL, q.Arguments...)
	}
	rr, err := br.next()
	if err != nil {
		return &pinnedRows{rows: &rows{conn: br.tx.conn, closed: true, err: err}}, err
	}
	return pgx.RowsFromResultReader(br.tx.conn.pgx.TypeMap(), rr), nil
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
			if err := fn(br); err != nil {
				br.fail(err)
			}
		} else if _, err := br.Exec(); err != nil {
			br.fail(err)
		}
	}
	br.closed = true
	if br.pipeline != nil {
		if err := br.pipeline.Close(); err != nil {
			br.fail(err)
		}
		br.tx.conn.transactionIs(br.tx.conn.pg.TxStatus(), nil, false)
	}
	return br.err
}

func (br *pinnedBatch) Tx() pgx.Tx { return nil }

// pinnedRows are rows in pgx's terms.
type pinnedRows struct{ rows *rows }

var _ pgx.Rows = (*pinnedRows)(nil)

func (r *pinnedRows) Close()                                       { r.rows.close() }
func (r *pinnedRows) Err() error                                   { return r.rows.err }
func (r *pinnedRows) CommandTag() pgconn.CommandTag                { return r.rows.tag }
func (r *pinnedRows) FieldDescriptions() []pgconn.FieldDescription { return r.rows.fields }
func (r *pinnedRows) RawValues() [][]byte                          { return r.rows.current }
func (r *pinnedRows) Conn() *pgx.Conn                              { return nil }
func (r *pinnedRows) TypeMap() *pgtype.Map                         { return r.rows.conn.pgx.TypeMap() }
func (r *pinnedRows) Next() bool                                   { return r.rows.advance() == nil }

func (r *pinnedRows) Scan(dest ...any) error {
	var err error
	if scanner, ok := single(dest).(pgx.RowScanner); ok {
		err = scanner.ScanRow(r)
	} else {
		err = pgx.ScanRow(r.TypeMap(), r.rows.fields, r.rows.current, dest...)
	}
	if err != nil {
		r.rows.close()
		if r.rows.err == nil {
			r.rows.err = err
		}
	}
	return err
}

func single(dest []any) any {
	if len(dest) == 1 {
		return dest[0]
	}
	return nil
}

func (r *pinnedRows) Values() ([]any, error) {
	if r.rows.closed {
		return nil, errors.New("rows is closed")
	}
	values := make([]any, len(r.rows.fields))
	for i, fd := range r.rows.fields {
		src := r.rows.current[i]
		if src == nil {
			continue
		}
		var err error
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
