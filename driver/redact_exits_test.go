package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

// A trap fails in one place, once: with an error that holds a canary, or by panicking with one.
type trap struct {
	sqlmw.NullInterceptor
	place  string
	panics bool
	sprung int
}

// spring returns err, or the trap's own error if it stands in this place.
func (tr *trap) spring(place string, err error) error {
	if tr.place != place || tr.sprung > 0 {
		return err
	}
	tr.sprung++
	if tr.panics {
		panic(failing.AllOfThem)
	}
	return errors.New(failing.AllOfThem)
}

func (tr *trap) ConnectorConnect(ctx context.Context, c sqldriver.Connector) (sqldriver.Conn, error) {
	conn, err := c.Connect(ctx)
	return conn, tr.spring("connect", err)
}

func (tr *trap) ConnBeginTx(ctx context.Context, c sqldriver.ConnBeginTx, o sqldriver.TxOptions) (context.Context, sqldriver.Tx, error) {
	tx, err := c.BeginTx(ctx, o)
	return ctx, tx, tr.spring("begin", err)
}

func (tr *trap) ConnPrepareContext(ctx context.Context, c sqldriver.ConnPrepareContext, q string) (context.Context, sqldriver.Stmt, error) {
	stmt, err := c.PrepareContext(ctx, q)
	return ctx, stmt, tr.spring("prepare", err)
}

func (tr *trap) ConnPing(ctx context.Context, c sqldriver.Pinger) error {
	return tr.spring("ping", c.Ping(ctx))
}

func (tr *trap) ConnExecContext(ctx context.Context, c sqldriver.ExecerContext, q string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	result, err := c.ExecContext(ctx, q, args)
	return result, tr.spring("exec", err)
}

func (tr *trap) ConnQueryContext(ctx context.Context, c sqldriver.QueryerContext, q string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	rows, err := c.QueryContext(ctx, q, args)
	return ctx, rows, tr.spring("query", err)
}

func (tr *trap) StmtExecContext(ctx context.Context, s sqldriver.StmtExecContext, _ string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	result, err := s.ExecContext(ctx, args)
	return result, tr.spring("stmt exec", err)
}

func (tr *trap) StmtQueryContext(ctx context.Context, s sqldriver.StmtQueryContext, _ string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	rows, err := s.QueryContext(ctx, args)
	return ctx, rows, tr.spring("stmt query", err)
}

func (tr *trap) StmtClose(_ context.Context, s sqldriver.Stmt) error {
	return tr.spring("stmt close", s.Close())
}

func (tr *trap) RowsNext(_ context.Context, r sqldriver.Rows, dest []sqldriver.Value) error {
	return tr.spring("next", r.Next(dest))
}

func (tr *trap) RowsClose(_ context.Context, r sqldriver.Rows) error {
	return tr.spring("rows close", r.Close())
}

func (tr *trap) TxCommit(_ context.Context, tx sqldriver.Tx) error {
	return tr.spring("commit", tx.Commit())
}

func (tr *trap) TxRollback(_ context.Context, tx sqldriver.Tx) error {
	return tr.spring("rollback", tx.Rollback())
}

func (tr *trap) ResultLastInsertId(r sqldriver.Result) (int64, error) {
	id, _ := r.LastInsertId()
	return id, tr.spring("last insert id", nil)
}

func (tr *trap) ResultRowsAffected(r sqldriver.Result) (int64, error) {
	n, err := r.RowsAffected()
	return n, tr.spring("rows affected", err)
}

// The trap is a tracer, too, which cannot return errors.
func (tr *trap) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	_ = tr.spring("trace start", nil)
	return ctx
}

func (tr *trap) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	_ = tr.spring("trace end", nil)
}

