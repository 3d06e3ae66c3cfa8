package driver

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"
)

// outerConn is what database/sql holds, over whatever the interceptors wrap: sql.Conn.Raw reaches us through it, and no error
// leaves it but through guard. All statements go down in exec and query, all rows come up in rows.
type outerConn struct {
	top   driver.Conn // the interceptors over inner, or inner
	inner *conn
}

var (
	_ driver.Conn               = (*outerConn)(nil)
	_ driver.ConnBeginTx        = (*outerConn)(nil)
	_ driver.ConnPrepareContext = (*outerConn)(nil)
	_ driver.ExecerContext      = (*outerConn)(nil)
	_ driver.QueryerContext     = (*outerConn)(nil)
	_ driver.Pinger             = (*outerConn)(nil)
	_ driver.SessionResetter    = (*outerConn)(nil)
	_ driver.Validator          = (*outerConn)(nil)
	_ driver.NamedValueChecker  = (*outerConn)(nil)
)

func (c *outerConn) Close() (err error) {
	defer c.inner.guard(&err, "", nil)
	return c.top.Close()
}

func (c *outerConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *outerConn) BeginTx(ctx context.Context, opts driver.TxOptions) (_ driver.Tx, err error) {
	defer c.inner.guard(&err, "", nil)
	top, err := c.top.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &outerTx{top: top, conn: c}, nil
}

func (c *outerConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *outerConn) PrepareContext(ctx context.Context, query string) (_ driver.Stmt, err error) {
	defer c.inner.guard(&err, query, nil)
	for retry := false; ; retry = true {
		p, err := c.inner.planPrepared(ctx, query)
		if err != nil {
			return nil, err
		}
		top, err := c.top.(driver.ConnPrepareContext).PrepareContext(p.down(ctx), query)
		if err == nil {
			return &outerStmt{top: top, conn: c, text: query}, nil
		}
		if again, err := c.inner.again(p, err); !again || retry {
			return nil, err
		}
	}
}

func (c *outerConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(ctx, nil, query, args)
}

func (c *outerConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(ctx, nil, query, args)
}

// exec sends every statement that returns no rows; st is nil unless it was prepared.
func (c *outerConn) exec(ctx context.Context, st driver.Stmt, query string, args []driver.NamedValue) (_ driver.Result, err error) {
	defer c.inner.guard(&err, query, args)
	result, _, err := send(ctx, c, st, query, args, execDown)
	if err != nil {
		return nil, err
	}
	if _, ours := result.(driver.RowsAffected); ours {
		return result, nil
	}
	return outerResult{top: result, conn: c}, nil
}

// query sends every statement that returns rows; st is nil unless it was prepared.
func (c *outerConn) query(ctx context.Context, st driver.Stmt, query string, args []driver.NamedValue) (_ driver.Rows, err error) {
	defer c.inner.guard(&err, query, args)
	c.inner.last = nil
	rows, p, err := send(ctx, c, st, query, args, queryDown)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return c.rows(rows, nil), nil
	case p.answer != nil:
		return c.rows(p.answer, nil), nil
	}
	below := c.inner.last
	if below == nil { // an interceptor has answered by itself: what its columns are only the text says
		below = originless(len(rows.Columns()))
	}
	decoders, err := c.inner.decode(ctx, p, below)
	if err != nil {
		_ = rows.Close()
		return nil, err
	}
	return c.rows(rows, decoders), nil
}

func execDown(ctx context.Context, c *outerConn, st driver.Stmt, text string, args []driver.NamedValue) (driver.Result, error) {
	if st == nil {
		return c.top.(driver.ExecerContext).ExecContext(ctx, text, args)
	}
	return st.(driver.StmtExecContext).ExecContext(ctx, args)
}

