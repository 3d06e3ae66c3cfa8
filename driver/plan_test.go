package driver

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var stepWords = map[step]string{
	stepClean: "clean", stepDiscardPlans: "plans", stepBegin: "begin", stepBeginReadOnly: "begin-ro", stepSavepoint: "savepoint",
	stepSettings: "settings", stepParse: "parse", stepText: "TEXT", stepRelease: "release", stepCommit: "commit", stepLogin: "login",
	stepAgain: "again", stepSync: "sync",
}

func wordsOf(steps []step) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = stepWords[s]
		if words[i] == "" {
			words[i] = fmt.Sprintf("step(%d)", s)
		}
	}
	return strings.Join(words, " ")
}

// Every rule of the design is a row here.
func TestPlan(t *testing.T) {
	const (
		leftovers = 1 << iota
		plans
		readOnly
		txReadOnly
		login
		nobody
		unsettles
	)
	for _, row := range []struct {
		rule   string
		kind   textKind
		status byte
		flags  int
		want   string // "" is an error
	}{
		{"settings travel before the statement, in its transaction", kindQuery, 'I', 0, "settings TEXT sync"},
		{"in a transaction too, whatever it remembers", kindQuery, 'T', 0, "settings TEXT sync"},
		{"the login role sends role none and the blanks", kindQuery, 'I', login, "settings TEXT sync"},
		{"", kindQuery, 'T', login, "settings TEXT sync"},
		{"a masked statement is read only by its settings", kindQuery, 'I', readOnly, "settings TEXT sync"},
		{"a masked transaction is read only already", kindQuery, 'T', readOnly | txReadOnly, "settings TEXT sync"},
		{"a masked statement in a writable transaction stands between savepoint and release", kindQuery, 'T', readOnly, "savepoint settings TEXT release sync"},
		{"a writer in a read-only transaction", kindQuery, 'T', txReadOnly, "settings TEXT sync"},
		{"a failed transaction refuses settings", kindQuery, 'E', 0, "TEXT sync"},
		{"", kindQuery, 'E', readOnly | leftovers | plans, "TEXT sync"},
		{"", kindBlock, 'E', readOnly, "TEXT sync"},
		{"", kindAlone, 'E', 0, "TEXT sync"},
		{"", kindCommit, 'E', 0, "TEXT sync"},
		{"", kindControl, 'E', 0, "TEXT sync"},

		{"transaction control goes out bare", kindBegin, 'I', 0, "TEXT sync"},
		{"", kindBegin, 'I', nobody, "TEXT sync"},
		{"", kindBegin, 'I', readOnly, "TEXT sync"},
		{"", kindBegin, 'T', 0, "TEXT sync"},
		{"", kindControl, 'I', 0, "TEXT sync"},
		{"", kindControl, 'T', 0, "TEXT sync"},
		{"", kindControl, 'T', readOnly, "TEXT sync"},
		{"", kindControl, 'T', plans, "TEXT sync"},
		{"", kindCommit, 'I', 0, "TEXT sync"},
		{"deferred triggers run as someone", kindCommit, 'T', 0, "settings TEXT sync"},
		{"", kindCommit, 'T', login, "settings TEXT sync"},
		{"COMMIT cannot stand in a savepoint", kindCommit, 'T', readOnly, "settings TEXT sync"},
		{"a transaction that nobody wrote in", kindCommit, 'T', nobody, "TEXT sync"},

		{"what a text changes itself must not be seen by what its commit fires", kindQuery, 'I', unsettles, "settings TEXT again sync"},
		{"", kindQuery, 'I', unsettles | readOnly, "settings TEXT again sync"},
		{"", kindQuery, 'I', unsettles | leftovers | plans, "clean sync plans settings TEXT again sync"},
		{"", kindQuery, 'T', unsettles, "settings TEXT sync"},
		{"", kindQuery, 'I', unsettles | login, "settings TEXT sync"},

		{"DO and CALL cannot end a block that is one", kindBlock, 'I', 0, "begin settings TEXT again sync commit sync"},
		{"", kindBlock, 'I', readOnly, "begin-ro settings TEXT again sync commit sync"},
		{"", kindBlock, 'T', 0, "settings TEXT sync"},
		{"", kindBlock, 'T', readOnly, "savepoint settings TEXT release sync"},
		{"", kindBlock, 'T', readOnly | txReadOnly, "settings TEXT sync"},
		{"the login role's may commit, as on plain pgx", kindBlock, 'I', login, "login sync TEXT sync"},
		{"", kindBlock, 'T', login, "settings TEXT sync"},

		{"VACUUM cannot run in a pipeline", kindAlone, 'I', 0, ""},
		{"", kindAlone, 'I', readOnly | leftovers | plans, ""},
		{"", kindAlone, 'I', login, "login sync TEXT sync"},
		{"the server refuses it in a transaction", kindAlone, 'T', 0, "settings TEXT sync"},
		{"", kindAlone, 'T', login, "settings TEXT sync"},
		{"", kindAlone, 'T', readOnly, "savepoint settings TEXT release sync"},

		{"what another left is cleaned in a transaction of its own: the next one begins without it", kindQuery, 'I', leftovers, "clean sync settings TEXT sync"},
		{"", kindQuery, 'I', leftovers | login, "clean sync settings TEXT sync"},
		{"", kindQuery, 'I', leftovers | readOnly, "clean sync settings TEXT sync"},
		{"not in a transaction, which may still need it", kindQuery, 'T', leftovers, "settings TEXT sync"},
		{"", kindQuery, 'T', leftovers | readOnly, "savepoint settings TEXT release sync"},
		{"", kindBegin, 'I', leftovers, "clean sync TEXT sync"},
		{"", kindControl, 'I', leftovers | nobody, "clean sync TEXT sync"},
		{"", kindBlock, 'I', leftovers, "clean sync begin settings TEXT again sync commit sync"},
		{"", kindBlock, 'I', leftovers | readOnly, "clean sync begin-ro settings TEXT again sync commit sync"},
		{"", kindBlock, 'I', leftovers | login, "clean sync login sync TEXT sync"},
		{"", kindAlone, 'I', leftovers | login, "clean sync login sync TEXT sync"},

		{"masking at parse analysis: plans of another role go first", kindQuery, 'I', plans, "plans settings TEXT sync"},
		{"", kindQuery, 'T', plans, "plans settings TEXT sync"},
		{"", kindQuery, 'T', plans | readOnly, "savepoint plans settings TEXT release sync"},
		{"", kindBlock, 'I', plans, "begin plans settings TEXT again sync commit sync"},
		{"", kindCommit, 'T', plans, "plans settings TEXT sync"},
		{"", kindQuery, 'I', plans | leftovers, "clean sync plans settings TEXT sync"},
		{"", kindBlock, 'I', plans | leftovers, "clean sync begin plans settings TEXT again sync commit sync"},
	} {
		s := situation{
			kind: row.kind, status: row.status, leftovers: row.flags&leftovers > 0, plans: row.flags&plans > 0,
			readOnly: row.flags&readOnly > 0, txReadOnly: row.flags&txReadOnly > 0, login: row.flags&login > 0, nobody: row.flags&nobody > 0,
			unsettles: row.flags&unsettles > 0,
		}
		steps, err := plan(s)
		if row.want == "" {
			assert.ErrorIs(t, err, errAlone, "%s: %+v", row.rule, s)
			assert.Empty(t, steps)
			continue
		}
		require.NoError(t, err, "%s: %+v", row.rule, s)
		assert.Equal(t, row.want, wordsOf(steps), "%s: %+v", row.rule, s)
	}
}