// visit goes everywhere where a trap can stand, and returns the errors that it met.
func visit(ctx context.Context, h *sql.DB) (met []error) {
	note := func(err error) bool {
		if err != nil {
			met = append(met, err)
		}
		return err == nil
	}
	note(h.PingContext(ctx))
	if result, err := h.ExecContext(ctx, "select 1"); note(err) {
		_, err = result.RowsAffected()
		note(err)
		_, err = result.LastInsertId()
		note(err)
	}
	note(queried(h.QueryContext(ctx, "select i from generate_series(1, 3) i where i < $1", 9)))
	if stmt, err := h.PrepareContext(ctx, "select 1"); note(err) {
		_, err = stmt.ExecContext(ctx)
		note(err)
		note(queried(stmt.QueryContext(ctx)))
		note(stmt.Close())
	}
	for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
		if tx, err := h.BeginTx(ctx, nil); note(err) {
			note(end(tx))
		}
	}
	if _, err := h.ExecContext(ctx, "do $$ begin raise notice 'x'; end $$"); err != nil {
		note(err)
	}
	return met
}

// Every way out of the driver, with an error and with a panic: the value stays inside, and the pool's one connection is
// there for the next statement.
func TestEveryWayOut(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	hooked := []string{"before connect", "after connect", "reset session", "notice"}
	for _, place := range append([]string{"connect", "begin", "prepare", "ping", "exec", "query", "stmt exec", "stmt query", "stmt close", "next", "rows close",
		"commit", "rollback", "last insert id", "rows affected", "trace start", "trace end"}, hooked...) {
		for _, panics := range []bool{false, true} {
			if !panics && (strings.HasPrefix(place, "trace") || place == "notice") {
				continue // which return no errors
			}
			t.Run(fmt.Sprintf("%s, panic %t", place, panics), func(t *testing.T) {
				tr := &trap{place: place, panics: panics}
				h := w.open(t, "cache_statement", driver.Config{
					Interceptors: []sqlmw.Interceptor{tr}, Tracer: tr,
					BeforeConnect: func(_ context.Context, cfg *pgx.ConnConfig) error {
						cfg.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { _ = tr.spring("notice", nil) }
						return tr.spring("before connect", nil)
					},
					AfterConnect: func(context.Context, *pgx.Conn) error { return tr.spring("after connect", nil) },
					ResetSession: func(context.Context, *pgx.Conn) error { return tr.spring("reset session", nil) },
				})
				met := visit(w.as(w.tenant, "a"), h)
				require.Equal(t, 1, tr.sprung, "the trap was not met")
				switch {
				case place == "reset session" && !panics: // database/sql drops it
				case place == "reset session": // or takes another connection
					assert.Empty(t, met)
				case len(met) == 0 && place == "stmt close": // database/sql drops it
				default:
					require.NotEmpty(t, met)
				}
				for _, err := range met {
					assertClean(t, err, failing.AllOfThem)
				}
				if panics && len(met) > 0 {
					assert.Regexp(t, `^pganon: panic in .*driver_test.*trap.*spring \(redact_exits_test\.go:\d+\): string$`, met[0].Error())
					assert.ErrorContains(t, redact.Unsafe(met[0]), failing.AllOfThem)
				}
				if panics && len(met) > 0 && !strings.HasSuffix(place, "connect") {
					assert.LessOrEqual(t, len(met), 2, "%v", met)
				}
				assert.Empty(t, visit(w.as(w.tenant, "a"), h), "afterwards all is well")
				assert.LessOrEqual(t, h.Stats().OpenConnections, 1)
				assert.Zero(t, h.Stats().InUse)
			})
		}
	}
}

