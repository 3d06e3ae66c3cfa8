package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var statementCases = []conformanceCase{
	{name: "prepared statements", run: casePreparedStatements},
	{name: "prepared statements in transactions", run: casePreparedInTransactions},
	{name: "prepare errors", run: casePrepareErrors},
	{name: "prepared on several connections", run: casePreparedOnSeveral, slow: true},
	{name: "cached plan", run: caseCachedPlan},
	{name: "schema changes between uses", run: caseSchemaChanges},
	{name: "deallocate all", run: caseDeallocateAll},
	{name: "small caches", run: caseSmallCaches},
}

func casePreparedStatements(e *conformanceEnv) {
	e.setup(itemTable)
	stmt := e.prepare(e.db, "select $1::int + 1 as n, $2::text, 1.5::numeric")
	for use := range 5 {
		e.query(fmt.Sprint("use ", use), boundStmt{stmt}, "", use, "x")
	}
	e.query("null", boundStmt{stmt}, "", nil, nil)
	e.query("too few", boundStmt{stmt}, "", 1)
	e.query("too many", boundStmt{stmt}, "", 1, "x", 3)
	e.query("none", boundStmt{stmt}, "")
	e.query("wrong type", boundStmt{stmt}, "", "x", "x")
	e.query("encode error", boundStmt{stmt}, "", (chan int)(nil), "x")
	e.query("usable after", boundStmt{stmt}, "", 1, "x")
	e.exec("select as exec", boundStmt{stmt}, "", 1, "x")
	again := e.prepare(e.db, "select $1::int + 1 as n, $2::text, 1.5::numeric")
	e.query("the same text again", boundStmt{again}, "", 1, "y")
	e.see("close one", again.Close())
	e.query("the other", boundStmt{stmt}, "", 2, "z")
	e.see("close", stmt.Close())
	e.see("close twice", stmt.Close())
	e.query("use after close", boundStmt{stmt}, "", 1, "x")
	e.query("the text unprepared", e.db, "select $1::int + 1 as n, $2::text, 1.5::numeric", 1, "x")
	stmt = e.prepare(e.db, "select $1::int + 1 as n, $2::text, 1.5::numeric")
	e.query("prepared after that", boundStmt{stmt}, "", 1, "x")
	e.query("the text while prepared", e.db, "select $1::int + 1 as n, $2::text, 1.5::numeric", 1, "x")
	e.see("close again", stmt.Close())

	insert := e.prepare(e.db, "insert into item(id, name) values ($1, $2) returning id")
	e.exec("insert", boundStmt{insert}, "", 10, "ten")
	e.exec("duplicate", boundStmt{insert}, "", 10, "ten")
	e.query("insert as query", boundStmt{insert}, "", 11, "eleven")
	e.query("duplicate as query", boundStmt{insert}, "", 11, "eleven")
	e.exec("insert after the error", boundStmt{insert}, "", 12, "twelve")
	for _, text := range []string{"insert into item(id, name) values (20, 'x')", "select 1", "select", "", "-- nothing", "show work_mem", "create table made(id int)", "drop table made", "begin", "rollback", "savepoint s", "set application_name = 'x'", "listen ch", "do $$ begin end $$", "explain (costs off) select 1", "values (1), (2)", "select 1 -- comment", "select 1;", "truncate item", "notify ch, 'x'", "copy item to stdout", "commit", "discard temp", "call twice(2)", "call twice($1)"} {
		stmt, err := e.db.PrepareContext(e.ctx, text)
		e.see("prepare "+text, err)
		if err != nil {
			continue
		}
		var args []any
		if text == "call twice($1)" {
			args = []any{4}
		}
		e.exec("exec "+text, boundStmt{stmt}, "", args...)
		e.query("query "+text, boundStmt{stmt}, "", args...)
		e.see("close "+text, stmt.Close())
	}
	// Rows that are still open when their statement is closed.
	conn := e.conn(e.db)
	stmt = e.prepare(conn, "select i from generate_series(1, $1::int) i")
	rows, err := stmt.QueryContext(e.ctx, 3)
	require.NoError(e, err)
	require.True(e, rows.Next())
	e.see("rows", rows.Close())
	e.see("close the conn's", stmt.Close())
	e.query("conn usable", conn, "select 1")
	e.see("conn close", conn.Close())
}