func TestPlanFirst(t *testing.T) {
	for _, row := range []struct {
		s    situation
		want string
	}{
		{situation{status: 'I'}, "settings parse sync"},
		{situation{status: 'T'}, "settings parse sync"},
		{situation{status: 'I', readOnly: true}, "settings parse sync"},
		{situation{status: 'T', readOnly: true}, "savepoint settings parse release sync"},
		{situation{status: 'T', readOnly: true, txReadOnly: true}, "settings parse sync"},
		{situation{status: 'I', leftovers: true}, "clean sync settings parse sync"},
		{situation{status: 'T', leftovers: true}, "settings parse sync"},
		{situation{status: 'I', plans: true}, "plans settings parse sync"},
		{situation{status: 'T', plans: true, readOnly: true}, "savepoint plans settings parse release sync"},
		{situation{status: 'I', plans: true, leftovers: true}, "clean sync plans settings parse sync"},
	} {
		assert.Equal(t, row.want, wordsOf(planFirst(row.s)), "%+v", row.s)
	}
}

// everySituation calls f with every combination that can be told apart.
func everySituation(f func(situation)) {
	for kind := kindQuery; kind <= kindAlone; kind++ {
		for _, status := range []byte{'I', 'T', 'E'} {
			for flags := range 1 << 7 {
				bit := func(i int) bool { return flags>>i&1 == 1 }
				s := situation{kind: kind, status: status, login: bit(0), readOnly: bit(1), nobody: bit(2), leftovers: bit(3), plans: bit(4), txReadOnly: bit(5), unsettles: bit(6)}
				if s.login && s.readOnly || s.nobody && (s.login || s.readOnly || s.plans) || s.txReadOnly && status == 'I' {
					continue // cannot be
				}
				if s.nobody && kind != kindBegin && kind != kindControl && kind != kindCommit {
					continue // refused before: conn.enter
				}
				f(s)
			}
		}
	}
}

