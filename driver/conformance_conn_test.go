package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var connectionCases = []conformanceCase{
	{name: "cancelled before", run: caseCancelledBefore},
	{name: "cancelled during", run: caseCancelledDuring, slow: true},
	{name: "cancelled between rows", run: caseCancelledBetweenRows, slow: true},
	{name: "cancelled after", run: caseCancelledAfter},
	{name: "cancelled by the server", run: caseCancelledByServer},
	{name: "backend killed while idle", run: caseKilledIdle, slow: true},
	{name: "backend killed during a statement", run: caseKilledDuring, slow: true},
	{name: "backends killed, retry on the pool", run: caseKilledPool, slow: true},
	{name: "bad connections", run: caseBadConnections, slow: true},
	{name: "life of a conn", run: caseLifeOfConn},
	{name: "life of a pool", run: caseLifeOfPool, slow: true},
	{name: "hooks", run: caseHooks},
	{name: "raw", run: caseRawAccess},
	{name: "what a session keeps", run: caseSessionState},
	{name: "listen", run: caseListening},
	{name: "tracer", run: caseTracing},
	{name: "connect errors", run: caseConnectErrors},
}

func noticesInto(seen *[]string) func(*pgx.ConnConfig) {
	return func(config *pgx.ConnConfig) {
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			*seen = append(*seen, n.Severity+" "+n.Code+" "+n.Message+" "+n.Where)
		}
	}
}

func caseCancelledBefore(e *conformanceEnv) {
	e.setup(itemTable)
	done, cancel := context.WithCancel(e.ctx)
	cancel()
	late, cancel := context.WithDeadline(e.ctx, time.Now().Add(-time.Second))
	defer cancel()
	for i, ctx := range []context.Context{done, late} {
		name := []string{"cancelled", "late"}[i]
		for _, on := range []string{"db", "conn", "tx", "stmt"} {
			label := name + ", " + on + ": "
			opened := e.opened.Load()
			var r sqlRunner
			var end func() error
			switch on {
			case "db":
				r, end = e.db, func() error { return nil }
			case "conn":
				conn := e.conn(e.db)
				r, end = conn, conn.Close
			case "tx":
				tx := e.begin(e.db, nil)
				r, end = tx, tx.Commit
			case "stmt":
				stmt := e.prepare(e.db, "select $1::int")
				r, end = boundStmt{stmt}, stmt.Close
			}
			_, err := r.ExecContext(ctx, "select $1::int", 1)
			e.see(label+"exec", err)
			if on != "stmt" {
				_, err = r.ExecContext(ctx, "insert into item values (50, 'x')")
				e.see(label+"exec, no arguments", err)
				_, err = r.ExecContext(ctx, "insert into item values (51, 'x'); select 1")
				e.see(label+"exec, several", err)
			}
			_, err = r.QueryContext(ctx, "select $1::int", 1)
			e.see(label+"query", err)
			if p, ok := r.(interface{ PingContext(context.Context) error }); ok {
				e.see(label+"ping", p.PingContext(ctx))
			}
			e.query(label+"after", r, "select $1::int", 1)
			e.see(label+"end", end())
			e.see(label+"connections opened", e.opened.Load()-opened)
		}
	}
	e.query("nothing written", e.db, "select count(*) from item")
}

// endingContext is a context that ends when a test says so, as one whose deadline has passed or as one that is cancelled.
type endingContext struct {
	context.Context
	done chan struct{}
	err  error
}

func (c endingContext) Done() <-chan struct{} { return c.done }

func (c endingContext) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return c.Context.Err()
	}
}

// ending returns a context that ends with err once a connection of the login sleeps, and a function that waits for that.
func (e *conformanceEnv) ending(err error) (context.Context, func()) {
	e.nobodySleeps()
	ctx := endingContext{e.ctx, make(chan struct{}), err}
	var wg sync.WaitGroup
	wg.Go(func() {
		e.awaited("PgSleep")
		close(ctx.done)
	})
	return ctx, wg.Wait
}