// A panic in what a statement calls ends its transaction with the connection, and nothing else.
func TestPanicGivesTheConnectionUp(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	h := w.open(t, "cache_statement", driver.Config{})
	ctx := w.as(w.tenant, "a")
	tx, err := h.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = tx.Exec("insert into notes (body) values ('lost')")
	require.NoError(t, err)
	valuer := failingValuer{func() (sqldriver.Value, error) { panic(fmt.Errorf("%w: %s", io.ErrNoProgress, failing.AllOfThem)) }}
	_, err = tx.Exec("select $1::text", valuer)
	require.ErrorIs(t, err, io.ErrNoProgress)
	assertClean(t, err, failing.AllOfThem)
	_, err = tx.Exec("select 1")
	require.ErrorIs(t, err, sqldriver.ErrBadConn)
	require.Error(t, tx.Commit())
	var n int
	require.NoError(t, h.QueryRowContext(ctx, "select count(*) from notes where body = 'lost'").Scan(&n))
	assert.Zero(t, n)
}

func TestSentinelsStay(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	for _, sentinel := range []error{io.EOF, sql.ErrNoRows, sqldriver.ErrSkip, context.Canceled, context.DeadlineExceeded, sql.ErrTxDone, pgx.ErrNoRows, pgx.ErrTxClosed} {
		h := w.open(t, "cache_statement", driver.Config{Interceptors: []sqlmw.Interceptor{sentinelInterceptor{err: sentinel}}})
		_, err := h.ExecContext(w.as(w.tenant, "a"), "select 'sentinel'")
		if sentinel == sqldriver.ErrSkip { // database/sql goes another way then
			require.NoError(t, err)
			continue
		}
		assert.True(t, err == sentinel, "%v", sentinel)
	}
	h := w.open(t, "cache_statement", driver.Config{})
	_, err := h.Exec("select 1")
	assert.True(t, err == pganon.ErrNoIdentity)
	tx, err := h.BeginTx(w.as(w.tenant, "a"), nil)
	require.NoError(t, err)
	_, err = tx.Exec("select 1/0")
	require.Error(t, err)
	assert.True(t, tx.Commit() == pgx.ErrTxCommitRollback)
	assert.True(t, tx.Commit() == sql.ErrTxDone)
	ctx, cancel := context.WithTimeout(w.as(w.tenant, "a"), 20*time.Millisecond)
	defer cancel()
	_, err = h.ExecContext(ctx, "select pg_sleep(10)")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, pgconn.Timeout(err), "%v", err)
}

type sentinelInterceptor struct {
	sqlmw.NullInterceptor
	err error
}

func (s sentinelInterceptor) ConnExecContext(ctx context.Context, c sqldriver.ExecerContext, q string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	if strings.Contains(q, "sentinel") {
		return nil, s.err
	}
	return c.ExecContext(ctx, q, args)
}

// gormError is Translate of gorm.io/driver/postgres (error_translator.go), with names for gorm's errors.
func gormError(err error) string {
	names := map[string]string{"23505": "ErrDuplicatedKey", "23503": "ErrForeignKeyViolated", "42703": "ErrInvalidField", "23514": "ErrCheckConstraintViolated"}
	if pgErr, ok := err.(*pgconn.PgError); ok {
		return names[pgErr.Code]
	}
	return ""
}