// transactions splits steps at their Syncs.
func transactions(steps []step) [][]step {
	var all [][]step
	for len(steps) > 0 {
		i := slices.Index(steps, stepSync)
		if i < 0 {
			return append(all, steps)
		}
		all, steps = append(all, steps[:i]), steps[i+1:]
	}
	return all
}

// What holds of every plan, whatever the situation.
func TestPlanInvariants(t *testing.T) {
	seen := 0
	check := func(s situation, steps []step, text step) {
		seen++
		said := fmt.Sprintf("%+v: %s", s, wordsOf(steps))
		require.NotEmpty(t, steps, said)
		require.Equal(t, stepSync, steps[len(steps)-1], "ends in a Sync: %s", said)
		require.Equal(t, 1, count(steps, text), "the text goes out once: %s", said)
		again := text == stepText && s.status == 'I' && !s.login && (s.kind == kindBlock || s.kind == kindQuery && s.unsettles)
		if again {
			require.Equal(t, 1, count(steps, stepSettings), said)
			require.Equal(t, stepAgain, steps[slices.Index(steps, text)+1], "settings again for what the commit fires: %s", said)
		} else {
			require.NotContains(t, steps, stepAgain, said)
			require.LessOrEqual(t, count(steps, stepSettings), 1, said)
		}
		control := s.kind == kindBegin || s.kind == kindControl || s.kind == kindCommit && (s.status == 'I' || s.nobody)
		open := s.status == 'T' || s.status == 'E'
		for _, part := range transactions(steps) {
			at := slices.Index(part, text)
			if i := slices.Index(part, stepClean); i >= 0 {
				require.Len(t, part, 1, "the clean-up is a transaction of its own: %s", said)
				require.Equal(t, byte('I'), s.status, "never in a transaction: %s", said)
				require.True(t, s.leftovers, said)
			}
			if at < 0 {
				require.NotContains(t, part, stepSettings, "settings end with their transaction: %s", said)
				continue
			}
			settings := slices.Index(part, stepSettings)
			switch {
			case s.status == 'E' || control:
				require.Equal(t, -1, settings, "the server would refuse settings, and nothing is read: %s", said)
				require.Equal(t, []step{text}, part, said)
			case s.login && s.status == 'I' && (s.kind == kindAlone || s.kind == kindBlock):
				require.Equal(t, []step{text}, part, "nothing may stand before it: %s", said)
				require.Less(t, slices.Index(steps, stepLogin), slices.Index(steps, text), said)
				require.Contains(t, steps, stepLogin, said)
			default:
				require.Equal(t, at-1, settings, "settings stand right before the text: %s", said)
			}
			if s.readOnly && s.status == 'T' && !control && s.kind != kindCommit {
				require.Equal(t, !s.txReadOnly, part[0] == stepSavepoint, said)
				require.Equal(t, !s.txReadOnly, part[len(part)-1] == stepRelease, said)
			} else {
				require.NotContains(t, part, stepSavepoint, said)
				require.NotContains(t, part, stepRelease, said)
			}
			if i := slices.Index(part, stepDiscardPlans); i >= 0 {
				require.Less(t, i, settings, said)
			} else if settings >= 0 {
				require.False(t, s.plans, "plans of another role: %s", said)
			}
		}
		begins := count(steps, stepBegin) + count(steps, stepBeginReadOnly)
		require.Equal(t, begins, count(steps, stepCommit), said)
		if open {
			require.Zero(t, begins, "never in a transaction that is open: %s", said)
			require.NotContains(t, steps, stepLogin, said)
		}
		if text == stepText && s.kind == kindBlock && s.status == 'I' && !s.login {
			require.Equal(t, 1, begins, "it may commit from within: %s", said)
			require.Equal(t, s.readOnly, slices.Contains(steps, stepBeginReadOnly), said)
			require.Equal(t, []step{stepText, stepAgain, stepSync, stepCommit, stepSync}, steps[len(steps)-5:], said)
		}
		require.Equal(t, s.leftovers && s.status == 'I', slices.Contains(steps, stepClean), "leftovers go before anything: %s", said)
	}
	everySituation(func(s situation) {
		steps, err := plan(s)
		if err != nil {
			require.True(t, s.kind == kindAlone && s.status == 'I' && !s.login, "%+v: %v", s, err)
			require.Empty(t, steps)
			return
		}
		check(s, steps, stepText)
	})
	everySituation(func(s situation) {
		if s.kind == kindQuery && s.status != 'E' && !s.nobody {
			check(s, planFirst(s), stepParse)
		}
	})
	require.Greater(t, seen, 300)
}

