package redact_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
	"github.com/pganon/pganon/redact"
)

func TestServerErrors(t *testing.T) {
	db := pganontest.New(t)
	db.Exec("create extension btree_gist;" + failing.Schema)
	ctx := context.Background()
	seen := map[string]int{}
	wrong := false
	for ci, canary := range failing.Canaries {
		if ci%4 != 0 && testing.Short() {
			continue
		}
		conn, err := pgx.Connect(ctx, db.DSN())
		require.NoError(t, err)
		check := func(text string, err error) {
			t.Helper()
			var pg *pgconn.PgError
			if !errors.As(err, &pg) {
				t.Errorf("%q: no server error", strings.ReplaceAll(text, canary, "…"))
				return
			}
			seen[pg.Code]++
			clean := redact.Statement(err, text)
			direct, ok := clean.(*pgconn.PgError)
			require.True(t, ok)
			pganontest.AssertNoLeak(t, []string{"c4n4ry", canary}, clean, fmt.Sprintf("%+v", *direct))
			assert.Equal(t, pg.Code, direct.Code)
			assert.Equal(t, pg.Position, direct.Position)
			assert.Equal(t, pg.Routine, direct.Routine)
			assert.Equal(t, pg.SeverityUnlocalized, direct.SeverityUnlocalized)
			assert.NotEmpty(t, direct.Message)
			if strings.HasPrefix(pg.Code, "23") && pg.Routine != "exec_stmt_raise" {
				assert.Equal(t, []string{pg.SchemaName, pg.TableName, pg.ColumnName, pg.DataTypeName, pg.ConstraintName},
					[]string{direct.SchemaName, direct.TableName, direct.ColumnName, direct.DataTypeName, direct.ConstraintName}, pg.Routine)
			} else if pg.Routine == "exec_stmt_raise" {
				assert.Empty(t, direct.ConstraintName+direct.TableName+direct.ColumnName+direct.DataTypeName+direct.SchemaName)
			}
			if t.Failed() {
				t.Fatalf("%s", strings.ReplaceAll(text, canary, "…"))
			}
		}
		for _, f := range failing.Statements {
			text := f.With(canary)
			var err error
			switch {
			case strings.HasPrefix(f.Text, "copy"):
				_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader(strings.ReplaceAll(canary, "\n", " ")+"\n"), text)
			default:
				_, err = conn.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
			}
			if f.Code == "25P02" {
				_, err = conn.Exec(ctx, failing.Statement{Text: "select $V"}.With(canary))
			}
			if err == nil {
				t.Errorf("%s: no error", f.Text)
				continue
			}
			wrong = wrong || state(err) != f.Code
			if state(err) != f.Code {
				t.Logf("%s: SQLSTATE %s, want %s", f.Text, state(err), f.Code)
			}
			check(text, err)
			_, _ = conn.Exec(ctx, "rollback; reset all", pgx.QueryExecModeSimpleProtocol)
		}
		for _, text := range []string{"select $1::text::int", "select $1::text::timestamptz", "insert into users (id, note) values (20, $1)",
			"select $1::text::jsonb", "select rethrow($1)", "select * from users where email = $1 and nosuch = 1"} {
			for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
				rows, err := conn.Query(ctx, text, mode, canary+canary)
				if err == nil {
					rows.Close()
					err = rows.Err()
				}
				check(text, err)
			}
		}
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "note"}, pgx.CopyFromRows([][]any{{50, canary + canary}}))
		check("", err)
		require.NoError(t, conn.Close(ctx))
	}
	assert.False(t, wrong)
	assert.GreaterOrEqual(t, len(seen), 40, "SQLSTATEs")
	t.Logf("%d SQLSTATEs", len(seen))
}

func state(err error) string {
	var pg *pgconn.PgError
	_ = errors.As(err, &pg)
	if pg == nil {
		return ""
	}
	return pg.Code
}

// A server that speaks another language.
func TestServerErrorsTranslated(t *testing.T) {
	db := pganontest.New(t)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.DSN())
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	locale := ""
	for _, l := range []string{"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "es_ES.UTF-8", "ru_RU.UTF-8", "ja_JP.UTF-8"} {
		if _, err = conn.Exec(ctx, "set lc_messages = '"+l+"'", pgx.QueryExecModeSimpleProtocol); err == nil {
			locale = l
			break
		}
	}
	if locale == "" {
		t.Log("the server's machine has no locale but C: see TestTranslatedError")
	}
	_, err = conn.Exec(ctx, "select 'c4n4ry'::int")
	clean := redact.Error(err)
	assert.EqualError(t, clean, "ERROR: invalid input syntax for type integer (SQLSTATE 22P02)")
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, clean)
}

func TestNotice(t *testing.T) {
	db := pganontest.New(t)
	ctx := context.Background()
	cfg, err := pgx.ParseConfig(db.DSN())
	require.NoError(t, err)
	var got *pgconn.Notice
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { got = n }
	conn, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "do $$begin raise notice 'c4n4ry' using detail = 'c4n4ry', table = 'c4n4ry'; end$$")
	require.NoError(t, err)
	clean := redact.Notice(got)
	pganontest.AssertNoLeak(t, []string{"c4n4ry"}, clean)
	assert.Equal(t, "NOTICE", clean.Severity)
	assert.Equal(t, "successful_completion", clean.Message)
	assert.Nil(t, redact.Notice(nil))
}

func TestKnownNamesStay(t *testing.T) {
	o := redact.ErrorOptions{Known: func(name string) bool { return name == "users_email_key" }}
	clean := o.Error(&pgconn.PgError{Code: "23505", Routine: "exec_stmt_raise", ConstraintName: "users_email_key", TableName: "c4n4ry"}).(*pgconn.PgError)
	assert.Equal(t, "users_email_key", clean.ConstraintName)
	assert.Empty(t, clean.TableName)
}
