package driver

import "errors"

// A step is one thing that goes on the wire. Steps up to a stepSync are one transaction where none is open: the first
// that fails takes the rest of them with it.
type step uint8

const (
	stepClean           step = iota // what the application left on the session goes
	stepDiscardPlans                // plans made under another role go
	stepBegin                       // begin
	stepBeginReadOnly               // begin read only
	stepSavepoint                   // around a masked statement in a writable transaction
	stepSettings                    // role and settings
	stepParse                       // Parse and Describe of the user's text
	stepText                        // the user's text
	stepRelease                     // of stepSavepoint
	stepCommit                      // of stepBegin
	stepAgain                       // the settings behind a text that may have changed them
	stepRestore                     // settings of the transaction, behind a statement of InTx
	stepLogin                       // the login role, for what settings may not stand before
	stepSync                        // Sync
	stepSettingsParse               // Parse of stepSettings, where the connection does not have it yet
	stepCloseStatements             // of statements that the cache has dropped
)

func (s step) String() string {
	return [...]string{"clean session", "discard plans", "begin", "begin", "savepoint", "settings", "prepare", "statement", "release",
		"commit", "settings", "settings", "login role", "sync", "settings", "close statements"}[s]
}

// textKind is what the plan must know of a text.
type textKind uint8

const (
	kindQuery   textKind = iota // reads or writes; any command that is none of the following
	kindBegin                   // BEGIN, START TRANSACTION
	kindControl                 // ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK TO, SET TRANSACTION: what reads nothing and fires nothing
	kindCommit                  // COMMIT, END, PREPARE TRANSACTION: what fires deferred triggers
	kindBlock                   // DO, CALL, and what cannot be told: it may end the transaction from within
	kindAlone                   // VACUUM, CREATE DATABASE and the like: nothing may stand before it
)

// situation is all that decides what goes on the wire for one text.
type situation struct {
	kind   textKind
	status byte // of the transaction: 'I' none, 'T' open, 'E' failed

	login    bool // the login role on purpose, without an identity
	readOnly bool // a masked role that may not write
	// nobody is true for transaction control whose context says nothing.
	nobody bool
	// unsettles is true for a text that may change the role or a setting itself: what its commit fires must not see that.
	unsettles bool

	leftovers  bool // another identity left something on the session
	plans      bool // plans of another role may be on the session
	txReadOnly bool // the transaction was begun read only
}

var errAlone = errors.New("pganon: run statement: it cannot run in a pipeline, so not under an identity: run it with a context of pganon.System")

// The plans of ordinary statements; they are the same every time.
var (
	planText           = []step{stepText, stepSync}
	planSettings       = []step{stepSettings, stepText, stepSync}
	planSavepoint      = []step{stepSavepoint, stepSettings, stepText, stepRelease, stepSync}
	planParse          = []step{stepSettings, stepParse, stepSync}
	planParseSavepoint = []step{stepSavepoint, stepSettings, stepParse, stepRelease, stepSync}
	planUnsettling     = []step{stepSettings, stepText, stepAgain, stepSync}
	planBlock          = []step{stepBegin, stepSettings, stepText, stepAgain, stepSync, stepCommit, stepSync}
	planBlockReadOnly  = []step{stepBeginReadOnly, stepSettings, stepText, stepAgain, stepSync, stepCommit, stepSync}
	planPin            = []step{stepSettings, stepSync}
	planClean          = []step{stepClean, stepSync}
	planAlone          = []step{stepLogin, stepSync, stepText, stepSync}
	planCleanAlone     = []step{stepClean, stepSync, stepLogin, stepSync, stepText, stepSync}
	planCleanText      = []step{stepClean, stepSync, stepText, stepSync}
)

// plan decides what goes on the wire so that a text runs as it must.
func plan(s situation) ([]step, error) {
	switch {
	case s.status == 'E':
		// The server refuses all but the end of the transaction; settings before that would be refused too.
		return planText, nil
	case s.kind == kindBegin || s.kind == kindControl || s.kind == kindCommit && (s.status == 'I' || s.nobody):
		if s.status == 'I' && s.leftovers {
			return planCleanText, nil
		}
		return planText, nil
	case s.kind == kindAlone && s.status == 'I':
		if !s.login {
			return nil, errAlone
		}
		return alone(s), nil
	case s.kind == kindBlock && s.status == 'I' && s.login:
		// It may commit, as on plain pgx: nothing may stand before it in its transaction.
		return alone(s), nil
	case s.kind == kindBlock && s.status == 'I':
		if s.readOnly {
			return prefixed(s, planBlockReadOnly, 1), nil
		}
		return prefixed(s, planBlock, 1), nil
	case s.status == 'T' && s.readOnly && !s.txReadOnly && s.kind != kindCommit:
		return prefixed(s, planSavepoint, 1), nil
	case s.status == 'I' && s.unsettles && !s.login:
		return prefixed(s, planUnsettling, 0), nil
	}
	return prefixed(s, planSettings, 0), nil
}

func alone(s situation) []step {
	if s.leftovers {
		return planCleanAlone
	}
	return planAlone
}

// planFirst decides what goes on the wire to Parse and Describe a text before its first execution.
func planFirst(s situation) []step {
	if s.status == 'T' && s.readOnly && !s.txReadOnly {
		return prefixed(s, planParseSavepoint, 1)
	}
	return prefixed(s, planParse, 0)
}

// prefixed puts before steps what the session's past asks for: plans of other roles go at steps[at], with the settings.
// Leftovers go in a transaction of their own: some of them, like default_transaction_read_only, hold from its start.
func prefixed(s situation, steps []step, at int) []step {
	clean := s.leftovers && s.status == 'I'
	if !clean && !s.plans {
		return steps
	}
	var with []step
	if clean {
		with = append(with, stepClean, stepSync)
	}
	with = append(with, steps[:at]...)
	if s.plans {
		with = append(with, stepDiscardPlans)
	}
	return append(with, steps[at:]...)
}