func casePreparedInTransactions(e *conformanceEnv) {
	e.setup(itemTable)
	db := e.open(handleOptions{conns: 2})
	outside := e.prepare(db, "insert into item(id, name) values ($1, $2)")
	tx := e.begin(db, nil)
	inside := tx.StmtContext(e.ctx, outside)
	e.exec("tx.Stmt", boundStmt{inside}, "", 10, "ten")
	e.exec("tx.Stmt again", boundStmt{inside}, "", 11, "eleven")
	own := e.prepare(tx, "select count(*) from item where id > $1")
	e.query("of the tx", boundStmt{own}, "", 5)
	e.exec("duplicate", boundStmt{inside}, "", 10, "ten")
	e.query("in the failed tx", boundStmt{own}, "", 5)
	_, err := tx.PrepareContext(e.ctx, "select 'new'")
	e.see("prepare in the failed tx", err)
	e.see("rollback", tx.Rollback())
	e.query("after the tx", boundStmt{own}, "", 5)
	e.exec("tx.Stmt after the tx", boundStmt{inside}, "", 12, "twelve")
	e.exec("outside", boundStmt{outside}, "", 10, "ten")
	tx = e.begin(db, nil)
	e.exec("in a second tx", boundStmt{tx.StmtContext(e.ctx, outside)}, "", 13, "thirteen")
	first := e.prepare(tx, "select id from item where id = $1")
	second := e.prepare(tx, "select id from item where id = $1")
	e.query("first", boundStmt{first}, "", 13)
	e.see("close first", first.Close())
	e.query("second", boundStmt{second}, "", 13)
	e.see("commit", tx.Commit())
	// A statement that was prepared in a transaction that is rolled back, by its text.
	tx = e.begin(e.db, nil)
	e.query("text in a tx", tx, "select name from item where id = $1", 13)
	e.exec("table of the tx", tx, "create table made(id int)")
	e.query("text on it", tx, "select id from made where id = $1", 1)
	e.see("rolled back", tx.Rollback())
	e.query("text after it", e.db, "select name from item where id = $1", 13)
	e.query("text on the table that is gone", e.db, "select id from made where id = $1", 1)
	e.setup("create table made(name text, id int8); insert into made values ('x', 1)")
	e.query("text on the table that is back", e.db, "select id from made where id = $1", 1)
	e.see("at the end: of this pool", e.opened.Load())
}

func casePrepareErrors(e *conformanceEnv) {
	e.setup(itemTable)
	for i, text := range []string{"selec 1", "select nosuch", "select * from nosuch", "select 1; select 2", "select $2::int", "select $1", "select 'open", "select $1::nosuch", "insert into item(nosuch) values ($1)", "\x00", "create table x(", "vacuum nosuch", "select $70000"} {
		stmt, err := e.db.PrepareContext(e.ctx, text)
		e.see(fmt.Sprintf("%d: %s", i, text), err)
		if err == nil {
			e.see(fmt.Sprintf("%d: %s: close", i, text), stmt.Close())
		}
		e.query(fmt.Sprintf("%d: usable", i), e.db, "select $1::int", i)
	}
	cancelled, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.db.PrepareContext(cancelled, "select 1")
	e.see("cancelled", err)
	conn := e.conn(e.db)
	_, err = conn.PrepareContext(cancelled, "select 2")
	e.see("cancelled on a conn", err)
}