// What programs decide on is there, in every mode and on the way that an identity goes and on the other.
func TestErrorsKeepWhatProgramsNeed(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	for _, mode := range identityModes {
		for name, ctx := range map[string]context.Context{"identity": w.identity(), "login role": context.Background()} {
			t.Run(mode+", "+name, func(t *testing.T) {
				h := w.open(t, mode, driver.Config{Identity: "optional"})
				for _, c := range []struct {
					text, gorm, message string
					want                pgconn.PgError
				}{
					{"insert into users (id, email) values (1, 'c4n4ry')", "ErrDuplicatedKey", `duplicate key value violates unique constraint "users_pkey"`,
						pgconn.PgError{Code: "23505", TableName: "users", ConstraintName: "users_pkey"}},
					{"insert into orders values (5, 77)", "ErrForeignKeyViolated", `operation violates foreign key constraint "orders_user" of table "orders"`,
						pgconn.PgError{Code: "23503", TableName: "orders", ConstraintName: "orders_user"}},
					{"insert into users (email) values ('c4n4ry')", "", `null value in column "id" of relation "users" violates not-null constraint`,
						pgconn.PgError{Code: "23502", TableName: "users", ColumnName: "id"}},
					{"insert into users (id, note) values (4, 'xyz')", "ErrCheckConstraintViolated", `row of relation "users" violates check constraint "note_plain"`,
						pgconn.PgError{Code: "23514", TableName: "users", ConstraintName: "note_plain"}},
					{"select emial from users where email = 'c4n4ry'", "ErrInvalidField", `column "emial" does not exist`, pgconn.PgError{Code: "42703", Position: 8}},
				} {
					_, execErr := h.ExecContext(ctx, c.text)
					for _, err := range []error{execErr, queried(h.QueryContext(ctx, c.text))} {
						got, ok := err.(*pgconn.PgError)
						require.True(t, ok, "%T", err)
						assert.Equal(t, c.gorm, gormError(err))
						assert.Equal(t, c.message, got.Message)
						assert.Equal(t, c.want.Code, got.Code)
						assert.Equal(t, c.want.TableName, got.TableName)
						assert.Equal(t, c.want.ColumnName, got.ColumnName)
						assert.Equal(t, c.want.ConstraintName, got.ConstraintName)
						assert.Equal(t, c.want.Position, got.Position)
						if c.want.TableName != "" {
							assert.Equal(t, "data", got.SchemaName)
						}
						assertClean(t, err)
					}
				}
				_, err := h.PrepareContext(ctx, "select emial from users")
				if mode != "simple_protocol" || name == "login role" { // which prepares nothing under an identity
					assert.Equal(t, "ErrInvalidField", gormError(err), "%v", err)
				}
			})
		}
	}
}

// The hint of a masked role's write is ours, and stays; PostgreSQL's do not.
func TestHintOfMaskedRoleStays(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	for _, off := range []string{"", "off"} {
		h := w.open(t, "cache_statement", driver.Config{Redact: off})
		_, err := h.ExecContext(w.as(w.masked, "a"), "insert into notes (tenant) values ('c4n4ry')")
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		assert.Equal(t, "25006", pgErr.Code)
		assert.Equal(t, fmt.Sprintf("Role %q is masked: what it reads must not be written back.", w.masked), pgErr.Hint)
	}
}

// Positions count in what the server got: where that is another text, no name is quoted from the program's.
func TestIdentifiersOfOtherTexts(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	for _, mode := range identityModes {
		for name, ctx := range map[string]context.Context{"identity": w.identity(), "login role": context.Background()} {
			h := w.open(t, mode, driver.Config{Identity: "optional"})
			for text, arg := range map[string]any{
				"select @abcdef::int, emial, nosuch from users": pgx.NamedArgs{"abcdef": 1}, "select $1::text, emial, nosuch from users": "c4n4ry, which is longer",
			} {
				_, err := h.ExecContext(ctx, text, arg)
				require.Equal(t, "42703", sqlState(err), "%s, %s: %v", mode, name, err)
				want := `column "emial" does not exist`
				if _, rewritten := arg.(pgx.NamedArgs); rewritten || mode == "simple_protocol" {
					want = "column does not exist"
				}
				assert.Equal(t, "ERROR: "+want+" (SQLSTATE 42703)", err.Error(), "%s, %s", mode, name)
			}
		}
	}
}

