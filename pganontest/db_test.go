package pganontest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func TestNewIsEmptyAndUTF8(t *testing.T) {
	db := pganontest.New(t)
	conn := connect(t, db.DSN())
	assert.Regexp(t, identifier, db.Name())
	assert.Equal(t, db.Name(), scan[string](t, conn, "select current_database()::text"))
	assert.Equal(t, "UTF8", scan[string](t, conn, "show server_encoding"))
	assert.Equal(t, "ä", scan[string](t, conn, "select lower('Ä')"))
	assert.Zero(t, scan[int](t, conn, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"))
}

func TestNewInParallel(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprintf("Ärger/with 'names' %d", i), func(t *testing.T) {
			t.Parallel()
			db := pganontest.New(t)
			db.Exec("create table t (x int)")
			role := db.Role("same name")
			db.Exec("grant select on t to " + role)
			assert.Zero(t, scan[int](t, connect(t, db.DSN()), "select count(*) from t"))
		})
	}
}

func TestDropsWhenTheTestEnds(t *testing.T) {
	watch := pganontest.New(t)
	var db *pganontest.DB
	var roles []string
	var open *pgx.Conn
	ended := record(t, func(tb testing.TB) {
		db = pganontest.New(tb)
		owner, member := db.Role("owner", "login"), db.Role("member")
		roles = []string{owner, member}
		db.Exec("create table t (x int); alter table t owner to " + owner + "; grant " + owner + " to " + member)
		db.Exec("grant connect on database " + db.Name() + " to " + member)
		var err error
		open, err = pgx.Connect(context.Background(), db.DSNAs(owner))
		require.NoError(tb, err)
	})
	defer open.Close(context.Background())
	require.False(t, ended.failed, ended.output.String())
	conn := connect(t, watch.DSN())
	assert.Zero(t, scan[int](t, conn, "select count(*) from pg_database where datname = $1", db.Name()))
	assert.Zero(t, scan[int](t, conn, "select count(*) from pg_roles where rolname = any($1)", roles))
	assert.Error(t, open.Ping(context.Background()), "a connection left open is ended")
}

func TestKeepsWhenTheTestFails(t *testing.T) {
	s, err := pganontest.Start(context.Background(), pganontest.Config{Provider: "local"})
	require.NoError(t, err)
	var db *pganontest.DB
	var role string
	failed := record(t, func(tb testing.TB) {
		db = s.New(tb)
		role = db.Role("kept", "login")
		db.Exec("create table t (x int)")
		tb.Fail()
	})
	assert.Contains(t, failed.output.String(), "psql '"+db.DSN()+"'")
	conn := connect(t, db.DSN())
	assert.Zero(t, scan[int](t, conn, "select count(*) from t"))
	assert.Equal(t, role, scan[string](t, connect(t, db.DSNAs(role)), "select current_user::text"))
	dir := scan[string](t, conn, "show data_directory")
	require.NoError(t, s.Close())
	assert.DirExists(t, dir)
	require.NoError(t, os.RemoveAll(filepath.Dir(dir)))
}

func TestExec(t *testing.T) {
	db := pganontest.New(t)
	db.Exec("create table t (x int, y text); insert into t values (1, 'a'); insert into t values (2, 'b')")
	db.Exec("insert into t values ($1, $2)", 3, "c")
	db.Exec("set role pg_read_all_data")
	db.Exec("insert into t values (4, 'd')") // nothing is left on a session
	assert.Equal(t, 4, scan[int](t, connect(t, db.DSN()), "select count(*) from t"))

	for sql, want := range map[string]string{
		"select 1;\nselect x\nfrom nowhere":                       "line 3 (from nowhere)",
		"insert into t values (9, 'ü'); insert into t values (y)": "line 1",
		"insert into t values (8, 'e'); select 1/0":               "SQLSTATE 22012",
	} {
		failed := record(t, func(tb testing.TB) {
			db := pganontest.New(tb)
			tb.Cleanup(func() { tb.(*recorder).failed = false }) // so that it is dropped
			db.Exec("create table t (x int, y text)")
			db.Exec(sql)
			tb.Log("not reached")
		})
		assert.Contains(t, failed.output.String(), want)
		assert.NotContains(t, failed.output.String(), "not reached")
	}
}

func TestRole(t *testing.T) {
	db := pganontest.New(t)
	long := strings.Repeat("long", 30)
	seen := map[string]bool{}
	for _, name := range []string{"Analyst", "an-a ly.st", "analyst", "", "1st", "pg_monitor", "user", "ärztin", "'; drop table x; --", long, long, "_"} {
		role := db.Role(name)
		assert.Regexp(t, identifier, role)
		assert.False(t, seen[role])
		seen[role] = true
		assert.False(t, strings.HasPrefix(role, "pg_"))
		db.Exec("set role " + role)
	}
	assert.True(t, strings.HasPrefix(db.Role("Analyst"), "analyst_"))

	options := db.Role("options", "login", "noinherit", "connection limit 3")
	conn := connect(t, db.DSNAs(options))
	assert.Equal(t, options, scan[string](t, conn, "select session_user::text"))
	assert.Equal(t, "false 3", scan[string](t, conn, "select rolinherit || ' ' || rolconnlimit from pg_roles where rolname = current_user"))

	failed := record(t, func(tb testing.TB) {
		db := pganontest.New(tb)
		tb.Cleanup(func() { tb.(*recorder).failed = false })
		db.Role("x", "frobnicate")
	})
	assert.Contains(t, failed.output.String(), "create role")
}

func TestUnixDSN(t *testing.T) {
	db := pganontest.New(t)
	dsn, ok := db.UnixDSN()
	if !ok {
		assert.NotEqual(t, "local", provider(t))
		return
	}
	conn := connect(t, dsn)
	assert.True(t, scan[bool](t, conn, "select inet_client_addr() is null"))
	assert.Equal(t, db.Name(), scan[string](t, conn, "select current_database()::text"))
	assert.False(t, scan[bool](t, connect(t, db.DSN()), "select inet_client_addr() is null"))
}

func TestServerLog(t *testing.T) {
	if provider(t) == "dsn" {
		failed := record(t, func(tb testing.TB) {
			db := pganontest.New(tb)
			tb.Cleanup(func() { tb.(*recorder).failed = false })
			db.ServerLog()
		})
		assert.Contains(t, failed.output.String(), "PGANON_TEST_DSN")
		return
	}
	db, other := pganontest.New(t), pganontest.New(t)
	for _, d := range []*pganontest.DB{db, other} {
		d.Exec("alter database " + d.Name() + " set log_statement = 'all'")
	}
	other.Exec("select 'of the other'")
	db.Exec("select\n'of mine'")
	_, err := connect(t, db.DSN()).Exec(context.Background(), "select 1/0")
	require.Error(t, err)
	// Docker passes a container's output on a little later.
	require.Eventually(t, func() bool { return strings.Contains(db.ServerLog(), "division by zero") }, waitFor, tick)
	assert.Contains(t, db.ServerLog(), "select\n\t'of mine'")
	assert.NotContains(t, db.ServerLog(), "of the other")
}