func casePreparedOnSeveral(e *conformanceEnv) {
	e.setup(itemTable)
	db := e.open(handleOptions{conns: 4})
	stmt := e.prepare(db, "select $1::int * 2")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				var n int
				if assert.NoError(e, stmt.QueryRowContext(e.ctx, i).Scan(&n)) {
					assert.Equal(e, 2*i, n)
				}
			}
		})
	}
	wg.Wait()
	conns := make([]*sql.Conn, 4)
	for i := range conns {
		conns[i] = e.conn(db)
	}
	for _, conn := range conns {
		require.NoError(e, conn.Close())
	}
	for i := range 6 {
		e.query(fmt.Sprint("use ", i), boundStmt{stmt}, "", i)
	}
	e.see("close", stmt.Close())
	e.opened.Store(0) // how many were opened is up to the scheduler
}

func caseCachedPlan(e *conformanceEnv) {
	for _, prepared := range []bool{false, true} {
		for _, withArgument := range []bool{false, true} {
			label := fmt.Sprintf("prepared %t, argument %t: ", prepared, withArgument)
			e.setup("create table item(id int); insert into item values (1)")
			query, args := "select * from item", []any{}
			if withArgument {
				query, args = "select * from item where id = $1", []any{1}
			}
			var r sqlRunner = e.db
			var stmt *sql.Stmt
			if prepared {
				stmt = e.prepare(e.db, query)
				r = boundStmt{stmt}
			}
			for i := range 3 {
				e.query(fmt.Sprint(label, "before ", i), r, query, args...)
			}
			e.owner("alter table item add column name text default 'x'")
			for i := range 3 {
				e.query(fmt.Sprint(label, "column added ", i), r, query, args...)
			}
			e.owner("alter table item alter column id type bigint")
			for i := range 3 {
				e.query(fmt.Sprint(label, "type changed ", i), r, query, args...)
			}
			e.owner("alter table item drop column name")
			tx := e.begin(e.db, nil)
			for i := range 2 {
				if prepared {
					e.query(fmt.Sprint(label, "column dropped, in a tx ", i), boundStmt{tx.StmtContext(e.ctx, stmt)}, query, args...)
				} else {
					e.query(fmt.Sprint(label, "column dropped, in a tx ", i), tx, query, args...)
				}
			}
			e.see(label+"commit", tx.Commit())
			e.query(label+"after the tx", r, query, args...)
			if prepared {
				e.see(label+"close", stmt.Close())
			}
		}
	}
}

func caseSchemaChanges(e *conformanceEnv) {
	e.setup("create table item(id int, name text); insert into item values (1, 'one')")
	const read, write, count = "select id, name from item where id = $1", "insert into item(id, name) values ($1, $2)", "select count(*) from item"
	use := func(label string) {
		e.query(label+": read", e.db, read, 1)
		e.exec(label+": write", e.db, write, 2, "two")
		e.query(label+": count", e.db, count)
		e.query(label+": read again", e.db, read, 1)
		e.exec(label+": write again", e.db, write, 3, "three")
	}
	use("first")
	use("second")
	e.owner("drop table item; create table item(name text, id int); insert into item values ('new', 1); grant all on item to public")
	use("columns the other way round")
	e.owner("alter table item alter column id type text")
	use("another type")
	e.owner("alter table item rename column name to title")
	use("renamed")
	e.owner("drop table item")
	use("dropped")
	e.owner("create view item as select 1 as id, 'view'::text as name; grant all on item to public")
	use("a view")
	e.owner("drop view item; create table item(id int, name varchar(2)); grant all on item to public")
	use("narrower")
	e.owner("create schema if not exists k; create table k.item(id int, name text); insert into k.item values (1, 'of k'); grant all on k.item to public; drop table c.item")
	use("in another schema of the path")
	e.owner("drop table k.item")
	e.owner("create type c.kind as enum ('a'); create table item(id int, name c.kind); insert into item values (1, 'a'); grant all on item to public")
	use("an enum")
	e.owner("drop table item; drop type c.kind; create type c.kind as enum ('a'); create table item(id int, name c.kind); insert into item values (1, 'a'); grant all on item to public")
	use("another enum of that name")
	e.owner("revoke all on item from public")
	use("no right")
	e.owner("grant select on item to public")
	use("right to read")
}

