package driver_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

var errorCases = []conformanceCase{
	{name: "errors of statements", run: caseStatementErrors, perCall: true},
	{name: "errors in a transaction", run: caseErrorsInTransaction, slow: true},
	{name: "errors after rows", run: caseErrorsAfterRows, perCall: true},
	{name: "errors of the server's own timeouts", run: caseServerTimeouts, slow: true},
}

const itemTable = `create table item(id int primary key, name text not null unique, quantity int check (quantity >= 0), parent int references item, period int4range, exclude using gist (period with &&));
insert into item values (1, 'one', 1, null, '[1,5)'), (2, 'two', 2, 1, null)`

type failingText struct {
	text string
	args []any
}

var failingTexts = []failingText{
	{text: "selec 1"}, {text: "select"}, {text: "select from where"}, {text: "select nosuch"}, {text: "select item.nosuch from item"}, {text: "select * from nosuch"}, {text: "select * from c.nosuch"}, {text: "select * from nosuch.item"},
	{text: "/* ü */ select 'é', nosuch"}, {text: "  \n\n  select nosuch"}, {text: "select nosuch($1)", args: []any{1}}, {text: "select id from item where id = $1 and nosuch = 1", args: []any{1}}, {text: "select * from item where id = $1 oops oops", args: []any{1}},
	{text: "select 1/0"}, {text: "select 1/$1::int", args: []any{0}}, {text: "select $1::int", args: []any{"secret"}}, {text: "select 'abc'::int"}, {text: "select 99999999999::int4"}, {text: "select 'x'::mood"}, {text: "select 'nope'::uuid"}, {text: "select '{bad'::json"}, {text: "select '{1,'::int[]"}, {text: "select '2024-13-01'::date"}, {text: "select now() + 'x'::interval"}, {text: "select (-1)::positive"},
	{text: "insert into item values (1, 'dup')"}, {text: "insert into item values ($1, $2)", args: []any{3, "two"}}, {text: "insert into item values ($1, $2)", args: []any{3, nil}}, {text: "insert into item values ($1, $2, $3)", args: []any{3, "three", -1}}, {text: "insert into item values ($1, $2, 0, $3)", args: []any{3, "three", 99}}, {text: "insert into item values ($1, $2, 0, null, $3)", args: []any{3, "three", "[3,4)"}}, {text: "delete from item where id = $1", args: []any{1}}, {text: "update item set id = 1 where id = 2"}, {text: "insert into item(nosuch) values (1)"}, {text: "insert into item values (1, 2, 3, 4, 5, 6, 7)"},
	{text: "select boom()"}, {text: "select boom() + $1::int", args: []any{1}}, {text: "do $$ begin perform boom(); end $$"}, {text: "select * from generate_series(1, 3) i where boom() = i"},
	{text: "select * from pg_authid"}, {text: "create table item()"}, {text: "drop table nosuch"}, {text: "drop schema c"}, {text: "alter table item add column x int"}, {text: "create database x y"}, {text: "set nosuch = 1"}, {text: "set statement_timeout = 'abc'"}, {text: "set role nosuch"}, {text: "grant nosuch to current_user"}, {text: "create extension nosuch"}, {text: "call nosuch()"}, {text: "execute nosuch"}, {text: "fetch nosuch"}, {text: "savepoint s"}, {text: "lock table item"},
	{text: "select repeat('x', -1), 'a'::varchar(0)"}, {text: "select substring('x' from 1 for -1)"}, {text: "select id from item group by name"}, {text: "select (select id from item)"}, {text: "select array[1, 'x']"}, {text: "select id, id from item union select 1"}, {text: "select sum(name) from item"}, {text: "select 'a' || $1", args: []any{1}}, {text: "select coalesce($1, $2)", args: []any{1, "x"}}, {text: "with recursive r as (select 1 union all select r.* from r, r r2) select * from r"}, {text: "select current_setting('nosuch.setting')"}, {text: "select pg_terminate_backend(1)"}, {text: "select lo_get(99)"}, {text: "select 'x' ~ '('"}, {text: "select to_char(1)"}, {text: "select \"double quoted\""}, {text: "select E'\\xff'"}, {text: "select chr(0)"}, {text: "select 'a\x00b'"},
}

func caseStatementErrors(e *conformanceEnv) {
	e.setup(itemTable)
	for i, f := range failingTexts {
		label := fmt.Sprintf("%d: %s", i, f.text)
		e.query(label+": query", e.db, f.text, f.args...)
		e.exec(label+": exec", e.db, f.text, f.args...)
		if len(f.args) == 0 {
			e.exec(label+": second of two", e.db, "select 'ü';\n"+f.text)
		}
		if e.call == nil {
			stmt, err := e.db.PrepareContext(e.ctx, f.text)
			e.see(label+": prepare", err)
			if err == nil {
				e.query(label+": prepared", boundStmt{stmt}, "", f.args...)
				e.exec(label+": prepared exec", boundStmt{stmt}, "", f.args...)
				e.see(label+": close", stmt.Close())
			}
		}
	}
	e.query("what is there", e.db, "select * from item order by id")
}

