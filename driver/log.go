package driver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// watched says whether anybody wants to know of every statement.
func (c *connector) watched() bool { return c.tracer.user != nil || c.logs() }

// logs says whether every statement is logged.
func (c *connector) logs() bool { return c.cfg.Log == logDebug }

// logStatement says what a statement ran as, where Config.Log asks for it. Never a value, and nothing of the text but the
// command's name: literals are values too.
func (c *connector) logStatement(ctx context.Context, cl *call, err error) {
	if !c.logs() {
		return
	}
	logger := c.cfg.logger()
	if !logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	if who := cl.who; who != nil {
		if who.identity != nil {
			attrs = append(attrs, slog.Any("identity", *who.identity)) // which hashes user and tenant
		}
		role := who.role
		if role == "" {
			role = "login role"
		}
		names := make([]string, 0, len(who.custom)+len(who.local))
		for _, s := range append(who.custom[:len(who.custom):len(who.custom)], who.local...) {
			names = append(names, s.Name)
		}
		attrs = append(attrs, slog.String("role", role), slog.Bool("masked", who.masked), slog.String("settings", strings.Join(names, ",")))
	}
	if p := cl.passage; p != nil && p.planned != nil && p.planned.plan != nil {
		if columns := p.planned.plan.Written(); len(columns) > 0 {
			attrs = append(attrs, slog.String("encrypted", strings.Join(columns, ",")))
		}
		if columns := p.planned.plan.Read(); len(columns) > 0 {
			attrs = append(attrs, slog.String("decrypted", strings.Join(columns, ",")))
		}
	}
	attrs = append(attrs, slog.Duration("duration", time.Since(cl.start)))
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		attrs = append(attrs, slog.String("command", strings.TrimRight(cl.tag.String(), " 0123456789")), slog.Int64("rows", cl.tag.RowsAffected()))
	case errors.As(err, &pgErr):
		attrs = append(attrs, slog.String("sqlstate", pgErr.Code))
	default:
		attrs = append(attrs, slog.Bool("failed", true))
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "pganon: statement", attrs...)
}
