package sqllex_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// server is the judge: a connection over which texts go as one simple Query.
type server struct {
	t       *testing.T
	conn    *pgconn.PgConn
	version int // major
}

func connect(t *testing.T) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, pganontest.New(t).DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	s := &server{t: t, conn: conn}
	s.version, err = strconv.Atoi(strings.FieldsFunc(conn.ParameterStatus("server_version"), func(r rune) bool { return r < '0' || r > '9' })[0])
	require.NoError(t, err)
	require.Equal(t, "on", conn.ParameterStatus("standard_conforming_strings"))
	require.Equal(t, "UTF8", conn.ParameterStatus("server_encoding"))
	return s
}

// result is what the server says of one command.
type result struct{ tag, column, value string }

// run sends text as one Query and returns what was executed, up to the first error.
func (s *server) run(text string) ([]result, *pgconn.PgError) {
	s.t.Helper()
	var all []result
	mrr := s.conn.Exec(context.Background(), text)
	for mrr.NextResult() {
		rr := mrr.ResultReader()
		var r result
		if f := rr.FieldDescriptions(); len(f) > 0 {
			r.column = f[0].Name
		}
		for rr.NextRow() {
			if v := rr.Values(); len(v) > 0 {
				r.value = string(v[0])
			}
		}
		tag, err := rr.Close()
		if err != nil {
			break // Close of the whole tells it again
		}
		if r.tag = tag.String(); r.tag != "" {
			all = append(all, r)
		}
	}
	err := mrr.Close()
	var pgErr *pgconn.PgError
	if err != nil && !errors.As(err, &pgErr) {
		require.NoError(s.t, err, "%q", text)
	}
	return all, pgErr
}

// clean undoes what a text may have left.
func (s *server) clean() {
	s.t.Helper()
	_, err := s.run("ROLLBACK; DEALLOCATE ALL")
	require.Nil(s.t, err)
}

// rounds returns n, or as many times as PGANON_SQLLEX_ROUNDS says more.
func rounds(n int) int {
	if more, err := strconv.Atoi(os.Getenv("PGANON_SQLLEX_ROUNDS")); err == nil {
		n *= more
	}
	return n
}

func random(t *testing.T) *rand.Rand {
	s := rand.Uint64()
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 0))
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// Commands that are fine wherever they stand, and do nothing.
var commandPieces = []string{
	"SELECT 1", "SELECT 'a;b'", `SELECT E'a\';b'`, `SELECT 'a\'`, "SELECT $$;$$", "SELECT $a$ ; $$ ; $b$ $a$", `SELECT 1 AS "x;y"`, `SELECT U&'\003b', U&'!003b;' UESCAPE '!'`,
	"SELECT 'a' -- ;'\n ';b'", "SELECT 'a' -- ;'\r\r--;\r'b;'", "SELECT 1 /* ; /* ; */ ; */", "SELECT 1 -- ;\n", "SELECT 1 -- ;\r", `SELECT 1 AS U&"\003b"`, `SELECT e';''\\'`, "SELECT E'\\'\n';\\''",
	"SELECT x.begin, x.atomic FROM (SELECT 1 AS begin, 2 AS atomic) x", "SELECT 1 AS end", "SELECT 1 AS a$$", "SELECT 1 AS é$a$", "SELECT 5 - -3", "SELECT 5 -- 3;\n+1", "SELECT 1*/*;*/2", "SELECT 2+/*;*/3", "SELECT 1 <-- ;\n2", "SELECT @-5",
	"SELECT (ARRAY[1,2])[1]", "SELECT ((1))", "SELECT CASE WHEN true THEN 1 END", "SELECT n'a;', b'1', x'1f'", "VALUES (1)", "TABLE t", "((SELECT 1))", "EXPLAIN SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x",
	"SELECT 1.5, .5, 1e5, 1.", "DO $x$ begin null; end; $x$", "SET LOCAL x.y = ';'", "SHOW search_path", "BEGIN", "END", "COMMIT", "ROLLBACK", "ABORT", "PREPARE transaction AS SELECT 1", "DEALLOCATE ALL",
	"CREATE OR REPLACE RULE r AS ON INSERT TO t DO ALSO (NOTIFY a, ';'; NOTIFY b)", "CREATE OR REPLACE RULE r AS ON INSERT TO t DO INSTEAD (SELECT (1); DELETE FROM t WHERE (a) IN (2);)", "CREATE OR REPLACE RULE r AS ON INSERT TO t DO NOTHING",
	"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1; select 2;'", "CREATE OR REPLACE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ begin return new; end; $$",
	"CREATE OR REPLACE FUNCTION pg_temp.begin(atomic int) RETURNS int LANGUAGE sql AS $f$ select 1 $f$",
}

