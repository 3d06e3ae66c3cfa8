package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/redact"
)

// sentinels are compared with == and hold no data; package redact knows those of the standard library.
var sentinels = []error{pgx.ErrNoRows, pgx.ErrTooManyRows, pgx.ErrTxClosed, pgx.ErrTxCommitRollback, pganon.ErrNoIdentity}

// clean returns err without values of the data, unless Config.Redact is off. Every error goes through it on its way out. text
// is the statement's, where the error's position counts in it: names that it holds at that position are quoted.
func (c *connector) clean(err error, text string) error {
	if err == nil || err == io.EOF || c.cfg.Redact == redactOff || slices.Contains(sentinels, err) {
		return err
	}
	return redact.ErrorOptions{SQL: text}.Error(err)
}

// guard is deferred by every method that can fail or run code of the user's: errors leave without values. A panic, of a Valuer,
// a Scanner, a tracer or an interceptor, becomes an error, or its value would be printed; the connection is given up, because
// nobody knows how far it had come.
func (c *conn) guard(err *error, text string, args []driver.NamedValue) {
	if v := recover(); v != nil {
		c.abandon()
		*err = c.connector.panicked(v)
		return
	}
	if *err != nil {
		*err = c.connector.clean(*err, positioned(c.mode, text, values(args)))
	}
}

// panicked is to be called by the deferred function that recovered v.
func (c *connector) panicked(v any) error {
	err := redact.Panic(v)
	if c.cfg.Redact == redactOff {
		return fmt.Errorf("pganon: panic: %w", redact.Unsafe(err))
	}
	return err
}

// positioned returns text, or "" where the server got another one and positions do not count in it: from a rewriter, or with
// the arguments quoted into it.
func positioned(mode pgx.QueryExecMode, text string, args []any) string {
	for _, arg := range args {
		switch arg := arg.(type) {
		case pgx.QueryExecMode:
			mode = arg
			continue
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
			continue
		case pgx.QueryRewriter:
			return ""
		}
		if mode == pgx.QueryExecModeSimpleProtocol {
			return ""
		}
		break
	}
	return text
}

// connectError is a failed connection without the configuration that pgx's error holds, password included.
type connectError struct {
	text  string
	cause error
}

func (e *connectError) Error() string { return e.text }
func (e *connectError) Unwrap() error { return e.cause }

// connecting returns the error of a connection that was not made.
func (c *connector) connecting(err error) error {
	var failed *pgconn.ConnectError
	switch {
	case !errors.As(err, &failed):
		return c.clean(err, "")
	case c.cfg.Redact == redactOff:
		return &connectError{text: "pganon: connect: " + failed.Error(), cause: failed.Unwrap()}
	}
	return fmt.Errorf("pganon: connect: %w", redact.Error(err))
}

// beforeConnect runs the user's hook, and has what it may have put into the configuration see no values either.
func (c *connector) beforeConnect(ctx context.Context, cfg *pgx.ConnConfig) error {
	if c.cfg.BeforeConnect == nil {
		return nil
	}
	if err := c.cfg.BeforeConnect(ctx, cfg); err != nil {
		return err
	}
	if _, ours := cfg.Tracer.(tracer); cfg.Tracer != nil && !ours {
		cfg.Tracer = tracer{cfg.Tracer, c}
	}
	if c.cfg.Redact == redactOff {
		return nil
	}
	if notice := cfg.OnNotice; notice != nil {
		cfg.OnNotice = func(pg *pgconn.PgConn, n *pgconn.Notice) { notice(pg, redact.Notice(n)) }
	}
	if keep := cfg.OnPgError; keep != nil {
		cfg.OnPgError = func(pg *pgconn.PgConn, e *pgconn.PgError) bool {
			return keep(pg, redact.Error(e).(*pgconn.PgError))
		}
	}
	return nil
}
