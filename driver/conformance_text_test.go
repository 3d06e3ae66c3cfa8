package driver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

var textCases = []conformanceCase{
	{name: "shapes of a text", run: caseTextShapes, perCall: true},
	{name: "several commands in one text", run: caseSeveralCommands},
	{name: "kinds of results", run: caseResultKinds, perCall: true},
	{name: "kinds of commands", run: caseCommandKinds, perCall: true},
	{name: "commands for a block only", run: caseBlockCommands},
	{name: "commands for no block", run: caseAloneCommands},
	{name: "named arguments and rewriters", run: caseRewriters, perCall: true},
	{name: "result formats", run: caseResultFormatOptions},
	{name: "exec modes per call", run: caseModesPerCall, slow: true},
	{name: "copy", run: caseCopying, perCall: true},
	{name: "notices", run: caseNotices},
}

func caseTextShapes(e *conformanceEnv) {
	e.setup("create table item(id int); insert into item values (1), (2)")
	for _, text := range []string{
		"", " ", "\n\t", ";", " ; ", ";;", "-- comment", "-- comment\n", "/* comment */", "/* nested /* comment */ */", "-- comment\n;",
		"select 1;", "select 1;;", ";select 1", "select 1 ; ; ", "select 1; -- end", "select 1 -- end", "select 1 -- end\n", "select 1 /* end */", "select 1; /* end */", "-- begin\nselect 1", "/* begin */ select 1",
		"select 1 /* open", "/* open", "select 'open", "select e'open\\'", "select $$open", "select $a$open$b$", "select \"open", "select 1 --", "select 1 /**/", "--",
		"select $$it's$$, $tag$ $$ -- ; $tag$, 'a;b', e'a\\';b', \"id\" from item -- ; '", "select 'a' -- '\n 'b'", "select U&'d\\0061t'", "select 'x'::text as \"a;b\"",
		"select 1::int", "SELECT\r\n1", "(select 1)", "((select 1) union (select 2))", "values (1, 'x'), (2, 'y')", "table item", "with a as (select 1 as x) select * from a", "with a as (insert into item values (3) returning id) select * from a",
		"select", "select from item", "select where false", "select 1 where false", "selec 1", "select 1, ;", "1", "?", "select ?", "select :name", "select @name", "\x00", "select 1\x00", "select '\xff'", "\ufeffselect 1", "select 'ü' as ü",
		"select 1; select 2", "select 1; select 2;", "select 1;; select 2", "select 1 select 2", "begin; select 1; commit", "insert into item values (9); select nosuch",
	} {
		e.query("query "+fmt.Sprintf("%q", text), e.db, text)
		e.exec("exec "+fmt.Sprintf("%q", text), e.db, text)
	}
	long := strings.Repeat("-- a comment\n", 5000) + "select id from item " + strings.Repeat("/* another */", 5000) + "order by id"
	e.query("long", e.db, long)
	e.exec("long exec", e.db, long)
	e.query("many commands", e.db, strings.Repeat("select 1;", 100))
	e.exec("many commands, exec", e.db, strings.Repeat("select 1;", 100))
	e.query("deep", e.db, "select "+strings.Repeat("(", 200)+"1"+strings.Repeat(")", 200))
}

