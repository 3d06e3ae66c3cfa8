package driver

import (
	"slices"
	"strings"

	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/internal/tagged"
)

// text is what the driver knows of one SQL text.
type text struct {
	kind      textKind
	empty     bool
	several   bool   // more commands than one, and certainly so
	uncertain error  // why it cannot be told how many
	leaves    bool   // it may leave something on the session
	forgets   bool   // it takes our statements off the session
	prepares  string // name of the application's own PREPARE
	copyIn    bool   // COPY FROM STDIN
	copyOut   bool   // COPY TO STDOUT
	ours      bool   // it names, or may name, a statement of ours
	// dynamic is true where it may run SQL that is not in it, PREPARE and DEALLOCATE included; routine where it makes a
	// function that may do so later.
	dynamic, routine bool
	moves            bool // it may change the search path
	ddl              bool // it may change tables and types
	undoes           bool // it may undo what the open transaction has changed of either
	temporary        bool // it may make a temporary table

	// What encryption knows of it: names is true where it may name an encrypted table, by tags; its last plan, and for
	// which role and path that is.
	tags          *tagged.Schema
	names         bool
	planned       *planned
	plannedFor    string
	plannedMasked bool
	plannedPath   int
}

func (t *text) control() bool {
	return t.kind == kindBegin || t.kind == kindControl || t.kind == kindCommit
}

const (
	maxTexts    = 2048     // remembered on a connection
	maxTextSize = 16 << 10 // of one that is remembered
)

func (c *conn) textOf(sql string) *text {
	if t := c.texts[sql]; t != nil {
		return t
	}
	t := readText(sql)
	if len(sql) <= maxTextSize {
		if len(c.texts) >= maxTexts {
			clear(c.texts)
		}
		c.texts[strings.Clone(sql)] = t
	}
	return t
}

func readText(sql string) *text {
	command, count := sqllex.Classify(sql)
	t := commandText(command)
	lower := strings.ToLower(sql)
	t.leaves = t.leaves || leavesUnseen(lower)
	t.ours = t.ours || strings.Contains(lower, ownNames) && containsAny(lower, "execute", "prepare", "deallocate")
	t.routine = command.Verb == "create" && (strings.Contains(lower, "function") || strings.Contains(lower, "procedure")) ||
		(command.Class == sqllex.Do || command.Class == sqllex.Unknown) && containsAny(lower, "create", "execute", `\`, "u&")
	temporary := command.Flags.Has(sqllex.Temp) || containsAny(lower, "into temp", "into local temp", "into global temp", "pg_temp") ||
		count != sqllex.One && strings.Contains(lower, "temp")
	t.temporary = temporary || t.dynamic
	// What DO and CALL do to it unsaid, the guards of names see.
	t.moves = temporary || containsAny(lower, "search_path", "set_config", "reset", "discard", `u&"`)
	t.undoes = undoes(command.Class) || count != sqllex.One && containsAny(lower, "rollback", "chain")
	t.ddl = changesSchema(command, lower) || count != sqllex.One && containsAny(lower, "create", "alter", "drop", "comment")
	switch count {
	case sqllex.Several:
		t.several = true
		t.kind = kindQuery // each command has its own
	case sqllex.Uncertain:
		_, t.uncertain = sqllex.Split(sql)
	}
	return t
}

func commandText(command sqllex.Command) *text {
	t := &text{
		leaves:  command.LeavesState(),
		empty:   command.Class == sqllex.Empty,
		copyIn:  command.Class == sqllex.Copy && command.Flags.Has(sqllex.FromClient),
		copyOut: command.Class == sqllex.Copy && command.Flags.Has(sqllex.ToClient),
	}
	switch command.Class {
	case sqllex.Begin:
		t.kind = kindBegin
	case sqllex.Rollback, sqllex.Savepoint, sqllex.Release, sqllex.RollbackTo, sqllex.SetTransaction:
		t.kind = kindControl
	case sqllex.Commit, sqllex.PrepareTransaction:
		t.kind = kindCommit
	case sqllex.Do, sqllex.Call, sqllex.Unknown:
		t.kind = kindBlock
		t.leaves = true
	case sqllex.Set:
		if command.Flags.Has(sqllex.BeforeQuery) {
			t.kind = kindControl
		}
	case sqllex.Prepare:
		t.prepares = command.Name
	}
	t.dynamic = t.kind == kindBlock
	switch command.Class {
	case sqllex.Prepare, sqllex.Execute, sqllex.Deallocate:
		t.ours = strings.HasPrefix(command.Name, ownNames)
	}
	if command.Flags.Has(sqllex.NoBlock) {
		t.kind = kindAlone
	}
	t.forgets = command.Flags.Has(sqllex.All) && (command.Class == sqllex.Deallocate || command.Class == sqllex.Discard)
	return t
}

// undoes says whether a command takes back what the open transaction has set, or done, while one stays open: AND CHAIN does so too.
func undoes(class sqllex.Class) bool {
	return class == sqllex.RollbackTo || class == sqllex.Rollback || class == sqllex.Commit
}

// leavesUnseen looks for the functions and clauses that leave something on the session while the command is an ordinary
// query. It may say so of a text that only has such a word in it.
func leavesUnseen(lower string) bool {
	return containsAny(lower, "advisory", "set_config", "temp", "dblink", "setseed", "u&\"")
}

// changesSchema says whether a command may change what tables, types, comments and rights on schemas there are. Of DO
// it is told by the words in it, of CALL and functions not at all.
func changesSchema(command sqllex.Command, lower string) bool {
	switch command.Verb {
	case "create":
		return !containsAny(lower, "create temp", "create local temp", "create global temp")
	case "alter", "drop", "comment", "grant", "revoke", "import", "reassign":
		return true
	case "do":
		return containsAny(lower, "create", "alter", "drop", "comment", "execute")
	}
	return false
}

func containsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(s, word) })
}
