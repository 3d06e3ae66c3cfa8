package redact_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

type dataError struct{ Value string }

func (e dataError) Error() string { return "bad value " + e.Value }

type alwaysFailing struct{ text string }

func (v alwaysFailing) Value() (driver.Value, error) { return nil, errors.New(v.text) }

func clientErrors(canary string) map[string]error {
	pgErr := &pgconn.PgError{Severity: "ERROR", Code: "23505", Message: canary, Detail: "Key (email)=(" + canary + ") already exists.",
		ConstraintName: "users_email_key", TableName: "users", Routine: "_bt_check_unique"}
	var n int
	_, encode := pgtype.NewMap().Encode(pgtype.Int4OID, pgtype.TextFormatCode, []string{canary}, nil)
	_, number := strconv.Atoi(canary)
	_, day := time.Parse(time.DateOnly, canary)
	_, odd := time.Parse(canary, "x")
	_, extra := time.Parse(time.DateOnly, "2020-01-02"+canary)
	_, config := pgconn.ParseConfig("postgres://u:" + canary + "@h:port/x?sslmode=" + canary)
	var target struct{ A int }
	quotedCanary, _ := json.Marshal(canary)
	return map[string]error{
		"plain":        errors.New(canary),
		"wrapped":      fmt.Errorf("load %s: %w", canary, io.EOF),
		"joined":       errors.Join(errors.New(canary), pgErr, context.Canceled),
		"type":         dataError{canary},
		"pointer":      &dataError{canary},
		"server":       pgErr,
		"deep server":  fmt.Errorf("%s: %w", canary, fmt.Errorf("b: %w", pgErr)),
		"encode":       encode,
		"encode args":  fmt.Errorf("failed to encode args[0]: %w", encode),
		"scan arg":     pgx.ScanArgError{ColumnIndex: 1, FieldName: "name", Err: number},
		"number":       number,
		"number func":  &strconv.NumError{Func: canary, Num: canary, Err: errors.New(canary)},
		"time":         day,
		"time layout":  odd,
		"time extra":   extra,
		"json":         json.Unmarshal([]byte(`{"A":`+string(quotedCanary)+`}`), &target),
		"json syntax":  json.Unmarshal([]byte(canary), &target),
		"json marshal": &json.MarshalerError{Err: errors.New(canary)},
		"scan":         fmt.Errorf("sql: Scan error on column index 0, name %q: %w", "age", fmt.Errorf("converting driver.Value type %T (%q) to a %s: %v", canary, canary, "int", strconv.ErrSyntax)),
		"scan bool":    fmt.Errorf("sql: Scan error on column index 0, name %q: %w", "ok", fmt.Errorf("sql/driver: couldn't convert %q into type bool", canary)),
		"scan other":   fmt.Errorf("sql: Scan error on column index 0, name %q: %w", "ok", errors.New(canary)),
		"config":       config,
		"config made":  pgconn.NewParseConfigError("postgres://u:"+canary+"@h", canary, errors.New(canary)),
		"dial":         &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5432}, Err: errors.New(canary)},
		"dns":          &net.DNSError{Err: canary, Name: canary + "@host", Server: canary + "("},
		"panic":        redact.Panic(canary),
		"panic error":  redact.Panic(errors.New(canary)),
		"panic struct": redact.Panic(struct{ V string }{canary}),
		"valuer": func() error {
			_, err := alwaysFailing{canary}.Value()
			return fmt.Errorf("sql: converting argument $1 type: %w", err)
		}(),
		"ours":       fmt.Errorf("pganon: clean session: %w", fmt.Errorf("x: %w", errors.New(canary))),
		"ours twice": fmt.Errorf("pganon: %w: again %w", errors.New(canary), errors.New(canary)),
		"convert":    func() error { return sqlConvert(&n, canary) }(),
	}
}

func sqlConvert(dest *int, value string) error {
	var n sql.Null[int]
	err := n.Scan(value)
	*dest = n.V
	return err
}