func caseSeveralCommands(e *conformanceEnv) {
	e.setup("create table item(id int primary key, name text); insert into item values (1, 'one')")
	count := func(label string) { e.query(label, e.db, "select count(*), max(id) from item") }
	for _, c := range []struct{ label, text string }{
		{"two", "insert into item values (2, 'a'); insert into item values (3, 'b'), (4, 'c')"},
		{"the last one tells", "insert into item values (5, 'a'), (6, 'a'); select 1 union select 2 union select 3; update item set name = 'x' where id = 99"},
		{"a comment last", "insert into item values (10, 'a'); -- ;\n/* ; */"},
		{"one fails", "insert into item values (11, 'a'); insert into item values (1, 'b'); insert into item values (12, 'a')"},
		{"the first fails", "insert into item values (1, 'ü'); insert into item values (13, 'a')"},
		{"one does not parse", "insert into item values (14, 'ü'); selec 1"},
		{"one does not bind", "insert into item values (15, 'ü');\n  select nosuch from item"},
		{"with strings", "insert into item values (20, 'a;b'); insert into item values (21, $$c;$$); insert into item values (22, e'\\';')"},
		{"with ddl", "create table other(id int); insert into other values (1); drop table other"},
		{"create and fail", "create table other(id int); select 1/0"},
		{"with a function", "create function f() returns int language sql as $$ select 1; select 2 $$; select f(); drop function f()"},
		{"with a block", "insert into item values (30, 'a'); begin; insert into item values (31, 'a'); commit; insert into item values (32, 'a')"},
		{"with a rollback", "begin; insert into item values (40, 'a'); rollback; insert into item values (41, 'a')"},
		{"fails after a commit", "begin; insert into item values (50, 'a'); commit; select 1/0"},
		{"with savepoints", "begin; insert into item values (60, 'a'); savepoint s; insert into item values (61, 'a'); rollback to s; release s; commit"},
		{"with set", "set application_name = 'several'; select set_config('work_mem', '5MB', false)"},
		{"with set local", "begin; set local application_name = 'local'; insert into item select 70, current_setting('application_name'); commit"},
		{"empty ones", ";;insert into item values (80, 'a');;;"},
		{"only empty ones", ";;;"},
		{"arguments", "select 1; select 2"},
	} {
		e.exec(c.label, e.db, c.text)
		count(c.label + ": after")
	}
	e.query("settings", e.db, "select current_setting('application_name'), current_setting('work_mem')")
	e.query("names", e.db, "select * from item order by id")
	e.exec("with arguments", e.db, "insert into item values ($1, 'a'); insert into item values ($1 + 1, 'b')", 90)
	count("with arguments: after")
	e.query("as a query", e.db, "insert into item values (95, 'a'); select 1")
	count("as a query: after")

	conn := e.conn(e.db)
	e.exec("block left open", conn, "begin; insert into item values (100, 'a')")
	e.exec("in it", conn, "insert into item values (101, 'a'); insert into item values (102, 'a')")
	e.exec("failing in it", conn, "insert into item values (103, 'a'); select 1/0")
	e.exec("in the failed one", conn, "insert into item values (104, 'a'); select 1")
	e.exec("its end", conn, "rollback; insert into item values (105, 'a')")
	e.query("after", conn, "select id from item where id >= 100 order by id")
	e.see("close", conn.Close())

	tx := e.begin(e.db, nil)
	e.exec("in a transaction", tx, "insert into item values (110, 'a'); update item set name = 'b' where id = 110; savepoint x")
	e.exec("savepoint failing", tx, "insert into item values (111, 'a'); select 1/0")
	e.exec("back", tx, "rollback to x; insert into item values (112, 'a')")
	e.see("commit", tx.Commit())
	e.query("committed", e.db, "select id, name from item where id >= 110 order by id")
}

func caseResultKinds(e *conformanceEnv) {
	e.setup("create table item(id int generated always as identity primary key, name text unique, n int default 7); create view named as select name from item")
	e.exec("insert", e.db, "insert into item(name) values ($1)", "a")
	e.exec("insert several", e.db, "insert into item(name) values ($1), ($2), ($3)", "b", "c", "d")
	e.exec("insert select", e.db, "insert into item(name) select 's' || i from generate_series(1, 5) i")
	e.exec("on conflict nothing", e.db, "insert into item(name) values ($1) on conflict do nothing", "a")
	e.exec("on conflict update", e.db, "insert into item(name) values ($1) on conflict (name) do update set n = item.n + 1", "a")
	e.query("returning", e.db, "insert into item(name) values ($1) returning id, name, n", "e")
	e.query("returning star", e.db, "update item set n = n + 1 where name in ('a', 'b') returning *")
	e.query("delete returning", e.db, "delete from item where name = $1 returning item.id", "e")
	e.exec("returning as exec", e.db, "insert into item(name) values ($1) returning id", "f")
	e.query("insert as query", e.db, "insert into item(name) values ($1)", "g")
	e.query("update of nothing as query", e.db, "update item set n = 0 where false")
	e.exec("select as exec", e.db, "select * from item")
	e.exec("select with arguments as exec", e.db, "select * from item where id > $1", 3)
	e.query("no columns", e.db, "select from item where id < $1", 4)
	e.query("no rows", e.db, "select id, name from item where false")
	e.query("view", e.db, "select * from named order by name")
	e.query("set returning", e.db, "select generate_series(1, 3), 'x'")
	e.query("set returning nothing", e.db, "select unnest('{}'::int[])")
	e.query("function table", e.db, "select * from json_to_recordset('[{\"a\":1}]') as x(a int, b text)")
	e.query("merge or not", e.db, "select * from (values (1, 'a'), (2, null)) v(a, b)")
	e.exec("truncate", e.db, "create table gone(); drop table gone")
	var id int
	err := e.db.QueryRowContext(e.ctx, "select id from item where name = $1", e.args([]any{"nosuch"})...).Scan(&id)
	if e.call == nil {
		e.see("no row", err)
	}
	rows, err := e.db.QueryContext(e.ctx, "select 1")
	if err == nil {
		e.see("next result set", rows.Next(), rows.NextResultSet(), rows.Err(), rows.Next(), rows.Close())
	}
}