func caseCancelledDuring(e *conformanceEnv) {
	for _, run := range []struct {
		err   error
		whats []string
	}{
		{context.DeadlineExceeded, []string{"query", "exec", "exec without arguments", "several", "prepared", "do"}},
		{context.Canceled, []string{"query", "exec"}},
	} {
		for _, what := range run.whats {
			label := fmt.Sprintf("%v, %s: ", run.err, what)
			opened := e.opened.Load()
			prepared := e.prepare(e.db, "select pg_sleep($1::int)")
			e.exec(label+"first use", boundStmt{prepared}, "", 0)
			ctx, ended := e.ending(run.err)
			var err error
			switch what {
			case "query":
				err = readAll(e.db.QueryContext(ctx, "select pg_sleep($1)", 60))
			case "exec":
				_, err = e.db.ExecContext(ctx, "select pg_sleep($1)", 60)
			case "exec without arguments":
				_, err = e.db.ExecContext(ctx, "select pg_sleep(60)")
			case "several":
				_, err = e.db.ExecContext(ctx, "select 1; select pg_sleep(60)")
			case "prepared":
				_, err = prepared.ExecContext(ctx, 60)
			case "do":
				_, err = e.db.ExecContext(ctx, "do $$ begin perform pg_sleep(60); end $$")
			}
			ended()
			e.see(label+"error", err)
			e.query(label+"after", e.db, "select 1")
			e.exec(label+"prepared after", boundStmt{prepared}, "", 0)
			e.see(label+"connections opened", e.opened.Load()-opened)
			_ = prepared.Close()
		}
	}
}

func caseCancelledBetweenRows(e *conformanceEnv) {
	for _, query := range []string{"select i, repeat('x', 500) from generate_series(1, 100000) i", "select i, case when i > 100 then pg_sleep(60)::text end, repeat('x', 1000) from generate_series(1, 200) i"} {
		ctx, cancel := context.WithCancel(e.ctx)
		rows, err := e.db.QueryContext(ctx, query)
		require.NoError(e, err)
		for range 10 {
			require.True(e, rows.Next())
		}
		cancel()
		for rows.Next() {
		}
		e.see(query+": err", e.errorClass(rows.Err()))
		e.see(query+": closed", rows.Next())
		_ = rows.Close()
		e.query(query+": usable", e.db, "select 1")
	}
}

func caseCancelledAfter(e *conformanceEnv) {
	ctx, cancel := context.WithCancel(e.ctx)
	rows, err := e.db.QueryContext(ctx, "select 1")
	require.NoError(e, err)
	require.True(e, rows.Next())
	require.False(e, rows.Next())
	cancel()
	e.see("rows", rows.Err(), rows.Close())
	ctx, cancel = context.WithCancel(e.ctx)
	var n int
	require.NoError(e, e.db.QueryRowContext(ctx, "select $1::int", 5).Scan(&n))
	cancel()
	e.query("usable", e.db, "select $1::int", 5)
	ctx, cancel = context.WithCancel(e.ctx)
	_, err = e.db.ExecContext(ctx, "select $1::int", 5)
	cancel()
	e.see("exec", err)
	ctx, cancel = context.WithCancel(e.ctx)
	stmt, err := e.db.PrepareContext(ctx, "select $1::int")
	require.NoError(e, err)
	cancel()
	e.query("prepared", boundStmt{stmt}, "", 6)
	e.see("close", stmt.Close())
	ctx, cancel = context.WithCancel(e.ctx)
	conn, err := e.db.Conn(ctx)
	require.NoError(e, err)
	cancel()
	e.query("conn", conn, "select 1")
	e.see("conn close", conn.Close())
}

// waiting returns the process ids of the login's connections that wait for event.
func (e *conformanceEnv) waiting(event string) []int32 {
	rows, _ := e.site.watch.Query(e.ctx, "select pid from pg_stat_activity where usename = $1 and wait_event = $2", e.site.login, event)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	assert.NoError(e, err)
	return pids
}