func caseErrorsInTransaction(e *conformanceEnv) {
	e.setup(itemTable)
	for i, f := range failingTexts {
		label := fmt.Sprintf("%d: %s", i, f.text)
		tx := e.begin(e.db, nil)
		e.exec(label+": before", tx, "insert into item values ($1, 'lost')", 1000+i)
		e.query(label+": query", tx, f.text, f.args...)
		e.query(label+": after", tx, "select count(*) from item where id = $1", 1)
		e.exec(label+": exec after", tx, "select 1")
		if i%2 == 0 {
			e.see(label+": commit", tx.Commit())
		} else {
			e.see(label+": rollback", tx.Rollback())
		}
		tx = e.begin(e.db, nil)
		e.exec(label+": savepoint", tx, "savepoint s")
		e.exec(label+": exec", tx, f.text, f.args...)
		e.exec(label+": rollback to", tx, "rollback to s")
		e.exec(label+": goes on", tx, "insert into item values ($1, 'kept' || $2)", 2000+i, fmt.Sprint(i))
		e.see(label+": second commit", tx.Commit())
	}
	e.query("what is there", e.db, "select id, name from item order by id")
}

func caseErrorsAfterRows(e *conformanceEnv) {
	e.setup(itemTable)
	for use := range 2 {
		use := fmt.Sprint(use, ": ")
		e.query(use+"third row", e.db, "select 10/(3-i) from generate_series(1, 5) i")
		e.query(use+"third row, argument", e.db, "select 10/($1-i) from generate_series(1, 5) i", 3)
		e.query(use+"late", e.db, "select i, repeat('x', 1000), 10/(5000-i) from generate_series(1, 6000) i offset 4990")
		e.exec(use+"exec", e.db, "select 10/(3-i) from generate_series(1, 5) i")
		e.exec(use+"exec, argument", e.db, "select 10/($1-i) from generate_series(1, 5) i", 3)
		rows, err := e.db.QueryContext(e.ctx, "select 10/(3000-i), repeat('x', 100) from generate_series(1, 5000) i")
		require.NoError(e, err)
		require.True(e, rows.Next())
		e.see(use+"close before the error", rows.Close(), rows.Err(), rows.Next())
		var first, second int
		e.see(use+"row", e.db.QueryRowContext(e.ctx, "select 10/(3-i) from generate_series(1, 5) i").Scan(&first), first)
		e.see(use+"row of two columns", e.db.QueryRowContext(e.ctx, "select 1").Scan(&first, &second))
		e.see(use+"no row", e.db.QueryRowContext(e.ctx, "select 1 where false").Scan(&first))
		tx := e.begin(e.db, nil)
		e.query(use+"in a transaction", tx, "select 10/(3-i) from generate_series(1, 5) i")
		e.query(use+"after it", tx, "select 1")
		e.see(use+"commit", tx.Commit())
	}
}

func caseServerTimeouts(e *conformanceEnv) {
	e.setup(itemTable)
	conn := e.conn(e.db)
	e.exec("set", conn, "set statement_timeout = 25")
	e.query("statement timeout", conn, "select pg_sleep(60)")
	e.exec("statement timeout, exec", conn, "select pg_sleep(60)")
	e.query("after rows", conn, "select i, repeat('x', 3000), case when i > 10 then pg_sleep(60) end from generate_series(1, 100) i")
	tx := e.begin(conn, nil)
	e.query("in a transaction", tx, "select pg_sleep($1)", 10)
	e.see("commit", tx.Commit())
	e.exec("reset", conn, "reset statement_timeout")
	e.query("usable", conn, "select 1")
	e.see("close", conn.Close())

	locker, err := e.site.admin.Begin(e.ctx)
	require.NoError(e, err)
	_, err = locker.Exec(e.ctx, "update item set quantity = 9 where id = 1")
	require.NoError(e, err)
	waiting := e.open(handleOptions{params: map[string]string{"lock_timeout": "20"}})
	e.exec("lock timeout", waiting, "update item set quantity = 8 where id = $1", 1)
	e.query("lock not waited for", waiting, "select * from item where id = 1 for update nowait")
	e.query("lock skipped", waiting, "select id from item for update skip locked")
	require.NoError(e, locker.Rollback(e.ctx))
	e.exec("lock had", waiting, "update item set quantity = 8 where id = $1", 1)

	idle := e.open(handleOptions{params: map[string]string{"idle_in_transaction_session_timeout": "10", "application_name": "idle"}})
	tx = e.begin(idle, nil)
	require.Eventually(e, func() bool {
		var left int
		err := e.site.watch.QueryRow(e.ctx, "select count(*) from pg_stat_activity where usename = $1 and application_name = 'idle'", e.site.login).Scan(&left)
		return err == nil && left == 0
	}, 10*time.Second, time.Millisecond)
	_, err = tx.ExecContext(e.ctx, "select 1")
	e.see("idle in a transaction", e.errorClass(err))
	e.see("its rollback fails", tx.Rollback() != nil)
	e.query("usable after the kill", idle, "select 1")
}
