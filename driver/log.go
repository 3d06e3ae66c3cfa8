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
func (c *connector) watched() bool { return c.tracer.user != nil || c.cfg.Log == logDebug }

// logStatement says what a statement ran as, where Config.Log asks for it. Never a value, and nothing of the text but its
// first keyword: literals are values too.
func (c *connector) logStatement(ctx context.Context, cl *call, err error) {
	if c.cfg.Log != logDebug {
		return
	}
	logger := c.cfg.logger()
	if !logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.Duration("duration", time.Since(cl.start))}
	if cl.tag.String() != "" {
		attrs = append(attrs, slog.String("tag", cl.tag.String()))
	}
	if who := cl.who; who != nil {
		role := who.role
		if role == "" {
			role = "login role"
		}
		names := make([]string, 0, len(who.custom)+len(who.local))
		for _, s := range append(who.custom[:len(who.custom):len(who.custom)], who.local...) {
			names = append(names, s.Name)
		}
		attrs = append(attrs, slog.String("role", role), slog.Bool("masked", who.masked), slog.String("settings", strings.Join(names, ",")))
		if who.identity != nil {
			attrs = append(attrs, slog.Any("identity", *who.identity))
		}
	}
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr):
		attrs = append(attrs, slog.String("sqlstate", pgErr.Code))
	case err != nil:
		attrs = append(attrs, slog.Bool("failed", true))
	}
	logger.LogAttrs(ctx, slog.LevelDebug, "pganon: statement", attrs...)
}
