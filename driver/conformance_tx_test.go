package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var transactionCases = []conformanceCase{
	{name: "isolation levels", run: caseIsolationLevels},
	{name: "read only", run: caseReadOnly},
	{name: "life of a transaction", run: caseLifeOfTransaction},
	{name: "commit of a failed transaction", run: caseCommitOfFailed},
	{name: "deferred constraints", run: caseDeferredConstraints, perCall: true},
	{name: "serialization failures", run: caseSerializationFailures, slow: true},
	{name: "contexts of transactions", run: caseContextsOfTransactions, slow: true},
	{name: "statement while rows are open", run: caseWhileRowsOpen},
	{name: "transaction left open", run: caseTransactionLeftOpen, slow: true},
	{name: "nested savepoints", run: caseNestedSavepoints},
}

func caseIsolationLevels(e *conformanceEnv) {
	for _, level := range []sql.IsolationLevel{
		sql.LevelDefault, sql.LevelReadUncommitted, sql.LevelReadCommitted, sql.LevelWriteCommitted, sql.LevelRepeatableRead, sql.LevelSnapshot, sql.LevelSerializable, sql.LevelLinearizable, 99,
	} {
		for _, caseReadOnly := range []bool{false, true} {
			label := fmt.Sprintf("%v, read only %t: ", level, caseReadOnly)
			tx, err := e.db.BeginTx(e.ctx, &sql.TxOptions{Isolation: level, ReadOnly: caseReadOnly})
			e.see(label+"begin", err)
			if err != nil {
				continue
			}
			e.query(label+"settings", tx, "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')")
			e.query(label+"show", tx, "show transaction_isolation")
			e.see(label+"commit", tx.Commit())
		}
	}
	e.query("after", e.db, "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
	db := e.open(handleOptions{params: map[string]string{"default_transaction_isolation": "serializable", "default_transaction_read_only": "on"}})
	e.query("by default", db, "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
	tx := e.begin(db, &sql.TxOptions{})
	e.query("by default in a tx", tx, "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
	e.see("commit", tx.Commit())
	tx = e.begin(db, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	e.exec("set read write", tx, "set transaction read write")
	e.exec("set level", tx, "set transaction isolation level repeatable read")
	e.query("set in a tx", tx, "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
	e.see("rollback", tx.Rollback())

	// A snapshot holds.
	e.setup(itemTable)
	tx = e.begin(e.db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	e.query("first read", tx, "select count(*) from item")
	e.owner("insert into c.item values (50, 'between')")
	e.query("second read", tx, "select count(*) from item")
	e.exec("update of a row that has changed", tx, "delete from item where id = $1", 50)
	e.owner("update c.item set quantity = 5 where id = 2")
	e.exec("update of it", tx, "update item set quantity = 6 where id = $1", 2)
	e.see("commit after 40001", tx.Commit())
	tx = e.begin(e.db, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	e.query("read committed", tx, "select count(*) from item")
	e.owner("delete from c.item where id = 50")
	e.query("read committed again", tx, "select count(*) from item")
	e.see("last commit", tx.Commit())
}

func caseReadOnly(e *conformanceEnv) {
	e.setup(itemTable)
	tx := e.begin(e.db, &sql.TxOptions{ReadOnly: true})
	e.query("read", tx, "select count(*) from item")
	e.exec("write", tx, "insert into item values ($1, 'x')", 5)
	e.query("after", tx, "select 1")
	e.see("commit", tx.Commit())
	for _, text := range []string{"insert into item values (5, 'x')", "create table made()", "select nextval('nosuch')", "update item set quantity = 1", "lock table item", "notify ch", "truncate item", "do $$ begin delete from item; end $$", "select 1; delete from item", "set transaction read write", "comment on table item is 'x'", "select * from item for update", "create temp table made()", "listen ch", "copy item to stdout", "explain analyze delete from item"} {
		tx := e.begin(e.db, &sql.TxOptions{ReadOnly: true})
		e.exec(text, tx, text)
		e.see(text+": commit", tx.Commit())
	}
	e.query("writable again", e.db, "insert into item values (6, 'y') returning current_setting('transaction_read_only')")
}

func caseLifeOfTransaction(e *conformanceEnv) {
	e.setup(itemTable)
	tx := e.begin(e.db, nil)
	e.exec("insert", tx, "insert into item values ($1, $2)", 10, "ten")
	e.query("its own row", tx, "select name from item where id = $1", 10)
	e.see("commit", tx.Commit())
	e.see("commit again", tx.Commit())
	e.see("rollback after commit", tx.Rollback())
	e.exec("exec after commit", tx, "insert into item values (11, 'x')")
	e.query("query after commit", tx, "select 1")
	_, err := tx.PrepareContext(e.ctx, "select 1")
	e.see("prepare after commit", err)
	tx = e.begin(e.db, nil)
	e.exec("insert twelve", tx, "insert into item values (12, 'x')")
	e.see("rollback", tx.Rollback())
	e.see("rollback again", tx.Rollback())
	e.see("commit after rollback", tx.Commit())
	tx = e.begin(e.db, nil)
	e.see("empty commit", tx.Commit())
	tx = e.begin(e.db, nil)
	e.see("empty rollback", tx.Rollback())
	tx = e.begin(e.db, nil)
	e.exec("commit as text", tx, "commit")
	e.exec("outside after all", tx, "insert into item values (13, 'autocommitted')")
	e.see("commit of nothing", tx.Commit())
	tx = e.begin(e.db, nil)
	e.exec("rollback as text", tx, "rollback")
	e.see("rollback of nothing", tx.Rollback())
	tx = e.begin(e.db, nil)
	e.exec("begin in a tx", tx, "begin")
	e.see("its commit", tx.Commit())
	conn := e.conn(e.db)
	tx = e.begin(conn, nil)
	second, err := conn.BeginTx(e.ctx, nil)
	e.see("a second one on the conn", e.errorClass(err))
	e.exec("through the conn", conn, "insert into item values (14, 'of the conn')")
	e.see("rollback of the first one", tx.Rollback())
	if err == nil {
		e.see("commit of the second one", second.Commit())
	}
	e.see("close", conn.Close())
	// One that never ends before its handle.
	tx = e.begin(e.db, nil)
	rows, err := tx.QueryContext(e.ctx, "select i from generate_series(1, 1000) i")
	require.NoError(e, err)
	require.True(e, rows.Next())
	e.see("commit with rows open", tx.Commit())
	e.see("its rows", rows.Next(), rows.Err(), rows.Close())
	e.query("what is there", e.db, "select id, name from item order by id")
}

func caseCommitOfFailed(e *conformanceEnv) {
	e.setup(itemTable)
	for i, failing := range []string{"select 1/0", "insert into item values (1, 'dup')", "select nosuch", "selec 1"} {
		tx := e.begin(e.db, nil)
		e.exec(fmt.Sprint(i, ": insert"), tx, "insert into item values ($1, $2)", 100+i, failing)
		e.exec(fmt.Sprint(i, ": fail"), tx, failing)
		e.see(fmt.Sprint(i, ": commit"), tx.Commit())
		e.query(fmt.Sprint(i, ": usable"), e.db, "select count(*) from item")
		conn := e.conn(e.db)
		e.exec(fmt.Sprint(i, ": begin as text"), conn, "begin")
		e.query(fmt.Sprint(i, ": fail in it"), conn, failing)
		e.exec(fmt.Sprint(i, ": commit as text"), conn, "commit")
		e.query(fmt.Sprint(i, ": usable after text"), conn, "select count(*) from item")
		e.see(fmt.Sprint(i, ": close"), conn.Close())
	}
}

func caseDeferredConstraints(e *conformanceEnv) {
	e.setup(`create table item(id int primary key, parent int references item deferrable initially deferred, rank int unique deferrable initially deferred);
create function check_it() returns trigger language plpgsql as $$begin if new.rank = 13 then raise exception 'unlucky' using detail = 'rank ' || new.rank; end if; return null; end$$;
create constraint trigger checked after insert on item deferrable initially deferred for each row execute function check_it();
insert into item values (1, null, 1)`)
	for use := range 2 {
		use := fmt.Sprint(use, ": ")
		e.exec(use+"exec fk", e.db, "insert into item values ($1, $2)", 10, 99)
		e.exec(use+"exec fk, no arguments", e.db, "insert into item values (10, 99)")
		e.query(use+"returning fk", e.db, "insert into item values ($1, $2) returning id", 10, 99)
		e.query(use+"query fk", e.db, "insert into item values ($1, $2)", 10, 99)
		e.exec(use+"exec unique", e.db, "insert into item values ($1, null, $2)", 11, 1)
		e.query(use+"returning unique", e.db, "insert into item values ($1, null, $2) returning *", 11, 1)
		e.exec(use+"exec trigger", e.db, "insert into item values ($1, null, $2)", 12, 13)
		e.query(use+"several rows, then trigger", e.db, "insert into item select i, null, i from generate_series(10, 20) i returning id, rank")
		e.exec(use+"several", e.db, "insert into item values (20, null, 20); insert into item values (21, 99)")
		e.exec(use+"do", e.db, "do $$ begin insert into item values (22, 99); end $$")
		var id int
		err := e.db.QueryRowContext(e.ctx, "insert into item values (23, 99) returning id", e.args(nil)...).Scan(&id)
		e.see(use+"row", err)
		rows, err := e.db.QueryContext(e.ctx, "insert into item values (24, 99) returning id", e.args(nil)...)
		if err == nil {
			more := rows.Next()
			e.see(use+"rows closed early", more, rows.Close(), rows.Err())
		}
		tx := e.begin(e.db, nil)
		e.exec(use+"in a tx", tx, "insert into item values ($1, $2)", 30, 99)
		e.query(use+"seen in it", tx, "select count(*) from item where id = $1", 30)
		e.see(use+"commit", tx.Commit())
		tx = e.begin(e.db, nil)
		e.exec(use+"in a second tx", tx, "insert into item values ($1, $2)", 30, 99)
		e.exec(use+"set constraints", tx, "set constraints all immediate")
		e.see(use+"second commit", tx.Commit())
		tx = e.begin(e.db, nil)
		e.exec(use+"mended", tx, "insert into item values ($1, $2)", 31, 32)
		e.exec(use+"by this", tx, "insert into item values ($1, null)", 32)
		e.see(use+"third commit", tx.Commit())
		e.exec(use+"gone again", e.db, "delete from item where id in (31, 32)")
		if e.call == nil {
			stmt := e.prepare(e.db, "insert into item values ($1, $2) returning id")
			e.exec(use+"prepared exec", boundStmt{stmt}, "", 10, 99)
			e.query(use+"prepared query", boundStmt{stmt}, "", 10, 99)
		}
	}
	conn := e.conn(e.db)
	e.exec("begin as text", conn, "begin")
	e.exec("insert", conn, "insert into item values (40, 99)")
	e.exec("commit as text", conn, "commit")
	e.query("what is there", conn, "select * from item order by id")
}

// caseSerializationFailures makes a statement fail when it commits: another transaction dooms it while it waits for a lock.
func caseSerializationFailures(e *conformanceEnv) {
	db := e.open(handleOptions{params: map[string]string{"default_transaction_isolation": "serializable"}})
	const skewed = "with w as (insert into dots select 1, sum(v) from dots where class = 2 returning v) select v, pg_advisory_xact_lock(77)::text from w"
	for _, run := range []struct {
		label string
		do    func(label string)
	}{
		{"query", func(label string) { e.query(label, db, skewed) }},
		{"exec", func(label string) { e.exec(label, db, skewed) }},
		{"with an argument", func(label string) { e.query(label, db, skewed+" where $1 = 1", 1) }},
		{"transaction", func(label string) {
			tx := e.begin(db, nil)
			e.query(label, tx, skewed)
			e.see(label+": commit", tx.Commit())
		}},
	} {
		e.setup("create table dots(class int, v int); insert into dots values (1, 10), (2, 20)")
		other, err := e.site.admin.BeginTx(e.ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		require.NoError(e, err)
		_, err = other.Exec(e.ctx, "insert into c.dots select 2, sum(v) from c.dots where class = 1")
		require.NoError(e, err)
		_, err = e.site.watch.Exec(e.ctx, "select pg_advisory_lock(77)")
		require.NoError(e, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			e.awaited("advisory")
			assert.NoError(e, other.Commit(e.ctx))
			_, err := e.site.watch.Exec(e.ctx, "select pg_advisory_unlock_all()")
			assert.NoError(e, err)
		})
		run.do(run.label)
		wg.Wait()
		var sum int
		require.NoError(e, e.site.admin.QueryRow(e.ctx, "select sum(v) from c.dots").Scan(&sum))
		e.see(run.label+": sum", sum)
		e.query(run.label+": usable", db, "select 1")
	}
}

func caseContextsOfTransactions(e *conformanceEnv) {
	e.setup(itemTable)
	cancelled, cancel := context.WithCancel(e.ctx)
	tx, err := e.db.BeginTx(cancelled, nil)
	require.NoError(e, err)
	e.exec("insert", tx, "insert into item values ($1, 'x')", 10)
	cancel()
	require.Eventually(e, func() bool { return tx.Rollback() == sql.ErrTxDone }, 5*time.Second, time.Millisecond)
	e.see("commit after cancel", tx.Commit())
	e.query("rolled back", e.db, "select count(*) from item")

	// A context that ends before its transaction begins.
	_, err = e.db.BeginTx(cancelled, nil)
	e.see("begin with a done context", err)
	conn := e.conn(e.db)
	_, err = conn.BeginTx(cancelled, nil)
	e.see("begin with a done context on a conn", err)
	e.query("the conn after", conn, "select 1")
	_ = conn.Close()

	// A statement whose own context ends takes the transaction with it.
	tx = e.begin(e.db, nil)
	ending, ended := e.ending(context.DeadlineExceeded)
	_, err = tx.ExecContext(ending, "select pg_sleep(60)")
	ended()
	e.see("statement timed out", e.errorClass(err))
	_, err = tx.ExecContext(e.ctx, "select 1")
	e.see("after it", e.errorClass(err))
	e.see("its commit", e.errorClass(tx.Commit()))
	e.query("usable", e.db, "select 1")

	// A transaction whose context ends during a statement, which has it too or has another one.
	for _, own := range []bool{false, true} {
		label := fmt.Sprintf("statement with a context of its own %t: ", own)
		ending, ended = e.ending(context.DeadlineExceeded)
		tx, err = e.db.BeginTx(ending, nil)
		require.NoError(e, err)
		_, err = tx.ExecContext(ending, "insert into item values ($1, 'x')", 20)
		e.see(label+"in time", err)
		if own {
			_, err = tx.ExecContext(e.ctx, "select pg_sleep(0.05)")
		} else {
			_, err = tx.ExecContext(ending, "select pg_sleep(60)")
		}
		ended()
		e.see(label+"error", e.errorClass(err))
		require.Eventually(e, func() bool { return tx.Rollback() == sql.ErrTxDone }, 5*time.Second, time.Millisecond)
		e.query(label+"not there", e.db, "select count(*) from item")
		e.see(label+"connections opened", e.opened.Load())
	}
}

func caseWhileRowsOpen(e *conformanceEnv) {
	e.setup(itemTable)
	tx := e.begin(e.db, nil)
	rows, err := tx.QueryContext(e.ctx, "select i, repeat('x', 1000) from generate_series(1, 1000) i")
	require.NoError(e, err)
	require.True(e, rows.Next())
	e.exec("exec", tx, "insert into item values ($1, 'x')", 10)
	e.exec("exec without arguments", tx, "insert into item values (10, 'x')")
	e.exec("exec of several", tx, "insert into item values (10, 'x'); select 1")
	e.query("query", tx, "select 1")
	e.query("query with an argument", tx, "select $1::int", 1)
	_, err = tx.PrepareContext(e.ctx, "select 2")
	e.see("prepare", err)
	n := 1
	for rows.Next() {
		n++
	}
	e.see("rest of the rows", n, rows.Err(), rows.Close())
	e.exec("exec after", tx, "insert into item values ($1, 'x')", 11)
	e.see("commit", tx.Commit())
	conn := e.conn(e.db)
	rows, err = conn.QueryContext(e.ctx, "select i from generate_series(1, 1000) i")
	require.NoError(e, err)
	require.True(e, rows.Next())
	_, err = conn.BeginTx(e.ctx, nil)
	e.see("begin", err)
	e.see("rows", rows.Close())
	e.query("conn after", conn, "select count(*) from item")
}

func caseTransactionLeftOpen(e *conformanceEnv) {
	e.setup(itemTable)
	for _, last := range []string{"select 1", "select 1/0"} {
		conn := e.conn(e.db)
		e.exec(last+": begin", conn, "begin")
		e.exec(last+": insert", conn, "insert into item values ($1, 'x')", 10)
		e.exec(last, conn, last)
		e.see(last+": close", conn.Close())
		e.query(last+": nothing of it", e.db, "select count(*) from item")
		e.see(last+": connections", e.opened.Load())
	}
	e.exec("begin by the handle", e.db, "begin")
	e.query("not in it", e.db, "select count(*) from item")
	e.see("connections", e.opened.Load())
	conn := e.conn(e.db)
	e.exec("chain", conn, "begin; commit and chain")
	e.see("chain close", conn.Close())
	e.query("chain: usable", e.db, "select 1")
}

// caseNestedSavepoints does what ORMs do for nested transactions.
func caseNestedSavepoints(e *conformanceEnv) {
	e.setup(itemTable)
	tx := e.begin(e.db, nil)
	for level := range 5 {
		e.exec(fmt.Sprint("savepoint ", level), tx, fmt.Sprintf("savepoint sp%d", level))
		e.exec(fmt.Sprint("insert ", level), tx, "insert into item values ($1, $2)", 100+level, fmt.Sprint(level))
	}
	e.exec("fail", tx, "insert into item values ($1, 'one')", 200)
	e.exec("back to 3", tx, "rollback to savepoint sp3")
	e.query("what is left", tx, "select id from item where id >= $1 order by id", 100)
	e.exec("back to 3 again", tx, "rollback to savepoint sp3")
	e.exec("release 2", tx, "release savepoint sp2")
	e.exec("back to 2", tx, "rollback to savepoint sp2")
	e.exec("back to 1", tx, "rollback to savepoint sp1")
	e.exec("a quoted one", tx, `savepoint "Quoted; name"`)
	e.exec("back to it", tx, `rollback work to savepoint "Quoted; name"`)
	e.exec("insert", tx, "insert into item values ($1, 'last')", 300)
	e.see("commit", tx.Commit())
	e.query("what is there", e.db, "select id, name from item order by id")
}