func caseCommandKinds(e *conformanceEnv) {
	e.setup("create table item(id int primary key, name text); insert into item select i, 'n' || i from generate_series(1, 10) i; analyze item")
	for i, text := range []string{
		"create table made(id int primary key, item int references item)", "create table made(id int)", "create table if not exists made(id int)", "create index on made(item)", "create unique index made_item on made(item)",
		"alter table made add column extra text default 'x'", "alter table made add column extra text", "create view shown as select * from made", "create or replace view shown as select * from made", "drop table made", "drop view shown", "drop table made", "drop table if exists made",
		"create type color as enum ('red')", "alter type color add value 'blue'", "drop type color", "create sequence numbers", "select nextval('numbers')", "select currval('numbers')", "drop sequence numbers",
		"create function plus(a int, b int) returns int language sql as 'select a + b'", "select plus(1, 2)", "drop function plus", "create table copied as select * from item", "drop table copied", "select * into copied from item", "drop table copied",
		"explain (costs off) select * from item", "explain (costs off, analyze, timing off, summary off, buffers off) delete from item where id = 1", "explain (format json, costs off) select 1",
		"show search_path", "show server_encoding", "show nosuch", "set work_mem = '3MB'", "show work_mem", "reset work_mem", "set nosuch = 1", "set work_mem = 'x'", "set time zone 'UTC'", "show timezone", "select set_config('app.x', 'y', false)", "show app.x", "reset all",
		"comment on table item is 'a comment'", "grant select on item to public", "analyze item", "lock table item", "truncate item", "select count(*) from item", "insert into item default values", "do $$ begin perform 1; end $$", "do $$ begin raise exception 'in do'; end $$", "do language plpgsql 'begin insert into item values (77); end'", "table item",
		"call twice(21)", "call nosuch()", "prepare p(int) as select $1 + 1", "execute p(2)", "execute p('x')", "prepare p as select 1", "deallocate p", "execute p(2)", "deallocate nosuch",
		"discard sequences", "discard temp", "checkpoint", "notify ch", "notify ch, 'payload'", "listen ch", "unlisten ch", "unlisten *", "load 'plpgsql'", "set role none", "reset role", "set session authorization default", "security label on table item is 'x'",
		"declare c cursor for select 1", "fetch c", "close c", "close all", "savepoint s", "release s", "rollback to s", "rollback", "commit", "abort", "end",
	} {
		e.query(fmt.Sprintf("query %d: %s", i, text), e.db, text)
		e.exec(fmt.Sprintf("exec %d: %s", i, text), e.db, text)
	}
}