// The same from PostgreSQL 14 on, syntactically wrong before.
var atomicPieces = []string{
	"CREATE OR REPLACE FUNCTION h() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END", "create or replace procedure p() begin atomic end", "CREATE OR REPLACE FUNCTION h() RETURNS int RETURN 1",
	"CREATE OR REPLACE FUNCTION h() RETURNS int SET x.y TO begin BEGIN /*;*/ ATOMIC SELECT x.begin FROM (SELECT 1 AS begin) x; SELECT 1 AS end; SELECT 2 end; END",
	"CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES ((1)), (2); DELETE FROM t; -- END;\n END",
}

// What text is made different with.
var noisePieces = []string{
	"'", "''", `"`, `""`, "$$", "$a$", "$", "E'", "e'", "U&'", `U&"`, "N'", "B'", "x'", `\`, `\'`, "/*", "*/", "--", "-", "*", "/", "\n", "\r", "\t", ";", ";;", "(", ")", "[", "]", ",", ".", ":", "::", "=", "<", "@", "+",
	"1", "1e", "0x1", "1_0", "$1", "a", "é", "x$", " BEGIN ", " ATOMIC ", " END ", " CREATE ", " FUNCTION ", " RULE ", " DO ", " AS ", " SELECT ", " UESCAPE ", " '!' ", " end", "begin ", "case ", "\v", "\u00a0", "{",
}

var separators = []string{";", "; ", ";;", ";\n--;\n", "; /* ; */ ", "\n;\r", ";-- ;\r", " ;/*/**/;*/;", " ", "\n"}

func severalCommands(r *rand.Rand, pieces []string) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(pick(r, pieces))
		b.WriteString(pick(r, separators))
	}
	text := b.String()
	for range max(0, r.IntN(5)-1) {
		at := r.IntN(len(text) + 1)
		switch r.IntN(3) {
		case 0:
			text = text[:at] + pick(r, noisePieces) + text[at:]
		case 1:
			text = text[:at] + text[min(len(text), at+1):]
		default:
			words := strings.Fields(text)
			i, j := r.IntN(len(words)), r.IntN(len(words))
			words[i], words[j] = words[j], words[i]
			text = strings.Join(words, " ")
		}
		if strings.TrimSpace(text) == "" {
			break
		}
	}
	return strings.ToValidUTF8(text, "")
}

const (
	settings = "SELECT 1 AS pganon_settings"

	syntaxError = "42601"
)

// versioned are the reasons for which Split refuses what some server version accepts.
var versioned = map[sqllex.Reason]bool{
	sqllex.NumberJunk: true, sqllex.ParamJunk: true, sqllex.ParamTooLarge: true, sqllex.InvalidUescape: true, sqllex.AtomicBody: true,
}