func count(steps []step, s step) int {
	n := 0
	for _, have := range steps {
		if have == s {
			n++
		}
	}
	return n
}

// plan's lists are shared: what it gives must not change under the hands of who gets it.
func TestPlanIsPure(t *testing.T) {
	type given struct {
		s     situation
		words string
	}
	var all []given
	everySituation(func(s situation) {
		steps, err := plan(s)
		if err == nil {
			all = append(all, given{s, wordsOf(steps)})
			// What a caller may do: append to a copy, and never see another's.
			_ = append(slices.Clone(steps), stepText)
			_ = planFirst(s)
		}
	})
	for _, g := range all {
		steps, err := plan(g.s)
		require.NoError(t, err)
		require.Equal(t, g.words, wordsOf(steps))
	}
}

func TestStepNames(t *testing.T) {
	for s := stepClean; s <= stepCloseStatements; s++ {
		assert.NotEmpty(t, s.String())
	}
	for s := range stepSQL {
		assert.NotContains(t, []step{stepText, stepSettings, stepParse, stepSync, stepClean}, s, "it is no fixed command")
	}
}

// What a text is decides whether settings stand before it. A text that is taken for transaction control by mistake would
// run as the login role, so everything here that is no plain control must be something else.
func TestTextKinds(t *testing.T) {
	for text, want := range map[string]textKind{
		"select 1": kindQuery, "table x": kindQuery, "(select 1)": kindQuery, "with a as (select 1) select * from a": kindQuery,
		"insert into x values (1)": kindQuery, "fetch all from c": kindQuery, "close c": kindQuery, "execute p": kindQuery,
		"explain analyze select 1": kindQuery, "lock table x": kindQuery, "set constraints all immediate": kindQuery,
		"set role x": kindQuery, "reset role": kindQuery, "reset all": kindQuery, "set local role none": kindQuery,
		"set session authorization default": kindQuery, "set x.y = 'commit'": kindQuery, "discard plans": kindQuery,
		"set session characteristics as transaction read write": kindQuery, "savepoints": kindBlock,
		"begin": kindBegin, "BEGIN": kindBegin, "start transaction read only": kindBegin, "/* a */ begin -- b": kindBegin, " begin ; ": kindBegin,
		"begin isolation level serializable, read write, deferrable": kindBegin,
		"commit": kindCommit, "end": kindCommit, "commit and chain": kindCommit, "end transaction;": kindCommit, "prepare transaction 'x'": kindCommit,
		"rollback": kindControl, "abort": kindControl, "rollback and chain": kindControl, "rollback to savepoint a": kindControl,
		"rollback to a": kindControl, "savepoint a": kindControl, "release a": kindControl, "release savepoint a": kindControl,
		"set transaction isolation level serializable": kindControl, "set transaction read only": kindControl,
		"set transaction snapshot '00000003-0000001B-1'": kindControl, "set transaction_isolation = serializable": kindControl,
		"do $$ begin commit; end $$": kindBlock, "DO LANGUAGE plpgsql 'begin end'": kindBlock, "call p()": kindBlock, "/* x */call p()": kindBlock,
		"commit prepared 'x'": kindAlone, "rollback prepared 'x'": kindAlone, "vacuum": kindAlone, "vacuum full x": kindAlone,
		"create database x": kindAlone, "create index concurrently on x (y)": kindAlone, "discard all": kindAlone, "alter system set a = 1": kindAlone,
		"reindex table concurrently x": kindAlone,
		// What only looks like control. Unknown words are blocks: they may be anything.
		"begin work and more": kindBlock, "commit select": kindBlock, "rollback to": kindBlock, "begin atomic": kindBlock, "release": kindBlock,
		"savepoint": kindBlock, "begin read": kindBlock, "nonsense": kindBlock, "select": kindQuery, "'commit'": kindBlock, `"commit"`: kindBlock,
		"begin; select 1": kindQuery, "commit; select 1": kindQuery, "rollback; do $$ begin end $$": kindQuery, "begin;;select 1;": kindQuery,
	} {
		got := readText(text)
		assert.Equal(t, want, got.kind, "%q", text)
	}
	assert.True(t, readText(" -- nothing\n;").empty)
	assert.True(t, readText("copy x from stdin").copyIn)
	assert.False(t, readText("copy x to stdout").copyIn)
}