func caseBlockCommands(e *conformanceEnv) {
	e.setup("create table item(id int primary key); insert into item select generate_series(1, 10)")
	tx := e.begin(e.db, nil)
	for i, text := range []string{
		"declare c cursor for select id, id::text || 'x' as t from item order by id", "fetch 2 from c", "fetch next from c", "fetch 0 from c", "fetch all from c", "fetch c", "move backward 3 in c", "fetch prior from c", "fetch backward 2 from c", "close c", "fetch c",
	} {
		e.query(fmt.Sprintf("query %d: %s", i, text), tx, text)
	}
	e.see("rollback", tx.Rollback())
	tx = e.begin(e.db, nil)
	e.exec("declare with argument", tx, "declare c scroll cursor for select id from item where id > $1", 4)
	e.exec("declare", tx, "declare d cursor with hold for select id from item")
	e.exec("fetch as exec", tx, "fetch 3 from d")
	e.exec("savepoint", tx, "savepoint one")
	e.exec("insert", tx, "insert into item values ($1)", 11)
	e.exec("fail", tx, "insert into item values ($1)", 11)
	e.exec("failed", tx, "insert into item values ($1)", 12)
	e.query("failed query", tx, "select 1")
	e.query("failed query with argument", tx, "select $1::int", 1)
	e.exec("rollback to", tx, "rollback to savepoint one")
	e.exec("after", tx, "insert into item values ($1)", 13)
	e.exec("release", tx, "release savepoint one")
	e.exec("release again", tx, "release savepoint one")
	e.see("commit", tx.Commit())
	e.query("nothing is there", e.db, "select count(*), max(id) from item")

	conn := e.conn(e.db)
	for i, text := range []string{
		"begin", "insert into item values (20)", "begin", "savepoint a", "insert into item values (20)", "select 1", "rollback to a", "commit and chain", "insert into item values (21)", "rollback and chain", "insert into item values (22)", "end",
		"start transaction isolation level serializable read only", "show transaction_isolation", "show transaction_read_only", "insert into item values (23)", "commit", "begin read write", "set transaction isolation level repeatable read", "show transaction_isolation", "set transaction isolation level serializable", "rollback",
		"begin", "set local work_mem = '3MB'", "show work_mem", "set constraints all deferred", "commit", "begin; select 1; rollback", "commit", "rollback",
		"begin", "lock table item in access exclusive mode", "prepare transaction 'x'", "rollback", "rollback prepared 'x'", "select id from item where id >= 20 order by id",
	} {
		e.query(fmt.Sprintf("text %d: %s", i, text), conn, text)
	}
	for i, text := range []string{"begin", "insert into item values (30)", "savepoint a", "insert into item values (30)", "commit", "select 1", "begin", "insert into item values (31)", "commit"} {
		e.exec(fmt.Sprintf("exec %d: %s", i, text), conn, text)
	}
	e.query("left", conn, "select id from item where id >= 20 order by id")
	e.see("close", conn.Close())
}

func caseAloneCommands(e *conformanceEnv) {
	e.setup("create table item(id int)")
	e.exec("table", e.db, "create table mine(id int)")
	for _, text := range []string{
		"vacuum mine", "create index concurrently mine_id on mine(id)", "reindex table concurrently mine", "drop index concurrently mine_id", "create database nosuch", "vacuum nosuch", "cluster", "alter system set work_mem = '1MB'", "discard all",
		"do $$ begin commit; end $$", "do $$ begin insert into mine values (1); commit; insert into mine values (2); rollback; end $$", "select * from mine",
	} {
		e.exec("exec: "+text, e.db, text)
		e.query("query: "+text, e.db, text)
	}
	e.exec("procedure", e.db, "create procedure commits(n int) language plpgsql as $$begin insert into mine values (n); commit; insert into mine values (n + 1); end$$")
	e.exec("call", e.db, "call commits(10)")
	e.exec("call with argument", e.db, "call commits($1)", 20)
	tx := e.begin(e.db, nil)
	e.exec("call in a transaction", tx, "call commits(30)")
	e.see("commit", tx.Commit())
	e.query("rows", e.db, "select id from mine order by id")
	tx = e.begin(e.db, nil)
	e.exec("vacuum in a transaction", tx, "vacuum mine")
	e.see("rollback", tx.Rollback())
	e.exec("table goes", e.db, "drop table mine")
	e.exec("procedure goes", e.db, "drop procedure commits")
}

type textRewriter struct {
	sql  string
	args []any
	err  error
}

func (r textRewriter) RewriteQuery(_ context.Context, _ *pgx.Conn, sql string, args []any) (string, []any, error) {
	return strings.ReplaceAll(r.sql, "%", sql), append(args, r.args...), r.err
}