// TestServerSplit has the server say where commands end. It is the attack as well: whatever the text is, none of its
// commands may run without the settings that Split's caller put before it.
func TestServerSplit(t *testing.T) {
	s := connect(t)
	_, err := s.run("CREATE TABLE t (a int)")
	require.Nil(t, err)
	pieces := slices.Concat(commandPieces, atomicPieces)
	if s.version >= 14 {
		pieces = slices.Concat(pieces, atomicPieces)
	}
	r := random(t)
	var valid, several, refused int
	total := rounds(3000)
	for range total {
		text := severalCommands(r, pieces)
		all, err := sqllex.Split(text)
		if slices.ContainsFunc(all, func(c sqllex.Statement) bool { return c.Command.Class == sqllex.PrepareTransaction }) {
			continue // does another thing behind settings, and stays
		}
		_, count := sqllex.Classify(text)
		ran, failed := s.run(text)
		s.clean()
		if failed == nil {
			valid++
			if len(ran) > 1 {
				several++
			}
			switch count {
			case sqllex.None:
				require.Empty(t, ran, "%q", text)
			case sqllex.One:
				require.Len(t, ran, 1, "%q", text)
			case sqllex.Several:
				require.Greater(t, len(ran), 1, "%q", text)
			}
		}
		if err != nil {
			if failed == nil {
				refused++
			}
			require.True(t, failed != nil || versioned[err.(*sqllex.Error).Reason], "server accepts %q: %v", text, err)
			continue
		}
		if failed == nil {
			require.Len(t, all, len(ran), "%q", text)
		} else {
			require.Less(t, len(ran), len(all), "%q", text)
		}

		var joined strings.Builder
		var alone []string
		for _, piece := range all {
			command := text[piece.Start:piece.End]
			joined.WriteString(settings + ";" + command + ";")
			if failed == nil {
				one, err := s.run(command)
				require.Nil(t, err, "%q of %q", command, text)
				require.Len(t, one, 1, "%q of %q", command, text)
				alone = append(alone, one[0].tag)
			}
		}
		s.clean()
		with, withFailed := s.run(joined.String())
		s.clean()
		for i, one := range with {
			require.Equal(t, i%2 == 0, one.column == "pganon_settings", "command %d of %q", i, joined.String())
		}
		if failed == nil {
			require.Nil(t, withFailed, "%q", joined.String())
			require.Len(t, with, 2*len(all), "%q", joined.String())
			for i := range ran {
				require.Equal(t, ran[i].tag, with[2*i+1].tag, "%q", text)
				require.Equal(t, ran[i].tag, alone[i], "%q", text)
			}
		} else if s.version >= 17 || !strings.Contains(text, "\v") {
			// Before 17 \v is an error, which is cut off with the white space around a piece.
			require.NotNil(t, withFailed, "%q, which fails with %v, as %q", text, failed, joined.String())
		}
	}
	t.Logf("%d texts, the server took %d, %d of them several commands; Split refused %d of those", total, valid, several, refused)
	assert.Greater(t, several, total/10, "the texts are too wrong to prove anything")
	assert.Less(t, refused, valid/10, "Split refuses too much")
}

func (s *server) one(text string) (result, *pgconn.PgError) {
	s.t.Helper()
	all, err := s.run(text)
	if err != nil {
		return result{}, err
	}
	require.Len(s.t, all, 1, "%q", text)
	return all[0], nil
}

var stringPieces = []string{
	"a", "B", "é", "日", "😀", "''", "''", `\`, `\\`, `\'`, `\n`, `\b`, `\x`, `\x4`, `\x41`, `\xe9`, `\303\251`, `\1`, `\60`, `\777`, `\0`, `\u00e9`, `\u00`, `\U0001F600`, `\ud83d\ude00`, `\ud83d`, `\0041`, `\+01F600`, `\+00D83D\DE00`,
	`\d83d`, `!0041`, `!!`, "'\n'", "' -- ;'\n '", "'\r\f'", "$", "$$", "$a", `"`, " ", "\t", "\n", "0", "1",
}

