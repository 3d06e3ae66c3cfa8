package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/scope"
)

// tx is a transaction begun by BeginTx. A statement in it whose context says nothing runs as scope says.
type tx struct {
	conn     *conn
	ctx      context.Context
	scope    *scope.Scope
	who      *principal // nil where the transaction was begun without an identity
	readOnly bool
	pgx      pgx.Tx // knows nothing of identities
}

var _ driver.Tx = (*tx)(nil)

func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx begins a transaction, read only where ctx says a masked role. Without an identity it begins one whose
// statements must bring their own.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	switch {
	case !c.IsValid():
		return nil, driver.ErrBadConn
	case c.pg.IsBusy():
		return nil, errBusy
	case ctx.Err() != nil:
		return nil, fmt.Errorf("pganon: begin transaction: context already done: %w", ctx.Err())
	}
	if err := c.refresh(ctx); err != nil {
		return nil, c.unretryable(err)
	}
	who, err := c.principal(ctx)
	if err != nil && !errors.Is(err, pganon.ErrNoIdentity) {
		return nil, err
	}
	t := &tx{conn: c, ctx: ctx, scope: scope.From(ctx), who: who, readOnly: opts.ReadOnly}
	if who != nil {
		t.readOnly = t.readOnly || who.readOnly
		c.seen = c.seen || !who.login
	}
	begin, err := beginSQL(sql.IsolationLevel(opts.Isolation), t.readOnly)
	if err != nil {
		return nil, err
	}
	cl := call{who: who, start: time.Now(), tag: pgconn.NewCommandTag("BEGIN")}
	t.pgx, err = c.begin(ctx, who, begin)
	c.connector.logStatement(ctx, &cl, err)
	if err != nil {
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.SeverityUnlocalized == "FATAL" || pgErr.SeverityUnlocalized == "PANIC" {
			c.abandon()
		}
		return nil, c.unretryable(err)
	}
	c.tx = t
	return t, nil
}

func (c *conn) begin(ctx context.Context, who *principal, begin string) (pgx.Tx, error) {
	s := c.situation(who, &text{kind: kindBegin})
	if c.seen && s.leftovers && s.status == 'I' {
		if err := c.clean(ctx); err != nil {
			return nil, err
		}
	}
	return c.pgx.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
}

func beginSQL(level sql.IsolationLevel, readOnly bool) (string, error) {
	begin := "begin"
	switch level {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted:
		begin += " isolation level read uncommitted"
	case sql.LevelReadCommitted:
		begin += " isolation level read committed"
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		begin += " isolation level repeatable read"
	case sql.LevelSerializable:
		begin += " isolation level serializable"
	default:
		return "", fmt.Errorf("unsupported isolation: %v", driver.IsolationLevel(level))
	}
	if readOnly {
		begin += " read only"
	}
	return begin, nil
}

// Commit commits as the transaction's identity, or as whoever wrote last in one without: deferred triggers run as someone.
func (t *tx) Commit() error {
	c := t.conn
	if c.tx == t {
		c.tx = nil
	}
	if !c.IsValid() {
		return pgconn.ErrConnClosed
	}
	who := t.who
	if who == nil {
		who = c.writer
	}
	cl := call{sql: "commit", text: &text{kind: kindCommit}, who: who, mode: c.mode, start: time.Now()}
	var err error
	if who == nil || who.login && !c.seen || c.pg.TxStatus() != 'T' {
		cl.tag, err = c.pgx.Exec(t.ctx, cl.sql)
		c.transactionIs(c.pg.TxStatus(), nil, false)
	} else {
		traced := c.connector.tracer.start(t.ctx, c.pgx, cl.sql)
		err = c.runAs(t.ctx, &cl)
		c.connector.tracer.end(traced, c.pgx, &cl, err)
	}
	c.connector.logStatement(t.ctx, &cl, err)
	if err != nil {
		if c.pg.TxStatus() != 'I' {
			c.abandon()
		}
		return c.unretryable(err)
	}
	if cl.tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

// rollbackTime is for how long Rollback waits: the transaction's context may be done already.
const rollbackTime = 5 * time.Second

func (t *tx) Rollback() error {
	c := t.conn
	if c.tx == t {
		c.tx = nil
	}
	if !c.IsValid() {
		return pgconn.ErrConnClosed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackTime)
	defer cancel()
	cl := call{who: t.who, start: time.Now()}
	var err error
	cl.tag, err = c.pgx.Exec(ctx, "rollback")
	c.connector.logStatement(ctx, &cl, err)
	c.transactionIs(c.pg.TxStatus(), nil, false)
	if err != nil {
		c.abandon() // a rollback that fails leaves the connection in an unknown state
		return err
	}
	return nil
}