// connectionStrings are malformed, or lead nowhere. The password is PASSWORD in each.
var connectionStrings = []string{
	"postgres://u:PASSWORD@127.0.0.1:1/d", "postgres://u:PASSWORD@127.0.0.1:1/d?pganon.identity=optional&connect_timeout=1", "postgres://u:PASSWORD@127.0.0.1:x/d",
	"postgres://u:PASSWORD@[::1:1/d", "postgres://u:PASSWORD/tail@127.0.0.1:1/d", "postgres://u:x@PASSWORD@127.0.0.1:1/d", "postgres://u:1234/PASSWORD@127.0.0.1:1/d",
	"postgres://u:PASSWORD?x=y@127.0.0.1:1/d", "postgres://u:PASSWORD#@127.0.0.1:1/d", "postgres://u:%zzPASSWORD@127.0.0.1:1/d", "postgres://127.0.0.1:1/d?password=PASSWORD&sslmode=bad",
	"postgres://u@127.0.0.1:1/d?pass%77ord=PASSWORD", "postgres://u:PASSWORD@127.0.0.1:1/d?pganon.identity=nonsense", "postgres://u:a?pganon.PASSWORD=@127.0.0.1:1/d",
	"postgres://u:PASSWORD@no.such.host.invalid/d", "postgres://u:PASSWORD@127.0.0.1:1,127.0.0.1:2/d?target_session_attrs=primary",
	"host=127.0.0.1 port=1 user=u password=PASSWORD dbname=d", "host=127.0.0.1 port=x password=PASSWORD", "host=127.0.0.1 port=1 password='PASSWORD",
	"host=127.0.0.1 port=1 password=a PASSWORD", "host=127.0.0.1 port=1 password=PASSWORD sslmode=bad", "host=127.0.0.1 port=1 password=PASSWORD pganon.role=x",
	"host=127.0.0.1 port=1 password=x pganon.PASSWORD=1", "host=127.0.0.1 port=1 passwordd=PASSWORD =", "host=no.such.host.invalid password=PASSWORD", "postgres//u:PASSWORD@h",
	"user=u password=PASSWORD host=/no/such/dir dbname=d", "host=127.0.0.1 port=1 user=u password=PASSWORD pganon.log=PASSWORD",
}

func TestNoErrorShowsThePassword(t *testing.T) {
	t.Parallel()
	const password = "hunter2-c4n4ry"
	parts := []string{password, "hunter2", "c4n4ry"}
	for _, dsn := range connectionStrings {
		dsn = strings.ReplaceAll(dsn, "PASSWORD", password)
		var errs []error
		for _, open := range []func() (*sql.DB, error){
			func() (*sql.DB, error) { return sql.Open("pganon", dsn) },
			func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) },
			func() (*sql.DB, error) { return driver.OpenSystem(dsn, "test") },
		} {
			h, err := open()
			if err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				err = h.PingContext(ctx)
				cancel()
				h.Close()
			}
			require.Error(t, err)
			errs = append(errs, err)
		}
		for _, err := range errs {
			assertClean(t, err, parts...)
			assert.NotContains(t, err.Error(), "1234")
			var (
				connectErr *pgconn.ConnectError
				parseErr   *pgconn.ParseConfigError
			)
			assert.False(t, errors.As(err, &connectErr) || errors.As(err, &parseErr), "which hold the password")
		}
		if t.Failed() {
			t.Fatalf("DSN %d", len(dsn))
		}
	}
	// What is needed to find the fault is there.
	h, err := sql.Open("pganon", "postgres://u:"+password+"@127.0.0.1:1/d")
	require.NoError(t, err)
	err = h.PingContext(t.Context())
	assert.ErrorContains(t, err, "pganon: connect: failed to connect to `user=u database=d`")
	assert.ErrorContains(t, err, "127.0.0.1:1")
	var op *net.OpError
	assert.ErrorAs(t, err, &op)
}

// A server that refuses the password, the role or the database.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	db := pganontest.New(t)
	for name, edit := range map[string]func(*url.URL){
		"role":     func(u *url.URL) { u.User = url.UserPassword("c4n4ry-role", "hunter2-c4n4ry") },
		"database": func(u *url.URL) { u.Path = "/c4n4ry-database" },
		"setting":  func(u *url.URL) { u.RawQuery += "&work_mem=c4n4ry-value" },
	} {
		u, err := url.Parse(db.DSN())
		require.NoError(t, err)
		edit(u)
		h, err := driver.Open(u.String(), driver.Config{})
		require.NoError(t, err)
		err = h.PingContext(t.Context())
		require.Error(t, err)
		require.NoError(t, h.Close())
		assert.NotEmpty(t, sqlState(err), name)
		pganontest.AssertNoLeak(t, []string{"hunter2-c4n4ry", "c4n4ry-value"}, err)
	}
}

