package main

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pganon/pganon/redact"
)

// sqlLog is GORM's logger on slog. It shows statements without parameters and without literals, and errors without values. Copy
// it.
type sqlLog struct {
	logger *slog.Logger
	level  logger.LogLevel
	slow   time.Duration
}

var (
	_ logger.Interface  = sqlLog{}
	_ gorm.ParamsFilter = sqlLog{}
)

func newSQLLog(l *slog.Logger) sqlLog { return sqlLog{l, logger.Info, 200 * time.Millisecond} }

// LogMode returns the logger that Debug and Session ask for.
func (l sqlLog) LogMode(level logger.LogLevel) logger.Interface {
	l.level = level
	return l
}

// Info, Warn and Error get GORM's own messages. What belongs into their formats may be a value.

func (l sqlLog) Info(ctx context.Context, format string, _ ...any) {
	if l.level >= logger.Info {
		l.logger.InfoContext(ctx, "gorm: "+format)
	}
}

func (l sqlLog) Warn(ctx context.Context, format string, _ ...any) {
	if l.level >= logger.Warn {
		l.logger.WarnContext(ctx, "gorm: "+format)
	}
}

func (l sqlLog) Error(ctx context.Context, format string, _ ...any) {
	if l.level >= logger.Error {
		l.logger.ErrorContext(ctx, "gorm: "+format)
	}
}

// ParamsFilter keeps the parameters of a statement out of the text that Trace gets.
func (sqlLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) { return sql, nil }

// Without parameters GORM leaves $1$ where $1 was.
var leftover = regexp.MustCompile(`\$(\d+)\$`)

// Trace logs a statement.
func (l sqlLog) Trace(ctx context.Context, begin time.Time, fc func() (string, int64), err error) {
	took := time.Since(begin)
	level, at := slog.LevelDebug, logger.Info
	switch {
	case err != nil && !errors.Is(err, gorm.ErrRecordNotFound):
		level, at = slog.LevelError, logger.Error
	case took >= l.slow:
		level, at = slog.LevelWarn, logger.Warn
	}
	if l.level < at || !l.logger.Enabled(ctx, level) {
		return
	}
	text, rows := fc()
	attrs := []slog.Attr{slog.String("sql", redact.SQL(leftover.ReplaceAllString(text, "$$$1"))), slog.Duration("took", took)}
	if rows >= 0 {
		attrs = append(attrs, slog.Int64("rows", rows))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", redact.Error(err)))
	}
	l.logger.LogAttrs(ctx, level, "statement", attrs...)
}