// TestServerStrings has the server decode string constants.
func TestServerStrings(t *testing.T) {
	s := connect(t)
	// Without it, every escape in a string without E is a warning.
	_, err := s.run("SET client_min_messages = error")
	require.Nil(t, err)
	r := random(t)
	compared, refused := map[sqllex.Kind]int{}, map[sqllex.Kind]int{}
	for _, off := range []bool{false, true} {
		o := sqllex.Options{BackslashStrings: off}
		if off {
			_, err := s.run("SET standard_conforming_strings = off")
			if err != nil {
				t.Logf("no standard_conforming_strings=off: %v", err)
				continue
			}
		}
		for range rounds(4000) {
			open, end := pick(r, []string{"'", "'", "E'", "e'", "E'", "U&'", "u&'", "N'", "$$", "$a$", "B'", "X'"}), "'"
			if open[0] == '$' {
				end = open
			}
			literal := open
			for range r.IntN(6) {
				literal += pick(r, stringPieces)
			}
			literal += end
			if open[0]|0x20 == 'u' {
				clauses := []string{"", "", " UESCAPE '!'", "uescape--\n'\\'", " UESCAPE ' '", " UESCAPE E'!'", "/**/UESCAPE/**/'!'"}
				if s.version < 13 {
					clauses = clauses[:5] // the form every version knows
				}
				literal += pick(r, clauses)
			}
			lx := o.Lexer(literal)
			tok := lx.Next()
			if tok.Kind != sqllex.Illegal && tok.End != len(literal) {
				continue
			}
			want, pgErr := s.one("SELECT " + literal)
			if tok.Kind == sqllex.Illegal {
				if reason := lx.Err().(*sqllex.Error).Reason; reason != sqllex.InvalidUescape {
					require.NotNil(t, pgErr, "%q: %v", literal, reason)
				}
				continue
			}
			got, err := lx.StringValue(tok)
			if tok.Kind == sqllex.BitString || tok.Kind == sqllex.HexString {
				if pgErr != nil { // other characters than digits; this package does not look
					continue
				}
				if tok.Kind == sqllex.HexString {
					bits := ""
					for _, digit := range got {
						n, err := strconv.ParseUint(string(digit), 16, 8)
						require.NoError(t, err, literal)
						bits += fmt.Sprintf("%04b", n)
					}
					got = bits
				}
			}
			if err != nil || pgErr != nil {
				// Servers before 13 do not check U& escapes for NUL and size, and end the string there.
				if s.version < 13 && tok.Kind == sqllex.UnicodeString && err != nil {
					continue
				}
				require.True(t, err != nil && pgErr != nil, "%q: ours %v, server %v", literal, err, pgErr)
				refused[tok.Kind]++
				continue
			}
			require.Equal(t, want.value, got, "%q", literal)
			compared[tok.Kind]++
		}
	}
	t.Logf("compared %v, refused by both %v", compared, refused)
	for k := sqllex.String; k <= sqllex.DollarString; k++ {
		assert.Greater(t, compared[k], 20, k.String())
	}
}

// TestServerIdents has the server fold, decode and cut names.
func TestServerIdents(t *testing.T) {
	s := connect(t)
	r := random(t)
	_, err := s.run("SET client_min_messages = error")
	require.Nil(t, err)
	parts := []string{"a", "B", "Zz", "é", "É", "İ", "K", "日", "😀", "_", "9", "$", "x$1", "\u00a0", strings.Repeat("q", 30), strings.Repeat("Q", 31), strings.Repeat("é", 20), strings.Repeat("日本", 10)}
	quoted := slices.Concat(parts, []string{`""`, " ", "'", ";", `\`, `\\`, `\0041`, `\+01F600`, `\d83d\de00`, `\d83d`, `\00e9`, `\x`, "--", "\n", "!0041"})
	compared, refused := map[sqllex.Kind]int{}, 0
	for range rounds(4000) {
		ident, from := "", parts
		switch r.IntN(3) {
		case 0:
			from = quoted
			ident = `"`
		case 1:
			from = quoted
			ident = pick(r, []string{`U&"`, `u&"`})
		}
		open := ident
		for range r.IntN(5) {
			ident += pick(r, from)
		}
		if open != "" {
			ident += `"`
		}
		if len(open) > 1 {
			ident += pick(r, []string{"", "", " UESCAPE '!'"})
		}
		lx := sqllex.New(ident)
		tok := lx.Next()
		if tok.Kind != sqllex.Illegal && (tok.End != len(ident) || !tok.Kind.IsIdent()) {
			continue
		}
		want, pgErr := s.one("SELECT 1 AS " + ident)
		got, err := lx.Ident(tok)
		if err != nil || pgErr != nil {
			require.True(t, err != nil && pgErr != nil, "%q: ours %v, server %v", ident, err, pgErr)
			refused++
			continue
		}
		require.Equal(t, want.column, got, "%q", ident)
		compared[tok.Kind]++
	}
	t.Logf("compared %v, refused by both %d", compared, refused)
	for k := sqllex.Ident; k <= sqllex.UnicodeIdent; k++ {
		assert.Greater(t, compared[k], 100, k.String())
	}
}