// awaited returns the process ids of the login's connections that wait for event, once there is one.
func (e *conformanceEnv) awaited(event string) []int32 {
	for e.ctx.Err() == nil {
		if pids := e.waiting(event); len(pids) > 0 {
			return pids
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// nobodySleeps waits until what was cancelled earlier has ended on the server too.
func (e *conformanceEnv) nobodySleeps() {
	e.Helper()
	require.Eventually(e, func() bool { return len(e.waiting("PgSleep")) == 0 }, 10*time.Second, time.Millisecond)
}

// kill ends all connections of the login and waits until they are gone.
func (e *conformanceEnv) kill() {
	e.Helper()
	ctx := context.Background()
	_, err := e.site.admin.Exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", e.site.login)
	require.NoError(e, err)
	require.Eventually(e, func() bool {
		var left int
		err := e.site.admin.QueryRow(ctx, "select count(*) from pg_stat_activity where usename = $1", e.site.login).Scan(&left)
		return err == nil && left == 0
	}, 10*time.Second, time.Millisecond)
}

func caseCancelledByServer(e *conformanceEnv) {
	for _, text := range []string{"select pg_sleep(60)", "select i, case when i = 3 then pg_sleep(60)::text end from generate_series(1, 5) i", "do $$ begin perform pg_sleep(60); end $$"} {
		e.nobodySleeps()
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, pid := range e.awaited("PgSleep") {
				_, err := e.site.admin.Exec(context.Background(), "select pg_cancel_backend($1)", pid)
				assert.NoError(e, err)
			}
		})
		if strings.HasPrefix(text, "do") {
			e.exec(text, e.db, text)
		} else {
			e.query(text, e.db, text)
		}
		wg.Wait()
		e.query(text+": usable", e.db, "select 1")
	}
}

func caseKilledIdle(e *conformanceEnv) {
	e.setup(itemTable)
	for _, ping := range []bool{false, true} {
		whats := []string{"query", "exec", "several", "prepare", "prepared", "begin", "conn", "tx", "commit", "rollback", "rows"}
		if ping {
			whats = []string{"exec", "begin", "prepared"}
		}
		for _, what := range whats {
			label := fmt.Sprintf("ping %t, %s: ", ping, what)
			db := e.open(handleOptions{ping: ping})
			e.query(label+"before", db, "select name from item where id = $1", 1)
			var r sqlRunner = db
			var stmt *sql.Stmt
			var tx *sql.Tx
			var rows *sql.Rows
			switch what {
			case "conn":
				r = e.conn(db)
			case "tx", "commit", "rollback":
				tx = e.begin(db, nil)
				r = tx
			case "prepared":
				stmt = e.prepare(db, "select id from item where name = $1")
			case "rows":
				var err error
				rows, err = db.QueryContext(e.ctx, "select i, repeat('x', 1000) from generate_series(1, 100000) i")
				require.NoError(e, err)
				require.True(e, rows.Next())
			}
			e.kill()
			var err error
			switch what {
			case "query", "conn", "tx":
				rows, err = r.QueryContext(e.ctx, "select name from item where id = $1", 1)
			case "exec":
				_, err = r.ExecContext(e.ctx, "update item set quantity = $1", 1)
			case "several":
				_, err = r.ExecContext(e.ctx, "update item set quantity = 1; select 1")
			case "prepare":
				_, err = db.PrepareContext(e.ctx, "select 'new'")
			case "prepared":
				_, err = stmt.ExecContext(e.ctx, "one")
			case "begin":
				var begun *sql.Tx
				if begun, err = db.BeginTx(e.ctx, nil); err == nil {
					err = begun.Rollback()
				}
			case "commit":
				err = tx.Commit()
			case "rollback":
				err = tx.Rollback()
			case "rows":
				for rows.Next() {
				}
				err = rows.Err()
			}
			if rows != nil {
				_ = rows.Close()
			}
			if what == "rows" {
				e.see(label+"fails", err != nil) // how depends on what was under way
			} else {
				e.see(label+"error", e.errorClass(err))
			}
			e.see(label+"bad conn", errors.Is(err, sqldriver.ErrBadConn))
			if tx != nil {
				_ = tx.Rollback()
			}
			if conn, ok := r.(*sql.Conn); ok {
				_, err := conn.ExecContext(e.ctx, "select 1")
				e.see(label+"conn again", err)
				e.see(label+"conn close", conn.Close())
			}
			e.query(label+"usable", db, "select name from item where id = $1", 1)
			_ = db.Close()
		}
	}
	e.opened.Store(0)
}

func caseKilledDuring(e *conformanceEnv) {
	for _, what := range []string{"query", "exec", "tx", "rows"} {
		text := "select pg_sleep(60)"
		if what == "rows" {
			text = "select i, case when i = 100 then pg_sleep(60)::text end, repeat('x', 1000) from generate_series(1, 200) i"
		}
		var r sqlRunner = e.db
		var tx *sql.Tx
		if what == "tx" {
			tx = e.begin(e.db, nil)
			r = tx
		}
		e.nobodySleeps()
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, pid := range e.awaited("PgSleep") {
				_, err := e.site.admin.Exec(context.Background(), "select pg_terminate_backend($1)", pid)
				assert.NoError(e, err)
			}
		})
		if what == "exec" {
			e.exec(what, r, text)
		} else {
			e.query(what, r, text)
		}
		wg.Wait()
		if tx != nil {
			e.see(what+": commit fails", tx.Commit() != nil)
		}
		e.query(what+": usable", e.db, "select 1")
		e.see(what+": connections", e.opened.Load())
	}
}