func caseRewriters(e *conformanceEnv) {
	e.setup("create table item(id int, name text)")
	for use := range 2 {
		use := fmt.Sprint(use, ": ")
		e.query(use+"named", e.db, "select @a::int, @b::text, @a::int + 1", pgx.NamedArgs{"a": 1, "b": "x"})
		e.query(use+"named, missing", e.db, "select @a::int, @nosuch::text", pgx.NamedArgs{"a": 1})
		e.query(use+"named, more", e.db, "select @a::int", pgx.NamedArgs{"a": 1, "b": 2})
		e.query(use+"named, in strings", e.db, `select '@a', @a::int, "@a" -- @a
from (select 1 as "@a") x /* @a */`, pgx.NamedArgs{"a": 1})
		e.query(use+"named, none", e.db, "select 1", pgx.NamedArgs{})
		e.query(use+"named, two arguments", e.db, "select @a::int", pgx.NamedArgs{"a": 1}, 2)
		e.query(use+"strict", e.db, "select @a::int", pgx.StrictNamedArgs{"a": 1})
		e.query(use+"strict, missing", e.db, "select @a::int, @b::int", pgx.StrictNamedArgs{"a": 1})
		e.query(use+"strict, more", e.db, "select @a::int", pgx.StrictNamedArgs{"a": 1, "b": 2})
		e.query(use+"struct", e.db, "select @id::int, @Name::text", pgx.StructArgs(struct {
			ID   int `db:"id"`
			Name string
		}{1, "x"}))
		e.query(use+"struct, none", e.db, "select 1", pgx.StructArgs(nil))
		e.exec(use+"exec named", e.db, "insert into item values (@id, @name)", pgx.NamedArgs{"id": 1, "name": "x"})
		e.exec(use+"exec named, none", e.db, "insert into item values (1, 'x')", pgx.NamedArgs{})
		e.exec(use+"exec strict, missing", e.db, "insert into item values (@id, @name)", pgx.StrictNamedArgs{"id": 1})
		e.query(use+"own", e.db, "select 1", textRewriter{sql: "% + $1::int", args: []any{5}})
		e.query(use+"own, with arguments", e.db, "$1::int", textRewriter{sql: "select % + $2::int", args: []any{5}}, 4)
		e.query(use+"own, fails", e.db, "select 1", textRewriter{err: errors.New("rewriter fails")})
		e.exec(use+"own exec, fails", e.db, "select 1", textRewriter{err: errors.New("rewriter fails")})
		e.exec(use+"own exec", e.db, "item", textRewriter{sql: "update % set name = $1", args: []any{"new"}})
		e.exec(use+"own exec, to several", e.db, "item", textRewriter{sql: "update % set name = 'y'; delete from %"})
		e.query(use+"own, to nothing", e.db, "select 1", textRewriter{})
		e.query(use+"two rewriters", e.db, "select @a::int", textRewriter{sql: "nonsense"}, pgx.NamedArgs{"a": 1})
		e.query(use+"later argument", e.db, "select $1::int, $2::text", 1, pgx.NamedArgs{"a": 1})
		e.query(use+"nil", e.db, "select 1", pgx.NamedArgs(nil))
	}
	tx := e.begin(e.db, nil)
	e.query("in a transaction", tx, "select @a::int", pgx.NamedArgs{"a": 1})
	e.see("rollback", tx.Rollback())
}

func caseResultFormatOptions(e *conformanceEnv) {
	const query = "select 1::int4 as i, 'x'::text as t, 1.5::numeric as n, true as b, null::int8 as z, '{1}'::int4[] as a, timestamptz '2024-01-01 00:00Z' as at"
	for use := range 2 {
		use := fmt.Sprint(use, ": ")
		for _, o := range []struct {
			label string
			args  []any
		}{
			{"all text", []any{pgx.QueryResultFormats{0}}},
			{"all binary", []any{pgx.QueryResultFormats{1}}},
			{"each", []any{pgx.QueryResultFormats{1, 0, 0, 0, 1, 0, 0}}},
			{"too few", []any{pgx.QueryResultFormats{1, 0}}},
			{"none", []any{pgx.QueryResultFormats{}}},
			{"unknown", []any{pgx.QueryResultFormats{7}}},
			{"nil", []any{pgx.QueryResultFormats(nil)}},
			{"by oid", []any{pgx.QueryResultFormatsByOID{pgtype.Int4OID: 1, pgtype.TextOID: 1}}},
			{"by oid, none", []any{pgx.QueryResultFormatsByOID{}}},
			{"by oid, nil", []any{pgx.QueryResultFormatsByOID(nil)}},
			{"both", []any{pgx.QueryResultFormats{0}, pgx.QueryResultFormatsByOID{pgtype.Int4OID: 1}}},
			{"both, the other way", []any{pgx.QueryResultFormatsByOID{pgtype.Int4OID: 1}, pgx.QueryResultFormats{0}}},
			{"with the mode", []any{pgx.QueryExecModeCacheDescribe, pgx.QueryResultFormats{0}}},
		} {
			e.query(use+o.label, e.db, query, o.args...)
			e.exec(use+o.label+", exec", e.db, query, o.args...)
		}
		e.query(use+"with an argument", e.db, "select $1::int4, $1::int4::text", pgx.QueryResultFormats{0}, 5)
		e.query(use+"with a rewriter", e.db, "select @a::int4", pgx.QueryResultFormats{0}, pgx.NamedArgs{"a": 1})
		e.query(use+"after a rewriter", e.db, "select @a::int4", pgx.NamedArgs{"a": 1}, pgx.QueryResultFormats{0}, pgx.QueryExecModeExec)
	}
}