func queryDown(ctx context.Context, c *outerConn, st driver.Stmt, text string, args []driver.NamedValue) (driver.Rows, error) {
	if st == nil {
		return c.top.(driver.QueryerContext).QueryContext(ctx, text, args)
	}
	return st.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// attempts is how often a statement is sent at most: key rotations may follow each other.
const attempts = 3

// send encrypts a statement and has down send it, again where nothing of it has happened and what it was encrypted by has changed
// since. The passage is nil where nothing is encrypted in the database.
func send[T any](ctx context.Context, c *outerConn, st driver.Stmt, query string, args []driver.NamedValue,
	down func(context.Context, *outerConn, driver.Stmt, string, []driver.NamedValue) (T, error)) (result T, _ *passage, _ error) {
	for attempt := 1; ; attempt++ {
		p, err := c.inner.encrypt(ctx, query, args)
		switch {
		case err != nil:
			return result, nil, c.inner.retryable(err)
		case p == nil:
			result, err = down(ctx, c, st, query, args)
			return result, nil, err
		case p.answer != nil:
			return result, p, nil
		}
		prepared := st
		if p.text != query {
			prepared = nil
		}
		if result, err = down(p.down(ctx), c, prepared, p.text, p.args); err == nil {
			return result, p, nil
		}
		again, err := c.inner.again(p, err)
		if !again || attempt == attempts {
			return result, nil, p.located(err)
		}
	}
}

func (c *outerConn) Ping(ctx context.Context) (err error) {
	defer c.inner.guard(&err, "", nil)
	return c.top.(driver.Pinger).Ping(ctx)
}

func (c *outerConn) ResetSession(ctx context.Context) (err error) {
	defer c.inner.guard(&err, "", nil)
	return c.top.(driver.SessionResetter).ResetSession(ctx)
}

func (c *outerConn) IsValid() bool { return c.inner.IsValid() }

func (c *outerConn) CheckNamedValue(nv *driver.NamedValue) error {
	return c.inner.connector.clean(c.inner.CheckNamedValue(nv), "")
}

func (c *outerConn) identityConn() *conn { return c.inner }

// rawConn is an outerConn where raw access is allowed.
type rawConn struct{ *outerConn }

// Conn returns the connection of pgx below, which runs as the login role and knows nothing of identities. What is done
// there is taken for something left on the session.
func (c rawConn) Conn() *pgx.Conn {
	c.inner.left, c.inner.leftBy, c.inner.plans = true, mixed, mixed
	c.inner.unseen = true
	c.inner.epoch++
	return c.inner.pgx
}

// outerStmt is a prepared statement as database/sql holds it.
type outerStmt struct {
	top  driver.Stmt
	conn *outerConn
	text string
}

var (
	_ driver.Stmt              = (*outerStmt)(nil)
	_ driver.StmtExecContext   = (*outerStmt)(nil)
	_ driver.StmtQueryContext  = (*outerStmt)(nil)
	_ driver.NamedValueChecker = (*outerStmt)(nil)
)

func (s *outerStmt) Close() (err error) {
	defer s.conn.inner.guard(&err, "", nil)
	return s.top.Close()
}

func (s *outerStmt) NumInput() int { return s.top.NumInput() }

// database/sql calls neither.
func (s *outerStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errNoContext }
func (s *outerStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, errNoContext }

var errNoContext = errors.New("pganon: run statement: without a context: use ExecContext or QueryContext")

func (s *outerStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.exec(ctx, s.top, s.text, args)
}

func (s *outerStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.query(ctx, s.top, s.text, args)
}

// CheckNamedValue asks the interceptors' statement, where there is one.
func (s *outerStmt) CheckNamedValue(nv *driver.NamedValue) (err error) {
	checker, ok := s.top.(driver.NamedValueChecker)
	if !ok {
		return s.conn.CheckNamedValue(nv)
	}
	defer s.conn.inner.guard(&err, "", nil)
	return checker.CheckNamedValue(nv)
}

// outerTx is a transaction as database/sql holds it.
type outerTx struct {
	top  driver.Tx
	conn *outerConn
}

var _ driver.Tx = (*outerTx)(nil)

func (t *outerTx) Commit() (err error) {
	defer t.conn.inner.guard(&err, "", nil)
	return t.top.Commit()
}

func (t *outerTx) Rollback() (err error) {
	defer t.conn.inner.guard(&err, "", nil)
	return t.top.Rollback()
}

// outerResult is a result that interceptors have wrapped; their errors are their own.
type outerResult struct {
	top  driver.Result
	conn *outerConn
}

func (r outerResult) LastInsertId() (id int64, err error) {
	defer r.conn.inner.guard(&err, "", nil)
	return r.top.LastInsertId()
}

func (r outerResult) RowsAffected() (n int64, err error) {
	defer r.conn.inner.guard(&err, "", nil)
	return r.top.RowsAffected()
}