func caseKilledPool(e *conformanceEnv) {
	db := e.open(handleOptions{conns: 4, ping: true})
	fill := func() {
		conns := make([]*sql.Conn, 4)
		for i := range conns {
			conns[i] = e.conn(db)
			_, err := conns[i].ExecContext(e.ctx, "select $1::int", i)
			require.NoError(e, err)
		}
		for _, conn := range conns {
			require.NoError(e, conn.Close())
		}
	}
	stmt := e.prepare(db, "select $1::int")
	for round, do := range []func() error{
		func() error { _, err := db.ExecContext(e.ctx, "select $1::int", 1); return err },
		func() error { _, err := stmt.ExecContext(e.ctx, 1); return err },
		func() error {
			tx, err := db.BeginTx(e.ctx, nil)
			if err != nil {
				return err
			}
			return tx.Commit()
		},
	} {
		fill()
		e.kill()
		before := e.opened.Load()
		e.see(fmt.Sprint("round ", round), do())
		e.see(fmt.Sprint("round ", round, ": connections"), e.opened.Load()-before)
		e.see(fmt.Sprint("round ", round, ": open"), db.Stats().OpenConnections)
	}
	e.opened.Store(0)
}

func caseBadConnections(e *conformanceEnv) {
	conn := e.conn(e.db)
	e.see("raw says bad", conn.Raw(func(any) error { return sqldriver.ErrBadConn }))
	e.query("conn after", conn, "select 1")
	e.see("close", conn.Close())
	e.query("db after", e.db, "select 1")
	e.see("connections", e.opened.Load())

	conn = e.conn(e.db)
	require.NoError(e, onPgx(conn, func(c *pgx.Conn) error { return c.Close(e.ctx) }))
	e.exec("exec on a closed one", conn, "select $1::int", 1)
	e.query("query on a closed one", conn, "select 1")
	_, err := conn.BeginTx(e.ctx, nil)
	e.see("begin on a closed one", err)
	_, err = conn.PrepareContext(e.ctx, "select 1")
	e.see("prepare on a closed one", err)
	e.see("ping on a closed one", conn.PingContext(e.ctx))
	e.see("close it", conn.Close())
	for _, what := range []string{"exec", "query", "begin", "prepare", "ping"} {
		conn = e.conn(e.db)
		require.NoError(e, onPgx(conn, func(c *pgx.Conn) error { return c.Close(e.ctx) }))
		e.see(what+": close", conn.Close())
		var err error
		switch what {
		case "exec":
			_, err = e.db.ExecContext(e.ctx, "select $1::int", 1)
		case "query":
			var n int
			err = e.db.QueryRowContext(e.ctx, "select 1").Scan(&n)
		case "begin":
			var tx *sql.Tx
			if tx, err = e.db.BeginTx(e.ctx, nil); err == nil {
				err = tx.Rollback()
			}
		case "prepare":
			var stmt *sql.Stmt
			if stmt, err = e.db.PrepareContext(e.ctx, "select 1"); err == nil {
				err = stmt.Close()
			}
		case "ping":
			err = e.db.PingContext(e.ctx)
		}
		e.see(what+" on a new one", err)
		e.see(what+": connections", e.opened.Load())
	}
	// A network that breaks.
	proxy := e.site.db.Proxy()
	db := e.open(handleOptions{proxy: proxy, ping: true})
	e.query("through the proxy", db, "select 1")
	proxy.Cut()
	require.Eventually(e, func() bool {
		var n int
		return db.QueryRowContext(e.ctx, "select 1").Scan(&n) == nil
	}, 5*time.Second, time.Millisecond)
	proxy.SetLatency(60 * time.Millisecond)
	late, cancel := context.WithTimeout(e.ctx, 20*time.Millisecond)
	defer cancel()
	_, err = db.ExecContext(late, "select 1")
	e.see("a slow network", e.errorClass(err))
	proxy.SetLatency(0)
	e.query("a fast one again", db, "select 1")
	_ = db.Close()
	_ = proxy.Close()
	e.opened.Store(0)
}

