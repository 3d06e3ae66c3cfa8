package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

// A failingWorld is a database with what failing.Statements are about. Login may do what owner may.
type failingWorld struct {
	db           *pganontest.DB
	login, owner string
}

func newFailingWorld(db *pganontest.DB) *failingWorld {
	w := &failingWorld{db: db, login: db.Role("app", "LOGIN"), owner: db.Role("owner")}
	db.Exec(fmt.Sprintf(`create extension btree_gist;
grant %[1]s to %[2]s; grant create on database %[3]s to %[1]s; create schema data authorization %[1]s; alter database %[3]s set search_path = data, public;
set search_path = data, public; set role %[1]s;`, w.owner, w.login, db.Name()) + failing.Schema)
	return w
}

// open opens a handle with one connection. What asks is the identity of its contexts, which may be none.
func (w *failingWorld) open(t testing.TB, mode string, cfg driver.Config) *sql.DB {
	t.Helper()
	h, err := driver.Open(w.db.DSNAs(w.login)+"&default_query_exec_mode="+mode, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	h.SetMaxOpenConns(1)
	return h
}

func (w *failingWorld) identity() context.Context {
	return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u1", Tenant: "t1", Role: w.owner})
}

// assertClean fails t where err shows a canary: in any way it prints, and in every exported field of every error of its chain.
func assertClean(t testing.TB, err error, canaries ...string) {
	t.Helper()
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Error(fmt.Sprintf("%q %s %x", err, err, err), "err", err, slog.Group("in", "err", err))
	pganontest.AssertNoLeak(t, append([]string{failing.Core}, canaries...), err, text.String(), strings.Join(exportedTexts(reflect.ValueOf(&err).Elem(), 0), "\n"))
}

// exportedTexts are the strings that a program can reach from v by fields and by what errors wrap.
func exportedTexts(v reflect.Value, depth int) (texts []string) {
	const deep = 12
	if depth > deep || !v.IsValid() {
		return nil
	}
	if v.CanInterface() && (v.Kind() != reflect.Interface && v.Kind() != reflect.Pointer || !v.IsNil()) {
		switch err := v.Interface().(type) {
		case interface{ Unwrap() error }:
			if inner := err.Unwrap(); inner != nil {
				texts = append(texts, exportedTexts(reflect.ValueOf(inner), depth+1)...)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range err.Unwrap() {
				texts = append(texts, exportedTexts(reflect.ValueOf(inner), depth+1)...)
			}
		}
	}
	switch v.Kind() {
	case reflect.String:
		texts = append(texts, v.String())
	case reflect.Interface, reflect.Pointer:
		texts = append(texts, exportedTexts(v.Elem(), depth+1)...)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				texts = append(texts, exportedTexts(v.Field(i), depth+1)...)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range min(v.Len(), 100) {
			texts = append(texts, exportedTexts(v.Index(i), depth+1)...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			texts = append(texts, exportedTexts(key, depth+1)...)
			texts = append(texts, exportedTexts(v.MapIndex(key), depth+1)...)
		}
	}
	return texts
}

// The helper itself must find what is there.
func TestExportedTexts(t *testing.T) {
	pgErr := &pgconn.PgError{Detail: failing.Core}
	for _, err := range []error{pgErr, fmt.Errorf("x: %w", pgErr), errors.Join(errors.New("x"), fmt.Errorf("y: %w", pgErr)), pgx.ScanArgError{Err: pgErr}} {
		assert.Contains(t, strings.Join(exportedTexts(reflect.ValueOf(err), 0), "\n"), failing.Core)
	}
}

// A corpus collects what errors there were.
type corpus struct {
	codes  map[string]int // SQLSTATE to errors
	errors int
}

// check notes err, of which there must be one, and wants it clean.
func (c *corpus) check(t testing.TB, canary string, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	c.errors++
	c.codes[sqlState(err)]++
	assertClean(t, err, canary)
}

func TestNoErrorShowsAValue(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	testCorpus(t, w, identityModes...)
	t.Run("canaries", func(t *testing.T) {
		c := &corpus{codes: map[string]int{}}
		h := w.open(t, "cache_statement", driver.Config{})
		for _, canary := range failing.Canaries {
			for _, s := range failing.Statements {
				failStatement(t, c, h, w.identity(), s, canary)
			}
		}
	})
}

// A server whose messages are translated: nothing may depend on what they say.
func TestNoErrorShowsAValueInAnotherLanguage(t *testing.T) {
	w := newFailingWorld(germanDB(t))
	raw := w.open(t, "exec", driver.Config{Redact: "off", Identity: "optional", Logger: slog.New(slog.DiscardHandler)})
	_, err := raw.Exec("select 'c4n4ry'::int")
	require.ErrorContains(t, err, failing.Core)
	if !strings.Contains(err.Error(), "ungültige Eingabesyntax") {
		noGerman(t, "the server has no German messages: its package, or this machine's, leaves translations out")
	}
	testCorpus(t, w, "cache_statement", "simple_protocol")
}

// germanDB is a database of a server that speaks German: this machine's if it has the locale, else one that gets a locale of
// its own.
func germanDB(t *testing.T) *pganontest.DB {
	t.Helper()
	const locale = "de_DE.UTF-8"
	speaks := func(db *pganontest.DB) error {
		conn, err := pgx.Connect(t.Context(), db.DSN())
		require.NoError(t, err)
		defer conn.Close(context.Background())
		if _, err = conn.Exec(t.Context(), "set lc_messages = '"+locale+"'"); err == nil {
			db.Exec("alter database " + db.Name() + " set lc_messages = '" + locale + "'")
		}
		return err
	}
	db := pganontest.New(t)
	if speaks(db) == nil {
		return db
	}
	dir, err := os.MkdirTemp("", "pganon-locale-") // where the server's user can read it, unlike t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	if out, err := exec.Command("localedef", "-i", "de_DE", "-f", "UTF-8", "--no-archive", dir+"/"+locale).CombinedOutput(); err != nil {
		noGerman(t, fmt.Sprintf("no locale %s, and none can be made: install Debian's package locales: %v %s", locale, err, out))
	}
	t.Setenv("LOCPATH", dir) // of the C library, in which the server looks for locales
	server, err := pganontest.Start(t.Context(), pganontest.Config{Provider: "local"})
	if err != nil {
		noGerman(t, err.Error())
	}
	t.Cleanup(func() { _ = server.Close() })
	db = server.New(t)
	if err := speaks(db); err != nil {
		noGerman(t, err.Error())
	}
	return db
}

// noGerman ends a test that not every machine can run, and CI must.
func noGerman(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func testCorpus(t *testing.T, w *failingWorld, modes ...string) {
	require.GreaterOrEqual(t, len(failing.Statements), 80)
	for _, mode := range modes {
		for _, who := range []struct {
			name string
			cfg  driver.Config
			ctx  context.Context
		}{
			{"login role", driver.Config{Identity: "optional"}, context.Background()},
			{"identity", driver.Config{}, w.identity()},
		} {
			t.Run(mode+", "+who.name, func(t *testing.T) {
				c := &corpus{codes: map[string]int{}}
				h := w.open(t, mode, who.cfg)
				for _, s := range failing.Statements {
					if !t.Run(s.Text, func(t *testing.T) { failStatement(t, c, h, who.ctx, s, failing.AllOfThem) }) {
						break // of one mistake there are many
					}
				}
				failClient(t, c, h, who.ctx)
				failInTx(t, c, h, who.ctx)
				delete(c.codes, "")
				assert.GreaterOrEqual(t, len(c.codes), 40, "SQLSTATEs")
				t.Logf("%d errors, %d SQLSTATEs", c.errors, len(c.codes))
			})
		}
	}
}

// failStatement runs s in every way that database/sql has.
func failStatement(t *testing.T, c *corpus, h *sql.DB, ctx context.Context, s failing.Statement, canary string) {
	if strings.HasPrefix(s.Text, "copy ") {
		return // see failInTx
	}
	conn, err := h.Conn(ctx)
	require.NoError(t, err)
	defer conn.Close()
	text := s.With(canary)
	check := func(err error) {
		t.Helper()
		c.check(t, canary, err)
		_, err = conn.ExecContext(ctx, "rollback")
		require.NoError(t, err)
	}
	_, err = conn.ExecContext(ctx, text)
	if s.Code == "25P02" {
		_, err = conn.ExecContext(ctx, failing.Statement{Text: "select $V"}.With(canary))
	}
	if code := sqlState(err); code != "42P18" || s.Text != "select $9" { // the extended protocol lets a parameter be
		assert.Equal(t, s.Code, code, "%v", redact.Unsafe(err))
	}
	check(err)
	several := strings.Contains(s.Text, "; ") && !strings.Contains(s.Text, "$$") && !strings.Contains(s.Text, "$f$")
	if several {
		return
	}
	check(queried(conn.QueryContext(ctx, text)))
	if stmt, err := conn.PrepareContext(ctx, text); err != nil {
		check(err)
	} else {
		_, err = stmt.ExecContext(ctx)
		check(err)
		check(queried(stmt.QueryContext(ctx)))
		require.NoError(t, stmt.Close())
	}
	tx, err := conn.BeginTx(ctx, nil)
	require.NoError(t, err)
	if _, err = tx.ExecContext(ctx, text); s.Code != "25P01" { // which a transaction mends
		c.check(t, canary, err)
	}
	if err := tx.Commit(); err != nil {
		c.check(t, canary, err)
	}
	// The canary as an argument. Some of these have none any more, or fail otherwise.
	if with := strings.NewReplacer("$V", "$1::text", "$I", "nosuch").Replace(s.Text); with != s.Text {
		check(queried(conn.QueryContext(ctx, with, canary)))
		_, err = conn.ExecContext(ctx, with, canary)
		check(err)
	}
}

// queried reads rows to their end.
func queried(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(); err != nil && !strings.HasPrefix(err.Error(), "sql: expected ") {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

type failingValuer struct {
	how func() (sqldriver.Value, error)
}

func (v failingValuer) Value() (sqldriver.Value, error) { return v.how() }

type failingScanner struct{ how func(src any) error }

func (s *failingScanner) Scan(src any) error { return s.how(src) }

type failingRewriter struct{ how func() error }

func (r failingRewriter) RewriteQuery(context.Context, *pgx.Conn, string, []any) (string, []any, error) {
	return "", nil, r.how()
}

// failClient fails before the server does, or after it.
func failClient(t *testing.T, c *corpus, h *sql.DB, ctx context.Context) {
	canary := failing.AllOfThem
	mine := errors.New(canary)
	for _, f := range []struct {
		text string
		args []any
	}{
		{"select $1::int", []any{canary}},
		{"select $1::int + $2::int", []any{1, canary}},
		{"select $1::int[]", []any{[]string{canary}}},
		{"select $1::uuid", []any{canary}},
		{"select $1::date", []any{canary}},
		{"select $1::jsonb", []any{func() { _ = canary }}},
		{"select $1::point", []any{map[string]any{canary: make(chan int)}}},
		{"select $1::int", []any{struct{ V string }{canary}}},
		{"select $1::int, $2::text", []any{canary}},
		{"select $1::int", []any{canary, canary}},
		{"select @a::int", []any{pgx.NamedArgs{"a": canary}}},
		{"select @a::int", []any{pgx.StrictNamedArgs{"b": canary}}},
		{"select 1", []any{failingRewriter{func() error { return mine }}}},
		{"select $1::text", []any{failingValuer{func() (sqldriver.Value, error) { return nil, mine }}}},
		{"select $1::int", []any{failingValuer{func() (sqldriver.Value, error) { return canary, nil }}}},
		{"select $1::text", []any{failingValuer{func() (sqldriver.Value, error) { panic(canary) }}}},
		{"select 1", []any{failingRewriter{func() error { panic(mine) }}}},
		{"select 'infinity'::timestamptz, $1::text, 1/0", []any{canary}},
	} {
		t.Run(f.text, func(t *testing.T) {
			_, err := h.ExecContext(ctx, f.text, f.args...)
			c.check(t, canary, err)
			err = queried(h.QueryContext(ctx, f.text, f.args...))
			c.check(t, canary, err)
			tx, err := h.BeginTx(ctx, nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(ctx, f.text, f.args...)
			c.check(t, canary, err)
			_ = tx.Rollback()
		})
	}
	// Errors of deferred constraints come with the commit, the transaction's or a statement's own.
	_, err := h.ExecContext(ctx, "insert into orders values (9, 1, 555)")
	c.check(t, canary, err)
	c.check(t, canary, queried(h.QueryContext(ctx, "insert into orders values (9, 1, $1) returning $2::text", 555, canary)))
	tx, err := h.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(ctx, "insert into orders values (9, 1, 555)")
	require.NoError(t, err)
	err = tx.Commit()
	require.Equal(t, "23503", sqlState(err))
	c.check(t, canary, err)
	// An error after rows.
	err = queried(h.QueryContext(ctx, "select case when i > 300 then $1::text::int end, repeat('x', 1000) from generate_series(1, 400) i", canary))
	require.Equal(t, "22P02", sqlState(err))
	c.check(t, canary, err)
	// What database/sql scans by itself, above the driver, is cleaned at the application's edge.
	var n int
	scan := h.QueryRowContext(ctx, "select $1::text", canary).Scan(&n)
	require.Error(t, scan)
	c.check(t, canary, redact.Error(scan))
	c.check(t, canary, redact.Error(h.QueryRowContext(ctx, "select $1::text", canary).Scan(&failingScanner{func(src any) error { return fmt.Errorf("bad %v", src) }})))
	require.NoError(t, h.QueryRowContext(ctx, "select 1").Scan(&n), "the handle works on")
}

// failInTx runs what InTx is for.
func failInTx(t *testing.T, c *corpus, h *sql.DB, ctx context.Context) {
	canary := failing.AllOfThem
	inTx := func(fn func(pgx.Tx) error) error {
		t.Helper()
		conn, err := h.Conn(ctx)
		require.NoError(t, err)
		defer conn.Close()
		return driver.InTx(ctx, conn, fn)
	}
	// each runs fn in a transaction of its own, whose error it checks, too.
	each := func(fn func(pgx.Tx) error) {
		t.Helper()
		var inside error
		err := inTx(func(tx pgx.Tx) error { inside = fn(tx); return inside })
		c.check(t, canary, inside)
		assert.True(t, err == inside, "the function's own error, as it is")
	}
	for _, rows := range [][]any{{50, canary}, {"not a number " + canary, "x"}, {canary}, {51, failingValuer{func() (sqldriver.Value, error) { return nil, errors.New(canary) }}}} {
		each(func(tx pgx.Tx) error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "note"}, pgx.CopyFromRows([][]any{rows}))
			return err
		})
	}
	each(func(tx pgx.Tx) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id"}, pgx.CopyFromFunc(func() ([]any, error) { return nil, errors.New(canary) }))
		return err
	})
	for _, f := range []struct {
		text string
		args []any
	}{
		{"select $1::text::int", []any{canary}}, {"insert into users (id, email) values (1, $1)", []any{canary}}, {"insert into users (id, note) values (60, $1)", []any{canary}},
		{"selec $1", []any{canary}}, {"select $1::int", []any{struct{ V string }{canary}}}, {"select rethrow($1)", []any{canary}},
		{"select $1::text", []any{failingValuer{func() (sqldriver.Value, error) { panic(canary) }}}},
	} {
		each(func(tx pgx.Tx) error { _, err := tx.Exec(ctx, f.text, f.args...); return err })
		each(func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, f.text, f.args...)
			if assert.Error(t, rows.Err()) {
				assertClean(t, rows.Err(), canary)
			}
			return err
		})
		each(func(tx pgx.Tx) error {
			var v any
			return tx.QueryRow(ctx, f.text, f.args...).Scan(&v)
		})
		each(func(tx pgx.Tx) error {
			nested, err := tx.Begin(ctx)
			require.NoError(t, err)
			_, err = nested.Exec(ctx, f.text, f.args...)
			return err
		})
		for _, how := range []func(pgx.BatchResults) error{
			func(br pgx.BatchResults) error { _, err := br.Exec(); return err },
			func(br pgx.BatchResults) error {
				rows, err := br.Query()
				rows.Close()
				return errors.Join(rows.Err(), err)
			},
			func(br pgx.BatchResults) error { var v any; return br.QueryRow().Scan(&v) },
			func(br pgx.BatchResults) error { return br.Close() },
		} {
			each(func(tx pgx.Tx) error {
				b := &pgx.Batch{}
				b.Queue(f.text, f.args...)
				b.Queue("select 1")
				br := tx.SendBatch(ctx, b)
				err := how(br)
				if closing := br.Close(); assert.Error(t, closing) {
					assertClean(t, closing, canary)
				}
				return err
			})
		}
		each(func(tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue(f.text, f.args...).Query(func(rows pgx.Rows) error {
				for rows.Next() {
				}
				return rows.Err()
			})
			return tx.SendBatch(ctx, b).Close()
		})
	}
	// Rows of every kind that are scanned into what they do not fit.
	scans := map[string]func(pgx.Rows) error{
		"scan": func(rows pgx.Rows) error { var n int; rows.Next(); return rows.Scan(&n) },
		"scanner": func(rows pgx.Rows) error {
			rows.Next()
			return rows.Scan(&failingScanner{func(any) error { return errors.New(canary) }})
		},
		"panic": func(rows pgx.Rows) error {
			rows.Next()
			return rows.Scan(&failingScanner{func(any) error { panic(canary) }})
		},
		"row scanner": func(rows pgx.Rows) error {
			rows.Next()
			return rows.Scan(rowScanner(func(pgx.Rows) error { return errors.New(canary) }))
		},
		"collect": func(rows pgx.Rows) error { _, err := pgx.CollectRows(rows, pgx.RowTo[int]); return err },
	}
	for name, scan := range scans {
		t.Run(name, func(t *testing.T) {
			each(func(tx pgx.Tx) error {
				rows, err := tx.Query(ctx, "select $1::text", canary)
				require.NoError(t, err)
				err = scan(rows)
				if assert.Error(t, rows.Err()) {
					assertClean(t, rows.Err(), canary)
				}
				return err
			})
			each(func(tx pgx.Tx) error {
				b := &pgx.Batch{}
				b.Queue("select $1::text", canary)
				br := tx.SendBatch(ctx, b)
				defer br.Close()
				rows, err := br.Query()
				require.NoError(t, err)
				return scan(rows)
			})
		})
	}
	err := inTx(func(tx pgx.Tx) error { _, err := tx.Exec(ctx, "insert into orders values (9, 1, 555)"); return err })
	assert.Equal(t, "23503", sqlState(err), "the commit's error: %v", err)
	c.check(t, canary, err)
	mine := errors.New(canary)
	assert.True(t, inTx(func(pgx.Tx) error { return mine }) == mine, "the function's own error is the program's")
}

type rowScanner func(pgx.Rows) error

func (f rowScanner) ScanRow(rows pgx.Rows) error { return f(rows) }
