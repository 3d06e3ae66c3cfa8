package driver

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
)

// outerConn is what database/sql holds, so that sql.Conn.Raw reaches us through whatever the interceptors wrap.
type outerConn struct {
	top   driver.Conn
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

func (c *outerConn) Close() error { return c.top.Close() }

func (c *outerConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *outerConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.top.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *outerConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *outerConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.top.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *outerConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.top.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *outerConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.top.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *outerConn) Ping(ctx context.Context) error { return c.top.(driver.Pinger).Ping(ctx) }

func (c *outerConn) ResetSession(ctx context.Context) error {
	return c.top.(driver.SessionResetter).ResetSession(ctx)
}

func (c *outerConn) IsValid() bool { return c.inner.IsValid() }

func (c *outerConn) CheckNamedValue(nv *driver.NamedValue) error {
	return c.inner.CheckNamedValue(nv)
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
