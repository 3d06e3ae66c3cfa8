package sqllex_test

import (
	"testing"

	"github.com/pganon/pganon/internal/sqllex"
	"github.com/stretchr/testify/assert"
)

// commands is what the table of TestClassify and the server's judgement in TestServerNoBlock share.
var commands = []struct {
	text  string
	class sqllex.Class
	flags sqllex.Flags
	verb  string
	inner string
	name  string
}{
	{text: ""},
	{text: "foo"}, {text: `"select" 1`}, {text: "'select'"}, {text: "1"}, {text: "\ufeffSELECT 1"}, {text: "selects"}, {text: "a.b"}, {text: "(drop table t)"}, {text: "(set role x)"},
	{text: "((insert into t values (1)))"}, {text: "SELECT\x00"}, {text: "\\d"}, {text: "deallocatex"}, {text: "ſelect 1"},

	{text: "SELECT 1", class: sqllex.Query, verb: "select"},
	{text: " -- x\n/*+ y */ sElEcT*FROM t", class: sqllex.Query, verb: "select"},
	{text: ";;select 1", class: sqllex.Query, verb: "select"},
	{text: "((SELECT 1) UNION SELECT 2)", class: sqllex.Query, verb: "select"},
	{text: "( VALUES (1))", class: sqllex.Query, verb: "values"},
	{text: "TABLE t", class: sqllex.Query, verb: "table"},
	{text: "INSERT INTO t VALUES (1)", class: sqllex.Query, verb: "insert"},
	{text: "UPDATE t SET a = 1", class: sqllex.Query, verb: "update"},
	{text: "DELETE FROM t", class: sqllex.Query, verb: "delete"},
	{text: "MERGE INTO t USING u ON true WHEN MATCHED THEN DO NOTHING", class: sqllex.Query, verb: "merge"},
	{text: "SHOW search_path", class: sqllex.Query, verb: "show"},
	{text: "WITH a AS (SELECT 1) SELECT * FROM a", class: sqllex.Query, verb: "with", inner: "select"},
	{text: "WITH a AS (SELECT ')'), b(x,y) AS NOT MATERIALIZED (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM a", class: sqllex.Query, verb: "with", inner: "insert"},
	{text: `WITH RECURSIVE "A" (n) AS (VALUES (1)) SEARCH DEPTH FIRST BY n, m SET set CYCLE n SET c TO 'y' DEFAULT 'n' USING p, recursive AS MATERIALIZED (SELECT 1) UPDATE t SET a = 1`, class: sqllex.Query, verb: "with", inner: "update"},
	{text: "WITH recursive AS (SELECT 1) ((SELECT 2))", class: sqllex.Query, verb: "with", inner: "select"},
	{text: "WITH insert AS (SELECT 1) DELETE FROM t", class: sqllex.Query, verb: "with", inner: "delete"},
	{text: "WITH a AS (SELECT 1) MERGE INTO t", class: sqllex.Query, verb: "with", inner: "merge"},
	{text: "WITH a AS (SELECT 1", class: sqllex.Query, verb: "with"},
	{text: "WITH a AS SELECT 1", class: sqllex.Query, verb: "with"},
	{text: "EXPLAIN SELECT 1", class: sqllex.Query, verb: "explain", inner: "select"},
	{text: "EXPLAIN VERBOSE (SELECT 1)", class: sqllex.Query, verb: "explain", inner: "select"},
	{text: "EXPLAIN (SELECT 1)", class: sqllex.Query, verb: "explain", inner: "select"},
	{text: "EXPLAIN (VALUES (1))", class: sqllex.Query, verb: "explain", inner: "values"},
	{text: "EXPLAIN ANALYZE VERBOSE WITH a AS (SELECT 1) SELECT 1", class: sqllex.Query, flags: sqllex.Analyze, verb: "explain", inner: "with"},
	{text: "EXPLAIN analyse INSERT INTO t VALUES (1)", class: sqllex.Query, flags: sqllex.Analyze, verb: "explain", inner: "insert"},
	{text: "EXPLAIN (COSTS off, ANALYZE) DELETE FROM t", class: sqllex.Query, flags: sqllex.Analyze, verb: "explain", inner: "delete"},
	{text: "EXPLAIN (ANALYZE off, FORMAT json) DELETE FROM t", class: sqllex.Query, verb: "explain", inner: "delete"},
	{text: "EXPLAIN (ANALYSE 'False') SELECT 1", class: sqllex.Query, verb: "explain", inner: "select"},
	{text: "EXPLAIN (ANALYZE 0, ANALYZE maybe) SELECT 1", class: sqllex.Query, flags: sqllex.Analyze, verb: "explain", inner: "select"},
	{text: `EXPLAIN ("analyze") EXECUTE p`, class: sqllex.Query, flags: sqllex.Analyze, verb: "explain", inner: "execute"},
	{text: "EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1", class: sqllex.Query, flags: sqllex.Analyze | sqllex.Temp, verb: "explain", inner: "create"},
	{text: "EXPLAIN CREATE TEMP TABLE x AS SELECT 1", class: sqllex.Query, verb: "explain", inner: "create"},
	{text: "EXPLAIN DECLARE c CURSOR FOR SELECT 1", class: sqllex.Query, verb: "explain", inner: "declare"},

	{text: "BEGIN", class: sqllex.Begin, verb: "begin"},
	{text: "begin work;", class: sqllex.Begin, verb: "begin"},
	{text: "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY DEFERRABLE", class: sqllex.Begin, flags: sqllex.Isolation | sqllex.ReadOnly | sqllex.Deferrable, verb: "begin"},
	{text: "START TRANSACTION READ WRITE, NOT DEFERRABLE", class: sqllex.Begin, flags: sqllex.ReadWrite | sqllex.Deferrable, verb: "start"},
	{text: "START TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY, READ WRITE", class: sqllex.Begin, flags: sqllex.Isolation | sqllex.ReadOnly | sqllex.ReadWrite, verb: "start"},
	{text: "COMMIT", class: sqllex.Commit, verb: "commit"},
	{text: "/**/END TRANSACTION AND NO CHAIN", class: sqllex.Commit, verb: "end"},
	{text: "COMMIT WORK AND CHAIN -- x", class: sqllex.Commit, flags: sqllex.Chain, verb: "commit"},
	{text: "ROLLBACK", class: sqllex.Rollback, verb: "rollback"},
	{text: "ABORT AND CHAIN", class: sqllex.Rollback, flags: sqllex.Chain, verb: "abort"},
	{text: "ROLLBACK TO s", class: sqllex.RollbackTo, verb: "rollback", name: "s"},
	{text: `ROLLBACK WORK TO SAVEPOINT "S p";`, class: sqllex.RollbackTo, verb: "rollback", name: "S p"},
	{text: "ROLLBACK TO savepoint", class: sqllex.RollbackTo, verb: "rollback", name: "savepoint"},
	{text: "SAVEPOINT Sp1", class: sqllex.Savepoint, verb: "savepoint", name: "sp1"},
	{text: "RELEASE sp1", class: sqllex.Release, verb: "release", name: "sp1"},
	{text: "RELEASE SAVEPOINT savepoint", class: sqllex.Release, verb: "release", name: "savepoint"},
	{text: "RELEASE SAVEPOINT", class: sqllex.Release, verb: "release", name: "savepoint"},
	{text: "PREPARE TRANSACTION 'x'", class: sqllex.PrepareTransaction, verb: "prepare"},
	{text: "PREPARE TRANSACTION $$x$$", class: sqllex.PrepareTransaction, verb: "prepare"},
	{text: "COMMIT PREPARED 'x'", class: sqllex.CommitPrepared, flags: sqllex.NoBlock, verb: "commit"},
	{text: "ROLLBACK PREPARED E'x'", class: sqllex.RollbackPrepared, flags: sqllex.NoBlock, verb: "rollback"},
	{text: "BEGIN x"}, {text: "BEGIN ATOMIC"}, {text: "BEGIN READ"}, {text: "BEGIN ,READ ONLY"}, {text: "BEGIN READ ONLY,"}, {text: "BEGIN ISOLATION LEVEL"}, {text: "START"}, {text: "START x"},
	{text: "COMMIT x"}, {text: "COMMIT AND"}, {text: "COMMIT PREPARED"}, {text: "COMMIT PREPARED N'x'"}, {text: "END TO s"}, {text: "ABORT TO s"}, {text: "ROLLBACK TO"}, {text: "ROLLBACK SELECT 1"},
	{text: "ROLLBACK 'x'"}, {text: "SAVEPOINT"}, {text: "SAVEPOINT a b"}, {text: "SAVEPOINT 'a'"}, {text: "RELEASE"}, {text: "PREPARE TRANSACTION 'x' y"}, {text: "COMMIT (1)"}, {text: "COMMIT \\"},
	{text: `SAVEPOINT U&"\0000"`},

	{text: "SET TRANSACTION READ ONLY", class: sqllex.SetTransaction, flags: sqllex.ReadOnly, verb: "set"},
	{text: "SET TRANSACTION READ WRITE", class: sqllex.SetTransaction, flags: sqllex.ReadWrite | sqllex.BeforeQuery, verb: "set"},
	{text: "SET LOCAL TRANSACTION ISOLATION LEVEL REPEATABLE READ", class: sqllex.SetTransaction, flags: sqllex.Local | sqllex.Isolation | sqllex.BeforeQuery, verb: "set"},
	{text: "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", class: sqllex.SetTransaction, flags: sqllex.Isolation | sqllex.BeforeQuery, verb: "set"},
	{text: "SET TRANSACTION SNAPSHOT '1'", class: sqllex.SetTransaction, flags: sqllex.Snapshot | sqllex.BeforeQuery, verb: "set"},
	{text: "SET TRANSACTION"}, {text: "SET TRANSACTION x"}, {text: "SET TRANSACTION SNAPSHOT"}, {text: "SET SESSION CHARACTERISTICS AS TRANSACTION"}, {text: "SET SESSION CHARACTERISTICS x"},
	{text: "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", class: sqllex.SetCharacteristics, flags: sqllex.ReadWrite, verb: "set"},
	{text: "SET LOCAL SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", class: sqllex.SetCharacteristics, flags: sqllex.ReadOnly, verb: "set"},
	{text: "SET CONSTRAINTS ALL IMMEDIATE", class: sqllex.SetConstraints, verb: "set"},

	{text: "SET Search_Path TO a, b", class: sqllex.Set, verb: "set", name: "search_path"},
	{text: "SET LOCAL rls.Tenant_ID = '1'", class: sqllex.Set, flags: sqllex.Local, verb: "set", name: "rls.tenant_id"},
	{text: `SET SESSION "ROLE"='x'`, class: sqllex.Set, verb: "set", name: "role"},
	{text: `SET U&"\0072ole" TO x`, class: sqllex.Set, verb: "set", name: "role"},
	{text: "SET ROLE NONE", class: sqllex.Set, verb: "set", name: "role"},
	{text: "SET LOCAL ROLE 'x'", class: sqllex.Set, flags: sqllex.Local, verb: "set", name: "role"},
	{text: "SET role = x", class: sqllex.Set, verb: "set", name: "role"},
	{text: "SET role.x = 1", class: sqllex.Set, verb: "set", name: "role.x"},
	{text: "SET SESSION AUTHORIZATION x", class: sqllex.Set, verb: "set", name: "session_authorization"},
	{text: "SET LOCAL SESSION AUTHORIZATION DEFAULT", class: sqllex.Set, flags: sqllex.Local, verb: "set", name: "session_authorization"},
	{text: "SET SESSION SESSION AUTHORIZATION x", class: sqllex.Set, verb: "set", name: "session_authorization"},
	{text: "SET session = 1", class: sqllex.Set, verb: "set", name: "session"},
	{text: "SET local.x = 1", class: sqllex.Set, verb: "set", name: "local.x"},
	{text: "SET LOCAL local TO 1", class: sqllex.Set, flags: sqllex.Local, verb: "set", name: "local"},
	{text: "SET transaction.x TO 1", class: sqllex.Set, verb: "set", name: "transaction.x"},
	{text: "SET SESSION characteristics = 1", class: sqllex.Set, verb: "set", name: "characteristics"},
	{text: "SET TIME ZONE 'UTC'", class: sqllex.Set, verb: "set", name: "timezone"},
	{text: "SET time.x = 1", class: sqllex.Set, verb: "set", name: "time.x"},
	{text: "SET SCHEMA 'x'", class: sqllex.Set, verb: "set", name: "search_path"},
	{text: "SET NAMES 'UTF8'", class: sqllex.Set, verb: "set", name: "client_encoding"},
	{text: "SET XML OPTION CONTENT", class: sqllex.Set, verb: "set", name: "xmloption"},
	{text: "SET CATALOG 'x'", class: sqllex.Set, verb: "set"},
	{text: "SET session FROM CURRENT", class: sqllex.Set, verb: "set", name: "session"},
	{text: "SET transaction_isolation = serializable", class: sqllex.Set, flags: sqllex.BeforeQuery, verb: "set", name: "transaction_isolation"},
	{text: "SET LOCAL Transaction_Read_Only TO off", class: sqllex.Set, flags: sqllex.Local | sqllex.BeforeQuery, verb: "set", name: "transaction_read_only"},
	{text: "SET transaction_read_only = ON", class: sqllex.Set, verb: "set", name: "transaction_read_only"},
	{text: "SET", class: sqllex.Set, verb: "set"},
	{text: "RESET ALL", class: sqllex.Reset, flags: sqllex.All, verb: "reset"},
	{text: `RESET "all"`, class: sqllex.Reset, verb: "reset", name: "all"},
	{text: "RESET ROLE", class: sqllex.Reset, verb: "reset", name: "role"},
	{text: "RESET SESSION AUTHORIZATION", class: sqllex.Reset, verb: "reset", name: "session_authorization"},
	{text: "RESET session.x", class: sqllex.Reset, verb: "reset", name: "session.x"},
	{text: "RESET TIME ZONE", class: sqllex.Reset, verb: "reset", name: "timezone"},
	{text: "RESET TRANSACTION ISOLATION LEVEL", class: sqllex.Reset, flags: sqllex.BeforeQuery, verb: "reset", name: "transaction_isolation"},
	{text: "DISCARD ALL", class: sqllex.Discard, flags: sqllex.All | sqllex.NoBlock, verb: "discard", name: "all"},
	{text: "DISCARD TEMPORARY", class: sqllex.Discard, verb: "discard", name: "temp"},
	{text: "DISCARD plans", class: sqllex.Discard, verb: "discard", name: "plans"},
	{text: "LISTEN Chan", class: sqllex.Listen, verb: "listen", name: "chan"},
	{text: "UNLISTEN *", class: sqllex.Unlisten, flags: sqllex.All, verb: "unlisten"},
	{text: "UNLISTEN chan", class: sqllex.Unlisten, verb: "unlisten", name: "chan"},
	{text: "PREPARE p (int, text[]) AS INSERT INTO t VALUES ($1)", class: sqllex.Prepare, verb: "prepare", inner: "insert", name: "p"},
	{text: "PREPARE transaction AS (SELECT 1)", class: sqllex.Prepare, verb: "prepare", inner: "select", name: "transaction"},
	{text: "PREPARE transaction (int) AS VALUES ($1)", class: sqllex.Prepare, verb: "prepare", inner: "values", name: "transaction"},
	{text: "EXECUTE p(1)", class: sqllex.Execute, verb: "execute", name: "p"},
	{text: "DEALLOCATE PREPARE p", class: sqllex.Deallocate, verb: "deallocate", name: "p"},
	{text: "DEALLOCATE prepare", class: sqllex.Deallocate, verb: "deallocate", name: "prepare"},
	{text: "DEALLOCATE ALL", class: sqllex.Deallocate, flags: sqllex.All, verb: "deallocate"},
	{text: "DEALLOCATE PREPARE ALL", class: sqllex.Deallocate, flags: sqllex.All, verb: "deallocate"},
	{text: `DEALLOCATE "all"`, class: sqllex.Deallocate, verb: "deallocate", name: "all"},
	{text: "DECLARE c CURSOR FOR SELECT 1", class: sqllex.Declare, verb: "declare", inner: "select", name: "c"},
	{text: "DECLARE cursor NO SCROLL BINARY CURSOR WITH HOLD FOR WITH a AS (SELECT 1) SELECT 1", class: sqllex.Declare, flags: sqllex.Hold, verb: "declare", inner: "with", name: "cursor"},
	{text: "DECLARE c ASENSITIVE CURSOR WITHOUT HOLD FOR VALUES (1)", class: sqllex.Declare, verb: "declare", inner: "values", name: "c"},
	{text: "LOAD 'plpgsql'", class: sqllex.Load, verb: "load"},
	{text: "COPY t FROM STDIN", class: sqllex.Copy, flags: sqllex.FromClient, verb: "copy"},
	{text: `COPY BINARY s."t" (a, b) FROM stdout WITH NULL 'x'`, class: sqllex.Copy, flags: sqllex.FromClient, verb: "copy"},
	{text: "COPY t TO STDOUT (FORMAT csv)", class: sqllex.Copy, flags: sqllex.ToClient, verb: "copy"},
	{text: "COPY (SELECT (1) UNION VALUES (2)) TO STDIN", class: sqllex.Copy, flags: sqllex.ToClient, verb: "copy", inner: "select"},
	{text: "COPY (DELETE FROM t RETURNING *) TO '/f'", class: sqllex.Copy, verb: "copy", inner: "delete"},
	{text: "COPY t FROM PROGRAM 'stdin'", class: sqllex.Copy, verb: "copy"},
	{text: `COPY t FROM "stdin"`, class: sqllex.Copy, verb: "copy"},
	{text: "DO $$ BEGIN COMMIT; END $$", class: sqllex.Do, verb: "do"},
	{text: "CALL p(1)", class: sqllex.Call, verb: "call"},

	{text: "CREATE TABLE t ()", class: sqllex.Utility, verb: "create"},
	{text: "CREATE TEMP TABLE t ()", class: sqllex.Utility, flags: sqllex.Temp, verb: "create"},
	{text: "CREATE LOCAL TEMPORARY TABLE t ()", class: sqllex.Utility, flags: sqllex.Temp, verb: "create"},
	{text: "CREATE OR REPLACE TEMP VIEW v AS SELECT 1", class: sqllex.Utility, flags: sqllex.Temp, verb: "create"},
	{text: "CREATE TABLE temp ()", class: sqllex.Utility, verb: "create"},
	{text: "CREATE DATABASE d", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: "DROP DATABASE IF EXISTS d", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "drop"},
	{text: "CREATE TABLESPACE t LOCATION '/x'", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: "DROP TABLESPACE t", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "drop"},
	{text: "CREATE INDEX CONCURRENTLY ON tab (a)", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: "CREATE UNIQUE INDEX CONCURRENTLY i ON tab (a)", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: `CREATE INDEX "concurrently" ON tab (a)`, class: sqllex.Utility, verb: "create"},
	{text: "CREATE INDEX ON tab (a)", class: sqllex.Utility, verb: "create"},
	{text: "DROP INDEX CONCURRENTLY i", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "drop"},
	{text: "DROP INDEX IF EXISTS i", class: sqllex.Utility, verb: "drop"},
	{text: "REINDEX TABLE tab", class: sqllex.Utility, verb: "reindex"},
	{text: "REINDEX TABLE CONCURRENTLY tab", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "reindex"},
	{text: "REINDEX (VERBOSE, CONCURRENTLY) TABLE tab", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "reindex"},
	{text: "REINDEX (CONCURRENTLY off, VERBOSE) TABLE tab", class: sqllex.Utility, verb: "reindex"},
	{text: "REINDEX (VERBOSE) SCHEMA public", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "reindex"},
	{text: "REINDEX DATABASE d", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "reindex"},
	{text: "REINDEX SYSTEM d", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "reindex"},
	{text: "VACUUM", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "vacuum"},
	{text: "VACUUM (ANALYZE) tab", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "vacuum"},
	{text: "ANALYZE tab", class: sqllex.Utility, verb: "analyze"},
	{text: "ANALYSE tab", class: sqllex.Utility, verb: "analyze"},
	{text: "CLUSTER", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "cluster"},
	{text: "CLUSTER VERBOSE;", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "cluster"},
	{text: "CLUSTER (VERBOSE)", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "cluster"},
	{text: "CLUSTER tab USING tab_pkey", class: sqllex.Utility, verb: "cluster"},
	{text: "ALTER SYSTEM SET work_mem = '1MB'", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER DATABASE d SET TABLESPACE pg_default", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER DATABASE d WITH TABLESPACE = pg_default", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER DATABASE postgres SET tablespace.x TO '1'", class: sqllex.Utility, verb: "alter"},
	{text: "ALTER DATABASE postgres CONNECTION LIMIT -1", class: sqllex.Utility, verb: "alter"},
	{text: "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (copy_data = false)", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "create"},
	{text: "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)", class: sqllex.Utility, verb: "create"},
	{text: "ALTER SUBSCRIPTION sub SET PUBLICATION p", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER SUBSCRIPTION sub SET PUBLICATION p WITH (refresh = false)", class: sqllex.Utility, verb: "alter"},
	{text: "ALTER SUBSCRIPTION sub REFRESH PUBLICATION", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER SUBSCRIPTION sub DISABLE", class: sqllex.Utility, verb: "alter"},
	{text: "ALTER TABLE part DETACH PARTITION part1 CONCURRENTLY", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER TABLE IF EXISTS ONLY public.part DETACH PARTITION public.part1 CONCURRENTLY", class: sqllex.Utility, flags: sqllex.NoBlock, verb: "alter"},
	{text: "ALTER TABLE part DETACH PARTITION part1", class: sqllex.Utility, verb: "alter"},
	{text: "TRUNCATE tab", class: sqllex.Utility, verb: "truncate"},
	{text: "LOCK tab", class: sqllex.Utility, verb: "lock"},
	{text: "GRANT SELECT ON tab TO PUBLIC", class: sqllex.Utility, verb: "grant"},
	{text: "REVOKE SELECT ON tab FROM PUBLIC", class: sqllex.Utility, verb: "revoke"},
	{text: "COMMENT ON TABLE tab IS 'x'", class: sqllex.Utility, verb: "comment"},
	{text: "SECURITY LABEL ON TABLE tab IS 'x'", class: sqllex.Utility, verb: "security"},
	{text: "REFRESH MATERIALIZED VIEW CONCURRENTLY mv", class: sqllex.Utility, verb: "refresh"},
	{text: "REASSIGN OWNED BY x TO y", class: sqllex.Utility, verb: "reassign"},
	{text: "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z", class: sqllex.Utility, verb: "import"},
	{text: "CHECKPOINT", class: sqllex.Utility, verb: "checkpoint"},
	{text: "NOTIFY c, 'x'", class: sqllex.Utility, verb: "notify"},
	{text: "FETCH ALL FROM c", class: sqllex.Utility, verb: "fetch"},
	{text: "MOVE c", class: sqllex.Utility, verb: "move"},
	{text: "CLOSE ALL", class: sqllex.Utility, verb: "close"},
}

func TestClassify(t *testing.T) {
	for _, c := range commands {
		want := sqllex.Command{Class: c.class, Flags: c.flags, Verb: c.verb, Inner: c.inner, Name: c.name}
		if c.text == "" {
			want.Class = sqllex.Empty
		}
		got, _ := sqllex.Classify(c.text)
		assert.Equal(t, want, got, "%q", c.text)

		got, _ = sqllex.Classify(" ; /*x*/" + c.text + " ; SELECT 1")
		if c.text != "" && c.text != "\\d" && c.text != "SELECT\x00" && c.text != "COMMIT \\" && c.text != "COMMIT WORK AND CHAIN -- x" {
			assert.Equal(t, want, got, "%q, followed by another", c.text)
		}
	}
}

func TestLeavesState(t *testing.T) {
	for text, want := range map[string]bool{
		"SELECT 1": false, "SET a.b = 1": true, "SET LOCAL a.b = 1": false, "SET ROLE x": true, "SET LOCAL ROLE x": false, "RESET ALL": true, "DISCARD ALL": true, "LISTEN x": true, "UNLISTEN x": true,
		"PREPARE a AS SELECT 1": true, "EXECUTE a": false, "DEALLOCATE a": true, "DECLARE a CURSOR FOR SELECT 1": false, "DECLARE a CURSOR WITH HOLD FOR SELECT 1": true, "LOAD 'x'": true,
		"CREATE TABLE x ()": false, "CREATE TEMP TABLE x ()": true, "SET TRANSACTION READ ONLY": false, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": true, "BEGIN": false,
		"EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1": true, "SET SESSION AUTHORIZATION x": true,
	} {
		c, _ := sqllex.Classify(text)
		assert.Equal(t, want, c.LeavesState(), text)
	}
}

func TestNames(t *testing.T) {
	c, count := sqllex.Classify("ROLLBACK TO a; b")
	assert.Equal(t, "rollback to several", c.Class.String()+" "+count.String())
	assert.True(t, (sqllex.Local | sqllex.All).Has(sqllex.All))
	assert.False(t, sqllex.Local.Has(sqllex.Local|sqllex.All))
	for k := sqllex.EOF; k <= sqllex.RightBracket; k++ {
		assert.NotContains(t, k.String(), "kind")
	}
	for r := sqllex.UnterminatedString; r <= sqllex.AtomicBody; r++ {
		assert.NotContains(t, r.String(), "reason")
	}
	for c := sqllex.Unknown; c <= sqllex.Copy; c++ {
		assert.NotEmpty(t, c.String())
	}
	assert.Equal(t, "kind 200, reason 200", sqllex.Kind(200).String()+", "+sqllex.Reason(200).String())
}