func caseLifeOfConn(e *conformanceEnv) {
	conn := e.conn(e.db)
	e.see("ping", conn.PingContext(e.ctx))
	e.query("query", conn, "select 1")
	stmt := e.prepare(conn, "select $1::int")
	tx := e.begin(conn, nil)
	e.query("in its tx", tx, "select 1")
	e.see("commit", tx.Commit())
	e.query("prepared", boundStmt{stmt}, "", 1)
	e.see("close", conn.Close())
	e.see("close again", conn.Close())
	e.query("query after close", conn, "select 1")
	e.query("prepared after close", boundStmt{stmt}, "", 1)
	_, err := conn.BeginTx(e.ctx, nil)
	e.see("begin after close", err)
	e.see("ping after close", conn.PingContext(e.ctx))
	e.see("raw after close", conn.Raw(func(any) error { return nil }))
	e.see("handle ping", e.db.PingContext(e.ctx))
	e.see("connections", e.opened.Load())
	stats := e.db.Stats()
	e.see("stats", stats.OpenConnections, stats.InUse, stats.Idle)
	short, cancel := context.WithTimeout(e.ctx, 10*time.Millisecond)
	defer cancel()
	conn = e.conn(e.db)
	_, err = e.db.ExecContext(short, "select 1")
	e.see("no connection free", err)
	e.see("close the last", conn.Close())
}

func caseLifeOfPool(e *conformanceEnv) {
	db := e.open(handleOptions{})
	db.SetConnMaxLifetime(time.Nanosecond)
	before := e.opened.Load()
	for i := range 3 {
		e.query(fmt.Sprint("lifetime, query ", i), db, "select $1::int", i)
	}
	e.see("lifetime: connections", e.opened.Load()-before)
	stmt := e.prepare(db, "select $1::int")
	for i := range 2 {
		e.query(fmt.Sprint("lifetime, prepared ", i), boundStmt{stmt}, "", i)
	}
	tx := e.begin(db, nil)
	e.query("lifetime, tx", tx, "select 1")
	e.query("lifetime, tx again", tx, "select 1")
	e.see("lifetime, commit", tx.Commit())
	db.SetConnMaxLifetime(0)
	db.SetMaxIdleConns(-1)
	before = e.opened.Load()
	for i := range 3 {
		e.query(fmt.Sprint("no idle ones ", i), db, "select $1::int", i)
	}
	e.see("no idle ones: connections", e.opened.Load()-before)
	e.see("close", db.Close())
	e.query("query after close", db, "select 1")
	e.see("ping after close", db.PingContext(e.ctx))

	db = e.open(handleOptions{conns: 3})
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			for i := range 20 {
				var n int
				if assert.NoError(e, db.QueryRowContext(e.ctx, "select $1::int + $2", g, i).Scan(&n)) {
					assert.Equal(e, g+i, n)
				}
			}
		})
	}
	wg.Wait()
	e.see("at most three", db.Stats().OpenConnections <= 3)
	e.opened.Store(0) // how many were opened is up to the scheduler
}

func caseHooks(e *conformanceEnv) {
	var calls []string
	refuse := ""
	db := e.open(handleOptions{
		configure: func(*pgx.ConnConfig) { calls = append(calls, "before connect") },
		after: func(ctx context.Context, conn *pgx.Conn) error {
			calls = append(calls, "after connect")
			if refuse == "after connect" {
				return errors.New("after connect refuses")
			}
			_, err := conn.Exec(ctx, "set application_name = 'of the hook'")
			return err
		},
		reset: func(context.Context, *pgx.Conn) error {
			calls = append(calls, "reset session")
			if refuse == "reset session" {
				refuse = ""
				return sqldriver.ErrBadConn
			}
			return nil
		},
	})
	check := func(label string) {
		e.see(label+": calls", strings.Join(calls, ", "))
		calls = nil
	}
	e.query("first", db, "show application_name")
	check("first")
	e.query("second", db, "show application_name")
	check("second")
	tx := e.begin(db, nil)
	e.query("in a tx", tx, "show application_name")
	e.see("commit", tx.Commit())
	check("tx")
	e.exec("set", db, "set application_name = 'set'")
	e.query("shown", db, "show application_name")
	check("set")
	refuse = "reset session"
	e.query("reset session refuses", db, "show application_name")
	check("reset session refuses")
	db.SetMaxIdleConns(-1)
	refuse = "after connect"
	e.query("after connect refuses", db, "show application_name")
	check("after connect refuses")
}

