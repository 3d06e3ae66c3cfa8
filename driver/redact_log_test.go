package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/internal/loghash"
	"github.com/pganon/pganon/pganontest"
)

// logBuffer is a log that several goroutines may write to.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// take returns the lines there are, which are JSON, and forgets them.
func (b *logBuffer) take(t *testing.T) (lines []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range strings.Split(strings.TrimSpace(b.text.String()), "\n") {
		if text == "" {
			continue
		}
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		lines = append(lines, line)
	}
	b.text.Reset()
	return lines
}

func (b *logBuffer) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: level}))
}

func TestRedactOffIsLogged(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	var log logBuffer
	h := w.open(t, "cache_statement", driver.Config{Redact: "off", Logger: log.logger(slog.LevelInfo)})
	lines := log.take(t)
	require.Len(t, lines, 1, "at open")
	assert.Equal(t, "WARN", lines[0]["level"])
	assert.Equal(t, "pganon: errors are not redacted: they hold values of the data", lines[0]["msg"])
	_, err := h.ExecContext(w.identity(), "select $1::text::int", failing.Core)
	assert.ErrorContains(t, err, failing.Core)
	_, err = h.ExecContext(w.identity(), "select $1::text", failingValuer{func() (sqldriver.Value, error) { panic(failing.Core) }})
	assert.EqualError(t, err, "pganon: panic: panic: "+failing.Core)

	w.open(t, "cache_statement", driver.Config{Redact: "on", Logger: log.logger(slog.LevelInfo)})
	assert.Empty(t, log.take(t))
	for _, dsn := range []string{w.db.DSN() + "&pganon.redact=off", w.db.DSN() + "&pganon.redact=on"} {
		_, err = sql.Open("pganon", dsn)
		assert.EqualError(t, err, "pganon: parse dsn: pganon.redact: redaction can be turned off in Go only: Config.Redact")
	}
	_, err = driver.NewConnector(w.db.DSN(), driver.Config{Redact: "no"})
	assert.EqualError(t, err, "pganon: parse dsn: Config.Redact: unknown value, want on or off")
	_, err = driver.NewConnector(w.db.DSN(), driver.Config{LogKey: []byte("short")})
	assert.EqualError(t, err, "pganon: set log key: 5 bytes are fewer than 16")
}

// A line for every statement, with what it ran as and without any value.
func TestLogOfStatements(t *testing.T) {
	w := newFailingWorld(pganontest.New(t))
	w.db.Exec("create table data.notes (id int, body text); grant all on data.notes to " + w.owner)
	key := bytes.Repeat([]byte("k"), 32)
	who := pganon.Identity{User: "alice-c4n4ry@example.org", Tenant: "tenant-c4n4ry", Role: w.owner, Settings: map[string]string{"region": "region-c4n4ry"}}
	for _, mode := range identityModes {
		for name, ctx := range map[string]context.Context{"identity": pganon.WithIdentity(context.Background(), who), "login role": context.Background()} {
			t.Run(mode+", "+name, func(t *testing.T) {
				var log logBuffer
				h := w.open(t, mode, driver.Config{Log: "debug", LogKey: key, Logger: log.logger(slog.LevelDebug), Identity: "optional"})
				canary := failing.AllOfThem
				text := func(s string) string { return failing.Statement{Text: s}.With(canary) }
				// want wants one line with these values.
				want := func(command string, rows float64, sqlstate string) {
					t.Helper()
					lines := log.take(t)
					require.Len(t, lines, 1)
					line := lines[0]
					assert.Equal(t, "DEBUG", line["level"])
					assert.Equal(t, "pganon: statement", line["msg"])
					assert.Contains(t, line, "duration")
					assert.Equal(t, false, line["masked"])
					if sqlstate != "" {
						assert.Equal(t, sqlstate, line["sqlstate"])
						assert.NotContains(t, line, "rows")
					} else {
						assert.Equal(t, command, line["command"])
						assert.Equal(t, rows, line["rows"])
					}
					if name == "login role" {
						assert.Equal(t, "login role", line["role"])
						assert.NotContains(t, line, "identity")
						return
					}
					assert.Equal(t, w.owner, line["role"])
					assert.Equal(t, "rls.user_id,rls.tenant_id,rls.region", line["settings"])
					assert.Equal(t, map[string]any{
						"user": "#" + loghash.Sum("user", who.User), "tenant": "#" + loghash.Sum("tenant", who.Tenant), "role": w.owner, "settings": []any{"region"},
					}, line["identity"])
				}
				_, err := h.ExecContext(ctx, text("insert into notes values (1, $V), (2, $V)"))
				require.NoError(t, err)
				want("INSERT", 2, "")
				_, err = h.ExecContext(ctx, "update notes set body = $1 where id = $2", canary, 1)
				require.NoError(t, err)
				want("UPDATE", 1, "")
				require.NoError(t, queried(h.QueryContext(ctx, "select body from notes where body = $1", canary)))
				want("SELECT", 2, "")
				_, err = h.ExecContext(ctx, text("select $V::int"))
				require.Error(t, err)
				want("", 0, "22P02")
				require.Error(t, queried(h.QueryContext(ctx, "select $1::text::int", canary)))
				want("", 0, "22P02")
				stmt, err := h.PrepareContext(ctx, "delete from notes where body = $1 and id = 7")
				require.NoError(t, err)
				_, err = stmt.ExecContext(ctx, canary)
				require.NoError(t, err)
				require.NoError(t, stmt.Close())
				want("DELETE", 0, "")
				for _, end := range []struct {
					command string
					do      func(*sql.Tx) error
				}{{"COMMIT", (*sql.Tx).Commit}, {"ROLLBACK", (*sql.Tx).Rollback}} {
					tx, err := h.BeginTx(ctx, nil)
					require.NoError(t, err)
					want("BEGIN", 0, "")
					_, err = tx.Exec("select 1")
					require.NoError(t, err)
					want("SELECT", 1, "")
					require.NoError(t, end.do(tx))
					want(end.command, 0, "")
				}
				conn, err := h.Conn(ctx)
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					want("BEGIN", 0, "")
					_, err := tx.CopyFrom(ctx, pgx.Identifier{"notes"}, []string{"id", "body"}, pgx.CopyFromRows([][]any{{8, canary}, {9, canary}, {10, canary}}))
					require.NoError(t, err)
					want("COPY", 3, "")
					b := &pgx.Batch{}
					b.Queue("delete from notes where body = $1 and id > 7", canary)
					b.Queue("select body from notes where body = $1", canary).Query(func(rows pgx.Rows) error {
						for rows.Next() {
						}
						return rows.Err()
					})
					require.NoError(t, tx.SendBatch(ctx, b).Close())
					commands := []string{}
					for _, line := range log.take(t) {
						commands = append(commands, line["command"].(string))
					}
					assert.Equal(t, []string{"DELETE", "SELECT"}, commands)
					_, err = tx.Exec(ctx, "delete from notes")
					require.NoError(t, err)
					want("DELETE", 2, "")
					return nil
				}))
				want("COMMIT", 0, "")
			})
		}
	}
	// All of it once more, looked at as a whole.
	var log logBuffer
	h := w.open(t, "cache_statement", driver.Config{Log: "debug", LogKey: key, Logger: log.logger(slog.LevelDebug)})
	c := &corpus{codes: map[string]int{}}
	for _, s := range failing.Statements {
		failStatement(t, c, h, pganon.WithIdentity(context.Background(), who), s, failing.AllOfThem)
	}
	pganontest.AssertNoLeak(t, []string{failing.Core}, &log)
	require.NotEmpty(t, log.take(t))

	require.NoError(t, loghash.SetKey(slices.Repeat([]byte("x"), 16)))
	h = w.open(t, "cache_statement", driver.Config{Log: "off", Logger: log.logger(slog.LevelDebug)})
	_, err := h.ExecContext(w.identity(), "select 1")
	require.NoError(t, err)
	assert.Empty(t, log.take(t))
}

