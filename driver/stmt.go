package driver

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pganon/pganon"
)

// stmt is a text to be run again and again. Every role that runs it has it parsed for itself.
type stmt struct {
	conn  *conn
	text  string
	plain driver.Stmt // where it was prepared as the login role on a connection without identities
	pins  []*described
	input int
}

var (
	_ driver.Stmt             = (*stmt)(nil)
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext has query parsed as what ctx says. Without an identity where one is required it sends nothing: the
// first execution has query parsed then.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	switch {
	case !c.IsValid():
		return nil, driver.ErrBadConn
	case c.pg.IsBusy():
		return nil, errBusy
	}
	st := &stmt{conn: c, text: query, input: -1}
	t := c.textOf(query)
	if err := c.refresh(ctx); err != nil {
		return nil, c.unretryable(err)
	}
	who, err := c.principal(ctx)
	switch {
	case errors.Is(err, pganon.ErrNoIdentity):
		return st, nil
	case err != nil:
		return nil, err
	case who.login && !c.seen && c.passageOf(ctx) == nil:
		c.plans = who.role
		plain, err := c.std.PrepareContext(ctx, query)
		if err != nil {
			return nil, c.unretryable(err)
		}
		st.plain, st.input = plain, plain.NumInput()
		return st, nil
	case c.mode == pgx.QueryExecModeSimpleProtocol || t.control() || t.empty:
		return st, nil
	}
	if !who.login {
		c.seen = true
	}
	cl := &call{sql: query, stmt: st, text: t, who: who, mode: c.mode, passage: c.passageOf(ctx)}
	s := c.situation(who, t)
	if s.status == 'E' {
		_, err := c.pg.Prepare(ctx, "", query, nil) // the server refuses it, and says why
		return nil, c.unretryable(errors.Unwrap(err))
	}
	if known := c.described.get(who.tag, query); known != nil && known.pins == 0 {
		c.invalidate(known) // as pgx, which asks the server anew
	}
	d, err := c.describe(ctx, cl, s)
	if err != nil && s.status == 'I' && c.lost(err) {
		c.forget()
		d, err = c.describe(ctx, cl, c.situation(who, t))
	}
	if err != nil {
		_ = st.Close()
		return nil, c.unretryable(err)
	}
	if d != nil {
		st.input = len(d.sd.ParamOIDs)
	}
	return st, nil
}

// described returns the text as who has had it parsed, nil where it has not been.
func (st *stmt) described(who *principal) *described {
	for i, d := range st.pins {
		if d.tag != who.tag {
			continue
		}
		if !d.stale {
			return d
		}
		st.pins = append(st.pins[:i], st.pins[i+1:]...)
		st.conn.unpin(d)
		break
	}
	return nil
}

// pin holds d for as long as st is open; a nil st holds nothing.
func (st *stmt) pin(d *described) {
	if st != nil {
		d.pins++
		st.pins = append(st.pins, d)
	}
}

func (c *conn) unpin(d *described) {
	d.pins--
	c.described.release(d)
}

// Close lets go of the statement; what the session holds of it is closed with the next statement.
func (st *stmt) Close() error {
	for _, d := range st.pins {
		st.conn.unpin(d)
	}
	st.pins = nil
	if st.plain != nil {
		return st.plain.Close()
	}
	return nil
}

// NumInput returns -1 while no role has had the text parsed: the number is not known then.
func (st *stmt) NumInput() int { return st.input }

func (st *stmt) Exec([]driver.Value) (driver.Result, error) {
	return nil, errors.New("Stmt.Exec deprecated and not implemented")
}

func (st *stmt) Query([]driver.Value) (driver.Rows, error) {
	return nil, errors.New("Stmt.Query deprecated and not implemented")
}

func (st *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return st.conn.exec(ctx, st.text, args, st)
}

func (st *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return st.conn.query(ctx, st.text, args, st)
}