func caseRawAccess(e *conformanceEnv) {
	e.setup(itemTable)
	conn := e.conn(e.db)
	require.NoError(e, onPgx(conn, func(c *pgx.Conn) error {
		n, err := c.CopyFrom(e.ctx, pgx.Identifier{"item"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{10, "ten"}, {11, "eleven"}}))
		e.see("copy from", n, err)
		var batch pgx.Batch
		batch.Queue("select $1::int", 5)
		batch.Queue("insert into item(id, name) values ($1, $2)", 12, "twelve")
		e.see("batch", c.SendBatch(e.ctx, &batch).Close())
		rows, err := c.Query(e.ctx, "select id from item order by id")
		require.NoError(e, err)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int])
		e.see("rows", ids, err)
		return nil
	}))
	e.see("error of the function", conn.Raw(func(any) error { return errors.New("mine") }))
	e.query("after", conn, "select count(*) from item")
	tx := e.begin(conn, nil)
	require.NoError(e, onPgx(conn, func(c *pgx.Conn) error {
		n, err := c.CopyFrom(e.ctx, pgx.Identifier{"item"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{20, "twenty"}}))
		e.see("copy in a tx", n, err)
		e.see("status", string(c.PgConn().TxStatus()))
		return nil
	}))
	e.query("seen in the tx", tx, "select count(*) from item")
	e.see("rollback", tx.Rollback())
	e.query("gone", conn, "select count(*) from item")
	require.NoError(e, onPgx(conn, func(c *pgx.Conn) error {
		_, err := c.Exec(e.ctx, "begin")
		return err
	}))
	e.exec("in a raw transaction", conn, "insert into item values ($1, 'x')", 30)
	e.exec("rollback as text", conn, "rollback")
	e.query("gone too", conn, "select count(*) from item")
}

