// Package failing holds statements that PostgreSQL refuses with a value of the data in its error, for tests.
package failing

import "strings"

// Canaries are values that hold what parsers of prose stumble over. Core is in each of them.
var Canaries = []string{
	"c4n4ry-plain", `c4n4ry-"quoted"`, "c4n4ry-'single'", "c4n4ry\nnewline", "c4n4ry-(paren)", `c4n4ry: "x": y`, "c4n4ry)=(c4n4ry",
	"c4n4ry-žluťoučký-猫", "c4n4ry into text format for int4 (OID 23): x", "c4n4ry\") to a int: invalid syntax",
}

// Core is what no error may show of a canary, AllOfThem a canary of every kind at once.
const (
	Core      = "c4n4ry"
	AllOfThem = `c4n4ry-"c4n4ry" 'c4n4ry' (c4n4ry): "c4n4ry")=(c4n4ry` + "\nc4n4ry-žluťoučký-c4n4ry-猫"
)

// Schema are the tables, types and functions that Statements are about. It wants the extension btree_gist, and a schema to be made in.
const Schema = `
create type mood as enum ('sad', 'ok');
create domain adult as int constraint adult_age check (value >= 18);
create domain name_given as text not null;
create table users (id int primary key, email text unique, age adult, name name_given default 'x', mood mood, note varchar(5), small smallint,
	constraint note_plain check (note not like 'x%'));
create table orders (id int primary key, user_id int constraint orders_user references users, deferred int constraint orders_late references users deferrable initially deferred);
create table parts (id int) partition by list (id);
create table part1 partition of parts for values in (1);
create table rooms (during int4range, exclude using gist (during with &&));
create table secured (id int, owner text); alter table secured enable row level security; alter table secured force row level security;
create policy own on secured using (owner = 'me');
create view checked as select id, note from users where id < 1000000 with check option;
create function rethrow(v text) returns void language plpgsql as $$ begin execute 'select ' || quote_literal(v) || '::int'; end $$;
create function deep(v text) returns void language plpgsql as $$ begin perform rethrow(v); exception when others then raise; end $$;
create function strict_one(v text) returns void language plpgsql as $$ declare r record; begin select * into strict r from users where email = v; end $$;
create function asserted(v text) returns void language plpgsql as $$ begin assert false, v; end $$;
create function cased(v text) returns void language plpgsql as $$ begin case v when 'a' then null; end case; end $$;
insert into users (id, email) values (1, 'taken'); insert into orders values (1, 1, 1);`

// A Statement ends with the SQLSTATE Code. In Text, $V stands for a canary as a literal, $I for one as a quoted identifier.
type Statement struct{ Code, Text string }

// With returns the statement's text with canary in it.
func (s Statement) With(canary string) string {
	return strings.NewReplacer("$V", "'"+strings.ReplaceAll(canary, "'", "''")+"'", "$I", `"`+strings.ReplaceAll(canary, `"`, `""`)+`"`).Replace(s.Text)
}