func TestErrorShowsNoValue(t *testing.T) {
	for _, canary := range failing.Canaries {
		for name, err := range clientErrors(canary) {
			require.Error(t, err, name)
			clean := redact.Error(err)
			pganontest.AssertNoLeak(t, []string{"c4n4ry", canary}, clean, fmt.Sprintf("%v %+v %#v %q %s %x %d", clean, clean, clean, clean, clean, clean, clean))
			again := redact.Error(fmt.Errorf("%s: %w", canary, clean))
			pganontest.AssertNoLeak(t, []string{"c4n4ry", canary}, again)
			assert.NotEmpty(t, clean.Error(), name)
			if t.Failed() {
				t.Fatalf("%s", name)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	errs := clientErrors("c4n4ry-plain")
	for name, want := range map[string]string{
		"plain":        "redacted *errors.errorString",
		"wrapped":      "…: EOF",
		"encode args":  "failed to encode args[0]: unable to encode … into text format for int4 (OID 23): cannot find encode plan",
		"scan arg":     "can't scan into dest[1] (col: name): strconv.Atoi: parsing \"…\": invalid syntax",
		"scan":         `sql: Scan error on column index 0, name "age": converting driver.Value type string (…) to a int: invalid syntax`,
		"scan bool":    `sql: Scan error on column index 0, name "ok": sql/driver: couldn't convert … into type bool`,
		"scan other":   `sql: Scan error on column index 0, name "ok": redacted *errors.errorString`,
		"deep server":  `…: …: ERROR: duplicate key value violates unique constraint "users_email_key" (SQLSTATE 23505)`,
		"time extra":   `parsing time "...": invalid`,
		"json":         "json: cannot unmarshal string into Go value of type int",
		"panic":        "pganon: panic: string",
		"panic struct": "pganon: panic: struct { V string }",
		"dial":         "dial tcp 127.0.0.1:5432: redacted *errors.errorString",
		"ours":         "pganon: clean session: …: redacted *errors.errorString",
	} {
		assert.Equal(t, want, redact.Error(errs[name]).Error(), name)
	}
	for _, text := range []string{ // kept whole
		"conn closed", "sql: database is closed", "sql: expected 1 arguments, got 2", "pganon: no identity in the context",
		"converting NULL to string is unsupported", "cannot scan text (OID 25) in text format into *int",
		"LastInsertId is not supported by this driver", "unused argument: 2", "unknown QueryExecMode: 9", "invalid arg type: main.Money",
		"argument name found in sql query but not present in StrictNamedArgs", "short write to large object", "unsupported isolation: Linearizable",
	} {
		assert.Equal(t, text, redact.Error(errors.New(text)).Error())
	}
}

func TestErrorKeepsWhatProgramsNeed(t *testing.T) {
	assert.NoError(t, redact.Error(nil))
	assert.NoError(t, redact.Statement(nil, ""))
	assert.NoError(t, redact.Unsafe(nil))
	assert.NoError(t, redact.Panic(nil))
	assert.NoError(t, redact.Safe(nil))
	for _, sentinel := range []error{io.EOF, sql.ErrNoRows, driver.ErrBadConn, driver.ErrSkip, driver.ErrRemoveArgument,
		context.Canceled, context.DeadlineExceeded, sql.ErrTxDone, sql.ErrConnDone} {
		assert.True(t, redact.Error(sentinel) == sentinel, sentinel)
		assert.ErrorIs(t, redact.Error(fmt.Errorf("secret: %w", sentinel)), sentinel)
	}
	own := errors.New("own")
	wrapped := fmt.Errorf("secret: %w", own)
	clean := redact.Error(wrapped)
	assert.ErrorIs(t, clean, own)
	assert.True(t, redact.Unsafe(clean) == wrapped)
	assert.True(t, redact.Unsafe(fmt.Errorf("x: %w", clean)) == wrapped)
	assert.True(t, redact.Error(clean) == clean, "cleaned once")
	var reached dataError
	assert.False(t, errors.As(redact.Error(fmt.Errorf("x: %w", dataError{"secret"})), &reached), "nothing reachable is the original")

	original := clientErrors("x")["server"].(*pgconn.PgError)
	pg, ok := redact.Error(original).(*pgconn.PgError) // as GORM's translator asserts
	require.True(t, ok)
	assert.Equal(t, "users_email_key", pg.ConstraintName)
	assert.Equal(t, `Key of "users_email_key" already exists.`, pg.Detail)
	assert.True(t, redact.Error(pg) == error(pg))
	assert.True(t, redact.Unsafe(pg) == error(original))
	var found *pgconn.PgError
	require.ErrorAs(t, redact.Error(fmt.Errorf("x: %w", original)), &found)
	assert.NotSame(t, original, found)
	assert.True(t, redact.Unsafe(redact.Error(fmt.Errorf("x: %w", original))) != error(found))

	var numErr *strconv.NumError
	require.ErrorAs(t, redact.Error(clientErrors("x")["scan arg"]), &numErr)
	assert.Equal(t, "…", numErr.Num)
	assert.ErrorIs(t, numErr, strconv.ErrSyntax)
	var scanErr pgx.ScanArgError
	require.ErrorAs(t, redact.Error(clientErrors("x")["scan arg"]), &scanErr)
	assert.Equal(t, "name", scanErr.FieldName)

	marked := redact.Safe(errors.New("shop: closed"))
	assert.Equal(t, "shop: closed", redact.Error(marked).Error())
	assert.Equal(t, "…: shop: closed", redact.Error(fmt.Errorf("secret: %w", marked)).Error())

	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	require.NoError(t, err)
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = pgconn.Connect(ctx, "postgres://u@"+silent.Addr().String()+"/d")
	require.True(t, pgconn.Timeout(err), err)
	assert.True(t, pgconn.Timeout(redact.Error(err)))
	assert.ErrorIs(t, redact.Error(err), context.DeadlineExceeded)
	assert.False(t, pgconn.Timeout(redact.Error(errors.New("x"))))

	var index []int
	func() {
		defer func() {
			err := redact.Panic(recover())
			assert.Regexp(t, `^pganon: panic in .*redact_test\.TestErrorKeepsWhatProgramsNeed.* \(error_test\.go:\d+\): runtime error: index out of range \[1\] with length 0$`, err.Error())
		}()
		_ = index[len(os.Args[:1])]
	}()
}

// Trees without end, and types that misbehave.
type ring struct{ next error }

func (r *ring) Error() string { return "secret" }
func (r *ring) Unwrap() error { return r.next }

type tree struct{ n int }

func (t tree) Error() string   { return "secret" }
func (t tree) Unwrap() []error { return []error{tree{t.n + 1}, tree{t.n + 1}, nil} }

type panicking struct{}

func (panicking) Error() string { panic("secret") }

func TestErrorIsBounded(t *testing.T) {
	r := &ring{}
	r.next = r
	var null *dataError
	for _, err := range []error{r, tree{}, panicking{}, null, (*pgconn.PgError)(nil), (*pgconn.ConnectError)(nil), &pgconn.ConnectError{}} {
		if clean := redact.Error(err); assert.Error(t, clean) {
			assert.NotContains(t, clean.Error(), "secret")
			assert.Less(t, len(clean.Error()), 10_000)
		}
	}
}

func TestMalformedDSNs(t *testing.T) {
	const pw = "hunter2c4n4ry"
	for _, dsn := range []string{
		"postgres://u:" + pw + "@127.0.0.1:1/d", "postgres://u:" + pw + "/tail@127.0.0.1:1/d", "postgres://u:x@" + pw + "@127.0.0.1:1/d",
		"postgres://u:1234/" + pw + "@127.0.0.1:1/d", "postgres://u:" + pw + "?x@127.0.0.1:1/d", "postgres://u:" + pw + "#@127.0.0.1:port/d",
		"postgres://u:%zz" + pw + "@127.0.0.1:1/d", "postgres://127.0.0.1:1/d?password=" + pw + "&sslmode=bad", "postgres://u@127.0.0.1:1/d?pass%77ord=" + pw,
		"host=127.0.0.1 port=1 user=u password=" + pw + " dbname=d", "host=127.0.0.1 port=x password=" + pw, "host=127.0.0.1 port=1 password='" + pw,
		"host=127.0.0.1 port=1 password=a " + pw, "host=127.0.0.1 port=1 password=" + pw + " sslmode=bad", "postgres//u:" + pw + "@h",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := pgx.Connect(ctx, dsn)
		cancel()
		require.Error(t, err)
		clean := redact.Error(err)
		pganontest.AssertNoLeak(t, []string{pw, "hunter2", "c4n4ry"}, clean)
		assert.NotContains(t, clean.Error(), "1234")
	}
	_, err := pgx.Connect(context.Background(), "postgres://u:"+pw+"@127.0.0.1:1/d")
	clean := redact.Error(err)
	assert.Contains(t, clean.Error(), "user=u database=d")
	assert.Contains(t, clean.Error(), "127.0.0.1:1: connect: connection refused")
	var op *net.OpError
	assert.ErrorAs(t, clean, &op)
}

func TestConditionsAreUsed(t *testing.T) {
	for code, want := range map[string]string{
		"40001": "serialization_failure", "25P04": "transaction_timeout", "23999": "integrity_constraint_violation", "ZZ999": "unknown condition",
		"P0001": "raise_exception", "58P03": "file_name_too_long", "1": "internal_error",
	} {
		clean := redact.Error(&pgconn.PgError{Code: code, Message: "secret"}).(*pgconn.PgError)
		assert.Equal(t, want, clean.Message)
	}
}

func TestStatementQuotesIdentifiers(t *testing.T) {
	for _, c := range []struct {
		code, text, at, want string
	}{
		{"42703", "select emial from users", "emial", `column "emial" does not exist`},
		{"42703", "select '猫', u.emial from users u", "u.emial", `column "u.emial" does not exist`},
		{"42703", `select "users"."emial" from users`, `"users"`, `column "users.emial" does not exist`},
		{"42703", `select 1 where a = "alice@example.org"`, `"alice`, `column "…" does not exist`},
		{"42703", `select 1 where a = "alice"`, `"alice`, `column "…" does not exist`},
		{"42703", `select 1 where a = "known"`, `"known`, `column "known" does not exist`},
		{"42P01", `select 1 from "userz"`, `"userz`, `relation "userz" does not exist`},
		{"42P01", "select 1 from userz", "userz", `relation "userz" does not exist`},
		{"42601", "selec 1", "selec", `syntax error at or near "selec"`},
		{"42601", "select 1 from t where a = 'O'Brien'", "Brien", `syntax error at or near "…"`},
		{"42601", "select 1 from t where a = 'O' Brien ''", "Brien", `syntax error at or near "…"`},
		{"42601", "select 1 'secret'", "'secret'", `syntax error at or near '…'`},
		{"42601", "select )", ")", `syntax error at or near ")"`},
		{"42883", "select lowr($1)", "lowr", `function or operator "lowr" does not exist`},
		{"42883", "select 1 ~~~ 2", "~~~", `function or operator ~~~ does not exist`},
		{"42P02", "select $1 from t", "$1", `there is no parameter $1`},
		{"42703", "select a -- b", "b", "column does not exist"},
	} {
		at := strings.Index(c.text, c.at)
		require.GreaterOrEqual(t, at, 0)
		o := redact.ErrorOptions{SQL: c.text, Known: func(name string) bool { return name == "known" }}
		clean := o.Error(&pgconn.PgError{Code: c.code, Position: int32(len([]rune(c.text[:at])) + 1), Routine: "parser", Message: "secret"})
		assert.Equal(t, c.want, clean.(*pgconn.PgError).Message, c.text)
	}
	for _, position := range []int32{-1, 0, 100} {
		clean := redact.Statement(&pgconn.PgError{Code: "42601", Position: position, Routine: "x"}, "select 1")
		assert.Equal(t, "syntax error", clean.(*pgconn.PgError).Message)
	}
}

func TestTranslatedError(t *testing.T) { // as a server with lc_messages = 'de_DE.UTF-8' sends it
	clean := redact.Error(&pgconn.PgError{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "22P02", Routine: "pg_strtoint32",
		Message: "ungültige Eingabesyntax für Typ integer: »c4n4ry«", File: "numutils.c", Line: 320})
	assert.EqualError(t, clean, "ERROR: invalid input syntax for type integer (SQLSTATE 22P02)")
}

func FuzzServerError(f *testing.F) {
	f.Add("23505", "_bt_check_unique", "ERROR", "select 1", int32(3), uint8(0))
	f.Add("42601", "scanner_yyerror", "FEHLER", "select 'a'b", int32(11), uint8(3))
	f.Add("P0001", "exec_stmt_raise", "", "", int32(0), uint8(9))
	f.Fuzz(func(t *testing.T, code, routine, severity, text string, position int32, which uint8) {
		const canary = `c4n4ry "x')=(`
		mark := func(s string) string { return s + canary + s }
		pg := &pgconn.PgError{Severity: mark(severity), SeverityUnlocalized: mark(severity), Code: code, Message: mark(text), Detail: mark(text),
			Hint: mark(text), Position: position, InternalQuery: mark(text), Where: mark(text), SchemaName: mark(text), TableName: mark(routine),
			ColumnName: mark(code), DataTypeName: mark(severity), ConstraintName: mark(text), File: mark(code), Routine: routine}
		if which%2 == 0 {
			pg.Routine = mark(routine)
		}
		if clean := redact.Error(pg).(*pgconn.PgError); clean.ConstraintName != "" {
			return // PostgreSQL's own function named it
		}
		// The canary as a literal of the statement.
		clean := redact.Statement(pg, text+` '`+strings.ReplaceAll(canary, `'`, `''`)+`' `)
		for _, s := range []string{clean.Error(), fmt.Sprintf("%+v %#v", clean, clean), fmt.Sprintf("%+v", *clean.(*pgconn.PgError))} {
			if strings.Contains(s, "c4n4ry") {
				t.Fatalf("leak for routine %q", pg.Routine)
			}
		}
	})
}

func BenchmarkError(b *testing.B) {
	pg := clientErrors("x")["server"]
	for name, err := range map[string]error{"nil": nil, "EOF": io.EOF, "server": pg} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = redact.Error(err)
			}
		})
	}
}