// caseSessionState shows that what a program leaves on its session is still there for itself.
func caseSessionState(e *conformanceEnv) {
	e.setup(itemTable)
	conn := e.conn(e.db)
	e.exec("set", conn, "set application_name = 'mine'")
	e.exec("set_config", conn, "select set_config('app.tenant', $1, false)", "t")
	e.exec("temp table", conn, "create temp table mine(id int)")
	e.exec("insert", conn, "insert into mine values ($1)", 1)
	e.exec("prepare", conn, "prepare p(int) as select $1 + 1")
	e.exec("lock", conn, "select pg_advisory_lock(5)")
	e.exec("listen", conn, "listen ch")
	e.exec("sequence", conn, "create temp sequence numbers")
	e.query("nextval", conn, "select nextval('numbers')")
	e.exec("hold", conn, "begin; declare held cursor with hold for select generate_series(1, 5); commit")
	for use := range 2 {
		e.query(fmt.Sprint(use, ": settings"), conn, "select current_setting('application_name'), current_setting('app.tenant')")
		e.query(fmt.Sprint(use, ": temp table"), conn, "select * from mine")
		e.query(fmt.Sprint(use, ": execute"), conn, "execute p(2)")
		e.query(fmt.Sprint(use, ": lock"), conn, "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
		e.query(fmt.Sprint(use, ": channels"), conn, "select pg_listening_channels()")
		e.query(fmt.Sprint(use, ": currval"), conn, "select currval('numbers')")
		e.query(fmt.Sprint(use, ": fetch"), conn, "fetch 2 from held")
		tx := e.begin(conn, nil)
		e.query(fmt.Sprint(use, ": in a tx"), tx, "select current_setting('application_name'), count(*) from mine")
		e.see(fmt.Sprint(use, ": commit"), tx.Commit())
	}
	e.see("close", conn.Close())
	e.query("from the pool", e.db, "select current_setting('application_name'), count(*) from mine")
	e.exec("role", e.db, "set role none")
	e.exec("reset", e.db, "reset all")
	e.query("after reset", e.db, "select current_setting('application_name'), current_setting('app.tenant', true)")
}

func caseListening(e *conformanceEnv) {
	conn := e.conn(e.db)
	wait := func(label string) {
		err := onPgx(conn, func(c *pgx.Conn) error {
			ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
			defer cancel()
			n, err := c.WaitForNotification(ctx)
			if err == nil {
				e.see(label, n.Channel, n.Payload)
			}
			return err
		})
		e.see(label+": error", err)
	}
	e.exec("listen", conn, "listen ch")
	e.owner("notify ch, 'first'")
	wait("first")
	e.owner("notify ch, 'second'")
	wait("second")
	e.query("channels", conn, "select pg_listening_channels()")
	e.see("close", conn.Close())

	// All through Raw.
	conn = e.conn(e.db)
	require.NoError(e, onPgx(conn, func(c *pgx.Conn) error {
		_, err := c.Exec(e.ctx, "listen raw")
		return err
	}))
	e.owner("notify raw, 'third'")
	wait("third")
	e.see("close raw", conn.Close())

	// A handler, and notifications of our own.
	var got []string
	db := e.open(handleOptions{configure: func(config *pgx.ConnConfig) {
		config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { got = append(got, n.Channel+" "+n.Payload) }
	}})
	e.exec("listen with a handler", db, "listen own")
	e.exec("notify", db, "notify own, 'one'")
	e.exec("pg_notify", db, "select pg_notify('own', $1)", "two")
	tx := e.begin(db, nil)
	e.exec("notify in a tx", tx, "notify own, 'three'")
	e.see("not yet", len(got))
	e.see("commit", tx.Commit())
	e.query("a query after", db, "select 1")
	e.see("handled", strings.Join(got, ", "))
}

// traceRecorder is a tracer that records what it is told of.
type traceRecorder struct {
	class     func(error) printedText
	mu        sync.Mutex
	events    []string
	arguments int // how often it saw arguments
}

func (r *traceRecorder) add(format string, args ...any) {
	event := fmt.Sprintf(format, args...)
	if strings.Contains(event, seenQuery) {
		return // of the suite itself
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

type traceKey struct{}

func (r *traceRecorder) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.add("query start %q conn %t", data.SQL, conn != nil)
	r.mu.Lock()
	r.arguments += len(data.Args)
	r.mu.Unlock()
	return context.WithValue(ctx, traceKey{}, data.SQL)
}

func (r *traceRecorder) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	r.add("query end of %q conn %t tag %q err %s", ctx.Value(traceKey{}), conn != nil, data.CommandTag, r.class(data.Err))
}

func (r *traceRecorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := strings.Join(r.events, "\n")
	r.events = nil
	return events
}

// fullTraceRecorder is a traceRecorder that wants to be told of more than queries.
type fullTraceRecorder struct{ *traceRecorder }

func (r fullTraceRecorder) TracePrepareStart(ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareStartData) context.Context {
	r.add("prepare start %q", data.SQL)
	return context.WithValue(ctx, traceKey{}, data.SQL)
}

func (r fullTraceRecorder) TracePrepareEnd(ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareEndData) {
	r.add("prepare end of %q already %t err %s", ctx.Value(traceKey{}), data.AlreadyPrepared, r.class(data.Err))
}

func (r fullTraceRecorder) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	r.add("connect start, user %t", data.ConnConfig.User != "")
	return ctx
}

func (r fullTraceRecorder) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	r.add("connect end, conn %t err %s", data.Conn != nil, r.class(data.Err))
}