func TestTextLeaves(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1": false, "insert into x values (1)": false, "begin": false, "commit": false, "set local x.y = 1": false, "declare c cursor for select 1": false,
		"set transaction read only": false, "update x set y = 1": false, "notify x": false, "savepoint a": false,
		"set x.y = 1": true, "SET ROLE x": true, "set session authorization default": true, "reset all": true, "reset role": true,
		"declare c cursor with hold for select 1": true, "listen x": true, "unlisten x": true, "prepare p as select 1": true,
		"create temp table x ()": true, "create temporary view x as select 1": true, "create local temp sequence s": true,
		"select 1 into temp x": true, "create table pg_temp.x ()": true, "create function pg_temp.f() returns int language sql as 'select 1'": true,
		"select pg_advisory_lock(1)": true, "select pg_try_advisory_lock_shared(1)": true, "SELECT PG_ADVISORY_LOCK(1)": true,
		"select set_config('a.b', 'c', false)": true, "with x as (select set_config('a.b', 'c', false)) select 1": true,
		"do $$ begin end $$": true, "call p()": true, "load 'x'": true, "nonsense": true, "discard temp": true, "select setseed(0.5)": true,
		"select dblink_connect('x')": true, "set session characteristics as transaction read only": true,
		"explain analyze create temp table x as select 1": true,
		// the identifiers of these are spelt so that no word shows
		`create table U&"pg\005ftemp".x ()`: true, `select U&"set\005fconfig"('a.b', 'c', false)`: true, `select u&"pg\005fadvisory_lock"(1)`: true,
	} {
		assert.Equal(t, want, readText(text).leaves, "%q", text)
	}
	assert.True(t, readText("deallocate all").forgets)
	assert.True(t, readText("discard all").forgets)
	assert.False(t, readText("deallocate x").forgets)
	assert.Equal(t, "p", readText("prepare P as select 1").prepares)
	assert.Equal(t, "P q", readText(`prepare "P q" as select 1`).prepares)
}