// caseModesPerCall asks for every mode on a connection of every mode.
func caseModesPerCall(e *conformanceEnv) {
	e.setup("create table item(id int, name text)")
	for use := range 3 {
		for _, mode := range append(execModes, namedExecMode{"unknown", 99}, namedExecMode{"zero", 0}) {
			label := fmt.Sprint(use, ": ", mode.dsn, ": ")
			e.query(label+"query", e.db, "select $1::int as i, 1.5::numeric, 'x', true, now() > $2", mode.argument, 5, "2024-01-01")
			e.query(label+"no arguments", e.db, "select 1, 'x'::text, '{1}'::int[]", mode.argument)
			e.query(label+"wrong arguments", e.db, "select $1::int", mode.argument)
			e.query(label+"wrong value", e.db, "select $1::int", mode.argument, "x")
			e.query(label+"error", e.db, "select nosuch", mode.argument)
			e.exec(label+"exec", e.db, "insert into item values ($1, $2)", mode.argument, use, "n")
			e.exec(label+"exec, no arguments", e.db, "insert into item values (1, 'x')", mode.argument)
			e.exec(label+"exec, several", e.db, "insert into item values (1, 'x'); insert into item values (2, 'x')", mode.argument)
			e.exec(label+"exec, wrong arguments", e.db, "insert into item values ($1, $2)", mode.argument, 1)
			e.query(label+"named arguments", e.db, "select @a::int", mode.argument, pgx.NamedArgs{"a": 1})
			e.query(label+"the other way", e.db, "select @a::int", pgx.NamedArgs{"a": 1}, mode.argument)
			e.query(label+"twice", e.db, "select 1::int4", pgx.QueryExecModeExec, mode.argument)
			tx := e.begin(e.db, nil)
			e.query(label+"in a transaction", tx, "select $1::int8", mode.argument, 5)
			e.exec(label+"in a transaction, exec", tx, "insert into item values ($1, 'x')", mode.argument, 5)
			e.see(label+"commit", tx.Commit())
		}
	}
	e.query("rows", e.db, "select id, name, count(*) from item group by 1, 2 order by 1, 2")
}

func caseCopying(e *conformanceEnv) {
	e.setup("create table item(id int, name text); insert into item values (1, 'one'), (2, 'two')")
	e.exec("to stdout", e.db, "copy item to stdout")
	e.exec("to stdout csv", e.db, "copy (select * from item where id = 1) to stdout with (format csv, header)")
	e.query("to stdout as query", e.db, "copy item to stdout")
	e.query("usable after", e.db, "select 1")
	tx := e.begin(e.db, nil)
	e.exec("to stdout in a transaction", tx, "copy item to stdout")
	e.query("to stdout as query in a transaction", tx, "copy item to stdout")
	e.see("commit", tx.Commit())
	e.exec("error", e.db, "copy nosuch to stdout")
	e.exec("to a program", e.db, "copy item to program 'true'")
	short, cancel := context.WithTimeout(e.ctx, 30*time.Millisecond)
	defer cancel()
	_, err := e.db.ExecContext(short, "copy item from stdin", e.args(nil)...)
	e.see("from stdin", e.errorClass(err))
}

func caseNotices(e *conformanceEnv) {
	var seen []string
	db := e.open(handleOptions{configure: noticesInto(&seen)})
	check := func(label string) {
		e.see(label, strings.Join(seen, "\n"))
		seen = nil
	}
	e.query("raised", db, "select tell(3)")
	check("raised: notices")
	e.exec("raised by exec", db, "select tell($1)", 2)
	check("raised by exec: notices")
	e.exec("raised by several", db, "select tell(1); select tell(2)")
	check("raised by several: notices")
	e.exec("block", db, "do $$ begin raise notice 'from do'; end $$")
	check("block: notices")
	e.exec("if exists", db, "drop table if exists nosuch")
	check("if exists: notices")
	e.exec("commit", db, "commit")
	check("commit: notices")
	tx := e.begin(db, nil)
	e.exec("begin twice", tx, "begin")
	check("begin twice: notices")
	e.query("in a transaction", tx, "select tell(1)")
	check("in a transaction: notices")
	e.see("end", tx.Commit())
	check("end: notices")
}