// TestServerNumbers has the server say what is one number: before PostgreSQL 16 it knows fewer, before 15 no junk.
func TestServerNumbers(t *testing.T) {
	s := connect(t)
	r := random(t)
	parts := []string{"0", "1", "7", "8", "9", "00", "0x", "0X", "0o", "0b", "_", "e", "E", ".", ".", "+", "-", "a", "F", "$"}
	ints, decimals, junk := 0, 0, 0
	for range rounds(4000) {
		number := pick(r, []string{"", "", "0x", "0b", "0o", ".", "1"}) + pick(r, parts[:6])
		for range r.IntN(6) {
			number += pick(r, parts)
		}
		lx := sqllex.New(number)
		tok := lx.Next()
		wanted := lx.Next().Kind == sqllex.EOF && (tok.Kind == sqllex.Integer || tok.Kind == sqllex.Decimal)
		isJunk := tok.Kind == sqllex.Illegal && lx.Err().(*sqllex.Error).Reason == sqllex.NumberJunk
		got, err := s.one("SELECT " + number)
		switch {
		case s.version < 15 && isJunk, s.version < 16 && wanted && strings.ContainsAny(number, "_xXoObB"):
		case isJunk:
			require.NotNil(t, err, number)
			require.Equal(t, syntaxError, err.Code, number)
			junk++
		case wanted:
			require.Nil(t, err, number)
			require.Equal(t, "?column?", got.column, number)
			if tok.Kind == sqllex.Integer {
				require.NotContains(t, got.value, ".", number)
				ints++
			} else {
				decimals++
			}
		}
	}
	t.Logf("%d integers, %d decimals, %d junk", ints, decimals, junk)
	assert.NotZero(t, ints)
	assert.NotZero(t, decimals)
	assert.True(t, junk > 0 || s.version < 15)
}