func TestRoleTag(t *testing.T) {
	for comment, want := range map[string]roleOptions{
		"":                                    {},
		"analysts, masked":                    {},
		`pganon:"masked"`:                     {masked: true},
		`analysts; pganon:"masked" since May`: {masked: true},
		"a\npganon:\"masked\"\nb":             {masked: true},
		`pganon:"masked,writable"`:            {masked: true, writable: true},
		`pganon:"writable,masked"`:            {masked: true, writable: true},
		`pganon:"masked, writable"`:           {masked: true, writable: true},
	} {
		got, err := roleTag(comment)
		require.NoError(t, err, "%q", comment)
		assert.Equal(t, want, got, "%q", comment)
	}
	for _, comment := range []string{
		`pganon:masked`, `pganon: "masked"`, `pganon:`, `pganon:""`, `pganon:"`, `pganon:"masked`, `pganon:"mask"`, `pganon:"Masked"`,
		`pganon:"writable"`, `pganon:"masked,"`, `pganon:"masked,read"`, `pganon:'masked'`, `pganon:"encrypt"`,
	} {
		_, err := roleTag(comment)
		require.Error(t, err, "%q: what may be meant to mask must not be passed over", comment)
	}
}

func TestBeginSQL(t *testing.T) {
	for _, row := range []struct {
		level    sql.IsolationLevel
		readOnly bool
		want     string
	}{
		{sql.LevelDefault, false, "begin"},
		{sql.LevelDefault, true, "begin read only"},
		{sql.LevelReadUncommitted, false, "begin isolation level read uncommitted"},
		{sql.LevelReadCommitted, false, "begin isolation level read committed"},
		{sql.LevelRepeatableRead, true, "begin isolation level repeatable read read only"},
		{sql.LevelSnapshot, false, "begin isolation level repeatable read"},
		{sql.LevelSerializable, true, "begin isolation level serializable read only"},
	} {
		got, err := beginSQL(row.level, row.readOnly)
		require.NoError(t, err)
		assert.Equal(t, row.want, got)
		assert.Equal(t, kindBegin, readText(got).kind)
	}
	for _, level := range []sql.IsolationLevel{sql.LevelWriteCommitted, sql.LevelLinearizable, 99, -1} {
		_, err := beginSQL(level, false)
		assert.Error(t, err, "%v", level)
	}
}

func TestPGBool(t *testing.T) {
	for _, s := range []string{"on", "ON", "true", "t", "tr", "TRUE", "yes", "y", "1"} {
		assert.True(t, pgBool(s), s)
	}
	for _, s := range []string{"", "off", "false", "f", "no", "0", "o", "of", "2", "trues", "onn"} {
		assert.False(t, pgBool(s), s)
	}
}

func TestRoleText(t *testing.T) {
	const text, nonce = "select 1 -- who", "ABCDEFGHIJKLMNOP"
	a, b := roleText(text, "0123456789abcdef"), roleText(text, "fedcba9876543210")
	assert.NotEqual(t, a, b)
	assert.NotEqual(t, statementName(a, nonce), statementName(b, nonce))
	assert.Equal(t, statementName(a, nonce), statementName(roleText(text, "0123456789abcdef"), nonce))
	assert.LessOrEqual(t, len(statementName(a, nonce)), 63, "the server cuts longer names")
	// A text that ends as another role's would is still told apart.
	assert.NotEqual(t, roleText(a, "fedcba9876543210"), b)
	assert.False(t, readText(a).several)
}