// recordedTrace is what a tracer sees.
type recordedTrace struct {
	errs    []error
	args    int
	configs []*pgx.ConnConfig
}

func (r *recordedTrace) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.args += len(data.Args)
	return ctx
}
func (r *recordedTrace) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	r.errs = append(r.errs, data.Err)
}
func (r *recordedTrace) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (r *recordedTrace) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	r.args += len(data.Args)
	r.errs = append(r.errs, data.Err)
}
func (r *recordedTrace) TraceBatchEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	r.errs = append(r.errs, data.Err)
}
func (r *recordedTrace) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return ctx
}
func (r *recordedTrace) TraceCopyFromEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	r.errs = append(r.errs, data.Err)
}
func (r *recordedTrace) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}
func (r *recordedTrace) TracePrepareEnd(_ context.Context, _ *pgx.Conn, data pgx.TracePrepareEndData) {
	r.errs = append(r.errs, data.Err)
}
func (r *recordedTrace) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	r.configs = append(r.configs, data.ConnConfig)
	return ctx
}
func (r *recordedTrace) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	r.errs = append(r.errs, data.Err)
}

// failed are the errors there were.
func (r *recordedTrace) failed() (errs []error) {
	for _, err := range r.errs {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func TestTracersSeeNoValues(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	canary := failing.AllOfThem
	for _, mode := range identityModes {
		for name, ctx := range map[string]context.Context{"identity": w.identity(), "login role": context.Background()} {
			for _, own := range []bool{false, true} { // the tracer in Config, or put into pgx's configuration by a hook
				t.Run(fmt.Sprintf("%s, %s, hook %t", mode, name, own), func(t *testing.T) {
					r := &recordedTrace{}
					cfg := driver.Config{Identity: "optional", Tracer: r}
					if own {
						cfg.Tracer = nil
						cfg.BeforeConnect = func(_ context.Context, cfg *pgx.ConnConfig) error { cfg.Tracer = r; return nil }
					}
					h := w.open(t, mode, cfg)
					for _, text := range []string{"select $1::text::int", "insert into users (id, email) values (1, $1)", "selec $1"} {
						_, err := h.ExecContext(ctx, text, canary)
						require.Error(t, err)
						require.Error(t, queried(h.QueryContext(ctx, text, canary)))
						if stmt, err := h.PrepareContext(ctx, text); err == nil {
							_, err = stmt.ExecContext(ctx, canary)
							require.Error(t, err)
							require.NoError(t, stmt.Close())
						}
					}
					conn, err := h.Conn(ctx)
					require.NoError(t, err)
					defer conn.Close()
					require.Error(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
						_, err := tx.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "note"}, pgx.CopyFromRows([][]any{{50, canary}}))
						return err
					}))
					require.Error(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
						b := &pgx.Batch{}
						b.Queue("select $1::text::int", canary)
						return tx.SendBatch(ctx, b).Close()
					}))
					errs := r.failed()
					if !own || name == "login role" {
						require.GreaterOrEqual(t, len(errs), 6)
					}
					for _, err := range errs {
						assertClean(t, err, canary)
					}
					assert.Zero(t, r.args)
				})
			}
		}
	}
	r := &recordedTrace{}
	h, err := driver.Open("postgres://u:hunter2-c4n4ry@127.0.0.1:1/d", driver.Config{Tracer: r})
	require.NoError(t, err)
	defer h.Close()
	require.Error(t, h.Ping())
	require.NotEmpty(t, r.configs)
	assert.Equal(t, "u", r.configs[0].User)
	assert.Empty(t, r.configs[0].ConnString())
	pganontest.AssertNoLeak(t, []string{"hunter2-c4n4ry"}, fmt.Sprintf("%v %+v %#v", r.configs[0], *r.configs[0], *r.configs[0]))
	require.Len(t, r.failed(), 1)
	assertClean(t, r.failed()[0], "hunter2-c4n4ry")
}