func caseTracing(e *conformanceEnv) {
	e.setup(itemTable)
	for _, full := range []bool{false, true} {
		rec := &traceRecorder{class: e.errorClass}
		var tracer pgx.QueryTracer = rec
		kind := "queries: "
		if full {
			tracer, kind = fullTraceRecorder{rec}, "full: "
		}
		db := e.open(handleOptions{tracer: tracer})
		step := func(label string, do func() error) {
			label = kind + label
			e.see(label+": result", e.errorClass(do()))
			e.see(label+": events", printedText(rec.take()))
		}
		exec := func(text string, args ...any) func() error {
			return func() error { _, err := db.ExecContext(e.ctx, text, args...); return err }
		}
		query := func(text string, args ...any) func() error {
			return func() error {
				rows, err := db.QueryContext(e.ctx, text, args...)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
				}
				return rows.Err()
			}
		}
		step("ping", func() error { return db.PingContext(e.ctx) })
		for use := range 2 {
			use := fmt.Sprint(use, ": ")
			step(use+"query", query("select name from item where id = $1", 1))
			step(use+"query without arguments", query("select 1"))
			step(use+"exec", exec("update item set quantity = $1", 5))
			step(use+"exec without arguments", exec("update item set quantity = 6"))
			step(use+"several", exec("select 1; update item set quantity = 7"))
			step(use+"named arguments", query("select @a::int", pgx.NamedArgs{"a": 1}))
			step(use+"mode", query("select $1::int", pgx.QueryExecModeExec, 1))
			step(use+"server error", query("select 1/$1::int", 0))
			step(use+"exec server error", exec("insert into item values ($1, 'x')", 1))
			step(use+"parse error", query("selec $1", 1))
			step(use+"error after rows", query("select 10/($1-i) from generate_series(1, 5) i", 3))
			step(use+"encode error", exec("update item set quantity = $1", "not a number"))
			step(use+"too many arguments", query("select $1::int", 1, 2))
			step(use+"empty", exec(""))
			step(use+"do", exec("do $$ begin end $$"))
			step(use+"cancelled", func() error {
				ctx, cancel := context.WithCancel(e.ctx)
				cancel()
				conn := e.conn(db)
				defer conn.Close()
				_, err := conn.ExecContext(ctx, "select $1::int", 1)
				return err
			})
		}
		var tx *sql.Tx
		step("begin", func() (err error) {
			tx, err = db.BeginTx(e.ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
			return err
		})
		step("in the tx", func() error { _, err := tx.ExecContext(e.ctx, "select $1::int", 1); return err })
		step("commit", func() error { return tx.Commit() })
		tx = e.begin(db, nil)
		rec.take()
		step("rollback", func() error { return tx.Rollback() })
		var stmt *sql.Stmt
		step("prepare", func() (err error) { stmt, err = db.PrepareContext(e.ctx, "select $1::int + 1"); return err })
		step("prepared", func() error { _, err := stmt.ExecContext(e.ctx, 1); return err })
		step("close", func() error { return stmt.Close() })
		step("prepare error", func() error { _, err := db.PrepareContext(e.ctx, "selec 1"); return err })
		e.see(kind+"ends", strings.Count(strings.Join(rec.events, "\n"), "end"))
		if !e.variant.pgx() {
			assert.Zero(e, rec.arguments, "a tracer never sees arguments")
		}
	}
}

func caseConnectErrors(e *conformanceEnv) {
	for _, params := range []map[string]string{
		{"search_path": "x", "nosuch_setting": "1"}, {"work_mem": "nonsense"}, {"connect_timeout": "1", "target_session_attrs": "standby"},
	} {
		keys := make([]string, 0, len(params))
		for key := range params {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		db := e.open(handleOptions{params: params})
		err := db.PingContext(e.ctx)
		e.see(strings.Join(keys, ", "), e.errorClass(err))
	}
	done, cancel := context.WithCancel(e.ctx)
	cancel()
	db := e.open(handleOptions{})
	e.see("done context", db.PingContext(done))
	e.query("then", db, "select 1")
	db = e.open(handleOptions{configure: func(config *pgx.ConnConfig) { config.Database = "nosuch" }})
	e.see("no such database", e.errorClass(db.PingContext(e.ctx)))
	e.see("no such database, query", e.errorClass(db.QueryRowContext(e.ctx, "select 1").Err()))
	db = e.open(handleOptions{configure: func(config *pgx.ConnConfig) { config.User = "nosuch" }})
	e.see("no such user", e.errorClass(db.PingContext(e.ctx)))
	db = e.open(handleOptions{configure: func(config *pgx.ConnConfig) { config.Port = 1; config.Host = "127.0.0.1" }})
	e.see("no server", db.PingContext(e.ctx) != nil)
}