// What the outer layer costs where nothing fails: one allocation for rows, none for exec.
func TestOuterLayerAllocates(t *testing.T) {
	w := newFailingWorld(pganontest.New(t))
	connector, err := driver.NewConnector(w.db.DSNAs(w.login), driver.Config{})
	require.NoError(t, err)
	outer, err := connector.Connect(t.Context())
	require.NoError(t, err)
	defer outer.Close()
	ctx := w.identity()
	args := []sqldriver.NamedValue{{Ordinal: 1, Value: int64(1)}}
	exec := func(c sqldriver.Conn) func() {
		return func() {
			_, err := c.(sqldriver.ExecerContext).ExecContext(ctx, "select $1::int8", args)
			require.NoError(t, err)
		}
	}
	query := func(c sqldriver.Conn) func() {
		dest := make([]sqldriver.Value, 1)
		return func() {
			rows, err := c.(sqldriver.QueryerContext).QueryContext(ctx, "select $1::int8", args)
			require.NoError(t, err)
			for rows.Next(dest) == nil {
			}
			require.NoError(t, rows.Close())
		}
	}
	const runs = 200
	inner := driver.Inner(outer)
	testing.AllocsPerRun(20, query(outer)) // fills caches
	assert.Equal(t, testing.AllocsPerRun(runs, exec(inner)), testing.AllocsPerRun(runs, exec(outer)))
	assert.Equal(t, testing.AllocsPerRun(runs, query(inner))+1, testing.AllocsPerRun(runs, query(outer)))
}

// BenchmarkOuterLayer is what the outer layer costs, against the connection below it.
func BenchmarkOuterLayer(b *testing.B) {
	db := pganontest.New(b)
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{Role: db.Role("reader")})
	connector, err := driver.NewConnector(db.DSN(), driver.Config{})
	require.NoError(b, err)
	outer, err := connector.Connect(b.Context())
	require.NoError(b, err)
	defer outer.Close()
	for _, rows := range []int64{1, 10_000} {
		for name, conn := range map[string]sqldriver.Conn{"inner": driver.Inner(outer), "outer": outer} {
			b.Run(fmt.Sprintf("rows=%d/%s", rows, name), func(b *testing.B) {
				args := []sqldriver.NamedValue{{Ordinal: 1, Value: rows}}
				dest := make([]sqldriver.Value, 1)
				b.ReportAllocs()
				for b.Loop() {
					r, err := conn.(sqldriver.QueryerContext).QueryContext(ctx, "select i from generate_series(1, $1::int8) i", args)
					require.NoError(b, err)
					for r.Next(dest) == nil {
					}
					require.NoError(b, r.Close())
				}
			})
		}
	}
}