func TestNoticesShowNoValues(t *testing.T) {
	t.Parallel()
	w := newFailingWorld(pganontest.New(t))
	canary := failing.AllOfThem
	for _, off := range []string{"", "off"} {
		var notices []*pgconn.Notice
		var errs []*pgconn.PgError
		h := w.open(t, "cache_statement", driver.Config{Redact: off, BeforeConnect: func(_ context.Context, cfg *pgx.ConnConfig) error {
			cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n) }
			cfg.OnPgError = func(_ *pgconn.PgConn, e *pgconn.PgError) bool { errs = append(errs, e); return true }
			return nil
		}})
		_, err := h.ExecContext(w.identity(), failing.Statement{Text: "do $$begin raise notice '%', $V using detail = $V, hint = $V, table = $V; raise warning using message = $V; end$$"}.With(canary))
		require.NoError(t, err)
		_, err = h.ExecContext(w.identity(), "select $1::text::int", canary)
		require.Error(t, err)
		require.Len(t, notices, 2)
		require.Len(t, errs, 1)
		assert.Equal(t, "NOTICE", notices[0].Severity)
		assert.Equal(t, "22P02", errs[0].Code)
		if off == "" {
			pganontest.AssertNoLeak(t, []string{failing.Core}, notices[0], notices[1], fmt.Sprintf("%+v", *notices[0]))
			assertClean(t, errs[0], canary)
		} else {
			assert.Equal(t, canary, notices[0].Message)
		}
	}
}

// plainRows have nothing but what driver.Rows asks for, as an interceptor's own may.
type plainRows struct{ sqldriver.Rows }

type plainRowsInterceptor struct{ sqlmw.NullInterceptor }

func (plainRowsInterceptor) ConnQueryContext(ctx context.Context, c sqldriver.QueryerContext, q string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	rows, err := c.QueryContext(ctx, q, args)
	if err != nil {
		return ctx, nil, err
	}
	return ctx, plainRows{rows}, nil
}

func TestRowsAnswerEveryInterface(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	types := func(cfg driver.Config) *sql.ColumnType {
		h := w.open(t, "cache_statement", cfg)
		rows, err := h.QueryContext(w.as(w.tenant, "a"), "select 1.5::numeric(7, 2), id from notes")
		require.NoError(t, err)
		defer rows.Close()
		all, err := rows.ColumnTypes()
		require.NoError(t, err)
		assert.False(t, rows.NextResultSet())
		return all[0]
	}
	ours := types(driver.Config{})
	assert.Equal(t, "NUMERIC", ours.DatabaseTypeName())
	precision, scale, ok := ours.DecimalSize()
	assert.Equal(t, []any{int64(7), int64(2), true}, []any{precision, scale, ok})
	bare := types(driver.Config{Interceptors: []sqlmw.Interceptor{plainRowsInterceptor{}}})
	assert.Empty(t, bare.DatabaseTypeName())
	assert.Equal(t, "interface {}", bare.ScanType().String())
	_, _, ok = bare.DecimalSize()
	assert.False(t, ok)

	connector, err := driver.NewConnector(w.db.DSNAs(w.login), driver.Config{})
	require.NoError(t, err)
	conn, err := connector.Connect(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	rows, err := conn.(sqldriver.QueryerContext).QueryContext(w.as(w.tenant, "a"), "select id, 1 from notes", nil)
	require.NoError(t, err)
	defer rows.Close()
	table, attribute := rows.(driver.Origins).ColumnOrigin(0)
	assert.NotZero(t, table)
	assert.EqualValues(t, 1, attribute)
	table, attribute = rows.(driver.Origins).ColumnOrigin(1)
	assert.Zero(t, table+uint32(attribute))
}