func caseDeallocateAll(e *conformanceEnv) {
	e.setup(itemTable)
	for _, text := range []string{"deallocate all", "discard all", "discard plans", "select 1; deallocate all"} {
		conn := e.conn(e.db)
		for use := range 2 {
			e.query(fmt.Sprint(text, ": before ", use), conn, "select name from item where id = $1", 1)
		}
		stmt := e.prepare(conn, "select id from item where name = $1")
		e.query(text+": prepared", boundStmt{stmt}, "", "one")
		e.exec(text+": itself", conn, text)
		for use := range 3 {
			e.query(fmt.Sprint(text, ": after ", use), conn, "select name from item where id = $1", 1)
			e.exec(fmt.Sprint(text, ": exec after ", use), conn, "update item set quantity = $1", use)
			e.query(fmt.Sprint(text, ": prepared after ", use), boundStmt{stmt}, "", "one")
		}
		e.see(text+": close", stmt.Close())
		tx := e.begin(conn, nil)
		e.query(text+": in a tx before", tx, "select name from item where id = $1", 2)
		e.exec(text+": in a tx", tx, text)
		e.query(text+": in a tx after", tx, "select name from item where id = $1", 2)
		e.see(text+": commit", tx.Commit())
		e.query(text+": at the end", conn, "select name from item where id = $1", 2)
		require.NoError(e, conn.Close())
	}
	// Behind the driver's back.
	conn := e.conn(e.db)
	e.query("hidden: before", conn, "select name from item where id = $1", 1)
	e.exec("hidden: function", conn, "create function forgets() returns void language plpgsql as $$begin execute 'deallocate all'; end$$")
	e.exec("hidden: itself", conn, "select forgets()")
	for use := range 2 {
		e.query(fmt.Sprint("hidden: after ", use), conn, "select name from item where id = $1", 1)
	}
	tx := e.begin(conn, nil)
	e.query("hidden: in a tx before", tx, "select name from item where id = $1", 2)
	e.exec("hidden: in a tx", tx, "select forgets()")
	e.query("hidden: in a tx after", tx, "select name from item where id = $1", 2)
	e.see("hidden: commit", tx.Commit())
	e.query("hidden: at the end", conn, "select name from item where id = $1", 2)
}

// caseSmallCaches uses more texts than the caches hold.
func caseSmallCaches(e *conformanceEnv) {
	for _, capacity := range []int{2, 1, 0} {
		size := fmt.Sprint(capacity)
		db := e.open(handleOptions{params: map[string]string{"statement_cache_capacity": size, "description_cache_capacity": size}})
		for round := range 3 {
			for text := range 5 {
				e.query(fmt.Sprintf("capacity %d, round %d, text %d", capacity, round, text), db, fmt.Sprintf("select $1::int + %d", text), round)
			}
		}
		stmts := make([]*sql.Stmt, 4)
		for i := range stmts {
			stmts[i] = e.prepare(db, fmt.Sprintf("select $1::int + %d", i))
		}
		for round := range 2 {
			for i, stmt := range stmts {
				e.query(fmt.Sprintf("capacity %d, prepared %d, round %d", capacity, i, round), boundStmt{stmt}, "", round)
			}
		}
		for i, stmt := range stmts {
			e.see(fmt.Sprintf("capacity %d, close %d", capacity, i), stmt.Close())
		}
		var left int
		for range 2 { // what is closed may go with the next statement
			require.NoError(e, db.QueryRowContext(e.ctx, "select count(*) from pg_prepared_statements where statement like 'select $1::int%'", pgx.QueryExecModeExec).Scan(&left))
		}
		assert.LessOrEqual(e, left, capacity, "statements on the session")
		_ = db.Close()
	}
}