// Statements fail, each by itself. Where one leaves a transaction open, Code is that of its own error; behind that of 25P02 any statement
// fails with it.
var Statements = []Statement{
	{"22P02", "select $V::int"}, {"22P02", "select $V::uuid"}, {"22P02", "select $V::inet"}, {"22P02", "select $V::bool"}, {"22P02", "select $V::mood"},
	{"22P02", "select $V::float8"}, {"22P02", "select $V::numeric"}, {"22P02", "select $V::json"}, {"22P02", "select $V::jsonb"}, {"22P02", "select ('{' || $V)::int[]"},
	{"22P02", "select ('(' || $V)::users"}, {"22P02", "select $V::point"}, {"22P02", "select $V::int4range"}, {"22P02", "select $V::macaddr"},
	{"22007", "select $V::timestamptz"}, {"22007", "select $V::interval"}, {"22007", "select to_date($V, 'YYYY')"}, {"22008", "select '2020-13-45'::date"},
	{"22003", "select 99999999999::int"}, {"22003", "select 9999999::int2"}, {"22012", "select 1/0 from users where email <> $V"},
	{"22001", "update users set note = $V"}, {"2201B", "select 'a' ~ ('[' || $V)"}, {"22023", "select date_trunc($V, now())"}, {"22023", "select encode('a', $V)"},
	{"22023", "set datestyle = $V"}, {"22023", "set statement_timeout = $V"}, {"2201X", "select 1 offset -1"}, {"2201W", "select 1 limit -1"},
	{"2201G", "select width_bucket(1, 1, 1, 1)"}, {"22011", "select substring($V from 1 for -1)"}, {"22021", "select convert_from('\\xff'::bytea, 'UTF8')"},
	{"22025", "select $V like '\\'"}, {"2202E", "select array[[1],[1,2]]"},
	{"23505", "insert into users (id, email) values (1, $V)"}, {"23505", "insert into users (id, email) values (2, $V), (3, $V)"},
	{"23503", "insert into orders values (5, 77, 1)"}, {"23503", "delete from users"}, {"23502", "insert into users (email) values ($V)"},
	{"23502", "insert into users (id, name, email) values (9, null, $V)"}, {"23514", "insert into users (id, note, email) values (4, 'xyz', $V)"},
	{"23514", "insert into users (id, age, email) values (4, 3, $V)"}, {"23514", "insert into parts values (7)"},
	{"23P01", "insert into rooms values ('[1,5)'), ('[2,6)')"}, {"44000", "insert into checked values (2000000, 'a')"},
	{"23503", "begin; insert into orders values (8, 1, 555); commit"}, {"25P02", "begin; select 1/0"}, {"25006", "begin read only; insert into users values (1)"},
	{"42601", "selec $V"}, {"42601", "select $V $V from"}, {"42703", "select $I from users"}, {"42P01", "select $V from nowhere"},
	{"42883", "select nofunc($V)"}, {"42883", "select $V::text + 1"}, {"42704", "select $V::notype"}, {"42804", "select case when true then 1 else $V::text end"},
	{"42846", "select $V::text::point::int"}, {"42803", "select email, count(*) from users where email = $V"}, {"42702", "select id from users, orders where email = $V"},
	{"42P02", "select $9"}, {"42P07", "create table users (a text default $V)"}, {"42701", "create table z (a int, a text)"}, {"42710", "create type mood as enum ($V)"},
	{"42712", "select $V from users, users"}, {"42809", "select $V from users_pkey"}, {"42P10", "insert into users (id) values (1) on conflict (note) do nothing"},
	{"22023", "set role redact_nobody"}, {"3F000", "create table nowhere.z (a text default $V)"}, {"42P01", "select $V from users for update of nosuch"}, {"0A000", "select count(*) from users where email = $V for update"}, {"26000", "execute nothing"},
	{"34000", "fetch nothing"}, {"3B001", "begin; release nothing"}, {"25P01", "savepoint x"}, {"2BP01", "drop type mood"}, {"42P01", "select currval('users_s')"},
	{"57014", "set statement_timeout = 1; select pg_sleep(1), $V"}, {"21000", "select (select id from generate_series(1,2) id where $V <> '')"},
	{"P0001", "do $$begin raise exception '%', $V; end$$"},
	{"P0001", "do $$begin raise exception using message = $V, detail = $V, hint = $V, schema = $V, table = $V, column = $V, datatype = $V, constraint = $V; end$$"},
	{"23505", "do $$begin raise unique_violation using constraint = $V, table = $V, message = $V; end$$"},
	{"MY001", "do $$begin raise exception using errcode = 'MY001', message = $V; end$$"},
	{"23514", "do $$begin raise sqlstate '23514' using column = $V, hint = $V; end$$"},
	{"22012", "do $$begin raise division_by_zero using detail = $V; end$$"}, {"42703", "do $$begin raise undefined_column using message = $V; end$$"},
	{"22P02", "select rethrow($V)"}, {"22P02", "select deep($V)"}, {"P0002", "select strict_one($V)"}, {"P0004", "select asserted($V)"}, {"20000", "select cased($V)"},
	{"2200M", "select xmlparse(document $V)"}, {"22P02", "insert into users (id, mood) values (5, $V)"},
	{"42P06", "create schema public"}, {"3D000", "alter database redact_none set work_mem = $V"}, {"42723", "create function rethrow(v text) returns void language sql as $V"},
	{"22004", "select set_config(null, $V, true)"}, {"42P16", "create table zz (id int primary key, n text default $V, primary key (n))"}, {"42601", "create table zz (a int default 1 default 2)"},
	{"42830", "create table zz (a text default $V references users (note))"}, {"2F005", "create function nr() returns int language plpgsql as $f$ begin perform $V; end $f$; select nr()"},
	{"42601", "create function bad() returns int language sql as $V"}, {"22P02", "copy users (id) from stdin"},
}