// TestServerTransactions has the server say which commands control transactions, for those a driver sends bare.
func TestServerTransactions(t *testing.T) {
	s := connect(t)
	r := random(t)
	starts := []string{"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ROLLBACK TO", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE TRANSACTION", "COMMIT PREPARED", "ROLLBACK PREPARED", "SET TRANSACTION", "SET LOCAL TRANSACTION", "START", "PREPARE", "SET"}
	words := []string{"WORK", "TRANSACTION", "AND", "CHAIN", "NO", "TO", "SAVEPOINT", "sp", `"Sp"`, "'x'", "E'x'", "$$x$$", "N'x'", "ISOLATION LEVEL", "SERIALIZABLE", "READ COMMITTED", "REPEATABLE READ", "READ ONLY", "READ WRITE", ",", "NOT DEFERRABLE", "DEFERRABLE", "SNAPSHOT", "1", "/**/", "AS SELECT 1"}
	bare := map[sqllex.Class]string{
		sqllex.Begin: "BEGIN|START TRANSACTION", sqllex.Commit: "COMMIT|ROLLBACK", sqllex.Rollback: "ROLLBACK", sqllex.Savepoint: "SAVEPOINT", sqllex.Release: "RELEASE", sqllex.RollbackTo: "ROLLBACK",
		sqllex.PrepareTransaction: "PREPARE TRANSACTION|ROLLBACK", sqllex.CommitPrepared: "COMMIT PREPARED", sqllex.RollbackPrepared: "ROLLBACK PREPARED", sqllex.SetTransaction: "SET",
	}
	seen := map[sqllex.Class]int{}
	for range rounds(4000) {
		text := pick(r, starts)
		for range r.IntN(4) {
			text += " " + pick(r, words)
		}
		if s.version < 12 && strings.Contains(text, "CHAIN") {
			continue
		}
		if r.IntN(2) == 0 {
			_, err := s.run("BEGIN; SAVEPOINT sp")
			require.Nil(t, err)
		}
		got, pgErr := s.run(text)
		_, err := s.run("ROLLBACK")
		require.Nil(t, err)
		c, _ := sqllex.Classify(text)
		tags, isBare := bare[c.Class]
		seen[c.Class]++
		switch {
		case pgErr != nil && pgErr.Code == syntaxError:
			require.False(t, isBare && !slices.Contains([]string{"to", "and", "not", "as", "deferrable"}, c.Name), "%q is %v, server: %v", text, c.Class, pgErr)
		case !isBare:
			require.Contains(t, []sqllex.Class{sqllex.Prepare, sqllex.Set, sqllex.SetConstraints}, c.Class, "%q is %v, server has no objection: %v", text, c.Class, pgErr)
		case pgErr == nil:
			require.Contains(t, strings.Split(tags, "|"), got[0].tag, text)
		}
	}
	_, _ = s.run("ROLLBACK PREPARED 'x'") // a server with max_prepared_transactions may have one
	t.Log(seen)
	for class := range bare {
		assert.NotZero(t, seen[class], class.String())
	}
}

// TestServerNoBlock has the server say which commands it refuses in a transaction block.
func TestServerNoBlock(t *testing.T) {
	s := connect(t)
	_, err := s.run(`CREATE TABLE tab (a int PRIMARY KEY); CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a; CREATE UNIQUE INDEX ON mv (a);
		CREATE TABLE part (a int) PARTITION BY LIST (a); CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1)`)
	require.Nil(t, err)
	_, noSubscription := s.run("CREATE SUBSCRIPTION sub CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)")
	if noSubscription == nil {
		defer s.run("DROP SUBSCRIPTION sub")
	}
	checked, unknown := 0, 0
	for _, c := range commands {
		switch c.class {
		case sqllex.Empty, sqllex.Unknown, sqllex.Begin, sqllex.Commit, sqllex.Rollback, sqllex.PrepareTransaction, sqllex.Copy, sqllex.RollbackTo:
			continue
		}
		text := c.text
		if strings.HasPrefix(text, "COPY") || strings.HasPrefix(text, "CREATE SUBSCRIPTION s CONNECTION 'dbname=x'") && noSubscription != nil {
			continue
		}
		_, err := s.run("BEGIN")
		require.Nil(t, err)
		_, err = s.run(text)
		_, rollback := s.run("ROLLBACK")
		require.Nil(t, rollback)
		if err != nil && (err.Code == syntaxError || err.Code == "42704" && c.flags.Has(sqllex.NoBlock) && strings.Contains(err.Message, "subscription")) {
			unknown++ // an older server, or none of the objects
			continue
		}
		if err != nil && err.Code == "55000" && c.flags.Has(sqllex.NoBlock) && strings.HasPrefix(text, "ALTER SUBSCRIPTION") {
			continue // sub is disabled, which comes first
		}
		refused := err != nil && err.Code == "25001" && !strings.Contains(err.Message, "before any query") && !strings.Contains(err.Message, "must be called")
		assert.Equal(t, c.flags.Has(sqllex.NoBlock), refused, "%q: %v", text, err)
		checked++
	}
	t.Logf("checked %d, unknown to this server %d", checked, unknown)
	assert.Greater(t, checked, 80)
}

// TestServerSettings has the server say which setting SET means.
func TestServerSettings(t *testing.T) {
	s := connect(t)
	_, err := s.run("CREATE TABLE IF NOT EXISTS t (a int)")
	require.Nil(t, err)
	user, err := s.one("SELECT current_user")
	require.Nil(t, err)
	for _, c := range []struct{ text, want string }{
		{"SET TIME ZONE 'Asia/Tokyo'", "Asia/Tokyo"}, {"SET SCHEMA 'x'", "x"}, {"SET NAMES 'UTF8'", "UTF8"}, {"SET XML OPTION DOCUMENT", "document"}, {`SET LOCAL "WORK_MEM" TO '65kB'`, "65kB"},
		{"SET role.x = 1", "1"}, {"SET local.x = 1", "1"}, {"SET SESSION session.x TO 2", "2"}, {`SET U&"\0077ork_mem" = 64`, "64kB"}, {"SET transaction.x = 1", "1"}, {"SET Time.x = 1", "1"},
		{"SET ROLE " + quoteIdent(user.value), user.value}, {"SET LOCAL SESSION AUTHORIZATION " + quoteIdent(user.value), user.value}, {"SET a.b.c = 1", "1"}, {"SET transaction_isolation = serializable", "serializable"},
		{"RESET TIME ZONE", ""}, {"RESET SESSION AUTHORIZATION", ""},
	} {
		command, _ := sqllex.Classify(c.text)
		_, err := s.run("BEGIN")
		require.Nil(t, err)
		_, err = s.run(c.text)
		if err == nil {
			var got result
			got, err = s.one("SHOW " + showable(command.Name))
			if err == nil && c.want != "" {
				assert.Equal(t, c.want, got.value, c.text)
			}
		}
		assert.Nil(t, err, c.text)
		_, err = s.run("ROLLBACK")
		require.Nil(t, err)
	}
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func showable(name string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = quoteIdent(parts[i])
	}
	return strings.Join(parts, ".")
}

// TestServerPositions has the server say where in a piece its error is.
func TestServerPositions(t *testing.T) {
	s := connect(t)
	const text = "SELECT '日😀';  SELECT é, '日', nowhere FROM (SELECT 1 AS é) x; SELECT 1"
	all, err := sqllex.Split(text)
	require.NoError(t, err)
	require.Len(t, all, 3)
	_, whole := s.run(text)
	require.NotNil(t, whole)
	offset, ok := sqllex.Offset(text, int(whole.Position))
	require.True(t, ok)
	assert.True(t, strings.HasPrefix(text[offset:], "nowhere"))

	piece := text[all[1].Start:all[1].End]
	_, alone := s.run(piece)
	require.NotNil(t, alone)
	inPiece, ok := sqllex.Offset(piece, int(alone.Position))
	require.True(t, ok)
	assert.Equal(t, offset, all[1].Start+inPiece)
	assert.Equal(t, int(whole.Position), sqllex.Position(text, all[1].Start+inPiece))
}

func TestServerErrorPositions(t *testing.T) {
	s := connect(t)
	for _, text := range []string{"SELECT é 'x", `SELECT 'é', "x`, "SELECT é /* x", "SELECT é $$ x", `SELECT 'é', ""`, `SELECT E'é\u12'`, `SELECT E'é\ud83d'`, `SELECT é \ x`} {
		lx := sqllex.New(text)
		for lx.Next().Kind != sqllex.EOF {
		}
		var ours *sqllex.Error
		require.ErrorAs(t, lx.Err(), &ours, text)
		_, err := s.run(text)
		require.NotNil(t, err, text)
		if s.version < 13 && strings.Contains(text, "E'") {
			continue // points at the string
		}
		assert.Equal(t, int(err.Position), sqllex.Position(text, ours.Offset), "%s: %v", text, err)
	}
}
